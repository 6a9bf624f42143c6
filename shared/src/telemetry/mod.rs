//! The record of a request: one JSON line that is a log entry and CloudWatch embedded metrics in one.
//!
//! All log output goes through the one `tracing` subscriber that is built here, which masks every text in every line; a
//! test can listen at the same place. [`mask`] also shortens a text from elsewhere.

mod figures;
mod lines;
mod mask;
mod record;

pub use figures::{Figure, Figures};
pub use lines::{init, subscriber};
pub use mask::mask;
pub use record::{CallRecord, Outcome, Record, Upstream};
