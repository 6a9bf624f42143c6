//! What Microsoft Graph tells of: changes in chats, mailboxes and calendars.

pub mod decrypt;
pub mod validation;
