//! Links to Teams users: loaded in pages, looked up one by one, and those of a pilot.

use super::*;

/// On the first day nobody is known: 1,000 users are some pages, whatever their size, and nobody is looked up.
#[tokio::test(start_paused = true)]
async fn links_are_loaded_ahead_of_the_events() {
    for (largest, pages) in [(None, 10), (Some(25), 1 + 40)] {
        let scene = Scene::new(&[]);
        let users: Vec<_> = std::iter::repeat_with(Uuid::new_v4).take(1000).collect();
        *scene.links.1.lock().unwrap() = Org { users: users.clone(), largest, ..Org::default() };
        let (_, tally) = scene.serve(vec![reminder()]).await;
        assert_eq!((tally.linked, scene.links.1.lock().unwrap().pages), (1000, pages));
        let events = users.iter().map(|user| message(*user, SystemPresence::OnQueue, 1, 1)).collect();
        let (_, tally) = scene.serve(events).await;
        assert_eq!((tally.sent, scene.links.1.lock().unwrap().lookups), (1000, 0));
        assert_eq!(scene.links.1.lock().unwrap().pages, pages, "they are not loaded twice");
        tokio::time::advance(Duration::from_secs(20 * 60 * 60)).await;
        scene.serve(vec![reminder()]).await;
        assert!(scene.links.1.lock().unwrap().pages > pages, "but every day");
    }
}

/// Somebody's event was there before the links: they have their turn as soon as the page is there.
#[tokio::test(start_paused = true)]
async fn an_event_that_came_before_its_link_is_sent_with_the_page() {
    let (scene, user, nobody) = (Scene::new(&[]), Uuid::new_v4(), Uuid::new_v4());
    scene.links.1.lock().unwrap().users = vec![user];
    let events = [user, nobody].map(|user| message(user, SystemPresence::OnQueue, 1, 1));
    let (_, tally) = scene.serve(events.to_vec()).await;
    assert_eq!((tally.sent, tally.linked, tally.looked_up), (2, 1, 1), "who is on no page is looked up");
}

/// Graph does not know the Teams user any more, and Genesys Cloud has another one by now.
#[tokio::test(start_paused = true)]
async fn a_link_that_led_nowhere_is_looked_up_again_at_once() {
    let (scene, user, new) = (Scene::new(&[]), Uuid::new_v4(), Uuid::new_v4());
    scene.serve(vec![message(user, SystemPresence::OnQueue, 1, 1)]).await;
    scene.links.0.lock().unwrap().insert(user, Some(new));
    scene.teams.troubles.lock().unwrap().push(GraphError::NotFound { code: String::new() });
    let (_, tally) = scene.serve(vec![message(user, SystemPresence::Break, 2, 1)]).await;
    assert_eq!((tally.sent, tally.no_teams_user, scene.teams.shown(new).as_deref()), (1, 0, Some("Away")), "{tally:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pilot_s_list_leaves_all_others_alone() {
    let (user, other) = (Uuid::new_v4(), Uuid::new_v4());
    let scene = Scene::new(&[("PRESENCE_USERS", &user.to_string())]);
    let batch = vec![message(user, SystemPresence::Busy, 1, 1), message(other, SystemPresence::Busy, 1, 1)];
    let (_, tally) = scene.serve(batch).await;
    assert_eq!((tally.sent, tally.not_ours, scene.teams.shown(other)), (1, 1, None));
}
