//! The map from a Genesys Cloud presence to what Teams shows.
//!
//! Genesys Cloud has a closed set of system presences, spelled differently by every interface, and open sets of
//! presence definitions below them. The map is searched for the definition's id first, then for its system presence.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::pair::{PresenceMode, Shown};
use crate::config::Environment;

/// How long a presence lasts when nothing renews it, in minutes, unless the deployment says otherwise.
const PREFERRED_MINUTES: u32 = 480;

/// How many minutes Graph lets a session last.
const SESSION_MINUTES: std::ops::RangeInclusive<u32> = 5..=240;

/// A Genesys Cloud system presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemPresence {
    /// *Available* in Genesys Cloud.
    Available,
    /// *On Queue*: the user takes conversations.
    OnQueue,
    /// *Busy* in Genesys Cloud.
    Busy,
    /// *Meeting* in Genesys Cloud.
    Meeting,
    /// *Training* in Genesys Cloud.
    Training,
    /// *Away* in Genesys Cloud.
    Away,
    /// *Break* in Genesys Cloud.
    Break,
    /// *Meal* in Genesys Cloud.
    Meal,
    /// *Idle* in Genesys Cloud.
    Idle,
    /// *Out of Office* in Genesys Cloud.
    OutOfOffice,
    /// *Offline*: the user is logged off.
    Offline,
}

impl SystemPresence {
    const ALL: [Self; 11] = [
        Self::Available,
        Self::OnQueue,
        Self::Busy,
        Self::Meeting,
        Self::Training,
        Self::Away,
        Self::Break,
        Self::Meal,
        Self::Idle,
        Self::OutOfOffice,
        Self::Offline,
    ];

    /// The name as Genesys Cloud's REST API has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::OnQueue => "On Queue",
            Self::Busy => "Busy",
            Self::Meeting => "Meeting",
            Self::Training => "Training",
            Self::Away => "Away",
            Self::Break => "Break",
            Self::Meal => "Meal",
            Self::Idle => "Idle",
            Self::OutOfOffice => "Out of Office",
            Self::Offline => "Offline",
        }
    }

    /// Whether an agent begins or stops to take conversations with this presence, so that others wait for it.
    #[must_use]
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::OnQueue | Self::Offline)
    }

    const fn by_default(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::OnQueue | Self::Busy | Self::Meeting | Self::Training => "Busy",
            Self::Away | Self::Break | Self::Meal | Self::Idle | Self::OutOfOffice => "Away",
            Self::Offline => "clear",
        }
    }
}

impl fmt::Display for SystemPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is no system presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a Genesys Cloud system presence such as On Queue, Available or Offline")]
pub struct NoSystemPresence;

/// Every published spelling: `On Queue`, `OnQueue`, `ON_QUEUE`, `on-queue`.
impl FromStr for SystemPresence {
    type Err = NoSystemPresence;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letters = |text: &str| -> Vec<u8> {
            text.bytes().filter(|b| !matches!(b, b' ' | b'_' | b'-')).map(|b| b.to_ascii_lowercase()).collect()
        };
        let sought = letters(text);
        Self::ALL.into_iter().find(|presence| letters(presence.name()) == sought).ok_or(NoSystemPresence)
    }
}

/// What Teams is to do with a presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Show these pairs of availability and activity.
    Show(Shown),
    /// Clear what the bridge has set.
    Clear,
    /// Leave Teams as it is.
    Leave,
}

impl Target {
    /// Reads `Busy`, `Busy/InACall`, `clear` or `leave`.
    ///
    /// # Errors
    /// A text that says which values are allowed.
    pub fn parse(text: &str, mode: PresenceMode) -> Result<Self, String> {
        match text.trim() {
            "clear" => Ok(Self::Clear),
            "leave" => Ok(Self::Leave),
            text => {
                let (availability, activity) = match text.split_once('/') {
                    Some((availability, activity)) => (availability.trim(), Some(activity.trim())),
                    None => (text, None),
                };
                Shown::of(mode, availability, activity).map(Self::Show)
            }
        }
    }
}

impl Target {
    /// Reads what was stored, perhaps by a deployment in another mode: then the same availability is meant, and where
    /// the mode has none, nothing is shown.
    #[must_use]
    pub(crate) fn read_back(text: &str, mode: PresenceMode) -> Self {
        let availability = text.split_once('/').map_or(text, |(availability, _)| availability);
        Self::parse(text, mode).or_else(|_| Self::parse(availability, mode)).unwrap_or(Self::Clear)
    }
}

/// How it is stored, and compared with what was sent before; [`Target::parse`] reads it back.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The session's activity says more: `Busy/InACall` tells also which preferred presence goes with it.
            Self::Show(shown) => match shown.session {
                Some(pair) => pair.fmt(f),
                None => shown.pair().fmt(f),
            },
            Self::Clear => f.write_str("clear"),
            Self::Leave => f.write_str("leave"),
        }
    }
}

/// The map as `PRESENCE_MAP` has it, not yet checked against the mode.
#[derive(Debug, Clone, Default)]
struct Overrides(HashMap<String, String>);

impl FromStr for Overrides {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            r#"expected a JSON object of texts, such as {"Meal": "BeRightBack", "Training": "leave"}"#;
        serde_json::from_str(text).map(Self).map_err(|_| EXPECTED)
    }
}

/// The settings for presences: mode, map, life.
#[derive(Debug, Clone)]
pub struct PresenceSettings {
    /// Which of Graph's actions set a presence.
    pub mode: PresenceMode,
    /// The mode that was in use before, when the mode was changed lately: what it has set is taken back.
    pub mode_before: Option<PresenceMode>,
    /// How long a presence lasts when nothing renews it, in minutes.
    pub minutes: u32,
    by_system: HashMap<SystemPresence, Target>,
    by_definition: HashMap<Uuid, Target>,
}

impl PresenceSettings {
    /// Reads `PRESENCE_MODE`, `PRESENCE_MODE_BEFORE`, `PRESENCE_TTL_MINUTES` and `PRESENCE_MAP`.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let mode = env.or("PRESENCE_MODE", PresenceMode::default());
        let mode_before = env.optional("PRESENCE_MODE_BEFORE");
        let minutes = env.optional::<u32>("PRESENCE_TTL_MINUTES");
        let overrides = env.or("PRESENCE_MAP", Overrides::default());
        let (mode, mode_before) = (mode?, mode_before.unless_wrong()?);
        let (minutes, overrides) = (minutes.unless_wrong()?, overrides?);
        let minutes = match (mode, minutes) {
            (_, Some(minutes)) if minutes < *SESSION_MINUTES.start() => {
                env.problem(format!("PRESENCE_TTL_MINUTES: expected at least {}", SESSION_MINUTES.start()));
                return None;
            }
            (PresenceMode::Session | PresenceMode::Both, Some(minutes)) if !SESSION_MINUTES.contains(&minutes) => {
                env.problem("PRESENCE_TTL_MINUTES: Graph keeps a session for at most 240 minutes");
                return None;
            }
            (_, Some(minutes)) => minutes,
            (PresenceMode::Preferred, None) => PREFERRED_MINUTES,
            (PresenceMode::Session | PresenceMode::Both, None) => *SESSION_MINUTES.end(),
        };
        let mut settings =
            Self { mode, mode_before, minutes, by_system: HashMap::new(), by_definition: HashMap::new() };
        for presence in SystemPresence::ALL {
            // The defaults are good in every mode; a test holds them to it.
            let target = Target::parse(presence.by_default(), mode).unwrap_or(Target::Leave);
            settings.by_system.insert(presence, target);
        }
        for (key, value) in overrides.0 {
            let target = match Target::parse(&value, mode) {
                Ok(target) => target,
                Err(expected) => {
                    env.problem(format!("PRESENCE_MAP, `{key}`: expected clear, leave, or a pair; {expected}"));
                    continue;
                }
            };
            match (key.parse(), key.parse()) {
                (Ok(presence), _) => drop(settings.by_system.insert(presence, target)),
                (_, Ok(definition)) => drop(settings.by_definition.insert(definition, target)),
                _ => env.problem(format!("PRESENCE_MAP, `{key}`: {NoSystemPresence}, or a presence definition's id")),
            }
        }
        Some(settings)
    }

    /// The target of a presence; `None` when neither its definition nor its system presence is known.
    #[must_use]
    pub fn target(&self, definition: Option<Uuid>, system: Option<SystemPresence>) -> Option<Target> {
        let by_definition = definition.and_then(|id| self.by_definition.get(&id));
        by_definition.or_else(|| self.by_system.get(&system?)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::pair::{PREFERRED, SESSION};

    fn settings(variables: &[(&str, &str)]) -> Result<PresenceSettings, Vec<String>> {
        let mut env = Environment::of(variables.iter().copied());
        let settings = PresenceSettings::read(&mut env);
        env.finish(settings).map_err(|error| error.problems)
    }

    #[test]
    fn every_published_spelling_is_understood() {
        for text in ["ON_QUEUE", "On Queue", "OnQueue", "on-queue", "onqueue"] {
            assert_eq!(text.parse(), Ok(SystemPresence::OnQueue), "{text}");
        }
        for presence in SystemPresence::ALL {
            assert_eq!(presence.name().parse(), Ok(presence));
            assert_eq!(presence.name().to_uppercase().replace(' ', "_").parse(), Ok(presence));
        }
        assert!("Lunch".parse::<SystemPresence>().is_err());
    }

    #[test]
    fn the_default_map_is_whole_in_every_mode() {
        for mode in ["preferred", "session", "both"] {
            let settings = settings(&[("PRESENCE_MODE", mode)]).unwrap();
            for presence in SystemPresence::ALL {
                let target = settings.target(None, Some(presence)).unwrap();
                assert_ne!(target, Target::Leave, "{mode} {presence}");
                assert_eq!(Target::parse(&target.to_string(), settings.mode), Ok(target), "{mode} {presence}");
            }
            assert_eq!(settings.target(None, Some(SystemPresence::Offline)), Some(Target::Clear));
        }
    }

    #[test]
    fn each_action_allows_its_own_pairs() {
        for pair in PREFERRED {
            let text = pair.to_string();
            assert!(Target::parse(&text, PresenceMode::Preferred).is_ok());
            assert_eq!(Target::parse(&text, PresenceMode::Session).is_ok(), SESSION.contains(pair), "{text}");
        }
        for pair in SESSION {
            for mode in [PresenceMode::Session, PresenceMode::Both] {
                let target = Target::parse(&pair.to_string(), mode).unwrap();
                assert_eq!(target.to_string(), pair.to_string());
            }
        }
        let Ok(Target::Show(both)) = Target::parse("busy/inacall", PresenceMode::Both) else { panic!() };
        assert_eq!(both.preferred.unwrap().to_string(), "Busy/Busy");
        assert_eq!(both.session.unwrap().to_string(), "Busy/InACall");
        assert!(Target::parse("BeRightBack", PresenceMode::Both).is_err());
    }

    #[test]
    fn a_definition_comes_before_its_system_presence() {
        let coaching = Uuid::new_v4();
        let map =
            format!(r#"{{"{coaching}": "DoNotDisturb", "MEAL": "BeRightBack/BeRightBack", "training": "leave"}}"#);
        let settings = settings(&[("PRESENCE_MAP", &map)]).unwrap();
        let of = |definition, system| settings.target(definition, Some(system)).unwrap().to_string();
        assert_eq!(of(Some(coaching), SystemPresence::Meeting), "DoNotDisturb/DoNotDisturb");
        assert_eq!(of(Some(Uuid::new_v4()), SystemPresence::Meeting), "Busy/Busy");
        assert_eq!(of(None, SystemPresence::Meal), "BeRightBack/BeRightBack");
        assert_eq!(of(None, SystemPresence::Training), "leave");
        assert_eq!(settings.target(Some(Uuid::new_v4()), None), None);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let map = r#"{"Lunch": "Away", "Meal": "Gone", "Busy": "Busy/InACall", "Idle": "Away"}"#;
        let problems = settings(&[("PRESENCE_MAP", map), ("PRESENCE_MODE", "preferred")]).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems.iter().any(|text| text.contains("`Busy`") && text.contains("Busy/Busy")), "{problems:?}");
        assert!(settings(&[("PRESENCE_MAP", "Busy")]).is_err());
        assert!(settings(&[("PRESENCE_MODE", "session"), ("PRESENCE_TTL_MINUTES", "241")]).is_err());
        assert!(settings(&[("PRESENCE_TTL_MINUTES", "4")]).is_err());
        assert_eq!(settings(&[("PRESENCE_TTL_MINUTES", "600")]).unwrap().minutes, 600);
        assert_eq!(settings(&[("PRESENCE_MODE", "both")]).unwrap().minutes, 240);
    }
}
