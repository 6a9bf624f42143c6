use axum::body::{Body, to_bytes};
use tower::ServiceExt;

use super::*;
use crate::stand_ins::directory::{AGENT, AGENT_ID, BRIDGE_APP, CALLER_APP, COLLEAGUE_ID};
use crate::stand_ins::entra;

struct Teams {
    world: Arc<World>,
    router: Router,
    token: String,
}

/// A token of the stand-in for Entra: of this app, for this resource.
async fn token(world: &Arc<World>, app: &str, resource: &str) -> String {
    let secret = world.directory().apps[app].secrets[0].clone();
    let form = [("grant_type", "client_credentials"), ("client_id", app), ("client_secret", &secret)];
    let scope = format!("{resource}/.default");
    let form = serde_urlencode(form.into_iter().chain([("scope", scope.as_str())]));
    let request = Request::post(format!("/{TENANT}/oauth2/v2.0/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    let response = entra::router(world.clone()).oneshot(request).await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn serde_urlencode<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut url = reqwest::Url::parse("http://x").unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap().to_owned()
}

impl Teams {
    async fn new() -> Self {
        let world = World::without_sockets().unwrap();
        let token = token(&world, BRIDGE_APP, entra::BOT_FRAMEWORK).await;
        Self { router: router(world.clone()), world, token }
    }

    async fn at(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, HashMap<String, String>, Value) {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        (parts.status.as_u16(), headers, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let path = format!("/emea/{TENANT}/v3/conversations{path}");
        let (status, _, body) = self.at(method, &path, &self.token, &body.to_string()).await;
        (status, body)
    }

    /// The status and the code of an answer to a message.
    async fn send(&self, conversation: &str, body: Value) -> (u16, String) {
        let (status, body) = self.call("POST", &format!("/{conversation}/activities"), body).await;
        (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn text(text: &str) -> Value {
    json!({"type": "message", "text": text, "textFormat": "plain"})
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn only_a_bot_s_token_for_the_bot_framework_is_let_in() {
    let teams = Teams::new().await;
    let chat = teams.world.install_bot(AGENT_ID);
    let path = format!("/emea/v3/conversations/{chat}/activities");
    let status = async |token: &str, path: &str| teams.at("POST", path, token, &text("Hello").to_string()).await.0;
    let for_graph = token(&teams.world, BRIDGE_APP, "http://graph.invalid").await;
    let of_another = token(&teams.world, CALLER_APP, entra::BOT_FRAMEWORK).await;
    assert_eq!(status(&teams.token, &path).await, 201);
    for bad in ["", "x", &for_graph, &of_another] {
        assert_eq!(status(bad, &path).await, 401);
    }
    assert!(teams.world.tokens.app_in_graph(&teams.token).is_none(), "Graph does not take the bot's token either");
    for elsewhere in [path.replace("emea", "mars"), path.replace("emea", "emea/another-tenant")] {
        assert_eq!(status(&teams.token, &elsewhere).await, 404);
    }
    teams.world.set_bot_registered(false);
    assert_eq!(teams.send(&chat, text("Hello")).await, refused(401, "BotNotRegistered"));
    teams.world.set_bot_registered(true);
    teams.world.expire_tokens();
    assert_eq!(teams.send(&chat, text("Hello")).await.0, 401);
}

#[tokio::test]
async fn a_message_is_kept_changed_and_deleted() {
    let teams = Teams::new().await;
    let chat = teams.world.install_bot(AGENT_ID);
    let (status, first) = teams.call("POST", &format!("/{chat}/activities"), text("Hello")).await;
    let id = first["id"].as_str().unwrap().to_owned();
    assert!(status == 201 && id.len() == 13 && id.parse::<u64>().is_ok(), "{id}");
    let at = format!("/{chat}/activities/{id}");
    assert_eq!(teams.call("POST", &at, text("Yes")).await.0, 201);
    assert_eq!(teams.call("PUT", &at, text("Hello again")).await, (200, json!({"id": id})));
    assert_eq!(teams.world.bot_texts(&chat), ["Hello again", "Yes"]);
    let kept = teams.world.bot_chat(&chat).unwrap();
    assert_eq!((kept.activities[0].edits, kept.activities[1].reply_to.as_deref()), (1, Some(id.as_str())));
    assert_eq!(teams.call("DELETE", &at, Value::Null).await.0, 200);
    assert_eq!(teams.world.bot_texts(&chat), ["Yes"]);
    let code = |(status, body): (u16, Value)| refused(status, body["error"]["code"].as_str().unwrap());
    assert_eq!(code(teams.call("PUT", &at, text("x")).await), refused(403, "ServiceError"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let gone = refused(404, "ActivityNotFoundInConversation");
    assert_eq!(code(teams.call("DELETE", &at, Value::Null).await), gone);
    assert_eq!(code(teams.call("PUT", &format!("/{chat}/activities/1"), text("x")).await), gone);
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_text_with_a_card_is_split() {
    let teams = Teams::new().await;
    let chat = teams.world.install_bot(AGENT_ID);
    for (body, code) in [
        (json!({"text": "x"}), "BadSyntax"),
        (json!({"type": "message"}), "Bad Argument"),
        (json!({"type": "message", "attachments": [{}]}), "Bad Argument"),
        (json!({"type": "conversationUpdate"}), "Bad Argument"),
    ] {
        assert_eq!(teams.send(&chat, body).await, refused(400, code));
    }
    let big = text(&"ü".repeat(52_000));
    assert_eq!(teams.send(&chat, big).await, refused(413, "MessageSizeTooBig"));
    let url = format!("data:image/png;base64,{}", "A".repeat(200_000));
    let picture = json!({"type": "message", "attachments": [{"contentType": "image/png", "contentUrl": url}]});
    assert_eq!(teams.send(&chat, picture).await.0, 201);
    teams.world.set_bot_message_limit(28 * 1024);
    assert_eq!(teams.send(&chat, text(&"a".repeat(20_000))).await, refused(413, "MessageSizeTooBig"));
    let both = json!({"type": "message", "text": "x", "attachments": [{"contentType": "a/b", "content": {}}]});
    assert_eq!(teams.call("POST", &format!("/{chat}/activities"), both).await, (201, json!({})));
    assert_eq!(teams.world.bot_chat(&chat).unwrap().activities.len(), 3);
    assert_eq!(teams.send(&chat, json!({"type": "typing"})).await.0, 202);
    assert_eq!(teams.world.bot_chat(&chat).unwrap().typing_shown, 1);
}

#[tokio::test]
async fn who_may_write_where() {
    let teams = Teams::new().await;
    assert_eq!(teams.send("a:1unknown", text("x")).await, refused(404, "ConversationNotFound"));
    let chat = teams.world.install_bot(AGENT_ID);
    teams.world.set_bot_blocked(&chat, true);
    assert_eq!(teams.send(&chat, text("x")).await, refused(403, "ConversationBlockedByUser"));
    teams.world.set_bot_disabled(AGENT_ID, true);
    assert_eq!(teams.send(&chat, text("x")).await, refused(403, "BotDisabledByAdmin"));
    teams.world.set_bot_disabled(AGENT_ID, false);
    teams.world.uninstall_bot(AGENT_ID);
    assert_eq!(teams.send(&chat, text("x")).await, refused(403, "BotNotInConversationRoster"));
    assert_eq!(teams.world.install_bot(AGENT_ID), chat, "the same chat as before");
    assert_eq!(teams.send(&chat, text("x")).await.0, 201);
    for scope in [BotScope::GroupChat, BotScope::Channel] {
        let group = teams.world.put_bot_chat(scope);
        assert_eq!(teams.send(&group, text("x")).await.0, 201);
        teams.world.remove_bot_from(&group);
        assert_eq!(teams.send(&group, text("x")).await, refused(403, "BotNotInConversationRoster"));
    }
}

#[tokio::test]
async fn a_personal_chat_is_opened_for_who_has_the_app() {
    let teams = Teams::new().await;
    let tenant = json!({"tenant": {"id": TENANT}});
    let open = async |member: &str| {
        let bot = json!({"id": format!("28:{BRIDGE_APP}")});
        let body = json!({"bot": bot, "isGroup": false, "members": [{"id": member}], "tenantId": TENANT, "channelData": tenant});
        teams.call("POST", "", body).await
    };
    let code = |(status, body): (u16, Value)| refused(status, body["error"]["code"].as_str().unwrap());
    assert_eq!(code(open(AGENT_ID).await), refused(403, "ForbiddenOperationException"));
    let chat = teams.world.install_bot(AGENT_ID);
    let opened = json!({"id": chat, "serviceUrl": teams.world.bot_service_url()});
    assert_eq!(open(AGENT_ID).await, (201, opened.clone()));
    assert_eq!(open(&teams.world.bot_s_id_of(AGENT_ID)).await, (201, opened));
    // Another bot's id of the person, a name, and nobody.
    for unknown in ["29:1other", AGENT, "33333333-2222-3333-4444-555555555555"] {
        assert_eq!(code(open(unknown).await), refused(400, "Bad Argument"), "{unknown}");
    }
    teams.world.set_bot_disabled(AGENT_ID, true);
    assert_eq!(code(open(AGENT_ID).await), refused(403, "BotDisabledByAdmin"));
    let members = json!([{"id": AGENT_ID}, {"id": COLLEAGUE_ID}]);
    for body in [
        json!({"isGroup": true, "members": members, "tenantId": TENANT}),
        json!({"isGroup": true, "members": [{"id": AGENT_ID}], "tenantId": TENANT}),
        json!({"members": [{"id": AGENT_ID}]}),
        json!({"members": [{"id": AGENT_ID}], "tenantId": "another"}),
        json!({"bot": {"id": "28:another"}, "members": [{"id": AGENT_ID}], "tenantId": TENANT}),
    ] {
        assert_eq!(code(teams.call("POST", "", body).await), refused(400, "Bad Argument"));
    }
}

#[tokio::test]
async fn a_thread_of_a_channel_is_a_conversation_of_its_own() {
    let teams = Teams::new().await;
    let channel = teams.world.put_bot_chat(BotScope::Channel);
    let data = json!({"channel": {"id": channel}, "tenant": {"id": TENANT}});
    let body = json!({"isGroup": true, "channelData": data, "activity": text("News")});
    let (status, answer) = teams.call("POST", "", body).await;
    let (id, first) = (answer["id"].as_str().unwrap(), answer["activityId"].as_str().unwrap());
    assert_eq!((status, id), (201, format!("{channel};messageid={first}").as_str()));
    assert_eq!(teams.send(id, text("More")).await.0, 201);
    assert_eq!(teams.send(&format!("{channel};messageid=1"), text("x")).await, refused(404, "ConversationNotFound"));
    assert_eq!(teams.world.bot_texts(id), ["News", "More"]);
}

#[tokio::test(start_paused = true)]
async fn the_limits_are_those_of_microsoft_s_table() {
    let teams = Teams::new().await;
    let chat = teams.world.install_bot(AGENT_ID);
    let path = format!("/emea/{TENANT}/v3/conversations/{chat}/activities");
    for _ in 0..7 {
        assert_eq!(teams.send(&chat, text("x")).await.0, 201);
    }
    let (status, headers, body) = teams.at("POST", &path, &teams.token, &text("x").to_string()).await;
    assert_eq!((status, &body["error"]["code"]), (429, &json!("Throttled")));
    assert_eq!(headers["retry-after"], "1");
    let other = teams.world.put_bot_chat(BotScope::GroupChat);
    assert_eq!(teams.send(&other, text("x")).await.0, 201, "each conversation has its own");

    // All conversations together: 50 in a second.
    tokio::time::advance(Duration::from_secs(60)).await;
    let chats: Vec<_> = (0..51).map(|_| teams.world.put_bot_chat(BotScope::GroupChat)).collect();
    let mut statuses = Vec::new();
    for chat in &chats {
        statuses.push(teams.send(chat, text("x")).await.0);
    }
    assert_eq!((statuses.iter().filter(|status| **status == 201).count(), statuses[50]), (50, 429));
}
