//! The handlers over real events: what goes in at the edge and what comes out, without a cloud.

use std::time::Duration;

use bridge::edge::{Answer, BatchAnswer, Function, Headers};
use bridge::error::Error;
use end_to_end::{InProcess, answer, event, invocation, presence_batch, presence_batch_of};
use sandbox::genesys_event::GenesysEvent;
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{AGENT_GENESYS_ID, AGENT_ID, COLLEAGUE_ID, GenesysUser, ORGANIZER_ID, User, Vendor};
use serde_json::{Value, json};

const LAMBDA: Duration = Duration::from_secs(28);

/// An answer without the parts that are new in each run.
fn pinned(mut answer: Value) -> Value {
    for name in ["joinUrl", "meetingId", "messageId", "smsMessageId", "genesysConversationId", "startTime", "endTime"] {
        if let Some(value) = answer.get_mut(name).filter(|value| value.as_str().is_some_and(|text| !text.is_empty())) {
            *value = json!("[new]");
        }
    }
    if answer["onlineMeeting"]["joinUrl"].as_str().is_some_and(|url| !url.is_empty()) {
        answer["onlineMeeting"]["joinUrl"] = json!("[new]");
    }
    answer
}

#[tokio::test]
async fn create_meeting_answers_its_event() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.create_meeting().unwrap();
    let (status, first) = answer(&function, event("create-meeting", None), LAMBDA, create_meeting::handle).await;
    assert_eq!(status, 200);
    assert_eq!(first["joinUrl"], first["onlineMeeting"]["joinUrl"]);
    assert!(first["joinUrl"].as_str().unwrap().starts_with("https://teams.microsoft.com/"));
    let (_, second) = answer(&function, event("create-meeting", None), LAMBDA, create_meeting::handle).await;
    assert_eq!((&second["code"], &second["joinUrl"]), (&json!("existing"), &first["joinUrl"]));
    insta::assert_json_snapshot!(pinned(first));
}

#[tokio::test]
async fn send_sms_answers_its_event() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.send_sms().unwrap();
    let (status, first) = answer(&function, event("send-sms", None), LAMBDA, send_sms::handle).await;
    assert_eq!(status, 200);
    let (_, second) = answer(&function, event("send-sms", None), LAMBDA, send_sms::handle).await;
    assert_eq!((&second["code"], &second["messageId"]), (&json!("duplicate"), &first["messageId"]));
    let texts = bundle.stand_ins.world.texts();
    assert_eq!(texts.len(), 1);
    insta::assert_json_snapshot!(pinned(first));
    insta::assert_snapshot!(texts[0].text);
}

#[tokio::test]
async fn escalate_answers_its_event_in_two_round_trips() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.escalate().unwrap();
    let (status, first) = answer(&function, event("escalate", None), LAMBDA, escalate::handle).await;
    assert_eq!(status, 200);
    insta::assert_json_snapshot!(pinned(first));

    // Warm, and with the object id: createOrGet, lobby and text message, and nothing else.
    let before = bundle.stand_ins.world.calls().len();
    let body = json!({"user": AGENT_ID, "toAddress": "+447700900777", "conversationId": "warm"});
    answer(&function, event("escalate", Some(&body)), LAMBDA, escalate::handle).await;
    let mut calls = bundle.stand_ins.world.calls().split_off(before);
    calls.sort_by(|a, b| a.request.cmp(&b.request));
    let calls: Vec<_> = calls.iter().map(|call| call.request.split("/MSo").next().unwrap()).collect();
    insta::assert_json_snapshot!(calls);
}

#[tokio::test]
async fn lobby_and_text_message_do_not_wait_for_each_other() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.escalate().unwrap();
    answer(&function, event("escalate", None), LAMBDA, escalate::handle).await;
    let delay = Duration::from_millis(700);
    bundle.stand_ins.world.faults.add(Fault::at(Vendor::Graph, "PATCH").delay(delay));
    bundle.stand_ins.world.faults.add(Fault::at(Vendor::Genesys, "agentless").delay(delay));
    let body = json!({"user": AGENT_ID, "toAddress": "+447700900777", "conversationId": "together"});
    let started = std::time::Instant::now();
    let (_, answered) = answer(&function, event("escalate", Some(&body)), LAMBDA, escalate::handle).await;
    assert_eq!(answered["ok"], true);
    assert!(started.elapsed() < delay * 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_meeting_without_its_text_message_still_carries_the_link() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.escalate().unwrap();
    for (name, to, code, sms_status, sms_code, fault) in [
        ("withheld", "anonymous", "smsFailed", "failed", "recipientInvalid", None),
        (
            "lost",
            "+447700900777",
            "outcomeUnknown",
            "unknown",
            "outcomeUnknown",
            Some(Fault::at(Vendor::Genesys, "agentless").after().reset()),
        ),
        (
            "throttled",
            "+447700900777",
            "smsFailed",
            "failed",
            "genesysThrottled",
            Some(Fault::at(Vendor::Genesys, "agentless").throttled("3600")),
        ),
    ] {
        if let Some(fault) = fault {
            bundle.stand_ins.world.faults.add(fault);
        }
        let body = json!({"user": AGENT_ID, "toAddress": to, "conversationId": name});
        let (status, answered) = answer(&function, event("escalate", Some(&body)), LAMBDA, escalate::handle).await;
        assert_eq!((status, &answered["ok"]), (200, &json!(false)), "{name}");
        let codes = (&answered["code"], &answered["smsStatus"], &answered["smsCode"]);
        assert_eq!(codes, (&json!(code), &json!(sms_status), &json!(sms_code)), "{name}");
        assert!(answered["joinUrl"].as_str().unwrap().starts_with("https://"), "{name}");
        assert_eq!(answered["retryable"], json!(name == "throttled"), "{name}");
    }
}

/// A click of an agent, or of the colleague to whom the call was transferred.
fn click_of(agent: &str, name: &str) -> Value {
    json!({"user": agent, "agentName": name, "toAddress": "+447700900777", "conversationId": "transferred"})
}

fn codes(answer: &Value) -> [&str; 3] {
    ["code", "smsStatus", "smsCode"].map(|name| answer[name].as_str().unwrap_or_default())
}

#[tokio::test]
async fn after_a_transfer_both_agents_and_the_customer_are_in_one_meeting() {
    let bundle = InProcess::start().await.unwrap();
    let (escalate, meetings) = (bundle.escalate().unwrap(), bundle.create_meeting().unwrap());
    let escalated = async |agent: &str, name: &str| {
        answer(&escalate, event("escalate", Some(&click_of(agent, name))), LAMBDA, escalate::handle).await.1
    };
    let first = escalated(AGENT_ID, "Kim").await;
    let second = escalated(COLLEAGUE_ID, "Alex").await;
    assert_eq!(codes(&first), ["created", "accepted", "accepted"]);
    // Another agent's name is no other invitation.
    assert_eq!(codes(&second), ["existing", "duplicate", "duplicate"]);
    assert_eq!((&second["joinUrl"], &second["organizer"]), (&first["joinUrl"], &json!(AGENT_ID)));
    let body = json!({"user": COLLEAGUE_ID, "conversationId": "transferred"});
    let (_, third) = answer(&meetings, event("create-meeting", Some(&body)), LAMBDA, create_meeting::handle).await;
    assert_eq!((&third["code"], &third["joinUrl"]), (&json!("existing"), &first["joinUrl"]));
    let world = &bundle.stand_ins.world;
    assert_eq!((world.online_meetings("transferred"), world.texts().len()), (1, 1));
}

#[tokio::test]
async fn a_meeting_of_either_route_is_the_conversation_s() {
    let bundle = InProcess::start().await.unwrap();
    let (escalate, meetings) = (bundle.escalate().unwrap(), bundle.create_meeting().unwrap());
    let body = json!({"user": AGENT_ID, "conversationId": "transferred", "mode": "calendar-event"});
    let (_, first) = answer(&meetings, event("create-meeting", Some(&body)), LAMBDA, create_meeting::handle).await;
    let click = event("escalate", Some(&click_of(COLLEAGUE_ID, "Alex")));
    let (_, second) = answer(&escalate, click, LAMBDA, escalate::handle).await;
    assert_eq!(codes(&second), ["existing", "accepted", "accepted"]);
    assert_eq!((&second["joinUrl"], &second["mode"]), (&first["joinUrl"], &json!("calendar-event")));
    let texts = bundle.stand_ins.world.texts();
    assert!(texts.len() == 1 && texts[0].text.contains(first["joinUrl"].as_str().unwrap()));
}

#[tokio::test]
async fn an_access_policy_that_spreads_between_two_clicks_leads_to_no_second_meeting() {
    for in_effect_first in [true, false] {
        let bundle = InProcess::start().await.unwrap();
        let function = bundle.escalate().unwrap();
        let policy = |in_effect| {
            let mut agent = User::new("kim@contoso.com", AGENT_ID);
            agent.access_policy = in_effect;
            bundle.stand_ins.world.directory().put_user(agent);
        };
        let escalated = async || {
            let click = event("escalate", Some(&click_of(AGENT_ID, "Kim")));
            answer(&function, click, LAMBDA, escalate::handle).await.1
        };
        policy(in_effect_first);
        let first = escalated().await;
        policy(!in_effect_first);
        // A policy that was in effect a moment ago is so again in another one.
        let (second, ()) = tokio::join!(escalated(), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            policy(true);
        });
        assert_eq!(codes(&second), ["existing", "duplicate", "duplicate"], "{second}");
        assert_eq!(second["joinUrl"], first["joinUrl"]);
        assert_eq!(bundle.stand_ins.world.texts().len(), 1);
    }
}

#[tokio::test]
async fn where_the_first_meeting_is_out_of_reach_the_other_link_is_told_and_sent_when_a_person_asks() {
    let bundle = InProcess::start().await.unwrap();
    let (escalate, meetings) = (bundle.escalate().unwrap(), bundle.create_meeting().unwrap());
    let escalated = async |resend: bool| {
        let mut click = click_of(COLLEAGUE_ID, "Alex");
        click["resend"] = json!(resend);
        answer(&escalate, event("escalate", Some(&click)), LAMBDA, escalate::handle).await.1
    };
    let click = event("escalate", Some(&click_of(AGENT_ID, "Kim")));
    let (_, first) = answer(&escalate, click, LAMBDA, escalate::handle).await;
    // The first agent leaves the company.
    bundle.stand_ins.world.directory().remove_user(AGENT_ID);
    let second = escalated(false).await;
    assert_eq!(codes(&second), ["otherLink", "duplicate", "otherLink"], "{second}");
    assert_eq!(
        (&second["ok"], &second["retryable"], &second["organizer"]),
        (&json!(false), &json!(false), &json!(COLLEAGUE_ID))
    );
    assert!(second["joinUrl"].as_str().is_some_and(|link| !link.is_empty() && link != first["joinUrl"]));
    let again = escalated(false).await;
    assert_eq!((codes(&again), &again["joinUrl"]), (["otherLink", "duplicate", "otherLink"], &second["joinUrl"]));
    let sent = escalated(true).await;
    assert_eq!(codes(&sent), ["existing", "accepted", "accepted"]);
    let after = escalated(false).await;
    assert_eq!(codes(&after), ["existing", "duplicate", "duplicate"]);
    let texts = bundle.stand_ins.world.texts();
    assert!(texts.len() == 2 && texts[1].text.contains(second["joinUrl"].as_str().unwrap()));

    // The route that sends nothing says so by itself, once.
    bundle.stand_ins.world.directory().put_user(User::new("kim@contoso.com", AGENT_ID));
    bundle.stand_ins.world.directory().remove_user(COLLEAGUE_ID);
    let body = json!({"user": AGENT_ID, "conversationId": "transferred"});
    let met = async || answer(&meetings, event("create-meeting", Some(&body)), LAMBDA, create_meeting::handle).await.1;
    let (other, same) = (met().await, met().await);
    assert_eq!((&other["code"], &other["ok"]), (&json!("otherLink"), &json!(false)));
    assert_eq!((&same["code"], &same["joinUrl"]), (&json!("existing"), &other["joinUrl"]));
}

#[tokio::test]
async fn two_agents_who_click_at_the_same_moment_get_one_link() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.escalate().unwrap();
    let slow = Fault::at(Vendor::Graph, "createOrGet").times(0).delay(Duration::from_millis(300));
    bundle.stand_ins.world.faults.add(slow);
    let escalated = async |agent: &str, name: &str| {
        answer(&function, event("escalate", Some(&click_of(agent, name))), LAMBDA, escalate::handle).await.1
    };
    let (one, two) = tokio::join!(escalated(AGENT_ID, "Kim"), escalated(COLLEAGUE_ID, "Alex"));
    assert_eq!((&one["ok"], &two["ok"], &one["joinUrl"]), (&json!(true), &json!(true), &two["joinUrl"]));
    let texts = bundle.stand_ins.world.texts();
    assert!(texts.len() == 1 && texts[0].text.contains(one["joinUrl"].as_str().unwrap()));
}

#[tokio::test]
async fn no_text_message_leaves_without_a_meeting() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.escalate().unwrap();
    bundle.stand_ins.world.faults.add(Fault::at(Vendor::Graph, "createOrGet").times(0).status(503));
    let (status, answered) = answer(&function, event("escalate", None), LAMBDA, escalate::handle).await;
    assert_eq!((status, &answered["code"], &answered["retryable"]), (503, &json!("graphUnavailable"), &json!(true)));
    assert_eq!((&answered["joinUrl"], &answered["smsStatus"]), (&json!(""), &json!("")));
    assert!(bundle.stand_ins.world.texts().is_empty());
}

#[tokio::test]
async fn the_default_organizer_stands_in_and_the_answer_says_so() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.create_meeting().unwrap();
    let body = json!({"user": "nobody@contoso.com", "conversationId": "c"});
    let (_, answered) = answer(&function, event("create-meeting", Some(&body)), LAMBDA, create_meeting::handle).await;
    assert_eq!((&answered["ok"], &answered["organizerFallback"]), (&json!(true), &json!(true)));
    assert_eq!(answered["organizer"], ORGANIZER_ID);
    assert!(answered["message"].as_str().unwrap().contains("nobody@contoso.com"));
}

#[tokio::test]
async fn a_caller_s_mistakes_get_the_envelope_and_the_route_s_own_fields() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.escalate().unwrap();
    let mut answers = Vec::new();
    let mut without_roles = event("escalate", None);
    let claims = &mut without_roles.request_context.authorizer.as_mut().unwrap().jwt.as_mut().unwrap().claims;
    claims.roles = Some("[Meetings.Create]".into());
    let mut without_token = event("escalate", None);
    without_token.request_context.authorizer = None;
    let mut malformed = event("escalate", None);
    malformed.body = Some("{\"user\":".into());
    let mut large = event("escalate", None);
    large.body = Some(" ".repeat(64 * 1024 + 1));
    for event in [without_token, without_roles, malformed, large, event("escalate", Some(&json!({})))] {
        answers.push(answer(&function, event, LAMBDA, escalate::handle).await);
    }
    assert!(bundle.stand_ins.world.calls().is_empty(), "nobody was asked for anything");
    insta::assert_json_snapshot!(answers);
}

#[tokio::test]
async fn a_body_that_api_gateway_encoded_is_decoded() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.create_meeting().unwrap();
    let mut encoded = event("create-meeting", None);
    encoded.body = Some("eyJ1c2VyIjoia2ltQGNvbnRvc28uY29tIn0=".into());
    encoded.is_base64_encoded = true;
    encoded.headers = Headers::default();
    let (status, answered) = answer(&function, encoded, LAMBDA, create_meeting::handle).await;
    assert_eq!((status, &answered["ok"]), (200, &json!(true)));
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let function = Function::of(create_meeting::ROUTE, Ok(()));
    let handle = async |(): &(), _| -> Result<Answer<Value>, Error> { panic!("what only the log may see") };
    let (status, answered) = answer(&function, event("create-meeting", None), LAMBDA, handle).await;
    assert_eq!((status, &answered["code"]), (500, &json!("internal")));
    assert!(!answered["message"].as_str().unwrap().contains("what only"));
}

#[tokio::test]
async fn a_handler_that_does_not_end_is_answered_for() {
    let function = Function::of(create_meeting::ROUTE, Ok(()));
    let handle = async |(): &(), _| -> Result<Answer<Value>, Error> { std::future::pending().await };
    let within = Duration::from_millis(600);
    let (status, answered) = answer(&function, event("create-meeting", None), within, handle).await;
    assert_eq!((status, &answered["code"]), (504, &json!("outOfTime")));
}

#[tokio::test]
async fn update_presence_answers_its_event() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.update_presence().unwrap();
    let (status, mut first) = answer(&function, event("update-presence", None), LAMBDA, update_presence::handle).await;
    assert_eq!(status, 200, "{first}");
    first["expiresAt"] = json!("[new]");
    insta::assert_json_snapshot!(first);
    assert_eq!(bundle.stand_ins.world.presence_of(AGENT_ID), ("Busy", "Busy"));
    let calls = bundle.stand_ins.world.calls().len();
    answer(&function, event("update-presence", None), LAMBDA, update_presence::handle).await;
    assert_eq!(bundle.stand_ins.world.calls().len(), calls + 1, "warm, a presence is one call");
}

/// Without a record of what was set, the setting names the mode that was in use before.
#[tokio::test]
async fn what_another_mode_had_set_is_taken_back_by_the_next_call() {
    let bundle = InProcess::start().await.unwrap();
    let held = || bundle.stand_ins.world.presence_held(AGENT_ID);
    let set = async |presence: &str, variables: &[(&str, &str)]| {
        let function = bundle.update_presence_with(variables).unwrap();
        let body = json!({"userId": AGENT_GENESYS_ID, "systemPresence": presence});
        let answer = answer(&function, event("update-presence", Some(&body)), LAMBDA, update_presence::handle).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
    };
    set("BUSY", &[("PRESENCE_MODE", "preferred")]).await;
    let to_sessions = [("PRESENCE_MODE", "session"), ("PRESENCE_MODE_BEFORE", "preferred")];
    set("MEETING", &to_sessions).await;
    assert_eq!(held(), [Some("Busy"), None]);
    let back = [("PRESENCE_MODE", "preferred"), ("PRESENCE_MODE_BEFORE", "both")];
    set("OFFLINE", &back).await;
    assert_eq!(held(), [None, None]);
}

/// The bridge has found the link before; by now the Teams user is gone and another one is linked.
#[tokio::test]
async fn a_presence_follows_a_link_that_was_made_anew_within_the_same_call() {
    let bundle = InProcess::start().await.unwrap();
    let function = bundle.update_presence().unwrap();
    let world = &bundle.stand_ins.world;
    let [agent, old, new] = [10_u128, 11, 12].map(|id| uuid::Uuid::from_u128(id).to_string());
    let link = |teams: &str| world.directory().put_genesys_user(GenesysUser::new(&agent, "kim@contoso.com", teams));
    let set = async || {
        let body = json!({"userId": agent, "systemPresence": "BUSY"});
        answer(&function, event("update-presence", Some(&body)), LAMBDA, update_presence::handle).await.1
    };
    for id in [&old, &new] {
        world.directory().put_user(User::new(&format!("{id}@contoso.com"), id));
    }
    link(&old);
    assert_eq!(set().await["teamsUserId"], old.as_str());
    world.directory().remove_user(&old);
    assert_eq!(set().await["code"], "noTeamsUser", "nobody else is linked");
    link(&old);
    world.directory().put_user(User::new("old@contoso.com", &old));
    assert_eq!(set().await["teamsUserId"], old.as_str());
    world.directory().remove_user(&old);
    link(&new);
    let second = set().await;
    assert_eq!((&second["code"], second["teamsUserId"].as_str()), (&json!("updated"), Some(new.as_str())));
}

#[tokio::test]
async fn mirror_presence_serves_its_batch() {
    let bundle = InProcess::start().await.unwrap();
    let consumer = bundle.mirror_presence().unwrap();
    let batch = presence_batch();
    let answer = consumer.answer(batch.clone(), invocation(LAMBDA), mirror_presence::handle).await;
    assert_eq!(answer.batch_item_failures.len(), 0);
    assert_eq!(bundle.stand_ins.world.presence_of(AGENT_ID), ("Busy", "Busy"));
    // The same batch once more, as a queue may hand it out: nothing is sent.
    let writes = bundle.stand_ins.world.presence_writes();
    consumer.answer(batch, invocation(LAMBDA), mirror_presence::handle).await;
    assert_eq!(bundle.stand_ins.world.presence_writes(), writes);
}

/// The cost of an event when no other instance is at work: the table and Graph are asked only for what may be there.
#[tokio::test]
async fn a_warm_event_is_a_handful_of_calls_and_one_that_changes_nothing_is_one() {
    let bundle = InProcess::start().await.unwrap();
    let consumer = bundle.mirror_presence_on_table().unwrap();
    // The links are loaded with the first event.
    consumer.answer(presence_batch(), invocation(LAMBDA), mirror_presence::handle).await;
    let calls_of = async |event: GenesysEvent| {
        let before = bundle.stand_ins.world.calls().len();
        let answer = consumer.answer(presence_batch_of(&event), invocation(LAMBDA), mirror_presence::handle).await;
        assert_eq!(answer.batch_item_failures.len(), 0);
        let calls = bundle.stand_ins.world.calls().split_off(before);
        calls.into_iter().map(|call| call.request).collect::<Vec<_>>()
    };
    let table = |operation: &str| format!("DynamoDB_20120810.{operation}");
    let (since, later) = ("2026-11-21T06:00:00.000Z", "2026-11-21T06:00:05.000Z");
    // From the queue to a meal, which is one write more; and back.
    calls_of(GenesysEvent::presence(AGENT_GENESYS_ID, "MEAL", "2026-11-21T05:50:00.000Z")).await;
    // Graph's budget has room again.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let calls = calls_of(GenesysEvent::presence(AGENT_GENESYS_ID, "AVAILABLE", since)).await;
    let expected = [
        table("UpdateItem"),
        table("UpdateItem"),
        table("BatchGetItem"),
        "POST /v1.0/$batch".to_owned(),
        table("UpdateItem"),
        table("UpdateItem"),
    ];
    assert_eq!(calls, expected, "noted, leased, read, sent, noted as sent, given back");
    assert_eq!(bundle.stand_ins.world.presence_of(AGENT_ID).0, "Available");

    let activity = GenesysEvent::activity(AGENT_GENESYS_ID, "AVAILABLE", since, later);
    assert_eq!(calls_of(activity).await, [table("UpdateItem")], "the other topic says the same");
}

#[tokio::test]
async fn a_batch_that_cannot_be_sent_is_kept_and_sent_later() {
    let bundle = InProcess::start().await.unwrap();
    let consumer = bundle.mirror_presence().unwrap();
    bundle.stand_ins.world.faults.add(Fault::at(Vendor::Entra, "token").times(0).status(503));
    let batch = presence_batch();
    // What is left of the time is for batches that are on their way, so that this one is over soon.
    let short = invocation(Duration::from_secs(17));
    let answer = consumer.answer(batch.clone(), short, mirror_presence::handle).await;
    assert_eq!(answer.batch_item_failures.len(), 0, "an outage of Entra ID uses up no receives");
    assert_eq!(bundle.stand_ins.world.presence_writes(), 0);
    bundle.stand_ins.world.faults.clear();
    let mut nothing = batch;
    nothing.records.clear();
    consumer.answer(nothing, invocation(LAMBDA), mirror_presence::handle).await;
    assert_eq!(bundle.stand_ins.world.presence_of(AGENT_ID), ("Busy", "Busy"));
}

#[tokio::test]
async fn a_batch_that_breaks_the_function_goes_back_whole() {
    let bundle = InProcess::start().await.unwrap();
    let consumer = bundle.mirror_presence().unwrap();
    let batch = presence_batch();
    let panicking = async |_: &_, _: &_, _| -> Result<BatchAnswer<()>, Error> { panic!("a bug") };
    let panicked = consumer.answer(batch, invocation(LAMBDA), panicking).await;
    assert_eq!(panicked.batch_item_failures.len(), 1);
}
