//! What is sent: the rendered request, and the token it carries.

#![expect(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use common::{NASTY, SECRET, action, good, input, integration, requests, server, token_requests};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

fn header<'a>(request: &'a wiremock::Request, name: &str) -> &'a str {
    request.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_request_carries_the_token_the_input_and_who_asks() {
    let server = server(vec![good()]).await;
    let execution = integration(&server).execute(&action(&server, |_| {}), &input()).await;
    assert_eq!(execution.outcome.unwrap(), json!({"ok": true, "joinUrl": "https://teams.microsoft.com/l/1"}));
    let sent = &requests(&server).await[0];
    assert_eq!((sent.method.as_str(), header(sent, "authorization")), ("POST", "Bearer t1"));
    assert_eq!(sent.body_json::<Value>().unwrap(), input());
    for name in ["ININ-Correlation-Id", "ININ-Organization-Id", "ININ-Home-Organization-Id", "ININ-User-Id"] {
        assert_eq!(header(sent, name).len(), 36, "{name}");
    }
    assert_eq!(header(sent, "content-length"), input().to_string().len().to_string());
}

#[tokio::test]
async fn the_custom_auth_action_sends_the_credentials_as_they_are() {
    let server = server(vec![good()]).await;
    let execution = integration(&server).execute(&action(&server, |_| {}), &input()).await;
    let all = server.received_requests().await.unwrap();
    let form = reqwest::Url::parse(&format!("http://x/?{}", String::from_utf8_lossy(&all[0].body))).unwrap();
    let secret = form.query_pairs().find(|(name, _)| name == "client_secret").unwrap().1.into_owned();
    assert_eq!((all[0].url.path(), secret.as_str()), ("/token", SECRET));
    // A way to say that the body has a length: on the wire it is no header.
    assert_eq!(header(&all[0], "transfer-encoding"), "");
    let trace = execution.trace.to_string();
    assert!(!trace.contains("s3cr") && !trace.contains("t1") && trace.contains("by the action Token"), "{trace}");
}

#[tokio::test]
async fn the_whole_input_arrives_as_it_is_whatever_it_holds() {
    let server = server(vec![good(), good()]).await;
    let integration = integration(&server);
    let input = json!({"user": NASTY, "nested": {"a b": [NASTY, null, 1.5, true]}, "no": null});
    integration.execute(&action(&server, |_| {}), &input).await.outcome.unwrap();
    let escaped = action(&server, |action| {
        action["config"]["request"]["requestTemplate"] = "{\"user\": \"$esc.jsonString(${input.user})\"}".into();
        action["config"]["request"]["headers"]["X-User"] = "$esc.uriEncode(${input.user})".into();
        let url = format!("{}/meetings?user=$esc.uriEncode(${{input.user}})", server.uri());
        action["config"]["request"]["requestUrlTemplate"] = url.into();
    });
    integration.execute(&escaped, &input).await.outcome.unwrap();
    let sent = requests(&server).await;
    assert_eq!(sent[0].body_json::<Value>().unwrap(), input);
    assert_eq!(sent[1].body_json::<Value>().unwrap(), json!({"user": NASTY}));
    assert_eq!(sent[1].url.query_pairs().next().unwrap().1, NASTY);
    assert!(header(&sent[1], "x-user").starts_with("O%27Neill%20"));
}

#[tokio::test]
async fn a_get_has_no_body() {
    let server = server(vec![good()]).await;
    let get = action(&server, |action| action["config"]["request"]["requestType"] = "GET".into());
    integration(&server).execute(&get, &input()).await.outcome.unwrap();
    let sent = &requests(&server).await[0];
    assert_eq!((sent.method.as_str(), sent.body.len()), ("GET", 0));
}

#[tokio::test]
async fn a_token_is_used_again() {
    let server = server(vec![good(), good(), good()]).await;
    let integration = integration(&server);
    for _ in 0..3 {
        integration.execute(&action(&server, |_| {}), &input()).await.outcome.unwrap();
    }
    assert_eq!(token_requests(&server).await, 1);
}

#[tokio::test]
async fn a_refused_cached_token_is_replaced_once_and_a_fresh_one_is_not() {
    let refused = || ResponseTemplate::new(401).set_body_json(json!({"message": "Unauthorized"}));
    // A fresh token that is refused is the end.
    let server = server(vec![refused(), good(), refused(), good(), refused(), refused()]).await;
    let integration = integration(&server);
    let execute = async || integration.execute(&action(&server, |_| {}), &input()).await;
    assert_eq!(execute().await.outcome.unwrap_err().status, 401);
    assert_eq!((requests(&server).await.len(), token_requests(&server).await), (1, 1));
    // The same token, now cached, works; then it is refused, and a new one works in its place.
    execute().await.outcome.unwrap();
    let execution = execute().await;
    assert_eq!(execution.trace.shown("Again with a new token").count(), 1);
    execution.outcome.unwrap();
    let sent = requests(&server).await;
    let tokens: Vec<&str> = sent.iter().map(|request| header(request, "authorization")).collect();
    assert_eq!(tokens, ["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t2"]);
    // Both attempts of one execution are one to whoever reads the logs.
    assert_eq!(header(&sent[2], "ININ-Correlation-Id"), header(&sent[3], "ININ-Correlation-Id"));
    // It is repeated once, not more often.
    assert_eq!(execute().await.outcome.unwrap_err().status, 401);
    assert_eq!((requests(&server).await.len(), token_requests(&server).await), (6, 3));
}

#[tokio::test]
async fn the_credentials_are_the_custom_auth_action_s_and_the_action_s_own_only_without_one() {
    let server = server(vec![good(), good()]).await;
    let credentials = std::collections::BTreeMap::from([("key".to_owned(), "k1".to_owned())]);
    let integration = data_action_runner::Integration::new(common::ENGINE.clone(), credentials, None).unwrap();
    let keyed = action(&server, |action| {
        action["config"]["request"]["headers"] = json!({"X-Api-Key": "${credentials.key}"});
    });
    integration.execute(&keyed, &input()).await.outcome.unwrap();
    common::integration(&server).execute(&keyed, &input()).await.outcome.unwrap();
    let sent = requests(&server).await;
    assert_eq!((header(&sent[0], "x-api-key"), header(&sent[1], "x-api-key")), ("k1", "${credentials.key}"));
}
