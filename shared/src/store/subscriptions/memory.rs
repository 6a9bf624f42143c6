//! Notes of subscriptions in memory: it behaves as the table does, for tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{FoundNotes, HEARD_AT_MOST_EVERY, KeptSubscription, Progress, SubscriptionNotes};
use crate::http::RequestContext;
use crate::store::StoreError;

/// The notes of subscriptions in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemorySubscriptionNotes(Arc<Mutex<FoundNotes>>);

impl MemorySubscriptionNotes {
    fn notes(&self) -> MutexGuard<'_, FoundNotes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SubscriptionNotes for MemorySubscriptionNotes {
    async fn read(
        &self,
        _cx: &RequestContext,
        resources: &[&str],
        subscription_ids: &[&str],
    ) -> Result<FoundNotes, StoreError> {
        let mut notes = self.notes().clone();
        notes.by_resource.retain(|resource, _| resources.contains(&resource.as_str()));
        notes.heard.retain(|id, _| subscription_ids.contains(&id.as_str()));
        Ok(notes)
    }

    async fn keep(&self, _cx: &RequestContext, resource: &str, kept: &KeptSubscription) -> Result<(), StoreError> {
        self.notes().by_resource.entry(resource.into()).or_default().kept = Some(kept.clone());
        Ok(())
    }

    async fn advance(&self, _cx: &RequestContext, resource: &str, progress: &Progress) -> Result<bool, StoreError> {
        let mut notes = self.notes();
        let held = &mut notes.by_resource.entry(resource.into()).or_default().progress;
        let is_next = held.as_ref().map_or(0, |held| held.version) + 1 == progress.version;
        if is_next {
            *held = Some(progress.clone());
        }
        Ok(is_next)
    }

    async fn forget(&self, _cx: &RequestContext, resource: &str) -> Result<(), StoreError> {
        self.notes().by_resource.remove(resource);
        Ok(())
    }

    async fn heard(&self, _cx: &RequestContext, subscription_id: &str, at: Timestamp) -> Result<(), StoreError> {
        if subscription_id.is_empty() {
            return Ok(());
        }
        let mut notes = self.notes();
        match notes.heard.get_mut(subscription_id) {
            Some(last) if at.duration_since(*last).unsigned_abs() < HEARD_AT_MOST_EVERY || at < *last => {}
            Some(last) => *last = at,
            None => drop(notes.heard.insert(subscription_id.into(), at)),
        }
        Ok(())
    }
}
