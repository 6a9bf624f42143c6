//! `cargo genesys`: writes what Genesys Cloud imports.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use generate::{File, Trouble};
use lexopt::prelude::*;

const USAGE: &str = "\
Makes the data actions in infra/genesys/ from infra/openapi.yaml.

Usage: cargo genesys [--check]

  --check   writes nothing, and fails when a file is not what the contract says";

fn is_check() -> Result<Option<bool>, lexopt::Error> {
    let mut check = false;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("check") => check = true,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(check))
}

fn main() -> ExitCode {
    let result = match is_check() {
        Ok(Some(true)) => generate::files().and_then(|files| check(&files)),
        Ok(Some(false)) => generate::files().and_then(|files| write(&files, generate::folder())),
        Ok(None) => Ok(vec![USAGE.to_owned()]),
        Err(error) => Err(Trouble(format!("{error}\n\n{USAGE}"))),
    };
    let said = match &result {
        Ok(lines) => lines.iter().try_for_each(|line| writeln!(io::stdout(), "{line}")),
        Err(trouble) => writeln!(io::stderr(), "{trouble}"),
    };
    if result.is_ok() && said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(files: &[File]) -> Result<Vec<String>, Trouble> {
    let differing = generate::differing(files);
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
