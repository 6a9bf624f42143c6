//! From Genesys Cloud user to Teams user.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;
use uuid::Uuid;

use crate::genesys::{GenesysClient, GenesysError};
use crate::http::RequestContext;

/// Users remembered per process, about a hundred bytes each.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

/// How long a link is believed.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// How long its absence is: somebody may be about to make it.
const ABSENCE_LIFE: Duration = Duration::from_secs(5 * 60);

/// Who knows under which external id a user is in Teams.
pub trait ExternalIds: Send + Sync {
    /// The user's Entra object id as Genesys Cloud has it, if it has one.
    fn teams_id(
        &self,
        cx: &RequestContext,
        user: Uuid,
    ) -> impl Future<Output = Result<Option<Uuid>, GenesysError>> + Send;
}

/// A page of the org's users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinksPage {
    /// Users, each with the Entra object id where there is one.
    pub links: Vec<(Uuid, Option<Uuid>)>,
    /// How many users the page had, those included whose id cannot be read.
    pub users: usize,
    /// How many users there are on all pages.
    pub total: usize,
}

/// Who knows the links of the whole org.
pub trait LinkList: Send + Sync {
    /// The links of so many users at most, from the `start`th on; the first is 1.
    fn links(
        &self,
        cx: &RequestContext,
        start: usize,
        count: usize,
    ) -> impl Future<Output = Result<LinksPage, GenesysError>> + Send;
}

impl LinkList for GenesysClient {
    async fn links(&self, cx: &RequestContext, start: usize, count: usize) -> Result<LinksPage, GenesysError> {
        let page = self.list_teams_ids_from_scim(cx, start, count).await?;
        let users = page.links.len();
        let object_id = |id: String| id.trim().parse().ok();
        let link = |(user, id): (String, Option<String>)| Some((user.parse().ok()?, id.and_then(object_id)));
        Ok(LinksPage { links: page.links.into_iter().filter_map(link).collect(), users, total: page.total })
    }
}

impl ExternalIds for GenesysClient {
    /// The platform's external id, and where there is none, SCIM's. An id that is no object id is none.
    async fn teams_id(&self, cx: &RequestContext, user: Uuid) -> Result<Option<Uuid>, GenesysError> {
        let user = user.to_string();
        let object_id = |id: Option<String>| id.and_then(|id| id.trim().parse().ok());
        if let Some(id) = object_id(self.get_teams_external_id(cx, &user).await?) {
            return Ok(Some(id));
        }
        Ok(object_id(self.get_teams_id_from_scim(cx, &user).await?))
    }
}

/// The links found so far.
#[derive(Debug)]
pub struct TeamsUsers(Mutex<LruCache<Uuid, (Option<Uuid>, Instant)>>);

impl Default for TeamsUsers {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
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

    /// Forgets a link that led nowhere.
    pub fn forget(&self, user: Uuid) {
        self.links().pop(&user);
    }

    fn known(&self, user: Uuid) -> Option<Option<Uuid>> {
        let mut links = self.links();
        let (link, found_at) = links.get(&user)?;
        let life = if link.is_some() { LIFE } else { ABSENCE_LIFE };
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
        for (answer, life) in [(Some(Uuid::new_v4()), LIFE), (None, ABSENCE_LIFE)] {
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
