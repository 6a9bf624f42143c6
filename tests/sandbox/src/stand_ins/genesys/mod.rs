//! Genesys Cloud: the client-credentials grant, the rate limit of its tokens, agentless messages, Open Messaging, external
//! ids of users.

mod conversations;
mod messages;
mod open_messaging;
#[cfg(test)]
mod open_messaging_tests;
#[cfg(test)]
mod tests;
mod users;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{World, locked};

pub(super) use conversations::Conversations;
pub use conversations::{Attachment, Conversation, InboundMessage, OpenMessagingSettings};

/// Id of the bridge's OAuth client.
pub(super) const CLIENT_ID: &str = "5c2c7a8e-2f6b-4a53-9d6e-0f3f5a5c9001";

/// The org's number that is provisioned for SMS.
pub const SMS_NUMBER: &str = "+13175550100";

/// Id of the org's Open Messaging integration.
pub const OPEN_MESSAGING_INTEGRATION: &str = "c4b1f0de-7f0b-4a6d-9d0f-3c1c5a0b7001";

/// Where SCIM is, whose refusals have a form of their own.
const SCIM: &str = "/api/v2/scim/";

/// What a token's requests are counted in.
const MINUTE: Duration = Duration::from_secs(60);

/// A text message as a phone got it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// The number that it was sent from.
    pub from: String,
    /// The number that it was sent to.
    pub to: String,
    /// The text of the message.
    pub text: String,
    /// Genesys Cloud's message id.
    pub id: String,
}

#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) texts: Vec<Text>,
    tokens: HashMap<String, Window>,
}

/// How often a token was used in its minute.
#[derive(Debug)]
struct Window {
    began: Instant,
    used: u32,
}

impl Messages {
    pub(super) fn tokens(&self) -> impl Iterator<Item = String> {
        self.tokens.keys().cloned()
    }

    pub(super) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }
}

pub(super) fn router(world: Arc<World>) -> Router {
    let api = Router::new()
        .route("/api/v2/conversations/messages/agentless", post(messages::agentless))
        .route("/api/v2/conversations/messages/{integration}/inbound/open/message", post(open_messaging::receive))
        .route("/api/v2/conversations/messaging/integrations/open/{integration}", get(open_messaging::integration))
        .route("/api/v2/users/externalid/{authority}/{key}", get(users::by_external_id))
        .route("/api/v2/users/{user}/externalid", get(users::external_ids))
        .route("/api/v2/users/{user}/externalid/{authority}", get(users::external_id))
        .route(&format!("{SCIM}v2/users"), get(users::scim_list))
        .route(&format!("{SCIM}users/{{user}}"), get(users::scim))
        .route(&format!("{SCIM}v2/users/{{user}}"), get(users::scim))
        .route_layer(middleware::from_fn_with_state(world.clone(), admit));
    Router::new().route("/oauth/token", post(token)).merge(api).with_state(world)
}

async fn token(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let credentials = format!("{CLIENT_ID}:{}", world.directory().genesys_secret);
    let expected = format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let authorized = headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == expected.as_bytes());
    if !authorized || form.get("grant_type").map(String::as_str) != Some("client_credentials") {
        let text = "authentication failed";
        let body = json!({"error": "invalid_client", "description": text, "error_description": text});
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    let token = Uuid::new_v4().simple().to_string();
    locked(&world.messages).tokens.insert(token.clone(), Window { began: Instant::now(), used: 0 });
    Json(json!({"access_token": token, "token_type": "bearer", "expires_in": 86399})).into_response()
}

/// The platform API's error body.
fn refused(status: StatusCode, code: &str, message: &str, params: Value) -> Response {
    let body = json!({
        "message": message, "code": code, "status": status.as_u16(), "messageParams": params,
        "contextId": Uuid::new_v4(), "details": [], "errors": [],
    });
    (status, Json(body)).into_response()
}

/// How much of its minute a token has used.
struct Usage {
    count: u32,
    allowed: u32,
    /// Seconds until the next minute.
    reset: u64,
}

/// Counts a request of this token; nothing if the token is not good.
fn count(world: &World, headers: &HeaderMap) -> Option<Usage> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let allowed = world.directory().genesys_rate_per_minute;
    let mut messages = locked(&world.messages);
    let window = messages.tokens.get_mut(token?)?;
    if window.began.elapsed() >= MINUTE {
        *window = Window { began: Instant::now(), used: 0 };
    }
    window.used += 1;
    let reset = MINUTE.as_secs().saturating_sub(window.began.elapsed().as_secs()).max(1);
    Some(Usage { count: window.used, allowed, reset })
}

/// Lets a request to the API in: with a good token, within its rate.
async fn admit(State(world): State<Arc<World>>, request: Request, next: Next) -> Response {
    let is_scim = request.uri().path().starts_with(SCIM);
    let refuse = |status, code, message: &str| {
        if is_scim { users::scim_refused(status, message) } else { refused(status, code, message, json!({})) }
    };
    let usage = count(&world, request.headers());
    let mut response = match &usage {
        None => refuse(StatusCode::UNAUTHORIZED, "bad.credentials", "Invalid login credentials."),
        Some(usage) if usage.count > usage.allowed => {
            let wait = usage.reset;
            let message = format!("Rate limit exceeded the maximum. Retry the request in [{wait}] seconds");
            let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, "too.many.requests.retry.after", &message);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
            response
        }
        Some(_) => next.run(request).await,
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        headers.insert("inin-correlation-id", id);
    }
    if let Some(usage) = usage {
        headers.insert("inin-ratelimit-count", HeaderValue::from(usage.count));
        headers.insert("inin-ratelimit-allowed", HeaderValue::from(usage.allowed));
        headers.insert("inin-ratelimit-reset", HeaderValue::from(usage.reset));
    }
    response
}
