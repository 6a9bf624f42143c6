//! A budget: how many requests may be made in a window of time, as Microsoft's page "Microsoft Graph service-specific
//! throttling limits" has it.
//!
//! Most limits are for an app in the tenant; some are for an app and a chat, so a text names the holder of a budget.
//!
//! The window slides, and a refused request counts as well: an app that goes on at full speed stays throttled.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// The budget of each app in the tenant, or of each app and chat, and what was used of it.
#[derive(Debug)]
pub(in crate::stand_ins) struct Budget {
    requests: usize,
    window: Duration,
    /// When each app's last requests came, oldest first: never more than the budget has.
    apps: HashMap<String, VecDeque<Instant>>,
    /// The number of requests so far.
    pub(in crate::stand_ins) taken: u64,
    /// The number of requests that were over the budget.
    pub(in crate::stand_ins) refused: u64,
}

impl Budget {
    pub(in crate::stand_ins) fn new(requests: usize, window: Duration) -> Self {
        Self { requests, window, apps: HashMap::new(), taken: 0, refused: 0 }
    }

    /// Sets another budget. Requests that were made before still count.
    pub(in crate::stand_ins) fn set(&mut self, requests: usize, window: Duration) {
        (self.requests, self.window) = (requests, window);
        for log in self.apps.values_mut() {
            log.drain(..log.len().saturating_sub(requests));
        }
    }

    /// Counts a request of this app, or of another holder of the budget.
    ///
    /// # Errors
    /// The request is over the budget: how long to wait.
    pub(in crate::stand_ins) fn take(&mut self, app: &str) -> Result<(), Duration> {
        let now = Instant::now();
        let log = self.apps.entry(app.to_owned()).or_default();
        // The oldest of the last so many requests must have left the window.
        let free_in = |log: &VecDeque<Instant>| match log.front() {
            Some(oldest) => self.window.saturating_sub(now.saturating_duration_since(*oldest)),
            None => self.window,
        };
        let over = log.len() >= self.requests && !free_in(log).is_zero();
        log.push_back(now);
        log.drain(..log.len().saturating_sub(self.requests));
        self.taken += 1;
        if !over {
            return Ok(());
        }
        self.refused += 1;
        Err(free_in(log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn budget(requests: usize) -> Budget {
        Budget::new(requests, 30 * SECOND)
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_as_told_is_let_in() {
        let mut budget = budget(2);
        assert_eq!(budget.take("a"), Ok(()));
        tokio::time::advance(SECOND).await;
        assert_eq!(budget.take("a"), Ok(()));
        tokio::time::advance(SECOND / 2).await;
        // The refused request takes the place of the first one: the second has to leave.
        let wait = budget.take("a").unwrap_err();
        assert_eq!(wait, Duration::from_millis(29_500));
        tokio::time::advance(wait).await;
        assert_eq!(budget.take("a"), Ok(()));
        assert_eq!((budget.taken, budget.refused), (4, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_wait_stays_outside() {
        let mut budget = budget(10);
        let mut allowed = 0;
        for _ in 0..600 {
            allowed += usize::from(budget.take("a").is_ok());
            tokio::time::advance(SECOND).await;
        }
        assert_eq!(allowed, 10, "thirty requests in thirty seconds, with a budget of ten");
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_the_pace_is_never_refused() {
        let mut budget = budget(30);
        for _ in 0..600 {
            budget.take("a").unwrap();
            tokio::time::advance(SECOND).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_app_has_its_own_and_it_can_change() {
        let mut budget = budget(1);
        budget.take("a").unwrap();
        budget.take("b").unwrap();
        assert!(budget.take("a").is_err());
        budget.set(3, 30 * SECOND);
        budget.take("a").unwrap();
        budget.take("a").unwrap();
        assert!(budget.take("a").is_err());
        budget.set(1, SECOND);
        tokio::time::advance(SECOND).await;
        budget.take("a").unwrap();
        budget.set(0, SECOND);
        assert_eq!(budget.take("a"), Err(SECOND));
    }
}
