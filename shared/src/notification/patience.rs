//! A short outage is sat out. What goes back to the queue comes again after three minutes, with its chat waiting.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::process::LEAST_TIME;
use crate::error::{Code, Error};
use crate::http::RequestContext;

/// How long an outage is sat out. Every chat of the batch waits for the end of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Pause before the next try.
const PAUSE: Duration = Duration::from_secs(2);

/// What passes by itself.
const OUTAGES: [Code; 6] = [
    Code::GRAPH_UNAVAILABLE,
    Code::GENESYS_UNAVAILABLE,
    Code::ENTRA_UNAVAILABLE,
    Code::SECRETS_UNAVAILABLE,
    Code::STATE_UNAVAILABLE,
    Code::DELIVERY_FAILED,
];

/// Tries until it works, or an error will not pass by itself, or until then. Who asks to slow down is not asked again:
/// the client has waited for as long as it was told to, or there was no time for it.
pub(super) async fn patiently<T>(
    cx: &RequestContext,
    until: Instant,
    mut attempt: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let error = match attempt().await {
            Err(error) if OUTAGES.contains(&error.code) => error,
            done => return done,
        };
        if Instant::now() >= until || cx.deadline.for_a_call() < PAUSE + LEAST_TIME {
            return Err(error);
        }
        tracing::warn!(code = error.code.text(), cause = error.cause, "trying again in a moment");
        sleep(PAUSE).await;
    }
}
