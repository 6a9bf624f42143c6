//! One alarm, as it stands in the template.

use yaml::Value;

use crate::Trouble;
use crate::table::{Missing, Namespace, OfEveryFunction, OfFunction, OfMetricFilter, OfQueue, Statistic};
use crate::template::Template;

/// The most columns of a line in the template.
const WIDTH: usize = 120;

/// An alarm, with everything that differs from alarm to alarm. What is YAML already can be a function of CloudFormation.
#[derive(Debug)]
pub struct Alarm {
    id: String,
    condition: Option<String>,
    description: String,
    namespace: String,
    /// The metric's name as YAML, or a function that makes it.
    metric: String,
    /// The dimension's name, and its value as YAML.
    dimension: Option<(String, String)>,
    statistic: Statistic,
    period_seconds: u32,
    periods: u32,
    threshold: u32,
    missing: Missing,
}

impl Alarm {
    /// An alarm in which only these parts are special: otherwise it rings when the sum over five minutes is not 0.
    fn usual(name: &str, about: &Value, description: &str) -> Self {
        Self {
            id: format!("{name}Alarm"),
            condition: about["Condition"].as_str().map(str::to_owned),
            description: description.to_owned(),
            namespace: "TeamsBridge".into(),
            metric: String::new(),
            dimension: None,
            statistic: Statistic::Sum,
            period_seconds: 300,
            periods: 1,
            threshold: 0,
            missing: Missing::NotBreaching,
        }
    }

    /// The alarm that a function has as every other does; `None` where it is an exception.
    pub(crate) fn of_every(
        rule: &OfEveryFunction,
        function: &str,
        template: &Template,
    ) -> Result<Option<Self>, Trouble> {
        if rule.except.iter().any(|except| except == function) {
            return Ok(None);
        }
        let about = template.resource(function, FUNCTION)?;
        let description = rule.descriptions.get(function).unwrap_or(&rule.description);
        let (namespace, dimension) = match rule.namespace {
            Namespace::Lambda => ("AWS/Lambda", "FunctionName"),
            Namespace::TeamsBridge => ("TeamsBridge", "function"),
        };
        Ok(Some(Self {
            namespace: namespace.into(),
            metric: rule.metric.clone(),
            dimension: Some((dimension.into(), format!("!Ref {function}"))),
            threshold: rule.threshold,
            ..Self::usual(&format!("{function}{}", rule.name), about, description)
        }))
    }

    /// The alarm on a figure that a function counts.
    pub(crate) fn of_function(rule: &OfFunction, template: &Template) -> Result<Self, Trouble> {
        let about = template.resource(&rule.function, FUNCTION)?;
        Ok(Self {
            metric: rule.metric.clone(),
            dimension: Some(("function".into(), format!("!Ref {}", rule.function))),
            statistic: rule.statistic,
            period_seconds: rule.period_seconds,
            periods: rule.periods,
            threshold: rule.threshold,
            missing: rule.missing,
            ..Self::usual(&rule.name, about, &rule.description)
        })
    }

    /// The alarm on a queue.
    pub(crate) fn of_queue(rule: &OfQueue, template: &Template) -> Result<Self, Trouble> {
        let about = template.resource(&rule.queue, "AWS::SQS::Queue")?;
        Ok(Self {
            namespace: "AWS/SQS".into(),
            metric: rule.metric.clone(),
            dimension: Some(("QueueName".into(), format!("!GetAtt {}.QueueName", rule.queue))),
            statistic: rule.statistic,
            threshold: rule.threshold,
            ..Self::usual(&rule.name, about, &rule.description)
        })
    }

    /// The alarm on the count of a metric filter.
    pub(crate) fn of_metric_filter(rule: &OfMetricFilter, template: &Template) -> Result<Self, Trouble> {
        let about = template.resource(&rule.filter, "AWS::Logs::MetricFilter")?;
        let counted = &about["Properties"]["MetricTransformations"][0];
        let dimension = match (counted["Dimensions"][0]["Key"].as_str(), &rule.value) {
            (Some(name), Some(value)) => Some((name.to_owned(), value.clone())),
            (None, None) => None,
            (Some(name), None) => return Err(Trouble(format!("{}: which `value` of {name}?", rule.name))),
            (None, Some(_)) => return Err(Trouble(format!("{}: the filter has no dimension.", rule.name))),
        };
        Ok(Self {
            namespace: scalar(&counted["MetricNamespace"]),
            metric: scalar(&counted["MetricName"]),
            dimension,
            periods: rule.periods,
            ..Self::usual(&rule.name, about, &rule.description)
        })
    }

    /// The alarm as a resource of the template, followed by an empty line.
    #[must_use]
    pub fn yaml(&self) -> String {
        let Self { id, namespace, metric, statistic, period_seconds, periods, threshold, .. } = self;
        let condition = self.condition.iter().map(|name| format!("    Condition: {name}\n")).collect::<String>();
        let dimension = self
            .dimension
            .iter()
            .map(|(name, value)| format!("      Dimensions: [{{ Name: {name}, Value: {value} }}]\n"));
        let dimension = dimension.collect::<String>();
        let description = text("      AlarmDescription", &self.description);
        let missing = match self.missing {
            Missing::NotBreaching => "notBreaching",
            Missing::Breaching => "breaching",
        };
        format!(
            "  {id}:
    Type: AWS::CloudWatch::Alarm
{condition}    Properties:
{description}      Namespace: {namespace}
      MetricName: {metric}
{dimension}      Statistic: {statistic:?}
      Period: {period_seconds}
      EvaluationPeriods: {periods}
      Threshold: {threshold}
      ComparisonOperator: GreaterThanThreshold
      TreatMissingData: {missing}
      AlarmActions: !If [HasAlarmTopic, [!Ref AlarmTopicArn], []]

"
        )
    }
}

const FUNCTION: &str = "AWS::Serverless::Function";

/// A text, or a function of CloudFormation with one: `!Sub apiErrors-${AWS::StackName}`.
fn scalar(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => format!("{} {}", tagged.tag, scalar(&tagged.value)),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

/// A text under its name: on one line where it fits and YAML reads it unchanged, or else as a block.
fn text(name: &str, text: &str) -> String {
    let line = format!("{name}: {text}\n");
    let plain =
        text.starts_with(|first: char| first.is_ascii_alphanumeric()) && !text.contains(": ") && !text.contains(" #");
    if plain && !text.ends_with(':') && line.trim_end().len() <= WIDTH {
        return line;
    }
    let indent = " ".repeat(name.len() - name.trim_start().len() + 2);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if indent.len() + last.len() + 1 + word.len() <= WIDTH => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let lines = lines.iter().map(|line| format!("{indent}{line}\n")).collect::<String>();
    format!("{name}: >-\n{lines}")
}
