//! A storm that is small enough for every change: `cargo storm` makes the large one.

use std::time::Duration;

use sandbox::functions;
use sandbox::sandbox::{Ports, Sandbox};
use storm::storm::{PARAMETERS, Storm};

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_there_once_and_in_order_whatever_fails() {
    let sandbox = Sandbox::start_with(Ports::Any, functions::build, PARAMETERS, |_| {}).await.unwrap();
    let storm = Storm {
        messages: 300,
        chats: 12,
        per_second: 40,
        kills: 2,
        genesys_per_minute: 10_000,
        genesys_knows_ids: true,
        worker_timeout: Some(Duration::from_secs(10)),
    };
    let outcome = storm.run(&sandbox, |_| {}).await.unwrap();
    assert_eq!(outcome.broken(), Vec::<String>::new(), "{outcome:?}");
    assert_eq!((outcome.verdict.once, outcome.killed_at_work.len()), (300, 2), "{outcome:?}");
    // It was a storm.
    let sent = &outcome.notifications;
    let troubles = [sent.duplicated, sent.reordered, sent.lost, outcome.genesys_failures as u64];
    assert!(troubles.iter().all(|count| *count > 0), "{outcome:?}");
    sandbox.cloud.stop().await;
}
