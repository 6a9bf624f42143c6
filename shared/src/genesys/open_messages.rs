//! Open Messaging: messages of a messenger that Genesys Cloud does not know by itself.
//!
//! <https://developer.genesys.cloud/commdigital/digital/openmessaging/inboundMessages>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::messages::text_or_null;
use super::{GenesysClient, GenesysError};
use crate::http::retry::Repeat;
use crate::http::{Call, MAX_ANSWER_BYTES, RequestContext};
use crate::telemetry::Upstream;

/// Body of the call. It has no `Debug`, so that its text cannot reach a log. All of it in JSON may have 512,000 bytes.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct InboundMessage {
    /// Who sent it, and when.
    pub channel: InboundChannel,
    /// The text.
    pub text: String,
    /// What is attached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<InboundContent>,
    /// Whatever flows and scripts may want to know: texts alone, anything nested is refused.
    pub metadata: BTreeMap<&'static str, String>,
}

/// Who sent it, and when.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboundChannel {
    /// Our id of the message.
    pub message_id: String,
    /// Who sent it.
    pub from: InboundSender,
    /// ISO 8601, in UTC.
    pub time: String,
}

/// Who sent it. Messages of one id make one conversation, for as long as the org's threading window says.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboundSender {
    /// Whom an answer will go to.
    pub id: String,
    /// `Opaque`, `Email` or `Phone`.
    pub id_type: &'static str,
    /// The name that the agent sees.
    pub nickname: String,
}

/// A part of a message that is no text. `contentType` belongs to outbound messages and to an older endpoint: whether this
/// one bears it is written nowhere, and the vendor's own clients never send it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct InboundContent {
    /// The file.
    pub attachment: InboundAttachment,
}

/// A file that Genesys Cloud fetches.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboundAttachment {
    /// `Image`, `Video`, `Audio` or `File`.
    pub media_type: &'static str,
    /// Where it is; fetched without credentials.
    pub url: String,
    /// Its media type.
    pub mime: String,
    /// Its name.
    pub filename: String,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// What Genesys Cloud gives back.
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
    /// `POST /api/v2/conversations/messages/{integrationId}/inbound/open/message`; needs `conversation:message:receive`.
    ///
    /// It is not repeated once Genesys Cloud may have taken it: Genesys Cloud asks for a unique `channel.messageId` and does
    /// not document what it does with a second message of the same. Whether a copy is better than a gap is for the caller to
    /// say, and how many.
    ///
    /// # Errors
    /// [`GenesysError`]; only `Ambiguous` leaves open whether it was taken.
    pub async fn send_inbound_open_message(
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
        // Whatever the body says, a 2xx means taken.
        Ok(reply.json().unwrap_or_default())
    }

    /// Whether Genesys Cloud's Open Messaging is there: `GET /api/v2/conversations/messaging/integrations/open/{id}`. Any answer
    /// that is no outage says so, a refusal too: the call may lack `messaging:integration:view`.
    ///
    /// # Errors
    /// [`GenesysError`] when it does not answer, asks to slow down, or takes no token.
    pub async fn open_messaging_answers(&self, cx: &RequestContext, integration_id: &str) -> Result<(), GenesysError> {
        let path = ["api", "v2", "conversations", "messaging", "integrations", "open", integration_id];
        let call = Call {
            upstream: Upstream::Genesys,
            operation: "get open integration",
            // Once is enough: the message waits in the queue.
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
