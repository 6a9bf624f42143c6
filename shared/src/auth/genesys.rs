//! Tokens from Genesys Cloud: client credentials with HTTP Basic.
//!
//! <https://developer.genesys.cloud/authorization/platform-auth/use-client-credentials>

use std::fmt;

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};

use super::{App, AuthError, Client, Refusal, TokenAnswer, TokenEndpoint, secret_field};
use crate::config::Origin;
use crate::error::Code;
use crate::http::retry::Repeat;
use crate::http::{Call, HttpClient, MAX_ANSWER_BYTES, RequestContext};
use crate::secrets::{Credential, Secret};
use crate::telemetry::Upstream;

const ISSUER: &str = "Genesys Cloud";

/// A wrong region answers exactly as a wrong secret does, because a client exists in its home region only.
const REMEDY: &str = "check `client_id` and `client_secret` of the Genesys secret, that GENESYS_DOMAIN is the org's own \
                      region, and that the OAuth client is active and of the type Client Credentials";

/// The OAuth client of the Genesys Cloud org, from its secret.
pub struct GenesysCredential {
    client_id: String,
    client_secret: SecretString,
}

impl fmt::Debug for GenesysCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenesysCredential").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Credential for GenesysCredential {
    const EXPECTED: &'static str = r#"{"client_id", "client_secret"}"#;

    fn parse(text: &str) -> Result<Self, String> {
        let json: serde_json::Value = serde_json::from_str(text).map_err(|_| "it is not JSON")?;
        let required = |name: &str| secret_field(&json, name).ok_or_else(|| format!("`{name}` is missing"));
        Ok(Self { client_id: required("client_id")?, client_secret: required("client_secret")?.into() })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.client_id == other.client_id && self.client_secret.expose_secret() == other.client_secret.expose_secret()
    }
}

impl Client for GenesysCredential {
    fn app(&self) -> App {
        App { client_id: self.client_id.clone(), tenant_id: String::new() }
    }
}

/// The login host of a Genesys Cloud region, which issues tokens for its API.
pub struct Login {
    http: HttpClient,
    login: Origin,
    secret: Secret<GenesysCredential>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("login", &self.login).finish_non_exhaustive()
    }
}

impl Login {
    /// An issuer that asks the region's login host for tokens.
    #[must_use]
    pub fn new(http: HttpClient, login: Origin, secret: Secret<GenesysCredential>) -> Self {
        Self { http, login, secret }
    }
}

impl TokenEndpoint for Login {
    type Credential = GenesysCredential;

    fn secret(&self) -> &Secret<GenesysCredential> {
        &self.secret
    }

    async fn request(&self, cx: &RequestContext, credential: &GenesysCredential) -> Result<TokenAnswer, AuthError> {
        let unavailable =
            |reason: String| AuthError::Unavailable { issuer: ISSUER, reason, code: Code::GENESYS_UNAVAILABLE };
        let request = self
            .http
            .post(self.login.join(["oauth", "token"]))
            .basic_auth(&credential.client_id, Some(credential.client_secret.expose_secret()))
            .form(&[("grant_type", "client_credentials")]);
        let call = Call {
            upstream: Upstream::GenesysLogin,
            operation: "token",
            repeat: Repeat::Always,
            remote_id_header: "inin-correlation-id",
            max_answer_bytes: MAX_ANSWER_BYTES,
            request,
        };
        let reply = self.http.send(cx, &call, None).await.map_err(|error| unavailable(error.to_string()))?;
        match reply.status {
            StatusCode::OK => reply.json().map_err(|_| unavailable("its answer holds no token".into())),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let refusal: Refusal = reply.json().unwrap_or_default();
                Err(AuthError::Refused {
                    issuer: ISSUER,
                    reason: refusal.error,
                    remedy: REMEDY,
                    description: refusal.error_description,
                    code: Code::GENESYS_REFUSED,
                })
            }
            status => Err(unavailable(format!("HTTP {}", status.as_u16()))),
        }
    }
}
