//! What Microsoft Graph tells us: change notifications and lifecycle notifications, on their way from the open door to
//! those who act on them.
//!
//! - [`queued`]: what lies on the queues in between
//! - [`validation`], [`decrypt`]: whether a notification's content is Graph's, and what it says
//! - [`chat_message`], [`text`]: a message of a chat, and how it reads
//! - [`open_messaging`], [`media`], [`event_bus`]: where it goes

pub mod chat_message;
pub mod decrypt;
pub mod event_bus;
pub mod media;
pub mod open;
pub mod open_messaging;
pub mod process;
pub mod queued;
pub mod resource;
pub mod text;
pub mod validation;

pub use queued::{Change, EncryptedContent, Lifecycle, Queued};
