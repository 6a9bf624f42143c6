//! Builds the Lambda binaries for this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use checkout::root;

use crate::Trouble;

/// The functions of the bundle by their binaries' names, which are those of the folders in `functions/`, in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn names() -> Result<Vec<String>, Trouble> {
    let failed = |error| Trouble::from("The folder of the functions cannot be read", error);
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("functions")).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().join("Cargo.toml").is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

#[derive(Deserialize)]
struct CargoMessage {
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

/// Builds all functions, and returns the binary of each. Reports through `progress` how far it is.
///
/// # Errors
/// When one does not build.
pub fn build(progress: &dyn Fn(&str)) -> Result<BTreeMap<String, PathBuf>, Trouble> {
    build_with(&[], &[], progress)
}

/// As [`build`], with these packages too, and with these arguments to `cargo build`.
///
/// # Errors
/// When one does not build.
pub fn build_with(
    more: &[&str],
    arguments: &[&str],
    progress: &dyn Fn(&str),
) -> Result<BTreeMap<String, PathBuf>, Trouble> {
    let functions = names()?;
    let names: Vec<&str> = functions.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let packages: Vec<&str> = names.iter().flat_map(|name| ["--package", name]).collect();
    let compiled = |crates: usize| progress(&format!("building the functions: {crates} crates so far"));
    let in_checkout = |cargo: &mut Command| {
        cargo.current_dir(root());
    };
    let built = checkout::build(&[&packages, arguments].concat(), in_checkout, compiled)
        .map_err(|error| Trouble::from("cargo could not be started", error))?;
    if !built.status.success() {
        return Err(Trouble("The functions do not build; cargo says why above.".into()));
    }
    let messages = built.messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let binaries: BTreeMap<String, PathBuf> = messages
        .filter_map(|message: CargoMessage| Some((message.target.name, message.executable?)))
        .filter(|(name, _)| names.contains(&name.as_str()))
        .collect();
    match names.iter().find(|name| !binaries.contains_key(**name)) {
        None => Ok(binaries),
        Some(name) => Err(Trouble(format!("cargo built no binary called {name}."))),
    }
}
