//! `POST /presence`: a Genesys Cloud presence, shown in Microsoft Teams.

use bridge::config::Environment;
use bridge::edge::{Answer, Method, Request, Route};
use bridge::error::Error;
use bridge::genesys::GenesysClient;
use bridge::graph::GraphClient;
use bridge::presence::{PresenceFields, PresenceOrder, PresenceSettings, PresenceUpdater, TeamsUsers};
use bridge::startup::{Startup, warm_up};

/// Where the function stands in the API.
pub const ROUTE: Route = Route { function: "update-presence", method: Method::Post, roles: &["Presence.Write"] };

/// The clients, stores and settings that the function works with. Made once for each process.
#[derive(Debug)]
pub struct App {
    graph: GraphClient,
    genesys: GenesysClient,
    users: TeamsUsers,
    settings: PresenceSettings,
}

impl App {
    /// An app of these parts.
    #[must_use]
    pub fn new(graph: GraphClient, genesys: GenesysClient, settings: PresenceSettings) -> Self {
        Self { graph, genesys, users: TeamsUsers::default(), settings }
    }

    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let (graph, genesys) = (GraphClient::from_startup(&mut startup), GenesysClient::from_startup(&mut startup));
        let settings = PresenceSettings::read(startup.env);
        let app = Self::new(graph?, genesys?, settings?);
        warm_up(async |cx| {
            tokio::join!(app.graph.warm_up(&cx), app.genesys.warm_up(&cx));
        })
        .await;
        Some(app)
    }
}

/// Answers `POST /presence`: shows one user's Genesys Cloud presence in Teams.
///
/// # Errors
/// When a field is missing or wrong, the user has no Teams user, or a vendor refused or did not answer.
pub async fn handle(app: &App, request: Request) -> Result<Answer<PresenceFields>, Error> {
    let Request { mut fields, context: cx } = request;
    let order = PresenceOrder::read(&mut fields, &app.settings);
    let order = fields.finish(order)?;
    let App { graph, genesys, users, settings } = app;
    let updater = PresenceUpdater { graph, ids: genesys, users, settings };
    let (code, message, fields) = updater.update(&cx, &order).await?;
    Ok(Answer::ok(code, message, fields))
}
