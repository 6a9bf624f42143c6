//! Tests that gaps are found and closed.

use super::*;
use crate::store::subscriptions::{Progress, SubscriptionNotes};

async fn started(resource: &str) -> Scene {
    let scene = Scene::new(&[resource]);
    scene.run().await;
    scene.tenant.queued();
    scene
}

/// Sets the last listing, and the refusal of its link, this far back.
async fn listed_before(scene: &Scene, resource: &str, age: Duration) {
    let cx = RequestContext::new("test", Deadline::after(DAY));
    let notes = scene.notes.read(&cx, &[resource], &[]).await.unwrap();
    let last = notes.by_resource[resource].progress.clone().unwrap();
    let (closed_until, refused) = (last.closed_until - age, last.refused.map(|at| at - age));
    let earlier = Progress { version: last.version + 1, closed_until, refused, ..last };
    assert!(scene.notes.advance(&cx, resource, &earlier).await.unwrap());
}

fn missed(scene: &Scene) -> Events {
    let ids = scene.tenant.state().subscriptions.iter().map(|it| it.id.clone()).collect();
    Events { missed: ids, ..Events::default() }
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_put_on_the_queue_in_its_order_whichever_way_it_is_listed() {
    for resource in [CHATS, CHAT] {
        let scene = started(resource).await;
        (1..=7).for_each(|id| scene.tenant.write(id));
        let run = scene.run_with(&missed(&scene), 300).await.tally;
        assert_eq!((run.gap_items, scene.tenant.queued()), (7, (1..=7).map(|id| id.to_string()).collect()));
        // A delta does not repeat itself; a list by time repeats what is younger than the overlap.
        scene.tenant.write(8);
        scene.run_with(&missed(&scene), 300).await;
        let expected = if resource == CHATS { 8..=8 } else { 1..=8 };
        assert_eq!(scene.tenant.queued(), expected.map(|id| id.to_string()).collect::<Vec<_>>());
    }
}

/// Graph lists a chat newest first, and a hundred pages of it at most are held.
#[tokio::test(start_paused = true)]
async fn a_chat_that_is_too_long_for_a_listing_or_for_an_invocation_is_queued_oldest_first() {
    for (messages, seconds) in [(500, 600), (500, 60), (30, 13)] {
        let mut scene = started(CHAT).await;
        scene.settings.wanted[0].changes = "created".parse().unwrap();
        scene.tenant.state().subscriptions[0].change_type = "created".into();
        (1..=messages).for_each(|id| scene.tenant.write(id));
        // Two in each second, one of them on it.
        let mut at = Timestamp::from_second(Timestamp::now().as_second() - 400).unwrap();
        for message in &mut scene.tenant.state().messages {
            at += Duration::from_millis(500);
            (message.created, message.modified) = (Some(at), Some(at));
        }
        // Somebody reacts to an early one late.
        let reaction = Some(at - Duration::from_millis(250));
        let mut early = scene.tenant.state().messages.remove(4);
        early.modified = reaction;
        scene.tenant.state().messages.insert(messages - 2, early);
        listed_before(&scene, CHAT, Duration::from_secs(400)).await;
        let mut queued: Vec<usize> = Vec::new();
        for round in 0.. {
            assert!(round < 300, "{} of {messages} after {round} invocations", queued.len());
            scene.run_with(&missed(&scene), seconds).await;
            for id in scene.tenant.queued() {
                let id = id.parse().unwrap();
                // Where two windows meet, what was there before is told of again.
                if !queued.contains(&id) {
                    queued.push(id);
                }
            }
            if queued.len() == messages {
                break;
            }
        }
        let mut expected: Vec<_> = (1..=messages).filter(|id| *id != 5).collect();
        expected.insert(messages - 2, 5);
        assert_eq!(queued, expected, "{messages} in {seconds} s at a time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_made_anew_is_followed_by_what_came_meanwhile() {
    let scene = started(CHATS).await;
    scene.tenant.state().subscriptions.clear();
    scene.tenant.write(1);
    let run = scene.run().await;
    assert_eq!((run.tally.created, run.tally.gap_items, scene.tenant.queued()), (1, 1, vec!["1".into()]));
    let id = scene.tenant.of(CHATS)[0].id.clone();
    assert_eq!(run.places[&id], 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_reason_nothing_is_listed_until_it_is_time() {
    let mut scene = started(CHATS).await;
    scene.tenant.write(1);
    scene.tenant.calls();
    scene.run().await;
    assert_eq!(scene.tenant.calls(), ["list"]);
    scene.settings.reconcile = Some(Duration::ZERO);
    assert_eq!(scene.run().await.tally.gap_items, 1);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_cannot_be_read_is_read_by_the_next_and_none_before_it_is_read_again() {
    let scene = started(CHATS).await;
    (1..=5).for_each(|id| scene.tenant.write(id));
    scene.tenant.state().broken_page = Some(4);
    let run = scene.run_with(&missed(&scene), 300).await;
    assert_eq!((run.tally.failed, run.open.len(), scene.tenant.queued().len()), (1, 1, 4));
    scene.tenant.state().broken_page = None;
    // Nobody has to ask for it: a listing under way goes on.
    assert_eq!(scene.run().await.tally.gap_items, 1);
    assert_eq!(scene.tenant.queued(), ["5"]);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_forgotten_makes_the_listing_begin_by_time_whatever_graph_calls_it() {
    let rejected = GraphError::Rejected { status: 400, code: "BadRequest".into(), message: String::new() };
    for forgets_as in [None, Some(rejected), Some(GraphError::NotFound { code: "NotFound".into() })] {
        let scene = started(CHATS).await;
        (1..=3).for_each(|id| scene.tenant.write(id));
        scene.run_with(&missed(&scene), 300).await;
        scene.tenant.queued();
        scene.tenant.write(4);
        scene.tenant.state().forgotten = 4;
        scene.tenant.state().forgets_as = forgets_as;
        // Its own links are good until they are followed.
        scene.tenant.state().messages.drain(..2);
        let is_told = scene.tenant.state().forgets_as.is_none();
        // However long ago the last listing was, it may be something else; but not for ever.
        listed_before(&scene, CHATS, Duration::from_secs(2 * 60 * 60)).await;
        for minutes in if is_told { vec![] } else { vec![30, 31] } {
            let run = scene.run_with(&missed(&scene), 300).await.tally;
            assert_eq!((run.failed, run.gap_items), (1, 0));
            listed_before(&scene, CHATS, Duration::from_secs(60 * minutes)).await;
        }
        let run = scene.run_with(&missed(&scene), 300).await.tally;
        assert_eq!((run.failed, scene.tenant.queued().len()), (0, 2), "all that is younger than the overlap");
        scene.tenant.state().forgotten = 0;
        assert_eq!(scene.run_with(&missed(&scene), 300).await.tally.gap_items, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_hangs_takes_nothing_along_that_was_read_before_it() {
    let scene = started(CHATS).await;
    (1..=5).for_each(|id| scene.tenant.write(id));
    scene.tenant.state().hanging_page = Some(4);
    let run = scene.run_with(&missed(&scene), 60).await.tally;
    assert_eq!((run.failed, run.gap_items, scene.tenant.queued().len()), (1, 4, 4));
    scene.tenant.state().hanging_page = None;
    scene.run().await;
    assert_eq!(scene.tenant.queued(), ["5"]);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_may_work_again_is_kept() {
    let scene = started(CHATS).await;
    scene.tenant.write(1);
    scene.tenant.state().forgotten = 1;
    scene.tenant.state().forgets_as = Some(GraphError::Unavailable { status: 503, code: String::new() });
    scene.tenant.calls();
    assert_eq!(scene.run_with(&missed(&scene), 300).await.tally.failed, 1);
    assert_eq!(scene.tenant.calls(), ["list", "page"]);
    scene.tenant.state().forgotten = 0;
    assert_eq!(scene.run_with(&missed(&scene), 300).await.tally.gap_items, 1);
}

#[tokio::test(start_paused = true)]
async fn a_link_brings_back_all_that_has_changed_since_however_long_that_is() {
    let mut scene = started(CHATS).await;
    scene.settings.wanted[0].changes = "created".parse().unwrap();
    scene.tenant.state().subscriptions[0].change_type = "created".into();
    scene.settings.resync = Duration::from_secs(60);
    scene.tenant.write(1);
    {
        let mut state = scene.tenant.state();
        let long_ago = Some(Timestamp::now() - Duration::from_secs(120));
        (state.messages[0].created, state.messages[0].modified) = (long_ago, long_ago);
    }
    let run = scene.run_with(&missed(&scene), 300).await.tally;
    assert_eq!((run.gap_items, run.gaps_cut), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_delivered_and_forgotten_is_not_told_of_as_new() {
    let scene = started(CHATS).await;
    listed_before(&scene, CHATS, DAY * 10).await;
    (1..=2).for_each(|id| scene.tenant.write(id));
    for (message, days) in scene.tenant.state().messages.iter_mut().zip([8, 5]) {
        let written = Some(Timestamp::now() - DAY * days);
        (message.created, message.modified) = (written, written);
    }
    let run = scene.run_with(&missed(&scene), 300).await.tally;
    assert_eq!((run.gap_items, run.gaps_cut), (2, 1));
    let types: Vec<_> = scene.tenant.state().queue.iter().map(|change| change.change_type.clone()).collect();
    assert_eq!(types, ["updated", "created"]);
}

#[tokio::test(start_paused = true)]
async fn that_a_gap_was_cut_is_counted_though_a_later_page_cannot_be_read() {
    let mut scene = started(CHAT).await;
    scene.settings.resync = Duration::from_secs(60);
    (1..=3).for_each(|id| scene.tenant.write(id));
    scene.tenant.state().broken_page = Some(2);
    let run = scene.run_with(&missed(&scene), 300).await.tally;
    assert_eq!((run.failed, run.gap_items, run.gaps_cut), (1, 2, 1));
    // Without listings now and again, nobody says that there was a gap.
    scene.settings.reconcile = None;
    scene.tenant.state().broken_page = None;
    scene.run().await;
    let run = scene.run_with(&missed(&scene), 300).await.tally;
    assert_eq!((run.failed, run.gap_items, run.gaps_cut), (0, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn while_there_is_no_subscription_what_happens_is_listed_from_the_first_try_on() {
    for resource in [CHATS, CHAT] {
        let mut scene = Scene::new(&[resource]);
        scene.settings.reconcile = Some(Duration::ZERO);
        scene.settings.silence = Some(Duration::from_secs(60));
        let refuse = || scene.tenant.state().faults.push_back(Fault::Refused);
        refuse();
        assert_eq!(scene.run().await.tally.missing, 1);
        scene.tenant.write(1);
        refuse();
        let run = scene.run().await.tally;
        assert_eq!((run.missing, run.gap_items, scene.tenant.queued()), (1, 1, vec!["1".into()]), "{resource}");
    }
    // Nor can it be listed, and it is not the last try that counts: what was written between the two comes in the end.
    let scene = Scene::new(&[CHATS]);
    scene.tenant.state().faults.extend([Fault::Refused, Fault::Refused]);
    scene.tenant.state().broken_page = Some(0);
    scene.run().await;
    let cx = RequestContext::new("test", Deadline::after(DAY));
    let read = async || scene.notes.read(&cx, &[CHATS], &[]).await.unwrap().by_resource[CHATS].clone();
    let first = read().await.kept.unwrap().begun;
    scene.run().await;
    assert_eq!(read().await.kept.unwrap().begun, first);
    scene.tenant.state().broken_page = None;
    scene.run().await;
    let kept = read().await.kept.unwrap();
    assert!(kept.begun == first && kept.made > Some(first), "silence is counted from when it was there");
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_settings_allow_is_left_and_that_is_counted() {
    let mut scene = started(CHAT).await;
    scene.tenant.write(1);
    scene.tenant.state().messages[0].modified = Some(Timestamp::now() - Duration::from_secs(120));
    scene.tenant.write(2);
    scene.settings.resync = Duration::from_secs(60);
    let run = scene.run_with(&missed(&scene), 300).await.tally;
    assert_eq!((run.gaps_cut, scene.tenant.queued()), (1, vec!["2".into()]));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_not_named_as_notifications_name_it_is_not_listed() {
    let mut scene = started(CHAT).await;
    scene.tenant.write(1);
    scene.app.tenant_id = "contoso.onmicrosoft.com".into();
    let run = scene.run_with(&missed(&scene), 300).await;
    assert_eq!((run.tally.failed, run.tally.missing, scene.tenant.queued().len()), (1, 0, 0));
    assert!(run.troubles[0].error.message.contains("guid"), "{:?}", run.troubles);
}

#[tokio::test(start_paused = true)]
async fn a_change_comes_as_what_it_is_and_only_where_it_is_wanted() {
    for (changes, expected) in [
        ("created,updated,deleted", vec!["created", "created", "updated", "deleted"]),
        ("created", vec!["created", "created"]),
        ("updated", vec!["updated", "updated"]),
        ("deleted", vec!["deleted"]),
    ] {
        let mut scene = started(CHATS).await;
        scene.settings.wanted[0].changes = changes.parse().unwrap();
        scene.tenant.state().subscriptions[0].change_type = changes.into();
        (1..=3).for_each(|id| scene.tenant.write(id));
        {
            let mut state = scene.tenant.state();
            state.messages[1].modified = Some(Timestamp::now() + Duration::from_secs(1));
            state.messages[2].modified = Some(Timestamp::now() + Duration::from_secs(2));
            state.messages[2].gone = true;
        }
        scene.run_with(&missed(&scene), 300).await;
        let queue = std::mem::take(&mut scene.tenant.state().queue);
        let types: Vec<_> = queue.iter().map(|change| change.change_type.as_str()).collect();
        assert_eq!(types, expected, "{changes}");
    }
}
