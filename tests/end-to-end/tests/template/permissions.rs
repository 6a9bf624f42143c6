//! What each function may do. It is read from the template that SAM has expanded, because SAM adds to what is written: a
//! role that is not written out gets managed policies, and with them every log group of the account.

use std::collections::{BTreeMap, BTreeSet};
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
    Action: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes], Resource: !GetAtt NotificationQueue.Arn}";
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
/// What lets a function read a setting that lies outside of it, where the stack's parameter says.
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

/// A statement of the state table: what is done, to which kinds of items.
fn items(sid: &str, actions: &str, kinds: &[&str]) -> String {
    let keys = kinds.iter().map(|kind| format!("{kind}#*")).collect::<Vec<_>>().join(", ");
    format!(
        "{{Sid: {sid}, Effect: Allow, Action: {actions}, Resource: !GetAtt StateTable.Arn, \
         Condition: {{ForAllValues:StringLike: {{dynamodb:LeadingKeys: [{keys}]}}}}}}"
    )
}

#[test]
fn each_function_may_do_what_it_does_and_nothing_else() {
    let records = items("KeepRecords", "[dynamodb:PutItem, dynamodb:UpdateItem, dynamodb:DeleteItem]", &[kind::SMS]);
    let meetings = items("KeepMeetings", "[dynamodb:GetItem, dynamodb:PutItem]", &[kind::MEETING]);
    let presences = items("KeepPresences", "[dynamodb:BatchGetItem, dynamodb:UpdateItem]", &[kind::PRESENCE]);
    let subscriptions = items(
        "KeepSubscriptions",
        "[dynamodb:BatchGetItem, dynamodb:UpdateItem, dynamodb:DeleteItem]",
        &[kind::SUBSCRIPTION, kind::HEARD],
    );
    let deliveries = items(
        "KeepDeliveries",
        "[dynamodb:GetItem, dynamodb:UpdateItem]",
        &[kind::OPEN_MESSAGE, kind::CHAT_NAME, kind::EVENT, kind::HEARD],
    );
    let [map, users, wanted] = ["PresenceMap", "PresenceUsers", "Subscriptions"].map(setting);
    let expected: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("CreateMeeting", vec![ENTRA, &*meetings, KEY]),
        ("SendSms", vec![GENESYS, &*records, KEY]),
        ("Escalate", vec![ENTRA, GENESYS, &*records, &*meetings, KEY]),
        ("UpdatePresence", vec![ENTRA, GENESYS, &*map, KEY]),
        ("MirrorPresence", vec![ENTRA, GENESYS, QUEUE, REMIND, &*presences, BACKLOG, &*map, &*users, KEY]),
        (
            "RenewSubscriptions",
            vec![ENTRA, WEBHOOK, NOTIFICATION_KEYS, LIFECYCLE, SEND, &*subscriptions, &*wanted, KEY],
        ),
        ("GraphWebhook", vec![WEBHOOK, NOTIFICATIONS, KEY]),
        ("ProcessNotification", vec![ENTRA, GENESYS, NOTIFICATION_KEYS, WORK, &*deliveries, MEDIA, EVENTS, KEY]),
    ]);
    let template = &*TRANSLATED;
    let (functions, roles) = (resources(template, "AWS::Lambda::Function"), resources(template, "AWS::IAM::Role"));
    assert_eq!(functions.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
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
        let own = [log(name), TRACES.to_owned()];
        let expected: BTreeSet<_> = expected[name].iter().map(|s| (*s).to_owned()).chain(own).collect();
        assert_eq!(statements.map(line).collect::<BTreeSet<_>>(), expected, "{name}");
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
        let route = source.contains(":execute-api:") && source.contains("/POST/") && !source.contains("/POST/*");
        assert!(route || source == "!GetAtt SubscriptionSchedule.Arn", "{name}: {source}");
    }
}
