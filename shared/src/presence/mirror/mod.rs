//! Every presence of the org, from a queue of events to Teams.
//!
//! Of a batch, the newest event of each user is left, and what it wants is noted unless something newer was noted before
//! ([`crate::store::last_presence`] says how that keeps the order across instances). A noted presence is in the backlog,
//! and its message is done with. One instance at a time sends what the backlog has ([`sending`]); the others take events in
//! meanwhile, so that an urgent one is known while thousands wait.

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

use std::future::Future;
use std::sync::Arc;
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
use crate::graph::presence::PresenceChange;
use crate::graph::{GraphClient, GraphError};
use crate::http::RequestContext;
use crate::queue::Message;
use crate::store::StoreError;
use crate::store::last_presence::{LastPresences, LinkTable, SenderLease, Turn, TurnPlan};

/// Requests to the state table at once.
const STATE_CONCURRENCY: usize = 32;

/// How long the state table is asked again before a message goes back to the queue, which shows it late.
const PATIENCE_WITH_THE_TABLE: Duration = Duration::from_secs(30);

/// Who changes presences in Teams.
pub trait Presences: Send + Sync {
    /// The client id of the app that changes them.
    fn app_id(&self, cx: &RequestContext) -> impl Future<Output = Result<Arc<str>, GraphError>> + Send;

    /// Makes these changes in one round trip and gives what became of each.
    fn change(
        &self,
        cx: &RequestContext,
        changes: &[PresenceChange],
    ) -> impl Future<Output = Result<Vec<Result<(), GraphError>>, GraphError>> + Send;
}

impl Presences for GraphClient {
    fn app_id(&self, cx: &RequestContext) -> impl Future<Output = Result<Arc<str>, GraphError>> + Send {
        self.app_id(cx)
    }

    fn change(
        &self,
        cx: &RequestContext,
        changes: &[PresenceChange],
    ) -> impl Future<Output = Result<Vec<Result<(), GraphError>>, GraphError>> + Send {
        // Always a batch, so that a throttled change comes back here and slows the sending down.
        self.batch_presence_changes(cx, changes)
    }
}

/// What the mirror needs of the state table.
pub trait PresenceTable: LastPresences + LinkTable + SenderLease {}

impl<T: LastPresences + LinkTable + SenderLease> PresenceTable for T {}

/// What a mirror works with.
#[derive(Debug)]
pub struct Mirror<'a, P, I, S> {
    /// Graph.
    pub presences: &'a P,
    /// Genesys Cloud.
    pub ids: &'a I,
    /// The state table.
    pub last: &'a S,
    /// How this deployment mirrors.
    pub settings: &'a MirrorSettings,
    /// The clock: a simulation has one of its own.
    pub now: fn() -> Timestamp,
}

/// What became of a batch and of the backlog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    /// The messages that go back to the queue.
    pub failed: Vec<String>,
    /// The figures.
    pub tally: MirrorTally,
    /// Whether more is due than could be sent in this time: another invocation is to go on soon.
    pub more: bool,
}

impl<P: Presences, I: ExternalIds + LinkList, S: PresenceTable> Mirror<'_, P, I, S> {
    /// Notes what a batch wants, and sends what is due if no other instance does.
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

    /// Notes what every event wants, and gives whose turn it is with that.
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
                    tracing::warn!(%error, "a presence goes back to the queue");
                    failed.push(newest.message);
                }
            }
        }
        turns
    }

    /// Notes what an event wants; nothing, when the map does not know the presence. A table that fails is asked again.
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
