//! The bugs of the published blueprints: what Genesys Cloud makes of them, so that a file of ours with one of them
//! would not come through.

#![expect(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use common::{action, failure, good, integration, requests, server};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

/// The blueprint's body: texts put between quotes as they are.
const UNESCAPED: &str = r#"{"user": "${input.user}", "timeZone": "${input.timeZone}"}"#;

#[tokio::test]
async fn a_quote_breaks_a_body_that_is_not_escaped() {
    let server = server(vec![good(), good(), good()]).await;
    let integration = integration(&server);
    let blueprint = action(&server, |action| action["config"]["request"]["requestTemplate"] = UNESCAPED.into());
    let sent = async |user: &str| {
        integration.execute(&blueprint, &json!({"user": user, "timeZone": "UTC"})).await.outcome.unwrap();
        requests(&server).await.pop().unwrap().body_json::<Value>()
    };
    assert_eq!(sent("kim@contoso.com").await.unwrap()["user"], "kim@contoso.com");
    assert!(sent("Kim \"K\" Lee").await.is_err(), "a quote ends the text");
    // Worse than broken: well formed, and something else than what was said.
    let injected = sent("x\", \"subject\": \"y").await.unwrap();
    assert_eq!(injected, json!({"user": "x", "subject": "y", "timeZone": "UTC"}));
}

#[tokio::test]
async fn a_missing_field_goes_out_as_the_name_of_its_variable() {
    let server = server(vec![good()]).await;
    let blueprint = action(&server, |action| action["config"]["request"]["requestTemplate"] = UNESCAPED.into());
    let execution = integration(&server).execute(&blueprint, &json!({"user": "kim"})).await;
    let body: Value = requests(&server).await[0].body_json().unwrap();
    assert_eq!(body["timeZone"], "${input.timeZone}");
    let unresolved: Vec<_> = execution.trace.shown("Unresolved").collect();
    assert_eq!(unresolved, ["${input.timeZone} in the body, left as it stands"]);
}

#[tokio::test]
async fn a_default_without_quotes_is_a_failure_when_it_is_needed() {
    let answer = || ResponseTemplate::new(200).set_body_json(json!({"ok": true}));
    let server = server(vec![answer(), good(), answer()]).await;
    let integration = integration(&server);
    let with_default = |default: &str| {
        action(&server, |action| {
            action["config"]["response"]["translationMapDefaults"] = json!({"ok": "false", "joinUrl": default});
        })
    };
    let (failure, trace) = failure(integration.execute(&with_default("Not Found"), &common::input()).await);
    assert_eq!((failure.status, failure.details[0].error_code), (400, "ACTION.PROCESSING"));
    assert!(trace.contains("The success template makes no JSON"), "{trace}");
    assert!(trace.contains("{\"ok\": true, \"joinUrl\": Not Found}"), "{trace}");
    // As long as it is not needed nobody notices.
    integration.execute(&with_default("Not Found"), &common::input()).await.outcome.unwrap();
    let output = integration.execute(&with_default("\"\""), &common::input()).await.outcome.unwrap();
    assert_eq!(output, json!({"ok": true, "joinUrl": ""}));
}

#[tokio::test]
async fn a_name_without_path_or_default_is_a_failure() {
    let server = server(vec![ResponseTemplate::new(200).set_body_json(json!({"ok": true}))]).await;
    let without = action(&server, |action| action["config"]["response"]["translationMapDefaults"] = json!({}));
    let (_, trace) = failure(integration(&server).execute(&without, &common::input()).await);
    assert!(trace.contains("${joinUrl} in the success template, left as it stands"), "{trace}");
}

#[tokio::test]
async fn quotes_around_a_mapped_text_are_a_failure() {
    let server = server(vec![good()]).await;
    let quoted = action(&server, |action| {
        action["config"]["response"]["successTemplate"] = "{\"ok\": ${ok}, \"joinUrl\": \"${joinUrl}\"}".into();
    });
    let (_, trace) = failure(integration(&server).execute(&quoted, &common::input()).await);
    assert!(trace.contains("\"joinUrl\": \"\"https://"), "{trace}");
}

#[tokio::test]
async fn a_plus_in_a_query_is_a_space_unless_it_is_encoded() {
    let server = server(vec![good(), good()]).await;
    let integration = integration(&server);
    let asking = |template: &str| {
        action(&server, |action| {
            let url = format!("{}/meetings?to={template}", server.uri());
            action["config"]["request"]["requestUrlTemplate"] = url.into();
        })
    };
    let input = json!({"user": "kim", "to": "+447700900123"});
    integration.execute(&asking("${input.to}"), &input).await.outcome.unwrap();
    integration.execute(&asking("$esc.url(${input.to})"), &input).await.outcome.unwrap();
    let sent = requests(&server).await;
    let received = |index: usize| sent[index].url.query_pairs().next().unwrap().1.into_owned();
    assert_eq!((received(0).as_str(), received(1).as_str()), (" 447700900123", "+447700900123"));
    // A space does not even make a URL.
    let (_, trace) = failure(integration.execute(&asking("${input.to}"), &json!({"user": "kim", "to": "a b"})).await);
    assert!(trace.contains("' ' must be encoded"), "{trace}");
}
