//! The settings of a simulated shift change, and its outcome.

use std::fmt;
use std::str::FromStr;

use bridge::presence::PresenceMode;

/// The mix of agents who change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Most agents log off, or on and on the queue.
    Change,
    /// One in ten logs off, the others change between presences that are not urgent.
    TenthUrgent,
    /// The same, ten minutes after the bridge was deployed: no link is known, and Genesys Cloud allows 300 requests a
    /// minute.
    FirstDay,
}

impl FromStr for Mix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "most" => Ok(Self::Change),
            "tenth" => Ok(Self::TenthUrgent),
            "first-day" => Ok(Self::FirstDay),
            _ => Err("expected most, tenth or first-day"),
        }
    }
}

impl Mix {
    const fn name(self) -> &'static str {
        match self {
            Self::Change => "most",
            Self::TenthUrgent => "1 in 10",
            Self::FirstDay => "1st day",
        }
    }
}

/// The settings of a shift that is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shift {
    /// The mix of agents who change.
    pub mix: Mix,
    /// The mode: which of Graph's actions set presences.
    pub mode: PresenceMode,
    /// The number of agents who change.
    pub agents: usize,
    /// Graph's budget, and the bridge's setting.
    pub requests_per_second: u32,
    /// The number of instances that run at the same time.
    pub instances: u32,
}

impl Shift {
    /// The file name of the run's picture.
    pub(crate) fn name(&self) -> String {
        let mix = match self.mix {
            Mix::Change => "",
            Mix::TenthUrgent => "-one-in-ten-urgent",
            Mix::FirstDay => "-on-the-first-day",
        };
        format!("{}-agents-at-{}-per-second-{}{mix}", self.agents, self.requests_per_second, self.mode.name())
    }
}

/// A moment of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Seconds since the beginning.
    pub at: f64,
    /// The messages that are not served yet.
    pub backlog: usize,
    /// The longest lag of those who were served within the last seconds.
    pub lag: f64,
}

/// The outcome of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The settings of the simulated shift.
    pub shift: Shift,
    /// The number of events that came in.
    pub events: usize,
    /// The number of requests to Graph over HTTP.
    pub round_trips: u64,
    /// The number of presence requests in them.
    pub requests: u64,
    /// The presence requests that were answered 429.
    pub throttled: u64,
    /// The lags of all agents in seconds, sorted.
    pub lags: Vec<f64>,
    /// The lags of agents who went on queue or logged off, in seconds, sorted.
    pub urgent_lags: Vec<f64>,
    /// The number of agents whom Teams shows wrongly in the end.
    pub wrong: usize,
    /// The number of messages in the dead-letter queue.
    pub dead: usize,
    /// When the last presence was sent, in seconds since the beginning.
    pub finished: f64,
    /// The moments of the run, for the picture.
    pub moments: Vec<Moment>,
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().unwrap_or_default()
}

impl Outcome {
    /// The headings above the lines of outcomes.
    pub(crate) const HEADINGS: &str = "agents      mode  urgent  budget/s   events in   HTTP calls   requests  per change   429s   \
                                p95 lag s   worst lag s   p95 urgent s   done after s   wrong";

    /// How many times an agent who changed was sent a presence; each takes as many requests as the mode has actions.
    pub(crate) fn sendings_per_agent(&self) -> f64 {
        self.requests as f64 / (self.shift.agents * self.shift.mode.actions()) as f64
    }

    /// The promises that this run broke.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.wrong > 0 {
            broken.push(format!("{} agents are shown wrongly in the end", self.wrong));
        }
        if self.throttled > 0 {
            broken.push(format!("{} of {} requests were throttled", self.throttled, self.requests));
        }
        // More agents change than the budget takes: what is sent is chosen.
        let busy = self.shift.agents >= 50_000 && self.shift.requests_per_second <= 50;
        if busy && self.sendings_per_agent() > 1.05 {
            broken.push(format!("{:.2} sendings per agent who changed, more than 1.05", self.sendings_per_agent()));
        }
        let urgent = percentile(&self.urgent_lags, 0.95);
        if busy && self.shift.mix != Mix::Change && urgent > 120.0 {
            broken.push(format!("95 % of the urgent changes are shown within {urgent:.0} s, more than 120 s"));
        }
        if self.dead > 0 {
            broken.push(format!("{} messages were given up", self.dead));
        }
        broken
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6}{:>10}{:>8}{:>10}{:>12}{:>13}{:>11}{:>12.2}{:>7}{:>12.1}{:>14.1}{:>15.1}{:>15.0}{:>8}",
            self.shift.agents,
            self.shift.mode.name(),
            self.shift.mix.name(),
            self.shift.requests_per_second,
            self.events,
            self.round_trips,
            self.requests,
            self.sendings_per_agent(),
            self.throttled,
            percentile(&self.lags, 0.95),
            percentile(&self.lags, 1.0),
            percentile(&self.urgent_lags, 0.95),
            self.finished,
            self.wrong,
        )
    }
}
