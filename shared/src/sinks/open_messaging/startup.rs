//! The sink as the settings have it.

use std::sync::Arc;

use super::{OpenMessaging, OpenMessagingSettings};
use crate::config::Setting;
use crate::genesys::GenesysClient;
use crate::graph::GraphClient;
use crate::media::S3Media;
use crate::startup::Startup;
use crate::store::chat_names::DynamoChatNames;

impl OpenMessaging<S3Media> {
    /// The integration in `OPEN_MESSAGING_INTEGRATION_ID`, with what [`OpenMessagingSettings`] reads, Microsoft Graph,
    /// Genesys Cloud and the state table; unset when no message goes there.
    pub fn from_startup(startup: &mut Startup<'_>) -> Setting<Self> {
        startup.env.optional::<String>("OPEN_MESSAGING_INTEGRATION_ID").and_then(|_| {
            let (graph, genesys) = (GraphClient::from_startup(startup), GenesysClient::from_startup(startup));
            let settings = OpenMessagingSettings::read(startup.env);
            let names = DynamoChatNames::from_startup(startup);
            let settings = settings?;
            let store = S3Media::from_startup(startup, &settings.media);
            Some(Self::new(Arc::new(graph?), Arc::new(genesys?), store?, names?, settings))
        })
    }
}
