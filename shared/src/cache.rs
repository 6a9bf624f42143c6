//! One value: fetched once however many requests ask for it, renewed before it expires.
//!
//! Secrets and tokens share this. It makes one fetch for all that wait, renews early, keeps the old value while a
//! renewal fails and the value is still valid, and can drop a value that a remote has refused.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long the old, still valid value is used after a failed renewal, so that not every request pays for the outage.
const REFRESH_PAUSE: Duration = Duration::from_secs(30);

/// How long an early refresh may take before the old value is used.
const REFRESH_PATIENCE: Duration = Duration::from_secs(2);

/// A freshly fetched value and how long it lasts.
#[derive(Debug, Clone)]
pub struct Fresh<T> {
    /// The value that was fetched.
    pub value: T,
    /// From this age on it is renewed before it is given out.
    pub refresh_after: Duration,
    /// From this age on it is not given out at all.
    pub expires_after: Duration,
}

/// A cached value, or the error of the last fetch.
#[derive(Debug)]
pub struct Cached<T, E> {
    slot: Mutex<Slot<T, E>>,
    /// How many fetches have ended. A request that waited while one ended takes its outcome, a failure too, in place of
    /// a fetch of its own.
    fetches: AtomicU64,
}

#[derive(Debug)]
struct Slot<T, E> {
    held: Option<HeldValue<T>>,
    failure: Option<E>,
}

#[derive(Debug)]
struct HeldValue<T> {
    value: T,
    refresh_at: Instant,
    expires_at: Instant,
}

impl<T, E> Default for Cached<T, E> {
    fn default() -> Self {
        Self { slot: Mutex::new(Slot { held: None, failure: None }), fetches: AtomicU64::new(0) }
    }
}

impl<T: Clone, E: Clone> Cached<T, E> {
    /// The value, fetched when there is none or when it is due.
    ///
    /// # Errors
    /// The error of `fetch`, when there is no older value that is still valid.
    pub async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<Fresh<T>, E>>,
    {
        let before = self.fetches.load(Ordering::Acquire);
        let mut slot = self.slot.lock().await;
        let now = Instant::now();
        if let Some(held) = slot.held.as_ref().filter(|held| now < held.refresh_at) {
            return Ok(held.value.clone());
        }
        if let Some(failure) = &slot.failure
            && self.fetches.load(Ordering::Acquire) != before
        {
            return Err(failure.clone());
        }
        // Boxed: the rare case should not make every caller's future large.
        let fetch = Box::pin(fetch());
        let fetched = match slot.held.as_mut().filter(|held| now < held.expires_at) {
            None => fetch.await,
            // While the old value is valid, no request waits long for a new one.
            Some(held) => match tokio::time::timeout(REFRESH_PATIENCE, fetch).await {
                Ok(fetched) => fetched,
                Err(_elapsed) => {
                    held.refresh_at = held.expires_at.min(Instant::now() + REFRESH_PAUSE);
                    return Ok(held.value.clone());
                }
            },
        };
        self.fetches.fetch_add(1, Ordering::Release);
        let now = Instant::now();
        match fetched {
            Ok(fresh) => {
                let held = HeldValue {
                    value: fresh.value.clone(),
                    refresh_at: now + fresh.refresh_after.min(fresh.expires_after),
                    expires_at: now + fresh.expires_after,
                };
                *slot = Slot { held: Some(held), failure: None };
                Ok(fresh.value)
            }
            Err(failure) => match slot.held.as_mut().filter(|held| now < held.expires_at) {
                Some(held) => {
                    held.refresh_at = held.expires_at.min(now + REFRESH_PAUSE);
                    Ok(held.value.clone())
                }
                None => {
                    *slot = Slot { held: None, failure: Some(failure.clone()) };
                    Err(failure)
                }
            },
        }
    }

    /// Drops the value if it is still the one that was refused. Several requests may bring back the same refused value;
    /// the first drops it, the others find the new one.
    pub(crate) async fn drop_if(&self, refused: impl FnOnce(&T) -> bool) {
        let mut slot = self.slot.lock().await;
        if slot.held.as_ref().is_some_and(|held| refused(&held.value)) {
            slot.held = None;
        }
    }

    /// Makes the value due for renewal if it is still this one. It stays in use while the renewal fails.
    pub(crate) async fn renew_if(&self, old: impl FnOnce(&T) -> bool) {
        if let Some(held) = self.slot.lock().await.held.as_mut().filter(|held| old(&held.value)) {
            held.refresh_at = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn lasting(value: usize) -> Fresh<usize> {
        Fresh { value, refresh_after: 50 * MINUTE, expires_after: 60 * MINUTE }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_waiters_cause_one_fetch() {
        let cached = Cached::<usize, ()>::default();
        let fetches = AtomicUsize::new(0);
        let one = || async {
            fetches.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(lasting(7))
        };
        let all = join_all((0..100).map(|_| cached.get(one))).await;
        assert!(all.iter().all(|value| *value == Ok(7)));
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_share_a_failure_and_the_next_request_tries_again() {
        let cached = Cached::<usize, &str>::default();
        let fetches = AtomicUsize::new(0);
        let fail = || async {
            fetches.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(200)).await;
            Err("down")
        };
        let all = join_all((0..20).map(|_| cached.get(fail))).await;
        assert!(all.iter().all(|value| *value == Err("down")));
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
        assert_eq!(cached.get(|| async { Ok(lasting(1)) }).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_renewed_early_and_survives_a_failed_renewal_until_it_expires() {
        let cached = Cached::<usize, &str>::default();
        assert_eq!(cached.get(|| async { Ok(lasting(1)) }).await, Ok(1));
        tokio::time::advance(49 * MINUTE).await;
        assert_eq!(cached.get(|| async { Ok(lasting(2)) }).await, Ok(1), "not due yet");
        tokio::time::advance(2 * MINUTE).await;
        assert_eq!(cached.get(|| async { Err("down") }).await, Ok(1), "due, but the renewal failed");
        assert_eq!(cached.get(|| async { Ok(lasting(3)) }).await, Ok(1), "left alone for a while");
        tokio::time::advance(REFRESH_PAUSE).await;
        let before = Instant::now();
        assert_eq!(cached.get(|| async { std::future::pending().await }).await, Ok(1), "due, but the issuer hangs");
        assert_eq!(before.elapsed(), REFRESH_PATIENCE);
        tokio::time::advance(REFRESH_PAUSE).await;
        assert_eq!(cached.get(|| async { Ok(lasting(4)) }).await, Ok(4));
        tokio::time::advance(61 * MINUTE).await;
        assert_eq!(cached.get(|| async { Err("down") }).await, Err("down"), "expired: never given out again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_value_is_dropped_once() {
        let cached = Cached::<usize, &str>::default();
        assert_eq!(cached.get(|| async { Ok(lasting(1)) }).await, Ok(1));
        cached.drop_if(|value| *value == 1).await;
        assert_eq!(cached.get(|| async { Ok(lasting(2)) }).await, Ok(2));
        cached.drop_if(|value| *value == 1).await;
        assert_eq!(cached.get(|| async { Ok(lasting(3)) }).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_may_be_old_is_renewed_and_survives_a_failed_renewal() {
        let cached = Cached::<usize, &str>::default();
        assert_eq!(cached.get(|| async { Ok(lasting(1)) }).await, Ok(1));
        cached.renew_if(|value| *value == 1).await;
        assert_eq!(cached.get(|| async { Err("down") }).await, Ok(1));
        cached.renew_if(|value| *value == 1).await;
        assert_eq!(cached.get(|| async { Ok(lasting(2)) }).await, Ok(2));
        cached.renew_if(|value| *value == 1).await;
        assert_eq!(cached.get(|| async { Ok(lasting(3)) }).await, Ok(2), "somebody else has renewed it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_is_given_up_leaves_the_way_free() {
        let cached = Cached::<usize, &str>::default();
        let endless = cached.get(|| async { std::future::pending().await });
        assert!(tokio::time::timeout(MINUTE, endless).await.is_err());
        assert_eq!(cached.get(|| async { Ok(lasting(1)) }).await, Ok(1));
    }
}
