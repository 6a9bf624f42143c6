//! What a refusal by Microsoft Teams means for the bot, one variant for each row of Microsoft's table.
//!
//! <https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/send-and-receive-messages#status-codes-from-bot-conversational-apis>

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{AuthError, CallError};
use crate::http::{NoReply, Reply};
use crate::secrets::SecretError;

/// Why a call to Teams failed. The texts are for administrators and agents: they say what to do, and repeat nothing
/// that was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TeamsError {
    /// There was no token; nothing was sent.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No connection could be made; nothing was sent.
    #[error("Microsoft Teams could not be reached ({0}), and nothing was sent. Send it again in a moment")]
    NotSent(String),
    /// No answer tells whether Teams has taken it: 408, 5xx, a connection that broke.
    #[error(
        "Microsoft Teams did not say whether it took the message ({0}), which may have arrived. Look into the chat before \
         you send it again"
    )]
    Ambiguous(String),
    /// 429, or the bridge's own pace, and the wait does not fit into this request. Nothing was taken.
    #[error("Microsoft Teams takes no more messages for this conversation just now. Send it again in a moment")]
    Throttled {
        /// How long to wait, where that is known.
        retry_after: Option<Duration>,
    },
    /// 412, several times in a row: other operations on the conversation were faster. Nothing was taken.
    #[error("other operations on the conversation kept Microsoft Teams busy (412). Send it again in a moment")]
    Busy,
    /// 413, or found to be so before it was sent.
    #[error("the message is too large for Microsoft Teams ({}). Send it in parts", bytes.map_or_else(|| "413".into(), |bytes| format!("{bytes} bytes as UTF-16")))]
    TooLarge {
        /// The size, where it was measured before sending.
        bytes: Option<usize>,
    },
    /// 401 with a new token.
    #[error(
        "Microsoft Teams does not know the bot (401 {code}). Register the app of BOT_SECRET_ID as a bot, switch its Teams \
         channel on, and check that it is a single-tenant bot of the tenant in that secret"
    )]
    BotNotRegistered {
        /// The error code in the answer.
        code: String,
    },
    /// 403 `BotDisabledByAdmin`.
    #[error(
        "an administrator has blocked the app for this person. Allow it in the Teams admin center, under Teams apps, \
         Manage apps and Permission policies"
    )]
    DisabledByAdmin,
    /// 403 (or 404) `BotNotInConversationRoster`.
    #[error("the bot is not a member of this conversation. Add the app to the chat or team")]
    NotInConversation,
    /// 403 `ConversationBlockedByUser`, or `MessageWritesBlocked`.
    #[error("the person has blocked or removed the bot. Nothing reaches them until they write to it again")]
    BlockedByUser,
    /// 403 `ForbiddenOperationException`.
    #[error("the app is not installed for this person. Install it by a setup policy, or ask the person to add it")]
    NotInstalled,
    /// 403 `InvalidBotApiHost`, and GCC's host did not help or may not see the token.
    #[error(
        "the tenant is served by another host of Microsoft Teams (InvalidBotApiHost). Add smba.infra.gcc.teams.microsoft.com \
         to BOT_SERVICE_HOSTS, or set BOT_SERVICE_URL to the cloud of the tenant"
    )]
    OtherHost,
    /// 403 `NotEnoughPermissions`.
    #[error(
        "the bot lacks a permission for this (NotEnoughPermissions). Compare the app's manifest with what is installed"
    )]
    PermissionMissing {
        /// Teams' own words, for an administrator.
        text: String,
    },
    /// 403 for any other reason, such as a service URL that is out of date.
    #[error(
        "Microsoft Teams refused the bot in this conversation (403 {code}). The conversation may have moved: it is known \
         again when the person writes"
    )]
    Forbidden {
        /// The error code in the answer.
        code: String,
    },
    /// 404 `ActivityNotFoundInConversation`, or 403 `ServiceError` for a card that was deleted. About one update in a
    /// thousand gets the first without a cause.
    #[error("Microsoft Teams does not find the message that is to be changed. Send the news as a new message")]
    MessageGone,
    /// 404 `ConversationNotFound`, or any other.
    #[error("Microsoft Teams does not know the conversation (404 {code}). It is known again when the person writes")]
    ConversationNotFound {
        /// The error code in the answer.
        code: String,
    },
    /// 400, or any other 4xx: the bridge has sent something that Teams does not understand.
    #[error("Microsoft Teams refused the message ({status} {code}). This is a fault of the bridge: report it")]
    Rejected {
        /// The HTTP status of the answer.
        status: u16,
        /// The error code in the answer.
        code: String,
        /// Teams' own words. They may repeat what was sent, so they never reach the log.
        text: String,
    },
    /// Teams has made a conversation and its answer does not say which.
    #[error("Microsoft Teams' answer could not be read: it names no conversation")]
    Unreadable,
}

impl From<CallError> for TeamsError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Auth(error) => Self::Auth(error),
            CallError::NoReply(NoReply::NotSent(cause)) => Self::NotSent(cause),
            CallError::NoReply(NoReply::Ambiguous(cause)) => Self::Ambiguous(cause),
            CallError::NoReply(error @ NoReply::TooLarge(_)) => Self::Ambiguous(error.to_string()),
        }
    }
}

/// The error body: `{"error":{"code","message","innerHttpError"}}`, or the older `{"errorCode","message"}` whose
/// message is JSON with a `subCode`. Everything may be missing.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: Option<RefusalDetail>,
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RefusalDetail {
    code: Option<String>,
    message: Option<String>,
}

impl Refusal {
    /// The code and the words.
    fn read(reply: &Reply) -> (String, String) {
        let Self { error, message } = reply.json().unwrap_or_default();
        let RefusalDetail { code, message: inner } = error.unwrap_or_default();
        let text = inner.or(message).unwrap_or_default();
        let nested: Value = serde_json::from_str(&text).unwrap_or_default();
        let sub_code = nested.get("subCode").and_then(Value::as_str).map(str::to_owned);
        (sub_code.or(code).unwrap_or_default(), text)
    }
}

impl TeamsError {
    /// Reads a refusal. Status and code decide; the words are only for people.
    pub(super) fn from_reply(reply: &Reply) -> Self {
        let (code, text) = Refusal::read(reply);
        let status = reply.status.as_u16();
        match (reply.status, code.as_str()) {
            (StatusCode::UNAUTHORIZED, _) => Self::BotNotRegistered { code },
            (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, "BotNotInConversationRoster") => Self::NotInConversation,
            (StatusCode::FORBIDDEN, "BotDisabledByAdmin") => Self::DisabledByAdmin,
            (StatusCode::FORBIDDEN, "ConversationBlockedByUser" | "MessageWritesBlocked") => Self::BlockedByUser,
            (StatusCode::FORBIDDEN, "ForbiddenOperationException") => Self::NotInstalled,
            (StatusCode::FORBIDDEN, "InvalidBotApiHost") => Self::OtherHost,
            (StatusCode::FORBIDDEN, "NotEnoughPermissions") => Self::PermissionMissing { text },
            (StatusCode::FORBIDDEN, _) => Self::Forbidden { code },
            (StatusCode::NOT_FOUND, "ActivityNotFoundInConversation") => Self::MessageGone,
            (StatusCode::NOT_FOUND, _) => Self::ConversationNotFound { code },
            (StatusCode::PRECONDITION_FAILED, _) => Self::Busy,
            (StatusCode::PAYLOAD_TOO_LARGE, _) => Self::TooLarge { bytes: None },
            (StatusCode::TOO_MANY_REQUESTS, _) => Self::Throttled { retry_after: reply.retry_after },
            // The server gave up waiting, after it had seen at least a part of the request.
            (StatusCode::REQUEST_TIMEOUT, _) => Self::Ambiguous(format!("HTTP {status} {code}")),
            (other, _) if other.is_client_error() => Self::Rejected { status, code, text },
            _ => Self::Ambiguous(format!("HTTP {status} {code}")),
        }
    }

    /// As it is to be understood for a message that exists: Teams refuses to change a deleted card by 403
    /// `ServiceError`, and the conversation is as it was.
    pub(super) fn of_an_existing_message(self) -> Self {
        match self {
            Self::Forbidden { code } if code == "ServiceError" => Self::MessageGone,
            other => other,
        }
    }

    /// Whether the conversation's reference is of no use any more, so that it is to be removed: the bot may not write
    /// there until an activity from there renews it.
    #[must_use]
    pub fn ends_reference(&self) -> bool {
        matches!(
            self,
            Self::DisabledByAdmin
                | Self::NotInConversation
                | Self::BlockedByUser
                | Self::NotInstalled
                | Self::Forbidden { .. }
        )
    }

    /// Whether the same call may succeed in a moment, and Teams has certainly not taken it yet.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::NotSent(_)
                | Self::Throttled { .. }
                | Self::Busy
                | Self::Auth(AuthError::Unavailable { .. } | AuthError::Secret(SecretError::Unavailable { .. }))
        )
    }
}
