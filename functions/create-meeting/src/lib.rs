//! `POST /meetings`: a Microsoft Teams meeting for a Genesys Cloud conversation, made once.

use bridge::api::{Answer, Request, Route};
use bridge::config::Environment;
use bridge::error::Error;
use bridge::graph::GraphClient;
use bridge::meeting::{self, MeetingFields, MeetingOrder, MeetingSettings};
use bridge::startup::{Startup, warm_up};
use jiff::Timestamp;

/// Where the function stands in the API.
pub const ROUTE: Route = Route { function: "create-meeting", roles: &["Meetings.Create"] };

/// What the function works with.
#[derive(Debug)]
pub struct App {
    graph: GraphClient,
    settings: MeetingSettings,
}

impl App {
    /// An app of these parts.
    #[must_use]
    pub fn new(graph: GraphClient, settings: MeetingSettings) -> Self {
        Self { graph, settings }
    }

    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let graph = startup.graph();
        let settings = MeetingSettings::read(startup.env);
        let app = Self::new(graph?, settings?);
        warm_up(async |cx| app.graph.warm_up(&cx).await).await;
        Some(app)
    }
}

/// Answers one request.
///
/// # Errors
/// Why there is no meeting, or none with a join URL.
pub async fn handle(app: &App, mut request: Request) -> Result<Answer<MeetingFields>, Error> {
    let conversation = request.conversation_id();
    let Request { mut fields, context: cx } = request;
    let order = MeetingOrder::read(&mut fields, &app.settings, conversation.as_ref(), Timestamp::now());
    let order = fields.finish(order)?;

    let meeting = meeting::create(&app.graph, &cx, &order).await?;
    let lobby = meeting::open_lobby(&app.graph, &cx, &app.settings, &meeting).await;
    Ok(Answer::ok(meeting.code(), meeting.message(&lobby), MeetingFields::of(&meeting, &lobby)))
}
