//! The messages on the queues between the webhook and the workers: one JSON object each.
//!
//! A message holds only what is needed later. Above all it has no client state, which is of no use once a notification
//! is queued.

pub mod group;
pub mod queue;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A notification that carried the right client state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Queued {
    /// A change of a resource.
    Change(Change),
    /// A lifecycle notification: an event of a subscription.
    Lifecycle(Lifecycle),
    /// A notification that could not be read.
    Unreadable(Unreadable),
}

/// A notification that carried the right client state and could not be read. It is kept for a person to look at,
/// because Graph was told that it was taken.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    /// The notification as it came, without its client state; only its beginning where it is too large for the queue.
    pub notification: String,
    /// When it reached the webhook.
    pub received_at: Timestamp,
}

// Its content is unknown, so it must not be logged.
impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unreadable").field("bytes", &self.notification.len()).finish_non_exhaustive()
    }
}

/// A change of a resource.
///
/// <https://learn.microsoft.com/graph/api/resources/changenotification>
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The subscription that the notification belongs to; empty when no notification came and the change was found by
    /// listing.
    pub subscription_id: String,
    /// The tenant of the resource.
    pub tenant_id: String,
    /// `created`, `updated` or `deleted`.
    pub change_type: String,
    /// The resource's name as sent, relative to Graph's base URL: `chats('19:…')/messages('1712…')`,
    /// `users/{id}/messages/{id}`.
    pub resource: String,
    /// The resource's OData type, such as `#Microsoft.Graph.chatMessage`; empty when Graph did not say.
    pub resource_type: String,
    /// The resource's version; empty when Graph did not say.
    pub etag: String,
    /// The resource itself, encrypted, if the notification carried it and it was not too large for the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<EncryptedContent>,
    /// The tokens that came with the notifications of the same request; only beside encrypted content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validation_tokens: Vec<String>,
    /// When it reached the webhook.
    pub received_at: Timestamp,
}

// Tokens and content must not be logged.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("subscription_id", &self.subscription_id)
            .field("tenant_id", &self.tenant_id)
            .field("change_type", &self.change_type)
            .field("resource", &self.resource)
            .field("resource_type", &self.resource_type)
            .field("etag", &self.etag)
            .field("encrypted_content", &self.encrypted_content)
            .field("validation_tokens", &self.validation_tokens.len())
            .field("received_at", &self.received_at)
            .finish()
    }
}

/// An encrypted resource, as sent. All members are base64, except for the certificate's id, which is our own label, and
/// its thumbprint, which is hexadecimal.
///
/// <https://learn.microsoft.com/graph/api/resources/changenotificationencryptedcontent>
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptedContent {
    /// The resource, encrypted with AES-256-CBC.
    pub data: String,
    /// The HMAC-SHA-256 of the ciphertext.
    pub data_signature: String,
    /// The key of both, encrypted with RSA-OAEP and SHA-1.
    pub data_key: String,
    /// The label of the certificate that the key is encrypted for.
    pub encryption_certificate_id: String,
    /// The SHA-1 thumbprint of that certificate; empty when Graph did not say.
    #[serde(default)]
    pub encryption_certificate_thumbprint: String,
}

impl fmt::Debug for EncryptedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedContent")
            .field("encryption_certificate_id", &self.encryption_certificate_id)
            .finish_non_exhaustive()
    }
}

/// A lifecycle notification: an event of a subscription.
///
/// <https://learn.microsoft.com/graph/change-notifications-lifecycle-events>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// Graph's id of the subscription.
    pub subscription_id: String,
    /// The tenant of the subscription.
    pub tenant_id: String,
    /// The event: `reauthorizationRequired`, `subscriptionRemoved` or `missed`.
    pub lifecycle_event: String,
    /// When the subscription expires, as sent (ISO 8601 with an offset); empty when Graph did not say.
    pub subscription_expiration_date_time: String,
    /// When it reached the webhook.
    pub received_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(text: &str) -> Queued {
        let queued: Queued = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&queued).unwrap(), text);
        queued
    }

    #[test]
    fn the_format_on_the_queue_stays_what_it_is() {
        let rich = there_and_back(concat!(
            r#"{"kind":"change","subscriptionId":"s-1","tenantId":"t-1","changeType":"created","#,
            r#""resource":"chats('19:a_b@unq.gbl.spaces')/messages('1712027444034')","#,
            r##""resourceType":"#Microsoft.Graph.chatMessage","etag":"1712027444034","##,
            r#""encryptedContent":{"data":"ZGF0YQ==","dataSignature":"c2ln","dataKey":"a2V5","#,
            r#""encryptionCertificateId":"cert-1","encryptionCertificateThumbprint":"0A1B"},"#,
            r#""validationTokens":["eyJ0eXAi"],"receivedAt":"2026-11-21T08:00:00.25Z"}"#,
        ));
        let Queued::Change(change) = &rich else { panic!("{rich:?}") };
        assert_eq!(change.received_at, "2026-11-21T08:00:00.25Z".parse().unwrap());
        let debugged = format!("{rich:?}");
        assert!(!debugged.contains("ZGF0YQ") && !debugged.contains("eyJ0eXAi"), "{debugged}");

        there_and_back(concat!(
            r#"{"kind":"change","subscriptionId":"s-1","tenantId":"t-1","changeType":"deleted","#,
            r#""resource":"users/u-1/messages/AAMk","resourceType":"","etag":"","receivedAt":"2026-11-21T08:00:00Z"}"#,
        ));
        there_and_back(concat!(
            r#"{"kind":"lifecycle","subscriptionId":"s-1","tenantId":"t-1","lifecycleEvent":"subscriptionRemoved","#,
            r#""subscriptionExpirationDateTime":"2026-11-22T08:00:00-08:00","receivedAt":"2026-11-21T08:00:00Z"}"#,
        ));
        let odd = there_and_back(
            r#"{"kind":"unreadable","notification":"{\"changeType\":7}","receivedAt":"2026-11-21T08:00:00Z"}"#,
        );
        assert!(!format!("{odd:?}").contains("changeType"));
    }
}
