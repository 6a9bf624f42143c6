//! The failures of the data actions that are shipped: the envelope that the author sees, and what can be branched on.

use std::time::Duration;

use data_action_runner::{Execution, Failure};
use sandbox::data_actions::DataActions;
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{AGENT_ID, CALLER_APP, Vendor};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::data_actions::{imported, imported_with, output};
use crate::{alone, beside_others, click, conversation, number, user};

/// The failure of an action, with the test pane's steps.
async fn failure(actions: &DataActions, name: &str, input: &Value) -> (Failure, String) {
    let Execution { outcome, trace, .. } = actions.execute(name, input).await.unwrap();
    match outcome {
        Err(failure) => (failure, trace.to_string()),
        Ok(output) => panic!("{name} did not fail but gave {output}"),
    }
}

/// The status, the name and the place of the failure.
fn seen(failure: &Failure) -> (u16, &str, &str) {
    (failure.status, &failure.error_code, failure.details[0].error_code)
}

#[test]
fn a_business_outcome_is_a_success_with_a_code() {
    beside_others(async |sandbox| {
        let actions = imported(sandbox);
        let mut input = click(&conversation(), "sip:anonymous@anonymous.invalid");
        let withheld = output(&actions, "Escalate to Teams", &input).await;
        assert_eq!((&withheld["ok"], &withheld["code"]), (&json!(false), &json!("smsFailed")), "{withheld}");
        assert!(withheld["joinUrl"].as_str().unwrap().starts_with("https://"), "the agent still gets the link");
        assert_eq!((&withheld["smsCode"], &withheld["smsMessageId"]), (&json!("recipientInvalid"), &json!("")));

        input = json!({"userId": uuid::Uuid::new_v4().to_string(), "systemPresence": "ON_QUEUE"});
        let nobody = output(&actions, "Update presence", &input).await;
        assert_eq!(
            (&nobody["ok"], &nobody["code"], &nobody["teamsUserId"]),
            (&json!(false), &json!("noTeamsUser"), &json!(""))
        );
    });
}

#[test]
fn throttling_is_a_success_that_may_be_tried_again() {
    beside_others(async |sandbox| {
        let actions = imported(sandbox);
        let agent = user(sandbox, |_| {});
        sandbox.world.faults.add(Fault::at(Vendor::Graph, &agent.id).throttled("90"));
        let input = json!({"user": agent.id, "conversationId": conversation()});
        let throttled = output(&actions, "Create meeting", &input).await;
        assert_eq!((&throttled["code"], &throttled["retryable"]), (&json!("graphThrottled"), &json!(true)));
        assert_eq!((&throttled["joinUrl"], &throttled["organizerFallback"]), (&json!(""), &json!(false)));
        assert_eq!(output(&actions, "Create meeting", &input).await["code"], "created");
    });
}

#[test]
fn a_missing_field_fails_before_anything_is_sent_and_a_bad_one_at_the_bridge() {
    beside_others(async |sandbox| {
        let actions = imported(sandbox);
        let (conversation, number) = (conversation(), number());
        let missing = json!({"conversationId": conversation});
        let (author, test_pane) = failure(&actions, "Escalate to Teams", &missing).await;
        assert_eq!(seen(&author), (400, "BAD_REQUEST", "ACTION.PROCESSING"));
        assert!(
            test_pane.contains("\"toAddress\" is a required property") && !test_pane.contains("HTTP"),
            "{test_pane}"
        );

        let mut bad = click(&conversation, &number);
        bad["startTime"] = json!("2020-05-4T18:00:00");
        let (author, test_pane) = failure(&actions, "Escalate to Teams", &bad).await;
        assert_eq!(seen(&author), (400, "BAD_REQUEST", "ACTION.REMOTE_ENDPOINT"));
        assert!(test_pane.contains("invalidField") && test_pane.contains("`startTime`"), "{test_pane}");
        let envelope = serde_json::to_string(&author).unwrap();
        assert!(!envelope.contains("startTime"), "an author does not see the bridge's words: {envelope}");
        assert!(sandbox.world.texts_to(&number).is_empty());
    });
}

#[test]
fn a_missing_role_is_a_failure_and_its_grant_needs_no_waiting() {
    alone(async |sandbox| {
        let actions = imported(sandbox);
        let roles = |roles: &[&str]| {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            sandbox.world.directory().apps.get_mut(CALLER_APP).unwrap().roles = roles;
        };
        roles(&["Meetings.Create"]);
        let input = click(&conversation(), &number());
        let (author, test_pane) = failure(&actions, "Escalate to Teams", &input).await;
        assert_eq!(seen(&author), (403, "FORBIDDEN", "ACTION.REMOTE_ENDPOINT"));
        assert!(test_pane.contains("roleMissing") && test_pane.contains("Sms.Send"), "{test_pane}");
        // The cached token is without the role; the one that is fetched after its refusal has it.
        roles(&["Meetings.Create", "Sms.Send"]);
        let execution = actions.execute("Escalate to Teams", &input).await.unwrap();
        assert_eq!(execution.trace.shown("Again with a new token").count(), 1, "{}", execution.trace);
        assert_eq!(execution.outcome.unwrap()["ok"], true);
    });
}

#[test]
fn an_outage_is_a_failure_and_sends_nothing() {
    beside_others(async |sandbox| {
        let actions = imported(sandbox);
        let (conversation, number) = (conversation(), number());
        sandbox.world.faults.add(Fault::at(Vendor::Graph, &conversation).times(3).status(503));
        let input = click(&conversation, &number);
        let (author, test_pane) = failure(&actions, "Escalate to Teams", &input).await;
        assert_eq!(seen(&author), (503, "SERVICE_UNAVAILABLE", "ACTION.REMOTE_ENDPOINT"));
        assert!(test_pane.contains("graphUnavailable") && test_pane.contains("\"retryable\":true"), "{test_pane}");
        assert!(sandbox.world.texts_to(&number).is_empty());
        // The next click makes up for it.
        assert_eq!(output(&actions, "Escalate to Teams", &input).await["ok"], true);
    });
}

#[test]
fn an_outage_with_a_cached_token_is_tried_twice_and_still_leaves_one_meeting_and_one_text() {
    beside_others(async |sandbox| {
        let actions = imported(sandbox);
        output(&actions, "Create meeting", &json!({"user": AGENT_ID})).await;
        let (conversation, number) = (conversation(), number());
        // Graph makes the meeting and says it did not, three times: the bridge gives up, Genesys Cloud does not.
        sandbox.world.faults.add(Fault::at(Vendor::Graph, &conversation).after().times(3).status(504));
        let execution = actions.execute("Escalate to Teams", &click(&conversation, &number)).await.unwrap();
        assert_eq!(execution.trace.shown("Again with a new token").count(), 1, "{}", execution.trace);
        assert_eq!(execution.outcome.unwrap()["ok"], true);
        assert_eq!((sandbox.world.online_meetings(&conversation), sandbox.world.texts_to(&number).len()), (1, 1));
    });
}

#[test]
fn a_time_out_is_a_failure_and_the_next_click_finds_what_it_left() {
    beside_others(async |sandbox| {
        let mut actions = imported(sandbox);
        actions.action("Escalate to Teams").unwrap().config.timeout_seconds = 1;
        let (conversation, number) = (conversation(), number());
        sandbox.world.faults.add(Fault::at(Vendor::Graph, &conversation).after().delay(Duration::from_secs(4)));
        let input = click(&conversation, &number);
        let (author, test_pane) = failure(&actions, "Escalate to Teams", &input).await;
        assert_eq!(seen(&author), (504, "GATEWAY_TIMEOUT", "ACTION.REMOTE_ENDPOINT"));
        assert!(test_pane.contains("did not answer within 1 s"), "{test_pane}");
        actions.action("Escalate to Teams").unwrap().config.timeout_seconds = 30;
        let next = output(&actions, "Escalate to Teams", &input).await;
        assert_eq!((&next["ok"], &next["code"]), (&json!(true), &json!("existing")), "{next}");
        assert_eq!((sandbox.world.online_meetings(&conversation), sandbox.world.texts_to(&number).len()), (1, 1));
    });
}

#[test]
fn a_wrong_credential_is_a_failure_of_its_own_kind() {
    beside_others(async |sandbox| {
        for (field, value, code) in [
            ("client_secret", "wrong \"&=+$", "AADSTS7000215"),
            ("client_id", AGENT_ID, "AADSTS700016"),
            ("tenant_id", AGENT_ID, "AADSTS90002"),
            ("scope", "api://nobody/.default", "AADSTS500011"),
        ] {
            let actions = imported_with(sandbox, |settings| {
                settings.credentials.insert(field.into(), value.into());
            });
            let input = click(&conversation(), &number());
            let (author, test_pane) = failure(&actions, "Escalate to Teams", &input).await;
            assert_eq!(seen(&author), (400, "INVALID_CREDENTIALS", "ACTION.AUTHENTICATION"), "{field}");
            assert!(test_pane.contains(code), "{field}: {test_pane}");
        }
    });
}

#[test]
fn a_url_that_is_not_the_bridge_s_is_told_apart() {
    beside_others(async |sandbox| {
        let input = click(&conversation(), &number());
        let at = |bridge: String| imported_with(sandbox, |settings| settings.bridge = bridge);
        // Its API, another path.
        let (author, _) =
            failure(&at(format!("{}/v2", sandbox.integration().bridge)), "Escalate to Teams", &input).await;
        assert_eq!(seen(&author), (404, "NOT_FOUND", "ACTION.REMOTE_ENDPOINT"));
        // The files as they are shipped: nobody is there.
        let (author, _) = failure(&at("https://bridge.invalid".into()), "Escalate to Teams", &input).await;
        assert_eq!(seen(&author), (503, "SERVICE_UNAVAILABLE", "ACTION.REMOTE_ENDPOINT"));
        // A page, and somebody else's JSON.
        let page = answering(ResponseTemplate::new(200).set_body_string("<html></html>")).await;
        let (author, test_pane) = failure(&at(page.uri()), "Escalate to Teams", &input).await;
        assert_eq!(seen(&author), (400, "BAD_REQUEST", "ACTION.REMOTE_ENDPOINT"));
        assert!(test_pane.contains("answered no JSON: <html>"), "{test_pane}");
        for answer in [json!({}), json!({"hello": "world"}), json!([]), json!("up")] {
            let server = answering(ResponseTemplate::new(200).set_body_json(answer)).await;
            let foreign = at(server.uri());
            for name in ["Create meeting", "Escalate to Teams", "Send SMS", "Update presence"] {
                let output = output(&foreign, name, &input).await;
                assert_eq!((&output["ok"], &output["retryable"]), (&json!(false), &json!(false)), "{name} {output}");
                assert!(output["message"].as_str().unwrap().contains("URL"), "{name} {output}");
            }
        }
    });
}

/// A server that always gives the same answer.
async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}
