//! `cargo build`, with a word on how far it is every few seconds in place of a line for every crate.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a build says nothing at first: one that has nothing to do needs no word.
const SILENT: Duration = Duration::from_millis(400);

/// How often it says how far it is after that.
const EVERY: Duration = Duration::from_secs(15);

/// How a build ended.
#[derive(Debug)]
pub struct Built {
    /// The exit status of cargo.
    pub status: ExitStatus,
    /// Cargo's messages, a JSON object a line: <https://doc.rust-lang.org/cargo/reference/external-tools.html>.
    pub messages: Vec<u8>,
}

/// Runs `cargo build` with these arguments in the working directory that `change` may set. What does not compile goes to
/// the terminal; `progress` gets the number of crates that were compiled so far, first when the build turns out to take a
/// while.
///
/// # Errors
/// Cargo cannot be started, or its messages cannot be read.
pub fn build(
    arguments: &[&str],
    change: impl FnOnce(&mut Command),
    mut progress: impl FnMut(usize),
) -> io::Result<Built> {
    let mut command = Command::new(cargo());
    command.args(["build", "--quiet", "--message-format", "json-render-diagnostics"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    change(&mut command);
    let mut process = command.spawn()?;
    let stdout = process.stdout.take();
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || read_lines(stdout, |line| sender.send(line).is_ok()));

    let (mut messages, mut compiled) = (Vec::new(), 0);
    let mut next_word = Instant::now() + SILENT;
    loop {
        match lines.recv_timeout(next_word.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                compiled += usize::from(is_compiled(&line));
                messages.extend(line);
            }
            Err(RecvTimeoutError::Timeout) => {
                progress(compiled);
                next_word = Instant::now() + EVERY;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = process.wait()?;
    reader.join().unwrap_or(Ok(()))?;
    Ok(Built { status, messages })
}

/// The cargo that started this process, or else the one on the path.
#[must_use]
pub fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn read_lines(from: Option<impl Read>, mut take: impl FnMut(Vec<u8>) -> bool) -> io::Result<()> {
    let Some(from) = from else { return Ok(()) };
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line)? == 0 || !take(line) {
            return Ok(());
        }
    }
}

/// Whether a message says that a crate was compiled, and not found compiled.
fn is_compiled(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    text.starts_with(r#"{"reason":"compiler-artifact""#) && text.contains(r#""fresh":false"#)
}
