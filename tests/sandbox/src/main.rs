//! `cargo sandbox`: the bundle on a laptop.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use data_action_runner::Engine;
use lexopt::prelude::*;
use sandbox::sandbox::{Ports, Sandbox};
use sandbox::stand_ins::{AGENT_GENESYS_ID, AGENT_ID};
use sandbox::{Trouble, story};

const USAGE: &str = "\
Deploys the bundle to a local cloud, with stand-ins for Microsoft 365 and Genesys Cloud, and tells the story of one
escalation and one change of presence. Stays up until Ctrl-C.

Usage: cargo sandbox [--once] [--port N]

  --once     ends after the story, with 0 only if all of it held
  --port N   takes the ports N to N+4 (4566 to 4570 when not given): cloud, control panel, Entra, Graph, Genesys Cloud";

struct Options {
    once: bool,
    port: u16,
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { once: false, port: 4566 };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("once") => options.once = true,
            Long("port") => options.port = arguments.value()?.parse()?,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut out = io::stdout();
    let outcome = match options() {
        Ok(Some(options)) => run(&options, &mut out).await,
        Ok(None) => writeln!(out, "{USAGE}").map(|()| true).map_err(|error| Trouble(error.to_string())),
        Err(error) => Err(Trouble(format!("{error}\n\n{USAGE}"))),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            let _ = writeln!(io::stderr(), "\nNot everything in the story held: see the lines with ✗.");
            ExitCode::FAILURE
        }
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "\n{trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options, out: &mut impl Write) -> Result<bool, Trouble> {
    let started = Instant::now();
    let progress = |what: &str| {
        let _ = writeln!(io::stdout(), "[{:>5.1} s] {what}", started.elapsed().as_secs_f32());
    };
    let told = async {
        let sandbox = Sandbox::start(Ports::From(options.port), progress).await?;
        let engine = Arc::new(Engine::start(progress)?);
        progress("ready");
        let held = story::tell(&sandbox, engine, out).await?;
        Ok::<_, Trouble>((sandbox, held))
    };
    // Whoever ends the sandbox early ends everything it started: the local cloud goes when this process does.
    let (sandbox, held) = tokio::select! {
        told = told => told?,
        _ = tokio::signal::ctrl_c() => return Err(Trouble("Ended before the story was told.".into())),
    };
    if !options.once {
        stay(&sandbox, &mut io::stdout()).await?;
    }
    sandbox.cloud.stop().await;
    Ok(held)
}

async fn stay(sandbox: &Sandbox, out: &mut impl Write) -> Result<(), Trouble> {
    let env_file = sandbox.write_env_file()?;
    let integration_file = sandbox.write_integration_file()?;
    let written = out.write_all(instructions(sandbox, &env_file).as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Trouble(format!("The terminal is gone: {error}")))?;
    let interrupted = tokio::signal::ctrl_c().await;
    for file in [env_file, integration_file] {
        let _ = std::fs::remove_file(file);
    }
    interrupted.map_err(|error| Trouble(format!("Ctrl-C cannot be waited for: {error}")))
}

fn instructions(sandbox: &Sandbox, env_file: &Path) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
    let env_file = env_file.strip_prefix(here).unwrap_or(env_file).display();
    let (url, host) = sandbox.route("/escalations");
    let (presence_url, _) = sandbox.route("/presence");
    let control = &sandbox.control;
    let token_request = sandbox.caller_token_command();
    format!(
        r#"
The sandbox is up until Ctrl-C. Copy and paste:

  # one click, and what becomes of it step by step; the same line again is a second click
  cargo data-action infra/genesys/data-actions/escalate-to-teams.custom.json \
    --input '{{"user":"kim@contoso.com","agentName":"Kim","toAddress":"+447700900456","conversationId":"demo-1"}}'

  # in a browser: somebody writes in Teams on the left, and on the right is what the agent sees in Genesys Cloud
  {control}/teams

  # a token, as Genesys Cloud's customAuth action fetches it
  TOKEN=$({token_request} | python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')

  # a click without Genesys Cloud
  curl -s {url} -H 'Host: {host}' -H "Authorization: Bearer $TOKEN" -w '\n' \
    -d '{{"user":"kim@contoso.com","agentName":"Kim","toAddress":"+447700900457","conversationId":"demo-2"}}'

  # an agent goes On Queue: by one call, and by an event on Amazon EventBridge; then what Teams shows
  curl -s {presence_url} -H 'Host: {host}' -H "Authorization: Bearer $TOKEN" -w '\n' \
    -d '{{"userId":"{AGENT_GENESYS_ID}","systemPresence":"On Queue"}}'
  curl -s {control}/genesys-presence -d '{{"userId":"{AGENT_GENESYS_ID}","systemPresence":"MEAL"}}'
  curl -s {control}/presence/{AGENT_ID}

  # what the phones got
  curl -s {control}/phone -w '\n'

  # things that go wrong: Graph throttles, Genesys Cloud resets after it took the message, a secret is rotated
  curl -s {control}/faults -d '{{"at":"graph","match":"createOrGet","status":429,"retryAfter":"1.5"}}'
  curl -s {control}/faults -d '{{"at":"genesys","match":"agentless","when":"after","reset":true}}'
  curl -s {control}/rotate -d '{{"at":"entra"}}'
  curl -s {control}/          # all that can be switched on

  # the functions without the local cloud, in another terminal (needs cargo-lambda)
  cargo lambda watch --env-file {env_file}
  cargo lambda invoke create-meeting --data-file tests/events/create-meeting.json

"#
    )
}
