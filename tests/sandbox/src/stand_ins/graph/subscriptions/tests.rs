use super::super::super::{AGENT, AGENT_ID, CHAT, COLLEAGUE_ID, NewMessage, Sender};
use super::super::testing::{Graph, HandshakeAnswer, Manner, Receiver, certificate, in_minutes, wish};
use super::*;
use std::time::Duration;

const TEAMS_PERMISSIONS: &[&str] = &["Chat.Read.All", "Mail.Read", "Calendars.Read", "User.Read.All"];

async fn start() -> (Graph, Receiver) {
    let graph = Graph::new();
    graph.permit(TEAMS_PERMISSIONS);
    let receiver = Receiver::start(&graph).await;
    (graph, receiver)
}

fn minutes_left(shown: &Value) -> i64 {
    let expires: Timestamp = shown["expirationDateTime"].as_str().unwrap().parse().unwrap();
    (expires.as_second() - Timestamp::now().as_second() + 30) / 60
}

#[tokio::test]
async fn a_subscription_is_made_while_both_endpoints_are_called() {
    let (graph, receiver) = start().await;
    let got = graph.subscribe(&receiver, json!({})).await;
    assert_eq!(got.status, 201);
    let posted = receiver.posted();
    let uris: Vec<String> = posted.iter().map(|posted| posted.uri.to_string()).collect();
    assert_eq!(uris.len(), 2);
    let token = "validationToken=Validation%3a+Testing+client+application+reachability+for+subscription+Request-Id%3a+";
    assert!(uris[0].starts_with(&format!("/notifications?{token}")), "{}", uris[0]);
    assert!(uris[1].starts_with(&format!("/lifecycle?of=bridge&{token}")), "{}", uris[1]);
    assert!(posted.iter().all(|posted| posted.method == "POST" && posted.body == ""));
    assert!(posted.iter().all(|posted| posted.content_type == "text/plain; charset=utf-8"));
    let shown = &got.body;
    assert_eq!(shown["applicationId"], crate::stand_ins::BRIDGE_APP);
    assert_eq!(
        (&shown["changeType"], &shown["clientState"]),
        (&json!("created,updated,deleted"), &json!("of the client"))
    );
    assert_eq!(minutes_left(shown), 59);
    let id = got.text("id");
    assert_eq!(graph.get(&format!("/subscriptions/{id}")).await.body, got.body);
    assert_eq!(graph.get("/subscriptions").await.items(), std::slice::from_ref(&got.body));
    assert_eq!(graph.delete(&format!("/subscriptions/{id}")).await.status, 204);
    for got in [
        graph.delete(&format!("/subscriptions/{id}")).await,
        graph.get(&format!("/subscriptions/{id}")).await,
        graph.patch(&format!("/subscriptions/{id}"), json!({"expirationDateTime": in_minutes(59)})).await,
        graph.post(&format!("/subscriptions/{id}/reauthorize"), json!({})).await,
        graph.get("/subscriptions/no-id").await,
    ] {
        assert_eq!(got.refusal(), (404, "ResourceNotFound"));
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_give_back_the_token_is_refused() {
    let (graph, receiver) = start().await;
    let good = receiver.manner.lock().unwrap().clone();
    let plain = "text/plain";
    let manners: [HandshakeAnswer; 5] = [
        (202, plain, str::to_owned),
        (200, "text/html", str::to_owned),
        (200, "application/json", str::to_owned),
        (200, plain, |token| token.replace(' ', "+")),
        (200, plain, |token| format!("{token}\n")),
    ];
    for handshake in manners {
        *receiver.manner.lock().unwrap() = Manner { handshake, ..good.clone() };
        let got = graph.subscribe(&receiver, json!({})).await;
        assert_eq!(got.refusal(), (400, "ValidationError"), "{handshake:?}");
        assert!(got.message().contains("must respond with"), "{}", got.message());
    }
    let got = graph.subscribe(&receiver, json!({"notificationUrl": "http://127.0.0.1:9/"})).await;
    assert_eq!(got.refusal(), (400, "ValidationError"));
    *receiver.manner.lock().unwrap() = Manner { handshake_delay: Duration::from_millis(10_500), ..good.clone() };
    let got = graph.subscribe(&receiver, json!({})).await;
    assert_eq!(
        (got.refusal(), got.message()),
        ((400, "ValidationError"), "Subscription validation request timed out.")
    );
    *receiver.manner.lock().unwrap() = good;
    assert!(graph.world.subscriptions().is_empty());
    assert_eq!(graph.subscribe(&receiver, json!({})).await.status, 201);
}

#[tokio::test]
async fn each_resource_has_its_permission_and_its_longest_life() {
    let (graph, receiver) = start().await;
    let (mine, theirs) = (format!("/users/{AGENT_ID}"), format!("users/{AGENT}"));
    let rows = [
        ("/chats".to_owned(), "Chat.ReadBasic.All", 4320, "created"),
        (format!("/chats/{CHAT}"), "Chat.ReadBasic.All", 4320, "updated"),
        (format!("{mine}/chats"), "Chat.ReadBasic.All", 4320, "created"),
        ("chats/getAllMessages".to_owned(), "Chat.Read.All", 4320, "deleted"),
        (format!("/chats/{CHAT}/messages"), "Chat.Read.All", 4320, "created"),
        (format!("{theirs}/chats/getAllMessages"), "Chat.Read.All", 4320, "created"),
        (format!("/chats/{CHAT}/members"), "ChatMember.Read.All", 4320, "created"),
        ("/communications/callRecords".to_owned(), "CallRecords.Read.All", 4230, "created"),
        (format!("{mine}/events"), "Calendars.Read", 10_080, "created"),
        (format!("{mine}/messages"), "Mail.Read", 10_080, "created"),
        (format!("{theirs}/mailFolders('inbox')/messages"), "Mail.Read", 10_080, "created"),
        ("/users".to_owned(), "User.Read.All", 41_760, "updated"),
    ];
    for (resource, permission, minutes, change_type) in rows {
        let body = |minutes: i64| {
            json!({
                "resource": resource, "changeType": change_type, "expirationDateTime": in_minutes(minutes),
            })
        };
        graph.permit(&["Mail.ReadWrite", "Calendars.ReadWrite"]);
        let got = graph.subscribe(&receiver, body(minutes)).await;
        assert_eq!(got.refusal(), (403, "Forbidden"), "{resource}: writing alone is not reading");
        assert!(got.message().contains(permission), "{}", got.message());
        graph.permit(&[permission]);
        let got = graph.subscribe(&receiver, body(minutes + 1)).await;
        assert_eq!(got.refusal(), (400, "ValidationError"), "{resource} for {minutes} minutes and one");
        let got = graph.subscribe(&receiver, body(minutes)).await;
        assert_eq!((got.status, minutes_left(&got.body)), (201, minutes), "{resource}");
        assert_eq!(got.body["resource"], resource);
    }
    graph.permit(&["Presence.Read.All"]);
    let presence = json!({"resource": format!("/communications/presences/{AGENT_ID}"), "changeType": "updated"});
    let got = graph.subscribe(&receiver, presence).await;
    assert_eq!(got.refusal(), (403, "Forbidden"));
    assert!(got.message().contains("not supported"));
}

#[tokio::test]
async fn what_a_subscription_has_to_have() {
    let (graph, receiver) = start().await;
    let (certificate, _) = certificate();
    let mail = format!("/users/{AGENT_ID}/messages");
    let rich = json!({
        "includeResourceData": true, "encryptionCertificate": certificate, "encryptionCertificateId": "c-1",
    });
    let refused = |changes: Value, why: &'static str| (changes, why);
    let with = |more: Value| {
        let mut body = rich.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (changes, why) in [
        refused(json!({"changeType": ""}), "changeType is a required property"),
        refused(json!({"changeType": "created,moved"}), "moved"),
        refused(json!({"resource": null}), "resource is a required property"),
        refused(json!({"resource": "/nothing/like/it"}), "not supported"),
        refused(json!({"notificationUrl": null}), "notificationUrl is a required property"),
        refused(json!({"notificationUrl": "/relative"}), "not a valid URL"),
        refused(json!({"lifecycleNotificationUrl": 1}), "not a valid URL"),
        refused(json!({"expirationDateTime": null}), "expirationDateTime is a required property"),
        refused(json!({"expirationDateTime": "2026-05-04T12:00:00"}), "not a time"),
        refused(json!({"clientState": "x".repeat(129)}), "128"),
        refused(json!({"latestSupportedTlsVersion": "v0"}), "latestSupportedTlsVersion"),
        refused(
            json!({"lifecycleNotificationUrl": null, "expirationDateTime": in_minutes(61)}),
            "lifecycleNotificationUrl is a required property for subscription creation on this resource when",
        ),
        refused(json!({"includeResourceData": true}), "encryptionCertificate is required"),
        refused(with(json!({"encryptionCertificateId": null})), "encryptionCertificateId"),
        refused(with(json!({"encryptionCertificateId": "c".repeat(129)})), "128"),
        refused(with(json!({"encryptionCertificate": "no base64"})), "base64"),
        refused(with(json!({"encryptionCertificate": "bm8gY2VydGlmaWNhdGU="})), "X.509"),
        refused(with(json!({"resource": mail})), "$select"),
        refused(with(json!({"resource": "/chats/getAllMessages?$select=body"})), "$select"),
        refused(with(json!({"resource": "/users", "changeType": "updated"})), "includeResourceData"),
        refused(
            with(json!({"resource": format!("{mail}?$select=subject"), "expirationDateTime": in_minutes(1441)})),
            "1440",
        ),
    ] {
        let got = graph.subscribe(&receiver, changes.clone()).await;
        assert_eq!(got.refusal(), (400, "ValidationError"), "{changes}");
        assert!(got.message().contains(why), "{changes}: {}", got.message());
    }
    for resource in ["/users/nobody@contoso.com/messages", "/chats/19:nowhere@thread.v2/messages"] {
        assert_eq!(graph.subscribe(&receiver, json!({"resource": resource})).await.status, 404);
    }
    assert!(receiver.posted().is_empty(), "nobody is called for what is refused");
    for changes in [
        json!({"lifecycleNotificationUrl": null}),
        json!({"lifecycleNotificationUrl": null, "expirationDateTime": in_minutes(10_080), "resource": mail}),
        with(json!({"resource": format!("{mail}?$select=subject"), "expirationDateTime": in_minutes(1440)})),
    ] {
        let got = graph.subscribe(&receiver, changes.clone()).await;
        assert_eq!(got.status, 201, "{changes}: {}", got.message());
    }
}

#[tokio::test]
async fn a_short_life_is_made_longer_without_a_word() {
    let (graph, receiver) = start().await;
    let got = graph.subscribe(&receiver, json!({"expirationDateTime": in_minutes(1)})).await;
    assert_eq!((got.status, minutes_left(&got.body)), (201, 45));
}

#[tokio::test]
async fn a_certificate_has_an_rsa_key_of_a_length_that_graph_takes() {
    let (graph, receiver) = start().await;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["bridge.example".into()]).unwrap().self_signed(&key).unwrap();
    let elliptic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, certificate.der());
    let rich =
        json!({"includeResourceData": true, "encryptionCertificate": elliptic, "encryptionCertificateId": "c-1"});
    let got = graph.subscribe(&receiver, rich).await;
    assert_eq!((got.refusal(), got.message()), ((400, "ValidationError"), "encryptionCertificate has no RSA key."));
}

#[tokio::test]
async fn the_same_twice_is_a_conflict_and_quotas_are_refusals() {
    let (graph, receiver) = start().await;
    let first = graph.subscribe(&receiver, json!({})).await.text("id");
    let got =
        graph.subscribe(&receiver, json!({"changeType": "deleted,created,updated", "clientState": "other"})).await;
    assert_eq!(got.refusal(), (409, "Conflict"));
    assert_eq!(got.message(), format!("Subscription Id <{first}> already exists for the requested combination"));
    // One of an app for each chat.
    let chat = format!("/chats/{CHAT}/messages");
    assert_eq!(graph.subscribe(&receiver, json!({"resource": chat})).await.status, 201);
    let got = graph.subscribe(&receiver, json!({"resource": chat, "changeType": "created"})).await;
    assert_eq!(got.refusal(), (403, "Forbidden"));
    assert!(got.message().contains("quota"));
    // Ten for each user.
    let user = format!("/users/{AGENT_ID}/chats/getAllMessages");
    for number in 0..11 {
        let resource = format!("{user}?number={number}");
        let got = graph.subscribe(&receiver, json!({"resource": resource})).await;
        assert_eq!(got.status, if number < 10 { 201 } else { 403 }, "{number}");
    }
    let other = format!("/users/{COLLEAGUE_ID}/chats/getAllMessages");
    assert_eq!(graph.subscribe(&receiver, json!({"resource": other})).await.status, 201);
    // So many of all apps in the organisation.
    let all = graph.world.subscriptions().len();
    graph.world.set_subscription_limits(SubscriptionSettings { teams_quota: Some(all), ..Default::default() });
    let got = graph.subscribe(&receiver, json!({"resource": "/chats", "changeType": "created"})).await;
    assert_eq!(got.refusal(), (403, "Forbidden"));
    assert!(got.message().contains("quota"));
    let mail = format!("/users/{AGENT_ID}/messages");
    assert_eq!(graph.subscribe(&receiver, json!({"resource": mail})).await.status, 201, "mail has its own");
    // Who has expired counts no longer.
    assert_eq!(graph.world.expire_subscriptions(Some(first.parse().unwrap()), 0), 1);
    assert_eq!(graph.get(&format!("/subscriptions/{first}")).await.status, 404);
    assert_eq!(graph.subscribe(&receiver, json!({})).await.status, 201);
}

#[tokio::test]
async fn renewing_and_rotating_and_moving() {
    let (graph, receiver) = start().await;
    let ((old, _), (new, _)) = (certificate(), certificate());
    let rich = json!({"includeResourceData": true, "encryptionCertificate": old, "encryptionCertificateId": "c-1"});
    let id = graph.subscribe(&receiver, rich).await.text("id");
    let path = format!("/subscriptions/{id}");
    for body in [
        json!({}),
        json!({"clientState": "other"}),
        json!({"encryptionCertificate": new, "encryptionCertificateId": "c-2"}),
        json!({"expirationDateTime": in_minutes(90), "lifecycleNotificationUrl": receiver.url}),
        json!({"expirationDateTime": in_minutes(4321)}),
        json!({"expirationDateTime": in_minutes(90), "encryptionCertificateId": "c-2"}),
    ] {
        assert_eq!(graph.patch(&path, body.clone()).await.refusal(), (400, "ValidationError"), "{body}");
    }
    let calls = receiver.posted().len();
    let rotation = json!({
        "expirationDateTime": in_minutes(4320), "encryptionCertificate": new, "encryptionCertificateId": "c-2",
    });
    let got = graph.patch(&path, rotation).await;
    assert_eq!((got.status, minutes_left(&got.body)), (200, 4320));
    assert_eq!(got.body["encryptionCertificateId"], "c-2");
    assert_eq!(receiver.posted().len(), calls, "renewing calls nobody");
    graph.world.set_subscription_limits(SubscriptionSettings { validates_renewals: Some(true), ..Default::default() });
    assert_eq!(graph.patch(&path, json!({"expirationDateTime": in_minutes(90)})).await.status, 200);
    assert_eq!(receiver.posted().len(), calls + 1, "unless it was asked to");
    let moved = format!("{}/moved?tenant=x", receiver.url);
    let got = graph.patch(&path, json!({"notificationUrl": moved})).await;
    assert_eq!((got.status, &got.body["notificationUrl"]), (200, &json!(moved)));
    let last = receiver.posted().last().unwrap().uri.to_string();
    assert!(last.starts_with("/moved?tenant=x&validationToken="), "{last}");
    let got = graph.patch(&path, json!({"notificationUrl": "http://127.0.0.1:9/"})).await;
    assert_eq!(got.refusal(), (400, "ValidationError"));
    assert_eq!(graph.world.subscriptions()[0]["notificationUrl"], moved);
}

#[tokio::test]
async fn renewing_and_reauthorizing_within_ten_minutes_is_noted() {
    let (graph, receiver) = start().await;
    let path = format!("/subscriptions/{}", graph.subscribe(&receiver, json!({})).await.text("id"));
    let renew = json!({"expirationDateTime": in_minutes(59)});
    tokio::time::pause();
    let far = Duration::from_secs(600);
    assert_eq!(graph.patch(&path, renew.clone()).await.status, 200);
    assert_eq!(graph.patch(&path, renew.clone()).await.status, 200);
    tokio::time::advance(far).await;
    let got = graph.post(&format!("{path}/reauthorize"), json!({})).await;
    assert_eq!((got.status, got.bytes), (204, Vec::new()));
    tokio::time::advance(far).await;
    assert_eq!(graph.patch(&path, renew.clone()).await.status, 200);
    assert_eq!(graph.world.subscription_hazards(), []);
    tokio::time::advance(Duration::from_secs(599)).await;
    assert_eq!(graph.post(&format!("{path}/reauthorize"), json!({})).await.status, 204);
    let hazards = graph.world.subscription_hazards();
    assert_eq!((hazards.len(), hazards[0].renewed_last, hazards[0].seconds_apart), (1, false, 599));
}

#[tokio::test]
async fn lists_have_pages_and_their_own_limit() {
    let (graph, receiver) = start().await;
    graph.world.set_subscription_limits(SubscriptionSettings { page_size: Some(2), ..Default::default() });
    let mut made = Vec::new();
    for resource in ["/chats/getAllMessages", "/chats", "/users"] {
        let body = json!({"resource": resource, "changeType": "updated"});
        made.push(graph.subscribe(&receiver, body).await.text("id"));
    }
    let first = graph.get("/subscriptions").await;
    assert_eq!(first.ids(), made[..2]);
    let second = graph.follow(&first.body["@odata.nextLink"]).await;
    assert_eq!((second.ids(), &second.body["@odata.nextLink"]), (vec![made[2].clone()], &Value::Null));
    for _ in 2..25 {
        assert_eq!(graph.get("/subscriptions").await.status, 200);
    }
    let got = graph.get("/subscriptions").await;
    assert_eq!(got.refusal(), (429, "TooManyRequests"));
    let wait: f64 = got.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((0.0..=20.0).contains(&wait), "{wait}");
    assert_eq!(graph.get(&format!("/subscriptions/{}", made[0])).await.status, 200, "one has another limit");
}

#[tokio::test]
async fn a_subscription_ends_when_it_said() {
    let (graph, receiver) = start().await;
    graph.subscribe(&receiver, json!({})).await;
    assert_eq!(graph.world.expire_subscriptions(None, 1), 1);
    assert_eq!(graph.world.subscriptions().len(), 1);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(graph.world.subscriptions().is_empty());
    graph.world.write_message(CHAT, NewMessage::text(Sender::System, "")).unwrap();
    assert_eq!(graph.world.notifications().totals.generated, 0);
    assert_eq!(wish(&receiver, json!({}))["clientState"], "of the client");
}
