//! `POST /conversations/messages/agentless`: text messages, and the phones that get them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{World, locked};
use super::{SMS_NUMBER, Text, refused};

/// The longest SMS, in characters.
const SMS_MAX_CHARACTERS: usize = 765;

/// The refusal of a request because of one of its fields.
pub(super) fn bad_field(field: &str, message: &str) -> Response {
    let body = json!({
        "message": message, "code": "bad.request", "status": 400, "messageParams": {}, "contextId": Uuid::new_v4(),
        "details": [{"errorCode": "invalid", "fieldName": field}], "errors": [],
    });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

pub(super) async fn agentless(State(world): State<Arc<World>>, body: Bytes) -> Response {
    if !world.directory().genesys_may_send {
        let message =
            "Unable to perform the requested action. You must have the permission [conversation:message:create].";
        let params = json!({"permissions": "[conversation:message:create]"});
        return refused(StatusCode::FORBIDDEN, "missing.any.permissions", message, params);
    }
    send(&world, &body)
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
