//! The health of an endpoint: how quickly it answers, and whether its notifications are delivered, delayed or dropped.
//!
//! Response times are counted for a window of ten minutes, and decide about the next window. No page says how many
//! notifications are sent as probes while others are dropped: here it is one in ten.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// An answer after this time is slow.
pub(super) const SLOW: Duration = Duration::from_secs(3);

/// An answer after this time counts as none.
pub(super) const LOST: Duration = Duration::from_secs(10);

/// The most slow answers of a hundred.
const SLOW_PERCENT: u32 = 10;

/// The most missing answers of a hundred.
const LOST_PERCENT: u32 = 15;

const PROBES: u64 = 10;

/// What happens to new notifications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Notifications are delivered at once.
    #[default]
    Normal,
    /// Notifications are delivered a window later.
    Slow,
    /// Notifications are dropped, as Graph does.
    Drop,
}

/// The observed health of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Health {
    began: Option<Instant>,
    answers: u32,
    slow: u32,
    lost: u32,
    state: State,
    seen_while_dropping: u64,
}

impl Health {
    /// What happens to new notifications now.
    pub(super) fn state(&mut self, window: Duration) -> State {
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        if now.saturating_duration_since(began) < window {
            return self.state;
        }
        let over = |count: u32, percent: u32| count.saturating_mul(100) > self.answers.saturating_mul(percent);
        self.state = if over(self.lost, LOST_PERCENT) || (self.answers == 0 && self.state == State::Drop) {
            State::Drop
        } else if over(self.slow, SLOW_PERCENT) {
            State::Slow
        } else {
            State::Normal
        };
        *self = Self { began: Some(now), state: self.state, ..Self::default() };
        self.state
    }

    /// Whether the next notification is delivered although others are dropped.
    pub(super) fn probes(&mut self) -> bool {
        self.seen_while_dropping += 1;
        self.seen_while_dropping % PROBES == 1
    }

    /// Counts an answer, or a missing one, after this long.
    pub(super) fn count(&mut self, took: Duration, window: Duration) {
        self.state(window);
        self.answers += 1;
        self.slow += u32::from(took >= SLOW);
        self.lost += u32::from(took >= LOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTH_WINDOW: Duration = Duration::from_secs(600);

    /// The state after a window with so many answers of this kind among a hundred.
    async fn after(slow: usize, took: Duration) -> State {
        let mut health = Health::default();
        for index in 0..100 {
            health.count(if index < slow { took } else { Duration::from_millis(20) }, HEALTH_WINDOW);
        }
        assert_eq!(health.state(HEALTH_WINDOW), State::Normal, "the window is not over");
        tokio::time::advance(HEALTH_WINDOW).await;
        health.state(HEALTH_WINDOW)
    }

    #[tokio::test(start_paused = true)]
    async fn the_documented_thresholds() {
        assert_eq!(after(10, SLOW).await, State::Normal);
        assert_eq!(after(11, SLOW).await, State::Slow);
        assert_eq!(after(15, LOST).await, State::Slow);
        assert_eq!(after(16, LOST).await, State::Drop);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_recovers_by_its_probes() {
        let mut health = Health::default();
        health.count(LOST, HEALTH_WINDOW);
        tokio::time::advance(HEALTH_WINDOW).await;
        assert_eq!(health.state(HEALTH_WINDOW), State::Drop);
        tokio::time::advance(HEALTH_WINDOW).await;
        assert_eq!(health.state(HEALTH_WINDOW), State::Drop, "nobody knows better yet");
        let probes = (0..20).filter(|_| health.probes()).count();
        assert_eq!(probes, 2);
        health.count(Duration::from_millis(20), HEALTH_WINDOW);
        tokio::time::advance(HEALTH_WINDOW).await;
        assert_eq!(health.state(HEALTH_WINDOW), State::Normal);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_endpoint_recovers_as_well() {
        let mut health = Health::default();
        health.count(SLOW, HEALTH_WINDOW);
        tokio::time::advance(HEALTH_WINDOW).await;
        assert_eq!(health.state(HEALTH_WINDOW), State::Slow);
        tokio::time::advance(HEALTH_WINDOW).await;
        assert_eq!(health.state(HEALTH_WINDOW), State::Normal);
    }
}
