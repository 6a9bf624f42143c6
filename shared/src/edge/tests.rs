//! What holds of every edge, whatever invoked the function.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::Context;
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use super::*;
use crate::config::{ConfigError, Environment};
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::notification::{Admitted, ClientStateSecret};
use crate::queue::Message;
use crate::telemetry::{self, Figure, Figures};

/// An event of the HTTP API, of a caller whose token has a role.
pub(super) fn event(method: &str, query: &str, body: &str) -> HttpEvent {
    let authorizer = json!({"jwt": {"claims": {"roles": "[Guide.Read]"}}});
    let context = json!({"requestId": "r-1", "http": {"method": method}, "authorizer": authorizer});
    let event = json!({"body": body, "rawQueryString": query, "requestContext": context});
    serde_json::from_value(event).unwrap()
}

/// An invocation that may last five seconds.
pub(super) fn lambda() -> Context {
    let mut lambda = Context::default();
    lambda.request_id = "l-1".into();
    let ends = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(5);
    lambda.deadline = u64::try_from(ends.as_millis()).unwrap();
    lambda
}

/// Everything that was written to the log.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The lines of what this does.
    pub(super) async fn of(work: impl AsyncFnOnce()) -> Vec<Value> {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = telemetry::subscriber(LevelFilter::INFO, move || writer.clone());
        let listening = tracing::subscriber::set_default(subscriber);
        work().await;
        drop(listening);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn wrong() -> ConfigError {
    let mut env = Environment::of::<&str, &str>([]);
    let table = env.required::<String>("STATE_TABLE");
    env.finish(table).unwrap_err()
}

fn batch() -> SqsEvent {
    serde_json::from_value(json!({"Records": [{"messageId": "m-1", "body": "{}"}, {"messageId": "m-2", "body": "{}"}]}))
        .unwrap()
}

const ROUTE: Route = Route { function: "test", method: Method::Post, roles: &["Guide.Read"] };

#[tokio::test]
async fn every_edge_logs_what_is_wrong_with_the_settings_when_it_starts_and_at_each_invocation() {
    let route = Log::of(async || {
        let handle = async |(): &(), _| Ok(Answer::ok(Code::CREATED, "", json!({})));
        let response = Function::of(ROUTE, Err(wrong())).answer(event("POST", "", "{}"), lambda(), handle).await;
        assert_eq!(response.status_code, 500);
    });
    let webhook = Log::of(async || {
        let webhook: Webhook<GraphSender<ClientStateSecret>, ()> = Webhook::of("test", Err(wrong()));
        let handle = async |(): &(), _: &RequestContext, _: Admitted| Ok(());
        let response = webhook.answer(event("POST", "", "{}"), lambda(), handle).await;
        assert_eq!(response.status_code, 500);
    });
    let queue = Log::of(async || {
        let consumer: Consumer<()> = Consumer::of("test", Err(wrong()));
        let handle =
            async |(): &(), _: &RequestContext, _: Vec<Message>| Ok(BatchAnswer::served(Vec::<String>::new(), ()));
        let answer = consumer.answer(batch(), lambda(), handle).await;
        assert_eq!(answer.batch_item_failures.len(), 2, "nothing is lost");
    });
    for lines in [route.await, webhook.await, queue.await] {
        let [start, invocation] = &lines[..] else { panic!("{lines:#?}") };
        assert!(start["error"].as_str().unwrap().contains("STATE_TABLE is not set"), "{start}");
        let told = invocation["message"].as_str().unwrap();
        assert!(told.contains("STATE_TABLE is not set") && told.contains("Correct the stack"), "{told}");
        for (label, value) in [
            ("level", json!("ERROR")),
            ("code", json!("misconfigured")),
            ("function", json!("test")),
            ("lambdaRequestId", json!("l-1")),
            ("coldStart", json!(true)),
        ] {
            assert_eq!((start["level"].as_str(), &invocation[label]), (Some("ERROR"), &value), "{label}");
        }
    }
}

struct Done(usize);

impl Figures for Done {
    fn figures(&self) -> impl Iterator<Item = Figure> {
        [Figure::Count("done", self.0), Figure::Milliseconds("worstLagMs", 7)].into_iter()
    }
}

#[tokio::test]
async fn the_figures_of_a_handler_are_in_the_log_line_also_of_a_batch_that_failed() {
    let consumer: Consumer<()> = Consumer::of("test", Ok(()));
    let failed = async |(): &(), _: &RequestContext, messages: Vec<Message>| {
        Ok(BatchAnswer::failed(Error::new(Code::STATE_UNAVAILABLE, "Not now."), Done(messages.len())))
    };
    let lines = Log::of(async || {
        let answer = consumer.answer(batch(), lambda(), failed).await;
        assert_eq!(answer.batch_item_failures.len(), 2);
    });
    let [line] = &lines.await[..] else { panic!("one line an invocation") };
    assert_eq!((&line["done"], &line["worstLagMs"], &line["code"]), (&json!(2), &json!(7), &json!("stateUnavailable")));
    let metrics = line["_aws"].to_string();
    assert!(metrics.contains(r#"{"Name":"done","Unit":"Count"}"#), "{metrics}");
    assert!(metrics.contains(r#"{"Name":"worstLagMs","Unit":"Milliseconds"}"#), "{metrics}");
}

fn header<'a>(response: &'a ApiGatewayV2httpResponse, name: &str) -> &'a str {
    response.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn a_route_may_be_read_in_a_browser() {
    let function = Function::of(Route { method: Method::Get, ..ROUTE }, Ok(()));
    let handle = async |(): &(), mut request: Request| {
        let topic = request.fields.parsed::<String>("topic");
        let topic = request.fields.finish(topic)?;
        match topic.as_str() {
            "presence" => Ok(Page::new("<!doctype html><title>Presence</title>")),
            _ => Err(Error::new(Code::INVALID_FIELD, "There is no page called <script>.")),
        }
    };
    let answer = async |method: &str, query: &str| {
        let response = function.answer(event(method, query, ""), lambda(), handle).await;
        let body = response.body.as_ref().map(|body| String::from_utf8(body.to_vec()).unwrap());
        (response, body.unwrap_or_default())
    };

    let (page, html) = answer("GET", "topic=presence&topic=other").await;
    assert_eq!((page.status_code, html.as_str()), (200, "<!doctype html><title>Presence</title>"));
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert_eq!((header(&page, "x-content-type-options"), header(&page, "cache-control")), ("nosniff", "no-store"));
    assert!(header(&page, "content-security-policy").starts_with("default-src 'none';"), "nothing runs in it");

    let (refused, html) = answer("GET", "topic=%3Cscript%3E").await;
    assert_eq!(refused.status_code, 400);
    assert!(html.contains("There is no page called &lt;script&gt;.") && html.contains("Request id: r-1"), "{html}");

    let (posted, _) = answer("POST", "topic=presence").await;
    assert_eq!((posted.status_code, header(&posted, "allow")), (405, "GET"));
}

#[tokio::test]
async fn a_route_that_does_something_is_not_for_a_link_to_follow() {
    let handle = async |(): &(), _| Ok(Answer::ok(Code::CREATED, "", json!({})));
    let response = Function::of(ROUTE, Ok(())).answer(event("GET", "", "{}"), lambda(), handle).await;
    assert_eq!((response.status_code, header(&response, "allow")), (405, "POST"));
}
