//! The public keys that Microsoft signs tokens with: Entra ID's, and the Bot Framework's.
//!
//! Both rotate their keys without notice, so an unknown key id makes the bridge fetch them anew. A forged token has an
//! unknown key id too, so this happens once in a while only, however many of them come.

mod bot_framework;
mod entra;
#[cfg(test)]
pub(crate) mod signer;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::http::retry::Repeat;
use crate::http::{Call, HttpClient, RequestContext};
use crate::telemetry::Upstream;

pub(crate) use self::bot_framework::BotFrameworkKeys;
pub use self::entra::{SigningKey, SigningKeys};

/// How long keys are trusted without being fetched anew. Entra withdraws a revoked key at any time, and has rotated
/// daily; the Bot Framework wants a refresh once a day at least.
const KEYS_REFRESH_AFTER: Duration = Duration::from_secs(4 * 60 * 60);

/// How long the old keys are used while their publisher cannot be reached.
const KEYS_EXPIRE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// For this long after a fetch, neither an unknown key id nor a failed fetch leads to another.
const FETCH_COOL_DOWN: Duration = Duration::from_secs(60);

/// The same after a failed fetch while there are no keys at all.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(5);

/// The most bytes of a key document, which has some ten kilobytes. The limit is small because the time limit of an
/// attempt grows with it: a small one leaves time for a second attempt.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// How long the keys may take where one of them is missing, and where they are only old. All requests of a process wait
/// for the one fetch.
const FETCH_PATIENCE: Duration = Duration::from_secs(8);
const FETCH_PATIENCE_WITH_OLD: Duration = Duration::from_secs(1);

/// No keys are at hand to check a signature with, because the network failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signing keys could not be fetched ({0})")]
pub struct NoKeys(pub String);

/// The keys by their ids, as they are published now.
type KeysById<K> = HashMap<String, Arc<K>>;

/// A publisher of signing keys.
trait KeyPublisher: Sync {
    /// A key, and what the publisher says of it.
    type Key: Send + Sync;

    /// Fetches all keys.
    fn fetch(&self, cx: &RequestContext) -> impl Future<Output = Result<KeysById<Self::Key>, NoKeys>> + Send;
}

/// The keys of one publisher, fetched when they are needed and kept.
struct KeyCache<P: KeyPublisher> {
    publisher: P,
    held: Mutex<HeldKeys<P::Key>>,
}

struct HeldKeys<K> {
    keys: KeysById<K>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    failure: Option<NoKeys>,
}

impl<P: KeyPublisher> KeyCache<P> {
    fn new(publisher: P) -> Self {
        let held = HeldKeys { keys: HashMap::new(), fetched: None, tried: None, failure: None };
        Self { publisher, held: Mutex::new(held) }
    }

    /// Fetches the keys before the first of them is needed.
    async fn warm_up(&self, cx: &RequestContext) {
        // No key has an empty id.
        let _ = self.find(cx, "").await;
    }

    /// The key of this id; `None` when its publisher had no such key at the last fetch.
    async fn find(&self, cx: &RequestContext, id: &str) -> Result<Option<Arc<P::Key>>, NoKeys> {
        let mut held = self.held.lock().await;
        let older_than = |at: Option<Instant>, age: Duration| at.is_none_or(|at| at.elapsed() >= age);
        let known = held.keys.contains_key(id);
        let due = !known || older_than(held.fetched, KEYS_REFRESH_AFTER);
        let cool_down = if held.keys.is_empty() { PAUSE_WITHOUT_KEYS } else { FETCH_COOL_DOWN };
        if due && older_than(held.tried, cool_down) {
            held.tried = Some(Instant::now());
            // Boxed: the rare case should not make every caller's future large.
            let patience = if known { FETCH_PATIENCE_WITH_OLD } else { FETCH_PATIENCE };
            let fetched = tokio::time::timeout(patience, Box::pin(self.publisher.fetch(cx))).await;
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
}

/// A set of keys as it is published.
///
/// <https://www.rfc-editor.org/rfc/rfc7517>
#[derive(Deserialize)]
struct KeySet {
    /// Each key is read by itself: one of an unknown kind must not hide the others.
    keys: Vec<Value>,
}

/// The id of a published key and the key, ready to check a signature with; `None` for a key that is not for checking
/// RSA signatures.
fn signing_key(jwk: Jwk) -> Option<(String, DecodingKey)> {
    let is_for_signing = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    if !is_for_signing || !matches!(jwk.algorithm, AlgorithmParameters::RSA(_)) {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((jwk.common.key_id?, key))
}

/// Fetches a document about keys; `expected` says what it must be.
async fn fetch_document<T: DeserializeOwned>(
    http: &HttpClient,
    cx: &RequestContext,
    (upstream, operation): (Upstream, &'static str),
    url: reqwest::Url,
    expected: &str,
) -> Result<T, NoKeys> {
    let call = Call {
        upstream,
        operation,
        repeat: Repeat::Always,
        remote_id_header: "x-ms-request-id",
        max_answer_bytes: MAX_DOCUMENT_BYTES,
        request: http.get(url),
    };
    let reply = http.send(cx, &call, None).await.map_err(|error| NoKeys(error.to_string()))?;
    if !reply.status.is_success() {
        return Err(NoKeys(format!("HTTP {}", reply.status.as_u16())));
    }
    reply.json().map_err(|_| NoKeys(format!("the answer is no {expected}")))
}
