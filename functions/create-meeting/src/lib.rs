//! `POST /meetings`: a Microsoft Teams meeting for a Genesys Cloud conversation, made once, whichever agent asks for
//! it.

use bridge::config::Environment;
use bridge::edge::{Answer, Method, Request, Route};
use bridge::error::Error;
use bridge::graph::GraphClient;
use bridge::meeting::{MeetingFields, MeetingMaker, MeetingOrder, MeetingSettings};
use bridge::startup::{Startup, warm_up};
use bridge::store::meetings::{DynamoMeetingNotes, MeetingNotes};
use jiff::Timestamp;

/// The route that the function serves, and the app roles that it asks for.
pub const ROUTE: Route = Route { function: "create-meeting", method: Method::Post, roles: &["Meetings.Create"] };

/// The clients, stores and settings that the function works with. Made once for each process.
#[derive(Debug)]
pub struct App<N = DynamoMeetingNotes> {
    graph: GraphClient,
    notes: N,
    settings: MeetingSettings,
}

impl<N: MeetingNotes> App<N> {
    /// An app of these parts, which a test may replace.
    #[must_use]
    pub fn new(graph: GraphClient, notes: N, settings: MeetingSettings) -> Self {
        Self { graph, notes, settings }
    }
}

impl App {
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted in
    /// `env`.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let (graph, notes) = (GraphClient::from_startup(&mut startup), DynamoMeetingNotes::from_startup(&mut startup));
        let settings = MeetingSettings::read(startup.env);
        let app = Self::new(graph?, notes?, settings?);
        warm_up(async |cx| {
            tokio::join!(app.graph.warm_up(&cx), app.notes.warm_up(&cx));
        })
        .await;
        Some(app)
    }
}

/// Answers `POST /meetings`: makes the conversation's meeting and opens its lobby.
///
/// # Errors
/// The reason for which there is no meeting, or no join URL.
pub async fn handle<N: MeetingNotes>(app: &App<N>, mut request: Request) -> Result<Answer<MeetingFields>, Error> {
    let conversation = request.conversation_id();
    let Request { mut fields, context: cx } = request;
    let order = MeetingOrder::read(&mut fields, &app.settings, conversation.as_ref(), Timestamp::now());
    let order = fields.finish(order)?;

    let maker = MeetingMaker { graph: &app.graph, notes: &app.notes, settings: &app.settings };
    let meeting = maker.create_once(&cx, &order, conversation.as_ref()).await?;
    let lobby = maker.open_lobby(&cx, &meeting).await;
    let fields = MeetingFields::of(&meeting, &lobby);
    Ok(match meeting.other_link(&lobby) {
        Some(error) => Answer::failed(error, fields),
        None => Answer::ok(meeting.code(), meeting.message(&lobby), fields),
    })
}
