//! A short outage is sat out, a longer one is waited for in the queue, with pauses that grow.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::LEAST_TIME;
use super::verdict::Verdict;
use crate::error::{Code, Error};
use crate::http::RequestContext;

/// How long an outage is sat out. Every group of the batch waits for the end of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Pause before the next try while an outage is sat out.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// Pause in the queue after the first failure; it doubles with each receive.
const FIRST_WAIT: Duration = Duration::from_secs(30);

/// The longest pause: what an outage can cost after it is over.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The time window of a throttle.
const WINDOW: Duration = Duration::from_secs(60);

/// How much longer the pause grows after each try that a sink may have taken: the few that there are (see
/// [`MAX_POSTS`](super::MAX_POSTS)) reach over three quarters of an hour.
const DOUBT_STEP: Duration = Duration::from_secs(5 * 60);

/// What passes by itself within seconds, so that trying again at once is worth it.
const OUTAGES: [Code; 6] = [
    Code::GRAPH_UNAVAILABLE,
    Code::GENESYS_UNAVAILABLE,
    Code::ENTRA_UNAVAILABLE,
    Code::SECRETS_UNAVAILABLE,
    Code::STATE_UNAVAILABLE,
    Code::DELIVERY_FAILED,
];

/// Whether a failure passes by itself.
pub(super) fn passes(error: &Error) -> bool {
    OUTAGES.contains(&error.code)
}

/// Whether there is time for a pause and one more try.
pub(super) fn has_time(cx: &RequestContext, until: Instant) -> bool {
    Instant::now() < until && cx.deadline.for_a_call() >= PAUSE + LEAST_TIME
}

/// Tries until it works, or an error will not pass by itself, or until then. A remote that asks to slow down is not asked
/// again: the client has waited for as long as it was told to, or there was no time for it.
pub(super) async fn patiently<T>(
    cx: &RequestContext,
    until: Instant,
    mut attempt: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let error = match attempt().await {
            Err(error) if passes(&error) => error,
            done => return done,
        };
        if !has_time(cx, until) {
            return Err(error);
        }
        tracing::warn!(code = error.code.text(), cause = error.cause, "trying again in a moment");
        sleep(PAUSE).await;
    }
}

/// How long a message is hidden in the queue that was received so often.
pub(super) fn wait(verdict: Verdict, receives: u32) -> Duration {
    let doubled = FIRST_WAIT * 2_u32.saturating_pow(receives.saturating_sub(1).min(10));
    match verdict {
        Verdict::Throttled => doubled.clamp(WINDOW, LONGEST_WAIT),
        _ => doubled.min(LONGEST_WAIT),
    }
}

/// The same for a message of which so many tries may have been taken.
pub(super) fn wait_in_doubt(doubts: u32) -> Duration {
    (DOUBT_STEP * doubts.saturating_sub(1)).clamp(FIRST_WAIT, LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::super::{MAX_POSTS, MAX_RECEIVES};
    use super::*;

    /// Of the waits, one after the other.
    fn in_all(waits: impl Iterator<Item = Duration>) -> Duration {
        waits.sum()
    }

    #[test]
    fn an_outage_of_a_week_uses_up_no_message() {
        let waits = (1..MAX_RECEIVES).map(|receives| wait(Verdict::Outage, receives));
        assert!(in_all(waits) > Duration::from_secs(10 * 24 * 3600));
        assert_eq!(wait(Verdict::Outage, 1), Duration::from_secs(30), "a short one costs little");
        assert_eq!(wait(Verdict::Outage, MAX_RECEIVES), LONGEST_WAIT);
        assert_eq!(wait(Verdict::Throttled, 1), WINDOW);
    }

    #[test]
    fn the_few_tries_in_doubt_reach_over_an_outage_of_forty_minutes() {
        // The first receive makes two of them.
        let waits = (2..MAX_POSTS).map(wait_in_doubt);
        assert!(in_all(waits) > Duration::from_secs(40 * 60));
    }
}
