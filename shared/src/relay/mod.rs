//! In order, once, patiently: from the messages of a FIFO queue to the sinks, for any kind of event.
//!
//! The queue hands out the messages of a group (a chat, a mailbox) one batch after the other, and the relay keeps their
//! order: a group's messages are opened one by one, then delivered one by one, oldest first. Groups are served side by side.
//! A message that cannot be delivered ends in one of two ways:
//!
//! - **It waits**, and all of its group that comes after it: an outage, a throttle, an expired credential, a missing permission.
//!   The group is hidden in the queue for a pause that grows, so that an outage of days uses up few of the queue's receives.
//! - **It is set aside**: it can never be delivered (a remote refused it for what it is, nobody can read it), so it goes to
//!   the dead-letter queue at once and alone, and its group goes on.
//!
//! Here is what a relay is made of; [`run`] serves one group, [`delivery`] delivers one event to one sink, [`verdict`] tells
//! an outage from poison, [`patience`] has the pauses and [`back`] is the queue that messages go back to.

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
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::time::Instant;

use self::back::Back;
use self::run::Run;
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::queue::Message;
use crate::store::RecordKey;
use crate::store::deliveries::Deliveries;

/// Groups served at once. Within a group nothing is: Graph lets an app read a chat once a second.
const GROUPS_AT_ONCE: usize = 8;

/// What opening or delivering may take at least. With less time left, the rest of a group goes back to the queue.
pub(crate) const LEAST_TIME: Duration = Duration::from_secs(3);

/// How often the queue hands a message out before it moves it to its dead-letter queue by itself, as the template says. With
/// the pauses of [`patience`], an outage uses this up in ten days.
pub const MAX_RECEIVES: u32 = 1000;

/// How often a message may be sent to a sink whose answers get lost, in all. It is there so many times when the sink takes it
/// each time, never says so, and does not know it again. After that it is set aside.
pub const MAX_POSTS: u32 = 6;

/// Something that happened, as it is delivered.
pub trait Event: Send + Sync {
    /// By which the events of a group are put in order: the larger, the younger. An event without one stays behind what came
    /// before it.
    fn version(&self) -> Option<i64>;

    /// When the bridge was told of it.
    fn received_at(&self) -> Timestamp;
}

/// What a message of the queue turned out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Opened<E> {
    /// An event to deliver.
    Event(E),
    /// It is not to be believed, and why. It is set aside.
    Refused(&'static str),
}

/// Opens the messages of a queue.
pub trait Source: Send + Sync {
    /// What a message says before it is opened.
    type Notice: Send + Sync;
    /// What it becomes.
    type Event: Event;

    /// Reads a message's body: `None` when there is nothing to deliver.
    ///
    /// # Errors
    /// Why it cannot be read, for the log; it is set aside. No part of what somebody wrote.
    fn read(&self, cx: &RequestContext, body: &str) -> Result<Option<Self::Notice>, String>;

    /// Whether opening it makes a call, so that it is worth a look whether its event was delivered before.
    fn costs_a_call(&self, notice: &Self::Notice) -> bool;

    /// Hears that nothing is opened, because each sink has had the event.
    fn known(&self, cx: &RequestContext, notice: &Self::Notice) -> impl Future<Output = ()> + Send;

    /// Opens it.
    ///
    /// # Errors
    /// When it cannot be opened now.
    fn open(
        &self,
        cx: &RequestContext,
        notice: &Self::Notice,
    ) -> impl Future<Output = Result<Opened<Self::Event>, Error>> + Send;
}

/// What a notice tells of the key of its event, before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAhead {
    /// The key, and a version that is not smaller than the event's own.
    Key(RecordKey, i64),
    /// The sink takes nothing of the kind.
    NotForIt,
    /// Only the opened event tells.
    AfterOpening,
}

/// How a delivery ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// It is there.
    Delivered,
    /// It is not for this sink, and why.
    LeftOut(&'static str),
}

/// What was tried before of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The version of the event that was delivered before, if one was.
    pub before: Option<i64>,
    /// How often the queue has handed the message out, this time included.
    pub receives: u32,
    /// How many tries the sink may have taken, because no answer to them came or a process died at them.
    pub doubts: u32,
}

/// Where events go.
pub trait Sinks: Send + Sync {
    /// What a message says before it is opened.
    type Notice: Send + Sync;
    /// What is delivered.
    type Event: Event;
    /// One of the sinks.
    type Sink: Copy + Eq + Debug + Send + Sync;

    /// The sinks that there are.
    fn all(&self) -> impl Iterator<Item = Self::Sink> + Send;

    /// Under which key and version the delivery of an event is remembered; `None` when it is not for the sink. What is told
    /// twice has the same key, and a version that is not larger.
    fn key(&self, sink: Self::Sink, event: &Self::Event) -> Option<(RecordKey, i64)>;

    /// The same, as far as the notice tells.
    fn key_ahead(&self, sink: Self::Sink, notice: &Self::Notice) -> KeyAhead;

    /// Delivers an event.
    ///
    /// # Errors
    /// When it was not delivered, or with [`Code::OUTCOME_UNKNOWN`] when nobody knows.
    fn deliver(
        &self,
        cx: &RequestContext,
        sink: Self::Sink,
        event: &Self::Event,
        attempt: Attempt,
    ) -> impl Future<Output = Result<Delivered, Error>> + Send;

    /// What a delivery that hangs amounts to: [`Code::OUTCOME_UNKNOWN`] where the sink may have taken the event.
    fn hung(&self, sink: Self::Sink) -> Code;
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryTally {
    /// Messages of the queue.
    pub messages: usize,
    /// Could not be read: set aside.
    pub unreadable: usize,
    /// Not to be believed: set aside.
    pub refused: usize,
    /// Refused by a sink or by what would open it, or failed while others got through: set aside.
    pub rejected: usize,
    /// Had nothing to deliver.
    pub nothing_to_deliver: usize,
    /// Delivered to a sink.
    pub delivered: usize,
    /// Not for a sink.
    pub left_out: usize,
    /// Had been delivered before.
    pub duplicates: usize,
    /// Wait in the queue.
    pub failed: usize,
    /// Failed because a credential was refused or could not be read.
    pub lack_credential: usize,
    /// Failed because a permission is missing or a setting is wrong.
    pub lack_permission: usize,
    /// From the bridge's being told to the delivery, the longest, in milliseconds.
    pub worst_lag_ms: i64,
}

/// From one queue to the sinks.
#[derive(Debug)]
pub struct Relay<S, D, K: Sinks, B> {
    source: S,
    deliveries: D,
    sinks: K,
    back: B,
    served: Served<K::Sink>,
}

impl<S, D, K: Sinks, B> Relay<S, D, K, B> {
    /// Opens with `source`, remembers in `deliveries` what was delivered to `sinks`, and gives back to the queue behind `back`.
    #[must_use]
    pub fn new(source: S, deliveries: D, sinks: K, back: B) -> Self {
        Self { source, deliveries, sinks, back, served: Served::default() }
    }

    /// What opens messages.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Where events go.
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
    /// Serves a batch. Gives the ids of the messages that wait in the queue, and what became of all.
    pub async fn serve(&self, cx: &RequestContext, messages: Vec<Message>) -> (Vec<String>, DeliveryTally) {
        let mut tally = DeliveryTally { messages: messages.len(), ..DeliveryTally::default() };
        let mut groups: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for message in messages {
            groups.entry(message.group.clone()).or_default().push(message);
        }
        let mut served = stream::iter(groups.into_values())
            .map(|messages| Run::new(self, cx).serve(messages))
            .buffer_unordered(GROUPS_AT_ONCE);
        let mut waiting = Vec::new();
        while let Some((ids, noted)) = served.next().await {
            tally.add(&noted);
            waiting.extend(ids);
        }
        tally.failed = waiting.len();
        (waiting, tally)
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

/// Where something worked last in this process: `None` stands for opening.
#[derive(Debug)]
struct Served<K>(Mutex<Vec<(Option<K>, Instant)>>);

impl<K> Default for Served<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq> Served<K> {
    fn all(&self) -> MutexGuard<'_, Vec<(Option<K>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has worked.
    fn note(&self, place: Option<K>) {
        let mut all = self.all();
        all.retain(|(known, _)| *known != place);
        all.push((place, Instant::now()));
    }

    /// Whether it has worked since then.
    fn since(&self, place: Option<K>, then: Option<Instant>) -> bool {
        self.all().iter().any(|(known, at)| *known == place && then.is_none_or(|then| *at >= then))
    }
}
