//! What was delivered of each resource: the newest version, and who is at work on it.
//!
//! Graph tells of a change at least once, for up to four hours after it, and closing a gap tells of it again. So whoever
//! delivers a version takes it first:
//!
//! 1. [`begin`](Deliveries::begin) takes a version, unless it or a newer one was delivered, or somebody is at work on the
//!    resource.
//! 2. It is delivered.
//! 3. [`end`](Deliveries::end) notes how that ended, and lets the next one try at once if it failed.
//!
//! Each try whose end is not known, because no answer came or a process died, is counted: a message that may have been taken
//! must not be sent for ever.
//!
//! Who dies in between holds the resource until the end of the lease, and then the next one delivers again: at least
//! once. Where the receiver knows a message again by its id, that is exactly once.

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

/// How long a delivery is remembered: longer than Graph repeats itself (four hours), and than a subscription that was lost
/// over a weekend leaves a gap.
pub const DELIVERY_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// For so long a delivery is certainly remembered, however long its event was on its way.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(6 * 24);

/// A lease of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Unique for each invocation that tries a message: no clock tells two of them apart.
    pub owner: Uuid,
    /// When it ends by itself: at the end of the invocation.
    pub until: Timestamp,
}

/// How a delivery may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Go ahead; the version that was delivered before, if any was.
    Granted {
        /// Its number.
        before: Option<i64>,
        /// How many earlier tries may have been taken.
        doubts: u32,
    },
    /// This version or a newer one was delivered.
    Delivered,
    /// Somebody is at work on the resource.
    InProgress,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// This version was delivered.
    Delivered(i64),
    /// It was not.
    Failed,
    /// Nobody knows: the try stays counted.
    InDoubt,
}

/// Where it is kept.
pub trait Deliveries: Send + Sync {
    /// Takes a version of a resource for delivery until the end of the lease. The lease's owner may take it again: the answer
    /// to the first time may have got lost.
    fn begin(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        version: i64,
        lease: &Lease,
        now: Timestamp,
    ) -> impl Future<Output = Result<Begun, StoreError>> + Send;

    /// The version that was delivered; `None` when none was, or when that is too young to be seen.
    fn delivered(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
    ) -> impl Future<Output = Result<Option<i64>, StoreError>> + Send;

    /// Ends the owner's lease; a resource that another has taken since is theirs.
    fn end(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        owner: Uuid,
        end: LeaseEnd,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets the tries that may have been taken: the message is set aside, and begins anew when it is redriven.
    fn forget_doubts(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

#[cfg(test)]
mod tests;
