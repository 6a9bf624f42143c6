//! Failures: throttling, refusals, outages and messages that are no events.

use super::*;

/// One transient error is a second's matter, not one of the queue's visibility timeout.
#[tokio::test(start_paused = true)]
async fn a_failed_user_is_tried_again_within_seconds_and_holds_nobody_up() {
    for mode in ["preferred", "session", "both"] {
        let scene = Scene::new(&[("PRESENCE_MODE", mode)]);
        let users = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
        for user in users {
            scene.last.link(&context(), user, &TeamsLink { teams_user: Some(user), since: now() }).await.unwrap();
        }
        let unavailable = || GraphError::Unavailable { status: 503, code: String::new() };
        scene.teams.troubles.lock().unwrap().extend([unavailable(), unavailable()]);
        let batch: Vec<_> = (1..).zip(users).map(|(n, user)| message(user, SystemPresence::Busy, n, 1)).collect();
        let started = Instant::now();
        let (failed, tally) = scene.serve(batch).await;
        assert_eq!((failed.len(), tally.sent), (0, 3), "{mode}");
        assert!(tally.put_off > 0 && started.elapsed() < Duration::from_secs(5), "{mode}: {tally:?}");
        assert!(users.iter().all(|user| scene.teams.shown(*user).as_deref() == Some("Busy")));
    }
}

/// Entra ID gives no token for an hour: no message goes back, and everything is sent when it does again.
#[tokio::test(start_paused = true)]
async fn an_outage_keeps_everything_in_the_backlog_and_uses_up_no_receives() {
    let (scene, user) = (Scene::new(&[]), Uuid::new_v4());
    *scene.teams.out.lock().unwrap() = true;
    let (failed, tally) = scene.serve(vec![message(user, SystemPresence::OnQueue, 1, 1)]).await;
    assert_eq!((failed.len(), tally.sent, tally.outages), (0, 0, 1));
    tokio::time::advance(Duration::from_secs(60 * 60)).await;
    let (_, tally) = scene.serve(vec![reminder()]).await;
    assert_eq!((tally.sent, tally.outages), (0, 1));
    assert!(tally.waited_ms >= 60 * 60 * 1000, "the alarm goes by it: {tally:?}");
    *scene.teams.out.lock().unwrap() = false;
    let (_, tally) = scene.serve(vec![reminder()]).await;
    assert_eq!((tally.sent, scene.teams.shown(user).as_deref()), (1, Some("Busy")));
}

/// Two requests for each user: what became of one user's must not be read as another's.
#[tokio::test(start_paused = true)]
async fn with_both_actions_a_refusal_is_its_own_user_s() {
    let scene = Scene::new(&[("PRESENCE_MODE", "both")]);
    let users = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    let throttled = || Err(GraphError::Throttled { retry_after: None, code: String::new() });
    scene.teams.answers.lock().unwrap().extend([throttled(), Ok(()), Ok(()), throttled(), Ok(()), Ok(())]);
    let batch = (1..).zip(users).map(|(n, user)| message(user, SystemPresence::OnQueue, n, 1)).collect();
    let (failed, tally) = scene.serve(batch).await;
    assert_eq!((failed.len(), tally.sent), (0, 3));
    let busy = Told { session: Some("Busy".into()), preferred: Some("Busy".into()) };
    assert_eq!(users.map(|user| scene.teams.told(user)), [busy.clone(), busy.clone(), busy]);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_user_waits_in_the_instance_and_holds_it_up() {
    let (scene, user) = (Scene::new(&[]), Uuid::new_v4());
    let throttled = GraphError::Throttled { retry_after: Some(Duration::from_secs(9)), code: String::new() };
    scene.teams.troubles.lock().unwrap().push(throttled);
    let started = Instant::now();
    let (failed, tally) = scene.serve(vec![message(user, SystemPresence::Busy, 1, 1)]).await;
    assert_eq!((failed.len(), tally.sent), (0, 1));
    assert!(started.elapsed() >= Duration::from_secs(9));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_nobody_in_teams_and_what_is_no_event_holds_nobody_up() {
    let scene = Scene::new(&[]);
    let (user, nobody, gone) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    scene.links.0.lock().unwrap().insert(nobody, None);
    let mut poison = message(user, SystemPresence::Busy, 1, 1);
    poison.body = "{}".into();
    let batch =
        vec![poison.clone(), message(nobody, SystemPresence::Busy, 1, 1), message(user, SystemPresence::Busy, 1, 1)];
    let (failed, tally) = scene.serve(batch).await;
    assert_eq!((failed, tally.poison, tally.no_teams_user, tally.sent), (vec![poison.id], 1, 1, 1));
    scene.teams.troubles.lock().unwrap().push(GraphError::NotFound { code: String::new() });
    let (failed, tally) = scene.serve(vec![message(gone, SystemPresence::Busy, 1, 1)]).await;
    assert_eq!((failed.len(), tally.no_teams_user), (0, 1));
}
