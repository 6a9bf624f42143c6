//! Nothing secret and nothing personal reaches the log, at any level: every handler is driven at TRACE through
//! everything that can happen to it, and all output to the log is read.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bridge::telemetry;
use end_to_end::{InProcess, answer, event, invocation, presence_batch};
use sandbox::stand_ins::Vendor;
use sandbox::stand_ins::aws::CLIENT_STATE;
use sandbox::stand_ins::faults::Fault;
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;

const LAMBDA: Duration = Duration::from_secs(28);

/// Everything that was written to the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Listens to this thread, on which handlers, clients and stand-ins all run.
    fn listen() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = telemetry::subscriber(LevelFilter::TRACE, move || writer.clone());
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// The texts that must not be in a log, as far as they do not depend on the run.
const FORBIDDEN: &[&str] = &[
    "7700900123",
    "7700 900123",
    "3175550100",
    "meetup-join",
    "teams.microsoft.com",
    "invites you",
    "eyJ",
    "Bearer ",
    "Basic ",
    "client_secret=",
];

fn leaks<'a>(log: &str, secrets: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    FORBIDDEN.iter().copied().chain(secrets).filter(|needle| log.contains(needle)).map(str::to_owned).collect()
}

fn escalation(conversation: &str) -> Value {
    json!({"user": "kim@contoso.com", "toAddress": "tel:+447700900123", "agentName": "Kim", "conversationId": conversation})
}

#[tokio::test]
async fn nothing_secret_and_nothing_personal_reaches_the_log() {
    let (log, _listening) = Log::listen();
    let bundle = InProcess::start().await.unwrap();
    let world = &bundle.stand_ins.world;
    let (meeting, sms, escalate) =
        (bundle.create_meeting().unwrap(), bundle.send_sms().unwrap(), bundle.escalate().unwrap());
    let mut answers = 0;

    // All goes well, twice.
    for _ in 0..2 {
        answer(&meeting, event("create-meeting", None), LAMBDA, create_meeting::handle).await;
        answer(&sms, event("send-sms", None), LAMBDA, send_sms::handle).await;
        answer(&escalate, event("escalate", None), LAMBDA, escalate::handle).await;
        answers += 3;
    }
    // Bodies that cannot be used, with what must not be repeated in them.
    for body in ["{\"toAddress\":\"+447700900123\"", "[\"+447700900123\"]", "{\"conversationId\":\"+447700900123\"}"] {
        let mut broken = event("escalate", None);
        broken.body = Some(body.into());
        answer(&escalate, broken, LAMBDA, escalate::handle).await;
        answers += 1;
    }
    // Numbers and senders that the bridge or Genesys Cloud refuses; Genesys Cloud repeats them in its message.
    for (to, from) in [("+44 7700 900123 999999", "+13175550100"), ("+447700900123", "+13175550199")] {
        let body = json!({"toAddress": to, "fromAddress": from, "textBody": "Kim invites you", "conversationId": "r"});
        answer(&sms, event("send-sms", Some(&body)), LAMBDA, send_sms::handle).await;
        answers += 1;
    }
    // Everything that can happen on the wire.
    for (index, fault) in [
        Fault::at(Vendor::Graph, "createOrGet").throttled("3600"),
        Fault::at(Vendor::Graph, "createOrGet").status(503),
        Fault::at(Vendor::Graph, "createOrGet").after().reset(),
        Fault::at(Vendor::Graph, "PATCH").times(3).status(500),
        Fault::at(Vendor::Genesys, "agentless").after().reset(),
        Fault::at(Vendor::Genesys, "agentless").reset(),
        Fault::at(Vendor::Genesys, "agentless").status(504),
        Fault::at(Vendor::Genesys, "agentless").throttled("0.1"),
        Fault::at(Vendor::Graph, "/users/").times(2).status(401),
        Fault::at(Vendor::Genesys, "agentless").times(2).status(401),
    ]
    .into_iter()
    .enumerate()
    {
        world.faults.add(fault);
        let body = escalation(&format!("wire-{index}"));
        answer(&escalate, event("escalate", Some(&body)), LAMBDA, escalate::handle).await;
        world.faults.clear();
        answers += 1;
    }
    // Presences: one that is set, and a batch with poison whose text must not be repeated.
    let (presence, mirror) = (bundle.update_presence().unwrap(), bundle.mirror_presence().unwrap());
    answer(&presence, event("update-presence", None), LAMBDA, update_presence::handle).await;
    let mut batch = presence_batch();
    let mut poison = batch.records[0].clone();
    poison.body = Some(r#"{"detail": "call +447700900123"}"#.into());
    batch.records.push(poison);
    let failed = mirror.answer(batch, invocation(LAMBDA), mirror_presence::handle).await;
    assert_eq!(failed.batch_item_failures.len(), 1);
    answers += 2;
    // Notifications: taken, of strangers, malformed, and such that the queue does not take.
    let webhook = bundle.graph_webhook().unwrap();
    let good = event("graph-webhook", None).body.unwrap();
    let rich = good.replacen("\"changeType\"", "\"encryptedContent\": {\"data\": \"eyJib2R5Ijo\"}, \"changeType\"", 1);
    for (body, fails) in [
        (good.clone(), false),
        (good.replace(CLIENT_STATE, "somebody else's"), false),
        (rich, false),
        (format!("{good}+447700900123"), false),
        (good, true),
    ] {
        if fails {
            world.faults.add(Fault::at(Vendor::Aws, "SendMessageBatch").times(0).status(500));
        }
        let mut posted = event("graph-webhook", None);
        posted.body = Some(body);
        webhook.answer(posted, invocation(LAMBDA), graph_webhook::handle).await;
        answers += 1;
    }
    world.faults.clear();
    // Tokens that expired, credentials that were replaced and ones that are refused.
    let mut secrets = world.tokens();
    secrets.extend([CLIENT_STATE.to_owned(), "somebody else's".to_owned()]);
    world.expire_tokens();
    world.directory().rotate_entra_secret();
    world.directory().rotate_genesys_secret();
    answer(&escalate, event("escalate", Some(&escalation("rotated"))), LAMBDA, escalate::handle).await;
    world.faults.add(Fault::at(Vendor::Aws, "GetSecretValue").times(0).status(500));
    world.expire_tokens();
    answer(&escalate, event("escalate", Some(&escalation("no-secret"))), LAMBDA, escalate::handle).await;
    answers += 2;

    secrets.extend(world.tokens());
    for app in world.directory().apps.values() {
        secrets.extend(app.secrets.iter().chain(&app.expired_secrets).cloned());
    }
    secrets.push(world.directory().genesys_secret.clone());
    assert!(secrets.len() >= 6, "there is something to look for");

    let log = log.text();
    assert_eq!(leaks(&log, secrets.iter().map(String::as_str)), Vec::<String>::new());
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let records = lines.iter().filter(|line| line["_aws"].is_object()).count();
    assert_eq!(records, answers, "one line a request");
    assert!(lines.iter().any(|line| line["level"] == "DEBUG"), "the bridge's own modules speak");
}

#[tokio::test]
async fn a_leak_would_be_seen() {
    let (log, _listening) = Log::listen();
    tracing::trace!(target: "bridge::http", "calling +447700900123 with s3cr3t");
    assert_eq!(leaks(&log.text(), ["s3cr3t"]), ["s3cr3t"], "a number is masked whoever logs it, a secret is not known");
    let quiet = Log::listen();
    tracing::debug!(target: "hyper::proto", "POST +447700900123");
    tracing::trace!(target: "lambda_runtime", "+447700900123");
    assert_eq!(quiet.0.text(), "", "foreign crates stay at INFO");
}
