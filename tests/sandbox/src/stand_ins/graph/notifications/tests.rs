use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::json;

use super::super::super::{AGENT_ID, BRIDGE_APP, CHAT, COLLEAGUE_ID, Edit, NewMail, NewMessage, Sender, TENANT};
use super::super::testing::{Graph, Receiver, certificate, in_minutes};
use super::*;

const PUBLISHER: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";

pub(super) async fn start(subscription: Value) -> (Graph, Receiver, String) {
    let graph = Graph::new();
    let receiver = Receiver::start(&graph).await;
    let got = graph.subscribe(&receiver, subscription).await;
    assert_eq!(got.status, 201, "{}", got.body);
    (graph, receiver, got.text("id"))
}

/// A subscription with resource data, and the private key for it.
pub(super) fn rich() -> (Value, Vec<u8>) {
    let (certificate, key) = certificate();
    let wish = json!({
        "includeResourceData": true, "encryptionCertificate": certificate, "encryptionCertificateId": "c-1",
    });
    (wish, key)
}

pub(super) fn lee() -> Sender {
    Sender::User(COLLEAGUE_ID.into(), "Lee".into())
}

pub(super) fn write(graph: &Graph, text: &str) -> String {
    graph.world.write_message(CHAT, NewMessage::text(lee(), text)).unwrap()
}

pub(super) fn settings(graph: &Graph, changes: &str) {
    let settings = graph.world.notifications().settings.with(changes).unwrap();
    graph.world.set_notifications(settings);
}

/// Decrypts content as a subscriber does: it checks the signature first, as Microsoft's recipe says.
fn decrypted(content: &Value, key: &[u8]) -> Option<Value> {
    let part = |name: &str| BASE64_STANDARD.decode(content[name].as_str().unwrap()).unwrap();
    let private = OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(key).unwrap()).unwrap();
    let mut room = vec![0; private.min_output_size()];
    let key = private.decrypt(&OAEP_SHA1_MGF1SHA1, &part("dataKey"), &mut room, None).ok()?;
    assert_eq!(key.len(), 32);
    let mut data = part("data");
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), &data, &part("dataSignature")).ok()?;
    let vector: [u8; 16] = key[..16].try_into().unwrap();
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
    let plain = cipher.decrypt(&mut data, DecryptionContext::Iv128(FixedLength::from(&vector))).ok()?;
    Some(serde_json::from_slice(plain).unwrap())
}

/// The claims of a token that the published key signed.
fn verified(graph: &Graph, token: &str) -> Option<Value> {
    let published = graph.world.tokens.keys.published(None);
    let id = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let key = published["keys"].as_array().unwrap().iter().find(|key| key["kid"] == id)?;
    let key = DecodingKey::from_rsa_components(key["n"].as_str().unwrap(), key["e"].as_str().unwrap()).unwrap();
    let mut checks = Validation::new(Algorithm::RS256);
    checks.set_audience(&[BRIDGE_APP]);
    jsonwebtoken::decode::<Value>(token, &key, &checks).ok().map(|token| token.claims)
}

#[tokio::test]
async fn a_basic_notification_says_what_changed_and_no_more() {
    let (graph, receiver, id) = start(json!({})).await;
    let message = write(&graph, "hello");
    graph.world.change_message(CHAT, &message, &Edit::Content("<p>hello!</p>".into())).unwrap();
    let reaction = Edit::Reaction { user: AGENT_ID.into(), reaction: "like".into() };
    graph.world.change_message(CHAT, &message, &reaction).unwrap();
    graph.world.change_message(CHAT, &message, &Edit::Deletion).unwrap();
    let collections = receiver.collections(&graph).await;
    assert!(collections.iter().all(|collection| collection["validationTokens"].is_null()));
    let notifications = receiver.notifications(&graph).await;
    let kinds: Vec<&str> = notifications.iter().map(|item| item["changeType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["created", "updated", "updated", "deleted"]);
    let first = &notifications[0];
    let path = format!("chats('{CHAT}')/messages('{message}')");
    assert_eq!(first["subscriptionId"], id);
    assert_eq!((&first["clientState"], &first["tenantId"]), (&json!("of the client"), &json!(TENANT)));
    assert_eq!(first["resource"], path);
    let data = json!({"id": message, "@odata.type": "#Microsoft.Graph.chatMessage", "@odata.id": path});
    assert_eq!(first["resourceData"], data);
    assert!(first["encryptedContent"].is_null());
    let expires = first["subscriptionExpirationDateTime"].as_str().unwrap();
    assert!(expires.ends_with("-08:00") && expires.len() == "2026-05-04T02:30:34.9097561-08:00".len(), "{expires}");
    let shown: Timestamp = graph.world.subscriptions()[0]["expirationDateTime"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires.parse::<Timestamp>().unwrap(), shown);
    let posted = receiver.posted().pop().unwrap();
    assert_eq!((posted.method.as_str(), posted.uri.path()), ("POST", "/notifications"));
    assert!(posted.content_type.starts_with("application/json"));
}

#[tokio::test]
async fn who_hears_of_what() {
    let graph = Graph::new();
    let receiver = Receiver::start(&graph).await;
    graph.permit(&["Chat.Read.All", "Mail.Read", "Calendars.Read", "Calendars.ReadWrite"]);
    let stranger = "19:others@thread.v2";
    graph.world.put_chat(stranger, Some("others"), &[COLLEAGUE_ID]).unwrap();
    for (resource, change_type) in [
        ("/chats/getAllMessages".to_owned(), "created"),
        (format!("/chats/{CHAT}/messages"), "created"),
        (format!("/users/{AGENT_ID}/chats/getAllMessages"), "created"),
        (format!("/users/{AGENT_ID}/chats/getAllMessages"), "deleted"),
        ("/chats".to_owned(), "updated"),
        (format!("/users/{AGENT_ID}/messages"), "created,deleted"),
        (format!("/users/{AGENT_ID}/mailFolders/sentitems/messages"), "created"),
        (format!("/users/{AGENT_ID}/events"), "created,deleted"),
    ] {
        let state = format!("{resource} {change_type}");
        let wish = json!({"resource": resource, "changeType": change_type, "clientState": state});
        assert_eq!(graph.subscribe(&receiver, wish).await.status, 201, "{resource}");
    }
    let told = async |before: usize| -> Vec<String> {
        let all = receiver.notifications(&graph).await;
        let mut states: Vec<String> =
            all[before..].iter().map(|item| item["clientState"].as_str().unwrap().to_owned()).collect();
        states.sort();
        states
    };
    write(&graph, "in the chat");
    let user = format!("/users/{AGENT_ID}");
    let expected = [
        format!("/chats/{CHAT}/messages created"),
        "/chats/getAllMessages created".to_owned(),
        format!("{user}/chats/getAllMessages created"),
    ];
    assert_eq!(told(0).await, expected);
    graph.world.write_message(stranger, NewMessage::text(lee(), "elsewhere")).unwrap();
    assert_eq!(told(3).await, ["/chats/getAllMessages created"]);
    graph.world.put_chat(stranger, Some("another topic"), &[]).unwrap();
    assert_eq!(told(4).await, ["/chats updated"]);
    let mail = NewMail { from: "a@example.com".into(), subject: "s".into(), body: "b".into(), folder: "inbox".into() };
    let id = graph.world.put_mail(AGENT_ID, &mail);
    graph.world.read_mail(AGENT_ID, &id).unwrap();
    graph.world.delete_mail(AGENT_ID, &id).unwrap();
    let of_mail = format!("{user}/messages created,deleted");
    assert_eq!(told(5).await, [of_mail.clone(), of_mail]);
    let event = json!({
        "subject": "s", "start": {"dateTime": "2026-05-04T09:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-05-04T09:30:00", "timeZone": "UTC"},
    });
    let event = graph.post(&format!("{user}/events"), event).await.text("id");
    assert_eq!(graph.delete(&format!("{user}/events/{event}")).await.status, 204);
    let of_events = format!("{user}/events created,deleted");
    assert_eq!(told(7).await, [of_events.clone(), of_events]);
}

#[tokio::test]
async fn outlook_names_a_resource_in_more_ways_than_one() {
    let resource = format!("/users/{AGENT_ID}/messages");
    let (graph, receiver, _) = start(json!({"resource": resource, "changeType": "created"})).await;
    let mail = NewMail { from: "a@example.com".into(), subject: "s".into(), body: "b".into(), folder: "inbox".into() };
    let ids: Vec<String> = (0..3).map(|_| graph.world.put_mail(AGENT_ID, &mail)).collect();
    let mut notifications = receiver.notifications(&graph).await;
    notifications.sort_by_key(|item| ids.iter().position(|id| item["resourceData"]["id"] == *id));
    let forms = [
        format!("Users('{AGENT_ID}')/Messages('{}')", ids[0]),
        format!("users/{AGENT_ID}@{TENANT}/messages/{}", ids[1]),
        format!("Users/{AGENT_ID}/Messages/{}", ids[2]),
    ];
    for ((item, form), id) in notifications.iter().zip(forms).zip(&ids) {
        assert_eq!(item["resource"], form);
        let data = &item["resourceData"];
        assert_eq!(data["@odata.type"], "#Microsoft.Graph.Message");
        assert_eq!(data["@odata.id"], format!("Users/{AGENT_ID}/Messages/{id}"));
        let message = graph.get(&format!("/users/{AGENT_ID}/messages/{id}")).await.body;
        assert_eq!(data["@odata.etag"], message["@odata.etag"]);
    }
}

#[tokio::test]
async fn resource_data_is_encrypted_for_the_certificate_and_each_time_anew() {
    let (wish, key) = rich();
    let (graph, receiver, _) = start(wish).await;
    let id = write(&graph, "grüße");
    write(&graph, "grüße");
    let notifications = receiver.notifications(&graph).await;
    let content = &notifications[0]["encryptedContent"];
    assert_eq!(content["encryptionCertificateId"], "c-1");
    let thumbprint = content["encryptionCertificateThumbprint"].as_str().unwrap();
    assert!(thumbprint.len() == 40 && thumbprint.chars().all(|c| c.is_ascii_hexdigit()), "{thumbprint}");
    let mut message = decrypted(content, &key).unwrap();
    assert!(message.as_object_mut().unwrap().remove("@odata.context").is_some());
    let shown = graph.get(&format!("/chats/{CHAT}/messages/{id}")).await;
    assert_eq!(message, shown.body);
    assert_eq!(message["body"]["content"], "grüße");
    assert_ne!(content["dataKey"], notifications[1]["encryptedContent"]["dataKey"]);
    assert_ne!(content["data"], notifications[1]["encryptedContent"]["data"]);
}

#[tokio::test]
async fn resource_data_of_outlook_is_what_was_selected() {
    let (mut wish, key) = rich();
    wish["resource"] = format!("/users/{AGENT_ID}/messages?$select=subject,from").into();
    let (graph, receiver, _) = start(wish).await;
    let mail = NewMail { from: "a@example.com".into(), subject: "s".into(), body: "b".into(), folder: "inbox".into() };
    graph.world.put_mail(AGENT_ID, &mail);
    let content = receiver.notifications(&graph).await[0]["encryptedContent"].clone();
    let message = decrypted(&content, &key).unwrap();
    let mut names: Vec<&String> = message.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["@odata.context", "@odata.etag", "from", "id", "subject"]);
}

#[tokio::test]
async fn a_new_certificate_counts_from_the_next_notification_on() {
    let (wish, old) = rich();
    let (graph, receiver, id) = start(wish).await;
    write(&graph, "first");
    let (certificate, new) = certificate();
    let rotation = json!({
        "expirationDateTime": in_minutes(59), "encryptionCertificate": certificate, "encryptionCertificateId": "c-2",
    });
    assert_eq!(graph.patch(&format!("/subscriptions/{id}"), rotation).await.status, 200);
    write(&graph, "second");
    let notifications = receiver.notifications(&graph).await;
    let contents: Vec<&Value> = notifications.iter().map(|item| &item["encryptedContent"]).collect();
    assert_eq!(contents[1]["encryptionCertificateId"], "c-2");
    assert_eq!(decrypted(contents[0], &old).unwrap()["body"]["content"], "first");
    assert_eq!(decrypted(contents[1], &new).unwrap()["body"]["content"], "second");
    assert!(decrypted(contents[1], &old).is_none());
}

#[tokio::test]
async fn a_validation_token_comes_with_resource_data_and_a_key_that_is_published() {
    let (wish, _) = rich();
    let (graph, receiver, _) = start(wish).await;
    write(&graph, "first");
    let collections = receiver.collections(&graph).await;
    let tokens = collections[0]["validationTokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 1, "one for each app and tenant");
    let token = tokens[0].as_str().unwrap().to_owned();
    let claims = verified(&graph, &token).unwrap();
    assert_eq!(claims["iss"], format!("https://sts.windows.net/{TENANT}/"));
    assert_eq!((&claims["appid"], &claims["ver"], &claims["tid"]), (&json!(PUBLISHER), &json!("1.0"), &json!(TENANT)));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 8 * 60 * 60);
    graph.world.rotate_signing_key().unwrap();
    assert!(verified(&graph, &token).is_none(), "the old key is gone");
    settings(&graph, r#"{"tokenVersion": "2.0"}"#);
    write(&graph, "second");
    let collections = receiver.collections(&graph).await;
    let token = collections[1]["validationTokens"][0].as_str().unwrap();
    let claims = verified(&graph, token).unwrap();
    assert_eq!((&claims["azp"], &claims["ver"], &claims["appid"]), (&json!(PUBLISHER), &json!("2.0"), &Value::Null));
    assert_eq!(claims["iss"], graph.world.tokens.issuer());
}

#[tokio::test]
async fn each_flaw_is_the_only_one() {
    let (wish, key) = rich();
    let (graph, receiver, id) = start(wish).await;
    for flaw in Flaw::ALL {
        assert_eq!(graph.world.send_hostile(flaw, None).await.unwrap(), 202);
        let collection = receiver.posted().pop().unwrap().body;
        let item = &collection["value"][0];
        let tokens = collection["validationTokens"].as_array().cloned().unwrap_or_default();
        let good = |token: &Value| {
            let token = token.as_str().unwrap();
            let claims = jsonwebtoken::decode_header(token).ok().and_then(|_| verified(&graph, token));
            let expected = json!([PUBLISHER, format!("https://sts.windows.net/{TENANT}/")]);
            claims.is_some_and(|claims| json!([claims["appid"], claims["iss"]]) == expected)
        };
        let wrong: Vec<bool> = vec![
            item["clientState"] != "of the client",
            item["subscriptionId"] != id,
            item["tenantId"] != TENANT,
            tokens.is_empty() || !tokens.iter().all(good),
            item["encryptedContent"]["encryptionCertificateId"] != "c-1",
            decrypted(&item["encryptedContent"], &key).is_none(),
        ];
        let flaws = wrong.iter().filter(|wrong| **wrong).count();
        assert_eq!(flaws, usize::from(flaw != Flaw::None), "{flaw:?}: {wrong:?}");
    }
    assert!(graph.world.send_hostile(Flaw::None, Some(uuid::Uuid::new_v4())).await.is_err());
}
