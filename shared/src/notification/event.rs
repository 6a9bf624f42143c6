//! The event that a notification is opened to, as the sinks get it.

use jiff::Timestamp;

use super::Change;
use crate::chat::lenient_json::read_json;
use crate::chat::message::ChatMessage;
use crate::graph::resource::ResourceName;
use crate::relay::Event;

/// A change of a resource in Microsoft 365, with the resource. It has no `Debug`, so that its content cannot reach a
/// log.
#[derive(Clone, PartialEq)]
pub struct ResourceEvent {
    /// The change, from the notification.
    pub change: Change,
    /// The resource as JSON; `None` when it does not exist any more.
    pub content: Option<Vec<u8>>,
    /// The chat message, if the resource is one.
    pub message: Option<ChatMessage>,
}

impl ResourceEvent {
    /// The event of a change, with the resource that was sent along or fetched.
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
        tracing::error!(subscription, bytes, "a chat message is no JSON object, so it is not shown to an agent");
        return None;
    };
    // The content need not repeat the chat that the notification names.
    if message.chat_id.is_empty() {
        message.chat_id = chat.to_owned();
    }
    if message.id.is_empty() {
        message.id = id.to_owned();
    }
    Some(message)
}
