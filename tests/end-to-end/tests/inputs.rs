//! The inputs that authors and people really send, through the functions: placeholders for unknown values, references
//! without a value, pasted numbers. The stand-ins show who would be reached.

use std::time::Duration;

use end_to_end::{InProcess, answer, event};
use sandbox::stand_ins::{AGENT_ID, User};
use serde_json::json;

const LAMBDA: Duration = Duration::from_secs(28);

/// Without an id that tells conversations apart, two clicks must not be one: the second customer would get the first
/// one's link.
#[tokio::test]
async fn customers_of_a_conversation_that_is_none_never_meet() {
    let bundle = InProcess::start().await.unwrap();
    let (escalate, send_sms) = (bundle.escalate().unwrap(), bundle.send_sms().unwrap());
    let create_meeting = bundle.create_meeting().unwrap();
    let zeros = "00000000-0000-0000-0000-000000000000";
    for none in ["undefined", "null", "NOT_SET", "None", "unknown", "0", "-", "N/A", "${input.conversationId}", zeros] {
        let to = |number: &str| json!({"user": "kim@contoso.com", "toAddress": number, "conversationId": none, "textBody": "Hi {link}"});
        for number in ["+447700900811", "+447700900812"] {
            let body = to(number);
            for (status, answer) in [
                answer(&escalate, event("escalate", Some(&body)), LAMBDA, escalate::handle).await,
                answer(&send_sms, event("send-sms", Some(&body)), LAMBDA, send_sms::handle).await,
                answer(&create_meeting, event("create-meeting", Some(&body)), LAMBDA, create_meeting::handle).await,
            ] {
                assert_eq!((status, &answer["code"]), (400, &json!("invalidField")), "{none}");
                assert!(answer["message"].as_str().unwrap().contains("`conversationId`"), "{none}");
            }
        }
    }
    assert!(bundle.stand_ins.world.calls().is_empty());
    // An empty one is none as well, where none is needed.
    for _ in 0..2 {
        let body = json!({"user": "kim@contoso.com", "conversationId": "\u{200b}"});
        let (_, meeting) =
            answer(&create_meeting, event("create-meeting", Some(&body)), LAMBDA, create_meeting::handle).await;
        assert_eq!(meeting["code"], "created");
    }
}

#[tokio::test]
async fn no_customer_reads_the_name_of_a_variable() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.escalate().unwrap();
    for (index, unset) in
        ["${input.agentName}", "$!{input.agentName}", "{{Agent Name}}", "undefined", "\u{2060}"].iter().enumerate()
    {
        let body = json!({
            "user": "kim@contoso.com", "toAddress": "+447700900803", "conversationId": format!("demo-{index}"),
            "agentName": unset, "subject": unset, "language": unset, "textBody": unset, "fromAddress": unset,
            "toAddressMessengerType": unset,
        });
        let (status, answer) = answer(&function, event("escalate", Some(&body)), LAMBDA, escalate::handle).await;
        assert_eq!(
            (status, &answer["code"], &answer["smsCode"]),
            (200, &json!("created"), &json!("accepted")),
            "{unset}"
        );
        let text = bundle.stand_ins.world.texts().pop().unwrap().text;
        assert!(!text.contains(unset) && text.contains(answer["joinUrl"].as_str().unwrap()), "{text}");
    }
}

#[tokio::test]
async fn an_organizer_whose_name_begins_with_a_dollar_sign_gets_a_meeting() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.create_meeting().unwrap();
    let id = "33333333-2222-3333-4444-555555555555";
    bundle.stand_ins.world.directory().put_user(User::new("$kim@contoso.com", id));
    for mode in ["online-meeting", "calendar-event"] {
        let body = json!({"user": "$kim@contoso.com", "mode": mode});
        let (status, answer) =
            answer(&function, event("create-meeting", Some(&body)), LAMBDA, create_meeting::handle).await;
        assert_eq!(
            (status, &answer["code"], &answer["organizerFallback"]),
            (200, &json!("created"), &json!(false)),
            "{answer}"
        );
    }
    assert_eq!(bundle.stand_ins.world.directory().user_by_id(id).unwrap().upn, "$kim@contoso.com");
}

#[tokio::test]
async fn no_meeting_is_made_for_a_zone_that_is_none() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.create_meeting().unwrap();
    for (start, zone, named) in [
        ("2026-12-04T18:00:00", "Etc/Unknown", "`timeZone`"),
        ("2026-12-04T18:00:00", "Factory", "`timeZone`"),
        ("2026-12-04T18:00:00", "tzone://Microsoft/Custom", "`timeZone`"),
        ("2026-12-04T18:00:00[America/New_York]", "Europe/Berlin", "`startTime`"),
    ] {
        let body = json!({"user": "kim@contoso.com", "startTime": start, "timeZone": zone});
        let (status, answer) =
            answer(&function, event("create-meeting", Some(&body)), LAMBDA, create_meeting::handle).await;
        assert_eq!((status, &answer["code"]), (400, &json!("invalidField")), "{zone}");
        assert!(answer["message"].as_str().unwrap().contains(named), "{answer}");
    }
    let body = json!({"user": "kim@contoso.com", "startTime": "2026-12-04T18:00:00[America/New_York]"});
    let (_, answer) = answer(&function, event("create-meeting", Some(&body)), LAMBDA, create_meeting::handle).await;
    assert_eq!(answer["startTime"], "2026-12-04T23:00:00Z");
}

#[tokio::test]
async fn no_presence_is_set_for_a_user_who_is_none() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.update_presence().unwrap();
    let zeros = "00000000-0000-0000-0000-000000000000";
    for (name, none) in [("user", zeros), ("userId", zeros), ("user", "${input.user}"), ("userId", "undefined")] {
        let body = json!({name: none, "systemPresence": "Busy"});
        let (status, answer) =
            answer(&function, event("update-presence", Some(&body)), LAMBDA, update_presence::handle).await;
        assert_eq!((status, &answer["code"]), (400, &json!("invalidField")), "{name} {none}");
        assert!(answer["message"].as_str().unwrap().contains(&format!("`{name}`")), "{answer}");
    }
    // An optional text that nothing was filled in for does not stand in the way of the other one.
    let body = json!({
        "user": AGENT_ID, "systemPresence": "${input.systemPresence}", "availability": "Busy", "activity": "Busy",
    });
    let (_, answer) = answer(&function, event("update-presence", Some(&body)), LAMBDA, update_presence::handle).await;
    assert_eq!(answer["code"], "updated", "{answer}");
}

/// The text message as Genesys Cloud gets it; `None` for a refused one.
#[tokio::test]
async fn no_text_message_goes_to_another_number_than_the_one_that_was_written() {
    let bundle = InProcess::start().await.unwrap();
    for (to, country, expected) in [
        ("+44 77OO 900123", "GB", None),
        ("447700900123,447700900124", "", None),
        ("+1 317 555 0100 ext. 5", "", Some("+13175550100")),
        ("tel:2015550123;phone-context=+1", "GB", Some("+12015550123")),
        ("tel:7042;phone-context=example.com", "DE", None),
        ("(479) 555-0100", "", None),
        ("(479) 555-0100", "US", Some("+14795550100")),
        ("447700900123", "", Some("+447700900123")),
        ("\u{202a}+44 7700\u{2011}900123\u{202c}", "", Some("+447700900123")),
        ("\u{ff0b}\u{ff14}\u{ff14}7700900123", "", Some("+447700900123")),
        ("6581234567", "SG", Some("+6581234567")),
    ] {
        let function = bundle.send_sms_with(&[("SMS_COUNTRY", country)]).unwrap();
        let before = bundle.stand_ins.world.texts().len();
        let body = json!({"toAddress": to, "textBody": "Hello"});
        let (status, answer) = answer(&function, event("send-sms", Some(&body)), LAMBDA, send_sms::handle).await;
        let sent = bundle.stand_ins.world.texts().split_off(before);
        assert_eq!(sent.first().map(|text| text.to.as_str()), expected, "{to:?} {country}");
        let code = if expected.is_some() { "accepted" } else { "recipientInvalid" };
        assert_eq!((status, &answer["code"]), (200, &json!(code)), "{to:?} {country}");
        let hint = answer["message"].as_str().unwrap().contains("SMS_COUNTRY");
        assert_eq!(hint, to == "(479) 555-0100" && country.is_empty(), "{to:?} {country}");
    }
}
