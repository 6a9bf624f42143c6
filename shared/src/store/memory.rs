//! Records in memory: they follow the same rules as in DynamoDB, for tests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Claim, Claimed, RECORD_LIFE, RecordKey, RecordState, Records, StoreError, StoredRecord};
use crate::http::RequestContext;

/// The records in memory.
#[derive(Debug, Default)]
pub struct MemoryRecords(Mutex<HashMap<RecordKey, StoredRecord>>);

impl MemoryRecords {
    fn map(&self) -> MutexGuard<'_, HashMap<RecordKey, StoredRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records for MemoryRecords {
    async fn claim(
        &self,
        _cx: &RequestContext,
        key: &RecordKey,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let mut map = self.map();
        match map.get(key) {
            Some(held) if !held.yields_to(claim, now) => Ok(Claimed::Held(held.clone())),
            _ => {
                let record = StoredRecord {
                    owner: claim.owner.clone(),
                    state: RecordState::Sending,
                    deadline: claim.deadline,
                    expires: now + RECORD_LIFE,
                };
                map.insert(key.clone(), record);
                Ok(Claimed::Granted)
            }
        }
    }

    async fn settle(
        &self,
        _cx: &RequestContext,
        key: &RecordKey,
        owner: &str,
        state: &RecordState,
    ) -> Result<(), StoreError> {
        if let Some(record) = self.map().get_mut(key).filter(|record| record.owner == owner) {
            record.state = state.clone();
        }
        Ok(())
    }

    async fn release(&self, _cx: &RequestContext, key: &RecordKey, owner: &str) -> Result<(), StoreError> {
        let mut map = self.map();
        if map.get(key).is_some_and(|record| record.owner == owner) {
            map.remove(key);
        }
        Ok(())
    }
}
