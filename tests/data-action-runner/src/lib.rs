//! Runs the export file of a data action as Genesys Cloud does.
//!
//! - [`Action`]: the file, and [`Settings`]: what is set beside it
//! - [`Integration`]: the credentials and the customAuth action that it runs with; executes it
//! - [`Engine`]: what renders its templates (Apache Velocity) and reads its translation map (Jayway's JsonPath), the real ones
//! - [`Failure`]: what its author sees when it fails, and [`Trace`] what an administrator sees of every execution
//!
//! Of the macros that Genesys Cloud adds to Velocity there are `$esc` (`jsonString`, `jsonEncode`, `jsonDecode`, `url`,
//! `urlFormEncode`, `uriEncode`, `quote`, `dollar`, `hash`), `$encoding.base64` and
//! `successTemplateUtils.firstFromArray`. Whatever else a template names prints as it stands, and the trace says so.
//!
//! What is not known of Genesys Cloud is decided the harder way: any refusal, also a 5xx, makes the request go out once
//! more with a new token, if the token was a cached one.

pub mod action;
mod engine;
mod failure;
mod integration;
mod response;
mod trace;

pub use action::{Action, Settings};
pub use engine::{Engine, Rendered};
pub use failure::{Detail, Failure, Nested};
pub use integration::{Execution, Integration};
pub use python_packages::Trouble;
pub use trace::Trace;
