//! `cargo data-action`: one execution of a data action, by hand.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use data_action_runner::{Action, Engine, Execution, Integration, Settings, Trouble};
use lexopt::prelude::*;
use serde_json::{Value, json};

const USAGE: &str = "\
Executes a data action as Genesys Cloud does. Prints every step, then the output or the failure as its author sees it.

Usage: cargo data-action FILE.custom.json [--input JSON] [--integration FILE] [--auth FILE]

  --input JSON        the action's input; {} when not given
  --integration FILE  {\"bridge\": its URL, \"credentials\": {the fields of the integration's credentials}}; when not
                      given the one that a running `cargo sandbox` keeps in target/sandbox/integration.json
  --auth FILE         the customAuth action; when not given the *.customAuth.json beside the action

Ends with 0 if the action succeeded, with 1 if it took the failure path, and with 2 if it could not be executed.";

struct Options {
    action: PathBuf,
    input: Value,
    integration: PathBuf,
    auth: Option<PathBuf>,
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let (mut action, mut input, mut auth) = (None, json!({}), None);
    let mut integration = checkout::target().join("sandbox").join("integration.json");
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("input") => {
                let text = arguments.value()?.string()?;
                input = serde_json::from_str(&text).map_err(|error| format!("--input is no JSON: {error}"))?;
            }
            Long("integration") => integration = arguments.value()?.into(),
            Long("auth") => auth = Some(arguments.value()?.into()),
            Long("help") | Short('h') => return Ok(None),
            Value(path) if action.is_none() => action = Some(PathBuf::from(path)),
            other => return Err(other.unexpected()),
        }
    }
    let action = action.ok_or("which action? Name its export file.")?;
    Ok(Some(Options { action, input, integration, auth }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match options() {
        Ok(Some(options)) => run(&options).await,
        Ok(None) => say(USAGE).map(|()| true),
        Err(error) => Err(Trouble(format!("{error}\n\n{USAGE}"))),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "{trouble}");
            ExitCode::from(2)
        }
    }
}

async fn run(options: &Options) -> Result<bool, Trouble> {
    let settings = settings(&options.integration)?;
    let action = Action::read(&options.action)?.calling(&settings.bridge);
    let auth = match &options.auth {
        Some(path) => Some(path.clone()),
        None => auth_beside(&options.action),
    };
    let auth = auth.as_deref().map(Action::read).transpose()?;
    let engine = Engine::start(|what| {
        let _ = writeln!(io::stderr(), "{what}");
    })?;
    let integration = Integration::new(Arc::new(engine), settings.credentials, auth)?;
    let Execution { outcome, trace, took } = integration.execute(&action, &options.input).await;
    say(&format!("{} took {} ms\n\n{trace}", action.name, took.as_millis()))?;
    match &outcome {
        Ok(output) => say(&format!("Success: what the flow or script gets\n{}", pretty(output)))?,
        Err(failure) => say(&format!("Failure: what the flow or script gets\n{}", pretty(failure)))?,
    }
    Ok(outcome.is_ok())
}

/// The customAuth action that was exported into the same folder.
fn auth_beside(action: &Path) -> Option<PathBuf> {
    let folder = action.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    files.into_iter().find(|file| file.to_string_lossy().ends_with(".customAuth.json"))
}

fn settings(path: &Path) -> Result<Settings, Trouble> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        Trouble(format!(
            "{shown} cannot be read ({error}). A running `cargo sandbox` keeps its bridge and credentials there; for \
             others name a file with --integration."
        ))
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Trouble(format!("{shown} does not hold `bridge` and `credentials`: {error}")))
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn say(text: &str) -> Result<(), Trouble> {
    writeln!(io::stdout(), "{text}").map_err(|error| Trouble::from("The terminal is gone", error))
}
