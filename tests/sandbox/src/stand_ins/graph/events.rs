//! `/users/{id}/events`: calendar events with an online meeting, `transactionId`, the silent downgrade, the late link.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::directory::User;
use super::super::{World, locked};
use super::notifications::{Change, What};
use super::online_meetings::OnlineMeeting;
use super::{Answer, Caller, Refusal, copy_of, no_such_user};

#[derive(Debug, Clone)]
pub(super) struct Event {
    id: String,
    pub(super) owner: String,
    transaction_id: Option<String>,
    subject: String,
    start: Timestamp,
    end: Timestamp,
    /// The join URL, unless the event was silently made a plain one.
    join_url: Option<String>,
    /// How many times the event is still returned without its link.
    late_for: u32,
}

impl Event {
    fn json(&self) -> Value {
        let time = |time: Timestamp| json!({"dateTime": time.strftime("%Y-%m-%dT%H:%M:%S.0000000").to_string(), "timeZone": "UTC"});
        let link = self.join_url.as_ref().filter(|_| self.late_for == 0);
        json!({
            "id": self.id, "transactionId": self.transaction_id, "subject": self.subject,
            "start": time(self.start), "end": time(self.end),
            "isOnlineMeeting": self.join_url.is_some(),
            "onlineMeetingProvider": if self.join_url.is_some() { "teamsForBusiness" } else { "unknown" },
            "onlineMeeting": link.map(|url| json!({"joinUrl": url})), "onlineMeetingUrl": null,
        })
    }
}

/// The mailbox's owner, by object id or user principal name.
fn owner(world: &World, key: &str) -> Result<User, Refusal> {
    if !world.directory().has_permission("Calendars.ReadWrite") {
        let message = "Access is denied. Check credentials and try again.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "ErrorAccessDenied", message));
    }
    let user = copy_of(world, |directory| directory.user(key)).ok_or_else(|| no_such_user(key))?;
    if user.mailbox {
        return Ok(user);
    }
    let message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise.";
    Err(Refusal::new(StatusCode::NOT_FOUND, "MailboxNotEnabledForRESTAPI", message))
}

/// A `dateTimeTimeZone`: no offset in the time, and a zone that Graph knows.
fn time(body: &Value, name: &str) -> Result<Timestamp, Refusal> {
    let invalid = || Refusal::bad_request(format!("The value of {name} is not a valid dateTimeTimeZone."));
    let text = body[name]["dateTime"].as_str().ok_or_else(invalid)?;
    if text.ends_with('Z') || text.get(10..).is_some_and(|time| time.contains(['+', '-'])) {
        return Err(invalid());
    }
    let zone = match body[name]["timeZone"].as_str() {
        Some("UTC" | "Etc/GMT") => TimeZone::UTC,
        _ => {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "TimeZoneNotSupportedException", "Unknown time zone."));
        }
    };
    let local: DateTime = text.parse().map_err(|_| invalid())?;
    zone.to_timestamp(local).map_err(|_| invalid())
}

pub(super) async fn create(
    _: Caller,
    State(world): State<Arc<World>>,
    Path(user): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let user = owner(&world, &user)?;
    let (start, end) = (time(&body, "start")?, time(&body, "end")?);
    if end < start {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "ErrorPropertyValidationFailure", "end is before start."));
    }
    let transaction_id = body["transactionId"].as_str();
    let mut meetings = locked(&world.meetings);
    let existing = meetings.events.iter().find(|event| {
        event.owner == user.id && transaction_id.is_some() && event.transaction_id.as_deref() == transaction_id
    });
    if let Some(event) = existing {
        let message = "Your request can't be completed because its transactionId has already been used to create a different event.";
        let mut refusal = Refusal::new(StatusCode::CONFLICT, "ErrorDuplicateTransactionId", message);
        if world.directory().names_existing_event {
            refusal.more = json!({"@event.existingEventId": event.id});
        }
        return Err(refusal);
    }
    let wants_meeting = body["isOnlineMeeting"].as_bool().unwrap_or(false);
    let mut event = Event {
        id: format!("AAMk{}", Uuid::new_v4().simple()),
        owner: user.id.clone(),
        transaction_id: transaction_id.map(str::to_owned),
        subject: body["subject"].as_str().unwrap_or_default().to_owned(),
        start,
        end,
        join_url: None,
        late_for: world.directory().late_links,
    };
    // Without Teams Graph answers 201 all the same, with a plain event.
    if wants_meeting && user.teams {
        let meeting = OnlineMeeting::new(&user.id, None, start, end);
        event.join_url = Some(meeting.join_url.clone());
        meetings.online.push(meeting);
    }
    let (id, value) = (event.id.clone(), event.json());
    meetings.events.push(event);
    drop(meetings);
    world.notify(&Change { kind: "created", what: What::Event { user: user.id, id, value: value.clone() } });
    Ok((StatusCode::CREATED, Json(value)).into_response())
}

fn no_such_event() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "ErrorItemNotFound", "The specified object was not found in the store.")
}

pub(super) async fn read(
    _: Caller,
    State(world): State<Arc<World>>,
    Path((user, id)): Path<(String, String)>,
) -> Answer {
    let user = owner(&world, &user)?;
    let mut meetings = locked(&world.meetings);
    let mut own = meetings.events.iter_mut().filter(|event| event.owner == user.id);
    let event = own.find(|event| event.id == id).ok_or_else(no_such_event)?;
    event.late_for = event.late_for.saturating_sub(1);
    Ok(Json(event.json()).into_response())
}

pub(super) async fn delete(
    _: Caller,
    State(world): State<Arc<World>>,
    Path((user, id)): Path<(String, String)>,
) -> Answer {
    let user = owner(&world, &user)?;
    let mut meetings = locked(&world.meetings);
    let before = meetings.events.len();
    meetings.events.retain(|event| event.owner != user.id || event.id != id);
    if meetings.events.len() == before {
        return Err(no_such_event());
    }
    drop(meetings);
    let value = json!({"id": id});
    world.notify(&Change { kind: "deleted", what: What::Event { user: user.id, id, value } });
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn view(
    _: Caller,
    State(world): State<Arc<World>>,
    Path(user): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let user = owner(&world, &user)?;
    let bound = |name: &str| {
        let text = query.get(name).ok_or_else(|| Refusal::bad_request(format!("{name} is required.")))?;
        text.parse::<Timestamp>().map_err(|_| Refusal::bad_request(format!("{name} is not a time.")))
    };
    let (from, to) = (bound("startDateTime")?, bound("endDateTime")?);
    let meetings = locked(&world.meetings);
    let within = meetings.events.iter().filter(|event| event.owner == user.id && event.start < to && event.end > from);
    Ok(Json(json!({"value": within.map(Event::json).collect::<Vec<_>>()})).into_response())
}
