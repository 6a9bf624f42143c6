//! How much time an invocation has left.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Kept back from outbound calls, so that the outcome can still be stored and answered.
const MARGIN_TO_STORE: Duration = Duration::from_millis(700);

/// Kept back from all work, so that the answer itself leaves in time.
const MARGIN_TO_ANSWER: Duration = Duration::from_millis(300);

/// The time for a request when the runtime does not tell it: `cargo lambda watch` announces a deadline in 1970.
const WHEN_UNKNOWN: Duration = Duration::from_secs(25);

/// The moment at which Lambda ends this invocation. All code that waits asks here for how long it may.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    ends_at: Instant,
}

impl Deadline {
    /// The deadline that the Lambda runtime announces, in milliseconds since the Unix epoch.
    #[must_use]
    pub(crate) fn of_invocation(deadline_ms: u64) -> Self {
        let until = UNIX_EPOCH + Duration::from_millis(deadline_ms);
        Self::after(until.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero()).unwrap_or(WHEN_UNKNOWN))
    }

    /// A deadline this far ahead.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        Self { ends_at: Instant::now() + duration }
    }

    /// A deadline by which calls end at this moment.
    #[must_use]
    pub(crate) fn for_calls_until(moment: Instant) -> Self {
        Self { ends_at: moment + MARGIN_TO_STORE }
    }

    /// How long an outbound call may take.
    #[must_use]
    pub(crate) fn for_a_call(&self) -> Duration {
        self.until_end().saturating_sub(MARGIN_TO_STORE)
    }

    /// How long until the answer has to be on its way.
    #[must_use]
    pub(crate) fn for_the_answer(&self) -> Duration {
        self.until_end().saturating_sub(MARGIN_TO_ANSWER)
    }

    /// How long until Lambda ends the process.
    #[must_use]
    pub(crate) fn until_end(&self) -> Duration {
        self.ends_at.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms_from_now(ms: i64) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        u64::try_from(i64::try_from(now).unwrap() + ms).unwrap()
    }

    #[tokio::test]
    async fn a_call_gets_what_is_left_less_a_margin() {
        let deadline = Deadline::of_invocation(ms_from_now(10_000));
        assert!(deadline.for_a_call() <= Duration::from_millis(9_300));
        assert!(deadline.for_a_call() > Duration::from_millis(9_000));
        assert!(deadline.for_the_answer() > deadline.for_a_call());
        assert_eq!(Deadline::of_invocation(ms_from_now(200)).for_a_call(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_deadline_in_the_past_is_one_that_nobody_told_us() {
        assert!(Deadline::of_invocation(600_000).until_end() > Duration::from_secs(20));
    }
}
