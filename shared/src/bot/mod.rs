//! The bot in Teams: what the Bot Framework posts to it, and the proof that it did.

pub(crate) mod activity;
mod check;
mod service_url;
#[cfg(test)]
pub(crate) mod tests;

pub use self::activity::Activity;
pub use self::check::VerifiedActivity;
pub(crate) use self::check::{BearerToken, CheckError, TokenCheck};
pub use self::service_url::SignedServiceUrl;
