//! `infra/openapi.yaml` says what this function reads and answers with.

use bridge::fields::ConversationId;
use bridge::meeting::{MeetingFields, MeetingOrder, MeetingSettings};
use contract::{Held, envelope};
use create_meeting::ROUTE;
use jiff::Timestamp;
use serde_json::json;

#[test]
fn the_contract_is_kept() {
    let held = Held {
        route: ROUTE,
        read: |fields, env| {
            let settings = MeetingSettings::read(env)?;
            let id = fields.parsed::<ConversationId>("conversationId");
            MeetingOrder::read(fields, &settings, id.as_ref(), Timestamp::now()).map(drop)
        },
        complete: json!({"toAddress": "+447700900123", "conversationId": "c", "textBody": "Hello"}),
        otherwise: &["conversationId", "textBody"],
        answer: envelope(MeetingFields::default()),
    };
    held.check();
}
