//! The pairs of availability and activity that Graph's two actions allow, which differ.

use std::fmt;

/// An availability with its activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The availability, such as `Busy`.
    pub availability: &'static str,
    /// The activity, such as `InACall`.
    pub activity: &'static str,
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.availability, self.activity)
    }
}

const fn pair(availability: &'static str, activity: &'static str) -> Pair {
    Pair { availability, activity }
}

/// The pairs that `setUserPreferredPresence` allows.
///
/// <https://learn.microsoft.com/graph/api/presence-setuserpreferredpresence>
pub(crate) const PREFERRED: &[Pair] = &[
    pair("Available", "Available"),
    pair("Busy", "Busy"),
    pair("DoNotDisturb", "DoNotDisturb"),
    pair("BeRightBack", "BeRightBack"),
    pair("Away", "Away"),
    pair("Offline", "OffWork"),
];

/// The pairs that `setPresence` allows.
///
/// <https://learn.microsoft.com/graph/api/presence-setpresence>
pub(crate) const SESSION: &[Pair] = &[
    pair("Available", "Available"),
    pair("Busy", "InACall"),
    pair("Busy", "InAConferenceCall"),
    pair("Away", "Away"),
    pair("DoNotDisturb", "Presenting"),
];

/// Which of Graph's two actions is used (`PRESENCE_MODE`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PresenceMode {
    /// `setUserPreferredPresence`: it wins over whatever the user's devices say.
    #[default]
    Preferred,
    /// `setPresence`: one voice among the user's devices; a call in Teams still shows.
    Session,
    /// Both, so that the preferred presence has effect while Teams is closed.
    Both,
}

impl PresenceMode {
    /// The value of `PRESENCE_MODE` for this mode.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preferred => "preferred",
            Self::Session => "session",
            Self::Both => "both",
        }
    }

    /// How many of Graph's actions it uses.
    #[must_use]
    pub const fn actions(self) -> usize {
        match self {
            Self::Preferred | Self::Session => 1,
            Self::Both => 2,
        }
    }
}

impl std::str::FromStr for PresenceMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "preferred" => Ok(Self::Preferred),
            "session" => Ok(Self::Session),
            "both" => Ok(Self::Both),
            _ => Err("expected preferred, session or both"),
        }
    }
}

/// A presence to show: a pair for each action that the mode uses, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The pair for `setUserPreferredPresence`.
    pub preferred: Option<Pair>,
    /// The pair for `setPresence`.
    pub session: Option<Pair>,
}

/// Finds the pair that is named, or the first with this availability where no activity is named.
fn find(allowed: &[Pair], availability: &str, activity: Option<&str>) -> Option<Pair> {
    let is_named = |pair: &&Pair| {
        pair.availability.eq_ignore_ascii_case(availability)
            && activity.is_none_or(|activity| pair.activity.eq_ignore_ascii_case(activity))
    };
    allowed.iter().find(is_named).copied()
}

fn allowed(action: &str, pairs: &[Pair]) -> String {
    let pairs: Vec<_> = pairs.iter().map(Pair::to_string).collect();
    format!("{action} allows {}", pairs.join(", "))
}

impl Shown {
    /// The pairs for this mode. Upper and lower case do not matter. Where both actions are used, the activity has to
    /// fit one of them; the other takes its own for the same availability.
    ///
    /// # Errors
    /// A text that says which pairs are allowed.
    pub fn of(mode: PresenceMode, availability: &str, activity: Option<&str>) -> Result<Self, String> {
        let preferred = |activity| find(PREFERRED, availability, activity);
        let session = |activity| find(SESSION, availability, activity);
        let shown = match mode {
            PresenceMode::Preferred => Self { preferred: preferred(activity), session: None },
            PresenceMode::Session => Self { preferred: None, session: session(activity) },
            PresenceMode::Both => match (preferred(activity), session(activity)) {
                (None, None) => Self { preferred: None, session: None },
                (p, s) => Self { preferred: p.or_else(|| preferred(None)), session: s.or_else(|| session(None)) },
            },
        };
        let complete = match mode {
            PresenceMode::Preferred => shown.preferred.is_some(),
            PresenceMode::Session => shown.session.is_some(),
            PresenceMode::Both => shown.preferred.is_some() && shown.session.is_some(),
        };
        if complete {
            return Ok(shown);
        }
        let (for_preferred, for_session) =
            (allowed("preferred presence", PREFERRED), allowed("session presence", SESSION));
        Err(match mode {
            PresenceMode::Preferred => for_preferred,
            PresenceMode::Session => for_session,
            PresenceMode::Both => {
                format!("{for_preferred}; {for_session}; with both, each has to have the availability")
            }
        })
    }

    /// The pair that Teams shows: the preferred one before the session's.
    #[must_use]
    pub fn pair(&self) -> Pair {
        self.preferred.or(self.session).unwrap_or(pair("PresenceUnknown", "PresenceUnknown"))
    }
}
