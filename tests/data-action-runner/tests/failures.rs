//! The failure path: what the author sees, and what only the administrator does.

#![expect(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{ENGINE, action, failure, input, integration, requests, server};
use data_action_runner::Integration;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

/// The envelope, with its correlation id left out.
fn envelope(failure: &data_action_runner::Failure) -> Value {
    let text = serde_json::to_string(failure).unwrap().replace(&failure.correlation_id, "[id]");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn an_author_sees_the_status_and_never_the_answer() {
    for status in [400, 401, 403, 404, 413, 429, 500, 503] {
        let secret = "what the remote says";
        let server =
            server(vec![ResponseTemplate::new(status).set_body_json(json!({"ok": false, "message": secret}))]).await;
        let (failure, trace) = failure(integration(&server).execute(&action(&server, |_| {}), &input()).await);
        assert_eq!((failure.status, failure.details[0].error_code), (status, "ACTION.REMOTE_ENDPOINT"));
        let seen = envelope(&failure);
        assert!(!seen.to_string().contains(secret), "{seen}");
        assert!(trace.contains(secret), "the test pane shows it: {trace}");
        let id = requests(&server).await[0].headers["ININ-Correlation-Id"].to_str().unwrap().to_owned();
        assert_eq!(failure.correlation_id, id, "the remote's log can be found by it");
    }
}

#[tokio::test]
async fn the_envelope_of_a_refusal() {
    let server = server(vec![ResponseTemplate::new(400).set_body_json(json!({}))]).await;
    let (failure, _) = failure(integration(&server).execute(&action(&server, |_| {}), &input()).await);
    insta::assert_json_snapshot!(envelope(&failure));
}

#[tokio::test]
async fn an_answer_that_is_no_json_fails_with_400_whatever_its_status_says() {
    for answer in [
        ResponseTemplate::new(200).set_body_string("<html>maintenance</html>"),
        ResponseTemplate::new(200).set_body_string("{\"ok\": true"),
        ResponseTemplate::new(204),
    ] {
        let server = server(vec![answer]).await;
        let (failure, trace) = failure(integration(&server).execute(&action(&server, |_| {}), &input()).await);
        assert_eq!((failure.status, failure.details[0].error_code), (400, "ACTION.REMOTE_ENDPOINT"));
        assert!(trace.contains("answered no JSON"), "{trace}");
    }
}

#[tokio::test]
async fn a_late_answer_is_not_waited_for() {
    let late = || common::good().set_delay(Duration::from_secs(20));
    let server = server(vec![late(), late()]).await;
    let integration = integration(&server);
    let impatient = action(&server, |action| action["config"]["timeoutSeconds"] = 1.into());
    // Whether the token is fresh or cached: a time-out is not repeated.
    for _ in 0..2 {
        let execution = integration.execute(&impatient, &input()).await;
        assert!(execution.took < Duration::from_secs(10), "{:?}", execution.took);
        let (failure, trace) = failure(execution);
        assert_eq!((failure.status, failure.error_code.as_str()), (504, "GATEWAY_TIMEOUT"));
        assert!(trace.contains("did not answer within 1 s"), "{trace}");
    }
    assert_eq!(requests(&server).await.len(), 2);
}

#[tokio::test]
async fn a_remote_that_is_not_there_is_told() {
    let gone = server(vec![]).await;
    let action = action(&gone, |action| {
        action["config"]["request"]["requestUrlTemplate"] = "http://127.0.0.1:9/meetings".into();
    });
    let (failure, trace) = failure(integration(&gone).execute(&action, &input()).await);
    assert_eq!((failure.status, failure.details[0].error_code), (503, "ACTION.REMOTE_ENDPOINT"));
    assert!(trace.contains("cannot be reached"), "{trace}");
}

#[tokio::test]
async fn credentials_that_are_refused_are_told_as_such() {
    let server = wiremock::MockServer::start().await;
    let refusal = json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."});
    wiremock::Mock::given(wiremock::matchers::path("/token"))
        .respond_with(ResponseTemplate::new(401).set_body_json(refusal))
        .mount(&server)
        .await;
    let (failure, trace) = failure(integration(&server).execute(&action(&server, |_| {}), &input()).await);
    insta::assert_json_snapshot!(envelope(&failure));
    assert!(
        trace.contains("The customAuth action failed. The remote answered 401:") && trace.contains("AADSTS7000215")
    );
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn a_credential_field_that_is_not_set_is_named() {
    let server = server(vec![]).await;
    let auth = json!({"name": "Token", "config": {"request": {
        "requestUrlTemplate": "${credentials.login_url}/token", "requestType": "POST",
    }}});
    let auth = serde_json::from_value(auth).unwrap();
    let integration = Integration::new(ENGINE.clone(), BTreeMap::new(), Some(auth)).unwrap();
    let (failure, trace) = failure(integration.execute(&action(&server, |_| {}), &input()).await);
    assert_eq!(failure.error_code, "INVALID_CREDENTIALS");
    assert!(trace.contains("${credentials.login_url} in the URL, left as it stands, by the action Token"), "{trace}");
}

#[tokio::test]
async fn a_reference_that_stands_for_nothing_makes_no_url() {
    let server = server(vec![]).await;
    let action = action(&server, |action| {
        action["config"]["request"]["requestUrlTemplate"] = "${credentials.bridgeUrl}/meetings".into();
    });
    let integration = Integration::new(ENGINE.clone(), BTreeMap::new(), None).unwrap();
    let (failure, trace) = failure(integration.execute(&action, &input()).await);
    assert_eq!(failure.details[0].error_code, "ACTION.PROCESSING");
    assert!(trace.contains("${credentials.bridgeUrl} in the URL, left as it stands"), "{trace}");
}
