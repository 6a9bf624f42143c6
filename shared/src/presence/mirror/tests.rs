//! The mirror against a Teams that is slow, throttles, fails and loses, with two instances at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;
use serde_json::json;
use tokio::time::sleep;

use super::*;
use crate::config::Environment;
use crate::genesys::GenesysError;
use crate::graph::presence::PresenceAction;
use crate::http::Deadline;
use crate::presence::SystemPresence;
use crate::store::last_presence::{Advanced, LastPresence, MemoryLastPresences};

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

/// Everybody is somebody in Teams but the user of this id. Both worlds use the same ids.
struct Links(Uuid);

impl ExternalIds for Links {
    async fn teams_id(&self, _cx: &RequestContext, user: Uuid) -> Result<Option<Uuid>, GenesysError> {
        Ok(Some(user).filter(|user| *user != self.0))
    }
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
    users: TeamsUsers,
    settings: MirrorSettings,
}

impl Scene {
    fn new(variables: &[(&str, &str)]) -> Self {
        Self {
            teams: Teams::default(),
            links: Links(Uuid::nil()),
            last: MemoryLastPresences::default(),
            users: TeamsUsers::default(),
            settings: settings(variables),
        }
    }

    async fn serve(&self, messages: Vec<Message>) -> (Vec<String>, Tally) {
        let mirror = Mirror {
            presences: &self.teams,
            ids: &self.links,
            last: &self.last,
            users: &self.users,
            settings: &self.settings,
        };
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(120)));
        mirror.serve(&cx, messages).await.unwrap()
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
    let scene = Scene::new(&[("PRESENCE_REQUESTS_PER_SECOND", "1"), ("PRESENCE_INSTANCES", "1")]);
    let users: Vec<_> = std::iter::repeat_with(Uuid::new_v4).take(3).collect();
    // One was on the queue before and leaves it for a break: that is urgent too.
    scene.serve(vec![message(users[2], SystemPresence::OnQueue, 1, 1)]).await;
    let mut batch: Vec<_> = (0..20).map(|n| message(Uuid::new_v4(), SystemPresence::Meal, 10 + n, 1)).collect();
    batch.push(message(users[0], SystemPresence::OnQueue, 40, 1));
    batch.push(message(users[1], SystemPresence::Offline, 41, 1));
    batch.push(message(users[2], SystemPresence::Break, 42, 1));
    let ids: Vec<_> = batch.iter().map(|message| message.id.clone()).collect();
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

#[tokio::test(start_paused = true)]
async fn a_failed_user_goes_back_alone_and_comes_through_the_next_time() {
    let (scene, users) = (Scene::new(&[]), [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()]);
    let unavailable = GraphError::Unavailable { status: 503, code: String::new() };
    scene.teams.troubles.lock().unwrap().push(unavailable);
    let batch: Vec<_> = (1..).zip(users).map(|(n, user)| message(user, SystemPresence::Busy, n, 1)).collect();
    let (failed, tally) = scene.serve(batch.clone()).await;
    assert_eq!((failed.len(), tally.sent), (1, 2));
    let again = batch.into_iter().filter(|message| failed.contains(&message.id)).collect();
    let (failed, tally) = scene.serve(again).await;
    assert_eq!((failed.len(), tally.sent), (0, 1));
    assert!(users.iter().all(|user| scene.teams.shown(*user).as_deref() == Some("Busy")));
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
    let mut scene = Scene::new(&[]);
    let (user, nobody, gone) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    scene.links = Links(nobody);
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
    let wanted = Wanted { modified: Timestamp::now(), target: "Busy/Busy".into(), urgent: true };
    let life = scene.settings.presence.life();
    for (age, expected) in [(life / 4, true), (life * 3 / 4, false)] {
        let until = Timestamp::now() + life - age;
        let sent = Sent { target: "Busy/Busy".into(), until, teams_user: user, linked: Timestamp::now() };
        let before = LastPresence { wanted: wanted.clone(), sent: Some(sent) };
        let Ok(Read::Presence(event)) = read(&message(user, SystemPresence::OnQueue, 1, 1).body) else { panic!() };
        let newest = Newest { event, message: String::new(), receives: 1 };
        let decision = decide(newest, wanted.clone(), Advanced::Newest(Some(before)), life, Timestamp::now());
        assert_eq!(decision == Decision::Unchanged, expected, "{age:?}");
    }
}

fn reminder() -> Message {
    let body = json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}});
    Message { id: Uuid::new_v4().to_string(), body: body.to_string(), receives: 1, ..Message::default() }
}

/// Agents whose presence lasts four hours, two of them due for renewal: one who was cleared is not, whose last event is
/// too long ago is not.
#[tokio::test(start_paused = true)]
async fn a_reminder_renews_the_presences_that_have_lived_half_their_life() {
    for (mode, busy) in [("preferred", "Busy/Busy"), ("session", "Busy/InACall"), ("both", "Busy/InACall")] {
        renews_what_has_lived_half_its_life(mode, busy).await;
    }
}

async fn renews_what_has_lived_half_its_life(mode: &str, busy: &str) {
    let scene = Scene::new(&[("PRESENCE_MODE", mode), ("PRESENCE_TTL_MINUTES", "240")]);
    let now = Timestamp::now();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let put = async |target: &str, age: Duration, last_event: Duration| {
        let user = Uuid::new_v4();
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(120)));
        let wanted = Wanted { modified: now - last_event, target: target.into(), urgent: true };
        scene.last.advance(&cx, user, &wanted).await.unwrap();
        let sent = Sent { target: target.into(), until: now - age + hours(4), teams_user: user, linked: now };
        scene.last.settle(&cx, user, wanted.modified, &sent).await.unwrap();
        user
    };
    let due = put(busy, hours(3), hours(3)).await;
    let expired = put("Away/Away", hours(5), hours(5)).await;
    let fresh = put(busy, hours(1), hours(1)).await;
    let cleared = put("clear", hours(3), hours(3)).await;
    let forgotten = put(busy, hours(3), hours(13)).await;

    let (failed, tally) = scene.serve(vec![reminder()]).await;
    assert_eq!((failed.len(), tally.renewed, tally.sent, tally.poison), (0, 2, 0, 0));
    let shown = [due, expired, fresh, cleared, forgotten].map(|user| scene.teams.shown(user));
    assert_eq!(shown, [Some("Busy".into()), Some("Away".into()), None, None, None]);
    let (_, tally) = scene.serve(vec![reminder()]).await;
    assert_eq!(tally.renewed, 0, "they are fresh again");

    // A renewal that fails is not a message that goes back: the next reminder comes soon enough.
    let due = put(busy, hours(3), hours(3)).await;
    scene.teams.troubles.lock().unwrap().push(GraphError::Unreadable { problem: "test".into() });
    let (failed, tally) = scene.serve(vec![reminder()]).await;
    assert_eq!((failed.len(), tally.renewed), (0, 0));
    let (_, tally) = scene.serve(vec![reminder()]).await;
    assert_eq!((tally.renewed, scene.teams.shown(due).as_deref()), (1, Some("Busy")));
}

/// An event of the activity topic about another routing status brings the presence's own, old time along.
#[tokio::test(start_paused = true)]
async fn an_activity_event_renews_what_the_agent_still_is() {
    for mode in ["preferred", "session", "both"] {
        let (scene, user) = (Scene::new(&[("PRESENCE_MODE", mode), ("PRESENCE_TTL_MINUTES", "240")]), Uuid::new_v4());
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(120)));
        let event = || message(user, SystemPresence::OnQueue, 0, 1);
        scene.serve(vec![event()]).await;
        let calls = scene.teams.changes();
        let (_, fresh) = scene.serve(vec![event()]).await;
        assert_eq!((fresh.stale, scene.teams.changes()), (1, calls), "{mode}: it lasts long enough");

        // Three hours pass: what was sent lasts one more.
        let modified = Timestamp::from_second(1_800_000_000).unwrap();
        let Advanced::Known(last) = scene.last.advance(&cx, user, &old(modified)).await.unwrap() else { panic!() };
        let until = Timestamp::now() + Duration::from_secs(60 * 60);
        let sent = Sent { until, ..last.sent.unwrap() };
        scene.last.settle(&cx, user, modified, &sent).await.unwrap();
        let (_, renewed) = scene.serve(vec![event()]).await;
        assert_eq!((renewed.sent, scene.teams.changes()), (1, 2 * calls), "{mode}");
        let (_, again) = scene.serve(vec![event()]).await;
        assert_eq!((again.stale, scene.teams.changes()), (1, 2 * calls), "{mode}: it is fresh again");
    }
}

fn old(modified: Timestamp) -> Wanted {
    Wanted { modified, target: "clear".into(), urgent: false }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Five users, many changes, each event delivered once or twice, in any order, to two instances at once, while Graph
    /// throttles and fails: in the end everybody shows what the last change said.
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
                let both: HashMap<_, _> = a.iter().chain(&b).map(|message| (message.id.clone(), message.clone())).collect();
                let ((failed_a, _), (failed_b, _)) = tokio::join!(scene.serve(a), scene.serve(b));
                for id in failed_a.into_iter().chain(failed_b) {
                    let message = both[&id].clone();
                    messages.push(Message { receives: message.receives + 1, ..message });
                }
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
