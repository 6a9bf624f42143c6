//! Which instance sends: the one that holds the lease in the state table.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Mirror, PresenceTable, Presences};
use crate::http::RequestContext;
use crate::presence::{ExternalIds, LinkList};
use crate::store::StoreError;
use crate::store::last_presence::LeaseAnswer;

/// How long the lease lasts without being renewed. Any request of an instance that died has ended by then.
const LEASE: Duration = Duration::from_secs(15);

/// How often the holder renews it, and thereby hears of the word that other instances have left.
pub(super) const RENEWED_EVERY: Duration = Duration::from_secs(2);

/// How long an invocation waits for a lease that was given back, and is only free when Graph's budget allows.
const WAIT_FOR_THE_BUDGET: Duration = Duration::from_secs(2);

/// How often an invocation asks for the lease, should its holder change whenever it does.
const ATTEMPTS: usize = 5;

impl<P: Presences, I: ExternalIds + LinkList, S: PresenceTable> Mirror<'_, P, I, S> {
    /// Takes the lease, and says whether the backlog may hold turns that are not known here. `None` when another
    /// instance sends, which then knows that there are more turns.
    pub(super) async fn take_lease(&self, cx: &RequestContext, holder: Uuid) -> Option<bool> {
        for _ in 0..ATTEMPTS {
            let answer = match self.lease(cx, holder).await {
                Ok(LeaseAnswer::Held { unseen }) => return Some(unseen),
                Ok(LeaseAnswer::Taken { by: None, until }) if self.until(until) <= WAIT_FOR_THE_BUDGET => {
                    sleep(self.until(until)).await;
                    continue;
                }
                Ok(LeaseAnswer::Taken { by, .. }) => self.last.leave_word(cx, by).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(true) => return None,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "presences are sent by a later invocation: they wait in the state table");
                    return None;
                }
            }
        }
        None
    }

    /// Takes or renews the lease.
    pub(super) async fn lease(&self, cx: &RequestContext, holder: Uuid) -> Result<LeaseAnswer, StoreError> {
        let now = (self.now)();
        self.last.lease(cx, holder, now, now.checked_add(LEASE).unwrap_or(Timestamp::MAX)).await
    }

    /// Gives the lease back, to be free when Graph's budget allows. `false` when other instances have left word.
    pub(super) async fn give_back(&self, cx: &RequestContext, holder: Uuid, emptied: bool) -> bool {
        let free = (self.now)().checked_add(self.settings.pace.rest()).unwrap_or(Timestamp::MAX);
        match self.last.give_back(cx, holder, free, emptied).await {
            Ok(given_back) => given_back,
            Err(error) => {
                tracing::warn!(%error, "the lease of the sending was not given back: it ends by itself within seconds");
                true
            }
        }
    }

    fn until(&self, time: Timestamp) -> Duration {
        time.duration_since((self.now)()).try_into().unwrap_or_default()
    }
}
