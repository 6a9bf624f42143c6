//! What the cargo aliases run: builds a tool, says how far it is, and becomes the tool.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Takes the name of a tool's package, then the tool's own arguments.
fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(package) = arguments.next().and_then(|name| name.into_string().ok()) else {
        say("Which tool? `cargo sandbox` and the other aliases in .cargo/config.toml name one.");
        return ExitCode::FAILURE;
    };
    let started = Instant::now();
    let built = checkout::build(
        &["--package", &package],
        |_| {},
        |compiled| {
            let seconds = started.elapsed().as_secs_f32();
            let so_far = match compiled {
                0 => "the first time takes some minutes".to_owned(),
                1 => "1 crate so far".to_owned(),
                more => format!("{more} crates so far"),
            };
            say(&format!("[{seconds:>5.1} s] building the tool `{package}`: {so_far}"));
        },
    );
    match built {
        Ok(built) if built.status.success() => become_tool(&package, arguments),
        // Cargo has said why.
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("cargo could not be started: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn become_tool(package: &str, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let error =
        Command::new(checkout::cargo()).args(["run", "--quiet", "--package", package, "--"]).args(arguments).exec();
    say(&format!("cargo could not be started: {error}"));
    ExitCode::FAILURE
}

/// To standard error: what a tool prints is its own.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
