//! The names of Graph's resources: one reader for every spelling, one normal form, and one table of what Microsoft says
//! about each kind.
//!
//! - [`ResourceName`] reads a name as a notification, a listing or a setting writes it, and gives its normal form, by which
//!   deliveries are remembered and queued in order.
//! - [`WatchedResource`] is the path that a subscription is made for, with its query, exactly as Graph is told.
//! - [`KINDS`] is the table: permissions, longest life of a subscription, rich notifications, and whether what has changed
//!   can be listed. The script in `infra/entra` and the tables in the documentation are tested against it.
//!
//! <https://learn.microsoft.com/graph/change-notifications-overview>

mod kind;
mod name;
mod watched;

pub use kind::{
    CHANNEL_MESSAGE, CHAT_MESSAGE, KINDS, ListedBy, MAIL_MESSAGE, ResourceKind, SubscriptionTerms, WatchedPath,
};
pub(crate) use name::ResourceName;
pub use watched::{Listing, WatchedResource};

#[cfg(test)]
mod tests;
