//! The client's operations on subscriptions to change notifications.
//!
//! <https://learn.microsoft.com/graph/api/resources/subscription>

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::page::{ListPage, seconds, time};
use super::{GraphClient, GraphError};
use crate::http::RequestContext;
use crate::http::retry::Repeat;

/// The time limit of a call that makes or renews a subscription: meanwhile Graph calls both URLs of the webhook, and
/// waits ten seconds for each.
const WITH_VALIDATION: Duration = Duration::from_secs(30);

/// The most pages of the list that are read. An app has no more subscriptions than a tenant allows.
const MAX_SUBSCRIPTION_PAGES: usize = 100;

/// The permission that the list needs, as the sentence of the error names it.
const LIST_PERMISSION: &str = "of each resource that SUBSCRIPTIONS names";

/// A subscription as Graph returns it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Graph's id of the subscription.
    pub id: String,
    /// The path of the watched resource.
    #[serde(default)]
    pub resource: String,
    /// The kinds of changes, in any order: `created,updated,deleted`, or some of them.
    #[serde(default)]
    pub change_type: String,
    /// The URL that its notifications go to.
    #[serde(default)]
    pub notification_url: Option<String>,
    /// The URL that its lifecycle notifications go to.
    #[serde(default)]
    pub lifecycle_notification_url: Option<String>,
    /// When it expires, which may differ from the time that was asked for.
    #[serde(rename = "expirationDateTime", default, deserialize_with = "time")]
    pub expires: Option<Timestamp>,
    /// Whether its notifications carry the resource itself.
    #[serde(default)]
    pub include_resource_data: Option<bool>,
    /// The label of the certificate that the resource is encrypted with.
    #[serde(default)]
    pub encryption_certificate_id: Option<String>,
}

/// The certificate that Graph encrypts notifications with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionCertificate {
    /// A label of our own, which each notification repeats.
    pub id: String,
    /// The certificate's DER form in base64, on one line.
    pub der_base64: String,
}

/// A subscription to create.
#[derive(Debug, Clone)]
pub struct NewSubscription<'a> {
    /// The path of the resource to watch.
    pub resource: &'a str,
    /// The kinds of changes: `created,updated,deleted`, or some of them.
    pub change_type: &'a str,
    /// The URL that its notifications are to go to.
    pub notification_url: &'a str,
    /// The URL that its lifecycle notifications are to go to.
    pub lifecycle_notification_url: &'a str,
    /// When it is to expire.
    pub expires: Timestamp,
    /// The client state, which each notification is to repeat.
    pub client_state: &'a SecretString,
    /// The certificate for rich notifications, which carry the resource itself.
    pub encryption: Option<&'a EncryptionCertificate>,
    /// The application permission that the resource needs, which the error names when it is missing.
    pub permission: &'static str,
}

impl NewSubscription<'_> {
    fn body(&self) -> Value {
        let mut body = json!({
            "changeType": self.change_type,
            "resource": self.resource,
            "notificationUrl": self.notification_url,
            "lifecycleNotificationUrl": self.lifecycle_notification_url,
            "expirationDateTime": seconds(self.expires),
            "clientState": self.client_state.expose_secret(),
            "latestSupportedTlsVersion": "v1_2",
        });
        if let Some(certificate) = self.encryption {
            body["includeResourceData"] = true.into();
            encrypt_with(&mut body, certificate);
        }
        body
    }
}

fn encrypt_with(body: &mut Value, certificate: &EncryptionCertificate) {
    body["encryptionCertificate"] = certificate.der_base64.as_str().into();
    body["encryptionCertificateId"] = certificate.id.as_str().into();
}

/// Lists, creates, renews and deletes subscriptions to change notifications.
pub trait Subscriptions: Send + Sync {
    /// Lists the app's subscriptions in the tenant, all pages: `GET /subscriptions`. Graph allows 25 requests in 20 s.
    ///
    /// <https://learn.microsoft.com/graph/api/subscription-list>
    ///
    /// # Errors
    /// [`GraphError`]. A list that cannot be read to its end is an error: a subscription that is not on it would be
    /// created again.
    fn list_subscriptions(
        &self,
        cx: &RequestContext,
    ) -> impl Future<Output = Result<Vec<Subscription>, GraphError>> + Send;

    /// Creates a subscription: `POST /subscriptions`. It is not retried when its outcome is unknown: the caller reads
    /// the list.
    ///
    /// <https://learn.microsoft.com/graph/api/subscription-post-subscriptions>
    ///
    /// # Errors
    /// [`GraphError::SubscriptionExists`], [`GraphError::SubscriptionQuota`], [`GraphError::WebhookNotValidated`], any
    /// other [`GraphError`].
    fn create_subscription(
        &self,
        cx: &RequestContext,
        new: &NewSubscription<'_>,
    ) -> impl Future<Output = Result<Subscription, GraphError>> + Send;

    /// Renews a subscription until `expires`, authorizes it anew, and gives it another certificate where there is one:
    /// `PATCH /subscriptions/{id}`. It replaces `reauthorize`, which must not be called within ten minutes of it.
    ///
    /// <https://learn.microsoft.com/graph/api/subscription-update>
    ///
    /// # Errors
    /// [`GraphError::NotFound`] when it is gone; any other [`GraphError`].
    fn renew_subscription(
        &self,
        cx: &RequestContext,
        id: &str,
        expires: Timestamp,
        encryption: Option<&EncryptionCertificate>,
        permission: &'static str,
    ) -> impl Future<Output = Result<Subscription, GraphError>> + Send;

    /// Deletes a subscription: `DELETE /subscriptions/{id}`. One that is gone already counts as deleted.
    ///
    /// <https://learn.microsoft.com/graph/api/subscription-delete>
    ///
    /// # Errors
    /// [`GraphError`]
    fn delete_subscription(&self, cx: &RequestContext, id: &str)
    -> impl Future<Output = Result<(), GraphError>> + Send;
}

impl Subscriptions for GraphClient {
    async fn list_subscriptions(&self, cx: &RequestContext) -> Result<Vec<Subscription>, GraphError> {
        let mut all = Vec::new();
        let mut url = self.base.join(["subscriptions"]);
        for _ in 0..MAX_SUBSCRIPTION_PAGES {
            let request = self.remote.http.get(url);
            let (_, page): (_, ListPage<Subscription>) =
                self.fetch(cx, "list subscriptions", LIST_PERMISSION, request).await?;
            all.extend(page.value);
            match page.next {
                Some(next) => url = self.link(&next)?,
                None => return Ok(all),
            }
        }
        Err(GraphError::Unreadable { problem: "the list of subscriptions has no end".into() })
    }

    async fn create_subscription(
        &self,
        cx: &RequestContext,
        new: &NewSubscription<'_>,
    ) -> Result<Subscription, GraphError> {
        let url = self.base.join(["subscriptions"]);
        // Without this header, messages of the system come as `unknownFutureValue`.
        let prefer = ("Prefer", "include-unknown-enum-members");
        let request = self.remote.http.post(url).header(prefer.0, prefer.1).json(&new.body()).timeout(WITH_VALIDATION);
        let reply = self.reply_to(cx, "create subscription", Repeat::UnlessAccepted, request).await?;
        if !reply.status.is_success() {
            return Err(GraphError::of_subscription(&reply, new.permission));
        }
        reply.json().map_err(|error| GraphError::Unreadable { problem: error.to_string() })
    }

    async fn renew_subscription(
        &self,
        cx: &RequestContext,
        id: &str,
        expires: Timestamp,
        encryption: Option<&EncryptionCertificate>,
        permission: &'static str,
    ) -> Result<Subscription, GraphError> {
        let mut body = json!({"expirationDateTime": seconds(expires)});
        if let Some(certificate) = encryption {
            encrypt_with(&mut body, certificate);
        }
        let url = self.base.join(["subscriptions", id]);
        let request = self.remote.http.patch(url).json(&body).timeout(WITH_VALIDATION);
        let reply = self.reply(cx, "renew subscription", request).await?;
        if !reply.status.is_success() {
            return Err(GraphError::of_subscription(&reply, permission));
        }
        reply.json().map_err(|error| GraphError::Unreadable { problem: error.to_string() })
    }

    async fn delete_subscription(&self, cx: &RequestContext, id: &str) -> Result<(), GraphError> {
        let request = self.remote.http.delete(self.base.join(["subscriptions", id]));
        match self.send(cx, "delete subscription", LIST_PERMISSION, request).await {
            Ok(_) | Err(GraphError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
