//! The links from Genesys Cloud users to Teams users: those of the whole org are loaded page by page ahead of the
//! events and kept in the state table; a user without one is looked up.
//!
//! One by one, 50,000 users would take hours at the 300 requests a minute that Genesys Cloud allows. The few users of a
//! pilot are looked up one by one.

use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use uuid::Uuid;

use super::batch::{FIRST_PAUSE, pause_after, put_off};
use super::decision::turn;
use super::{Mirror, PresenceTable, Presences, STATE_CONCURRENCY};
use crate::genesys::GenesysError;
use crate::http::RequestContext;
use crate::presence::{ExternalIds, LinkList, LinksPage};
use crate::store::StoreError;
use crate::store::last_presence::{LastPresence, LinkReading, Reason, TeamsLink, Turn, TurnPlan};

/// How long after the last page the first one is loaded again: before the links are a day old.
const EVERY: Duration = Duration::from_secs(20 * 60 * 60);

/// How long after a failure the loading goes on with the page that failed.
const AFTER_A_FAILURE: Duration = Duration::from_secs(10 * 60);

/// How many users a page is asked to have. Genesys Cloud may give fewer, or refuse so many.
pub(super) const PAGE: usize = 100;

/// How many users a page may have without being refused for its size.
pub(super) const SMALL_PAGE: usize = 25;

/// The time between the requests for two pages: 240 a minute, of 300 requests that are allowed.
pub(super) const BETWEEN_PAGES: Duration = Duration::from_millis(250);

/// How much earlier an urgent presence's turn to be looked up is, so that it comes before the others.
const URGENT_BY: Duration = Duration::from_secs(60 * 60);

/// How long a link is used before it is looked up again, and how long it is remembered that a user has none.
const LINK_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
const ABSENCE_LIFE: Duration = Duration::from_secs(60 * 60);

/// The Teams user of a Genesys Cloud user, as far as it is known.
pub(super) enum Linked<T> {
    To(T),
    Nobody,
    /// The user is to be looked up, at this turn.
    Unknown(Turn),
}

/// How a look-up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The user is linked to a Teams user; with the turn of the presence that waited for it.
    Somebody(Turn),
    Nobody,
    /// The user is not to be looked up any more, because another instance has changed the record.
    Over,
    /// Genesys Cloud or the table failed: the user is looked up again at this turn, and nobody else within this time.
    Failed(Option<Turn>, Duration),
}

/// Links of a page that were kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeptLinks {
    pub(super) count: usize,
    /// The turns of users whose presence has waited for its link.
    pub(super) turns: Vec<(Turn, Uuid)>,
}

/// How the reading of a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PageRead {
    /// Its links were kept; another page is there.
    Read(KeptLinks),
    /// Its links were kept; it was the last page.
    Last(KeptLinks),
    /// Genesys Cloud refused the page: it is asked for again after this time, with fewer users.
    Throttled(Duration),
    /// It could not be read or kept; a later invocation reads it.
    Failed,
}

impl<P: Presences, I: ExternalIds + LinkList, S: PresenceTable> Mirror<'_, P, I, S> {
    /// The first user of the next page to load; `None` when all were loaded lately, or the deployment is a pilot.
    pub(super) async fn reading(&self, cx: &RequestContext) -> Option<usize> {
        if self.settings.only.is_some() {
            return None;
        }
        match self.last.reading(cx).await {
            Ok(None) => Some(1),
            Ok(Some(reading)) => (reading.at <= (self.now)()).then_some(reading.next),
            Err(error) => {
                tracing::warn!(%error, "it could not be read how far the links were loaded: a later invocation loads them");
                None
            }
        }
    }

    /// Reads the page of links that begins with this user, and keeps them. Gives the first user of the next page.
    pub(super) async fn read_links(&self, cx: &RequestContext, start: usize, count: usize) -> (usize, PageRead) {
        let page = match self.ids.links(cx, start, count).await {
            Ok(page) => page,
            Err(GenesysError::Throttled { retry_after, .. }) => {
                return (start, PageRead::Throttled(retry_after.unwrap_or(Duration::from_secs(1))));
            }
            Err(error) => {
                tracing::warn!(%error, "Genesys Cloud did not list its users: until it does, their links are looked up one by one");
                self.go_on(cx, start, AFTER_A_FAILURE).await;
                return (start, PageRead::Failed);
            }
        };
        let next = start + page.users;
        let is_last = page.users == 0 || next > page.total;
        match self.keep_links(cx, page).await {
            Ok(kept) if is_last => {
                self.go_on(cx, 1, EVERY).await;
                (1, PageRead::Last(kept))
            }
            Ok(kept) => {
                self.go_on(cx, next, Duration::ZERO).await;
                (next, PageRead::Read(kept))
            }
            Err(error) => {
                tracing::warn!(%error, "the state table did not take the links of a page: a later invocation loads it again");
                (start, PageRead::Failed)
            }
        }
    }

    async fn go_on(&self, cx: &RequestContext, next: usize, after: Duration) {
        let at = (self.now)().checked_add(after).unwrap_or(Timestamp::MAX);
        if let Err(error) = self.last.keep_reading(cx, &LinkReading { next, at }).await {
            tracing::warn!(%error, "it could not be noted how far the links were loaded: the last page is loaded again");
        }
    }

    /// Keeps a page's links, and gives a turn to every user whose presence has waited for one.
    async fn keep_links(&self, cx: &RequestContext, page: LinksPage) -> Result<KeptLinks, StoreError> {
        let now = (self.now)();
        let mut kept = KeptLinks { count: page.links.len(), turns: Vec::new() };
        let users: Vec<_> = page.links.iter().map(|(user, _)| *user).collect();
        stream::iter(page.links)
            .map(|(user, teams_user)| async move { self.last.link(cx, user, &TeamsLink { teams_user, since: now }).await })
            .buffer_unordered(STATE_CONCURRENCY)
            .try_collect::<()>()
            .await?;
        for (user, last) in self.last.read(cx, &users).await? {
            if last.plan.turn.is_some_and(|turn| turn.reason == Reason::Unlinked) {
                let is_linked = last.link.is_some_and(|link| link.teams_user.is_some());
                let turn = is_linked.then(|| turn(last.wanted.urgent, last.wanted.modified, now));
                self.last.plan(cx, user, last.wanted.modified, &TurnPlan { turn, ..last.plan }).await?;
                kept.turns.extend(turn.map(|turn| (turn, user)));
            }
        }
        Ok(kept)
    }

    /// The Teams user of a presence. Without a recent link, the presence is planned anew: to be looked up, or not at
    /// all.
    pub(super) async fn linked(
        &self,
        cx: &RequestContext,
        user: Uuid,
        last: &LastPresence,
        now: Timestamp,
    ) -> Result<Linked<Uuid>, StoreError> {
        let is_believed = |link: &TeamsLink| {
            let life = if link.teams_user.is_some() { LINK_LIFE } else { ABSENCE_LIFE };
            link.since.checked_add(life).is_ok_and(|end| now < end)
        };
        let (linked, turn) = match last.link.filter(is_believed) {
            Some(TeamsLink { teams_user: Some(teams_user), .. }) => return Ok(Linked::To(teams_user)),
            Some(TeamsLink { teams_user: None, .. }) => (Linked::Nobody, None),
            None => {
                let turn = unlinked_turn(last, now);
                (Linked::Unknown(turn), Some(turn))
            }
        };
        self.last.plan(cx, user, last.wanted.modified, &TurnPlan { turn, ..last.plan }).await.map(|()| linked)
    }

    /// Looks a user up in Genesys Cloud, if the record still says so.
    pub(super) async fn look_up(&self, cx: &RequestContext, user: Uuid) -> (Uuid, Found) {
        let known = match self.last.read(cx, &[user]).await {
            Ok(known) => known,
            Err(error) => return (user, self.not_looked_up(&error)),
        };
        let is_due = |turn: Turn| turn.reason == Reason::Unlinked && turn.at <= (self.now)();
        let Some((_, last)) = known.into_iter().find(|(_, last)| last.plan.turn.is_some_and(is_due)) else {
            return (user, Found::Over);
        };
        let found = match self.ids.teams_id(cx, user).await {
            Ok(found) => self.keep_found(cx, user, &last, found).await,
            Err(error) => {
                tracing::warn!(%error, "a user could not be looked up in Genesys Cloud: it is tried again later");
                let asked = if let GenesysError::Throttled { retry_after, .. } = error { retry_after } else { None };
                let pause = asked.unwrap_or_else(|| pause_after(last.plan.tries));
                let plan = put_off(&last, pause, (self.now)());
                let planned = self.last.plan(cx, user, last.wanted.modified, &plan).await;
                planned.map(|()| Found::Failed(plan.turn, pause))
            }
        };
        (user, found.unwrap_or_else(|error| self.not_looked_up(&error)))
    }

    fn not_looked_up(&self, error: &StoreError) -> Found {
        tracing::warn!(%error, "the link of a user could not be read or kept: the user is looked up again");
        let at = (self.now)().checked_add(FIRST_PAUSE).unwrap_or(Timestamp::MAX);
        Found::Failed(Some(Turn { reason: Reason::Unlinked, at }), FIRST_PAUSE)
    }

    /// Keeps the link that Genesys Cloud gave, and plans the turn of the presence that waited for it.
    async fn keep_found(
        &self,
        cx: &RequestContext,
        user: Uuid,
        last: &LastPresence,
        found: Option<Uuid>,
    ) -> Result<Found, StoreError> {
        let now = (self.now)();
        // A link that Graph had refused is none, however often Genesys Cloud repeats it.
        let refused = last.link.filter(|link| link.since == Timestamp::UNIX_EPOCH).and_then(|link| link.teams_user);
        let teams_user = found.filter(|found| Some(*found) != refused);
        let next = teams_user.map(|_| turn(last.wanted.urgent, last.wanted.modified, now));
        self.last.link(cx, user, &TeamsLink { teams_user, since: now }).await?;
        self.last.plan(cx, user, last.wanted.modified, &TurnPlan { turn: next, tries: 0, ..last.plan }).await?;
        Ok(next.map_or(Found::Nobody, Found::Somebody))
    }
}

/// The turn of a presence whose user is to be looked up. Urgent ones come first: their turn is an hour earlier.
pub(super) fn unlinked_turn(last: &LastPresence, now: Timestamp) -> Turn {
    let is_urgent = last.plan.turn.is_some_and(|turn| turn.reason == Reason::Urgent);
    let changed = last.wanted.modified.min(now);
    let at = if is_urgent { changed.checked_sub(URGENT_BY).unwrap_or(changed) } else { changed };
    Turn { reason: Reason::Unlinked, at }
}
