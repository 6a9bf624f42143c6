//! Not faster than Graph's presence budget, whatever comes out of the queue.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::graph::presence::BATCH_SIZE;

/// Over which Graph counts.
///
/// <https://learn.microsoft.com/graph/throttling-limits>
const WINDOW_SECONDS: f64 = 30.0;

/// This instance's share of the budget, one request after another, a batch at a time.
#[derive(Debug)]
pub struct Pace {
    batch: usize,
    per_request: Duration,
    turns: Mutex<Turns>,
}

#[derive(Debug)]
struct Turns {
    next: Instant,
    /// How often in a row Graph has asked to slow down.
    throttled: u32,
}

impl Pace {
    /// A share of the budget of so many requests per second for each of so many instances.
    ///
    /// A batch leaves at once and its requests count at once, so a window may hold one batch more than its share: the
    /// pace is that much slower, and by one request more, because a timer is only good to a millisecond.
    #[must_use]
    pub fn new(requests_per_second: f64, instances: u32) -> Self {
        let share = requests_per_second * WINDOW_SECONDS / f64::from(instances.max(1));
        // A small share is spent in small batches, or one batch would be most of it.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the clamp")]
        let batch = (share / 4.0).clamp(1.0, BATCH_SIZE as f64) as usize;
        let rest = (share - batch as f64 - 1.0).max(share / 2.0);
        Self {
            batch,
            per_request: Duration::from_secs_f64(WINDOW_SECONDS / rest),
            turns: Mutex::new(Turns { next: Instant::now(), throttled: 0 }),
        }
    }

    /// Most requests at once.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Waits until so many requests may leave. `false`, at once, when that is not before the time given.
    pub async fn wait(&self, requests: usize, until: Instant) -> bool {
        let turn = {
            let mut turns = self.turns();
            let turn = turns.next.max(Instant::now());
            if turn > until {
                return false;
            }
            turns.next = turn + self.per_request.saturating_mul(u32::try_from(requests).unwrap_or(u32::MAX));
            turn
        };
        tokio::time::sleep_until(turn).await;
        true
    }

    /// Lets nothing leave for so long, because Graph asked to slow down; for twice as long the second time in a row, and so
    /// on, up to the window that Graph counts over. Refused requests count against the budget too, so instances that came
    /// back as soon as they may would keep each other out.
    pub fn pause(&self, retry_after: Duration) {
        let mut turns = self.turns();
        let longest = Duration::from_secs_f64(WINDOW_SECONDS).max(retry_after);
        let pause = retry_after.saturating_mul(1 << turns.throttled.min(10)).min(longest);
        turns.throttled += 1;
        turns.next = turns.next.max(Instant::now() + pause.mul_f64(1.0 + fastrand::f64() / 4.0));
    }

    /// Graph took everything: the next pause is a first one again.
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
            while pace.wait(pace.batch(), start + Duration::from_secs(300)).await {
                times.extend(std::iter::repeat_n(start.elapsed().as_secs_f64(), pace.batch()));
            }
            times
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_window_of_30_seconds_ever_exceeds_the_share(rate in 1.0..400.0_f64, instances in 1..5_u32) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let _guard = runtime.enter();
            let times = departures(&Pace::new(rate, instances), &runtime);
            let share = rate * WINDOW_SECONDS / f64::from(instances);
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
        let pace = Pace::new(50.0, 1);
        for (pause, most) in [(7.0, 8.75), (14.0, 17.5), (28.0, 35.0), (30.0, 37.5)] {
            pace.pause(Duration::from_secs(7));
            let start = Instant::now();
            assert!(!pace.wait(1, start + Duration::from_secs(5)).await);
            assert_eq!(start.elapsed(), Duration::ZERO);
            assert!(pace.wait(1, start + Duration::from_secs(60)).await);
            let waited = start.elapsed().as_secs_f64();
            assert!((pause..=most + 0.1).contains(&waited), "{waited} s");
        }
        pace.passed();
        pace.pause(Duration::from_secs(7));
        let start = Instant::now();
        assert!(pace.wait(1, start + Duration::from_secs(60)).await);
        assert!(start.elapsed() < Duration::from_secs(9));
    }
}
