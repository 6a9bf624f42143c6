//! The keys that Microsoft Entra ID signs tokens with.
//!
//! <https://learn.microsoft.com/entra/identity-platform/signing-key-rollover>

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;

use super::{KeyCache, KeyPublisher, KeySet, KeysById, NoKeys, fetch_document, signing_key};
use crate::config::Origin;
use crate::http::{HttpClient, RequestContext};
use crate::telemetry::Upstream;

/// A key, and the tenants whose tokens it signs.
pub struct SigningKey {
    /// The public key, ready to check a signature with.
    pub key: DecodingKey,
    /// The issuer that the key is good for, `{tenantid}` for a tenant of any id; empty when Entra does not say.
    issuer: String,
}

impl SigningKey {
    /// Whether the key may sign a token of this tenant, which has these issuers.
    #[must_use]
    pub(crate) fn is_for(&self, tenant_id: &str, issuers: &[String]) -> bool {
        self.issuer.is_empty() || issuers.contains(&self.issuer.replace("{tenantid}", tenant_id))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Entra's signing keys, fetched when they are needed and kept.
pub struct SigningKeys(KeyCache<Discovery>);

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").field("login", &self.0.publisher.login).finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// The keys of the login host's cloud: of all its tenants, so each says whose tokens it may sign
    /// ([`SigningKey::is_for`]).
    #[must_use]
    pub fn new(http: HttpClient, login: Origin) -> Self {
        Self(KeyCache::new(Discovery { http, login }))
    }

    /// The key of this id; `None` when Entra had no such key at the last fetch.
    ///
    /// # Errors
    /// [`NoKeys`], when the keys could not be fetched and none are held.
    pub async fn find(&self, cx: &RequestContext, id: &str) -> Result<Option<Arc<SigningKey>>, NoKeys> {
        self.0.find(cx, id).await
    }
}

/// A login host of Entra's, which publishes the keys of its cloud.
struct Discovery {
    http: HttpClient,
    login: Origin,
}

/// A published key, and the issuer that Entra adds.
#[derive(Deserialize)]
struct PublishedKey {
    #[serde(default)]
    issuer: Option<String>,
    #[serde(flatten)]
    jwk: Jwk,
}

impl PublishedKey {
    fn read(key: Value) -> Option<(String, Arc<SigningKey>)> {
        let Self { issuer, jwk } = serde_json::from_value(key).ok()?;
        let (id, key) = signing_key(jwk)?;
        Some((id, Arc::new(SigningKey { key, issuer: issuer.unwrap_or_default() })))
    }
}

impl KeyPublisher for Discovery {
    type Key = SigningKey;

    /// Tokens of the older kind are signed with the keys of the first set, those of the newer with the second's; most
    /// keys are in both.
    async fn fetch(&self, cx: &RequestContext) -> Result<KeysById<SigningKey>, NoKeys> {
        let paths: [&[&str]; 2] = [&["common", "discovery", "keys"], &["common", "discovery", "v2.0", "keys"]];
        let [older, newer] = paths.map(|path| {
            let url = self.login.join(path.iter().copied());
            fetch_document::<KeySet>(&self.http, cx, (Upstream::Entra, "signing keys"), url, "key set")
        });
        let (older, newer) = tokio::join!(older, newer);
        let (older, newer) = (older?, newer?);
        // The second set says more of a key that is in both.
        Ok(older.keys.into_iter().chain(newer.keys).filter_map(PublishedKey::read).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use wiremock::matchers::{method, path as url_path};
    use wiremock::{Mock, ResponseTemplate};

    use super::super::{FETCH_COOL_DOWN, FETCH_PATIENCE, KEYS_EXPIRE_AFTER, KEYS_REFRESH_AFTER};
    use super::*;
    use crate::http::Deadline;
    use crate::remote::Remote;

    const MODULUS: &str = "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-Ct4eTlXHBIY2EaV7t7LjJaynVJCpkv4LKjTTAumiGUIuQhrNhZLuF_RJLqHpM2kgWFLU7-VTdL1VbC2tejvcI2BlMkEpk1BzBZI0KQB0GaDWFLN-aEAw3vRw";

    fn set(ids: &[&str]) -> Value {
        let keys: Vec<_> =
            ids.iter().map(|id| json!({"kty": "RSA", "use": "sig", "kid": id, "n": MODULUS, "e": "AQAB"})).collect();
        json!({"keys": keys})
    }

    async fn answers(remote: &Remote, older: &[&str], newer: &[&str]) {
        remote.once("GET", "/common/discovery/keys", 200, set(older)).await;
        remote.once("GET", "/common/discovery/v2.0/keys", 200, set(newer)).await;
    }

    #[tokio::test]
    async fn what_is_no_signing_key_of_entra_s_kind_is_passed_over() {
        let remote = Remote::start().await;
        let keys = SigningKeys::new(HttpClient::new().unwrap(), remote.uri().parse().unwrap());
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
        let odd = json!({"keys": [
            {"kty": "RSA", "use": "enc", "kid": "for encryption", "n": MODULUS, "e": "AQAB"},
            {"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0"},
            {"kty": "ML-DSA", "kid": "of a kind to come", "pub": "AAAA"},
            {"kty": "RSA", "kid": "without its parts"},
            "no key",
            {"kty": "RSA", "kid": "good", "n": MODULUS, "e": "AQAB", "issuer": null, "cloud_instance_name": "x"},
        ]});
        for path in ["/common/discovery/keys", "/common/discovery/v2.0/keys"] {
            remote.once("GET", path, 200, odd.clone()).await;
        }
        assert!(keys.find(&cx, "good").await.unwrap().is_some());
        for id in ["for encryption", "symmetric", "of a kind to come", "without its parts"] {
            assert!(keys.find(&cx, id).await.unwrap().is_none(), "{id}");
        }
    }

    /// Time that was skipped would run a real connection's time-outs out, so time is paused only while it is skipped.
    async fn pass(time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn keys_are_fetched_once_and_again_for_an_unknown_id_after_a_while() {
        let remote = Remote::start().await;
        let keys = SigningKeys::new(HttpClient::new().unwrap(), remote.uri().parse().unwrap());
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(3600 * 48)));
        let found = async |id: &str| keys.find(&cx, id).await.unwrap().is_some();
        answers(&remote, &["a"], &["b"]).await;
        assert!(found("a").await && found("b").await, "of both sets, fetched once");
        assert!(!found("forged").await && !found("forged too").await, "and not again at once");

        answers(&remote, &["c"], &["b"]).await;
        pass(FETCH_COOL_DOWN).await;
        assert!(found("c").await, "rotated");
        assert!(!found("a").await, "a key that Entra took out is trusted no more");

        answers(&remote, &["c"], &[]).await;
        pass(KEYS_REFRESH_AFTER).await;
        assert!(found("c").await, "looked for without being unknown");
    }

    #[tokio::test]
    async fn keys_that_do_not_come_stall_nobody_for_long() {
        let remote = Remote::start().await;
        let keys = SigningKeys::new(HttpClient::new().unwrap(), remote.uri().parse().unwrap());
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(3600 * 48)));
        let hang = async |attempts: u64| {
            for path in ["/common/discovery/keys", "/common/discovery/v2.0/keys"] {
                let hangs = ResponseTemplate::new(200).set_delay(Duration::from_secs(600));
                remote.expect(Mock::given(method("GET")).and(url_path(path)), attempts, hangs).await;
            }
        };
        let started = std::time::Instant::now();
        hang(2).await;
        // The first waits, for two attempts, and the others learn from it.
        for id in ["a", "b", "c"] {
            assert_eq!(keys.find(&cx, id).await.unwrap_err(), NoKeys("no answer in time".into()));
        }
        assert!(started.elapsed() < FETCH_PATIENCE * 2, "{:?}", started.elapsed());
        pass(FETCH_COOL_DOWN).await;
        answers(&remote, &["a"], &["a"]).await;
        assert!(keys.find(&cx, "a").await.unwrap().is_some());
        pass(KEYS_REFRESH_AFTER).await;
        let started = std::time::Instant::now();
        hang(1).await;
        assert!(keys.find(&cx, "a").await.unwrap().is_some(), "the old one does until the new ones come");
        assert!(started.elapsed() < FETCH_PATIENCE, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn an_outage_is_no_forgery_and_known_keys_outlive_it() {
        let remote = Remote::start().await;
        let keys = SigningKeys::new(HttpClient::new().unwrap(), remote.uri().parse().unwrap());
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(3600 * 48)));
        let outage = async || {
            for path in ["/common/discovery/keys", "/common/discovery/v2.0/keys"] {
                remote.once("GET", path, 404, json!({})).await;
            }
        };
        outage().await;
        for _ in 0..2 {
            assert_eq!(keys.find(&cx, "a").await.unwrap_err(), NoKeys("HTTP 404".into()));
        }
        pass(FETCH_COOL_DOWN).await;
        answers(&remote, &["a"], &["a"]).await;
        assert!(keys.find(&cx, "a").await.unwrap().is_some());
        outage().await;
        pass(KEYS_REFRESH_AFTER).await;
        assert!(keys.find(&cx, "a").await.unwrap().is_some(), "held while Entra is away");
        assert!(keys.find(&cx, "b").await.is_err(), "nobody knows whether it exists");
        outage().await;
        pass(KEYS_EXPIRE_AFTER).await;
        assert!(keys.find(&cx, "a").await.is_err(), "but not forever");
    }
}
