//! Keeps the requests to Graph within its presence budget, however many events come out of the queue.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::graph::presence::BATCH_SIZE;

/// The window over which Graph counts requests.
///
/// <https://learn.microsoft.com/graph/throttling-limits>
const WINDOW_SECONDS: f64 = 30.0;

/// The pace of the requests: when the next batch may leave.
#[derive(Debug)]
pub struct Pace {
    batch: usize,
    per_request: Duration,
    turns: Mutex<Turns>,
}

#[derive(Debug)]
struct Turns {
    next: Instant,
    /// Batches in a row for which Graph has asked to slow down.
    throttled: u32,
}

impl Pace {
    /// The pace for a budget of so many requests per second.
    ///
    /// A batch leaves at once and its requests count at once, so a window may hold one batch more than the budget: the
    /// pace is that much slower, and by one request more, because a timer is only good to a millisecond.
    #[must_use]
    pub fn new(requests_per_second: f64) -> Self {
        let budget = requests_per_second * WINDOW_SECONDS;
        // A small budget is spent in small batches, or one batch would be most of it.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the clamp")]
        let batch = (budget / 4.0).clamp(1.0, BATCH_SIZE as f64) as usize;
        let rest = (budget - batch as f64 - 1.0).max(budget / 2.0);
        Self {
            batch,
            per_request: Duration::from_secs_f64(WINDOW_SECONDS / rest),
            turns: Mutex::new(Turns { next: Instant::now(), throttled: 0 }),
        }
    }

    /// How many requests may leave at once.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Waits until requests may leave.
    pub async fn ready(&self) {
        loop {
            let next = self.turns().next;
            if next <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// Counts requests that leave now.
    pub fn take(&self, requests: usize) {
        let mut turns = self.turns();
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        turns.next = turns.next.max(Instant::now()) + self.per_request.saturating_mul(requests);
    }

    /// How long no request may leave.
    pub fn rest(&self) -> Duration {
        self.turns().next.saturating_duration_since(Instant::now())
    }

    /// Holds all requests back for so long, because Graph asked to slow down; for twice as long the second time in a
    /// row, and so on, up to the window that Graph counts over. Refused requests count against the budget too, so
    /// instances that came back as soon as they may would keep each other out.
    pub fn pause(&self, retry_after: Duration) {
        let mut turns = self.turns();
        let longest = Duration::from_secs_f64(WINDOW_SECONDS).max(retry_after);
        let pause = retry_after.saturating_mul(1 << turns.throttled.min(10)).min(longest);
        turns.throttled += 1;
        turns.next = turns.next.max(Instant::now() + pause.mul_f64(1.0 + fastrand::f64() / 4.0));
    }

    /// Notes that Graph took a whole batch, so that the next pause is not doubled.
    pub fn passed(&self) {
        self.turns().throttled = 0;
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The times at which requests leave within five minutes, asked for as fast as they are granted.
    fn departures(pace: &Pace, runtime: &tokio::runtime::Runtime) -> Vec<f64> {
        runtime.block_on(async {
            let start = Instant::now();
            let mut times = Vec::new();
            while start.elapsed() + pace.rest() <= Duration::from_secs(300) {
                pace.ready().await;
                pace.take(pace.batch());
                times.extend(std::iter::repeat_n(start.elapsed().as_secs_f64(), pace.batch()));
            }
            times
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_window_of_30_seconds_ever_exceeds_the_budget(rate in 0.25..400.0_f64) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let _guard = runtime.enter();
            let times = departures(&Pace::new(rate), &runtime);
            let share = rate * WINDOW_SECONDS;
            let mut first = 0;
            for (last, time) in times.iter().enumerate() {
                while times[first] <= time - WINDOW_SECONDS {
                    first += 1;
                }
                prop_assert!((last - first + 1) as f64 <= share.max(1.0) + 1e-6, "{} in a window of {share}", last - first + 1);
            }
            prop_assert!(times.len() as f64 >= share * 10.0 * 0.5, "it is not needlessly slow");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_hold_everything_up_and_grow_until_graph_takes_everything() {
        let pace = Pace::new(50.0);
        for (pause, most) in [(7.0, 8.75), (14.0, 17.5), (28.0, 35.0), (30.0, 37.5)] {
            pace.pause(Duration::from_secs(7));
            let start = Instant::now();
            assert!(pace.rest() > Duration::from_secs(5));
            pace.ready().await;
            pace.take(1);
            let waited = start.elapsed().as_secs_f64();
            assert!((pause..=most + 0.1).contains(&waited), "{waited} s");
        }
        pace.passed();
        pace.pause(Duration::from_secs(7));
        let start = Instant::now();
        pace.ready().await;
        assert!(start.elapsed() < Duration::from_secs(9));
    }
}
