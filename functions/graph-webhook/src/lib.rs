//! `POST /graph/notifications` and `POST /graph/lifecycle`: puts the notifications that Microsoft Graph posts on a
//! queue.

use bridge::config::Environment;
use bridge::edge::GraphSender;
use bridge::error::Error;
use bridge::http::RequestContext;
use bridge::notification::{Admitted, ClientStateSecret, DoorTally, Queues, Receiver, ReceiverSettings, SqsQueues};
use bridge::startup::{Startup, warm_up};

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "graph-webhook";

/// The clients, stores and settings that the function works with. Made once for each process.
#[derive(Debug)]
pub struct App<Q = SqsQueues> {
    queues: Q,
    settings: ReceiverSettings,
}

impl<Q> App<Q> {
    /// An app of these parts, which a test may replace.
    #[must_use]
    pub fn new(queues: Q, settings: ReceiverSettings) -> Self {
        Self { queues, settings }
    }
}

/// Builds the sender's check and the app from their settings and warms them up. `None` when a setting is missing or
/// wrong, which is noted in `env`.
pub async fn from_env(env: &mut Environment) -> Option<(GraphSender, App)> {
    let mut startup = Startup::load(env).await?;
    let (states, queues) = (ClientStateSecret::from_startup(&mut startup), SqsQueues::from_startup(&mut startup));
    let settings = ReceiverSettings::read(startup.env);
    let (states, queues, settings) = (states?, queues?, settings?);
    warm_up(async |cx| states.warm_up(&cx).await).await;
    Some((GraphSender::new(states), App::new(queues, settings)))
}

/// Puts the notifications of one request on their queues. When it returns, all of them are there.
///
/// # Errors
/// When some of them may not be on a queue.
pub async fn handle<Q: Queues>(app: &App<Q>, cx: &RequestContext, admitted: Admitted) -> Result<DoorTally, Error> {
    let App { queues, settings } = app;
    Receiver { queues, settings }.receive(cx, admitted).await
}
