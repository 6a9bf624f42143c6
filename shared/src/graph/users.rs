//! Names of users in paths, and the way from user principal name to object id, which online-meeting paths require.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use reqwest::Url;
use serde::Deserialize;
use tokio::time::Instant;

use super::{GraphClient, GraphError, with_query};
use crate::http::RequestContext;

/// The most names remembered per process; one takes some hundred bytes.
const MAX_OBJECT_IDS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// How long a name is remembered. In rare cases it is given to another user.
const OBJECT_ID_LIFE: Duration = Duration::from_secs(60 * 60);

/// Object ids already found, by lower-case user principal name.
#[derive(Debug)]
pub(super) struct ObjectIds(Mutex<LruCache<String, (String, Instant)>>);

impl Default for ObjectIds {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_OBJECT_IDS)))
    }
}

#[derive(Deserialize)]
struct User {
    id: String,
}

impl GraphClient {
    /// The URL of `users/{user}` and what comes after it, for an object id or a user principal name. Graph reads a `$`
    /// at the beginning of a segment as an option and answers 400; such a name goes as a key.
    ///
    /// <https://learn.microsoft.com/graph/api/user-get>
    pub(super) fn user_url(&self, user: &str, rest: &[&str]) -> Url {
        let rest = rest.iter().copied();
        if user.starts_with('$') {
            // A quote within a key is doubled.
            let key = format!("users('{}')", user.replace('\'', "''"));
            self.base.join([key.as_str()].into_iter().chain(rest))
        } else {
            self.base.join(["users", user].into_iter().chain(rest))
        }
    }
}

/// The directory of the tenant's users.
pub trait UserDirectory: Send + Sync {
    /// The object id of a user, remembered for an hour: `GET /users/{upn}?$select=id`.
    ///
    /// <https://learn.microsoft.com/graph/api/user-get>
    ///
    /// # Errors
    /// [`GraphError::NotFound`] when there is no such user; any other [`GraphError`].
    fn get_object_id(&self, cx: &RequestContext, upn: &str) -> impl Future<Output = Result<String, GraphError>> + Send;
}

impl UserDirectory for GraphClient {
    async fn get_object_id(&self, cx: &RequestContext, upn: &str) -> Result<String, GraphError> {
        let key = upn.to_lowercase();
        let known = |ids: &mut LruCache<String, (String, Instant)>| {
            let (id, found_at) = ids.get(&key)?;
            (found_at.elapsed() < OBJECT_ID_LIFE).then(|| id.clone())
        };
        if let Some(id) = known(&mut self.object_ids.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(id);
        }
        let url = with_query(self.user_url(upn, &[]), &[("$select", "id")]);
        let request = self.remote.http.get(url);
        let (_, user): (_, User) = self.fetch(cx, "get user", "User.ReadBasic.All", request).await?;
        let mut ids = self.object_ids.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.put(key, (user.id.clone(), Instant::now()));
        Ok(user.id)
    }
}
