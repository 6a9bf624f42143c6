//! Last presences in this process: the table's twin for tests and simulations.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Advanced, LastPresence, LastPresences, Sent, Settled, Wanted};
use crate::http::RequestContext;
use crate::store::StoreError;

/// Last presences in memory.
#[derive(Debug, Default)]
pub struct MemoryLastPresences(Mutex<HashMap<Uuid, LastPresence>>);

impl MemoryLastPresences {
    fn users(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, LastPresence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LastPresences for MemoryLastPresences {
    async fn advance(&self, _cx: &RequestContext, user: Uuid, wanted: &Wanted) -> Result<Advanced, StoreError> {
        let mut users = self.users();
        let before = users.get(&user).cloned();
        match before {
            Some(known) if known.wanted.modified >= wanted.modified => Ok(Advanced::Known(known)),
            before => {
                let sent = before.as_ref().and_then(|known| known.sent.clone());
                users.insert(user, LastPresence { wanted: wanted.clone(), sent });
                Ok(Advanced::Newest(before))
            }
        }
    }

    async fn ending(
        &self,
        _cx: &RequestContext,
        before: Timestamp,
        event_after: Timestamp,
        most: usize,
    ) -> Result<Vec<(Uuid, LastPresence)>, StoreError> {
        let is_ending = |last: &LastPresence| {
            last.is_shown()
                && last.wanted.modified > event_after
                && last.sent.as_ref().is_some_and(|sent| sent.until < before)
        };
        let users = self.users();
        Ok(users.iter().filter(|(_, last)| is_ending(last)).take(most).map(|(id, last)| (*id, last.clone())).collect())
    }

    async fn settle(
        &self,
        _cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        sent: &Sent,
    ) -> Result<Settled, StoreError> {
        match self.users().get_mut(&user) {
            Some(known) if known.wanted.modified == modified => {
                known.sent = Some(sent.clone());
                Ok(Settled::Done)
            }
            Some(known) => Ok(Settled::Overtaken(known.wanted.clone())),
            None => Ok(Settled::Done),
        }
    }
}
