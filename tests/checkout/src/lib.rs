//! Where the tools find the checkout that they were started in, and how they build what is in it.
//!
//! A checkout that was copied or moved with its `target/` keeps the binaries of the old one: cargo takes them for its own
//! and does not build them again. A path that was compiled in would lead into the old checkout, so it is looked for when
//! a tool runs.

mod build;

use std::env;
use std::path::{Path, PathBuf};

pub use build::{Built, build, cargo};

/// A file that is in this workspace and in no other, below its root.
const LANDMARK: &str = "infra/template.yaml";

/// The root of the checkout: the workspace that cargo runs something of; without cargo the one that the binary is in, or
/// else that of the working directory. `.` when there is none.
#[must_use]
pub fn root() -> PathBuf {
    let said_by_cargo = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let places = [said_by_cargo, env::current_exe().ok(), env::current_dir().ok()];
    let found = places.iter().flatten().find_map(|place| root_above(place));
    found.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where cargo and the tools keep what they make.
#[must_use]
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn root_above(place: &Path) -> Option<&Path> {
    place.ancestors().find(|folder| folder.join(LANDMARK).is_file())
}
