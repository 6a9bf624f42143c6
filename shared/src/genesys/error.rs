//! What a refusal by Genesys Cloud means for the bridge.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::auth::{AuthError, CallError};
use crate::error::{Code, Error, when};
use crate::http::{NoReply, Reply};

/// Why a Genesys Cloud call failed.
///
/// `text` is Genesys Cloud's own sentence. It may repeat what was sent, even a phone number, so it goes to the caller
/// and never to the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesysError {
    /// There was no token; nothing was sent.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No connection could be made; nothing was sent.
    #[error("Genesys Cloud: {0}")]
    NotSent(String),
    /// The request was sent, and no answer tells whether Genesys Cloud accepted it.
    #[error("Genesys Cloud: {0}")]
    Ambiguous(String),
    /// Throttled (429), and the wait does not fit into this request. Nothing was accepted.
    #[error("Genesys Cloud asks to slow down (429 {code})")]
    Throttled {
        /// The wait that `Retry-After` asked for, where there was one.
        retry_after: Option<Duration>,
        /// Genesys Cloud's error code.
        code: String,
    },
    /// 401 or 403: the OAuth client lacks a permission or a division.
    #[error("Genesys Cloud refused for lack of permission ({status} {code}); the call needs {permission}")]
    PermissionMissing {
        /// The permission Genesys Cloud names, or the one the call needs.
        permission: String,
        /// The HTTP status of the answer.
        status: u16,
        /// Genesys Cloud's error code.
        code: String,
    },
    /// Genesys Cloud refused the request for another reason: any other 4xx.
    #[error("Genesys Cloud refused the request ({status} {code})")]
    Rejected {
        /// The HTTP status of the answer.
        status: u16,
        /// Genesys Cloud's error code.
        code: String,
        /// The fields that it complains about.
        fields: Vec<String>,
        /// Genesys Cloud's own sentence.
        text: String,
    },
}

impl From<CallError> for GenesysError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Auth(error) => Self::Auth(error),
            CallError::NoReply(NoReply::NotSent(cause)) => Self::NotSent(cause),
            CallError::NoReply(NoReply::Ambiguous(cause)) => Self::Ambiguous(cause),
            CallError::NoReply(error @ NoReply::TooLarge(_)) => Self::Ambiguous(error.to_string()),
        }
    }
}

/// The part that is the same for every operation that only reads. A use case that writes tells by itself what may have
/// been done in part.
impl From<GenesysError> for Error {
    fn from(error: GenesysError) -> Self {
        let cause = error.to_string();
        let told = |code, message: String| Self::new(code, message).because(&cause);
        match error {
            GenesysError::Auth(error) => error.into(),
            GenesysError::NotSent(_) | GenesysError::Ambiguous(_) => told(
                Code::GENESYS_UNAVAILABLE,
                "Genesys Cloud did not answer as it should. Send the same request again in a moment.".into(),
            ),
            GenesysError::Throttled { retry_after, .. } => {
                let wait = when(retry_after);
                let message = format!("Genesys Cloud asks to slow down. Send the same request again {wait}.");
                told(Code::GENESYS_THROTTLED, message)
            }
            GenesysError::PermissionMissing { permission, status, code } => told(
                Code::PERMISSION_MISSING,
                format!(
                    "Genesys Cloud refused for lack of permission ({status} {code}). Give the role of the bridge's OAuth \
                     client the permission {permission}, and the client the division it is needed in."
                ),
            ),
            GenesysError::Rejected { status, code, text, .. } => {
                told(Code::GENESYS_REJECTED, format!("Genesys Cloud refused the request ({status} {code})."))
                    .quoting(text)
            }
        }
    }
}

/// The error body of the platform API. All members may be missing.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct GenesysErrorBody {
    code: Option<String>,
    message: Option<String>,
    message_params: Option<HashMap<String, serde_json::Value>>,
    details: Option<Vec<GenesysErrorDetail>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct GenesysErrorDetail {
    field_name: Option<String>,
}

impl GenesysError {
    /// Reads a refusal. Status, code and field names decide; the message is only for people.
    pub(super) fn from_reply(reply: &Reply, permission: &'static str) -> Self {
        let body: GenesysErrorBody = reply.json().unwrap_or_default();
        let status = reply.status.as_u16();
        let code = body.code.unwrap_or_default();
        let params = body.message_params.unwrap_or_default();
        match reply.status {
            StatusCode::TOO_MANY_REQUESTS => Self::Throttled { retry_after: reply.retry_after, code },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let named = params.iter().find(|(name, _)| name.to_ascii_lowercase().contains("permission"));
                let permission = match named {
                    Some((_, serde_json::Value::String(text))) => text.clone(),
                    Some((_, other)) => other.to_string(),
                    None => permission.to_owned(),
                };
                Self::PermissionMissing { permission, status, code }
            }
            // The server gave up waiting, after it had seen at least a part of the request.
            StatusCode::REQUEST_TIMEOUT => Self::Ambiguous(format!("HTTP {status} {code}")),
            other if other.is_client_error() => {
                let details = body.details.unwrap_or_default();
                let fields = details.into_iter().filter_map(|detail| detail.field_name).chain(params.into_keys());
                Self::Rejected { status, code, fields: fields.collect(), text: body.message.unwrap_or_default() }
            }
            _ => Self::Ambiguous(format!("HTTP {status} {code}")),
        }
    }

    /// Whether Genesys Cloud complains about this field.
    #[must_use]
    pub(crate) fn is_about(&self, field: &str) -> bool {
        match self {
            Self::Rejected { fields, .. } => fields.iter().any(|name| name.eq_ignore_ascii_case(field)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> GenesysError {
        let reply =
            Reply { status: StatusCode::from_u16(status).unwrap(), body: body.as_bytes().to_vec(), ..Reply::default() };
        GenesysError::from_reply(&reply, "conversation:message:create")
    }

    #[test]
    fn the_field_is_found_where_genesys_names_it() {
        let in_details = r#"{"code":"bad.request","status":400,"details":[{"errorCode":"x","fieldName":"toAddress"}]}"#;
        assert!(refusal(400, in_details).is_about("toAddress"));
        let in_params = r#"{"code":"bad.request","messageParams":{"fromAddress":"+1"}}"#;
        assert!(refusal(400, in_params).is_about("fromAddress"));
        assert!(!refusal(400, "{}").is_about("toAddress"));
    }

    #[test]
    fn a_missing_permission_is_named() {
        let named =
            r#"{"code":"missing.any.permissions","messageParams":{"permissions":"[conversation:message:create]"}}"#;
        for (body, expected) in [(named, "[conversation:message:create]"), ("", "conversation:message:create")] {
            match refusal(403, body) {
                GenesysError::PermissionMissing { permission, .. } => assert_eq!(permission, expected),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_5xx_leaves_everything_open() {
        for body in ["", "<html>", r#"{"code":"gateway.timeout"}"#] {
            assert!(matches!(refusal(504, body), GenesysError::Ambiguous(_)));
        }
        assert!(matches!(refusal(408, ""), GenesysError::Ambiguous(_)));
    }

    #[test]
    fn the_log_never_sees_the_message() {
        let error = refusal(400, r#"{"code":"bad.request","message":"bad number +447700900123"}"#);
        assert!(!error.to_string().contains("447700900123"));
    }
}
