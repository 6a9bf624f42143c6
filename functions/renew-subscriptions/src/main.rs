//! The Lambda binary: wiring and nothing else.

use bridge::edge::Consumer;
use bridge::telemetry;
use renew_subscriptions::{App, FUNCTION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    Consumer::start(FUNCTION, App::from_env).await.serve_with_schedule(handle).await
}
