//! Keeps the bot within Teams' limits: for one conversation, and for all of them together.
//!
//! <https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit>

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

/// The limits of one conversation: 8 messages in two seconds (and 7 in one), 60 in 30 seconds, 1,800 in an hour. Each
/// is kept with a message to spare, because messages do not arrive as evenly as they leave.
const OF_A_CONVERSATION: [Limit; 3] = [
    Limit { burst: 3, every: Duration::from_millis(500) },
    Limit { burst: 7, every: Duration::from_micros(576_924) },
    Limit { burst: 59, every: Duration::from_micros(2_068_966) },
];

/// The limit of the bot in a tenant: 30 requests a second, as an older edition of Microsoft's page says; the newer one
/// says 50.
const OF_THE_BOT: [Limit; 1] = [Limit { burst: 9, every: Duration::from_millis(50) }];

/// The shortest time between two typing indicators in a conversation.
const TYPING_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// The number of conversations whose pace is remembered.
const REMEMBERED_CONVERSATIONS: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// A limit: so many at once, and then one each time. No time `t` ever has more than `burst + t / every`.
#[derive(Debug, Clone, Copy)]
struct Limit {
    burst: u32,
    every: Duration,
}

/// Turns that keep several limits: for each, when it would be all unused again.
#[derive(Debug, Clone)]
struct Turns<const N: usize> {
    limits: [Limit; N],
    unused_at: [Instant; N],
    not_before: Instant,
}

impl<const N: usize> Turns<N> {
    fn new(limits: [Limit; N], now: Instant) -> Self {
        Self { limits, unused_at: [now; N], not_before: now }
    }

    /// The next turn.
    fn next(&self, now: Instant) -> Instant {
        let of_limit = |(limit, unused_at): (&Limit, &Instant)| {
            unused_at.checked_sub(limit.every.saturating_mul(limit.burst.saturating_sub(1))).unwrap_or(now)
        };
        self.limits.iter().zip(&self.unused_at).map(of_limit).fold(self.not_before.max(now), Instant::max)
    }

    /// Takes the next turn, if it comes within this time.
    ///
    /// # Errors
    /// How long it would take.
    fn take(&mut self, now: Instant, patience: Duration) -> Result<Instant, Duration> {
        let turn = self.next(now);
        let wait = turn.saturating_duration_since(now);
        if wait > patience {
            return Err(wait);
        }
        for (limit, unused_at) in self.limits.iter().zip(&mut self.unused_at) {
            *unused_at = turn.max(*unused_at) + limit.every;
        }
        Ok(turn)
    }
}

/// The turns of one conversation.
#[derive(Debug, Clone)]
struct ConversationTurns {
    turns: Turns<3>,
    typing_shown: Option<Instant>,
}

impl ConversationTurns {
    fn new(now: Instant) -> Self {
        Self { turns: Turns::new(OF_A_CONVERSATION, now), typing_shown: None }
    }
}

/// The pace of the bot in this process.
#[derive(Debug)]
pub(super) struct BotPace {
    conversations: Mutex<LruCache<String, ConversationTurns>>,
    bot: Mutex<Turns<1>>,
}

impl Default for BotPace {
    fn default() -> Self {
        Self {
            conversations: Mutex::new(LruCache::new(REMEMBERED_CONVERSATIONS)),
            bot: Mutex::new(Turns::new(OF_THE_BOT, Instant::now())),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BotPace {
    fn of<T>(&self, conversation: &str, act: impl FnOnce(&mut ConversationTurns, Instant) -> T) -> T {
        let now = Instant::now();
        let mut conversations = locked(&self.conversations);
        let turns = conversations.get_or_insert_mut_ref(conversation, || ConversationTurns::new(now));
        act(turns, now)
    }

    /// Waits for the turn of a conversation, and then of the bot, for at most this long.
    ///
    /// # Errors
    /// How long to wait, where that is longer. Nothing may be sent.
    pub(super) async fn ready(&self, conversation: &str, patience: Duration) -> Result<(), Duration> {
        let begun = Instant::now();
        let turn = self.of(conversation, |it, now| it.turns.take(now, patience))?;
        tokio::time::sleep_until(turn).await;
        // The bot's turn comes second: one conversation that waits for long holds up no other.
        let now = Instant::now();
        let turn = locked(&self.bot).take(now, patience.saturating_sub(now.saturating_duration_since(begun)))?;
        tokio::time::sleep_until(turn).await;
        Ok(())
    }

    /// Leaves a conversation alone for this long and up to a quarter longer, because Teams asked to slow down.
    pub(super) fn hold(&self, conversation: &str, pause: Duration) {
        self.of(conversation, |it, now| {
            let until = now + pause.mul_f64(1.0 + fastrand::f64() / 4.0);
            it.turns.not_before = it.turns.not_before.max(until);
        });
    }

    /// Whether a typing indicator may be shown now; notes that it is.
    pub(super) fn may_show_typing(&self, conversation: &str) -> bool {
        self.of(conversation, |it, now| {
            let is_recent = it.typing_shown.is_some_and(|shown| now.duration_since(shown) < TYPING_AT_MOST_EVERY);
            let may = !is_recent && it.turns.next(now) <= now;
            if may {
                it.typing_shown = Some(now);
            }
            may
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Microsoft's table, for one conversation.
    const TABLE: [(f64, usize); 4] = [(1.0, 7), (2.0, 8), (30.0, 60), (3600.0, 1800)];

    fn most_within(times: &[f64], seconds: f64) -> usize {
        let mut first = 0;
        let within = times.iter().enumerate().map(|(last, time)| {
            while times[first] < time - seconds {
                first += 1;
            }
            last - first + 1
        });
        within.max().unwrap_or_default()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_conversation_never_exceeds_the_table(pauses in proptest::collection::vec(0_u64..20_000, 1..12)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let times = runtime.block_on(async {
                let (pace, start) = (BotPace::default(), Instant::now());
                let mut times = Vec::new();
                for pause in pauses.iter().cycle() {
                    for _ in 0..200 {
                        pace.ready("a:1", Duration::from_secs(60)).await.unwrap();
                        times.push(start.elapsed().as_secs_f64());
                    }
                    if start.elapsed() > Duration::from_secs(7500) {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(*pause)).await;
                }
                times
            });
            for (seconds, most) in TABLE {
                let found = most_within(&times, seconds);
                prop_assert!(found <= most, "{found} in {seconds} s");
            }
            prop_assert!(times.len() > 3000, "it is not needlessly slow: {} in two hours", times.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_conversations_together_keep_the_bot_s_limit() {
        let (pace, start) = (BotPace::default(), Instant::now());
        let mut times = Vec::new();
        for conversation in 0..300 {
            pace.ready(&format!("a:{conversation}"), Duration::from_secs(60)).await.unwrap();
            times.push(start.elapsed().as_secs_f64());
        }
        assert!(most_within(&times, 1.0) <= 30, "{}", most_within(&times, 1.0));
        assert!(start.elapsed() < Duration::from_secs(16));
    }

    #[tokio::test(start_paused = true)]
    async fn a_conversation_that_is_held_is_held_alone_and_a_wait_that_does_not_fit_is_told() {
        let pace = BotPace::default();
        pace.hold("a:1", Duration::from_secs(20));
        let wait = pace.ready("a:1", Duration::from_secs(5)).await.unwrap_err();
        assert!((20.0..=25.0).contains(&wait.as_secs_f64()), "{wait:?}");
        let start = Instant::now();
        pace.ready("a:2", Duration::ZERO).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        pace.ready("a:1", Duration::from_secs(30)).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn typing_is_shown_every_five_seconds_and_never_waits() {
        let pace = BotPace::default();
        assert!(pace.may_show_typing("a:1"));
        assert!(!pace.may_show_typing("a:1"));
        assert!(pace.may_show_typing("a:2"));
        tokio::time::advance(TYPING_AT_MOST_EVERY).await;
        assert!(pace.may_show_typing("a:1"));
        tokio::time::advance(TYPING_AT_MOST_EVERY).await;
        pace.hold("a:1", Duration::from_secs(1));
        assert!(!pace.may_show_typing("a:1"));
    }
}
