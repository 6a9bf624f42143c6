//! Every presence of the org, from a queue of events to Teams.
//!
//! Of a batch, the newest event of each user is left. What it wants is noted unless something newer was noted before
//! ([`crate::store::last_presence`] says how that keeps the order across instances), what Teams already shows is not
//! sent again, and the rest leaves in batches at the pace of Graph's budget: first those who take conversations or stop
//! to. Whoever could not be served goes back to the queue alone.

mod decision;
mod event;
mod pace;
mod settings;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

pub use decision::{Decision, Job, Newest, Tally, decide, newest};
pub use event::{NoEvent, PresenceEvent, Read, read};
pub use pace::Pace;
pub use settings::MirrorSettings;

use super::{ExternalIds, PresenceMode, Target, TeamsUsers, Whom, changes};
use crate::error::Error;
use crate::graph::presence::PresenceChange;
use crate::graph::{GraphClient, GraphError};
use crate::http::RequestContext;
use crate::queue::Message;
use crate::store::last_presence::{LastPresences, Sent, Settled, Wanted};

/// Requests to the state table at once.
const STATE_CONCURRENCY: usize = 32;

/// A presence is renewed no longer than this after it changed, unless an event says that it still is: a shift and a half.
/// Should the event that ends it have been lost, it must not stand forever.
const RENEWED_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// Presences renewed at one reminder, so that renewals never take the whole pace from events.
const RENEWALS_AT_ONCE: usize = 500;

/// Batches on their way to Graph at once. The pace decides how many leave; this is for those that are slow.
const BATCHES_AT_ONCE: usize = 4;

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
        // Always a batch, so that a throttled change comes back here and slows the whole instance down.
        self.batch_presence_changes(cx, changes)
    }
}

/// What a mirror works with.
#[derive(Debug)]
pub struct Mirror<'a, P, I, S> {
    /// Graph.
    pub presences: &'a P,
    /// Genesys Cloud.
    pub ids: &'a I,
    /// The state table.
    pub last: &'a S,
    /// The links found so far.
    pub users: &'a TeamsUsers,
    /// How this deployment mirrors.
    pub settings: &'a MirrorSettings,
}

/// How a job ended.
enum Ended {
    Sent { overtaken: usize, lag_ms: i64 },
    NoTeamsUser,
    Failed,
}

impl<P: Presences, I: ExternalIds, S: LastPresences> Mirror<'_, P, I, S> {
    /// Serves a batch. Gives the messages that go back to the queue, and what became of all.
    ///
    /// # Errors
    /// When nothing could be served: there is no token for Graph.
    pub async fn serve(&self, cx: &RequestContext, messages: Vec<Message>) -> Result<(Vec<String>, Tally), Error> {
        let session_id = self.presences.app_id(cx).await?;
        let mut tally = Tally::default();
        let (newest, mut failed) = newest(messages, self.settings.only.as_ref(), &mut tally);
        let mut jobs = self.jobs(cx, newest, &mut failed, &mut tally).await;
        if tally.reminders > 0 {
            // Boxed, because futures within futures within futures are more than the compiler follows.
            jobs.extend(Box::pin(self.renewals(cx)).await);
        }
        jobs.sort_by_key(|job| (job.message.is_none(), !job.urgent, job.wanted.modified));
        let per_batch = (self.settings.pace.batch() / self.requests_per_user()).max(1);
        let batches: Vec<Vec<Job>> = jobs.chunks(per_batch).map(<[Job]>::to_vec).collect();
        let mut ended = stream::iter(batches)
            .map(|batch| self.send(cx, &session_id, batch))
            .buffer_unordered(BATCHES_AT_ONCE)
            .flat_map(stream::iter);
        while let Some((message, end)) = ended.next().await {
            match end {
                Ended::Sent { .. } if message.is_none() => tally.renewed += 1,
                Ended::Sent { overtaken, lag_ms } => {
                    tally.sent += 1;
                    tally.overtaken += overtaken;
                    tally.worst_lag_ms = tally.worst_lag_ms.max(lag_ms);
                }
                Ended::NoTeamsUser => tally.no_teams_user += 1,
                Ended::Failed => failed.extend(message),
            }
        }
        tally.failed = failed.len();
        Ok((failed, tally))
    }

    fn requests_per_user(&self) -> usize {
        if self.settings.presence.mode == PresenceMode::Both { 2 } else { 1 }
    }

    /// The presences that have lived half of their life. Who cannot be read now is read at the next reminder.
    async fn renewals(&self, cx: &RequestContext) -> Vec<Job> {
        let now = Timestamp::now();
        let half_life = now.checked_add(self.settings.presence.life() / 2).unwrap_or(Timestamp::MAX);
        let event_after = now.checked_sub(RENEWED_FOR).unwrap_or(Timestamp::MIN);
        match self.last.ending(cx, half_life, event_after, RENEWALS_AT_ONCE).await {
            Ok(ending) => ending.iter().map(|(user, last)| Job::renewal(*user, last, now)).collect(),
            Err(error) => {
                tracing::warn!(%error, "no presence is renewed now");
                Vec::new()
            }
        }
    }

    /// Notes what every event wants, and gives what is to be sent.
    async fn jobs(
        &self,
        cx: &RequestContext,
        newest: Vec<Newest>,
        failed: &mut Vec<String>,
        tally: &mut Tally,
    ) -> Vec<Job> {
        let presence = &self.settings.presence;
        let mut mapped = Vec::with_capacity(newest.len());
        for newest in newest {
            let PresenceEvent { definition, system, modified, .. } = newest.event;
            match presence.target(definition, system) {
                Some(target) => {
                    let urgent = system.is_some_and(super::SystemPresence::is_urgent);
                    mapped.push((newest, Wanted { modified, target: target.to_string(), urgent }));
                }
                None => tally.unmapped += 1,
            }
        }
        let mut advanced = stream::iter(mapped)
            .map(|(newest, wanted)| async move {
                let advanced = self.last.advance(cx, newest.event.user, &wanted).await;
                (newest, wanted, advanced)
            })
            .buffer_unordered(STATE_CONCURRENCY);
        let mut jobs = Vec::new();
        while let Some((newest, wanted, advanced)) = advanced.next().await {
            match advanced {
                Ok(advanced) => match decide(newest, wanted, advanced, presence.life(), Timestamp::now()) {
                    Decision::Send(job) => jobs.push(job),
                    Decision::Unchanged => tally.unchanged += 1,
                    Decision::Stale => tally.stale += 1,
                },
                Err(error) => {
                    tracing::warn!(%error, "a presence goes back to the queue");
                    failed.push(newest.message);
                }
            }
        }
        jobs
    }

    /// Sends a batch until each of its jobs has ended. A job ends when what it sent is still the newest.
    async fn send(&self, cx: &RequestContext, session_id: &Arc<str>, jobs: Vec<Job>) -> Vec<(Option<String>, Ended)> {
        let mut ended = Vec::with_capacity(jobs.len());
        let linked = stream::iter(jobs).map(|job| self.linked(cx, job)).buffer_unordered(BATCHES_AT_ONCE);
        let mut open = Vec::new();
        for (job, link) in linked.collect::<Vec<_>>().await {
            match link {
                Ok(Some((teams_user, linked))) => open.push((job, teams_user, linked, 0_usize)),
                Ok(None) => ended.push((job.message, Ended::NoTeamsUser)),
                Err(error) => {
                    tracing::warn!(%error, "a presence goes back to the queue");
                    ended.push((job.message, Ended::Failed));
                }
            }
        }
        while !open.is_empty() {
            let mut changed = Vec::new();
            let mut requests = Vec::new();
            for (job, teams_user, ..) in &open {
                let whom = Whom { user: *teams_user, session_id: session_id.clone() };
                // Only what the map gave was noted, so it can be read back.
                let target = Target::parse(&job.wanted.target, self.settings.presence.mode).unwrap_or(Target::Leave);
                let changes = changes(&whom, target, &self.settings.presence);
                changed.push(changes.len());
                requests.extend(changes);
            }
            let until = Instant::now() + cx.deadline.for_a_call();
            if !self.settings.pace.wait(requests.len(), until).await {
                ended.extend(open.into_iter().map(|(job, ..)| (job.message, Ended::Failed)));
                break;
            }
            let outcomes = match self.presences.change(cx, &requests).await {
                Ok(outcomes) => outcomes,
                Err(error) => vec![Err(error); requests.len()],
            };
            self.keep_pace(&outcomes);
            let mut outcomes = outcomes.into_iter();
            // All of a user's outcomes are taken, whatever the first of them says: the next ones are another user's.
            let mut of_one = |count| outcomes.by_ref().take(count).fold(Ok(()), Result::and);
            let outcomes: Vec<Result<(), GraphError>> = changed.into_iter().map(&mut of_one).collect();
            let settled = stream::iter(std::mem::take(&mut open).into_iter().zip(outcomes))
                .map(|((job, teams_user, linked, overtaken), outcome)| async move {
                    let settled = match outcome {
                        Ok(()) => Ok(self.settle(cx, &job, teams_user, linked).await),
                        Err(error) => Err(error),
                    };
                    (job, teams_user, linked, overtaken, settled)
                })
                .buffer_unordered(STATE_CONCURRENCY)
                .collect::<Vec<_>>()
                .await;
            for (job, teams_user, linked, overtaken, settled) in settled {
                match settled {
                    Ok(Ok(Settled::Done)) => {
                        let lag_ms = Timestamp::now().as_millisecond() - job.wanted.modified.as_millisecond();
                        ended.push((job.message, Ended::Sent { overtaken, lag_ms }));
                    }
                    Ok(Ok(Settled::Overtaken(wanted))) if wanted.target != Target::Leave.to_string() => {
                        open.push((Job { wanted, ..job }, teams_user, linked, overtaken + 1));
                    }
                    Ok(Ok(Settled::Overtaken(_))) => ended.push((job.message, Ended::Sent { overtaken, lag_ms: 0 })),
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "a presence goes back to the queue");
                        ended.push((job.message, Ended::Failed));
                    }
                    Err(GraphError::Throttled { .. }) => open.push((job, teams_user, linked, overtaken)),
                    Err(error) if error.is_not_found() => {
                        self.users.forget(job.user);
                        ended.push((job.message, Ended::NoTeamsUser));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a presence goes back to the queue");
                        ended.push((job.message, Ended::Failed));
                    }
                }
            }
        }
        ended
    }

    /// Slows the instance down as Graph asks to.
    fn keep_pace(&self, outcomes: &[Result<(), GraphError>]) {
        let asked = outcomes.iter().filter_map(|outcome| match outcome {
            Err(GraphError::Throttled { retry_after, .. }) => Some(retry_after.unwrap_or(Duration::from_secs(1))),
            _ => None,
        });
        match asked.max() {
            Some(retry_after) => self.settings.pace.pause(retry_after),
            None => self.settings.pace.passed(),
        }
    }

    async fn linked(&self, cx: &RequestContext, job: Job) -> (Job, Result<Option<(Uuid, Timestamp)>, Error>) {
        if job.link.is_some() {
            let link = job.link;
            return (job, Ok(link));
        }
        let found = self.users.find(self.ids, cx, job.user).await;
        (job, found.map(|link| link.map(|teams_user| (teams_user, Timestamp::now()))).map_err(Error::from))
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        job: &Job,
        teams_user: Uuid,
        linked: Timestamp,
    ) -> Result<Settled, crate::store::StoreError> {
        let until = Timestamp::now().checked_add(self.settings.presence.life()).unwrap_or(Timestamp::MAX);
        let sent = Sent { target: job.wanted.target.clone(), until, teams_user, linked };
        self.last.settle(cx, job.user, job.wanted.modified, &sent).await
    }
}

#[cfg(test)]
mod tests;
