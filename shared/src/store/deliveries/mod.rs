//! What was delivered of each resource: the newest version, and who is at work on it.
//!
//! Graph tells of a change at least once, for up to four hours after it, and closing a gap tells of it again. So whoever
//! delivers a version takes it first:
//!
//! 1. [`begin`](Deliveries::begin) takes a version, unless it or a newer one was delivered, or somebody is at work on the
//!    resource.
//! 2. It is delivered.
//! 3. [`done`](Deliveries::done) notes it, or [`give_up`](Deliveries::give_up) lets the next one try at once.
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
    },
    /// This version or a newer one was delivered.
    Delivered,
    /// Somebody is at work on the resource.
    InProgress,
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

    /// Notes that the version was delivered, if the resource is still the owner's.
    fn done(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        version: i64,
        owner: Uuid,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends the owner's lease: the version was not delivered.
    fn give_up(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        owner: Uuid,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

#[cfg(test)]
mod tests;
