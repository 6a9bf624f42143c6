//! Access tokens: fetched once per process, renewed early, dropped when a remote refuses them.

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

/// A token is renewed this long before it expires, or after nine tenths of its life if that is later.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// A bearer token for one remote. Cloning is cheap enough for one a call.
#[derive(Clone)]
pub struct Token {
    bearer: SecretString,
    /// Whom it was issued to.
    app: Arc<App>,
}

/// Whom a token was issued to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct App {
    /// The client id.
    pub client_id: String,
    /// The tenant, as the credential names it; empty where there is none.
    pub tenant_id: String,
}

impl App {
    /// The tenant's guid, by which Microsoft names it.
    ///
    /// # Errors
    /// When the credential names the tenant by a domain.
    pub fn tenant_guid(&self) -> Result<&str, Error> {
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

/// Who issues tokens.
#[derive(Debug)]
pub enum Issuer {
    /// Microsoft Entra ID, for Microsoft Graph.
    Entra(entra::Entra),
    /// Genesys Cloud.
    Genesys(genesys::Login),
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The credential could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The issuer refused the credential. Not to be retried: somebody has to change something.
    #[error("{issuer} refused the bridge's credential ({reason}): {remedy}")]
    Refused {
        /// The issuer's name, for a person.
        issuer: &'static str,
        /// The issuer's own code.
        reason: String,
        /// What to do.
        remedy: &'static str,
        /// What the issuer wrote, for the log.
        description: String,
        /// The edge's code for it.
        code: Code,
    },
    /// The issuer did not answer, or not with a token and not with a refusal.
    #[error("{issuer} gave no token ({reason})")]
    Unavailable {
        /// The issuer's name, for a person.
        issuer: &'static str,
        /// What happened.
        reason: String,
        /// The edge's code for it.
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

/// The token of one issuer.
#[derive(Debug)]
pub struct TokenCache {
    issuer: Issuer,
    cached: Cached<Token, AuthError>,
}

impl TokenCache {
    /// An empty cache.
    #[must_use]
    pub fn new(issuer: Issuer) -> Self {
        Self { issuer, cached: Cached::default() }
    }

    /// The token, fetched when there is none or when it is about to expire.
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

    /// Drops a token that the remote refused.
    pub async fn drop(&self, refused: &Token) {
        self.cached.drop_if(|held| held.bearer.expose_secret() == refused.bearer.expose_secret()).await;
    }
}

/// Calls a remote with a bearer token; fetches a new token and calls once more when the remote answers 401, which it
/// does before it looks at the request.
#[derive(Debug)]
pub struct Authorized {
    /// The client.
    pub http: HttpClient,
    tokens: TokenCache,
}

/// Why an authorized call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There was no token, so nothing was sent.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No answer came.
    #[error(transparent)]
    NoReply(#[from] NoReply),
}

impl Authorized {
    /// Calls go out through `http` with tokens of `issuer`.
    #[must_use]
    pub fn new(http: HttpClient, issuer: Issuer) -> Self {
        Self { http, tokens: TokenCache::new(issuer) }
    }

    /// Makes a call.
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

    /// The app that calls are made as.
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

/// A token endpoint and the secret that it wants.
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

/// Whom a credential stands for.
trait Client {
    fn app(&self) -> App;
}

/// What both token endpoints answer.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    /// Seconds.
    expires_in: u64,
    /// Not a part of the answer.
    #[serde(skip)]
    app: App,
}

impl TokenAnswer {
    fn issued_to(self, client: &impl Client) -> Self {
        Self { app: client.app(), ..self }
    }
}

/// What both token endpoints answer when they refuse (RFC 6749 section 5.2, with Entra's additions).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
    error_codes: Vec<u64>,
}

/// Reads a text field that a secret's JSON may lack.
fn secret_field(json: &serde_json::Value, name: &str) -> Option<String> {
    json.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
