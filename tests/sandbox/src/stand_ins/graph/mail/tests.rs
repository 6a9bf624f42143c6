use super::super::super::{AGENT, AGENT_ID, COLLEAGUE_ID};
use super::super::testing::Graph;
use super::*;

fn mail(subject: &str) -> NewMail {
    NewMail { from: "ann@example.com".into(), subject: subject.into(), body: "hello".into(), folder: "inbox".into() }
}

#[tokio::test]
async fn a_message_is_read_with_what_was_selected() {
    let graph = Graph::new();
    let id = graph.world.put_mail(AGENT_ID, &mail("first"));
    let got = graph.get(&format!("/users/{AGENT}/messages/{id}")).await;
    assert_eq!((got.status, &got.body["subject"]), (200, &json!("first")));
    assert_eq!(got.body["from"]["emailAddress"]["address"], "ann@example.com");
    assert_eq!(got.body["body"], json!({"contentType": "text", "content": "hello"}));
    let few = graph.get(&format!("/users/{AGENT_ID}/messages/{id}?$select=subject,isRead")).await.body;
    let names: Vec<&String> = few.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 4, "{names:?}");
    graph.world.read_mail(AGENT_ID, &id).unwrap();
    let read = graph.get(&format!("/users/{AGENT_ID}/messages/{id}")).await.body;
    assert!(read["isRead"] == true && read["@odata.etag"] != got.body["@odata.etag"]);
    assert_eq!(graph.get(&format!("/users/{COLLEAGUE_ID}/messages/{id}")).await.refusal(), (404, "ErrorItemNotFound"));
    graph.world.delete_mail(AGENT_ID, &id).unwrap();
    assert_eq!(graph.get(&format!("/users/{AGENT_ID}/messages/{id}")).await.refusal(), (404, "ErrorItemNotFound"));
    assert!(graph.world.read_mail(AGENT_ID, &id).is_err() && graph.world.delete_mail(AGENT_ID, &id).is_err());
}

#[tokio::test]
async fn who_may_read_a_mailbox() {
    let graph = Graph::new();
    let id = graph.world.put_mail(AGENT_ID, &mail("first"));
    assert_eq!(graph.get("/users/nobody@contoso.com/messages/x").await.status, 404);
    let mut without = User::new("box@contoso.com", "33333333-2222-3333-4444-555555555555");
    without.mailbox = false;
    graph.world.directory().put_user(without);
    let got = graph.get("/users/box@contoso.com/messages/x").await;
    assert_eq!(got.refusal(), (404, "MailboxNotEnabledForRESTAPI"));
    graph.permit(&["Mail.Send"]);
    for path in
        [format!("/users/{AGENT_ID}/messages/{id}"), format!("/users/{AGENT_ID}/mailFolders/inbox/messages/delta")]
    {
        assert_eq!(graph.get(&path).await.refusal(), (403, "ErrorAccessDenied"), "{path}");
    }
}

#[tokio::test]
async fn a_delta_query_gives_what_changed_in_a_folder() {
    let graph = Graph::new();
    let ids: Vec<String> = (0..3).map(|number| graph.world.put_mail(AGENT_ID, &mail(&format!("{number}")))).collect();
    graph.world.put_mail(AGENT_ID, &NewMail { folder: "archive".into(), ..mail("elsewhere") });
    let path = format!("/users/{AGENT}/mailFolders/inbox/messages/delta?$select=subject");
    let first = graph.get_preferring(&path, "IdType=\"ImmutableId\", odata.maxpagesize=2").await;
    assert_eq!(first.ids(), ids[..2]);
    let item = &first.items()[0];
    assert!(item["subject"] == "0" && item["body"].is_null());
    let second = graph.follow(&first.body["@odata.nextLink"]).await;
    assert_eq!(second.ids(), ids[2..]);
    assert!(second.items()[0]["body"].is_null(), "what was selected first still holds");
    let delta = second.body["@odata.deltaLink"].clone();
    assert!(graph.follow(&delta).await.items().is_empty());
    graph.world.read_mail(AGENT_ID, &ids[0]).unwrap();
    graph.world.delete_mail(AGENT_ID, &ids[1]).unwrap();
    let changed = graph.follow(&delta).await;
    assert_eq!(changed.ids(), ids[..2]);
    assert_eq!(changed.items()[1], json!({"id": ids[1], "@removed": {"reason": "deleted"}}));
    let fresh = graph.get(&path).await;
    assert_eq!(fresh.ids(), [ids[2].clone(), ids[0].clone()], "what was gone before is not told");
    let filtered = async |time: &str| graph.get(&format!("{path}&$filter=receivedDateTime%20ge%20{time}")).await;
    assert_eq!(filtered("2020-01-01T00:00:00Z").await.ids().len(), 2);
    assert!(filtered("2999-01-01T00:00:00Z").await.items().is_empty());
    assert_eq!(filtered("yesterday").await.status, 400);
    graph.world.set_delta_replays(1);
    let again = graph.follow(&changed.body["@odata.deltaLink"]).await;
    assert_eq!(again.ids(), ids[1..2]);
    let other = delta.as_str().unwrap().replace("inbox", "archive");
    assert_eq!(graph.follow(&json!(other)).await.status, 400, "the token is another folder's");
    graph.world.expire_delta_tokens();
    assert_eq!(graph.follow(&delta).await.refusal(), (410, "syncStateNotFound"));
    assert_eq!(graph.get("/users/kim@contoso.com/mailFolders/inbox/messages/delta").await.status, 200);
}
