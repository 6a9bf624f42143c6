//! Storms that are small enough for every change: `cargo storm` makes the large ones.

use std::time::Duration;

use sandbox::Trouble;
use sandbox::functions;
use sandbox::sandbox::{Ports, Sandbox};
use storm::storm::{Outcome, PARAMETERS, Storm};
use tokio::sync::Mutex;

/// Two sandboxes at once are too much for a machine with two cores.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn outcome(storm: &Storm) -> Result<Outcome, Trouble> {
    let _alone = ALONE.lock().await;
    let sandbox = Sandbox::start_with(Ports::Any, functions::build, PARAMETERS, |_| {}).await?;
    let outcome = storm.run(&sandbox, |_| {}).await?;
    assert_eq!(outcome.broken(), Vec::<String>::new(), "{outcome:?}");
    sandbox.cloud.stop().await;
    Ok(outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_there_once_and_in_order_whatever_fails() {
    let storm = Storm { kills: 2, worker_timeout: Some(Duration::from_secs(10)), ..Storm::of(300, 12, 40) };
    let outcome = outcome(&storm).await.unwrap();
    assert_eq!((outcome.verdict.once, outcome.killed_at_work.len()), (300, 2), "{outcome:?}");
    // It was a storm.
    let sent = &outcome.notifications;
    let troubles = [sent.duplicated, sent.reordered, sent.lost, outcome.genesys_failures as u64];
    assert!(troubles.iter().all(|count| *count > 0), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_a_refused_secret_and_a_wrong_key_are_waited_for_in_order() {
    // Each is longer than what the worker sits out.
    let longer = Duration::from_secs(30);
    let storm = Storm { outage: longer, refused_secret: longer, wrong_key: true, ..Storm::of(40, 4, 20) };
    let outcome = outcome(&storm).await.unwrap();
    assert_eq!(outcome.verdict.once, 40, "{outcome:?}");
}
