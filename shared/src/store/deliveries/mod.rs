//! The deliveries of each resource: its newest delivered version, and the lease of the invocation that delivers it.
//!
//! Graph notifies of a change at least once, for up to four hours after it, and closing a gap notifies of it again. So
//! a version is delivered in three steps:
//!
//! 1. [`begin`](Deliveries::begin) takes a version, unless it or a newer one was delivered, or another invocation
//!    holds the resource.
//! 2. It is delivered.
//! 3. [`end`](Deliveries::end) notes how that ended, and lets the next one try at once if it failed.
//!
//! A try counts as doubtful when its outcome is not known, because no answer came or the process died. The number of
//! such tries is limited, so that a message which may have been taken is not sent for ever.
//!
//! If the process dies, the lease holds the resource until it expires; then the version is delivered again. So it is
//! delivered at least once, and exactly once where the receiver recognises a message by its id.

mod dynamo;
mod memory;

use std::future::Future;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

pub use dynamo::DynamoDeliveries;
pub use memory::MemoryDeliveries;

use super::{RecordKey, StoreError};
use crate::http::RequestContext;

/// How long a delivery is remembered: longer than a notification may wait in the queue through an outage (13 days), and then
/// for [`DELIVERY_REMEMBERED`].
pub(crate) const DELIVERY_LIFE: Duration = Duration::from_secs(21 * 24 * 60 * 60);

/// For this long a delivery is certainly remembered, however long its event waited: longer than Graph repeats a notification
/// (four hours), and longer than the gap of a subscription that was lost over a weekend.
pub(crate) const DELIVERY_REMEMBERED: SignedDuration = SignedDuration::from_hours(6 * 24);

/// The lease of a resource, held by one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// A random id, unique for each invocation that tries a message: no clock could tell two of them apart.
    pub owner: Uuid,
    /// When the lease expires: at the end of the invocation.
    pub until: Timestamp,
}

/// The answer to the beginning of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// The lease is granted.
    Granted {
        /// The version that was delivered before, if any was.
        before: Option<i64>,
        /// How many earlier tries the receiver may have taken.
        doubts: u32,
        /// How many tries there were before, however they ended.
        tries: u32,
    },
    /// This version or a newer one was delivered already.
    Delivered,
    /// Another invocation holds the lease.
    InProgress,
}

/// The outcome of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// This version was delivered.
    Delivered(i64),
    /// The version was not delivered.
    Failed,
    /// The outcome is not known: the try stays counted as doubtful.
    InDoubt,
}

/// A store for deliveries.
pub trait Deliveries: Send + Sync {
    /// Takes the lease of a resource for a version. The owner may take it again: the answer to the first time may have
    /// been lost.
    fn begin(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        version: i64,
        lease: &Lease,
        now: Timestamp,
    ) -> impl Future<Output = Result<Begun, StoreError>> + Send;

    /// The version that was delivered; `None` when none was, or it was delivered too recently to be seen.
    fn delivered(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
    ) -> impl Future<Output = Result<Option<i64>, StoreError>> + Send;

    /// Ends the owner's lease. A lease that another invocation has taken since is not changed.
    fn end(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        owner: Uuid,
        end: LeaseEnd,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets the doubtful tries of a message that is set aside, so that it begins anew when it is redriven.
    fn forget_doubts(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

#[cfg(test)]
mod tests;
