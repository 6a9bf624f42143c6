//! Under which key and version a delivery is remembered, so that what is told twice is delivered once.
//!
//! A chat's message is known by its version, so that a reaction is no news and an older version never follows a newer one.
//! For a bus, a message is created once, and whatever else happens is known by the resource's tag; where nothing has a
//! tag, by the moment in which the notification came: rather told twice than not at all.
//!
//! A notification, its repetition and a listing spell the same resource in different ways and must come to the same key.

use std::borrow::Cow;

use serde::Deserialize;

use crate::graph::resource::ResourceName;
use crate::notification::Change;
use crate::relay::Event;
use crate::store::{RecordKey, kind};

/// Where events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Messages of chats, as inbound messages of a Genesys Cloud Open Messaging integration.
    OpenMessaging,
    /// Every event, to an Amazon EventBridge bus.
    EventBus,
}

/// What a notification tells of the key by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// The key, and a version that is not smaller than the resource's own.
    As(RecordKey, i64),
    /// The sink takes nothing of the kind.
    NotForIt,
    /// Only the resource tells.
    ByResourceAlone,
}

/// Key and version of an event; `None`, when it is not for the sink.
pub(crate) fn of(event: &Event, sink: Sink) -> Option<(RecordKey, i64)> {
    let change = &event.change;
    match sink {
        Sink::OpenMessaging => {
            let message = event.message.as_ref()?;
            Some((open_message(change, &message.chat_id, &message.id), message.version()))
        }
        Sink::EventBus => {
            let content = event.content.as_deref();
            let tag = match (&content, change.etag.as_str()) {
                // A listing may still find it.
                (None, _) if is_creation(change) => return Some((published_as(change, "gone"), 0)),
                (_, "") => content.and_then(tag).unwrap_or_else(|| change.received_at.to_string()),
                (_, etag) => etag.to_owned(),
            };
            Some((published(change, &tag), 0))
        }
    }
}

/// The same by the notification alone.
pub(crate) fn by_notification(change: &Change, sink: Sink) -> Known {
    match sink {
        Sink::OpenMessaging => {
            let resource = ResourceName::read(&change.resource).ok();
            let Some((chat, id)) = resource.as_ref().and_then(ResourceName::chat_message) else {
                return Known::NotForIt;
            };
            // The etag of a chat's message is the millisecond of its last change, reactions included.
            match change.etag.parse() {
                Ok(version) => Known::As(open_message(change, chat, id), version),
                Err(_) => Known::ByResourceAlone,
            }
        }
        Sink::EventBus if change.etag.is_empty() && !is_creation(change) => Known::ByResourceAlone,
        Sink::EventBus => Known::As(published(change, &change.etag), 0),
    }
}

fn open_message(change: &Change, chat: &str, id: &str) -> RecordKey {
    RecordKey::new(kind::OPEN_MESSAGE, &[&change.tenant_id, chat, id])
}

fn published(change: &Change, tag: &str) -> RecordKey {
    published_as(change, if is_creation(change) { "" } else { tag })
}

fn published_as(change: &Change, tag: &str) -> RecordKey {
    let path = path(&change.resource).join("/");
    RecordKey::new(kind::EVENT, &[&change.tenant_id, &path, &change.change_type, tag])
}

/// Whether it is the creation of something that is created once. A member of a chat may be added again.
fn is_creation(change: &Change) -> bool {
    let path = path(&change.resource);
    let collection = path.iter().rev().nth(1).map(String::as_str);
    change.change_type == "created" && matches!(collection, Some("messages" | "events"))
}

/// The path that a resource is remembered by: its normal form. What lies in a mailbox is remembered without the mailbox, for
/// its id is no other mailbox's, and a notification may name the user otherwise than a listing does.
fn path(resource: &str) -> Vec<String> {
    let Ok(name) = ResourceName::read(resource) else { return vec![resource.to_owned()] };
    let mut path: Vec<_> = name.normal_segments().map(Cow::into_owned).collect();
    match path.first().map(String::as_str) {
        Some("users") if path.len() == 4 => drop(path.drain(..2)),
        // Not the normal form, but what deliveries have always been remembered by here: every other segment in lower case.
        // Another key would have those of the last week made again.
        Some("communications") => path = every_other_in_lower_case(&name),
        _ => {}
    }
    path
}

fn every_other_in_lower_case(name: &ResourceName<'_>) -> Vec<String> {
    let segments = name.segments().enumerate();
    segments.map(|(place, it)| if place % 2 == 0 { it.to_ascii_lowercase() } else { it.to_owned() }).collect()
}

/// What tells this version of the resource from another when the notification does not say.
fn tag(content: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Tags {
        #[serde(rename = "@odata.etag")]
        odata_etag: Option<String>,
        etag: Option<String>,
        #[serde(rename = "changeKey")]
        change_key: Option<String>,
        #[serde(rename = "lastModifiedDateTime")]
        modified: Option<String>,
    }
    let tags = serde_json::from_slice::<Tags>(content).ok()?;
    tags.odata_etag.or(tags.etag).or(tags.change_key).or(tags.modified)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::message::ChatMessage;

    fn change(resource: &str, change_type: &str, etag: &str) -> Change {
        let [tenant_id, change_type, resource, etag] = ["t", change_type, resource, etag].map(str::to_owned);
        Change { tenant_id, change_type, resource, etag, ..Change::default() }
    }

    fn event(change: &Change, content: &Value) -> Event {
        let message: ChatMessage = serde_json::from_value(content.clone()).unwrap();
        Event { change: change.clone(), content: Some(content.to_string().into_bytes()), message: Some(message) }
    }

    #[test]
    fn a_notification_its_repetition_and_a_listing_come_to_the_same() {
        let content = json!({"id": "7", "chatId": "19:a", "etag": "9", "createdDateTime": "1970-01-01T00:00:00.007Z"});
        // A notification need not say the version; a listing does.
        for change_type in ["created", "updated"] {
            let notified = change("chats('19:a')/messages('7')", change_type, "");
            let listed = change("Chats/19%3aa/Messages/7", change_type, "9");
            for sink in [Sink::OpenMessaging, Sink::EventBus] {
                assert_eq!(of(&event(&notified, &content), sink), of(&event(&listed, &content), sink), "{sink:?}");
            }
            let Known::As(key, version) = by_notification(&listed, Sink::EventBus) else { panic!("{listed:?}") };
            assert_eq!(Some((key, version)), of(&event(&notified, &content), Sink::EventBus));
        }
        let listed = change("chats/19:a/messages/7", "updated", "9");
        let Known::As(key, version) = by_notification(&listed, Sink::OpenMessaging) else { panic!("{listed:?}") };
        // A reaction after the seventh millisecond: the version is not smaller than the message's own.
        assert_eq!((Some(key), version), (of(&event(&listed, &content), Sink::OpenMessaging).map(|(key, _)| key), 9));
    }

    #[test]
    fn what_is_another_event_has_another_key() {
        let content = json!({"id": "7", "etag": "9"});
        let key = |change: Change| of(&event(&change, &content), Sink::EventBus);
        let updated = key(change("users/u/messages/AAMk", "updated", "1"));
        for other in [
            change("users/u/messages/AAMk", "updated", "2"),
            change("users/u/messages/AAMk", "deleted", "1"),
            change("users/u/messages/AAmk", "updated", "1"),
            change("users/u/events/AAMk", "updated", "1"),
            Change { tenant_id: "other".into(), ..change("users/u/messages/AAMk", "updated", "1") },
        ] {
            assert_ne!(key(other.clone()), updated, "{other:?}");
        }
        // Created once, whatever became of it since, and whatever its mailbox is called.
        let created = |etag| key(change("users/u/messages/AAMk", "created", etag));
        assert_eq!(created("1"), created("2"));
        assert_eq!(created("1"), key(change("Users/kim@contoso.com/Messages/AAMk", "created", "")));
        // One that was gone when it was to be fetched has not been told of, if a listing finds it after all.
        let gone =
            Event { content: None, message: None, ..event(&change("users/u/messages/AAMk", "created", ""), &content) };
        assert_ne!(of(&gone, Sink::EventBus), created("1"));
    }

    #[test]
    fn what_has_no_tag_is_told_by_the_moment() {
        let at = |second, resource: &str, change_type| {
            let received_at = Timestamp::from_second(second).unwrap();
            let change = Change { received_at, ..change(resource, change_type, "") };
            let content = json!({"id": "7", "displayName": "the same"});
            of(&event(&change, &content), Sink::EventBus)
        };
        // Added again, and changed back.
        for (resource, change_type) in [("chats/19:a/members/MCMj", "created"), ("users/u", "updated")] {
            assert_ne!(at(1, resource, change_type), at(2, resource, change_type), "{resource}");
            assert_eq!(at(1, resource, change_type), at(1, resource, change_type), "{resource}");
        }
    }

    #[test]
    fn where_the_notification_does_not_say_it_the_resource_has_to() {
        let mail = change("users/u/messages/AAMk", "updated", "");
        assert_eq!(by_notification(&mail, Sink::OpenMessaging), Known::NotForIt);
        assert_eq!(by_notification(&mail, Sink::EventBus), Known::ByResourceAlone);
        assert!(matches!(
            by_notification(&change("users/u/messages/AAMk", "created", ""), Sink::EventBus),
            Known::As(..)
        ));
        for etag in ["", "W/\"1\""] {
            let message = change("chats('19:a')/messages('7')", "created", etag);
            assert_eq!(by_notification(&message, Sink::OpenMessaging), Known::ByResourceAlone);
        }
    }
}
