//! The worker against resources, a table and sinks that fail and forget, with a queue that hands everything out as SQS does.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::http::Deadline;
use crate::store::deliveries::MemoryDeliveries;
use crate::store::subscriptions::MemorySubscriptionNotes;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What passes by itself, or goes back to the queue.
fn trouble() -> Error {
    Error::new(if fastrand::bool() { Code::GENESYS_UNAVAILABLE } else { Code::GENESYS_THROTTLED }, "test")
}

/// What Graph holds, by the resource's name; fails now and then.
#[derive(Default)]
struct Graph {
    held: Mutex<BTreeMap<String, Value>>,
    refused: Mutex<HashSet<String>>,
    failures: Mutex<f64>,
    hangs: Mutex<HashSet<String>>,
    asked: Mutex<Vec<String>>,
}

impl Resources for Graph {
    async fn open(&self, _cx: &RequestContext, change: &Change) -> Result<Opened, Error> {
        locked(&self.asked).push(change.resource.clone());
        if fastrand::f64() < *locked(&self.failures) {
            return Err(trouble());
        }
        let hangs = locked(&self.hangs).contains(&change.resource);
        if hangs {
            std::future::pending::<()>().await;
        }
        if locked(&self.refused).contains(&change.resource) {
            return Ok(Opened::Refused("test".into()));
        }
        let held = locked(&self.held).get(&change.resource).cloned();
        Ok(held.map_or(Opened::Gone, |resource| Opened::Content(resource.to_string().into_bytes())))
    }
}

/// A message that arrived.
struct Arrived {
    chat: String,
    id: String,
    version: i64,
    before: Option<i64>,
}

#[derive(Default)]
struct Genesys {
    arrived: Mutex<Vec<Arrived>>,
    published: Mutex<Vec<String>>,
    failures: Mutex<f64>,
    outage: Mutex<Option<(Code, Instant)>>,
    refused: Mutex<HashSet<String>>,
    hangs: Mutex<HashSet<String>>,
    /// Whether there is one; then an outage is its.
    bus: bool,
    tried: Mutex<Vec<Sink>>,
}

impl Sinks for Genesys {
    fn all(&self) -> impl Iterator<Item = Sink> + Send {
        [Sink::OpenMessaging, Sink::EventBus].into_iter().take(if self.bus { 2 } else { 1 })
    }

    async fn deliver(
        &self,
        _cx: &RequestContext,
        sink: Sink,
        event: &Event,
        before: Option<i64>,
        _receives: u32,
    ) -> Result<Delivered, Error> {
        locked(&self.tried).push(sink);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..20))).await;
        if fastrand::f64() < *locked(&self.failures) {
            return Err(trouble());
        }
        if let Some((code, until)) = *locked(&self.outage)
            && Instant::now() < until
            && (sink == Sink::EventBus || !self.bus)
        {
            return Err(Error::new(code, "test"));
        }
        let hangs = sink == Sink::OpenMessaging && locked(&self.hangs).contains(&event.change.resource);
        if hangs {
            std::future::pending::<()>().await;
        }
        if sink == Sink::OpenMessaging && locked(&self.refused).contains(&event.change.resource) {
            return Err(Error::new(Code::GENESYS_REJECTED, "test"));
        }
        match (sink, &event.message) {
            (Sink::EventBus, _) => locked(&self.published).push(event.change.resource.clone()),
            (Sink::OpenMessaging, Some(message)) => {
                let (chat, id) = (message.chat_id.clone(), message.id.clone());
                locked(&self.arrived).push(Arrived { chat, id, version: message.version(), before });
            }
            (Sink::OpenMessaging, None) => return Ok(Delivered::LeftOut("test")),
        }
        Ok(Delivered::Delivered)
    }
}

#[derive(Default)]
struct Scene {
    graph: Graph,
    deliveries: MemoryDeliveries,
    heard: MemorySubscriptionNotes,
    genesys: Genesys,
}

/// A message of a chat, written in this second and edited in that.
fn chat_message(chat: &str, second: i64, edited: Option<i64>) -> (String, Value) {
    let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap().to_string();
    let id = ((1_800_000_000 + second) * 1000).to_string();
    let resource = format!("chats('{chat}')/messages('{id}')");
    let message = json!({
        "id": id, "chatId": chat, "messageType": "message", "createdDateTime": at(second),
        "lastEditedDateTime": edited.map(at), "from": {"user": {"id": "u", "displayName": "Kim"}},
        "body": {"contentType": "text", "content": "hello"},
    });
    (resource, message)
}

/// The etag of a chat's message: the millisecond of its last change.
fn etag(second: i64) -> String {
    ((1_800_000_000 + second) * 1000).to_string()
}

fn notification(group: &str, resource: &str, etag: &str) -> Message {
    let body = json!({
        "kind": "change", "subscriptionId": "s", "tenantId": "t", "changeType": "created", "resource": resource,
        "resourceType": "#Microsoft.Graph.chatMessage", "etag": etag, "receivedAt": Timestamp::now().to_string(),
    });
    Message { id: Uuid::new_v4().to_string(), body: body.to_string(), receives: 1, group: group.into() }
}

impl Scene {
    fn write(&self, chat: &str, second: i64, edited: Option<i64>) -> Message {
        let (resource, message) = chat_message(chat, second, edited);
        locked(&self.graph.held).insert(resource.clone(), message);
        notification(chat, &resource, &etag(edited.unwrap_or(second)))
    }

    async fn serve(&self, messages: Vec<Message>) -> (Vec<String>, Tally) {
        let worker =
            Worker { resources: &self.graph, deliveries: &self.deliveries, heard: &self.heard, sinks: &self.genesys };
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(30)));
        worker.serve(&cx, messages).await
    }

    /// The seconds in which the messages of a chat were written, in the order of their arrival.
    fn arrived(&self, chat: &str) -> Vec<i64> {
        let second = |id: &String| id.parse::<i64>().unwrap() / 1000 - 1_800_000_000;
        locked(&self.genesys.arrived).iter().filter(|it| it.chat == chat).map(|it| second(&it.id)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_arrives_in_order_and_once() {
    let scene = Scene::default();
    let batch = vec![
        scene.write("a", 30, None),
        scene.write("b", 10, None),
        scene.write("a", 10, None),
        scene.write("a", 20, None),
        scene.write("a", 10, None),
    ];
    let (failed, tally) = scene.serve(batch.clone()).await;
    assert_eq!((failed.len(), tally.notifications, tally.delivered, tally.duplicates), (0, 5, 4, 1));
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(30)));
    assert!(scene.heard.read(&cx, &[], &["s"]).await.unwrap().heard.contains_key("s"));
    assert_eq!((scene.arrived("a"), scene.arrived("b")), (vec![10, 20, 30], vec![10]));
    let (_, tally) = scene.serve(batch).await;
    assert_eq!((tally.delivered, tally.duplicates), (0, 5), "Graph repeats itself for hours");
}

#[tokio::test(start_paused = true)]
async fn a_reaction_is_no_news_an_edit_is_and_an_older_version_comes_too_late() {
    let scene = Scene::default();
    let created = scene.write("a", 10, None);
    scene.serve(vec![created.clone()]).await;
    // A reaction changes the etag and nothing that is shown.
    let (resource, _) = chat_message("a", 10, None);
    let (_, tally) = scene.serve(vec![notification("a", &resource, "another")]).await;
    assert_eq!((tally.delivered, tally.duplicates), (0, 1));
    let edited = scene.write("a", 10, Some(40));
    scene.serve(vec![edited]).await;
    let versions: Vec<_> = locked(&scene.genesys.arrived).iter().map(|it| (it.version, it.before)).collect();
    let (first, second) = (1_800_000_010_000, 1_800_000_040_000);
    assert_eq!(versions, [(first, None), (second, Some(first))]);
    // The first version, come late: what Graph holds now has been shown.
    let (_, message) = chat_message("a", 10, None);
    locked(&scene.graph.held).insert(resource, message);
    let (_, tally) = scene.serve(vec![created]).await;
    assert_eq!((tally.delivered, tally.duplicates), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_holds_up_its_own_chat_and_nothing_else() {
    let scene = Scene::default();
    let (first, second, other) = (scene.write("a", 10, None), scene.write("a", 20, None), scene.write("b", 10, None));
    *locked(&scene.graph.failures) = 1.0;
    let (failed, _) = scene.serve(vec![first.clone(), second.clone()]).await;
    assert_eq!(failed, [first.id.clone(), second.id.clone()]);
    let first_alone = locked(&scene.graph.asked).iter().all(|asked| first.body.contains(asked));
    assert!(first_alone, "what has to wait is not asked for");
    *locked(&scene.graph.failures) = 0.0;
    *locked(&scene.genesys.failures) = 1.0;
    let (failed, tally) = scene.serve(vec![first.clone(), other.clone(), second.clone()]).await;
    assert_eq!((failed.iter().cloned().collect::<HashSet<_>>().len(), tally.failed, tally.delivered), (3, 3, 0));
    *locked(&scene.genesys.failures) = 0.0;
    let (failed, _) = scene.serve(vec![first, other, second]).await;
    assert_eq!((failed.len(), scene.arrived("a"), scene.arrived("b")), (0, vec![10, 20], vec![10]));
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_sat_out_and_who_is_throttled_waits_in_the_queue() {
    for (code, arrives) in [(Code::GENESYS_UNAVAILABLE, true), (Code::GENESYS_THROTTLED, false)] {
        let scene = Scene::default();
        let message = scene.write("a", 10, None);
        *locked(&scene.genesys.outage) = Some((code, Instant::now() + Duration::from_secs(20)));
        let (failed, tally) = scene.serve(vec![message]).await;
        assert_eq!((failed.is_empty(), tally.delivered), (arrives, usize::from(arrives)), "{code:?}");
    }
    // One that lasts ends in the queue, in time for the answer.
    let scene = Scene::default();
    let message = scene.write("a", 10, None);
    let (began, long) = (Instant::now(), Duration::from_secs(600));
    *locked(&scene.genesys.outage) = Some((Code::GENESYS_UNAVAILABLE, began + long));
    assert_eq!(scene.serve(vec![message.clone()]).await.0, [message.id]);
    assert!(began.elapsed() < Duration::from_secs(29));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_arrived_is_tried_once_more_and_then_once_a_receive() {
    let scene = Scene::default();
    let message = scene.write("a", 10, None);
    *locked(&scene.genesys.outage) = Some((Code::OUTCOME_UNKNOWN, Instant::now() + Duration::from_secs(3600)));
    let tried = || locked(&scene.genesys.tried).len();
    for (receives, posts) in (1..=MAX_RECEIVES).zip(2..) {
        let (failed, _) = scene.serve(vec![Message { receives, ..message.clone() }]).await;
        assert_eq!((failed.len(), tried()), (1, posts), "receive {receives}");
    }
    assert_eq!(u32::try_from(tried()), Ok(MAX_POSTS), "the number that is stated");
    // A passing doubt costs its chat no three minutes.
    let scene = Scene::default();
    let message = scene.write("a", 10, None);
    *locked(&scene.genesys.outage) = Some((Code::OUTCOME_UNKNOWN, Instant::now() + Duration::from_secs(1)));
    assert_eq!((scene.serve(vec![message]).await.0.len(), scene.arrived("a")), (0, vec![10]));
}

#[tokio::test(start_paused = true)]
async fn what_is_open_is_delivered_though_the_next_one_hangs() {
    let scene = Scene::default();
    let (first, second) = (scene.write("a", 10, None), scene.write("a", 20, None));
    locked(&scene.graph.hangs).insert(chat_message("a", 20, None).0);
    let (failed, _) = scene.serve(vec![first, second.clone()]).await;
    assert_eq!((failed, scene.arrived("a")), (vec![second.id], vec![10]));
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_gives_up_takes_nothing_along() {
    let scene = Scene::default();
    let batch = |receives| {
        let all = [10, 20, 30].map(|second| scene.write("a", second, None));
        all.map(|message| Message { receives, ..message }).to_vec()
    };
    let names = [10, 20].map(|second| chat_message("a", second, None).0);
    locked(&scene.genesys.refused).insert(names[0].clone());
    locked(&scene.graph.hangs).insert(names[1].clone());
    assert_eq!((scene.serve(batch(MAX_RECEIVES - 1)).await.0.len(), scene.arrived("a").len()), (3, 0));
    let last = batch(MAX_RECEIVES);
    let (failed, _) = scene.serve(last.clone()).await;
    let expected: HashSet<_> = last[..2].iter().map(|message| message.id.clone()).collect();
    assert_eq!((failed.into_iter().collect::<HashSet<_>>(), scene.arrived("a")), (expected, vec![30]));
    // Nor does one that hangs, nor one that is older and was received less often.
    for hangs in [true, false] {
        let scene = Scene::default();
        let [older, last] = [10, 20].map(|second| scene.write("a", second, None));
        let older = Message { receives: if hangs { MAX_RECEIVES } else { MAX_RECEIVES - 1 }, ..older };
        let last = Message { receives: MAX_RECEIVES, ..last };
        locked(if hangs { &scene.genesys.hangs } else { &scene.genesys.refused }).insert(names[0].clone());
        let (failed, _) = scene.serve(vec![last, older.clone()]).await;
        assert_eq!((failed, scene.arrived("a")), (vec![older.id], vec![20]), "{hangs}");
    }
}

#[tokio::test(start_paused = true)]
async fn poison_and_what_is_refused_go_back_alone_and_what_is_gone_is_done_with() {
    let scene = Scene::default();
    let poison = Message { id: "poison".into(), body: "{}".into(), receives: 1, group: "a".into() };
    let refused = scene.write("a", 10, None);
    locked(&scene.graph.refused).insert(chat_message("a", 10, None).0);
    let gone = notification("a", "chats('a')/messages('1')", "1");
    let lifecycle = json!({
        "kind": "lifecycle", "subscriptionId": "s", "tenantId": "t", "lifecycleEvent": "missed",
        "subscriptionExpirationDateTime": "", "receivedAt": "2026-11-21T08:00:00Z",
    });
    let lifecycle = Message { id: "l".into(), body: lifecycle.to_string(), receives: 1, group: "s".into() };
    let good = scene.write("a", 20, None);
    let (mut failed, tally) = scene.serve(vec![poison, refused.clone(), gone, lifecycle, good]).await;
    let mut expected = ["poison".to_owned(), refused.id];
    failed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(failed, expected, "what is refused ends in the dead-letter queue, where it can be looked at");
    let counts = (tally.poison, tally.refused, tally.gone, tally.lifecycle, tally.delivered, tally.left_out);
    assert_eq!(counts, (1, 1, 1, 1, 1, 1));
    assert_eq!(scene.arrived("a"), [20]);
}

#[tokio::test(start_paused = true)]
async fn every_event_is_published_whatever_it_is_and_each_sink_remembers_its_own() {
    let scene = Scene { genesys: Genesys { bus: true, ..Genesys::default() }, ..Scene::default() };
    let mail = "users/u/messages/AAMk";
    locked(&scene.graph.held).insert(mail.into(), json!({"id": "AAMk", "@odata.etag": "W/\"1\""}));
    let chat = scene.write("a", 10, None);
    let batch = vec![chat, notification("u", mail, ""), notification("u", mail, "")];
    let (_, tally) = scene.serve(batch.clone()).await;
    assert_eq!((locked(&scene.genesys.published).len(), scene.arrived("a").len()), (2, 1));
    assert_eq!((tally.delivered, tally.duplicates, tally.left_out), (3, 1, 2));
    // It was created once, whatever its version is by now.
    locked(&scene.graph.held).insert(mail.into(), json!({"id": "AAMk", "@odata.etag": "W/\"2\""}));
    scene.serve(batch).await;
    assert_eq!(locked(&scene.genesys.published).len(), 2);
    // A newer version without a tag in the notification is told by the resource's own.
    let mut updated = notification("u", mail, "");
    updated.body = updated.body.replace("created", "updated");
    for (version, published) in [(2, 3), (2, 3), (3, 4)] {
        let tag = format!("W/\"{version}\"");
        locked(&scene.graph.held).insert(mail.into(), json!({"id": "AAMk", "@odata.etag": tag}));
        scene.serve(vec![updated.clone()]).await;
        assert_eq!(locked(&scene.genesys.published).len(), published);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_out_keeps_nothing_from_the_other() {
    let scene = Scene { genesys: Genesys { bus: true, ..Genesys::default() }, ..Scene::default() };
    let batch: Vec<_> = [10, 20].map(|second| scene.write("a", second, None)).into();
    let published = || locked(&scene.genesys.published).len();
    locked(&scene.genesys.refused).insert(chat_message("a", 10, None).0);
    let (failed, tally) = scene.serve(batch.clone()).await;
    assert_eq!((failed.len(), tally.delivered, published()), (2, 2, 2));
    assert_eq!(scene.arrived("a"), Vec::<i64>::new(), "nothing overtakes what failed");
    locked(&scene.genesys.refused).clear();
    let (failed, _) = scene.serve(batch).await;
    assert_eq!((failed.len(), scene.arrived("a"), published()), (0, vec![10, 20], 2));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_keeps_nothing_from_the_other() {
    let scene = Scene { genesys: Genesys { bus: true, ..Genesys::default() }, ..Scene::default() };
    let batch: Vec<_> = [10, 20].map(|second| scene.write("a", second, None)).into();
    locked(&scene.genesys.hangs).insert(chat_message("a", 10, None).0);
    let (failed, _) = scene.serve(batch.clone()).await;
    assert_eq!((failed.len(), locked(&scene.genesys.published).len(), scene.arrived("a").len()), (2, 2, 0));
    locked(&scene.genesys.hangs).clear();
    let (failed, _) = scene.serve(batch).await;
    assert_eq!((failed.len(), scene.arrived("a")), (0, vec![10, 20]));
}

#[tokio::test(start_paused = true)]
async fn who_says_no_is_not_asked_again_because_the_other_sink_is_out() {
    let scene = Scene { genesys: Genesys { bus: true, ..Genesys::default() }, ..Scene::default() };
    let message = scene.write("a", 10, None);
    locked(&scene.genesys.refused).insert(chat_message("a", 10, None).0);
    *locked(&scene.genesys.outage) = Some((Code::DELIVERY_FAILED, Instant::now() + Duration::from_secs(5)));
    let (failed, tally) = scene.serve(vec![message]).await;
    assert_eq!((failed.len(), tally.delivered, locked(&scene.genesys.published).len()), (1, 1, 1));
    let tried = locked(&scene.genesys.tried).iter().filter(|sink| **sink == Sink::OpenMessaging).count();
    assert_eq!(tried, 1);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_version_stays_behind_what_came_before_it() {
    for (seconds, expected) in [([20, 10], [10, 20]), ([10, 20], [10, 20])] {
        let scene = Scene { genesys: Genesys { bus: true, ..Genesys::default() }, ..Scene::default() };
        let gone = "chats('a')/messages('1')";
        let mut batch: Vec<_> = seconds.map(|second| scene.write("a", second, None)).into();
        batch.push(notification("a", gone, "1"));
        scene.serve(batch).await;
        let mut names = expected.map(|second| chat_message("a", second, None).0).to_vec();
        names.push(gone.into());
        assert_eq!(*locked(&scene.genesys.published), names);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_is_not_fetched_once_more() {
    let scene = Scene { genesys: Genesys { bus: true, ..Genesys::default() }, ..Scene::default() };
    let (resource, _) = chat_message("a", 10, None);
    scene.write("a", 10, None);
    // A notification of Graph's need not say the version; a listing does.
    scene.serve(vec![notification("a", &resource, "")]).await;
    let asked = || locked(&scene.graph.asked).len();
    let (_, tally) = scene.serve(vec![notification("a", &resource, &etag(10))]).await;
    assert_eq!((asked(), tally.delivered, tally.duplicates), (1, 0, 1));
    // Something happened to it since: a reaction, or an edit.
    scene.serve(vec![notification("a", &resource, &etag(11))]).await;
    assert_eq!((asked(), scene.arrived("a").len()), (2, 1));
    // A sink that has not had it gets it.
    let mut updated = notification("a", &resource, &etag(10));
    updated.body = updated.body.replace("created", "updated");
    scene.serve(vec![updated.clone()]).await;
    assert_eq!((asked(), locked(&scene.genesys.published).len()), (3, 2));
    scene.serve(vec![updated]).await;
    assert_eq!(asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn without_time_left_everything_waits() {
    let scene = Scene::default();
    let message = scene.write("a", 10, None);
    let worker =
        Worker { resources: &scene.graph, deliveries: &scene.deliveries, heard: &scene.heard, sinks: &scene.genesys };
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(3)));
    let (failed, _) = worker.serve(&cx, vec![message.clone()]).await;
    assert_eq!((failed, scene.arrived("a").len()), (vec![message.id], 0));
}

/// The chat of a message, and the second in which it was written.
fn named(message: &Message) -> (String, i64) {
    let body: Value = serde_json::from_str(&message.body).unwrap();
    let second = body["etag"].as_str().unwrap().parse::<i64>().unwrap() / 1000 - 1_800_000_000;
    (message.group.clone(), second)
}

/// A FIFO queue: what is given back comes again before anything else of its group.
fn next_batch(queue: &mut VecDeque<Message>) -> Vec<Message> {
    let size = fastrand::usize(1..=10).min(queue.len());
    queue.drain(..size).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Messages of three chats, each told of once or more, while Graph and Genesys Cloud fail: each arrives, once, in order,
    /// but for those that the queue gives up.
    #[test]
    fn every_message_arrives_once_and_in_order(
        messages in proptest::collection::vec((0..3_usize, 1..4_usize), 1..60),
        seed in any::<u64>(),
        gives_up in any::<bool>(),
        bus in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        fastrand::seed(seed);
        let scene = Scene { genesys: Genesys { bus, ..Genesys::default() }, ..Scene::default() };
        *locked(&scene.graph.failures) = 0.1;
        *locked(&scene.genesys.failures) = 0.1;
        let mut queue = VecDeque::new();
        let mut given_up: HashSet<(String, i64)> = HashSet::new();
        let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (second, (chat, times)) in (0_i64..).zip(&messages) {
            let chat = format!("chat-{chat}");
            let message = scene.write(&chat, second, None);
            queue.extend(std::iter::repeat_n(message, *times));
            expected.entry(chat).or_default().push(second);
        }
        runtime.block_on(async {
            let mut rounds = 0;
            while !queue.is_empty() {
                rounds += 1;
                assert!(rounds < 10_000, "it never ends");
                let mut batch = next_batch(&mut queue);
                for message in &mut batch {
                    message.id = Uuid::new_v4().to_string();
                }
                let (failed, _) = scene.serve(batch.clone()).await;
                for message in batch.into_iter().rev().filter(|message| failed.contains(&message.id)) {
                    if gives_up && message.receives == MAX_RECEIVES {
                        given_up.insert(named(&message));
                    } else {
                        // One that never gives up counts no further than to the last but one.
                        let most = if gives_up { MAX_RECEIVES } else { MAX_RECEIVES - 1 };
                        queue.push_front(Message { receives: (message.receives + 1).min(most), ..message });
                    }
                }
                // Visibility time-outs are longer than leases.
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        });
        prop_assert!(gives_up || given_up.is_empty());
        let published = locked(&scene.genesys.published).clone();
        let once: HashSet<_> = published.iter().collect();
        prop_assert_eq!(once.len(), published.len(), "published once");
        let all = if bus { messages.len() } else { 0 };
        prop_assert!(gives_up || published.len() == all, "all are published");
        for (chat, mut seconds) in expected {
            let mut arrived = scene.arrived(&chat);
            let all: HashSet<_> = arrived.iter().copied().collect();
            prop_assert_eq!(all.len(), arrived.len(), "once");
            // What Graph has told of again arrives after all, and late.
            for all in [&mut seconds, &mut arrived] {
                all.retain(|second| !given_up.contains(&(chat.clone(), *second)));
            }
            prop_assert_eq!(arrived, seconds);
        }
    }
}
