//! What somebody sees while a tool is built: a word within the first second, and not a line for every crate.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A workspace with a tool that takes two seconds to build, and prints its arguments.
fn workspace(name: &str, source: &str) -> PathBuf {
    let folder = checkout::target().join("tmp").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = "[package]\nname = \"slow\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    let build = "fn main() { std::thread::sleep(std::time::Duration::from_secs(2)); }";
    fs::write(folder.join("build.rs"), build).unwrap();
    fs::write(folder.join("src/main.rs"), source).unwrap();
    folder
}

/// The launcher in that workspace.
fn launcher(folder: &PathBuf) -> Command {
    let mut command = Command::new(env::var_os("CARGO_BIN_EXE_checkout").unwrap());
    command.args(["slow", "one", "two"]).current_dir(folder).env("CARGO_TARGET_DIR", folder.join("target"));
    command
}

#[test]
fn a_tool_that_takes_long_to_build_is_told_of_at_once() {
    let source = r#"fn main() { println!("{:?}", std::env::args().skip(1).collect::<Vec<_>>()); }"#;
    let folder = workspace("slow-tool", source);
    let started = Instant::now();
    let mut process = launcher(&folder).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(process.stderr.take().unwrap());
    let mut first = String::new();
    stderr.read_line(&mut first).unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?} until {first:?}", started.elapsed());
    assert!(first.contains("building the tool `slow`"), "{first}");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "[\"one\", \"two\"]\n");

    // Nothing to build, nothing to say.
    let again = launcher(&folder).output().unwrap();
    assert_eq!(String::from_utf8(again.stderr).unwrap(), "");
    assert!(again.status.success());
}

#[test]
fn what_does_not_compile_is_shown() {
    let folder = workspace("broken-tool", "fn main() { nothing(); }");
    let output = launcher(&folder).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot find function `nothing`"), "{said}");
}
