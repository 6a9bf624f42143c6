use std::sync::Mutex;

use proptest::prelude::*;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockBuilder, ResponseTemplate};

use super::images::IMAGE_TRIES;
use super::*;
use crate::chat::text::named;
use crate::error::Code;
use crate::media::{Media, MediaError};
use crate::remote::{Remote, context};
use crate::store::chat_names::MemoryChatNames;

const INTEGRATION: &str = "3f9b4e2a-0c1d-4e5f-8a7b-6c5d4e3f2a1b";
const CHAT: &str = "19:a_b@unq.gbl.spaces";
const INBOUND: &str = "/api/v2/conversations/messages/3f9b4e2a-0c1d-4e5f-8a7b-6c5d4e3f2a1b/inbound/open/message";
const IMAGE: &str = "/v1.0/chats/19:a_b@unq.gbl.spaces/messages/1/hostedContents/aWQ9/$value";

/// Keeps what it is given, or fails as it is told.
#[derive(Default)]
struct Kept {
    media: Mutex<Vec<Media>>,
    failure: Option<MediaError>,
}

impl MediaStore for Kept {
    async fn put(&self, _cx: &RequestContext, media: Media) -> Result<String, MediaError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mut kept = self.media.lock().unwrap();
        kept.push(media);
        Ok(format!("https://bucket.example/{}?X-Amz-Signature=s", kept.len()))
    }
}

const FIRST: Attempt = Attempt { before: None, receives: 1, doubts: 0, tries: 0 };

struct Scene {
    microsoft: Remote,
    genesys: Remote,
    sink: OpenMessaging<Kept, MemoryChatNames>,
}

impl Scene {
    async fn of(store: Kept) -> Self {
        Self::with_agents(store, "").await
    }

    async fn with_agents(store: Kept, agents: &str) -> Self {
        Self::with(store, agents, "repeat").await
    }

    async fn with(store: Kept, agents: &str, in_doubt: &str) -> Self {
        let (microsoft, genesys) = (Remote::start().await, Remote::start().await);
        let graph = format!("{}/v1.0", microsoft.uri()).parse().unwrap();
        let graph = GraphClient::new(microsoft.entra().await, graph);
        let client = GenesysClient::new(genesys.genesys().await, genesys.uri().parse().unwrap());
        let mut env = Environment::of([
            ("OPEN_MESSAGING_INTEGRATION_ID", INTEGRATION),
            ("MEDIA_BUCKET", "bridge-media"),
            ("MEDIA_MAX_BYTES", "100"),
            ("CHAT_AGENTS", agents),
            ("OPEN_MESSAGING_IN_DOUBT", in_doubt),
        ]);
        let settings = OpenMessagingSettings::read(&mut env).unwrap();
        let sink = OpenMessaging::new(Arc::new(graph), Arc::new(client), store, MemoryChatNames::default(), settings);
        Self { microsoft, genesys, sink }
    }

    fn html(&self, html: &str) -> String {
        html.replace("GRAPH", &self.microsoft.uri())
    }

    async fn image(&self, times: u64, answer: ResponseTemplate) {
        self.microsoft.expect(Mock::given(method("GET")).and(path(IMAGE)), times, answer).await;
    }

    async fn deliver(&self, message: &Value, before: Option<i64>, receives: u32) -> Result<Delivered, Error> {
        self.attempt(message, Attempt { before, receives, doubts: 0, tries: receives - 1 }).await
    }

    async fn attempt(&self, message: &Value, attempt: Attempt) -> Result<Delivered, Error> {
        self.deliver_change(&change("created", "2024-04-02T03:10:45Z"), message, attempt).await
    }

    async fn deliver_change(&self, change: &Change, message: &Value, attempt: Attempt) -> Result<Delivered, Error> {
        let message: ChatMessage = serde_json::from_value(message.clone()).unwrap();
        self.sink.deliver(&context(10), change, &message, attempt).await
    }

    /// The message as Genesys Cloud gets it.
    async fn sent(&self, message: &Value, before: Option<i64>, receives: u32) -> Value {
        self.genesys.expect(inbound_call(), 1, ResponseTemplate::new(200)).await;
        assert_eq!(self.deliver(message, before, receives).await.unwrap(), Delivered::Delivered);
        let bodies = self.genesys.bodies(INBOUND).await;
        serde_json::from_str(bodies.last().unwrap()).unwrap()
    }
}

fn inbound_call() -> MockBuilder {
    Mock::given(method("POST")).and(path(INBOUND))
}

fn change(change_type: &str, received_at: &str) -> Change {
    Change {
        subscription_id: "s-1".into(),
        tenant_id: "t-1".into(),
        change_type: change_type.into(),
        received_at: received_at.parse().unwrap(),
        ..Change::default()
    }
}

fn message(html: &str) -> Value {
    json!({
        "id": "1712027444034", "chatId": CHAT, "messageType": "message", "createdDateTime": "2024-04-02T03:10:44.034Z",
        "from": {"user": {"id": "oid", "displayName": "Kim Akers"}}, "body": {"contentType": "html", "content": html},
    })
}

fn with(mut message: Value, name: &str, value: impl Into<Value>) -> Value {
    message[name] = value.into();
    message
}

fn png() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(vec![1, 2, 3], "image/png")
}

#[tokio::test]
async fn a_message_with_an_image_arrives_with_it() {
    let scene = Scene::of(Kept::default()).await;
    scene.image(1, png()).await;
    let html =
        scene.html(&format!("<p>Look at <at id=\"0\">this</at>:</p><p><img src=\"GRAPH{IMAGE}\" alt=\"Part\"></p>"));
    insta::assert_json_snapshot!(scene.sent(&message(&html), None, 1).await);
    let kept = scene.sink.store.media.lock().unwrap();
    assert_eq!((kept[0].content_type.as_str(), kept[0].bytes.as_slice()), ("image/png", &[1, 2, 3][..]));
}

#[tokio::test]
async fn an_edit_says_that_it_is_one_if_there_is_something_to_edit() {
    let scene = Scene::of(Kept::default()).await;
    let edited = with(message("<p>new</p>"), "lastEditedDateTime", "2024-04-02T03:12:00Z");
    let first = scene.sent(&edited, None, 1).await;
    assert_eq!((&first["text"], &first["channel"]["time"]), (&json!("new"), &json!("2024-04-02T03:12:00.000Z")));
    let again = scene.sent(&edited, Some(1_712_027_444_034), 1).await;
    assert_eq!((&again["text"], &again["metadata"]["teamsEvent"]), (&json!("[edited]\nnew"), &json!("edited")));
    assert_eq!(first["channel"]["messageId"], again["channel"]["messageId"], "the same version has the same id");
    let original = scene.sent(&message("<p>old</p>"), None, 1).await;
    assert_ne!(original["channel"]["messageId"], again["channel"]["messageId"]);
    let emptied = with(edited, "body", json!({"content": ""}));
    assert_eq!(scene.sent(&emptied, Some(1), 1).await["text"], "[edited: the message is empty now]");
}

#[tokio::test]
async fn a_deletion_tells_which_message_and_not_what_it_said() {
    let scene = Scene::of(Kept::default()).await;
    let deleted = with(message("<p>secret</p>"), "deletedDateTime", "2024-04-02T03:12:00Z");
    let sent = scene.sent(&deleted, Some(1_712_027_444_034), 1).await;
    assert_eq!(sent["text"], "[deleted: the message of 2024-04-02 03:10:44 UTC]");
    assert_eq!((&sent["metadata"]["teamsEvent"], sent.get("content")), (&json!("deleted"), None));
    let never = scene.deliver(&deleted, None, 1).await.unwrap();
    assert_eq!(never, Delivered::LeftOut("deleted before it was delivered"));
}

#[tokio::test]
async fn a_message_that_is_blocked_is_not_shown_until_its_sender_releases_it() {
    let scene = Scene::of(Kept::default()).await;
    let card = message(&scene.html(&format!("<p>my card is 4111 1111</p><img src=\"GRAPH{IMAGE}\">")));
    let judged = |user: &str, minute: u8| {
        let violation = json!({
            "dlpAction": "notifySender, blockAccess, blockAccessExternal", "userAction": user, "verdictDetails": "none",
            "policyTip": {"generalText": "blocked"},
        });
        let modified = format!("2024-04-02T03:{minute}:00Z");
        with(with(card.clone(), "policyViolation", violation), "lastModifiedDateTime", modified)
    };
    let version = |message: &Value| serde_json::from_value::<ChatMessage>(message.clone()).unwrap().version();
    let blocked = judged("none", 12);
    let first = scene.sent(&blocked, None, 1).await;
    assert_eq!((&first["text"], first.get("content")), (&json!("[blocked by the organization's policy]"), None));
    let later = scene.sent(&blocked, Some(version(&card)), 1).await;
    assert_eq!(later["text"], "[blocked by the organization's policy: the message of 2024-04-02 03:10:44 UTC]");
    assert_eq!(later["metadata"]["teamsEvent"], "blocked");
    assert!(!later.to_string().contains("4111"));
    let reaction = scene.deliver(&judged("none", 13), Some(version(&blocked)), 1).await.unwrap();
    assert_eq!(reaction, Delivered::LeftOut("nothing that was not told before"));
    scene.image(1, png()).await;
    let released = scene.sent(&judged("override", 14), Some(version(&blocked)), 1).await;
    let text = "[no longer blocked: the message of 2024-04-02 03:10:44 UTC]\nmy card is 4111 1111\n[image]";
    assert_eq!(released["text"], text);
    let message_ids = [&first, &released].map(|sent| sent["channel"]["messageId"].clone());
    assert_ne!(message_ids[0], message_ids[1]);
}

#[tokio::test]
async fn a_reaction_to_a_message_of_last_week_does_not_show_it() {
    let scene = Scene::of(Kept::default()).await;
    let reaction = Delivered::LeftOut("an old message that somebody reacted to");
    let deliver = async |change_type, received_at| {
        scene.deliver_change(&change(change_type, received_at), &message("<p>x</p>"), FIRST).await.unwrap()
    };
    assert_eq!(deliver("updated", "2024-04-09T03:10:45Z").await, reaction);
    let long_ago = with(message("<p>x</p>"), "lastEditedDateTime", "2024-04-02T05:00:00Z");
    let again = scene.deliver_change(&change("updated", "2024-04-09T03:10:45Z"), &long_ago, FIRST).await.unwrap();
    assert_eq!(again, reaction, "nor one that was edited long ago");
    // Created but not notified of until now, or changed before anybody knew of it.
    for (change_type, received_at) in [("created", "2024-04-09T03:10:45Z"), ("updated", "2024-04-03T03:10:45Z")] {
        scene.genesys.expect(inbound_call(), 1, ResponseTemplate::new(200)).await;
        assert_eq!(deliver(change_type, received_at).await, Delivered::Delivered);
    }
    let edited = with(message("<p>y</p>"), "lastEditedDateTime", "2024-04-09T03:10:44Z");
    scene.genesys.expect(inbound_call(), 1, ResponseTemplate::new(200)).await;
    let edited = scene.deliver_change(&change("updated", "2024-04-09T03:10:45Z"), &edited, FIRST).await.unwrap();
    assert_eq!(edited, Delivered::Delivered);
}

#[tokio::test]
async fn what_nobody_said_to_the_agent_is_left_out() {
    let scene = Scene::of(Kept::default()).await;
    let system = with(message("<systemEventMessage/>"), "messageType", "unknownFutureValue");
    let own = with(message("<p>x</p>"), "from", json!({"application": {"id": "C", "displayName": "Bridge"}}));
    let empty = message("<p>&nbsp;</p>");
    for (message, why) in
        [(system, "a system message"), (own, "a message of the bridge's own app"), (empty, "an empty message")]
    {
        assert_eq!(scene.deliver(&message, None, 1).await.unwrap(), Delivered::LeftOut(why));
    }
    let bot = with(message("<p>x</p>"), "from", json!({"application": {"id": "bot", "displayName": null}}));
    assert_eq!(scene.sent(&bot, None, 1).await["channel"]["from"]["nickname"], NAMELESS);
}

const AGENT: &str = "4f3e2d1c-0b9a-4876-9543-210fedcba987";

fn by(id: &str, name: &str, text: &str) -> Value {
    with(message(text), "from", json!({"user": {"id": id, "displayName": name, "userIdentityType": "aadUser"}}))
}

#[tokio::test]
async fn a_second_writer_is_named_in_the_text_and_the_conversation_after_the_first() {
    let scene = Scene::of(Kept::default()).await;
    let written = async |message: &Value, before| {
        let sent = scene.sent(message, before, 1).await;
        let [nickname, text] =
            [&sent["channel"]["from"]["nickname"], &sent["text"]].map(|it| it.as_str().unwrap().to_owned());
        (nickname, text)
    };
    let kim = |text: &str| ("Kim Akers".to_owned(), text.to_owned());
    assert_eq!(written(&by("oid", "Kim Akers", "hello"), None).await, kim("hello"));
    assert_eq!(written(&by(AGENT, "Lee Gu", "<p>hi</p>"), None).await, kim("Lee Gu: hi"));
    assert_eq!(written(&by(AGENT, "Lee Gu", "<p>one</p><p>two</p>"), None).await, kim("Lee Gu:\none\ntwo"));
    assert_eq!(
        written(&by("other", "Kim Akers", "me too"), None).await,
        kim("Kim Akers: me too"),
        "another one of the name"
    );
    assert_eq!(written(&by("oid", "Kim A. Akers", "renamed"), None).await, kim("renamed"));
    let deleted = with(by(AGENT, "Lee Gu", ""), "deletedDateTime", "2024-04-02T03:12:00Z");
    let (_, text) = written(&deleted, Some(1)).await;
    assert_eq!(text, "Lee Gu: [deleted: the message of 2024-04-02 03:10:44 UTC]");
    // Another chat has another first writer.
    let elsewhere = with(by(AGENT, "Lee Gu", "hi"), "chatId", "19:b@thread.v2");
    assert_eq!(written(&elsewhere, None).await, ("Lee Gu".into(), "hi".into()));
}

#[tokio::test]
async fn the_org_s_own_agents_are_left_out_where_that_is_wanted() {
    let agent = Delivered::LeftOut("a message of an agent");
    let listed = Scene::with_agents(Kept::default(), &AGENT.to_uppercase()).await;
    assert_eq!(listed.deliver(&by(AGENT, "Lee Gu", "hi"), None, 1).await.unwrap(), agent);
    // Left out, nothing is named after the agent.
    assert_eq!(listed.sent(&by("oid", "Kim Akers", "hi"), None, 1).await["channel"]["from"]["nickname"], "Kim Akers");

    let linked = Scene::with_agents(Kept::default(), "linked").await;
    let customer = "00000000-0000-4000-8000-000000000001";
    let lookup =
        |user: &str| Mock::given(method("GET")).and(path(format!("/api/v2/users/externalid/microsoftteams/{user}")));
    linked.genesys.expect(lookup(AGENT), 1, ResponseTemplate::new(200).set_body_json(json!({"id": "u-1"}))).await;
    linked.genesys.expect(lookup(customer), 1, ResponseTemplate::new(404).set_body_json(json!({}))).await;
    for _ in 0..2 {
        // Genesys Cloud is asked once for each.
        assert_eq!(linked.deliver(&by(&AGENT.to_uppercase(), "Lee Gu", "hi"), None, 1).await.unwrap(), agent);
        assert_eq!(linked.sent(&by(customer, "Kim Akers", "hi"), None, 1).await["text"], "hi");
    }
    let stranger = "00000000-0000-4000-8000-000000000002";
    linked.genesys.expect(lookup(stranger), 1, ResponseTemplate::new(403).set_body_json(json!({}))).await;
    let sent = linked.sent(&by(stranger, "Ann", "hi"), None, 1).await;
    assert_eq!(sent["text"], "Ann: hi", "a permission that is missing costs nobody's message");
    let bot = with(message("x"), "from", json!({"application": {"id": AGENT, "displayName": "Bot"}}));
    assert_eq!(linked.sent(&bot, None, 1).await["text"], "Bot: x");
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_named_with_the_reason() {
    let scene = Scene::of(Kept::default()).await;
    let image = scene.html(&format!("<img src=\"GRAPH{IMAGE}\">"));
    let large = ResponseTemplate::new(200).set_body_raw(vec![0; 101], "image/png");
    let page = ResponseTemplate::new(200).set_body_raw("<script>", "text/html");
    for (answer, why) in [
        (ResponseTemplate::new(404), "Microsoft Teams does not have it any more"),
        (ResponseTemplate::new(403), "Microsoft Teams does not hand it out"),
        (large, "it has more than 1 kB"),
        (page, "files of its kind are not passed on"),
    ] {
        scene.image(1, answer).await;
        let sent = scene.sent(&message(&image), None, 1).await;
        assert_eq!(sent["text"], format!("[image] (not shown: {why})"));
        assert_eq!(sent.get("content"), None);
    }
    let elsewhere = ["https://evil.example", &format!("{}.evil.example", scene.microsoft.uri())];
    let other_chat = image.replace("a_b", "c_d");
    for html in elsewhere.map(|host| format!("<img src=\"{host}{IMAGE}\">")).into_iter().chain([other_chat]) {
        let sent = scene.sent(&message(&html), None, 1).await;
        assert_eq!(sent["text"], "[image] (not shown: it does not belong to this chat)");
    }
}

#[tokio::test]
async fn an_image_that_not_every_replica_has_yet_is_asked_for_again() {
    let scene = Scene::of(Kept::default()).await;
    let image = message(&scene.html("<img src=\"GRAPHIMAGE\">").replace("IMAGE", IMAGE));
    scene.image(1, ResponseTemplate::new(404)).await;
    scene.image(1, png()).await;
    scene.genesys.expect(inbound_call(), 1, ResponseTemplate::new(200)).await;
    let young = change("created", &Timestamp::now().to_string());
    assert_eq!(scene.deliver_change(&young, &image, FIRST).await.unwrap(), Delivered::Delivered);
    assert_eq!(scene.sink.store.media.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_image_that_may_be_had_later_is_waited_for_and_not_for_ever() {
    let scene = Scene::of(Kept::default()).await;
    let image = message(&scene.html(&format!("<p>a</p><img src=\"GRAPH{IMAGE}\">")));
    for (receives, status) in [(1, 503), (2, 429)] {
        scene.image(3, ResponseTemplate::new(status).insert_header("retry-after", "0")).await;
        let error = scene.deliver(&image, None, receives).await.unwrap_err();
        assert!([Code::GRAPH_UNAVAILABLE, Code::GRAPH_THROTTLED].contains(&error.code), "{error}");
    }
    scene.image(3, ResponseTemplate::new(503).insert_header("retry-after", "0")).await;
    let sent = scene.sent(&image, None, IMAGE_TRIES).await;
    assert_eq!(sent["text"], "a\n[image] (not shown: it could not be fetched in several tries)");
}

#[tokio::test]
async fn a_store_that_fails_is_waited_for_and_one_that_refuses_is_not() {
    let scene = Scene::of(Kept { failure: Some(MediaError::Unavailable("HTTP 503".into())), ..Kept::default() }).await;
    let image = message(&scene.html(&format!("<img src=\"GRAPH{IMAGE}\">")));
    scene.image(2, png()).await;
    assert_eq!(scene.deliver(&image, None, 1).await.unwrap_err().code, Code::DELIVERY_FAILED);
    let sent = scene.sent(&image, None, IMAGE_TRIES).await;
    assert_eq!(sent["text"], "[image] (not shown: it could not be fetched in several tries)");

    let scene = Scene::of(Kept { failure: Some(MediaError::Refused("HTTP 403".into())), ..Kept::default() }).await;
    let image = message(&scene.html(&format!("<img src=\"GRAPH{IMAGE}\">")));
    scene.image(1, png()).await;
    assert_eq!(scene.sent(&image, None, 1).await["text"], "[image] (not shown: it could not be stored)");
}

#[tokio::test]
async fn a_message_that_genesys_does_not_take_goes_back() {
    let scene = Scene::of(Kept::default()).await;
    scene.genesys.expect(inbound_call(), 1, ResponseTemplate::new(403)).await;
    let error = scene.deliver(&message("<p>x</p>"), None, 1).await.unwrap_err();
    assert_eq!(error.code, Code::PERMISSION_MISSING);
    assert!(error.message.contains("conversation:message:receive"), "{error}");
}

#[tokio::test]
async fn an_integration_that_is_not_there_is_a_wrong_setting_and_not_the_message_s_fault() {
    let scene = Scene::of(Kept::default()).await;
    scene.genesys.expect(inbound_call(), 1, ResponseTemplate::new(404)).await;
    let error = scene.deliver(&message("<p>x</p>"), None, 1).await.unwrap_err();
    assert_eq!(error.code, Code::MISCONFIGURED);
    assert!(error.message.contains("OpenMessagingIntegrationId"), "{error}");
}

#[tokio::test]
async fn what_may_be_there_is_sent_again_when_genesys_answers_and_not_before() {
    let is_it_there = || Mock::given(method("GET")).and(path_regex("/messaging/integrations/open/"));
    for (status, sent) in [(503, 0), (403, 1)] {
        let scene = Scene::of(Kept::default()).await;
        scene.sent(&message("<p>w</p>"), None, 1).await;
        scene.genesys.expect(is_it_there(), 1, ResponseTemplate::new(status)).await;
        if sent > 0 {
            scene.genesys.expect(inbound_call(), sent, ResponseTemplate::new(200).set_body_json(json!({}))).await;
        }
        let delivered =
            scene.attempt(&message("<p>x</p>"), Attempt { before: None, receives: 2, doubts: 1, tries: 1 }).await;
        match delivered {
            Ok(delivered) => assert_eq!((delivered, sent), (Delivered::Delivered, 1)),
            Err(error) => assert_eq!((error.code, sent), (Code::GENESYS_UNAVAILABLE, 0)),
        }
    }
    // A process that died may have sent it.
    let leaving = Scene::with(Kept::default(), "", "leave").await;
    leaving.sent(&message("<p>w</p>"), None, 1).await;
    let attempt = Attempt { before: None, receives: 2, doubts: 1, tries: 1 };
    assert!(matches!(leaving.attempt(&message("<p>x</p>"), attempt).await.unwrap(), Delivered::LeftOut(_)));
}

#[tokio::test]
async fn names_come_as_they_can_be_read() {
    let scene = Scene::of(Kept::default()).await;
    scene.image(1, png()).await;
    let alt = format!("\u{202E}gnp.\n\u{FFFC}part\u{7} {}", "x".repeat(300_000));
    let html = scene.html(&format!("<img src=\"GRAPH{IMAGE}\" alt=\"{alt}\">"));
    let from = |name: &str| json!({"user": {"id": "oid", "displayName": name}});
    let sent = scene.sent(&with(message(&html), "from", from("Kim\u{202E}\n\u{2028}Akers\u{0}")), None, 1).await;
    assert_eq!(sent["channel"]["from"]["nickname"], "Kim Akers");
    let text = sent["text"].as_str().unwrap();
    assert!(text.starts_with("[image: gnp. part xxx") && text.ends_with("xxx]"), "{text}");
    assert_eq!(text.chars().count(), 200 + "[image: ]".len());
    let nameless = with(with(message("x"), "from", from("\u{200B}\u{2066}")), "chatId", "19:b@thread.v2");
    let sent = scene.sent(&nameless, None, 1).await;
    assert_eq!(sent["channel"]["from"]["nickname"], NAMELESS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn no_message_is_larger_than_genesys_takes(
        piece in "[<\"\\\\é\n ]{1,8}|\\PC{1,8}", name in "\\PC{0,300}", images in 0_usize..20,
        alt in "[^']{0,9}",
    ) {
        let alt = alt.repeat(10_000);
        let hosted = format!("<img src=\"https://graph.microsoft.com{IMAGE}\" alt='{alt}'>").repeat(images);
        let body = json!({"contentType": "html", "content": hosted + &piece.repeat(100_000)});
        let from = json!({"user": {"displayName": name}});
        let message = with(with(message(""), "body", body), "from", from);
        let message = with(message, "lastEditedDateTime", "2024-04-02T03:12:00Z");
        let message: ChatMessage = serde_json::from_value(message).unwrap();
        let readable = Readable::of(&message);
        let attachment = crate::genesys::InboundAttachment {
            media_type: "Image", url: "u".repeat(3000), mime: "image/png".into(), filename: "image-1.png".into(),
            sha256: "0".repeat(64),
        };
        let content = || InboundContent { attachment: attachment.clone() };
        let content = readable.images.iter().map(|_| content());
        let words: Vec<_> = readable.images.iter().map(|image| named("image", &image.alt)).collect();
        let text = said(&message, Some(0), readable.with_images(words.iter().map(String::as_str)));
        let other = ChatWriter { id: "other".into(), name: "Ann".into() };
        let inbound = inbound("t", &message, &other, text, content.collect());
        prop_assert!(serde_json::to_vec(&inbound).unwrap().len() < 512_000);
        prop_assert_eq!(inbound.channel.message_id.len(), 64);
        prop_assert!(inbound.channel.from.nickname.chars().count() <= MAX_NAME);
    }
}

#[tokio::test]
async fn what_genesys_may_have_is_for_the_setting_to_decide() {
    let message = json!({
        "id": "1", "chatId": CHAT, "messageType": "message", "createdDateTime": "2024-04-02T03:10:44.034Z",
        "from": {"user": {"id": "u-1", "displayName": "Kim"}}, "body": {"contentType": "text", "content": "hello"},
    });
    let cut = ResponseTemplate::new(503);
    let hangs = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    for (in_doubt, expected) in [("repeat", Err(Code::OUTCOME_UNKNOWN)), ("leave", Ok(true))] {
        for answer in [&cut, &hangs] {
            let scene = Scene::with(Kept::default(), "", in_doubt).await;
            scene.genesys.expect(inbound_call(), 1, answer.clone()).await;
            // The worker gives a delivery up after three quarters of the time, and knows nothing of the setting.
            let delivered = tokio::time::timeout(context(10).deadline.for_a_call() * 3 / 4, async {
                scene.deliver(&message, None, 1).await
            });
            let left_out = delivered.await.unwrap().map(|delivered| matches!(delivered, Delivered::LeftOut(_)));
            assert_eq!(left_out.map_err(|error| error.code), expected, "{in_doubt}");
        }
    }
}
