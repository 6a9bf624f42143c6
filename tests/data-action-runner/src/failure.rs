//! A failed action, as its author sees it.
//!
//! Flows and scripts never see what the remote answered: Genesys Cloud puts an envelope of its own in its place. The
//! words are those of its articles "Data action returns a 400 error" and "Data action fails during testing"; for
//! time-outs and connections that fail it documents none, and here they are the 504 and 503 that HTTP has for them.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Serialize;
use uuid::Uuid;

/// Why an action failed: what an administrator sees, in the test pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The customAuth action got no token.
    NoToken(Box<Cause>),
    /// The answer was no success.
    Refused { status: u16, body: String },
    /// The answer was no JSON.
    NotJson { body: String },
    /// No answer came in time.
    TimedOut(Duration),
    /// No connection could be made, or it broke.
    Unreachable(String),
    /// The action itself is wrong: a template, a path, a contract.
    Processing(String),
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoToken(cause) => write!(f, "The customAuth action failed. {cause}"),
            Self::Refused { status, body } => write!(f, "The remote answered {status}: {body}"),
            Self::NotJson { body } => write!(f, "The remote answered no JSON: {body}"),
            Self::TimedOut(after) => write!(f, "The remote did not answer within {} s.", after.as_secs()),
            Self::Unreachable(error) => write!(f, "The remote cannot be reached: {error}"),
            Self::Processing(what) => write!(f, "{what}"),
        }
    }
}

/// The envelope. Architect's failure outputs and the failed call of a script have this and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The HTTP status of the failure.
    pub status: u16,
    /// The name of the error.
    pub error_code: String,
    /// A sentence about it.
    pub user_message: String,
    /// The parameters of the sentence; always empty.
    pub user_params: [String; 0],
    /// The id under which the remote got the request, in `ININ-Correlation-Id`.
    pub correlation_id: String,
    /// The place of the error.
    pub details: Vec<Detail>,
    /// The same once more, with a longer sentence.
    pub errors: Vec<Nested>,
}

/// The place of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// `ACTION.REMOTE_ENDPOINT`, `ACTION.AUTHENTICATION` or `ACTION.PROCESSING`.
    pub error_code: &'static str,
}

/// An error within the envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Nested {
    /// The HTTP status of the failure.
    pub status: u16,
    /// The name of the error.
    pub error_code: String,
    /// A sentence about it.
    pub user_message: String,
}

impl Failure {
    pub(crate) fn of(cause: &Cause, correlation_id: Uuid) -> Self {
        let (status, place) = match cause {
            Cause::NoToken(_) => (400, "ACTION.AUTHENTICATION"),
            Cause::Refused { status, .. } => (*status, "ACTION.REMOTE_ENDPOINT"),
            Cause::NotJson { .. } => (400, "ACTION.REMOTE_ENDPOINT"),
            Cause::TimedOut(_) => (504, "ACTION.REMOTE_ENDPOINT"),
            Cause::Unreachable(_) => (503, "ACTION.REMOTE_ENDPOINT"),
            Cause::Processing(_) => (400, "ACTION.PROCESSING"),
        };
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let reason = reason.unwrap_or("Internal Server Error");
        let (error_code, user_message) = match (cause, status) {
            (Cause::NoToken(_), _) => {
                ("INVALID_CREDENTIALS".to_owned(), "There was an issue validating the credentials.")
            }
            (_, 400) => {
                let text = "The request could not be understood by the server due to malformed syntax.";
                ("BAD_REQUEST".to_owned(), text)
            }
            _ => (reason.to_uppercase().replace(' ', "_"), reason),
        };
        let longer = match cause {
            Cause::Processing(_) => Vec::new(),
            _ => vec![Nested {
                status,
                error_code: error_code.clone(),
                user_message: format!(
                    "REST call for action execute failed. Message: Request to backend service failed. To see error \
                     details, use test mode to execute the action, or execute request in Postman or other REST tools. \
                     [{correlation_id}]"
                ),
            }],
        };
        Self {
            status,
            error_code,
            user_message: user_message.to_owned(),
            user_params: [],
            correlation_id: correlation_id.to_string(),
            details: vec![Detail { error_code: place }],
            errors: longer,
        }
    }
}
