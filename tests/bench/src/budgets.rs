//! The budgets, and whether they hold.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Trouble;
use crate::measure::Figures;

/// `budgets.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budgets {
    zipped_mb: f64,
    peak_memory_mb: f64,
    warm_secret_and_token_calls: f64,
    warm_upstream_calls: BTreeMap<String, f64>,
    ratios: Ratios,
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
        for figures in all.iter().filter(|figures| figures.name != floor.name) {
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
        broken
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
    }
}
