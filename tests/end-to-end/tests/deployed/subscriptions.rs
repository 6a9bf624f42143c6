//! The subscriptions of the deployed bundle: Graph calls the deployed webhook while they are made.

use sandbox::sandbox::Sandbox;
use sandbox::stand_ins::{AGENT_ID, Lifecycle};
use serde_json::Value;

use crate::{alone, until};

fn subscription(sandbox: &Sandbox, resource: &str) -> Option<Value> {
    sandbox.world.subscriptions().into_iter().find(|it| it["resource"] == resource)
}

#[test]
fn what_is_wanted_is_made_and_made_anew_when_graph_has_removed_it() {
    alone(async |sandbox| {
        let chats = format!("/users/{AGENT_ID}/chats/getAllMessages");
        let inbox = format!("/users/{AGENT_ID}/mailFolders('inbox')/messages");
        sandbox.look_after_subscriptions().await.unwrap();
        let made = subscription(sandbox, &chats).unwrap();
        assert_eq!(made["encryptionCertificateId"], "sandbox");
        assert!(made["notificationUrl"].as_str().unwrap().ends_with("/graph/notifications"), "{made}");
        assert!(subscription(sandbox, &inbox).is_some());
        // What Graph says goes through the webhook and its queue to the function.
        let id = made["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(sandbox.world.send_lifecycle(Lifecycle::SubscriptionRemoved, Some(id), false), 1);
        assert_eq!(subscription(sandbox, &chats), None);
        let again = until(|| subscription(sandbox, &chats)).await;
        assert_ne!(again["id"], made["id"]);
        assert_eq!(sandbox.world.subscription_hazards(), []);
    });
}
