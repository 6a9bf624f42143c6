//! What must hold of everything that is decrypted: for the fuzzer, and for the test over its corpus.
//!
//! Who writes in a chat decides on most of what is in a resource. It may be silly, it may never be harmful.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;

use super::bridge::chat::message::{ChatMessage, MessageEvent};
use super::bridge::chat::text::{Readable, named};
use super::bridge::error::{Code, Error};
use super::bridge::genesys::InboundMessage;
use super::bridge::http::{Deadline, RequestContext};
use super::bridge::notification::event::ResourceEvent;
use super::bridge::notification::open::{Notifications, OpenedResource, Resources};
use super::bridge::notification::{Change, EncryptedContent, Queued};
use super::bridge::queue::Message;
use super::bridge::relay::back::MemoryBack;
use super::bridge::relay::{Attempt, Delivered, DeliveryTally, KeyAhead, Relay, Sinks};
use super::bridge::sinks::{Sink, event_bus, open_messaging};
use super::bridge::store::RecordKey;
use super::bridge::store::chat_names::ChatWriter;
use super::bridge::store::deliveries::MemoryDeliveries;
use super::bridge::store::subscriptions::MemorySubscriptionNotes;
use super::bridge::telemetry;

/// Most bytes of a text: what is rendered, a word about what was left out, and the names of ten images.
const MAX_TEXT_BYTES: usize = 210_000;

/// Most bytes of a request to Genesys Cloud.
const MAX_INBOUND_BYTES: usize = 512_000;

/// Most bytes of an entry for EventBridge.
const MAX_ENTRY_BYTES: usize = 256 * 1024;

/// Looks at a resource's name, the first line, and a content, all the rest. Gives what the agent reads of it who has
/// seen an earlier version.
pub(crate) fn check(input: &[u8]) -> String {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (name, content) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let change = change(&String::from_utf8_lossy(name));
    // As somebody's text too, whatever it is: the fuzzer should not have to find its way through JSON for that.
    let text = String::from_utf8_lossy(content);
    check_texts(&text);
    for message in as_messages(&text) {
        check_message(&message);
    }
    let event = serve(&change, content);
    check_event(&change, content);
    let Some(message) = event.message else { return "no message of a chat".into() };
    assert!(!message.chat_id.is_empty() && !message.id.is_empty());
    if let Ok(mut json @ Value::Object(_)) = serde_json::from_slice(content) {
        // What a content does not say, the notification's name has said.
        (json["chatId"], json["id"]) = (message.chat_id.as_str().into(), message.id.as_str().into());
        check_history(&json, &message);
    }
    check_message(&message)
}

/// The notification that brings it along.
fn change(resource: &str) -> Change {
    let content = EncryptedContent {
        data: String::new(),
        data_signature: String::new(),
        data_key: String::new(),
        encryption_certificate_id: "c".into(),
        encryption_certificate_thumbprint: String::new(),
    };
    Change {
        subscription_id: "s".into(),
        tenant_id: "t".into(),
        change_type: "updated".into(),
        resource: resource.into(),
        resource_type: "#Microsoft.Graph.chatMessage".into(),
        etag: String::new(),
        encrypted_content: Some(content),
        validation_tokens: Vec::new(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}

struct Decrypted<'a>(&'a [u8]);

impl Resources for Decrypted<'_> {
    async fn open(&self, _cx: &RequestContext, _change: &Change) -> Result<OpenedResource, Error> {
        let opened = OpenedResource::Content(self.0.to_vec());
        assert_eq!(format!("{opened:?}"), format!("Content({} bytes)", self.0.len()));
        Ok(opened)
    }
}

#[derive(Default)]
struct Taken(Mutex<Vec<(Sink, ResourceEvent)>>);

impl Sinks for Taken {
    type Notice = Change;
    type Event = ResourceEvent;
    type Sink = Sink;

    fn all(&self) -> impl Iterator<Item = Sink> + Send {
        [Sink::OpenMessaging, Sink::EventBus].into_iter()
    }

    async fn deliver(
        &self,
        _cx: &RequestContext,
        sink: Sink,
        event: &ResourceEvent,
        _attempt: Attempt,
    ) -> Result<Delivered, Error> {
        self.0.lock().unwrap().push((sink, event.clone()));
        Ok(Delivered::Delivered)
    }

    fn key(&self, sink: Sink, event: &ResourceEvent) -> Option<(RecordKey, i64)> {
        sink.key(event)
    }

    fn key_ahead(&self, sink: Sink, change: &Change) -> KeyAhead {
        sink.key_ahead(change)
    }

    fn hung(&self, sink: Sink) -> Code {
        sink.hung()
    }
}

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log's door, open as wide as it goes.
fn log() -> &'static Dispatch {
    static DISPATCH: OnceLock<Dispatch> = OnceLock::new();
    DISPATCH.get_or_init(|| Dispatch::new(telemetry::subscriber(LevelFilter::TRACE, || Log)))
}

/// Serves the notification twice. It is delivered once to each sink that it is for, it never goes back to the queue,
/// which would hold up its chat, and the log says nothing of it; but that it cannot be read, if so, and how long it is.
fn serve(change: &Change, content: &[u8]) -> ResourceEvent {
    let source = Notifications { resources: Decrypted(content), heard: MemorySubscriptionNotes::default() };
    let relay = Relay::new(source, MemoryDeliveries::default(), Taken::default(), MemoryBack::default());
    let cx = RequestContext::new("fuzz", Deadline::after(Duration::from_secs(60)));
    let body = serde_json::to_string(&Queued::Change(change.clone())).unwrap();
    let message = Message { id: "m".into(), body, receives: 1, group: "g".into(), receipt: "r".into() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let served = || -> DeliveryTally {
        let (failed, tally) = runtime.block_on(relay.serve(&cx, vec![message.clone()]));
        assert_eq!(failed, Vec::<String>::new());
        tally
    };
    LOG.take();
    let (first, second) = tracing::dispatcher::with_default(log(), || (served(), served()));
    let log = String::from_utf8(LOG.take()).unwrap();
    let mut taken = relay.sinks().0.lock().unwrap().clone();
    let is_readable = taken.iter().any(|(_, event)| event.message.is_some());
    assert!(log.is_empty() || (!is_readable && log.lines().count() == 2), "{log}");
    for line in log.lines() {
        let line: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
        assert_eq!(line["message"], "a chat message is no JSON object, so it is not shown to an agent");
        assert_eq!((&line["bytes"], &line["subscription"]), (&json!(content.len()), &json!(change.subscription_id)));
        assert_eq!(line.len(), 6, "{line:?}");
    }
    assert_eq!((first.delivered, first.delivered + first.left_out, second.delivered), (taken.len(), 2, 0));
    assert!(second.duplicates > 0);
    for (sink, event) in &taken {
        assert!(event.change == *change && event.content.as_deref() == Some(content));
        assert!(event.message.is_some() || *sink == Sink::EventBus);
    }
    taken.pop().unwrap().1
}

/// An event says what the notification says, and has the resource if that is JSON and not too large.
fn check_event(change: &Change, content: &[u8]) {
    let (kind, text) = event_bus::event(change, Some(content)).unwrap();
    assert_eq!(kind, "Graph chatMessage updated");
    let detail: BTreeMap<String, &RawValue> = serde_json::from_str(&text).unwrap();
    let resource: String = serde_json::from_str(detail["resource"].get()).unwrap();
    assert_eq!(resource, change.resource);
    let json = serde_json::from_slice::<&RawValue>(content).ok().map(RawValue::get);
    let data = detail.get("data").map(|data| data.get());
    assert!(data.is_none() || data == json);
    assert_eq!(detail["dataLeftOut"].get(), if data.is_some() { "false" } else { "true" });
    // The names of resources are bounded where they come in.
    if change.resource.len() <= 2048 {
        assert!(text.len() + kind.len() + "teams-bridge".len() <= MAX_ENTRY_BYTES);
        assert!(data == json || content.len() > 200_000);
    }
}

/// A message in place of this one.
fn read(json: Value) -> ChatMessage {
    serde_json::from_value(json).unwrap()
}

fn with(json: &Value, name: &str, value: impl Into<Value>) -> ChatMessage {
    let mut json = json.clone();
    json[name] = value.into();
    read(json)
}

fn body(kind: &str, content: &str) -> Value {
    json!({"body": {"contentType": kind, "content": content}})
}

/// Messages that have this text wherever somebody may write one.
fn as_messages(text: &str) -> [ChatMessage; 2] {
    let person = json!({"user": {"id": "u", "displayName": text}});
    let marks = format!("<img src=/hostedContents/ alt=\"{}\"><at id=0></at><p>", text.replace('"', "'"));
    let mut marked = body("html", &(marks + text));
    marked["mentions"] = json!([{"id": 0, "mentionText": text, "mentioned": person}]);
    marked["from"] = person.clone();

    let card = "application/vnd.microsoft.card.adaptive";
    let parts = json!([
        {"type": "TextBlock", "text": text}, {"type": "RichTextBlock", "inlines": [text]}, {"altText": text, "url": ""},
        {"facts": [{"title": text, "value": text}]}, {"type": "Action.OpenUrl", "title": text, "url": text},
    ]);
    let attachments = [
        json!({"contentType": card, "content": text}),
        json!({"contentType": card, "content": json!({"body": parts}).to_string()}),
        quoting("messageReference", json!({"messagePreview": text, "messageSender": person})),
        quoting("forwardedMessageReference", json!({"originalMessageContent": text, "originalMessageSender": person})),
        quoting("meetingReference", json!({"subject": text})),
        quoting("application/vnd.microsoft.card.codesnippet", json!({"name": text, "language": text})),
        json!({"contentType": "reference", "name": text, "contentUrl": text}),
        json!({"contentType": "image/png", "name": text, "contentUrl": format!("/hostedContents/{text}")}),
    ];
    // One a time is enough: the fuzzer brings the same text in all lengths.
    let attachment = &attachments[text.len() % attachments.len()];
    [read(marked), read(json!({"subject": text, "attachments": [attachment]}))]
}

fn quoting(kind: &str, content: Value) -> Value {
    json!({"contentType": kind, "content": content.to_string()})
}

/// Whether nobody may write it into somebody else's message: it is not seen, or turns around all that follows.
fn is_hidden(c: char) -> bool {
    let turns = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{200B}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFC}')
}

/// What is to be seen of a text.
fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !is_hidden(*c)).collect()
}

fn text_of(message: &ChatMessage) -> String {
    Readable::of(message).with_images([])
}

/// What is no HTML is read as it stands, and so is HTML that quotes it. What a script says is not read.
fn check_texts(text: &str) {
    let of = |kind, content: &str| text_of(&read(body(kind, content)));
    // Eightfold where it is indented with tabs and its lines are quoted.
    if text.len() < 20_000 {
        assert_eq!(visible(&of("text", text)), visible(text));
        let quoted = text.replace('&', "&amp;").replace('<', "&lt;");
        assert_eq!(visible(&of("html", &format!("<pre>{quoted}</pre>"))), visible(text));
    }
    let silent = "<script>zqx</script><style>zqx</style><title>zqx</title><!-- zqx --><iframe>zqx</iframe>";
    assert_eq!(of("html", &format!("{silent}{text}")), of("html", text));
}

/// A text is bounded, holds nothing that hides or turns something, and reads well.
fn check_text(text: &str) {
    assert!(text.len() <= MAX_TEXT_BYTES, "{} bytes", text.len());
    assert!(!text.contains(|c: char| is_hidden(c) && c != '\n'), "{text:?}");
    assert!(!text.contains("\n\n\n") && !text.contains(" \n") && text.trim_end() == text, "{text:?}");
    assert!(!text.starts_with('\n') && !text.contains(['\u{2028}', '\u{2029}']), "{text:?}");
}

/// Whatever a message holds, it can be handed to Genesys Cloud and reads well. Gives what is said of it.
fn check_message(message: &ChatMessage) -> String {
    let readable = Readable::of(message);
    let text = readable.with_images([]);
    check_text(&text);
    // Each image has its place, and nothing else has one.
    let marked = readable.with_images(readable.images.iter().map(|_| "\u{1}"));
    assert_eq!(marked.matches('\u{1}').count(), readable.images.len());
    assert!(readable.images.len() <= 10);
    assert!(readable.images.iter().all(|image| image.src.contains("/hostedContents/")));
    let names: Vec<_> = readable.images.iter().map(|image| named("image", &image.alt)).collect();
    let full = readable.with_images(names.iter().map(String::as_str));
    check_text(&full);
    let _ = (message.is_system(), message.is_from_app("app"));
    assert!(!message.is_from_app(""));

    for before in [None, Some(0)] {
        let said = open_messaging::said(message, before, full.clone());
        match message.event() {
            MessageEvent::Deleted => assert!(said.starts_with("[deleted: ") && said.len() < 60, "{said:?}"),
            MessageEvent::Blocked => assert!(said.starts_with("[blocked by ") && said.len() < 90, "{said:?}"),
            _ if before.is_some_and(|before| message.was_blocked(before)) => {
                assert!(said.starts_with("[no longer blocked: ") && said.ends_with(full.trim_end()), "{said:?}");
            }
            MessageEvent::Edited if before.is_some() => {
                assert!(said.strip_prefix("[edited]\n").is_some_and(|text| text == full) || full.is_empty());
                assert!(said.starts_with("[edited"));
            }
            MessageEvent::Created | MessageEvent::Edited => assert_eq!(said, full),
        }
        let own = open_messaging::writer(message);
        let inbound = open_messaging::inbound("t", message, &own, said.clone(), Vec::new());
        assert_eq!(inbound.text, said);
        check_inbound(message, &inbound);
        let other = ChatWriter { id: String::new(), name: "Ann".into() };
        let inbound = open_messaging::inbound("t", message, &other, said.clone(), Vec::new());
        assert!(inbound.text.starts_with(&own.name) && inbound.text.ends_with(&said));
        check_inbound(message, &inbound);
    }
    open_messaging::said(message, Some(0), full)
}

fn check_inbound(message: &ChatMessage, inbound: &InboundMessage) {
    let json = serde_json::to_vec(inbound).unwrap();
    // The ids are Graph's, and in there twice.
    let ids = 12 * (message.chat_id.len() + message.id.len());
    assert!(json.len() <= MAX_INBOUND_BYTES + ids, "{} bytes", json.len());
    let name = &inbound.channel.from.nickname;
    assert!(
        (1..=100).contains(&name.chars().count()) && !name.contains(is_hidden) && !name.contains('\u{2028}'),
        "{name:?}"
    );
    assert!(inbound.channel.time.ends_with('Z') && inbound.channel.time.parse::<Timestamp>().is_ok());
    let id = &inbound.channel.message_id;
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(inbound.metadata["teamsEvent"], message.event().as_str());
}

/// What happens to a message later has a later version, and a reaction has none. What was deleted is told no more.
fn check_history(json: &Value, message: &ChatMessage) {
    let later = Timestamp::MAX.to_string();
    let [edited, deleted] = ["lastEditedDateTime", "deletedDateTime"].map(|name| with(json, name, later.as_str()));
    let blocked = with(json, "policyViolation", json!({"dlpAction": "blockAccess"}));
    assert!(blocked.event() == MessageEvent::Blocked || message.event() == MessageEvent::Deleted);
    assert!(blocked.version() >= message.text_version() && blocked.is_told(blocked.version()));
    assert_ne!(edited.event(), MessageEvent::Created);
    assert_eq!(deleted.event(), MessageEvent::Deleted);
    let unedited = with(json, "lastEditedDateTime", Value::Null);
    assert_ne!(unedited.event(), MessageEvent::Edited);
    assert_ne!(with(json, "deletedDateTime", Value::Null).event(), MessageEvent::Deleted);
    if message.created().is_some() {
        assert!(unedited.version() <= message.version() && message.version() <= edited.version());
        assert!(message.version() <= deleted.version());
    }
    for name in ["lastModifiedDateTime", "reactions", "etag", "importance", "messageHistory"] {
        let reacted = with(json, name, json!([{"reactionType": "like"}]));
        assert_eq!(reacted.event(), message.event(), "{name}");
        // Only when it was judged tells the version of a verdict, and that is what a reaction changes.
        let is_judged = message.version() != message.text_version();
        let is_same = reacted.version() == message.version();
        assert!(if is_judged { reacted.is_told(message.version()) } else { is_same }, "{name}");
    }
    let mut emptied = json.clone();
    for name in ["body", "attachments", "mentions", "subject"] {
        emptied[name] = Value::Null;
    }
    emptied["deletedDateTime"] = later.into();
    let [told, kept] = [read(emptied), deleted].map(|it| open_messaging::said(&it, Some(0), text_of(&it)));
    assert_eq!(told, kept);
}
