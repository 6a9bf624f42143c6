//! The keys that Microsoft Entra ID signs tokens with.
//!
//! Entra rotates them without notice, so an unknown key id makes the bridge fetch them anew. A forged token has an
//! unknown key id too, so this happens once in a while only, however many of them come.
//!
//! <https://learn.microsoft.com/entra/identity-platform/signing-key-rollover>

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::Origin;
use crate::http::retry::Repeat;
use crate::http::{Call, HttpClient, RequestContext};
use crate::telemetry::Upstream;

/// How long keys are trusted without being fetched anew. Entra withdraws a revoked key at any time, and has rotated
/// daily.
const KEYS_REFRESH_AFTER: Duration = Duration::from_secs(4 * 60 * 60);

/// How long the old keys are used while Entra cannot be reached.
const KEYS_EXPIRE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// For this long after a fetch, neither an unknown key id nor a failed fetch leads to another.
const FETCH_COOL_DOWN: Duration = Duration::from_secs(60);

/// The same after a failed fetch while there are no keys at all.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(5);

/// The most bytes of a key document, which has some ten kilobytes. The limit is small because the time limit of an
/// attempt grows with it: a small one leaves time for a second attempt.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// How long the keys may take where one of them is missing, and where they are only old. All notifications of a worker
/// wait for the one fetch.
const FETCH_PATIENCE: Duration = Duration::from_secs(8);
const FETCH_PATIENCE_WITH_OLD: Duration = Duration::from_secs(1);

/// No keys are at hand to check a signature with, because the network failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Microsoft Entra ID's signing keys could not be fetched ({0})")]
pub struct NoKeys(pub String);

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
pub struct SigningKeys {
    http: HttpClient,
    login: Origin,
    held: Mutex<HeldKeys>,
}

#[derive(Default)]
struct HeldKeys {
    keys: HashMap<String, Arc<SigningKey>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    failure: Option<NoKeys>,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").field("login", &self.login).finish_non_exhaustive()
    }
}

/// A set of keys as Entra publishes it.
///
/// <https://www.rfc-editor.org/rfc/rfc7517>
#[derive(Deserialize)]
struct KeySet {
    /// Each key is read by itself: one of an unknown kind must not hide the others.
    keys: Vec<Value>,
}

/// A published key: its id, and the issuer that Entra adds.
#[derive(Deserialize)]
struct PublishedKey {
    #[serde(default)]
    issuer: Option<String>,
    #[serde(flatten)]
    jwk: Jwk,
}

impl PublishedKey {
    /// The key by its id; `None` for a key that is not for checking RSA signatures.
    fn read(key: Value) -> Option<(String, Arc<SigningKey>)> {
        let Self { issuer, jwk } = serde_json::from_value(key).ok()?;
        let is_for_signing = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        if !is_for_signing || !matches!(jwk.algorithm, AlgorithmParameters::RSA(_)) {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some((jwk.common.key_id?, Arc::new(SigningKey { key, issuer: issuer.unwrap_or_default() })))
    }
}

impl SigningKeys {
    /// The keys of the login host's cloud: of all its tenants, so each says whose tokens it may sign
    /// ([`SigningKey::is_for`]).
    #[must_use]
    pub fn new(http: HttpClient, login: Origin) -> Self {
        Self { http, login, held: Mutex::default() }
    }

    /// The key of this id; `None` when Entra had no such key at the last fetch.
    ///
    /// # Errors
    /// [`NoKeys`], when the keys could not be fetched and none are held.
    pub async fn find(&self, cx: &RequestContext, id: &str) -> Result<Option<Arc<SigningKey>>, NoKeys> {
        let mut held = self.held.lock().await;
        let older_than = |at: Option<Instant>, age: Duration| at.is_none_or(|at| at.elapsed() >= age);
        let known = held.keys.contains_key(id);
        let due = !known || older_than(held.fetched, KEYS_REFRESH_AFTER);
        let cool_down = if held.keys.is_empty() { PAUSE_WITHOUT_KEYS } else { FETCH_COOL_DOWN };
        if due && older_than(held.tried, cool_down) {
            held.tried = Some(Instant::now());
            // Boxed: the rare case should not make every caller's future large.
            let patience = if known { FETCH_PATIENCE_WITH_OLD } else { FETCH_PATIENCE };
            let fetched = tokio::time::timeout(patience, Box::pin(self.fetch(cx))).await;
            match fetched.unwrap_or_else(|_elapsed| Err(NoKeys("no answer in time".into()))) {
                Ok(keys) => *held = HeldKeys { keys, fetched: held.tried, tried: held.tried, failure: None },
                Err(error) => (held.failure, held.tried) = (Some(error), Some(Instant::now())),
            }
        }
        match &held.failure {
            Some(failure) if older_than(held.fetched, KEYS_EXPIRE_AFTER) || !held.keys.contains_key(id) => {
                Err(failure.clone())
            }
            _ => Ok(held.keys.get(id).cloned()),
        }
    }

    /// Tokens of the older kind are signed with the keys of the first set, those of the newer with the second's; most
    /// keys are in both.
    async fn fetch(&self, cx: &RequestContext) -> Result<HashMap<String, Arc<SigningKey>>, NoKeys> {
        let paths: [&[&str]; 2] = [&["common", "discovery", "keys"], &["common", "discovery", "v2.0", "keys"]];
        let [older, newer] = paths.map(|path| self.fetch_set(cx, path));
        let (older, newer) = tokio::join!(older, newer);
        let (older, newer) = (older?, newer?);
        // The second set says more of a key that is in both.
        Ok(older.keys.into_iter().chain(newer.keys).filter_map(PublishedKey::read).collect())
    }

    async fn fetch_set(&self, cx: &RequestContext, path: &[&str]) -> Result<KeySet, NoKeys> {
        let call = Call {
            upstream: Upstream::Entra,
            operation: "signing keys",
            repeat: Repeat::Always,
            remote_id_header: "x-ms-request-id",
            max_answer_bytes: MAX_DOCUMENT_BYTES,
            request: self.http.get(self.login.join(path.iter().copied())),
        };
        let reply = self.http.send(cx, &call, None).await.map_err(|error| NoKeys(error.to_string()))?;
        if !reply.status.is_success() {
            return Err(NoKeys(format!("HTTP {}", reply.status.as_u16())));
        }
        reply.json().map_err(|_| NoKeys("the answer is no key set".into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::{method, path as url_path};
    use wiremock::{Mock, ResponseTemplate};

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
