//! A batch on its way to Graph, and what becomes of each presence in it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use uuid::Uuid;

use super::decision::{renewal, turn};
use super::links::unlinked_turn;
use super::{Mirror, Presences, STATE_CONCURRENCY, Tally};
use crate::graph::GraphError;
use crate::graph::presence::PresenceChange;
use crate::http::RequestContext;
use crate::presence::{ExternalIds, LinkList, Target, Whom, changes};
use crate::store::StoreError;
use crate::store::last_presence::{LastPresence, LastPresences, Link, Plan, Reason, Sent, Settled, Turn};

/// How long a user is left alone who was just sent something: the index may still show the old turn.
pub(super) const COOL_DOWN: Duration = Duration::from_secs(1);

/// How long after a failure a presence is tried again: twice as long after each, up to the longest.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A presence that could not be sent for so long says nothing any more.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(12 * 60 * 60);

/// A presence to send.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) user: Uuid,
    pub(super) teams_user: Uuid,
    pub(super) last: LastPresence,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Sent {
        renewed: bool,
        overtaken: bool,
        lag_ms: i64,
    },
    /// Graph asked to slow down, or did not answer: the presence keeps its turn.
    Kept,
    PutOff(Duration),
    GivenUp,
    Unlinked,
}

impl<P: Presences, I: ExternalIds + LinkList, S: LastPresences> Mirror<'_, P, I, S> {
    /// What Graph is asked for a job: one request for each action.
    pub(super) fn requests(&self, job: &Job, session_id: &Arc<str>) -> Vec<PresenceChange> {
        let whom = Whom { user: job.teams_user, session_id: session_id.clone() };
        let target = Target::read_back(&job.last.wanted.target, self.settings.presence.mode);
        let before = job.last.sent.as_ref().filter(|sent| sent.target != Target::Clear.to_string());
        changes(&whom, target, &self.settings.presence, before.and_then(|sent| sent.mode))
    }

    /// Sends a batch, and gives how each of its jobs ended.
    pub(super) async fn send(&self, cx: &RequestContext, session_id: &Arc<str>, jobs: Vec<Job>) -> Vec<(Uuid, Ended)> {
        let of_each: Vec<_> = jobs.iter().map(|job| self.requests(job, session_id)).collect();
        let counts: Vec<_> = of_each.iter().map(Vec::len).collect();
        let requests = of_each.concat();
        self.settings.pace.take(requests.len());
        let outcomes = match self.presences.change(cx, &requests).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::warn!(%error, "Graph took no presence");
                let asked = if let GraphError::Throttled { retry_after, .. } = error { retry_after } else { None };
                self.settings.pace.pause(asked.unwrap_or(FIRST_PAUSE));
                return jobs.into_iter().map(|job| (job.user, Ended::Kept)).collect();
            }
        };
        self.keep_pace(&outcomes);
        let mut outcomes = outcomes.into_iter();
        // All of a user's outcomes are taken, whatever the first of them says: the next ones are another user's.
        let mut of_one = |count| outcomes.by_ref().take(count).fold(Ok(()), Result::and);
        let outcomes: Vec<Result<(), GraphError>> = counts.into_iter().map(&mut of_one).collect();
        stream::iter(jobs.into_iter().zip(outcomes))
            .map(|(job, outcome)| async move {
                let user = job.user;
                match self.end(cx, &job, outcome).await {
                    Ok(ended) => (user, ended),
                    Err(error) => {
                        tracing::warn!(%error, "what was sent could not be noted, and is sent again");
                        (user, Ended::PutOff(FIRST_PAUSE))
                    }
                }
            })
            .buffer_unordered(STATE_CONCURRENCY)
            .collect()
            .await
    }

    /// Slows the sending down as Graph asks to.
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
    async fn end(&self, cx: &RequestContext, job: &Job, outcome: Result<(), GraphError>) -> Result<Ended, StoreError> {
        let Job { user, teams_user, last } = job;
        let modified = last.wanted.modified;
        let now = (self.now)();
        match outcome {
            Ok(()) => self.settle(cx, *user, last, now).await,
            Err(GraphError::Throttled { .. }) => Ok(Ended::Kept),
            Err(error) if error.is_not_found() => {
                // Genesys Cloud is asked again: the user may have been linked anew.
                let refused = Link { teams_user: Some(*teams_user), since: Timestamp::UNIX_EPOCH };
                self.last.link(cx, *user, &refused).await?;
                let turn = Some(unlinked_turn(last, now));
                self.last.plan(cx, *user, modified, &Plan { turn, ..last.plan }).await?;
                Ok(Ended::Unlinked)
            }
            Err(error) => {
                let (plan, pause) = put_off(last, pause_after(last.plan.tries), now);
                self.last.plan(cx, *user, modified, &plan).await?;
                match plan.turn {
                    Some(_) => {
                        tracing::warn!(%error, "a presence is sent later");
                        Ok(Ended::PutOff(pause))
                    }
                    None => {
                        tracing::error!(%error, "a presence is given up: it could not be sent for twelve hours");
                        Ok(Ended::GivenUp)
                    }
                }
            }
        }
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        user: Uuid,
        last: &LastPresence,
        now: Timestamp,
    ) -> Result<Ended, StoreError> {
        let settings = &self.settings.presence;
        let wanted = &last.wanted;
        let until = now.checked_add(settings.life()).unwrap_or(Timestamp::MAX);
        let sent = Sent { target: wanted.target.clone(), mode: Some(settings.mode), until };
        let shows = wanted.target != Target::Clear.to_string();
        let next = renewal(settings, last.plan.seen, now).filter(|_| shows);
        let lag_ms = now.as_millisecond() - wanted.modified.as_millisecond();
        let overtaken = match self.last.settle(cx, user, wanted.modified, &sent, next).await? {
            Settled::Done => false,
            // It may have been sent by an instance that took this one for dead, and before what was sent here.
            Settled::Overtaken(newer) => {
                if newer.is_settled() {
                    let turn = turn(newer.wanted.urgent, newer.wanted.modified, now);
                    let plan = Plan { turn: Some(turn), ..newer.plan };
                    self.last.plan(cx, user, newer.wanted.modified, &plan).await?;
                }
                true
            }
        };
        Ok(Ended::Sent { renewed: is_renewal(last), overtaken, lag_ms })
    }
}

pub(super) fn is_renewal(last: &LastPresence) -> bool {
    last.plan.turn.is_some_and(|turn| turn.reason == Reason::Renewal)
}

pub(super) fn pause_after(tries: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE)
}

/// The plan after a failure, and the pause it makes.
pub(super) fn put_off(last: &LastPresence, pause: Duration, now: Timestamp) -> (Plan, Duration) {
    let says_nothing = last.wanted.modified.checked_add(GIVEN_UP_AFTER).is_ok_and(|end| end < now);
    let at = now.checked_add(pause).unwrap_or(Timestamp::MAX);
    let turn = last.plan.turn.filter(|_| !says_nothing || is_renewal(last)).map(|turn| Turn { at, ..turn });
    (Plan { turn, tries: last.plan.tries.saturating_add(1), seen: last.plan.seen }, pause)
}

/// Counts an end; gives how long the user is left alone.
pub(super) fn count(ended: Ended, tally: &mut Tally) -> Duration {
    match ended {
        Ended::Sent { renewed, overtaken, lag_ms } => {
            if renewed {
                tally.renewed += 1;
            } else {
                tally.sent += 1;
                tally.worst_lag_ms = tally.worst_lag_ms.max(lag_ms);
            }
            tally.overtaken += usize::from(overtaken);
            COOL_DOWN
        }
        Ended::Kept => Duration::ZERO,
        Ended::PutOff(pause) => {
            tally.put_off += 1;
            pause
        }
        Ended::GivenUp => {
            tally.given_up += 1;
            COOL_DOWN
        }
        Ended::Unlinked => Duration::ZERO,
    }
}
