//! `POST /escalations`: a Teams meeting for a conversation, and its link texted to the customer, in one call.

use bridge::config::Environment;
use bridge::edge::{Answer, Method, Request, Route};
use bridge::error::Error;
use bridge::escalation::{EscalationFields, EscalationOrder, Escalator};
use bridge::genesys::GenesysClient;
use bridge::graph::GraphClient;
use bridge::meeting::{MeetingMaker, MeetingSettings};
use bridge::sms::{SmsSender, SmsSettings};
use bridge::startup::{Startup, warm_up};
use bridge::store::meetings::{DynamoMeetingNotes, MeetingNotes};
use bridge::store::{DynamoRecords, Records};
use jiff::Timestamp;

/// The route that the function serves, and the app roles that it asks for.
pub const ROUTE: Route = Route { function: "escalate", method: Method::Post, roles: &["Meetings.Create", "Sms.Send"] };

/// The clients, stores and settings that the function works with. Made once for each process.
#[derive(Debug)]
pub struct App<R = DynamoRecords, N = DynamoMeetingNotes> {
    graph: GraphClient,
    genesys: GenesysClient,
    records: R,
    notes: N,
    meetings: MeetingSettings,
    texts: SmsSettings,
}

impl<R: Records, N: MeetingNotes> App<R, N> {
    /// An app of these parts, which a test may replace.
    #[must_use]
    pub fn new(
        graph: GraphClient,
        genesys: GenesysClient,
        (records, notes): (R, N),
        meetings: MeetingSettings,
        texts: SmsSettings,
    ) -> Self {
        Self { graph, genesys, records, notes, meetings, texts }
    }

    fn escalator(&self) -> Escalator<'_, GraphClient, N, GenesysClient, R> {
        Escalator {
            meetings: MeetingMaker { graph: &self.graph, notes: &self.notes, settings: &self.meetings },
            messages: SmsSender { genesys: &self.genesys, records: &self.records },
            texts: &self.texts,
        }
    }
}

impl App {
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted in
    /// `env`.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let (graph, genesys) = (GraphClient::from_startup(&mut startup), GenesysClient::from_startup(&mut startup));
        let (records, notes) =
            (DynamoRecords::from_startup(&mut startup), DynamoMeetingNotes::from_startup(&mut startup));
        let (meetings, texts) = (MeetingSettings::read(startup.env), SmsSettings::read(startup.env));
        let app = Self::new(graph?, genesys?, (records?, notes?), meetings?, texts?);
        warm_up(async |cx| {
            tokio::join!(app.graph.warm_up(&cx), app.genesys.warm_up(&cx), app.records.warm_up(&cx));
        })
        .await;
        Some(app)
    }
}

/// Answers `POST /escalations`: makes the meeting and texts its link to the customer.
///
/// # Errors
/// When a field is missing or wrong, or no meeting could be made. When only the text message fails, the answer carries
/// the meeting and is no error.
pub async fn handle<R: Records, N: MeetingNotes>(
    app: &App<R, N>,
    mut request: Request,
) -> Result<Answer<EscalationFields>, Error> {
    let conversation = request.conversation_id();
    let Request { mut fields, context: cx } = request;
    let order = EscalationOrder::read(&mut fields, conversation, &app.meetings, &app.texts, Timestamp::now());
    let order = fields.finish(order)?;

    let escalation = app.escalator().escalate(&cx, &order).await?;
    let (fields, retryable) = (EscalationFields::of(&escalation), escalation.retryable());
    Ok(match escalation.result() {
        Ok((code, message)) => Answer::ok(code, message, fields),
        Err(error) => Answer::failed(error, fields).retryable(retryable),
    })
}
