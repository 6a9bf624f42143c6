//! The event bus: every change is published on an Amazon EventBridge bus, for the customer's own rules.
//!
//! An event's `source` is `teams-bridge`, its `detail-type` is `Graph chatMessage created`: the type of resource, and
//! what happened to it. Its `detail` is the notification, with the resource as `data`. EventBridge delivers an event at
//! least once, and so does the bridge.

pub(in crate::sinks) mod key;

use std::future::Future;
use std::str::FromStr;

use aws_sdk_eventbridge::operation::put_events::PutEventsOutput;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::aws;
use crate::config::{Environment, Setting};
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::notification::Change;
use crate::startup::Startup;
use crate::telemetry::{CallRecord, Upstream};

/// The `source` of the bridge's events.
const SOURCE: &str = "teams-bridge";

/// The most bytes of an entry, all its fields together.
///
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>
const MAX_ENTRY_BYTES: usize = 256 * 1024;

/// The most characters of a `detail-type`.
const MAX_DETAIL_TYPE: usize = 128;

/// The name of the bus, or its ARN when it belongs to another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusName(String);

impl FromStr for BusName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"./-_:".contains(&b);
        if text.len() <= 256 && text.bytes().all(is_name) {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected the name or ARN of an event bus")
        }
    }
}

impl BusName {
    /// Reads `EVENT_BUS`; unset when nothing is to be published.
    pub fn read(env: &mut Environment) -> Setting<Self> {
        env.optional("EVENT_BUS")
    }
}

/// Codes of EventBridge for a bus that is not there or not allowed.
const MISSING: [&str; 3] = ["AccessDenied", "NotAuthorized", "ResourceNotFound"];

/// Why an event was not published, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event bus did not take the event ({0}); the function's role needs events:PutEvents on EVENT_BUS")]
pub struct EventBusError(String);

impl From<EventBusError> for Error {
    fn from(error: EventBusError) -> Self {
        if MISSING.iter().any(|code| error.0.contains(code)) {
            let message = "The event bus in EVENT_BUS (the template's EventBusName) does not exist, or the role of \
                           process-notification may not publish there. The notification waits in the queue.";
            return Self::new(Code::PERMISSION_MISSING, message).because(error);
        }
        let message = "An event could not be published. The notification waits in the queue.";
        Self::new(Code::DELIVERY_FAILED, message).because(error)
    }
}

/// A bus that events are published on.
pub trait EventBus: Send + Sync {
    /// Publishes a change, with the resource as JSON where it still exists.
    ///
    /// # Errors
    /// When the bus did not take it. It may then be published again.
    fn publish(
        &self,
        cx: &RequestContext,
        change: &Change,
        resource: Option<&[u8]>,
    ) -> impl Future<Output = Result<(), EventBusError>> + Send;
}

/// A bus in Amazon EventBridge.
#[derive(Debug, Clone)]
pub struct EventBridgeBus {
    client: aws_sdk_eventbridge::Client,
    name: String,
}

impl EventBridgeBus {
    /// The bus that `EVENT_BUS` names; unset when nothing is to be published.
    pub fn from_startup(startup: &mut Startup<'_>) -> Setting<Self> {
        let name = BusName::read(startup.env);
        name.map(|name| Self::new(aws_sdk_eventbridge::Client::new(startup.aws()), name))
    }

    /// The bus of this name.
    #[must_use]
    pub fn new(client: aws_sdk_eventbridge::Client, name: BusName) -> Self {
        Self { client, name: name.0 }
    }
}

impl EventBus for EventBridgeBus {
    async fn publish(
        &self,
        cx: &RequestContext,
        change: &Change,
        resource: Option<&[u8]>,
    ) -> Result<(), EventBusError> {
        let (detail_type, detail) = event(change, resource)?;
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(detail_type)
            .detail(detail)
            .build();
        let started = Instant::now();
        let request = Box::pin(self.client.put_events().entries(entry).send());
        let result = tokio::time::timeout(cx.deadline.for_a_call(), request).await;
        let status = match &result {
            Ok(Ok(_)) => 200,
            Ok(Err(error)) => error.raw_response().map_or(0, |raw| raw.status().as_u16()),
            Err(_) => 0,
        };
        cx.record.call(CallRecord {
            upstream: Upstream::EventBus,
            operation: "put events",
            status,
            took: started.elapsed(),
            remote_id: String::new(),
        });
        match result {
            Ok(Ok(output)) => taken(&output),
            Ok(Err(error)) => Err(EventBusError(aws::describe(&error))),
            Err(_) => Err(EventBusError("no answer in time".into())),
        }
    }
}

/// A 200 only says that the request was read. What became of its one entry is in the body.
fn taken(output: &PutEventsOutput) -> Result<(), EventBusError> {
    match output.entries() {
        [entry] if output.failed_entry_count() == 0 && entry.error_code().is_none() => Ok(()),
        [entry, ..] => Err(EventBusError(entry.error_code().unwrap_or("an entry failed without a code").to_owned())),
        [] => Err(EventBusError("the answer does not say what became of the event".into())),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventDetail<'a> {
    subscription_id: &'a str,
    tenant_id: &'a str,
    change_type: &'a str,
    resource: &'a str,
    resource_type: &'a str,
    etag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    data_left_out: bool,
}

/// An event's type and detail. A resource that would make it too large is left out, and the detail says so.
///
/// # Errors
/// When the detail cannot be written out.
pub fn event(change: &Change, resource: Option<&[u8]>) -> Result<(String, String), EventBusError> {
    let kind = change.resource_type.rsplit('.').next().filter(|kind| !kind.is_empty()).unwrap_or("resource");
    let detail_type: String = format!("Graph {kind} {}", change.change_type).chars().take(MAX_DETAIL_TYPE).collect();
    let room = MAX_ENTRY_BYTES - SOURCE.len() - 4 * MAX_DETAIL_TYPE;
    let data = resource.filter(|json| json.len() < room).and_then(|json| serde_json::from_slice(json).ok());
    let mut detail = EventDetail {
        subscription_id: &change.subscription_id,
        tenant_id: &change.tenant_id,
        change_type: &change.change_type,
        resource: &change.resource,
        resource_type: &change.resource_type,
        etag: &change.etag,
        data,
        data_left_out: resource.is_some() && data.is_none(),
    };
    let written =
        |detail: &EventDetail<'_>| serde_json::to_string(detail).map_err(|error| EventBusError(error.to_string()));
    let mut text = written(&detail)?;
    if text.len() > room {
        (detail.data, detail.data_left_out) = (None, true);
        text = written(&detail)?;
    }
    Ok((detail_type, text))
}

#[cfg(test)]
mod tests {
    use aws_sdk_eventbridge::config::retry::RetryConfig;
    use aws_sdk_eventbridge::config::{BehaviorVersion, Credentials, Region};
    use serde_json::{Value, json};
    use wiremock::matchers::{header, method};
    use wiremock::{Mock, MockBuilder, ResponseTemplate};

    use super::*;
    use crate::remote::{Remote, context};

    fn change() -> Change {
        serde_json::from_value(json!({
            "subscriptionId": "s-1", "tenantId": "t-1", "changeType": "created",
            "resource": "chats('19:a@thread.v2')/messages('1712027444034')",
            "resourceType": "#Microsoft.Graph.chatMessage", "etag": "1712027444034",
            "receivedAt": "2026-05-04T10:00:00Z",
        }))
        .unwrap()
    }

    fn detail(resource: Option<&[u8]>) -> Value {
        let (_, detail) = event(&change(), resource).unwrap();
        assert!(detail.len() < MAX_ENTRY_BYTES - 200);
        serde_json::from_str(&detail).unwrap()
    }

    #[test]
    fn an_event_says_what_happened_to_what() {
        let (detail_type, detail) = event(&change(), Some(br#"{"id": "1712027444034", "etag": "x"}"#)).unwrap();
        insta::assert_snapshot!(format!("{detail_type}\n{detail}"));
        let nameless = Change { resource_type: String::new(), change_type: "deleted".into(), ..change() };
        assert_eq!(event(&nameless, None).unwrap().0, "Graph resource deleted");
        let endless = Change { change_type: "é".repeat(1000), ..change() };
        assert_eq!(event(&endless, None).unwrap().0.chars().count(), MAX_DETAIL_TYPE);
    }

    #[test]
    fn a_resource_that_is_too_large_or_no_json_is_left_out() {
        let gone = detail(None);
        assert_eq!((gone.get("data"), &gone["dataLeftOut"]), (None, &json!(false)));
        for length in [200_000, 261_000, 261_632, 262_144, 4_000_000] {
            let resource = json!({"body": "x".repeat(length - 11)}).to_string();
            assert_eq!(resource.len(), length);
            let detail = detail(Some(resource.as_bytes()));
            assert_eq!(detail["dataLeftOut"], json!(length > 261_000), "{length}");
            assert_eq!(detail.get("data").is_none(), length > 261_000, "{length}");
        }
        for nonsense in [&b"\xff"[..], b"<html>", b""] {
            assert_eq!(detail(Some(nonsense))["dataLeftOut"], json!(true));
        }
    }

    fn bus(remote: &Remote) -> EventBridgeBus {
        let config = aws_sdk_eventbridge::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(remote.uri())
            .retry_config(RetryConfig::disabled())
            .build();
        EventBridgeBus::new(aws_sdk_eventbridge::Client::from_conf(config), "bridge-events".parse().unwrap())
    }

    fn put() -> MockBuilder {
        Mock::given(method("POST")).and(header("x-amz-target", "AWSEvents.PutEvents"))
    }

    #[tokio::test]
    async fn an_event_is_published_with_its_source_and_its_bus() {
        let remote = Remote::start().await;
        let body = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]});
        remote.expect(put(), 1, ResponseTemplate::new(200).set_body_json(body)).await;
        bus(&remote).publish(&context(10), &change(), Some(b"{}")).await.unwrap();
        let sent: Value = serde_json::from_str(&remote.bodies("/").await[0]).unwrap();
        let entry = &sent["Entries"][0];
        assert_eq!((&entry["Source"], &entry["EventBusName"]), (&json!("teams-bridge"), &json!("bridge-events")));
        assert_eq!(entry["DetailType"], json!("Graph chatMessage created"));
    }

    #[tokio::test]
    async fn an_entry_that_failed_within_a_success_is_a_failure() {
        let failed =
            json!({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "m"}]});
        let silent = json!({"FailedEntryCount": 1, "Entries": [{}]});
        for (status, body, said) in [
            (200, failed, "ThrottlingException"),
            (200, silent, "without a code"),
            (200, json!({"FailedEntryCount": 0, "Entries": []}), "does not say"),
            (400, json!({"__type": "AccessDeniedException"}), "AccessDeniedException"),
            (500, json!({}), "HTTP 500"),
        ] {
            let remote = Remote::start().await;
            remote.expect(put(), 1, ResponseTemplate::new(status).set_body_json(body)).await;
            let error = bus(&remote).publish(&context(10), &change(), None).await.unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn the_bus_is_optional() {
        for (value, expected) in [("", Setting::Unset), ("bridge events", Setting::Wrong)] {
            assert_eq!(BusName::read(&mut Environment::of([("EVENT_BUS", value)])), expected);
        }
        let arn = "arn:aws:events:eu-central-1:123456789012:event-bus/teams";
        assert_eq!(BusName::read(&mut Environment::of([("EVENT_BUS", arn)])), Setting::Set(BusName(arn.into())));
    }
}
