//! From a notification to the resource it tells of: opened when it came along, fetched when it did not.

pub mod decrypt;
mod replication;
mod source;
pub mod validation;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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

/// How long the secret is not read again for something that it holds no key for.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What a notification turned out to be.
#[derive(Clone, PartialEq, Eq)]
pub enum OpenedResource {
    /// The resource, as JSON.
    Content(Vec<u8>),
    /// The resource does not exist any more.
    Gone,
    /// It is not Graph's, or not ours: it is not to be delivered, and somebody should know.
    Refused(&'static str),
}

// What somebody wrote does not belong in a log.
impl fmt::Debug for OpenedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(content) => write!(f, "Content({} bytes)", content.len()),
            Self::Gone => f.write_str("Gone"),
            Self::Refused(why) => f.debug_tuple("Refused").field(why).finish(),
        }
    }
}

/// Who opens notifications.
pub trait Resources: Send + Sync {
    /// The resource that a notification tells of.
    ///
    /// # Errors
    /// When it cannot be had now.
    fn open(&self, cx: &RequestContext, change: &Change) -> impl Future<Output = Result<OpenedResource, Error>> + Send;
}

/// Opens notifications with the secret's keys, or fetches what they tell of from Graph.
#[derive(Debug)]
pub struct Opener {
    graph: Arc<GraphClient>,
    tokens: ValidationTokens,
    keys: Secret<DecryptionKeys>,
    /// When the secret was last read again because something stayed closed.
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
        let graph = startup.graph();
        let keys = Secret::from_startup(startup, &NOTIFICATION_KEYS);
        let login = entra::login_url(startup.env);
        let (graph, keys, login) = (graph?, keys?, login?);
        let signing_keys = SigningKeys::new(startup.http().clone(), login.clone());
        Some(Self::new(Arc::new(graph), ValidationTokens::new(signing_keys, login), keys))
    }

    /// Reads the keys so that the first notification finds them, and says which of them are of no use. Failure is of no
    /// consequence but the log entry.
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
            Err(error) => tracing::warn!(%error, "no private keys ahead of time"),
        }
    }

    /// The content that came along; `None` when no key opens it, though the notification is genuine.
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
            Err(error) => return Err(error.into()),
        }
        let keys = self.keys.get(cx).await?;
        let opened = match keys.decrypt(content) {
            Ok(opened) => Ok(opened),
            // The certificate or its key may be younger than what this process has read.
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

    /// The keys that the secret holds by now, if they are others; looked for once a minute, however much cannot be opened.
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
        // The old ones stay where the secret cannot be read: they open what others are encrypted for.
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
                // Nothing else may tell of it again, so that it comes again from the queue before it is given up.
                Err(GraphError::NotFound { .. }) if replication.is_too_young() => {
                    let message =
                        "Microsoft Graph does not know yet what it told of. The notification waits in the queue.";
                    return Err(Error::new(Code::GRAPH_UNAVAILABLE, message));
                }
                Err(GraphError::NotFound { .. }) => return Ok(OpenedResource::Gone),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Says whose fault it is that a genuine notification stays closed. What Graph holds is fetched in its place, so nothing is
/// lost, and nobody's forgery is believed.
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
