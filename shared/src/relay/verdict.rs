//! Whether a message that was not delivered waits, or can never be delivered.
//!
//! An outage, a credential that has expired or a permission that was taken away fails every message alike. None of them is to
//! blame, so all of them wait, in order, until it is over. What a remote refuses for what it is (a definite 4xx), and what
//! makes the bridge itself fail, goes to the dead-letter queue: at once, and alone.

use crate::error::{Code, Error};

/// So often a message is received, in about two hours, until it is suspected of failing by itself: it is set aside if others
/// get through meanwhile.
pub(super) const SUSPECT_RECEIVES: u32 = 12;

/// What a failure means for its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The message can never be delivered.
    SetAside,
    /// It passes by itself: the message waits.
    Outage,
    /// A remote asks to slow down: the message waits for its time window.
    Throttled,
    /// Somebody has to put a working credential into a secret: the message waits.
    LacksCredential,
    /// Somebody has to grant a permission, or to correct a setting: the message waits.
    LacksPermission,
}

impl Verdict {
    /// Of a failure, by its code.
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
