//! Renewal of presences, and what becomes of those that another mode had set.

use super::*;

/// An agent in a presence of one mode; the deployment takes another one, and the next change leaves nothing behind.
#[tokio::test(start_paused = true)]
async fn what_another_mode_had_set_is_taken_back() {
    let cleared = || Some("cleared".to_owned());
    let busy = || Some("Busy".to_owned());
    for (before, after, told) in [
        ("preferred", "session", Told { session: busy(), preferred: cleared() }),
        ("session", "preferred", Told { session: cleared(), preferred: busy() }),
        ("both", "preferred", Told { session: cleared(), preferred: busy() }),
        ("both", "session", Told { session: busy(), preferred: cleared() }),
        ("preferred", "both", Told { session: busy(), preferred: busy() }),
    ] {
        let (mut scene, users) = (Scene::new(&[("PRESENCE_MODE", before)]), [Uuid::new_v4(), Uuid::new_v4()]);
        scene.serve(users.map(|user| message(user, SystemPresence::OnQueue, 1, 1)).to_vec()).await;
        scene.settings = settings(&[("PRESENCE_MODE", after)]);
        // The same availability: one of them has an event, the other is renewed.
        scene.serve(vec![message(users[0], SystemPresence::Meeting, 2, 1)]).await;
        assert_eq!(scene.teams.told(users[0]), told, "{before} to {after}");
        tokio::time::advance(Duration::from_secs(5 * 60 * 60)).await;
        scene.serve(vec![reminder()]).await;
        assert_eq!(scene.teams.told(users[1]), told, "{before} to {after}, renewed");
        scene.serve(vec![message(users[0], SystemPresence::Offline, 3, 1)]).await;
        let told = scene.teams.told(users[0]);
        assert!(told.session.is_none_or(|told| told == "cleared"), "{before} to {after}");
        assert!(told.preferred.is_none_or(|told| told == "cleared"), "{before} to {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_lasts_no_longer_than_half_its_life_is_renewed() {
    let (scene, user) = (Scene::new(&[]), Uuid::new_v4());
    let Ok(Read::Presence(event)) = read(&message(user, SystemPresence::OnQueue, 1, 1).body) else { panic!() };
    let target = scene.settings.presence.target(None, event.system).unwrap();
    let (wanted, turn) = wanted(&event, target, now());
    let newest = NewestEvent { event, message: String::new(), receives: 1 };
    let life = scene.settings.presence.life();
    for (age, expected) in [(life / 4, true), (life * 3 / 4, false)] {
        let sent = SentPresence { target: "Busy/Busy".into(), mode: None, until: now() + life - age };
        let plan = TurnPlan { turn: None, tries: 0, seen: now() };
        let before = LastPresence { wanted: wanted.clone(), sent: Some(sent), link: None, plan };
        let before = Advanced::Newest(Some(before));
        let decision = decide(&newest, &wanted, turn, before, &scene.settings.presence, now());
        assert_eq!(matches!(decision, Decision::Shown(_)), expected, "{age:?}");
    }
}

/// An agent who stays on the queue, and one who logged off, with a presence that lasts four hours.
#[tokio::test(start_paused = true)]
async fn the_clock_renews_what_has_lived_half_its_life_until_nobody_said_so_for_twelve_hours() {
    for mode in ["preferred", "session", "both"] {
        let scene = Scene::new(&[("PRESENCE_MODE", mode), ("PRESENCE_TTL_MINUTES", "240")]);
        let (user, off) = (Uuid::new_v4(), Uuid::new_v4());
        let on_queue = || message(user, SystemPresence::OnQueue, 1000, 1);
        scene.serve(vec![on_queue(), message(off, SystemPresence::Offline, 1000, 1)]).await;
        let begin = Instant::now();
        let calls = scene.teams.changes();
        let mut renewed = Vec::new();
        while begin.elapsed() < Duration::from_secs(14 * 60 * 60) {
            tokio::time::advance(Duration::from_secs(60)).await;
            let (failed, tally) = scene.serve(vec![reminder()]).await;
            assert_eq!((failed.len(), tally.sent, tally.poison), (0, 0, 0));
            if tally.renewed > 0 {
                renewed.push(begin.elapsed().as_secs().div_ceil(60 * 60));
            }
        }
        assert_eq!(renewed.len(), 5, "{mode}: every other hour, for twelve: {renewed:?}");
        assert_eq!(scene.teams.changes(), calls + 5 * scene.settings.presence.mode.actions(), "{mode}");

        // An event of the activity topic about another routing status brings the presence's own, old time along.
        let (_, tally) = scene.serve(vec![on_queue()]).await;
        assert_eq!((tally.renewed, tally.stale), (1, 1), "{mode}: the user still is what was sent");
        let (_, tally) = scene.serve(vec![on_queue()]).await;
        assert_eq!((tally.renewed, tally.stale), (0, 1), "{mode}: it is fresh again");

        // A renewal that fails is tried again soon.
        tokio::time::advance(Duration::from_secs(3 * 60 * 60)).await;
        scene.teams.troubles.lock().unwrap().push(GraphError::Unreadable { problem: "test".into() });
        let (failed, tally) = scene.serve(vec![reminder()]).await;
        assert_eq!((failed.len(), tally.put_off, tally.renewed), (0, 1, 1), "{mode}");
    }
}
