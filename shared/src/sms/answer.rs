//! The answer to a text-message request: its fields, its code and its text.

use serde::Serialize;

use super::Sent;
use crate::error::{Code, Error};

/// The fields of `POST /sms`. All of them are always present; an unknown one is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SmsFields {
    /// The outcome: `accepted`, `duplicate`, `unknown` or `failed`.
    pub status: &'static str,
    /// Genesys Cloud's message id.
    pub message_id: String,
    /// The Genesys Cloud conversation of the message.
    pub genesys_conversation_id: String,
    /// The number of SMS segments.
    pub segments: u32,
    /// The recipient in E.164.
    pub to_address: String,
}

impl Default for SmsFields {
    /// The fields of a failed request, which has no message.
    fn default() -> Self {
        Self {
            status: "failed",
            message_id: String::new(),
            genesys_conversation_id: String::new(),
            segments: 0,
            to_address: String::new(),
        }
    }
}

impl SmsFields {
    /// The fields for the outcome of sending, and the recipient as far as it is known.
    #[must_use]
    pub fn of(result: &Result<Sent, Error>, to_address: &str) -> Self {
        let to_address = to_address.to_owned();
        match result {
            Ok(sent) => Self {
                status: if sent.duplicate { "duplicate" } else { "accepted" },
                message_id: sent.receipt.message_id.clone(),
                genesys_conversation_id: sent.receipt.conversation_id.clone(),
                segments: sent.receipt.segments,
                to_address,
            },
            Err(error) if matches!(error.code, Code::OUTCOME_UNKNOWN | Code::IN_PROGRESS) => {
                Self { status: "unknown", to_address, ..Self::default() }
            }
            Err(_) => Self { to_address, ..Self::default() },
        }
    }
}
