//! The presence service: sessions, preferred presence, reading one user and many.
//!
//! Paths take object ids only. Every request counts against the app's budget, whatever its outcome.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Json, Response};
use jiff::{Span, SpanRelativeTo};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::directory::User;
use super::super::{World, locked};
use super::presence_state::{PREFERRED_PAIRS, Pair, SESSION_PAIRS, UNKNOWN};
use super::{Answer, Caller, Refusal, Sent, copy_of, sent};

const WRITE: &str = "Presence.ReadWrite.All";
const READ: &str = "Presence.Read.All";

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The most users whose presence is read at once.
const MAX_IDS: usize = 650;

/// A call that the service accepts: of a known app, within its budget.
pub(super) struct Admitted {
    app: String,
}

impl FromRequestParts<Arc<World>> for Admitted {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, world: &Arc<World>) -> Result<Self, Refusal> {
        let caller = Caller::from_request_parts(parts, world).await?;
        let within = locked(&world.presences).budget.take(&caller.app);
        within.map_err(Refusal::throttled)?;
        Ok(Self { app: caller.app })
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
}

/// A text that must be present; `name` as the refusal spells it.
fn required<'a>(body: &'a Value, key: &str, name: &str) -> Result<&'a str, Refusal> {
    let text = body[key].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| invalid(format!("[{name}]: The {name} field is required.")))
}

/// Availability and activity, if they are among these pairs.
fn pair(body: &Value, allowed: &[Pair]) -> Result<Pair, Refusal> {
    let availability = required(body, "availability", "Availability")?;
    let activity = required(body, "activity", "Activity")?;
    let found = allowed.iter().find(|pair| **pair == (availability, activity)).copied();
    found.ok_or_else(|| invalid(format!("The combination of {availability} and {activity} is not supported.")))
}

/// An `Edm.Duration`: days, hours, minutes and seconds in ISO 8601.
fn duration(text: &str) -> Option<Duration> {
    // jiff reads more than that, also weeks and what a person would write.
    let is_edm = text.starts_with('P') && text.chars().all(|c| c.is_ascii_digit() || "PDTHMS.".contains(c));
    let span: Span = is_edm.then(|| text.parse().ok())??;
    Duration::try_from(span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?).ok()
}

/// When a presence that is set now expires: after `expirationDuration`, if that is within these bounds, or else the
/// default.
fn expiry(body: &Value, default: Duration, (shortest, longest): (Duration, Duration)) -> Result<Instant, Refusal> {
    let life = match &body["expirationDuration"] {
        Value::Null => Some(default),
        value => value.as_str().and_then(duration),
    };
    let life = life.filter(|life| (shortest..=longest).contains(life));
    let end = life.and_then(|life| Instant::now().checked_add(life));
    end.ok_or_else(|| invalid("[ExpirationDuration]: The value of ExpirationDuration is not valid."))
}

/// Counts a write to a user's presence.
fn note_write(world: &World, id: &str) {
    let known = copy_of(world, |directory| directory.user_by_id(id));
    let mut presences = locked(&world.presences);
    presences.writes += 1;
    if let Some(user) = known {
        presences.count_write(&user.id);
    }
}

/// The refusal of an app that has none of these permissions.
fn permitted(world: &World, call: &Admitted, permissions: &[&str]) -> Result<(), Refusal> {
    let directory = world.directory();
    if permissions.iter().any(|permission| directory.app_has_permission(&call.app, permission)) {
        return Ok(());
    }
    // Other than the rest of Graph, this service does not say what is missing.
    Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", ""))
}

fn user(world: &World, id: &str) -> Result<User, Refusal> {
    let user = copy_of(world, |directory| directory.user_by_id(id));
    user.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "NotFound", "The user could not be found."))
}

fn done() -> Response {
    StatusCode::OK.into_response()
}

/// Answers `POST /users/{oid}/presence/setPresence`.
pub(super) async fn set_session(
    call: Admitted,
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    body: Sent,
) -> Answer {
    note_write(&world, &id);
    let body = sent(body)?;
    // Missing is noticed before the permission is looked at.
    let session = required(&body, "sessionId", "SessionId")?;
    permitted(&world, &call, &[WRITE])?;
    if !session.eq_ignore_ascii_case(&call.app) {
        return Err(invalid("[SessionId]: The SessionId is not the id of the application."));
    }
    let pair = pair(&body, SESSION_PAIRS)?;
    let expires = expiry(&body, 5 * MINUTE, (5 * MINUTE, 240 * MINUTE))?;
    let user = user(&world, &id)?;
    locked(&world.presences).set_session(&user.id, &call.app, pair, expires);
    Ok(done())
}

/// Answers `POST /users/{oid}/presence/clearPresence`.
pub(super) async fn clear_session(
    call: Admitted,
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    body: Sent,
) -> Answer {
    note_write(&world, &id);
    let body = sent(body)?;
    let session = required(&body, "sessionId", "SessionId")?;
    permitted(&world, &call, &[WRITE])?;
    let user = user(&world, &id)?;
    let own = session.eq_ignore_ascii_case(&call.app);
    if own && locked(&world.presences).clear_session(&user.id, &call.app) {
        return Ok(done());
    }
    Err(Refusal::new(StatusCode::NOT_FOUND, "NotFound", "The presence session could not be found."))
}

/// Answers `POST /users/{oid}/presence/setUserPreferredPresence`.
pub(super) async fn prefer(
    call: Admitted,
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    body: Sent,
) -> Answer {
    note_write(&world, &id);
    let body = sent(body)?;
    permitted(&world, &call, &[WRITE])?;
    let pair = pair(&body, PREFERRED_PAIRS)?;
    let default = if matches!(pair.0, "Busy" | "DoNotDisturb") { DAY } else { 7 * DAY };
    // No bounds are documented; nothing at all is no time.
    let expires = expiry(&body, default, (Duration::from_nanos(1), Duration::MAX))?;
    let user = user(&world, &id)?;
    locked(&world.presences).prefer(&user.id, pair, expires);
    Ok(done())
}

/// Answers `POST /users/{oid}/presence/clearUserPreferredPresence`.
pub(super) async fn clear_preferred(
    call: Admitted,
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    body: Sent,
) -> Answer {
    note_write(&world, &id);
    sent(body)?;
    permitted(&world, &call, &[WRITE])?;
    let user = user(&world, &id)?;
    locked(&world.presences).clear_preferred(&user.id);
    Ok(done())
}

/// The presence resource of a user, or of an id that does not exist.
fn resource(world: &World, id: &str, user: Option<&User>) -> Value {
    let seen = user.map(|user| locked(&world.presences).look(&user.id, user.is_in_teams()));
    let ((availability, activity), version) = seen.unwrap_or((UNKNOWN, 0));
    json!({
        "id": user.map_or(id, |user| &user.id), "availability": availability, "activity": activity,
        "sequenceNumber": format!("A{version:015}"),
        "outOfOfficeSettings": {"isOutOfOffice": false, "message": null}, "statusMessage": null, "workLocation": null,
    })
}

/// Answers `GET /users/{oid}/presence`.
pub(super) async fn read(call: Admitted, State(world): State<Arc<World>>, Path(id): Path<String>) -> Answer {
    permitted(&world, &call, &[READ, WRITE])?;
    let user = user(&world, &id)?;
    Ok(Json(resource(&world, &id, Some(&user))).into_response())
}

/// Answers `POST /communications/getPresencesByUserId`.
pub(super) async fn read_many(call: Admitted, State(world): State<Arc<World>>, body: Sent) -> Answer {
    let body = sent(body)?;
    permitted(&world, &call, &[READ, WRITE])?;
    let ids: Option<Vec<&str>> = body["ids"].as_array().and_then(|ids| ids.iter().map(Value::as_str).collect());
    let ids = ids.filter(|ids| (1..=MAX_IDS).contains(&ids.len()));
    let ids = ids.ok_or_else(|| invalid(format!("[Ids]: Between 1 and {MAX_IDS} ids are required.")))?;
    let one = |id: &str| resource(&world, id, copy_of(&world, |directory| directory.user_by_id(id)).as_ref());
    Ok(Json(json!({"value": ids.into_iter().map(one).collect::<Vec<_>>()})).into_response())
}
