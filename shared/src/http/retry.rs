//! Whether a call is retried, and when: a rule without clock, network or state.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The most attempts at a call, the first one included.
pub(crate) const MAX_ATTEMPTS: u32 = 3;

/// The pause after a first failure that names none. It doubles each time, and is then shortened by the jitter.
const BASE_PAUSE: Duration = Duration::from_millis(400);

/// The pause after a first 429 without `Retry-After`.
const THROTTLED_PAUSE: Duration = Duration::from_secs(1);

/// The least time that must be left for another attempt.
const SHORTEST_USEFUL_CALL: Duration = Duration::from_millis(250);

/// Whether a request may be sent to the remote a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Always: the remote recognises the repetition, or the request changes nothing.
    Always,
    /// Only when the remote certainly did not accept it.
    UnlessAccepted,
}

/// How an attempt at a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The remote answered with this status and perhaps `Retry-After`.
    Answered {
        /// The HTTP status of the answer.
        status: u16,
        /// `Retry-After`, if it could be read.
        retry_after: Option<Duration>,
    },
    /// The request was not sent: no connection could be made.
    NotSent,
    /// The request may have been accepted; no answer came.
    Ambiguous,
}

/// The pause before the next attempt; `None` when there is to be none.
///
/// `attempt` counts from 1; `left` is the time that an outbound call may still take; `jitter` is a number from 0 to 1.
#[must_use]
pub fn pause(ending: Ending, attempt: u32, repeat: Repeat, left: Duration, jitter: f64) -> Option<Duration> {
    if attempt >= MAX_ATTEMPTS {
        return None;
    }
    let backoff = |base: Duration| {
        let full = base.saturating_mul(1 << (attempt - 1).min(16));
        // Between half and all of the pause: spread out, and never too short.
        full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    };
    let pause = match ending {
        // A 429 is an explicit "not accepted", so even a text message may be sent again after it.
        Ending::Answered { status: 429, retry_after } => retry_after.unwrap_or_else(|| backoff(THROTTLED_PAUSE)),
        Ending::Answered { status: 500 | 502 | 503 | 504, retry_after } if repeat == Repeat::Always => {
            retry_after.unwrap_or_else(|| backoff(BASE_PAUSE))
        }
        Ending::NotSent => backoff(BASE_PAUSE),
        Ending::Ambiguous if repeat == Repeat::Always => backoff(BASE_PAUSE),
        _ => return None,
    };
    (pause.checked_add(SHORTEST_USEFUL_CALL)? <= left).then_some(pause)
}

/// Reads `Retry-After`: seconds, which Graph also sends with a fraction, or an HTTP date.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn endings() -> impl Strategy<Value = Ending> {
        let after = proptest::option::of((0_u64..100_000).prop_map(Duration::from_millis));
        prop_oneof![
            (100_u16..600, after).prop_map(|(status, retry_after)| Ending::Answered { status, retry_after }),
            Just(Ending::NotSent),
            Just(Ending::Ambiguous),
        ]
    }

    fn repeats() -> impl Strategy<Value = Repeat> {
        prop_oneof![Just(Repeat::Always), Just(Repeat::UnlessAccepted)]
    }

    proptest! {
        #[test]
        fn what_may_have_been_accepted_is_never_repeated(
            ending in endings(), attempt in 1_u32..10, left in 0_u64..60_000, jitter in 0.0..1.0,
        ) {
            let certainly_refused = matches!(ending, Ending::NotSent | Ending::Answered { status: 429, .. });
            let next = pause(ending, attempt, Repeat::UnlessAccepted, Duration::from_millis(left), jitter);
            prop_assert!(next.is_none() || certainly_refused);
        }

        #[test]
        fn a_pause_always_leaves_time_for_the_call(
            ending in endings(), attempt in 1_u32..10, repeat in repeats(), left in 0_u64..60_000, jitter in -1.0..2.0,
        ) {
            let left = Duration::from_millis(left);
            if let Some(pause) = pause(ending, attempt, repeat, left, jitter) {
                prop_assert!(pause + SHORTEST_USEFUL_CALL <= left);
                prop_assert!(attempt < MAX_ATTEMPTS);
            }
        }

        #[test]
        fn retry_after_is_honoured_to_the_letter(
            seconds in 0.0_f64..20.0, repeat in repeats(), jitter in 0.0..1.0,
        ) {
            let after = retry_after(&format!("{seconds}"), Timestamp::UNIX_EPOCH).unwrap();
            let ending = Ending::Answered { status: 429, retry_after: Some(after) };
            prop_assert_eq!(pause(ending, 1, repeat, Duration::from_secs(30), jitter), Some(after));
            prop_assert_eq!(pause(ending, 1, repeat, after, jitter), None);
        }

        #[test]
        fn a_final_answer_is_final(
            status in prop_oneof![200_u16..429, 430_u16..500, Just(501_u16), 505_u16..600],
            repeat in repeats(), jitter in 0.0..1.0,
        ) {
            let ending = Ending::Answered { status, retry_after: None };
            prop_assert_eq!(pause(ending, 1, repeat, Duration::from_secs(60), jitter), None);
        }

        #[test]
        fn pauses_grow_and_carry_jitter(jitter in 0.0..1.0) {
            let minute = Duration::from_secs(60);
            let first = pause(Ending::NotSent, 1, Repeat::Always, minute, jitter).unwrap();
            let second = pause(Ending::NotSent, 2, Repeat::Always, minute, jitter).unwrap();
            prop_assert!(second.abs_diff(first * 2) < Duration::from_micros(1));
            prop_assert!(first >= BASE_PAUSE / 2 && first <= BASE_PAUSE);
        }

        #[test]
        fn any_header_value_is_survived(value in ".*") {
            let _ = retry_after(&value, Timestamp::UNIX_EPOCH);
        }
    }

    #[test]
    fn retry_after_comes_in_three_forms() {
        let now: Timestamp = "2026-05-04T10:00:00Z".parse().unwrap();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("2.128", now), Some(Duration::from_millis(2128)));
        assert_eq!(retry_after("Mon, 04 May 2026 10:00:05 GMT", now), Some(Duration::from_secs(5)));
        assert_eq!(retry_after("Mon, 04 May 2026 09:00:00 GMT", now), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-1", "NaN", "inf", "1e400"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
        }
    }
}
