//! What a request leaves behind: one JSON line, which is log entry and CloudWatch embedded metrics in one.
//!
//! Everything that leaves the process for the log goes through the one `tracing` subscriber built here, so that a test
//! can listen at the same door. Free text from elsewhere is masked on its way out; see [`mask`].

mod lines;
mod mask;
mod record;

pub use lines::{init, subscriber};
pub use mask::mask;
pub use record::{Call, Outcome, Record, Upstream};
