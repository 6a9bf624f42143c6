//! What a notification turned out to tell of, as the sinks are given it.

use jiff::Timestamp;

use super::Change;
use crate::chat::lenient_json::read_json;
use crate::chat::message::ChatMessage;
use crate::graph::resource::ResourceName;
use crate::relay::Event;

/// Something that happened to a resource in Microsoft 365. It has no `Debug`, so that its content cannot reach a log.
#[derive(Clone, PartialEq)]
pub struct ResourceEvent {
    /// The notification.
    pub change: Change,
    /// The resource as JSON; `None` when it does not exist any more.
    pub content: Option<Vec<u8>>,
    /// The message, when it is one of a chat.
    pub message: Option<ChatMessage>,
}

impl ResourceEvent {
    /// The event that a notification tells of, with the resource it was opened to.
    #[must_use]
    pub fn new(change: Change, content: Option<Vec<u8>>) -> Self {
        let message = content.as_deref().and_then(|content| message_of(&change, content));
        Self { change, content, message }
    }
}

impl Event for ResourceEvent {
    fn version(&self) -> Option<i64> {
        self.message.as_ref().map(ChatMessage::version)
    }

    fn received_at(&self) -> Timestamp {
        self.change.received_at
    }
}

fn message_of(change: &Change, content: &[u8]) -> Option<ChatMessage> {
    let resource = ResourceName::read(&change.resource).ok()?;
    let (chat, id) = resource.chat_message()?;
    let Some(mut message) = read_json::<ChatMessage>(content) else {
        let (subscription, bytes) = (&change.subscription_id, content.len());
        tracing::error!(subscription, bytes, "a chat's message is no JSON object, and nobody is shown it");
        return None;
    };
    // A content need not repeat what its notification's name says.
    if message.chat_id.is_empty() {
        message.chat_id = chat.to_owned();
    }
    if message.id.is_empty() {
        message.id = id.to_owned();
    }
    Some(message)
}
