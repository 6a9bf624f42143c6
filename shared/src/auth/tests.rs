use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wiremock::matchers::{basic_auth, body_string_contains, header, method, path};
use wiremock::{Mock, ResponseTemplate};

use super::entra::Entra;
use super::genesys::Login;
use super::*;
use crate::http::MAX_ANSWER_BYTES;
use crate::http::retry::Repeat;
use crate::remote::{Remote, context};
use crate::telemetry::Upstream;

const ENTRA_TOKEN: &str = "/contoso.onmicrosoft.com/oauth2/v2.0/token";

fn secret_text(client_secret: &str) -> String {
    json!({"tenant_id": "contoso.onmicrosoft.com", "client_id": "app-1", "client_secret": client_secret}).to_string()
}

fn entra(remote: &Remote) -> TokenCache {
    let http = HttpClient::new().unwrap();
    let secret = Secret::new(remote.secrets_manager(), "bridge/entra".into());
    let login = remote.uri().parse().unwrap();
    TokenCache::new(Issuer::Entra(Entra::new(http, login, "https://graph.microsoft.com", secret)))
}

fn genesys(remote: &Remote) -> TokenCache {
    let http = HttpClient::new().unwrap();
    let secret = Secret::new(remote.secrets_manager(), "bridge/genesys".into());
    TokenCache::new(Issuer::Genesys(Login::new(http, remote.uri().parse().unwrap(), secret)))
}

fn token(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"token_type": "Bearer", "expires_in": 3599, "access_token": text}))
}

fn refusal(status: u16, code: u64) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({
        "error": "invalid_client", "error_description": format!("AADSTS{code}: …"), "error_codes": [code],
    }))
}

fn text(token: &Token) -> &str {
    token.bearer.expose_secret()
}

#[tokio::test]
async fn a_hundred_requests_cause_one_token_call_and_one_secret_call() {
    let remote = Remote::start().await;
    remote.secret(&secret_text("s3cret+/=~"), 1).await;
    let form =
        Mock::given(method("POST")).and(path(ENTRA_TOKEN)).and(body_string_contains("grant_type=client_credentials"));
    remote.expect(form, 1, token("t-1").set_delay(Duration::from_millis(100))).await;
    let cache = entra(&remote);
    let contexts: Vec<_> = (0..100).map(|_| context(10)).collect();
    let tokens = join_all(contexts.iter().map(|cx| cache.get(cx))).await;
    assert!(tokens.iter().all(|token| text(token.as_ref().unwrap()) == "t-1"));
    insta::assert_snapshot!(remote.bodies(ENTRA_TOKEN).await[0]);
}

#[tokio::test]
async fn a_refused_secret_is_read_again_once_so_that_a_rotation_needs_no_redeployment() {
    let remote = Remote::start().await;
    remote.secret(&secret_text("old"), 1).await;
    remote.secret(&secret_text("new"), 1).await;
    let with = |secret: &'static str| {
        Mock::given(path(ENTRA_TOKEN)).and(body_string_contains(format!("client_secret={secret}")))
    };
    remote.expect(with("old"), 1, refusal(401, 7_000_222)).await;
    remote.expect(with("new"), 1, token("t-2")).await;
    assert_eq!(text(&entra(&remote).get(&context(10)).await.unwrap()), "t-2");
}

#[tokio::test]
async fn a_secret_that_is_still_the_same_is_not_tried_twice() {
    let remote = Remote::start().await;
    remote.secret(&secret_text("wrong"), 2).await;
    remote.expect(Mock::given(path(ENTRA_TOKEN)), 1, refusal(401, 7_000_215)).await;
    let error = Error::from(entra(&remote).get(&context(10)).await.unwrap_err());
    assert_eq!(error.code, Code::ENTRA_REFUSED);
    insta::assert_snapshot!(error.message);
}

#[tokio::test]
async fn every_code_of_entra_becomes_a_message_with_its_remedy() {
    let mut messages = Vec::new();
    for (status, code) in [
        (401, 7_000_215),
        (401, 7_000_222),
        (400, 700_016),
        (400, 90_002),
        (400, 900_023),
        (400, 70_011),
        (400, 1_002_012),
        (400, 500_011),
        (401, 700_027),
        (401, 700_024),
        (401, 700_030),
        (400, 53_003),
        (400, 1),
    ] {
        let remote = Remote::start().await;
        remote.secret(&secret_text("s"), 2).await;
        remote.expect(Mock::given(path(ENTRA_TOKEN)), 1, refusal(status, code)).await;
        let error = Error::from(entra(&remote).get(&context(10)).await.unwrap_err());
        assert_eq!(error.code, Code::ENTRA_REFUSED);
        messages.push(error.message);
    }
    insta::assert_snapshot!(messages.join("\n"));
}

#[tokio::test]
async fn a_passing_fault_of_entra_is_tried_again_and_is_nobody_s_fault() {
    let remote = Remote::start().await;
    remote.secret(&secret_text("s"), 1).await;
    remote.expect(Mock::given(path(ENTRA_TOKEN)), 1, ResponseTemplate::new(503)).await;
    remote.expect(Mock::given(path(ENTRA_TOKEN)), 1, token("t-3")).await;
    assert_eq!(text(&entra(&remote).get(&context(10)).await.unwrap()), "t-3");

    let remote = Remote::start().await;
    remote.secret(&secret_text("s"), 1).await;
    remote.expect(Mock::given(path(ENTRA_TOKEN)), 1, refusal(400, 90_033)).await;
    let error = Error::from(entra(&remote).get(&context(1)).await.unwrap_err());
    assert_eq!(error.code, Code::ENTRA_UNAVAILABLE);
}

#[tokio::test]
async fn a_certificate_signs_a_client_assertion() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(["bridge".into()]).unwrap().self_signed(&key).unwrap();
    let remote = Remote::start().await;
    let secret = json!({
        "tenant_id": "contoso.onmicrosoft.com", "client_id": "app-1",
        "certificate_pem": certificate.pem(), "private_key_pem": key.serialize_pem(),
    });
    remote.secret(&secret.to_string(), 1).await;
    remote.expect(Mock::given(path(ENTRA_TOKEN)), 1, token("t-4")).await;
    entra(&remote).get(&context(10)).await.unwrap();

    let body = remote.bodies(ENTRA_TOKEN).await.remove(0);
    let url = reqwest::Url::parse(&format!("http://x/?{body}")).unwrap();
    let form: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert!(!form.contains_key("client_secret"));

    let assertion = &form["client_assertion"];
    let header = jsonwebtoken::decode_header(assertion).unwrap();
    let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der()));
    assert_eq!((header.alg, header.typ.as_deref()), (jsonwebtoken::Algorithm::PS256, Some("JWT")));
    assert_eq!(header.x5t_s256, Some(thumbprint));
    let key = jsonwebtoken::DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).unwrap();
    let mut checks = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::PS256);
    checks.set_audience(&[format!("{}{ENTRA_TOKEN}", remote.uri())]);
    checks.set_issuer(&["app-1"]);
    checks.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    let claims = jsonwebtoken::decode::<Value>(assertion, &key, &checks).unwrap().claims;
    assert_eq!(claims["sub"], "app-1");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
    assert!(Uuid::try_parse(claims["jti"].as_str().unwrap()).is_ok());
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_explained_without_its_value() {
    for text in [
        "hunter2",
        r#"{"tenant_id":"t","client_id":"c"}"#,
        r#"{"tenant_id":"t","client_id":"c","certificate_pem":"hunter2"}"#,
        r#"{"tenant_id":"t","client_id":"c","certificate_pem":"hunter2","private_key_pem":"hunter2"}"#,
        r#"{"client_id":"c","client_secret":"hunter2"}"#,
        r#"{"tenant_id":"","client_id":"c","client_secret":"hunter2"}"#,
    ] {
        let remote = Remote::start().await;
        remote.secret(text, 1).await;
        let error = Error::from(entra(&remote).get(&context(10)).await.unwrap_err());
        assert_eq!(error.code, Code::SECRET_UNREADABLE, "{text}");
        assert!(error.message.contains("bridge/entra") && error.message.contains("tenant_id"), "{}", error.message);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn secrets_manager_s_refusals_are_told_apart() {
    for (kind, expected) in [
        ("ResourceNotFoundException", Code::SECRET_UNREADABLE),
        ("AccessDeniedException", Code::SECRET_UNREADABLE),
        ("InternalServiceError", Code::SECRETS_UNAVAILABLE),
    ] {
        let remote = Remote::start().await;
        let answer = ResponseTemplate::new(400).set_body_json(json!({"__type": kind, "Message": "no"}));
        let read = Mock::given(header("x-amz-target", "secretsmanager.GetSecretValue"));
        remote.expect(read, 1, answer).await;
        let error = Error::from(entra(&remote).get(&context(10)).await.unwrap_err());
        assert_eq!(error.code, expected, "{kind}");
    }
}

#[tokio::test]
async fn genesys_takes_basic_credentials_and_a_wrong_region_is_named() {
    let secret = json!({"client_id": "gc-1", "client_secret": "s"}).to_string();
    let remote = Remote::start().await;
    remote.secret(&secret, 1).await;
    let login = Mock::given(path("/oauth/token")).and(basic_auth("gc-1", "s"));
    remote.expect(login, 1, token("g-1")).await;
    assert_eq!(text(&genesys(&remote).get(&context(10)).await.unwrap()), "g-1");
    assert_eq!(remote.bodies("/oauth/token").await, ["grant_type=client_credentials"]);

    let remote = Remote::start().await;
    remote.secret(&secret, 2).await;
    let body = json!({"error": "invalid_client", "error_description": "authentication failed"});
    remote.once("POST", "/oauth/token", 401, body).await;
    let error = Error::from(genesys(&remote).get(&context(10)).await.unwrap_err());
    assert_eq!(error.code, Code::GENESYS_REFUSED);
    assert!(error.message.contains("GENESYS_DOMAIN"), "{}", error.message);
}

fn get(authorized: &Authorized, remote: &Remote) -> Call {
    Call {
        upstream: Upstream::Graph,
        operation: "test",
        repeat: Repeat::UnlessAccepted,
        remote_id_header: "request-id",
        max_answer_bytes: MAX_ANSWER_BYTES,
        request: authorized.http.get(remote.uri().parse().unwrap()),
    }
}

fn authorized(remote: &Remote) -> Authorized {
    let tokens = entra(remote);
    Authorized { http: HttpClient::new().unwrap(), tokens }
}

#[tokio::test]
async fn a_refused_token_is_dropped_and_fetched_once_more() {
    let remote = Remote::start().await;
    remote.secret(&secret_text("s"), 1).await;
    remote.expect(Mock::given(path(ENTRA_TOKEN)), 1, token("stale")).await;
    remote.expect(Mock::given(path(ENTRA_TOKEN)), 1, token("fresh")).await;
    let with = |token: &str| Mock::given(path("/")).and(header("authorization", format!("Bearer {token}").as_str()));
    remote.expect(with("stale"), 2, ResponseTemplate::new(401)).await;
    remote.expect(with("fresh"), 2, ResponseTemplate::new(200)).await;
    let authorized = Arc::new(authorized(&remote));
    // Two requests bring back the same stale token; it is replaced once.
    let contexts = [context(10), context(10)];
    let replies = join_all(contexts.iter().map(|cx| authorized.send(cx, get(&authorized, &remote)))).await;
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().status == StatusCode::OK));
}

#[tokio::test]
async fn a_second_401_is_final() {
    let remote = Remote::start().await;
    remote.secret(&secret_text("s"), 1).await;
    remote.expect(Mock::given(path(ENTRA_TOKEN)), 2, token("t")).await;
    remote.expect(Mock::given(path("/")), 2, ResponseTemplate::new(401)).await;
    let authorized = authorized(&remote);
    let reply = authorized.send(&context(10), get(&authorized, &remote)).await.unwrap();
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[test]
fn nothing_that_holds_a_credential_shows_it() {
    let credential = entra::EntraCredential::parse(&secret_text("hunter2")).unwrap();
    assert!(
        !format!("{credential:?} {:?}", Token { bearer: "hunter2".into(), app: Arc::default() }).contains("hunter2")
    );
}
