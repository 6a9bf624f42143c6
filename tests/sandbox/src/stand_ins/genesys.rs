//! Genesys Cloud: the client-credentials grant and agentless messages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{World, locked};

/// Id of the bridge's OAuth client.
pub(super) const CLIENT_ID: &str = "5c2c7a8e-2f6b-4a53-9d6e-0f3f5a5c9001";

/// The org's number that is provisioned for SMS.
pub const SMS_NUMBER: &str = "+13175550100";

/// The longest SMS.
const SMS_MAX_CHARACTERS: usize = 765;

/// A text message as a phone got it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// Sender.
    pub from: String,
    /// Recipient.
    pub to: String,
    /// The text.
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
    Router::new()
        .route("/oauth/token", post(token))
        .route("/api/v2/conversations/messages/agentless", post(agentless))
        .with_state(world)
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

fn bad_field(field: &str, message: &str) -> Response {
    let body = json!({
        "message": message, "code": "bad.request", "status": 400, "messageParams": {}, "contextId": Uuid::new_v4(),
        "details": [{"errorCode": "invalid", "fieldName": field}], "errors": [],
    });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

async fn agentless(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut response = match admit(&world, &headers) {
        Ok(()) => send(&world, &body),
        Err(refusal) => *refusal,
    };
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        response.headers_mut().insert("inin-correlation-id", id);
    }
    response
}

fn admit(world: &World, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let rate = world.directory().genesys_rate_per_minute;
    let mut messages = locked(&world.messages);
    let Some(window) = token.and_then(|token| messages.tokens.get_mut(token)) else {
        let message = "Invalid login credentials.";
        return Err(Box::new(refused(StatusCode::UNAUTHORIZED, "bad.credentials", message, json!({}))));
    };
    if window.began.elapsed().as_secs() >= 60 {
        *window = Window { began: Instant::now(), used: 0 };
    }
    window.used += 1;
    if window.used > rate {
        let wait = 60_u64.saturating_sub(window.began.elapsed().as_secs()).max(1);
        let message = format!("Rate limit exceeded the maximum. Retry the request in [{wait}] seconds");
        let code = "too.many.requests.retry.after";
        let mut response = refused(StatusCode::TOO_MANY_REQUESTS, code, &message, json!({}));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
        return Err(Box::new(response));
    }
    if !world.directory().genesys_may_send {
        let message =
            "Unable to perform the requested action. You must have the permission [conversation:message:create].";
        let params = json!({"permissions": "[conversation:message:create]"});
        return Err(Box::new(refused(StatusCode::FORBIDDEN, "missing.any.permissions", message, params)));
    }
    Ok(())
}

fn send(world: &World, body: &[u8]) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return refused(StatusCode::BAD_REQUEST, "bad.request", "The request could not be understood.", json!({}));
    };
    let field = |name: &str| request[name].as_str().unwrap_or_default();
    let (from, to, kind, text) =
        (field("fromAddress"), field("toAddress"), field("toAddressMessengerType"), field("textBody"));
    let limit = match kind {
        "sms" => SMS_MAX_CHARACTERS,
        "open" => 2000,
        _ => {
            return bad_field("toAddressMessengerType", "A messagingTemplate is required for this messenger type.");
        }
    };
    let is_e164 = |number: &str| {
        number
            .strip_prefix('+')
            .is_some_and(|digits| (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if kind == "sms" && !is_e164(to) {
        return bad_field("toAddress", &format!("Invalid toAddress {to}"));
    }
    if kind == "sms" && from != SMS_NUMBER {
        return bad_field("fromAddress", &format!("The address {from} is not provisioned."));
    }
    if text.is_empty() || text.encode_utf16().count() > limit {
        return bad_field("textBody", "textBody is missing or too long.");
    }
    let (id, conversation) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let existing = request["useExistingActiveConversation"].as_bool().unwrap_or(false);
    let answer = json!({
        "id": id, "conversationId": conversation, "fromAddress": from, "toAddress": to, "messengerType": kind,
        "textBody": text, "useExistingActiveConversation": existing, "timestamp": Timestamp::now().to_string(),
        "message": {"id": id, "status": "queued", "direction": "outbound", "messengerType": kind},
        "selfUri": format!("/api/v2/conversations/messages/{conversation}/messages/{id}"),
    });
    let received = Text { from: from.into(), to: to.into(), text: text.into(), id };
    locked(&world.messages).texts.push(received);
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}
