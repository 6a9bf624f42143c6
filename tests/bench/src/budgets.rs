//! The budgets, and whether they hold.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Trouble;
use crate::measure::{BatchFigures, FLOOR_WITH_CALL, Figures};

/// `budgets.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budgets {
    zipped_mb: f64,
    peak_memory_mb: f64,
    warm_secret_and_token_calls: f64,
    warm_upstream_calls: BTreeMap<String, f64>,
    ratios: Ratios,
    presence: Presence,
}

/// What presence may cost.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Presence {
    batch_peak_memory_mb: f64,
    batch_decide_ms: f64,
    call_warm_p50: f64,
    call_cpu: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ratios {
    init: f64,
    first_invoke: f64,
    warm_p50: f64,
    cpu: f64,
}

impl Budgets {
    pub(crate) fn read() -> Result<Self, Trouble> {
        toml::from_str(include_str!("../budgets.toml")).map_err(|error| Trouble(format!("budgets.toml: {error}")))
    }

    /// Every budget that a function breaks, a sentence each. The floor has none.
    pub(crate) fn broken(&self, all: &[Figures], floor: &Figures, short: bool) -> Vec<String> {
        let mut broken = Vec::new();
        for figures in all.iter().filter(|figures| !figures.name.starts_with(&floor.name)) {
            let mut hold = |what: &str, value: f64, budget: f64| {
                if value > budget {
                    broken.push(format!("{}: {what} is {value:.2}, at most {budget:.2} is allowed", figures.name));
                }
            };
            hold("zipped MB", figures.zipped_mb, self.zipped_mb);
            hold("peak memory in MB", figures.peak_memory_mb, self.peak_memory_mb);
            let calls = self.warm_upstream_calls.get(&figures.name).copied().unwrap_or_default();
            hold("upstream calls", figures.upstream_calls, calls);
            hold("secret and token calls", figures.secret_and_token_calls, self.warm_secret_and_token_calls);
            if !short {
                hold("init, as a ratio,", figures.init_ms / floor.init_ms, self.ratios.init);
                hold("first invoke, as a ratio,", figures.first_ms / floor.first_ms, self.ratios.first_invoke);
                hold("warm p50, as a ratio,", figures.warm_p50_ms / floor.warm_p50_ms, self.ratios.warm_p50);
                hold("CPU, as a ratio,", figures.cpu_s_per_1000 / floor.cpu_s_per_1000, self.ratios.cpu);
            }
        }
        if !short {
            broken.extend(self.broken_by_presence_calls(all));
        }
        broken
    }

    /// A presence on request is one call; what the bridge does around it is held against an echo that makes one.
    fn broken_by_presence_calls(&self, all: &[Figures]) -> Vec<String> {
        let named = |name: &str| all.iter().find(|figures| figures.name == name);
        let (Some(presence), Some(floor)) = (named("update-presence"), named(FLOOR_WITH_CALL)) else {
            return Vec::new();
        };
        let ratios = [
            ("warm p50", presence.warm_p50_ms / floor.warm_p50_ms, self.presence.call_warm_p50),
            ("CPU", presence.cpu_s_per_1000 / floor.cpu_s_per_1000, self.presence.call_cpu),
        ];
        let broken = ratios.into_iter().filter(|(_, ratio, budget)| ratio > budget);
        let told = |(what, ratio, budget): (&str, f64, f64)| {
            format!(
                "update-presence: {what} is {ratio:.2} times that of {FLOOR_WITH_CALL}, at most {budget:.2} is allowed"
            )
        };
        broken.map(told).collect()
    }

    /// Every budget that a full batch of presence events breaks.
    pub(crate) fn broken_by_batch(&self, batch: BatchFigures) -> Vec<String> {
        let figures = [
            ("peak memory in MB", batch.peak_memory_mb, self.presence.batch_peak_memory_mb),
            ("CPU to coalesce and decide in ms", batch.decide_ms, self.presence.batch_decide_ms),
        ];
        let broken = figures.into_iter().filter(|(_, value, budget)| value > budget);
        broken
            .map(|(what, value, budget)| format!("a full batch: {what} is {value:.2}, at most {budget:.2} is allowed"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(name: &str) -> Figures {
        Figures {
            name: name.into(),
            zipped_mb: 1.0,
            init_ms: 1.0,
            first_ms: 1.0,
            warm_p50_ms: 1.0,
            warm_p99_ms: 1.0,
            cpu_s_per_1000: 1.0,
            peak_memory_mb: 1.0,
            upstream_calls: 1.0,
            secret_and_token_calls: 0.0,
        }
    }

    #[test]
    fn a_budget_can_be_broken() {
        let budgets = Budgets::read().unwrap();
        let floor = figures("floor");
        let good = figures("send-sms");
        assert_eq!(budgets.broken(&[good], &floor, false), Vec::<String>::new());
        let large = Figures { zipped_mb: 3.61, ..figures("send-sms") };
        let hungry = Figures { peak_memory_mb: 20.1, ..figures("send-sms") };
        let chatty = Figures { upstream_calls: 1.01, ..figures("send-sms") };
        let forgetful = Figures { secret_and_token_calls: 0.01, ..figures("send-sms") };
        let slow = Figures { warm_p50_ms: 1000.0, ..figures("send-sms") };
        assert_eq!(budgets.broken(&[large, hungry, chatty, forgetful], &floor, true).len(), 4);
        assert_eq!(budgets.broken(std::slice::from_ref(&slow), &floor, true).len(), 0, "times are not held when short");
        assert_eq!(budgets.broken(&[slow], &floor, false).len(), 1);
        let busy = [Figures { cpu_s_per_1000: 9.0, ..figures("update-presence") }, figures(FLOOR_WITH_CALL)];
        assert_eq!(budgets.broken(&busy, &floor, false).len(), 1);
        let batch = BatchFigures { decide_ms: 20.1, peak_memory_mb: 32.1 };
        assert_eq!(budgets.broken_by_batch(batch).len(), 2);
    }
}
