//! The mirror against a Teams that is slow, throttles, fails and loses, with two instances at once.

mod failures;
mod links;
mod order;
mod renewal;

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::*;
use crate::config::Environment;
use crate::genesys::GenesysError;
use crate::graph::GraphError;
use crate::graph::presence::{PresenceAction, PresenceChange};
use crate::http::Deadline;
use crate::presence::{LinksPage, SystemPresence, Target};
use crate::store::last_presence::{Advanced, LastPresence, MemoryLastPresences, SentPresence, TeamsLink};

/// What a user was last told by each of Graph's two actions: an availability, or `cleared`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Told {
    session: Option<String>,
    preferred: Option<String>,
}

/// A Teams stand-in: the presences that users show, and the faults on the way there.
#[derive(Default)]
struct Teams {
    told: Mutex<HashMap<String, Told>>,
    /// Entra ID gives no token.
    out: Mutex<bool>,
    calls: Mutex<Vec<usize>>,
    /// The answers to the next requests, in order.
    answers: Mutex<VecDeque<Result<(), GraphError>>>,
    /// The faults of the next requests, the last one first.
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

    async fn batch_presence_changes(
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

/// Both worlds use the same ids, except for these users, who are linked to another user or to none.
#[derive(Default)]
struct Links(Mutex<HashMap<Uuid, Option<Uuid>>>, Mutex<Org>);

/// The users that can be listed, and how many times Genesys Cloud was asked.
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

fn context() -> RequestContext {
    RequestContext::new("test", Deadline::after(Duration::from_secs(120)))
}

fn reminder() -> Message {
    let body = json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}});
    Message { id: Uuid::new_v4().to_string(), body: body.to_string(), receives: 1, ..Message::default() }
}
