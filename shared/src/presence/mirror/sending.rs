//! From the backlog to Teams: urgent presences first, of each user the newest alone, at the pace of Graph's budget.
//!
//! One instance sends at a time. It holds a lease in the state table, so that the budget is kept exactly and no user is
//! sent two presences at once. Should it die, its lease ends, and the next invocation of any instance goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all, try_join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::backlog::{Backlog, TO_SEND, TURNS_AT_ONCE};
use super::batch::{FIRST_PAUSE, Job, JobEnd, count};
use super::lease::RENEWED_EVERY;
use super::links::{BETWEEN_PAGES, Found, KeptLinks, Linked, PAGE, PageRead, SMALL_PAGE};
use super::{Mirror, MirrorTally, PresenceTable, Presences};
use crate::graph::presence::BATCH_SIZE;
use crate::http::RequestContext;
use crate::presence::{ExternalIds, LinkList};
use crate::store::StoreError;
use crate::store::last_presence::{LeaseAnswer, Reason, Turn};

/// How long one invocation sends.
const LONGEST: Duration = Duration::from_secs(44);

/// Kept back for the batches that are on their way when the time is over.
const LAST_BATCHES: Duration = Duration::from_secs(15);

/// Batches on their way to Graph at once. The pace decides how many leave; this is for those that are slow.
const BATCHES_AT_ONCE: usize = 4;

/// Look-ups in Genesys Cloud at once, and how far apart: 240 a minute, of 300 requests that are allowed.
const LOOKUPS_AT_ONCE: usize = 4;
const BETWEEN_LOOKUPS: Duration = Duration::from_millis(250);

impl<P: Presences, I: ExternalIds + LinkList, S: PresenceTable> Mirror<'_, P, I, S> {
    /// Sends what is due, unless another instance does. `noted` are the turns that this invocation has noted;
    /// `reminded` says that it is to look for others too. Gives whether more is due than could be sent.
    pub(super) async fn send_due(
        &self,
        cx: &RequestContext,
        noted: Vec<(Turn, Uuid)>,
        reminded: bool,
        tally: &mut MirrorTally,
    ) -> bool {
        if noted.is_empty() && !reminded {
            return false;
        }
        let holder = Uuid::new_v4();
        let Some(unseen) = self.take_lease(cx, holder).await else { return false };
        match self.presences.app_id(cx).await {
            Ok(session_id) => {
                let backlog = Backlog::new(noted, unseen || reminded);
                Sending::new(self, cx, holder, session_id, backlog, tally).run().await
            }
            Err(error) => {
                tracing::error!(%error, "no presence can be sent: they wait in the state table until there is a token");
                tally.outages += 1;
                self.count_wait(cx, tally).await;
                self.give_back(cx, holder, false).await;
                false
            }
        }
    }

    /// Counts since when the oldest presence waits that is still to be sent. Without an answer of the table, the next
    /// invocation counts it.
    async fn count_wait(&self, cx: &RequestContext, tally: &mut MirrorTally) {
        let oldest = async {
            let reasons = [Reason::Urgent, Reason::Change, Reason::Unlinked];
            let due = try_join_all(reasons.map(|reason| self.last.due(cx, reason, Timestamp::MAX, 1))).await?;
            let oldest: Vec<_> = due.into_iter().flat_map(|due| due.turns).map(|(_, user)| user).collect();
            let known = if oldest.is_empty() { Vec::new() } else { self.last.read(cx, &oldest).await? };
            let waiting = known.into_iter().filter(|(_, last)| !last.is_settled());
            Ok::<_, StoreError>(waiting.map(|(_, last)| last.wanted.modified).min())
        };
        let oldest = oldest.await.unwrap_or_default();
        tally.waited_ms = oldest.map_or(0, |modified| (self.now)().as_millisecond() - modified.as_millisecond());
    }
}

/// One instance's time as the sender.
struct Sending<'a, P, I, S> {
    mirror: &'a Mirror<'a, P, I, S>,
    cx: &'a RequestContext,
    holder: Uuid,
    session_id: Arc<str>,
    backlog: Backlog,
    tally: &'a mut MirrorTally,
    batches: FuturesUnordered<LocalBoxFuture<'a, Vec<JobEnd>>>,
    lookups: FuturesUnordered<LocalBoxFuture<'a, (Uuid, Found)>>,
    next_lookup: Instant,
    pages: FuturesUnordered<LocalBoxFuture<'a, (usize, PageRead)>>,
    /// The first user of the next page of links; nothing, when no page is to be read.
    reading: Option<usize>,
    /// Whether the table was asked for that.
    has_asked_for_reading: bool,
    page_size: usize,
    next_page: Instant,
    /// When nothing is begun any more.
    end: Instant,
    over: bool,
}

impl<'a, P: Presences, I: ExternalIds + LinkList, S: PresenceTable> Sending<'a, P, I, S> {
    fn new(
        mirror: &'a Mirror<'a, P, I, S>,
        cx: &'a RequestContext,
        holder: Uuid,
        session_id: Arc<str>,
        backlog: Backlog,
        tally: &'a mut MirrorTally,
    ) -> Self {
        let now = Instant::now();
        Self {
            mirror,
            cx,
            holder,
            session_id,
            backlog,
            tally,
            batches: FuturesUnordered::new(),
            lookups: FuturesUnordered::new(),
            next_lookup: now,
            pages: FuturesUnordered::new(),
            reading: None,
            has_asked_for_reading: false,
            page_size: PAGE,
            next_page: now,
            end: now + cx.deadline.for_a_call().saturating_sub(LAST_BATCHES).min(LONGEST),
            over: false,
        }
    }

    /// Sends until nothing is due or the time is over, and gives the lease back. Gives whether more is due.
    async fn run(mut self) -> bool {
        loop {
            self.send_all().await;
            let more = !self.backlog.is_empty() || self.reading.is_some();
            if more || self.tally.put_off > 0 {
                self.mirror.count_wait(self.cx, self.tally).await;
            }
            let is_given_back = self.mirror.give_back(self.cx, self.holder, !more).await;
            if is_given_back || self.over {
                // Word that was left and that nobody has looked at is for the next invocation.
                return more || !is_given_back;
            }
            self.backlog.has_more();
        }
    }

    async fn send_all(&mut self) {
        let pace = &self.mirror.settings.pace;
        let mut leased = Instant::now();
        loop {
            let now = (self.mirror.now)();
            let is_idle = self.batches.is_empty() && self.lookups.is_empty() && self.pages.is_empty();
            if is_idle && (self.over || self.backlog.is_empty() && self.reading.is_none()) {
                return;
            }
            let ask = self.backlog.to_ask(now).filter(|_| !self.over);
            let next_turn = self.backlog.next_turn(now).map(|after| Instant::now() + after);
            let may_send = !self.over && self.batches.len() < BATCHES_AT_ONCE && self.backlog.has_due(&TO_SEND, now);
            let may_look_up = !self.over
                && self.reading.is_none()
                && self.lookups.len() < LOOKUPS_AT_ONCE
                && self.backlog.has_due(&[Reason::Unlinked], now);
            let may_read = !self.over && self.pages.is_empty();
            tokio::select! {
                biased;
                Some(ends) = self.batches.next() => self.batch_ended(ends),
                Some((user, found)) = self.lookups.next() => self.lookup_ended(user, found),
                Some((next, page)) = self.pages.next() => self.page_ended(next, page),
                () = sleep_until(leased + RENEWED_EVERY) => {
                    leased = Instant::now();
                    self.renew().await;
                }
                () = sleep_until(self.end), if !self.over => self.over = true,
                () = sleep_until(ask.as_ref().map_or(self.end, |(at, _)| *at)), if ask.is_some() => {
                    self.ask(ask.map(|(_, reasons)| reasons).unwrap_or_default()).await;
                }
                () = pace.ready(), if may_send => self.send().await,
                () = sleep_until(self.next_page), if may_read && self.reading.is_some() => {
                    if let Some(start) = self.reading {
                        self.next_page = Instant::now() + BETWEEN_PAGES;
                        self.pages.push(Box::pin(self.mirror.read_links(self.cx, start, self.page_size)));
                    }
                }
                () = sleep_until(self.next_lookup), if may_look_up => {
                    if let Some((_, user)) = self.backlog.take(Reason::Unlinked, now) {
                        self.next_lookup = Instant::now() + BETWEEN_LOOKUPS;
                        self.lookups.push(Box::pin(self.mirror.look_up(self.cx, user)));
                    }
                }
                () = sleep_until(next_turn.unwrap_or(self.end)), if !self.over && next_turn.is_some() => {}
            }
        }
    }

    /// Renews the lease, and hears of the word that was left.
    async fn renew(&mut self) {
        match self.mirror.lease(self.cx, self.holder).await {
            Ok(LeaseAnswer::Held { unseen: true }) => self.backlog.has_more(),
            Ok(LeaseAnswer::Held { unseen: false }) => {}
            // Another instance took this one for dead. What is on its way is settled as ever.
            Ok(LeaseAnswer::Taken { .. }) => self.over = true,
            Err(error) => {
                tracing::warn!(%error, "the lease of the sending could not be renewed");
                // The answer that got lost may have had the word.
                self.backlog.has_more();
            }
        }
    }

    /// Asks the index for these reasons, all at once; the first time, also whether links are to be loaded.
    async fn ask(&mut self, reasons: Vec<Reason>) {
        let (mirror, cx) = (self.mirror, self.cx);
        let now = (mirror.now)();
        let questions = reasons
            .into_iter()
            .map(|reason| async move { (reason, mirror.last.due(cx, reason, now, TURNS_AT_ONCE).await) });
        let reading = async { if self.has_asked_for_reading { self.reading } else { mirror.reading(cx).await } };
        let (answers, reading) = tokio::join!(join_all(questions), reading);
        (self.reading, self.has_asked_for_reading) = (reading, true);
        for (reason, answer) in answers {
            match answer {
                Ok(due) => self.backlog.found(reason, due),
                Err(error) => {
                    tracing::warn!(%error, "the index of turns could not be read: it is read again in a second");
                    self.backlog.not_found(reason);
                }
            }
        }
    }

    /// Sends the next batch of presences to Graph.
    async fn send(&mut self) {
        let jobs = self.pick().await;
        if !jobs.is_empty() {
            self.mirror.settings.pace.take(jobs.iter().map(|job| job.changes.len()).sum());
            let (mirror, cx) = (self.mirror, self.cx);
            self.batches.push(Box::pin(async move { mirror.send(cx, jobs).await }));
        }
    }

    /// The next jobs: as many as fit into a batch of the pace.
    async fn pick(&mut self) -> Vec<Job> {
        let now = (self.mirror.now)();
        let most = self.mirror.settings.pace.batch();
        let places = most.div_ceil(self.mirror.settings.presence.mode.actions());
        let mut taken = Vec::with_capacity(places);
        for reason in TO_SEND {
            while taken.len() < places
                && let Some(turn) = self.backlog.take(reason, now)
            {
                taken.push(turn);
            }
        }
        let users: Vec<_> = taken.iter().map(|(_, user)| *user).collect();
        let mut known: HashMap<_, _> = match self.mirror.last.read(self.cx, &users).await {
            Ok(known) => known.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%error, "presences to send could not be read: they are read again in a second");
                taken.into_iter().for_each(|(turn, user)| self.again_soon(turn, user, now));
                return Vec::new();
            }
        };
        let (mut jobs, mut requests) = (Vec::new(), 0);
        for (turn, user) in taken {
            // The turn may be over: what the record says by now is what counts.
            let Some((planned, last)) = known.remove(&user).and_then(|last| Some((last.plan.turn?, last))) else {
                self.backlog.end(user);
                continue;
            };
            if now < planned.at || planned.reason == Reason::Unlinked {
                self.keep(planned, user, now);
                continue;
            }
            match self.mirror.job(self.cx, user, last, &self.session_id, now).await {
                Ok(Linked::To(job)) => {
                    let count = job.changes.len();
                    if requests + count > most.max(count) || requests + count > BATCH_SIZE {
                        self.keep(turn, user, now);
                        continue;
                    }
                    requests += count;
                    jobs.push(job);
                }
                Ok(Linked::Nobody) => {
                    self.tally.no_teams_user += 1;
                    self.backlog.end(user);
                }
                Ok(Linked::Unknown(turn)) => self.keep(turn, user, now),
                Err(error) => {
                    tracing::warn!(%error, "a presence could not be planned anew: it is read again in a second");
                    self.again_soon(turn, user, now);
                }
            }
        }
        jobs
    }

    /// The user is not under way any more, and has this turn.
    fn keep(&mut self, turn: Turn, user: Uuid, now: Timestamp) {
        self.backlog.end(user);
        self.backlog.add(turn, user, now);
    }

    fn again_soon(&mut self, turn: Turn, user: Uuid, now: Timestamp) {
        let at = now.checked_add(FIRST_PAUSE).unwrap_or(Timestamp::MAX);
        self.keep(Turn { at, ..turn }, user, now);
    }

    fn batch_ended(&mut self, ends: Vec<JobEnd>) {
        let now = (self.mirror.now)();
        for JobEnd { user, ended, next } in ends {
            count(ended, self.tally);
            self.backlog.end(user);
            if let Some(turn) = next {
                self.backlog.add(turn, user, now);
            }
        }
    }

    fn lookup_ended(&mut self, user: Uuid, found: Found) {
        self.backlog.end(user);
        self.tally.looked_up += usize::from(found != Found::Over);
        let turn = match found {
            Found::Somebody(turn) => Some(turn),
            Found::Nobody => {
                self.tally.no_teams_user += 1;
                None
            }
            Found::Over => None,
            Found::Failed(turn, pause) => {
                self.next_lookup = Instant::now() + pause;
                turn
            }
        };
        if let Some(turn) = turn {
            self.backlog.add(turn, user, (self.mirror.now)());
        }
    }

    fn page_ended(&mut self, next: usize, page: PageRead) {
        let (KeptLinks { count, turns }, reading) = match page {
            PageRead::Read(kept) => (kept, Some(next)),
            PageRead::Last(kept) => (kept, None),
            PageRead::Failed => (KeptLinks::default(), None),
            PageRead::Throttled(pause) => {
                self.page_size = SMALL_PAGE;
                self.next_page = Instant::now() + pause;
                (KeptLinks::default(), Some(next))
            }
        };
        self.reading = reading;
        self.tally.linked += count;
        let now = (self.mirror.now)();
        turns.into_iter().for_each(|(turn, user)| self.backlog.add(turn, user, now));
    }
}
