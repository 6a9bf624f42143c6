//! The relay against a source, a table and sinks that fail and forget.

mod outages;
mod queue;
mod scene;

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use self::scene::{Place, Scene, line, locked};
use super::patience::wait;
use super::verdict::{SUSPECT_RECEIVES, Verdict};
use super::*;
use crate::remote::context;
use crate::store::deliveries::Lease;

fn received(message: &Message, receives: u32) -> Message {
    Message { receives, ..message.clone() }
}

#[tokio::test(start_paused = true)]
async fn a_batch_arrives_in_order_and_once() {
    let scene = Scene::default();
    let batch = vec![line("a", 30), line("b", 10), line("a", 10), line("a", 20), line("a", 10)];
    let (waiting, tally) = scene.serve(batch.clone()).await;
    assert_eq!((waiting.len(), tally.messages, tally.delivered, tally.duplicates), (0, 5, 4, 1));
    assert_eq!((scene.arrived("a"), scene.arrived("b")), (vec![10, 20, 30], vec![10]));
    let (_, tally) = scene.serve(batch).await;
    assert_eq!((tally.delivered, tally.duplicates), (0, 5), "a vendor repeats itself for hours");
}

#[tokio::test(start_paused = true)]
async fn a_newer_version_arrives_and_an_older_one_comes_too_late() {
    let scene = Scene::default();
    let version = |version: i64| Message { body: format!("a/10/{version}"), ..line("a", 10) };
    scene.serve(vec![version(10)]).await;
    scene.serve(vec![version(40)]).await;
    let versions: Vec<_> = locked(&scene.sinks().arrived).iter().map(|it| (it.version, it.before)).collect();
    assert_eq!(versions, [(10, None), (40, Some(10))]);
    let (_, tally) = scene.serve(vec![version(20)]).await;
    assert_eq!((tally.delivered, tally.duplicates), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_holds_up_its_own_group_and_nothing_else() {
    let scene = Scene::default();
    let (first, second, other) = (line("a", 10), line("a", 20), line("b", 10));
    *locked(&scene.source().failures) = 1.0;
    let (waiting, _) = scene.serve(vec![first.clone(), second.clone()]).await;
    assert_eq!(waiting, [first.id.clone(), second.id.clone()]);
    let first_alone = locked(&scene.source().asked).iter().all(|asked| first.body == *asked);
    assert!(first_alone, "what has to wait is not asked for");
    *locked(&scene.source().failures) = 0.0;
    *locked(&scene.sinks().failures) = 1.0;
    let (waiting, tally) = scene.serve(vec![first.clone(), other.clone(), second.clone()]).await;
    assert_eq!((waiting.iter().collect::<HashSet<_>>().len(), tally.failed, tally.delivered), (3, 3, 0));
    *locked(&scene.sinks().failures) = 0.0;
    let (waiting, _) = scene.serve(vec![first, other, second]).await;
    assert_eq!((waiting.len(), scene.arrived("a"), scene.arrived("b")), (0, vec![10, 20], vec![10]));
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_sat_out_and_a_throttle_is_waited_for_in_the_queue() {
    for (code, arrives) in [(Code::GENESYS_UNAVAILABLE, true), (Code::GENESYS_THROTTLED, false)] {
        let scene = Scene::default();
        scene.outage(code, Duration::from_secs(20));
        let (waiting, tally) = scene.serve(vec![line("a", 10)]).await;
        assert_eq!((waiting.is_empty(), tally.delivered), (arrives, usize::from(arrives)), "{code:?}");
    }
    // One that lasts ends in the queue, in time for the answer.
    let scene = Scene::default();
    let (message, began) = (line("a", 10), Instant::now());
    scene.outage(Code::GENESYS_UNAVAILABLE, Duration::from_secs(600));
    assert_eq!(scene.serve(vec![message.clone()]).await.0, [message.id]);
    assert!(began.elapsed() < Duration::from_secs(29));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_hidden_with_all_of_its_group_for_a_pause_that_grows() {
    let scene = Scene::default();
    let (first, second, other) = (line("a", 10), line("a", 20), line("b", 10));
    scene.sinks().refuse("a/10/10", Code::GENESYS_UNAVAILABLE);
    for receives in [1, 2, 40] {
        scene.serve(vec![received(&first, receives), second.clone(), other.clone()]).await;
        let pause = wait(Verdict::Outage, receives);
        let hidden = [(first.id.clone(), pause), (second.id.clone(), pause)];
        let hidden_now: HashSet<_> = scene.back().take_hidden().into_iter().collect();
        assert_eq!(hidden_now, HashSet::from(hidden), "{receives}");
    }
    assert_eq!(scene.arrived("b"), [10], "nobody else waits");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_arrived_is_sent_a_stated_number_of_times_and_then_set_aside() {
    let scene = Scene::default();
    let message = line("a", 10);
    scene.outage(Code::OUTCOME_UNKNOWN, Duration::from_secs(24 * 3600));
    let tried = || locked(&scene.sinks().tried).len();
    for (receives, posts) in (1..).zip(2..MAX_POSTS) {
        let (waiting, _) = scene.serve(vec![received(&message, receives)]).await;
        assert_eq!((waiting.len(), tried()), (1, posts as usize), "receive {receives}");
    }
    let (waiting, tally) = scene.serve(vec![received(&message, 5)]).await;
    assert_eq!((waiting.len(), tally.rejected, tried()), (0, 1, MAX_POSTS as usize), "the number that is stated");
    assert_eq!(scene.back().set_aside(), [(message.id.clone(), "outcomeUnknown")]);
    // Redriven, it begins anew; a passing doubt costs its group no pause.
    scene.outage(Code::OUTCOME_UNKNOWN, Duration::from_secs(1));
    assert_eq!((scene.serve(vec![message]).await.0.len(), scene.arrived("a")), (0, vec![10]));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_at_a_delivery_counts_as_a_try_that_may_have_arrived() {
    let scene = Scene::default();
    let (cx, key) = (context(30), RecordKey::new("chat", &["a", "10"]));
    for _ in 0..MAX_POSTS {
        let lease = Lease { owner: Uuid::new_v4(), until: Timestamp::now() };
        scene.deliveries().begin(&cx, &key, 10, &lease, Timestamp::now()).await.unwrap();
    }
    let (waiting, _) = scene.serve(vec![line("a", 10), line("a", 20)]).await;
    assert_eq!((waiting.len(), scene.back().set_aside().len(), scene.arrived("a")), (0, 1, vec![20]));
    assert_eq!(locked(&scene.sinks().tried).len(), 1, "it is not tried again");
}

#[tokio::test(start_paused = true)]
async fn what_is_open_is_delivered_though_the_next_one_hangs() {
    let scene = Scene::default();
    let (first, second) = (line("a", 10), line("a", 20));
    locked(&scene.source().hangs).insert(second.body.clone());
    let (waiting, _) = scene.serve(vec![first, second.clone()]).await;
    assert_eq!((waiting, scene.arrived("a")), (vec![second.id], vec![10]));
}

#[tokio::test(start_paused = true)]
async fn poison_is_set_aside_at_once_and_alone() {
    let scene = Scene::default();
    let unreadable = Message { body: "?".into(), ..line("a", 1) };
    let nothing = Message { body: String::new(), ..line("a", 2) };
    let (refused, rejected, good) = (line("a", 10), line("a", 20), line("a", 30));
    let (unopenable, bug) = (line("a", 22), line("a", 24));
    locked(&scene.source().refused).insert(refused.body.clone());
    locked(&scene.source().rejected).insert(unopenable.body.clone());
    scene.sinks().refuse(&rejected.body, Code::GENESYS_REJECTED);
    locked(&scene.sinks().panics).insert(bug.body.clone());
    let batch = [&unreadable, &nothing, &refused, &rejected, &unopenable, &bug, &good].map(Clone::clone).to_vec();
    let (waiting, tally) = scene.serve(batch).await;
    assert_eq!((waiting, scene.arrived("a")), (vec![], vec![30]));
    let counts = (tally.unreadable, tally.nothing_to_deliver, tally.refused, tally.rejected, tally.delivered);
    assert_eq!(counts, (1, 1, 1, 3, 1));
    let expected = [
        (unreadable.id, "unreadable"),
        (refused.id, "refused"),
        (unopenable.id, "graphRejected"),
        (rejected.id, "genesysRejected"),
        (bug.id, "internal"),
    ];
    assert_eq!(scene.back().set_aside(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_dead_letter_queue_does_not_take_waits() {
    let scene = Scene::default();
    let poison = Message { body: "?".into(), ..line("a", 1) };
    scene.back().refuse();
    let (waiting, tally) = scene.serve(vec![poison.clone(), line("a", 10)]).await;
    assert_eq!((waiting, scene.arrived("a"), tally.unreadable), (vec![poison.id.clone()], vec![10], 0));
    assert_eq!(scene.back().take_hidden(), [(poison.id, wait(Verdict::Outage, 1))], "and not in a hot loop");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_opened_while_all_others_can_is_set_aside() {
    let scene = Scene::default();
    let bad = line("a", 10);
    locked(&scene.source().hangs).insert(bad.body.clone());
    let serve = async |receives, next| scene.serve(vec![received(&bad, receives), line("a", next)]).await;
    // Nothing is known of the others.
    assert_eq!(serve(SUSPECT_RECEIVES, 20).await.0.len(), 2);
    let others = (0..OTHERS_OPENED).map(|id| line(&format!("g{id}"), 1));
    scene.serve(others.collect()).await;
    assert_eq!(serve(SUSPECT_RECEIVES - 1, 20).await.0.len(), 2, "it has not failed for hours");
    // That was a failure, so it takes ten more.
    assert_eq!(serve(SUSPECT_RECEIVES, 20).await.0.len(), 2);
    let others = (0..OTHERS_OPENED).map(|id| line(&format!("g{id}"), 2));
    scene.serve(others.collect()).await;
    let (waiting, tally) = serve(SUSPECT_RECEIVES, 20).await;
    assert_eq!((waiting.len(), tally.rejected, scene.arrived("a")), (0, 1, vec![20]));
    assert_eq!(scene.back().set_aside(), [(bad.id.clone(), "failsAlone")]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_hours_that_ends_unevenly_sets_nothing_aside() {
    for failures in [0.3, 0.7] {
        let scene = Scene::default();
        (*locked(&scene.sinks().failures), *locked(&scene.source().failures)) = (failures, failures);
        let mut waiting: Vec<_> = (0..10).flat_map(|group| (0..10).map(move |id| (group, id))).collect();
        while !waiting.is_empty() {
            let batch = waiting.iter().take(10).map(|(group, id)| line(&format!("g{group}"), *id));
            let batch: Vec<_> = batch.map(|message| received(&message, 2 * SUSPECT_RECEIVES)).collect();
            let (back, _) = scene.serve(batch.clone()).await;
            let mut places = batch.iter().map(|message| back.contains(&message.id));
            waiting.retain(|_| places.next().unwrap_or(true));
        }
        assert_eq!(scene.back().set_aside(), [], "{failures}");
        for group in 0..10 {
            assert_eq!(scene.arrived(&format!("g{group}")), (0..10).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_everything_is_refused_it_is_not_the_messages() {
    let scene = Scene::default();
    let all: Vec<_> = (0..REFUSED_IN_A_ROW + 10).map(|group| line(&format!("g{group}"), 1)).collect();
    for message in &all {
        scene.sinks().refuse(&message.body, Code::GENESYS_REJECTED);
    }
    let (waiting, tally) = scene.serve(all).await;
    assert_eq!((waiting.len(), tally.rejected, tally.lack_permission), (10, REFUSED_IN_A_ROW, 10));
    // One that gets through ends it.
    scene.serve(vec![line("other", 1)]).await;
    let message = line("more", 1);
    scene.sinks().refuse(&message.body, Code::GENESYS_REJECTED);
    assert_eq!(scene.serve(vec![message]).await.1.rejected, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_one_group_is_no_other_s() {
    let scene = Scene::default();
    let panics = Message { body: "panic".into(), ..line("a", 1) };
    let (waiting, _) = scene.serve(vec![panics.clone(), line("b", 10)]).await;
    assert_eq!((waiting, scene.arrived("b")), (vec![panics.id], vec![10]));
}

#[tokio::test(start_paused = true)]
async fn a_credential_or_a_permission_that_is_missing_is_waited_for_however_long() {
    for (code, credential, permission) in [
        (Code::ENTRA_REFUSED, 1, 0),
        (Code::GENESYS_REFUSED, 1, 0),
        (Code::SECRET_UNREADABLE, 1, 0),
        (Code::PERMISSION_MISSING, 0, 1),
        (Code::MISCONFIGURED, 0, 1),
    ] {
        let scene = Scene::default();
        scene.outage(code, Duration::from_secs(3600));
        let batch = vec![received(&line("a", 10), MAX_RECEIVES - 1), line("a", 20)];
        let (waiting, tally) = scene.serve(batch).await;
        assert_eq!((waiting.len(), tally.lack_credential, tally.lack_permission), (2, credential, permission));
        assert_eq!(scene.back().set_aside(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_out_keeps_nothing_from_the_other() {
    let scene = Scene::with_bus();
    let batch: Vec<_> = [10, 20].map(|id| line("a", id)).into();
    scene.sinks().refuse(&batch[0].body, Code::GENESYS_THROTTLED);
    let (waiting, tally) = scene.serve(batch.clone()).await;
    assert_eq!((waiting.len(), tally.delivered, scene.published().len()), (2, 2, 2));
    assert_eq!(scene.arrived("a"), Vec::<i64>::new(), "nothing overtakes what failed");
    scene.sinks().refuse_nothing();
    let (waiting, _) = scene.serve(batch).await;
    assert_eq!((waiting.len(), scene.arrived("a"), scene.published().len()), (0, vec![10, 20], 2));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_keeps_nothing_from_the_other() {
    let scene = Scene::with_bus();
    let batch: Vec<_> = [10, 20].map(|id| line("a", id)).into();
    locked(&scene.sinks().hangs).insert(batch[0].body.clone());
    let (waiting, _) = scene.serve(batch.clone()).await;
    assert_eq!((waiting.len(), scene.published().len(), scene.arrived("a").len()), (2, 2, 0));
    locked(&scene.sinks().hangs).clear();
    let (waiting, _) = scene.serve(batch).await;
    assert_eq!((waiting.len(), scene.arrived("a")), (0, vec![10, 20]));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_says_no_is_not_asked_again_because_the_other_is_out() {
    let scene = Scene::with_bus();
    let message = line("a", 10);
    scene.sinks().refuse(&message.body, Code::GENESYS_REJECTED);
    scene.outage(Code::DELIVERY_FAILED, Duration::from_secs(5));
    let (waiting, tally) = scene.serve(vec![message.clone()]).await;
    assert_eq!((waiting.len(), tally.delivered, scene.published().len()), (0, 1, 1));
    let tried = locked(&scene.sinks().tried).iter().filter(|place| **place == Place::Chat).count();
    assert_eq!((tried, scene.back().set_aside()), (1, vec![(message.id, "genesysRejected")]));
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_version_stays_behind_what_came_before_it() {
    for ids in [[20, 10], [10, 20]] {
        let scene = Scene::with_bus();
        let mut batch: Vec<_> = ids.map(|id| line("a", id)).into();
        batch.push(Message { body: "a/1/".into(), ..line("a", 1) });
        scene.serve(batch).await;
        assert_eq!(scene.published(), ["a/10/10", "a/20/20", "a/1/"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_is_not_opened_once_more() {
    let scene = Scene::default();
    scene.serve(vec![line("a", 10)]).await;
    let (_, tally) = scene.serve(vec![line("a", 10)]).await;
    assert_eq!((locked(&scene.source().asked).len(), tally.duplicates), (1, 1));
    assert_eq!(*locked(&scene.source().known), ["a/10/10"]);
}

#[tokio::test(start_paused = true)]
async fn without_time_left_everything_waits() {
    let scene = Scene::default();
    let message = line("a", 10);
    let (waiting, _) = scene.serve_within(Duration::from_secs(3), vec![message.clone()]).await;
    assert_eq!((waiting, scene.arrived("a").len()), (vec![message.id.clone()], 0));
    assert_eq!(scene.back().take_hidden(), [(message.id, Duration::ZERO)], "it comes again at once");
}
