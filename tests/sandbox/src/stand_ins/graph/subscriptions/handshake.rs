//! The handshake: Graph calls an endpoint while the subscriber waits, and takes it only if it gives back what it was
//! sent.

use std::time::Duration;

use axum::http::StatusCode;
use uuid::Uuid;

use super::super::super::World;
use super::super::Refusal;

/// How long the endpoint has to answer.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

fn refusal(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "ValidationError", message)
}

/// Validates an endpoint by a handshake, as Graph does.
///
/// # Errors
/// The endpoint did not answer in time, or not with the token.
pub(super) async fn validate(world: &World, url: &str) -> Result<(), Refusal> {
    let words = "Testing client application reachability for subscription Request-Id:";
    let token = format!("Validation: {words} {}", Uuid::new_v4());
    // As live tokens are encoded: a blank is a plus sign, hexadecimal digits are small.
    let encoded = token.replace(':', "%3a").replace(' ', "+");
    let url = format!("{url}{}validationToken={encoded}", if url.contains('?') { '&' } else { '?' });
    let request = world.client.post(url).header("content-type", "text/plain; charset=utf-8").body("");
    let answer = tokio::time::timeout(HANDSHAKE_PATIENCE, async {
        let response = request.send().await?;
        let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok::<_, reqwest::Error>((response.status(), kind.unwrap_or_default(), response.text().await?))
    });
    let Ok(answer) = answer.await else {
        return Err(refusal("Subscription validation request timed out."));
    };
    let (status, kind, body) = answer.map_err(|_| refusal("Subscription validation request failed: no connection."))?;
    if status != StatusCode::OK {
        return Err(refusal("The endpoint must respond with 200 OK to validation request."));
    }
    let is_text = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/plain"));
    if !is_text {
        return Err(refusal("The endpoint must respond with text/plain to validation request."));
    }
    if body != token {
        return Err(refusal("The endpoint must respond with the validation token to validation request."));
    }
    Ok(())
}
