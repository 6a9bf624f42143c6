//! The presence of a user as Teams shows it: made of their Teams client, of the apps' sessions and of the preferred
//! presence.
//!
//! The rules are those of Microsoft's pages "Manage presence state using the Microsoft Graph API", "presence:
//! setPresence" and "presence: setUserPreferredPresence". Time is tokio's, so that hours pass at once where a test or a
//! simulation has paused it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Budget;

/// A presence: its availability and its activity.
pub(in crate::stand_ins) type Pair = (&'static str, &'static str);

/// The pairs that a session can be set to.
pub(super) const SESSION_PAIRS: &[Pair] = &[
    ("Available", "Available"),
    ("Busy", "InACall"),
    ("Busy", "InAConferenceCall"),
    ("Away", "Away"),
    ("DoNotDisturb", "Presenting"),
];

/// The pairs that a user can prefer to show.
pub(super) const PREFERRED_PAIRS: &[Pair] = &[
    ("Available", "Available"),
    ("Busy", "Busy"),
    ("DoNotDisturb", "DoNotDisturb"),
    ("BeRightBack", "BeRightBack"),
    ("Away", "Away"),
    ("Offline", "OffWork"),
];

/// The presence of a user whom Teams does not know.
pub(in crate::stand_ins) const UNKNOWN: Pair = ("PresenceUnknown", "PresenceUnknown");

const AVAILABLE: Pair = ("Available", "Available");
const INACTIVE: Pair = ("Available", "AvailableInactive");
const AWAY: Pair = ("Away", "Away");
const OFFLINE: Pair = ("Offline", "Offline");

/// How long a session stays Available untouched; after as long again it is Away.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// A presence that was set, and until when.
#[derive(Debug)]
struct Held {
    pair: Pair,
    since: Instant,
    expires: Instant,
}

impl Held {
    fn lives(&self, now: Instant) -> bool {
        now < self.expires
    }

    /// A session's state, unless it has expired.
    fn as_session(&self, now: Instant) -> Option<Pair> {
        let age = now.saturating_duration_since(self.since);
        let faded = match self.pair {
            AVAILABLE if age >= 2 * TIMEOUT => AWAY,
            AVAILABLE if age >= TIMEOUT => INACTIVE,
            pair => pair,
        };
        self.lives(now).then_some(faded)
    }
}

/// The rank of a session's state: the greater one wins.
fn rank(pair: &Pair) -> u8 {
    match *pair {
        ("DoNotDisturb", _) => 4,
        ("Busy", _) => 3,
        INACTIVE => 1,
        ("Available", _) => 2,
        _ => 0,
    }
}

#[derive(Debug, Default)]
struct Person {
    /// The sessions by app: an app has one session for a user, named by its own id.
    sessions: BTreeMap<String, Held>,
    preferred: Option<Held>,
    /// The presence that was seen last, and how many times it was new.
    seen: Option<Pair>,
    changes: u64,
    writes: u64,
}

impl Person {
    fn shows(&self, client_open: bool, now: Instant) -> Pair {
        let client = client_open.then_some(AVAILABLE);
        let sessions = self.sessions.values().filter_map(|session| session.as_session(now));
        let preferred = self.preferred.as_ref().filter(|preferred| preferred.lives(now));
        match (sessions.chain(client).max_by_key(rank), preferred) {
            // Without any session nothing is preferred.
            (None, _) => OFFLINE,
            (Some(_), Some(preferred)) => preferred.pair,
            (Some(pair), None) => pair,
        }
    }
}

/// All presences, and the number of requests to the presence service.
#[derive(Debug)]
pub(in crate::stand_ins) struct Presences {
    /// The users by object id in lower case.
    people: HashMap<String, Person>,
    pub(in crate::stand_ins) budget: Budget,
    pub(in crate::stand_ins) writes: u64,
}

impl Default for Presences {
    fn default() -> Self {
        Self { people: HashMap::new(), budget: Budget::new(10_000, Duration::from_secs(30)), writes: 0 }
    }
}

impl Presences {
    fn person(&mut self, user: &str) -> &mut Person {
        self.people.entry(user.to_ascii_lowercase()).or_default()
    }

    pub(super) fn set_session(&mut self, user: &str, app: &str, pair: Pair, expires: Instant) {
        let held = Held { pair, since: Instant::now(), expires };
        self.person(user).sessions.insert(app.to_owned(), held);
    }

    /// Clears a session; `false` if there was none.
    pub(super) fn clear_session(&mut self, user: &str, app: &str) -> bool {
        self.person(user).sessions.remove(app).is_some_and(|session| session.lives(Instant::now()))
    }

    pub(super) fn prefer(&mut self, user: &str, pair: Pair, expires: Instant) {
        self.person(user).preferred = Some(Held { pair, since: Instant::now(), expires });
    }

    pub(super) fn clear_preferred(&mut self, user: &str) {
        self.person(user).preferred = None;
    }

    /// The availability that this app's session holds now, and the one that is preferred: as they were set, faded or not.
    pub(in crate::stand_ins) fn held(&mut self, user: &str, app: &str) -> [Option<&'static str>; 2] {
        let now = Instant::now();
        let person = self.person(user);
        let held = [person.sessions.get(app), person.preferred.as_ref()];
        held.map(|held| held.filter(|held| held.lives(now)).map(|held| held.pair.0))
    }

    pub(super) fn count_write(&mut self, user: &str) {
        self.person(user).writes += 1;
    }

    pub(in crate::stand_ins) fn writes_of(&self, user: &str) -> u64 {
        self.people.get(&user.to_ascii_lowercase()).map_or(0, |person| person.writes)
    }

    /// The presence that is shown now, and its version.
    pub(in crate::stand_ins) fn look(&mut self, user: &str, client_open: bool) -> (Pair, u64) {
        let person = self.person(user);
        let pair = person.shows(client_open, Instant::now());
        if person.seen != Some(pair) {
            person.seen = Some(pair);
            person.changes += 1;
        }
        (pair, person.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "U-1";
    const MINUTE: Duration = Duration::from_secs(60);

    fn shown(presences: &mut Presences, client_open: bool) -> Pair {
        presences.look(USER, client_open).0
    }

    /// A session of an app of the same name, for an hour.
    fn session(presences: &mut Presences, pair: Pair) {
        presences.set_session(USER, pair.0, pair, Instant::now() + 60 * MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn among_sessions_the_least_disturbable_wins() {
        let mut presences = Presences::default();
        assert_eq!(shown(&mut presences, false), OFFLINE);
        assert_eq!(shown(&mut presences, true), AVAILABLE);
        session(&mut presences, AWAY);
        assert_eq!(shown(&mut presences, false), AWAY);
        assert_eq!(shown(&mut presences, true), AVAILABLE, "the Teams client is a session as well");
        session(&mut presences, AVAILABLE);
        assert_eq!(shown(&mut presences, false), AVAILABLE);
        session(&mut presences, ("DoNotDisturb", "Presenting"));
        session(&mut presences, ("Busy", "InACall"));
        assert_eq!(shown(&mut presences, true), ("DoNotDisturb", "Presenting"));
        assert!(presences.clear_session(USER, "DoNotDisturb"));
        assert_eq!(shown(&mut presences, true), ("Busy", "InACall"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_preferred_presence_wins_while_there_is_a_session() {
        let mut presences = Presences::default();
        presences.prefer(USER, AVAILABLE, Instant::now() + 60 * MINUTE);
        assert_eq!(shown(&mut presences, false), OFFLINE);
        session(&mut presences, ("Busy", "InACall"));
        assert_eq!(shown(&mut presences, false), AVAILABLE);
        presences.prefer(USER, ("Offline", "OffWork"), Instant::now() + MINUTE);
        assert_eq!(shown(&mut presences, true), ("Offline", "OffWork"));
        tokio::time::advance(MINUTE).await;
        assert_eq!(shown(&mut presences, true), ("Busy", "InACall"), "it has expired");
        presences.prefer(USER, AVAILABLE, Instant::now() + MINUTE);
        presences.clear_preferred(USER);
        assert_eq!(shown(&mut presences, true), ("Busy", "InACall"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_session_is_none() {
        let mut presences = Presences::default();
        presences.set_session(USER, "app", ("Busy", "InACall"), Instant::now() + 10 * MINUTE);
        tokio::time::advance(10 * MINUTE - Duration::from_millis(1)).await;
        assert_eq!(shown(&mut presences, false), ("Busy", "InACall"));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(shown(&mut presences, false), OFFLINE);
        assert!(!presences.clear_session(USER, "app"));
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_available_session_fades() {
        let mut presences = Presences::default();
        presences.set_session(USER, "app", AVAILABLE, Instant::now() + 240 * MINUTE);
        tokio::time::advance(5 * MINUTE).await;
        assert_eq!(shown(&mut presences, false), INACTIVE);
        tokio::time::advance(5 * MINUTE).await;
        assert_eq!(shown(&mut presences, false), AWAY);
        presences.set_session(USER, "app", AVAILABLE, Instant::now() + 240 * MINUTE);
        assert_eq!(shown(&mut presences, false), AVAILABLE, "set again");
        presences.set_session(USER, "app", ("Busy", "InACall"), Instant::now() + 240 * MINUTE);
        tokio::time::advance(239 * MINUTE).await;
        assert_eq!(shown(&mut presences, false), ("Busy", "InACall"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_version_grows_with_what_is_shown() {
        let mut presences = Presences::default();
        let first = presences.look(USER, true).1;
        assert_eq!(presences.look(USER, true).1, first);
        assert!(presences.look(USER, false).1 > first);
        assert!(presences.look("u-1", true).1 > first, "the object id's case does not matter");
    }
}
