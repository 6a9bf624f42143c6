//! Graph without sockets, for a simulation that makes tens of thousands of calls while time is paused.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use tower::ServiceExt;

use super::super::directory::BRIDGE_APP;
use super::super::server::infallible;
use super::super::{World, graph};
use super::Caller;

/// Graph as a service that is called within this process.
///
/// Every request counts as the bridge's own, with a valid token: none is looked for. No
/// [`Fault`](super::super::faults::Fault) hits it, and [`World::calls`] does not have it, so nothing grows with the
/// number of calls. Everything else is as over a socket: permissions, budget, batches.
#[derive(Debug, Clone)]
pub struct GraphInProcess {
    router: Router,
}

impl GraphInProcess {
    /// The Graph of this world. It is cheap to clone and expensive to make, so make one and keep it.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Self {
        Self { router: graph::router(world.clone()) }
    }

    /// Answers a request; its URI is a path from `/v1.0` on, with or without an origin.
    pub async fn answer(&self, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(Caller { app: BRIDGE_APP.into() });
        infallible(self.router.clone().oneshot(request).await)
    }
}
