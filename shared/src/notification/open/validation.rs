//! Validation tokens: they prove that Microsoft Graph sent a notification with content.
//!
//! <https://learn.microsoft.com/graph/change-notifications-with-resource-data#validation-tokens-in-the-change-notification>

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation};
use lru::LruCache;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::auth::signing_keys::{NoKeys, SigningKeys};
use crate::config::Origin;
use crate::http::RequestContext;

/// The app *Microsoft Graph Change Tracking*, which alone may publish notifications. Without this check, every app that
/// can get a token for ours could.
const PUBLISHER: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";

/// The difference between clocks that is accepted, in seconds.
const LEEWAY_SECONDS: i64 = 300;

/// The most tokens that are remembered as good. Graph uses one for hours, for every notification of an app and tenant.
pub const REMEMBERED_TOKENS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Why a notification's tokens are no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The tokens cannot be checked now. A retry may succeed.
    #[error(transparent)]
    NoKeys(#[from] NoKeys),
    /// The tokens are not those that Graph sends for this app and tenant.
    #[error("the notification does not come from Microsoft Graph: {0}")]
    Refused(&'static str),
    /// A token is signed with a key that Entra does not publish, or no longer.
    #[error("the notification's token is signed with a key that Microsoft Entra ID does not publish")]
    UnknownKey,
}

/// The app and tenant that a token must be issued for.
#[derive(Debug, Clone, Copy)]
pub struct Audience<'a> {
    /// The client id of the bridge's app.
    pub app_id: &'a str,
    /// The GUID of the tenant.
    pub tenant_id: &'a str,
}

/// Checks the validation tokens of notifications.
pub struct ValidationTokens {
    keys: SigningKeys,
    login: Origin,
    /// The hashes of good tokens, with the seconds between which they are valid.
    good: Mutex<LruCache<[u8; 32], Range<i64>>>,
}

impl fmt::Debug for ValidationTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidationTokens").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// The claims that are checked beside the standard ones. A v1 token names its publisher as `appid`, a v2 token as
/// `azp`.
#[derive(Deserialize)]
struct TokenClaims {
    aud: String,
    exp: i64,
    nbf: Option<i64>,
    iss: String,
    tid: Option<String>,
    ver: Option<String>,
    appid: Option<String>,
    azp: Option<String>,
}

impl ValidationTokens {
    /// A checker of tokens that are signed with these keys, in this login host's cloud.
    #[must_use]
    pub fn new(keys: SigningKeys, login: Origin) -> Self {
        Self { keys, login, good: Mutex::new(LruCache::new(REMEMBERED_TOKENS)) }
    }

    /// Accepts a notification of this tenant if a token is issued for the audience, and each of those is genuine and
    /// was valid when the notification came. How long the notification has waited in the queue since does not count.
    ///
    /// Graph puts notifications for several apps and tenants into one request, with a token for each. Entra's token for
    /// another app or tenant proves nothing here, and does no harm.
    ///
    /// # Errors
    /// [`TokenError`]
    pub async fn check(
        &self,
        cx: &RequestContext,
        tokens: &[String],
        audience: Audience<'_>,
        tenant_id: &str,
        received_at: Timestamp,
    ) -> Result<(), TokenError> {
        if tokens.is_empty() {
            return Err(TokenError::Refused("it has content and no validation token"));
        }
        if !tenant_id.eq_ignore_ascii_case(audience.tenant_id) {
            return Err(TokenError::Refused("it is of another tenant"));
        }
        let mut proven = false;
        for token in tokens {
            proven |= self.check_one(cx, token, audience, received_at.as_second()).await?;
        }
        if proven { Ok(()) } else { Err(TokenError::Refused("no token is made out for this app and tenant")) }
    }

    /// Whether the token proves that a notification is Graph's; `false` when it is another app's or tenant's.
    async fn check_one(
        &self,
        cx: &RequestContext,
        token: &str,
        audience: Audience<'_>,
        received_at: i64,
    ) -> Result<bool, TokenError> {
        let mut hash = Sha256::new();
        for part in [token, audience.app_id, audience.tenant_id] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        if self.good().get(&hash).is_some_and(|valid| valid.contains(&received_at)) {
            return Ok(true);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Refused("a token is no JWT"))?;
        let id = header.kid.ok_or(TokenError::Refused("a token names no signing key"))?;
        let key = self.keys.find(cx, &id).await?.ok_or(TokenError::UnknownKey)?;
        if !key.is_for(audience.tenant_id, &self.issuers(audience.tenant_id).concat()) {
            return Err(TokenError::Refused("a token's signing key is not for tokens of this tenant"));
        }
        // The bridge chooses the algorithm, never the token.
        let mut validation = Validation::new(Algorithm::RS256);
        // Another app's token is not an error, so the audience is compared below.
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        // The library would use the time of now; the notification's counts.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<TokenClaims>(token, &key.key, &validation)
            .map_err(|error| TokenError::Refused(refusal(error.kind())))?
            .claims;
        let tenant = claims.tid.as_deref().unwrap_or_default();
        let is_of_other_tenant = Uuid::try_parse(tenant).is_ok() && !tenant.eq_ignore_ascii_case(audience.tenant_id);
        if !claims.aud.eq_ignore_ascii_case(audience.app_id) || is_of_other_tenant {
            return Ok(false);
        }
        if received_at >= claims.exp.saturating_add(LEEWAY_SECONDS) {
            return Err(TokenError::Refused("a token had expired when it came"));
        }
        if claims.nbf.is_some_and(|from| received_at < from.saturating_sub(LEEWAY_SECONDS)) {
            return Err(TokenError::Refused("a token was not valid yet when it came"));
        }
        self.is_ours(&claims, audience)?;
        self.good().put(hash, claims.nbf.unwrap_or(i64::MIN)..claims.exp);
        Ok(true)
    }

    fn is_ours(&self, claims: &TokenClaims, audience: Audience<'_>) -> Result<(), TokenError> {
        let tenant = claims.tid.as_deref().unwrap_or_default();
        if !tenant.eq_ignore_ascii_case(audience.tenant_id) {
            return Err(TokenError::Refused("a token is of another tenant"));
        }
        let newer = claims.ver.as_deref() == Some("2.0");
        let issuers = &self.issuers(tenant)[usize::from(newer)];
        if !issuers.contains(&claims.iss) {
            return Err(TokenError::Refused("a token's issuer is not Entra"));
        }
        let publisher = if newer { &claims.azp } else { &claims.appid };
        if publisher.as_deref() != Some(PUBLISHER) {
            return Err(TokenError::Refused("a token's publisher is not Microsoft Graph Change Tracking"));
        }
        Ok(())
    }

    /// The issuers that Entra names in the tokens of a tenant: of v1, and of v2.
    fn issuers(&self, tenant: &str) -> [Vec<String>; 2] {
        // The second issuer of v1 is that of the cloud in China.
        let v1 = ["https://sts.windows.net", "https://sts.chinacloudapi.cn"];
        let v2 =
            [self.login.join([tenant, "v2.0"]).to_string(), format!("https://login.microsoftonline.com/{tenant}/v2.0")];
        [v1.map(|host| format!("{host}/{tenant}/")).into(), v2.into()]
    }

    fn good(&self) -> MutexGuard<'_, LruCache<[u8; 32], Range<i64>>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusal(kind: &jsonwebtoken::errors::ErrorKind) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match kind {
        ErrorKind::InvalidSignature => "a token's signature is wrong",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "a token is not signed with RS256",
        _ => "a token cannot be read",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::signing_keys::signer::TokenSigner;
    use crate::http::{Deadline, HttpClient};
    use crate::remote::Remote;

    const APP: &str = "11111111-0000-4000-8000-000000000001";
    const TENANT: &str = "22222222-0000-4000-8000-000000000002";

    fn signer(id: &str) -> TokenSigner {
        TokenSigner::new(id)
    }

    fn now() -> i64 {
        Timestamp::now().as_second()
    }

    /// As the documentation shows them.
    fn v1() -> Value {
        json!({
            "aud": APP, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now(), "nbf": now(),
            "exp": now() + 8 * 3600, "appid": PUBLISHER, "appidacr": "2", "idp": format!("https://sts.windows.net/{TENANT}/"),
            "tid": TENANT, "ver": "1.0",
        })
    }

    fn v2() -> Value {
        json!({
            "aud": APP, "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "iat": now(), "nbf": now(),
            "exp": now() + 8 * 3600, "azp": PUBLISHER, "azpacr": "2", "tid": TENANT, "ver": "2.0",
        })
    }

    fn with(mut claims: Value, name: &str, value: impl Into<Value>) -> Value {
        claims[name] = value.into();
        claims
    }

    fn signed(signer: &TokenSigner, claims: &Value) -> String {
        signer.sign(claims)
    }

    struct Scene {
        _remote: Remote,
        tokens: ValidationTokens,
        entra: TokenSigner,
        cx: RequestContext,
    }

    async fn scene() -> Scene {
        scene_with("https://login.microsoftonline.com/{tenantid}/v2.0").await
    }

    /// As Entra publishes them: the newer document says whose tokens a key may sign.
    async fn scene_with(issuer: &str) -> Scene {
        let (remote, entra) = (Remote::start().await, signer("known"));
        remote.once("GET", "/common/discovery/keys", 200, json!({"keys": [entra.jwk]})).await;
        let newer = with(entra.jwk.clone(), "issuer", issuer);
        remote.once("GET", "/common/discovery/v2.0/keys", 200, json!({"keys": [newer]})).await;
        let login: Origin = remote.uri().parse().unwrap();
        let keys = SigningKeys::new(HttpClient::new().unwrap(), login.clone());
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
        Scene { _remote: remote, tokens: ValidationTokens::new(keys, login), entra, cx }
    }

    impl Scene {
        async fn check(&self, tokens: &[String], tenant: &str) -> Result<(), TokenError> {
            self.check_at(tokens, tenant, now()).await
        }

        async fn check_at(&self, tokens: &[String], tenant: &str, received_at: i64) -> Result<(), TokenError> {
            let audience = Audience { app_id: APP, tenant_id: TENANT };
            let received_at = Timestamp::from_second(received_at).unwrap();
            self.tokens.check(&self.cx, tokens, audience, tenant, received_at).await
        }
    }

    #[tokio::test]
    async fn genuine_tokens_of_both_kinds_pass_however_often() {
        let scene = scene().await;
        let tokens = [signed(&scene.entra, &v1()), signed(&scene.entra, &v2())];
        for _ in 0..3 {
            assert_eq!(scene.check(&tokens, TENANT).await, Ok(()));
        }
        assert_eq!(scene.check(&tokens, &TENANT.to_uppercase()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_key_signs_for_the_tenants_that_it_is_published_for() {
        let consumers = "9188040d-6c67-4c5b-b112-36a304b66dad";
        for (issuer, passes) in [
            ("https://login.microsoftonline.com/{tenantid}/v2.0".to_owned(), true),
            (format!("https://login.microsoftonline.com/{TENANT}/v2.0"), true),
            ("https://sts.windows.net/{tenantid}/".to_owned(), true),
            (format!("https://login.microsoftonline.com/{consumers}/v2.0"), false),
            ("https://login.elsewhere.example/{tenantid}/v2.0".to_owned(), false),
        ] {
            let scene = scene_with(&issuer).await;
            for claims in [v1(), v2()] {
                let outcome = scene.check(&[signed(&scene.entra, &claims)], TENANT).await;
                assert_eq!(outcome.is_ok(), passes, "{issuer}: {outcome:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_time_at_which_a_notification_came_counts_and_not_how_long_it_has_waited() {
        let scene = scene().await;
        let long_ago = now() - 24 * 3600;
        let token = [signed(&scene.entra, &with(with(v1(), "nbf", long_ago), "exp", long_ago + 3600))];
        for (second, passes) in [(-600, false), (0, true), (3599, true), (3899, true), (3900, false), (-600, false)] {
            let outcome = scene.check_at(&token, TENANT, long_ago + second).await;
            assert_eq!(outcome.is_ok(), passes, "{second}: {outcome:?}");
        }
    }

    #[tokio::test]
    async fn whatever_is_not_graph_s_is_refused() {
        let scene = scene().await;
        let good = signed(&scene.entra, &v1());
        let mut refused = Vec::new();
        let elsewhere = "33333333-0000-4000-8000-000000000003";
        for claims in [
            with(v1(), "appid", elsewhere),
            with(v1(), "appid", Value::Null),
            // The publisher in the other version's claim is not the publisher.
            with(with(v1(), "appid", elsewhere), "azp", PUBLISHER),
            with(with(v2(), "azp", elsewhere), "appid", PUBLISHER),
            with(v2(), "azp", elsewhere),
            with(v1(), "tid", Value::Null),
            with(v1(), "aud", Value::Null),
            with(v1(), "iss", format!("https://sts.windows.net/{elsewhere}/")),
            with(v1(), "iss", format!("https://sts.windows.net/{TENANT}")),
            with(v2(), "iss", format!("https://sts.windows.net/{TENANT}/")),
            with(v1(), "exp", now() - 600),
            with(v1(), "nbf", now() + 600),
            with(v1(), "exp", "soon"),
        ] {
            refused.push(signed(&scene.entra, &claims));
        }
        refused.push(signed(&signer("known"), &v1()));
        let unsigned = Header { alg: Algorithm::HS256, kid: Some("known".into()), ..Header::default() };
        refused.push(jsonwebtoken::encode(&unsigned, &v1(), &EncodingKey::from_secret(b"guessed")).unwrap());
        let unknown = Header { kid: Some("unknown".into()), ..Header::new(Algorithm::RS256) };
        refused.push(jsonwebtoken::encode(&unknown, &v1(), &scene.entra.key).unwrap());
        let nameless = Header::new(Algorithm::RS256);
        refused.push(jsonwebtoken::encode(&nameless, &v1(), &scene.entra.key).unwrap());
        refused.extend(["", "a.b.c", "not a token"].map(str::to_owned));
        for token in refused {
            let among_good = [good.clone(), token.clone()];
            for tokens in [std::slice::from_ref(&token), &among_good] {
                let outcome = scene.check(tokens, TENANT).await;
                let is_refused = matches!(outcome, Err(TokenError::Refused(_) | TokenError::UnknownKey));
                assert!(is_refused, "{outcome:?} for {token}");
            }
        }
        assert!(matches!(scene.check(&[], TENANT).await, Err(TokenError::Refused(_))));
        assert!(matches!(scene.check(&[good], elsewhere).await, Err(TokenError::Refused(_))));
    }

    #[tokio::test]
    async fn a_token_of_another_app_or_tenant_proves_nothing_and_harms_nothing() {
        let scene = scene().await;
        let good = signed(&scene.entra, &v1());
        let elsewhere = "33333333-0000-4000-8000-000000000003";
        let issuer = format!("https://sts.windows.net/{elsewhere}/");
        for claims in [
            with(v1(), "aud", elsewhere),
            with(v2(), "aud", elsewhere),
            with(with(v1(), "tid", elsewhere), "iss", issuer),
            with(with(v1(), "aud", elsewhere), "appid", elsewhere),
        ] {
            let theirs = signed(&scene.entra, &claims);
            let outcome = scene.check(std::slice::from_ref(&theirs), TENANT).await;
            assert!(matches!(outcome, Err(TokenError::Refused(_))), "alone: {claims}");
            for mixed in [[theirs.clone(), good.clone()], [good.clone(), theirs.clone()]] {
                assert_eq!(scene.check(&mixed, TENANT).await, Ok(()), "{claims}");
            }
            // One that is nobody's is still refused beside them.
            let forged = signed(&signer("known"), &claims);
            assert!(scene.check(&[good.clone(), forged], TENANT).await.is_err(), "{claims}");
        }
    }

    #[tokio::test]
    async fn without_keys_nothing_is_judged() {
        let remote = Remote::start().await;
        for path in ["/common/discovery/keys", "/common/discovery/v2.0/keys"] {
            remote.once("GET", path, 404, json!({})).await;
        }
        let login: Origin = remote.uri().parse().unwrap();
        let keys = SigningKeys::new(HttpClient::new().unwrap(), login.clone());
        let tokens = ValidationTokens::new(keys, login);
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
        let token = signed(&signer("known"), &v1());
        let audience = Audience { app_id: APP, tenant_id: TENANT };
        let outcome = tokens.check(&cx, &[token], audience, TENANT, Timestamp::now()).await;
        assert!(matches!(outcome, Err(TokenError::NoKeys(_))), "{outcome:?}");
    }
}
