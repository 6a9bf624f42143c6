//! What is simulated, and what came of it.

use std::fmt;
use std::str::FromStr;

use bridge::presence::PresenceMode;

/// Who changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Most agents log off, or on and on the queue.
    Change,
    /// One in ten logs off, the others change between presences that nobody waits for.
    TenthUrgent,
    /// The same, ten minutes after the bridge was deployed: nobody is known, and Genesys Cloud allows 300 requests a minute.
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

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Shift {
    /// Who changes.
    pub mix: Mix,
    /// By which of Graph's actions presences are set.
    pub mode: PresenceMode,
    /// How many agents change.
    pub agents: usize,
    /// Graph's budget, and the bridge's setting.
    pub requests_per_second: u32,
    /// How many instances of the function run at once.
    pub instances: u32,
}

impl Shift {
    /// What the run's picture is called.
    pub fn name(&self) -> String {
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
pub struct Moment {
    /// Seconds since the beginning.
    pub at: f64,
    /// Messages that are not served.
    pub backlog: usize,
    /// The longest lag of those who were served within the last seconds.
    pub lag: f64,
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// What was simulated.
    pub shift: Shift,
    /// Events that came in.
    pub events: usize,
    /// Requests to Graph over HTTP.
    pub round_trips: u64,
    /// Presence requests in them.
    pub requests: u64,
    /// 429s among those.
    pub throttled: u64,
    /// Sorted, in seconds: all agents' lags.
    pub lags: Vec<f64>,
    /// Sorted, in seconds: lags of those who went on queue or logged off.
    pub urgent_lags: Vec<f64>,
    /// Agents whom Teams shows as something else in the end.
    pub wrong: usize,
    /// Messages in the dead-letter queue.
    pub dead: usize,
    /// When the last presence was sent, in seconds since the beginning.
    pub finished: f64,
    /// For the picture.
    pub moments: Vec<Moment>,
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().unwrap_or_default()
}

impl Outcome {
    /// Above the lines that outcomes are printed as.
    pub const HEADINGS: &str = "agents      mode  urgent  budget/s   events in   HTTP calls   requests  per change   429s   \
                                p95 lag s   worst lag s   p95 urgent s   done after s   wrong";

    /// How often an agent who changed was sent a presence; each takes as many requests as the mode has actions.
    pub fn sendings_per_agent(&self) -> f64 {
        self.requests as f64 / (self.shift.agents * self.shift.mode.actions()) as f64
    }

    /// The promises that this run broke.
    pub fn broken(&self) -> Vec<String> {
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
