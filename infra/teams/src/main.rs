//! `cargo teams-app`: writes the package that a Teams administrator uploads.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::prelude::*;
use teams_app::Trouble;
use teams_app::app::{App, Options};

const USAGE: &str = "\
Makes the package of the Teams app: its manifest and its icons, in a zip for the upload.

Usage: cargo teams-app --app-id GUID --developer NAME --website URL --privacy URL --terms URL [options]

  --app-id GUID        the Application (client) ID of the bot's registration in Entra ID
  --developer NAME     the organization that answers for the app; at most 32 characters
  --website URL        its page about the app
  --privacy URL        its privacy statement
  --terms URL          its terms of use
  --name NAME          the app's name in Teams, at most 30 characters; otherwise `Contact Center Bridge`
  --app-version X.Y.Z  higher than that of the package it replaces; otherwise 1.0.0
  --commands NAMES     the commands that Teams offers as one types, with commas between them, or `all`; otherwise none.
                       Name only what the deployed bot has.
  --rsc                asks for every message of the group chats and teams that the app is installed in,
                       not only for those that mention the bot
  --out FILE           where the package goes; otherwise target/teams-app.zip

docs/how-to/teams-app.md says how a bot is registered, and where the package is uploaded.";

/// What was asked for on the command line.
#[derive(Default)]
struct Wish {
    help: bool,
    options: Options,
    out: Option<PathBuf>,
}

fn wish() -> Result<Wish, lexopt::Error> {
    let mut wish = Wish::default();
    let options = &mut wish.options;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        let text = match argument {
            Long("app-id") => &mut options.app_id,
            Long("name") => &mut options.name,
            Long("app-version") => &mut options.version,
            Long("developer") => &mut options.developer,
            Long("website") => &mut options.website,
            Long("privacy") => &mut options.privacy,
            Long("terms") => &mut options.terms,
            Long("commands") => &mut options.commands,
            Long("rsc") => {
                options.rsc = true;
                continue;
            }
            Long("out") => {
                wish.out = Some(arguments.value()?.into());
                continue;
            }
            Long("help") | Short('h') => {
                wish.help = true;
                continue;
            }
            other => return Err(other.unexpected()),
        };
        *text = Some(arguments.value()?.string()?);
    }
    Ok(wish)
}

fn main() -> ExitCode {
    let result = match wish() {
        Ok(wish) if wish.help => Ok(USAGE.to_owned()),
        Ok(wish) => run(&wish.options, &wish.out.unwrap_or_else(teams_app::usual_place)),
        Err(error) => Err(Trouble(format!("{error}\n\n{USAGE}"))),
    };
    let said = match &result {
        Ok(line) => writeln!(io::stdout(), "{line}"),
        Err(trouble) => writeln!(io::stderr(), "{trouble}"),
    };
    if result.is_ok() && said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the package, and returns the line to print.
fn run(options: &Options, out: &Path) -> Result<String, Trouble> {
    let app = App::read(options)?;
    let package = teams_app::package(&app)?;
    let no_file = |error: io::Error| {
        Trouble(format!("{} cannot be written: {error}. Name another file with --out.", out.display()))
    };
    out.parent().map_or(Ok(()), fs::create_dir_all).map_err(no_file)?;
    fs::write(out, package).map_err(no_file)?;
    Ok(format!("{}: app {}, version {}", out.display(), app.id(), app.version()))
}
