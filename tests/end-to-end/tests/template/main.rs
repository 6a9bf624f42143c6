//! `infra/template.yaml`: the permissions and settings of each function, and the protection of the data.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed test")]

mod permissions;

use std::collections::{BTreeMap, BTreeSet};

use bridge::relay::MAX_RECEIVES;
use regex::Regex;
use yaml::Value;

/// The page that explains every setting.
const SETTINGS: &str = "docs/reference/settings.md";

fn template() -> Value {
    let path = checkout::root().join("infra/template.yaml");
    yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn resources<'a>(template: &'a Value, kind: &str) -> BTreeMap<&'a str, &'a Value> {
    let all = template["Resources"].as_mapping().unwrap().iter();
    let of_kind = all.filter(|(_, resource)| resource["Type"].as_str() == Some(kind));
    of_kind.map(|(name, resource)| (name.as_str().unwrap(), &resource["Properties"])).collect()
}

/// A value with its CloudFormation functions, on one line: `!GetAtt StateTable.Arn`.
fn line(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => format!("{} {}", tagged.tag, line(&tagged.value)),
        Value::Sequence(items) => format!("[{}]", items.iter().map(line).collect::<Vec<_>>().join(", ")),
        Value::Mapping(map) => {
            if let Some(function) = intrinsic(map) {
                return function;
            }
            let entries = map.iter().map(|(name, value)| format!("{}: {}", line(name), line(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => text.clone(),
        other => yaml::to_string(other).unwrap().trim().to_owned(),
    }
}

/// A CloudFormation function as JSON spells it, in the short form of YAML.
fn intrinsic(map: &yaml::Mapping) -> Option<String> {
    let (name, value) = map.iter().next().filter(|_| map.len() == 1)?;
    let short = match name.as_str()? {
        "Ref" => "Ref",
        name => name.strip_prefix("Fn::")?,
    };
    let value = match (short, value.as_sequence().map(Vec::as_slice)) {
        ("GetAtt", Some([resource, attribute])) => format!("{}.{}", line(resource), line(attribute)),
        _ => line(value),
    };
    Some(format!("!{short} {value}"))
}

// Which variables each function is told, docs/reference/settings.md says, and tests/docs holds the template to it.
#[test]
fn every_function_is_told_of_a_certificate_authority_of_your_own() {
    let template = template();
    let page = std::fs::read_to_string(checkout::root().join(SETTINGS)).unwrap();
    let globals = &template["Globals"]["Function"];
    assert_eq!(
        line(&globals["Environment"]["Variables"]),
        "{SSL_CERT_FILE: !If [AddsAuthority, /opt/authority.pem, ]}"
    );
    assert_eq!(line(&globals["Layers"]), "!If [AddsAuthority, [!Ref AuthorityLayerArn], !Ref AWS::NoValue]");
    assert!(page.contains("`SSL_CERT_FILE`"));
}

#[test]
fn every_route_is_throttled_and_documented_and_only_that_of_microsoft_graph_is_open() {
    let template = template();
    let api = &template["Resources"]["Api"]["Properties"];
    assert_eq!(api["Auth"]["DefaultAuthorizer"].as_str(), Some("EntraId"));
    let jwt = &api["Auth"]["Authorizers"]["EntraId"]["JwtConfiguration"];
    assert_eq!((line(&jwt["issuer"]), line(&jwt["audience"])), ("!Ref JwtIssuer".into(), "[!Ref JwtAudience]".into()));

    let mut routes = BTreeSet::new();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        for (_, event) in function["Events"].as_mapping().into_iter().flatten() {
            let event = &event["Properties"];
            let auth = event.get("Auth").map(line);
            assert_eq!(auth.as_deref(), (name == "GraphWebhook").then_some("{Authorizer: NONE}"), "{name}");
            routes.insert(format!("{} {}", event["Method"].as_str().unwrap(), event["Path"].as_str().unwrap()));
        }
    }
    // A parameter's number arrives as one where CloudFormation knows the type, which is not so among the routes' own.
    assert_eq!(
        line(&api["DefaultRouteSettings"]),
        "{ThrottlingRateLimit: !Ref WebhookRateLimit, ThrottlingBurstLimit: !Ref WebhookBurstLimit}"
    );
    let settings = api["RouteSettings"].as_mapping().unwrap();
    for (route, setting) in settings {
        for name in ["ThrottlingRateLimit", "ThrottlingBurstLimit"] {
            assert!(setting[name].is_u64(), "{route:?}: {name}");
        }
    }
    let own: BTreeSet<_> = settings.keys().map(|route| route.as_str().unwrap().to_owned()).collect();
    // Whatever comes through the open door, the data actions' routes keep their own rate.
    assert_eq!(routes.difference(&own).collect::<Vec<_>>(), ["POST /graph/notifications"]);
    assert!(own.is_subset(&routes));
    let documented = contract::documented(&contract::contract());
    assert_eq!(documented.iter().map(|(method, path)| format!("{method} {path}")).collect::<BTreeSet<_>>(), routes);
}

#[test]
fn functions_run_where_they_are_built_for_and_answer_before_api_gateway_gives_up() {
    let template = template();
    let globals = &template["Globals"]["Function"];
    assert_eq!(line(&globals["Architectures"]), "[arm64]");
    assert_eq!(globals["Runtime"].as_str(), Some("provided.al2023"));
    assert_eq!(globals["Tracing"].as_str(), Some("Active"));
    assert!(globals["Timeout"].as_u64().unwrap() < 30);
}

#[test]
fn data_is_encrypted_recoverable_and_forgotten_in_time() {
    let template = template();
    let table = resources(&template, "AWS::DynamoDB::Table")["StateTable"];
    assert_eq!(table["BillingMode"].as_str(), Some("PAY_PER_REQUEST"));
    assert_eq!(table["TimeToLiveSpecification"]["AttributeName"].as_str(), Some("expires"));
    assert_eq!(table["TimeToLiveSpecification"]["Enabled"].as_bool(), Some(true));
    assert_eq!(table["SSESpecification"]["SSEEnabled"].as_bool(), Some(true));
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"].as_bool(), Some(true));
    for (name, group) in resources(&template, "AWS::Logs::LogGroup") {
        assert_eq!(line(&group["RetentionInDays"]), "!Ref LogRetentionDays", "{name}");
    }
    for (name, secret) in resources(&template, "AWS::SecretsManager::Secret") {
        assert!(secret.get("SecretString").is_none(), "{name} has its value in the template");
    }
}

#[test]
fn every_function_has_a_log_group_and_its_alarms() {
    let template = template();
    let (groups, alarms) =
        (resources(&template, "AWS::Logs::LogGroup"), resources(&template, "AWS::CloudWatch::Alarm"));
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let group = format!("{name}LogGroup");
        assert!(groups.contains_key(group.as_str()), "{name}");
        assert_eq!(line(&function["LoggingConfig"]["LogGroup"]), format!("!Ref {group}"));
        for (metric, dimension) in
            [("Errors", "FunctionName"), ("Throttles", "FunctionName"), ("throttles", "function")]
        {
            // The webhook calls neither Graph nor Genesys Cloud.
            if (name, metric) == ("GraphWebhook", "throttles") {
                continue;
            }
            let dimensions = format!("[{{Name: {dimension}, Value: !Ref {name}}}]");
            let alarm = alarms
                .values()
                .find(|alarm| alarm["MetricName"].as_str() == Some(metric) && line(&alarm["Dimensions"]) == dimensions);
            assert!(alarm.is_some(), "{name} has no alarm on {metric}");
        }
    }
}

#[test]
fn every_dead_letter_queue_has_its_alarm() {
    let template = template();
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    let queues = resources(&template, "AWS::SQS::Queue");
    let targets = queues.values().filter_map(|queue| queue.get("RedrivePolicy"));
    let dead: BTreeSet<_> = targets.map(|policy| line(&policy["deadLetterTargetArn"])).collect();
    assert_eq!(dead.len() * 2, queues.len(), "every queue has a dead-letter queue of its own");
    for target in dead {
        let queue = target.trim_start_matches("!GetAtt ").trim_end_matches(".Arn");
        let dimensions = format!("[{{Name: QueueName, Value: !GetAtt {queue}.QueueName}}]");
        let alarm = alarms.values().find(|alarm| {
            let about = alarm.get("Dimensions").map(line);
            alarm["MetricName"].as_str() == Some("ApproximateNumberOfMessagesVisible")
                && about == Some(dimensions.clone())
        });
        assert_eq!(alarm.map(|alarm| alarm["Threshold"].as_u64()), Some(Some(0)), "{queue}");
    }
}

#[test]
fn the_open_door_takes_no_more_of_the_account_than_a_new_one_can_spare() {
    let template = template();
    let parameter = |name: &str| template["Parameters"][name]["Default"].as_u64().unwrap();
    // A new account runs ten functions at once and can reserve none of them.
    assert_eq!(parameter("WebhookConcurrency"), 0);
    let lifecycle = &template["Resources"]["Api"]["Properties"]["RouteSettings"]["POST /graph/lifecycle"];
    assert!(parameter("WebhookBurstLimit") + lifecycle["ThrottlingBurstLimit"].as_u64().unwrap() < 10);
    assert_eq!(
        line(&template["Conditions"]["ReservesWebhookConcurrency"]),
        "!Not [!Equals [!Ref WebhookConcurrency, 0]]"
    );
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let reserved = function.get("ReservedConcurrentExecutions").map(line);
        let expected = "!If [ReservesWebhookConcurrency, !Ref WebhookConcurrency, !Ref AWS::NoValue]";
        assert_eq!(reserved.as_deref(), (name == "GraphWebhook").then_some(expected), "{name}");
    }
}

#[test]
fn strangers_raise_no_alarm_and_what_keeps_graph_out_does() {
    let template = template();
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    for (name, alarm) in &alarms {
        let metric = alarm["MetricName"].as_str().unwrap_or_default();
        assert!(!["rejected", "malformed", "undecided"].contains(&metric), "{name} rings for any scanner");
        // What anybody can send matters when nothing else comes.
        let expected = if metric == "foreign" { (Some("Minimum"), Some(2)) } else { continue };
        assert_eq!((alarm["Statistic"].as_str(), alarm["EvaluationPeriods"].as_u64()), expected, "{name}");
        assert_eq!(line(&alarm["Dimensions"]), "[{Name: function, Value: !Ref GraphWebhook}]");
    }
    assert_eq!(alarms["RejectedNotificationsAlarm"]["MetricName"].as_str(), Some("foreign"));
    let filters = resources(&template, "AWS::Logs::MetricFilter");
    // Of 5xx in general an alarm rings for the data actions' routes alone; the webhook says itself what it could not take.
    assert!(alarms.values().all(|alarm| alarm["Namespace"].as_str() != Some("AWS/ApiGateway")));
    assert_eq!(
        filters["ApiErrors"]["FilterPattern"].as_str(),
        Some(r#"{ ($.status = "5*") && ($.routeKey != "POST /graph/*") }"#)
    );
    let (counted, alarm) = (&filters["ApiErrors"]["MetricTransformations"][0], alarms["ApiErrorsAlarm"]);
    assert_eq!(line(&counted["MetricName"]), line(&alarm["MetricName"]));
    assert_eq!(counted["MetricNamespace"], alarm["Namespace"]);
    let alarm = alarms["NotTakenNotificationsAlarm"];
    assert_eq!(line(&alarm["Dimensions"]), "[{Name: function, Value: !Ref GraphWebhook}]");
    assert_eq!(alarm["MetricName"].as_str(), Some("notTaken"));
    let filter = filters["TurnedAwayNotifications"];
    let (counted, alarm) = (&filter["MetricTransformations"][0], alarms["TurnedAwayNotificationsAlarm"]);
    assert_eq!(counted["MetricName"], alarm["MetricName"]);
    assert_eq!(counted["MetricNamespace"], alarm["Namespace"]);
    assert_eq!(line(&counted["Dimensions"]), "[{Key: route, Value: $.routeKey}]");
    assert_eq!(line(&alarm["Dimensions"]), "[{Name: route, Value: POST /graph/notifications}]");
}

#[test]
fn a_parameter_that_cannot_be_is_refused_before_anything_is_deployed() {
    const ID: &str = "c4b1f0de-7f0b-4a6d-9d0f-3c1c5a0b7001";
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "EntraSecretArn",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:bridge/entra-Ab12Cd",
            &["bridge/entra", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:bridge", "arn:aws:ssm:x"],
        ),
        (
            "SubscriptionsParameter",
            "/bridge/subscriptions",
            &["bridge", "s3://Bucket/key", "arn:aws:ssm:eu-central-1:123456789012:parameter/bridge"],
        ),
        ("PresenceUsersParameter", "s3://settings/bridge/users.json", &["s3://settings", "/a b"]),
        ("GenesysDomain", "euw2.pure.cloud", &["", "https://mypurecloud.com", "mypurecloud.com/", "mypurecloud"]),
        ("GenesysApiUrl", "https://api.mypurecloud.com", &["https://api.mypurecloud.com/api/v2", "mypurecloud.com"]),
        ("EntraLoginUrl", "https://login.microsoftonline.us", &["", "login.microsoftonline.us"]),
        ("GraphUrl", "https://graph.microsoft.us/v1.0", &["", "https://graph.microsoft.us"]),
        ("GenesysEventSource", "aws.partner/genesys.com/cloud/0b7c6a0e/bridge", &["bridge", "arn:aws:events:x:1:y/z"]),
        ("OpenMessagingIntegrationId", ID, &["my integration", "c4b1f0de"]),
        ("EventBusName", "my.bus_1", &["arn:aws:events:eu-central-1:123456789012:event-bus/my-bus"]),
        ("AlarmTopicArn", "arn:aws:sns:eu-central-1:123456789012:alarms", &["alarms"]),
        (
            "SecretsKeyArn",
            "arn:aws:kms:eu-central-1:123456789012:key/0b7c6a0e-6f0e-4a9e-9d1a-2f8f5a0c1d11",
            &["alias/bridge", "arn:aws:kms:eu-central-1:123456789012:alias/bridge"],
        ),
    ];
    let template = template();
    for (name, good, bad) in cases {
        let parameter = &template["Parameters"][*name];
        let pattern = parameter["AllowedPattern"].as_str().unwrap();
        assert!(pattern.starts_with('^') && pattern.ends_with('$'), "{name}");
        let pattern = Regex::new(pattern).unwrap();
        assert!(parameter["ConstraintDescription"].is_string(), "{name} does not say what is expected");
        assert!(pattern.is_match(good), "{name}: {good}");
        assert!(parameter.get("Default").is_none_or(|default| pattern.is_match(default.as_str().unwrap())), "{name}");
        for bad in *bad {
            assert!(!pattern.is_match(bad), "{name}: {bad}");
        }
    }
    for (name, parameter) in template["Parameters"].as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        let names_something = ["Arn", "Url", "Id", "Source", "Parameter"].iter().any(|end| name.ends_with(end));
        assert!(!names_something || parameter["AllowedPattern"].is_string(), "{name}");
    }
}

#[test]
fn each_parameter_has_one_place_in_one_group_and_is_asked_for_in_that_order() {
    let template = template();
    let groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"].as_sequence().unwrap();
    let names = |value: &Value| -> Vec<String> {
        value.as_sequence().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let grouped: Vec<String> = groups.iter().flat_map(|group| names(&group["Parameters"])).collect();
    let parameters = template["Parameters"].as_mapping().unwrap();
    let asked: Vec<&str> = parameters.keys().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(grouped, asked);

    let labels: BTreeSet<&str> = groups.iter().map(|group| group["Label"]["default"].as_str().unwrap()).collect();
    assert_eq!(labels.len(), groups.len(), "two groups have one name");
    for group in groups {
        // What has to be filled in is found without reading every text.
        let label = group["Label"]["default"].as_str().unwrap();
        let required = names(&group["Parameters"]).iter().any(|name| parameters[name].get("Default").is_none());
        assert_eq!(label.contains("(required)"), required, "{label}");
    }
}

#[test]
fn a_link_to_a_photo_is_promised_no_longer_than_the_photo_lives() {
    let template = template();
    let bucket = &template["Resources"]["MediaBucket"]["Properties"];
    let days = bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"].as_u64().unwrap();
    let parameter = &template["Parameters"]["MediaLinkMinutes"];
    assert_eq!(parameter["MaxValue"].as_u64(), Some(days * 24 * 60));
    assert!(parameter["Description"].as_str().unwrap().contains("session"));
    assert!(
        std::fs::read_to_string(checkout::root().join(SETTINGS))
            .unwrap()
            .contains("for how long at most the link to one is good")
    );
}

#[test]
fn access_logs_stay_out_of_the_account_s_one_resource_policy() {
    let template = template();
    let group = resources(&template, "AWS::Logs::LogGroup")["ApiLogGroup"];
    assert_eq!(line(&group["LogGroupName"]), "!Sub /aws/vendedlogs/apigateway/${AWS::StackName}");
}

#[test]
fn notifications_keep_their_order_and_none_is_lost() {
    let template = template();
    let queues = resources(&template, "AWS::SQS::Queue");
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    for (name, dead_letters) in
        [("NotificationQueue", "NotificationDeadLetterQueue"), ("LifecycleQueue", "LifecycleDeadLetterQueue")]
    {
        // The dead-letter queue of a FIFO queue is one too, and keeps a message longer than the queue.
        let (queue, dead) = (queues[name], queues[dead_letters]);
        assert!(queue["FifoQueue"].as_bool().unwrap() && dead["FifoQueue"].as_bool().unwrap(), "{name}");
        assert_eq!(line(&queue["RedrivePolicy"]["deadLetterTargetArn"]), format!("!GetAtt {dead_letters}.Arn"));
        assert!(dead["MessageRetentionPeriod"].as_u64() > queue["MessageRetentionPeriod"].as_u64(), "{name}");
        for (queue, metric) in
            [(name, "ApproximateAgeOfOldestMessage"), (dead_letters, "ApproximateNumberOfMessagesVisible")]
        {
            let dimensions = format!("[{{Name: QueueName, Value: !GetAtt {queue}.QueueName}}]");
            let alarm = alarms
                .values()
                .find(|alarm| alarm["MetricName"].as_str() == Some(metric) && line(&alarm["Dimensions"]) == dimensions);
            assert!(alarm.is_some(), "{queue} has no alarm on {metric}");
        }
    }
    // What the function takes for too large is what the queue does.
    let variables = &template["Resources"]["GraphWebhook"]["Properties"]["Environment"]["Variables"];
    assert_eq!(
        variables["NOTIFICATION_MAX_BYTES"].as_str().unwrap(),
        line(&queues["NotificationQueue"]["MaximumMessageSize"])
    );
    let secret = &template["Resources"]["WebhookSecret"]["Properties"]["GenerateSecretString"];
    assert_eq!(secret["GenerateStringKey"].as_str(), Some("client_state"));
    // Graph takes 128 characters; fewer than 32 could be guessed.
    assert!((32..=128).contains(&secret["PasswordLength"].as_u64().unwrap()));
}

#[test]
fn presences_come_from_genesys_cloud_alone_and_none_is_lost() {
    let template = template();
    let properties = |name: &str| &template["Resources"][name]["Properties"];
    let rule = properties("PresenceRule");
    assert_eq!(
        line(&rule["EventPattern"]),
        "{source: [!Ref GenesysEventSource], detail-type: [v2.users.{id}.presence, v2.users.{id}.activity]}"
    );
    let statement = &properties("PresenceQueuePolicy")["PolicyDocument"]["Statement"][0];
    assert_eq!(line(&statement["Condition"]), "{ArnEquals: {aws:SourceArn: !GetAtt PresenceRule.Arn}}");
    assert_eq!(line(&statement["Principal"]), "{Service: events.amazonaws.com}");

    // What waits is sent and presences are renewed whatever the mode, and soon after an instance has died.
    assert_eq!(line(&properties("PresenceReminder")["ScheduleExpression"]), "rate(1 minute)");
    let reminder = properties("PresenceReminder");
    assert_eq!(line(&reminder["Targets"]), "[{Id: PresenceQueue, Arn: !GetAtt PresenceQueue.Arn}]");

    let (queue, mapping) = (properties("PresenceQueue"), properties("PresenceQueueMapping"));
    assert_eq!(line(&queue["RedrivePolicy"]["deadLetterTargetArn"]), "!GetAtt PresenceDeadLetterQueue.Arn");
    assert_eq!(line(&mapping["FunctionResponseTypes"]), "[ReportBatchItemFailures]");
    assert_eq!(line(&mapping["ScalingConfig"]), "{MaximumConcurrency: !Ref PresenceInstances}");
    let function = properties("MirrorPresence");
    assert_eq!(line(&function["Environment"]["Variables"]["PRESENCE_QUEUE_URL"]), "!Ref PresenceQueue");
    let timeout = function["Timeout"].as_u64().unwrap();
    assert!(queue["VisibilityTimeout"].as_u64().unwrap() >= 6 * timeout);
    for (name, queue) in resources(&template, "AWS::SQS::Queue") {
        assert_eq!(queue["SqsManagedSseEnabled"].as_bool(), Some(true), "{name}");
    }
    // Nothing of it is there, and nothing is paid, without an event source.
    for (name, resource) in template["Resources"].as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        let ours = name.starts_with("Presence") || name.starts_with("MirrorPresence");
        assert_eq!(resource.get("Condition").and_then(Value::as_str) == Some("MirrorsPresence"), ours, "{name}");
    }
}

#[test]
fn a_chat_is_held_up_no_longer_than_its_order_needs() {
    let template = template();
    let properties = |name: &str| &template["Resources"][name]["Properties"];
    let (queue, mapping) = (properties("NotificationQueue"), properties("NotificationQueueMapping"));
    let seconds = |properties: &Value, name: &str| properties[name].as_u64().unwrap();
    let timeout = seconds(properties("ProcessNotification"), "Timeout");
    assert!(timeout > 60, "Genesys Cloud's rate limit is by the minute");
    // Nobody else gets what a worker may still be at.
    let hidden = seconds(queue, "VisibilityTimeout");
    assert!(hidden >= 2 * timeout && hidden <= 180, "{hidden}");
    assert_eq!(queue["RedrivePolicy"]["maxReceiveCount"].as_u64(), Some(MAX_RECEIVES.into()));
    assert_eq!(line(&mapping["ScalingConfig"]), "{MaximumConcurrency: !Ref NotificationInstances}");
    assert_eq!(line(&mapping["FunctionResponseTypes"]), "[ReportBatchItemFailures]");
}

#[test]
fn subscriptions_are_looked_after_by_the_clock_and_whenever_graph_says_so() {
    let template = template();
    let properties = |name: &str| &template["Resources"][name]["Properties"];
    let schedule = properties("SubscriptionSchedule");
    assert_eq!(schedule["ScheduleExpression"].as_str(), Some("rate(5 minutes)"));
    assert_eq!(line(&schedule["Targets"][0]["Arn"]), "!GetAtt RenewSubscriptions.Arn");
    assert_eq!(line(&properties("SubscriptionSchedulePermission")["SourceArn"]), "!GetAtt SubscriptionSchedule.Arn");

    let (queue, mapping) = (properties("LifecycleQueue"), properties("LifecycleQueueMapping"));
    assert_eq!(line(&queue["RedrivePolicy"]["deadLetterTargetArn"]), "!GetAtt LifecycleDeadLetterQueue.Arn");
    assert_eq!(line(&mapping["FunctionResponseTypes"]), "[ReportBatchItemFailures]");
    assert!(mapping["BatchSize"].as_u64().unwrap() <= 10, "the most that a queue with order gives");
    let timeout = properties("RenewSubscriptions")["Timeout"].as_u64().unwrap();
    assert!(queue["VisibilityTimeout"].as_u64().unwrap() >= 6 * timeout);

    // Nobody looking after them is as bad as one that is missing; and without wishes there is nothing to look after.
    let alarm = properties("SubscriptionsMissingAlarm");
    assert_eq!(
        (alarm["MetricName"].as_str(), alarm["TreatMissingData"].as_str()),
        (Some("subscriptionsMissing"), Some("breaching"))
    );
    for (metric, statistic) in [
        ("subscriptionsMissing", "Minimum"),
        ("subscriptionsNearExpiry", "Minimum"),
        ("silentSubscriptions", "Minimum"),
        ("failed", "Minimum"),
        ("gapsCut", "Sum"),
    ] {
        let alarms = resources(&template, "AWS::CloudWatch::Alarm");
        let ours = "[{Name: function, Value: !Ref RenewSubscriptions}]";
        let is_it = |alarm: &&Value| alarm["MetricName"].as_str() == Some(metric) && line(&alarm["Dimensions"]) == ours;
        let alarm = alarms.into_values().find(is_it).unwrap_or_else(|| panic!("nothing watches {metric}"));
        assert_eq!((alarm["Statistic"].as_str(), alarm["Threshold"].as_u64()), (Some(statistic), Some(0)), "{metric}");
        assert_eq!(alarm["ComparisonOperator"].as_str(), Some("GreaterThanThreshold"), "{metric}");
    }
    for (name, resource) in template["Resources"].as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        let ours =
            ["RenewSubscriptions", "Subscription", "SilentSubscription"].iter().any(|ours| name.starts_with(ours));
        let waits_for_wishes = resource.get("Condition").and_then(Value::as_str) == Some("KeepsSubscriptions");
        assert!(!ours || waits_for_wishes, "{name}");
    }
}
