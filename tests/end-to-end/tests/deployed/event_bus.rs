//! Every event of Graph's on the customer's own event bus, for a rule of the customer's own.

use sandbox::sandbox::{EVENT_BUS, Sandbox};
use sandbox::stand_ins::{AGENT_ID, COLLEAGUE_ID, Lifecycle, NewMail, NewMessage, NotificationSettings, Sender};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::alone;

/// A queue that a rule on the bus sends every event of the bridge's to.
struct Listener<'a> {
    sandbox: &'a Sandbox,
    queue: String,
    heard: Vec<Value>,
}

impl<'a> Listener<'a> {
    async fn start(sandbox: &'a Sandbox) -> Self {
        let aws = sandbox.cloud.cli();
        let call = async |service, operation, parameters: Value| {
            aws.call(service, operation, &[parameters]).await.unwrap().remove(0)
        };
        call("events", "create_event_bus", json!({"Name": EVENT_BUS})).await;
        let name = format!("listener-{}", Uuid::new_v4());
        let queue = call("sqs", "create_queue", json!({"QueueName": name})).await["QueueUrl"].clone();
        let asked = json!({"QueueUrl": queue, "AttributeNames": ["QueueArn"]});
        let arn = call("sqs", "get_queue_attributes", asked).await["Attributes"]["QueueArn"].clone();
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
        }]});
        let allowed = json!({"QueueUrl": queue, "Attributes": {"Policy": policy.to_string()}});
        call("sqs", "set_queue_attributes", allowed).await;
        let pattern = json!({"source": ["teams-bridge"]}).to_string();
        call("events", "put_rule", json!({"Name": name, "EventBusName": EVENT_BUS, "EventPattern": pattern})).await;
        let targets = json!([{"Id": "queue", "Arn": arn}]);
        call("events", "put_targets", json!({"Rule": name, "EventBusName": EVENT_BUS, "Targets": targets})).await;
        Self { sandbox, queue: queue.as_str().unwrap().to_owned(), heard: Vec::new() }
    }

    /// The events about this resource, once there are any.
    async fn events(&mut self, part: &str) -> Vec<Value> {
        let receive = json!({"QueueUrl": self.queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1});
        for _ in 0..60 {
            let found: Vec<_> = self.heard.iter().filter(|event| event.to_string().contains(part)).cloned().collect();
            if !found.is_empty() {
                return found;
            }
            let received =
                self.sandbox.cloud.cli().call("sqs", "receive_message", std::slice::from_ref(&receive)).await.unwrap();
            let bodies = received[0]["Messages"].as_array().into_iter().flatten().map(|message| &message["Body"]);
            self.heard.extend(bodies.map(|body| serde_json::from_str::<Value>(body.as_str().unwrap()).unwrap()));
        }
        panic!("no event tells of {part}: {:?}", self.heard);
    }
}

#[test]
fn chats_and_mail_are_told_of_once_with_what_they_say() {
    alone(async |sandbox| {
        sandbox.look_after_subscriptions().await.unwrap();
        let mut listener = Listener::start(sandbox).await;
        let world = &sandbox.world;

        let chat = format!("19:{}@thread.v2", Uuid::new_v4().simple());
        world.put_chat(&chat, None, &[AGENT_ID, COLLEAGUE_ID]).unwrap();
        let id = world.write_message(&chat, NewMessage::text(Sender::Guest("Robin".into()), "good morning")).unwrap();
        let told = listener.events(&chat).await;
        let event = &told[0];
        assert_eq!(
            (&event["source"], &event["detail-type"]),
            (&json!("teams-bridge"), &json!("Graph chatMessage created"))
        );
        let detail = &event["detail"];
        assert_eq!(detail["resource"], format!("chats('{chat}')/messages('{id}')"));
        assert_eq!((&detail["data"]["body"]["content"], told.len()), (&json!("good morning"), 1));

        let mail = |subject: &str| NewMail {
            from: "robin@example.com".into(),
            subject: subject.into(),
            body: "hello".into(),
            folder: "inbox".into(),
        };
        let first = world.put_mail(AGENT_ID, &mail("first"));
        let told = listener.events(&first).await;
        assert_eq!(
            (&told[0]["detail-type"], &told[0]["detail"]["data"]["subject"]),
            (&json!("Graph Message created"), &json!("first"),)
        );
        // Nobody asked to be told that it was read; but when Graph has lost something, what changed is listed.
        world.read_mail(AGENT_ID, &first).unwrap();
        let usual = world.notifications().settings;
        world.set_notifications(NotificationSettings { loss_percent: 100.0, ..usual.clone() });
        let second = world.put_mail(AGENT_ID, &mail("second"));
        world.set_notifications(usual);
        assert_eq!(world.send_lifecycle(Lifecycle::Missed, None, false), 1);
        assert_eq!(listener.events(&second).await[0]["detail"]["data"]["subject"], "second");
        // Changes of a mailbox or chat come in their order, so that a second event of the first would have come before.
        assert_eq!(listener.events(&first).await.len(), 1, "{:?}", listener.heard);
        let last = world.write_message(&chat, NewMessage::text(Sender::Guest("Robin".into()), "good night")).unwrap();
        assert_eq!(listener.events(&format!("messages('{last}')")).await.len(), 1);
        assert_eq!(listener.events(&chat).await.len(), 2, "{:?}", listener.heard);
    });
}
