//! Keeps the subscriptions to Microsoft Graph's change notifications: on a schedule, and when Graph says that one needs
//! something.

use bridge::config::Environment;
use bridge::error::Error;
use bridge::graph::GraphClient;
use bridge::http::RequestContext;
use bridge::notification::{ClientState, Queues, SqsQueues};
use bridge::queue::Message;
use bridge::secrets::Secret;
use bridge::startup::{Startup, warm_up};
use bridge::store::subscriptions::{DynamoSubscriptionNotes, SubscriptionNotes};
use bridge::subscriptions::{Batch, Certificates, Credentials, Keeper, KeeperSettings, Run};
use bridge::telemetry::mask;

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "renew-subscriptions";

/// What the function works with.
#[derive(Debug)]
pub struct App<N = DynamoSubscriptionNotes, Q = SqsQueues> {
    graph: GraphClient,
    client_state: Secret<ClientState>,
    certificates: Secret<Certificates>,
    notes: N,
    queues: Q,
    settings: KeeperSettings,
}

impl<N, Q> App<N, Q> {
    /// An app of these parts.
    #[must_use]
    pub fn new(
        graph: GraphClient,
        (client_state, certificates): (Secret<ClientState>, Secret<Certificates>),
        notes: N,
        queues: Q,
        settings: KeeperSettings,
    ) -> Self {
        Self { graph, client_state, certificates, notes, queues, settings }
    }
}

impl App {
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let (graph, notes, queues) = (startup.graph(), startup.subscription_notes(), startup.changes());
        let (client_state, certificates) = (startup.subscription_client_state(), startup.subscription_certificates());
        let settings = KeeperSettings::read(startup.env);
        let app = Self::new(graph?, (client_state?, certificates?), notes?, queues?, settings?);
        warm_up(async |cx| app.graph.warm_up(&cx).await).await;
        Some(app)
    }
}

/// Serves a batch of lifecycle notifications, or, where there are none, the clock. Gives the messages that go back to
/// the queue.
///
/// # Errors
/// When nothing could be done; and for the clock, which nothing goes back to, when anything could not.
pub async fn handle<N: SubscriptionNotes, Q: Queues>(
    app: &App<N, Q>,
    cx: &RequestContext,
    messages: Vec<Message>,
) -> Result<Vec<String>, Error> {
    let is_clock = messages.is_empty();
    cx.record.label("trigger", if is_clock { "clock" } else { "queue" });
    let batch = Batch::read(messages);
    for (name, count) in [
        ("reauthorizationRequired", batch.events.reauthorize.len()),
        ("subscriptionRemoved", batch.events.removed.len()),
        ("missed", batch.events.missed.len()),
        ("ignored", batch.ignored),
        ("poison", batch.poison.len()),
    ] {
        if !is_clock {
            cx.record.count(name, count);
        }
    }
    let credentials = app.credentials(cx).await?;
    let entra = app.graph.app(cx).await?;
    let keeper = Keeper {
        graph: &app.graph,
        notes: &app.notes,
        queues: &app.queues,
        settings: &app.settings,
        credentials: &credentials,
        app: &entra,
    };
    // Boxed: the future of all that may have to be done is too deep for the compiler to lay out.
    let run = Box::pin(keeper.run(cx, &batch.events)).await?;
    note(cx, &run);
    match run.troubles.first() {
        Some(first) if is_clock => {
            let (count, place) = (run.troubles.len(), first.place);
            let message = match place {
                0 => format!("{count} could not be done: a subscription that nobody wants is still there. "),
                _ => format!("{count} could not be done, the first of them for entry {place} of SUBSCRIPTIONS. "),
            };
            Err(Error { message: message + &first.error.message, ..first.error.clone() })
        }
        _ => Ok(batch.open(&run)),
    }
}

impl<N, Q> App<N, Q> {
    /// What subscriptions are made with, as the secrets have it now.
    async fn credentials(&self, cx: &RequestContext) -> Result<Credentials, Error> {
        let client_state = self.client_state.get(cx).await?;
        let certificate = if self.settings.wanted.iter().any(|wanted| wanted.rich) {
            self.certificates.get(cx).await?.newest().cloned()
        } else {
            None
        };
        Ok(Credentials { client_state, certificate })
    }
}

fn note(cx: &RequestContext, run: &Run) {
    let tally = &run.tally;
    for (name, count) in [
        ("created", tally.created),
        ("renewed", tally.renewed),
        ("recreated", tally.recreated),
        ("adopted", tally.adopted),
        ("deleted", tally.deleted),
        ("failed", tally.failed),
        ("left", tally.left),
        ("expiryDiffers", tally.expiry_differs),
        ("subscriptionsMissing", tally.missing),
        ("subscriptionsNearExpiry", tally.near_expiry),
        ("silentSubscriptions", tally.silent),
        ("gapItems", tally.gap_items),
        ("gapsCut", tally.gaps_cut),
    ] {
        cx.record.count(name, count);
    }
    let troubles: Vec<_> = run
        .troubles
        .iter()
        .map(|trouble| format!("entry {}: {}", trouble.place, mask(&trouble.error.text_for_caller())))
        .collect();
    if !troubles.is_empty() {
        cx.record.label("troubles", troubles);
    }
}
