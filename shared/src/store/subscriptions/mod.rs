//! What is known of subscriptions beside what Graph itself says of them.
//!
//! Two things are kept, each where its writer can write it without reading:
//!
//! - by resource, what the keeper of the subscriptions has done about it ([`Kept`]) and how far what has changed in it
//!   has been listed ([`Progress`]);
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

/// How often it is noted at most that a subscription was heard of.
pub const HEARD_AT_MOST_EVERY: Duration = Duration::from_secs(60);

/// What the keeper has done about a resource. It is written before a subscription is created, without its id, and again
/// when it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Graph's id of the subscription; empty while it is being created.
    pub subscription_id: String,
    /// A fingerprint of the client state that it was created with, which Graph does not give back.
    pub client_state: String,
    /// The certificate it was last given; empty where it has none.
    pub certificate_id: String,
    /// When the first try to create it began: whatever happened since then is to be told of.
    pub begun: Timestamp,
    /// When it was there.
    pub made: Option<Timestamp>,
    /// How long Graph let it live when it was last asked.
    pub granted: Duration,
    /// When it was last renewed.
    pub renewed: Option<Timestamp>,
}

/// How far what has changed in a resource has been listed. A listing, once begun, goes on across invocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Counted up with every write, so that of two that go on from the same point one loses.
    pub version: u64,
    /// Whatever changed before this time has been put on the queue.
    pub closed_until: Timestamp,
    /// Before which time the next listing looks, where what is younger is kept for one after it.
    pub until: Option<Timestamp>,
    /// From when on the listing tells of what was made, where it goes on window by window.
    pub since: Option<Timestamp>,
    /// When the listing began that is under way.
    pub under_way: Option<Timestamp>,
    /// Where the next listing begins, or where this one goes on. Opaque.
    pub link: Option<String>,
    /// Since when Graph refuses this link.
    pub refused: Option<Timestamp>,
}

/// What is known of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// What was done about it.
    pub kept: Option<Kept>,
    /// How far it has been listed.
    pub progress: Option<Progress>,
}

/// All that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// By resource. What nothing is known of is not there.
    pub by_resource: HashMap<String, Note>,
    /// By subscription, when its last notification came.
    pub heard: HashMap<String, Timestamp>,
}

impl Notes {
    /// What was done about a resource.
    #[must_use]
    pub fn kept(&self, resource: &str) -> Option<&Kept> {
        self.by_resource.get(resource)?.kept.as_ref()
    }
}

/// Where it is kept.
pub trait SubscriptionNotes: Send + Sync {
    /// Reads what is known of these resources and these subscriptions.
    fn read(
        &self,
        cx: &RequestContext,
        resources: &[&str],
        subscription_ids: &[&str],
    ) -> impl Future<Output = Result<Notes, StoreError>> + Send;

    /// Notes what was done about a resource.
    fn keep(
        &self,
        cx: &RequestContext,
        resource: &str,
        kept: &Kept,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes how far a resource has been listed. `false` when somebody else has gone on from the same point.
    fn advance(
        &self,
        cx: &RequestContext,
        resource: &str,
        progress: &Progress,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Forgets a resource that nobody wants.
    fn forget(&self, cx: &RequestContext, resource: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes that a notification of a subscription came, at most once in [`HEARD_AT_MOST_EVERY`]. Without an id there
    /// was none: what was found by listing says nothing of a subscription.
    fn heard(
        &self,
        cx: &RequestContext,
        subscription_id: &str,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
