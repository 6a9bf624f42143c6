//! The order of floors: a room imports from the floors below it and from the rooms before it on its own floor, and from no
//! other. So no two rooms import each other, and a change of one is felt only above it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of `shared/src`, from the bottom to the top.
const FLOORS: [(&str, &[&str]); 5] = [
    (
        "machinery",
        &[
            "error",
            "telemetry",
            "config",
            "invisible",
            "unset",
            "fields",
            "cache",
            "queue",
            "aws",
            "http",
            "startup",
            "parameters",
            "live",
            "secrets",
            "auth",
        ],
    ),
    ("clients", &["teams", "store", "graph", "genesys"]),
    ("content", &["chat", "media"]),
    (
        "use cases",
        &["relay", "meeting", "sms", "escalation", "presence", "notification", "bot", "subscriptions", "sinks"],
    ),
    ("edge", &["edge"]),
];

/// Rooms of the tests, which may import from anywhere.
const OF_TESTS: [&str; 2] = ["remote", "walls"];

/// A source file: its room, how many modules lie between it and the crate's root, and its code without comments and tests.
struct Source {
    path: PathBuf,
    room: String,
    depth: usize,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = checkout::root().join("shared/src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("tests"));
            if path.is_dir() {
                folders.extend((!is_test).then_some(path));
            } else if path.extension().is_some_and(|kind| kind == "rs") && !is_test {
                sources.extend(source(&root, path));
            }
        }
    }
    sources
}

fn source(root: &Path, path: PathBuf) -> Option<Source> {
    let name = path.strip_prefix(root).unwrap();
    let mut modules: Vec<String> =
        name.with_extension("").iter().map(|module| module.to_string_lossy().into_owned()).collect();
    if modules.last().is_some_and(|module| module == "mod") {
        modules.pop();
    }
    let room = modules.first()?.clone();
    if room == "lib" || OF_TESTS.contains(&room.as_str()) {
        return None;
    }
    let text = fs::read_to_string(&path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
    Some(Source { path, room, depth: modules.len(), code })
}

/// The rooms that a file imports from: after `crate::`, and after as many `super::` as lead to the crate's root.
fn imports(source: &Source) -> BTreeSet<String> {
    let roots = ["crate::".to_owned(), "super::".repeat(source.depth)];
    let mut imports = BTreeSet::new();
    for root in roots {
        for (place, _) in source.code.match_indices(&root) {
            let (before, after) = (&source.code[..place], &source.code[place + root.len()..]);
            if before.ends_with("super::") || before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            assert!(!after.starts_with('{'), "{}: import each room by a line of its own", source.path.display());
            imports.insert(after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    imports.remove(&source.room);
    imports
}

/// Where a room stands, counted from the bottom.
fn place(room: &str) -> Option<usize> {
    FLOORS.iter().flat_map(|(_, rooms)| rooms.iter()).position(|known| *known == room)
}

#[test]
fn a_room_imports_only_from_below() {
    let mut broken = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources() {
        let here = place(&source.room);
        assert!(
            here.is_some(),
            "{} is on no floor: give it one, here and in docs/explanation/architecture.md",
            source.room
        );
        seen.insert(source.room.clone());
        for import in imports(&source) {
            if place(&import) >= here {
                broken.push(format!("{} imports from {import}", source.path.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    let rooms: BTreeSet<_> = FLOORS.iter().flat_map(|(_, rooms)| rooms.iter().map(|room| (*room).to_owned())).collect();
    assert_eq!(seen, rooms, "every room is looked at");
}

#[test]
fn an_import_from_above_is_found() {
    let source =
        |room: &str, depth, code: &str| Source { path: room.into(), room: room.into(), depth, code: code.into() };
    let graph = source("graph", 2, "use crate::relay::Event;\nuse super::super::sms;\nuse super::error;\n");
    assert_eq!(imports(&graph), BTreeSet::from(["relay".to_owned(), "sms".to_owned()]));
    let fields = source("fields", 1, "fn f() -> super::store::Hash { crate::error::x() }");
    assert_eq!(imports(&fields), BTreeSet::from(["error".to_owned(), "store".to_owned()]));
    assert!(place("graph") < place("relay") && place("relay") < place("edge"));
}

#[test]
fn the_page_on_the_architecture_has_the_same_floors() {
    let page = fs::read_to_string(checkout::root().join("docs/explanation/architecture.md")).unwrap();
    let drawing = page.split("```text").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for (floor, rooms) in FLOORS {
        let line = drawing.lines().find(|line| line.trim_start().starts_with(floor));
        let line = line.unwrap_or_else(|| panic!("the drawing has no floor {floor}"));
        let drawn: Vec<_> = line.trim_start()[floor.len()..].split_whitespace().collect();
        if floor != "edge" {
            assert_eq!(drawn, rooms, "{floor}");
        }
    }
}
