//! A presence event of Genesys Cloud as Amazon EventBridge delivers it.
//!
//! <https://developer.genesys.cloud/notificationsalerts/notifications/event-bridge>

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::presence::SystemPresence;

/// The `detail-type` of an event that a schedule of Amazon EventBridge makes.
///
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html>
pub(super) const SCHEDULED: &str = "Scheduled Event";

/// A change of a user's presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceEvent {
    /// The id of the Genesys Cloud user.
    pub user: Uuid,
    /// When the presence changed.
    pub modified: Timestamp,
    /// The id of the presence definition, if it has one.
    pub definition: Option<Uuid>,
    /// The system presence of the definition; `None` when the bridge does not know it.
    pub system: Option<SystemPresence>,
}

/// A message of the queue, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// An event with a presence that may be mirrored.
    Presence(PresenceEvent),
    /// A reminder to look at the backlog, from the schedule or from an invocation that could not send everything.
    Reminder,
    /// An event that is not mirrored: another topic, another source of presence, or no presence in it.
    NotOurs,
}

/// The message is no event of Genesys Cloud, so a retry is useless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message is no presence event of Genesys Cloud: {0}")]
pub struct NoEvent(String);

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    #[serde(default)]
    detail: Detail,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Detail {
    topic_name: Option<String>,
    event_body: Option<Body>,
}

/// Both topics' bodies in one: `presence` has the definition at the top, `activity` below `presence`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    source: Option<String>,
    primary: Option<bool>,
    presence_definition: Option<Definition>,
    modified_date: Option<String>,
    presence: Option<Presence>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Presence {
    presence_definition: Option<Definition>,
    modified_date: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    id: Option<String>,
    system_presence: Option<String>,
}

/// Reads the body of a message.
///
/// # Errors
/// [`NoEvent`]
pub fn read(message: &str) -> Result<Read, NoEvent> {
    // Place and kind of the mistake; the text around it stays out.
    let no_json = |error: serde_json::Error| NoEvent(format!("line {}, column {}", error.line(), error.column()));
    let Envelope { detail_type, detail } = serde_json::from_str(message).map_err(no_json)?;
    if detail_type.as_deref() == Some(SCHEDULED) {
        return Ok(Read::Reminder);
    }
    let (Some(topic_name), Some(body)) = (detail.topic_name, detail.event_body) else {
        return Err(NoEvent("no topicName or no eventBody".into()));
    };
    let Some((user, topic)) = topic_name.strip_prefix("v2.users.").and_then(|rest| rest.split_once('.')) else {
        return Ok(Read::NotOurs);
    };
    let (definition, modified) = match topic {
        "presence" => {
            // The presence that another system reports, Teams itself for one, must not come back to it.
            let foreign = body.source.as_deref().is_some_and(|source| !source.eq_ignore_ascii_case("PURECLOUD"));
            if foreign || body.primary == Some(false) {
                return Ok(Read::NotOurs);
            }
            (body.presence_definition, body.modified_date)
        }
        "activity" => match body.presence {
            Some(presence) => (presence.presence_definition, presence.modified_date),
            None => return Ok(Read::NotOurs),
        },
        _ => return Ok(Read::NotOurs),
    };
    let user = user.parse().map_err(|_| NoEvent("the topic names no user".into()))?;
    let definition = definition.ok_or_else(|| NoEvent("no presenceDefinition".into()))?;
    let modified = modified.and_then(|text| milliseconds(&text)).ok_or_else(|| NoEvent("no modifiedDate".into()))?;
    let system = definition.system_presence.and_then(|text| text.parse().ok());
    Ok(Read::Presence(PresenceEvent {
        user,
        modified,
        definition: definition.id.and_then(|id| id.parse().ok()),
        system,
    }))
}

/// A time to the millisecond, which is what the state table keeps: a finer one would not be found equal to itself
/// there.
fn milliseconds(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    Timestamp::from_millisecond(time.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const USER: &str = "278522be-1683-4877-8257-4164a177be89";

    fn envelope(topic: &str, body: &Value) -> String {
        json!({
            "version": "0", "id": "4cbedb0f-0000-4000-8000-000000000000", "detail-type": format!("v2.users.{{id}}.{topic}"),
            "source": "aws.partner/genesys.com/cloud/6b0f8f0e-0a39-4f0f-8a0b-3f4d1f7c2e10/bridge",
            "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [],
            "detail": {
                "topicName": format!("v2.users.{USER}.{topic}"), "version": "2", "eventBody": body,
                "metadata": {"CorrelationId": "b61df0b3-0000-4000-8000-000000000000"},
                "timestamp": "2026-01-01T00:00:00.123Z",
            },
        })
        .to_string()
    }

    fn presence(change: impl FnOnce(&mut Value)) -> Result<Read, NoEvent> {
        let mut body = json!({
            "source": "PURECLOUD", "primary": true, "message": "", "modifiedDate": "2026-01-01T00:00:00.000Z",
            "presenceDefinition": {"id": "e08eaf1b-ee47-4fa9-a231-1200e284798f", "systemPresence": "ON_QUEUE"},
            "futurePresenceDefinition": null,
        });
        change(&mut body);
        read(&envelope("presence", &body))
    }

    #[test]
    fn both_topics_say_the_same() {
        let expected = Read::Presence(PresenceEvent {
            user: USER.parse().unwrap(),
            modified: "2026-01-01T00:00:00Z".parse().unwrap(),
            definition: Some("e08eaf1b-ee47-4fa9-a231-1200e284798f".parse().unwrap()),
            system: Some(SystemPresence::OnQueue),
        });
        assert_eq!(presence(|_| ()), Ok(expected.clone()));
        let activity = json!({
            "id": USER, "routingStatus": {"status": "OFF_QUEUE", "startTime": "2026-01-01T00:00:00.000Z"},
            "presence": {
                "presenceDefinition": {"id": "e08eaf1b-ee47-4fa9-a231-1200e284798f", "systemPresence": "ON_QUEUE"},
                "presenceMessage": "", "modifiedDate": "2026-01-01T00:00:00.000Z",
            },
            "outOfOffice": {"active": false, "modifiedDate": "2026-01-01T00:00:00.000Z"},
            "activeQueueIds": [], "dateActiveQueuesChanged": "2026-01-01T00:00:00.000Z",
        });
        assert_eq!(read(&envelope("activity", &activity)), Ok(expected));
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        assert_eq!(presence(|body| body["source"] = "MICROSOFTTEAMS".into()), Ok(Read::NotOurs));
        assert_eq!(presence(|body| body["primary"] = false.into()), Ok(Read::NotOurs));
        assert_eq!(read(&envelope("routingStatus", &json!({"id": USER}))), Ok(Read::NotOurs));
        assert_eq!(read(&envelope("activity", &json!({"id": USER}))), Ok(Read::NotOurs));
    }

    #[test]
    fn a_schedule_s_event_is_a_reminder() {
        let scheduled = json!({
            "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
            "source": "aws.events", "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
            "resources": ["arn:aws:events:us-east-1:123456789012:rule/renew"], "detail": {},
        });
        assert_eq!(read(&scheduled.to_string()), Ok(Read::Reminder));
    }

    #[test]
    fn an_unknown_system_presence_is_an_event_all_the_same() {
        let Ok(Read::Presence(event)) = presence(|body| body["presenceDefinition"]["systemPresence"] = "LUNCH".into())
        else {
            panic!()
        };
        assert_eq!(event.system, None);
    }

    #[test]
    fn a_time_is_as_fine_as_the_state_table_keeps_it() {
        let Ok(Read::Presence(event)) = presence(|body| body["modifiedDate"] = "2026-01-01T00:00:00.123456Z".into())
        else {
            panic!()
        };
        assert_eq!(event.modified, "2026-01-01T00:00:00.123Z".parse().unwrap());
    }

    #[test]
    fn poison_is_recognised_and_not_repeated() {
        for message in ["", "{", "[]", "{}", r#"{"detail":{"topicName":"v2.users.x.presence"}}"#] {
            assert!(read(message).is_err(), "{message}");
        }
        assert!(presence(|body| body["modifiedDate"] = "yesterday".into()).is_err());
        assert!(presence(|body| body["modifiedDate"] = Value::Null).is_err());
        let text = read(r#"{"detail": "+447700900123"}"#).unwrap_err().to_string();
        assert!(!text.contains("7700"), "{text}");
    }
}
