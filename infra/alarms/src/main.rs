//! `cargo alarms`: writes the alarms into the template.

use std::io::{self, Write};
use std::process::ExitCode;

use alarms::Trouble;
use lexopt::prelude::*;

const USAGE: &str = "\
Writes the alarms of infra/template.yaml from infra/alarms/alarms.toml.

Usage: cargo alarms [--check]

  --check   writes nothing, and fails when the template's alarms are not what the table says";

/// The command that was given on the command line.
enum Command {
    Help,
    Check,
    Write,
}

fn command() -> Result<Command, lexopt::Error> {
    let mut command = Command::Write;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("check") => command = Command::Check,
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(command)
}

fn main() -> ExitCode {
    let result = command().map_err(|error| Trouble(format!("{error}\n\n{USAGE}"))).and_then(run);
    let said = match &result {
        Ok(line) if line.is_empty() => Ok(()),
        Ok(line) => writeln!(io::stdout(), "{line}"),
        Err(trouble) => writeln!(io::stderr(), "{trouble}"),
    };
    if result.is_ok() && said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the command, and returns the text to print.
fn run(command: Command) -> Result<String, Trouble> {
    if matches!(command, Command::Help) {
        return Ok(USAGE.to_owned());
    }
    let (template, table) = alarms::committed()?;
    let written = alarms::written(&template, &table)?;
    match command {
        _ if written == template => Ok(String::new()),
        Command::Write => {
            let path = alarms::template_path();
            std::fs::write(&path, written).map_err(|error| Trouble(format!("{}: {error}", path.display())))?;
            Ok("infra/template.yaml".into())
        }
        _ => Err(Trouble(
            "The alarms of infra/template.yaml are not what infra/alarms/alarms.toml says. Write them anew with `cargo alarms`."
                .into(),
        )),
    }
}
