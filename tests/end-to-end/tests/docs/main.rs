//! Tests of the Markdown pages: a reader who follows a broken link, or looks up a name that does not exist, is lost
//! without an error. The commands on the pages are tested in `tenant`.

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
