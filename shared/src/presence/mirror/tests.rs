//! The mirror against a Teams that is slow, throttles, fails and loses, with two instances at once.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::*;
use crate::config::Environment;
use crate::genesys::GenesysError;
use crate::graph::presence::PresenceAction;
use crate::http::Deadline;
use crate::presence::{LinksPage, SystemPresence, Target};
use crate::store::last_presence::{Advanced, LastPresence, MemoryLastPresences, SentPresence, TeamsLink};

/// What a user was last told by each of Graph's two actions: an availability, or `cleared`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Told {
    session: Option<String>,
    preferred: Option<String>,
}

/// What everybody shows, and what goes wrong on the way there.
#[derive(Default)]
struct Teams {
    told: Mutex<HashMap<String, Told>>,
    /// There is no token.
    out: Mutex<bool>,
    calls: Mutex<Vec<usize>>,
    /// What the next requests are answered, in their order.
    answers: Mutex<VecDeque<Result<(), GraphError>>>,
    /// What goes wrong with the next requests, the last one first.
    troubles: Mutex<Vec<GraphError>>,
}

impl Teams {
    fn shown(&self, user: Uuid) -> Option<String> {
        let told = self.told(user);
        told.preferred.or(told.session)
    }

    fn told(&self, user: Uuid) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).get(&user.to_string()).cloned().unwrap_or_default()
    }

    fn changes(&self) -> usize {
        self.calls.lock().unwrap().iter().sum()
    }
}

impl Presences for Teams {
    async fn app_id(&self, _cx: &RequestContext) -> Result<Arc<str>, GraphError> {
        if *self.out.lock().unwrap() {
            return Err(GraphError::Unavailable { status: 503, code: String::new() });
        }
        Ok("app".into())
    }

    async fn change(
        &self,
        _cx: &RequestContext,
        changes: &[PresenceChange],
    ) -> Result<Vec<Result<(), GraphError>>, GraphError> {
        self.calls.lock().unwrap().push(changes.len());
        let mut outcomes = Vec::new();
        for change in changes {
            // Somewhere between asking and answering it takes effect.
            sleep(Duration::from_millis(fastrand::u64(0..50))).await;
            let trouble = self.troubles.lock().unwrap().pop().map(Err);
            if let Some(Err(trouble)) = trouble.or_else(|| self.answers.lock().unwrap().pop_front()) {
                outcomes.push(Err(trouble));
                continue;
            }
            let mut told = self.told.lock().unwrap();
            let told = told.entry(change.user_id.clone()).or_default();
            match &change.action {
                PresenceAction::SetPresence { availability, .. } => told.session = Some((*availability).into()),
                PresenceAction::ClearPresence { .. } => told.session = Some("cleared".into()),
                PresenceAction::SetUserPreferredPresence { availability, .. } => {
                    told.preferred = Some((*availability).into());
                }
                PresenceAction::ClearUserPreferredPresence => told.preferred = Some("cleared".into()),
            }
            outcomes.push(Ok(()));
        }
        Ok(outcomes)
    }
}

/// Both worlds use the same ids, but for these users: linked to somebody else, or to nobody.
#[derive(Default)]
struct Links(Mutex<HashMap<Uuid, Option<Uuid>>>, Mutex<Org>);

/// Who can be listed, and how often Genesys Cloud was asked.
#[derive(Default)]
struct Org {
    users: Vec<Uuid>,
    pages: usize,
    lookups: usize,
    /// A page of more users is refused.
    largest: Option<usize>,
}

impl LinkList for Links {
    async fn links(&self, _cx: &RequestContext, start: usize, count: usize) -> Result<LinksPage, GenesysError> {
        let mut org = self.1.lock().unwrap();
        org.pages += 1;
        if org.largest.is_some_and(|largest| count > largest) {
            return Err(GenesysError::Throttled { retry_after: Some(Duration::from_secs(2)), code: String::new() });
        }
        let links: Vec<_> = org.users.iter().skip(start - 1).take(count).map(|user| (*user, Some(*user))).collect();
        Ok(LinksPage { users: links.len(), links, total: org.users.len() })
    }
}

impl ExternalIds for Links {
    async fn teams_id(&self, _cx: &RequestContext, user: Uuid) -> Result<Option<Uuid>, GenesysError> {
        self.1.lock().unwrap().lookups += 1;
        Ok(self.0.lock().unwrap().get(&user).copied().unwrap_or(Some(user)))
    }
}

thread_local! {
    static BEGIN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The clock of the scene, which goes with tokio's.
fn now() -> Timestamp {
    let begin = BEGIN.get().unwrap_or_else(Instant::now);
    Timestamp::from_second(1_800_001_000).unwrap() + begin.elapsed()
}

fn settings(variables: &[(&str, &str)]) -> MirrorSettings {
    let mut env = Environment::of(variables.iter().copied());
    let settings = MirrorSettings::read(&mut env);
    env.finish(settings).unwrap()
}

fn message(user: Uuid, presence: SystemPresence, second: i64, receives: u32) -> Message {
    let modified = Timestamp::from_second(1_800_000_000 + second).unwrap();
    let body = json!({"detail": {
        "topicName": format!("v2.users.{user}.presence"),
        "eventBody": {
            "source": "PURECLOUD", "primary": true, "modifiedDate": modified.to_string(),
            "presenceDefinition": {"systemPresence": presence.name()},
        },
    }});
    Message { id: Uuid::new_v4().to_string(), body: body.to_string(), receives, ..Message::default() }
}

struct Scene {
    teams: Teams,
    links: Links,
    last: MemoryLastPresences,
    settings: MirrorSettings,
}

impl Scene {
    fn new(variables: &[(&str, &str)]) -> Self {
        BEGIN.set(Some(Instant::now()));
        Self {
            teams: Teams::default(),
            links: Links::default(),
            last: MemoryLastPresences::default(),
            settings: settings(variables),
        }
    }

    async fn serve_all(&self, messages: Vec<Message>) -> Served {
        let mirror =
            Mirror { presences: &self.teams, ids: &self.links, last: &self.last, settings: &self.settings, now };
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(120)));
        mirror.serve(&cx, messages).await
    }

    async fn serve(&self, messages: Vec<Message>) -> (Vec<String>, MirrorTally) {
        let served = self.serve_all(messages).await;
        (served.failed, served.tally)
    }
}

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

#[tokio::test(start_paused = true)]
async fn a_pilot_s_list_leaves_all_others_alone() {
    let (user, other) = (Uuid::new_v4(), Uuid::new_v4());
    let scene = Scene::new(&[("PRESENCE_USERS", &user.to_string())]);
    let batch = vec![message(user, SystemPresence::Busy, 1, 1), message(other, SystemPresence::Busy, 1, 1)];
    let (_, tally) = scene.serve(batch).await;
    assert_eq!((tally.sent, tally.not_ours, scene.teams.shown(other)), (1, 1, None));
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

fn context() -> RequestContext {
    RequestContext::new("test", Deadline::after(Duration::from_secs(120)))
}

fn reminder() -> Message {
    let body = json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}});
    Message { id: Uuid::new_v4().to_string(), body: body.to_string(), receives: 1, ..Message::default() }
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
