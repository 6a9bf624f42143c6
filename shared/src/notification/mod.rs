//! What Microsoft Graph tells us: change notifications and lifecycle notifications, on their way from the open door to
//! those who act on them.
//!
//! - [`queued`]: what lies on the queues in between

pub mod group;
pub mod queue;
pub mod queued;

pub use queue::{Entry, QueueError, Queues, SqsQueues};
pub use queued::{Change, EncryptedContent, Lifecycle, Queued};
