//! Mirrors the presence of every user of the org from a queue of Genesys Cloud's events to Teams.
//!
//! Of each user in a batch, only the newest event counts. Its presence is noted in the state table, unless a newer one
//! was noted before ([`crate::store::last_presence`] says how that keeps the order across instances). A noted presence
//! is in the backlog, and its message is acknowledged. One instance at a time sends the backlog ([`sending`]); the
//! others go on noting events, so that an urgent presence overtakes thousands that wait.

mod backlog;
mod batch;
mod decision;
mod event;
mod lease;
mod links;
mod pace;
mod reminder;
mod sending;
mod settings;

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use uuid::Uuid;

pub use decision::{Decision, MirrorTally, NewestEvent, decide, newest, wanted};
pub use event::{NoEvent, PresenceEvent, Read, read};
pub use pace::Pace;
pub use reminder::Reminder;
pub use settings::MirrorSettings;

use super::{ExternalIds, LinkList};
use crate::graph::presence::Presences;
use crate::http::RequestContext;
use crate::queue::Message;
use crate::store::StoreError;
use crate::store::last_presence::{LastPresences, LinkTable, SenderLease, Turn, TurnPlan};

/// How many requests to the state table one invocation makes at once.
const STATE_CONCURRENCY: usize = 32;

/// How long a write to the state table is retried before its message goes back to the queue, where it stays hidden for
/// minutes.
const PATIENCE_WITH_THE_TABLE: Duration = Duration::from_secs(30);

/// What the mirror does with the state table.
pub trait PresenceTable: LastPresences + LinkTable + SenderLease {}

impl<T: LastPresences + LinkTable + SenderLease> PresenceTable for T {}

/// Mirrors presences from events to Teams.
#[derive(Debug)]
pub struct Mirror<'a, P, I, S> {
    /// Sets presences in Teams.
    pub presences: &'a P,
    /// Finds the Teams user of a Genesys Cloud user.
    pub ids: &'a I,
    /// Keeps each user's last presence, the links and the lease of the sending.
    pub last: &'a S,
    /// The deployment's settings: mode, map, pace, pilot.
    pub settings: &'a MirrorSettings,
    /// Gives the time; a simulation has a clock of its own.
    pub now: fn() -> Timestamp,
}

/// The result of one invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    /// The ids of the messages that go back to the queue.
    pub failed: Vec<String>,
    /// The figures for log line and metrics.
    pub tally: MirrorTally,
    /// Whether presences are due that could not be sent within the invocation: the next one is to be reminded at once.
    pub more: bool,
}

impl<P: Presences, I: ExternalIds + LinkList, S: PresenceTable> Mirror<'_, P, I, S> {
    /// Notes the presences of a batch, and sends what is due unless another instance does.
    pub async fn serve(&self, cx: &RequestContext, messages: Vec<Message>) -> Served {
        let mut tally = MirrorTally::default();
        // A batch without messages is a reminder too.
        let is_empty = messages.is_empty();
        let (newest, mut failed) = newest(messages, self.settings.only.as_ref(), &mut tally);
        let noted = self.note(cx, newest, &mut failed, &mut tally).await;
        tally.failed = failed.len();
        let reminded = is_empty || tally.reminders > 0;
        // Boxed, because futures within futures within futures are more than the compiler follows.
        let more = Box::pin(self.send_due(cx, noted, reminded, &mut tally)).await;
        Served { failed, tally, more }
    }

    /// Notes the presence of each event; gives the turns that follow.
    async fn note(
        &self,
        cx: &RequestContext,
        newest: Vec<NewestEvent>,
        failed: &mut Vec<String>,
        tally: &mut MirrorTally,
    ) -> Vec<(Turn, Uuid)> {
        let mut decided = stream::iter(newest)
            .map(|newest| async move {
                let decision = self.note_one(cx, &newest).await;
                (newest, decision)
            })
            .buffer_unordered(STATE_CONCURRENCY);
        let mut turns = Vec::new();
        while let Some((newest, decision)) = decided.next().await {
            match decision {
                Ok(Some(Decision::Waits(turn) | Decision::WaitsFor(turn))) => turns.push((turn, newest.event.user)),
                Ok(Some(Decision::Again(_, plan))) => {
                    tally.stale += 1;
                    turns.extend(plan.turn.map(|turn| (turn, newest.event.user)));
                }
                Ok(Some(Decision::LeftAlone | Decision::Shown(_))) => tally.unchanged += 1,
                Ok(Some(Decision::Stale)) => tally.stale += 1,
                Ok(None) => tally.unmapped += 1,
                Err(error) => {
                    tracing::warn!(%error, "the state table did not take a presence: its message goes back to the queue");
                    failed.push(newest.message);
                }
            }
        }
        turns
    }

    /// Notes the presence of an event; gives `None` when the map does not know it. A write that fails is retried.
    async fn note_one(&self, cx: &RequestContext, newest: &NewestEvent) -> Result<Option<Decision>, StoreError> {
        let settings = &self.settings.presence;
        let event = &newest.event;
        let Some(target) = settings.target(event.definition, event.system) else { return Ok(None) };
        let patience = tokio::time::Instant::now() + cx.deadline.for_a_call().min(PATIENCE_WITH_THE_TABLE);
        let mut pause = Duration::from_millis(200);
        loop {
            let now = (self.now)();
            let (wanted, turn) = wanted(event, target, now);
            let noted = async {
                let advanced = self.last.advance(cx, event.user, &wanted, turn, now).await?;
                self.plan_for(cx, newest, decide(newest, &wanted, turn, advanced, settings, now), now).await
            };
            match noted.await {
                Err(_) if tokio::time::Instant::now() + pause < patience => tokio::time::sleep(pause).await,
                noted => return noted.map(Some),
            }
            pause *= 2;
        }
    }

    async fn plan_for(
        &self,
        cx: &RequestContext,
        newest: &NewestEvent,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Decision, StoreError> {
        let PresenceEvent { user, modified, .. } = newest.event;
        let planned = match &decision {
            Decision::WaitsFor(turn) => Some((modified, TurnPlan { turn: Some(*turn), tries: 0, seen: now })),
            Decision::Shown(plan) => Some((modified, *plan)),
            Decision::Again(modified, plan) => Some((*modified, *plan)),
            Decision::Waits(_) | Decision::LeftAlone | Decision::Stale => None,
        };
        if let Some((modified, plan)) = planned {
            self.last.plan(cx, user, modified, &plan).await?;
        }
        Ok(decision)
    }
}

#[cfg(test)]
mod tests;
