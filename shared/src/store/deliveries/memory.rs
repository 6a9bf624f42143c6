//! Deliveries in memory: it behaves as the table does, for tests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Begun, Deliveries, Lease, LeaseEnd};
use crate::http::RequestContext;
use crate::store::{RecordKey, StoreError};

/// The deliveries in memory.
#[derive(Debug, Default)]
pub struct MemoryDeliveries(Mutex<HashMap<RecordKey, Delivery>>);

#[derive(Debug, Default)]
struct Delivery {
    delivered: Option<i64>,
    lease: Option<Lease>,
    /// The tries whose outcome is not known, including the one under way.
    doubts: u32,
    /// All tries.
    tries: u32,
}

impl Delivery {
    fn is_of(&self, owner: Uuid) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.owner == owner)
    }
}

impl MemoryDeliveries {
    fn all(&self) -> MutexGuard<'_, HashMap<RecordKey, Delivery>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deliveries for MemoryDeliveries {
    async fn begin(
        &self,
        _cx: &RequestContext,
        key: &RecordKey,
        version: i64,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        let mut all = self.all();
        let known = all.entry(key.clone()).or_default();
        if known.delivered.is_some_and(|delivered| delivered >= version) {
            return Ok(Begun::Delivered);
        }
        if known.lease.as_ref().is_some_and(|held| now < held.until && held.owner != lease.owner) {
            return Ok(Begun::InProgress);
        }
        let is_repeated = known.lease.as_ref().is_some_and(|held| held.owner == lease.owner);
        known.lease = Some(lease.clone());
        known.doubts += u32::from(!is_repeated);
        known.tries += u32::from(!is_repeated);
        let (before, doubts, tries) = (known.delivered, known.doubts - 1, known.tries - 1);
        Ok(Begun::Granted { before, doubts, tries })
    }

    async fn delivered(&self, _cx: &RequestContext, key: &RecordKey) -> Result<Option<i64>, StoreError> {
        Ok(self.all().get(key).and_then(|known| known.delivered))
    }

    async fn end(&self, _cx: &RequestContext, key: &RecordKey, owner: Uuid, end: LeaseEnd) -> Result<(), StoreError> {
        if let Some(known) = self.all().get_mut(key).filter(|known| known.is_of(owner)) {
            known.lease = None;
            match end {
                LeaseEnd::Delivered(version) => (known.delivered, known.doubts, known.tries) = (Some(version), 0, 0),
                LeaseEnd::Failed => known.doubts = known.doubts.saturating_sub(1),
                LeaseEnd::InDoubt => {}
            }
        }
        Ok(())
    }

    async fn forget_doubts(&self, _cx: &RequestContext, key: &RecordKey) -> Result<(), StoreError> {
        if let Some(known) = self.all().get_mut(key).filter(|known| known.lease.is_none()) {
            (known.doubts, known.tries) = (0, 0);
        }
        Ok(())
    }
}
