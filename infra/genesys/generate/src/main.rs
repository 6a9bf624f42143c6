//! `cargo genesys`: writes what Genesys Cloud imports.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use generate::{File, OrgValue, Trouble};
use lexopt::prelude::*;

const USAGE: &str = "\
Makes the data actions and the agent's script in infra/genesys/ from infra/openapi.yaml.

Usage: cargo genesys [--check]
       cargo genesys --to FOLDER --bridge-url URL
       cargo genesys --to FOLDER --action-id ID

  --check           writes nothing, and fails when a file is not what the contract says
  --to FOLDER       writes copies for an import by hand:
  --bridge-url URL  the data actions, for the bridge at this URL
  --action-id ID    the script, for the data action Escalate to Teams that has this id in your org";

#[derive(Default)]
struct Options {
    help: bool,
    check: bool,
    to: Option<PathBuf>,
    values: Vec<OrgValue>,
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("check") => options.check = true,
            Long("to") => options.to = Some(arguments.value()?.into()),
            Long("bridge-url") => options.values.push(OrgValue::BridgeUrl(arguments.value()?.string()?)),
            Long("action-id") => options.values.push(OrgValue::ActionId(arguments.value()?.string()?)),
            Long("help") | Short('h') => options.help = true,
            other => return Err(other.unexpected()),
        }
    }
    let copies = options.to.is_some();
    if copies == options.values.is_empty() || (copies && options.check) {
        return Err("--to goes with --bridge-url or --action-id, and without --check".into());
    }
    Ok(options)
}

fn main() -> ExitCode {
    let result = match options() {
        Ok(options) if options.help => Ok(vec![USAGE.to_owned()]),
        Ok(options) => run(&options),
        Err(error) => Err(Trouble(format!("{error}\n\n{USAGE}"))),
    };
    let said = match &result {
        Ok(lines) => lines.iter().try_for_each(|line| writeln!(io::stdout(), "{line}")),
        Err(trouble) => writeln!(io::stderr(), "{trouble}"),
    };
    if result.is_ok() && said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the files, and returns their paths.
fn run(options: &Options) -> Result<Vec<String>, Trouble> {
    if let Some(folder) = &options.to {
        let mut lines = Vec::new();
        for value in &options.values {
            lines.extend(write(&generate::filled(generate::files()?, value)?, folder)?);
        }
        return Ok(lines);
    }
    let files = generate::files()?;
    if !options.check {
        return write(&files, &generate::folder());
    }
    let differing = generate::differing(&files);
    if differing.is_empty() { Ok(Vec::new()) } else { Err(Trouble(differing.join("\n"))) }
}

fn write(files: &[File], folder: &Path) -> Result<Vec<String>, Trouble> {
    let mut lines = Vec::new();
    for file in files {
        let path = folder.join(&file.path);
        let said = |error: io::Error| Trouble(format!("{}: {error}", path.display()));
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(said)?;
        std::fs::write(&path, &file.text).map_err(said)?;
        lines.push(file.path.display().to_string());
    }
    Ok(lines)
}
