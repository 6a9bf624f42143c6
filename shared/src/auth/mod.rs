//! Access tokens: fetched once per process, renewed before they expire, dropped when a remote refuses them.

pub mod entra;
pub mod genesys;
pub mod signing_keys;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use uuid::Uuid;

use crate::cache::{Cached, Fresh};
use crate::error::{Code, Error};
use crate::http::{Call, HttpClient, NoReply, Reply, RequestContext};
use crate::secrets::{Credential, Secret, SecretError};

/// A token is renewed this long before it expires; one that lives less than ten times as long, after nine tenths of its
/// life.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// A bearer token for one remote. A clone is cheap, so every call may have its own.
#[derive(Clone)]
pub struct Token {
    bearer: SecretString,
    /// The client and tenant that it was issued to.
    app: Arc<App>,
}

/// The app that a token was issued to: its client id, and its tenant where there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct App {
    /// The client id, as the credential has it.
    pub client_id: String,
    /// The tenant, as the credential names it; empty where there is none.
    pub tenant_id: String,
}

impl App {
    /// The tenant's guid, by which Microsoft names it.
    ///
    /// # Errors
    /// When the credential names the tenant by a domain.
    pub(crate) fn tenant_guid(&self) -> Result<&str, Error> {
        if self.tenant_id.parse::<Uuid>().is_err() {
            let message = "`tenant_id` of the Entra secret is a domain name. Put the tenant's guid there: Microsoft Graph's \
                           notifications name it so.";
            return Err(Error::new(Code::MISCONFIGURED, message));
        }
        Ok(&self.tenant_id)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("app", &self.app).finish_non_exhaustive()
    }
}

/// An issuer of access tokens.
#[derive(Debug)]
pub enum Issuer {
    /// Microsoft Entra ID, for Microsoft Graph.
    Entra(entra::Entra),
    /// The login host of Genesys Cloud, for its platform API.
    Genesys(genesys::Login),
}

/// Why no token could be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The credential could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The issuer refused the credential. A retry cannot help: an administrator has to change something.
    #[error("{issuer} refused the bridge's credential ({reason}): {remedy}")]
    Refused {
        /// The issuer's name, as a person knows it.
        issuer: &'static str,
        /// The issuer's own error code.
        reason: String,
        /// What an administrator has to do.
        remedy: &'static str,
        /// The issuer's own words, for the log.
        description: String,
        /// The answer's code for this error.
        code: Code,
    },
    /// The issuer did not answer, or its answer is neither a token nor a refusal.
    #[error("{issuer} gave no token ({reason})")]
    Unavailable {
        /// The issuer's name, as a person knows it.
        issuer: &'static str,
        /// What went wrong, for the log.
        reason: String,
        /// The answer's code for this error.
        code: Code,
    },
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        let message = error.to_string();
        match error {
            AuthError::Secret(secret) => secret.into(),
            AuthError::Refused { code, description, .. } => Self::new(code, format!("{message}.")).because(description),
            AuthError::Unavailable { code, .. } => Self::new(code, format!("{message}. Try again in a moment.")),
        }
    }
}

/// The cached token of one issuer.
#[derive(Debug)]
pub struct TokenCache {
    issuer: Issuer,
    cached: Cached<Token, AuthError>,
}

impl TokenCache {
    /// A cache without a token: the first call fetches it.
    #[must_use]
    pub fn new(issuer: Issuer) -> Self {
        Self { issuer, cached: Cached::default() }
    }

    /// The token. It is fetched when there is none, or when it is about to expire.
    ///
    /// # Errors
    /// [`AuthError`]
    pub async fn get(&self, cx: &RequestContext) -> Result<Token, AuthError> {
        self.cached
            .get(|| async {
                let answer = match &self.issuer {
                    Issuer::Entra(entra) => entra.issue(cx).await,
                    Issuer::Genesys(login) => login.issue(cx).await,
                }?;
                let life = Duration::from_secs(answer.expires_in);
                Ok(Fresh {
                    value: Token { bearer: answer.access_token, app: Arc::new(answer.app) },
                    refresh_after: life.saturating_sub(EARLY).max(life * 9 / 10),
                    expires_after: life,
                })
            })
            .await
    }

    /// Drops a token that the remote refused, so that the next call fetches another.
    pub async fn drop(&self, refused: &Token) {
        self.cached.drop_if(|held| held.bearer.expose_secret() == refused.bearer.expose_secret()).await;
    }
}

/// Calls a remote with a bearer token. When the remote answers 401, which it does before it looks at the request, a new
/// token is fetched and the call is made once more.
#[derive(Debug)]
pub struct Authorized {
    /// The client that the calls go out through.
    pub http: HttpClient,
    tokens: TokenCache,
}

/// Why an authorized call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There was no token, so nothing was sent.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The request was made, and no answer came.
    #[error(transparent)]
    NoReply(#[from] NoReply),
}

impl Authorized {
    /// Makes calls through `http` with tokens of `issuer`.
    #[must_use]
    pub fn new(http: HttpClient, issuer: Issuer) -> Self {
        Self { http, tokens: TokenCache::new(issuer) }
    }

    /// Makes a call with the token, and once more with a new token after a 401.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn send(&self, cx: &RequestContext, call: Call) -> Result<Reply, CallError> {
        let token = self.tokens.get(cx).await?;
        let reply = self.http.send(cx, &call, Some(&token.bearer)).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        self.tokens.drop(&token).await;
        let token = self.tokens.get(cx).await?;
        Ok(self.http.send(cx, &call, Some(&token.bearer)).await?)
    }

    /// The app that the calls are made as.
    ///
    /// # Errors
    /// [`AuthError`], when there is no token.
    pub async fn app(&self, cx: &RequestContext) -> Result<Arc<App>, AuthError> {
        self.tokens.get(cx).await.map(|token| token.app)
    }

    /// Fetches the token so that the first call finds one.
    ///
    /// # Errors
    /// [`AuthError`]
    pub async fn warm_up(&self, cx: &RequestContext) -> Result<(), AuthError> {
        self.tokens.get(cx).await.map(|_| ())
    }
}

/// The token endpoint of an issuer, and the secret that it asks for.
trait TokenEndpoint: Sync {
    type Credential: Credential + Client;

    fn secret(&self) -> &Secret<Self::Credential>;

    /// Asks for a token with this credential.
    fn request(
        &self,
        cx: &RequestContext,
        credential: &Self::Credential,
    ) -> impl Future<Output = Result<TokenAnswer, AuthError>> + Send;

    /// Asks for a token; when the credential is refused, reads the secret again and, if it has changed, asks once more.
    fn issue(&self, cx: &RequestContext) -> impl Future<Output = Result<TokenAnswer, AuthError>> + Send {
        async {
            let credential = self.secret().get(cx).await?;
            match self.request(cx, &credential).await {
                Ok(answer) => Ok(answer.issued_to(&*credential)),
                Err(refused @ AuthError::Refused { .. }) => match self.secret().replacement(cx, &credential).await? {
                    Some(replacement) => {
                        self.request(cx, &replacement).await.map(|answer| answer.issued_to(&*replacement))
                    }
                    None => Err(refused),
                },
                Err(error) => Err(error),
            }
        }
    }
}

/// A credential, and the app that it stands for.
trait Client {
    fn app(&self) -> App;
}

/// The answer of a token endpoint; both issuers' have this form.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    /// The life of the token in seconds.
    expires_in: u64,
    /// The app that it was issued to, which is filled in here: the answer does not have it.
    #[serde(skip)]
    app: App,
}

impl TokenAnswer {
    fn issued_to(self, client: &impl Client) -> Self {
        Self { app: client.app(), ..self }
    }
}

/// The refusal of a token endpoint; both issuers' have this form (RFC 6749 section 5.2, with Entra's additions).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
    error_codes: Vec<u64>,
}

/// Reads a text field of a secret's JSON; `None` when it is absent or empty.
fn secret_field(json: &serde_json::Value, name: &str) -> Option<String> {
    json.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
