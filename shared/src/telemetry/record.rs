//! The record of a request, which becomes its one log line.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use tokio::time::Instant;

use super::lines::RECORD;
use super::{Figure, Figures, mask};

/// The CloudWatch namespace of all metrics.
const NAMESPACE: &str = "TeamsBridge";

/// The most values of one metric in a line of the embedded metric format. A batch of a thousand messages makes more
/// calls than that: the first ones stand for all.
const MOST_VALUES: usize = 100;

/// The remote that a call went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// Microsoft Entra ID's token endpoint.
    Entra,
    /// The Microsoft Graph API.
    Graph,
    /// Genesys Cloud's token endpoint.
    GenesysLogin,
    /// The Genesys Cloud API.
    Genesys,
    /// The Bot Connector of Microsoft Teams.
    Teams,
    /// The secrets in AWS Secrets Manager.
    Secrets,
    /// The state table in DynamoDB.
    State,
    /// A queue of Amazon SQS.
    Queue,
    /// The bucket of images and files.
    Media,
    /// The bus of Amazon EventBridge.
    EventBus,
    /// A parameter or an object with the text of a setting.
    Settings,
    /// The Bot Framework's documents about its signing keys.
    BotFramework,
}

impl Upstream {
    const ALL: [Self; 12] = [
        Self::Entra,
        Self::Graph,
        Self::GenesysLogin,
        Self::Genesys,
        Self::Teams,
        Self::Secrets,
        Self::State,
        Self::Queue,
        Self::Media,
        Self::EventBus,
        Self::Settings,
        Self::BotFramework,
    ];

    /// The name of the latency metric, which is in milliseconds.
    const fn metric(self) -> &'static str {
        match self {
            Self::Entra => "entraMs",
            Self::Graph => "graphMs",
            Self::GenesysLogin => "genesysLoginMs",
            Self::Genesys => "genesysMs",
            Self::Teams => "teamsMs",
            Self::Secrets => "secretsMs",
            Self::State => "stateMs",
            Self::Queue => "queueMs",
            Self::Media => "mediaMs",
            Self::EventBus => "eventBusMs",
            Self::Settings => "settingsMs",
            Self::BotFramework => "botFrameworkMs",
        }
    }
}

/// One attempt at a call.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// The remote that it went to.
    pub upstream: Upstream,
    /// The name of the remote operation.
    pub operation: &'static str,
    /// The HTTP status; 0 when there was no answer.
    pub status: u16,
    /// How long the attempt took.
    pub took: Duration,
    /// The remote's id of the call, for its support: Graph's `request-id`, Genesys Cloud's correlation id.
    pub remote_id: String,
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// The `ok` of the answer.
    pub ok: bool,
    /// The `code` of the answer.
    pub code: &'a str,
    /// The answer's HTTP status.
    pub status: u16,
    /// The answer's text, when something failed.
    pub message: Option<&'a str>,
    /// The internal cause, when something failed.
    pub cause: Option<&'a str>,
}

/// The record of a request while it is served. All code that works on the request shares it.
#[derive(Debug)]
pub struct Record {
    started: Instant,
    notes: Mutex<RecordNotes>,
}

#[derive(Debug, Default)]
struct RecordNotes {
    labels: Vec<(&'static str, Value)>,
    calls: Vec<CallRecord>,
    fallbacks: Vec<&'static str>,
    metrics: Vec<(&'static str, &'static str, Value)>,
}

impl Default for Record {
    fn default() -> Self {
        Self { started: Instant::now(), notes: Mutex::default() }
    }
}

impl Record {
    fn notes(&self) -> MutexGuard<'_, RecordNotes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a label to find the line by, such as `conversationId`. Never a phone number, link, token or secret.
    pub fn label(&self, name: &'static str, value: impl Into<Value>) {
        let mut notes = self.notes();
        notes.labels.retain(|(known, _)| *known != name);
        notes.labels.push((name, value.into()));
    }

    /// Records an attempt at a call.
    pub fn call(&self, call: CallRecord) {
        self.notes().calls.push(call);
    }

    /// Records that a fallback was used, by the code of its reason.
    pub fn fallback(&self, why: &'static str) {
        self.notes().fallbacks.push(why);
    }

    /// Adds to a count, which is a metric of its own.
    pub fn count(&self, name: &'static str, count: usize) {
        let mut notes = self.notes();
        let known = notes.metrics.iter_mut().find(|(known, ..)| *known == name);
        match known {
            Some((_, _, sum)) => *sum = (sum.as_u64().unwrap_or_default() + count as u64).into(),
            None => notes.metrics.push((name, "Count", count.into())),
        }
    }

    /// Records a length of time, which is a metric of its own.
    pub fn milliseconds(&self, name: &'static str, milliseconds: i64) {
        self.notes().metrics.push((name, "Milliseconds", milliseconds.into()));
    }

    /// Records the figures of an invocation: each is a metric of its own.
    pub fn figures(&self, figures: &impl Figures) {
        for figure in figures.figures() {
            match figure {
                Figure::Count(name, count) => self.count(name, count),
                Figure::Milliseconds(name, milliseconds) => self.milliseconds(name, milliseconds),
            }
        }
    }

    /// The number of calls so far, whatever their outcome.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.notes().calls.len()
    }

    /// Writes the log line of the request.
    pub fn write(&self, function: &str, outcome: Outcome<'_>) {
        tracing::info!(target: RECORD, "{}", self.line(function, outcome));
    }

    fn line(&self, function: &str, outcome: Outcome<'_>) -> String {
        let line = RecordLine { notes: &self.notes(), took: self.started.elapsed(), function, outcome };
        // This cannot fail: texts, numbers and flags always serialize. The compiler wants a value.
        serde_json::to_string(&line).unwrap_or_else(|_| "{}".to_owned())
    }
}

/// The log line: the facts of the request, and the embedded metric format around them. It is written without a tree of
/// values in between, because every request pays for it.
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
struct RecordLine<'a> {
    notes: &'a RecordNotes,
    took: Duration,
    function: &'a str,
    outcome: Outcome<'a>,
}

impl Serialize for RecordLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { notes, took, function, outcome } = self;
        let mut line = serializer.serialize_map(None)?;
        for (name, value) in &notes.labels {
            line.serialize_entry(name, value)?;
        }
        let mut metrics = vec![Metric::milliseconds("durationMs")];
        line.serialize_entry("durationMs", &milliseconds(*took))?;
        for upstream in Upstream::ALL {
            let calls = notes.calls.iter().filter(|call| call.upstream == upstream);
            let took: Vec<_> = calls.map(|call| milliseconds(call.took)).take(MOST_VALUES).collect();
            if !took.is_empty() {
                metrics.push(Metric::milliseconds(upstream.metric()));
                line.serialize_entry(upstream.metric(), &took)?;
            }
        }
        let throttles = notes.calls.iter().filter(|call| call.status == 429).count();
        for (name, count) in [("throttles", throttles), ("fallbacks", notes.fallbacks.len())] {
            metrics.push(Metric { name, unit: "Count" });
            line.serialize_entry(name, &count)?;
        }
        line.serialize_entry("fallbackReasons", &notes.fallbacks)?;
        for (name, unit, value) in &notes.metrics {
            metrics.push(Metric { name, unit });
            line.serialize_entry(name, value)?;
        }
        if notes.calls.len() > MOST_VALUES {
            line.serialize_entry("callCount", &notes.calls.len())?;
        }
        let calls: Vec<_> = notes.calls.iter().take(MOST_VALUES).map(Described::from).collect();
        line.serialize_entry("calls", &calls)?;
        line.serialize_entry("level", if outcome.status >= 500 { "ERROR" } else { "INFO" })?;
        line.serialize_entry("function", function)?;
        line.serialize_entry("ok", &outcome.ok)?;
        line.serialize_entry("code", outcome.code)?;
        line.serialize_entry("status", &outcome.status)?;
        line.serialize_entry("answers", &1)?;
        for (name, text) in [("message", outcome.message), ("cause", outcome.cause)] {
            if let Some(text) = text {
                line.serialize_entry(name, &mask(text))?;
            }
        }
        let now = Timestamp::now();
        // Without a time of its own, Lambda would count every line as INFO.
        line.serialize_entry("timestamp", &format_args!("{now}"))?;
        let directives = [
            Directive { namespace: NAMESPACE, dimensions: [&["function"]], metrics: &metrics },
            Directive {
                namespace: NAMESPACE,
                dimensions: [&["function", "code"]],
                metrics: &[Metric { name: "answers", unit: "Count" }],
            },
        ];
        line.serialize_entry("_aws", &Embedded { timestamp: now.as_millisecond(), directives: &directives })?;
        line.end()
    }
}

/// The member by which CloudWatch finds the metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Embedded<'a> {
    timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: &'a [Directive<'a>],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: [&'a [&'a str]; 1],
    metrics: &'a [Metric<'a>],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric<'a> {
    name: &'a str,
    unit: &'a str,
}

impl<'a> Metric<'a> {
    fn milliseconds(name: &'a str) -> Self {
        Self { name, unit: "Milliseconds" }
    }
}

/// A call, as the line has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    operation: &'a str,
    status: u16,
    ms: f64,
    remote_id: &'a str,
}

impl<'a> From<&'a CallRecord> for Described<'a> {
    fn from(call: &'a CallRecord) -> Self {
        Self { operation: call.operation, status: call.status, ms: milliseconds(call.took), remote_id: &call.remote_id }
    }
}

/// Milliseconds with one decimal: enough to see a network, short enough to read.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
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
            record.call(CallRecord {
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
        let line: Value = serde_json::from_str(&record.line("escalate", outcome)).unwrap();
        insta::assert_json_snapshot!(line, {"._aws.Timestamp" => "[now]", ".timestamp" => "[now]"});
    }
}
