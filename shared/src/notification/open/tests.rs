//! A notification whose content stays closed: what is fetched in its place, and what is refused.

use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use super::*;
use crate::auth::entra::Entra;
use crate::auth::{Authorized, Issuer};
use crate::http::HttpClient;
use crate::remote::{Remote, context};

const TENANT: &str = "11111111-0000-4000-8000-000000000001";

/// A rich notification, received so long ago, with a token whose signing key Entra does not publish.
fn notification(waited: SignedDuration) -> Change {
    let part = |json: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let token = format!("{}.{}.c2ln", part(json!({"alg": "RS256", "kid": "withdrawn"})), part(json!({})));
    let content = EncryptedContent {
        data: String::new(),
        data_signature: String::new(),
        data_key: String::new(),
        encryption_certificate_id: "c".into(),
        encryption_certificate_thumbprint: String::new(),
    };
    Change {
        tenant_id: TENANT.into(),
        change_type: "created".into(),
        resource: "chats('19:a@thread.v2')/messages('1')".into(),
        encrypted_content: Some(content),
        validation_tokens: vec![token],
        received_at: Timestamp::now() - waited,
        ..Change::default()
    }
}

async fn opened(remote: &Remote, change: &Change) -> OpenedResource {
    remote.secret(&json!({"tenant_id": TENANT, "client_id": "c", "client_secret": "s"}).to_string(), 1).await;
    let token = json!({"access_token": "t", "expires_in": 3599});
    remote.once("POST", &format!("/{TENANT}/oauth2/v2.0/token"), 200, token).await;
    for keys in ["/common/discovery/keys", "/common/discovery/v2.0/keys"] {
        let none = ResponseTemplate::new(200).set_body_json(json!({"keys": []}));
        Mock::given(method("GET")).and(path(keys)).respond_with(none).mount(&remote.0).await;
    }
    let (http, login) = (HttpClient::new().unwrap(), remote.uri().parse::<crate::config::Origin>().unwrap());
    let secret = Secret::new(remote.secrets_manager(), "bridge/entra".into());
    let entra = Entra::new(http.clone(), login.clone(), &remote.uri(), secret);
    let base = format!("{}/v1.0", remote.uri()).parse().unwrap();
    let graph = GraphClient::new(Authorized::new(http.clone(), Issuer::Entra(entra)), base);
    let tokens = ValidationTokens::new(SigningKeys::new(http, login.clone()), login);
    let keys = Secret::new(remote.secrets_manager(), "bridge/keys".into());
    Opener::new(Arc::new(graph), tokens, keys).open(&context(30), change).await.unwrap()
}

#[tokio::test]
async fn a_signing_key_that_was_withdrawn_while_a_notification_waited_costs_a_fetch_and_not_the_message() {
    let remote = Remote::start().await;
    let message = json!({"id": "1"});
    remote.once("GET", "/v1.0/chats/19:a@thread.v2/messages/1", 200, message.clone()).await;
    let waited = opened(&remote, &notification(SignedDuration::from_hours(60))).await;
    assert_eq!(waited, OpenedResource::Content(message.to_string().into_bytes()));

    let remote = Remote::start().await;
    let young = opened(&remote, &notification(SignedDuration::from_secs(5))).await;
    assert!(matches!(young, OpenedResource::Refused(_)), "nobody waits for a key that never was: {young:?}");
}
