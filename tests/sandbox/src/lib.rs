//! The bundle on a laptop: stand-ins for the vendors, a local AWS, and the bundle deployed to it.
//!
//! - [`stand_ins`]: Microsoft Entra ID, Microsoft Graph and Genesys Cloud, as far as the bridge talks to them, with
//!   faults that can be switched on
//! - [`cloud`]: a local AWS (ministack) that `infra/template.yaml` is deployed to
//! - [`data_actions`]: the data actions that are shipped, imported
//! - [`env_file`]: the `.env` file that `cargo lambda watch` starts the functions with
//! - [`functions`]: builds the Lambda binaries
//! - [`picture`]: an agent's and a customer's view of one click, as an SVG
//! - [`sandbox`]: all of it together; what the end-to-end tests drive
//! - [`story`]: one escalation, told on the terminal
//! - [`to_paste`]: the lines to try it with, and what they show

pub mod cloud;
pub mod data_actions;
pub mod env_file;
pub mod functions;
pub mod genesys_event;
pub mod picture;
pub mod sandbox;
pub mod script;
pub mod stand_ins;
pub mod story;
pub mod to_paste;
mod translated;

use std::path::PathBuf;

use python_packages::Environment;
pub use python_packages::Trouble;
pub use translated::translated_template;

/// Where the local AWS runs.
pub(crate) const PYTHON: Environment<'_> =
    Environment { whose: "local cloud", folder: "sandbox", requirements: include_str!("../requirements.txt") };

/// The folder where all sandboxes of this checkout keep their files.
pub(crate) fn workshop() -> PathBuf {
    PYTHON.home()
}
