//! The happy path: one click, and what it costs.

use sandbox::stand_ins::AGENT_ID;
use serde_json::{Value, json};

use crate::{alone, beside_others, click, conversation, number, post, user};

#[test]
fn one_click_is_a_meeting_and_a_text_message_and_two_are_the_same() {
    beside_others(async |sandbox| {
        let (conversation, number) = (conversation(), number());
        let first = post(sandbox, "/escalations", &click(&conversation, &number)).await;
        assert_eq!((first.status, first.text("code"), first.text("smsStatus")), (200, "created", "accepted"));
        let second = post(sandbox, "/escalations", &click(&conversation, &number)).await;
        assert_eq!((second.text("code"), second.text("smsStatus")), ("existing", "duplicate"));
        for name in ["joinUrl", "smsMessageId", "startTime", "endTime", "organizer", "lobby"] {
            assert_eq!(first.text(name), second.text(name), "{name}");
        }
        assert_eq!(sandbox.world.online_meetings(&conversation), 1);
        let texts = sandbox.world.texts_to(&number);
        assert_eq!(texts.len(), 1);
        assert!(texts[0].text.contains(first.text("joinUrl")) && texts[0].text.contains("STOP"));
    });
}

#[test]
fn the_three_routes_work_together_and_apart() {
    beside_others(async |sandbox| {
        let (conversation, number) = (conversation(), number());
        let meeting = post(sandbox, "/meetings", &json!({"user": AGENT_ID, "conversationId": conversation})).await;
        assert_eq!((meeting.status, meeting.text("code")), (200, "created"));
        let body = json!({"toAddress": number, "joinUrl": meeting.text("joinUrl"), "conversationId": conversation});
        let sms = post(sandbox, "/sms", &body).await;
        assert_eq!((sms.status, sms.text("status"), sms.text("toAddress")), (200, "accepted", number.as_str()));
        // The agent then uses the button that does both: it finds both.
        let both = post(sandbox, "/escalations", &click(&conversation, &number)).await;
        assert_eq!((both.text("code"), both.text("smsStatus")), ("existing", "duplicate"));
        assert_eq!(both.text("smsMessageId"), sms.text("messageId"));
    });
}

#[test]
fn the_published_blueprints_requests_work_as_they_are() {
    beside_others(async |sandbox| {
        let body = json!({
            "user": "kim@contoso.com", "startTime": "2026-12-04T18:00:00", "endTime": "2026-12-04T18:10:00",
            "timeZone": "Pacific Standard Time",
        });
        let meeting = post(sandbox, "/meetings", &body).await;
        assert_eq!((meeting.status, meeting.text("startTime")), (200, "2026-12-05T02:00:00Z"));
        assert_eq!(meeting.body["onlineMeeting"]["joinUrl"], meeting.text("joinUrl"));
        let number = number();
        let body = json!({
            "fromAddress": "+13175550100", "toAddress": number, "toAddressMessengerType": "sms",
            "textBody": meeting.text("joinUrl"), "useExistingActiveConversation": false,
        });
        let sms = post(sandbox, "/sms", &body).await;
        assert_eq!((sms.status, sms.ok()), (200, true));
        assert_eq!(sandbox.world.texts_to(&number)[0].text, meeting.text("joinUrl"));
    });
}

#[test]
fn a_warm_click_asks_neither_for_secrets_nor_for_tokens() {
    alone(async |sandbox| {
        post(sandbox, "/escalations", &click(&conversation(), &number())).await;
        let warm = post(sandbox, "/escalations", &click(&conversation(), &number())).await;
        let log = sandbox.cloud.logs("escalate").await.unwrap();
        let line = log.lines().find(|line| line.contains(warm.text("requestId")) && line.contains("_aws")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["coldStart"], false);
        let operations: Vec<_> = line["calls"].as_array().unwrap().iter().map(|call| &call["operation"]).collect();
        let mut expected = [
            "read meeting note",
            "createOrGet onlineMeeting",
            "keep meeting note",
            "put record",
            "update onlineMeeting",
            "send agentless message",
            "update record",
        ];
        let mut operations: Vec<_> = operations.iter().map(|name| name.as_str().unwrap()).collect();
        expected.sort_unstable();
        operations.sort_unstable();
        assert_eq!(operations, expected);
    });
}

#[test]
fn a_colleague_to_whom_the_call_was_transferred_comes_into_the_same_meeting() {
    beside_others(async |sandbox| {
        let (conversation, number) = (conversation(), number());
        let first = post(sandbox, "/escalations", &click(&conversation, &number)).await;
        let colleague = user(sandbox, |_| {});
        let mut body = click(&conversation, &number);
        body["user"] = json!(colleague.id);
        body["agentName"] = json!("Alex");
        let second = post(sandbox, "/escalations", &body).await;
        assert_eq!((second.text("code"), second.text("smsStatus")), ("existing", "duplicate"));
        let meeting = json!({"user": colleague.id, "conversationId": conversation});
        let third = post(sandbox, "/meetings", &meeting).await;
        assert_eq!(third.text("code"), "existing");
        for answer in [&second, &third] {
            assert_eq!(answer.text("joinUrl"), first.text("joinUrl"));
        }
        assert_eq!((sandbox.world.online_meetings(&conversation), sandbox.world.texts_to(&number).len()), (1, 1));
    });
}

#[test]
fn another_link_for_the_same_conversation_is_not_passed_off_as_sent() {
    beside_others(async |sandbox| {
        let (conversation, number) = (conversation(), number());
        let agent = user(sandbox, |_| {});
        let mut body = click(&conversation, &number);
        body["user"] = json!(agent.id);
        post(sandbox, "/escalations", &body).await;
        // The call went to a colleague, and the agent has left the company with the meeting.
        sandbox.world.directory().remove_user(&agent.id);
        let colleague = user(sandbox, |_| {});
        body["user"] = json!(colleague.id);
        let second = post(sandbox, "/escalations", &body).await;
        assert_eq!((second.ok(), second.text("code"), second.text("smsCode")), (false, "otherLink", "otherLink"));
        assert!(second.text("joinUrl").starts_with("https://"), "{}", second.body);
        body["resend"] = json!(true);
        assert_eq!(post(sandbox, "/escalations", &body).await.text("smsStatus"), "accepted");
        assert!(sandbox.world.texts_to(&number)[1].text.contains(second.text("joinUrl")));
    });
}
