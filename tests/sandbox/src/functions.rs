//! Builds the Lambda binaries for this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::{Trouble, root};

/// The functions of the bundle, by their binary's name.
pub const FUNCTIONS: &[&str] = &[
    "create-meeting",
    "send-sms",
    "escalate",
    "update-presence",
    "mirror-presence",
    "graph-webhook",
    "renew-subscriptions",
    "process-notification",
];

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    executable: Option<PathBuf>,
    #[serde(default)]
    target: Target,
}

#[derive(Deserialize, Default)]
struct Target {
    #[serde(default)]
    name: String,
}

/// Builds all functions; gives the binary of each. Cargo's own progress goes to the terminal.
///
/// # Errors
/// When one does not build.
pub fn build() -> Result<BTreeMap<String, PathBuf>, Trouble> {
    build_with(&[], &[])
}

/// Builds all functions and these packages with these arguments to `cargo build`.
///
/// # Errors
/// When one does not build.
pub fn build_with(more: &[&str], arguments: &[&str]) -> Result<BTreeMap<String, PathBuf>, Trouble> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let names: Vec<&str> = FUNCTIONS.iter().chain(more).copied().collect();
    let packages = names.iter().flat_map(|name| ["--package", name]);
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["build", "--message-format", "json-render-diagnostics"])
        .args(packages)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Trouble::from("cargo could not be started", error))?;
    if !output.status.success() {
        return Err(Trouble("The functions do not build; cargo says why above.".into()));
    }
    let messages = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let binaries: BTreeMap<String, PathBuf> = messages
        .filter_map(|message: Message| Some((message.target.name, message.executable?)))
        .filter(|(name, _)| names.contains(&name.as_str()))
        .collect();
    match names.iter().find(|name| !binaries.contains_key(**name)) {
        None => Ok(binaries),
        Some(name) => Err(Trouble(format!("cargo built no binary called {name}."))),
    }
}
