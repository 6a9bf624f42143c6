//! A record for each user: the presence that the newest event asks for, the one that was sent last, and the time of the
//! next attempt. The records keep the order of events across batches and instances, and are the backlog of what is to
//! be sent.
//!
//! A queue delivers events twice and out of order, and two instances may work on one user at once. So each event takes
//! two writes, one before its presence is sent and one after:
//!
//! 1. [`advance`](LastPresences::advance) writes the presence, unless an event of the same time or a later one was noted
//!    before, and gives the user a [`Turn`]: the record is then in the backlog.
//! 2. The presence is sent, when the turn has come.
//! 3. [`settle`](LastPresences::settle) writes what was sent and the next turn, unless a later event was noted meanwhile. Then
//!    the older presence may have reached Teams after the newer one, so the newer one is sent once more.
//!
//! The instance that is the last to send therefore checks after sending that it has sent the newest presence.
//!
//! The backlog is an index over the turns. It follows the records with a delay and may show a turn that is over, so the
//! record is read before anything is sent.

mod dynamo;
mod memory;

use std::future::Future;

use jiff::Timestamp;
use uuid::Uuid;

pub use dynamo::DynamoLastPresences;
pub use memory::MemoryLastPresences;

use super::StoreError;
use crate::http::RequestContext;

/// The presence that follows from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPresence {
    /// When the presence changed in Genesys Cloud.
    pub modified: Timestamp,
    /// The target that Teams is to show, in the words of the use case.
    pub target: String,
    /// Whether the user takes conversations or logs off with it.
    pub urgent: bool,
}

/// The presence that Graph took last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPresence {
    /// The target that Teams was told to show.
    pub target: String,
    /// The mode of Graph's actions that set it, in the words of the use case; `None` when it is not known.
    pub mode: Option<String>,
    /// When it expires unless it is renewed.
    pub until: Timestamp,
}

/// The Teams user that a Genesys Cloud user is linked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TeamsLink {
    /// The Entra object id; `None` when Genesys Cloud has none.
    pub teams_user: Option<Uuid>,
    /// When Genesys Cloud gave the link.
    pub since: Timestamp,
}

/// The reason of a turn, the most pressing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A presence is to be sent, and the user begins or stops to take conversations.
    Urgent,
    /// Another presence is to be sent.
    Change,
    /// A presence is to be sent, and the user's link to Teams is to be looked up first.
    Unlinked,
    /// The presence that was sent has lived half of its life, and is to be sent again.
    Renewal,
}

/// The time from which on a user's presence is to be worked on, and the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The reason, which tells the kind of work.
    pub reason: Reason,
    /// Not before this time; within a reason, the earliest comes first.
    pub at: Timestamp,
}

/// The next turn of a user, and what was noted for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnPlan {
    /// The turn; `None` when nothing is to be done until the next event.
    pub turn: Option<Turn>,
    /// Failed attempts to send in a row.
    pub tries: u32,
    /// When an event last said that the user has this presence.
    pub seen: Timestamp,
}

/// The record of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPresence {
    /// The presence that follows from the newest event.
    pub wanted: WantedPresence,
    /// The presence that Graph took last, if it took any.
    pub sent: Option<SentPresence>,
    /// The link to the Teams user, if it was looked up or loaded.
    pub link: Option<TeamsLink>,
    /// The next turn of the user, with what was noted for it.
    pub plan: TurnPlan,
}

impl LastPresence {
    /// Whether the presence that was sent is the wanted one, and no other may be on its way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let waits = self.plan.turn.is_some_and(|turn| turn.reason != Reason::Renewal);
        !waits && self.sent.as_ref().is_some_and(|sent| sent.target == self.wanted.target)
    }
}

/// The answer to an event: whether it is the newest of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advanced {
    /// It is the newest and was noted; with the record as it was before.
    Newest(Option<LastPresence>),
    /// An event of the same time or a later one was noted before; with the record.
    Known(LastPresence),
}

/// The answer to a presence that was sent: whether a newer one is wanted by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// No newer event is known.
    Done,
    /// A later event was noted meanwhile; with the record as it is now.
    Overtaken(LastPresence),
}

/// How far the links of the org were loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkReading {
    /// The place of the next user in Genesys Cloud's list; the first is 1.
    pub next: usize,
    /// When the next page is to be loaded.
    pub at: Timestamp,
}

/// The turns that an index over the records gave for a reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueTurns {
    /// The users with the times of their turns, the earliest first. Some turns may be over already.
    pub turns: Vec<(Timestamp, Uuid)>,
    /// Whether the index has more turns than were asked for.
    pub cut_off: bool,
}

/// The answer to an instance that asks for the lease of the sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// The instance holds the lease. `unseen` says whether the backlog may hold turns that the holder does not know:
    /// another instance has left word since the holder last asked, or the holder before did not empty the backlog.
    Held {
        /// Whether the index must be asked for turns.
        unseen: bool,
    },
    /// No instance may take the lease before this time.
    Taken {
        /// The instance that holds the lease; `None` when only Graph's budget makes the instances wait.
        by: Option<Uuid>,
        /// When the lease expires unless it is renewed.
        until: Timestamp,
    },
}

/// The records of last presences, and the index over their turns.
pub trait LastPresences: Send + Sync {
    /// Notes the presence of an event, and the turn of its user.
    fn advance(
        &self,
        cx: &RequestContext,
        user: Uuid,
        wanted: &WantedPresence,
        turn: Option<Turn>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Advanced, StoreError>> + Send;

    /// Replaces the plan for the event of this time; changes nothing when a later event is known.
    fn plan(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        plan: &TurnPlan,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes the presence that was sent for the event of this time, and the next turn.
    fn settle(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        sent: &SentPresence,
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

    /// The records of these users as they are now, in no order. Users without a record are left out.
    fn read(
        &self,
        cx: &RequestContext,
        users: &[Uuid],
    ) -> impl Future<Output = Result<Vec<(Uuid, LastPresence)>, StoreError>> + Send;
}

/// The links from Genesys Cloud users to Teams users, kept in the users' records.
pub trait LinkTable: Send + Sync {
    /// Keeps a link, even that of a user who never had an event.
    fn link(
        &self,
        cx: &RequestContext,
        user: Uuid,
        link: &TeamsLink,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How far the links of the org have been read; `None` when reading was never begun.
    fn reading(&self, cx: &RequestContext) -> impl Future<Output = Result<Option<LinkReading>, StoreError>> + Send;

    /// Notes how far the links have been read.
    fn keep_reading(
        &self,
        cx: &RequestContext,
        reading: &LinkReading,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The lease by which one instance at a time sends.
///
/// A turn that is noted while another instance sends must not be overlooked, and the sender must not have to ask the
/// index after every batch. So an instance that does not get the lease leaves word in it, and a holder can only return
/// the lease as emptied when no word was left.
pub trait SenderLease: Send + Sync {
    /// Takes the lease for this instance until a time, or renews it.
    fn lease(
        &self,
        cx: &RequestContext,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<LeaseAnswer, StoreError>> + Send;

    /// Tells the holder that [`LeaseAnswer::Taken`] named that turns were noted. `false` when the lease has another
    /// holder by now, so that it must be asked for again.
    fn leave_word(
        &self,
        cx: &RequestContext,
        holder: Option<Uuid>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns the lease, which no instance gets before the time. `false`, with the lease still held, when the holder
    /// says that it has emptied the backlog and word was left meanwhile.
    fn give_back(
        &self,
        cx: &RequestContext,
        holder: Uuid,
        until: Timestamp,
        emptied: bool,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
