//! Delivers notifications: several in one POST, many POSTs at the same time, those about one resource one after the
//! other.
//!
//! Graph promises no order. The order is kept here as long as nothing fails, so that notifications are out of order
//! only where a test asks for it.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::super::super::{World, locked};
use super::health::{Health, LOST, SLOW, State};
use super::item::{NotificationItem, collection};
use super::settings::{NotificationSettings, TokenVersion};
use super::validation_token;

/// The most POSTs to one endpoint at the same time.
const LANES: usize = 16;

/// The number of POSTs that are remembered.
const REMEMBERED: usize = 200;

/// How long a validation token is reused.
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// The outcome of the notifications so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Changes that subscriptions asked for, once for each subscription; lifecycle notifications as well.
    pub generated: u64,
    /// Notifications that were lost on demand.
    pub lost: u64,
    /// Notifications that were sent twice on demand.
    pub duplicated: u64,
    /// Notifications that were held back on demand.
    pub reordered: u64,
    /// Notifications that were dropped because their endpoint was too slow.
    pub dropped: u64,
    /// Notifications that were held back because their endpoint was slow.
    pub delayed: u64,
    /// Notifications that an endpoint answered with a success, second ones included.
    pub delivered: u64,
    /// Notifications that were given up after hours of failures.
    pub given_up: u64,
    /// Notifications that are on their way.
    pub pending: u64,
    /// The number of POSTs, repetitions included.
    pub posts: u64,
    /// The number of POSTs that failed.
    pub failed_posts: u64,
}

/// A POST to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The URL that it goes to.
    pub url: String,
    /// The number of the attempt: 1 for the first, and so on.
    pub attempt: u32,
    /// The number of notifications in it.
    pub notifications: usize,
    /// The status of the answer; 0 when none came in time.
    pub status: u16,
    /// How long the answer took.
    pub milliseconds: u64,
}

/// The state of the deliveries.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The outcome of the notifications.
    pub totals: Totals,
    /// The state of each endpoint.
    pub endpoints: HashMap<String, State>,
    /// The last POSTs, oldest first.
    pub attempts: Vec<Attempt>,
    /// How notifications are delivered.
    pub settings: NotificationSettings,
}

#[derive(Debug, Default)]
struct Endpoint {
    health: Health,
    lanes: [Lane; LANES],
}

/// A lane: notifications that are sent one POST after the other.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<NotificationItem>,
    is_busy: bool,
}

#[derive(Debug, Default)]
struct Office {
    settings: NotificationSettings,
    troubles: Option<fastrand::Rng>,
    endpoints: HashMap<String, Endpoint>,
    totals: Totals,
    attempts: VecDeque<Attempt>,
    troubled: HashSet<String>,
    number: u64,
    /// The validation tokens, by app and form.
    tokens: HashMap<(String, bool), (Instant, String)>,
}

impl Office {
    fn window(&self) -> Duration {
        Duration::from_secs(self.settings.window_seconds)
    }
}

/// All deliveries that are under way or done.
#[derive(Debug, Default)]
pub(in crate::stand_ins) struct Deliveries(Mutex<Office>);

impl Deliveries {
    pub(super) fn settings(&self) -> NotificationSettings {
        locked(&self.0).settings.clone()
    }

    pub(super) fn next_number(&self) -> u64 {
        let mut office = locked(&self.0);
        office.number += 1;
        office.number
    }

    /// Forgets the validation tokens, which were signed with another key.
    pub(in crate::stand_ins) fn forget_tokens(&self) {
        locked(&self.0).tokens.clear();
    }

    /// The validation tokens for these notifications: one for each app, because the tenant is always the same.
    pub(super) fn tokens(&self, world: &World, items: &[NotificationItem]) -> Vec<String> {
        let apps: BTreeSet<&str> = items.iter().filter(|item| item.is_rich).map(|item| item.app.as_str()).collect();
        let mut office = locked(&self.0);
        let version = office.settings.token_version;
        let mut token = |app: &str| {
            let key = (app.to_owned(), version == TokenVersion::V2);
            let known = office.tokens.get(&key).filter(|(minted, _)| minted.elapsed() < TOKEN_LIFE);
            if let Some((_, token)) = known {
                return token.clone();
            }
            let token = validation_token::mint(world, &world.tokens.keys.current(), app, version);
            office.tokens.insert(key, (Instant::now(), token.clone()));
            token
        };
        apps.into_iter().map(&mut token).collect()
    }
}

/// Sends a notification to an endpoint, with the faults that are switched on.
pub(super) fn send(world: &Arc<World>, url: &str, item: NotificationItem) {
    let mut office = locked(&world.deliveries.0);
    let (settings, window) = (office.settings.clone(), office.window());
    office.totals.generated += 1;
    let troubles = office.troubles.get_or_insert_with(|| fastrand::Rng::with_seed(settings.seed));
    let mut roll = |percent: f64| troubles.f64() * 100.0 < percent;
    // All dice are rolled for each, so that one trouble does not move another.
    let (is_lost, is_late, is_twice) =
        (roll(settings.loss_percent), roll(settings.reorder_percent), roll(settings.duplicate_percent));
    let mut wait = || Duration::from_millis(troubles.u64(settings.late_ms / 2..=settings.late_ms));
    let (late, again) = (wait(), wait());
    if is_lost || is_late {
        office.troubled.extend(item.value["resource"].as_str().map(str::to_owned));
    }
    if is_lost {
        office.totals.lost += 1;
        return;
    }
    let health = &mut office.endpoints.entry(url.to_owned()).or_default().health;
    let state = health.state(window);
    if state == State::Drop && !health.probes() {
        office.totals.dropped += 1;
        return;
    }
    let mut delay = Duration::ZERO;
    if state == State::Slow {
        office.totals.delayed += 1;
        delay += window;
    }
    if is_late {
        office.totals.reordered += 1;
        delay += late;
    }
    office.totals.pending += 1;
    if is_twice {
        office.totals.duplicated += 1;
        office.totals.pending += 1;
        push_later(world, url, item.clone(), delay + again);
    }
    if delay.is_zero() {
        push(world, &mut office, url, item);
    } else {
        push_later(world, url, item, delay);
    }
}

fn push_later(world: &Arc<World>, url: &str, item: NotificationItem, delay: Duration) {
    let (world, url) = (world.clone(), url.to_owned());
    tokio::spawn(async move {
        sleep(delay).await;
        push(&world, &mut locked(&world.deliveries.0), &url, item);
    });
}

fn push(world: &Arc<World>, office: &mut Office, url: &str, item: NotificationItem) {
    let mut hasher = DefaultHasher::new();
    item.about.hash(&mut hasher);
    let number = usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default();
    let endpoint = office.endpoints.entry(url.to_owned()).or_default();
    let Some(lane) = endpoint.lanes.get_mut(number) else {
        return;
    };
    lane.waiting.push_back(item);
    if !std::mem::replace(&mut lane.is_busy, true) {
        tokio::spawn(run(world.clone(), url.to_owned(), number));
    }
}

/// Sends the notifications of one lane until it is empty.
async fn run(world: Arc<World>, url: String, number: usize) {
    loop {
        let batch: Vec<NotificationItem> = {
            let mut office = locked(&world.deliveries.0);
            let size = office.settings.batch_size.max(1);
            let lane = office.endpoints.get_mut(&url).and_then(|endpoint| endpoint.lanes.get_mut(number));
            let Some(lane) = lane else { return };
            let size = size.min(lane.waiting.len());
            lane.is_busy = size > 0;
            lane.waiting.drain(..size).collect()
        };
        if batch.is_empty() {
            return;
        }
        if !post(&world, &url, &batch, 1).await {
            // Others do not wait for it.
            let resources = batch.iter().filter_map(|item| item.value["resource"].as_str().map(str::to_owned));
            locked(&world.deliveries.0).troubled.extend(resources);
            tokio::spawn(repeat(world.clone(), url.clone(), batch));
        }
    }
}

/// Repeats a POST that failed until it succeeds, or for hours.
async fn repeat(world: Arc<World>, url: String, batch: Vec<NotificationItem>) {
    let began = Instant::now();
    let settings = world.deliveries.settings();
    let mut wait = Duration::from_millis(settings.retry_after_ms);
    for attempt in 2.. {
        if began.elapsed() + wait > Duration::from_secs(settings.retry_for_seconds) {
            break;
        }
        sleep(wait).await;
        if post(&world, &url, &batch, attempt).await {
            return;
        }
        wait = wait.saturating_mul(2);
    }
    let mut office = locked(&world.deliveries.0);
    let count = batch.len() as u64;
    office.totals.given_up += count;
    office.totals.pending = office.totals.pending.saturating_sub(count);
}

/// Posts notifications, and returns whether the endpoint took them.
async fn post(world: &World, url: &str, items: &[NotificationItem], attempt: u32) -> bool {
    let body = collection(items, world.deliveries.tokens(world, items)).to_string();
    let patience = if attempt == 1 { SLOW } else { LOST };
    let (status, took) = call(world, url, body, patience).await;
    let is_taken = (200..300).contains(&status);
    let mut office = locked(&world.deliveries.0);
    let window = office.window();
    let totals = &mut office.totals;
    totals.posts += 1;
    if is_taken {
        totals.delivered += items.len() as u64;
        totals.pending = totals.pending.saturating_sub(items.len() as u64);
    } else {
        totals.failed_posts += 1;
    }
    office.endpoints.entry(url.to_owned()).or_default().health.count(took, window);
    if office.attempts.len() >= REMEMBERED {
        office.attempts.pop_front();
    }
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    office.attempts.push_back(Attempt {
        url: url.to_owned(),
        attempt,
        notifications: items.len(),
        status,
        milliseconds,
    });
    is_taken
}

/// Calls an endpoint. Returns the status of the answer, 0 for none, and the time that it took.
pub(super) async fn call(world: &World, url: &str, body: String, patience: Duration) -> (u16, Duration) {
    let began = Instant::now();
    let request = world.client.post(url).header("content-type", "application/json; charset=utf-8").body(body);
    let answer = timeout(patience, async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        // Read to its end, so that the connection can be used again.
        response.bytes().await.map(|_| status)
    });
    let status = answer.await.ok().and_then(Result::ok).unwrap_or(0);
    (status, began.elapsed())
}

impl World {
    /// The state of the deliveries of notifications.
    #[must_use]
    pub fn notifications(&self) -> Standing {
        let window = Duration::from_secs(self.deliveries.settings().window_seconds);
        let mut office = locked(&self.deliveries.0);
        let endpoints = office.endpoints.iter_mut().map(|(url, endpoint)| (url.clone(), endpoint.health.state(window)));
        Standing {
            endpoints: endpoints.collect(),
            totals: office.totals.clone(),
            attempts: office.attempts.iter().cloned().collect(),
            settings: office.settings.clone(),
        }
    }

    /// The resources of the notifications that were lost, held back or sent again after a failure: only these may be
    /// overtaken.
    #[must_use]
    pub fn troubled_notifications(&self) -> HashSet<String> {
        locked(&self.deliveries.0).troubled.clone()
    }

    /// Changes how notifications are delivered. Another seed begins its faults anew.
    pub fn set_notifications(&self, settings: NotificationSettings) {
        let mut office = locked(&self.deliveries.0);
        if settings.seed != office.settings.seed {
            office.troubles = None;
        }
        office.settings = settings;
    }

    /// Waits until no notification is on its way.
    pub async fn notifications_settled(&self) {
        while locked(&self.deliveries.0).totals.pending > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
}
