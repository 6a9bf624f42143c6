//! Closing the gap.

use super::*;

async fn started(resource: &str) -> Scene {
    let scene = Scene::new(&[resource]);
    scene.run().await;
    scene.tenant.queued();
    scene
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
async fn a_link_that_is_forgotten_makes_the_listing_begin_by_time() {
    let scene = started(CHATS).await;
    (1..=3).for_each(|id| scene.tenant.write(id));
    scene.run_with(&missed(&scene), 300).await;
    scene.tenant.queued();
    scene.tenant.write(4);
    scene.tenant.state().forgotten = 4;
    let run = scene.run_with(&missed(&scene), 300).await.tally;
    assert_eq!((run.failed, scene.tenant.queued().len()), (0, 4), "all that is younger than the overlap");
    scene.tenant.state().forgotten = 0;
    assert_eq!(scene.run_with(&missed(&scene), 300).await.tally.gap_items, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_settings_allow_is_left() {
    let mut scene = started(CHAT).await;
    scene.tenant.write(1);
    scene.tenant.state().messages[0].modified = Some(Timestamp::now() - Duration::from_secs(120));
    scene.tenant.write(2);
    scene.settings.resync = Duration::from_secs(60);
    scene.run_with(&missed(&scene), 300).await;
    assert_eq!(scene.tenant.queued(), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_comes_as_what_it_is_and_only_where_it_is_wanted() {
    for (changes, expected) in [
        ("created,updated,deleted", vec!["created", "updated", "deleted"]),
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
