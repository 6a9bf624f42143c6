//! What was last wanted of a user's presence, what was last sent, and when the user is looked at next: the order of events
//! across batches and instances, and the backlog of what is still to be sent.
//!
//! Queues hand events out twice and out of order, and two instances may work on one user at once. So every event goes
//! through two writes around what is sent:
//!
//! 1. [`advance`](LastPresences::advance) writes what the event wants, unless an event of the same time or a later one
//!    was there before, and gives the user a [`Turn`]: the record is then in the backlog.
//! 2. The presence is sent, when the turn has come.
//! 3. [`settle`](LastPresences::settle) writes what was sent and the next turn, unless a later event came meanwhile. Then
//!    what was sent may have reached Teams after that event's own, so the later one is sent once more.
//!
//! The sender that ends last has therefore looked after sending, and found that it had sent the newest.
//!
//! The backlog is an index over the turns. It may show a turn that is over, because it follows the records with a delay;
//! the record itself says whether it is due, and is read before anything is sent.

mod dynamo;
mod memory;

use std::future::Future;

use jiff::Timestamp;
use uuid::Uuid;

pub use dynamo::DynamoLastPresences;
pub use memory::MemoryLastPresences;

use super::StoreError;
use crate::http::RequestContext;
use crate::presence::{PresenceMode, Target};

/// What an event wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// When the presence changed in Genesys Cloud.
    pub modified: Timestamp,
    /// What Teams is to show, as [`crate::presence::Target`] is written.
    pub target: String,
    /// Whether the user takes conversations or logs off with it.
    pub urgent: bool,
}

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What Teams was told to show.
    pub target: String,
    /// By which of Graph's actions; nothing, when a version before this one sent it.
    pub mode: Option<PresenceMode>,
    /// Until when it lasts without being renewed.
    pub until: Timestamp,
}

/// Who a Genesys Cloud user is in Teams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The Entra object id; nothing, when Genesys Cloud has none.
    pub teams_user: Option<Uuid>,
    /// When Genesys Cloud said so.
    pub since: Timestamp,
}

/// Why a user has a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A presence is to be sent that somebody waits for: the user takes conversations, or stops to.
    Urgent,
    /// Another presence is to be sent.
    Change,
    /// A presence is to be sent, and nobody knows who the user is in Teams.
    Unlinked,
    /// What was sent has lived half of its life.
    Renewal,
}

/// When a user is looked at next, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Why.
    pub reason: Reason,
    /// Not before this time; within a reason, the earliest comes first.
    pub at: Timestamp,
}

/// Another turn for a user about whom no newer event is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The turn; without one, the user is not looked at until the next event.
    pub turn: Option<Turn>,
    /// How often in a row the sending has failed.
    pub tries: u32,
    /// Since when nobody has said that the user still is what was sent.
    pub seen: Timestamp,
}

/// All that is known of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPresence {
    /// What the newest event wants.
    pub wanted: Wanted,
    /// What was sent last, if anything was.
    pub sent: Option<Sent>,
    /// Who the user is in Teams, as far as it was looked up.
    pub link: Option<Link>,
    /// What is planned.
    pub plan: Plan,
}

impl LastPresence {
    /// Whether what was sent is what is wanted, and nothing else may be on its way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let waits = self.plan.turn.is_some_and(|turn| turn.reason != Reason::Renewal);
        !waits && self.sent.as_ref().is_some_and(|sent| sent.target == self.wanted.target)
    }

    /// Whether it is a presence that was sent, not its end.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.is_settled() && [Target::Clear, Target::Leave].iter().all(|none| self.wanted.target != none.to_string())
    }
}

/// How an event was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advanced {
    /// It is the newest; what was known before it.
    Newest(Option<LastPresence>),
    /// An event of the same time or a later one had come before.
    Known(LastPresence),
}

/// How the end of a sending was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Nothing newer is known.
    Done,
    /// A later event came meanwhile; all that is known now.
    Overtaken(LastPresence),
}

/// How far the links of the org have been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The user that comes next; the first is 1.
    pub next: usize,
    /// When to go on.
    pub at: Timestamp,
}

/// The turns that an index over the records gave for a reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueTurns {
    /// Since when it is whose turn, the earliest first. Some of them may have had it already.
    pub turns: Vec<(Timestamp, Uuid)>,
    /// Whether there were more than were asked for.
    pub cut_off: bool,
}

/// How an instance's wish to be the one that sends was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// The instance holds the lease. `unseen` says whether the backlog may hold turns that the holder has not been told
    /// of: another instance has left word since the holder asked last, or the holder before this one did not end with an
    /// empty backlog.
    Held {
        /// Whether the index is to be asked.
        unseen: bool,
    },
    /// Nobody may send before this time.
    Taken {
        /// The instance that sends; without one, Graph's budget alone makes everybody wait.
        by: Option<Uuid>,
        /// When the lease ends unless it is renewed.
        until: Timestamp,
    },
}

/// The records of last presences, and the index over their turns.
pub trait LastPresences: Send + Sync {
    /// Notes at this time what an event wants, and when it is its turn.
    fn advance(
        &self,
        cx: &RequestContext,
        user: Uuid,
        wanted: &Wanted,
        turn: Option<Turn>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Advanced, StoreError>> + Send;

    /// Plans anew for the event of this time; changes nothing when a later one is known.
    fn plan(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        plan: &Plan,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes what was sent for the event of this time, and the next turn.
    fn settle(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        sent: &Sent,
        next: Option<Turn>,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// Users whose turn has come for this reason at this time. An index in several parts gives at most `most` of each.
    fn due(
        &self,
        cx: &RequestContext,
        reason: Reason,
        now: Timestamp,
        most: usize,
    ) -> impl Future<Output = Result<DueTurns, StoreError>> + Send;

    /// All that is known of these users just now, in no order; those who are unknown are left out.
    fn read(
        &self,
        cx: &RequestContext,
        users: &[Uuid],
    ) -> impl Future<Output = Result<Vec<(Uuid, LastPresence)>, StoreError>> + Send;
}

/// The links from Genesys Cloud users to Teams users, kept in the users' records.
pub trait TeamsLinks: Send + Sync {
    /// Keeps a link, also of a user who never had an event.
    fn link(&self, cx: &RequestContext, user: Uuid, link: &Link)
    -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How far the links of the org have been read; nothing, when that was never begun.
    fn reading(&self, cx: &RequestContext) -> impl Future<Output = Result<Option<Reading>, StoreError>> + Send;

    /// Notes how far the links have been read.
    fn keep_reading(
        &self,
        cx: &RequestContext,
        reading: &Reading,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The lease by which one instance at a time sends.
///
/// A turn that is noted while another instance sends must not be overlooked, and the sender must not have to ask the index
/// after every batch. So an instance that does not get the lease leaves word in it, and the lease can only be given back
/// as emptied while no word was left.
pub trait SenderLease: Send + Sync {
    /// Makes this instance the one that sends, until a time, or renews its lease.
    fn lease(
        &self,
        cx: &RequestContext,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<LeaseAnswer, StoreError>> + Send;

    /// Tells the holder, as [`LeaseAnswer::Taken`] named it, that turns were noted. `false` when it is not the holder any
    /// more: the lease is to be asked for again.
    fn leave_word(
        &self,
        cx: &RequestContext,
        holder: Option<Uuid>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Gives the lease back; nobody gets it before the time. `false`, with the lease still held, when the holder means to
    /// have emptied the backlog and word of more was left meanwhile.
    fn give_back(
        &self,
        cx: &RequestContext,
        holder: Uuid,
        until: Timestamp,
        emptied: bool,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
