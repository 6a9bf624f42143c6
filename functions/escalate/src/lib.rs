//! `POST /escalations`: one click to a Teams meeting. The meeting is made, then its lobby is opened and its link texted
//! to the customer at the same time, so that the agent waits for two round trips.
//!
//! Two clicks are one, of two agents too: the second finds the first one's meeting, and the text message's record lets it
//! be sent once. A process that dies in between leaves a meeting that the next click finds, and a text message that it
//! sends.

use bridge::api::{Answer, Request, Route};
use bridge::config::Environment;
use bridge::error::{Code, Error};
use bridge::fields::ConversationId;
use bridge::genesys::GenesysClient;
use bridge::graph::GraphClient;
use bridge::http::RequestContext;
use bridge::meeting::{self, Meeting, MeetingFields, MeetingOrder, MeetingSettings};
use bridge::sms::{self, LinkFrom, Sent, SmsFields, SmsOrder, SmsSettings};
use bridge::startup::{Startup, warm_up};
use bridge::store::meetings::{DynamoMeetingNotes, MeetingNotes};
use bridge::store::{DynamoRecords, Records};
use jiff::Timestamp;
use serde::Serialize;

/// Where the function stands in the API.
pub const ROUTE: Route = Route { function: "escalate", roles: &["Meetings.Create", "Sms.Send"] };

/// What the function works with.
#[derive(Debug)]
pub struct App<R = DynamoRecords, N = DynamoMeetingNotes> {
    graph: GraphClient,
    genesys: GenesysClient,
    records: R,
    notes: N,
    meetings: MeetingSettings,
    messages: SmsSettings,
}

impl<R: Records, N: MeetingNotes> App<R, N> {
    /// An app of these parts.
    #[must_use]
    pub fn new(
        graph: GraphClient,
        genesys: GenesysClient,
        (records, notes): (R, N),
        meetings: MeetingSettings,
        messages: SmsSettings,
    ) -> Self {
        Self { graph, genesys, records, notes, meetings, messages }
    }
}

impl App {
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let (graph, genesys) = (startup.graph(), startup.genesys());
        let (records, notes) = (startup.records(), startup.meeting_notes());
        let (meetings, messages) = (MeetingSettings::read(startup.env), SmsSettings::read(startup.env));
        let app = Self::new(graph?, genesys?, (records?, notes?), meetings?, messages?);
        warm_up(async |cx| {
            tokio::join!(app.graph.warm_up(&cx), app.genesys.warm_up(&cx), app.records.warm_up(&cx));
        })
        .await;
        Some(app)
    }
}

/// The fields of the answer. All are always there; unknown is empty.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EscalationFields {
    /// The meeting.
    #[serde(flatten)]
    pub meeting: MeetingFields,
    /// `accepted`, `duplicate`, `unknown`, `failed`; empty when there was no meeting to send a link to.
    pub sms_status: &'static str,
    /// Genesys Cloud's message id.
    pub sms_message_id: String,
    /// The code that `POST /sms` would have answered with.
    pub sms_code: &'static str,
}

/// Answers one request.
///
/// # Errors
/// When a field is missing or wrong, or there is no meeting. A failed text message is an answer that carries the meeting.
pub async fn handle<R: Records, N: MeetingNotes>(
    app: &App<R, N>,
    mut request: Request,
) -> Result<Answer<EscalationFields>, Error> {
    let conversation = request.conversation_id();
    let Request { mut fields, context: cx } = request;
    if conversation.is_none() && !fields.has_problem("conversationId") {
        fields.problem("conversationId", "required: it makes two clicks one");
    }
    let order = MeetingOrder::read(&mut fields, &app.meetings, conversation.as_ref(), Timestamp::now());
    let sms = SmsOrder::read(&mut fields, &app.messages, LinkFrom::Meeting);
    let ((order, sms), conversation) = fields.finish(order.zip(sms).zip(conversation))?;

    let meeting = meeting::create_once(&app.graph, &app.notes, &cx, &order, Some(&conversation)).await?;
    let (lobby, sent) = tokio::join!(
        meeting::open_lobby(&app.graph, &cx, &app.meetings, &meeting),
        text_link(app, &cx, &sms, &conversation, &meeting),
    );
    let status = SmsFields::of(&sent, "").status;
    let fields = |message_id: String, code: Code| EscalationFields {
        meeting: MeetingFields::of(&meeting, &lobby),
        sms_status: status,
        sms_message_id: message_id,
        sms_code: code.text(),
    };
    Ok(match sent {
        Ok(sent) => {
            let message = format!("{} {}", meeting.message(&lobby), sent.message());
            let (code, other_link) = (sent.code(), sent.other_link);
            let fields = fields(sent.receipt.message_id, code);
            // The agent would wait in this meeting, and the customer in another.
            if other_link {
                Answer::failed(Error::new(code, message), fields)
            } else {
                Answer::ok(meeting.code(), message, fields)
            }
        }
        Err(error) => {
            let fields = fields(String::new(), error.code);
            let retryable = error.code.retryable();
            Answer::failed(beside_meeting(error), fields).retryable(retryable)
        }
    })
}

async fn text_link<R: Records, N>(
    app: &App<R, N>,
    cx: &RequestContext,
    sms: &SmsOrder,
    conversation: &ConversationId,
    meeting: &Meeting,
) -> Result<Sent, Error> {
    let message = sms.compose(&app.messages, Some(conversation), Some(&meeting.join_url))?;
    sms::send(&app.genesys, &app.records, cx, &message).await
}

/// What an author branches on when there is a meeting and its link is not with the customer, or nobody knows.
fn beside_meeting(error: Error) -> Error {
    let (code, what) = match error.code {
        code @ (Code::OUTCOME_UNKNOWN | Code::IN_PROGRESS) => (code, "The meeting is there."),
        _ => (Code::SMS_FAILED, "The meeting is there; its link was not texted."),
    };
    Error { code, message: format!("{what} {}", error.message), ..error }
}
