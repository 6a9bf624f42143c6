//! `alarms.toml`: which alarms there are.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Trouble;

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Alarms that every function of the template has, whichever functions those are.
    #[serde(default)]
    pub of_every_function: Vec<OfEveryFunction>,
    /// Alarms on what one function counts.
    #[serde(default)]
    pub of_function: Vec<OfFunction>,
    /// Alarms on a queue.
    #[serde(default)]
    pub of_queue: Vec<OfQueue>,
    /// Alarms on a count of log lines.
    #[serde(default)]
    pub of_metric_filter: Vec<OfMetricFilter>,
}

/// An alarm that every function has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfEveryFunction {
    /// What follows the function's name in the alarm's.
    pub name: String,
    /// `AWS/Lambda` for what Lambda counts, `TeamsBridge` for what the function counts.
    pub namespace: Namespace,
    /// The metric's name.
    pub metric: String,
    /// Above which sum of five minutes it rings.
    #[serde(default)]
    pub threshold: u32,
    /// The alarm's text.
    pub description: String,
    /// The functions without this alarm, by logical id.
    #[serde(default)]
    pub except: Vec<String>,
    /// The text of the functions that have one of their own, by logical id.
    #[serde(default)]
    pub descriptions: BTreeMap<String, String>,
}

/// An alarm on what one function counts, in the namespace `TeamsBridge`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfFunction {
    /// The alarm's logical id without `Alarm`.
    pub name: String,
    /// The function's logical id.
    pub function: String,
    /// The metric's name.
    pub metric: String,
    /// How CloudWatch sums up a period.
    #[serde(default)]
    pub statistic: Statistic,
    /// A period's length.
    #[serde(default = "five_minutes")]
    pub period_seconds: u32,
    /// How many periods in a row it takes.
    #[serde(default = "one")]
    pub periods: u32,
    /// Above which value it rings.
    #[serde(default)]
    pub threshold: u32,
    /// What a period without data is taken for.
    #[serde(default)]
    pub missing: Missing,
    /// The alarm's text.
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
    /// Above which value it rings.
    #[serde(default)]
    pub threshold: u32,
    /// The alarm's text.
    pub description: String,
}

/// An alarm on what a metric filter counts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfMetricFilter {
    /// The alarm's logical id without `Alarm`.
    pub name: String,
    /// The filter's logical id.
    pub filter: String,
    /// Which value of the filter's dimension it is about, where the filter has one.
    pub value: Option<String>,
    /// How many periods of five minutes in a row it takes.
    #[serde(default = "one")]
    pub periods: u32,
    /// The alarm's text.
    pub description: String,
}

/// Where a function's metric comes from.
#[derive(Debug, Clone, Copy, Deserialize)]
pub enum Namespace {
    /// Lambda counts it.
    #[serde(rename = "AWS/Lambda")]
    Lambda,
    /// The function counts it, in its log.
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

/// What a period without data is taken for.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Missing {
    /// All is well: nothing was counted.
    #[default]
    NotBreaching,
    /// The alarm rings: whatever counts has stopped.
    Breaching,
}

fn one() -> u32 {
    1
}

fn five_minutes() -> u32 {
    300
}

impl Table {
    /// Reads the table.
    ///
    /// # Errors
    /// A key that is unknown, missing or of another type; the reason names the line.
    pub fn read(text: &str) -> Result<Self, Trouble> {
        toml::from_str(text).map_err(|error| Trouble(format!("infra/alarms/alarms.toml: {error}")))
    }
}
