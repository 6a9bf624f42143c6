//! Notifications of Microsoft Graph: change notifications and lifecycle notifications, from the webhook to the event
//! that a sink gets.
//!
//! - [`door`]: the use case of the webhook: a notification with the right client state goes on a queue, in order
//! - [`queued`]: the format of a message on that queue, its group, and the queue itself in Amazon SQS
//! - [`open`]: from a queued notification to its resource: its token is checked, its content decrypted or fetched
//! - [`event`]: what the relay delivers to the sinks

pub mod door;
pub mod event;
pub mod open;
pub mod queued;

pub use door::client_state::{ClientState, ClientStateSecret, ClientStates};
pub use door::collection::{Collection, Notification};
pub use door::{Admitted, DoorTally, Doorkeeper, Receiver, ReceiverSettings};
pub use queued::queue::{QueueEntry, QueueError, Queues, SqsQueues};
pub use queued::{Change, EncryptedContent, Lifecycle, Queued, Unreadable};

/// The variables of which the first that is set names the secret of the keys and certificates of encrypted
/// notifications.
pub(crate) const NOTIFICATION_KEYS: [&str; 2] = ["NOTIFICATION_KEYS_SECRET_ID", "WEBHOOK_SECRET_ID"];
