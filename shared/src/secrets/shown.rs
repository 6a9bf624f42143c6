//! A secret that others show to the bridge, or sign with: a request that does not fit it may come from a stranger, or
//! from somebody who has the new value already.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Credential, Secret, SecretError};
use crate::http::RequestContext;

/// How long the secret is not read again for a request that does not fit it. Everybody can send such a request, and
/// must not be able to make the bridge overload Secrets Manager.
const REREAD_COOL_DOWN: Duration = Duration::from_secs(10);

/// A secret that is read again, once in a while at most, for a request that does not fit it.
#[derive(Debug)]
pub(crate) struct ShownSecret<C> {
    secret: Secret<C>,
    renewed_at: Mutex<Option<Instant>>,
}

impl<C: Credential> ShownSecret<C> {
    /// The credential in this secret.
    #[must_use]
    pub(crate) fn new(secret: Secret<C>) -> Self {
        Self { secret, renewed_at: Mutex::new(None) }
    }

    /// Reads the secret before the first request. After a failure, the request reads it again.
    pub(crate) async fn warm_up(&self, cx: &RequestContext) {
        let _ = self.secret.get(cx).await;
    }

    /// The credential as it is known now.
    ///
    /// # Errors
    /// [`SecretError`]
    pub(crate) async fn current(&self, cx: &RequestContext) -> Result<Arc<C>, SecretError> {
        self.secret.get(cx).await
    }

    /// The credential, read again after a request that does not fit the one that is held. `None` when it could not be
    /// read again now, because that was done a moment ago or Secrets Manager cannot be reached: then it cannot be told
    /// whether the request is right.
    ///
    /// # Errors
    /// [`SecretError`]
    pub(crate) async fn renewed(&self, cx: &RequestContext, held: &Arc<C>) -> Result<Option<Arc<C>>, SecretError> {
        // Another request may have read it meanwhile.
        let read = if self.may_renew() { self.secret.reread(cx, held).await? } else { self.secret.get(cx).await? };
        // If the secret was not read again, this is the old one.
        Ok((!Arc::ptr_eq(&read, held)).then_some(read))
    }

    fn may_renew(&self) -> bool {
        let mut renewed_at = self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let may = renewed_at.is_none_or(|at| at.elapsed() >= REREAD_COOL_DOWN);
        if may {
            *renewed_at = Some(Instant::now());
        }
        may
    }
}
