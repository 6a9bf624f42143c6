//! `infra/openapi.yaml` says what this function reads and answers with.

use bridge::fields::ConversationId;
use bridge::sms::{LinkFrom, SmsFields, SmsOrder, SmsSettings};
use contract::{Held, envelope};
use send_sms::ROUTE;
use serde_json::json;

#[test]
fn the_contract_is_kept() {
    let held = Held {
        route: ROUTE,
        read: |fields, env| {
            let settings = SmsSettings::read(env)?;
            fields.parsed::<ConversationId>("conversationId");
            SmsOrder::read(fields, &settings, LinkFrom::Request).map(drop)
        },
        complete: json!({"toAddress": "+447700900123", "conversationId": "c", "textBody": "Hello"}),
        otherwise: &["conversationId", "textBody"],
        answer: envelope(SmsFields::default()),
    };
    held.check();
}
