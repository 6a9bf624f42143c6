//! From one click to a Teams meeting: the meeting is made, then its lobby is opened and its link texted to the customer
//! at the same time, so that the agent waits for two round trips.
//!
//! Two clicks make one meeting, even two agents' clicks: the second finds the first one's meeting, and the record of
//! the text message lets it be sent only once. A process that dies in between leaves a meeting, which the next click
//! finds, and a text message, which it sends.

mod answer;

use jiff::Timestamp;

pub use answer::{Escalation, EscalationFields};

use crate::error::Error;
use crate::fields::{ConversationId, Fields};
use crate::genesys::AgentlessMessages;
use crate::http::RequestContext;
use crate::meeting::{Meeting, MeetingMaker, MeetingOrder, MeetingSettings, Meetings};
use crate::sms::{LinkFrom, Sent, SmsOrder, SmsSender, SmsSettings};
use crate::store::Records;
use crate::store::meetings::MeetingNotes;

/// The order for an escalation, read from a request's fields.
#[derive(Debug, Clone)]
pub struct EscalationOrder {
    meeting: MeetingOrder,
    sms: SmsOrder,
    conversation: ConversationId,
}

impl EscalationOrder {
    /// Reads the fields of `POST /meetings` and of `POST /sms` together, except for the link, which is the meeting's.
    /// The conversation, which has been read already, is required.
    pub fn read(
        fields: &mut Fields,
        conversation: Option<ConversationId>,
        meetings: &MeetingSettings,
        texts: &SmsSettings,
        now: Timestamp,
    ) -> Option<Self> {
        if conversation.is_none() && !fields.has_problem("conversationId") {
            fields.problem("conversationId", "required: it makes two clicks one");
        }
        let meeting = MeetingOrder::read(fields, meetings, conversation.as_ref(), now);
        let sms = SmsOrder::read(fields, texts, LinkFrom::Meeting);
        Some(Self { meeting: meeting?, sms: sms?, conversation: conversation? })
    }
}

/// Makes a conversation's meeting and texts its link to the customer.
#[derive(Debug)]
pub struct Escalator<'a, G, N, C, R> {
    /// The use case that makes the meeting.
    pub meetings: MeetingMaker<'a, G, N>,
    /// The use case that sends the text message.
    pub messages: SmsSender<'a, C, R>,
    /// The deployment's settings for text messages.
    pub texts: &'a SmsSettings,
}

impl<G: Meetings, N: MeetingNotes, C: AgentlessMessages, R: Records> Escalator<'_, G, N, C, R> {
    /// Makes the meeting, or finds that of an earlier click, and texts its link unless it was sent before.
    ///
    /// # Errors
    /// The reason for which there is no meeting; no text message was sent then. A failed text message is part of the
    /// [`Escalation`], not an error.
    pub async fn escalate(&self, cx: &RequestContext, order: &EscalationOrder) -> Result<Escalation, Error> {
        let meeting = self.meetings.create_once(cx, &order.meeting, Some(&order.conversation)).await?;
        let (lobby, sent) = tokio::join!(self.meetings.open_lobby(cx, &meeting), self.text_link(cx, order, &meeting));
        Ok(Escalation { meeting, lobby, sent })
    }

    async fn text_link(&self, cx: &RequestContext, order: &EscalationOrder, meeting: &Meeting) -> Result<Sent, Error> {
        let message = order.sms.compose(self.texts, Some(&order.conversation), Some(&meeting.join_url))?;
        self.messages.send(cx, &message).await
    }
}
