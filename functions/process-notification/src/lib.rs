//! Delivers what Microsoft Graph notifies of: from the queue behind the webhook to Genesys Cloud and to an event bus.

use bridge::config::Environment;
use bridge::edge::BatchAnswer;
use bridge::error::Error;
use bridge::graph::GraphClient;
use bridge::http::RequestContext;
use bridge::notification::open::{Notifications, Opener};
use bridge::queue::Message;
use bridge::relay::back::{Back, SqsBack};
use bridge::relay::{DeliveryTally, Relay};
use bridge::sinks::Outlets;
use bridge::startup::{Startup, warm_up};
use bridge::store::deliveries::{Deliveries, DynamoDeliveries};
use bridge::store::subscriptions::{DynamoSubscriptionNotes, SubscriptionNotes};
use bridge::telemetry::{Figure, Figures};

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "process-notification";

/// The clients, stores and settings that the function works with. Made once for each process.
#[derive(Debug)]
pub struct App<D = DynamoDeliveries, N = DynamoSubscriptionNotes, B = SqsBack> {
    relay: Relay<Notifications<Opener, N>, D, Outlets, B>,
}

impl<D: Deliveries, N: SubscriptionNotes, B: Back> App<D, N, B> {
    /// An app of these parts, which a test may replace.
    #[must_use]
    pub fn new(opener: Opener, deliveries: D, heard: N, sinks: Outlets, back: B) -> Self {
        Self { relay: Relay::new(Notifications { resources: opener, heard }, deliveries, sinks, back) }
    }
}

impl App {
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted in
    /// `env`.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let (graph, opener) = (GraphClient::from_startup(&mut startup), Opener::from_startup(&mut startup));
        let deliveries = DynamoDeliveries::from_startup(&mut startup);
        let heard = DynamoSubscriptionNotes::from_startup(&mut startup);
        let sinks = Outlets::from_startup(&mut startup);
        let back = SqsBack::from_startup(&mut startup, "NOTIFICATION_QUEUE_URL", "NOTIFICATION_DEAD_LETTER_QUEUE_URL");
        let graph = graph?;
        let app = Self::new(opener?, deliveries?, heard?, sinks?, back?);
        warm_up(async |cx| {
            let (opener, sinks) = (&app.relay.source().resources, app.relay.sinks());
            tokio::join!(graph.warm_up(&cx), opener.warm_up(&cx), sinks.warm_up(&cx));
        })
        .await;
        Some(app)
    }
}

/// Delivers one batch of notifications to the sinks.
///
/// # Errors
/// None: a message that cannot be delivered goes back to the queue alone, with those that follow it in its chat.
pub async fn handle<D: Deliveries, N: SubscriptionNotes, B: Back>(
    app: &App<D, N, B>,
    cx: &RequestContext,
    messages: Vec<Message>,
) -> Result<BatchAnswer<Delivery>, Error> {
    let (waiting, tally) = app.relay.serve(cx, messages).await;
    Ok(BatchAnswer::served(waiting, Delivery(tally)))
}

/// The figures of a batch of notifications, under the names of the function's metrics.
#[derive(Debug)]
pub struct Delivery(DeliveryTally);

impl Figures for Delivery {
    fn figures(&self) -> impl Iterator<Item = Figure> {
        let Self(tally) = self;
        let counts = [
            ("notifications", tally.messages),
            ("poison", tally.unreadable),
            ("refused", tally.refused),
            ("rejected", tally.rejected),
            // These are counted where notifications are opened.
            ("gone", 0),
            ("lifecycle", tally.nothing_to_deliver),
            ("delivered", tally.delivered),
            ("leftOut", tally.left_out),
            ("duplicates", tally.duplicates),
            ("failed", tally.failed),
            ("lackCredential", tally.lack_credential),
            ("lackPermission", tally.lack_permission),
        ];
        let lag = (tally.delivered > 0).then_some(Figure::Milliseconds("worstLagMs", tally.worst_lag_ms));
        counts.into_iter().map(|(name, count)| Figure::Count(name, count)).chain(lag)
    }
}
