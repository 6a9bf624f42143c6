//! `infra/openapi.yaml` says what this function reads and answers with.

use bridge::escalation::EscalationFields;
use bridge::fields::ConversationId;
use bridge::meeting::{MeetingOrder, MeetingSettings};
use bridge::sms::{LinkFrom, SmsOrder, SmsSettings};
use contract::{Held, envelope};
use escalate::ROUTE;
use jiff::Timestamp;
use serde_json::json;

#[test]
fn the_contract_is_kept() {
    let held = Held {
        route: ROUTE,
        read: |fields, env| {
            let (meetings, messages) = (MeetingSettings::read(env)?, SmsSettings::read(env)?);
            let id = fields.parsed::<ConversationId>("conversationId");
            let meeting = MeetingOrder::read(fields, &meetings, id.as_ref(), Timestamp::now());
            meeting.zip(SmsOrder::read(fields, &messages, LinkFrom::Meeting)).map(drop)
        },
        complete: json!({"toAddress": "+447700900123", "conversationId": "c", "textBody": "Hello"}),
        otherwise: &["conversationId", "textBody"],
        answer: envelope(EscalationFields::default()),
    };
    held.check();
}
