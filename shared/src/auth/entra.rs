//! App-only tokens from Microsoft Entra ID: client credentials with a secret or with a certificate.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{App, AuthError, Client, Refusal, TokenAnswer, TokenEndpoint, secret_field};
use crate::config::{Environment, Origin};
use crate::error::Code;
use crate::http::retry::Repeat;
use crate::http::{Call, HttpClient, MAX_ANSWER_BYTES, RequestContext};
use crate::secrets::{Credential, Secret};
use crate::telemetry::Upstream;

const ISSUER: &str = "Microsoft Entra ID";

/// How long a client assertion is valid. Entra takes five to ten minutes.
const ASSERTION_LIFE: Duration = Duration::from_secs(5 * 60);

/// The app's identity in the tenant.
pub struct EntraCredential {
    tenant_id: String,
    client_id: String,
    proof: Proof,
}

enum Proof {
    Secret(SecretString),
    ClientCertificate(ClientCertificate),
}

struct ClientCertificate {
    /// base64url of the SHA-256 of the certificate's DER form, by which Entra finds the uploaded certificate.
    thumbprint: String,
    key: EncodingKey,
    /// Kept only to tell whether the secret, read again, holds something new.
    private_key_pem: SecretString,
}

impl fmt::Debug for EntraCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntraCredential").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Credential for EntraCredential {
    const EXPECTED: &'static str = r#"{"tenant_id", "client_id", "client_secret"}, or "certificate_pem" and "private_key_pem" in place of the secret"#;

    fn parse(text: &str) -> Result<Self, String> {
        let json: serde_json::Value = serde_json::from_str(text).map_err(|_| "it is not JSON")?;
        let field = |name: &str| secret_field(&json, name);
        let required = |name: &str| field(name).ok_or_else(|| format!("`{name}` is missing"));
        let proof = match (field("certificate_pem"), field("private_key_pem"), field("client_secret")) {
            (Some(certificate), Some(key), _) => {
                Proof::ClientCertificate(ClientCertificate::parse(&certificate, &key)?)
            }
            (Some(_), None, _) => return Err("`certificate_pem` is there, `private_key_pem` is missing".into()),
            (None, Some(_), _) => return Err("`private_key_pem` is there, `certificate_pem` is missing".into()),
            (None, None, Some(secret)) => Proof::Secret(secret.into()),
            (None, None, None) => return Err("`client_secret` is missing".into()),
        };
        let id = |name: &str| required(name).map(plain);
        Ok(Self { tenant_id: id("tenant_id")?, client_id: id("client_id")?, proof })
    }

    fn is_same(&self, other: &Self) -> bool {
        let proofs_match = match (&self.proof, &other.proof) {
            (Proof::Secret(ours), Proof::Secret(theirs)) => ours.expose_secret() == theirs.expose_secret(),
            (Proof::ClientCertificate(ours), Proof::ClientCertificate(theirs)) => {
                ours.thumbprint == theirs.thumbprint
                    && ours.private_key_pem.expose_secret() == theirs.private_key_pem.expose_secret()
            }
            _ => false,
        };
        proofs_match && self.tenant_id == other.tenant_id && self.client_id == other.client_id
    }
}

/// A GUID in Microsoft's spelling, so that it can be compared with Microsoft's own. Anything else, such as a tenant's
/// domain name, stays as it is.
fn plain(id: String) -> String {
    id.parse::<Uuid>().map_or(id, |guid| guid.to_string())
}

impl ClientCertificate {
    fn parse(certificate_pem: &str, private_key_pem: &str) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|_| "`certificate_pem` is not a PEM certificate")?;
        let key = EncodingKey::from_rsa_pem(private_key_pem.as_bytes())
            .map_err(|_| "`private_key_pem` is not an unencrypted RSA private key in PEM form")?;
        Ok(Self {
            thumbprint: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate)),
            key,
            private_key_pem: private_key_pem.into(),
        })
    }
}

impl Client for EntraCredential {
    fn app(&self) -> App {
        App { client_id: self.client_id.clone(), tenant_id: self.tenant_id.clone() }
    }
}

/// Entra ID as an issuer of tokens for one resource.
pub struct Entra {
    http: HttpClient,
    login: Origin,
    scope: String,
    secret: Secret<EntraCredential>,
}

impl fmt::Debug for Entra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entra").field("login", &self.login).field("scope", &self.scope).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Assertion<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: u64,
    iat: u64,
    exp: u64,
}

impl Entra {
    /// Tokens for `resource` (Graph's origin) from the login host.
    #[must_use]
    pub fn new(http: HttpClient, login: Origin, resource: &str, secret: Secret<EntraCredential>) -> Self {
        Self { http, login, scope: format!("{resource}/.default"), secret }
    }
}

impl TokenEndpoint for Entra {
    type Credential = EntraCredential;

    fn secret(&self) -> &Secret<EntraCredential> {
        &self.secret
    }

    async fn request(&self, cx: &RequestContext, credential: &EntraCredential) -> Result<TokenAnswer, AuthError> {
        let unavailable =
            |reason: String| AuthError::Unavailable { issuer: ISSUER, reason, code: Code::ENTRA_UNAVAILABLE };
        let url = self.login.join([credential.tenant_id.as_str(), "oauth2", "v2.0", "token"]);
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", credential.client_id.as_str()),
            ("scope", self.scope.as_str()),
        ];
        let assertion;
        match &credential.proof {
            Proof::Secret(secret) => form.push(("client_secret", secret.expose_secret())),
            Proof::ClientCertificate(certificate) => {
                assertion = certificate
                    .assertion(url.as_str(), &credential.client_id)
                    .map_err(|_| unavailable("the client assertion could not be signed".into()))?;
                form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
                form.push(("client_assertion", assertion.expose_secret()));
            }
        }
        let call = Call {
            upstream: Upstream::Entra,
            operation: "token",
            repeat: Repeat::Always,
            remote_id_header: "x-ms-request-id",
            max_answer_bytes: MAX_ANSWER_BYTES,
            request: self.http.post(url).form(&form),
        };
        let reply = self.http.send(cx, &call, None).await.map_err(|error| unavailable(error.to_string()))?;
        if reply.status == StatusCode::OK {
            return reply.json().map_err(|_| unavailable("its answer holds no token".into()));
        }
        let refusal: Refusal = reply.json().unwrap_or_default();
        match remedy(&refusal, reply.status) {
            Some(remedy) => Err(AuthError::Refused {
                issuer: ISSUER,
                reason: refusal.reason(),
                remedy,
                description: refusal.error_description,
                code: Code::ENTRA_REFUSED,
            }),
            None => Err(unavailable(format!("HTTP {} {}", reply.status.as_u16(), refusal.error))),
        }
    }
}

impl ClientCertificate {
    fn assertion(&self, audience: &str, client_id: &str) -> Result<SecretString, jsonwebtoken::errors::Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = Assertion {
            aud: audience,
            iss: client_id,
            sub: client_id,
            jti: Uuid::new_v4().to_string(),
            nbf: now,
            iat: now,
            exp: now + ASSERTION_LIFE.as_secs(),
        };
        let header = Header { x5t_s256: Some(self.thumbprint.clone()), ..Header::new(Algorithm::PS256) };
        jsonwebtoken::encode(&header, &claims, &self.key).map(SecretString::from)
    }
}

impl Refusal {
    fn reason(&self) -> String {
        match self.error_codes.first() {
            Some(code) => format!("AADSTS{code}"),
            None => self.error.clone(),
        }
    }
}

/// What an administrator has to do about a refusal. `None` for a fault that passes by itself.
///
/// The same code has been seen under 400 and 401, so the codes decide, not the status.
/// <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>
fn remedy(refusal: &Refusal, status: StatusCode) -> Option<&'static str> {
    let known = refusal.error_codes.iter().find_map(|code| {
        Some(match code {
            700_0215 => {
                "the client secret is wrong. Put the secret's value, not its id, into `client_secret` of the Entra secret"
            }
            700_0222 => {
                "the client secret has expired. Create a new one in the app registration and put its value into the Entra secret"
            }
            700_016 => {
                "the app is unknown in this tenant. Check `client_id` and `tenant_id` of the Entra secret, the cloud of \
                 ENTRA_LOGIN_URL, and that an administrator has consented to the app"
            }
            90_002 => "the tenant was not found. Check `tenant_id` of the Entra secret and the cloud of ENTRA_LOGIN_URL",
            900_023 => "`tenant_id` of the Entra secret is neither a guid nor a domain name",
            70_011 | 1_002_012 => "the scope is not valid. Check the host of GRAPH_URL",
            500_011 => {
                "the resource is unknown in this tenant. GRAPH_URL and ENTRA_LOGIN_URL must belong to the same cloud"
            }
            700_027 => {
                "the client assertion's signature does not fit. Upload the certificate of the Entra secret to the app \
                 registration, and check that `private_key_pem` belongs to `certificate_pem`"
            }
            700_024 => {
                "the client assertion is outside its time of validity. Check the clock, and that the certificate has not expired"
            }
            700_030 => "the certificate is not valid. Upload a valid one to the app registration and to the Entra secret",
            53_003 => {
                "a Conditional Access policy for workload identities blocks the app. Exempt the app or the addresses it calls from"
            }
            _ => return None,
        })
    });
    known.or_else(|| {
        let transient = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || refusal.error == "temporarily_unavailable"
            || refusal.error_codes.contains(&90_033);
        // A 4xx without the body of RFC 6749 comes from something in between, not from Entra.
        (!transient && status.is_client_error() && !refusal.error.is_empty())
            .then_some("look up the code at https://login.microsoftonline.com/error")
    })
}

/// Where Microsoft Entra ID issues tokens: `ENTRA_LOGIN_URL`, else the public cloud's.
pub(crate) fn login_url(env: &mut Environment) -> Option<Origin> {
    env.or("ENTRA_LOGIN_URL", "https://login.microsoftonline.com".parse::<Origin>().ok()?)
}
