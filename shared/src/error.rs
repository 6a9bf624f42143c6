//! The one error that the edge answers with.
//!
//! It carries two texts. `message` goes to the caller and to the log, and is written for a solutions engineer at 5 pm:
//! what happened, whose fault it is and what to do. `cause` goes to the request's log line alone. Beside them, `detail`
//! holds the remote's own words, for the caller alone. Inner layers have error enums of their own and know no HTTP;
//! they become an [`Error`] where a function answers.

use std::fmt;
use std::time::Duration;

/// Every `code` an answer can carry, each with the HTTP status it travels under and whether the same request may
/// succeed when it is sent again later.
///
/// A business outcome that an author of a Genesys Cloud script or flow branches on is HTTP 200, because Genesys Cloud
/// hides the body of every other answer. 4xx is a mistake of the caller, 5xx an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    text: &'static str,
    status: u16,
    retryable: bool,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $retryable:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self { text: $text, status: $status, retryable: $retryable };)*

            /// All codes, in the order of the reference's table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

codes! {
    /// A meeting was created.
    CREATED = "created", 200, false;
    /// The meeting of an earlier, equal request was found again.
    EXISTING = "existing", 200, false;
    /// Genesys Cloud took the text message.
    ACCEPTED = "accepted", 200, false;
    /// The text message of an earlier, equal request was found; nothing was sent.
    DUPLICATE = "duplicate", 200, false;
    /// There is a meeting, and the customer has been sent the link of another one.
    OTHER_LINK = "otherLink", 200, false;

    /// The organizer does not exist in the tenant.
    ORGANIZER_NOT_FOUND = "organizerNotFound", 200, false;
    /// The organizer exists and may not organize Teams meetings, or has no mailbox.
    ORGANIZER_NOT_LICENSED = "organizerNotLicensed", 200, false;
    /// No Teams application access policy lets the app act for the organizer.
    ACCESS_POLICY_MISSING = "accessPolicyMissing", 200, false;
    /// An application permission (Graph) or role permission (Genesys Cloud) is missing.
    PERMISSION_MISSING = "permissionMissing", 200, false;
    /// The calendar event exists and Teams has not yet given it a join URL.
    MEETING_URL_PENDING = "meetingUrlPending", 200, true;
    /// Graph asks to slow down for longer than this request can wait.
    GRAPH_THROTTLED = "graphThrottled", 200, true;
    /// Graph refused the request for a reason of its own.
    GRAPH_REJECTED = "graphRejected", 200, false;
    /// Graph did not answer, or answered 5xx.
    GRAPH_UNAVAILABLE = "graphUnavailable", 503, true;

    /// The recipient is no number an SMS can be sent to.
    RECIPIENT_INVALID = "recipientInvalid", 200, false;
    /// The sender is no number of the Genesys Cloud org.
    SENDER_INVALID = "senderInvalid", 200, false;
    /// The text is longer than Genesys Cloud sends.
    TEXT_TOO_LONG = "textTooLong", 200, false;
    /// The messenger needs more than a text.
    MESSENGER_NOT_SUPPORTED = "messengerNotSupported", 200, false;
    /// It is not known whether the text message was sent.
    OUTCOME_UNKNOWN = "outcomeUnknown", 200, false;
    /// Another, equal request is still at work.
    IN_PROGRESS = "inProgress", 200, true;
    /// The meeting exists, the text message failed; `smsCode` says why.
    SMS_FAILED = "smsFailed", 200, false;
    /// Genesys Cloud asks to slow down for longer than this request can wait.
    GENESYS_THROTTLED = "genesysThrottled", 200, true;
    /// Genesys Cloud refused the request for a reason of its own.
    GENESYS_REJECTED = "genesysRejected", 200, false;
    /// Genesys Cloud could not be reached; nothing was sent.
    GENESYS_UNAVAILABLE = "genesysUnavailable", 503, true;

    /// The presence was set.
    UPDATED = "updated", 200, false;
    /// The map leaves this presence alone; nothing was set.
    UNCHANGED = "unchanged", 200, false;
    /// The presence that the bridge had set was cleared.
    CLEARED = "cleared", 200, false;
    /// The user is not linked to a Teams user, or to one who is gone.
    NO_TEAMS_USER = "noTeamsUser", 200, false;
    /// The map has nothing for this presence.
    UNMAPPED = "unmapped", 200, false;

    /// Microsoft Entra ID refused the app's credential.
    ENTRA_REFUSED = "entraRefused", 200, false;
    /// Microsoft Entra ID did not answer, or answered 5xx or 429.
    ENTRA_UNAVAILABLE = "entraUnavailable", 503, true;
    /// Genesys Cloud refused the OAuth client.
    GENESYS_REFUSED = "genesysRefused", 200, false;
    /// A secret is empty, malformed, or not readable for the function.
    SECRET_UNREADABLE = "secretUnreadable", 200, false;
    /// Secrets Manager did not answer.
    SECRETS_UNAVAILABLE = "secretsUnavailable", 503, true;
    /// The state table did not answer, so at-most-once could not be promised and nothing was sent.
    STATE_UNAVAILABLE = "stateUnavailable", 503, true;
    /// The queue did not take everything.
    QUEUE_UNAVAILABLE = "queueUnavailable", 503, true;
    /// A notification's client state could not be compared with the secret as it is now.
    CLIENT_STATE_UNKNOWN = "clientStateUnknown", 503, true;
    /// A request's signature could not be compared with the secret as it is now.
    SIGNATURE_UNKNOWN = "signatureUnknown", 503, true;
    /// The keys that the Bot Framework signs with could not be fetched.
    BOT_FRAMEWORK_UNAVAILABLE = "botFrameworkUnavailable", 503, true;
    /// The media bucket or the event bus did not take what was for it.
    DELIVERY_FAILED = "deliveryFailed", 503, true;

    /// The body is not a JSON object.
    MALFORMED_JSON = "malformedJson", 400, false;
    /// A field is missing or not what it must be; the message names it.
    INVALID_FIELD = "invalidField", 400, false;
    /// The request carried no verified token.
    UNAUTHORIZED = "unauthorized", 401, false;
    /// The token lacks an app role.
    ROLE_MISSING = "roleMissing", 403, false;
    /// The vendor's token is genuine, and not for this request, bot or tenant.
    SENDER_REFUSED = "senderRefused", 403, false;
    /// The route is for another method: POST, or GET for a page.
    METHOD_NOT_ALLOWED = "methodNotAllowed", 405, false;
    /// The body is larger than the bridge reads.
    BODY_TOO_LARGE = "bodyTooLarge", 413, false;
    /// A setting of the function is missing or wrong.
    MISCONFIGURED = "misconfigured", 500, false;
    /// The bridge has a bug.
    INTERNAL = "internal", 500, false;
    /// The function's time ran out.
    OUT_OF_TIME = "outOfTime", 504, true;
}

impl Code {
    /// The `code` of the answer.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.text
    }

    /// The HTTP status the answer travels under.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.status
    }

    /// Whether the same request may succeed when it is sent again later.
    #[must_use]
    pub const fn retryable(self) -> bool {
        self.retryable
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The reason why a request failed, in a text for the caller and a text for the log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Error {
    /// The code that the author of a script branches on.
    pub code: Code,
    /// For a person: what happened, whose fault it is, what to do. It goes to the caller and to the log, so it names no
    /// phone number, join URL, token or secret.
    pub message: String,
    /// The remote's own words, for the caller alone: they may repeat what the remote was sent.
    pub detail: Option<String>,
    /// For the log alone; masked on its way there.
    pub cause: Option<String>,
}

impl Error {
    /// An error with the text the caller reads.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, cause: None }
    }

    /// Adds the remote's own words, which only the caller reads.
    #[must_use]
    pub fn quoting(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into()).filter(|detail| !detail.is_empty());
        self
    }

    /// The text that the caller reads: the message, then the remote's own words.
    #[must_use]
    pub fn text_for_caller(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{} It says: {detail}", self.message),
            None => self.message.clone(),
        }
    }

    /// Adds the cause, which only the log shows.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }
}

/// When to send the request again, in words, after a remote that asked to slow down.
pub(crate) fn when(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(|| "in a minute".into(), |wait| format!("in {} s", wait.as_secs() + 1))
}
