//! An agent's Genesys Cloud presence, shown in Microsoft Teams.
//!
//! There are two ways: one presence on request ([`PresenceUpdater`]), and every presence of the org from a queue of
//! events ([`mirror`]). Both use the same map. An expiry is always sent, so that a lost event leaves nobody Busy for
//! days.

mod directory;
mod figures;
mod map;
pub mod mirror;
mod pair;
mod update;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use directory::TeamsUsers;
pub use map::{NoSystemPresence, PresenceSettings, SystemPresence, Target};
pub use pair::{Pair, PresenceMode, Shown};
pub use update::{PresenceFields, PresenceOrder, PresenceUpdater};

pub use crate::genesys::{ExternalIds, LinkList, LinksPage};
use crate::graph::presence::{PresenceAction, PresenceChange};

impl PresenceSettings {
    /// How long a presence lasts when nothing renews it.
    #[must_use]
    pub fn life(&self) -> Duration {
        Duration::from_secs(u64::from(self.minutes) * 60)
    }
}

/// The Teams user whose presence is changed, and the session that changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedUser {
    /// The user's object id in Entra.
    pub user: Uuid,
    /// The client id of the bridge's app, which names its session.
    pub session_id: Arc<str>,
}

/// The changes by which a user shows the target: one for each action that the mode uses, and one to clear what an
/// action of the mode before had set, if this mode does not use that action.
#[must_use]
pub fn changes(
    whom: &ChangedUser,
    target: Target,
    settings: &PresenceSettings,
    before: Option<PresenceMode>,
) -> Vec<PresenceChange> {
    let minutes = settings.minutes;
    let session_id = || whom.session_id.clone();
    let uses = |mode: PresenceMode| {
        (
            matches!(mode, PresenceMode::Session | PresenceMode::Both),
            matches!(mode, PresenceMode::Preferred | PresenceMode::Both),
        )
    };
    let (session_before, preferred_before) = before.map_or((false, false), uses);
    let (session_now, preferred_now) = uses(settings.mode);
    let shown = match target {
        Target::Leave => return Vec::new(),
        Target::Show(shown) => Some(shown),
        Target::Clear => None,
    };
    let set_session = shown.and_then(|shown| shown.session).map(|pair| PresenceAction::SetPresence {
        session_id: session_id(),
        availability: pair.availability,
        activity: pair.activity,
        minutes,
    });
    let set_preferred = shown.and_then(|shown| shown.preferred).map(|pair| PresenceAction::SetUserPreferredPresence {
        availability: pair.availability,
        activity: pair.activity,
        minutes,
    });
    let clear_session =
        (session_now || session_before).then(|| PresenceAction::ClearPresence { session_id: session_id() });
    let clear_preferred = (preferred_now || preferred_before).then_some(PresenceAction::ClearUserPreferredPresence);
    let user_id = whom.user.to_string();
    // The session comes first: without one, a preferred presence has no effect.
    let actions = [set_session.or(clear_session), set_preferred.or(clear_preferred)];
    actions.into_iter().flatten().map(|action| PresenceChange { user_id: user_id.clone(), action }).collect()
}
