//! One run: agents, queue, instances and Graph, in virtual time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use bridge::config::Environment;
use bridge::genesys::GenesysError;
use bridge::graph::GraphError;
use bridge::graph::presence::{PresenceChange, batch_body, batch_outcomes};
use bridge::http::{Deadline, RequestContext};
use bridge::presence::mirror::{Mirror, MirrorSettings, Presences, Tally};
use bridge::presence::{ExternalIds, SystemPresence, Target, TeamsUsers};
use bridge::store::StoreError;
use bridge::store::last_presence::{Advanced, LastPresence, LastPresences, MemoryLastPresences, Sent, Settled, Wanted};
use futures_util::future::join_all;
use jiff::Timestamp;

use sandbox::stand_ins::{BRIDGE_APP, GraphInProcess, User, World};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::Trouble;
use crate::agents::{Agent, CHANGE, time};
use crate::queue::{Queue, WINDOW};

/// How long one invocation may last: the function's timeout in the template.
const INVOCATION: Duration = Duration::from_secs(120);

/// A run is given up after this time; nothing should take that long.
const PATIENCE: Duration = Duration::from_secs(4 * 60 * 60);

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Shift {
    /// How many agents change.
    pub agents: usize,
    /// Graph's budget, and the bridge's setting.
    pub requests_per_second: u32,
    /// How many instances of the function run at once.
    pub instances: u32,
}

/// A moment of a run.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Seconds since the beginning.
    pub at: f64,
    /// Messages that are not served.
    pub backlog: usize,
    /// The longest lag of those who were served within the last seconds.
    pub lag: f64,
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// What was simulated.
    pub shift: Shift,
    /// Events that came in.
    pub events: usize,
    /// Requests to Graph over HTTP.
    pub round_trips: u64,
    /// Presence requests in them.
    pub requests: u64,
    /// 429s among those.
    pub throttled: u64,
    /// Sorted, in seconds: all agents' lags.
    pub lags: Vec<f64>,
    /// Sorted, in seconds: lags of those who went on queue or logged off.
    pub urgent_lags: Vec<f64>,
    /// Agents whom Teams shows as something else in the end.
    pub wrong: usize,
    /// Messages in the dead-letter queue.
    pub dead: usize,
    /// When the last presence was sent, in seconds since the beginning.
    pub finished: f64,
    /// For the picture.
    pub moments: Vec<Moment>,
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().unwrap_or_default()
}

impl Outcome {
    /// Above the lines that outcomes are printed as.
    pub const HEADINGS: &str = "agents  budget/s   events in   HTTP calls   requests   429s   p95 lag s   worst lag s   \
                                p95 urgent s   done after s   wrong";

    /// The promises that this run broke.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.wrong > 0 {
            broken.push(format!("{} agents are shown wrongly in the end", self.wrong));
        }
        if self.throttled * 100 > self.requests {
            broken.push(format!("{} of {} requests were throttled, more than 1 %", self.throttled, self.requests));
        }
        if self.dead > 0 {
            broken.push(format!("{} messages were given up", self.dead));
        }
        broken
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6}{:>10}{:>12}{:>13}{:>11}{:>7}{:>12.1}{:>14.1}{:>15.1}{:>15.0}{:>8}",
            self.shift.agents,
            self.shift.requests_per_second,
            self.events,
            self.round_trips,
            self.requests,
            self.throttled,
            percentile(&self.lags, 0.95),
            percentile(&self.lags, 1.0),
            percentile(&self.urgent_lags, 0.95),
            self.finished,
            self.wrong,
        )
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Graph behind a network: the sandbox's stand-in, and when each user was last told something.
struct Graph {
    remote: GraphInProcess,
    begin: Instant,
    round_trips: Mutex<u64>,
    told: Mutex<HashMap<String, Duration>>,
}

impl Presences for Graph {
    async fn app_id(&self, _cx: &RequestContext) -> Result<Arc<str>, GraphError> {
        Ok(BRIDGE_APP.into())
    }

    async fn change(
        &self,
        _cx: &RequestContext,
        changes: &[PresenceChange],
    ) -> Result<Vec<Result<(), GraphError>>, GraphError> {
        let unreadable = |problem: String| GraphError::Unreadable { problem };
        let half = Duration::from_millis(fastrand::u64(30..75));
        sleep(half).await;
        *locked(&self.round_trips) += 1;
        let request = Request::post("/v1.0/$batch")
            .header("content-type", "application/json")
            .body(Body::from(batch_body(changes).to_string()))
            .map_err(|error| unreadable(error.to_string()))?;
        let response = self.remote.answer(request).await;
        let body = to_bytes(response.into_body(), 1 << 20).await.map_err(|error| unreadable(error.to_string()))?;
        let outcomes = batch_outcomes(changes, &body)?;
        let now = self.begin.elapsed();
        for (change, outcome) in changes.iter().zip(&outcomes) {
            if outcome.is_ok() {
                locked(&self.told).insert(change.user_id.clone(), now);
            }
        }
        sleep(half).await;
        Ok(outcomes)
    }
}

/// The state table behind a network.
struct Table(MemoryLastPresences);

impl LastPresences for Table {
    async fn advance(&self, cx: &RequestContext, user: Uuid, wanted: &Wanted) -> Result<Advanced, StoreError> {
        sleep(Duration::from_millis(fastrand::u64(3..8))).await;
        self.0.advance(cx, user, wanted).await
    }

    async fn ending(
        &self,
        cx: &RequestContext,
        before: Timestamp,
        event_after: Timestamp,
        most: usize,
    ) -> Result<Vec<(Uuid, LastPresence)>, StoreError> {
        self.0.ending(cx, before, event_after, most).await
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        sent: &Sent,
    ) -> Result<Settled, StoreError> {
        sleep(Duration::from_millis(fastrand::u64(3..8))).await;
        self.0.settle(cx, user, modified, sent).await
    }
}

/// Nobody is looked up: whoever worked here before is known to the state table.
struct Known;

impl ExternalIds for Known {
    async fn teams_id(&self, _cx: &RequestContext, user: Uuid) -> Result<Option<Uuid>, GenesysError> {
        Ok(Some(user))
    }
}

fn settings(shift: Shift) -> Result<MirrorSettings, Trouble> {
    let mut env = Environment::of([
        ("PRESENCE_REQUESTS_PER_SECOND", shift.requests_per_second.to_string()),
        ("PRESENCE_INSTANCES", shift.instances.to_string()),
    ]);
    let settings = MirrorSettings::read(&mut env);
    env.finish(settings).map_err(|error| Trouble(error.to_string()))
}

/// Simulates a shift change.
pub fn run(shift: Shift) -> Result<Outcome, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    // The same numbers whenever it is run.
    fastrand::seed(shift.agents as u64);
    runtime.map_err(|error| Trouble(error.to_string()))?.block_on(simulate(shift))
}

async fn simulate(shift: Shift) -> Result<Outcome, Trouble> {
    let world = World::without_sockets().map_err(|error| Trouble(error.to_string()))?;
    let budget = usize::try_from(shift.requests_per_second * 30).unwrap_or(usize::MAX);
    world.set_presence_budget(budget, Duration::from_secs(30));
    let begin = Instant::now();
    let graph =
        Graph { remote: GraphInProcess::new(&world), begin, round_trips: Mutex::default(), told: Mutex::default() };
    let table = Table(MemoryLastPresences::default());
    let settings: Vec<_> = (0..shift.instances).map(|_| settings(shift)).collect::<Result<_, _>>()?;
    let target = |presence: SystemPresence| {
        settings.first().and_then(|settings| settings.presence.target(None, Some(presence))).unwrap_or(Target::Leave)
    };

    let agents: Vec<_> = (0..shift.agents).map(Agent::at_random).collect();
    let cx = RequestContext::new("before", Deadline::after(PATIENCE));
    let queue = Mutex::new(Queue::default());
    let mut events = 0;
    for agent in &agents {
        let id = agent.id.to_string();
        world.directory().put_user(User::new(&format!("{id}@contoso.com"), &id));
        worked_before(&table.0, &cx, agent, &target(agent.before).to_string()).await;
        for (at, message) in agent.events() {
            events += 1;
            locked(&queue).put(message, begin + at);
        }
    }

    let moments = Mutex::new(Vec::new());
    let watched = async {
        while !locked(&queue).is_empty() && begin.elapsed() < PATIENCE {
            let now = begin.elapsed();
            let oldest = agents
                .iter()
                .map(|agent| lag(agent, &graph))
                .filter_map(|(at, lag)| (now.saturating_sub(at) < STEP).then_some(lag));
            let moment = Moment {
                at: now.as_secs_f64(),
                backlog: locked(&queue).backlog(Instant::now()),
                lag: oldest.fold(0.0, f64::max),
            };
            locked(&moments).push(moment);
            sleep(STEP).await;
        }
    };
    let instances = settings.iter().map(|settings| instance(settings, &graph, &table, &queue, begin));
    tokio::join!(join_all(instances), watched);

    let lag_of = |agent: &Agent| lag(agent, &graph).1;
    let mut lags: Vec<_> = agents.iter().map(lag_of).collect();
    let is_urgent = |agent: &&Agent| agent.last().1.is_urgent();
    let mut urgent_lags: Vec<_> = agents.iter().filter(is_urgent).map(lag_of).collect();
    lags.sort_by(f64::total_cmp);
    urgent_lags.sort_by(f64::total_cmp);
    let wrong = agents.iter().filter(|agent| !is_right(&world, agent, target(agent.last().1))).count();
    let finished = locked(&graph.told).values().max().map_or(0.0, Duration::as_secs_f64);
    let (round_trips, dead) = (*locked(&graph.round_trips), locked(&queue).dead);
    let moments = std::mem::take(&mut *locked(&moments));
    let (requests, throttled) = (world.presence_requests(), world.presence_throttled());
    Ok(Outcome { shift, events, round_trips, requests, throttled, lags, urgent_lags, wrong, dead, finished, moments })
}

/// How often the picture is looked at.
const STEP: Duration = Duration::from_secs(5);

/// An instance of the function, batch after batch, until the queue is empty.
async fn instance(settings: &MirrorSettings, graph: &Graph, table: &Table, queue: &Mutex<Queue>, begin: Instant) {
    let users = TeamsUsers::default();
    let mirror = Mirror { presences: graph, ids: &Known, last: table, users: &users, settings };
    while !locked(queue).is_empty() && begin.elapsed() < PATIENCE {
        // The event source waits for a full batch, and no longer than the window.
        let until = Instant::now() + WINDOW;
        while !locked(queue).has_full_batch(Instant::now()) && Instant::now() < until {
            sleep(Duration::from_millis(100)).await;
        }
        let taken_at = Instant::now();
        let batch = locked(queue).take(taken_at);
        if batch.is_empty() {
            continue;
        }
        let ids: Vec<_> = batch.iter().map(|message| message.id.clone()).collect();
        let cx = RequestContext::new("simulated", Deadline::after(INVOCATION));
        let failed = match mirror.serve(&cx, batch).await {
            Ok((failed, Tally { .. })) => failed,
            Err(_) => ids.clone(),
        };
        locked(queue).done(&ids, &failed, taken_at);
        sleep_until(taken_at + Duration::from_millis(10)).await;
    }
}

/// What the state table knows of an agent who worked here before.
async fn worked_before(table: &MemoryLastPresences, cx: &RequestContext, agent: &Agent, target: &str) {
    let modified = time(Duration::ZERO) - Duration::from_secs(8 * 60 * 60);
    let wanted = Wanted { modified, target: target.to_owned(), urgent: agent.before.is_urgent() };
    let until = Timestamp::now() + Duration::from_secs(8 * 60 * 60);
    let sent = Sent { target: target.to_owned(), until, teams_user: agent.id, linked: Timestamp::now() };
    // In memory, neither can fail.
    let _ = table.advance(cx, agent.id, &wanted).await;
    let _ = table.settle(cx, agent.id, modified, &sent).await;
}

/// When Teams was last told something about an agent, and how long after the agent's last change that was, in seconds.
fn lag(agent: &Agent, graph: &Graph) -> (Duration, f64) {
    let (changed, _) = agent.last();
    match locked(&graph.told).get(&agent.id.to_string()) {
        Some(told) => (*told, told.saturating_sub(changed).as_secs_f64()),
        // Never told: Teams showed it already, or shows something wrong, which is counted elsewhere.
        None => (PATIENCE + CHANGE, 0.0),
    }
}

fn is_right(world: &World, agent: &Agent, target: Target) -> bool {
    let (availability, _) = world.presence_of(&agent.id.to_string());
    match target {
        Target::Show(shown) => shown.pair().availability == availability,
        // With Teams open and nothing set, a user is available.
        Target::Clear | Target::Leave => availability == "Available",
    }
}
