//! Every check of an activity, in its order: what passes, and each thing that must not.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::check::FailedCheck;
use super::*;
use crate::auth::signing_keys::BotFrameworkKeys;
use crate::auth::signing_keys::signer::TokenSigner;
use crate::config::Environment;
use crate::http::{Deadline, HttpClient, RequestContext};
use crate::remote::Remote;

const APP: &str = "11111111-aaaa-4000-8000-000000000001";
const TENANT: &str = "22222222-bbbb-4000-8000-000000000002";
const ELSEWHERE: &str = "33333333-cccc-4000-8000-000000000003";
const SERVICE: &str = "https://smba.trafficmanager.net/emea/22222222-bbbb-4000-8000-000000000002/";
const ISSUER: &str = "https://api.botframework.com";

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// The claims of a live token: these, and no others.
pub(crate) fn claims() -> Value {
    json!({"aud": APP, "iss": ISSUER, "nbf": now(), "exp": now() + 3600, "serviceurl": SERVICE})
}

fn with(mut json: Value, pointer: &str, value: impl Into<Value>) -> Value {
    *json.pointer_mut(pointer).unwrap() = value.into();
    json
}

fn without(mut json: Value, name: &str) -> Value {
    json.as_object_mut().unwrap().remove(name).unwrap();
    json
}

/// A message to the bot in a chat with one person.
pub(crate) fn personal() -> Value {
    json!({
        "type": "message", "id": "1485983408511", "timestamp": "2026-11-27T09:00:00Z", "channelId": "msteams",
        "serviceUrl": SERVICE, "from": {"id": "29:1XJK", "name": "Kim Lee", "aadObjectId": ELSEWHERE},
        "recipient": {"id": format!("28:{APP}"), "name": "Bridge"},
        "conversation": {"id": "a:17I0", "conversationType": "personal", "tenantId": TENANT},
        "text": "Hello", "textFormat": "plain", "replyToId": null,
        "attachments": [{"contentType": "text/html", "content": "<p>Hello</p>"}],
        "channelData": {"tenant": {"id": TENANT}},
    })
}

fn group() -> Value {
    let conversation = json!({
        "id": "19:meeting@thread.v2", "conversationType": "groupChat", "isGroup": true, "tenantId": TENANT,
    });
    with(personal(), "/conversation", conversation)
}

fn channel() -> Value {
    let conversation = json!({
        "id": "19:c@thread.tacv2;messageid=1700", "conversationType": "channel", "isGroup": true, "tenantId": TENANT,
    });
    let data = json!({
        "tenant": {"id": TENANT}, "team": {"id": "19:t@thread.tacv2"}, "channel": {"id": "19:c@thread.tacv2"},
    });
    with(with(personal(), "/conversation", conversation), "/channelData", data)
}

/// A bot, and the Bot Framework that its check knows.
pub(crate) struct Scene {
    remote: Remote,
    pub(crate) check: TokenCheck,
    pub(crate) framework: TokenSigner,
    cx: RequestContext,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        Self::endorsing(json!(["msteams", "webchat"])).await
    }

    async fn endorsing(endorsements: Value) -> Self {
        let (remote, framework) = (Remote::start().await, TokenSigner::new("known"));
        let metadata = json!({"issuer": ISSUER, "jwks_uri": format!("{}/keys", remote.uri())});
        remote.once("GET", "/metadata", 200, metadata).await;
        let mut jwk = framework.jwk.clone();
        jwk["endorsements"] = endorsements;
        remote.once("GET", "/keys", 200, json!({"keys": [jwk]})).await;
        let check = check_at(&remote);
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
        Self { remote, check, framework, cx }
    }

    /// A bot whose Bot Framework cannot be reached.
    pub(crate) async fn away() -> Self {
        let (remote, framework) = (Remote::start().await, TokenSigner::new("known"));
        remote.once("GET", "/metadata", 404, json!({})).await;
        let check = check_at(&remote);
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
        Self { remote, check, framework, cx }
    }

    async fn check(&self, token: &str, body: &[u8]) -> Result<VerifiedActivity, CheckError> {
        let token = BearerToken::of(Some(&format!("Bearer {token}").into())).map_err(CheckError::Refused)?;
        self.check.check(&self.cx, &token, body, Timestamp::now()).await
    }

    async fn posts(&self, claims: &Value, activity: &Value) -> Result<VerifiedActivity, CheckError> {
        self.check(&self.framework.sign(claims), activity.to_string().as_bytes()).await
    }

    async fn refuses(&self, claims: &Value, activity: &Value, check: FailedCheck) {
        assert_eq!(self.posts(claims, activity).await, Err(CheckError::Refused(check)), "{claims} {activity}");
    }
}

fn check_at(remote: &Remote) -> TokenCheck {
    let metadata = format!("{}/metadata", remote.uri()).parse().unwrap();
    let keys = BotFrameworkKeys::new(HttpClient::new().unwrap(), metadata);
    TokenCheck::new(keys, APP.parse().unwrap(), TENANT.parse().unwrap())
}

#[tokio::test]
async fn an_activity_of_each_scope_passes_with_its_signed_address() {
    let scene = Scene::start().await;
    let invoke = with(personal(), "/type", "invoke");
    for activity in [personal(), group(), channel(), invoke] {
        let verified = scene.posts(&claims(), &activity).await.unwrap();
        assert_eq!(Value::Object(verified.activity().fields().clone()), activity);
        let read = verified.activity();
        let ids = (read.kind(), read.id(), read.conversation_id());
        let sent = ["/type", "/id", "/conversation/id"].map(|at| activity.pointer(at).unwrap().as_str().unwrap());
        assert_eq!(ids, (sent[0], sent[1], sent[2]));
        assert_eq!(read.is_invoke(), sent[0] == "invoke");
        let (_, service_url) = verified.into_parts();
        assert_eq!(service_url.base().join([]).as_str(), SERVICE.trim_end_matches('/'));
    }
}

#[tokio::test]
async fn what_microsoft_may_write_otherwise_passes() {
    let scene = Scene::start().await;
    let shouted = TENANT.to_uppercase();
    for (claims, activity) in [
        (with(claims(), "/aud", APP.to_uppercase()), personal()),
        (without(claims(), "nbf"), personal()),
        (with(claims(), "/serviceurl", SERVICE.trim_end_matches('/')), personal()),
        (claims(), with(personal(), "/serviceUrl", SERVICE.replace("smba", "SMBA"))),
        (claims(), with(personal(), "/recipient/id", format!("28:{}", APP.to_uppercase()))),
        (claims(), with(personal(), "/conversation/tenantId", shouted.as_str())),
        (claims(), with(personal(), "/conversation/tenantId", Value::Null)),
        (claims(), without(personal(), "channelData")),
        (claims(), with(personal(), "/type", "a type to come")),
        (claims(), with(personal(), "/text", json!({"no": "text"}))),
    ] {
        assert!(scene.posts(&claims, &activity).await.is_ok(), "{claims} {activity}");
    }
}

#[tokio::test]
async fn a_header_that_is_not_bearer_and_one_token_is_refused() {
    let of = |header: &str| BearerToken::of(Some(&SecretString::from(header)));
    assert!(of("Bearer a.b.c").is_ok() && of("bearer a.b.c").is_ok());
    for header in [
        "",
        "Bearer",
        "Bearer ",
        "a.b.c",
        " Bearer a.b.c",
        "Bearer  a.b.c",
        "Bearer a.b.c ",
        "Bearer a.b.c d",
        "Bearer a.b.c,Bearer d",
        "Bearer a.b.c\t",
        "Basic a.b.c",
        "Bearer\ta.b.c",
        "Bearer ä",
    ] {
        assert_eq!(of(header).unwrap_err(), FailedCheck::Bearer, "{header:?}");
    }
    assert_eq!(BearerToken::of(None).unwrap_err(), FailedCheck::Bearer);
    assert!(!format!("{:?}", of("Bearer hunter2")).contains("hunter2"));
}

#[tokio::test]
async fn a_token_that_is_not_signed_by_a_known_key_is_refused() {
    let scene = Scene::start().await;
    let body = personal().to_string();
    let header = |alg, kid: Option<&str>| Header { kid: kid.map(Into::into), ..Header::new(alg) };
    let by = |header: &Header, key: &EncodingKey| jsonwebtoken::encode(header, &claims(), key).unwrap();
    let key = &scene.framework.key;
    let guessed = EncodingKey::from_secret(b"guessed");
    let good = scene.framework.sign(&claims());
    let (head, rest) = good.split_once('.').unwrap();
    // {"alg":"none","kid":"known"}
    let none = "eyJhbGciOiJub25lIiwia2lkIjoia25vd24ifQ";
    for (token, check) in [
        (by(&header(Algorithm::RS384, Some("known")), key), FailedCheck::Algorithm),
        (by(&header(Algorithm::RS512, Some("known")), key), FailedCheck::Algorithm),
        (by(&header(Algorithm::PS256, Some("known")), key), FailedCheck::Algorithm),
        (by(&header(Algorithm::HS256, Some("known")), &guessed), FailedCheck::Algorithm),
        (by(&header(Algorithm::RS256, None), key), FailedCheck::Key),
        (by(&header(Algorithm::RS256, Some("unknown")), key), FailedCheck::Key),
        (by(&header(Algorithm::RS256, Some("")), key), FailedCheck::Key),
        (TokenSigner::new("known").sign(&claims()), FailedCheck::Signature),
        (format!("{none}.{}", rest.rsplit_once('.').unwrap().0) + ".", FailedCheck::Header),
        (format!("{none}.{rest}"), FailedCheck::Header),
        (head.to_owned(), FailedCheck::Header),
        ("a.b.c".to_owned(), FailedCheck::Header),
        (format!("{good}."), FailedCheck::Header),
    ] {
        assert_eq!(scene.check(&token, body.as_bytes()).await, Err(CheckError::Refused(check)), "{token}");
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_or_another_time_is_refused() {
    let scene = Scene::start().await;
    let activity = personal();
    let emulator = "https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/";
    for issuer in [emulator, "https://api.botframework.us", "https://api.botframework.com/", "", ELSEWHERE] {
        scene.refuses(&with(claims(), "/iss", issuer), &activity, FailedCheck::Issuer).await;
    }
    let entra = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    scene.refuses(&with(claims(), "/iss", entra), &activity, FailedCheck::Issuer).await;
    for audience in [ELSEWHERE.to_owned(), format!("api://{APP}"), format!("api://botid-{APP}"), format!("{{{APP}}}")] {
        scene.refuses(&with(claims(), "/aud", audience), &activity, FailedCheck::Audience).await;
    }
    for claim in ["aud", "iss", "exp"] {
        scene.refuses(&without(claims(), claim), &activity, FailedCheck::Claims).await;
        scene.refuses(&with(claims(), &format!("/{claim}"), json!([APP])), &activity, FailedCheck::Claims).await;
    }
    for no_time in [json!("tomorrow"), json!(null), json!(-1), json!(i64::MIN)] {
        scene.refuses(&with(claims(), "/exp", no_time), &activity, FailedCheck::Claims).await;
    }
    for expired in [now() - 301, now() - 300, 0] {
        scene.refuses(&with(claims(), "/exp", expired), &activity, FailedCheck::Expiry).await;
    }
    for future in [now() + 310, i64::MAX] {
        scene.refuses(&with(claims(), "/nbf", future), &activity, FailedCheck::Expiry).await;
    }
    let late = with(with(claims(), "/exp", now() - 290), "/nbf", now() + 290);
    assert!(scene.posts(&late, &activity).await.is_ok(), "clocks may differ by five minutes");
}

#[tokio::test]
async fn the_activity_must_be_the_one_that_the_token_was_made_out_for() {
    let scene = Scene::start().await;
    for url in [
        json!("https://smba.evil.trafficmanager.net/"),
        json!("https://smba.trafficmanager.net/emea/"),
        json!(format!("https://smba.trafficmanager.net/amer/{TENANT}/")),
        json!(format!("https://smba.trafficmanager.net@evil.example/emea/{TENANT}/")),
        json!(""),
        json!(null),
        json!([SERVICE]),
        json!({"url": SERVICE}),
    ] {
        scene.refuses(&claims(), &with(personal(), "/serviceUrl", url), FailedCheck::ServiceUrl).await;
    }
    scene.refuses(&claims(), &without(personal(), "serviceUrl"), FailedCheck::ServiceUrl).await;
    scene.refuses(&without(claims(), "serviceurl"), &personal(), FailedCheck::ServiceUrl).await;
    scene
        .refuses(&with(claims(), "/serviceurl", ""), &with(personal(), "/serviceUrl", ""), FailedCheck::ServiceUrl)
        .await;

    for channel in [json!("slack"), json!("MSTEAMS"), json!(""), json!(null), json!(["msteams"])] {
        scene.refuses(&claims(), &with(personal(), "/channelId", channel), FailedCheck::Endorsement).await;
    }
    // Endorsed, and not Teams.
    scene.refuses(&claims(), &with(personal(), "/channelId", "webchat"), FailedCheck::Channel).await;

    for recipient in [json!(format!("28:{ELSEWHERE}")), json!(APP), json!(format!("29:{APP}")), json!(null), json!(28)]
    {
        scene.refuses(&claims(), &with(personal(), "/recipient/id", recipient), FailedCheck::Recipient).await;
    }
    for tenant in [json!(ELSEWHERE), json!(""), json!(7), json!([TENANT]), json!(TENANT.replace('-', ""))] {
        for place in ["/conversation/tenantId", "/channelData/tenant/id"] {
            scene.refuses(&claims(), &with(personal(), place, tenant.clone()), FailedCheck::Tenant).await;
        }
    }
    let nowhere = without(with(personal(), "/conversation/tenantId", Value::Null), "channelData");
    scene.refuses(&claims(), &nowhere, FailedCheck::Tenant).await;
}

#[tokio::test]
async fn a_key_without_an_endorsement_signs_for_no_channel() {
    for endorsements in [json!([]), Value::Null, json!(["slack"]), json!("msteams")] {
        let scene = Scene::endorsing(endorsements).await;
        scene.refuses(&claims(), &personal(), FailedCheck::Endorsement).await;
    }
}

#[tokio::test]
async fn a_body_is_read_once_and_only_as_far_as_it_goes() {
    let scene = Scene::start().await;
    let token = scene.framework.sign(&claims());
    let deep = |depth: usize| {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        personal().to_string().replacen("\"Hello\"", &nested, 1)
    };
    for body in ["", "[]", "null", "\"msteams\"", "{", "{} {}", &deep(128), &deep(100_000)] {
        assert_eq!(scene.check(&token, body.as_bytes()).await, Err(CheckError::NoActivity), "{:.40}", body);
    }
    assert!(scene.check(&token, deep(100).as_bytes()).await.is_ok());
    assert!(scene.check(&token, br#"{}"#).await.is_err());
    // The address that was compared is the only one that is left.
    let twice = personal().to_string().replacen('{', r#"{"serviceUrl":"https://evil.example/","#, 1);
    let verified = scene.check(&token, twice.as_bytes()).await.unwrap();
    assert_eq!(verified.activity().fields()["serviceUrl"], SERVICE);
    let twice = personal().to_string().replacen("\"type\"", r#""serviceUrl":"https://evil.example/","type""#, 1);
    let outcome = scene.check(&token, twice.as_bytes()).await;
    assert_eq!(outcome, Err(CheckError::Refused(FailedCheck::ServiceUrl)), "of two the last counts");
    // Half an emoji, and bytes that are no text, lose nobody's message.
    let half = personal().to_string().replacen("\"Hello\"", r#""a\ud83d""#, 1);
    assert_eq!(scene.check(&token, half.as_bytes()).await.unwrap().activity().fields()["text"], "a\u{FFFD}");
}

#[tokio::test]
async fn without_keys_nothing_is_judged() {
    let away = Scene::away().await;
    let outcome = away.posts(&claims(), &personal()).await;
    assert!(matches!(outcome, Err(CheckError::NoKeys(_))), "{outcome:?}");
}

#[test]
fn no_changed_token_passes_and_no_activity_of_another_address_or_tenant() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scene = runtime.block_on(Scene::start());
    let token = scene.framework.sign(&claims());
    let body = personal().to_string();
    let passes = |token: &str, body: &str| runtime.block_on(scene.check(token, body.as_bytes())).is_ok();
    assert!(passes(&token, &body));

    let changes = (any::<prop::sample::Index>(), 0x21_u8..0x7F);
    let changed = TestRunner::default().run(&changes, |(at, byte)| {
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(!passes(&String::from_utf8(bytes).unwrap(), &body));
        Ok(())
    });
    changed.unwrap();

    let others = "\\PC{0,60}";
    let foreign = TestRunner::default().run(&(others, 0_usize..5), |(text, place)| {
        let place =
            ["/serviceUrl", "/channelId", "/recipient/id", "/conversation/tenantId", "/channelData/tenant/id"][place];
        prop_assert!(!passes(&token, &with(personal(), place, text).to_string()), "{}", place);
        Ok(())
    });
    foreign.unwrap();
    drop(runtime.block_on(async { scene.remote }));
}

#[tokio::test]
async fn all_settings_that_are_missing_are_named_at_once() {
    let read = |variables: &[(&str, &str)]| {
        let mut env = Environment::of(variables.iter().copied());
        let mut startup = crate::startup::Startup::with(&mut env, aws_config::SdkConfig::builder().build()).unwrap();
        let check = TokenCheck::from_startup(&mut startup);
        env.finish(check).map(|check| format!("{check:?}")).map_err(|error| error.problems)
    };
    assert_eq!(read(&[]).unwrap_err(), ["BOT_APP_ID is not set", "BOT_TENANT_ID is not set"]);
    assert!(read(&[("BOT_APP_ID", APP), ("BOT_TENANT_ID", TENANT)]).is_ok());
    let wrong = read(&[
        ("BOT_APP_ID", "the bot"),
        ("BOT_TENANT_ID", "contoso.com"),
        ("BOT_LOGIN_METADATA_URL", "http://login.botframework.com/"),
    ]);
    let problems = wrong.unwrap_err();
    for (problem, variable) in problems.iter().zip(["BOT_APP_ID: ", "BOT_TENANT_ID: ", "BOT_LOGIN_METADATA_URL: "]) {
        assert!(problem.starts_with(variable), "{problem}");
    }
    assert_eq!(problems.len(), 3);
}
