//! Notifications that Microsoft Graph did not send: each with one flaw, all else as it should be.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::super::signing_keys::SigningKey;
use super::super::super::{CALLER_APP, World, locked};
use super::super::chats::{NewMessage, Sender};
use super::super::subscriptions::Subscription;
use super::{delivery, item, validation_token};
use crate::Trouble;

/// The flaw of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Flaw {
    /// Nothing is changed: for comparison.
    None,
    /// The client state is another one.
    WrongClientState,
    /// The client state is missing.
    NoClientState,
    /// The subscription does not exist.
    UnknownSubscription,
    /// The tenant does not exist.
    WrongTenant,
    /// A validation token signed with another key, under the id of the right one.
    ForgedToken,
    /// A validation token signed with another key, under an id of its own.
    UnknownKey,
    /// A validation token that has expired.
    ExpiredToken,
    /// A validation token for another app.
    WrongAudience,
    /// A validation token that was issued to another app than Microsoft Graph Change Tracking.
    WrongPublisher,
    /// A validation token of another issuer.
    WrongIssuer,
    /// A validation token without a signature, `alg` being `none`.
    UnsignedToken,
    /// The validation token is missing.
    NoToken,
    /// There is a second validation token, which is invalid.
    OneBadToken,
    /// Resource data with another signature.
    TamperedSignature,
    /// Resource data that was changed on the way.
    TamperedData,
    /// The key was encrypted for another certificate.
    TamperedKey,
    /// The certificate is not known to the bridge.
    UnknownCertificate,
}

/// Another value of the same length, which still is base64.
fn tampered(value: &Value) -> Value {
    let mut bytes = value.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok()).unwrap_or_default();
    if let Some(byte) = bytes.first_mut() {
        *byte ^= 1;
    }
    BASE64_STANDARD.encode(bytes).into()
}

impl Flaw {
    /// All changes that an attacker may make.
    pub const ALL: [Self; 18] = [
        Self::None,
        Self::WrongClientState,
        Self::NoClientState,
        Self::UnknownSubscription,
        Self::WrongTenant,
        Self::ForgedToken,
        Self::UnknownKey,
        Self::ExpiredToken,
        Self::WrongAudience,
        Self::WrongPublisher,
        Self::WrongIssuer,
        Self::UnsignedToken,
        Self::NoToken,
        Self::OneBadToken,
        Self::TamperedSignature,
        Self::TamperedData,
        Self::TamperedKey,
        Self::UnknownCertificate,
    ];

    /// Puts the flaw into a notification.
    fn spoil(self, item: &mut Value) {
        match self {
            Self::WrongClientState => item["clientState"] = "not-the-client-state".into(),
            Self::NoClientState => item["clientState"] = Value::Null,
            Self::UnknownSubscription => item["subscriptionId"] = json!(Uuid::new_v4()),
            Self::WrongTenant => item["tenantId"] = json!(Uuid::new_v4()),
            _ => {}
        }
        let content = &mut item["encryptedContent"];
        let name = match self {
            Self::TamperedSignature => "dataSignature",
            Self::TamperedData => "data",
            Self::TamperedKey => "dataKey",
            Self::UnknownCertificate if content.is_object() => {
                content["encryptionCertificateId"] = "nobody-s".into();
                return;
            }
            _ => return,
        };
        if content.is_object() {
            content[name] = tampered(&content[name]);
        }
    }

    /// The validation tokens of a notification for an app.
    fn tokens(self, world: &World, app: &str) -> Result<Vec<String>, Trouble> {
        let version = world.deliveries.settings().token_version;
        let key = world.tokens.keys.current();
        let good = || validation_token::mint(world, &key, app, version);
        let mut claims = validation_token::claims(world, app, version);
        let publisher = if claims["azp"].is_string() { "azp" } else { "appid" };
        match self {
            Self::NoToken => return Ok(Vec::new()),
            Self::ForgedToken => return Ok(vec![SigningKey::generate()?.disguised_as(&key).sign(&claims)]),
            Self::UnknownKey => return Ok(vec![SigningKey::generate()?.sign(&claims)]),
            Self::OneBadToken => return Ok(vec![good(), SigningKey::generate()?.disguised_as(&key).sign(&claims)]),
            Self::UnsignedToken => {
                let encode = |part: &Value| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
                return Ok(vec![format!("{}.{}.", encode(&json!({"alg": "none", "typ": "JWT"})), encode(&claims))]);
            }
            Self::ExpiredToken => {
                let end = Timestamp::now().as_second() - 60 * 60;
                (claims["nbf"], claims["iat"], claims["exp"]) = (json!(end - 60), json!(end - 60), json!(end));
            }
            Self::WrongAudience => claims["aud"] = CALLER_APP.into(),
            Self::WrongPublisher => claims[publisher] = CALLER_APP.into(),
            Self::WrongIssuer => claims["iss"] = format!("https://sts.windows.net/{}/", Uuid::new_v4()).into(),
            _ => return Ok(vec![good()]),
        }
        Ok(vec![key.sign(&claims)])
    }
}

impl World {
    /// Posts one notification with this flaw to the endpoint of a subscription, or of the first one that exists. It is
    /// about a chat message that was never written. Returns the status of the answer; 0 when none came in time.
    ///
    /// # Errors
    /// There is no such subscription.
    pub async fn send_hostile(self: &Arc<Self>, flaw: Flaw, id: Option<Uuid>) -> Result<u16, Trouble> {
        let found = locked(&self.subscriptions).live().find(|known| id.is_none_or(|id| known.id == id)).cloned();
        let subscription: Subscription = found.ok_or_else(|| Trouble("There is no such subscription.".into()))?;
        let message = NewMessage::text(Sender::Guest("Mallory".into()), "nobody wrote this");
        let change = super::super::chats::unwritten(&self.tokens.graph, message);
        let mut item = item::of(&subscription, &change, 1, &self.deliveries.settings());
        flaw.spoil(&mut item.value);
        let tokens = if item.is_rich { flaw.tokens(self, &item.app)? } else { Vec::new() };
        let body = item::collection(&[item], tokens).to_string();
        Ok(delivery::call(self, &subscription.notification_url, body, Duration::from_secs(10)).await.0)
    }
}
