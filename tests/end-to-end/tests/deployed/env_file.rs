//! The sandbox's `.env` file, read by cargo-lambda itself.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use python_packages::Environment;
use sandbox::env_file;
use serde_json::Value;

use super::beside_others;

/// As docs/how-to/run-locally.md has a developer install it, without the packages that only `cargo lambda build` needs.
const CARGO_LAMBDA: Environment<'_> =
    Environment { whose: "cargo-lambda", folder: "cargo-lambda", requirements: "cargo-lambda==1.9.2\n" };

/// How long cargo-lambda may take to build a program of ten lines and to start it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A "function" that writes the environment it was started in to the file `seen`.
const FUNCTION: &str = r#"
fn main() {
    let seen: String = std::env::vars().map(|(name, value)| format!("{name}={value}\0")).collect();
    std::fs::write("seen.new", seen).unwrap();
    std::fs::rename("seen.new", "seen").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(10));
}
"#;

fn workspace(name: &str) -> PathBuf {
    let folder = checkout::target().join("tmp").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = "[package]\nname = \"seen\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/main.rs"), FUNCTION).unwrap();
    folder
}

/// The environment that `cargo lambda watch --env-file FILE` starts a function in.
fn read_by_cargo_lambda(name: &str, file: &Path) -> BTreeMap<String, String> {
    let interpreter = CARGO_LAMBDA.interpreter(|what| println!("{what}")).unwrap();
    let folder = workspace(name);
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).unwrap().port();
    let log = std::fs::File::create(folder.join("watch.log")).unwrap();
    let mut watch = Command::new(interpreter.with_file_name("cargo-lambda"))
        .args(["lambda", "watch", "--ignore-changes", "-A", "127.0.0.1", "-P", &port.to_string(), "--env-file"])
        .arg(file)
        .current_dir(&folder)
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let started = Instant::now();
    // A function is started for a request; it stays unanswered.
    let mut request = None;
    let seen = loop {
        if request.is_none() {
            request = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
            if let Some(request) = &mut request {
                request.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}").unwrap();
            }
        }
        if let Ok(seen) = std::fs::read_to_string(folder.join("seen")) {
            break Some(seen);
        }
        if started.elapsed() > PATIENCE || watch.try_wait().unwrap().is_some() {
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let _ = watch.kill();
    let _ = watch.wait();
    let Some(seen) = seen else {
        panic!("cargo lambda watch: {}", std::fs::read_to_string(folder.join("watch.log")).unwrap_or_default());
    };
    let variables = seen.split('\0').filter_map(|variable| variable.split_once('='));
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn cargo_lambda_reads_the_env_file() {
    beside_others(async |sandbox| {
        let file = sandbox.write_env_file().unwrap();
        let read = read_by_cargo_lambda("env-file", &file);
        for (name, value) in sandbox.environment() {
            assert_eq!(read.get(name), Some(&value), "{name}");
        }
        let subscriptions: Value = serde_json::from_str(&read["SUBSCRIPTIONS"]).unwrap();
        assert_eq!(subscriptions.as_array().unwrap().len(), 2);
        std::fs::remove_file(file).unwrap();
    });
}

#[test]
fn cargo_lambda_reads_every_value_that_is_not_refused() {
    let odd = [
        ("JSON", r#"{"say": "he said \"no\"", "of": "mailFolders('inbox')", "empty": ""}"#),
        ("MARKS", "a=b #c `d` 'e' \"f\" $g ${h} \\i %j"),
        ("SPACE", "  before and after  "),
        ("LINES", "one\ntwo"),
        ("EMPTY", ""),
        ("QUOTE", "\""),
        ("LAST", "Grüße, 😀"),
    ];
    let file = checkout::target().join("tmp").join("odd.env");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, env_file::text(odd).unwrap()).unwrap();
    let read = read_by_cargo_lambda("odd-env-file", &file);
    for (name, value) in odd {
        assert_eq!(read.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn another_sandbox_of_this_checkout_has_files_of_its_own() {
    beside_others(async |sandbox| {
        let files = [sandbox.write_env_file().unwrap(), sandbox.write_integration_file().unwrap()];
        let everybodys = checkout::target().join("sandbox");
        for file in files {
            let folder = file.parent().unwrap().canonicalize().unwrap();
            assert_ne!(folder, everybodys.canonicalize().unwrap(), "{}", file.display());
            assert!(folder.to_string_lossy().contains(&sandbox.cloud.port.to_string()), "{}", folder.display());
        }
    });
}
