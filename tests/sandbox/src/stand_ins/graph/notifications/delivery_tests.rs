use std::time::Duration;

use serde_json::json;

use super::super::super::{AGENT_ID, CHAT, COLLEAGUE_ID, NewMessage, TENANT};
use super::super::testing::Receiver;
use super::Lifecycle;
use super::health::State;
use super::tests::{lee, rich, settings, start, write};

#[tokio::test]
async fn what_fails_is_repeated_and_given_up_in_the_end() {
    let (graph, receiver, _) = start(json!({})).await;
    settings(&graph, r#"{"retryAfterMs": 20}"#);
    receiver.answer(&[(500, Duration::ZERO), (404, Duration::ZERO), (302, Duration::ZERO)]);
    write(&graph, "one");
    assert_eq!(receiver.notifications(&graph).await.len(), 4, "three failures and a success");
    let standing = graph.world.notifications();
    let statuses: Vec<(u32, u16)> = standing.attempts.iter().map(|post| (post.attempt, post.status)).collect();
    assert_eq!(statuses, [(1, 500), (2, 404), (3, 302), (4, 202)]);
    assert_eq!((standing.totals.delivered, standing.totals.failed_posts), (1, 3));
    settings(&graph, r#"{"retryForSeconds": 1, "retryAfterMs": 400}"#);
    receiver.answer(&[(500, Duration::ZERO); 9]);
    write(&graph, "two");
    assert_eq!(receiver.notifications(&graph).await.len(), 6, "at 0 and 0.4 s; the next would be at 1.2 s");
    assert_eq!(graph.world.notifications().totals.given_up, 1);
}

#[tokio::test]
async fn the_first_answer_has_three_seconds_and_a_later_one_ten() {
    let (graph, receiver, _) = start(json!({})).await;
    settings(&graph, r#"{"retryAfterMs": 10}"#);
    receiver.answer(&[(202, Duration::from_millis(3500)), (202, Duration::from_millis(3500))]);
    write(&graph, "one");
    assert_eq!(receiver.notifications(&graph).await.len(), 2);
    let attempts = graph.world.notifications().attempts;
    let statuses: Vec<u16> = attempts.iter().map(|post| post.status).collect();
    assert_eq!(statuses, [0, 202]);
    assert!((3000..3400).contains(&attempts[0].milliseconds), "{attempts:?}");
}

#[tokio::test]
async fn a_slow_endpoint_waits_and_others_do_not() {
    let (graph, receiver, _) = start(json!({})).await;
    settings(&graph, r#"{"retryAfterMs": 10, "windowSeconds": 4}"#);
    receiver.answer(&[(202, Duration::from_millis(3200)), (202, Duration::ZERO)]);
    write(&graph, "one");
    receiver.notifications(&graph).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let url = format!("{}/notifications", receiver.url);
    assert_eq!(graph.world.notifications().endpoints[&url], State::Slow);
    let before = std::time::Instant::now();
    write(&graph, "two");
    let other = Receiver::start(&graph).await;
    let wish = json!({"resource": format!("/chats/{CHAT}/messages")});
    assert_eq!(graph.subscribe(&other, wish).await.status, 201);
    write(&graph, "three");
    while other.posted().len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(before.elapsed() < Duration::from_secs(2), "the other endpoint hears at once");
    receiver.notifications(&graph).await;
    assert!(before.elapsed() >= Duration::from_secs(4));
    assert_eq!(graph.world.notifications().totals.delayed, 2);
}

#[tokio::test]
async fn troubles_come_at_their_rates_and_the_same_for_the_same_seed() {
    let mut outcomes = Vec::new();
    for seed in [7, 7, 8] {
        let (graph, receiver, _) = start(json!({})).await;
        let troubles = json!({
            "duplicatePercent": 5, "reorderPercent": 2, "lossPercent": 1, "seed": seed, "lateMs": 100,
            "chatEtags": true,
        });
        settings(&graph, &troubles.to_string());
        for _ in 0..1000 {
            write(&graph, "x");
        }
        let notifications = receiver.notifications(&graph).await;
        let totals = graph.world.notifications().totals;
        assert_eq!((totals.generated, totals.pending), (1000, 0));
        assert!((25..80).contains(&totals.duplicated), "{totals:?}");
        assert!((8..40).contains(&totals.reordered), "{totals:?}");
        assert!((2..25).contains(&totals.lost), "{totals:?}");
        assert_eq!(notifications.len() as u64, 1000 - totals.lost + totals.duplicated);
        let ids: Vec<&str> = notifications.iter().map(|item| item["resourceData"]["id"].as_str().unwrap()).collect();
        let distinct: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(distinct.len() as u64, 1000 - totals.lost);
        let late = ids.windows(2).filter(|pair| pair[0] > pair[1]).count() as u64;
        assert!((1..=totals.reordered + totals.duplicated).contains(&late), "{late} came out of order: {totals:?}");
        assert!(notifications[0]["resourceData"]["@odata.etag"].is_string());
        outcomes.push((totals.lost, totals.duplicated, totals.reordered));
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert_ne!(outcomes[0], outcomes[2]);
}

#[tokio::test]
async fn lifecycle_notifications_go_to_their_own_endpoint() {
    let (graph, receiver, chats) = start(json!({})).await;
    let mail = json!({"resource": format!("/users/{AGENT_ID}/messages"), "clientState": "of mail"});
    let mail = graph.subscribe(&receiver, mail).await.text("id");
    assert_eq!(graph.world.send_lifecycle(Lifecycle::Missed, None, false), 1, "Teams never says so");
    assert_eq!(graph.world.send_lifecycle(Lifecycle::ReauthorizationRequired, None, false), 2);
    assert_eq!(graph.world.send_lifecycle(Lifecycle::SubscriptionRemoved, Some(chats.parse().unwrap()), false), 1);
    let notifications = receiver.notifications(&graph).await;
    let mut told: Vec<(&str, &str)> = notifications
        .iter()
        .map(|item| (item["lifecycleEvent"].as_str().unwrap(), item["subscriptionId"].as_str().unwrap()))
        .collect();
    told.sort_unstable();
    let mut expected = vec![
        ("missed", mail.as_str()),
        ("reauthorizationRequired", mail.as_str()),
        ("reauthorizationRequired", chats.as_str()),
        ("subscriptionRemoved", chats.as_str()),
    ];
    expected.sort_unstable();
    assert_eq!(told, expected);
    for item in &notifications {
        assert!(item["resourceData"].is_null() && item["clientState"].is_string() && item["tenantId"] == TENANT);
    }
    let posted = receiver.posted();
    let uris = posted.iter().filter(|posted| posted.body.is_object()).map(|posted| posted.uri.to_string());
    assert!(uris.clone().count() > 0 && uris.into_iter().all(|uri| uri == "/lifecycle?of=bridge"));
    assert_eq!(graph.get(&format!("/subscriptions/{chats}")).await.status, 404, "what was removed is gone");
}

#[tokio::test]
async fn a_subscription_that_is_not_authorized_again_hears_nothing() {
    let (graph, receiver, id) = start(json!({})).await;
    graph.world.send_lifecycle(Lifecycle::ReauthorizationRequired, None, true);
    write(&graph, "lost");
    assert_eq!(graph.post(&format!("/subscriptions/{id}/reauthorize"), json!({})).await.status, 204);
    write(&graph, "heard");
    let notifications = receiver.notifications(&graph).await;
    let kinds: Vec<bool> = notifications.iter().map(|item| item["lifecycleEvent"].is_string()).collect();
    assert_eq!(kinds.len(), 2, "the lifecycle event and one message");
    assert_eq!(kinds.iter().filter(|is_lifecycle| **is_lifecycle).count(), 1);
}

#[tokio::test]
async fn ten_thousand_notifications_in_a_minute() {
    let (wish, _) = rich();
    let (graph, receiver, _) = start(wish).await;
    let began = std::time::Instant::now();
    for chat in 0..100 {
        let id = format!("19:chat-{chat}@thread.v2");
        graph.world.put_chat(&id, Some("many"), &[AGENT_ID, COLLEAGUE_ID]).unwrap();
    }
    for number in 0..10_000 {
        let chat = format!("19:chat-{}@thread.v2", number % 100);
        graph.world.write_message(&chat, NewMessage::text(lee(), "hello")).unwrap();
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let notifications = receiver.notifications(&graph).await;
    assert_eq!(notifications.len(), 10_000);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    // What is about one chat came in order.
    let mut last: std::collections::HashMap<&str, &str> = std::collections::HashMap::new();
    for item in &notifications {
        let (chat, id) = item["resource"].as_str().unwrap().split_once("/messages").unwrap();
        assert!(last.insert(chat, id).is_none_or(|before| before < id));
    }
}
