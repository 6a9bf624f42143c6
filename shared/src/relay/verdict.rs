//! The verdict on a failure: whether the message waits, or can never be delivered.
//!
//! An outage, an expired credential or a withdrawn permission makes every message fail. No message is the cause, so all
//! of them wait, in order, until it is over. A message that a remote refuses for its content (a definite 4xx), or that
//! makes the bridge itself fail, goes to the dead-letter queue: at once, and alone.

use crate::error::{Code, Error};

/// How many times a message is received, in about two hours, before it may be the cause of its failures: it is then set
/// aside if it cannot be opened while all others can.
pub(super) const SUSPECT_RECEIVES: u32 = 14;

/// The verdict on a failed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The message can never be delivered.
    SetAside,
    /// An outage that passes by itself: the message waits.
    Outage,
    /// A remote throttles: the message waits for the end of its time window.
    Throttled,
    /// A credential must be corrected in its secret: the message waits.
    LacksCredential,
    /// A permission must be granted, or a setting corrected: the message waits.
    LacksPermission,
}

impl Verdict {
    /// The verdict on a failure, by its code.
    pub(super) fn of(error: &Error) -> Self {
        match error.code {
            Code::GENESYS_REJECTED | Code::GRAPH_REJECTED | Code::INTERNAL => Self::SetAside,
            Code::GENESYS_THROTTLED | Code::GRAPH_THROTTLED => Self::Throttled,
            Code::ENTRA_REFUSED | Code::GENESYS_REFUSED | Code::SECRET_UNREADABLE => Self::LacksCredential,
            Code::PERMISSION_MISSING | Code::MISCONFIGURED => Self::LacksPermission,
            _ => Self::Outage,
        }
    }
}
