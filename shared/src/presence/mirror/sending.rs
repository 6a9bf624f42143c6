//! From the backlog to Teams: urgent presences first, of each user the newest alone, at the pace of Graph's budget.
//!
//! One instance sends at a time. It holds a lease in the state table, so that the budget is kept exactly and no user is
//! sent two presences at once. Should it die, its lease ends, and the next invocation of any instance goes on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::batch::{COOL_DOWN, Ended, FIRST_PAUSE, Job, count};
use super::links::{BETWEEN_PAGES, Found, Linked, PAGE, Page, SMALL_PAGE};
use super::{Mirror, Presences, STATE_CONCURRENCY, Tally};
use crate::graph::presence::BATCH_SIZE;
use crate::http::RequestContext;
use crate::presence::{ExternalIds, LinkList};
use crate::store::StoreError;
use crate::store::last_presence::{LastPresences, Reason, Turn};

/// How long the lease of the sending lasts without being renewed. Any request of an instance that died has ended by then.
const LEASE: Duration = Duration::from_secs(15);

/// How long an invocation waits for the lease: an instance that ends its turn just now may not have seen what this one
/// has noted.
const WAIT_FOR_THE_LEASE: Duration = Duration::from_secs(2);

/// From so many users on an invocation does not wait for the lease: more events are on their way, and are to be noted.
const MANY: usize = 300;

/// How long one invocation sends.
const LONGEST: Duration = Duration::from_secs(90);

/// Kept back for the batches that are on their way when the time is over.
const LAST_BATCHES: Duration = Duration::from_secs(20);

/// Batches on their way to Graph at once. The pace decides how many leave; this is for those that are slow.
const BATCHES_AT_ONCE: usize = 4;

/// How long the index may take to show what was noted.
const UNTIL_SHOWN: Duration = Duration::from_secs(5);

/// Look-ups in Genesys Cloud at once, and how far apart: 240 a minute, of 300 requests that are allowed.
const LOOKUPS_AT_ONCE: usize = 4;
const BETWEEN_LOOKUPS: Duration = Duration::from_millis(250);

/// A pause that an invocation waits out; after a longer one, a later invocation goes on.
const WORTH_WAITING_FOR: Duration = Duration::from_secs(10);

/// Who is not to be picked now, and until when.
#[derive(Debug, Default)]
pub(super) struct Busy(HashMap<Uuid, Option<Instant>>);

impl Busy {
    fn take(&mut self, user: Uuid) {
        self.0.insert(user, None);
    }

    fn free(&mut self, user: Uuid, after: Duration) {
        self.0.insert(user, Some(Instant::now() + after));
    }

    /// Whether the user is not to be picked.
    pub(super) fn has(&self, user: Uuid) -> bool {
        self.0.contains_key(&user)
    }

    /// Of how many users that is known.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Forgets who has cooled down; gives when the next one has.
    fn cool(&mut self) -> Option<Instant> {
        let now = Instant::now();
        self.0.retain(|_, until| until.is_none_or(|until| now < until));
        self.0.values().flatten().min().copied()
    }
}

/// What the backlog gave.
#[derive(Default)]
struct Picked {
    jobs: Vec<Job>,
    /// Somebody is due who is busy.
    skipped: bool,
    /// Users who are to be looked up first.
    unlinked: usize,
    /// Users who are nobody in Teams.
    nobody: usize,
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

impl<P: Presences, I: ExternalIds + LinkList, S: LastPresences> Mirror<'_, P, I, S> {
    /// Sends what is due, unless another instance does. `noted` are the turns that this invocation has noted, which the
    /// index may not show yet. Gives whether more is due than could be sent.
    pub(super) async fn send_due(&self, cx: &RequestContext, mut noted: Vec<(Turn, Uuid)>, tally: &mut Tally) -> bool {
        let holder = Uuid::new_v4();
        let waits = if noted.len() < MANY { WAIT_FOR_THE_LEASE } else { Duration::ZERO };
        if !self.hold(cx, holder, waits).await {
            return false;
        }
        noted.sort_unstable_by_key(|(turn, user)| (turn.at, *user));
        let more = match self.presences.app_id(cx).await {
            Ok(session_id) => self.send_all(cx, holder, &session_id, noted, tally).await,
            Err(error) => {
                tracing::error!(%error, "nothing can be sent; what is wanted waits in the state table");
                tally.outages += 1;
                false
            }
        };
        if more || tally.outages + tally.put_off > 0 {
            // Without an answer, the next invocation counts it.
            tally.waited_ms = self.waited_ms(cx).await.unwrap_or_default();
        }
        let rest = self.settings.pace.rest();
        // Should it fail, the lease ends by itself.
        let _ = self.lease(cx, holder, rest).await;
        more
    }

    async fn hold(&self, cx: &RequestContext, holder: Uuid, waits: Duration) -> bool {
        let until = Instant::now() + waits;
        loop {
            match self.lease(cx, holder, LEASE).await {
                Ok(true) => return true,
                Ok(false) if Instant::now() < until => sleep(Duration::from_millis(200)).await,
                Ok(false) => return false,
                Err(error) => {
                    tracing::warn!(%error, "nothing is sent now; what is wanted waits in the state table");
                    return false;
                }
            }
        }
    }

    async fn lease(&self, cx: &RequestContext, holder: Uuid, lasts: Duration) -> Result<bool, StoreError> {
        let now = (self.now)();
        self.last.lease(cx, holder, now, now.checked_add(lasts).unwrap_or(Timestamp::MAX)).await
    }

    async fn send_all(
        &self,
        cx: &RequestContext,
        holder: Uuid,
        session_id: &Arc<str>,
        noted: Vec<(Turn, Uuid)>,
        tally: &mut Tally,
    ) -> bool {
        let pace = &self.settings.pace;
        let end = Instant::now() + cx.deadline.for_a_call().saturating_sub(LAST_BATCHES).min(LONGEST);
        let shown_by = Instant::now() + UNTIL_SHOWN;
        let (mut sending, mut lookups, mut pages) =
            (FuturesUnordered::new(), FuturesUnordered::new(), FuturesUnordered::new());
        let mut reading = self.reading(cx).await;
        let (mut page_size, mut next_page) = (PAGE, Instant::now());
        let mut busy = Busy::default();
        let (mut over, mut exhausted) = (false, false);
        let (mut leased, mut next_lookup) = (Instant::now(), Some(Instant::now()));
        // When somebody is due again who is not now.
        let mut wake = None;
        loop {
            if sending.is_empty()
                && lookups.is_empty()
                && (over || exhausted && wake.is_none() && next_lookup.is_none())
            {
                return !exhausted || next_lookup.is_some();
            }
            let soon = |at: Option<Instant>| at.unwrap_or(end).min(end);
            tokio::select! {
                biased;
                Some(ended) = sending.next() => {
                    let ended: Vec<(Uuid, Ended)> = ended;
                    for (user, ended) in ended {
                        let after = count(ended, tally);
                        busy.free(user, after);
                        if matches!(ended, Ended::PutOff(pause) if pause <= WORTH_WAITING_FOR) {
                            wake = earlier(wake, Some(Instant::now() + after));
                        }
                        if ended == Ended::Unlinked {
                            next_lookup = next_lookup.or(Some(Instant::now()));
                        }
                    }
                    exhausted = false;
                }
                Some((user, found)) = lookups.next() => {
                    tally.looked_up += 1;
                    match found {
                        Found::Somebody => {
                            busy.free(user, Duration::ZERO);
                            exhausted = false;
                        }
                        Found::Nobody => {
                            tally.no_teams_user += 1;
                            busy.free(user, COOL_DOWN);
                        }
                        Found::Failed(pause) => {
                            busy.free(user, pause);
                            next_lookup = Some(Instant::now() + pause);
                        }
                    }
                }
                Some((next, page)) = pages.next() => {
                    let pause = match page {
                        Page::Read(_) => BETWEEN_PAGES,
                        Page::Throttled(pause) => {
                            page_size = SMALL_PAGE;
                            pause
                        }
                        Page::Last(_) | Page::Failed => Duration::ZERO,
                    };
                    if let Page::Read(links) | Page::Last(links) = page {
                        tally.linked += links;
                        exhausted = false;
                    }
                    next_page = Instant::now() + pause;
                    reading = matches!(page, Page::Read(_) | Page::Throttled(_)).then_some(next);
                }
                () = sleep_until(leased + LEASE / 3) => {
                    leased = Instant::now();
                    // Another instance holds it: this one was taken for dead. What it has on its way is settled as ever.
                    over |= matches!(self.lease(cx, holder, LEASE).await, Ok(false));
                }
                () = sleep_until(end), if !over => over = true,
                () = pace.ready(), if !over && !exhausted && sending.len() < BATCHES_AT_ONCE => {
                    let cools = busy.cool();
                    let noted = if Instant::now() < shown_by { noted.as_slice() } else { &[] };
                    match self.pick(cx, noted, &busy).await {
                        Ok(Picked { jobs, skipped, unlinked, nobody }) => {
                            tally.no_teams_user += nobody;
                            if unlinked > 0 {
                                next_lookup = next_lookup.or(Some(Instant::now()));
                            }
                            if jobs.is_empty() {
                                exhausted = unlinked + nobody == 0;
                                wake = earlier(wake, cools.filter(|_| skipped));
                            } else {
                                jobs.iter().for_each(|job| busy.take(job.user));
                                sending.push(self.send(cx, session_id, jobs));
                            }
                        }
                        Err(error) => {
                            tracing::warn!(%error, "the backlog could not be read");
                            (exhausted, wake) = (true, Some(Instant::now() + FIRST_PAUSE));
                        }
                    }
                }
                () = sleep_until(next_page.min(end)), if !over && reading.is_some() && pages.is_empty() => {
                    pages.extend(reading.map(|start| self.read_links(cx, start, page_size)));
                }
                () = sleep_until(soon(wake)), if !over && exhausted && wake.is_some() => {
                    (exhausted, wake) = (false, None);
                }
                () = sleep_until(soon(next_lookup)), if !over && next_lookup.is_some() && reading.is_none() && lookups.len() < LOOKUPS_AT_ONCE => {
                    busy.cool();
                    let (next, skipped) = self.unlinked(cx, &busy).await;
                    next_lookup = (next.is_some() || skipped).then(|| Instant::now() + BETWEEN_LOOKUPS);
                    if let Some((user, last)) = next {
                        busy.take(user);
                        lookups.push(self.look_up(cx, user, last));
                    }
                }
            }
        }
    }

    /// Since when the oldest presence waits that is still to be sent, in milliseconds.
    async fn waited_ms(&self, cx: &RequestContext) -> Result<i64, StoreError> {
        let mut oldest = Vec::new();
        for reason in [Reason::Urgent, Reason::Change, Reason::Unlinked] {
            oldest.extend(self.last.due(cx, reason, Timestamp::MAX, 1).await?);
        }
        let known = self.last.read(cx, &oldest).await?;
        let changed = known.iter().filter(|(_, last)| !last.is_settled()).map(|(_, last)| last.wanted.modified).min();
        Ok(changed.map_or(0, |modified| (self.now)().as_millisecond() - modified.as_millisecond()))
    }

    /// The next jobs: as many as fit into a batch of the pace.
    async fn pick(&self, cx: &RequestContext, noted: &[(Turn, Uuid)], busy: &Busy) -> Result<Picked, StoreError> {
        let now = (self.now)();
        let most = self.settings.pace.batch();
        let mut picked = Picked::default();
        let mut requests = 0;
        for reason in [Reason::Urgent, Reason::Change, Reason::Renewal] {
            let places = most.saturating_sub(requests).div_ceil(self.settings.presence.mode.actions());
            let mut users = self.last.due(cx, reason, now, places + busy.count()).await?;
            users.extend(noted.iter().filter(|(turn, _)| turn.reason == reason).map(|(_, user)| *user));
            let all = users.len();
            users.retain(|user| !busy.has(*user));
            picked.skipped |= users.len() < all;
            let mut seen = HashSet::new();
            users.retain(|user| seen.insert(*user));
            users.truncate(places.max(1) + STATE_CONCURRENCY);
            let order: HashMap<Uuid, usize> = users.iter().enumerate().map(|(place, user)| (*user, place)).collect();
            let mut known = if users.is_empty() { Vec::new() } else { self.last.read(cx, &users).await? };
            known.sort_unstable_by_key(|(user, _)| order.get(user).copied());
            for (user, last) in known {
                // What the index shows, or was noted here, may be over.
                if !last.plan.turn.is_some_and(|turn| turn.reason == reason && turn.at <= now) {
                    continue;
                }
                let teams_user = match self.linked(cx, user, &last, now).await? {
                    Linked::To(teams_user) => teams_user,
                    Linked::Nobody => {
                        picked.nobody += 1;
                        continue;
                    }
                    Linked::Unknown => {
                        picked.unlinked += 1;
                        continue;
                    }
                };
                let job = Job { user, teams_user, last };
                let count = self.requests(&job, &Arc::from("")).len();
                if requests + count > most.max(count) || requests + count > BATCH_SIZE {
                    return Ok(picked);
                }
                requests += count;
                picked.jobs.push(job);
            }
            if requests >= most {
                break;
            }
        }
        Ok(picked)
    }
}
