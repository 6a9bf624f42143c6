//! `cargo sandbox`: starts the bundle on a laptop.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use data_action_runner::Engine;
use lexopt::prelude::*;
use sandbox::cloud::USUAL_PORT;
use sandbox::sandbox::{Ports, Sandbox};
use sandbox::{Trouble, picture, story, to_paste};

const USAGE: &str = "\
Deploys the bundle to a local cloud, with stand-ins for Microsoft 365 and Genesys Cloud, and tells the story of one
escalation and one change of presence. Stays up until Ctrl-C.

Usage: cargo sandbox [--once] [--port N] [--picture FILE]

  --once          ends after the story, with 0 only if all of it held
  --picture FILE  clicks once more, and draws what the agent and the customer see as an SVG
  --port N        takes the ports N to N+4 (4566 to 4570 when not given): cloud, control panel, Entra, Graph, Genesys Cloud";

struct Options {
    once: bool,
    port: u16,
    picture: Option<PathBuf>,
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { once: false, port: USUAL_PORT, picture: None };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("once") => options.once = true,
            Long("picture") => options.picture = Some(arguments.value()?.into()),
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
        let held = story::tell(&sandbox, engine.clone(), out).await?;
        if let Some(file) = &options.picture {
            picture::take(&sandbox, engine, file).await?;
        }
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
    let steps = to_paste::steps(sandbox, &env_file, &integration_file);
    let told: String = steps.iter().map(|step| format!("\n{step}")).collect();
    let told = format!("\nThe sandbox is up until Ctrl-C. Copy and paste:\n{told}\n");
    let written = out.write_all(told.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Trouble(format!("The terminal is gone: {error}")))?;
    let interrupted = tokio::signal::ctrl_c().await;
    for file in [env_file, integration_file] {
        let _ = std::fs::remove_file(file);
    }
    interrupted.map_err(|error| Trouble(format!("Ctrl-C cannot be waited for: {error}")))
}
