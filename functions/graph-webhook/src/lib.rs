//! `POST /graph/notifications` and `POST /graph/lifecycle`: what Microsoft Graph notifies of, put on a queue.

use bridge::config::Environment;
use bridge::error::Error;
use bridge::http::{HttpClient, RequestContext};
use bridge::notification::{ClientStateSecret, ClientStates, Queues, Receiver, ReceiverSettings, SqsQueues, Tally};
use bridge::startup::{aws, door, warm_up};
use jiff::Timestamp;

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "graph-webhook";

/// What the function works with.
#[derive(Debug)]
pub struct App<S = ClientStateSecret, Q = SqsQueues> {
    states: S,
    queues: Q,
    settings: ReceiverSettings,
}

impl<S, Q> App<S, Q> {
    /// An app of these parts.
    #[must_use]
    pub fn new(states: S, queues: Q, settings: ReceiverSettings) -> Self {
        Self { states, queues, settings }
    }
}

impl App {
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let aws = aws(&HttpClient::from_env(env)?).await;
        let (door, settings) = (door(env, &aws), ReceiverSettings::read(env));
        let ((states, queues), settings) = (door?, settings?);
        let app = Self::new(states, queues, settings);
        warm_up(async |cx| app.states.warm_up(&cx).await).await;
        Some(app)
    }
}

/// Takes what one request notifies of. When this is done, all of it is on a queue.
///
/// # Errors
/// When some of it may not be on a queue, or the body is no collection of notifications.
pub async fn handle<S: ClientStates, Q: Queues>(
    app: &App<S, Q>,
    cx: &RequestContext,
    body: Vec<u8>,
) -> Result<(), Error> {
    let App { states, queues, settings } = app;
    let tally = Receiver { states, queues, settings }.receive(cx, &body, Timestamp::now()).await?;
    note(cx, &tally);
    Ok(())
}

fn note(cx: &RequestContext, tally: &Tally) {
    for (name, count) in [
        ("notifications", tally.notifications),
        ("queued", tally.queued),
        ("rejected", tally.foreign + tally.malformed),
        ("foreign", tally.foreign),
        ("malformed", tally.malformed),
        ("unreadable", tally.unreadable),
        ("contentLeftOut", tally.content_left_out),
    ] {
        cx.record.count(name, count);
    }
}
