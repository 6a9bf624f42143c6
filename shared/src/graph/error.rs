//! What a refusal by Microsoft Graph means for the bridge.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::auth::{AuthError, CallError};
use crate::error::{Code, Error, when};
use crate::http::{NoReply, Reply};

/// Why a Graph call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// No token could be had; nothing was sent.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No answer came, after all retries.
    #[error("Microsoft Graph: {0}")]
    NoReply(#[from] NoReply),
    /// Throttled (429), and the wait does not fit into this request.
    #[error("Microsoft Graph asks to slow down (429 {code})")]
    Throttled {
        /// The wait that `Retry-After` asked for, where there was one.
        retry_after: Option<Duration>,
        /// The error code in Graph's answer.
        code: String,
    },
    /// Graph answered 5xx, after all retries.
    #[error("Microsoft Graph failed ({status} {code})")]
    Unavailable {
        /// The HTTP status of the answer.
        status: u16,
        /// The error code in Graph's answer.
        code: String,
    },
    /// 403: no Teams application access policy covers the app and this user.
    #[error("no Teams application access policy covers this app and this user")]
    AccessPolicyMissing,
    /// 403 or 401: the token lacks the permission, or Exchange keeps the app from this mailbox.
    #[error("Microsoft Graph refused for lack of permission ({status} {code}); the call needs {permission}")]
    PermissionMissing {
        /// The application permission the call needs.
        permission: &'static str,
        /// The HTTP status of the answer.
        status: u16,
        /// The error code in Graph's answer.
        code: String,
    },
    /// 404: the user, meeting or event does not exist.
    #[error("Microsoft Graph does not know what the request names (404 {code})")]
    NotFound {
        /// The error code in Graph's answer.
        code: String,
    },
    /// The user may not organize Teams meetings, or has no mailbox.
    #[error("the user has no licence for Teams meetings, or no mailbox ({code})")]
    NotLicensed {
        /// The error code in Graph's answer.
        code: String,
    },
    /// An event with this `transactionId` exists already.
    #[error("an event with this transactionId exists already")]
    DuplicateTransaction {
        /// The id of the existing event, which some deployments of Exchange tell.
        existing: Option<String>,
    },
    /// 409: the app has a subscription for this resource and these change types.
    #[error("the app already has a subscription for this resource and these change types")]
    SubscriptionExists,
    /// 403: the tenant, the mailbox or the app has as many subscriptions as Microsoft allows.
    #[error(
        "no further subscription is allowed: the tenant, the mailbox or the app has as many as Microsoft allows ({code})"
    )]
    SubscriptionQuota {
        /// The error code in Graph's answer.
        code: String,
    },
    /// 400: Graph called the webhook while it made the subscription, and did not get its validation token back.
    #[error("the webhook did not answer Microsoft Graph's validation request as it should ({code}: {message})")]
    WebhookNotValidated {
        /// The error code in Graph's answer.
        code: String,
        /// Graph's own words: which URL, and what was wrong with its answer.
        message: String,
    },
    /// 410: Graph has forgotten the state behind a delta link, so that everything has to be listed again.
    #[error("Microsoft Graph no longer knows this delta link ({code})")]
    SyncStateGone {
        /// The error code in Graph's answer.
        code: String,
    },
    /// Graph refused the request for another reason: any other 4xx.
    #[error("Microsoft Graph refused the request ({status} {code})")]
    Rejected {
        /// The HTTP status of the answer.
        status: u16,
        /// The error code in Graph's answer.
        code: String,
        /// Graph's own words about the error.
        message: String,
    },
    /// A 2xx whose body does not have the expected form.
    #[error("Microsoft Graph's answer could not be read: {problem}")]
    Unreadable {
        /// The part of the body that is wrong.
        problem: String,
    },
}

impl From<CallError> for GraphError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Auth(error) => Self::Auth(error),
            CallError::NoReply(error) => Self::NoReply(error),
        }
    }
}

/// The part that is the same for every operation. Each use case tells what a refusal means for its own operation.
impl From<GraphError> for Error {
    fn from(error: GraphError) -> Self {
        let cause = error.to_string();
        let told = |code, message: String| Self::new(code, message).because(&cause);
        match error {
            GraphError::Auth(error) => error.into(),
            GraphError::PermissionMissing { permission, status, code } => told(
                Code::PERMISSION_MISSING,
                format!(
                    "Microsoft Graph refused for lack of permission ({status} {code}). Grant the app registration the \
                     application permission {permission} with admin consent; it works for tokens issued after that, \
                     within the hour."
                ),
            ),
            GraphError::Throttled { retry_after, .. } => {
                let wait = when(retry_after);
                let message = format!("Microsoft Graph asks to slow down. Send the same request again {wait}.");
                told(Code::GRAPH_THROTTLED, message)
            }
            GraphError::NoReply(_) | GraphError::Unavailable { .. } | GraphError::Unreadable { .. } => told(
                Code::GRAPH_UNAVAILABLE,
                "Microsoft Graph did not answer as it should. Send the same request again; nothing is done twice. If it \
                 lasts, look at the Microsoft 365 service health."
                    .into(),
            ),
            GraphError::Rejected { status, code, message } => {
                told(Code::GRAPH_REJECTED, format!("Microsoft Graph refused the request ({status} {code})."))
                    .quoting(message)
            }
            GraphError::SubscriptionExists => told(
                Code::GRAPH_REJECTED,
                "The app already has a subscription for this resource and these change types that sends its \
                 notifications to another URL, of an earlier deployment perhaps. Delete that subscription, or wait \
                 until it expires."
                    .into(),
            ),
            GraphError::SubscriptionQuota { code } => told(
                Code::GRAPH_REJECTED,
                format!(
                    "Microsoft Graph allows no further subscription (403 {code}). The permission is there; a limit on \
                     subscriptions of the tenant (10,000 for Teams, all apps together), of the user (10) or of the \
                     mailbox (1,000) is reached. Delete subscriptions that nobody needs."
                ),
            ),
            GraphError::WebhookNotValidated { code, message } => told(
                Code::GRAPH_REJECTED,
                format!(
                    "Microsoft Graph could not validate the webhook (400 {code}). That is no fault of Graph's: WEBHOOK_URL \
                     must be the public https address of the bridge's API, and graph-webhook must answer there within \
                     ten seconds. Its log shows whether the request arrived."
                ),
            )
            .quoting(message),
            GraphError::SyncStateGone { .. }
            | GraphError::AccessPolicyMissing
            | GraphError::NotFound { .. }
            | GraphError::NotLicensed { .. }
            | GraphError::DuplicateTransaction { .. } => {
                told(Code::GRAPH_REJECTED, format!("Microsoft Graph refused the request: {cause}."))
            }
        }
    }
}

/// Graph's error body (<https://learn.microsoft.com/graph/errors>), read leniently, because gateways answer with HTML
/// or with nothing.
#[derive(Deserialize, Default)]
struct GraphErrorBody {
    #[serde(default)]
    error: GraphErrorDetail,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GraphErrorDetail {
    code: Option<String>,
    message: Option<String>,
    #[serde(rename = "@event.existingEventId")]
    existing_event_id: Option<String>,
}

impl GraphError {
    /// Whether the resource that the call named does not exist.
    #[must_use]
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Reads the refusal of a subscription. A quota and a missing permission are both `Forbidden`, and a failed
    /// validation has no code of its own; the words tell them apart.
    ///
    /// <https://learn.microsoft.com/graph/api/subscription-post-subscriptions>
    pub(super) fn of_subscription(reply: &Reply, permission: &'static str) -> Self {
        let GraphErrorDetail { code, message, .. } = reply.json::<GraphErrorBody>().unwrap_or_default().error;
        let (code, message) = (code.unwrap_or_default(), message.unwrap_or_default());
        let said = message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
        match reply.status {
            StatusCode::CONFLICT => Self::SubscriptionExists,
            StatusCode::FORBIDDEN if says(&["quota", "limit", "maximum", "exceed", "too many"]) => {
                Self::SubscriptionQuota { code }
            }
            StatusCode::BAD_REQUEST if says(&["validation request", "validation token", "validate the endpoint"]) => {
                Self::WebhookNotValidated { code, message }
            }
            _ => Self::from_reply(reply, permission),
        }
    }

    /// Reads a refusal. Codes and status decide, with two exceptions: for the access policy and the licence, Graph has
    /// no code of its own but `Forbidden`.
    pub(super) fn from_reply(reply: &Reply, permission: &'static str) -> Self {
        let GraphErrorDetail { code, message, existing_event_id } =
            reply.json::<GraphErrorBody>().unwrap_or_default().error;
        let (code, message) = (code.unwrap_or_default(), message.unwrap_or_default());
        let status = reply.status.as_u16();
        let said = message.to_ascii_lowercase();
        if code == "ErrorDuplicateTransactionId" {
            return Self::DuplicateTransaction { existing: existing_event_id };
        }
        match reply.status {
            StatusCode::TOO_MANY_REQUESTS => Self::Throttled { retry_after: reply.retry_after, code },
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED
                if said.contains("application access policy") || said.contains("on behalf of user") =>
            {
                Self::AccessPolicyMissing
            }
            StatusCode::FORBIDDEN if said.contains("licen") => Self::NotLicensed { code },
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Self::PermissionMissing { permission, status, code },
            StatusCode::NOT_FOUND if code == "MailboxNotEnabledForRESTAPI" => Self::NotLicensed { code },
            StatusCode::NOT_FOUND => Self::NotFound { code },
            StatusCode::GONE => Self::SyncStateGone { code },
            _ if SYNC_STATE_GONE.contains(&code.as_str()) => Self::SyncStateGone { code },
            other if other.is_server_error() => Self::Unavailable { status, code },
            _ => Self::Rejected { status, code, message },
        }
    }
}

/// Codes that mean the same as 410.
const SYNC_STATE_GONE: [&str; 3] = ["syncStateNotFound", "resyncRequired", "SyncStateNotFound"];

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status: StatusCode::from_u16(status).unwrap(), body: body.as_bytes().to_vec(), ..Reply::default() }
    }

    fn refusal(status: u16, code: &str, message: &str) -> GraphError {
        let body = serde_json::json!({"error": {"code": code, "message": message}}).to_string();
        GraphError::from_reply(&reply(status, &body), "Calendars.ReadWrite")
    }

    #[test]
    fn the_access_policy_is_recognised_in_all_its_wordings() {
        for (status, code, message) in [
            (403, "Forbidden", "No Application Access Policy found for this app"),
            (403, "Forbidden", "No application access policy found for this app a on the user u."),
            (403, "Unauthorized", "App a is not authorized to Create meeting on behalf of user u."),
        ] {
            assert_eq!(refusal(status, code, message), GraphError::AccessPolicyMissing);
        }
        assert!(matches!(refusal(403, "Forbidden", ""), GraphError::PermissionMissing { .. }));
    }

    #[test]
    fn status_and_code_decide() {
        assert!(matches!(refusal(403, "ErrorAccessDenied", "Access is denied."), GraphError::PermissionMissing { .. }));
        assert!(matches!(refusal(404, "MailboxNotEnabledForRESTAPI", ""), GraphError::NotLicensed { .. }));
        assert!(matches!(refusal(404, "Request_ResourceNotFound", ""), GraphError::NotFound { .. }));
        assert!(matches!(refusal(429, "TooManyRequests", ""), GraphError::Throttled { .. }));
        assert!(matches!(refusal(503, "serviceNotAvailable", ""), GraphError::Unavailable { .. }));
        assert!(matches!(refusal(400, "BadRequest", "no"), GraphError::Rejected { .. }));
    }

    #[test]
    fn a_duplicate_transaction_comes_under_two_statuses_and_may_name_the_event() {
        for status in [400, 409] {
            let error = refusal(status, "ErrorDuplicateTransactionId", "already used");
            assert_eq!(error, GraphError::DuplicateTransaction { existing: None });
        }
        let body = r#"{"error":{"code":"ErrorDuplicateTransactionId","@event.existingEventId":"AAMk"}}"#;
        let error = GraphError::from_reply(&reply(409, body), "");
        assert_eq!(error, GraphError::DuplicateTransaction { existing: Some("AAMk".into()) });
    }

    #[test]
    fn a_subscription_is_refused_for_its_own_reasons() {
        let refusal = |status, code: &str, message: &str| {
            let body = serde_json::json!({"error": {"code": code, "message": message}}).to_string();
            GraphError::of_subscription(&reply(status, &body), "Chat.Read.All")
        };
        let exists =
            "Subscription Id <7f105c7d-2dc5-4530-97cd-4e7ae6534c07> already exists for the requested combination";
        assert_eq!(refusal(409, "Conflict", exists), GraphError::SubscriptionExists);
        let full = "This tenant has reached its maximum number of subscriptions.";
        assert!(matches!(refusal(403, "Forbidden", full), GraphError::SubscriptionQuota { .. }));
        let missing = "Missing scope permissions on the request. API requires one of 'Chat.Read.All'.";
        assert!(matches!(refusal(403, "Forbidden", missing), GraphError::PermissionMissing { .. }));
        for message in [
            "Subscription validation request timed out.",
            "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request.",
        ] {
            let error = refusal(400, "ValidationError", message);
            assert!(matches!(error, GraphError::WebhookNotValidated { .. }), "{error}");
            let told = Error::from(error);
            assert!(told.message.contains("WEBHOOK_URL") && told.detail.as_deref() == Some(message), "{told}");
        }
        let lifecycle = "lifecycleNotificationUrl is a required property for subscription creation on this resource";
        assert!(matches!(refusal(400, "InvalidRequest", lifecycle), GraphError::Rejected { .. }));
        assert!(matches!(refusal(404, "ResourceNotFound", ""), GraphError::NotFound { .. }));
    }

    #[test]
    fn a_delta_link_that_is_forgotten_is_told_by_status_or_code() {
        assert!(matches!(refusal(410, "whatever", ""), GraphError::SyncStateGone { .. }));
        assert!(matches!(refusal(400, "resyncRequired", ""), GraphError::SyncStateGone { .. }));
        assert!(matches!(refusal(404, "ErrorItemNotFound", ""), GraphError::NotFound { .. }));
    }

    #[test]
    fn a_body_that_is_no_error_is_survived() {
        for body in [
            "",
            "<html>Bad gateway</html>",
            "{}",
            "[]",
            r#"{"error":"x"}"#,
            r#"{"error":null}"#,
            r#"{"error":{"code":null}}"#,
        ] {
            let error = GraphError::from_reply(&reply(502, body), "");
            assert_eq!(error, GraphError::Unavailable { status: 502, code: String::new() });
        }
    }
}
