//! The Lambda binary: wiring and nothing else.

use bridge::api::Webhook;
use bridge::telemetry;
use graph_webhook::{App, FUNCTION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    Webhook::start(FUNCTION, App::from_env).await.serve(handle).await
}
