//! Shows every presence of the Genesys Cloud org in Microsoft Teams. The changes come from Amazon EventBridge through a
//! queue.

use bridge::config::Environment;
use bridge::edge::BatchAnswer;
use bridge::error::Error;
use bridge::genesys::GenesysClient;
use bridge::graph::GraphClient;
use bridge::http::RequestContext;
use bridge::presence::mirror::{Mirror, MirrorSettings, MirrorTally, PresenceTable, Reminder, Served};
use bridge::queue::Message;
use bridge::startup::{Startup, warm_up};
use bridge::store::last_presence::DynamoLastPresences;
use jiff::Timestamp;

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "mirror-presence";

/// The clients, stores and settings that the function works with. Made once for each process.
#[derive(Debug)]
pub struct App<S = DynamoLastPresences> {
    graph: GraphClient,
    genesys: GenesysClient,
    last: S,
    reminder: Option<Reminder>,
    settings: MirrorSettings,
}

impl<S: PresenceTable> App<S> {
    /// An app of these parts. Without a reminder, what an invocation leaves waits for the clock.
    #[must_use]
    pub fn new(
        graph: GraphClient,
        genesys: GenesysClient,
        last: S,
        reminder: Option<Reminder>,
        settings: MirrorSettings,
    ) -> Self {
        Self { graph, genesys, last, reminder, settings }
    }
}

impl App {
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let (graph, genesys) = (GraphClient::from_startup(&mut startup), GenesysClient::from_startup(&mut startup));
        let last = DynamoLastPresences::from_startup(&mut startup);
        // Without the queue, the clock alone reminds of the backlog.
        let reminder = startup.env.optional("PRESENCE_QUEUE_URL").map(|url| Reminder::new(startup.aws(), url));
        let settings = MirrorSettings::read(startup.env);
        let app = Self::new(graph?, genesys?, last?, reminder.unless_wrong()?, settings?);
        warm_up(async |cx| {
            tokio::join!(app.graph.warm_up(&cx), app.genesys.warm_up(&cx));
        })
        .await;
        Some(app)
    }
}

/// Serves one batch of changes, and the changes of the backlog that are due.
///
/// # Errors
/// None: a change that cannot be sent now waits in the state table.
pub async fn handle<S: PresenceTable>(
    app: &App<S>,
    cx: &RequestContext,
    messages: Vec<Message>,
) -> Result<BatchAnswer<MirrorTally>, Error> {
    let App { graph, genesys, last, reminder, settings } = app;
    let mirror = Mirror { presences: graph, ids: genesys, last, settings, now: Timestamp::now };
    let Served { failed, tally, more } = mirror.serve(cx, messages).await;
    if let Some(reminder) = reminder.as_ref().filter(|_| more) {
        reminder.send(cx).await;
    }
    Ok(BatchAnswer::served(failed, tally))
}
