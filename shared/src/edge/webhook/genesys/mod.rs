//! Genesys Cloud as a sender: the outbound webhook of an Open Messaging integration, signed with a secret that both
//! sides have.
//!
//! Genesys Cloud waits ten seconds, and repeats a request up to five times when the answer is 429 or 5xx. After any
//! other refusal it gives up the whole conversation.
//!
//! <https://developer.genesys.cloud/commdigital/digital/openmessaging/>

use std::fmt;

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::{Choice, ConstantTimeEq};

use super::{Sender, StatusAlone, Unverified};
use crate::edge::Method;
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::secrets::{Credential, Secret, ShownSecret};
use crate::startup::Startup;

/// The largest body that is read. An agent's message has at most 4,000 characters; cards and attachments are links.
const MAX_MESSAGE_BYTES: usize = 512 * 1024;

/// The fewest characters that Genesys Cloud takes for the secret.
const MIN_SECRET_CHARACTERS: usize = 16;

/// The webhook's secret. During a rotation, requests may still be signed with the previous one.
#[derive(Debug)]
pub(crate) struct WebhookSecret {
    current: SecretString,
    previous: Option<SecretString>,
}

impl WebhookSecret {
    /// Whether this is the signature of the body with the secret, or with the previous one, as the header shows it:
    /// `sha256=` and the HMAC in base64. The comparison takes the same time however much of it is right.
    fn has_signed(&self, body: &[u8], shown: &str) -> bool {
        let signed = |secret: &SecretString| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
            let expected = format!("sha256={}", BASE64_STANDARD.encode(hmac::sign(&key, body)));
            expected.as_bytes().ct_eq(shown.as_bytes())
        };
        let previous = self.previous.as_ref().map_or(Choice::from(0), signed);
        (signed(&self.current) | previous).into()
    }
}

impl Credential for WebhookSecret {
    const EXPECTED: &'static str = "{\"webhook_secret\"} with the secret of the Open Messaging integration's outbound webhook, at least 16 \
         characters; during a rotation also the \"previous_webhook_secret\"";

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Wire {
            webhook_secret: SecretString,
            previous_webhook_secret: Option<SecretString>,
        }

        // A pasted value may end in a line break. serde's own message may quote the text.
        let read = |name: &str, secret: &SecretString| {
            let secret = secret.expose_secret().trim();
            match secret.chars().count() {
                0 => Ok(None),
                1..MIN_SECRET_CHARACTERS => Err(format!("{name} has fewer than {MIN_SECRET_CHARACTERS} characters")),
                _ => Ok(Some(SecretString::from(secret))),
            }
        };
        let wire: Wire =
            serde_json::from_str(text).map_err(|_| "it is no JSON object with a webhook_secret".to_owned())?;
        let current = read("webhook_secret", &wire.webhook_secret)?.ok_or("webhook_secret is empty")?;
        let previous = wire.previous_webhook_secret.map(|secret| read("previous_webhook_secret", &secret));
        Ok(Self { current, previous: previous.transpose()?.flatten() })
    }

    fn is_same(&self, other: &Self) -> bool {
        let previous = |secret: &Self| secret.previous.as_ref().map(|previous| previous.expose_secret().to_owned());
        self.current.expose_secret() == other.current.expose_secret() && previous(self) == previous(other)
    }
}

/// The body of a request that Genesys Cloud has signed. Only the check of [`GenesysSender`] makes it.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedMessage(Vec<u8>);

impl SignedMessage {
    /// The body, byte for byte as it was signed.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.0
    }
}

// The words of an agent do not belong in a log.
impl fmt::Debug for SignedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedMessage({} bytes)", self.0.len())
    }
}

/// Genesys Cloud, known by its signature.
#[derive(Debug)]
pub struct GenesysSender {
    secret: ShownSecret<WebhookSecret>,
}

impl GenesysSender {
    /// A sender that is known by a signature with this secret.
    #[must_use]
    pub(crate) fn new(secret: Secret<WebhookSecret>) -> Self {
        Self { secret: ShownSecret::new(secret) }
    }

    /// The sender with the secret in `OPEN_MESSAGING_SECRET_ID`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        Secret::from_startup(startup, &["OPEN_MESSAGING_SECRET_ID"]).map(Self::new)
    }

    /// Reads the secret before the first request. After a failure, the request reads it again.
    pub async fn warm_up(&self, cx: &RequestContext) {
        self.secret.warm_up(cx).await;
    }
}

impl Sender for GenesysSender {
    type Verified = SignedMessage;

    type Answer = StatusAlone;

    const METHODS: &'static [Method] = &[Method::Post];

    const TAKEN: u16 = 200;

    const REFUSES_WITH_ENVELOPE: bool = false;

    async fn verify(&self, cx: &RequestContext, request: Unverified) -> Result<SignedMessage, Error> {
        let unsigned = || Error::new(Code::UNAUTHORIZED, "The request is not signed by Genesys Cloud.");
        let shown = request.hub_signature().ok_or_else(|| unsigned().because("it shows no signature"))?.to_owned();
        let body = request.into_body(MAX_MESSAGE_BYTES)?;
        let held = self.secret.current(cx).await?;
        if held.has_signed(&body, &shown) {
            return Ok(SignedMessage(body));
        }
        // The secret may have been rotated since it was read.
        match self.secret.renewed(cx, &held).await? {
            Some(renewed) if renewed.has_signed(&body, &shown) => Ok(SignedMessage(body)),
            Some(_) => Err(unsigned().because(
                "its signature is neither of `webhook_secret` nor of `previous_webhook_secret`; compare them with the \
                 Open Messaging integration's",
            )),
            None => {
                let message = "The signature is not known, and the secret was read a moment ago. Genesys Cloud sends the same again.";
                Err(Error::new(Code::SIGNATURE_UNKNOWN, message))
            }
        }
    }

    fn is_provoked(error: &Error) -> bool {
        error.code == Code::SIGNATURE_UNKNOWN
    }
}

#[cfg(test)]
mod tests;
