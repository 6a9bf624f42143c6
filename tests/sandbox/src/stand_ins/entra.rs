//! Microsoft Entra ID: the client-credentials grant with secret or certificate, discovery, signing keys.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use uuid::Uuid;

use super::directory::App;
use super::signing_keys::SigningKeys;
use super::{TENANT, World, locked};
use crate::Trouble;

/// Audience of tokens for the bridge's API: its application id, as v2 tokens have it.
pub const API_AUDIENCE: &str = "0d5f2a54-7c1b-4b0e-8f57-52a4a4c5e000";

/// The issuer of v1 tokens, whichever host they were asked of.
pub(super) const ISSUER_V1: &str = "https://sts.windows.net/{tenantid}/";

/// Audience of a bot's tokens for the Bot Connector.
pub(super) const BOT_FRAMEWORK: &str = "https://api.botframework.com";

/// Seconds a token is valid.
const ACCESS_TOKEN_LIFE_SECONDS: i64 = 3599;

/// A certificate that is uploaded to an app registration.
#[derive(Debug, Clone)]
pub struct UploadedCertificate {
    /// base64url of the SHA-256 of its DER form.
    pub thumbprint: String,
    /// The public key in PEM form.
    pub public_key_pem: String,
}

/// The tokens that were issued, and the key they are signed with.
pub(super) struct Tokens {
    pub(super) keys: SigningKeys,
    entra: String,
    /// The origin of the Graph stand-in.
    pub(super) graph: String,
    /// The valid tokens for Graph and for the Bot Connector.
    issued: Mutex<HashMap<String, Issued>>,
}

/// What a token stands for.
struct Issued {
    client_id: String,
    audience: String,
    expires: i64,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("entra", &self.entra).field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn new(entra: String, graph: String) -> Result<Self, Trouble> {
        Ok(Self { keys: SigningKeys::new()?, entra, graph, issued: Mutex::default() })
    }

    /// Client id of the app whose token this is, if Graph takes it.
    pub(super) fn app_in_graph(&self, token: &str) -> Option<String> {
        self.app(token, &self.graph)
    }

    /// Client id of the app whose token this is, if the Bot Connector takes it.
    pub(super) fn app_of_bot(&self, token: &str) -> Option<String> {
        self.app(token, BOT_FRAMEWORK)
    }

    fn app(&self, token: &str, audience: &str) -> Option<String> {
        let now = Timestamp::now().as_second();
        let issued = locked(&self.issued);
        let good = issued.get(token).filter(|issued| issued.expires > now && issued.audience == audience);
        good.map(|issued| issued.client_id.clone())
    }

    pub(super) fn valid(&self) -> Vec<String> {
        locked(&self.issued).keys().cloned().collect()
    }

    pub(super) fn expire_all(&self) {
        locked(&self.issued).clear();
    }

    /// The issuer of v2 tokens.
    pub(super) fn issuer(&self) -> String {
        format!("{}/{TENANT}/v2.0", self.entra)
    }

    /// The issuer of v2 tokens as the documents for this tenant name it: for any tenant a pattern.
    fn issuer_for(&self, tenant: &str) -> String {
        if tenant == TENANT { self.issuer() } else { format!("{}/{{tenantid}}/v2.0", self.entra) }
    }

    fn issue(&self, client_id: &str, app: &App, audience: &str) -> String {
        let now = Timestamp::now().as_second();
        let mut claims = json!({
            "aud": audience, "iss": self.issuer(), "iat": now, "nbf": now, "exp": now + ACCESS_TOKEN_LIFE_SECONDS,
            "azp": client_id, "azpacr": "1", "oid": Uuid::new_v5(&Uuid::NAMESPACE_OID, client_id.as_bytes()),
            "sub": Uuid::new_v5(&Uuid::NAMESPACE_OID, client_id.as_bytes()), "tid": TENANT,
            "uti": Uuid::new_v4().simple().to_string(), "ver": "2.0",
        });
        let roles: Vec<&str> = if audience == self.graph {
            app.permissions.iter().map(String::as_str).collect()
        } else if audience == BOT_FRAMEWORK {
            // The registration of the bot is its right; there is nothing to consent to.
            Vec::new()
        } else {
            app.roles.iter().map(String::as_str).collect()
        };
        // Without consent Entra issues the token all the same, and leaves the claim out.
        if !roles.is_empty()
            && let Some(claims) = claims.as_object_mut()
        {
            claims.insert("roles".into(), roles.into());
        }
        let token = self.keys.current().sign(&claims);
        if audience != API_AUDIENCE {
            let expires = now + ACCESS_TOKEN_LIFE_SECONDS;
            let issued = Issued { client_id: client_id.to_owned(), audience: audience.to_owned(), expires };
            locked(&self.issued).insert(token.clone(), issued);
        }
        token
    }
}

pub(super) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(token))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(discovery))
        .route("/{tenant}/.well-known/openid-configuration", get(discovery_v1))
        .route("/{tenant}/discovery/v2.0/keys", get(keys))
        .route("/{tenant}/discovery/keys", get(keys_v1))
        .with_state(world)
}

/// Whether there is such a tenant, or this is the word for any.
fn known(tenant: &str) -> Result<(), TokenRefusal> {
    if [TENANT, "common", "organizations"].contains(&tenant) {
        return Ok(());
    }
    Err(TokenRefusal(StatusCode::BAD_REQUEST, "invalid_tenant", 90_002, "Tenant not found."))
}

async fn discovery(State(world): State<Arc<World>>, Path(tenant): Path<String>) -> Result<Json<Value>, TokenRefusal> {
    known(&tenant)?;
    let entra = &world.tokens.entra;
    Ok(Json(json!({
        "issuer": world.tokens.issuer_for(&tenant),
        "token_endpoint": format!("{entra}/{tenant}/oauth2/v2.0/token"),
        "jwks_uri": format!("{entra}/{tenant}/discovery/v2.0/keys"),
    })))
}

async fn discovery_v1(
    State(world): State<Arc<World>>,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, TokenRefusal> {
    known(&tenant)?;
    let entra = &world.tokens.entra;
    let issuer = if tenant == TENANT { ISSUER_V1.replace("{tenantid}", TENANT) } else { ISSUER_V1.into() };
    Ok(Json(json!({
        "issuer": issuer,
        "token_endpoint": format!("{entra}/{tenant}/oauth2/token"),
        "jwks_uri": format!("{entra}/common/discovery/keys"),
    })))
}

async fn keys(State(world): State<Arc<World>>, Path(tenant): Path<String>) -> Result<Json<Value>, TokenRefusal> {
    known(&tenant)?;
    Ok(Json(world.tokens.keys.published(Some(&world.tokens.issuer_for(&tenant)))))
}

async fn keys_v1(State(world): State<Arc<World>>, Path(tenant): Path<String>) -> Result<Json<Value>, TokenRefusal> {
    known(&tenant)?;
    Ok(Json(world.tokens.keys.published(None)))
}

async fn token(
    State(world): State<Arc<World>>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    Form(mut form): Form<HashMap<String, String>>,
) -> Response {
    if let Some((id, secret)) = basic(&headers) {
        form.entry("client_id".into()).or_insert(id);
        form.entry("client_secret".into()).or_insert(secret);
    }
    match grant(&world, &tenant, &form) {
        Ok(token) => Json(json!({
            "token_type": "Bearer", "expires_in": ACCESS_TOKEN_LIFE_SECONDS, "ext_expires_in": ACCESS_TOKEN_LIFE_SECONDS, "access_token": token,
        }))
        .into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?;
    decoded.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

#[derive(Debug)]
struct TokenRefusal(StatusCode, &'static str, u64, &'static str);

impl IntoResponse for TokenRefusal {
    fn into_response(self) -> Response {
        let Self(status, error, code, text) = self;
        let trace = Uuid::new_v4();
        let description = format!("AADSTS{code}: {text}\r\nTrace ID: {trace}\r\nCorrelation ID: {trace}");
        let body = json!({
            "error": error, "error_description": description, "error_codes": [code],
            "trace_id": trace, "correlation_id": trace,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        });
        (status, Json(body)).into_response()
    }
}

fn grant(world: &World, tenant: &str, form: &HashMap<String, String>) -> Result<String, TokenRefusal> {
    let invalid = |code, text| TokenRefusal(StatusCode::BAD_REQUEST, "invalid_request", code, text);
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if Uuid::try_parse(tenant).is_err() && !tenant.contains('.') {
        return Err(invalid(
            900_023,
            "Specified tenant identifier is neither a valid DNS name, nor a valid external domain.",
        ));
    }
    if tenant != TENANT {
        return Err(invalid(90_002, "Tenant not found."));
    }
    if field("grant_type") != "client_credentials" {
        return Err(TokenRefusal(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            70_003,
            "The grant type is not supported.",
        ));
    }
    let client_id = field("client_id");
    let directory = world.directory();
    let Some(app) = directory.apps.get(client_id) else {
        let text = "Application was not found in the directory.";
        return Err(TokenRefusal(StatusCode::BAD_REQUEST, "unauthorized_client", 700_016, text));
    };
    let wrong = |code, text| TokenRefusal(StatusCode::UNAUTHORIZED, "invalid_client", code, text);
    match (form.get("client_secret"), form.get("client_assertion")) {
        (Some(secret), None) if app.secrets.contains(secret) => {}
        (Some(secret), None) if app.expired_secrets.contains(secret) => {
            return Err(wrong(7_000_222, "The provided client secret keys for app are expired."));
        }
        (None, Some(assertion)) => check_assertion(world, app, client_id, field("client_assertion_type"), assertion)?,
        _ => return Err(wrong(7_000_215, "Invalid client secret provided.")),
    }
    let scope = field("scope");
    let Some(resource) = scope.strip_suffix("/.default").filter(|resource| !resource.contains(' ')) else {
        return Err(TokenRefusal(
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            1_002_012,
            "The provided scope is not valid.",
        ));
    };
    let audience = if resource == world.tokens.graph {
        world.tokens.graph.clone()
    } else if resource == BOT_FRAMEWORK {
        BOT_FRAMEWORK.to_owned()
    } else if resource.trim_start_matches("api://") == API_AUDIENCE {
        API_AUDIENCE.to_owned()
    } else {
        let text = "The resource principal was not found in the tenant.";
        return Err(TokenRefusal(StatusCode::BAD_REQUEST, "invalid_resource", 500_011, text));
    };
    Ok(world.tokens.issue(client_id, app, &audience))
}

/// The client assertion of a certificate: PS256, `x5t#S256`, the token endpoint as audience, at most ten minutes.
fn check_assertion(world: &World, app: &App, client_id: &str, kind: &str, assertion: &str) -> Result<(), TokenRefusal> {
    let wrong = |code, text| TokenRefusal(StatusCode::UNAUTHORIZED, "invalid_client", code, text);
    if kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
        return Err(wrong(700_027, "The client assertion type is not supported."));
    }
    let unsigned = || wrong(700_027, "Client assertion failed signature validation.");
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| unsigned())?;
    let thumbprint = header.x5t_s256.ok_or_else(unsigned)?;
    let certificate = app.certificates.iter().find(|known| known.thumbprint == thumbprint).ok_or_else(unsigned)?;
    let key = DecodingKey::from_rsa_pem(certificate.public_key_pem.as_bytes()).map_err(|_| unsigned())?;
    let mut checks = Validation::new(Algorithm::PS256);
    checks.set_audience(&[format!("{}/{TENANT}/oauth2/v2.0/token", world.tokens.entra)]);
    checks.set_issuer(&[client_id]);
    checks.sub = Some(client_id.to_owned());
    checks.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    let claims = jsonwebtoken::decode::<Value>(assertion, &key, &checks).map_err(|_| unsigned())?.claims;
    let life = claims["exp"].as_i64().unwrap_or(i64::MAX) - Timestamp::now().as_second();
    if life > 600 || claims["jti"].as_str().is_none_or(str::is_empty) {
        return Err(wrong(700_024, "Client assertion is not within its valid time range."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn read(world: &Arc<World>, path: &str) -> (u16, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(world.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn the_documents_lead_to_the_keys() {
        let world = World::without_sockets().unwrap();
        let entra = "http://entra.invalid";
        for (path, issuer, keys) in [
            (
                format!("/{TENANT}/v2.0"),
                format!("{entra}/{TENANT}/v2.0"),
                format!("{entra}/{TENANT}/discovery/v2.0/keys"),
            ),
            (
                "/common/v2.0".into(),
                format!("{entra}/{{tenantid}}/v2.0"),
                format!("{entra}/common/discovery/v2.0/keys"),
            ),
            (
                format!("/{TENANT}"),
                format!("https://sts.windows.net/{TENANT}/"),
                format!("{entra}/common/discovery/keys"),
            ),
            ("/common".into(), "https://sts.windows.net/{tenantid}/".into(), format!("{entra}/common/discovery/keys")),
        ] {
            let (status, document) = read(&world, &format!("{path}/.well-known/openid-configuration")).await;
            assert_eq!((status, &document["issuer"], &document["jwks_uri"]), (200, &json!(issuer), &json!(keys)));
            let (status, set) = read(&world, keys.strip_prefix(entra).unwrap()).await;
            let key = &set["keys"][0];
            assert_eq!((status, &key["kty"], &key["use"]), (200, &json!("RSA"), &json!("sig")));
            let of_v2 = keys.contains("v2.0").then_some(issuer);
            assert_eq!(key["issuer"].as_str(), of_v2.as_deref(), "{keys}");
            assert!(["kid", "x5t", "n", "e"].iter().all(|name| key[*name].is_string()), "{key}");
        }
        for path in ["no.tenant.example/v2.0/.well-known/openid-configuration", "other/discovery/keys"] {
            let (status, body) = read(&world, &format!("/{path}")).await;
            assert_eq!(
                (status, &body["error"], &body["error_codes"]),
                (400, &json!("invalid_tenant"), &json!([90_002]))
            );
        }
    }

    #[tokio::test]
    async fn a_rotation_brings_a_key_and_takes_one() {
        let world = World::without_sockets().unwrap();
        let ids = async || -> Vec<Value> {
            let (_, set) = read(&world, "/common/discovery/v2.0/keys").await;
            set["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
        };
        let before = ids().await;
        world.rotate_signing_key().unwrap();
        let after = ids().await;
        assert_eq!((before.len(), after.len()), (1, 1));
        assert_ne!(before, after);
        let header = jsonwebtoken::decode_header(world.tokens.keys.current().sign(&json!({}))).unwrap();
        assert_eq!(json!(header.kid), after[0]);
    }
}
