//! The Markdown pages: a reader who follows a link that leads nowhere, or looks up a name that is not there, is lost
//! without an error. What is pasted from them is held by the tests of `tenant`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed test")]

mod links;
mod page;
mod reference;

use std::fs;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    checkout::root().join(name)
}

fn file(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
