//! What a request leaves behind: one JSON line, which is log entry and CloudWatch embedded metrics in one.
//!
//! Everything that leaves the process for the log goes through the one `tracing` subscriber built here, so that a test
//! can listen at the same door, and masks every text in every line on its way out. [`mask`] also shortens a text that came
//! from elsewhere.

mod figures;
mod lines;
mod mask;
mod record;

pub use figures::{Figure, Figures};
pub use lines::{init, subscriber};
pub use mask::mask;
pub use record::{Call, Outcome, Record, Upstream};
