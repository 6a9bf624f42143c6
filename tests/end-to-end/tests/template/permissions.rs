//! The permissions of each function. They are read from the template that SAM has expanded, because SAM adds to what is
//! written: a role that is not written out gets managed policies, and with them every log group of the account.
//!
//! A function may use the things whose names it is given: the secret, the queue, the table's items of its use case. So
//! a new function needs nothing here, unless it does what no other does.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bridge::store::kind;
use yaml::Value;

use super::{line, resources};

const ENTRA: &str = "{Sid: ReadEntraSecret, Effect: Allow, Action: secretsmanager:GetSecretValue, \
    Resource: !If [CreateEntraSecret, !GetAtt EntraSecret.Id, !Ref EntraSecretArn], \
    Condition: {StringEqualsIfExists: {secretsmanager:VersionStage: AWSCURRENT}}}";
const GENESYS: &str = "{Sid: ReadGenesysSecret, Effect: Allow, Action: secretsmanager:GetSecretValue, \
    Resource: !If [CreateGenesysSecret, !GetAtt GenesysSecret.Id, !Ref GenesysSecretArn], \
    Condition: {StringEqualsIfExists: {secretsmanager:VersionStage: AWSCURRENT}}}";
const QUEUE: &str = "{Sid: ReceivePresences, Effect: Allow, \
    Action: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes], Resource: !GetAtt PresenceQueue.Arn}";
const WEBHOOK: &str = "{Sid: ReadWebhookSecret, Effect: Allow, Action: secretsmanager:GetSecretValue, \
    Resource: !If [CreateWebhookSecret, !GetAtt WebhookSecret.Id, !Ref WebhookSecretArn], \
    Condition: {StringEqualsIfExists: {secretsmanager:VersionStage: AWSCURRENT}}}";
const NOTIFICATION_KEYS: &str = "{Sid: ReadNotificationKeysSecret, Effect: Allow, \
    Action: secretsmanager:GetSecretValue, \
    Resource: !If [CreateNotificationKeysSecret, !GetAtt NotificationKeysSecret.Id, !Ref NotificationKeysSecretArn], \
    Condition: {StringEqualsIfExists: {secretsmanager:VersionStage: AWSCURRENT}}}";
const LIFECYCLE: &str = "{Sid: ReceiveLifecycleNotifications, Effect: Allow, \
    Action: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes], Resource: !GetAtt LifecycleQueue.Arn}";
const SEND: &str =
    "{Sid: SendNotifications, Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt NotificationQueue.Arn}";
const NOTIFICATIONS: &str = "{Sid: SendNotifications, Effect: Allow, Action: sqs:SendMessage, \
    Resource: [!GetAtt NotificationQueue.Arn, !GetAtt LifecycleQueue.Arn]}";
const WORK: &str = "{Sid: ReceiveNotifications, Effect: Allow, \
    Action: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:ChangeMessageVisibility], \
    Resource: !GetAtt NotificationQueue.Arn}";
const SET_ASIDE: &str = "{Sid: SetAsideNotifications, Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt NotificationDeadLetterQueue.Arn}";
const MEDIA: &str =
    "{Sid: KeepMedia, Effect: Allow, Action: [s3:PutObject, s3:GetObject], Resource: !Sub ${MediaBucket.Arn}/*}";
const EVENTS: &str = "!If [PublishesEvents, {Sid: PublishEvents, Effect: Allow, Action: events:PutEvents, \
    Resource: !Sub arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/${EventBusName}}, \
    !Ref AWS::NoValue]";
const KEY: &str = "!If [HasSecretsKey, {Sid: DecryptSecrets, Effect: Allow, Action: kms:Decrypt, \
    Resource: !Ref SecretsKeyArn, \
    Condition: {StringEquals: {kms:ViaService: !Sub secretsmanager.${AWS::Region}.amazonaws.com}}}, !Ref AWS::NoValue]";

const REMIND: &str = "{Sid: RemindItself, Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt PresenceQueue.Arn}";
const BACKLOG: &str = "{Sid: FindPresences, Effect: Allow, Action: dynamodb:Query, \
    Resource: !Sub ${StateTable.Arn}/index/turns, \
    Condition: {ForAllValues:StringLike: {dynamodb:LeadingKeys: [presence#*]}}}";
/// The permission to read a setting in a parameter or an object, where the stack's parameter names it.
fn setting(name: &str) -> String {
    format!(
        "!If [Names{name}, {{Sid: Read{name}, Effect: Allow, Action: [ssm:GetParameter, s3:GetObject], \
         Resource: [!Sub arn:${{AWS::Partition}}:ssm:${{AWS::Region}}:${{AWS::AccountId}}:parameter${{{name}Parameter}}, \
         !Sub [arn:${{AWS::Partition}}:s3:::${{Object}}, \
         {{Object: !Select [1, !Split [s3://, !Sub ${{{name}Parameter}}s3://-]]}}]]}}, !Ref AWS::NoValue]"
    )
}
const TRACES: &str = "{Sid: SendTraces, Effect: Allow, Action: [xray:PutTraceSegments, xray:PutTelemetryRecords], \
    Resource: *}";

static TRANSLATED: LazyLock<Value> =
    LazyLock::new(|| yaml::from_str(&sandbox::translated_template().unwrap()).unwrap());

/// The statement of a function's own log.
fn log(function: &str) -> String {
    format!(
        "{{Sid: WriteLog, Effect: Allow, Action: [logs:CreateLogStream, logs:PutLogEvents], \
         Resource: !GetAtt {function}LogGroup.Arn}}"
    )
}

/// A statement for the state table: the actions, and the kinds of items.
fn items(sid: &str, actions: &str, kinds: &[&str]) -> String {
    let keys = kinds.iter().map(|kind| format!("{kind}#*")).collect::<Vec<_>>().join(", ");
    format!(
        "{{Sid: {sid}, Effect: Allow, Action: {actions}, Resource: !GetAtt StateTable.Arn, \
         Condition: {{ForAllValues:StringLike: {{dynamodb:LeadingKeys: [{keys}]}}}}}}"
    )
}

/// The statement that a function gets because it has this variable.
fn by_setting(variable: &str) -> Vec<String> {
    let written = match variable {
        "ENTRA_SECRET_ID" => ENTRA,
        "GENESYS_SECRET_ID" => GENESYS,
        "WEBHOOK_SECRET_ID" => WEBHOOK,
        "NOTIFICATION_KEYS_SECRET_ID" => NOTIFICATION_KEYS,
        "PRESENCE_QUEUE_URL" => REMIND,
        "NOTIFICATION_DEAD_LETTER_QUEUE_URL" => SET_ASIDE,
        "MEDIA_BUCKET" => MEDIA,
        "EVENT_BUS" => EVENTS,
        "MEETING_MODE" => &items("KeepMeetings", "[dynamodb:GetItem, dynamodb:PutItem]", &[kind::MEETING]),
        "SMS_TEMPLATE" => {
            &items("KeepRecords", "[dynamodb:PutItem, dynamodb:UpdateItem, dynamodb:DeleteItem]", &[kind::SMS])
        }
        "PRESENCE_REQUESTS_PER_SECOND" => {
            let own = items("KeepPresences", "[dynamodb:BatchGetItem, dynamodb:UpdateItem]", &[kind::PRESENCE]);
            return vec![own, BACKLOG.to_owned()];
        }
        "SUBSCRIPTIONS" => &items(
            "KeepSubscriptions",
            "[dynamodb:BatchGetItem, dynamodb:UpdateItem, dynamodb:DeleteItem]",
            &[kind::SUBSCRIPTION, kind::HEARD],
        ),
        "OPEN_MESSAGING_INTEGRATION_ID" => &items(
            "KeepDeliveries",
            "[dynamodb:GetItem, dynamodb:UpdateItem]",
            &[kind::OPEN_MESSAGE, kind::CHAT_NAME, kind::EVENT, kind::HEARD],
        ),
        "PRESENCE_MAP_PARAMETER" => &setting("PresenceMap"),
        "PRESENCE_USERS_PARAMETER" => &setting("PresenceUsers"),
        "SUBSCRIPTIONS_PARAMETER" => &setting("Subscriptions"),
        _ => return Vec::new(),
    };
    vec![written.to_owned()]
}

/// The permission to receive from a queue that the function is mapped to.
fn receive(queue: &str) -> String {
    let written = match queue {
        "!GetAtt PresenceQueue.Arn" => QUEUE,
        "!GetAtt LifecycleQueue.Arn" => LIFECYCLE,
        "!GetAtt NotificationQueue.Arn" => WORK,
        other => panic!("nothing here says who may receive from {other}"),
    };
    written.to_owned()
}

/// Every statement that the role of a function has: its own log and traces, and what its variables and its queue ask for.
fn expected(name: &str, function: &Value, template: &Value) -> BTreeSet<String> {
    let variables = function["Environment"]["Variables"].as_mapping().unwrap();
    let told: BTreeSet<&str> = variables.keys().map(|name| name.as_str().unwrap()).collect();
    let mut statements: BTreeSet<String> = told.iter().flat_map(|variable| by_setting(variable)).collect();
    let kept = statements.iter().any(|statement| statement.contains("dynamodb:"));
    assert_eq!(kept, told.contains("STATE_TABLE"), "{name}: the table, and what is kept there");
    // The worker gives back to its queue what it has received from it, and sends nothing there.
    if told.contains("NOTIFICATION_QUEUE_URL") && !told.contains("NOTIFICATION_DEAD_LETTER_QUEUE_URL") {
        statements.insert(if told.contains("LIFECYCLE_QUEUE_URL") { NOTIFICATIONS } else { SEND }.to_owned());
    }
    if told.iter().any(|variable| variable.ends_with("_SECRET_ID")) {
        statements.insert(KEY.to_owned());
    }
    for mapping in resources(template, "AWS::Lambda::EventSourceMapping").values() {
        if line(&mapping["FunctionName"]) == format!("!Ref {name}") {
            statements.insert(receive(&line(&mapping["EventSourceArn"])));
        }
    }
    statements.extend([log(name), TRACES.to_owned()]);
    statements
}

#[test]
fn each_function_may_do_what_it_does_and_nothing_else() {
    let template = &*TRANSLATED;
    let (functions, roles) = (resources(template, "AWS::Lambda::Function"), resources(template, "AWS::IAM::Role"));
    assert!(functions.len() > 7, "{:?}", functions.keys());
    assert_eq!(roles.len(), functions.len(), "nobody has a role but the functions: {:?}", roles.keys());
    for (name, function) in &functions {
        assert_eq!(line(&function["Role"]), format!("!GetAtt {name}Role.Arn"));
        let role = roles[format!("{name}Role").as_str()];
        let keys: Vec<_> = role.as_mapping().unwrap().keys().filter_map(Value::as_str).collect();
        assert_eq!(keys, ["AssumeRolePolicyDocument", "Policies"], "{name}: no managed policy, nothing but its own");
        assert_eq!(
            line(&role["AssumeRolePolicyDocument"]["Statement"]),
            "[{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]"
        );
        let policies = role["Policies"].as_sequence().unwrap().iter();
        let statements = policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_sequence().unwrap());
        assert_eq!(statements.map(line).collect::<BTreeSet<_>>(), expected(name, function, template), "{name}");
    }
    // What is read grows with what is due, never with what the table holds.
    assert!(roles.values().all(|role| !line(role).contains("dynamodb:Scan")));
    for kind in ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::User"] {
        assert!(resources(template, kind).is_empty(), "{kind}");
    }
}

#[test]
fn a_function_is_called_by_its_own_route_or_clock_alone() {
    let template = &*TRANSLATED;
    let permissions = resources(template, "AWS::Lambda::Permission");
    assert!(!permissions.is_empty());
    for (name, permission) in permissions {
        let source = line(&permission["SourceArn"]);
        let of_method =
            |method: &&str| source.contains(&format!("/{method}/")) && !source.contains(&format!("/{method}/*"));
        let route = source.contains(":execute-api:") && ["GET", "POST"].iter().any(of_method);
        assert!(route || source == "!GetAtt SubscriptionSchedule.Arn", "{name}: {source}");
    }
}
