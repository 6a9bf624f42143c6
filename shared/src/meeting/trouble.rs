//! Why there is no join URL, and what a person can do about it.

use super::UserRef;
use crate::error::{Code, Error};
use crate::graph::GraphError;

/// The reasons for which there is no join URL.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// The call to Graph failed.
    Graph(GraphError),
    /// Graph made an event without a meeting, because the organizer cannot use Teams.
    Downgraded,
    /// The meeting exists, and Teams has not given it a link yet.
    UrlPending,
    /// The access policy is missing, and the calendar event failed for this other reason.
    NeitherWay(Box<Trouble>),
}

impl From<GraphError> for Trouble {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

impl Trouble {
    /// Whether another organizer may succeed.
    pub(super) fn concerns_organizer(&self) -> bool {
        match self {
            Self::Downgraded | Self::NeitherWay(_) => true,
            Self::UrlPending => false,
            Self::Graph(error) => match error {
                GraphError::AccessPolicyMissing
                | GraphError::NotFound { .. }
                | GraphError::NotLicensed { .. }
                | GraphError::DuplicateTransaction { .. } => true,
                // Exchange also refuses an app a mailbox that is outside of its scope.
                GraphError::PermissionMissing { permission, .. } => *permission == "Calendars.ReadWrite",
                _ => false,
            },
        }
    }

    /// The error that the caller reads.
    pub(super) fn into_error(self, organizer: &UserRef) -> Error {
        match self {
            Self::Graph(error) => explain(error, organizer),
            Self::Downgraded => not_licensed(organizer).because("the event came back without an online meeting"),
            Self::UrlPending => Error::new(
                Code::MEETING_URL_PENDING,
                "The meeting exists, and Microsoft Teams has not given its link yet. Send the same request again in a \
                 few seconds; it finds the same meeting.",
            ),
            Self::NeitherWay(second) => {
                let mut error = explain(GraphError::AccessPolicyMissing, organizer);
                let second = second.into_error(organizer);
                error.message =
                    format!("{} A calendar event could not be made in its place: {}", error.message, second.message);
                error.cause = second.cause;
                error
            }
        }
    }
}

fn not_licensed(organizer: &UserRef) -> Error {
    let message = format!(
        "The organizer {} cannot organize Teams meetings. Give the user a licence that includes Teams and Exchange \
         Online, or set DEFAULT_ORGANIZER to a user who has one.",
        organizer.as_str()
    );
    Error::new(Code::ORGANIZER_NOT_LICENSED, message)
}

/// The error for the caller, from a failed call to Graph.
pub(super) fn explain(error: GraphError, organizer: &UserRef) -> Error {
    let cause = error.to_string();
    let user = organizer.as_str();
    let told = |code, message: String| Error::new(code, message).because(&cause);
    match error {
        GraphError::AccessPolicyMissing => told(
            Code::ACCESS_POLICY_MISSING,
            format!(
                "No Teams application access policy lets the app organize meetings for {user}. A Teams administrator \
                 creates one with New-CsApplicationAccessPolicy for the app's client id and grants it with \
                 Grant-CsApplicationAccessPolicy to the user or with -Global; it takes up to 30 minutes to work. \
                 (MEETING_MODE=calendar-event needs no such policy.)"
            ),
        ),
        GraphError::PermissionMissing { permission: "Calendars.ReadWrite", .. } => {
            let mut error = Error::from(error);
            error.message.push_str(" If the app is limited to some mailboxes in Exchange, include the organizer's.");
            error
        }
        GraphError::NotFound { .. } => told(
            Code::ORGANIZER_NOT_FOUND,
            format!(
                "The organizer {user} does not exist in the tenant, or has no Teams licence. Send the agent's user \
                 principal name or object id in `user`, or set DEFAULT_ORGANIZER."
            ),
        ),
        GraphError::NotLicensed { .. } => not_licensed(organizer).because(&cause),
        GraphError::DuplicateTransaction { .. } => told(
            Code::GRAPH_REJECTED,
            "A calendar event of this conversation existed, and is no longer to be found. Was it deleted?".into(),
        ),
        other => other.into(),
    }
}
