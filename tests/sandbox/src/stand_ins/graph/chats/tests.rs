use jiff::Timestamp;
use serde_json::json;

use super::super::super::{AGENT, AGENT_ID, CHAT, COLLEAGUE_ID, TENANT};
use super::super::testing::{Got, Graph};
use super::*;

const GROUP: &str = "19:group@thread.v2";

fn start() -> Graph {
    let graph = Graph::new();
    graph.world.set_chat_budget(1000, 1000);
    graph
}

fn lee() -> Sender {
    Sender::User(COLLEAGUE_ID.into(), "Lee".into())
}

fn write(graph: &Graph, message: NewMessage) -> String {
    graph.world.write_message(CHAT, message).unwrap()
}

async fn read(graph: &Graph, id: &str) -> Value {
    graph.get(&format!("/chats/{CHAT}/messages/{id}")).await.body
}

#[tokio::test]
async fn a_message_has_every_property() {
    let graph = start();
    let id = write(&graph, NewMessage::text(lee(), "hello"));
    let got = graph.get(&format!("/chats/{CHAT}/messages/{id}")).await;
    let created = got.text("createdDateTime");
    let from = json!({"application": null, "device": null, "user": {
        "id": COLLEAGUE_ID, "displayName": "Lee", "userIdentityType": "aadUser", "tenantId": TENANT,
    }});
    let expected = json!({
        "id": id, "replyToId": null, "etag": id, "messageType": "message", "createdDateTime": created,
        "lastModifiedDateTime": created, "lastEditedDateTime": null, "deletedDateTime": null, "subject": null,
        "summary": null, "chatId": CHAT, "importance": "normal", "locale": "en-us", "webUrl": null,
        "channelIdentity": null, "policyViolation": null, "eventDetail": null, "from": from,
        "body": {"contentType": "text", "content": "hello"}, "attachments": [], "mentions": [], "reactions": [],
        "messageHistory": [],
    });
    assert_eq!((got.status, got.body), (200, expected));
    let at: Timestamp = created.parse().unwrap();
    assert_eq!(at.as_millisecond().to_string(), id);
}

#[tokio::test]
async fn what_happens_to_a_message_shows() {
    let graph = start();
    let id = write(&graph, NewMessage::text(lee(), "hello").image("image/png", b"png"));
    let change = |edit: &Edit| graph.world.change_message(CHAT, &id, edit).unwrap();
    change(&Edit::Reaction { user: AGENT_ID.into(), reaction: "like".into() });
    let reacted = read(&graph, &id).await;
    assert_eq!(
        (&reacted["reactions"][0]["reactionType"], &reacted["lastEditedDateTime"]),
        (&json!("like"), &Value::Null)
    );
    assert_ne!(reacted["etag"], id);
    change(&Edit::Content("<p>hello!</p>".into()));
    let edited = read(&graph, &id).await;
    assert_eq!(edited["body"], json!({"contentType": "html", "content": "<p>hello!</p>"}));
    assert!(edited["lastEditedDateTime"] == edited["lastModifiedDateTime"] && edited["etag"] != reacted["etag"]);
    change(&Edit::Deletion);
    let deleted = read(&graph, &id).await;
    assert_eq!((&deleted["body"]["content"], &deleted["id"]), (&json!(""), &json!(id)));
    assert_eq!(deleted["deletedDateTime"], deleted["lastModifiedDateTime"]);
    assert!(graph.get(&format!("/chats/{CHAT}/messages/{id}/hostedContents")).await.items().is_empty());
    assert!(graph.world.change_message(CHAT, "1", &Edit::Deletion).is_err());
}

#[tokio::test]
async fn who_writes_and_what_comes_along() {
    let graph = start();
    let guest = read(&graph, &write(&graph, NewMessage::text(Sender::Guest("Ann".into()), "hi"))).await;
    assert_eq!(guest["from"]["user"]["userIdentityType"], "anonymousGuest");
    let bot = read(&graph, &write(&graph, NewMessage::text(Sender::Bot("b-1".into(), "Bot".into()), "hi"))).await;
    assert_eq!(
        (&bot["from"]["user"], &bot["from"]["application"]["applicationIdentityType"]),
        (&Value::Null, &json!("bot"))
    );
    let system = write(&graph, NewMessage::text(Sender::System, ""));
    let shown = read(&graph, &system).await;
    assert_eq!((&shown["messageType"], &shown["from"]), (&json!("unknownFutureValue"), &Value::Null));
    assert_eq!(shown["body"], json!({"contentType": "html", "content": "<systemEventMessage/>"}));
    assert!(shown["eventDetail"]["@odata.type"].is_string());
    let path = format!("/chats/{CHAT}/messages/{system}");
    let newer = graph.get_preferring(&path, "include-unknown-enum-members").await;
    assert_eq!(newer.body["messageType"], "systemEventMessage");
    let card = json!({"type": "AdaptiveCard", "body": []});
    let message = NewMessage::text(lee(), "see ")
        .mention(AGENT_ID, "Kim")
        .card("application/vnd.microsoft.card.adaptive", &card)
        .file("a.docx", "https://contoso.sharepoint.com/a.docx");
    let shown = read(&graph, &write(&graph, message)).await;
    assert_eq!(shown["body"]["contentType"], "html");
    let content = shown["body"]["content"].as_str().unwrap();
    assert!(content.starts_with("see <at id=\"0\">Kim</at><attachment id=\""), "{content}");
    let mention = &shown["mentions"][0];
    assert_eq!((&mention["id"], &mention["mentioned"]["user"]["id"]), (&json!(0), &json!(AGENT_ID)));
    let attachments = shown["attachments"].as_array().unwrap();
    assert_eq!(attachments[0]["content"], card.to_string(), "JSON within a string");
    assert_eq!((&attachments[1]["contentType"], &attachments[1]["name"]), (&json!("reference"), &json!("a.docx")));
    for attachment in attachments {
        assert!(content.contains(&format!("<attachment id={}></attachment>", attachment["id"])));
    }
}

#[tokio::test]
async fn an_image_is_fetched_by_itself() {
    let graph = start();
    let id = write(&graph, NewMessage::text(lee(), "").image("image/jpeg", b"first").image("image/png", b"second"));
    let path = format!("/chats/{CHAT}/messages/{id}/hostedContents");
    let list = graph.get(&path).await.items();
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(|item| item["contentBytes"].is_null() && item["contentType"].is_null()));
    let message = read(&graph, &id).await;
    let content = message["body"]["content"].as_str().unwrap();
    for (item, (kind, bytes)) in list.iter().zip([("image/jpeg", b"first".to_vec()), ("image/png", b"second".to_vec())])
    {
        let path = format!("{path}/{}/$value", item["id"].as_str().unwrap());
        assert!(content.contains(&format!("<img alt=\"image\" src=\"http://graph.invalid/v1.0{path}\"")), "{content}");
        let got = graph.get(&path).await;
        assert_eq!((got.status, got.headers["content-type"].to_str().unwrap(), got.bytes), (200, kind, bytes));
    }
    assert_eq!(graph.get(&format!("{path}/other/$value")).await.status, 404);
}

#[tokio::test]
async fn chats_and_their_members() {
    let graph = start();
    graph.world.put_chat(GROUP, Some("all of us"), &[AGENT, COLLEAGUE_ID]).unwrap();
    let got = graph.get(&format!("/chats/{GROUP}")).await.body;
    assert_eq!((&got["chatType"], &got["topic"]), (&json!("group"), &json!("all of us")));
    let got = graph.get(&format!("/chats/{CHAT}")).await.body;
    assert_eq!((&got["chatType"], &got["topic"]), (&json!("oneOnOne"), &Value::Null));
    let members = graph.get(&format!("/chats/{GROUP}/members")).await.items();
    let ids: Vec<&str> = members.iter().map(|member| member["userId"].as_str().unwrap()).collect();
    assert_eq!((ids, &members[0]["displayName"]), (vec![AGENT_ID, COLLEAGUE_ID], &json!("Kim")));
    assert_eq!(graph.get(&format!("/users/{AGENT}/chats")).await.ids(), [CHAT, GROUP]);
    assert!(graph.get("/users/bridge@contoso.com/chats").await.items().is_empty());
    for path in
        ["/chats/19:no", "/chats/19:no/members", "/chats/19:no/messages", "/chats/19:no/messages/1", "/users/no/chats"]
    {
        assert_eq!(graph.get(path).await.status, 404, "{path}");
    }
    assert!(graph.world.put_chat("19:new", None, &["nobody"]).is_err());
}

#[tokio::test]
async fn reading_takes_a_permission_and_writing_is_not_for_apps() {
    let graph = start();
    let id = write(&graph, NewMessage::text(lee(), "hello").image("image/png", b"png"));
    let messages = format!("/chats/{CHAT}/messages");
    graph.permit(&["Chat.ReadBasic.All"]);
    assert_eq!(graph.get(&format!("/chats/{CHAT}")).await.status, 200);
    assert_eq!(graph.get(&format!("/users/{AGENT_ID}/chats")).await.status, 200);
    for path in [
        messages.clone(),
        format!("{messages}/{id}"),
        format!("{messages}/{id}/hostedContents"),
        format!("{messages}/{id}/hostedContents/x/$value"),
        format!("/users/{AGENT_ID}/chats/getAllMessages"),
        format!("/users/{AGENT_ID}/chats/getAllMessages/delta"),
    ] {
        let got = graph.get(&path).await;
        assert_eq!(got.refusal(), (403, "Forbidden"), "{path}");
        let words = "Missing role permissions on the request. API requires one of 'Chat.Read.All, Chat.ReadWrite.All'. \
                     Roles on the request 'Chat.ReadBasic.All'.";
        assert_eq!(got.message(), words);
    }
    graph.permit(&["Chat.ReadWrite.All"]);
    assert_eq!(graph.get(&messages).await.status, 200);
    let got = graph.post(&messages, json!({"body": {"content": "hello"}})).await;
    assert_eq!(got.refusal(), (403, "Forbidden"));
    assert!(got.message().contains("API requires one of 'Teamwork.Migrate.All'"), "{}", got.message());
}

#[tokio::test(start_paused = true)]
async fn a_chat_is_read_once_a_second() {
    let graph = Graph::new();
    let id = write(&graph, NewMessage::text(lee(), "hello"));
    let path = format!("/chats/{CHAT}/messages/{id}");
    assert_eq!(graph.get(&path).await.status, 200);
    let got = graph.get(&format!("{path}/hostedContents")).await;
    assert_eq!((got.refusal(), got.headers["retry-after"].to_str().unwrap()), ((429, "TooManyRequests"), "1.000"));
    assert_eq!(graph.get(&format!("/chats/{CHAT}")).await.status, 200, "the chat itself is something else");
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(graph.get(&path).await.status, 200);
    // Twenty of an app in all chats: one is taken.
    for number in 1..20 {
        assert_eq!(graph.get(&format!("/chats/19:{number}/messages/1")).await.status, 404);
    }
    assert_eq!(graph.get("/chats/19:20/messages/1").await.status, 429);
}

/// Where the message ids of a list are among those that were written.
fn places(got: &Got, written: &[String]) -> Vec<usize> {
    got.ids().iter().map(|id| written.iter().position(|known| known == id).unwrap()).collect()
}

#[tokio::test]
async fn a_list_is_newest_first_and_filters_only_what_it_orders_by() {
    let graph = start();
    let written: Vec<String> = (0..5).map(|_| write(&graph, NewMessage::text(lee(), "x"))).collect();
    graph.world.change_message(CHAT, &written[0], &Edit::Content("edited".into())).unwrap();
    let edited = read(&graph, &written[0]).await["lastModifiedDateTime"].as_str().unwrap().to_owned();
    let third = read(&graph, &written[2]).await["createdDateTime"].as_str().unwrap().to_owned();
    let list = async |options: &str| graph.get(&format!("/chats/{CHAT}/messages?{options}")).await;
    assert_eq!(places(&list("").await, &written), [4, 3, 2, 1, 0]);
    let by_change = "$orderby=lastModifiedDateTime%20desc";
    assert_eq!(places(&list(by_change).await, &written), [0, 4, 3, 2, 1]);
    let newer = format!("$filter=lastModifiedDateTime%20gt%20{third}");
    assert_eq!(places(&list(&format!("{by_change}&{newer}")).await, &written), [0, 4, 3]);
    let between = format!("{newer}%20and%20lastModifiedDateTime%20lt%20{edited}");
    assert_eq!(places(&list(&format!("{by_change}&{between}")).await, &written), [4, 3]);
    let older = format!("$orderby=createdDateTime%20desc&$filter=createdDateTime%20lt%20{third}");
    assert_eq!(places(&list(&older).await, &written), [1, 0]);
    // Ignored without a word.
    for options in [newer.clone(), format!("$orderby=createdDateTime%20desc&{newer}")] {
        assert_eq!(list(&options).await.ids().len(), 5, "{options}");
    }
    let refused = [
        "$top=51",
        "$top=0",
        "$top=x",
        "$orderby=createdDateTime",
        "$orderby=createdDateTime%20asc",
        "$orderby=subject%20desc",
        "$filter=subject%20eq%20x",
        "$filter=createdDateTime%20gt%202026-05-04T00:00:00Z",
        "$skiptoken=x",
    ];
    for options in refused {
        assert_eq!(list(options).await.status, 400, "{options}");
    }
    let first = list(&format!("{by_change}&$top=2&{newer}")).await;
    assert_eq!(places(&first, &written), [0, 4]);
    write(&graph, NewMessage::text(lee(), "meanwhile"));
    let second = graph.follow(&first.body["@odata.nextLink"]).await;
    assert_eq!((places(&second, &written), &second.body["@odata.nextLink"]), (vec![3], &Value::Null));
}

#[tokio::test]
async fn the_messages_of_a_user_s_chats_come_in_pages() {
    let graph = start();
    graph.world.put_chat(GROUP, Some("not for all"), &[COLLEAGUE_ID]).unwrap();
    let mine: Vec<String> = (0..3).map(|_| write(&graph, NewMessage::text(lee(), "x"))).collect();
    graph.world.write_message(GROUP, NewMessage::text(lee(), "x")).unwrap();
    let first = graph.get(&format!("/users/{AGENT}/chats/getAllMessages?$top=2")).await;
    assert_eq!(first.ids(), mine[..2]);
    let second = graph.follow(&first.body["@odata.nextLink"]).await;
    assert_eq!((second.ids(), &second.body["@odata.nextLink"]), (vec![mine[2].clone()], &Value::Null));
    assert_eq!(graph.get(&format!("/users/{COLLEAGUE_ID}/chats/getAllMessages")).await.ids().len(), 4);
}

#[tokio::test]
async fn a_delta_query_gives_what_changed_since() {
    let graph = start();
    let written: Vec<String> = (0..5).map(|_| write(&graph, NewMessage::text(lee(), "x"))).collect();
    let path = format!("/users/{AGENT_ID}/chats/getAllMessages/delta");
    let mut page = graph.get(&format!("{path}?$top=2")).await;
    assert_eq!(page.ids(), written[..2]);
    assert!(page.body["@odata.nextLink"].as_str().unwrap().contains("?$skiptoken="));
    page = graph.follow(&page.body["@odata.nextLink"]).await;
    page = graph.follow(&page.body["@odata.nextLink"]).await;
    assert_eq!((page.ids(), &page.body["@odata.nextLink"]), (vec![written[4].clone()], &Value::Null));
    let delta = page.body["@odata.deltaLink"].clone();
    assert!(delta.as_str().unwrap().contains("?$deltatoken="));
    let nothing = graph.follow(&delta).await;
    assert!(nothing.items().is_empty() && nothing.body["@odata.deltaLink"].is_string());
    graph.world.change_message(CHAT, &written[1], &Edit::Deletion).unwrap();
    let new = write(&graph, NewMessage::text(lee(), "new"));
    let got = graph.follow(&delta).await;
    assert_eq!(got.ids(), [written[1].clone(), new]);
    assert!(got.items()[0]["deletedDateTime"].is_string(), "a deleted message is there, without a content");
    assert_eq!(graph.follow(&delta).await.ids(), got.ids(), "a token can be used again");
    graph.world.set_delta_replays(3);
    let replayed = graph.follow(&got.body["@odata.deltaLink"]).await;
    assert_eq!(replayed.ids().len(), 2, "no more than a page has");
    assert!(graph.follow(&replayed.body["@odata.nextLink"]).await.items().is_empty(), "only what is new follows");
    graph.world.expire_delta_tokens();
    assert_eq!(graph.follow(&delta).await.refusal(), (410, "syncStateNotFound"));
    let text = read(&graph, &written[3]).await["lastModifiedDateTime"].as_str().unwrap().to_owned();
    let since = graph.get(&format!("{path}?$filter=lastModifiedDateTime%20gt%20{text}")).await;
    assert_eq!(since.ids().len(), 3);
    for options in [
        "$top=51",
        "$orderby=createdDateTime%20desc",
        "$filter=createdDateTime%20lt%202026-05-04T00:00:00Z",
        "$deltatoken=x",
    ] {
        assert_eq!(graph.get(&format!("{path}?{options}")).await.status, 400, "{options}");
    }
    let theirs = delta_of(&since).replace(AGENT_ID, COLLEAGUE_ID);
    assert_eq!(graph.follow(&json!(theirs)).await.status, 400, "the token is another user's");
}

fn delta_of(got: &Got) -> String {
    got.text("@odata.deltaLink")
}
