//! What a text message looks like in an answer.

use serde::Serialize;

use super::Sent;
use crate::error::{Code, Error};

/// The fields of `POST /sms`. All are always there; unknown is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SmsFields {
    /// `accepted`, `duplicate`, `unknown` or `failed`.
    pub status: &'static str,
    /// Genesys Cloud's message id.
    pub message_id: String,
    /// Genesys Cloud's conversation of the message.
    pub genesys_conversation_id: String,
    /// SMS segments.
    pub segments: u32,
    /// The recipient in E.164.
    pub to_address: String,
}

impl Default for SmsFields {
    /// The fields of an answer that knows of no message: it failed.
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
    /// The fields for how sending ended, and the recipient as far as it is known.
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
