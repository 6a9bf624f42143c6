//! Tests of making, renewing, replacing and deleting subscriptions.

use proptest::prelude::*;

use super::*;
use crate::queue::Message;
use crate::store::subscriptions::SubscriptionNotes;

#[tokio::test(start_paused = true)]
async fn what_is_wanted_is_made_once_and_then_left_alone() {
    let scene = Scene::new(&[CHATS, EVENTS]);
    let first = scene.run().await.tally;
    assert_eq!((first.created, first.missing, first.failed), (2, 0, 0));
    assert_eq!(scene.tenant.calls().iter().filter(|call| **call == "create").count(), 2);
    let second = scene.run().await.tally;
    assert_eq!(second, KeeperTally::default());
    assert_eq!(scene.tenant.calls(), ["list"], "and listed once in a run");
}

#[tokio::test(start_paused = true)]
async fn half_a_life_later_it_is_renewed_and_one_that_is_gone_is_made_anew() {
    let scene = Scene::new(&[CHATS, EVENTS]);
    scene.run().await;
    scene.later(DAY * 3 / 2).await;
    let run = scene.run().await.tally;
    assert_eq!((run.renewed, run.expiry_differs, run.near_expiry), (1, 0, 0), "three days for chats, seven for events");
    // Gone between the list and the renewal.
    scene.later(DAY * 3 / 2).await;
    scene.tenant.state().vanishes = true;
    scene.tenant.write(1);
    let run = scene.run().await.tally;
    assert_eq!((run.recreated, run.renewed, run.gap_items), (1, 0, 1));
    assert_eq!(scene.tenant.of(CHATS).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_got_lost_is_looked_for_in_the_list() {
    let scene = Scene::new(&[CHATS, EVENTS]);
    scene.tenant.state().faults.extend([Fault::AnswerLost, Fault::NotTaken]);
    let run = scene.run().await;
    assert_eq!((run.tally.adopted, run.tally.missing, run.tally.failed, run.open.len()), (1, 1, 1, 1));
    assert_eq!(scene.tenant.calls().iter().filter(|call| **call == "list").count(), 2, "once for both");
    let run = scene.run().await.tally;
    assert_eq!((run.created, run.missing), (1, 0));
    assert_eq!(scene.tenant.state().subscriptions.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_and_takes_nothing_else_with_it() {
    let scene = Scene::new(&[CHATS, EVENTS]);
    scene.tenant.state().faults.push_back(Fault::Refused);
    let run = scene.run().await;
    assert_eq!((run.tally.created, run.tally.failed, run.tally.missing), (1, 1, 1));
    let told = &run.troubles[0].error;
    assert!(told.message.contains("limit") && told.message.contains("permission is there"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn one_that_sends_elsewhere_is_in_the_way_and_that_is_told() {
    let scene = Scene::new(&[CHATS]);
    let elsewhere = Some("https://earlier.example/graph/notifications".to_owned());
    let foreign =
        Subscription { id: "f".into(), resource: CHATS.into(), notification_url: elsewhere, ..Subscription::default() };
    scene.tenant.state().subscriptions.push(foreign.clone());
    let run = scene.run().await;
    assert_eq!((run.tally.missing, run.tally.adopted), (1, 0));
    assert!(run.troubles[0].error.message.contains("another URL"), "{:?}", run.troubles);
    assert_eq!(scene.tenant.of(CHATS), [foreign]);
}

#[tokio::test(start_paused = true)]
async fn when_the_bridge_s_url_changes_its_subscriptions_are_made_anew() {
    let mut scene = Scene::new(&[CHATS, EVENTS]);
    scene.run().await;
    let mut env = Environment::of([
        ("SUBSCRIPTIONS", r#"[{"resource": "/users/u/events", "changeTypes": "created,updated,deleted"}]"#),
        ("WEBHOOK_URL", "https://new.example"),
    ]);
    let settings = KeeperSettings::read(&mut env);
    scene.settings = env.finish(settings).unwrap();
    let run = scene.run().await.tally;
    assert_eq!((run.recreated, run.missing, run.failed), (1, 0, 0));
    assert_eq!(scene.tenant.of(CHATS).len(), 1, "nobody remembers whose it is once it is not wanted");
    let events = scene.tenant.of(EVENTS);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].notification_url.as_deref(), Some("https://new.example/graph/notifications"));
}

#[tokio::test(start_paused = true)]
async fn one_that_graph_says_is_removed_is_not_adopted_though_the_list_still_has_it() {
    let scene = Scene::new(&[CHATS]);
    scene.run().await;
    let id = scene.tenant.of(CHATS)[0].id.clone();
    let removed = Events { removed: [id.clone()].into(), ..Events::default() };
    let run = scene.run_with(&removed, 300).await.tally;
    assert_eq!((run.adopted, run.missing, run.failed), (0, 1, 1));
    scene.tenant.state().subscriptions.clear();
    let run = scene.run_with(&removed, 300).await.tally;
    assert_eq!((run.created, run.missing), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_graph_does_not_take_costs_no_subscription_its_life() {
    let mut scene = Scene::new(&[CHATS]);
    scene.run().await;
    scene.credentials.certificate = certificate("bad");
    scene.tenant.state().bad_certificate = Some("bad");
    scene.tenant.calls();
    let run = scene.run().await.tally;
    assert_eq!((run.renewed, run.failed, scene.tenant.calls()), (0, 1, vec!["list", "renew"]), "nothing else is due");
    scene.later(DAY * 2).await;
    let run = scene.run().await.tally;
    assert_eq!((run.renewed, run.failed, run.near_expiry), (1, 1, 0));
    scene.credentials.certificate = certificate("good");
    assert_eq!(scene.run().await.tally, KeeperTally { renewed: 1, ..KeeperTally::default() });
    assert_eq!(scene.tenant.of(CHATS)[0].encryption_certificate_id.as_deref(), Some("good"));
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_is_given_and_a_new_client_state_makes_all_anew() {
    let mut scene = Scene::new(&[CHATS, EVENTS]);
    scene.run().await;
    let before = scene.tenant.of(CHATS);
    scene.credentials.certificate = certificate("new");
    assert_eq!(scene.run().await.tally, KeeperTally { renewed: 1, ..KeeperTally::default() });
    let after = scene.tenant.of(CHATS);
    assert_eq!((&after[0].id, after[0].encryption_certificate_id.as_deref()), (&before[0].id, Some("new")));
    scene.credentials.client_state = client_state("second");
    assert_eq!(scene.run().await.tally, KeeperTally { recreated: 2, ..KeeperTally::default() });
    assert_ne!(scene.tenant.of(CHATS)[0].id, after[0].id);
    assert_eq!(scene.run().await.tally, KeeperTally::default());
}

#[tokio::test(start_paused = true)]
async fn an_expiry_that_differs_is_told_and_planned_with() {
    let scene = Scene::new(&[CHATS]);
    scene.tenant.state().grants = Some(Duration::from_secs(60 * 60));
    let run = scene.run().await.tally;
    assert_eq!((run.created, run.expiry_differs, run.near_expiry), (1, 1, 0));
    scene.later(Duration::from_secs(20 * 60)).await;
    assert_eq!(scene.run().await.tally.renewed, 0);
    scene.later(Duration::from_secs(12 * 60)).await;
    assert_eq!(scene.run().await.tally.renewed, 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_s_wish_is_deleted_and_forgotten() {
    let mut scene = Scene::new(&[CHATS, EVENTS]);
    scene.run().await;
    let cx = RequestContext::new("test", Deadline::after(DAY));
    assert!(scene.notes.read(&cx, &[EVENTS], &[]).await.unwrap().by_resource[EVENTS].kept.is_some());
    scene.settings.wanted.truncate(1);
    assert_eq!(scene.run().await.tally, KeeperTally { deleted: 1, ..KeeperTally::default() });
    assert!(scene.tenant.of(EVENTS).is_empty() && scene.tenant.of(CHATS).len() == 1);
    assert!(scene.notes.read(&cx, &[EVENTS], &[]).await.unwrap().by_resource.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_time_nothing_is_begun_and_all_is_still_there_to_do() {
    let scene = Scene::new(&[CHATS, EVENTS]);
    let run = scene.run_with(&Events::default(), 5).await;
    assert_eq!((run.tally.left, run.tally.missing, run.open.len()), (2, 2, 2));
    assert_eq!(scene.tenant.calls(), ["list"]);
}

#[tokio::test(start_paused = true)]
async fn silence_is_counted_unless_somebody_was_heard() {
    let mut scene = Scene::new(&[CHATS, EVENTS]);
    scene.run().await;
    scene.settings.silence = Some(Duration::ZERO);
    assert_eq!(scene.run().await.tally.silent, 2);
    let cx = RequestContext::new("test", Deadline::after(DAY));
    let id = scene.tenant.of(CHATS)[0].id.clone();
    scene.notes.heard(&cx, &id, Timestamp::now() + DAY).await.unwrap();
    assert_eq!(scene.run().await.tally.silent, 1);
}

fn lifecycle(id: &str, subscription: &str, event: &str) -> Message {
    let body = serde_json::json!({
        "kind": "lifecycle", "subscriptionId": subscription, "tenantId": "t", "lifecycleEvent": event,
        "subscriptionExpirationDateTime": "2026-05-04T02:30:34Z", "receivedAt": "2026-05-04T01:30:34Z",
    });
    Message { id: id.into(), body: body.to_string(), receives: 1, ..Message::default() }
}

#[tokio::test(start_paused = true)]
async fn what_graph_says_of_a_subscription_is_followed_and_what_fails_goes_back() {
    let scene = Scene::new(&[CHATS, EVENTS]);
    scene.run().await;
    let (chats, events) = (scene.tenant.of(CHATS)[0].id.clone(), scene.tenant.of(EVENTS)[0].id.clone());
    scene.tenant.state().subscriptions.retain(|it| it.id != chats);
    let batch = LifecycleBatch::read(vec![
        lifecycle("m1", &chats, "subscriptionRemoved"),
        lifecycle("m2", &events, "reauthorizationRequired"),
        lifecycle("m3", "nobody-s", "subscriptionRemoved"),
        lifecycle("m4", &events, "somethingNew"),
        Message { id: "m5".into(), body: "{".into(), receives: 1, ..Message::default() },
    ]);
    assert_eq!((batch.poison.len(), batch.ignored), (1, 1));
    scene.tenant.state().faults.push_back(Fault::Refused);
    let run = scene.run_with(&batch.events, 300).await;
    assert_eq!((run.tally.renewed, run.tally.failed), (1, 1));
    let mut open = batch.open(&run);
    open.sort();
    assert_eq!(open, ["m1", "m5"]);

    let again = LifecycleBatch::read(vec![
        lifecycle("m1", &chats, "subscriptionRemoved"),
        lifecycle("m2", &events, "reauthorizationRequired"),
    ]);
    let run = scene.run_with(&again.events, 300).await;
    assert_eq!((run.tally.created, run.tally.renewed), (1, 0), "renewed just now, and therefore authorized");
    assert_eq!(again.open(&run), Vec::<String>::new());
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![Just(Fault::None), Just(Fault::AnswerLost), Just(Fault::NotTaken), Just(Fault::Refused)];
    proptest::collection::vec(fault, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever goes wrong, and however many keep at once: in the end there is one of each, and every other is as it
    /// was.
    #[test]
    fn in_the_end_there_is_one_of_each(
        faults in faults(), at_once in 1_usize..4, removed in any::<bool>(), rotated in any::<bool>(),
        seed in any::<u64>(),
    ) {
        fastrand::seed(seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut scene = Scene::new(&[CHATS, CHAT, EVENTS]);
            let foreign = Subscription {
                id: "000".into(), resource: "/groups".into(),
                notification_url: Some("https://other.example".into()), ..Subscription::default()
            };
            scene.tenant.state().subscriptions.push(foreign.clone());
            scene.tenant.state().faults.extend(faults);
            for round in 0..4 {
                if round == 1 && removed {
                    scene.tenant.state().subscriptions.retain(|it| it.resource != CHAT);
                }
                if round == 2 && rotated {
                    scene.credentials.client_state = client_state("second");
                    scene.credentials.certificate = certificate("new");
                }
                futures_util::future::join_all((0..at_once).map(|_| scene.run())).await;
            }
            scene.tenant.state().faults.clear();
            scene.run().await;
            scene.run().await;
            let last = scene.run().await;
            prop_assert_eq!(last.tally, KeeperTally::default());
            for resource in [CHATS, CHAT, EVENTS] {
                prop_assert_eq!(scene.tenant.of(resource).len(), 1, "{}", resource);
            }
            prop_assert_eq!(scene.tenant.of("/groups"), vec![foreign]);
            let certificate = scene.tenant.of(CHATS)[0].encryption_certificate_id.clone();
            prop_assert_eq!(certificate.as_deref(), Some(if rotated { "new" } else { "old" }));
            Ok(())
        })?;
    }
}
