//! The files that a person imports or runs in Genesys Cloud and in Entra ID: each is parsed by a grammar of its
//! language, and every name in it must exist where it points to. No tenant is at hand, so a wrong name would otherwise
//! be found by the person who sets the bridge up.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed test")]

mod entra;
mod entra_changes;
mod flow;
mod guide;
mod resources;
mod terraform;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

fn path(name: &str) -> PathBuf {
    checkout::root().join(name)
}

fn file(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    yaml::from_str(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The data actions that call the bridge, by their file's name without its ending.
fn data_actions() -> BTreeMap<String, Value> {
    let folder = "infra/genesys/data-actions";
    let names = std::fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter_map(|name| Some((name.strip_suffix(".custom.json")?.to_owned(), json(&format!("{folder}/{name}")))))
        .collect()
}

/// The names of an object's fields.
fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The string literals of some Rust sources, tests included.
fn literals(folder: &str) -> BTreeSet<String> {
    let sources = std::fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().path());
    let sources = sources.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let texts = sources.map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.split('"').map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The texts in backticks outside of code blocks.
fn code_spans(markdown: &str) -> Vec<&str> {
    let prose = markdown.split("```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// The rows of the Markdown table with this header, cell by cell.
fn table<'a>(markdown: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let (_, rest) = markdown.split_once(header).unwrap_or_else(|| panic!("no table begins with {header}"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}
