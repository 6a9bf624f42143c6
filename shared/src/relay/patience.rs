//! Pauses and retries: a short outage is waited out within the invocation, a longer one in the queue, with growing
//! pauses.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::LEAST_TIME_TO_SERVE;
use super::verdict::Verdict;
use crate::error::{Code, Error};
use crate::http::RequestContext;

/// How long an outage is waited out within the invocation. Every group of the batch waits as long.
pub(super) const OUTAGE_PATIENCE: Duration = Duration::from_secs(20);

/// The pause between two tries while an outage is waited out.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// The pause in the queue after the first failure; it doubles with each receive.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// The longest pause in the queue: how long a message may still wait after an outage is over.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The time window in which a throttle counts requests.
const WINDOW: Duration = Duration::from_secs(60);

/// How much longer the pause becomes after each try that a sink may have taken. The few tries that are allowed (see
/// [`MAX_POSTS`](super::MAX_POSTS)) then cover three quarters of an hour.
const DOUBT_STEP: Duration = Duration::from_secs(5 * 60);

/// Failures that pass by themselves within seconds, so that a retry at once is worth it.
const OUTAGES: [Code; 6] = [
    Code::GRAPH_UNAVAILABLE,
    Code::GENESYS_UNAVAILABLE,
    Code::ENTRA_UNAVAILABLE,
    Code::SECRETS_UNAVAILABLE,
    Code::STATE_UNAVAILABLE,
    Code::DELIVERY_FAILED,
];

/// Whether a failure passes by itself within seconds.
pub(super) fn passes(error: &Error) -> bool {
    OUTAGES.contains(&error.code)
}

/// Whether there is time for a pause and another try.
pub(super) fn has_time(cx: &RequestContext, until: Instant) -> bool {
    Instant::now() < until && cx.deadline.for_a_call() >= PAUSE + LEAST_TIME_TO_SERVE
}

/// Retries until it works, an error does not pass by itself, or the time is up. A remote that throttles is not asked
/// again: the client has waited as long as it was told to, or there was no time for it.
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
        tracing::warn!(
            code = error.code.text(),
            cause = error.cause,
            "opening a message failed and is retried in a moment"
        );
        sleep(PAUSE).await;
    }
}

/// How long a message that was received this many times is hidden in the queue.
pub(super) fn wait(verdict: Verdict, receives: u32) -> Duration {
    let doubled = FIRST_WAIT * 2_u32.saturating_pow(receives.saturating_sub(1).min(10));
    match verdict {
        Verdict::Throttled => doubled.clamp(WINDOW, LONGEST_WAIT),
        _ => doubled.min(LONGEST_WAIT),
    }
}

/// The same for a message with this many tries in doubt.
pub(super) fn wait_in_doubt(doubts: u32) -> Duration {
    (DOUBT_STEP * doubts.saturating_sub(1)).clamp(FIRST_WAIT, LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::super::verdict::SUSPECT_RECEIVES;
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
        assert_eq!(wait(Verdict::Outage, 1), Duration::from_secs(10), "a short one costs little");
        assert_eq!(wait(Verdict::Outage, MAX_RECEIVES), LONGEST_WAIT);
        assert_eq!(wait(Verdict::Throttled, 1), WINDOW);
        let until_suspected = in_all((1..SUSPECT_RECEIVES).map(|receives| wait(Verdict::Outage, receives)));
        assert_eq!(until_suspected.as_secs().div_ceil(3600), 2, "about two hours");
    }

    #[test]
    fn the_few_tries_in_doubt_reach_over_an_outage_of_forty_minutes() {
        // The first receive makes two of them.
        let waits = (2..MAX_POSTS).map(wait_in_doubt);
        assert!(in_all(waits) > Duration::from_secs(40 * 60));
    }
}
