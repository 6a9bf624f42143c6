//! Sends a batch of presences to Graph, and notes the outcome of each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use uuid::Uuid;

use super::decision::{mode_of, renewal, turn};
use super::links::{Linked, unlinked_turn};
use super::{Mirror, MirrorTally, PresenceTable, Presences, STATE_CONCURRENCY};
use crate::graph::GraphError;
use crate::graph::presence::PresenceChange;
use crate::http::RequestContext;
use crate::presence::{ChangedUser, ExternalIds, LinkList, Target, changes};
use crate::store::StoreError;
use crate::store::last_presence::{LastPresence, Reason, SentPresence, Settled, TeamsLink, Turn, TurnPlan};

/// The pause after the first failure of a presence. It doubles with each failure in a row, up to the longest.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How old a presence may become before it is given up: after so long it says nothing any more.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(12 * 60 * 60);

/// A presence that is to be sent to Teams.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) user: Uuid,
    pub(super) teams_user: Uuid,
    pub(super) last: LastPresence,
    /// The requests to Graph: one for each action that the mode uses.
    pub(super) changes: Vec<PresenceChange>,
}

impl Job {
    /// The end of a job that Graph did not answer.
    fn kept(&self) -> JobEnd {
        JobEnd { user: self.user, ended: Ended::Kept, next: self.last.plan.turn }
    }
}

/// How the sending of a presence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Sent {
        renewed: bool,
        overtaken: bool,
        lag_ms: i64,
    },
    /// Graph throttled the request or did not answer it: the presence keeps its turn.
    Kept,
    PutOff,
    GivenUp,
    Unlinked,
}

/// How a job ended, and the user's next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JobEnd {
    pub(super) user: Uuid,
    pub(super) ended: Ended,
    pub(super) next: Option<Turn>,
}

impl<P: Presences, I: ExternalIds + LinkList, S: PresenceTable> Mirror<'_, P, I, S> {
    /// The job to send a user's presence, if the user is linked to a Teams user.
    pub(super) async fn job(
        &self,
        cx: &RequestContext,
        user: Uuid,
        last: LastPresence,
        session_id: &Arc<str>,
        now: Timestamp,
    ) -> Result<Linked<Job>, StoreError> {
        Ok(match self.linked(cx, user, &last, now).await? {
            Linked::To(teams_user) => {
                let whom = ChangedUser { user: teams_user, session_id: session_id.clone() };
                let target = Target::read_back(&last.wanted.target, self.settings.presence.mode);
                let before = last.sent.as_ref().filter(|sent| sent.target != Target::Clear.to_string());
                let changes = changes(
                    &whom,
                    target,
                    &self.settings.presence,
                    before.and_then(mode_of).or(self.settings.presence.mode_before),
                );
                Linked::To(Job { user, teams_user, last, changes })
            }
            Linked::Nobody => Linked::Nobody,
            Linked::Unknown(turn) => Linked::Unknown(turn),
        })
    }

    /// Sends a batch; gives how each of its jobs ended.
    pub(super) async fn send(&self, cx: &RequestContext, jobs: Vec<Job>) -> Vec<JobEnd> {
        let counts: Vec<_> = jobs.iter().map(|job| job.changes.len()).collect();
        let requests: Vec<_> = jobs.iter().flat_map(|job| job.changes.iter().cloned()).collect();
        let outcomes = match self.presences.batch_presence_changes(cx, &requests).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::warn!(%error, "Graph did not answer a batch of presences: it is sent again");
                let asked = if let GraphError::Throttled { retry_after, .. } = error { retry_after } else { None };
                self.settings.pace.pause(asked.unwrap_or(FIRST_PAUSE));
                return jobs.iter().map(Job::kept).collect();
            }
        };
        self.keep_pace(&outcomes);
        let mut outcomes = outcomes.into_iter();
        // All of a user's outcomes are taken, whatever the first of them says: the next ones are another user's.
        let mut of_one = |count| outcomes.by_ref().take(count).fold(Ok(()), Result::and);
        let outcomes: Vec<Result<(), GraphError>> = counts.into_iter().map(&mut of_one).collect();
        stream::iter(jobs.into_iter().zip(outcomes))
            .map(|(job, outcome)| async move {
                match self.end(cx, &job, outcome).await {
                    Ok((ended, next)) => JobEnd { user: job.user, ended, next },
                    Err(error) => {
                        tracing::warn!(%error, "a presence was sent and could not be noted as sent: it is sent again");
                        let plan = put_off(&job.last, FIRST_PAUSE, (self.now)());
                        JobEnd { user: job.user, ended: Ended::PutOff, next: plan.turn }
                    }
                }
            })
            .buffer_unordered(STATE_CONCURRENCY)
            .collect()
            .await
    }

    /// Pauses the sending when Graph throttled a request of the batch.
    fn keep_pace(&self, outcomes: &[Result<(), GraphError>]) {
        let asked = outcomes.iter().filter_map(|outcome| match outcome {
            Err(GraphError::Throttled { retry_after, .. }) => Some(retry_after.unwrap_or(FIRST_PAUSE)),
            _ => None,
        });
        match asked.max() {
            Some(retry_after) => self.settings.pace.pause(retry_after),
            None => self.settings.pace.passed(),
        }
    }

    /// Notes how a job ended.
    async fn end(
        &self,
        cx: &RequestContext,
        job: &Job,
        outcome: Result<(), GraphError>,
    ) -> Result<(Ended, Option<Turn>), StoreError> {
        let Job { user, teams_user, last, .. } = job;
        let modified = last.wanted.modified;
        let now = (self.now)();
        match outcome {
            Ok(()) => self.settle(cx, *user, last, now).await,
            Err(GraphError::Throttled { .. }) => Ok((Ended::Kept, last.plan.turn)),
            Err(error) if error.is_not_found() => {
                // Genesys Cloud is asked again: the user may have been linked anew.
                let refused = TeamsLink { teams_user: Some(*teams_user), since: Timestamp::UNIX_EPOCH };
                self.last.link(cx, *user, &refused).await?;
                let turn = Some(unlinked_turn(last, now));
                self.last.plan(cx, *user, modified, &TurnPlan { turn, ..last.plan }).await?;
                Ok((Ended::Unlinked, turn))
            }
            Err(error) => {
                let plan = put_off(last, pause_after(last.plan.tries), now);
                self.last.plan(cx, *user, modified, &plan).await?;
                if plan.turn.is_some() {
                    tracing::warn!(%error, "Graph did not take a presence: it is sent again later");
                    return Ok((Ended::PutOff, plan.turn));
                }
                tracing::error!(%error, "a presence is given up: Graph has not taken it for twelve hours");
                Ok((Ended::GivenUp, None))
            }
        }
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        user: Uuid,
        last: &LastPresence,
        now: Timestamp,
    ) -> Result<(Ended, Option<Turn>), StoreError> {
        let settings = &self.settings.presence;
        let wanted = &last.wanted;
        let until = now.checked_add(settings.life()).unwrap_or(Timestamp::MAX);
        let sent = SentPresence { target: wanted.target.clone(), mode: Some(settings.mode.name().into()), until };
        let shows = wanted.target != Target::Clear.to_string();
        let next = renewal(settings, last.plan.seen, now).filter(|_| shows);
        let lag_ms = now.as_millisecond() - wanted.modified.as_millisecond();
        let newer = match self.last.settle(cx, user, wanted.modified, &sent, next).await? {
            Settled::Done => None,
            // It may have been sent by an instance that took this one for dead, and before what was sent here.
            Settled::Overtaken(newer) if newer.is_settled() => {
                let turn = turn(newer.wanted.urgent, newer.wanted.modified, now);
                let plan = TurnPlan { turn: Some(turn), ..newer.plan };
                self.last.plan(cx, user, newer.wanted.modified, &plan).await?;
                Some(plan)
            }
            Settled::Overtaken(newer) => Some(newer.plan),
        };
        let ended = Ended::Sent { renewed: is_renewal(last), overtaken: newer.is_some(), lag_ms };
        Ok((ended, newer.and_then(|plan| plan.turn)))
    }
}

pub(super) fn is_renewal(last: &LastPresence) -> bool {
    last.plan.turn.is_some_and(|turn| turn.reason == Reason::Renewal)
}

pub(super) fn pause_after(tries: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE)
}

/// The plan after a failure: another try after this pause, unless the presence is too old to say anything.
pub(super) fn put_off(last: &LastPresence, pause: Duration, now: Timestamp) -> TurnPlan {
    let says_nothing = last.wanted.modified.checked_add(GIVEN_UP_AFTER).is_ok_and(|end| end < now);
    let at = now.checked_add(pause).unwrap_or(Timestamp::MAX);
    let turn = last.plan.turn.filter(|_| !says_nothing || is_renewal(last)).map(|turn| Turn { at, ..turn });
    TurnPlan { turn, tries: last.plan.tries.saturating_add(1), seen: last.plan.seen }
}

/// Adds the end of a job to the tally.
pub(super) fn count(ended: Ended, tally: &mut MirrorTally) {
    match ended {
        Ended::Sent { renewed, overtaken, lag_ms } => {
            if renewed {
                tally.renewed += 1;
            } else {
                tally.sent += 1;
                tally.worst_lag_ms = tally.worst_lag_ms.max(lag_ms);
            }
            tally.overtaken += usize::from(overtaken);
        }
        Ended::PutOff => tally.put_off += 1,
        Ended::GivenUp => tally.given_up += 1,
        Ended::Kept | Ended::Unlinked => {}
    }
}
