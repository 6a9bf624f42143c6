//! The bridge's own notes about subscriptions, beside what Graph itself reports.
//!
//! There are two kinds of notes, each of which its writer can write without reading:
//!
//! - by resource, what the keeper of the subscriptions has done about it ([`KeptSubscription`]) and how far its changes have been
//!   listed ([`Progress`]);
//! - by subscription, when its last notification came, which the worker behind the webhook notes.

mod dynamo;
mod memory;

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

pub use dynamo::DynamoSubscriptionNotes;
pub use memory::MemorySubscriptionNotes;

use super::StoreError;
use crate::http::RequestContext;

/// The shortest time between two notes that a subscription was heard of.
pub(crate) const HEARD_AT_MOST_EVERY: Duration = Duration::from_secs(60);

/// What the keeper has done about a resource. It is written before a subscription is created, without its id, and again
/// when the subscription exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSubscription {
    /// Graph's id of the subscription; empty while it is being created.
    pub subscription_id: String,
    /// A fingerprint of the client state that it was created with, which Graph does not return.
    pub client_state: String,
    /// The id of the certificate that it was last given; empty where it has none.
    pub certificate_id: String,
    /// When the first try to create it began. Changes since then must be notified of.
    pub begun: Timestamp,
    /// When it was created.
    pub made: Option<Timestamp>,
    /// How long Graph let it live when it was last created or renewed.
    pub granted: Duration,
    /// When it was last renewed.
    pub renewed: Option<Timestamp>,
}

/// How far the changes of a resource have been listed. A listing that has begun goes on across invocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// A number that each write increases, so that only one of two invocations goes on from the same point.
    pub version: u64,
    /// All changes before this time are on the queue.
    pub closed_until: Timestamp,
    /// The end of the next listing's time window, where later changes are left to another one.
    pub until: Option<Timestamp>,
    /// The beginning of the gap, where a listing goes on window by window: resources created since then count as new.
    pub since: Option<Timestamp>,
    /// When the listing that is under way began.
    pub under_way: Option<Timestamp>,
    /// The link where the next listing begins, or this one goes on. Opaque.
    pub link: Option<String>,
    /// Since when Graph has refused this link.
    pub refused: Option<Timestamp>,
}

/// The notes about a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// What the keeper has done about it.
    pub kept: Option<KeptSubscription>,
    /// How far its changes have been listed.
    pub progress: Option<Progress>,
}

/// The notes about the resources and subscriptions that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundNotes {
    /// The notes by resource. A resource without a note is absent.
    pub by_resource: HashMap<String, Note>,
    /// When the last notification of each subscription came, by its id.
    pub heard: HashMap<String, Timestamp>,
}

impl FoundNotes {
    /// What the keeper has done about a resource.
    #[must_use]
    pub fn kept(&self, resource: &str) -> Option<&KeptSubscription> {
        self.by_resource.get(resource)?.kept.as_ref()
    }
}

/// A store for the notes of subscriptions.
pub trait SubscriptionNotes: Send + Sync {
    /// Reads the notes about these resources and these subscriptions.
    fn read(
        &self,
        cx: &RequestContext,
        resources: &[&str],
        subscription_ids: &[&str],
    ) -> impl Future<Output = Result<FoundNotes, StoreError>> + Send;

    /// Writes what the keeper has done about a resource.
    fn keep(
        &self,
        cx: &RequestContext,
        resource: &str,
        kept: &KeptSubscription,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes how far a resource has been listed. `false` when another invocation has gone on from the same point.
    fn advance(
        &self,
        cx: &RequestContext,
        resource: &str,
        progress: &Progress,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Deletes the notes of a resource that is no longer wanted.
    fn forget(&self, cx: &RequestContext, resource: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes that a notification of a subscription came, at most once in [`HEARD_AT_MOST_EVERY`]. Nothing is noted for
    /// an empty id: a change that was found by listing tells nothing about a subscription.
    fn heard(
        &self,
        cx: &RequestContext,
        subscription_id: &str,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
