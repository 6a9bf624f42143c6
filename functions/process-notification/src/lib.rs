//! What Microsoft Graph tells of, from the queue behind the webhook to Genesys Cloud and to an event bus.

use std::sync::Arc;

use bridge::config::Environment;
use bridge::edge::BatchAnswer;
use bridge::error::Error;
use bridge::http::RequestContext;
use bridge::notification::open::Opener;
use bridge::queue::Message;
use bridge::relay::{Sinks, Tally, Worker};
use bridge::sinks::Outlets;
use bridge::startup::{Startup, warm_up};
use bridge::store::deliveries::{Deliveries, DynamoDeliveries};
use bridge::store::subscriptions::{DynamoSubscriptionNotes, SubscriptionNotes};

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "process-notification";

/// What the function works with.
#[derive(Debug)]
pub struct App<D = DynamoDeliveries, N = DynamoSubscriptionNotes, S = Outlets> {
    opener: Opener,
    deliveries: D,
    heard: N,
    sinks: S,
}

impl<D: Deliveries, N: SubscriptionNotes, S: Sinks> App<D, N, S> {
    /// An app of these parts.
    #[must_use]
    pub fn new(opener: Opener, deliveries: D, heard: N, sinks: S) -> Self {
        Self { opener, deliveries, heard, sinks }
    }
}

impl App {
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let graph = startup.graph().map(Arc::new);
        let opener = graph.clone().and_then(|graph| startup.opener(graph));
        let (deliveries, heard) = (startup.deliveries(), startup.subscription_notes());
        let sinks = startup.outlets(graph.clone());
        let graph = graph?;
        let app = Self::new(opener?, deliveries?, heard?, sinks?);
        warm_up(async |cx| {
            tokio::join!(graph.warm_up(&cx), app.opener.warm_up(&cx), app.sinks.warm_up(&cx));
        })
        .await;
        Some(app)
    }
}

/// Serves one batch.
///
/// # Errors
/// Never: what cannot be served goes back alone, with what comes after it in its chat.
pub async fn handle<D: Deliveries, N: SubscriptionNotes, S: Sinks>(
    app: &App<D, N, S>,
    cx: &RequestContext,
    messages: Vec<Message>,
) -> Result<BatchAnswer<Tally>, Error> {
    let App { opener, deliveries, heard, sinks } = app;
    let worker = Worker { resources: opener, deliveries, sinks, heard };
    let (failed, tally) = worker.serve(cx, messages).await;
    Ok(BatchAnswer::served(failed, tally))
}
