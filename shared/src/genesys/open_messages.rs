//! Open Messaging: messages of a messenger that Genesys Cloud does not know itself.
//!
//! <https://developer.genesys.cloud/commdigital/digital/openmessaging/inboundMessages>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::messages::text_or_null;
use super::{GenesysClient, GenesysError};
use crate::http::retry::Repeat;
use crate::http::{Call, MAX_ANSWER_BYTES, RequestContext};
use crate::telemetry::Upstream;

/// The body of the call. It has no `Debug`, so that its text cannot reach a log. As JSON it may have at most 512,000
/// bytes.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct InboundMessage {
    /// The sender, and the time of sending.
    pub channel: InboundChannel,
    /// The text of the message.
    pub text: String,
    /// The files that are attached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<InboundContent>,
    /// Values for flows and scripts: texts only, because Genesys Cloud refuses anything nested.
    pub metadata: BTreeMap<&'static str, String>,
}

/// The sender of a message, and the time of sending.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboundChannel {
    /// The bridge's own id of the message.
    pub message_id: String,
    /// The sender of the message.
    pub from: InboundSender,
    /// The time of sending: ISO 8601, in UTC.
    pub time: String,
}

/// The sender. Messages of one id make one conversation, for as long as the org's threading window says.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboundSender {
    /// The sender's id, which a reply will be addressed to.
    pub id: String,
    /// The kind of the id: `Opaque`, `Email` or `Phone`.
    pub id_type: &'static str,
    /// The name that the agent sees.
    pub nickname: String,
}

/// A file in a message. `contentType` belongs to outbound messages and to an older endpoint: no documentation says
/// whether this one accepts it, and the vendor's own clients never send it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct InboundContent {
    /// The file, by its URL.
    pub attachment: InboundAttachment,
}

/// A file that Genesys Cloud fetches.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboundAttachment {
    /// The kind of file: `Image`, `Video`, `Audio` or `File`.
    pub media_type: &'static str,
    /// The URL of the file, which Genesys Cloud fetches without credentials.
    pub url: String,
    /// The media type of the file.
    pub mime: String,
    /// The name of the file.
    pub filename: String,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// Genesys Cloud's receipt of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InboundReceipt {
    /// Genesys Cloud's id of the message.
    #[serde(deserialize_with = "text_or_null")]
    pub id: String,
    /// The conversation, if there was one already.
    #[serde(deserialize_with = "text_or_null")]
    pub conversation_id: String,
}

impl GenesysClient {
    /// Hands in a message: `POST /api/v2/conversations/messages/{integrationId}/inbound/open/message`; needs
    /// `conversation:message:receive`.
    ///
    /// It is not retried once Genesys Cloud may have accepted it: Genesys Cloud asks for a unique `channel.messageId`
    /// and does not document what a second message with the same one does. The caller decides whether a copy is better
    /// than a gap, and how many copies.
    ///
    /// # Errors
    /// [`GenesysError`]; only `Ambiguous` leaves open whether the message was accepted.
    pub(crate) async fn send_inbound_open_message(
        &self,
        cx: &RequestContext,
        integration_id: &str,
        message: &InboundMessage,
    ) -> Result<InboundReceipt, GenesysError> {
        let path = ["api", "v2", "conversations", "messages", integration_id, "inbound", "open", "message"];
        let call = Call {
            upstream: Upstream::Genesys,
            operation: "send inbound open message",
            repeat: Repeat::UnlessAccepted,
            remote_id_header: "inin-correlation-id",
            max_answer_bytes: MAX_ANSWER_BYTES,
            request: self.remote.http.post(self.base.join(path)).json(message),
        };
        let reply = self.remote.send(cx, call).await?;
        if !reply.status.is_success() {
            return Err(GenesysError::from_reply(&reply, "conversation:message:receive"));
        }
        // Whatever the body says, 2xx means accepted.
        Ok(reply.json().unwrap_or_default())
    }

    /// Whether Genesys Cloud's Open Messaging can be reached: `GET
    /// /api/v2/conversations/messaging/integrations/open/{id}`. Any answer that is no outage says so, even a refusal:
    /// the call may lack `messaging:integration:view`.
    ///
    /// # Errors
    /// [`GenesysError`] when it does not answer, throttles the call, or refuses the token.
    pub(crate) async fn open_messaging_answers(
        &self,
        cx: &RequestContext,
        integration_id: &str,
    ) -> Result<(), GenesysError> {
        let path = ["api", "v2", "conversations", "messaging", "integrations", "open", integration_id];
        let call = Call {
            upstream: Upstream::Genesys,
            operation: "get open integration",
            // One attempt is enough: the message waits in the queue.
            repeat: Repeat::UnlessAccepted,
            remote_id_header: "inin-correlation-id",
            max_answer_bytes: MAX_ANSWER_BYTES,
            request: self.remote.http.get(self.base.join(path)),
        };
        let reply = self.remote.send(cx, call).await?;
        match GenesysError::from_reply(&reply, "") {
            _ if reply.status.is_success() => Ok(()),
            GenesysError::PermissionMissing { .. } | GenesysError::Rejected { .. } => Ok(()),
            error => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::{body_json, header, method, path};
    use wiremock::{Mock, MockBuilder, ResponseTemplate};

    use super::*;
    use crate::remote::{Remote, context};

    const INTEGRATION: &str = "3f9b4e2a-0c1d-4e5f-8a7b-6c5d4e3f2a1b";

    fn message() -> InboundMessage {
        let from = InboundSender { id: "19:a@thread.v2".into(), id_type: "Opaque", nickname: "Kim".into() };
        let attachment = InboundAttachment {
            media_type: "Image",
            url: "https://bucket.example/k?X-Amz-Signature=s".into(),
            mime: "image/png".into(),
            filename: "image-1.png".into(),
            sha256: "00ff".into(),
        };
        InboundMessage {
            channel: InboundChannel { message_id: "m-1".into(), from, time: "2026-05-04T10:00:00.000Z".into() },
            text: "Hello \"you\"\n[image]".into(),
            content: vec![InboundContent { attachment }],
            metadata: BTreeMap::from([("teamsChatId", "19:a@thread.v2".into()), ("teamsEvent", "created".into())]),
        }
    }

    fn call() -> MockBuilder {
        Mock::given(method("POST"))
            .and(path(format!("/api/v2/conversations/messages/{INTEGRATION}/inbound/open/message")))
            .and(header("authorization", "Bearer gc-token"))
            .and(body_json(serde_json::to_value(message()).unwrap()))
    }

    async fn answer(responses: impl IntoIterator<Item = ResponseTemplate>) -> Result<InboundReceipt, GenesysError> {
        let remote = Remote::start().await;
        let genesys = GenesysClient::new(remote.genesys().await, remote.uri().parse().unwrap());
        for response in responses {
            remote.expect(call(), 1, response).await;
        }
        genesys.send_inbound_open_message(&context(10), INTEGRATION, &message()).await
    }

    #[test]
    fn the_message_genesys_is_given() {
        insta::assert_json_snapshot!(message());
    }

    #[tokio::test]
    async fn what_genesys_may_have_taken_is_not_sent_again() {
        let failed = ResponseTemplate::new(503).insert_header("retry-after", "0");
        let throttled = ResponseTemplate::new(429).insert_header("retry-after", "0");
        let body = json!({"id": "gc-1", "conversationId": null, "channel": {"platform": "Open"}, "text": "Hello"});
        let taken = ResponseTemplate::new(200).set_body_json(body);
        let receipt = answer([throttled, taken]).await.unwrap();
        assert_eq!(receipt, InboundReceipt { id: "gc-1".into(), conversation_id: String::new() });
        assert_eq!(answer([ResponseTemplate::new(202)]).await, Ok(InboundReceipt::default()));
        let error = answer([failed]).await.unwrap_err();
        assert!(matches!(error, GenesysError::Ambiguous(_)), "{error}");
    }

    #[tokio::test]
    async fn the_permission_is_named() {
        let error = answer([ResponseTemplate::new(403)]).await.unwrap_err();
        assert!(error.to_string().contains("conversation:message:receive"), "{error}");
    }

    #[tokio::test]
    async fn any_answer_that_is_no_outage_says_that_genesys_cloud_is_there() {
        for (status, answers) in [(200, true), (403, true), (404, true), (503, false)] {
            let remote = Remote::start().await;
            let genesys = GenesysClient::new(remote.genesys().await, remote.uri().parse().unwrap());
            let at = path(format!("/api/v2/conversations/messaging/integrations/open/{INTEGRATION}"));
            remote.expect(Mock::given(method("GET")).and(at), 1, ResponseTemplate::new(status)).await;
            let answered = genesys.open_messaging_answers(&context(10), INTEGRATION).await;
            assert_eq!(answered.is_ok(), answers, "{status}: {answered:?}");
        }
    }
}
