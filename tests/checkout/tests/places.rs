//! A checkout that was copied or moved works on its own files.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

/// What cargo compiles in: a place in the checkout that something was built in, which a copy's binaries keep.
const COMPILED_IN: [&str; 3] = ["CARGO_MANIFEST_DIR", "CARGO_TARGET_TMPDIR", "CARGO_BIN_EXE_"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.map(|path| match path.extension() {
        _ if path.is_dir() => sources(&path),
        Some(ending) if ending == "rs" => vec![path],
        _ => Vec::new(),
    });
    below.flatten().collect()
}

#[test]
fn no_source_has_its_own_place_compiled_in() {
    let root = checkout::root();
    let folders = ["functions", "infra", "shared", "tests"].map(|folder| sources(&root.join(folder)));
    let sources = folders.concat();
    assert!(sources.len() > 100, "{}", sources.len());
    let compiled_in = |path: &&PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        COMPILED_IN.iter().any(|name| text.contains(&format!(r#"env!("{name}"#)))
    };
    let wrong: Vec<_> = sources.iter().filter(compiled_in).collect();
    assert!(wrong.is_empty(), "`checkout::root()` and `checkout::target()` look when something runs: {wrong:?}");
}

#[test]
fn the_root_is_the_checkout_that_cargo_runs_something_of() {
    let root = checkout::root();
    assert!(root.join("Cargo.lock").is_file() && root.is_absolute(), "{}", root.display());
}

#[test]
fn the_page_of_the_tests_has_a_row_for_each_of_their_folders() {
    let root = checkout::root().join("tests");
    let folders = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let mut folders: Vec<String> = folders.map(|folder| folder.file_name().into_string().unwrap()).collect();
    folders.sort();
    let page = fs::read_to_string(root.join("README.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.trim_start_matches('[').strip_prefix('`'));
    let mut told: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    told.sort();
    assert_eq!(told, folders);
}

#[test]
fn every_alias_says_how_far_it_is() {
    let settings = fs::read_to_string(checkout::root().join(".cargo/config.toml")).unwrap();
    let (_, aliases) = settings.split_once("[alias]\n").unwrap();
    let aliases: Vec<&str> = aliases.lines().take_while(|line| !line.is_empty()).collect();
    assert!(aliases.len() >= 6, "{aliases:?}");
    for alias in aliases {
        assert!(alias.contains(r#"= "run --quiet --package checkout -- "#), "{alias}");
    }
}
