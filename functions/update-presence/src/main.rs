//! The Lambda binary: wiring and nothing else.

use bridge::edge::Function;
use bridge::telemetry;
use update_presence::{App, ROUTE, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    Function::start(ROUTE, App::from_env).await.serve(handle).await
}
