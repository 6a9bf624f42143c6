//! Signatures of Genesys Cloud: of the secret, of the previous one, and of nobody.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::edge::tests::{event, lambda};
use crate::edge::{HttpEvent, Webhook};
use crate::remote::{Remote, context};

const CURRENT: &str = "0123456789abcdef";
const PREVIOUS: &str = "fedcba9876543210";
const BODY: &str = r#"{"type":"Text","text":"Grüße"}"#;

/// `openssl dgst -sha256 -hmac 0123456789abcdef -binary | base64` of the body.
const SIGNATURE: &str = "sha256=37xzWuxx0F4p0eKQi8yvh/JZcILyOyZ02SeFbvEhpwc=";

fn secret(json: serde_json::Value) -> WebhookSecret {
    WebhookSecret::parse(&json.to_string()).unwrap()
}

fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", BASE64_STANDARD.encode(hmac::sign(&key, body)))
}

fn rotating() -> String {
    json!({"webhook_secret": CURRENT, "previous_webhook_secret": PREVIOUS}).to_string()
}

fn sender(remote: &Remote) -> GenesysSender {
    GenesysSender::new(Secret::new(remote.secrets_manager(), "bridge/open-messaging".into()))
}

fn signed(body: &str, signature: Option<&str>) -> HttpEvent {
    let mut event = event("POST", "", body);
    event.headers.hub_signature = signature.map(str::to_owned);
    event
}

#[test]
fn the_signature_is_the_one_that_genesys_cloud_makes() {
    assert_eq!(signature(CURRENT, BODY.as_bytes()), SIGNATURE);
    assert!(secret(json!({"webhook_secret": CURRENT})).has_signed(BODY.as_bytes(), SIGNATURE));
}

#[test]
fn a_secret_has_16_characters_and_during_a_rotation_a_previous_one() {
    let alone = secret(json!({"webhook_secret": format!("{CURRENT}\n")}));
    let emptied = secret(json!({"webhook_secret": CURRENT, "previous_webhook_secret": " "}));
    let both = secret(json!({"webhook_secret": CURRENT, "previous_webhook_secret": PREVIOUS}));
    assert!(emptied.is_same(&alone) && !both.is_same(&alone));
    let by_previous = signature(PREVIOUS, BODY.as_bytes());
    assert!(both.has_signed(BODY.as_bytes(), &by_previous) && both.has_signed(BODY.as_bytes(), SIGNATURE));
    assert!(!alone.has_signed(BODY.as_bytes(), &by_previous));
    // The HMAC with an empty key is anybody's.
    assert!(!emptied.has_signed(BODY.as_bytes(), &signature("", BODY.as_bytes())));
    for bad in [
        json!({}),
        json!({"webhook_secret": " "}),
        json!({"webhook_secret": "hunter2"}),
        json!({"webhook_secret": CURRENT, "previous_webhook_secret": "hunter2"}),
        json!("hunter2"),
    ] {
        let problem = WebhookSecret::parse(&bad.to_string()).unwrap_err();
        assert!(!problem.contains("hunter2") && !problem.is_empty(), "{problem}");
    }
    assert!(!format!("{both:?}").contains("0123") && !format!("{both:?}").contains("fedc"));
    assert!(!format!("{:?}", SignedMessage(b"hunter2".into())).contains("hunter2"));
}

proptest! {
    #[test]
    fn no_byte_of_body_or_signature_may_be_another(
        body in prop::collection::vec(any::<u8>(), 1..200),
        at in any::<prop::sample::Index>(),
        change in 1_u8..,
        by_previous in any::<bool>(),
    ) {
        let secret = WebhookSecret::parse(&rotating()).unwrap();
        let shown = signature(if by_previous { PREVIOUS } else { CURRENT }, &body);
        prop_assert!(secret.has_signed(&body, &shown));
        let mut other = body.clone();
        other[at.index(body.len())] ^= change;
        prop_assert!(!secret.has_signed(&other, &shown));
        prop_assert!(!secret.has_signed(&body[1..], &shown));
        let mut forged = shown.clone().into_bytes();
        let index = at.index(forged.len());
        forged[index] ^= change;
        if let Ok(forged) = String::from_utf8(forged) {
            prop_assert!(!secret.has_signed(&body, &forged));
        }
        prop_assert!(!secret.has_signed(&body, &shown[..index]));
    }

    #[test]
    fn nobody_else_s_signature_is_taken(body in ".*", shown in ".*", stranger in ".{16,40}") {
        let secret = WebhookSecret::parse(&rotating()).unwrap();
        prop_assert!(!secret.has_signed(body.as_bytes(), &shown));
        prop_assert!(!secret.has_signed(body.as_bytes(), &signature(&stranger, body.as_bytes())));
    }
}

#[tokio::test]
async fn the_signed_body_alone_reaches_the_handler_byte_for_byte() {
    let remote = Remote::start().await;
    // Once for all, and once more for the first signature that does not fit.
    remote.secret(&rotating(), 2).await;
    let webhook = Webhook::of("test", Ok((sender(&remote), ())));
    let handle = async |(): &(), _: &RequestContext, message: SignedMessage| {
        assert_eq!(message.body(), BODY.as_bytes());
        Ok(())
    };
    let status = async |event: HttpEvent| {
        let response = webhook.answer(event, lambda(), handle).await;
        assert_eq!(response.body, None, "Genesys Cloud reads the status alone");
        response.status_code
    };
    let encoded = |text: &str| {
        let mut event = signed(&BASE64_STANDARD.encode(text), Some(SIGNATURE));
        event.is_base64_encoded = true;
        event
    };
    let by_previous = signature(PREVIOUS, BODY.as_bytes());
    assert_eq!(status(signed(BODY, Some(SIGNATURE))).await, 200);
    assert_eq!(status(signed(BODY, Some(&by_previous))).await, 200);
    assert_eq!(status(encoded(BODY)).await, 200);
    assert_eq!(status(signed(BODY, None)).await, 401);
    let spaced = format!("{BODY} ");
    assert_eq!(status(signed(&spaced, Some(SIGNATURE))).await, 401);
    // The secret was read a moment ago: whether it has changed since cannot be told, and Genesys Cloud asks again.
    assert_eq!(status(signed(&spaced, Some(SIGNATURE))).await, 503);
    assert_eq!(status(signed(&"x".repeat(MAX_MESSAGE_BYTES + 1), Some(SIGNATURE))).await, 413);
    let mut get = signed(BODY, Some(SIGNATURE));
    get.request_context.http.method = "GET".into();
    assert_eq!(status(get).await, 405);
}

#[tokio::test]
async fn a_rotated_secret_is_read_again_and_an_outage_is_no_forgery() {
    let remote = Remote::start().await;
    remote.secret(&json!({"webhook_secret": PREVIOUS}).to_string(), 1).await;
    remote.secret(&json!({"webhook_secret": CURRENT}).to_string(), 1).await;
    let (rotated, cx) = (sender(&remote), context(10));
    rotated.warm_up(&cx).await;
    let request = || Unverified { event: signed(BODY, Some(SIGNATURE)) };
    assert_eq!(rotated.verify(&cx, request()).await.unwrap().body(), BODY.as_bytes());
    drop(remote);
    assert!(rotated.verify(&cx, request()).await.is_ok(), "the secret is held");

    let nowhere = Remote::start().await;
    let unreachable = sender(&nowhere);
    drop(nowhere);
    let error = unreachable.verify(&cx, request()).await.unwrap_err();
    assert_eq!((error.code, GenesysSender::is_provoked(&error)), (Code::SECRETS_UNAVAILABLE, false));
    assert!(GenesysSender::is_provoked(&Error::new(Code::SIGNATURE_UNKNOWN, "")));
}
