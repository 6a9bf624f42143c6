//! The one line a request leaves behind.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::lines::RECORD;
use super::mask;

/// CloudWatch namespace of all metrics.
const NAMESPACE: &str = "TeamsBridge";

/// Most values of one metric that the embedded metric format takes in a line. A batch of a thousand messages makes more
/// calls than that: the first stand for all.
const MOST_VALUES: usize = 100;

/// Whom a call went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// Microsoft Entra ID's token endpoint.
    Entra,
    /// Microsoft Graph.
    Graph,
    /// Genesys Cloud's token endpoint.
    GenesysLogin,
    /// The Genesys Cloud API.
    Genesys,
    /// AWS Secrets Manager.
    Secrets,
    /// The state table.
    State,
    /// A queue.
    Queue,
}

impl Upstream {
    const ALL: [Self; 7] =
        [Self::Entra, Self::Graph, Self::GenesysLogin, Self::Genesys, Self::Secrets, Self::State, Self::Queue];

    /// Name of the latency metric, in milliseconds.
    const fn metric(self) -> &'static str {
        match self {
            Self::Entra => "entraMs",
            Self::Graph => "graphMs",
            Self::GenesysLogin => "genesysLoginMs",
            Self::Genesys => "genesysMs",
            Self::Secrets => "secretsMs",
            Self::State => "stateMs",
            Self::Queue => "queueMs",
        }
    }
}

/// One attempt at a call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whom it went to.
    pub upstream: Upstream,
    /// The remote operation's name.
    pub operation: &'static str,
    /// HTTP status, or 0 when there was no answer.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
    /// The id under which the remote's support finds it: Graph's `request-id`, Genesys Cloud's correlation id.
    pub remote_id: String,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// The answer's `ok`.
    pub ok: bool,
    /// The answer's `code`.
    pub code: &'a str,
    /// The answer's HTTP status.
    pub status: u16,
    /// The answer's text, when something failed.
    pub message: Option<&'a str>,
    /// The internal cause, when something failed.
    pub cause: Option<&'a str>,
}

/// What is noted while a request is served. Shared by everything that works on it.
#[derive(Debug)]
pub struct Record {
    started: Instant,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    labels: Map<String, Value>,
    calls: Vec<Call>,
    fallbacks: Vec<&'static str>,
    metrics: Vec<(&'static str, &'static str, Value)>,
}

impl Default for Record {
    fn default() -> Self {
        Self { started: Instant::now(), notes: Mutex::default() }
    }
}

impl Record {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something to find the line by, such as `conversationId`. Never a phone number, link, token or secret.
    pub fn label(&self, name: &str, value: impl Into<Value>) {
        self.notes().labels.insert(name.to_owned(), value.into());
    }

    /// Notes an attempt at a call.
    pub fn call(&self, call: Call) {
        self.notes().calls.push(call);
    }

    /// Notes that a second-best way was taken, by the code of what made it necessary.
    pub fn fallback(&self, why: &'static str) {
        self.notes().fallbacks.push(why);
    }

    /// Notes how many there were of something: a metric of its own.
    pub fn count(&self, name: &'static str, count: usize) {
        self.notes().metrics.push((name, "Count", count.into()));
    }

    /// Notes how long something took: a metric of its own.
    pub fn milliseconds(&self, name: &'static str, milliseconds: i64) {
        self.notes().metrics.push((name, "Milliseconds", milliseconds.into()));
    }

    /// How many calls went out so far, whatever became of them.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.notes().calls.len()
    }

    /// Writes the line.
    pub fn write(&self, function: &str, outcome: Outcome<'_>) {
        tracing::info!(target: RECORD, "{}", self.line(function, outcome));
    }

    /// The line: the request's facts with the embedded metric format around them.
    ///
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
    fn line(&self, function: &str, outcome: Outcome<'_>) -> Value {
        let notes = self.notes();
        let mut line = notes.labels.clone();
        let mut metrics = vec![json!({"Name": "durationMs", "Unit": "Milliseconds"})];
        line.insert("durationMs".into(), milliseconds(self.started.elapsed()));
        for upstream in Upstream::ALL {
            let took: Vec<_> = notes
                .calls
                .iter()
                .filter(|call| call.upstream == upstream)
                .map(|call| milliseconds(call.took))
                .take(MOST_VALUES)
                .collect();
            if !took.is_empty() {
                metrics.push(json!({"Name": upstream.metric(), "Unit": "Milliseconds"}));
                line.insert(upstream.metric().into(), took.into());
            }
        }
        let throttles = notes.calls.iter().filter(|call| call.status == 429).count();
        for (name, count) in [("throttles", throttles), ("fallbacks", notes.fallbacks.len())] {
            metrics.push(json!({"Name": name, "Unit": "Count"}));
            line.insert(name.into(), count.into());
        }
        line.insert("fallbackReasons".into(), notes.fallbacks.clone().into());
        for (name, unit, value) in &notes.metrics {
            metrics.push(json!({"Name": name, "Unit": unit}));
            line.insert((*name).into(), value.clone());
        }
        if notes.calls.len() > MOST_VALUES {
            line.insert("callCount".into(), notes.calls.len().into());
        }
        line.insert("calls".into(), notes.calls.iter().take(MOST_VALUES).map(described).collect());
        line.insert("level".into(), if outcome.status >= 500 { "ERROR" } else { "INFO" }.into());
        line.insert("function".into(), function.into());
        line.insert("ok".into(), outcome.ok.into());
        line.insert("code".into(), outcome.code.into());
        line.insert("status".into(), outcome.status.into());
        line.insert("answers".into(), 1.into());
        for (name, text) in [("message", outcome.message), ("cause", outcome.cause)] {
            if let Some(text) = text {
                line.insert(name.into(), mask(text).into());
            }
        }
        // Without a time of its own, Lambda would count every line as INFO.
        line.insert("timestamp".into(), Timestamp::now().to_string().into());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        line.insert(
            "_aws".into(),
            json!({
                "Timestamp": u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
                "CloudWatchMetrics": [
                    {"Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": metrics},
                    {"Namespace": NAMESPACE, "Dimensions": [["function", "code"]],
                     "Metrics": [{"Name": "answers", "Unit": "Count"}]},
                ],
            }),
        );
        line.into()
    }
}

fn described(call: &Call) -> Value {
    json!({
        "operation": call.operation,
        "status": call.status,
        "ms": milliseconds(call.took),
        "remoteId": call.remote_id,
    })
}

/// Milliseconds with one decimal: enough to see a network, short enough to read.
fn milliseconds(duration: Duration) -> Value {
    json!((duration.as_secs_f64() * 10_000.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_log_entry_and_metrics_in_one() {
        let record = Record::default();
        record.label("requestId", "r-1");
        record.label("conversationId", "c-1");
        for (upstream, operation, status) in [
            (Upstream::Graph, "createOrGet onlineMeeting", 429),
            (Upstream::Graph, "createOrGet onlineMeeting", 201),
            (Upstream::Genesys, "send agentless message", 202),
        ] {
            record.call(Call {
                upstream,
                operation,
                status,
                took: Duration::from_micros(12_340),
                remote_id: "g-1".into(),
            });
        }
        record.fallback("accessPolicyMissing");
        tokio::time::advance(Duration::from_millis(250)).await;
        let outcome =
            Outcome { ok: true, code: "created", status: 200, message: None, cause: Some("sent to +447700900123") };
        insta::assert_json_snapshot!(record.line("escalate", outcome), {"._aws.Timestamp" => "[now]", ".timestamp" => "[now]"});
    }
}
