//! One run: agents, queue, instances and Graph, in virtual time.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use bridge::config::Environment;
use bridge::genesys::GenesysError;
use bridge::graph::GraphError;
use bridge::graph::presence::{PresenceChange, batch_body, batch_outcomes};
use bridge::http::{Deadline, RequestContext};
use bridge::presence::mirror::{Mirror, MirrorSettings, Presences};
use bridge::presence::{ExternalIds, LinkList, LinksPage, PresenceMode, SystemPresence, Target};
use bridge::store::StoreError;
use bridge::store::last_presence::{
    Advanced, LastPresence, LastPresences, Link, MemoryLastPresences, Plan, Reading, Reason, Sent, Settled, Turn,
    Wanted,
};
use futures_util::future::join_all;
use jiff::Timestamp;

use sandbox::stand_ins::{BRIDGE_APP, GraphInProcess, User, World};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::Trouble;
use crate::agents::{Agent, CHANGE, reminder, time};
use crate::queue::{Queue, WINDOW};

/// How long one invocation may last: the function's timeout in the template.
const INVOCATION: Duration = Duration::from_secs(120);

/// A run is given up after this time; nothing should take that long.
const PATIENCE: Duration = Duration::from_secs(4 * 60 * 60);

/// Who changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Most agents log off, or on and on the queue.
    Change,
    /// One in ten logs off, the others change between presences that nobody waits for.
    TenthUrgent,
    /// The same, ten minutes after the bridge was deployed: nobody is known, and Genesys Cloud allows 300 requests a minute.
    FirstDay,
}

impl Mix {
    const fn name(self) -> &'static str {
        match self {
            Self::Change => "most",
            Self::TenthUrgent => "1 in 10",
            Self::FirstDay => "1st day",
        }
    }
}

/// How long the bridge is there before the first shift changes.
const AHEAD: Duration = Duration::from_secs(10 * 60);

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Shift {
    /// Who changes.
    pub mix: Mix,
    /// By which of Graph's actions presences are set.
    pub mode: PresenceMode,
    /// How many agents change.
    pub agents: usize,
    /// Graph's budget, and the bridge's setting.
    pub requests_per_second: u32,
    /// How many instances of the function run at once.
    pub instances: u32,
}

impl Shift {
    /// What the run's picture is called.
    pub fn name(&self) -> String {
        let mix = match self.mix {
            Mix::Change => "",
            Mix::TenthUrgent => "-one-in-ten-urgent",
            Mix::FirstDay => "-on-the-first-day",
        };
        format!("{}-agents-at-{}-per-second-{}{mix}", self.agents, self.requests_per_second, self.mode.name())
    }
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
    pub const HEADINGS: &str = "agents      mode  urgent  budget/s   events in   HTTP calls   requests  per change   429s   \
                                p95 lag s   worst lag s   p95 urgent s   done after s   wrong";

    /// How often an agent who changed was sent a presence; each takes as many requests as the mode has actions.
    pub fn sendings_per_agent(&self) -> f64 {
        self.requests as f64 / (self.shift.agents * self.shift.mode.actions()) as f64
    }

    /// The promises that this run broke.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.wrong > 0 {
            broken.push(format!("{} agents are shown wrongly in the end", self.wrong));
        }
        if self.throttled > 0 {
            broken.push(format!("{} of {} requests were throttled", self.throttled, self.requests));
        }
        // More agents change than the budget takes: what is sent is chosen.
        let busy = self.shift.agents >= 50_000 && self.shift.requests_per_second <= 50;
        if busy && self.sendings_per_agent() > 1.05 {
            broken.push(format!("{:.2} sendings per agent who changed, more than 1.05", self.sendings_per_agent()));
        }
        let urgent = percentile(&self.urgent_lags, 0.95);
        if busy && self.shift.mix != Mix::Change && urgent > 120.0 {
            broken.push(format!("95 % of the urgent changes are shown within {urgent:.0} s, more than 120 s"));
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
            "{:>6}{:>10}{:>8}{:>10}{:>12}{:>13}{:>11}{:>12.2}{:>7}{:>12.1}{:>14.1}{:>15.1}{:>15.0}{:>8}",
            self.shift.agents,
            self.shift.mode.name(),
            self.shift.mix.name(),
            self.shift.requests_per_second,
            self.events,
            self.round_trips,
            self.requests,
            self.sendings_per_agent(),
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

impl Table {
    async fn travel() {
        sleep(Duration::from_millis(fastrand::u64(3..8))).await;
    }

    /// Whether something is still to be sent.
    async fn has_backlog(&self, cx: &RequestContext) -> bool {
        for reason in [Reason::Urgent, Reason::Change, Reason::Unlinked] {
            if self.0.due(cx, reason, Timestamp::MAX, 1).await.is_ok_and(|due| !due.is_empty()) {
                return true;
            }
        }
        false
    }
}

impl LastPresences for Table {
    async fn advance(
        &self,
        cx: &RequestContext,
        user: Uuid,
        wanted: &Wanted,
        turn: Option<Turn>,
        now: Timestamp,
    ) -> Result<Advanced, StoreError> {
        Self::travel().await;
        self.0.advance(cx, user, wanted, turn, now).await
    }

    async fn plan(&self, cx: &RequestContext, user: Uuid, modified: Timestamp, plan: &Plan) -> Result<(), StoreError> {
        Self::travel().await;
        self.0.plan(cx, user, modified, plan).await
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        sent: &Sent,
        next: Option<Turn>,
    ) -> Result<Settled, StoreError> {
        Self::travel().await;
        self.0.settle(cx, user, modified, sent, next).await
    }

    async fn link(&self, cx: &RequestContext, user: Uuid, link: &Link) -> Result<(), StoreError> {
        Self::travel().await;
        self.0.link(cx, user, link).await
    }

    async fn due(
        &self,
        cx: &RequestContext,
        reason: Reason,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        Self::travel().await;
        self.0.due(cx, reason, now, most).await
    }

    async fn read(&self, cx: &RequestContext, users: &[Uuid]) -> Result<Vec<(Uuid, LastPresence)>, StoreError> {
        Self::travel().await;
        self.0.read(cx, users).await
    }

    async fn reading(&self, cx: &RequestContext) -> Result<Option<Reading>, StoreError> {
        Self::travel().await;
        self.0.reading(cx).await
    }

    async fn keep_reading(&self, cx: &RequestContext, reading: &Reading) -> Result<(), StoreError> {
        Self::travel().await;
        self.0.keep_reading(cx, reading).await
    }

    async fn lease(
        &self,
        cx: &RequestContext,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        Self::travel().await;
        self.0.lease(cx, holder, now, until).await
    }
}

thread_local! {
    static BEGIN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The clock of the events.
fn clock() -> Timestamp {
    time(BEGIN.get().map_or(Duration::ZERO, |begin| begin.elapsed()))
}

/// Genesys Cloud, which allows 300 requests a minute. Its users have the same ids as in Teams.
struct Genesys {
    users: Vec<Uuid>,
    requests: Mutex<VecDeque<Instant>>,
}

impl Genesys {
    const PER_MINUTE: usize = 300;

    async fn request(&self) -> Result<(), GenesysError> {
        sleep(Duration::from_millis(fastrand::u64(80..200))).await;
        let now = Instant::now();
        let mut requests = locked(&self.requests);
        requests.retain(|at| now.duration_since(*at) < Duration::from_secs(60));
        match requests.front().filter(|_| requests.len() >= Self::PER_MINUTE) {
            Some(oldest) => {
                let retry_after = Some(Duration::from_secs(60) - now.duration_since(*oldest));
                Err(GenesysError::Throttled { retry_after, code: String::new() })
            }
            None => {
                requests.push_back(now);
                Ok(())
            }
        }
    }
}

impl ExternalIds for Genesys {
    async fn teams_id(&self, _cx: &RequestContext, user: Uuid) -> Result<Option<Uuid>, GenesysError> {
        self.request().await.map(|()| Some(user))
    }
}

impl LinkList for Genesys {
    /// No more than what is safe to ask for, though the bridge asks for more.
    async fn links(&self, _cx: &RequestContext, start: usize, count: usize) -> Result<LinksPage, GenesysError> {
        self.request().await?;
        let page = self.users.iter().skip(start - 1).take(count.min(25));
        let links: Vec<_> = page.map(|user| (*user, Some(*user))).collect();
        Ok(LinksPage { users: links.len(), links, total: self.users.len() })
    }
}

fn settings(shift: Shift) -> Result<MirrorSettings, Trouble> {
    let mut env = Environment::of([
        ("PRESENCE_REQUESTS_PER_SECOND", shift.requests_per_second.to_string()),
        ("PRESENCE_MODE", shift.mode.name().to_owned()),
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
    BEGIN.set(Some(begin));
    let graph =
        Graph { remote: GraphInProcess::new(&world), begin, round_trips: Mutex::default(), told: Mutex::default() };
    let table = Table(MemoryLastPresences::default());
    let settings: Vec<_> = (0..shift.instances).map(|_| settings(shift)).collect::<Result<_, _>>()?;
    let target = |presence: SystemPresence| {
        settings.first().and_then(|settings| settings.presence.target(None, Some(presence))).unwrap_or(Target::Leave)
    };

    let mut agents: Vec<_> = (0..shift.agents)
        .map(match shift.mix {
            Mix::Change => Agent::at_random,
            Mix::TenthUrgent | Mix::FirstDay => Agent::mostly_not_urgent,
        })
        .collect();
    if shift.mix == Mix::FirstDay {
        agents.iter_mut().flat_map(|agent| &mut agent.changes).for_each(|(at, _)| *at += AHEAD);
    }
    let genesys = Genesys { users: agents.iter().map(|agent| agent.id).collect(), requests: Mutex::default() };
    let cx = RequestContext::new("before", Deadline::after(PATIENCE));
    let queue = Mutex::new(Queue::default());
    let (mut events, mut last_event) = (0, begin);
    for agent in &agents {
        let id = agent.id.to_string();
        world.directory().put_user(User::new(&format!("{id}@contoso.com"), &id));
        let sent = Sent { target: target(agent.before).to_string(), mode: Some(shift.mode), until: clock() + LIFE };
        if shift.mix != Mix::FirstDay {
            worked_before(&table.0, &cx, agent, sent).await;
        }
        for (at, message) in agent.events() {
            events += 1;
            last_event = last_event.max(begin + at);
            locked(&queue).put(message, begin + at);
        }
    }

    let moments = Mutex::new(Vec::new());
    let done = AtomicBool::new(false);
    let clock_s_reminders = async {
        while !done.load(Ordering::Relaxed) {
            locked(&queue).put(reminder(), Instant::now());
            sleep(Duration::from_secs(60)).await;
        }
    };
    let watched = async {
        while (Instant::now() <= last_event || !locked(&queue).is_empty() || table.has_backlog(&cx).await)
            && begin.elapsed() < PATIENCE
        {
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
        done.store(true, Ordering::Relaxed);
    };
    if shift.mix != Mix::FirstDay {
        // The links were loaded before, and are loaded again later.
        let later = Reading { next: 1, at: Timestamp::MAX };
        let _ = table.0.keep_reading(&cx, &later).await;
    }
    let instances = settings.iter().map(|settings| {
        let mirror = Mirror { presences: &graph, ids: &genesys, last: &table, settings, now: clock };
        instance(mirror, &queue, &done)
    });
    tokio::join!(join_all(instances), watched, clock_s_reminders);

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

/// An instance of the function, batch after batch, until all is done.
async fn instance(mirror: Mirror<'_, Graph, Genesys, Table>, queue: &Mutex<Queue>, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
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
        let served = mirror.serve(&cx, batch).await;
        locked(queue).done(&ids, &served.failed, taken_at);
        if served.more {
            locked(queue).put(reminder(), Instant::now());
        }
        sleep_until(taken_at + Duration::from_millis(10)).await;
    }
}

/// How long the presence lasts that an agent had before.
const LIFE: Duration = Duration::from_secs(8 * 60 * 60);

/// What the state table knows of an agent who worked here before.
async fn worked_before(table: &MemoryLastPresences, cx: &RequestContext, agent: &Agent, sent: Sent) {
    let modified = time(Duration::ZERO) - Duration::from_secs(60 * 60);
    let wanted = Wanted { modified, target: sent.target.clone(), urgent: agent.before.is_urgent() };
    let next = Turn { reason: Reason::Renewal, at: sent.until };
    // In memory, none can fail.
    let _ = table.link(cx, agent.id, &Link { teams_user: Some(agent.id), since: clock() }).await;
    let _ = table.advance(cx, agent.id, &wanted, None, modified).await;
    let _ = table.settle(cx, agent.id, modified, &sent, Some(next)).await;
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

/// Whether the bridge holds of the agent what it is to hold: as it was set, because an Available session fades.
fn is_right(world: &World, agent: &Agent, target: Target) -> bool {
    let expected = match target {
        Target::Show(shown) => [shown.session, shown.preferred].map(|pair| pair.map(|pair| pair.availability)),
        Target::Clear | Target::Leave => [None, None],
    };
    world.presence_held(&agent.id.to_string()) == expected
}
