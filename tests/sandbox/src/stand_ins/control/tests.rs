use axum::body::{Body, to_bytes};
use axum::http::Request;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::super::{AGENT, AGENT_ID, CHAT, COLLEAGUE};
use super::microsoft::PHOTO;
use super::*;

struct Control {
    world: Arc<World>,
    panel: Router,
}

impl Control {
    fn new() -> Self {
        let world = World::without_sockets().unwrap();
        Self { panel: router(world.clone(), tokio::sync::mpsc::unbounded_channel().0), world }
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let response = self.panel.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()))
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send("POST", path, body).await
    }
}

#[tokio::test]
async fn a_person_writes_in_teams_by_curl() {
    let control = Control::new();
    let (status, written) =
        control.post("/teams-messages", json!({"from": COLLEAGUE, "text": "hello", "photo": true})).await;
    assert_eq!((status, &written["chat"]), (200, &json!(CHAT)));
    let id = &written["id"];
    let all = json!({
        "chat": CHAT, "bot": "Helper", "html": "<p>see</p>", "mentions": [AGENT],
        "image": {"contentType": "image/gif", "base64": "R0lGODlh"},
        "card": {"contentType": "application/vnd.microsoft.card.adaptive", "content": {"type": "AdaptiveCard"}},
        "file": {"name": "a.docx", "url": "https://contoso.sharepoint.com/a.docx"},
    });
    assert_eq!(control.post("/teams-messages", all).await.0, 200);
    assert_eq!(control.post("/teams-messages", json!({"guest": "Ann", "text": "hi"})).await.0, 200);
    assert_eq!(control.post("/teams-messages", json!({"system": true})).await.0, 200);
    for wrong in [
        json!({"text": "hello"}),
        json!({"from": AGENT, "bot": "Helper"}),
        json!({"from": "nobody"}),
        json!({"from": AGENT, "chat": "19:no"}),
        json!({"from": AGENT, "mentions": ["nobody"]}),
        json!({"from": AGENT, "image": {"contentType": "image/gif", "base64": "!"}}),
        json!({"from": AGENT, "say": "hello"}),
    ] {
        assert_eq!(control.post("/teams-messages", wrong.clone()).await.0, 400, "{wrong}");
    }
    let blocked = json!({"from": AGENT, "text": "4111", "policyViolation": {"dlpAction": "notifySender, blockAccess"}});
    let (_, blocked) = control.post("/teams-messages", blocked).await;
    let released = json!({"id": blocked["id"], "policyViolation": {"userAction": "override"}});
    assert_eq!(control.send("PATCH", "/teams-messages", released).await.0, 204);
    for change in [json!({"html": "<p>x</p>"}), json!({"reaction": "like", "by": AGENT}), json!({"delete": true})] {
        let mut change = change;
        change["id"] = id.clone();
        assert_eq!(control.send("PATCH", "/teams-messages", change).await.0, 204);
    }
    assert_eq!(control.send("PATCH", "/teams-messages", json!({"id": id})).await.0, 400);
    let (_, chats) = control.send("GET", "/chats", Value::Null).await;
    let messages = chats[0]["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 5);
    let violation = &messages[4]["policyViolation"];
    assert_eq!(
        (&violation["dlpAction"], &violation["userAction"]),
        (&json!("notifySender, blockAccess"), &json!("override"))
    );
    assert_eq!((&messages[4]["body"]["content"], &messages[0]["policyViolation"]), (&json!("4111"), &Value::Null));
    assert!(messages[0]["deletedDateTime"].is_string() && messages[1]["mentions"][0]["mentionText"] == "Kim");
    let (status, made) = control.post("/chats", json!({"topic": "all of us", "members": [AGENT, COLLEAGUE]})).await;
    assert!(status == 200 && made["id"].as_str().unwrap().starts_with("19:"));
}

#[tokio::test]
async fn a_page_shows_both_sides() {
    let control = Control::new();
    let (status, page) = control.send("GET", "/teams", Value::Null).await;
    let page = page.as_str().unwrap();
    assert_eq!(status, 200);
    // What somebody writes is copied element by element, never read into the page.
    assert!(!["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"].iter().any(|name| page.contains(name)));
    for path in ["chats", "genesys-conversations", "notifications"] {
        assert!(page.contains(&format!("get(\"{path}\")")), "{path}");
        assert_eq!(control.send("GET", &format!("/{path}"), Value::Null).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn the_photo_is_one() {
    let control = Control::new();
    control.post("/teams-messages", json!({"from": COLLEAGUE, "photo": true})).await;
    let chats = control.world.chats();
    let message = &chats[0]["messages"][0];
    let html = message["body"]["content"].as_str().unwrap();
    let (_, rest) = html.split_once("/hostedContents/").unwrap();
    let (content, _) = rest.split_once("/$value").unwrap();
    // The page shows it without a token.
    let (chat, id) = (CHAT, message["id"].as_str().unwrap());
    let query = |content: &str| {
        let parameters = [("chat", chat), ("message", id), ("content", content)];
        let url = reqwest::Url::parse_with_params("http://localhost/hosted-content", parameters).unwrap();
        format!("{}?{}", url.path(), url.query().unwrap_or_default())
    };
    let asked = Request::get(query(content)).body(Body::empty()).unwrap();
    let answer = control.panel.clone().oneshot(asked).await.unwrap();
    assert_eq!((answer.status(), &answer.headers()["content-type"]), (StatusCode::OK, &"image/png".parse().unwrap()));
    assert!(answer.headers()["content-security-policy"].to_str().unwrap().starts_with("sandbox"));
    let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    assert_eq!(bytes, BASE64_STANDARD.decode(PHOTO).unwrap());
    assert_eq!(control.send("GET", &query("other"), Value::Null).await.0, 404);
    assert!(BASE64_STANDARD.decode(PHOTO).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
}

#[tokio::test]
async fn the_rest_of_microsoft_365_by_curl() {
    let control = Control::new();
    let (_, permissions) =
        control.post("/permissions", json!({"grant": ["Calendars.Read"], "revoke": ["Mail.Read"]})).await;
    let permissions = permissions["permissions"].as_array().unwrap().clone();
    assert!(permissions.contains(&json!("Calendars.Read")) && !permissions.contains(&json!("Mail.Read")));
    let key = control.world.tokens.keys.published(None);
    assert_eq!(control.post("/signing-key", Value::Null).await.0, 204);
    assert_ne!(control.world.tokens.keys.published(None), key);
    let (_, mail) = control.post("/mail", json!({"to": AGENT, "from": "a@example.com", "subject": "s"})).await;
    let id = &mail["id"];
    assert_eq!(control.send("PATCH", "/mail", json!({"to": AGENT_ID, "id": id, "read": true})).await.0, 204);
    assert_eq!(control.send("PATCH", "/mail", json!({"to": AGENT_ID, "id": id, "delete": true})).await.0, 204);
    assert_eq!(control.send("PATCH", "/mail", json!({"to": AGENT_ID, "id": id, "delete": true})).await.0, 400);
    for (path, body, status) in [
        ("/chat-budget", json!({"requests": 20, "inOneChat": 1}), 204),
        ("/delta-tokens", json!({"expire": true, "replays": 2}), 204),
        ("/subscriptions", json!({"teamsQuota": 1}), 204),
        ("/subscriptions", json!({"quota": 1}), 400),
        ("/subscriptions/expire", json!({}), 200),
        ("/notifications", json!({"lossPercent": 1.5, "tokenVersion": "2.0"}), 200),
        ("/notifications", json!({"loss": 1}), 400),
        ("/lifecycle", json!({"event": "missed"}), 200),
        ("/lifecycle", json!({"event": "gone"}), 400),
        ("/hostile", json!({"flaw": "forgedToken"}), 400),
    ] {
        assert_eq!(control.post(path, body.clone()).await.0, status, "{path} {body}");
    }
    let (_, standing) = control.send("GET", "/notifications", Value::Null).await;
    assert_eq!((&standing["settings"]["lossPercent"], &standing["totals"]["pending"]), (&json!(1.5), &json!(0)));
    let (_, subscriptions) = control.send("GET", "/subscriptions", Value::Null).await;
    assert_eq!(subscriptions, json!({"subscriptions": [], "hazards": []}));
}

#[tokio::test]
async fn what_presence_needs_is_put_by_curl() {
    let world = World::without_sockets().unwrap();
    let panel = router(world.clone(), tokio::sync::mpsc::unbounded_channel().0);
    let post = async |path: &str, body: String| {
        panel.clone().oneshot(Request::post(path).body(Body::from(body)).unwrap()).await.unwrap().status().as_u16()
    };
    let user = |more: &str| format!(r#"{{"upn": "{AGENT}", "id": "{AGENT_ID}"{more}}}"#);
    assert_eq!(post("/users", user(r#", "teamsOpen": false"#)).await, 204);
    assert_eq!(world.presence_of(AGENT_ID), ("Offline", "Offline"));
    assert_eq!(post("/users", user("")).await, 204);
    assert_eq!(world.presence_of(AGENT_ID), ("Available", "Available"));
    let genesys_user = r#"{"id": "u-1", "userName": "u@contoso.com", "scimTeamsId": "t-1"}"#;
    assert_eq!(post("/genesys-users", genesys_user.into()).await, 204);
    let known = world.directory().genesys_user("u-1").unwrap().user.clone();
    assert_eq!((known.teams_id, known.scim_teams_id.as_deref()), (None, Some("t-1")));
    assert_eq!(post("/presence-budget", r#"{"requests": 1500, "seconds": 30}"#.into()).await, 204);
    for path in ["/users", "/genesys-users", "/presence-budget"] {
        assert_eq!(post(path, r#"{"request": 1}"#.into()).await, 400, "{path}");
    }
}

#[tokio::test]
async fn genesys_cloud_by_curl() {
    let control = Control::new();
    let (status, settings) = control.post("/open-messaging", json!({"deduplicatesMessages": true})).await;
    assert_eq!(
        (status, &settings["deduplicatesMessages"], &settings["fetchesAttachments"]),
        (200, &json!(true), &json!(true))
    );
    assert_eq!(control.post("/open-messaging", json!({"supportedContent": "image/*"})).await.0, 400);
    assert_eq!(control.post("/genesys-limits", json!({"requestsPerMinute": 9000, "mayReceive": false})).await.0, 204);
    assert_eq!(control.world.directory().genesys_rate_per_minute, 9000);
    assert!(!control.world.directory().genesys_may_receive && control.world.directory().genesys_may_send);
    assert_eq!(control.post("/genesys-limits", json!({"rate": 1})).await.0, 400);
    assert_eq!(control.send("GET", "/genesys-conversations", Value::Null).await, (200, json!([])));
}
