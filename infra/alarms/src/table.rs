//! Reads `alarms.toml`, the table of alarms.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Trouble;

/// The table of alarms, by what they watch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Alarms that every function of the template has, whichever functions those are.
    #[serde(default)]
    pub of_every_function: Vec<OfEveryFunction>,
    /// Alarms on a figure that one function counts.
    #[serde(default)]
    pub of_function: Vec<OfFunction>,
    /// Alarms on a queue.
    #[serde(default)]
    pub of_queue: Vec<OfQueue>,
    /// Alarms on a count of log lines.
    #[serde(default)]
    pub of_metric_filter: Vec<OfMetricFilter>,
}

/// An alarm that every function of the template has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfEveryFunction {
    /// What follows the function's name in the alarm's.
    pub name: String,
    /// `AWS/Lambda` for what Lambda counts, `TeamsBridge` for what the function counts.
    pub namespace: Namespace,
    /// The name of the metric.
    pub metric: String,
    /// The alarm rings when the sum of five minutes is above this.
    #[serde(default)]
    pub threshold: u32,
    /// The text of the alarm.
    pub description: String,
    /// The functions without this alarm, by logical id.
    #[serde(default)]
    pub except: Vec<String>,
    /// The text of the functions that have one of their own, by logical id.
    #[serde(default)]
    pub descriptions: BTreeMap<String, String>,
}

/// An alarm on a figure that one function counts, in the namespace `TeamsBridge`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfFunction {
    /// The alarm's logical id without `Alarm`.
    pub name: String,
    /// The function's logical id.
    pub function: String,
    /// The name of the metric.
    pub metric: String,
    /// How CloudWatch sums up a period.
    #[serde(default)]
    pub statistic: Statistic,
    /// The length of a period, in seconds.
    #[serde(default = "five_minutes")]
    pub period_seconds: u32,
    /// How many periods in a row must be above the threshold.
    #[serde(default = "one")]
    pub periods: u32,
    /// The alarm rings above this value.
    #[serde(default)]
    pub threshold: u32,
    /// How a period without data counts.
    #[serde(default)]
    pub missing: Missing,
    /// The text of the alarm.
    pub description: String,
}

/// An alarm on a queue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfQueue {
    /// The alarm's logical id without `Alarm`.
    pub name: String,
    /// The queue's logical id.
    pub queue: String,
    /// A metric of Amazon SQS.
    pub metric: String,
    /// How CloudWatch sums up five minutes.
    #[serde(default)]
    pub statistic: Statistic,
    /// The alarm rings above this value.
    #[serde(default)]
    pub threshold: u32,
    /// The text of the alarm.
    pub description: String,
}

/// An alarm on the count of a metric filter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfMetricFilter {
    /// The alarm's logical id without `Alarm`.
    pub name: String,
    /// The filter's logical id.
    pub filter: String,
    /// The value of the filter's dimension, where the filter has one.
    pub value: Option<String>,
    /// How many periods of five minutes in a row must have a count.
    #[serde(default = "one")]
    pub periods: u32,
    /// The text of the alarm.
    pub description: String,
}

/// The source of a function's metric.
#[derive(Debug, Clone, Copy, Deserialize)]
pub enum Namespace {
    /// The metric is counted by AWS Lambda.
    #[serde(rename = "AWS/Lambda")]
    Lambda,
    /// The metric is counted by the function, in its log.
    TeamsBridge,
}

/// How CloudWatch sums up a period.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[expect(missing_docs, reason = "CloudWatch's own words")]
pub enum Statistic {
    #[default]
    Sum,
    Minimum,
    Maximum,
}

/// How a period without data counts.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Missing {
    /// As good: there was nothing to count.
    #[default]
    NotBreaching,
    /// As bad: the metric itself has stopped.
    Breaching,
}

fn one() -> u32 {
    1
}

fn five_minutes() -> u32 {
    300
}

impl Table {
    /// Reads the table from its text.
    ///
    /// # Errors
    /// A key that is unknown, missing or of another type; the reason names the line.
    pub fn read(text: &str) -> Result<Self, Trouble> {
        toml::from_str(text).map_err(|error| Trouble(format!("infra/alarms/alarms.toml: {error}")))
    }
}
