//! Changes and deletes messages that the bot has written.

use std::future::Future;

use super::message::{BotMessage, MOST_MESSAGE_BYTES};
use super::{ConversationAddress, ServiceUrl, TeamsClient, TeamsError};
use crate::http::RequestContext;
use crate::http::retry::Repeat;

/// Corrects what the bot has written. A call that is made twice does the same, so these are retried.
pub trait BotCorrections: Send + Sync {
    /// Puts this message in the place of one of the bot's own.
    ///
    /// # Errors
    /// [`TeamsError`]; `MessageGone` where it was deleted, or Teams does not find it.
    fn update(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
        message_id: &str,
        message: &BotMessage,
    ) -> impl Future<Output = Result<(), TeamsError>> + Send;

    /// Deletes one of the bot's own messages. One that is gone is as good as deleted.
    ///
    /// # Errors
    /// [`TeamsError`]
    fn delete(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
        message_id: &str,
    ) -> impl Future<Output = Result<(), TeamsError>> + Send;
}

fn path<'a>(to: ConversationAddress<'a>, message_id: &'a str) -> [&'a str; 5] {
    ["v3", "conversations", to.conversation_id, "activities", message_id]
}

impl BotCorrections for TeamsClient {
    /// `PUT {serviceUrl}/v3/conversations/{conversationId}/activities/{activityId}`
    async fn update(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
        message_id: &str,
        message: &BotMessage,
    ) -> Result<(), TeamsError> {
        let activity = message.activity(None);
        let bytes = activity.utf16_bytes();
        if bytes > MOST_MESSAGE_BYTES {
            return Err(TeamsError::TooLarge { bytes: Some(bytes) });
        }
        let request = |at: &ServiceUrl| self.remote.http.put(at.join(path(to, message_id))).json(&activity);
        let taken = self.call(cx, to, "update activity", Repeat::Always, request).await;
        taken.map(drop).map_err(TeamsError::of_an_existing_message)
    }

    /// `DELETE {serviceUrl}/v3/conversations/{conversationId}/activities/{activityId}`
    async fn delete(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
        message_id: &str,
    ) -> Result<(), TeamsError> {
        let request = |at: &ServiceUrl| self.remote.http.delete(at.join(path(to, message_id)));
        let taken = self.call(cx, to, "delete activity", Repeat::Always, request).await;
        match taken.map_err(TeamsError::of_an_existing_message) {
            Ok(_) | Err(TeamsError::MessageGone) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
