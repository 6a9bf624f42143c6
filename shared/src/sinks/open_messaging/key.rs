//! The key and version by which the delivery of a chat message is remembered.
//!
//! A chat message is known by its version, so that a reaction is not delivered and an older version never follows a
//! newer one. A notification, its repetition and a listing spell the same message in different ways, and have the same
//! key.

use crate::graph::resource::ResourceName;
use crate::notification::Change;
use crate::notification::event::ResourceEvent;
use crate::relay::KeyAhead;
use crate::store::{RecordKey, kind};

/// The key and version of an event; `None` when it is no message of a chat.
pub(in crate::sinks) fn of(event: &ResourceEvent) -> Option<(RecordKey, i64)> {
    let message = event.message.as_ref()?;
    Some((key(&event.change, &message.chat_id, &message.id), message.version()))
}

/// The same, from the notification alone.
pub(in crate::sinks) fn ahead(change: &Change) -> KeyAhead {
    let resource = ResourceName::read(&change.resource).ok();
    let Some((chat, id)) = resource.as_ref().and_then(ResourceName::chat_message) else {
        return KeyAhead::NotForIt;
    };
    // The etag of a chat message is the millisecond of its last change, reactions included.
    match change.etag.parse() {
        Ok(version) => KeyAhead::Key(key(change, chat, id), version),
        Err(_) => KeyAhead::AfterOpening,
    }
}

fn key(change: &Change, chat: &str, id: &str) -> RecordKey {
    RecordKey::new(kind::OPEN_MESSAGE, &[&change.tenant_id, chat, id])
}
