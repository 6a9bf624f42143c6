//! The mirror's settings: presence, pace and pilot.

use std::collections::HashSet;
use std::str::FromStr;

use uuid::Uuid;

use super::pace::Pace;
use crate::config::Environment;
use crate::presence::PresenceSettings;

/// Presence requests per second per app and tenant that Graph has documented for longest (1,500 in 30 s), unless the
/// deployment says otherwise.
const REQUESTS_PER_SECOND: u32 = 50;

/// The settings of the mirror.
#[derive(Debug)]
pub struct MirrorSettings {
    /// How presences are shown: mode, map, life.
    pub presence: PresenceSettings,
    /// The pace of the requests to Graph, by the deployment's budget.
    pub pace: Pace,
    /// The Genesys Cloud users of a pilot; `None` mirrors everybody.
    pub only: Option<HashSet<Uuid>>,
}

/// The ids of `PRESENCE_USERS`.
struct UserIds(HashSet<Uuid>);

impl FromStr for UserIds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ids = text.split([',', ' ', '\n']).filter(|id| !id.is_empty()).map(str::parse);
        ids.collect::<Result<_, _>>().map(Self).map_err(|_| "expected ids of Genesys Cloud users, separated by commas")
    }
}

impl MirrorSettings {
    /// Reads `PRESENCE_REQUESTS_PER_SECOND`, `PRESENCE_USERS`, and what [`PresenceSettings`] reads.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let presence = PresenceSettings::read(env);
        let rate = env.or("PRESENCE_REQUESTS_PER_SECOND", REQUESTS_PER_SECOND);
        let only = env.optional::<UserIds>("PRESENCE_USERS");
        let (presence, rate, only) = (presence?, rate?, only.unless_wrong()?);
        if rate == 0 {
            env.problem("PRESENCE_REQUESTS_PER_SECOND: expected at least 1");
            return None;
        }
        Some(Self { presence, pace: Pace::new(f64::from(rate)), only: only.map(|ids| ids.0) })
    }
}
