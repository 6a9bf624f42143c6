//! The client of the Genesys Cloud platform API, with the calls that the bridge makes.

mod error;
mod messages;
mod open_messages;
mod users;

use std::sync::Arc;

pub use error::GenesysError;
pub use messages::{AgentlessMessage, AgentlessMessages, AgentlessReceipt};
pub use open_messages::{
    InboundAttachment, InboundChannel, InboundContent, InboundMessage, InboundReceipt, InboundSender,
};
pub use users::{ExternalIds, LinkList, LinksPage};

use crate::auth::genesys::Login;
use crate::auth::{Authorized, Issuer};
use crate::config::{Environment, GenesysDomain, Origin};
use crate::http::RequestContext;
use crate::secrets::Secret;
use crate::startup::Startup;

/// The client. Each resource's file has a trait for a use case to ask for, beside its implementation; every method is
/// one remote operation. Clones share the token and the connections.
#[derive(Debug, Clone)]
pub struct GenesysClient {
    remote: Arc<Authorized>,
    base: Origin,
}

impl GenesysClient {
    /// A client whose calls go to the region's API host.
    #[must_use]
    pub fn new(remote: Authorized, base: Origin) -> Self {
        Self { remote: Arc::new(remote), base }
    }

    /// The client of the OAuth client in `GENESYS_SECRET_ID`, which the process has one of: `GENESYS_DOMAIN`, or
    /// `GENESYS_LOGIN_URL` and `GENESYS_API_URL`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        startup.shared(Self::from_settings)
    }

    fn from_settings(startup: &mut Startup<'_>) -> Option<Self> {
        let secret = Secret::from_startup(startup, &["GENESYS_SECRET_ID"]);
        let login = origin(startup.env, "GENESYS_LOGIN_URL", "login");
        let api = origin(startup.env, "GENESYS_API_URL", "api");
        let (secret, login, api) = (secret?, login?, api?);
        let http = startup.http().clone();
        let login = Login::new(http.clone(), login, secret);
        Some(Self::new(Authorized::new(http, Issuer::Genesys(login)), api))
    }

    /// Fetches the token and opens the connection, so that the first call finds both. A failure is only logged.
    pub async fn warm_up(&self, cx: &RequestContext) {
        let ((), token) = tokio::join!(self.remote.http.connect(self.base.join([])), self.remote.warm_up(cx));
        if let Err(error) = token {
            tracing::warn!(%error, "the Genesys Cloud token could not be fetched ahead of time");
        }
    }
}

/// Where a service of the region is: the variable of this name, else the service's host in `GENESYS_DOMAIN`.
fn origin(env: &mut Environment, name: &str, service: &str) -> Option<Origin> {
    env.optional(name).or_else(|| {
        let domain = env.required::<GenesysDomain>("GENESYS_DOMAIN")?;
        domain.origin(service).map_err(|error| env.problem(format!("GENESYS_DOMAIN: {error}"))).ok()
    })
}

#[cfg(test)]
mod tests;
