//! Keeps the subscriptions to Microsoft Graph's change notifications alive: on a schedule, and when a lifecycle
//! notification says that one needs attention.

use bridge::config::Environment;
use bridge::edge::{BatchAnswer, Trigger};
use bridge::error::Error;
use bridge::graph::GraphClient;
use bridge::http::RequestContext;
use bridge::notification::{ClientState, Queues, SqsQueues};
use bridge::secrets::Secret;
use bridge::startup::{Startup, warm_up};
use bridge::store::subscriptions::{DynamoSubscriptionNotes, SubscriptionNotes};
use bridge::subscriptions::{
    Certificates, Credentials, Events, Keeper, KeeperRun, KeeperSettings, LifecycleBatch, StepTrouble,
};
use bridge::telemetry::mask;

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "renew-subscriptions";

/// The clients, stores and settings that the function works with. Made once for each process.
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
    /// An app of these parts, which a test may replace.
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
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted in
    /// `env`.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let (graph, notes) =
            (GraphClient::from_startup(&mut startup), DynamoSubscriptionNotes::from_startup(&mut startup));
        let queues = SqsQueues::of_changes(&mut startup);
        let client_state = ClientState::secret_from_startup(&mut startup);
        let certificates = Certificates::secret_from_startup(&mut startup);
        let settings = KeeperSettings::read(startup.env);
        let app = Self::new(graph?, (client_state?, certificates?), notes?, queues?, settings?);
        warm_up(async |cx| app.graph.warm_up(&cx).await).await;
        Some(app)
    }
}

/// Serves a batch of lifecycle notifications, or the clock.
///
/// # Errors
/// None: what could not be done is told in the answer, beside the figures of what was done. After a run of the clock,
/// which no message can go back to, the answer is a failure as soon as one step failed.
pub async fn handle<N: SubscriptionNotes, Q: Queues>(
    app: &App<N, Q>,
    cx: &RequestContext,
    trigger: Trigger,
) -> Result<BatchAnswer<(Option<LifecycleBatch>, Option<KeeperRun>)>, Error> {
    let batch = match trigger {
        Trigger::Queue(messages) => Some(LifecycleBatch::read(messages)),
        Trigger::Clock => None,
    };
    let run = match app.keep(cx, batch.as_ref().map(|batch| &batch.events)).await {
        Ok(run) => run,
        Err(error) => return Ok(BatchAnswer::failed(error, (batch, None))),
    };
    label_troubles(cx, &run);
    Ok(match (batch, run.troubles.first()) {
        (None, Some(first)) => BatchAnswer::failed(all_of(&run, first), (None, Some(run))),
        (batch, _) => {
            let open = batch.as_ref().map(|batch| batch.open(&run)).unwrap_or_default();
            BatchAnswer::served(open, (batch, Some(run)))
        }
    })
}

impl<N: SubscriptionNotes, Q: Queues> App<N, Q> {
    /// Brings the subscriptions at Graph in line with the settings.
    async fn keep(&self, cx: &RequestContext, events: Option<&Events>) -> Result<KeeperRun, Error> {
        let credentials = self.credentials(cx).await?;
        let entra = self.graph.app(cx).await?;
        let keeper = Keeper {
            graph: &self.graph,
            notes: &self.notes,
            queues: &self.queues,
            settings: &self.settings,
            credentials: &credentials,
            app: &entra,
        };
        // Boxed: the future of all that may have to be done is too deep for the compiler to lay out.
        Box::pin(keeper.run(cx, events.unwrap_or(&Events::default()))).await
    }
}

impl<N, Q> App<N, Q> {
    /// The credentials that subscriptions are made with, as the secrets are now.
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

/// One error for all steps that failed: it names the first of them and tells how many there are.
fn all_of(run: &KeeperRun, first: &StepTrouble) -> Error {
    let (count, place) = (run.troubles.len(), first.place);
    let message = match place {
        0 => format!("{count} steps failed: a subscription that the settings no longer name could not be deleted. "),
        _ => format!("{count} steps failed, the first of them for entry {place} of SUBSCRIPTIONS. "),
    };
    Error { message: message + &first.error.message, ..first.error.clone() }
}

fn label_troubles(cx: &RequestContext, run: &KeeperRun) {
    let troubles: Vec<_> = run
        .troubles
        .iter()
        .map(|trouble| format!("entry {}: {}", trouble.place, mask(&trouble.error.text_for_caller())))
        .collect();
    if !troubles.is_empty() {
        cx.record.label("troubles", troubles);
    }
}
