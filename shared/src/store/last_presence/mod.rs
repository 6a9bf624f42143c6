//! What was last wanted of a user's presence, and what was last sent: the order of events across batches and instances.
//!
//! Queues hand events out twice and out of order, and two instances may work on one user at once. So every event goes
//! through two writes around what is sent:
//!
//! 1. [`advance`](LastPresences::advance) writes what the event wants, unless an event of the same time or a later one
//!    was there before.
//! 2. The presence is sent.
//! 3. [`settle`](LastPresences::settle) writes what was sent, unless a later event came meanwhile. Then what was sent may
//!    have reached Teams after that event's own, so whoever finds itself overtaken sends the later one's once more.
//!
//! Whoever sends last has therefore looked after sending, and found that it had sent the newest.

mod dynamo;
mod memory;

use std::future::Future;

use jiff::Timestamp;
use uuid::Uuid;

pub use dynamo::DynamoLastPresences;
pub use memory::MemoryLastPresences;

use super::StoreError;
use crate::http::RequestContext;
use crate::presence::Target;

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
    /// Until when it lasts without being renewed.
    pub until: Timestamp,
    /// To whom.
    pub teams_user: Uuid,
    /// Since when the Teams user is known under the Genesys Cloud user's external id.
    pub linked: Timestamp,
}

/// All that is known of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPresence {
    /// What the newest event wants.
    pub wanted: Wanted,
    /// What was sent last, if anything was.
    pub sent: Option<Sent>,
}

impl LastPresence {
    /// Whether what was sent is what is wanted.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.target == self.wanted.target)
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
    /// A later event came meanwhile; what it wants.
    Overtaken(Wanted),
}

/// Where it is kept.
pub trait LastPresences: Send + Sync {
    /// Notes what an event wants.
    fn advance(
        &self,
        cx: &RequestContext,
        user: Uuid,
        wanted: &Wanted,
    ) -> impl Future<Output = Result<Advanced, StoreError>> + Send;

    /// Users whose presence, sent and still wanted, ends before a time, and whose last event came after another; not those
    /// who were cleared. At most so many, no particular ones.
    fn ending(
        &self,
        cx: &RequestContext,
        before: Timestamp,
        event_after: Timestamp,
        most: usize,
    ) -> impl Future<Output = Result<Vec<(Uuid, LastPresence)>, StoreError>> + Send;

    /// Notes what was sent for the event of this time.
    fn settle(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        sent: &Sent,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;
}
