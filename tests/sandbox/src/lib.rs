//! The bundle on a laptop.
//!
//! - [`stand_ins`]: Microsoft Entra ID, Microsoft Graph and Genesys Cloud, as far as the bridge talks to them, with
//!   faults that can be switched on
//! - [`cloud`]: a local AWS (ministack) that `infra/template.yaml` is deployed to
//! - [`functions`]: builds the Lambda binaries
//! - [`python`]: the private virtual environment that the local AWS runs in
//! - [`sandbox`]: all of it together; what the end-to-end tests drive
//! - [`story`]: one escalation, told on the terminal

pub mod cloud;
pub mod functions;
pub mod genesys_event;
pub mod python;
pub mod sandbox;
pub mod stand_ins;
pub mod story;

use std::path::PathBuf;

/// Why the sandbox cannot work: one sentence with what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl Trouble {
    /// What happened, with its cause.
    pub(crate) fn from(what: &str, cause: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {cause}"))
    }
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Where the sandbox keeps its things.
pub(crate) fn workshop() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("sandbox")
}
