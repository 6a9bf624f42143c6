//! The answer to an escalation: its fields, its code and its text.

use serde::Serialize;

use crate::error::{Code, Error};
use crate::meeting::{Lobby, Meeting, MeetingFields};
use crate::sms::{Sent, SmsFields};

/// A meeting that exists, and what became of the text message with its link.
#[derive(Debug, Clone)]
pub struct Escalation {
    /// The meeting that was made or found.
    pub meeting: Meeting,
    /// The meeting's lobby, as Graph last told it.
    pub lobby: Lobby,
    /// The text message, or why it was not sent.
    pub sent: Result<Sent, Error>,
}

/// The fields of the answer. All of them are always present; an unknown one is empty.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EscalationFields {
    /// The fields that describe the meeting.
    #[serde(flatten)]
    pub meeting: MeetingFields,
    /// `accepted`, `duplicate`, `unknown`, `failed`; empty when there was no meeting to send a link to.
    pub sms_status: &'static str,
    /// Genesys Cloud's message id.
    pub sms_message_id: String,
    /// The code that `POST /sms` would have answered with.
    pub sms_code: &'static str,
}

impl EscalationFields {
    /// The fields of this escalation.
    #[must_use]
    pub fn of(escalation: &Escalation) -> Self {
        let Escalation { meeting, lobby, sent } = escalation;
        let (sms_message_id, sms_code) = match sent {
            Ok(sent) => (sent.receipt.message_id.clone(), sent.code()),
            Err(error) => (String::new(), error.code),
        };
        Self {
            meeting: MeetingFields::of(meeting, lobby),
            sms_status: SmsFields::of(sent, "").status,
            sms_message_id,
            sms_code: sms_code.text(),
        }
    }
}

impl Escalation {
    /// The answer's code, and its text for a person.
    ///
    /// # Errors
    /// When the customer does not have the link to this meeting, or that cannot be told. The error has the code that an
    /// author branches on.
    pub fn result(&self) -> Result<(Code, String), Error> {
        match &self.sent {
            Ok(sent) => {
                let message = format!("{} {}", self.meeting.message(&self.lobby), sent.message());
                // The agent would wait in this meeting, and the customer in another.
                if sent.other_link { Err(Error::new(sent.code(), message)) } else { Ok((self.meeting.code(), message)) }
            }
            Err(error) => Err(beside_meeting(error.clone())),
        }
    }

    /// Whether the same request may succeed when it is sent again later, by the code of the text message.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.sent.as_ref().is_err_and(|error| error.code.retryable())
    }
}

/// The error of an escalation with a meeting whose link the customer does not have, or may not have.
fn beside_meeting(error: Error) -> Error {
    let (code, what) = match error.code {
        code @ (Code::OUTCOME_UNKNOWN | Code::IN_PROGRESS) => (code, "The meeting is there."),
        _ => (Code::SMS_FAILED, "The meeting is there; its link was not texted."),
    };
    Error { code, message: format!("{what} {}", error.message), ..error }
}
