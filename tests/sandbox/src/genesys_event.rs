//! Events as Genesys Cloud's Amazon EventBridge integration sends them.
//!
//! <https://developer.genesys.cloud/notificationsalerts/notifications/event-bridge>

use serde_json::{Value, json};

/// An event for EventBridge's own envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenesysEvent {
    /// The topic with a literal `{id}`.
    pub detail_type: &'static str,
    /// The event itself, as `detail`.
    pub detail: Value,
}

/// Upper-snake system presence and primary definition of each, the same in every org.
const DEFINITIONS: [(&str, &str); 10] = [
    ("AVAILABLE", "6a3af858-942f-489d-9700-5f9bcdcdae9b"),
    ("AWAY", "5e5c5c66-ea97-4e7f-ac41-6424784829f2"),
    ("BUSY", "31fe3bac-dea6-44b7-bed7-47f91660a1a0"),
    ("BREAK", "227b37e2-f1d0-4dd0-8f50-badd7cf6d158"),
    ("MEAL", "3fd96123-badb-4f69-bc03-1b1ccc6d8014"),
    ("MEETING", "bbdff279-7ae1-48ea-bade-7831d7234c64"),
    ("TRAINING", "d2390a99-8546-bad9-8f0a-219548e8aeb0"),
    ("IDLE", "7ffa01cd-7866-4ad7-8faa-31e11b42f51f"),
    ("ON_QUEUE", "e08eaf1b-ee47-4fa9-a231-1200e284798f"),
    ("OFFLINE", "ccf3c10a-aa2c-4845-8e8d-f59fa48c58e5"),
];

fn definition(system_presence: &str) -> Value {
    let id = DEFINITIONS.iter().find(|(name, _)| *name == system_presence).map_or("", |(_, id)| id);
    json!({"id": id, "systemPresence": system_presence})
}

fn detail(user: &str, topic: &str, body: &Value, modified: &str) -> Value {
    json!({
        "topicName": format!("v2.users.{user}.{topic}"),
        "version": "2",
        "eventBody": body,
        "metadata": {"CorrelationId": uuid::Uuid::new_v4().to_string()},
        "timestamp": modified,
    })
}

impl GenesysEvent {
    /// `v2.users.{id}.presence`: the user is now this (`ON_QUEUE`), since this time (ISO 8601, UTC).
    #[must_use]
    pub fn presence(user: &str, system_presence: &str, modified: &str) -> Self {
        let body = json!({
            "source": "PURECLOUD", "presenceDefinition": definition(system_presence), "primary": true, "message": "",
            "modifiedDate": modified, "futurePresenceDefinition": null,
        });
        Self { detail_type: "v2.users.{id}.presence", detail: detail(user, "presence", &body, modified) }
    }

    /// `v2.users.{id}.activity`: the user is this since this time, and the routing status became another at that time.
    /// Most events of this topic leave the presence as it was, with its own, older time.
    #[must_use]
    pub fn activity(user: &str, system_presence: &str, since: &str, at: &str) -> Self {
        let on_queue = system_presence == "ON_QUEUE";
        let body = json!({
            "id": user,
            "routingStatus": {"status": if on_queue { "IDLE" } else { "OFF_QUEUE" }, "startTime": at},
            "presence": {
                "presenceDefinition": definition(system_presence), "presenceMessage": "", "modifiedDate": since,
            },
            "outOfOffice": {"active": false, "modifiedDate": since},
            "activeQueueIds": [],
            "dateActiveQueuesChanged": since,
        });
        Self { detail_type: "v2.users.{id}.activity", detail: detail(user, "activity", &body, at) }
    }
}
