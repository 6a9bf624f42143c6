//! The backlog as the sending instance knows it, so that the index is asked only for turns that may be there.
//!
//! The turns that the invocation has noted itself are known from the start. The index is asked when other instances may
//! have noted some: after an invocation that did not empty the backlog, after word of another instance, and when the
//! clock says so. A turn that was found here may be over by then; the record is read before anything is sent.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::store::last_presence::{DueTurns, Reason, Turn};

/// Turns asked for at once, of each part of the index.
pub(super) const TURNS_AT_ONCE: usize = 250;

/// How long the index may take to show what another instance has noted, or to forget a turn that is over.
pub(super) const INDEX_DELAY: Duration = Duration::from_secs(1);

/// A turn that comes this soon is waited for; a later one is found by a later invocation.
const WORTH_WAITING_FOR: Duration = Duration::from_secs(10);

/// The reasons to send, the most pressing first.
pub(super) const TO_SEND: [Reason; 3] = [Reason::Urgent, Reason::Change, Reason::Renewal];

const ALL: [Reason; 4] = [Reason::Urgent, Reason::Change, Reason::Unlinked, Reason::Renewal];

/// When the index may be asked for turns of a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Now,
    /// From this time on, when no turn of the reason is left here.
    WhenUsedUp(Instant),
}

/// The known turns and the questions that are left.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    turns: BTreeSet<(Reason, Timestamp, Uuid)>,
    /// Users whose presence is being sent or who are being looked up.
    under_way: HashSet<Uuid>,
    asks: BTreeMap<Reason, Ask>,
}

impl Backlog {
    /// A backlog of which these turns are known; `unseen` when the index may have others.
    pub(super) fn new(noted: impl IntoIterator<Item = (Turn, Uuid)>, unseen: bool) -> Self {
        let turns = noted.into_iter().map(|(turn, user)| (turn.reason, turn.at, user)).collect();
        let asks = ALL.into_iter().filter(|_| unseen).map(|reason| (reason, Ask::Now)).collect();
        Self { turns, asks, ..Self::default() }
    }

    /// Another instance has noted turns.
    pub(super) fn has_more(&mut self) {
        for reason in ALL {
            self.asks.entry(reason).or_insert(Ask::WhenUsedUp(Instant::now() + INDEX_DELAY));
        }
    }

    /// Adds a turn, unless it is so late that it is left to a later invocation.
    pub(super) fn add(&mut self, turn: Turn, user: Uuid, now: Timestamp) {
        if now.checked_add(WORTH_WAITING_FOR).is_ok_and(|latest| turn.at <= latest) {
            self.turns.insert((turn.reason, turn.at, user));
        }
    }

    /// Adds what the index gave for a reason.
    pub(super) fn found(&mut self, reason: Reason, due: DueTurns) {
        self.turns.extend(due.turns.into_iter().map(|(at, user)| (reason, at, user)));
        self.asks.remove(&reason);
        if due.cut_off {
            self.asks.insert(reason, Ask::WhenUsedUp(Instant::now() + INDEX_DELAY));
        }
    }

    /// The index did not answer for a reason: it is asked again soon.
    pub(super) fn not_found(&mut self, reason: Reason) {
        self.asks.insert(reason, Ask::WhenUsedUp(Instant::now() + INDEX_DELAY));
    }

    /// Takes a user's turn that has come for the reason, the earliest. The user is under way until [`Self::end`].
    pub(super) fn take(&mut self, reason: Reason, now: Timestamp) -> Option<(Turn, Uuid)> {
        while let Some(entry @ (_, at, user)) = self.first(reason).filter(|(_, at, _)| *at <= now) {
            self.turns.remove(&entry);
            // What is known when the user's other turn has ended, is newer than this.
            if self.under_way.insert(user) {
                return Some((Turn { reason, at }, user));
            }
        }
        None
    }

    /// The user is not under way any more.
    pub(super) fn end(&mut self, user: Uuid) {
        self.under_way.remove(&user);
    }

    /// Whether a turn has come for one of these reasons.
    pub(super) fn has_due(&self, reasons: &[Reason], now: Timestamp) -> bool {
        reasons.iter().any(|reason| self.first(*reason).is_some_and(|(_, at, _)| at <= now))
    }

    /// How long until the next turn comes, of those that have not come yet.
    pub(super) fn next_turn(&self, now: Timestamp) -> Option<Duration> {
        let later = ALL.into_iter().filter_map(|reason| self.first(reason)).map(|(_, at, _)| at).filter(|at| now < *at);
        later.min().map(|at| at.duration_since(now).unsigned_abs())
    }

    /// The reasons for which the index is to be asked, and from when on.
    pub(super) fn to_ask(&self, now: Timestamp) -> Option<(Instant, Vec<Reason>)> {
        let at_once = Instant::now();
        let due = |reason: &Reason| match self.asks.get(reason)? {
            Ask::Now => Some(at_once),
            Ask::WhenUsedUp(from) => Some(*from).filter(|_| !self.has_due(&[*reason], now)),
        };
        let at = ALL.iter().filter_map(due).min()?;
        Some((at, ALL.into_iter().filter(|reason| due(reason).is_some_and(|from| from <= at)).collect()))
    }

    /// Whether nothing is left: no turn, nobody under way, nothing to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty() && self.under_way.is_empty() && self.asks.is_empty()
    }

    fn first(&self, reason: Reason) -> Option<(Reason, Timestamp, Uuid)> {
        let of_reason = (reason, Timestamp::MIN, Uuid::nil())..=(reason, Timestamp::MAX, Uuid::max());
        self.turns.range(of_reason).next().copied()
    }
}
