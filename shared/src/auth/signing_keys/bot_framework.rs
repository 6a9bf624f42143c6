//! The keys that the Bot Framework signs its tokens with, each with the channels that may use it.
//!
//! <https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication>

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use serde_with::{DefaultOnError, VecSkipError, serde_as};

use super::{KeyCache, KeyPublisher, KeySet, KeysById, NoKeys, fetch_document, signing_key};
use crate::config::BaseUrl;
use crate::http::{HttpClient, RequestContext};
use crate::telemetry::Upstream;

/// A key, the channels that may use it, and the issuer of the tokens that it signs.
pub(crate) struct BotFrameworkKey {
    /// The public key, ready to check a signature with.
    pub(crate) key: DecodingKey,
    /// The issuer that the cloud's metadata names.
    pub(crate) issuer: Arc<str>,
    endorsements: Vec<String>,
}

impl BotFrameworkKey {
    /// Whether the key may sign for this channel, such as `msteams`. A key that names no channel signs for none.
    #[must_use]
    pub(crate) fn endorses(&self, channel_id: &str) -> bool {
        self.endorsements.iter().any(|endorsed| endorsed == channel_id)
    }
}

impl fmt::Debug for BotFrameworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotFrameworkKey").field("endorsements", &self.endorsements).finish_non_exhaustive()
    }
}

/// The signing keys of one cloud's Bot Framework, fetched when they are needed and kept.
pub(crate) struct BotFrameworkKeys(KeyCache<OpenIdMetadata>);

impl fmt::Debug for BotFrameworkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotFrameworkKeys").field("metadata", &self.0.publisher.metadata).finish_non_exhaustive()
    }
}

impl BotFrameworkKeys {
    /// The keys that the OpenID metadata at this URL leads to.
    #[must_use]
    pub(crate) fn new(http: HttpClient, metadata: BaseUrl) -> Self {
        Self(KeyCache::new(OpenIdMetadata { http, metadata }))
    }

    /// Fetches the keys before the first request. After a failure, the request fetches them.
    pub(crate) async fn warm_up(&self, cx: &RequestContext) {
        self.0.warm_up(cx).await;
    }

    /// The key of this id; `None` when the Bot Framework had no such key at the last fetch.
    ///
    /// # Errors
    /// [`NoKeys`], when the keys could not be fetched and none are held.
    pub(crate) async fn find(&self, cx: &RequestContext, id: &str) -> Result<Option<Arc<BotFrameworkKey>>, NoKeys> {
        self.0.find(cx, id).await
    }
}

/// The OpenID metadata of a cloud's Bot Framework, which names the issuer and leads to the keys.
struct OpenIdMetadata {
    http: HttpClient,
    metadata: BaseUrl,
}

#[derive(Deserialize)]
struct MetadataDocument {
    issuer: Arc<str>,
    jwks_uri: String,
}

/// A published key, and the channels that the Bot Framework adds.
#[serde_as]
#[derive(Deserialize)]
struct PublishedKey {
    // A list that cannot be read endorses nothing.
    #[serde_as(deserialize_as = "DefaultOnError<VecSkipError<_>>")]
    #[serde(default)]
    endorsements: Vec<String>,
    #[serde(flatten)]
    jwk: Jwk,
}

impl PublishedKey {
    fn read(key: Value, issuer: &Arc<str>) -> Option<(String, Arc<BotFrameworkKey>)> {
        let Self { endorsements, jwk } = serde_json::from_value(key).ok()?;
        let (id, key) = signing_key(jwk)?;
        Some((id, Arc::new(BotFrameworkKey { key, issuer: Arc::clone(issuer), endorsements })))
    }
}

impl KeyPublisher for OpenIdMetadata {
    type Key = BotFrameworkKey;

    async fn fetch(&self, cx: &RequestContext) -> Result<KeysById<BotFrameworkKey>, NoKeys> {
        let Self { http, metadata } = self;
        let call = (Upstream::BotFramework, "OpenID metadata");
        let MetadataDocument { issuer, jwks_uri } =
            fetch_document(http, cx, call, metadata.join([]), "OpenID metadata").await?;
        // Keys that came in the clear would be anybody's.
        let keys: BaseUrl = jwks_uri.parse().map_err(|error| NoKeys(format!("the address of the keys: {error}")))?;
        let call = (Upstream::BotFramework, "signing keys");
        let set: KeySet = fetch_document(http, cx, call, keys.join([]), "key set").await?;
        Ok(set.keys.into_iter().filter_map(|key| PublishedKey::read(key, &issuer)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::FETCH_COOL_DOWN;
    use super::*;
    use crate::http::Deadline;
    use crate::remote::Remote;

    const MODULUS: &str = "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-Ct4eTlXHBIY2EaV7t7LjJaynVJCpkv4LKjTTAumiGUIuQhrNhZLuF_RJLqHpM2kgWFLU7-VTdL1VbC2tejvcI2BlMkEpk1BzBZI0KQB0GaDWFLN-aEAw3vRw";

    fn key(id: &str, endorsements: Value) -> Value {
        json!({"kty": "RSA", "use": "sig", "kid": id, "n": MODULUS, "e": "AQAB", "endorsements": endorsements})
    }

    fn keys(remote: &Remote) -> BotFrameworkKeys {
        let metadata = format!("{}/v1/.well-known/openidconfiguration", remote.uri());
        BotFrameworkKeys::new(HttpClient::new().unwrap(), metadata.parse().unwrap())
    }

    async fn metadata(remote: &Remote, jwks_uri: &str) {
        let document = json!({"issuer": "https://api.botframework.com", "jwks_uri": jwks_uri});
        remote.once("GET", "/v1/.well-known/openidconfiguration", 200, document).await;
    }

    async fn publishes(remote: &Remote, keys: &[Value]) {
        metadata(remote, &format!("{}/v1/.well-known/keys", remote.uri())).await;
        remote.once("GET", "/v1/.well-known/keys", 200, json!({"keys": keys})).await;
    }

    fn long_context() -> RequestContext {
        RequestContext::new("test", Deadline::after(Duration::from_secs(3600 * 48)))
    }

    /// As for Entra's keys: time is paused only while it is skipped.
    async fn pass(time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn a_key_endorses_the_channels_that_are_published_with_it_and_no_other() {
        let remote = Remote::start().await;
        publishes(
            &remote,
            &[
                key("teams", json!(["msteams", "webchat"])),
                key("odd", json!([7, "msteams"])),
                key("none", json!([])),
                key("null", Value::Null),
                key("text", json!("msteams")),
                json!("no key"),
            ],
        )
        .await;
        let (keys, cx) = (keys(&remote), long_context());
        for (id, teams) in [("teams", true), ("odd", true), ("none", false), ("null", false), ("text", false)] {
            let key = keys.find(&cx, id).await.unwrap().unwrap();
            assert_eq!(key.endorses("msteams"), teams, "{id}");
            assert!(!key.endorses("") && !key.endorses("MSTEAMS") && !key.endorses("slack"), "{id}");
            assert_eq!(&*key.issuer, "https://api.botframework.com");
        }
    }

    #[tokio::test]
    async fn keys_are_fetched_once_and_for_an_unknown_id_once_a_minute() {
        let remote = Remote::start().await;
        publishes(&remote, &[key("a", json!(["msteams"]))]).await;
        let (keys, cx) = (keys(&remote), long_context());
        let found = async |id: &str| keys.find(&cx, id).await.unwrap().is_some();
        assert!(found("a").await);
        for forged in 0..20 {
            assert!(!found(&format!("forged {forged}")).await);
        }
        pass(FETCH_COOL_DOWN).await;
        publishes(&remote, &[key("b", json!(["msteams"]))]).await;
        assert!(found("b").await && !found("a").await && !found("forged").await);
    }

    #[tokio::test]
    async fn keys_come_from_nowhere_but_a_secure_address() {
        for address in ["http://login.botframework.com/v1/.well-known/keys", "file:///etc/keys", "", "keys"] {
            let remote = Remote::start().await;
            metadata(&remote, address).await;
            let NoKeys(why) = keys(&remote).find(&long_context(), "a").await.unwrap_err();
            assert!(why.starts_with("the address of the keys: expected"), "{why}");
        }
    }

    #[tokio::test]
    async fn an_outage_of_either_document_is_no_forgery() {
        let remote = Remote::start().await;
        let path = "/v1/.well-known/openidconfiguration";
        remote.once("GET", path, 404, json!({})).await;
        assert_eq!(keys(&remote).find(&long_context(), "a").await.unwrap_err(), NoKeys("HTTP 404".into()));
        remote.once("GET", path, 200, json!({"issuer": "https://api.botframework.com"})).await;
        let NoKeys(why) = keys(&remote).find(&long_context(), "a").await.unwrap_err();
        assert_eq!(why, "the answer is no OpenID metadata");
        metadata(&remote, &format!("{}/keys", remote.uri())).await;
        remote.once("GET", "/keys", 404, json!({})).await;
        assert_eq!(keys(&remote).find(&long_context(), "a").await.unwrap_err(), NoKeys("HTTP 404".into()));
    }
}
