//! `cargo data-action`: what a person reads when it cannot work here, and how it ends.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::process::{Command, Output};

/// Runs it on an action that calls nobody, with a workshop of its own unless that is changed.
fn data_action(name: &str, change: impl FnOnce(&mut Command)) -> Output {
    let home = checkout::target().join("tmp").join(name);
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir_all(&home).unwrap();
    let request = r#"{"requestUrlTemplate": "https://bridge.invalid/x", "requestType": "POST"}"#;
    let action = format!(r#"{{"name": "Call", "config": {{"request": {request}}}}}"#);
    std::fs::write(home.join("call.custom.json"), action).unwrap();
    std::fs::write(home.join("integration.json"), r#"{"bridge": "http://127.0.0.1:9", "credentials": {}}"#).unwrap();
    let mut command = Command::new(std::env::var_os("CARGO_BIN_EXE_data-action").unwrap());
    command.arg(home.join("call.custom.json")).arg("--integration").arg(home.join("integration.json"));
    command.env("CARGO_TARGET_DIR", home.join("target"));
    change(&mut command);
    let output = command.output().unwrap();
    let _ = std::fs::remove_dir_all(&home);
    output
}

/// The last line on standard error, where its end says that nothing was executed.
fn trouble(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    said.trim().lines().last().unwrap().to_owned()
}

#[test]
fn no_python() {
    let said = trouble(&data_action("no-python", |command| {
        command.env("PATH", "");
    }));
    assert!(said.starts_with("Python 3 is needed for the Velocity engine"), "{said}");
}

#[test]
fn no_network_at_the_first_time() {
    let said = trouble(&data_action("no-network", |command| {
        command.env("PIP_CONFIG_FILE", "/dev/null").env_remove("PIP_EXTRA_INDEX_URL").env_remove("PIP_FIND_LINKS");
        command.env("PIP_INDEX_URL", "https://127.0.0.1:9/simple").env("PIP_RETRIES", "0").env("PIP_NO_CACHE_DIR", "1");
    }));
    assert!(said.starts_with("The Velocity engine's Python packages could not be installed."), "{said}");
}

#[test]
fn a_file_that_is_no_action() {
    let manifest = checkout::root().join("tests/data-action-runner/Cargo.toml");
    let mut command = Command::new(std::env::var_os("CARGO_BIN_EXE_data-action").unwrap());
    let said = trouble(&command.arg(&manifest).args(["--integration", "nowhere.json"]).output().unwrap());
    assert!(said.starts_with("nowhere.json cannot be read") && said.contains("cargo sandbox"), "{said}");
    let said = trouble(&data_action("no-action", |command| {
        command.arg("--auth").arg(&manifest);
    }));
    assert!(said.contains("Cargo.toml is no data action's export"), "{said}");
}

#[test]
fn the_failure_path_is_told_and_ends_with_1() {
    let output = data_action("failure", |command| {
        command.args(["--input", "{\"a\": 1}"]).env_remove("CARGO_TARGET_DIR");
        if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
            command.env("CARGO_TARGET_DIR", target);
        }
    });
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    let steps =
        ["1. Input", "2. Request", "POST http://127.0.0.1:9/x", "3. Failed", "Failure: what the flow or script gets"];
    let places: Vec<_> = steps.iter().map(|step| said.find(step)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{said}");
}
