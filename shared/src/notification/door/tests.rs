//! The door against Graph's collections, good and bad, and queues that are slow, small and fail.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::client_state::{ClientState, ClientStates};
use super::*;
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::notification::queued::queue::{MAX_ENTRIES, NotificationQueue};
use crate::remote::context;
use crate::secrets::Credential;

const STATE: &str = "s3cret";

/// The client state, and the one that a rotation puts in its place.
struct States {
    held: &'static str,
    rotated: &'static str,
    /// Whether the secret can be read again now.
    readable: bool,
    renewals: Mutex<usize>,
}

impl Default for States {
    fn default() -> Self {
        Self { held: STATE, rotated: STATE, readable: true, renewals: Mutex::default() }
    }
}

fn state(text: &str) -> Arc<ClientState> {
    Arc::new(ClientState::parse(&json!({"client_state": text}).to_string()).unwrap())
}

impl ClientStates for States {
    async fn current(&self, _cx: &RequestContext) -> Result<Arc<ClientState>, Error> {
        Ok(state(self.held))
    }

    async fn renewed(&self, _cx: &RequestContext, _held: &Arc<ClientState>) -> Result<Option<Arc<ClientState>>, Error> {
        *self.renewals.lock().unwrap() += 1;
        Ok(self.readable.then(|| state(self.rotated)))
    }
}

/// FIFO queues: each takes a message only once, and some batches not at all.
#[derive(Default)]
struct Fifo {
    taken: Mutex<Vec<(NotificationQueue, QueueEntry)>>,
    seen: Mutex<HashSet<String>>,
    batches: Mutex<Vec<usize>>,
    /// How many batches, of the next ones every other, are not taken, or not whole.
    failing: Mutex<usize>,
    max_bytes: usize,
}

impl Fifo {
    fn messages(&self) -> Vec<(NotificationQueue, Queued)> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|(queue, entry)| (*queue, serde_json::from_str(&entry.body).unwrap())).collect()
    }

    fn resources(&self) -> Vec<String> {
        let resource = |(_, queued)| match queued {
            Queued::Change(change) => change.resource,
            Queued::Lifecycle(lifecycle) => lifecycle.lifecycle_event,
            Queued::Unreadable(odd) => odd.notification,
        };
        self.messages().into_iter().map(resource).collect()
    }
}

impl Queues for Fifo {
    async fn send(
        &self,
        _cx: &RequestContext,
        to: NotificationQueue,
        entries: Vec<QueueEntry>,
    ) -> Result<(), QueueError> {
        sleep(Duration::from_millis(fastrand::u64(1..50))).await;
        let bytes: usize = entries.iter().map(|entry| entry.body.len()).sum();
        assert!((1..=MAX_ENTRIES).contains(&entries.len()) && bytes <= self.max_bytes, "{} {bytes}", entries.len());
        self.batches.lock().unwrap().push(entries.len());
        let mut failing = self.failing.lock().unwrap();
        let (mut count, of) = (0, entries.len());
        if *failing > 0 && fastrand::bool() {
            *failing -= 1;
            if fastrand::bool() {
                return Err(QueueError::Unavailable { cause: "down".into() });
            }
            count = fastrand::usize(1..=of);
        }
        let mut refused: Vec<usize> = (0..of).collect();
        fastrand::shuffle(&mut refused);
        refused.truncate(count);
        for (place, entry) in entries.into_iter().enumerate() {
            if refused.contains(&place) {
                continue;
            }
            if self.seen.lock().unwrap().insert(entry.deduplication_id.clone()) {
                self.taken.lock().unwrap().push((to, entry));
            }
        }
        if count == 0 { Ok(()) } else { Err(QueueError::Partly { count, of, cause: "InternalError".into() }) }
    }
}

const MAX_BYTES: usize = 262_144;

async fn receive(states: &States, queues: &Fifo, body: impl AsRef<[u8]>) -> Result<DoorTally, Error> {
    let settings = ReceiverSettings { max_bytes: queues.max_bytes };
    let now = "2026-11-21T08:00:00Z".parse().unwrap();
    let cx = context(10);
    let admitted = Doorkeeper { states }.admit(&cx, body.as_ref(), now).await?;
    Receiver { queues, settings: &settings }.receive(&cx, admitted).await
}

fn fifo() -> Fifo {
    Fifo { max_bytes: MAX_BYTES, ..Fifo::default() }
}

fn message_in(chat: usize, message: usize) -> Value {
    json!({
        "subscriptionId": "sub-1", "clientState": STATE, "tenantId": "t-1", "changeType": "created",
        "resource": format!("chats('19:{chat}@thread.v2')/messages('{message}')"),
        "resourceData": {"@odata.type": "#Microsoft.Graph.chatMessage", "@odata.etag": message.to_string()},
    })
}

fn rich(chat: usize, message: usize, data_bytes: usize) -> Value {
    let mut item = message_in(chat, message);
    item["encryptedContent"] = json!({
        "data": "ZGF0".repeat(data_bytes / 4), "dataKey": "a2V5", "dataSignature": "c2ln",
        "encryptionCertificateId": "cert-1", "encryptionCertificateThumbprint": "0A1B",
    });
    item
}

fn post_of(items: &[Value]) -> String {
    json!({"value": items, "validationTokens": ["eyJ0eXAi"]}).to_string()
}

#[tokio::test(start_paused = true)]
async fn good_and_bad_of_all_kinds_come_in_one_request() {
    let body = r##"{"validationTokens": ["eyJ0eXAi", "eyJ0eXAj"], "organizationId": "extra", "value": [
        {"id": "n-1", "subscriptionId": "sub-1", "clientState": "s3cret", "tenantId": "t-1", "changeType": "updated",
         "subscriptionExpirationDateTime": "2026-11-21T18:30:34.9097561-08:00", "organizationId": "extra",
         "resource": "chats('19:a@thread.v2')/messages('1')",
         "resourceData": {"id": "1", "@odata.type": "#Microsoft.Graph.chatMessage",
                          "@odata.id": "chats('19:A@thread.v2')/messages('1')", "@odata.etag": "v\u00311"},
         "encryptedContent": {"data": "ZGF\u0030YQ==", "dataKey": "a2V5", "dataSignature": "c2ln",
                              "encryptionCertificateId": "cert-1", "encryptionCertificateThumbprint": "0A1B"}},
        {"subscriptionId": "sub-2", "clientState": "wrong", "changeType": "created", "resource": "users/u/messages/1"},
        {"subscriptionId": "sub-2", "changeType": "created", "resource": "users/u/messages/2"},
        {"subscriptionId": "sub-2", "clientState": null, "changeType": "created", "resource": "users/u/messages/3"},
        {"subscriptionId": "sub-2", "clientState": "s3cret", "changeType": "created"},
        {"subscriptionId": "sub-2", "clientState": "s3cret", "resource": "users/u/messages/4"},
        {"subscriptionId": 2, "clientState": "s3cret", "changeType": "created", "resource": "users/u/messages/5"},
        {"subscriptionId": "", "clientState": "s3cret", "changeType": "created", "resource": "users/u/messages/6"},
        {"subscriptionId": "sub-2", "clientState": ["s3cret"], "changeType": "created", "resource": "users/u/messages/7"},
        {"subscriptionId": "sub-2", "clientState": "s3cret", "changeType": "created", "resource": "users/u/messages/8",
         "encryptedContent": {"data": "without a key"}},
        null, 7, "text", [], {},
        {"subscriptionId": "sub-3", "clientState": "s3cret", "tenantId": "t-2", "lifecycleEvent": "missed",
         "subscriptionExpirationDateTime": "2026-11-22T00:00:00Z"},
        {"subscriptionId": "sub-4", "clientState": "s3cret", "tenantId": "t-3", "changeType": "deleted",
         "resource": "Users('u@t')/Messages('AAMk=')", "resourceData": null, "encryptedContent": null}
    ]}"##;
    let queues = fifo();
    let tally = receive(&States::default(), &queues, body).await.unwrap();
    let expected =
        DoorTally { notifications: 17, queued: 8, foreign: 5, malformed: 4, unreadable: 4, ..DoorTally::default() };
    assert_eq!(tally, expected);
    let mut taken = queues.taken.lock().unwrap().clone();
    taken.sort_by(|(_, a), (_, b)| a.group.cmp(&b.group));
    let shown: Vec<_> =
        taken.iter().map(|(queue, entry)| format!("{queue:?} {} {}", entry.group, entry.body)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn only_one_version_of_a_resource_is_one_message() {
    let ids = async |items: &[Value]| {
        let queues = fifo();
        receive(&States::default(), &queues, post_of(items)).await.unwrap();
        let taken = queues.taken.lock().unwrap();
        taken.iter().map(|(_, entry)| entry.deduplication_id.clone()).collect::<Vec<_>>()
    };
    let (first, mut other_kind, mut unversioned) = (message_in(1, 1), message_in(1, 1), message_in(1, 1));
    other_kind["changeType"] = json!("updated");
    unversioned["resourceData"] = Value::Null;
    let mut named = unversioned.clone();
    named["id"] = json!("n-1");
    let lifecycle = json!({"subscriptionId": "sub-1", "clientState": STATE, "lifecycleEvent": "missed"});

    let versioned = ids(&[first.clone(), first.clone(), other_kind]).await;
    assert_eq!(versioned.len(), 2, "the repetition is the queue's to drop");
    assert_eq!(versioned[0], ids(&[first]).await[0], "a repeated request repeats the message");
    assert_eq!(ids(&[unversioned.clone(), unversioned]).await.len(), 2, "two true changes stay two");
    assert_eq!(ids(&[named.clone()]).await, ids(&[named]).await, "Graph's own id tells a repetition");
    assert_eq!(ids(&[lifecycle.clone(), lifecycle]).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_goes_without_its_content() {
    let queues = fifo();
    let huge = message_in(9, 9).to_string().replace("19:9@", &format!("19:{}@", "x".repeat(MAX_BYTES)));
    let items = [rich(1, 1, 200_000), rich(1, 2, 300_000), rich(2, 3, 100_000), serde_json::from_str(&huge).unwrap()];
    let tally = receive(&States::default(), &queues, post_of(&items)).await.unwrap();
    assert_eq!((tally.queued, tally.content_left_out, tally.unreadable, tally.malformed), (4, 1, 1, 0));
    let contents = queues.messages().into_iter().filter_map(|(_, queued)| match queued {
        Queued::Change(change) => {
            Some((change.etag, change.encrypted_content.is_some(), change.validation_tokens.len()))
        }
        Queued::Unreadable(odd) => {
            assert!(odd.notification.starts_with(r#"{"kind":"change","#) && odd.notification.len() > 1000);
            None
        }
        Queued::Lifecycle(_) => panic!("{queued:?}"),
    });
    let contents: HashSet<_> = contents.collect();
    let expected = [("1".to_owned(), true, 1), ("2".to_owned(), false, 0), ("3".to_owned(), true, 1)];
    assert_eq!(contents, HashSet::from(expected));
}

#[tokio::test(start_paused = true)]
async fn a_character_that_sqs_refuses_is_written_as_one_that_it_takes() {
    let queues = fifo();
    let mut item = message_in(1, 1);
    item["resource"] = json!("chats('19:\u{ffff}\u{fffe}')/messages('1')");
    receive(&States::default(), &queues, post_of(&[item])).await.unwrap();
    assert!(!queues.taken.lock().unwrap()[0].1.body.contains(['\u{fffe}', '\u{ffff}']));
    assert_eq!(queues.resources(), ["chats('19:\u{ffff}\u{fffe}')/messages('1')"]);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_loses_nothing() {
    let states = States { held: "before", ..States::default() };
    let queues = fifo();
    let tally = receive(&states, &queues, post_of(&[message_in(1, 1), message_in(1, 2)])).await.unwrap();
    assert_eq!((tally.queued, tally.foreign, *states.renewals.lock().unwrap()), (2, 0, 1));
    // Without any client state there is nothing that a newer secret could match.
    let mut bare = message_in(1, 1);
    bare["clientState"] = Value::Null;
    let tally = receive(&states, &queues, post_of(&[bare])).await.unwrap();
    assert_eq!((tally.foreign, *states.renewals.lock().unwrap()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_state_that_cannot_be_compared_now_is_for_graph_to_send_again() {
    let states = States { held: "before", readable: false, ..States::default() };
    let queues = fifo();
    let mut known = message_in(1, 1);
    known["clientState"] = json!("before");
    let error = receive(&states, &queues, post_of(&[known, message_in(1, 2)])).await.unwrap_err();
    assert_eq!((error.code, error.code.status()), (Code::CLIENT_STATE_UNKNOWN, 503));
    assert_eq!(queues.resources().len(), 1, "what is known to be Graph's is taken; it is a repetition later");
    let states = States { held: "before", ..States::default() };
    let tally = receive(&states, &queues, post_of(&[message_in(1, 2)])).await.unwrap();
    assert_eq!((tally.queued, queues.resources().len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_surprise_in_what_is_not_needed_costs_nothing() {
    for name in
        ["id", "tenantId", "lifecycleEvent", "subscriptionExpirationDateTime", "resourceData", "encryptedContent"]
    {
        for surprise in [Value::Null, json!(7), json!(["x"]), json!({"@odata.etag": 7, "data": null}), json!(true)] {
            let queues = fifo();
            let mut item = rich(1, 1, 100);
            item[name] = surprise.clone();
            let tally = receive(&States::default(), &queues, post_of(&[item])).await.unwrap();
            let (_, queued) = queues.messages().remove(0);
            assert!(matches!(queued, Queued::Change(_)), "{name} {surprise}: {queued:?}");
            assert_eq!((tally.queued, tally.unreadable), (1, 0), "{name} {surprise}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_surprise_among_the_tokens_costs_nothing_but_that_token() {
    for (tokens, left) in [(json!("eyJ"), 0), (json!(["eyJ", null, 7, "eyK"]), 2), (json!({}), 0), (Value::Null, 0)] {
        let queues = fifo();
        let body = json!({"value": [rich(1, 1, 100)], "validationTokens": tokens}).to_string();
        let tally = receive(&States::default(), &queues, body).await.unwrap();
        let (_, Queued::Change(change)) = queues.messages().remove(0) else { panic!("{tokens}") };
        assert_eq!((tally.queued, change.validation_tokens.len()), (1, left), "{tokens}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_kept_without_the_client_state() {
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    let large = "\u{1}".repeat(MAX_BYTES);
    for (item, kept) in [
        (format!(r#"{{"clientState": "{STATE}", "news": 1}}"#), r#"{"news":1}"#.to_owned()),
        (format!(r#"{{"client\u0053tate": "{STATE}", "n\u0065ws": 1}}"#), r#"{"news":1}"#.to_owned()),
        (format!(r#"{{"clientState": "{STATE}", "clientState": "{STATE}", "id": "a"}}"#), r#"{"id":"a"}"#.into()),
        (format!(r#"{{"clientState": "{STATE}", "resource": {deep}}}"#), format!(r#"{{"resource":{deep}}}"#)),
        (json!({"clientState": STATE, "news": large}).to_string(), String::new()),
    ] {
        let queues = fifo();
        let tally = receive(&States::default(), &queues, format!(r#"{{"value": [{item}]}}"#)).await.unwrap();
        assert_eq!((tally.queued, tally.unreadable, tally.foreign, tally.malformed), (1, 1, 0, 0), "{item:.80}");
        let (queue, queued) = queues.messages().remove(0);
        let Queued::Unreadable(odd) = queued else { panic!("{queued:?}") };
        assert_eq!(queue, NotificationQueue::Changes);
        assert!(!odd.notification.contains(STATE));
        assert!(if kept.is_empty() { odd.notification.len() > 1000 } else { odd.notification == kept }, "{item:.80}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_collection_is_never_taken() {
    let many = |count: usize| format!(r#"{{"value":[{}]}}"#, vec!["{}"; count].join(","));
    let deep = |opening: &str| format!(r#"{{"value":[{}"#, opening.repeat(100_000));
    for (body, code) in [
        (String::new(), Code::MALFORMED_JSON),
        ("{".into(), Code::MALFORMED_JSON),
        ("[]".into(), Code::MALFORMED_JSON),
        ("{}".into(), Code::MALFORMED_JSON),
        (r#"{"value":null}"#.into(), Code::MALFORMED_JSON),
        (r#"{"value":{}}"#.into(), Code::MALFORMED_JSON),
        (r#"{"value":[],"value":[]}"#.into(), Code::MALFORMED_JSON),
        (deep("["), Code::MALFORMED_JSON),
        (deep(r#"{"resourceData":"#), Code::MALFORMED_JSON),
        (many(collection::MAX_ITEMS + 1), Code::BODY_TOO_LARGE),
    ] {
        let error = receive(&States::default(), &fifo(), &body).await.unwrap_err();
        assert_eq!(error.code, code, "{body:.80}");
    }
    let not_text = receive(&States::default(), &fifo(), b"{\"value\":[\"\xff\"]}").await.unwrap_err();
    assert_eq!(not_text.code, Code::MALFORMED_JSON);
    for (body, notifications) in [(many(0), 0), (many(collection::MAX_ITEMS), collection::MAX_ITEMS)] {
        let tally = receive(&States::default(), &fifo(), body).await.unwrap();
        assert_eq!((tally.notifications, tally.foreign), (notifications, notifications), "none shows a client state");
    }
    // Well-formed however deep, so it spoils nothing but itself.
    let nested = format!(r#"{{"value":[{}1{}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(receive(&States::default(), &fifo(), nested).await.unwrap().malformed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_chats_leave_in_ten_batches_at_once() {
    let queues = fifo();
    let items: Vec<_> = (0..100).map(|chat| message_in(chat, chat)).collect();
    let started = Instant::now();
    receive(&States::default(), &queues, post_of(&items)).await.unwrap();
    assert_eq!(*queues.batches.lock().unwrap(), [MAX_ENTRIES; 10]);
    assert!(started.elapsed() <= Duration::from_millis(50), "{:?}", started.elapsed());
}

/// By chat, the messages in the order in which they are on the queue.
fn by_chat(resources: Vec<String>) -> HashMap<String, Vec<usize>> {
    let mut chats: HashMap<String, Vec<usize>> = HashMap::new();
    for resource in resources {
        let (chat, message) = resource.split_once("')/messages('").unwrap();
        chats.entry(chat.to_owned()).or_default().push(message.trim_end_matches("')").parse().unwrap());
    }
    chats
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_chat_keeps_its_order_and_nothing_is_lost_however_the_queue_fails(
        items in prop::collection::vec((0_usize..12, prop_oneof![9 => Just(0_usize), 1 => Just(1600)]), 0..120),
        failing in 0_usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let queues = Fifo { failing: Mutex::new(failing), max_bytes: 4000, ..fifo() };
            let posted: Vec<_> =
                items.iter().enumerate().map(|(message, (chat, data))| rich(*chat, message, *data)).collect();
            let mut posts = 0;
            // Graph sends a request again until it is answered 2xx; what has left is in order after each of them.
            loop {
                posts += 1;
                prop_assert!(posts <= 1 + failing);
                let result = receive(&States::default(), &queues, post_of(&posted)).await;
                for (chat, messages) in by_chat(queues.resources()) {
                    prop_assert!(messages.is_sorted(), "{chat}: {messages:?}");
                }
                match result {
                    Ok(tally) => {
                        prop_assert_eq!((tally.queued, tally.foreign + tally.malformed), (items.len(), 0));
                        break;
                    }
                    Err(error) => prop_assert_eq!(error.code, Code::QUEUE_UNAVAILABLE),
                }
            }
            prop_assert_eq!(queues.taken.lock().unwrap().len(), items.len());
            Ok(())
        })?;
    }
}
