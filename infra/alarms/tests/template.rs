//! What the table makes of a template, and that the committed template is what the committed table makes.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use alarms::written;
use yaml::Value;

/// A template of two functions, one of them with a condition, a queue and two metric filters.
const TEMPLATE: &str = r#"
Resources:
  Hello:
    Type: AWS::Serverless::Function
  World:
    Type: AWS::Serverless::Function
    Condition: HasWorld
  Queue:
    Type: AWS::SQS::Queue
    Condition: HasWorld
  Errors:
    Type: AWS::Logs::MetricFilter
    Properties:
      MetricTransformations: [{ MetricNamespace: TeamsBridge, MetricName: !Sub "errors-${AWS::StackName}" }]
  Late:
    Type: AWS::Logs::MetricFilter
    Properties:
      MetricTransformations:
        - { MetricNamespace: TeamsBridge, MetricName: late, Dimensions: [{ Key: route, Value: $.routeKey }] }
  # Alarms, written by `cargo alarms` from infra/alarms/alarms.toml. Change them there.
  OldAlarm:
    Type: AWS::CloudWatch::Alarm
  # The alarms end here.
Outputs: {}
"#;

const EVERY: &str = r#"
[[of_every_function]]
name = "Errors"
namespace = "AWS/Lambda"
metric = "Errors"
description = "It crashed."
"#;

/// The resources of the template with this table's alarms.
fn resources(table: &str) -> Value {
    let text = written(TEMPLATE, table).unwrap();
    let template: Value = yaml::from_str(&text).unwrap();
    assert!(template["Outputs"].is_mapping(), "what stands behind the alarms stays");
    template["Resources"].clone()
}

fn ids(resources: &Value) -> Vec<&str> {
    let all = resources.as_mapping().unwrap().iter();
    let alarms = all.filter(|(_, resource)| resource["Type"].as_str() == Some("AWS::CloudWatch::Alarm"));
    alarms.map(|(id, _)| id.as_str().unwrap()).collect()
}

fn json(text: &str) -> Value {
    yaml::from_str(text).unwrap()
}

#[test]
fn the_committed_template_is_what_the_table_makes() {
    let (template, table) = alarms::committed().unwrap();
    let written = written(&template, &table).unwrap();
    assert!(written == template, "infra/template.yaml is not what infra/alarms/alarms.toml says. Run `cargo alarms`.");
}

#[test]
fn every_function_of_the_template_has_its_alarm_and_its_condition() {
    let resources = resources(EVERY);
    assert_eq!(ids(&resources), ["HelloErrorsAlarm", "WorldErrorsAlarm"], "the old one is gone");
    let expected = r#"
        Type: AWS::CloudWatch::Alarm
        Condition: HasWorld
        Properties:
          AlarmDescription: It crashed.
          Namespace: AWS/Lambda
          MetricName: Errors
          Dimensions: [{ Name: FunctionName, Value: !Ref World }]
          Statistic: Sum
          Period: 300
          EvaluationPeriods: 1
          Threshold: 0
          ComparisonOperator: GreaterThanThreshold
          TreatMissingData: notBreaching
          AlarmActions: !If [HasAlarmTopic, [!Ref AlarmTopicArn], []]
    "#;
    assert_eq!(resources["WorldErrorsAlarm"], json(expected));
    assert!(resources["HelloErrorsAlarm"].get("Condition").is_none());
}

#[test]
fn a_function_can_be_an_exception_or_have_a_text_of_its_own() {
    let but = "except = [\"World\"]\n[of_every_function.descriptions]\nHello = \"Oh.\"\n";
    let resources = resources(&format!("{EVERY}{but}"));
    assert_eq!(ids(&resources), ["HelloErrorsAlarm"]);
    assert_eq!(resources["HelloErrorsAlarm"]["Properties"]["AlarmDescription"].as_str(), Some("Oh."));
}

#[test]
fn an_alarm_is_about_a_function_a_queue_or_a_metric_filter() {
    let resources = resources(
        r#"
        [[of_function]]
        name = "Silent"
        function = "World"
        metric = "silent"
        statistic = "Minimum"
        period_seconds = 900
        periods = 2
        threshold = 7
        missing = "breaching"
        description = "It is silent."
        [[of_queue]]
        name = "Delay"
        queue = "Queue"
        metric = "ApproximateAgeOfOldestMessage"
        statistic = "Maximum"
        description = "It waits."
        [[of_metric_filter]]
        name = "Errors"
        filter = "Errors"
        description = "It fails."
        [[of_metric_filter]]
        name = "Late"
        filter = "Late"
        value = "POST /x"
        description = "It is late."
        "#,
    );
    assert_eq!(ids(&resources), ["SilentAlarm", "DelayAlarm", "ErrorsAlarm", "LateAlarm"]);
    let silent = &resources["SilentAlarm"]["Properties"];
    assert_eq!(silent["Namespace"].as_str(), Some("TeamsBridge"));
    assert_eq!(silent["Dimensions"], json("[{ Name: function, Value: !Ref World }]"));
    assert_eq!((silent["Statistic"].as_str(), silent["Period"].as_u64()), (Some("Minimum"), Some(900)));
    assert_eq!((silent["EvaluationPeriods"].as_u64(), silent["Threshold"].as_u64()), (Some(2), Some(7)));
    assert_eq!(silent["TreatMissingData"].as_str(), Some("breaching"));
    let delay = &resources["DelayAlarm"];
    assert_eq!(delay["Condition"].as_str(), Some("HasWorld"));
    assert_eq!(delay["Properties"]["Dimensions"], json("[{ Name: QueueName, Value: !GetAtt Queue.QueueName }]"));
    let errors = &resources["ErrorsAlarm"]["Properties"];
    assert_eq!(errors["MetricName"], json("!Sub errors-${AWS::StackName}"));
    assert!(errors.get("Dimensions").is_none());
    let late = &resources["LateAlarm"]["Properties"];
    assert_eq!(late["Dimensions"], json("[{ Name: route, Value: POST /x }]"));
}

#[test]
fn a_text_is_read_back_as_it_was_written() {
    let long = "The webhook's queue has grown. ".repeat(20);
    let texts = [
        "Its log says why.",
        "An outage: see the log.",
        "See item #3 of the log, or # nothing.",
        "\"Quoted\" and 'quoted'",
        "- a dash",
        "It ends with a colon:",
        "[a list] {and braces} & more",
        long.trim_end(),
    ];
    for text in texts {
        let table = EVERY.replace("\"It crashed.\"", &format!("'''{text}'''"));
        let resources = resources(&table);
        assert_eq!(resources["HelloErrorsAlarm"]["Properties"]["AlarmDescription"].as_str(), Some(text));
        assert!(written(TEMPLATE, &table).unwrap().lines().all(|line| line.len() <= 120), "{text}");
    }
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let refused = |template: &str, table: &str| written(template, table).unwrap_err().to_string();
    let queue = "[[of_queue]]\nname = \"Delay\"\nqueue = \"Hello\"\nmetric = \"x\"\ndescription = \"x\"\n";
    assert!(refused(TEMPLATE, queue).contains("names Hello, and infra/template.yaml has no AWS::SQS::Queue"));
    let except = format!("{EVERY}except = [\"Helo\"]\n");
    assert!(refused(TEMPLATE, &except).contains("names Helo"));
    let unknown = format!("{EVERY}treshold = 3\n");
    assert!(refused(TEMPLATE, &unknown).contains("treshold"));
    assert!(refused(TEMPLATE, &[EVERY, EVERY].concat()).contains("HelloErrorsAlarm"), "an id that is there twice");
    for (filter, value) in [("Errors", "value = \"x\"\n"), ("Late", "")] {
        let table = format!("[[of_metric_filter]]\nname = \"A\"\nfilter = \"{filter}\"\n{value}description = \"x\"\n");
        assert!(refused(TEMPLATE, &table).starts_with("A: "), "{filter}");
    }
    let nowhere = TEMPLATE.replace("# The alarms end here.", "");
    assert!(refused(&nowhere, EVERY).contains("# The alarms end here."));
}
