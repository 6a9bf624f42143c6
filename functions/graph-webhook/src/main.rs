//! The Lambda binary: wiring and nothing else.

use bridge::edge::Webhook;
use bridge::telemetry;
use graph_webhook::{FUNCTION, from_env, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    Webhook::start(FUNCTION, from_env).await.serve(handle).await
}
