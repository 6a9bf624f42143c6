//! One run: agents, queue, instances and Graph, in virtual time.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bridge::config::Environment;
use bridge::http::{Deadline, RequestContext};
use bridge::presence::mirror::{Mirror, MirrorSettings};
use bridge::presence::{SystemPresence, Target};
use bridge::store::last_presence::{
    LastPresences, LinkReading, LinkTable, MemoryLastPresences, Reason, SentPresence, TeamsLink, Turn, WantedPresence,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use sandbox::stand_ins::{User, World};
use tokio::time::{Instant, sleep, sleep_until};

use crate::agents::{Agent, CHANGE, reminder, time};
use crate::outcome::{Mix, Moment, Outcome, Shift};
use crate::queue::{Queue, WINDOW};
use crate::table::Table;
use crate::vendors::{Genesys, Graph};
use crate::{Trouble, locked};

/// How long one invocation may last: the function's timeout in the template.
const INVOCATION: Duration = Duration::from_secs(60);

/// A run is given up after this time; nothing should take that long.
const PATIENCE: Duration = Duration::from_secs(4 * 60 * 60);

/// How long the bridge has been deployed before the first shift changes.
const AHEAD: Duration = Duration::from_secs(10 * 60);

thread_local! {
    static BEGIN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The clock that the events go by.
fn clock() -> Timestamp {
    time(BEGIN.get().map_or(Duration::ZERO, |begin| begin.elapsed()))
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
pub(crate) fn run(shift: Shift) -> Result<Outcome, Trouble> {
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
    let graph = Graph::new(&world, begin);
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
    let genesys = Genesys::new(agents.iter().map(|agent| agent.id).collect());
    let cx = RequestContext::new("before", Deadline::after(PATIENCE));
    let queue = Mutex::new(Queue::default());
    let (mut events, mut last_event) = (0, begin);
    for agent in &agents {
        let id = agent.id.to_string();
        world.directory().put_user(User::new(&format!("{id}@contoso.com"), &id));
        let sent = SentPresence {
            target: target(agent.before).to_string(),
            mode: Some(shift.mode.name().into()),
            until: clock() + LIFE,
        };
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
        let later = LinkReading { next: 1, at: Timestamp::MAX };
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
    let finished = graph.last_told().map_or(0.0, |told| told.as_secs_f64());
    let (round_trips, dead) = (graph.round_trips(), locked(&queue).dead);
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

/// How long the presence lasts that an agent had before the shift changed.
const LIFE: Duration = Duration::from_secs(8 * 60 * 60);

/// Notes in the state table what an agent had who worked here before.
async fn worked_before(table: &MemoryLastPresences, cx: &RequestContext, agent: &Agent, sent: SentPresence) {
    let modified = time(Duration::ZERO) - Duration::from_secs(60 * 60);
    let wanted = WantedPresence { modified, target: sent.target.clone(), urgent: agent.before.is_urgent() };
    let next = Turn { reason: Reason::Renewal, at: sent.until };
    // In memory, none can fail.
    let _ = table.link(cx, agent.id, &TeamsLink { teams_user: Some(agent.id), since: clock() }).await;
    let _ = table.advance(cx, agent.id, &wanted, None, modified).await;
    let _ = table.settle(cx, agent.id, modified, &sent, Some(next)).await;
}

/// When Teams was last told something about an agent, and how long after the agent's last change that was, in seconds.
fn lag(agent: &Agent, graph: &Graph) -> (Duration, f64) {
    let (changed, _) = agent.last();
    match graph.told(&agent.id.to_string()) {
        Some(told) => (told, told.saturating_sub(changed).as_secs_f64()),
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
