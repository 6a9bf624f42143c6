//! The Lambda binary: wiring and nothing else.

use bridge::edge::Consumer;
use bridge::telemetry;
use process_notification::{App, FUNCTION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    Consumer::start(FUNCTION, App::from_env).await.serve(handle).await
}
