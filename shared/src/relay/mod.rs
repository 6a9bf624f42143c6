//! In order, once, with patience: from the messages of a FIFO queue to the sinks, for events of any kind.
//!
//! The queue hands out the messages of a group (a chat, a mailbox) one batch after the other, and the relay keeps their
//! order: a group's messages are opened one by one, then delivered one by one, oldest first. Groups are served side by
//! side. A message that cannot be delivered ends in one of two ways:
//!
//! - **It waits**, with all later ones of its group: an outage, a throttle, an expired credential, a missing permission.
//!   The group is hidden in the queue for a pause that grows, so that an outage of days uses up few of the queue's
//!   receives.
//! - **It is set aside**: it can never be delivered (a remote refused it for its content, or it cannot be read). It goes
//!   to the dead-letter queue at once and alone, and its group goes on.
//!
//! This file has the parts of a relay; [`run`] serves one group, [`delivery`] delivers one event to one sink,
//! [`verdict`] tells an outage from poison, [`patience`] has the pauses, and [`back`] is the queue that messages return
//! to.

pub mod back;
mod delivery;
pub mod patience;
mod run;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use self::back::Back;
use self::run::GroupRun;
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::queue::Message;
use crate::store::RecordKey;
use crate::store::deliveries::Deliveries;

/// The most groups that are served at the same time. Within a group it is one message after the other, because Graph
/// lets an app read a chat once a second.
const GROUPS_AT_ONCE: usize = 8;

/// The least time that opening or delivering may take. With less time left, the rest of a group returns to the queue.
pub(crate) const LEAST_TIME_TO_SERVE: Duration = Duration::from_secs(3);

/// How many times the queue hands out a message before it moves the message to its dead-letter queue by itself, as the
/// template says. With the pauses of [`patience`], an outage uses them up in ten days.
pub const MAX_RECEIVES: u32 = 1000;

/// How many others have to be opened in a row, without one failure, before a message that cannot be opened for hours is taken
/// for the cause.
const OTHERS_OPENED: usize = 20;

/// After how many refusals in a row, with nothing that got through, they are no longer taken for the messages' fault.
const REFUSED_IN_A_ROW: usize = 20;

/// How many times in all a message may be sent to a sink whose answers get lost. In the worst case the message arrives
/// that many times: when the sink takes it each time, never answers, and does not recognise the repetition. After that
/// it is set aside.
pub(crate) const MAX_POSTS: u32 = 6;

/// An event, as it is delivered.
pub trait Event: Send + Sync {
    /// The version, which puts the events of a group in order: a newer one is larger. An event without one stays behind
    /// those that came before it.
    fn version(&self) -> Option<i64>;

    /// When the bridge was notified of it.
    fn received_at(&self) -> Timestamp;
}

/// The outcome of opening a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Opened<E> {
    /// The message holds an event to deliver.
    Event(E),
    /// The message is not genuine, for this reason. It is set aside.
    Refused(&'static str),
}

/// A source of events: reads and opens the messages of a queue.
pub trait Source: Send + Sync {
    /// The message's content before it is opened.
    type Notice: Send + Sync;
    /// The event that it is opened to.
    type Event: Event;

    /// Reads the body of a message. `None` when it holds nothing to deliver.
    ///
    /// # Errors
    /// The reason for which the body cannot be read, for the log; the message is set aside. It has no part of the
    /// content.
    fn read(&self, cx: &RequestContext, body: &str) -> Result<Option<Self::Notice>, String>;

    /// Whether opening makes a call, so that it is worth a look whether the event was delivered before.
    fn costs_a_call(&self, notice: &Self::Notice) -> bool;

    /// Called in place of [`Self::open`] when every sink has had the event.
    fn known(&self, cx: &RequestContext, notice: &Self::Notice) -> impl Future<Output = ()> + Send;

    /// Opens a message to its event.
    ///
    /// # Errors
    /// When it cannot be opened now.
    fn open(
        &self,
        cx: &RequestContext,
        notice: &Self::Notice,
    ) -> impl Future<Output = Result<Opened<Self::Event>, Error>> + Send;
}

/// The key of an event, as far as the message tells it before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAhead {
    /// The key, and a version that is not smaller than the event's own.
    Key(RecordKey, i64),
    /// The sink takes no events of this kind.
    NotForIt,
    /// The key is only known after opening.
    AfterOpening,
}

/// How a delivery that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The sink has the event.
    Delivered,
    /// The event is not for this sink, for this reason.
    LeftOut(&'static str),
}

/// The earlier tries of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The version of the resource that was delivered before, if any was.
    pub before: Option<i64>,
    /// How many times the queue has handed out the message, this time included.
    pub receives: u32,
    /// How many tries the sink may have taken, because no answer came or the process died.
    pub doubts: u32,
    /// How many tries of this delivery there were before, however they ended.
    pub tries: u32,
}

/// The sinks of a deployment: the places that events are delivered to.
pub trait Sinks: Send + Sync {
    /// The message's content before it is opened.
    type Notice: Send + Sync;
    /// The event that is delivered.
    type Event: Event;
    /// The name of one sink.
    type Sink: Copy + Eq + Debug + Send + Sync;

    /// The sinks that are configured.
    fn all(&self) -> impl Iterator<Item = Self::Sink> + Send;

    /// The key and version by which the delivery of an event is remembered; `None` when the event is not for the sink.
    /// A repetition has the same key, and a version that is not larger.
    fn key(&self, sink: Self::Sink, event: &Self::Event) -> Option<(RecordKey, i64)>;

    /// The same, as far as it is known before the message is opened.
    fn key_ahead(&self, sink: Self::Sink, notice: &Self::Notice) -> KeyAhead;

    /// Delivers an event to a sink.
    ///
    /// # Errors
    /// When the event was not delivered; [`Code::OUTCOME_UNKNOWN`] when that cannot be told.
    fn deliver(
        &self,
        cx: &RequestContext,
        sink: Self::Sink,
        event: &Self::Event,
        attempt: Attempt,
    ) -> impl Future<Output = Result<Delivered, Error>> + Send;

    /// The code for a delivery that hangs: [`Code::OUTCOME_UNKNOWN`] where the sink may have taken the event.
    fn hung(&self, sink: Self::Sink) -> Code;
}

/// The figures of a batch: how many messages were delivered, set aside or left waiting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryTally {
    /// The messages of the batch.
    pub messages: usize,
    /// Set aside because they could not be read.
    pub unreadable: usize,
    /// Set aside because they are not genuine.
    pub refused: usize,
    /// Set aside because a sink or the source refused them, or they failed while others were delivered.
    pub rejected: usize,
    /// Had no event to deliver.
    pub nothing_to_deliver: usize,
    /// Delivered to a sink; a message counts once for each sink.
    pub delivered: usize,
    /// Left out, because they are not for a sink; a message counts once for each sink.
    pub left_out: usize,
    /// Left out, because the sink had the event before.
    pub duplicates: usize,
    /// Left waiting in the queue.
    pub failed: usize,
    /// Failed because a credential was refused or could not be read.
    pub lack_credential: usize,
    /// Failed because a permission is missing or a setting is wrong.
    pub lack_permission: usize,
    /// The longest time from the notification to the delivery, in milliseconds.
    pub worst_lag_ms: i64,
}

/// A relay from one queue to the sinks.
#[derive(Debug)]
pub struct Relay<S, D, K: Sinks, B> {
    source: S,
    deliveries: D,
    sinks: K,
    back: B,
    streaks: Streaks,
}

impl<S, D, K: Sinks, B> Relay<S, D, K, B> {
    /// A relay that opens messages with `source`, remembers in `deliveries` what was delivered to `sinks`, and returns
    /// messages to the queue behind `back`.
    #[must_use]
    pub fn new(source: S, deliveries: D, sinks: K, back: B) -> Self {
        Self { source, deliveries, sinks, back, streaks: Streaks::default() }
    }

    /// The source, which opens messages.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The sinks that events are delivered to.
    pub fn sinks(&self) -> &K {
        &self.sinks
    }
}

impl<S, D, K, B> Relay<S, D, K, B>
where
    S: Source,
    D: Deliveries,
    K: Sinks<Notice = S::Notice, Event = S::Event>,
    B: Back,
{
    /// Serves a batch. Returns the ids of the messages that wait in the queue, and the figures.
    pub async fn serve(&self, cx: &RequestContext, messages: Vec<Message>) -> (Vec<String>, DeliveryTally) {
        let mut tally = DeliveryTally { messages: messages.len(), ..DeliveryTally::default() };
        let mut groups: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for message in messages {
            groups.entry(message.group.clone()).or_default().push(message);
        }
        let mut served = stream::iter(groups.into_values())
            .map(|messages| self.serve_group(cx, messages))
            .buffer_unordered(GROUPS_AT_ONCE);
        let mut waiting = Vec::new();
        while let Some((ids, noted)) = served.next().await {
            tally.add(&noted);
            waiting.extend(ids);
        }
        tally.failed = waiting.len();
        (waiting, tally)
    }

    /// Serves one group. A panic outside of opening and delivering makes this group wait, and no other.
    async fn serve_group(&self, cx: &RequestContext, messages: Vec<Message>) -> (Vec<String>, DeliveryTally) {
        let ids = messages.iter().map(|message| message.id.clone()).collect();
        let served = AssertUnwindSafe(GroupRun::new(self, cx).serve(messages)).catch_unwind();
        served.await.unwrap_or_else(|_panic| {
            tracing::error!("the bridge has a bug: serving a group panicked, so the group waits in the queue");
            (ids, DeliveryTally::default())
        })
    }
}

impl DeliveryTally {
    fn add(&mut self, other: &Self) {
        self.unreadable += other.unreadable;
        self.refused += other.refused;
        self.rejected += other.rejected;
        self.nothing_to_deliver += other.nothing_to_deliver;
        self.delivered += other.delivered;
        self.left_out += other.left_out;
        self.duplicates += other.duplicates;
        self.lack_credential += other.lack_credential;
        self.lack_permission += other.lack_permission;
        self.worst_lag_ms = self.worst_lag_ms.max(other.worst_lag_ms);
    }
}

/// What this process has seen in a row.
#[derive(Debug, Default)]
struct Streaks {
    /// Messages that were opened by a call, since one could not be opened.
    opened: AtomicUsize,
    /// Messages that a remote refused for what they are, since one got through.
    refused: AtomicUsize,
}

impl Streaks {
    /// A message was delivered.
    fn got_through(&self) {
        self.refused.store(0, Ordering::Relaxed);
    }

    /// A message was opened by a call, or could not be opened by it.
    fn opened(&self, succeeded: bool) {
        if succeeded {
            self.opened.fetch_add(1, Ordering::Relaxed);
        } else {
            self.opened.store(0, Ordering::Relaxed);
        }
    }

    /// Whether what opens messages works for all others.
    fn opens_others(&self) -> bool {
        self.opened.load(Ordering::Relaxed) >= OTHERS_OPENED
    }

    /// Notes that a message was refused for what it is. `false` when so many were in a row that it is not the messages.
    fn is_the_messages_fault(&self) -> bool {
        self.refused.fetch_add(1, Ordering::Relaxed) < REFUSED_IN_A_ROW
    }
}
