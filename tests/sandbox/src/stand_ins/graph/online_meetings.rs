//! `/users/{id}/onlineMeetings`: object ids only, an access policy for each organizer, `createOrGet` by external id.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::directory::{BRIDGE_APP, User};
use super::super::{World, locked};
use super::{Answer, Caller, Refusal, copy_of};

const SCOPES: &[&str] =
    &["organizer", "organization", "organizationAndFederated", "everyone", "invited", "organizationExcludingGuests"];
const PRESENTERS: &[&str] = &["everyone", "organization", "roleIsPresenter", "organizer"];

#[derive(Debug, Clone)]
pub(super) struct OnlineMeeting {
    id: String,
    organizer: String,
    pub(super) external_id: Option<String>,
    pub(super) join_url: String,
    subject: Option<String>,
    start: Timestamp,
    end: Timestamp,
    lobby_scope: String,
    dial_in_bypass: bool,
    presenters: String,
}

impl OnlineMeeting {
    pub(super) fn new(organizer: &str, external_id: Option<&str>, start: Timestamp, end: Timestamp) -> Self {
        let thread = Uuid::new_v4().simple();
        let context = format!("%7b%22Tid%22%3a%22{}%22%2c%22Oid%22%3a%22{organizer}%22%7d", super::super::TENANT);
        Self {
            id: format!("MSo{}", Uuid::new_v4().simple()),
            organizer: organizer.into(),
            external_id: external_id.map(str::to_owned),
            join_url: format!(
                "https://teams.microsoft.com/l/meetup-join/19%3ameeting_{thread}%40thread.v2/0?context={context}"
            ),
            subject: None,
            start,
            end,
            // A tenant's defaults.
            lobby_scope: "organization".into(),
            dial_in_bypass: false,
            presenters: "everyone".into(),
        }
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "externalId": self.external_id, "joinWebUrl": self.join_url, "subject": self.subject,
            "startDateTime": self.start.to_string(), "endDateTime": self.end.to_string(),
            "allowedPresenters": self.presenters, "audioConferencing": null,
            "lobbyBypassSettings": {"scope": self.lobby_scope, "isDialInBypassEnabled": self.dial_in_bypass},
            "participants": {"organizer": {"identity": {"user": {"id": self.organizer}}}, "attendees": []},
        })
    }
}

/// The organizer, if the app may act for them.
fn organizer(world: &World, id: &str) -> Result<User, Refusal> {
    if !world.directory().has_permission("OnlineMeetings.ReadWrite.All") {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", "Missing role permissions on the request."));
    }
    // A user principal name is as unknown here as a user without Teams.
    let user = copy_of(world, |directory| directory.user_by_id(id)).filter(|user| user.teams);
    let user = user.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "NotFound", "The user could not be found."))?;
    if !user.access_policy {
        let message = format!("No application access policy found for this app {BRIDGE_APP} on the user {id}.");
        return Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message));
    }
    Ok(user)
}

fn time(body: &Value, name: &str) -> Result<Option<Timestamp>, Refusal> {
    match &body[name] {
        Value::Null => Ok(None),
        Value::String(text) => {
            text.parse().map(Some).map_err(|_| Refusal::bad_request(format!("Invalid value for {name}.")))
        }
        _ => Err(Refusal::bad_request(format!("Invalid value for {name}."))),
    }
}

pub(super) async fn create_or_get(
    _: Caller,
    State(world): State<Arc<World>>,
    Path(user): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let user = organizer(&world, &user)?;
    let external_id = body["externalId"].as_str().filter(|id| !id.is_empty());
    let external_id = external_id.ok_or_else(|| Refusal::bad_request("externalId is required."))?;
    let known = ["externalId", "startDateTime", "endDateTime", "subject", "participants", "chatInfo"];
    if let Some(other) = body.as_object().and_then(|body| body.keys().find(|key| !known.contains(&key.as_str()))) {
        return Err(Refusal::bad_request(format!("The property {other} is not supported by createOrGet.")));
    }
    let (start, end) = match (time(&body, "startDateTime")?, time(&body, "endDateTime")?) {
        (None, Some(_)) => return Err(Refusal::bad_request("endDateTime without startDateTime.")),
        (Some(start), Some(end)) if end < start => {
            return Err(Refusal::bad_request("endDateTime is before startDateTime."));
        }
        (start, end) => {
            let start = start.unwrap_or_else(Timestamp::now);
            (start, end.unwrap_or(start + 1.hour()))
        }
    };
    let mut meetings = locked(&world.meetings);
    let existing = meetings
        .online
        .iter()
        .find(|meeting| meeting.organizer == user.id && meeting.external_id.as_deref() == Some(external_id));
    if let Some(meeting) = existing {
        return Ok((StatusCode::OK, Json(meeting.json())).into_response());
    }
    let mut meeting = OnlineMeeting::new(&user.id, Some(external_id), start, end);
    meeting.subject = body["subject"].as_str().map(str::to_owned);
    let answer = (StatusCode::CREATED, Json(meeting.json())).into_response();
    meetings.online.push(meeting);
    Ok(answer)
}

fn no_such_meeting() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "NotFound", "The meeting could not be found.")
}

pub(super) async fn update(
    _: Caller,
    State(world): State<Arc<World>>,
    Path((user, id)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Answer {
    let user = organizer(&world, &user)?;
    let scope = body["lobbyBypassSettings"]["scope"].as_str();
    let presenters = body["allowedPresenters"].as_str();
    if scope.is_some_and(|scope| !SCOPES.contains(&scope))
        || presenters.is_some_and(|presenters| !PRESENTERS.contains(&presenters))
    {
        return Err(Refusal::bad_request("A value is not one of the enumeration."));
    }
    let mut meetings = locked(&world.meetings);
    let mut own = meetings.online.iter_mut().filter(|meeting| meeting.organizer == user.id);
    let meeting = own.find(|meeting| meeting.id == id).ok_or_else(no_such_meeting)?;
    if let Some(scope) = scope {
        meeting.lobby_scope = user.lobby_policy.unwrap_or_else(|| scope.to_owned());
    }
    if let Some(bypass) = body["lobbyBypassSettings"]["isDialInBypassEnabled"].as_bool() {
        meeting.dial_in_bypass = bypass;
    }
    if let Some(presenters) = presenters {
        meeting.presenters = presenters.to_owned();
    }
    Ok(Json(meeting.json()).into_response())
}

pub(super) async fn read(
    _: Caller,
    State(world): State<Arc<World>>,
    Path((user, id)): Path<(String, String)>,
) -> Answer {
    let user = organizer(&world, &user)?;
    let meetings = locked(&world.meetings);
    let mut own = meetings.online.iter().filter(|meeting| meeting.organizer == user.id);
    let meeting = own.find(|meeting| meeting.id == id).ok_or_else(no_such_meeting)?;
    Ok(Json(meeting.json()).into_response())
}

pub(super) async fn find(
    _: Caller,
    State(world): State<Arc<World>>,
    Path(user): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let user = organizer(&world, &user)?;
    let filter = query.get("$filter").map(String::as_str).unwrap_or_default();
    let url = filter.strip_prefix("JoinWebUrl eq '").and_then(|rest| rest.strip_suffix('\''));
    let url = url.ok_or_else(|| Refusal::bad_request("A filter by JoinWebUrl is required."))?.replace("''", "'");
    let meetings = locked(&world.meetings);
    let own = meetings.online.iter().filter(|meeting| meeting.organizer == user.id && meeting.join_url == url);
    Ok(Json(json!({"value": own.map(OnlineMeeting::json).collect::<Vec<_>>()})).into_response())
}
