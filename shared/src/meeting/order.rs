//! A meeting order: what a request asks for, after its fields have been checked.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::time::{SentTime, TimeWindow, Zone};
use crate::config::Environment;
use crate::fields::{ConversationId, Fields};
use crate::invisible::is_blank;

/// How long a meeting lasts when the request does not say.
const DEFAULT_MINUTES: u32 = 60;

/// The longest meeting that can be asked for: a day.
const MAX_MINUTES: u32 = 24 * 60;

const DEFAULT_SUBJECT: &str = "Customer call";

/// The longest subject, in characters; Exchange cuts a longer one.
const MAX_SUBJECT_CHARS: usize = 255;

/// A user of the tenant, by one of two names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    /// The object id, in lower case.
    ObjectId(String),
    /// The user principal name.
    Upn(String),
}

impl FromStr for UserRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The GUID of zeros is what a variable without a value looks like.
        if let Some(id) = Uuid::try_parse(text).ok().filter(|id| !id.is_nil()) {
            return Ok(Self::ObjectId(id.to_string()));
        }
        let plain = text.len() <= 256 && !text.chars().any(|c| is_blank(c) || "/\\?".contains(c));
        match text.rsplit_once('@') {
            Some((name, domain)) if plain && !name.is_empty() && domain.contains('.') => Ok(Self::Upn(text.to_owned())),
            _ => Err("expected a user principal name such as kim@contoso.com, or an Entra object id"),
        }
    }
}

impl UserRef {
    /// The user's name in Outlook's paths.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::ObjectId(text) | Self::Upn(text) => text,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.as_str().eq_ignore_ascii_case(other.as_str())
    }
}

/// The way in which a meeting is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `onlineMeetings/createOrGet`: no calendar entry, needs a Teams application access policy.
    OnlineMeeting,
    /// A calendar event with an online meeting.
    CalendarEvent,
    /// An online meeting, or a calendar event where the access policy is missing.
    Auto,
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "online-meeting" => Ok(Self::OnlineMeeting),
            "calendar-event" => Ok(Self::CalendarEvent),
            "auto" => Ok(Self::Auto),
            _ => Err("expected online-meeting, calendar-event or auto"),
        }
    }
}

/// Which participants bypass the lobby, in Graph's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LobbyScope(&'static str);

/// Which participants may present, in Graph's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presenters(&'static str);

impl FromStr for LobbyScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &[&str] = &[
            "everyone",
            "invited",
            "organization",
            "organizationAndFederated",
            "organizationExcludingGuests",
            "organizer",
        ];
        one_of(text, ALLOWED).map(Self)
    }
}

impl FromStr for Presenters {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        one_of(text, &["everyone", "organization", "organizer", "roleIsPresenter"]).map(Self)
    }
}

fn one_of(text: &str, allowed: &[&'static str]) -> Result<&'static str, String> {
    let found = allowed.iter().find(|value| **value == text).copied();
    found.ok_or_else(|| format!("expected one of {}", allowed.join(", ")))
}

impl LobbyScope {
    /// The value as Graph writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl Presenters {
    /// The value as Graph writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// The deployment's settings for meetings.
#[derive(Debug, Clone)]
pub struct MeetingSettings {
    /// The organizer when the agent cannot be, or is not named.
    pub default_organizer: Option<UserRef>,
    /// The mode of requests that name none.
    pub mode: Mode,
    /// Which participants bypass the lobby.
    pub lobby_scope: LobbyScope,
    /// Which participants may present.
    pub presenters: Presenters,
}

impl MeetingSettings {
    /// Reads `DEFAULT_ORGANIZER`, `MEETING_MODE`, `LOBBY_SCOPE` and `ALLOWED_PRESENTERS`.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let default_organizer = env.optional("DEFAULT_ORGANIZER");
        let mode = env.or("MEETING_MODE", Mode::Auto);
        // The caller is not a guest of the tenant and not a colleague: with anything less than `everyone` they wait in
        // the lobby.
        let lobby_scope = env.or("LOBBY_SCOPE", LobbyScope("everyone"));
        let presenters = env.or("ALLOWED_PRESENTERS", Presenters("organization"));
        Some(Self {
            default_organizer: default_organizer.unless_wrong()?,
            mode: mode?,
            lobby_scope: lobby_scope?,
            presenters: presenters?,
        })
    }
}

/// A meeting to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingOrder {
    /// The organizers to try, in this order; at least one.
    pub organizers: Vec<UserRef>,
    /// The start and end of the meeting.
    pub window: TimeWindow,
    /// The subject of the meeting.
    pub subject: String,
    /// The meeting's key: the same for every request of one conversation, and for no other.
    pub external_id: String,
    /// The conversation's earlier calendar event, if it is gone: Exchange may remember its transaction id.
    pub gone_event: Option<String>,
    /// The way in which it is made.
    pub mode: Mode,
}

impl MeetingOrder {
    /// Reads `user`, `startTime`, `endTime`, `timeZone`, `durationMinutes`, `subject` and `mode`.
    pub fn read(
        fields: &mut Fields,
        settings: &MeetingSettings,
        conversation: Option<&ConversationId>,
        now: Timestamp,
    ) -> Option<Self> {
        let user = fields.parsed::<UserRef>("user");
        let mode = fields.parsed("mode").unwrap_or(settings.mode);
        let window = read_window(fields, now);
        let subject = fields.optional_text("subject").unwrap_or_else(|| DEFAULT_SUBJECT.into());
        if user.is_none() && settings.default_organizer.is_none() && !fields.has_problem("user") {
            fields.problem("user", "required, because the bridge has no DEFAULT_ORGANIZER");
        }
        let mut organizers = Vec::from_iter(user);
        if let Some(default) = &settings.default_organizer
            && !organizers.iter().any(|user| user.is_same(default))
        {
            organizers.push(default.clone());
        }
        Some(Self {
            organizers,
            window: window?,
            subject: subject.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT_CHARS).collect(),
            // Without a conversation, clicks cannot be told apart: each request makes a meeting of its own, and two
            // customers never meet by accident.
            external_id: conversation.map_or_else(|| Uuid::new_v4().to_string(), |id| id.as_str().to_owned()),
            gone_event: None,
            mode,
        })
    }

    /// The calendar event's `transactionId`: a GUID made from the conversation, the same for every repetition. An event
    /// that replaces one that is gone has another.
    #[must_use]
    pub fn transaction_id(&self) -> String {
        let name = match &self.gone_event {
            None => self.external_id.clone(),
            Some(gone) => format!("{} after {gone}", self.external_id),
        };
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
    }
}

fn read_window(fields: &mut Fields, now: Timestamp) -> Option<TimeWindow> {
    let start = fields.parsed::<SentTime>("startTime");
    let end = fields.parsed::<SentTime>("endTime");
    let zone = fields.parsed::<Zone>("timeZone");
    let minutes = fields.whole_number("durationMinutes", 1..=MAX_MINUTES).unwrap_or(DEFAULT_MINUTES);
    let duration = Duration::from_secs(u64::from(minutes) * 60);
    for (name, time) in [("startTime", &start), ("endTime", &end)] {
        if let (Some(time), Some(zone)) = (time, &zone)
            && time.contradicts(zone)
        {
            fields.problem(name, "expected the same zone in brackets as in timeZone, or one of the two");
        }
    }
    let local = [&start, &end].into_iter().flatten().any(|time| matches!(time, SentTime::Local(_)));
    if local && zone.is_none() && !fields.has_problem("timeZone") {
        fields.problem("timeZone", "required, because a time has no offset");
    }
    if end.is_some() && start.is_none() && !fields.has_problem("startTime") {
        fields.problem("startTime", "required, because endTime is given");
    }
    let start = match start {
        Some(start) => start.instant(zone.as_ref())?,
        None => now,
    };
    let window = match end {
        Some(end) => TimeWindow { start, end: end.instant(zone.as_ref())? },
        None => {
            let window = TimeWindow::lasting(start, duration);
            if window.is_none() {
                fields.problem("startTime", "expected a time that is not the last of all");
            }
            window?
        }
    };
    if window.end <= window.start && !fields.has_problem("startTime") {
        fields.problem("endTime", "expected a time after startTime");
    }
    Some(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> MeetingSettings {
        MeetingSettings::read(&mut Environment::of([("DEFAULT_ORGANIZER", "bridge@contoso.com")])).unwrap()
    }

    fn order(json: &str) -> Result<MeetingOrder, String> {
        let mut fields = Fields::parse(json.as_bytes()).unwrap();
        let now = "2026-05-04T10:00:00Z".parse().unwrap();
        let conversation = fields.parsed::<ConversationId>("conversationId");
        let order = MeetingOrder::read(&mut fields, &settings(), conversation.as_ref(), now);
        fields.finish(order).map_err(|error| error.message)
    }

    fn minutes(order: &MeetingOrder) -> i64 {
        order.window.end.duration_since(order.window.start).as_secs() / 60
    }

    #[test]
    fn the_published_blueprint_s_input_works_as_it_is() {
        let order = order(
            r#"{"user":"Kim@Contoso.com","startTime":"2026-05-04T18:00:00","endTime":"2026-05-04T18:10:00",
                "timeZone":"Pacific Standard Time"}"#,
        )
        .unwrap();
        assert_eq!(order.organizers[0], UserRef::Upn("Kim@Contoso.com".into()));
        assert_eq!(order.window.start.to_string(), "2026-05-05T01:00:00Z");
        assert_eq!(minutes(&order), 10);
    }

    #[test]
    fn without_times_it_is_now_for_an_hour() {
        let now = order("{}").unwrap();
        assert_eq!((now.window.start.to_string().as_str(), minutes(&now)), ("2026-05-04T10:00:00Z", 60));
        assert_eq!(minutes(&order(r#"{"durationMinutes":15}"#).unwrap()), 15);
        let later = order(r#"{"startTime":"2026-06-01T08:00:00Z","durationMinutes":"30"}"#).unwrap();
        assert_eq!((later.window.start.to_string().as_str(), minutes(&later)), ("2026-06-01T08:00:00Z", 30));
    }

    #[test]
    fn mistakes_are_named() {
        for (json, expected) in [
            (r#"{"startTime":"2020-05-4T18:00:00"}"#, "`startTime`: expected an ISO 8601"),
            (r#"{"startTime":"2026-05-04T18:00:00"}"#, "`timeZone`: required"),
            (r#"{"startTime":"2026-05-04T18:00:00","timeZone":"Mordor"}"#, "`timeZone`: expected an IANA name"),
            (r#"{"endTime":"2026-05-04T18:00:00Z"}"#, "`startTime`: required"),
            (
                r#"{"startTime":"2026-05-04T18:00:00Z","endTime":"2026-05-04T18:00:00Z"}"#,
                "`endTime`: expected a time after",
            ),
            (r#"{"startTime":"2026-05-04T18:00:00","timeZone":"Etc/Unknown"}"#, "`timeZone`: expected an IANA name"),
            (r#"{"startTime":"2026-05-04T18:00:00Z","timeZone":"Factory"}"#, "`timeZone`: expected an IANA name"),
            (
                r#"{"startTime":"2026-05-04T18:00:00[America/New_York]","timeZone":"Europe/Berlin"}"#,
                "`startTime`: expected the same zone",
            ),
            (r#"{"user":"kim"}"#, "`user`: expected a user principal name"),
            (r#"{"user":"${input.user}@contoso.com"}"#, "`user`: holds a reference"),
            (r#"{"mode":"fax"}"#, "`mode`: expected online-meeting"),
            (r#"{"durationMinutes":1441}"#, "`durationMinutes`: expected a whole number from 1 to 1440"),
        ] {
            let message = order(json).unwrap_err();
            assert!(message.contains(expected), "{json}: {message}");
            assert_eq!(message.matches('`').count(), 2, "one mistake, one complaint: {message}");
        }
    }

    #[test]
    fn a_zone_in_brackets_is_the_time_s_own() {
        let order = order(
            r#"{"startTime":"2026-12-04T18:00:00[America/New_York]","endTime":"2026-12-04T19:00:00",
                "timeZone":"Eastern Standard Time"}"#,
        )
        .unwrap();
        assert_eq!((order.window.start.to_string().as_str(), minutes(&order)), ("2026-12-04T23:00:00Z", 60));
    }

    #[test]
    fn a_subject_that_nothing_was_filled_into_is_the_default_one() {
        for json in
            [r#"{"subject":"Call with ${input.customer}"}"#, r#"{"subject":"undefined"}"#, r#"{"subject":"\u200b"}"#]
        {
            assert_eq!(order(json).unwrap().subject, DEFAULT_SUBJECT, "{json}");
        }
    }

    #[test]
    fn a_conversation_makes_one_key_and_no_conversation_makes_a_new_one_each_time() {
        let one = |json| order(json).unwrap();
        let (a, b) = (one(r#"{"conversationId":"c-1"}"#), one(r#"{"conversationId":"c-1"}"#));
        assert_eq!((&a.external_id, a.transaction_id()), (&b.external_id, b.transaction_id()));
        assert_ne!(one(r#"{"conversationId":"c-2"}"#).transaction_id(), a.transaction_id());
        assert_ne!(one("{}").external_id, one("{}").external_id);
    }

    #[test]
    fn the_default_organizer_comes_second_and_once() {
        assert_eq!(order(r#"{"user":"kim@contoso.com"}"#).unwrap().organizers.len(), 2);
        assert_eq!(order(r#"{"user":"BRIDGE@contoso.com"}"#).unwrap().organizers.len(), 1);
        let mut fields = Fields::parse(b"{}").unwrap();
        let nobody = MeetingSettings { default_organizer: None, ..settings() };
        let order = MeetingOrder::read(&mut fields, &nobody, None, Timestamp::UNIX_EPOCH);
        assert!(fields.finish(order).unwrap_err().message.contains("DEFAULT_ORGANIZER"));
    }

    #[test]
    fn users_are_names_or_object_ids() {
        let id = "11111111-AAAA-3333-4444-555555555555";
        assert_eq!(id.parse(), Ok(UserRef::ObjectId(id.to_lowercase())));
        assert!("kim_fabrikam.com#EXT#@contoso.onmicrosoft.com".parse::<UserRef>().is_ok());
        for bad in [
            "kim",
            "kim@contoso",
            "@contoso.com",
            "a b@contoso.com",
            "../x@contoso.com/..",
            "..",
            "kim\u{200b}@contoso.com",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(bad.parse::<UserRef>().is_err(), "{bad}");
        }
    }
}
