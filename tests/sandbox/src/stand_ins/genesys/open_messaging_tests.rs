use std::net::Ipv4Addr;
use std::time::Duration;

use axum::body::Body;
use tokio::net::TcpListener;

use super::super::server;
use super::tests::{Genesys, Got};
use super::*;

fn path() -> String {
    format!("/api/v2/conversations/messages/{OPEN_MESSAGING_INTEGRATION}/inbound/open/message")
}

fn message(id: &str, text: &str) -> Value {
    json!({
        "channel": {
            "messageId": id, "time": "2026-01-01T00:00:00.000Z",
            "from": {"id": "user-1", "idType": "Opaque", "nickname": "Ann"},
        },
        "text": text,
    })
}

fn file(kind: &str, url: &str, mime: &str) -> Value {
    json!({"attachment": {"mediaType": kind, "url": url, "mime": mime, "filename": "f"}})
}

impl Genesys {
    async fn receive(&self, path: &str, body: &Value) -> Got {
        let request = Request::post(path).header("authorization", format!("Bearer {}", self.token));
        self.send(request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()).await
    }

    async fn say(&self, id: &str, text: &str) -> Got {
        self.receive(&path(), &message(id, text)).await
    }
}

#[tokio::test]
async fn a_message_comes_back_normalized() {
    let genesys = Genesys::new().await;
    let mut body = message("m-1", "hello");
    body["metadata"] = json!({"chat": "c-1"});
    let got = genesys.receive(&format!("{}?prefetchConversationId=true", path()), &body).await;
    let conversation = &genesys.world.conversations()[0];
    let from = json!({"id": "user-1", "idType": "Opaque", "nickname": "Ann"});
    let expected = json!({
        "id": conversation.messages[0].id, "type": "Text", "text": "hello", "content": [], "direction": "Inbound",
        "metadata": {"chat": "c-1"}, "conversationId": conversation.id,
        "channel": {
            "id": OPEN_MESSAGING_INTEGRATION, "platform": "Open", "type": "Private", "messageId": "m-1",
            "to": {"id": OPEN_MESSAGING_INTEGRATION}, "from": from, "time": "2026-01-01T00:00:00.000Z",
        },
    });
    assert_eq!((got.status, got.body), (200, expected));
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_writing_stays_in_the_conversation() {
    let genesys = Genesys::new().await;
    let first = genesys.say("m-1", "one").await;
    assert!(first.body["conversationId"].is_null(), "it is known only to who asked, or once it is open");
    let second = genesys.say("m-2", "two").await;
    assert!(second.body["conversationId"].is_string());
    let mut other = message("m-1", "three");
    other["channel"]["from"]["id"] = "user-2".into();
    genesys.receive(&path(), &other).await;
    tokio::time::advance(Duration::from_secs(72 * 60 * 60)).await;
    genesys.say("m-3", "four").await;
    let texts: Vec<Vec<String>> = genesys
        .world
        .conversations()
        .iter()
        .map(|conversation| conversation.messages.iter().map(|message| message.text.clone()).collect())
        .collect();
    assert_eq!(texts, [vec!["one", "two"], vec!["three"], vec!["four"]]);
}

#[tokio::test]
async fn the_same_message_again_shows_twice_unless_it_was_set_up_otherwise() {
    let genesys = Genesys::new().await;
    let shown = || genesys.world.conversations()[0].messages.len();
    let first = genesys.say("m-1", "hello").await;
    assert_ne!(genesys.say("m-1", "hello").await.body["id"], first.body["id"]);
    assert_eq!(shown(), 2);
    genesys.world.set_open_messaging(OpenMessagingSettings { deduplicates_messages: true, ..Default::default() });
    assert_eq!(genesys.say("m-1", "hello").await.body["id"], first.body["id"]);
    assert_eq!(shown(), 2);
    let mut later = message("m-1", "hello");
    later["channel"]["time"] = "2026-01-01T00:00:01.000Z".into();
    genesys.receive(&path(), &later).await;
    assert_eq!(shown(), 3, "another time is another message");
}

#[tokio::test]
async fn what_is_missing_or_malformed_is_refused() {
    let genesys = Genesys::new().await;
    let with = |pointer: &str, value: Value| {
        let mut body = message("m-1", "hello");
        body["content"] = json!([file("Image", "http://localhost:9/a.png", "image/png")]);
        body["metadata"] = json!({"a": "b"});
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (pointer, value, field) in [
        ("/channel/from/id", json!(""), "channel.from.id"),
        ("/channel/from/idType", json!("Teams"), "channel.from.idType"),
        ("/channel/time", json!("yesterday"), "channel.time"),
        ("/channel/time", json!("2026-01-01T00:00:00"), "channel.time"),
        ("/channel", Value::Null, "channel.from.id"),
        ("/metadata", json!({"a": {"b": "c"}}), "metadata"),
        ("/metadata", json!({"a": 1}), "metadata"),
        ("/content", json!("x"), "content"),
        ("/content/0", json!({"contentType": "Attachment"}), "content.contentType"),
        ("/content/0/attachment/mediaType", json!("image"), "content.attachment.mediaType"),
        ("/content/0/attachment/url", json!("a.png"), "content.attachment.url"),
        ("/content/0/attachment/mime", json!(""), "content.attachment.mime"),
    ] {
        let got = genesys.receive(&path(), &with(pointer, value)).await;
        assert_eq!((got.status, &got.body["code"]), (400, &json!("bad.request")), "{pointer}");
        assert_eq!(got.body["details"][0]["fieldName"], field, "{pointer}");
    }
    assert_eq!(genesys.say("m-1", "").await.status, 400, "neither text nor content");
    assert_eq!(genesys.say("m-1", &"x".repeat(512_000)).await.status, 413);
    let other = path().replace(OPEN_MESSAGING_INTEGRATION, "00000000-0000-0000-0000-000000000000");
    let got = genesys.receive(&other, &message("m-1", "hello")).await;
    assert_eq!((got.status, &got.body["code"]), (404, &json!("not.found")));
    genesys.world.directory().genesys_may_receive = false;
    let got = genesys.say("m-1", "hello").await;
    assert_eq!((got.status, &got.body["code"]), (403, &json!("missing.any.permissions")));
    assert!(got.body["message"].as_str().unwrap().contains("[conversation:message:receive]"));
    genesys.world.expire_tokens();
    assert_eq!(genesys.say("m-1", "hello").await.status, 401);
    assert!(genesys.world.conversations().is_empty());
}

#[tokio::test]
async fn files_are_fetched_by_anybody_or_dropped() {
    let genesys = Genesys::new().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let origin = format!("http://media.localhost:{}", listener.local_addr().unwrap().port());
    let serve = async |headers: HeaderMap| {
        assert!(!headers.contains_key("authorization"));
        ([("content-type", "image/png")], "abc")
    };
    let router = Router::new().route("/a.png", get(serve));
    tokio::spawn(server::serve(listener, router, None, genesys.world.clone()));
    let mut body = message("m-1", "");
    body["content"] = json!([
        file("Image", &format!("{origin}/a.png"), "image/png"),
        file("Image", &format!("{origin}/gone.png"), "image/png"),
        file("Image", "http://localhost:9/a.png", "image/png"),
        file("File", &format!("{origin}/a.png"), "application/x-msdownload"),
    ]);
    let got = genesys.receive(&path(), &body).await;
    assert_eq!((got.status, got.body["content"].as_array().unwrap().len()), (200, 3));
    genesys.world.set_open_messaging(OpenMessagingSettings {
        fetches_attachments: false,
        supported_content: vec!["application/x-msdownload".into()],
        ..Default::default()
    });
    genesys.receive(&path(), &body).await;
    let messages = genesys.world.conversations().remove(0).messages;
    let statuses: Vec<Option<u16>> = messages[0].attachments.iter().map(|file| file.status).collect();
    assert_eq!(statuses, [Some(200), Some(404), Some(0)]);
    let first = &messages[0].attachments[0];
    assert_eq!((first.fetched_type.as_str(), first.bytes), ("image/png", 3));
    assert_eq!(first.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(messages[0].dropped, ["application/x-msdownload"]);
    assert_eq!((messages[1].attachments[0].status, messages[1].dropped.len()), (None, 3));
}
