//! Order: the newest change of each user is shown, urgent ones first, whatever comes twice, late or from two instances.

use proptest::prelude::*;

use super::*;

#[tokio::test(start_paused = true)]
async fn the_newest_of_a_batch_wins_and_is_sent_once() {
    let (scene, user) = (Scene::new(&[]), Uuid::new_v4());
    let batch = vec![
        message(user, SystemPresence::Break, 20, 1),
        message(user, SystemPresence::OnQueue, 30, 1),
        message(user, SystemPresence::Available, 10, 1),
        message(user, SystemPresence::OnQueue, 30, 1),
    ];
    let (failed, tally) = scene.serve(batch).await;
    assert_eq!((failed.len(), tally.events, tally.superseded, tally.sent), (0, 4, 3, 1));
    assert_eq!(scene.teams.shown(user).as_deref(), Some("Busy"));
}

#[tokio::test(start_paused = true)]
async fn across_batches_an_older_event_changes_nothing_and_an_equal_target_is_not_sent() {
    let (scene, user) = (Scene::new(&[]), Uuid::new_v4());
    scene.serve(vec![message(user, SystemPresence::OnQueue, 30, 1)]).await;
    let (_, older) = scene.serve(vec![message(user, SystemPresence::Available, 20, 1)]).await;
    let (_, same) = scene.serve(vec![message(user, SystemPresence::OnQueue, 30, 1)]).await;
    let (_, equal) = scene.serve(vec![message(user, SystemPresence::Meeting, 40, 1)]).await;
    assert_eq!((older.stale, same.stale, equal.unchanged, scene.teams.changes()), (1, 1, 1, 1));
    let (_, newer) = scene.serve(vec![message(user, SystemPresence::Offline, 50, 1)]).await;
    assert_eq!((newer.sent, scene.teams.shown(user).as_deref()), (1, Some("cleared")));
}

#[tokio::test(start_paused = true)]
async fn who_takes_conversations_or_stops_to_comes_first() {
    let scene = Scene::new(&[("PRESENCE_REQUESTS_PER_SECOND", "1")]);
    let users: Vec<_> = std::iter::repeat_with(Uuid::new_v4).take(3).collect();
    for user in &users {
        scene.last.link(&context(), *user, &TeamsLink { teams_user: Some(*user), since: now() }).await.unwrap();
    }
    // One was on the queue before and leaves it for a break: that is urgent too.
    scene.serve(vec![message(users[2], SystemPresence::OnQueue, 1, 1)]).await;
    let mut batch: Vec<_> = (0..20).map(|n| message(Uuid::new_v4(), SystemPresence::Meal, 10 + n, 1)).collect();
    batch.push(message(users[0], SystemPresence::OnQueue, 40, 1));
    batch.push(message(users[1], SystemPresence::Offline, 41, 1));
    batch.push(message(users[2], SystemPresence::Break, 42, 1));
    let ids: Vec<_> = batch.iter().map(|message| message.id.clone()).collect();
    for message in batch.iter().take(20) {
        let Ok(Read::Presence(event)) = read(&message.body) else { panic!() };
        let link = TeamsLink { teams_user: Some(event.user), since: now() };
        scene.last.link(&context(), event.user, &link).await.unwrap();
    }
    let serve = scene.serve(batch);
    tokio::select! {
        _ = serve => panic!("23 presences cannot be sent in ten seconds at one a second"),
        () = sleep(Duration::from_secs(10)) => {}
    }
    for user in &users {
        assert!(scene.teams.shown(*user).is_some_and(|shown| shown != "Available"), "{ids:?}");
    }
    assert_eq!(scene.teams.shown(users[2]).as_deref(), Some("Away"));
}

/// The other instance leaves word and goes home; nobody waits for the clock.
#[tokio::test(start_paused = true)]
async fn what_is_noted_while_another_instance_sends_is_sent_by_that_one() {
    let (scene, users) = (Scene::new(&[]), [Uuid::new_v4(), Uuid::new_v4()]);
    scene.serve(users.map(|user| message(user, SystemPresence::OnQueue, 1, 1)).to_vec()).await;
    sleep(Duration::from_secs(1)).await;
    let throttled = GraphError::Throttled { retry_after: Some(Duration::from_secs(3)), code: String::new() };
    scene.teams.troubles.lock().unwrap().push(throttled);
    let other = async {
        sleep(Duration::from_secs(1)).await;
        let begin = Instant::now();
        let (_, tally) = scene.serve(vec![message(users[1], SystemPresence::Meal, 2, 1)]).await;
        (tally.sent, begin.elapsed() < Duration::from_millis(100))
    };
    let ((_, sender), other) = tokio::join!(scene.serve(vec![message(users[0], SystemPresence::Break, 2, 1)]), other);
    assert_eq!((sender.sent, other), (2, (0, true)));
    assert_eq!(users.map(|user| scene.teams.shown(user)), [Some("Away".to_owned()), Some("Away".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_died_after_sending_late_is_made_good_by_its_message_s_return() {
    let (scene, user) = (Scene::new(&[]), Uuid::new_v4());
    let old = message(user, SystemPresence::Available, 10, 1);
    scene.serve(vec![message(user, SystemPresence::OnQueue, 20, 1)]).await;
    // The dead instance's request takes effect after the newer one's.
    let available = Told { preferred: Some("Available".into()), session: None };
    scene.teams.told.lock().unwrap().insert(user.to_string(), available);
    let (_, tally) = scene.serve(vec![Message { receives: 2, ..old }]).await;
    assert_eq!((tally.sent, scene.teams.shown(user).as_deref()), (1, Some("Busy")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Five users, many changes, each event delivered once or twice, in any order, to two instances at once, which are
    /// killed at any moment, while Graph throttles and fails: in the end everybody shows what the last change said.
    #[test]
    fn whatever_the_order_the_last_change_is_shown(
        changes in proptest::collection::vec((0..5_usize, 0..11_usize), 1..60),
        mode in prop::sample::select(vec!["preferred", "session", "both"]),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        fastrand::seed(seed);
        runtime.block_on(async {
            let scene = Scene::new(&[("PRESENCE_MODE", mode)]);
            let users: Vec<_> = std::iter::repeat_with(Uuid::new_v4).take(5).collect();
            let presences = [
                SystemPresence::Available, SystemPresence::OnQueue, SystemPresence::Busy, SystemPresence::Meeting,
                SystemPresence::Training, SystemPresence::Away, SystemPresence::Break, SystemPresence::Meal,
                SystemPresence::Idle, SystemPresence::OutOfOffice, SystemPresence::Offline,
            ];
            let mut expected = HashMap::new();
            let mut messages = Vec::new();
            for (second, (user, presence)) in (0..).zip(&changes) {
                let message = message(users[*user], presences[*presence], second, 1);
                messages.push(message.clone());
                if fastrand::u8(0..5) == 0 {
                    messages.push(message);
                }
                expected.insert(users[*user], presences[*presence]);
            }
            fastrand::shuffle(&mut messages);
            for _ in 0..fastrand::usize(0..40) {
                let answer = match fastrand::u8(0..8) {
                    0 => Err(GraphError::Throttled { retry_after: None, code: String::new() }),
                    1 => Err(GraphError::Unavailable { status: 503, code: String::new() }),
                    _ => Ok(()),
                };
                scene.teams.answers.lock().unwrap().push_back(answer);
            }
            while !messages.is_empty() {
                let mut batch = |most: usize| -> Vec<Message> {
                    let count = fastrand::usize(0..=most.min(messages.len()));
                    messages.drain(..count).collect()
                };
                let (a, b) = (batch(20), batch(20));
                // An instance may be killed at any moment; its messages come again.
                let instance = async |batch: Vec<Message>| {
                    let life = Duration::from_millis(if fastrand::u8(0..4) == 0 { fastrand::u64(0..900) } else { 110_000 });
                    match tokio::time::timeout(life, scene.serve(batch.clone())).await {
                        Ok((failed, _)) => batch.into_iter().filter(|message| failed.contains(&message.id)).collect(),
                        Err(_) => batch,
                    }
                };
                let (again_a, again_b) = tokio::join!(instance(a), instance(b));
                let again = again_a.into_iter().chain(again_b);
                messages.extend(again.map(|message| Message { receives: message.receives + 1, ..message }));
            }
            for _ in 0..40 {
                sleep(Duration::from_secs(60)).await;
                scene.serve(vec![reminder()]).await;
            }
            for (user, presence) in expected {
                let target = scene.settings.presence.target(None, Some(presence)).unwrap();
                let cleared = Some("cleared".to_owned());
                let (preferred, session) = match target {
                    Target::Show(shown) => (
                        shown.preferred.map(|pair| pair.availability.to_owned()),
                        shown.session.map(|pair| pair.availability.to_owned()),
                    ),
                    _ => (cleared.clone().filter(|_| mode != "session"), cleared.filter(|_| mode != "preferred")),
                };
                assert_eq!(scene.teams.told(user), Told { session, preferred }, "{presence} in {mode}");
            }
        });
    }
}
