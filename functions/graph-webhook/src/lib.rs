//! `POST /graph/notifications` and `POST /graph/lifecycle`: what Microsoft Graph notifies of, put on a queue.

use bridge::config::Environment;
use bridge::edge::GraphSender;
use bridge::error::Error;
use bridge::http::{HttpClient, RequestContext};
use bridge::notification::{Admitted, Queues, Receiver, ReceiverSettings, SqsQueues, Tally};
use bridge::startup::{aws, door, warm_up};

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "graph-webhook";

/// What the function works with.
#[derive(Debug)]
pub struct App<Q = SqsQueues> {
    queues: Q,
    settings: ReceiverSettings,
}

impl<Q> App<Q> {
    /// An app of these parts.
    #[must_use]
    pub fn new(queues: Q, settings: ReceiverSettings) -> Self {
        Self { queues, settings }
    }
}

/// Builds the sender's check and the app from their settings and warms them up. `None` when a setting is missing or wrong,
/// which is noted.
pub async fn from_env(env: &mut Environment) -> Option<(GraphSender, App)> {
    let aws = aws(&HttpClient::from_env(env)?).await;
    let (door, settings) = (door(env, &aws), ReceiverSettings::read(env));
    let ((states, queues), settings) = (door?, settings?);
    warm_up(async |cx| states.warm_up(&cx).await).await;
    Some((GraphSender::new(states), App::new(queues, settings)))
}

/// Takes what Microsoft Graph notifies of in one request. When this is done, all of it is on a queue.
///
/// # Errors
/// When some of it may not be on a queue.
pub async fn handle<Q: Queues>(app: &App<Q>, cx: &RequestContext, admitted: Admitted) -> Result<Tally, Error> {
    let App { queues, settings } = app;
    Receiver { queues, settings }.receive(cx, admitted).await
}
