//! The notifications of Microsoft Graph: from the webhook to the queue.

use std::collections::BTreeMap;
use std::time::Duration;

use sandbox::sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{alone, beside_others};

/// The client state that the template has made.
async fn client_state(sandbox: &Sandbox) -> String {
    let get = sandbox.cloud.secrets_manager().get_secret_value().secret_id(sandbox.output("WebhookSecret"));
    let secret: Value = serde_json::from_str(get.send().await.unwrap().secret_string().unwrap()).unwrap();
    secret["client_state"].as_str().unwrap().to_owned()
}

/// A message in a chat, as a basic notification.
fn message(state: &str, chat: &str, version: usize) -> Value {
    json!({
        "subscriptionId": "5b1c2a3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "clientState": state, "changeType": "created",
        "tenantId": "3f0c1f6e-6c55-4b43-9a7c-0f4a3f0d5c11", "resource": format!("chats('{chat}')/messages('{version}')"),
        "resourceData": {"@odata.type": "#Microsoft.Graph.chatMessage", "@odata.etag": version.to_string()},
    })
}

/// Graph repeats a notification until it is told that it was taken. A client state that does not match the secret is
/// told from one that was just rotated ten seconds later at the latest.
async fn notify(sandbox: &Sandbox, path: &str, items: &[Value]) {
    let body = json!({"value": items}).to_string();
    for _ in 0..15 {
        let answer = sandbox.post(path, None, body.clone()).await.unwrap();
        if answer.body["code"] != "clientStateUnknown" {
            assert_eq!((answer.status, answer.body), (202, "".into()));
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
    panic!("the client state was never compared");
}

/// A queue whose consumer is switched off for a while.
struct Held<'a> {
    sandbox: &'a Sandbox,
    url: &'a str,
}

impl<'a> Held<'a> {
    async fn queue(sandbox: &'a Sandbox, name: &str) -> Self {
        let held = Self { sandbox, url: sandbox.output(name) };
        sandbox.cloud.switch_consumers(held.url, false).await.unwrap();
        held
    }

    /// Takes this many messages off the queue, by group and in order, and switches the consumer on again.
    async fn drain(self, count: usize) -> BTreeMap<String, Vec<Value>> {
        let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let receive = json!({
            "QueueUrl": self.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1, "AttributeNames": ["All"],
        });
        // A batch of a group holds up the rest of it until it is deleted.
        for _ in 0..count {
            let received =
                self.sandbox.cloud.cli().call("sqs", "receive_message", std::slice::from_ref(&receive)).await.unwrap();
            let messages = received[0]["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            let delete = |message: &Value| json!({"QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"]});
            let deletes: Vec<_> = messages.iter().map(delete).collect();
            self.sandbox.cloud.cli().call("sqs", "delete_message", &deletes).await.unwrap();
            for message in messages {
                let group = message["Attributes"]["MessageGroupId"].as_str().unwrap().to_owned();
                groups.entry(group).or_default().push(serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
            }
        }
        self.sandbox.cloud.switch_consumers(self.url, true).await.unwrap();
        groups
    }
}

#[test]
fn graph_s_handshake_is_answered_on_both_routes_and_nothing_else_is_open() {
    beside_others(async |sandbox| {
        for path in ["/graph/notifications", "/graph/lifecycle"] {
            let query = "tenant=x&validationToken=Validation%3a+Testing+client%2Bonce%252Btwice+Request-Id%3a+0b7c";
            let answer = sandbox.post(&format!("{path}?{query}"), None, "").await.unwrap();
            let expected = (200, "Validation: Testing client+once%2Btwice Request-Id: 0b7c");
            assert_eq!((answer.status, answer.body.as_str().unwrap_or_default()), expected);
            assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
            assert_eq!(answer.headers["x-content-type-options"], "nosniff");
            for (body, status) in [("", 400), ("{}", 400), (r#"{"value":[]}"#, 202)] {
                assert_eq!(sandbox.post(path, None, body).await.unwrap().status, status, "{body}");
            }
        }
        assert_eq!(sandbox.post("/graph", None, "{}").await.unwrap().status, 404);
    });
}

#[test]
fn notifications_are_on_the_queue_once_and_in_order_when_graph_is_told_so() {
    alone(async |sandbox| {
        let state = client_state(sandbox).await;
        let chats: Vec<_> = (0..4).map(|chat| format!("19:{chat}{}@thread.v2", uuid::Uuid::new_v4())).collect();
        let mut items: Vec<_> = (0..100).map(|version| message(&state, &chats[version % 3], version)).collect();
        items.push(json!({"clientState": state}));
        items.push(json!({
            "subscriptionId": "5b1c2a3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "clientState": state, "lifecycleEvent": "missed",
        }));

        let changes = Held::queue(sandbox, "NotificationQueue").await;
        let lifecycle = Held::queue(sandbox, "LifecycleQueue").await;
        // By itself, because it may have to be sent again.
        notify(sandbox, "/graph/notifications", &[message("another client state", &chats[3], 1)]).await;
        // Graph sends the same request twice, to whichever route.
        for path in ["/graph/notifications", "/graph/lifecycle"] {
            notify(sandbox, path, &items).await;
        }
        let (changes, lifecycle) = (changes.drain(200).await, lifecycle.drain(10).await);

        let groups: Vec<_> = chats[..3].iter().map(|chat| format!("chat/{chat}")).collect();
        // What cannot be read is kept beside them, by itself, and a repetition is known.
        let (odd, of_chats): (Vec<_>, Vec<_>) = changes.keys().partition(|group| group.starts_with("unreadable/"));
        assert_eq!(of_chats, groups.iter().collect::<Vec<_>>());
        assert_eq!(odd.iter().map(|group| changes[*group].len()).collect::<Vec<_>>(), [1]);
        assert_eq!(changes[odd[0]][0]["notification"], "{}");
        for (place, group) in groups.iter().enumerate() {
            let versions =
                changes[group].iter().map(|queued| queued["etag"].as_str().unwrap().parse::<usize>().unwrap());
            assert_eq!(versions.collect::<Vec<_>>(), (place..100).step_by(3).collect::<Vec<_>>());
            assert!(changes[group].iter().all(|queued| queued["kind"] == "change"));
        }
        let events: Vec<_> = lifecycle.values().flatten().map(|queued| &queued["lifecycleEvent"]).collect();
        assert_eq!(events, ["missed", "missed"], "nothing tells a repetition from a second loss");

        let log = sandbox.cloud.logs("graph-webhook").await.unwrap();
        assert!(!log.contains(&state) && !log.contains("another client state"));
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines: Vec<_> = lines.by_ref().filter(|line| line["notifications"].is_u64()).collect();
        let counts = ["notifications", "queued", "unreadable", "rejected", "foreign", "malformed", "contentLeftOut"];
        for expected in [[1, 0, 0, 1, 1, 0, 0], [102, 102, 1, 0, 0, 0, 0]] {
            let is_so = |line: &Value| counts.map(|name| line[name].as_u64()) == expected.map(Some);
            assert!(lines.iter().any(is_so), "{expected:?}");
        }
    });
}

#[test]
fn a_client_state_is_rotated_without_losing_a_notification() {
    alone(async |sandbox| {
        let old = client_state(sandbox).await;
        let (new, secret) = (format!("{old}-new"), sandbox.output("WebhookSecret"));
        let held = Held::queue(sandbox, "NotificationQueue").await;
        let chat = format!("19:{}@thread.v2", uuid::Uuid::new_v4());
        notify(sandbox, "/graph/notifications", &[message(&old, &chat, 1)]).await;
        let both = json!({"client_state": new, "previous_client_state": old});
        sandbox.cloud.put_secret(secret, &both).await.unwrap();
        for (version, state) in [(2, &new), (3, &old)] {
            notify(sandbox, "/graph/notifications", &[message(state, &chat, version)]).await;
        }
        sandbox.cloud.put_secret(secret, &json!({"client_state": old})).await.unwrap();
        let queued = held.drain(10).await;
        let versions: Vec<_> = queued[&format!("chat/{chat}")].iter().map(|queued| &queued["etag"]).collect();
        assert_eq!(versions, ["1", "2", "3"]);
    });
}
