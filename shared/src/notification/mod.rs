//! What Microsoft Graph tells us: change notifications and lifecycle notifications, on their way from the open door to
//! those who act on them.
//!
//! - [`receive`]: the use case of the door: whatever carries the right client state goes on a queue, in order
//! - [`collection`]: what Graph posts
//! - [`client_state`]: the secret that a notification must carry
//! - [`queued`]: what lies on the queues; [`group`]: what is kept in order there; [`queue`]: Amazon SQS
//! - [`process`]: the use case behind the queue: every version of a resource to every sink, once and in order; [`key`]: what
//!   is taken for the same; `patience`: an outage is sat out
//! - [`open`]: from a notification to its [`resource`]; [`validation`], [`decrypt`]: whether a content is Graph's, and what
//!   it says
//! - [`chat_message`], [`text`]: a message of a chat, and how it reads; `lenient_json`: where a writer has broken it
//! - [`outlets`]: the sinks; [`open_messaging`], [`media`], [`event_bus`]: where it goes

pub mod chat_message;
pub mod client_state;
pub mod collection;
pub mod decrypt;
pub mod event_bus;
pub mod group;
#[cfg(test)]
mod hostile;
pub mod key;
mod lenient_json;
pub mod media;
pub mod open;
pub mod open_messaging;
pub mod outlets;
mod patience;
pub mod process;
pub mod queue;
pub mod queued;
pub mod receive;
pub mod resource;
#[cfg(test)]
mod tests;
pub mod text;
pub mod validation;

pub use client_state::{ClientState, ClientStateSecret, ClientStates};
pub use collection::{Collection, Notification};
pub use queue::{Entry, QueueError, Queues, SqsQueues};
pub use queued::{Change, EncryptedContent, Lifecycle, Queued, Unreadable};
pub use receive::{Receiver, ReceiverSettings, Tally};
