//! Last presences in memory: it behaves as the table does, for tests and simulations.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Advanced, DueTurns, LastPresence, LastPresences, LeaseAnswer, LinkReading, LinkTable, Reason, SenderLease,
    SentPresence, Settled, TeamsLink, Turn, TurnPlan, WantedPresence,
};
use crate::http::RequestContext;
use crate::store::StoreError;

/// The last presences in memory.
#[derive(Debug, Default)]
pub struct MemoryLastPresences(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    presences: HashMap<Uuid, LastPresence>,
    /// The index of turns, by reason and time.
    turns: BTreeSet<(Reason, Timestamp, Uuid)>,
    /// The links of users without an event.
    links: HashMap<Uuid, TeamsLink>,
    lease: Option<SendingLease>,
    reading: Option<LinkReading>,
}

/// The lease of the sending; without a holder, it was returned.
#[derive(Debug, Default)]
struct SendingLease {
    holder: Option<Uuid>,
    until: Timestamp,
    emptied: bool,
    word: bool,
}

impl State {
    /// Replaces a user's plan, and updates the index.
    fn plan(&mut self, user: Uuid, plan: TurnPlan) {
        let Some(known) = self.presences.get_mut(&user) else { return };
        if let Some(Turn { reason, at }) = known.plan.turn {
            self.turns.remove(&(reason, at, user));
        }
        known.plan = plan;
        self.turns.extend(plan.turn.map(|turn| (turn.reason, turn.at, user)));
    }
}

impl MemoryLastPresences {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LastPresences for MemoryLastPresences {
    async fn advance(
        &self,
        _cx: &RequestContext,
        user: Uuid,
        wanted: &WantedPresence,
        turn: Option<Turn>,
        now: Timestamp,
    ) -> Result<Advanced, StoreError> {
        let mut state = self.state();
        let before = state.presences.get(&user).cloned();
        match before {
            Some(known) if known.wanted.modified >= wanted.modified => Ok(Advanced::Known(known)),
            before => {
                let sent = before.as_ref().and_then(|known| known.sent.clone());
                let link = before.as_ref().map_or_else(|| state.links.get(&user).copied(), |known| known.link);
                let plan = before.as_ref().map_or(TurnPlan { turn: None, tries: 0, seen: now }, |known| known.plan);
                state.presences.insert(user, LastPresence { wanted: wanted.clone(), sent, link, plan });
                state.plan(user, TurnPlan { turn, tries: 0, seen: now });
                Ok(Advanced::Newest(before))
            }
        }
    }

    async fn plan(
        &self,
        _cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        plan: &TurnPlan,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.presences.get(&user).is_some_and(|known| known.wanted.modified == modified) {
            state.plan(user, *plan);
        }
        Ok(())
    }

    async fn settle(
        &self,
        _cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        sent: &SentPresence,
        next: Option<Turn>,
    ) -> Result<Settled, StoreError> {
        let mut state = self.state();
        match state.presences.get_mut(&user) {
            Some(known) if known.wanted.modified == modified => {
                known.sent = Some(sent.clone());
                let seen = known.plan.seen;
                state.plan(user, TurnPlan { turn: next, tries: 0, seen });
                Ok(Settled::Done)
            }
            Some(known) => Ok(Settled::Overtaken(known.clone())),
            None => Ok(Settled::Done),
        }
    }

    async fn due(
        &self,
        _cx: &RequestContext,
        reason: Reason,
        now: Timestamp,
        most: usize,
    ) -> Result<DueTurns, StoreError> {
        let state = self.state();
        let due = state.turns.range((reason, Timestamp::MIN, Uuid::nil())..=(reason, now, Uuid::max()));
        let turns: Vec<_> = due.take(most).map(|(_, at, user)| (*at, *user)).collect();
        Ok(DueTurns { cut_off: turns.len() >= most, turns })
    }

    async fn read(&self, _cx: &RequestContext, users: &[Uuid]) -> Result<Vec<(Uuid, LastPresence)>, StoreError> {
        let state = self.state();
        Ok(users.iter().filter_map(|user| Some((*user, state.presences.get(user)?.clone()))).collect())
    }
}

impl LinkTable for MemoryLastPresences {
    async fn link(&self, _cx: &RequestContext, user: Uuid, link: &TeamsLink) -> Result<(), StoreError> {
        let mut state = self.state();
        match state.presences.get_mut(&user) {
            Some(known) => known.link = Some(*link),
            None => drop(state.links.insert(user, *link)),
        }
        Ok(())
    }

    async fn reading(&self, _cx: &RequestContext) -> Result<Option<LinkReading>, StoreError> {
        Ok(self.state().reading)
    }

    async fn keep_reading(&self, _cx: &RequestContext, reading: &LinkReading) -> Result<(), StoreError> {
        self.state().reading = Some(*reading);
        Ok(())
    }
}

impl SenderLease for MemoryLastPresences {
    async fn lease(
        &self,
        _cx: &RequestContext,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<LeaseAnswer, StoreError> {
        let mut state = self.state();
        let before = state.lease.take();
        let unseen = match &before {
            Some(lease) if lease.holder == Some(holder) => lease.word,
            Some(lease) if now < lease.until => {
                let answer = LeaseAnswer::Taken { by: lease.holder, until: lease.until };
                state.lease = before;
                return Ok(answer);
            }
            Some(lease) => lease.word || !lease.emptied,
            None => true,
        };
        state.lease = Some(SendingLease { holder: Some(holder), until, ..SendingLease::default() });
        Ok(LeaseAnswer::Held { unseen })
    }

    async fn leave_word(&self, _cx: &RequestContext, holder: Option<Uuid>) -> Result<bool, StoreError> {
        let mut state = self.state();
        let lease = state.lease.as_mut().filter(|lease| lease.holder == holder);
        Ok(lease.map(|lease| lease.word = true).is_some())
    }

    async fn give_back(
        &self,
        _cx: &RequestContext,
        holder: Uuid,
        until: Timestamp,
        emptied: bool,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let Some(lease) = state.lease.as_mut().filter(|lease| lease.holder == Some(holder)) else { return Ok(true) };
        if emptied && lease.word {
            return Ok(false);
        }
        *lease = SendingLease { holder: None, until, emptied, word: lease.word };
        Ok(true)
    }
}
