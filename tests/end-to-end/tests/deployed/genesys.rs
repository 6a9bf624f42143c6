//! Failures on the way to Genesys Cloud.

use sandbox::stand_ins::Vendor;
use sandbox::stand_ins::faults::Fault;
use serde_json::json;

use crate::{beside_others, click, conversation, number, post, text};

#[test]
fn a_throttled_text_message_is_sent_once() {
    beside_others(async |sandbox| {
        let (conversation, number) = (conversation(), number());
        sandbox.world.faults.add(Fault::at(Vendor::Genesys, &number).throttled("1"));
        let answer = text(sandbox, &conversation, &number, false).await;
        assert_eq!((answer.text("status"), sandbox.world.texts_to(&number).len()), ("accepted", 1));

        let number = self::number();
        sandbox.world.faults.add(Fault::at(Vendor::Genesys, &number).throttled("600"));
        let answer = text(sandbox, &conversation, &number, false).await;
        assert_eq!((answer.text("code"), &answer.body["retryable"]), ("genesysThrottled", &json!(true)));
        // It was not accepted, so nothing stands in the way of the next attempt.
        assert_eq!(text(sandbox, &conversation, &number, false).await.text("status"), "accepted");
        assert_eq!(sandbox.world.texts_to(&number).len(), 1);
    });
}

#[test]
fn an_ambiguous_end_stays_unknown_until_a_person_resends() {
    beside_others(async |sandbox| {
        for (taken, fault) in [
            (1, Fault::at(Vendor::Genesys, "").after().reset()),
            (1, Fault::at(Vendor::Genesys, "").after().status(504)),
            (0, Fault::at(Vendor::Genesys, "").reset()),
            (0, Fault::at(Vendor::Genesys, "").status(503)),
        ] {
            let (conversation, number) = (conversation(), number());
            sandbox.world.faults.add(Fault { matching: number.clone(), ..fault });
            for _ in 0..2 {
                let answer = text(sandbox, &conversation, &number, false).await;
                let expected = (200, false, "outcomeUnknown", "unknown");
                assert_eq!((answer.status, answer.ok(), answer.text("code"), answer.text("status")), expected);
            }
            assert_eq!(sandbox.world.texts_to(&number).len(), taken);
            assert_eq!(text(sandbox, &conversation, &number, true).await.text("status"), "accepted");
            assert_eq!(text(sandbox, &conversation, &number, false).await.text("status"), "duplicate");
            assert_eq!(sandbox.world.texts_to(&number).len(), taken + 1);
        }
    });
}

#[test]
fn what_genesys_refuses_is_told_and_leaves_the_way_free() {
    beside_others(async |sandbox| {
        let (conversation, number) = (conversation(), number());
        let body = json!({
            "toAddress": number, "fromAddress": "+13175550199", "textBody": "Hello", "conversationId": conversation,
        });
        let refused = post(sandbox, "/sms", &body).await;
        assert_eq!((refused.status, refused.text("code"), refused.text("status")), (200, "senderInvalid", "failed"));
        assert_eq!(text(sandbox, &conversation, &number, false).await.text("status"), "accepted");
    });
}

#[test]
fn a_withheld_number_still_gets_the_agent_a_meeting() {
    beside_others(async |sandbox| {
        let answer = post(sandbox, "/escalations", &click(&conversation(), "sip:anonymous@anonymous.invalid")).await;
        let codes = (answer.text("code"), answer.text("smsCode"), answer.text("smsStatus"));
        assert_eq!(codes, ("smsFailed", "recipientInvalid", "failed"));
        assert!(!answer.ok() && answer.text("joinUrl").starts_with("https://"));
    });
}
