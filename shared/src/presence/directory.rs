//! The links from Genesys Cloud users to Teams users that this process has found, for presences on request.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;
use uuid::Uuid;

use crate::genesys::{ExternalIds, GenesysError};
use crate::http::RequestContext;

/// How many users one process remembers, at about a hundred bytes each.
const MAX_LINKS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

/// How long a link is used before it is looked up again.
const FOUND_LINK_LIFE: Duration = Duration::from_secs(60 * 60);

/// How long it is remembered that a user has no link: an administrator may be about to make one.
const NO_LINK_LIFE: Duration = Duration::from_secs(5 * 60);

/// The Teams users that were found, by Genesys Cloud user.
#[derive(Debug)]
pub struct TeamsUsers(Mutex<LruCache<Uuid, (Option<Uuid>, Instant)>>);

impl Default for TeamsUsers {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_LINKS)))
    }
}

impl TeamsUsers {
    /// The Teams user of a Genesys Cloud user, looked up when it is not known.
    ///
    /// # Errors
    /// [`GenesysError`]
    pub async fn find(
        &self,
        ids: &impl ExternalIds,
        cx: &RequestContext,
        user: Uuid,
    ) -> Result<Option<Uuid>, GenesysError> {
        if let Some(known) = self.known(user) {
            return Ok(known);
        }
        let found = ids.teams_id(cx, user).await?;
        self.links().put(user, (found, Instant::now()));
        Ok(found)
    }

    /// Forgets the link of a user, because Graph does not know its Teams user.
    pub fn forget(&self, user: Uuid) {
        self.links().pop(&user);
    }

    fn known(&self, user: Uuid) -> Option<Option<Uuid>> {
        let mut links = self.links();
        let (link, found_at) = links.get(&user)?;
        let life = if link.is_some() { FOUND_LINK_LIFE } else { NO_LINK_LIFE };
        (found_at.elapsed() < life).then_some(*link)
    }

    fn links(&self) -> std::sync::MutexGuard<'_, LruCache<Uuid, (Option<Uuid>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::http::Deadline;

    struct Answers(Option<Uuid>, AtomicU32);

    impl ExternalIds for Answers {
        async fn teams_id(&self, _cx: &RequestContext, _user: Uuid) -> Result<Option<Uuid>, GenesysError> {
            self.1.fetch_add(1, Ordering::SeqCst);
            Ok(self.0)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_is_believed_for_an_hour_and_its_absence_for_five_minutes() {
        for (answer, life) in [(Some(Uuid::new_v4()), FOUND_LINK_LIFE), (None, NO_LINK_LIFE)] {
            let (users, ids) = (TeamsUsers::default(), Answers(answer, AtomicU32::new(0)));
            let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
            let user = Uuid::new_v4();
            for (advance, lookups) in [(Duration::ZERO, 1), (life - Duration::from_secs(1), 1), (life, 2)] {
                tokio::time::advance(advance).await;
                assert_eq!(users.find(&ids, &cx, user).await, Ok(answer));
                assert_eq!(ids.1.load(Ordering::SeqCst), lookups);
            }
            users.forget(user);
            assert_eq!(users.find(&ids, &cx, user).await, Ok(answer));
            assert_eq!(ids.1.load(Ordering::SeqCst), 3);
        }
    }
}
