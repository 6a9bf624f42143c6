//! Opens a notification: decrypts the resource that it carries, or fetches the resource from Graph.

pub mod decrypt;
mod replication;
mod source;
#[cfg(test)]
mod tests;
pub mod validation;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use self::decrypt::{DecryptError, DecryptionKeys};
use self::validation::{Audience, TokenError, ValidationTokens};
use crate::auth::entra;
use crate::auth::signing_keys::SigningKeys;
use crate::error::{Code, Error};
use crate::graph::resource::ResourceName;
use crate::graph::{GraphClient, GraphError};
use crate::http::RequestContext;
use crate::notification::{Change, EncryptedContent, NOTIFICATION_KEYS};
use crate::secrets::{Credential, Secret};
use crate::startup::Startup;

pub(crate) use self::replication::Replication;
pub use self::source::Notifications;

/// How long the secret is not read again for a content that none of its keys opens.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// After this time Entra may have withdrawn the key that a notification's token is signed with.
const KEY_MAY_BE_WITHDRAWN: SignedDuration = SignedDuration::from_hours(1);

/// The outcome of opening a notification.
#[derive(Clone, PartialEq, Eq)]
pub enum OpenedResource {
    /// The resource, as Graph's JSON.
    Content(Vec<u8>),
    /// The resource does not exist any more.
    Gone,
    /// The notification does not come from Graph, or is not for this app. It is not delivered, and the reason is
    /// logged.
    Refused(&'static str),
}

// The text of a message does not belong in a log.
impl fmt::Debug for OpenedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(content) => write!(f, "Content({} bytes)", content.len()),
            Self::Gone => f.write_str("Gone"),
            Self::Refused(why) => f.debug_tuple("Refused").field(why).finish(),
        }
    }
}

/// Opens notifications to their resources.
pub trait Resources: Send + Sync {
    /// Opens the notification of a change.
    ///
    /// # Errors
    /// When the resource cannot be had now.
    fn open(&self, cx: &RequestContext, change: &Change) -> impl Future<Output = Result<OpenedResource, Error>> + Send;
}

/// Opens notifications with the keys of the secret, or by fetching the resource from Graph.
#[derive(Debug)]
pub struct Opener {
    graph: Arc<GraphClient>,
    tokens: ValidationTokens,
    keys: Secret<DecryptionKeys>,
    /// When the secret was last read again because no key opened a content.
    looked: Mutex<Option<Instant>>,
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        let message = "Microsoft Entra ID's signing keys could not be fetched. The notification waits in the queue.";
        Self::new(Code::ENTRA_UNAVAILABLE, message).because(error)
    }
}

impl Opener {
    /// An opener of these parts.
    #[must_use]
    pub fn new(graph: Arc<GraphClient>, tokens: ValidationTokens, keys: Secret<DecryptionKeys>) -> Self {
        Self { graph, tokens, keys, looked: Mutex::default() }
    }

    /// An opener with Microsoft Graph, the private keys in `NOTIFICATION_KEYS_SECRET_ID`, else `WEBHOOK_SECRET_ID`, and
    /// Entra's signing keys from `ENTRA_LOGIN_URL`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let graph = GraphClient::from_startup(startup);
        let keys = Secret::from_startup(startup, &NOTIFICATION_KEYS);
        let login = entra::login_url(startup.env);
        let (graph, keys, login) = (graph?, keys?, login?);
        let signing_keys = SigningKeys::new(startup.http().clone(), login.clone());
        Some(Self::new(Arc::new(graph), ValidationTokens::new(signing_keys, login), keys))
    }

    /// Reads the keys so that the first notification finds them, and logs which of them cannot be used. A failure is
    /// only logged.
    pub async fn warm_up(&self, cx: &RequestContext) {
        match self.keys.get(cx).await {
            Ok(keys) => {
                for certificate in keys.misfits() {
                    tracing::error!(
                        certificate,
                        "a private key is not that of the certificate beside it, so nothing opens that is encrypted for it; \
                         correct the secret of the notification keys"
                    );
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the private keys of the notification certificates could not be read ahead of time")
            }
        }
    }

    /// Decrypts the content of a notification; `None` when no key opens it, although the notification is genuine.
    async fn content(
        &self,
        cx: &RequestContext,
        change: &Change,
        content: &EncryptedContent,
    ) -> Result<Option<OpenedResource>, Error> {
        let app = self.graph.app(cx).await?;
        let audience = Audience { app_id: &app.client_id, tenant_id: app.tenant_guid()? };
        let Change { validation_tokens, tenant_id, received_at, .. } = change;
        match self.tokens.check(cx, validation_tokens, audience, tenant_id, *received_at).await {
            Ok(()) => {}
            Err(TokenError::Refused(why)) => return Ok(Some(OpenedResource::Refused(why))),
            // Entra may have withdrawn the key while the notification waited. What Graph holds is fetched then.
            Err(TokenError::UnknownKey) if received_at.duration_until(Timestamp::now()) > KEY_MAY_BE_WITHDRAWN => {
                tracing::warn!(
                    "the signing key of a notification that waited is not published any more; its resource is fetched"
                );
                return Ok(None);
            }
            Err(TokenError::UnknownKey) => {
                return Ok(Some(OpenedResource::Refused("a token's signing key is not Entra's")));
            }
            Err(error) => return Err(error.into()),
        }
        let keys = self.keys.get(cx).await?;
        let opened = match keys.decrypt(content) {
            Ok(opened) => Ok(opened),
            // The certificate or its key may be newer than the secret as this process has read it.
            Err(error) => match self.replaced(cx, &keys).await? {
                Some(keys) => keys.decrypt(content),
                None => Err(error),
            },
        };
        match opened {
            Ok(content) => Ok(Some(OpenedResource::Content(content))),
            Err(error) => {
                note_closed(content, &error);
                cx.record.count("unopened", 1);
                Ok(None)
            }
        }
    }

    /// The keys that the secret holds now, if they have changed. It is read again once a minute at most, however many
    /// contents cannot be opened.
    async fn replaced(
        &self,
        cx: &RequestContext,
        keys: &Arc<DecryptionKeys>,
    ) -> Result<Option<Arc<DecryptionKeys>>, Error> {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|looked| looked.elapsed() < LOOK_AGAIN) {
                return Ok(None);
            }
            *looked = Some(Instant::now());
        }
        // When the secret cannot be read, the old keys are kept: they open the contents of older certificates.
        let read = self.keys.reread(cx, keys).await?;
        Ok((!read.is_same(keys)).then_some(read))
    }

    async fn fetch(&self, cx: &RequestContext, change: &Change) -> Result<OpenedResource, Error> {
        let Ok(resource) = ResourceName::read(&change.resource) else {
            return Ok(OpenedResource::Refused("it names no resource"));
        };
        let mut replication = Replication::of(change);
        loop {
            match self.graph.get_resource(cx, resource.segments(), resource.read_permission()).await {
                Ok(content) => return Ok(OpenedResource::Content(content)),
                Err(error) if replication.again(cx, &error).await => {}
                // No other notification may tell of this resource, so this one returns to the queue before it is given
                // up.
                Err(GraphError::NotFound { .. }) if replication.is_too_young() => {
                    let message = "Microsoft Graph does not find the notification's resource yet. The notification waits in the queue.";
                    return Err(Error::new(Code::GRAPH_UNAVAILABLE, message));
                }
                Err(GraphError::NotFound { .. } | GraphError::SyncStateGone { .. }) => return Ok(OpenedResource::Gone),
                Err(error) => return Err(unless_missing(error)),
            }
        }
    }
}

/// A refusal that all resources of the kind meet, as what is missing; the notification waits for it.
fn unless_missing(error: GraphError) -> Error {
    let cause = error.to_string();
    let message = match error {
        GraphError::AccessPolicyMissing => {
            "Microsoft Graph gives the resource only with an application access policy of Teams: run \
             infra/entra/Set-AccessPolicy.ps1 for the organizers. The notification waits in the queue."
        }
        GraphError::NotLicensed { .. } => {
            "Microsoft Graph gives the resource only when its owner has a license and a mailbox. The notification waits in \
             the queue."
        }
        GraphError::Rejected { status: 402, .. } => {
            "Microsoft Graph gives the resource only to an app with billing for metered APIs: link an Azure subscription to \
             the app registration. The notification waits in the queue."
        }
        error => return error.into(),
    };
    Error::new(Code::PERMISSION_MISSING, message).because(cause)
}

/// Logs why the content of a genuine notification could not be opened, and the remedy. The resource is fetched from
/// Graph instead, so nothing is lost and no forgery is believed.
fn note_closed(content: &EncryptedContent, error: &DecryptError) {
    let certificate = content.encryption_certificate_id.as_str();
    let remedy = match error {
        DecryptError::UnknownCertificate(_) => "keep a certificate's key in the secret until no subscription uses it",
        DecryptError::NotGenuine(_) => "see that the secret of the notification keys holds the key of this certificate",
    };
    tracing::warn!(certificate, %error, remedy, "a notification's content cannot be opened, so the resource is fetched");
}

impl Resources for Opener {
    async fn open(&self, cx: &RequestContext, change: &Change) -> Result<OpenedResource, Error> {
        if let Some(content) = &change.encrypted_content
            && let Some(opened) = self.content(cx, change, content).await?
        {
            return Ok(opened);
        }
        self.fetch(cx, change).await
    }
}
