//! The webhook over real events: Graph's requests, and how they are answered.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

#[path = "../../fuzz/checks/notification_body.rs"]
mod notification_body;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use base64::prelude::{BASE64_STANDARD, Engine};
use bridge::config::{ConfigError, Environment};
use bridge::edge::{GraphSender, HttpEvent, Webhook};
use bridge::error::Error;
use end_to_end::{InProcess, event, invocation};
use graph_webhook::{App, FUNCTION, handle};
use sandbox::stand_ins::Vendor;
use sandbox::stand_ins::faults::Fault;
use serde_json::{Value, json};

const LAMBDA: Duration = Duration::from_secs(10);

async fn answer(webhook: &Webhook<GraphSender, App>, event: HttpEvent) -> ApiGatewayV2httpResponse {
    webhook.answer(event, invocation(LAMBDA), handle).await
}

/// The status of an answer and, if it is an envelope, its code.
async fn code(webhook: &Webhook<GraphSender, App>, event: HttpEvent) -> (i64, String) {
    let response = answer(webhook, event).await;
    let body: Value = response.body.map(|body| serde_json::from_slice(&body).unwrap()).unwrap_or_default();
    if !body.is_null() {
        let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["code", "message", "ok", "requestId", "retryable"]);
        // Nothing of our settings, secrets and queues is told to strangers.
        let told = body["message"].as_str().unwrap();
        assert_eq!(told == "The bridge could not take this. Its log says why.", response.status_code >= 500, "{told}");
        assert_eq!((&body["ok"], body["requestId"].as_str().unwrap().is_empty()), (&json!(false), false));
    }
    (response.status_code, body["code"].as_str().unwrap_or_default().to_owned())
}

fn with_body(body: &str) -> HttpEvent {
    let mut event = event("graph-webhook", None);
    event.body = Some(body.to_owned());
    event
}

/// The request of a handshake: no body, and text/plain.
fn handshake(path: &str, query: &str) -> HttpEvent {
    let mut event: Value = serde_json::from_str(include_str!("../../events/graph-webhook.json")).unwrap();
    event["rawPath"] = path.into();
    event["rawQueryString"] = query.into();
    event["headers"]["content-type"] = "text/plain; charset=utf-8".into();
    event["body"] = Value::Null;
    serde_json::from_value(event).unwrap()
}

/// A function that has no settings at all.
fn misconfigured() -> Webhook<GraphSender, App> {
    let mut env = Environment::of::<&str, &str>([]);
    let queue = env.required::<String>("NOTIFICATION_QUEUE_URL");
    let error: ConfigError = env.finish(queue).unwrap_err();
    Webhook::of(FUNCTION, Err(error))
}

#[tokio::test]
async fn a_handshake_is_answered_with_its_token_decoded_once_whatever_state_the_function_is_in() {
    let webhook = misconfigured();
    let long = "x".repeat(2048);
    for path in ["/graph/notifications", "/graph/lifecycle"] {
        for (query, token) in [
            (
                "validationToken=Validation%3a+Testing+client+application+reachability+for+subscription+Request-Id%3a+0b7c",
                "Validation: Testing client application reachability for subscription Request-Id: 0b7c",
            ),
            ("tenant=x&validationToken=a%2Bb%20c+d&other", "a+b c d"),
            ("validationToken=once%252Btwice", "once%2Btwice"),
            ("validationToken=%3Cscript%3Ealert(1)%3C%2Fscript%3E", "<script>alert(1)</script>"),
            ("validationToken=first&validationToken=second", "first"),
            ("validationToken=m%C3%BCde%0d%0aX: y", "müde\r\nX: y"),
            (&format!("validationToken={long}"), &long),
        ] {
            let response = answer(&webhook, handshake(path, query)).await;
            let body = response.body.map(|body| String::from_utf8(body.to_vec()).unwrap());
            assert_eq!((response.status_code, body.as_deref()), (200, Some(token)), "{query}");
            assert_eq!(response.headers["content-type"], "text/plain; charset=utf-8");
            assert_eq!(response.headers["x-content-type-options"], "nosniff");
        }
    }
    let too_long = handshake("/graph/notifications", &format!("validationToken={long}x"));
    assert_eq!(code(&webhook, too_long).await, (400, "invalidField".into()));
    for query in ["", "validationToken=", "validationtoken=x", "token=x"] {
        let event = handshake("/graph/notifications", query);
        assert_eq!(code(&webhook, event).await, (500, "misconfigured".into()), "{query}: no handshake");
    }
}

#[tokio::test]
async fn the_door_is_for_post_alone() {
    let webhook = misconfigured();
    for method in ["GET", "PUT", "HEAD", "OPTIONS"] {
        let mut event = handshake("/graph/notifications", "validationToken=x");
        event.request_context.http.method = method.into();
        let response = answer(&webhook, event).await;
        assert_eq!((response.status_code, &response.headers["allow"]), (405, &"POST".parse().unwrap()), "{method}");
    }
}

#[tokio::test]
async fn graph_webhook_takes_its_event_with_one_call() {
    let bundle = InProcess::start().await.unwrap();
    let webhook = bundle.graph_webhook().unwrap();
    let response = answer(&webhook, event("graph-webhook", None)).await;
    assert_eq!((response.status_code, response.body), (202, None));
    let calls = |bundle: &InProcess| -> Vec<_> {
        bundle.stand_ins.world.calls().into_iter().map(|call| call.request).collect()
    };
    assert_eq!(calls(&bundle), ["secretsmanager.GetSecretValue", "AmazonSQS.SendMessageBatch"]);

    // As API Gateway hands it over, and on the other route.
    let mut encoded = event("graph-webhook", None);
    encoded.body = encoded.body.map(|body| BASE64_STANDARD.encode(body));
    encoded.is_base64_encoded = true;
    assert_eq!(answer(&webhook, encoded).await.status_code, 202);
    assert_eq!(calls(&bundle).len(), 3, "warm, a request is one call");

    // Nobody learns that it was dropped.
    let foreign = event("graph-webhook", None).body.unwrap().replace("9f1e7c52", "guess");
    let response = answer(&webhook, with_body(&foreign)).await;
    assert_eq!((response.status_code, response.body), (202, None));
    assert_eq!(calls(&bundle).split_off(3), ["secretsmanager.GetSecretValue"], "nothing is queued");
    // The secret was read for it a moment ago. It may be another by now, which only a later comparison can tell.
    for (body, status) in [(r#"{"value":[]}"#, 202), (r#"{"value":[{}, 1]}"#, 202), (&foreign, 503)] {
        assert_eq!(answer(&webhook, with_body(body)).await.status_code, status, "{body:.40}");
    }
    assert_eq!(calls(&bundle).len(), 4, "strangers do not make the secret be read again and again");
}

#[tokio::test]
async fn graph_sends_again_whatever_may_not_be_stored() {
    let bundle = InProcess::start().await.unwrap();
    let world = &bundle.stand_ins.world;
    let webhook = bundle.graph_webhook().unwrap();

    world.faults.add(Fault::at(Vendor::Aws, "GetSecretValue").times(0).status(500));
    assert_eq!(code(&webhook, event("graph-webhook", None)).await, (503, "secretsUnavailable".into()));
    world.faults.clear();
    world.faults.add(Fault::at(Vendor::Aws, "GetSecretValue").times(0).status(400));
    assert!(code(&webhook, event("graph-webhook", None)).await.0 >= 500, "a refused secret too");
    world.faults.clear();

    for fault in [
        Fault::at(Vendor::Aws, "SendMessageBatch").times(0).status(503),
        Fault::at(Vendor::Aws, "SendMessageBatch").times(0).after().reset(),
        Fault::at(Vendor::Aws, "SendMessageBatch").times(0).delay(Duration::from_secs(20)),
    ] {
        world.faults.add(fault);
        let started = std::time::Instant::now();
        assert_eq!(code(&webhook, event("graph-webhook", None)).await, (503, "queueUnavailable".into()));
        assert!(started.elapsed() < Duration::from_secs(3), "Graph waits no longer: {:?}", started.elapsed());
        world.faults.clear();
    }
    assert_eq!(code(&webhook, event("graph-webhook", None)).await.0, 202);
    assert_eq!(code(&misconfigured(), event("graph-webhook", None)).await, (500, "misconfigured".into()));

    for (body, status, expected) in [
        ("", 400, "malformedJson"),
        ("{}", 400, "malformedJson"),
        ("{\"value\":", 400, "malformedJson"),
        (" ".repeat(4 * 1024 * 1024 + 1).as_str(), 413, "bodyTooLarge"),
    ] {
        assert_eq!(code(&webhook, with_body(body)).await, (status, expected.into()), "{body:.20}");
    }
}

#[tokio::test]
async fn a_panic_and_a_handler_that_does_not_end_are_no_2xx() {
    let webhook = InProcess::start().await.unwrap().graph_check().unwrap();
    let panicking = async |(): &(), _: &_, _| -> Result<(), Error> { panic!("a bug") };
    let panicked = webhook.answer(event("graph-webhook", None), invocation(LAMBDA), panicking);
    assert_eq!(panicked.await.status_code, 500);
    let within = invocation(Duration::from_millis(600));
    let endless = async |(): &(), _: &_, _| -> Result<(), Error> { std::future::pending().await };
    assert_eq!(webhook.answer(event("graph-webhook", None), within, endless).await.status_code, 504);
}

#[test]
fn hostile_bodies_do_no_harm() {
    let corpus = checkout::root().join("tests/fuzz/corpus/notification_body");
    let outcomes = std::fs::read_dir(corpus).unwrap().map(|file| {
        let path = file.unwrap().path();
        let outcome = match notification_body::check(&std::fs::read(&path).unwrap()) {
            Some(tally) => format!(
                "{} queued ({} unreadable), {} foreign, {} malformed",
                tally.queued, tally.unreadable, tally.foreign, tally.malformed
            ),
            None => "refused".into(),
        };
        (path.file_name().unwrap().to_string_lossy().into_owned(), outcome)
    });
    insta::assert_json_snapshot!(outcomes.collect::<BTreeMap<_, _>>());
}
