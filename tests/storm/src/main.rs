//! `cargo storm`: thousands of chat messages through the deployed bundle, while everything fails that can.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use sandbox::Trouble;
use sandbox::functions;
use sandbox::sandbox::{Ports, Sandbox};
use storm::storm::{Outcome, PARAMETERS, Storm};

const USAGE: &str = "\
Writes thousands of messages into Teams chats and looks whether each is in Genesys Cloud in the end, once and in its
order, although Graph sends 5 of 100 notifications twice, 2 late and 1 never, Genesys Cloud fails 1 of 100 calls, half
of them after it took the message, and the worker is killed at its work.

Usage: cargo storm [--messages N] [--chats N] [--per-second N] [--kills N] [--genesys-per-minute N]
                   [--genesys-forgets-ids] [--worker-timeout SECONDS]
                   [--outage SECONDS] [--refused-secret SECONDS] [--wrong-key]

  --messages N            10,000 when not given
  --chats N               chats that they are written in, 200 when not given
  --per-second N          how many are written in a second, 60 when not given
  --kills N               how often the worker is killed, 2 when not given
  --genesys-per-minute N  requests that Genesys Cloud takes in a minute, 10,000 when not given
  --genesys-forgets-ids   Genesys Cloud shows a message twice that it is sent twice: one whose answer was lost, or
                          whose worker was killed, may then be there up to six times
  --worker-timeout S      how long the worker has for a batch, after twice which a killed one's messages come back; 90 as
                          the template says when not given
  --outage S              when a quarter is there, Genesys Cloud answers nothing but 503 for so long
  --refused-secret S      when half is there, Genesys Cloud refuses the bridge's secret for so long
  --wrong-key             the worker has a private key that is not its certificate's";

fn options() -> Result<Option<Storm>, lexopt::Error> {
    let mut storm = Storm { kills: 2, ..Storm::of(10_000, 200, 60) };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("messages") => storm.messages = arguments.value()?.parse()?,
            Long("chats") => storm.chats = arguments.value()?.parse()?,
            Long("per-second") => storm.per_second = arguments.value()?.parse()?,
            Long("kills") => storm.kills = arguments.value()?.parse()?,
            Long("genesys-per-minute") => storm.genesys_per_minute = arguments.value()?.parse()?,
            Long("genesys-forgets-ids") => storm.genesys_knows_ids = false,
            Long("worker-timeout") => {
                storm.worker_timeout = Some(Duration::from_secs(arguments.value()?.parse()?));
            }
            Long("outage") => storm.outage = Duration::from_secs(arguments.value()?.parse()?),
            Long("refused-secret") => storm.refused_secret = Duration::from_secs(arguments.value()?.parse()?),
            Long("wrong-key") => storm.wrong_key = true,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(storm))
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut out = io::stdout();
    let done = match options() {
        Ok(Some(storm)) => run(&storm, &mut out).await,
        Ok(None) => writeln!(out, "{USAGE}").map(|()| true).map_err(|error| Trouble(error.to_string())),
        Err(error) => Err(Trouble(format!("{error}\n\n{USAGE}"))),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "{trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the storm. Returns whether every promise was kept.
async fn run(storm: &Storm, out: &mut impl Write) -> Result<bool, Trouble> {
    let began = Instant::now();
    let progress = |what: &str| {
        let _ = writeln!(io::stdout(), "[{:>5.0} s] {what}", began.elapsed().as_secs_f32());
    };
    let sandbox = Sandbox::start_with(Ports::Any, functions::build, PARAMETERS, progress).await?;
    let outcome = storm.run(&sandbox, progress).await?;
    let broken = outcome.broken();
    let lines = broken.iter().map(|line| format!("BROKEN: {line}\n"));
    let told = format!("\n{}{}", told(&outcome), lines.collect::<String>());
    out.write_all(told.as_bytes()).map_err(|error| Trouble(format!("The terminal is gone: {error}")))?;
    sandbox.cloud.stop().await;
    Ok(broken.is_empty())
}

fn told(outcome: &Outcome) -> String {
    let Outcome { verdict, notifications, killed_at_work, genesys_failures, left, dead_letters, took, .. } = outcome;
    format!(
        "Written: {} messages. Graph sent {} notifications in {} requests ({} twice, {} late, {} never; {} requests failed).\n\
         Genesys Cloud failed {genesys_failures} calls. The worker was killed at work on {killed_at_work:?} messages.\n\
         Shown once: {}. Missing: {}. More than once: {}, at most {} times. Wrong: {}. Chats out of order: {}.\n\
         Notifications still on the queue: {left}. In the dead-letter queue: {dead_letters}.\n\
         After a younger one: {} that Graph told of late or never, {} others.\n\
         The last message was there {:.0} s after the first was written.\n",
        verdict.written,
        notifications.delivered,
        notifications.posts,
        notifications.duplicated,
        notifications.reordered,
        notifications.lost,
        notifications.failed_posts,
        verdict.once,
        verdict.missing,
        verdict.repeated,
        verdict.most,
        verdict.wrong,
        verdict.disordered,
        verdict.late,
        verdict.overtaken,
        took.as_secs_f32(),
    )
}
