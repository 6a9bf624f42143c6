//! An agent's Genesys Cloud presence, shown in Microsoft Teams.
//!
//! Two ways lead here: one presence on request ([`update`]), and every presence of the org from a queue of events
//! ([`mirror`]). Both go by the same map. An expiry is always sent, so that nobody stays Busy for days because an event
//! got lost.

mod directory;
mod map;
pub mod mirror;
mod pair;
mod update;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use directory::{ExternalIds, TeamsUsers};
pub use map::{NoSystemPresence, PresenceSettings, SystemPresence, Target};
pub use pair::{PREFERRED, Pair, PresenceMode, SESSION, Shown};
pub use update::{PresenceFields, PresenceOrder, update};

use crate::graph::presence::{PresenceAction, PresenceChange};

impl PresenceSettings {
    /// How long a presence lasts when nothing renews it.
    #[must_use]
    pub fn life(&self) -> Duration {
        Duration::from_secs(u64::from(self.minutes) * 60)
    }
}

/// Whose presence is changed, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whom {
    /// The Entra object id.
    pub user: Uuid,
    /// The client id of the bridge's app.
    pub session_id: Arc<str>,
}

/// What Graph is asked for, so that the user shows the target: one change for each action that the mode uses.
#[must_use]
pub fn changes(whom: &Whom, target: Target, settings: &PresenceSettings) -> Vec<PresenceChange> {
    let minutes = settings.minutes;
    let session_id = || whom.session_id.clone();
    // The session comes first: without one, a preferred presence has no effect.
    let actions = match target {
        Target::Leave => [None, None],
        Target::Show(shown) => [
            shown.session.map(|Pair { availability, activity }| PresenceAction::SetPresence {
                session_id: session_id(),
                availability,
                activity,
                minutes,
            }),
            shown.preferred.map(|Pair { availability, activity }| PresenceAction::SetUserPreferredPresence {
                availability,
                activity,
                minutes,
            }),
        ],
        Target::Clear => {
            let clear_session = || PresenceAction::ClearPresence { session_id: session_id() };
            let clear_preferred = PresenceAction::ClearUserPreferredPresence;
            match settings.mode {
                PresenceMode::Preferred => [None, Some(clear_preferred)],
                PresenceMode::Session => [Some(clear_session()), None],
                PresenceMode::Both => [Some(clear_session()), Some(clear_preferred)],
            }
        }
    };
    let user_id = whom.user.to_string();
    actions.into_iter().flatten().map(|action| PresenceChange { user_id: user_id.clone(), action }).collect()
}
