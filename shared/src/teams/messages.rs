//! Sends messages into a conversation, and replies in it.

use std::future::Future;

use serde::Deserialize;

use super::message::{BotMessage, MOST_MESSAGE_BYTES};
use super::{ConversationAddress, ServiceUrl, TeamsClient, TeamsError};
use crate::http::RequestContext;
use crate::http::retry::Repeat;

/// What Teams says of a message that it has taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentMessage {
    /// Teams' id of the message, by which it is changed and deleted; `None` where Teams gives none.
    pub id: Option<String>,
    /// The service URL to keep for the conversation, where it is another one than was used.
    pub moved_to: Option<ServiceUrl>,
}

/// The answer of Teams to a message.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Receipt {
    id: Option<String>,
}

/// Writes in conversations.
pub trait BotMessages: Send + Sync {
    /// Sends a message into a conversation. It is sent at most once where Teams may have taken it.
    ///
    /// # Errors
    /// [`TeamsError`]; only `Ambiguous` leaves open whether the message arrived.
    fn send(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
        message: &BotMessage,
    ) -> impl Future<Output = Result<SentMessage, TeamsError>> + Send;

    /// As [`Self::send`], as a reply to the message with this id.
    ///
    /// # Errors
    /// [`TeamsError`]; only `Ambiguous` leaves open whether the message arrived.
    fn reply(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
        message_id: &str,
        message: &BotMessage,
    ) -> impl Future<Output = Result<SentMessage, TeamsError>> + Send;
}

impl TeamsClient {
    async fn write(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
        reply_to: Option<&str>,
        message: &BotMessage,
    ) -> Result<SentMessage, TeamsError> {
        let activity = message.activity(reply_to);
        let bytes = activity.utf16_bytes();
        if bytes > MOST_MESSAGE_BYTES {
            return Err(TeamsError::TooLarge { bytes: Some(bytes) });
        }
        let operation = if reply_to.is_some() { "reply to activity" } else { "send activity" };
        let path = ["v3", "conversations", to.conversation_id, "activities"].into_iter().chain(reply_to);
        let request = |at: &ServiceUrl| self.remote.http.post(at.join(path.clone())).json(&activity);
        let taken = self.call(cx, to, operation, Repeat::UnlessAccepted, request).await?;
        // Whatever the body says, 2xx means taken.
        let Receipt { id } = taken.reply.json().unwrap_or_default();
        Ok(SentMessage { id: id.filter(|id| !id.is_empty()), moved_to: taken.moved_to })
    }
}

impl BotMessages for TeamsClient {
    /// `POST {serviceUrl}/v3/conversations/{conversationId}/activities`
    async fn send(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
        message: &BotMessage,
    ) -> Result<SentMessage, TeamsError> {
        self.write(cx, to, None, message).await
    }

    /// `POST {serviceUrl}/v3/conversations/{conversationId}/activities/{activityId}`
    async fn reply(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
        message_id: &str,
        message: &BotMessage,
    ) -> Result<SentMessage, TeamsError> {
        self.write(cx, to, Some(message_id), message).await
    }
}
