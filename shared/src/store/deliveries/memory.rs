//! Deliveries in this process: the table's twin for tests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Begun, Deliveries};
use crate::http::RequestContext;
use crate::store::{RecordKey, StoreError};

/// Deliveries in memory.
#[derive(Debug, Default)]
pub struct MemoryDeliveries(Mutex<HashMap<RecordKey, Delivery>>);

#[derive(Debug, Default)]
struct Delivery {
    delivered: Option<i64>,
    taken: i64,
    lease: Option<Timestamp>,
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
        lease: Timestamp,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        let mut all = self.all();
        let known = all.entry(key.clone()).or_default();
        if known.delivered.is_some_and(|delivered| delivered >= version) {
            return Ok(Begun::Delivered);
        }
        let is_ours = (known.taken, known.lease) == (version, Some(lease));
        if known.lease.is_some_and(|lease| now < lease) && !is_ours {
            return Ok(Begun::InProgress);
        }
        (known.taken, known.lease) = (version, Some(lease));
        Ok(Begun::Granted { before: known.delivered })
    }

    async fn delivered(&self, _cx: &RequestContext, key: &RecordKey) -> Result<Option<i64>, StoreError> {
        Ok(self.all().get(key).and_then(|known| known.delivered))
    }

    async fn done(&self, _cx: &RequestContext, key: &RecordKey, version: i64) -> Result<(), StoreError> {
        if let Some(known) = self.all().get_mut(key).filter(|known| known.taken == version) {
            (known.delivered, known.lease) = (Some(version), None);
        }
        Ok(())
    }

    async fn give_up(&self, _cx: &RequestContext, key: &RecordKey, version: i64) -> Result<(), StoreError> {
        if let Some(known) = self.all().get_mut(key).filter(|known| known.taken == version) {
            known.lease = None;
        }
        Ok(())
    }
}
