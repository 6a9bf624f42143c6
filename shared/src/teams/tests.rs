use proptest::prelude::*;
use serde_json::json;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockBuilder, ResponseTemplate};

use super::*;
use crate::auth::AuthError;
use crate::remote::{Remote, context};
use crate::secrets::SecretError;

const CHAT: &str = "a:17I0";
const AT: &str = "/emea/t/v3/conversations/a:17I0/activities";

struct Scene {
    remote: Remote,
    client: TeamsClient,
    service: ServiceUrl,
}

impl Scene {
    async fn new() -> Self {
        let remote = Remote::start().await;
        let hosts: ServiceHosts = remote.0.address().to_string().parse().unwrap();
        let service = hosts.admit(&format!("{}/emea/t/", remote.uri())).unwrap();
        let client = TeamsClient::new(remote.entra().await, hosts, service.clone());
        Self { remote, client, service }
    }

    fn to(&self) -> ConversationAddress<'_> {
        ConversationAddress { service_url: &self.service, conversation_id: CHAT }
    }

    async fn send(&self, message: &BotMessage) -> Result<SentMessage, TeamsError> {
        self.client.send(&context(10), self.to(), message).await
    }
}

fn call(verb: &str, at: &str) -> MockBuilder {
    Mock::given(method(verb)).and(path(at)).and(header("authorization", "Bearer graph-token"))
}

fn taken() -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(json!({"id": "1632"}))
}

fn refused(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error": {"code": code, "message": "of the vendor"}}))
}

/// The answer to a message, where the connector answers it like this.
async fn answer(responses: impl IntoIterator<Item = ResponseTemplate>) -> Result<SentMessage, TeamsError> {
    let scene = Scene::new().await;
    for response in responses {
        scene.remote.expect(call("POST", AT), 1, response).await;
    }
    scene.send(&BotMessage::plain("Hello")).await
}

#[tokio::test]
async fn what_teams_is_sent() {
    let scene = Scene::new().await;
    let kim = Mention { id: "29:1XJK".into(), name: "Kim & Lee".into() };
    let xml = MessageContent::Text { text: format!("Hi {}", kim.tag()), format: TextFormat::Xml, mentions: vec![kim] };
    let card = MessageContent::Card(json!({"type": "AdaptiveCard", "version": "1.5", "body": []}));
    let (media_type, url, name) = ("image/png".into(), "https://media.example/p.png".into(), "p.png".into());
    let messages = [
        BotMessage::plain("Hello <at>you</at>"),
        BotMessage { summary: Some("A word".into()), alert: true, ..BotMessage::new(xml) },
        BotMessage::new(card),
        BotMessage::new(MessageContent::Picture { media_type, url, name }),
    ];
    scene.remote.expect(call("POST", AT), 5, taken()).await;
    for message in &messages {
        let sent = scene.send(message).await.unwrap();
        assert_eq!(sent, SentMessage { id: Some("1632".into()), moved_to: None });
    }
    assert_eq!(scene.client.show_typing(&context(10), scene.to()).await, Ok(false), "a burst has just left");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(scene.client.show_typing(&context(10), scene.to()).await, Ok(true));
    let mut bodies = scene.remote.bodies(AT).await;

    let of_message = format!("{AT}/1632");
    scene.remote.expect(call("POST", &of_message), 1, taken()).await;
    scene.remote.expect(call("PUT", &of_message), 1, taken()).await;
    scene.remote.expect(call("DELETE", &of_message), 1, ResponseTemplate::new(200)).await;
    let cx = context(10);
    scene.client.reply(&cx, scene.to(), "1632", &BotMessage::plain("Yes")).await.unwrap();
    scene.client.update(&cx, scene.to(), "1632", &BotMessage::plain("No")).await.unwrap();
    scene.client.delete(&cx, scene.to(), "1632").await.unwrap();
    bodies.extend(scene.remote.bodies(&of_message).await);

    let opened = json!({"id": "a:new", "activityId": null, "serviceUrl": "https://smba.evil.trafficmanager.net/"});
    let created = ResponseTemplate::new(201).set_body_json(opened);
    scene.remote.expect(call("POST", "/emea/t/v3/conversations"), 1, created).await;
    let chat = scene.client.open_personal_chat(&cx, &scene.service, "t", "u-1").await.unwrap();
    assert_eq!(chat, PersonalChat { conversation_id: "a:new".into(), service_url: scene.service.clone() });
    bodies.extend(scene.remote.bodies("/emea/t/v3/conversations").await);
    insta::assert_snapshot!(bodies.join("\n"));
}

#[tokio::test]
async fn any_2xx_is_an_acceptance_whatever_its_body() {
    for response in [ResponseTemplate::new(202), ResponseTemplate::new(200).set_body_string("<html>")] {
        assert_eq!(answer([response]).await, Ok(SentMessage::default()));
    }
    assert_eq!(answer([ResponseTemplate::new(201).set_body_json(json!({"id": ""}))]).await, Ok(SentMessage::default()));
}

#[tokio::test]
async fn each_refusal_is_what_microsoft_s_table_says() {
    let code = |code: &str| code.to_owned();
    let mut texts = String::new();
    let rejected =
        |status, code: &str| TeamsError::Rejected { status, code: code.into(), text: "of the vendor".into() };
    for (status, word, expected, ends) in [
        (400, "Bad Argument", rejected(400, "Bad Argument"), false),
        (400, "BadSyntax", rejected(400, "BadSyntax"), false),
        (403, "BotDisabledByAdmin", TeamsError::DisabledByAdmin, true),
        (403, "BotNotInConversationRoster", TeamsError::NotInConversation, true),
        (404, "BotNotInConversationRoster", TeamsError::NotInConversation, true),
        (403, "ConversationBlockedByUser", TeamsError::BlockedByUser, true),
        (403, "ForbiddenOperationException", TeamsError::NotInstalled, true),
        (403, "InvalidBotApiHost", TeamsError::OtherHost, false),
        (403, "NotEnoughPermissions", TeamsError::PermissionMissing { text: "of the vendor".into() }, false),
        (403, "ServiceError", TeamsError::Forbidden { code: code("ServiceError") }, true),
        (404, "ActivityNotFoundInConversation", TeamsError::MessageGone, false),
        (404, "ConversationNotFound", TeamsError::ConversationNotFound { code: code("ConversationNotFound") }, false),
        (413, "MessageSizeTooBig", TeamsError::TooLarge { bytes: None }, false),
        (500, "ServiceError", TeamsError::Ambiguous("HTTP 500 ServiceError".into()), false),
        (408, "ServiceError", TeamsError::Ambiguous("HTTP 408 ServiceError".into()), false),
        (502, "ServiceError", TeamsError::Ambiguous("HTTP 502 ServiceError".into()), false),
        (503, "ServiceError", TeamsError::Ambiguous("HTTP 503 ServiceError".into()), false),
        (504, "ServiceError", TeamsError::Ambiguous("HTTP 504 ServiceError".into()), false),
    ] {
        // Exactly one request: nothing of this is sent again, whatever `Retry-After` says.
        let error = answer([refused(status, word).insert_header("retry-after", "0")]).await.unwrap_err();
        assert_eq!(error, expected);
        assert_eq!(error.ends_reference(), ends, "{word}");
        assert!(!error.passes(), "{word}");
        assert!(!error.to_string().contains("of the vendor"), "{error}");
        texts.push_str(&format!("{status} {word}: {error}\n"));
    }
    insta::assert_snapshot!(texts);
}

#[tokio::test]
async fn the_older_shape_of_a_refusal_is_understood() {
    let inner = json!({"subCode": "MessageWritesBlocked", "details": "Thread is not accepting message writes"});
    let body = json!({"errorCode": 209, "message": inner.to_string()});
    let refusal = ResponseTemplate::new(403).set_body_json(body);
    assert_eq!(answer([refusal]).await, Err(TeamsError::BlockedByUser));
    assert_eq!(answer([ResponseTemplate::new(403)]).await, Err(TeamsError::Forbidden { code: String::new() }));
}

#[tokio::test]
async fn what_teams_has_certainly_not_taken_is_sent_again() {
    let throttled = || refused(429, "Throttled").insert_header("retry-after", "0.1");
    assert!(answer([throttled(), taken()]).await.is_ok());
    assert!(answer([refused(412, "PreconditionFailed"), taken()]).await.is_ok());
    let error = answer([(); 3].map(|()| refused(412, "PreconditionFailed"))).await.unwrap_err();
    assert!(error == TeamsError::Busy && error.passes());
}

#[tokio::test]
async fn a_throttled_conversation_is_left_alone_as_long_as_teams_says() {
    let scene = Scene::new().await;
    scene.remote.expect(call("POST", AT), 1, refused(429, "Throttled").insert_header("retry-after", "120")).await;
    let wait = |result| match result {
        Err(TeamsError::Throttled { retry_after: Some(wait) }) => wait,
        other => panic!("{other:?}"),
    };
    assert_eq!(wait(scene.send(&BotMessage::plain("Hello")).await), Duration::from_secs(120));
    // The second one is not sent at all.
    assert!(wait(scene.send(&BotMessage::plain("Hello")).await) > Duration::from_secs(115));
    assert_eq!(scene.client.show_typing(&context(10), scene.to()).await, Ok(false));
}

#[tokio::test]
async fn an_indicator_is_worth_no_wait() {
    let scene = Scene::new().await;
    scene.remote.expect(call("POST", AT), 1, refused(429, "Throttled").insert_header("retry-after", "5")).await;
    let started = tokio::time::Instant::now();
    let shown = scene.client.show_typing(&context(30), scene.to()).await;
    assert_eq!(shown, Err(TeamsError::Throttled { retry_after: Some(Duration::from_secs(5)) }));
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_new_token_is_fetched_once_and_then_the_bot_is_not_registered() {
    let scene = Scene::new().await;
    let token = json!({"access_token": "graph-token", "expires_in": 3599});
    scene.remote.once("POST", "/t/oauth2/v2.0/token", 200, token).await;
    scene.remote.expect(call("POST", AT), 2, refused(401, "BotNotRegistered")).await;
    let error = scene.send(&BotMessage::plain("Hello")).await.unwrap_err();
    assert_eq!(error, TeamsError::BotNotRegistered { code: "BotNotRegistered".into() });
}

#[tokio::test]
async fn a_tenant_of_gcc_is_served_by_its_host_and_the_caller_learns_of_it() {
    let gcc = Remote::start().await;
    let mut scene = Scene::new().await;
    let there: ServiceHosts = gcc.0.address().to_string().parse().unwrap();
    let there = there.admit(&format!("{}/teams/", gcc.uri())).unwrap();
    scene.client.gcc = Some(there.clone());
    let at = "/teams/v3/conversations/a:17I0/activities";
    for (response, expected) in [
        (taken(), Ok(SentMessage { id: Some("1632".into()), moved_to: Some(there) })),
        (refused(403, "InvalidBotApiHost"), Err(TeamsError::OtherHost)),
    ] {
        scene.remote.expect(call("POST", AT), 1, refused(403, "InvalidBotApiHost")).await;
        gcc.expect(call("POST", at), 1, response).await;
        assert_eq!(scene.send(&BotMessage::plain("Hello")).await, expected);
    }
}

#[tokio::test]
async fn a_correction_is_harmless_twice_so_it_is_retried() {
    let at = format!("{AT}/1632");
    let update = async |responses: Vec<ResponseTemplate>| {
        let scene = Scene::new().await;
        for response in responses {
            scene.remote.expect(call("PUT", &at), 1, response).await;
        }
        scene.client.update(&context(10), scene.to(), "1632", &BotMessage::plain("No")).await
    };
    for status in [408, 502, 503, 504] {
        assert_eq!(update(vec![refused(status, "ServiceError"), taken()]).await, Ok(()), "{status}");
    }
    // A card that was deleted; the conversation is as it was.
    for (status, code) in [(403, "ServiceError"), (404, "ActivityNotFoundInConversation")] {
        let error = update(vec![refused(status, code)]).await.unwrap_err();
        assert!(error == TeamsError::MessageGone && !error.ends_reference());
        let scene = Scene::new().await;
        scene.remote.expect(call("DELETE", &at), 1, refused(status, code)).await;
        assert_eq!(scene.client.delete(&context(10), scene.to(), "1632").await, Ok(()));
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_not_sent() {
    let scene = Scene::new().await;
    let error = scene.send(&BotMessage::plain("ü".repeat(MOST_MESSAGE_BYTES / 2))).await.unwrap_err();
    assert!(matches!(error, TeamsError::TooLarge { bytes: Some(bytes) } if bytes > MOST_MESSAGE_BYTES));
    assert!(error.to_string().contains("in parts"), "{error}");
    // Pictures in the message do not count.
    let url = format!("data:image/png;base64,{}", "A".repeat(MOST_MESSAGE_BYTES));
    let picture = MessageContent::Picture { media_type: "image/png".into(), url, name: "p.png".into() };
    scene.remote.expect(call("POST", AT), 1, taken()).await;
    scene.send(&BotMessage::new(picture)).await.unwrap();
}

#[test]
fn the_settings_name_hosts_and_the_first_one_is_among_them() {
    let read = |variables: &[(&str, &str)]| {
        let mut env = Environment::of(variables.iter().copied());
        let hosts = service_hosts(&mut env);
        let first = hosts.and_then(|hosts| first_service_url(&mut env, &hosts));
        env.finish(first).map(|url| url.as_str().to_owned()).map_err(|error| error.problems.join("; "))
    };
    assert_eq!(read(&[]).as_deref(), Ok(FIRST_SERVICE_URL));
    let gov = ("BOT_SERVICE_URL", "https://smba.infra.gov.teams.microsoft.us/teams/");
    assert_eq!(read(&[gov]).as_deref(), Ok(gov.1));
    let own = ("BOT_SERVICE_HOSTS", "127.0.0.1:4571");
    for wrong in [vec![own], vec![("BOT_SERVICE_URL", "https://smba.evil.trafficmanager.net/")]] {
        let problems = read(&wrong).unwrap_err();
        assert!(problems.contains("BOT_SERVICE_URL: the host"), "{problems}");
    }
    assert!(
        read(&[("BOT_SERVICE_HOSTS", "*.trafficmanager.net")]).unwrap_err().contains("BOT_SERVICE_HOSTS: expected")
    );
}

#[test]
fn each_cloud_has_its_own_bot_framework() {
    for (login, expected) in [
        ("https://login.microsoftonline.com", "https://api.botframework.com"),
        ("https://login.microsoftonline.us", "https://api.botframework.us"),
        ("https://login.partner.microsoftonline.cn", "https://api.botframework.azure.cn"),
        ("http://127.0.0.1:4568", "https://api.botframework.com"),
    ] {
        assert_eq!(resource(&login.parse().unwrap()), expected);
    }
}

#[test]
fn an_outage_passes_and_a_refused_credential_does_not() {
    let (issuer, code) = ("Microsoft Entra ID", crate::error::Code::ENTRA_UNAVAILABLE);
    let outage = AuthError::Unavailable { issuer, reason: "HTTP 503".into(), code };
    let of_secrets = AuthError::Secret(SecretError::Unavailable { id: "bot".into(), cause: "HTTP 503".into() });
    let refused = AuthError::Refused { issuer, reason: "AADSTS".into(), remedy: "", description: String::new(), code };
    assert_eq!([outage, of_secrets, refused].map(|error| TeamsError::Auth(error).passes()), [true, true, false]);
}

proptest! {
    #[test]
    fn no_answer_is_too_strange_to_read(status in 400_u16..600, body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let reply = Reply { status: StatusCode::from_u16(status).unwrap(), body, ..Reply::default() };
        let error = TeamsError::from_reply(&reply);
        // What may have been taken is told apart from what was certainly refused, by the status alone.
        prop_assert_eq!(matches!(error, TeamsError::Ambiguous(_)), status == 408 || status >= 500);
    }
}
