//! The Genesys Cloud platform API, as far as the bridge calls it.

mod error;
mod messages;
mod open_messages;
mod users;

pub use error::GenesysError;
pub use messages::{AgentlessMessage, AgentlessMessages, AgentlessReceipt};
pub use open_messages::{
    InboundAttachment, InboundChannel, InboundContent, InboundMessage, InboundReceipt, InboundSender,
};
pub use users::{ExternalIds, LinkList, LinksPage};

use crate::auth::Authorized;
use crate::config::Origin;
use crate::http::RequestContext;

/// The client. What a use case takes of it is a trait beside its implementation, in the file of the resource; every method is
/// one remote operation.
#[derive(Debug)]
pub struct GenesysClient {
    remote: Authorized,
    base: Origin,
}

impl GenesysClient {
    /// Calls go to the region's API host.
    #[must_use]
    pub fn new(remote: Authorized, base: Origin) -> Self {
        Self { remote, base }
    }

    /// Fetches the token and opens the connection, so that the first call finds both. Failure is of no consequence but
    /// the log entry.
    pub async fn warm_up(&self, cx: &RequestContext) {
        let ((), token) = tokio::join!(self.remote.http.connect(self.base.join([])), self.remote.warm_up(cx));
        if let Err(error) = token {
            tracing::warn!(%error, "no token ahead of time");
        }
    }
}

#[cfg(test)]
mod tests;
