//! What Microsoft Graph tells us: change notifications and lifecycle notifications, on their way from the open door to
//! those who act on them.
//!
//! - [`receive`]: the use case of the door: whatever carries the right client state goes on a queue, in order
//! - [`collection`]: what Graph posts
//! - [`client_state`]: the secret that a notification must carry
//! - [`queued`]: what lies on the queues; [`group`]: what is kept in order there; [`queue`]: Amazon SQS

pub mod client_state;
pub mod collection;
pub mod group;
pub mod queue;
pub mod queued;
pub mod receive;
#[cfg(test)]
mod tests;

pub use client_state::{ClientState, ClientStateSecret, ClientStates};
pub use collection::{Collection, Notification};
pub use queue::{Entry, QueueError, Queues, SqsQueues};
pub use queued::{Change, EncryptedContent, Lifecycle, Queued};
pub use receive::{Receiver, ReceiverSettings, Tally};
