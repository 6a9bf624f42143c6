//! Microsoft Graph: online meetings, calendar events, users, presence, batches, chats, mail, subscriptions and the
//! notifications that come of them.

mod batch;
pub(super) mod budget;
mod chats;
mod delta_token;
mod events;
mod in_process;
mod mail;
mod notifications;
mod online_meetings;
mod paths;
mod presence;
mod presence_state;
mod subscriptions;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, patch, post};
use serde_json::{Value, json};
use uuid::Uuid;

use super::directory::User;
use super::{World, locked};

pub use chats::{Edit, HostedContent, NewMessage, Sender};
pub use in_process::GraphInProcess;
pub use mail::NewMail;
pub use notifications::{Attempt, Flaw, Lifecycle, NotificationSettings, Standing, TokenVersion, Totals};
pub use subscriptions::{Hazard, SubscriptionSettings};

pub(super) use chats::Chats;
pub(super) use mail::Mailboxes;
pub(super) use notifications::Deliveries;
pub(super) use presence_state::{Presences, UNKNOWN};
pub(super) use subscriptions::Subscriptions;

/// The meetings and events that exist.
#[derive(Debug, Default)]
pub(super) struct Meetings {
    online: Vec<online_meetings::OnlineMeeting>,
    events: Vec<events::Event>,
}

impl Meetings {
    pub(super) fn with_external_id(&self, external_id: &str) -> usize {
        self.online.iter().filter(|meeting| meeting.external_id.as_deref() == Some(external_id)).count()
    }

    pub(super) fn events_of(&self, user_id: &str) -> usize {
        self.events.iter().filter(|event| event.owner == user_id).count()
    }
}

pub(super) fn router(world: Arc<World>) -> Router {
    let service = service(world.clone());
    let in_batches = service.clone();
    let batch = post(async |caller: Caller, body| batch::answer(in_batches, caller, body).await);
    Router::new()
        .route("/v1.0/$batch", batch)
        .with_state(world)
        .merge(service)
        .layer(middleware::from_fn(with_request_ids))
}

/// What can be asked for, alone or in a batch.
fn service(world: Arc<World>) -> Router {
    let routes = Router::new()
        .route("/v1.0/users/{user}", get(user))
        .route("/v1.0/users/{user}/onlineMeetings", get(online_meetings::find))
        .route("/v1.0/users/{user}/onlineMeetings/createOrGet", post(online_meetings::create_or_get))
        .route("/v1.0/users/{user}/onlineMeetings/{meeting}", patch(online_meetings::update).get(online_meetings::read))
        .route("/v1.0/users/{user}/events", post(events::create))
        .route("/v1.0/users/{user}/calendar/events", post(events::create))
        .route("/v1.0/users/{user}/events/{event}", get(events::read).delete(events::delete))
        .route("/v1.0/users/{user}/calendarView", get(events::view))
        .route("/v1.0/users/{user}/presence", get(presence::read))
        .route("/v1.0/users/{user}/presence/setPresence", post(presence::set_session))
        .route("/v1.0/users/{user}/presence/clearPresence", post(presence::clear_session))
        .route("/v1.0/users/{user}/presence/setUserPreferredPresence", post(presence::prefer))
        .route("/v1.0/users/{user}/presence/clearUserPreferredPresence", post(presence::clear_preferred))
        .route("/v1.0/communications/getPresencesByUserId", post(presence::read_many))
        .merge(chats::router())
        .merge(mail::router())
        .merge(subscriptions::router())
        .with_state(world);
    // Around all routes, so that it is looked at before one is chosen.
    Router::new().fallback_service(routes).layer(middleware::from_fn(paths::spell_plainly))
}

/// Graph puts its own id on every answer, and the caller's back.
async fn with_request_ids(request: axum::extract::Request, next: Next) -> Response {
    let client_id = request.headers().get("client-request-id").cloned();
    let mut response = next.run(request).await;
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        response.headers_mut().insert("client-request-id", client_id.unwrap_or_else(|| id.clone()));
        response.headers_mut().insert("request-id", id);
    }
    response
}

/// A refusal in Graph's form.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Annotations beside code and message.
    more: Value,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), more: json!({}), retry_after: None }
    }

    /// The caller is over a budget and has to wait that long.
    fn throttled(wait: Duration) -> Self {
        let inner = json!({"code": "429", "status": "429", "request-id": Uuid::new_v4()});
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "Too many requests.");
        Self { more: json!({"innerError": inner}), retry_after: Some(wait), ..refusal }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let id = Uuid::new_v4();
        let inner = json!({"date": "2026-01-02T03:04:05", "request-id": id, "client-request-id": id});
        let mut error = json!({"code": self.code, "message": self.message, "innerError": inner});
        if let (Some(error), Some(more)) = (error.as_object_mut(), self.more.as_object()) {
            error.extend(more.clone());
        }
        let mut response = (self.status, Json(json!({"error": error}))).into_response();
        // Rounded up, so that who waits exactly that long is let in.
        let milliseconds = self.retry_after.map(|wait| wait.as_nanos().div_ceil(1_000_000));
        let retry_after = milliseconds.map(|ms| format!("{}.{:03}", ms / 1000, ms % 1000));
        if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

type Answer = Result<Response, Refusal>;

/// What a caller sent as JSON.
type Sent = Result<Json<Value>, JsonRejection>;

fn sent(body: Sent) -> Result<Value, Refusal> {
    let message = "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of \
                   valid JSON format.";
    body.ok().map(|Json(body)| body).filter(Value::is_object).ok_or_else(|| Refusal::bad_request(message))
}

/// A caller with a token that is valid here and now.
#[derive(Debug, Clone)]
struct Caller {
    /// Client id of the app that the token was issued to.
    app: String,
}

impl FromRequestParts<Arc<World>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, world: &Arc<World>) -> Result<Self, Refusal> {
        // Known already within a batch and in process; nothing that comes over a socket can claim that.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|value| value.strip_prefix("Bearer "));
        token.and_then(|token| world.tokens.app_in_graph(token)).map(|app| Self { app }).ok_or_else(|| {
            let message = "Lifetime validation failed, the token is expired.";
            Refusal::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
        })
    }
}

/// Answers `GET /users/{upn}`.
async fn user(_: Caller, State(world): State<Arc<World>>, Path(key): Path<String>) -> Answer {
    let directory = world.directory();
    if !directory.has_permission("User.ReadBasic.All") {
        let message = "Insufficient privileges to complete the operation.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "Authorization_RequestDenied", message));
    }
    let user = directory.user(&key).ok_or_else(|| no_such_user(&key))?;
    Ok(Json(json!({"id": user.id, "userPrincipalName": user.upn})).into_response())
}

fn no_such_user(key: &str) -> Refusal {
    let message =
        format!("Resource '{key}' does not exist or one of its queried reference-property objects are not present.");
    Refusal::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message)
}

/// An absolute link to a path of the service, with a query.
fn link(world: &World, path: &str, query: &HashMap<String, String>) -> String {
    let url = reqwest::Url::parse_with_params(&format!("{}/v1.0{path}", world.tokens.graph), query);
    // A dollar sign stands for itself in the names of options.
    url.map(|url| url.to_string().replace("%24", "$")).unwrap_or_default()
}

fn copy_of(world: &World, find: impl FnOnce(&super::Directory) -> Option<&User>) -> Option<User> {
    find(&locked(&world.directory)).cloned()
}
