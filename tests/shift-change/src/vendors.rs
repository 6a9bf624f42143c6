//! Microsoft Graph and Genesys Cloud in the simulation: behind a network, with their limits.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use bridge::genesys::GenesysError;
use bridge::graph::GraphError;
use bridge::graph::presence::{PresenceChange, Presences, batch_body, batch_outcomes};
use bridge::http::RequestContext;
use bridge::presence::{ExternalIds, LinkList, LinksPage};
use sandbox::stand_ins::{BRIDGE_APP, GraphInProcess, World};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::locked;

/// Graph behind a network: the sandbox's stand-in, and when Teams was last told something about each user.
pub(crate) struct Graph {
    remote: GraphInProcess,
    begin: Instant,
    round_trips: Mutex<u64>,
    told: Mutex<HashMap<String, Duration>>,
}

impl Graph {
    /// The stand-in of this world; times count from this beginning.
    pub(crate) fn new(world: &Arc<World>, begin: Instant) -> Self {
        Self { remote: GraphInProcess::new(world), begin, round_trips: Mutex::default(), told: Mutex::default() }
    }

    /// The number of requests over HTTP so far.
    pub(crate) fn round_trips(&self) -> u64 {
        *locked(&self.round_trips)
    }

    /// When Teams was last told something about a user.
    pub(crate) fn told(&self, user: &str) -> Option<Duration> {
        locked(&self.told).get(user).copied()
    }

    /// When Teams was last told something about any user.
    pub(crate) fn last_told(&self) -> Option<Duration> {
        locked(&self.told).values().max().copied()
    }
}

impl Presences for Graph {
    async fn app_id(&self, _cx: &RequestContext) -> Result<Arc<str>, GraphError> {
        Ok(BRIDGE_APP.into())
    }

    async fn batch_presence_changes(
        &self,
        _cx: &RequestContext,
        changes: &[PresenceChange],
    ) -> Result<Vec<Result<(), GraphError>>, GraphError> {
        let unreadable = |problem: String| GraphError::Unreadable { problem };
        let half = Duration::from_millis(fastrand::u64(30..75));
        sleep(half).await;
        *locked(&self.round_trips) += 1;
        let request = Request::post("/v1.0/$batch")
            .header("content-type", "application/json")
            .body(Body::from(batch_body(changes).to_string()))
            .map_err(|error| unreadable(error.to_string()))?;
        let response = self.remote.answer(request).await;
        let body = to_bytes(response.into_body(), 1 << 20).await.map_err(|error| unreadable(error.to_string()))?;
        let outcomes = batch_outcomes(changes, &body)?;
        let now = self.begin.elapsed();
        for (change, outcome) in changes.iter().zip(&outcomes) {
            if outcome.is_ok() {
                locked(&self.told).insert(change.user_id.clone(), now);
            }
        }
        sleep(half).await;
        Ok(outcomes)
    }
}

/// Genesys Cloud, which allows 300 requests a minute. Its users have the same ids as in Teams.
pub(crate) struct Genesys {
    users: Vec<Uuid>,
    requests: Mutex<VecDeque<Instant>>,
}

impl Genesys {
    const PER_MINUTE: usize = 300;

    /// An org of these users.
    pub(crate) fn new(users: Vec<Uuid>) -> Self {
        Self { users, requests: Mutex::default() }
    }

    async fn request(&self) -> Result<(), GenesysError> {
        sleep(Duration::from_millis(fastrand::u64(80..200))).await;
        let now = Instant::now();
        let mut requests = locked(&self.requests);
        requests.retain(|at| now.duration_since(*at) < Duration::from_secs(60));
        match requests.front().filter(|_| requests.len() >= Self::PER_MINUTE) {
            Some(oldest) => {
                let retry_after = Some(Duration::from_secs(60) - now.duration_since(*oldest));
                Err(GenesysError::Throttled { retry_after, code: String::new() })
            }
            None => {
                requests.push_back(now);
                Ok(())
            }
        }
    }
}

impl ExternalIds for Genesys {
    async fn teams_id(&self, _cx: &RequestContext, user: Uuid) -> Result<Option<Uuid>, GenesysError> {
        self.request().await.map(|()| Some(user))
    }
}

impl LinkList for Genesys {
    /// Returns no more than is safe to ask for, even if the bridge asks for more.
    async fn links(&self, _cx: &RequestContext, start: usize, count: usize) -> Result<LinksPage, GenesysError> {
        self.request().await?;
        let page = self.users.iter().skip(start - 1).take(count.min(25));
        let links: Vec<_> = page.map(|user| (*user, Some(*user))).collect();
        Ok(LinksPage { users: links.len(), links, total: self.users.len() })
    }
}
