//! Conversation references in memory: they follow the same rules as in the table, for tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{ConversationReference, References};
use crate::http::RequestContext;
use crate::store::{RecordKey, StoreError};

/// The time of the last activity or removal of each reference, and the reference where it was not removed.
type Noted = HashMap<RecordKey, (Timestamp, Option<ConversationReference>)>;

/// The references in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryReferences(Arc<Mutex<Noted>>);

impl MemoryReferences {
    fn map(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl References for MemoryReferences {
    async fn renew(
        &self,
        _cx: &RequestContext,
        key: &RecordKey,
        reference: &ConversationReference,
    ) -> Result<bool, StoreError> {
        let mut map = self.map();
        let is_newer = map.get(key).is_none_or(|(seen, _)| *seen < reference.last_seen);
        if is_newer {
            map.insert(key.clone(), (reference.last_seen, Some(reference.clone())));
        }
        Ok(is_newer)
    }

    async fn find(&self, _cx: &RequestContext, key: &RecordKey) -> Result<Option<ConversationReference>, StoreError> {
        Ok(self.map().get(key).and_then(|(_, reference)| reference.clone()))
    }

    async fn remove(&self, _cx: &RequestContext, key: &RecordKey, as_of: Timestamp) -> Result<bool, StoreError> {
        let mut map = self.map();
        let is_newest = map.get(key).is_none_or(|(seen, _)| *seen <= as_of);
        if is_newest {
            map.insert(key.clone(), (as_of, None));
        }
        Ok(is_newest)
    }
}
