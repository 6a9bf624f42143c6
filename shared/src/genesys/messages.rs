//! Agentless outbound messages: a text message that no agent's conversation is needed for.

use std::future::Future;

use serde::{Deserialize, Deserializer, Serialize};

use super::{GenesysClient, GenesysError};
use crate::http::retry::Repeat;
use crate::http::{Call, MAX_ANSWER_BYTES, RequestContext};
use crate::telemetry::Upstream;

/// The body of the call that sends an agentless message.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentlessMessage {
    /// The sender. For `sms`, a number of the org in E.164; for `open`, the integration's id.
    pub from_address: String,
    /// The recipient. For `sms`, a number in E.164 with `+`; for `open`, the user id that the integration knows.
    pub to_address: String,
    /// The messenger: `sms` or `open`.
    pub to_address_messenger_type: &'static str,
    /// The text of the message.
    pub text_body: String,
    /// Whether the message joins a conversation that is open between the two addresses, where its agent sees it.
    pub use_existing_active_conversation: bool,
}

/// Genesys Cloud's receipt: the message is queued, not delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AgentlessReceipt {
    /// Genesys Cloud's id of the message.
    #[serde(deserialize_with = "text_or_null")]
    pub id: String,
    /// The conversation that the message opened or joined.
    #[serde(deserialize_with = "text_or_null")]
    pub conversation_id: String,
}

pub(super) fn text_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Text messages that need no agent's conversation.
pub trait AgentlessMessages: Send + Sync {
    /// Sends a text message: `POST /api/v2/conversations/messages/agentless`; needs `conversation:message:create`.
    ///
    /// Genesys Cloud has no idempotency key for it, so it is retried only when it certainly was not accepted.
    ///
    /// # Errors
    /// [`GenesysError`]; only `Ambiguous` leaves open whether the message was sent.
    fn send_agentless_message(
        &self,
        cx: &RequestContext,
        message: &AgentlessMessage,
    ) -> impl Future<Output = Result<AgentlessReceipt, GenesysError>> + Send;
}

impl AgentlessMessages for GenesysClient {
    async fn send_agentless_message(
        &self,
        cx: &RequestContext,
        message: &AgentlessMessage,
    ) -> Result<AgentlessReceipt, GenesysError> {
        let url = self.base.join(["api", "v2", "conversations", "messages", "agentless"]);
        let call = Call {
            upstream: Upstream::Genesys,
            operation: "send agentless message",
            repeat: Repeat::UnlessAccepted,
            remote_id_header: "inin-correlation-id",
            max_answer_bytes: MAX_ANSWER_BYTES,
            request: self.remote.http.post(url).json(message),
        };
        let reply = self.remote.send(cx, call).await?;
        if !reply.status.is_success() {
            return Err(GenesysError::from_reply(&reply, "conversation:message:create"));
        }
        // Whatever the body says, 2xx means accepted. A body that cannot be read costs the id; it must not cost a
        // second message.
        Ok(reply.json().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_genesys_is_asked_to_send() {
        insta::assert_json_snapshot!(AgentlessMessage {
            from_address: "+13175550100".into(),
            to_address: "+447700900123".into(),
            to_address_messenger_type: "sms",
            text_body: "Join: https://teams.microsoft.com/l/meetup-join/x \"now\"".into(),
            use_existing_active_conversation: false,
        });
    }
}
