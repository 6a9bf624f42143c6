//! The budgets of the functions, and the check that they hold.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Trouble;
use crate::measure::{BatchFigures, FLOOR_WITH_CALL, Figures};
use crate::webhook::{PostFigures, WebhookFigures};
use crate::worker::OpenFigures;

/// The budgets in `budgets.toml`, which the measurements must keep.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budgets {
    zipped_mb: f64,
    peak_memory_mb: f64,
    warm_secret_and_token_calls: f64,
    warm_upstream_calls: BTreeMap<String, f64>,
    ratios: Ratios,
    presence: Presence,
    webhook: Webhook,
    worker: Worker,
}

/// The budget of notifications.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhook {
    zipped_mb: f64,
    peak_memory_mb: f64,
    item_us: f64,
    item_to_json: f64,
    rich_item_to_json: f64,
    one_p99_ms: f64,
    many_p99_ms: f64,
    one_to_handshake: f64,
    many_to_handshake: f64,
}

/// The budget of the worker behind the queue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Worker {
    verify_and_decrypt_us: f64,
    verify_and_decrypt_to_rsa: f64,
}

/// The budget of presence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Presence {
    batch_peak_memory_mb: f64,
    batch_decide_ms: f64,
    batch_decide_to_json: f64,
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

    /// The budgets that a function breaks, a sentence each. The floor has no budgets.
    pub(crate) fn broken(&self, all: &[Figures], floor: &Figures, short: bool) -> Vec<String> {
        let mut broken = Vec::new();
        for figures in all.iter().filter(|figures| !figures.name.starts_with(&floor.name)) {
            let mut hold = |what: &str, value: f64, budget: f64| {
                if value > budget {
                    broken.push(format!("{}: {what} is {value:.2}, at most {budget:.2} is allowed", figures.name));
                }
            };
            let (zipped_mb, peak_memory_mb) = match figures.name.as_str() {
                "graph-webhook" => (self.webhook.zipped_mb, self.webhook.peak_memory_mb),
                _ => (self.zipped_mb, self.peak_memory_mb),
            };
            hold("zipped MB", figures.zipped_mb, zipped_mb);
            hold("peak memory in MB", figures.peak_memory_mb, peak_memory_mb);
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

    /// A presence on request is one call: the bridge's own work is compared with an echo that makes one.
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

    /// The budgets that requests of a hundred notifications break.
    pub(crate) fn broken_by_notifications(&self, figures: WebhookFigures) -> Vec<String> {
        let Webhook { peak_memory_mb, item_to_json, rich_item_to_json, .. } = self.webhook;
        over([
            ("100 rich notifications: peak memory in MB", figures.peak_memory_mb, peak_memory_mb),
            ("a notification: CPU, as a ratio to its JSON,", figures.item_to_floor, item_to_json),
            ("a rich notification: CPU, as a ratio to its JSON,", figures.rich_item_to_floor, rich_item_to_json),
        ])
    }

    /// The budgets that opening a rich notification breaks.
    pub(crate) fn broken_by_opening(&self, figures: OpenFigures) -> Vec<String> {
        let OpenFigures { new_token_us, known_token_us, rsa_us } = figures;
        let budget = self.worker.verify_and_decrypt_to_rsa;
        over([
            ("to verify and decrypt: CPU, as a ratio to RSA,", new_token_us / rsa_us, budget),
            ("to decrypt with a known token: CPU, as a ratio to RSA,", known_token_us / rsa_us, budget),
        ])
    }

    /// The promised times of single steps that are not kept: for a machine that has nothing else to do.
    pub(crate) fn broken_promises(
        &self,
        batch: BatchFigures,
        notifications: WebhookFigures,
        opened: OpenFigures,
    ) -> Vec<String> {
        let (item_us, open_us) = (self.webhook.item_us, self.worker.verify_and_decrypt_us);
        over([
            ("a full batch: CPU to coalesce and decide in ms", batch.decide_ms, self.presence.batch_decide_ms),
            ("a notification: CPU in µs", notifications.item_us, item_us),
            ("a rich notification: CPU in µs", notifications.rich_item_us, item_us),
            ("to verify and decrypt: CPU in µs", opened.new_token_us, open_us),
            ("to decrypt with a known token: CPU in µs", opened.known_token_us, open_us),
        ])
    }

    /// The budgets that the answers to Graph break.
    pub(crate) fn broken_by_posts(&self, posts: PostFigures) -> Vec<String> {
        let Webhook { one_p99_ms, many_p99_ms, one_to_handshake, many_to_handshake, .. } = self.webhook;
        let floor = posts.handshake_p50;
        over([
            ("a notification: p99 in ms", posts.one_p99, one_p99_ms),
            ("100 notifications: p99 in ms", posts.many_p99, many_p99_ms),
            ("a notification: p50, as a ratio to a handshake,", posts.one_p50 / floor, one_to_handshake),
            ("100 notifications: p50, as a ratio to a handshake,", posts.many_p50 / floor, many_to_handshake),
        ])
    }

    /// The budgets that a full batch of presence events breaks.
    pub(crate) fn broken_by_batch(&self, batch: BatchFigures) -> Vec<String> {
        let Presence { batch_peak_memory_mb, batch_decide_to_json, .. } = self.presence;
        over([
            ("a full batch: peak memory in MB", batch.peak_memory_mb, batch_peak_memory_mb),
            ("a full batch: CPU, as a ratio to its JSON,", batch.decide_to_floor, batch_decide_to_json),
        ])
    }
}

/// A sentence for each figure that is over its budget.
fn over<const N: usize>(figures: [(&str, f64, f64); N]) -> Vec<String> {
    let broken = figures.into_iter().filter(|(_, value, budget)| value > budget);
    broken.map(|(what, value, budget)| format!("{what} is {value:.2}, at most {budget:.2} is allowed")).collect()
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
    fn each_function_has_an_event_and_a_budget_of_upstream_calls() {
        let budgets = Budgets::read().unwrap();
        let budgeted: Vec<_> = budgets.warm_upstream_calls.into_keys().collect();
        let functions = sandbox::functions::names().unwrap();
        assert_eq!(budgeted, functions);
        for name in functions {
            assert!(checkout::root().join(format!("tests/events/{name}.json")).is_file(), "{name} has no event");
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
        let batch = BatchFigures { decide_ms: 20.1, decide_to_floor: 10.0, peak_memory_mb: 32.1 };
        assert_eq!(budgets.broken_by_batch(batch).len(), 2);
        let large = Figures { zipped_mb: 3.01, upstream_calls: 0.0, ..figures("graph-webhook") };
        assert_eq!(budgets.broken(&[large], &floor, true).len(), 1);
        let dear = WebhookFigures {
            item_us: 30.1,
            item_to_floor: 10.0,
            rich_item_us: 30.1,
            rich_item_to_floor: 10.0,
            whole_item_us: 1000.0,
            peak_memory_mb: 16.1,
        };
        assert_eq!(budgets.broken_by_notifications(dear).len(), 3);
        let slow = OpenFigures { new_token_us: 1000.1, known_token_us: 1000.1, rsa_us: 500.0 };
        assert_eq!(budgets.broken_by_opening(slow).len(), 2);
        assert_eq!(budgets.broken_promises(batch, dear, slow).len(), 5);
        let late = PostFigures { handshake_p50: 1.0, one_p50: 20.0, one_p99: 25.1, many_p50: 100.0, many_p99: 150.1 };
        assert_eq!(budgets.broken_by_posts(late).len(), 4);
    }
}
