//! Notifications, through the relay, to sinks that keep what they are given.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::event_bus::{EventBusError, event};
use super::*;
use crate::http::Deadline;
use crate::notification::open::{Notifications, OpenedResource, Resources};
use crate::queue::Message;
use crate::relay::back::MemoryBack;
use crate::relay::{DeliveryTally, Relay};
use crate::remote::context;
use crate::store::deliveries::MemoryDeliveries;
use crate::store::subscriptions::{MemorySubscriptionNotes, SubscriptionNotes};

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stand-in for Graph: its resources by name, and the names that were fetched.
#[derive(Debug, Default)]
struct Graph {
    held: Mutex<BTreeMap<String, Value>>,
    asked: Mutex<Vec<String>>,
}

impl Resources for Graph {
    async fn open(&self, _cx: &RequestContext, change: &Change) -> Result<OpenedResource, Error> {
        locked(&self.asked).push(change.resource.clone());
        let held = locked(&self.held).get(&change.resource).cloned();
        Ok(held.map_or(OpenedResource::Gone, |resource| OpenedResource::Content(resource.to_string().into_bytes())))
    }
}

/// Both sinks: the versions of chat messages, and the names of published events.
#[derive(Debug, Default)]
struct Kept {
    messages: Mutex<Vec<(i64, Option<i64>)>>,
    published: Mutex<Vec<String>>,
}

impl Sinks for Kept {
    type Notice = Change;
    type Event = ResourceEvent;
    type Sink = Sink;

    fn all(&self) -> impl Iterator<Item = Sink> + Send {
        [Sink::OpenMessaging, Sink::EventBus].into_iter()
    }

    fn key(&self, sink: Sink, event: &ResourceEvent) -> Option<(RecordKey, i64)> {
        sink.key(event)
    }

    fn key_ahead(&self, sink: Sink, change: &Change) -> KeyAhead {
        sink.key_ahead(change)
    }

    async fn deliver(
        &self,
        _cx: &RequestContext,
        sink: Sink,
        event: &ResourceEvent,
        attempt: Attempt,
    ) -> Result<Delivered, Error> {
        match (sink, &event.message) {
            (Sink::OpenMessaging, Some(message)) => {
                locked(&self.messages).push((message.version(), attempt.before));
            }
            _ => locked(&self.published).push(event.change.resource.clone()),
        }
        Ok(Delivered::Delivered)
    }

    fn hung(&self, sink: Sink) -> Code {
        sink.hung()
    }
}

struct Scene(Relay<Notifications<Graph, MemorySubscriptionNotes>, MemoryDeliveries, Kept, MemoryBack>);

/// A message of a chat, written in this second and edited in that.
fn chat_message(second: i64, edited: Option<i64>) -> (String, Value) {
    let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap().to_string();
    let id = ((1_800_000_000 + second) * 1000).to_string();
    let resource = format!("chats('a')/messages('{id}')");
    let message = json!({
        "id": id, "chatId": "a", "messageType": "message", "createdDateTime": at(second),
        "lastEditedDateTime": edited.map(at), "from": {"user": {"id": "u", "displayName": "Kim"}},
        "body": {"contentType": "text", "content": "hello"},
    });
    (resource, message)
}

/// The etag of a chat's message: the millisecond of its last change.
fn etag(second: i64) -> String {
    ((1_800_000_000 + second) * 1000).to_string()
}

fn notification(resource: &str, etag: &str) -> Message {
    let body = json!({
        "kind": "change", "subscriptionId": "s", "tenantId": "t", "changeType": "created", "resource": resource,
        "resourceType": "#Microsoft.Graph.chatMessage", "etag": etag, "receivedAt": Timestamp::now().to_string(),
    });
    let (id, receipt) = (Uuid::new_v4().to_string(), "r".to_owned());
    Message { id, body: body.to_string(), receives: 1, group: "a".into(), receipt }
}

fn updated(mut message: Message) -> Message {
    message.body = message.body.replace("created", "updated");
    message
}

impl Scene {
    fn new() -> Self {
        let source = Notifications { resources: Graph::default(), heard: MemorySubscriptionNotes::default() };
        Self(Relay::new(source, MemoryDeliveries::default(), Kept::default(), MemoryBack::default()))
    }

    fn hold(&self, resource: &str, content: Value) {
        locked(&self.0.source().resources.held).insert(resource.into(), content);
    }

    fn write(&self, second: i64, edited: Option<i64>) -> Message {
        let (resource, message) = chat_message(second, edited);
        self.hold(&resource, message);
        notification(&resource, &etag(edited.unwrap_or(second)))
    }

    async fn serve(&self, messages: Vec<Message>) -> DeliveryTally {
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(30)));
        let (waiting, tally) = self.0.serve(&cx, messages).await;
        assert_eq!(waiting, Vec::<String>::new());
        tally
    }

    fn messages(&self) -> Vec<(i64, Option<i64>)> {
        locked(&self.0.sinks().messages).clone()
    }

    fn published(&self) -> usize {
        locked(&self.0.sinks().published).len()
    }

    fn asked(&self) -> usize {
        locked(&self.0.source().resources.asked).len()
    }
}

#[tokio::test]
async fn a_reaction_is_no_news_an_edit_is_and_an_older_version_comes_too_late() {
    let scene = Scene::new();
    let created = scene.write(10, None);
    scene.serve(vec![created.clone()]).await;
    let heard = scene.0.source().heard.read(&context(30), &[], &["s"]).await.unwrap().heard;
    assert!(heard.contains_key("s"), "a subscription was heard of");
    // A reaction changes the etag and nothing that is shown.
    let (resource, message) = chat_message(10, None);
    scene.serve(vec![notification(&resource, "another")]).await;
    let (first, second) = (1_800_000_010_000, 1_800_000_040_000);
    assert_eq!(scene.messages(), [(first, None)]);
    let edited = scene.write(10, Some(40));
    scene.serve(vec![edited]).await;
    assert_eq!(scene.messages(), [(first, None), (second, Some(first))]);
    // The first version, come late: what Graph holds now has been shown.
    scene.hold(&resource, message);
    scene.serve(vec![created]).await;
    assert_eq!(scene.messages().len(), 2);
}

#[tokio::test]
async fn every_event_is_published_whatever_it_is_and_each_sink_remembers_its_own() {
    let scene = Scene::new();
    let mail = "users/u/messages/AAMk";
    scene.hold(mail, json!({"id": "AAMk", "@odata.etag": "W/\"1\""}));
    let batch = vec![scene.write(10, None), notification(mail, ""), notification(mail, "")];
    let tally = scene.serve(batch.clone()).await;
    assert_eq!((scene.published(), scene.messages().len()), (2, 1));
    assert_eq!((tally.delivered, tally.duplicates, tally.left_out), (3, 1, 2));
    // It was created once, whatever its version is by now.
    scene.hold(mail, json!({"id": "AAMk", "@odata.etag": "W/\"2\""}));
    scene.serve(batch).await;
    assert_eq!(scene.published(), 2);
    // A newer version without a tag in the notification is told by the resource's own.
    let update = updated(notification(mail, ""));
    for (version, published) in [(2, 3), (2, 3), (3, 4)] {
        scene.hold(mail, json!({"id": "AAMk", "@odata.etag": format!("W/\"{version}\"")}));
        scene.serve(vec![update.clone()]).await;
        assert_eq!(scene.published(), published);
    }
}

#[tokio::test]
async fn what_was_delivered_is_not_fetched_once_more() {
    let scene = Scene::new();
    scene.write(10, None);
    let (resource, _) = chat_message(10, None);
    // A notification of Graph's need not say the version; a listing does.
    scene.serve(vec![notification(&resource, "")]).await;
    let tally = scene.serve(vec![notification(&resource, &etag(10))]).await;
    assert_eq!((scene.asked(), tally.delivered, tally.duplicates), (1, 0, 1));
    // Something happened to it since: a reaction, or an edit.
    scene.serve(vec![notification(&resource, &etag(11))]).await;
    assert_eq!((scene.asked(), scene.messages().len()), (2, 1));
    // A sink that has not had it gets it.
    let update = updated(notification(&resource, &etag(10)));
    scene.serve(vec![update.clone()]).await;
    assert_eq!((scene.asked(), scene.published()), (3, 2));
    scene.serve(vec![update]).await;
    assert_eq!(scene.asked(), 3);
}

#[tokio::test]
async fn what_is_gone_is_published_and_a_lifecycle_notification_has_nothing_to_deliver() {
    let scene = Scene::new();
    let lifecycle = json!({
        "kind": "lifecycle", "subscriptionId": "s", "tenantId": "t", "lifecycleEvent": "missed",
        "subscriptionExpirationDateTime": "", "receivedAt": "2026-11-21T08:00:00Z",
    });
    let lifecycle = Message { body: lifecycle.to_string(), ..notification("", "") };
    let gone = notification("chats('a')/messages('1')", "1");
    let tally = scene.serve(vec![gone, lifecycle]).await;
    assert_eq!((tally.delivered, tally.left_out, tally.nothing_to_deliver), (1, 1, 1));
}

#[tokio::test]
async fn what_the_webhook_could_not_read_is_set_aside() {
    let scene = Scene::new();
    let unreadable = json!({"kind": "unreadable", "notification": "[]", "receivedAt": "2026-11-21T08:00:00Z"});
    let bodies = [unreadable.to_string(), "{}".into(), "no JSON".into()];
    let batch = bodies.map(|body| Message { body, ..notification("", "") }).to_vec();
    assert_eq!(scene.serve(batch).await.unreadable, 3);
}

/// Keeps the details of what is published.
#[derive(Default)]
struct Published(Mutex<Vec<String>>);

impl EventBus for Published {
    async fn publish(
        &self,
        _cx: &RequestContext,
        change: &Change,
        resource: Option<&[u8]>,
    ) -> Result<(), EventBusError> {
        locked(&self.0).push(event(change, resource)?.1);
        Ok(())
    }
}

#[tokio::test]
async fn what_is_blocked_is_told_to_the_bus_without_its_text() {
    let outlets: Outlets<S3Media, Published> = Outlets { open_messaging: None, event_bus: Some(Published::default()) };
    for action in ["notifySender", "notifySender, blockAccess"] {
        let message = json!({"id": "1", "chatId": "19:a", "body": {"content": "4111 1111"},
            "policyViolation": {"dlpAction": action}});
        let content = Some(message.to_string().into_bytes());
        let message = serde_json::from_value(message).unwrap();
        let event = ResourceEvent { change: Change::default(), content, message: Some(message) };
        let attempt = Attempt { before: None, receives: 1, doubts: 0, tries: 0 };
        outlets.deliver(&context(10), Sink::EventBus, &event, attempt).await.unwrap();
    }
    let published = outlets.event_bus.unwrap().0.into_inner().unwrap();
    assert!(published[0].contains("4111 1111") && published[0].contains("\"dataLeftOut\":false"));
    assert!(!published[1].contains("4111 1111") && published[1].contains("\"dataLeftOut\":true"));
}
