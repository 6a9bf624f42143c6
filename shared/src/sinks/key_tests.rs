//! Repetitions have the same key at a sink, and different events have different keys.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Sink;
use crate::chat::message::ChatMessage;
use crate::notification::Change;
use crate::notification::event::ResourceEvent;
use crate::relay::KeyAhead;

fn change(resource: &str, change_type: &str, etag: &str) -> Change {
    let [tenant_id, change_type, resource, etag] = ["t", change_type, resource, etag].map(str::to_owned);
    Change { tenant_id, change_type, resource, etag, ..Change::default() }
}

fn event(change: &Change, content: &Value) -> ResourceEvent {
    let message: ChatMessage = serde_json::from_value(content.clone()).unwrap();
    ResourceEvent { change: change.clone(), content: Some(content.to_string().into_bytes()), message: Some(message) }
}

#[test]
fn a_notification_its_repetition_and_a_listing_come_to_the_same() {
    let content = json!({"id": "7", "chatId": "19:a", "etag": "9", "createdDateTime": "1970-01-01T00:00:00.007Z"});
    // A notification need not say the version; a listing does.
    for change_type in ["created", "updated"] {
        let notified = change("chats('19:a')/messages('7')", change_type, "");
        let listed = change("Chats/19%3aa/Messages/7", change_type, "9");
        for sink in [Sink::OpenMessaging, Sink::EventBus] {
            assert_eq!(sink.key(&event(&notified, &content)), sink.key(&event(&listed, &content)), "{sink:?}");
        }
        let KeyAhead::Key(key, version) = Sink::EventBus.key_ahead(&listed) else { panic!("{listed:?}") };
        assert_eq!(Some((key, version)), Sink::EventBus.key(&event(&notified, &content)));
    }
    let listed = change("chats/19:a/messages/7", "updated", "9");
    let KeyAhead::Key(key, version) = Sink::OpenMessaging.key_ahead(&listed) else { panic!("{listed:?}") };
    // A reaction after the seventh millisecond: the version is not smaller than the message's own.
    assert_eq!((Some(key), version), (Sink::OpenMessaging.key(&event(&listed, &content)).map(|(key, _)| key), 9));
}

#[test]
fn what_is_another_event_has_another_key() {
    let content = json!({"id": "7", "etag": "9"});
    let key = |change: Change| Sink::EventBus.key(&event(&change, &content));
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
    let gone = ResourceEvent {
        content: None,
        message: None,
        ..event(&change("users/u/messages/AAMk", "created", ""), &content)
    };
    assert_ne!(Sink::EventBus.key(&gone), created("1"));
}

#[test]
fn what_has_no_tag_is_told_by_the_moment() {
    let at = |second, resource: &str, change_type| {
        let received_at = Timestamp::from_second(second).unwrap();
        let change = Change { received_at, ..change(resource, change_type, "") };
        let content = json!({"id": "7", "displayName": "the same"});
        Sink::EventBus.key(&event(&change, &content))
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
    assert_eq!(Sink::OpenMessaging.key_ahead(&mail), KeyAhead::NotForIt);
    assert_eq!(Sink::EventBus.key_ahead(&mail), KeyAhead::AfterOpening);
    assert!(matches!(Sink::EventBus.key_ahead(&change("users/u/messages/AAMk", "created", "")), KeyAhead::Key(..)));
    for etag in ["", "W/\"1\""] {
        let message = change("chats('19:a')/messages('7')", "created", etag);
        assert_eq!(Sink::OpenMessaging.key_ahead(&message), KeyAhead::AfterOpening);
    }
}
