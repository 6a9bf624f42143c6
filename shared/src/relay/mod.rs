//! A batch of notifications, from the queue to the sinks.
//!
//! The queue hands out the notifications of a chat, mailbox or user one batch after the other, and this keeps their order:
//! a group's resources are opened one by one, then they are delivered one by one, oldest first. What cannot be
//! delivered now goes back to the queue, with all of its group that comes after it. Groups are served side by side.

pub(crate) mod patience;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use self::patience::{PATIENCE, passes, patiently};
use crate::chat::lenient_json::read_json;
use crate::chat::message::ChatMessage;
use crate::error::{Code, Error};
use crate::graph::resource::ResourceName;
use crate::http::RequestContext;
use crate::notification::open::{Opened, Resources};
use crate::notification::{Change, Queued};
use crate::queue::Message;
use crate::sinks::key::{self, Sink};
use crate::store::StoreError;
use crate::store::deliveries::{Begun, Deliveries, Lease};
use crate::store::subscriptions::SubscriptionNotes;
use crate::telemetry::{Figure, Figures};

/// Groups served at once. Within a group nothing is: Graph lets an app read a chat once a second.
const AT_ONCE: usize = 8;

/// What a delivery may take at least. With less time left, what is still to do goes back to the queue.
pub(crate) const LEAST_TIME: Duration = Duration::from_secs(3);

/// After how many receives the queue gives a message up, as the template says. With the last, a message that fails goes
/// to the dead-letter queue alone: it is tried whatever failed before it, and what comes after it in its chat is tried too.
pub const MAX_RECEIVES: u32 = 5;

/// How often a message may be sent to Genesys Cloud at the most: twice when it is received for the first time, and once each
/// other time. So many times it is there when Genesys Cloud takes it each time, never says so, and does not know it again.
pub const MAX_POSTS: u32 = MAX_RECEIVES + 1;

/// Something that happened in Microsoft 365, as far as it is known.
#[derive(Clone, PartialEq)]
pub struct Event {
    /// The notification.
    pub change: Change,
    /// The resource as JSON; nothing when it does not exist any more.
    pub content: Option<Vec<u8>>,
    /// The message, when it is one of a chat.
    pub message: Option<ChatMessage>,
}

/// How a delivery ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// It is there.
    Delivered,
    /// It is not for this sink, and why.
    LeftOut(&'static str),
}

/// Who delivers events.
pub trait Sinks: Send + Sync {
    /// The sinks that there are.
    fn all(&self) -> impl Iterator<Item = Sink> + Send;

    /// Delivers an event. `before` is the version of it that was delivered before, and `receives` how often the queue has
    /// handed it out.
    ///
    /// # Errors
    /// When it was not delivered, or nobody knows.
    fn deliver(
        &self,
        cx: &RequestContext,
        sink: Sink,
        event: &Event,
        before: Option<i64>,
        receives: u32,
    ) -> impl Future<Output = Result<Delivered, Error>> + Send;
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages of the queue.
    pub notifications: usize,
    /// No notification at all.
    pub poison: usize,
    /// Not Graph's, or not ours: on the way to the dead-letter queue.
    pub refused: usize,
    /// The resource does not exist any more.
    pub gone: usize,
    /// Lifecycle notifications that nobody attends to; the schedule of renewals does.
    pub lifecycle: usize,
    /// Delivered to a sink.
    pub delivered: usize,
    /// Not for a sink.
    pub left_out: usize,
    /// Had been delivered before.
    pub duplicates: usize,
    /// Went back to the queue.
    pub failed: usize,
    /// From the notification's receipt to its delivery, the longest, in milliseconds.
    pub worst_lag_ms: i64,
}

/// What a worker works with.
#[derive(Debug)]
pub struct Worker<'a, R, D, S, N> {
    /// Opens notifications.
    pub resources: &'a R,
    /// When each subscription was last heard of.
    pub heard: &'a N,
    /// What was delivered.
    pub deliveries: &'a D,
    /// Delivers.
    pub sinks: &'a S,
}

/// A notification that is to be delivered.
struct Item {
    id: String,
    receives: u32,
    /// By which it is put in order. What has none stays behind what came before it.
    version: i64,
    event: Box<Event>,
    /// Whether it was tried again although a sink may have had it.
    repeated: AtomicBool,
}

impl Item {
    /// Whether it may be tried again after an end that leaves open whether the sink has it: once, and when it is received
    /// for the first time. Each try may be a copy.
    fn may_repeat(&self) -> bool {
        self.receives == 1 && !self.repeated.swap(true, Ordering::Relaxed)
    }
}

/// What a message of the queue turned out to be.
enum Turned {
    /// To deliver.
    Open(Box<Event>),
    /// Nothing is left to do.
    Done,
    /// It goes back to the queue, and holds up nothing of its batch.
    Poison,
    /// It goes back to the queue, and so does what comes after it.
    Failed,
}

/// What became of an event at a sink.
enum Ended {
    Delivered,
    LeftOut,
    /// It had been delivered before.
    Known,
}

impl<R: Resources, D: Deliveries, S: Sinks, N: SubscriptionNotes> Worker<'_, R, D, S, N> {
    /// Serves a batch. Gives the messages that go back to the queue, and what became of all.
    pub async fn serve(&self, cx: &RequestContext, messages: Vec<Message>) -> (Vec<String>, Tally) {
        let mut tally = Tally { notifications: messages.len(), ..Tally::default() };
        let now = Timestamp::now();
        let until = now.checked_add(cx.deadline.until_end()).unwrap_or(Timestamp::MAX);
        let mut groups: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for message in messages {
            groups.entry(message.group.clone()).or_default().push(message);
        }
        let mut served = stream::iter(groups.into_values())
            .map(|messages| self.group(cx, messages, until))
            .buffer_unordered(AT_ONCE);
        let mut failed = Vec::new();
        while let Some((back, noted)) = served.next().await {
            tally.add(&noted);
            failed.extend(back);
        }
        tally.failed = failed.len();
        (failed, tally)
    }

    /// Serves messages of one group until something fails.
    async fn group(&self, cx: &RequestContext, messages: Vec<Message>, until: Timestamp) -> (Vec<String>, Tally) {
        let mut tally = Tally::default();
        let patience = Instant::now() + PATIENCE;
        let (mut open, mut back, mut held_up) = (Vec::new(), Vec::new(), false);
        for message in messages {
            if held_up || cx.deadline.for_a_call() < LEAST_TIME {
                held_up = true;
                back.push(message.id);
                continue;
            }
            let (id, receives) = (message.id.clone(), message.receives);
            // What is open already does not wait for it.
            let patience = if open.is_empty() { patience } else { Instant::now() };
            match self.open(cx, message, patience, &mut tally).await {
                Turned::Open(event) => {
                    let before = open.iter().map(|item: &Item| item.version).max().unwrap_or_default();
                    open.push(Item {
                        id,
                        receives,
                        version: event.version().unwrap_or(before),
                        event,
                        repeated: AtomicBool::new(false),
                    });
                }
                Turned::Done => {}
                Turned::Poison => back.push(id),
                Turned::Failed => {
                    held_up = receives < MAX_RECEIVES;
                    back.push(id);
                }
            }
        }
        // Graph promises no order. What it mixed up within a batch is put right here.
        open.sort_by_key(|item| item.version);
        // Those that nothing has failed at.
        let mut sinks: Vec<Sink> = self.sinks.all().collect();
        let all = sinks.len();
        for item in open {
            // The queue gives it up after this, and must not because of another one.
            let is_last = item.receives >= MAX_RECEIVES;
            let mut open: Vec<Sink> = if is_last { self.sinks.all().collect() } else { sinks.clone() };
            if open.is_empty() || cx.deadline.for_a_call() < LEAST_TIME {
                back.push(item.id);
                continue;
            }
            let mut failed = Vec::new();
            let lease = Lease { owner: Uuid::new_v4(), until };
            let delivered = async || self.deliver(cx, &item, &lease, &mut open, &mut failed, &mut tally).await;
            if let Err(error) = patiently(cx, patience, delivered).await {
                failed.extend(open.into_iter().map(|sink| (sink, error.clone())));
            }
            for (_, error) in &failed {
                note_failure(&item.id, item.receives, error);
            }
            if !failed.is_empty() || (!is_last && sinks.len() < all) {
                back.push(item.id);
            }
            if !is_last {
                sinks.retain(|sink| failed.iter().all(|(failed, _)| failed != sink));
            }
        }
        (back, tally)
    }

    async fn open(&self, cx: &RequestContext, message: Message, patience: Instant, tally: &mut Tally) -> Turned {
        let Message { id, body, receives, .. } = message;
        let change = match serde_json::from_str(&body) {
            Ok(Queued::Change(change)) => change,
            Ok(Queued::Lifecycle(_)) => {
                tally.lifecycle += 1;
                return Turned::Done;
            }
            Ok(Queued::Unreadable(_)) => {
                tracing::error!(message_id = id, "a notification that could not be read goes to the dead-letter queue");
                tally.poison += 1;
                return Turned::Poison;
            }
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                tracing::error!(
                    message_id = id,
                    line,
                    column,
                    "a message that is no notification goes to the dead-letter queue"
                );
                tally.poison += 1;
                return Turned::Poison;
            }
        };
        // Closing a gap tells of everything once more, and fetching is what Graph throttles.
        if change.encrypted_content.is_none() && self.was_delivered(cx, &change).await {
            self.heard_of(cx, &change).await;
            tally.duplicates += 1;
            return Turned::Done;
        }
        let opened = patiently(cx, patience, async || {
            // A hanging call leaves time for those that are open.
            match tokio::time::timeout(cx.deadline.for_a_call() / 2, self.resources.open(cx, &change)).await {
                Ok(opened) => opened,
                Err(_) => Err(Error::new(Code::GRAPH_UNAVAILABLE, "Opening a notification took too long.")),
            }
        });
        let opened = opened.await;
        if matches!(opened, Ok(Opened::Content(_) | Opened::Gone)) {
            self.heard_of(cx, &change).await;
        }
        let event = match opened {
            Ok(Opened::Content(content)) => {
                let message = message_of(&change, &content);
                Event { change, content: Some(content), message }
            }
            Ok(Opened::Gone) => {
                tally.gone += 1;
                Event { change, content: None, message: None }
            }
            Ok(Opened::Refused(why)) => {
                tracing::error!(
                    message_id = id,
                    subscription = change.subscription_id,
                    why,
                    "a notification that is not to be believed goes to the dead-letter queue"
                );
                tally.refused += 1;
                return Turned::Poison;
            }
            Err(error) => {
                note_failure(&id, receives, &error);
                return Turned::Failed;
            }
        };
        Turned::Open(Box::new(event))
    }

    async fn heard_of(&self, cx: &RequestContext, change: &Change) {
        if let Err(error) = self.heard.heard(cx, &change.subscription_id, change.received_at).await {
            tracing::warn!(%error, "it was not noted that a subscription was heard of");
        }
    }

    /// Whether each sink has had this, as far as the notification tells by itself. A doubt is a no.
    async fn was_delivered(&self, cx: &RequestContext, change: &Change) -> bool {
        let mut is_for_any = false;
        for sink in self.sinks.all() {
            let (key, version) = match key::by_notification(change, sink) {
                key::Known::As(key, version) => (key, version),
                key::Known::NotForIt => continue,
                key::Known::ByResourceAlone => return false,
            };
            is_for_any = true;
            match self.deliveries.delivered(cx, &key).await {
                Ok(delivered) if delivered.is_some_and(|delivered| delivered >= version) => {}
                Ok(_) => return false,
                Err(error) => {
                    tracing::warn!(%error, "whether something was delivered could not be looked up");
                    return false;
                }
            }
        }
        is_for_any
    }

    /// Delivers to these sinks side by side: one that is out, or hangs, keeps nothing from the others. Leaves those that may
    /// work in a moment, and gives an error then; the others that did not take it are put to those that failed.
    async fn deliver(
        &self,
        cx: &RequestContext,
        item: &Item,
        lease: &Lease,
        sinks: &mut Vec<Sink>,
        failed: &mut Vec<(Sink, Error)>,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let each = sinks.iter().map(|sink| self.deliver_to(cx, item, lease, *sink));
        let ended = join_all(each).await;
        let mut passing = None;
        for (sink, ended) in std::mem::take(sinks).into_iter().zip(ended) {
            match ended {
                Ok(Ended::Delivered) => {
                    tally.delivered += 1;
                    let lag = Timestamp::now().as_millisecond() - item.event.change.received_at.as_millisecond();
                    tally.worst_lag_ms = tally.worst_lag_ms.max(lag);
                }
                Ok(Ended::LeftOut) => tally.left_out += 1,
                Ok(Ended::Known) => tally.duplicates += 1,
                Err(error) if passes(&error) => {
                    sinks.push(sink);
                    passing = Some(error);
                }
                // Patience is for what certainly did not arrive.
                Err(error) if error.code == Code::OUTCOME_UNKNOWN && item.may_repeat() => {
                    sinks.push(sink);
                    passing = Some(Error { code: Code::GENESYS_UNAVAILABLE, ..error });
                }
                Err(error) => failed.push((sink, error)),
            }
        }
        passing.map_or(Ok(()), Err)
    }

    async fn deliver_to(&self, cx: &RequestContext, item: &Item, lease: &Lease, sink: Sink) -> Result<Ended, Error> {
        let Item { event, receives, .. } = item;
        let Some((key, version)) = key::of(event, sink) else { return Ok(Ended::LeftOut) };
        let begun = self.deliveries.begin(cx, &key, version, lease, Timestamp::now()).await;
        let before = match begun.map_err(|error| not_noted(&error))? {
            Begun::Granted { before } => before,
            Begun::Delivered => return Ok(Ended::Known),
            Begun::InProgress => {
                let message = "Another instance is at work on it, or died at it a moment ago.";
                return Err(Error::new(Code::IN_PROGRESS, message));
            }
        };
        // What hangs leaves time for what comes after it, and has the minute in which Genesys Cloud's rate limit passes.
        let delivered = self.sinks.deliver(cx, sink, event, before, *receives);
        let delivered = match tokio::time::timeout(cx.deadline.for_a_call() * 3 / 4, delivered).await {
            Ok(delivered) => delivered,
            Err(_) => Err(took_too_long(sink)),
        };
        match delivered {
            Ok(delivered) => {
                // It is there. Giving it back because the note failed would deliver it twice for certain.
                if let Err(error) = self.deliveries.done(cx, &key, version, lease.owner).await {
                    tracing::warn!(%error, "a delivery was not noted");
                }
                Ok(match delivered {
                    Delivered::Delivered => Ended::Delivered,
                    Delivered::LeftOut(why) => {
                        tracing::debug!(why, "left out");
                        Ended::LeftOut
                    }
                })
            }
            Err(error) => {
                if let Err(error) = self.deliveries.give_up(cx, &key, lease.owner).await {
                    tracing::warn!(%error, "the next try has to wait for the end of this one's lease");
                }
                Err(error)
            }
        }
    }
}

/// A delivery that hangs. Genesys Cloud may have the message.
fn took_too_long(sink: Sink) -> Error {
    let code = match sink {
        Sink::OpenMessaging => Code::OUTCOME_UNKNOWN,
        Sink::EventBus => Code::DELIVERY_FAILED,
    };
    Error::new(code, "A delivery took too long. The notification waits in the queue.")
}

fn note_failure(message_id: &str, receives: u32, error: &Error) {
    let (code, cause) = (error.code.text(), error.cause.as_deref());
    tracing::warn!(message_id, receives, code, error = error.message, cause, "a notification goes back to the queue");
}

fn not_noted(error: &StoreError) -> Error {
    Error::new(Code::STATE_UNAVAILABLE, "The state table could not be used. The notification waits in the queue.")
        .because(error)
}

fn message_of(change: &Change, content: &[u8]) -> Option<ChatMessage> {
    let resource = ResourceName::read(&change.resource).ok()?;
    let (chat, id) = resource.chat_message()?;
    let Some(mut message) = read_json::<ChatMessage>(content) else {
        let (subscription, bytes) = (&change.subscription_id, content.len());
        tracing::error!(subscription, bytes, "a chat's message is no JSON object, and nobody is shown it");
        return None;
    };
    // A content need not repeat what its notification's name says.
    if message.chat_id.is_empty() {
        message.chat_id = chat.to_owned();
    }
    if message.id.is_empty() {
        message.id = id.to_owned();
    }
    Some(message)
}

impl Event {
    /// Which version of the resource it tells of, where versions can be compared: the larger, the younger.
    fn version(&self) -> Option<i64> {
        self.message.as_ref().map(ChatMessage::version)
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.poison += other.poison;
        self.refused += other.refused;
        self.gone += other.gone;
        self.lifecycle += other.lifecycle;
        self.delivered += other.delivered;
        self.left_out += other.left_out;
        self.duplicates += other.duplicates;
        self.worst_lag_ms = self.worst_lag_ms.max(other.worst_lag_ms);
    }
}

impl Figures for Tally {
    fn figures(&self) -> impl Iterator<Item = Figure> {
        let counts = [
            ("notifications", self.notifications),
            ("poison", self.poison),
            ("refused", self.refused),
            ("gone", self.gone),
            ("lifecycle", self.lifecycle),
            ("delivered", self.delivered),
            ("leftOut", self.left_out),
            ("duplicates", self.duplicates),
            ("failed", self.failed),
        ];
        let lag = (self.delivered > 0).then_some(Figure::Milliseconds("worstLagMs", self.worst_lag_ms));
        counts.into_iter().map(|(name, count)| Figure::Count(name, count)).chain(lag)
    }
}

#[cfg(test)]
mod tests;
