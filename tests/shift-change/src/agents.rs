//! The agents and their events.

use std::time::Duration;

use bridge::presence::SystemPresence;
use bridge::presence::mirror::Reminder;
use bridge::queue::Message;
use jiff::Timestamp;
use sandbox::genesys_event::GenesysEvent;
use serde_json::json;
use uuid::Uuid;

/// The time within which the shift changes.
pub(crate) const CHANGE: Duration = Duration::from_secs(300);

/// When the simulation begins, on the clock of the events.
const BEGIN: i64 = 1_800_000_000;

/// An agent of the shift.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    /// The id in Genesys Cloud and in Teams: the simulation has one id for both.
    pub id: Uuid,
    /// The agent's presence before the shift changed.
    pub before: SystemPresence,
    /// The changes, by their time since the beginning.
    pub changes: Vec<(Duration, SystemPresence)>,
}

impl Agent {
    /// One in ten logs off; the others change between presences that are not urgent, a third of them twice.
    pub(crate) fn mostly_not_urgent(number: usize) -> Self {
        let agent = Self::at_random(number);
        let first = agent.changes.first().map_or(Duration::ZERO, |(at, _)| *at);
        let (before, changes) = match number % 10 {
            0 => (SystemPresence::Available, vec![(first, SystemPresence::Offline)]),
            1..=3 => {
                let then = first + Duration::from_secs(1 + fastrand::u64(0..60));
                (SystemPresence::Available, vec![(first, SystemPresence::Busy), (then, SystemPresence::Break)])
            }
            4..=5 => (SystemPresence::Busy, vec![(first, SystemPresence::Available)]),
            _ => (SystemPresence::Available, vec![(first, SystemPresence::Meal)]),
        };
        Self { before, changes, ..agent }
    }

    /// Half of the agents log off; the others log on, and most of them go on queue within a minute. Some go for a meal.
    pub(crate) fn at_random(number: usize) -> Self {
        let within = |longest: Duration| Duration::from_millis(fastrand::u64(0..longest.as_millis().max(1) as u64));
        let first = within(CHANGE);
        let rest = CHANGE - first;
        let (before, changes) = match number % 20 {
            0..=9 => (SystemPresence::OnQueue, vec![(first, SystemPresence::Offline)]),
            10 => (SystemPresence::OnQueue, vec![(first, SystemPresence::Meal)]),
            11 => (SystemPresence::Available, vec![(first, SystemPresence::Break)]),
            12..=13 => (SystemPresence::Offline, vec![(first, SystemPresence::Available)]),
            _ => {
                let then = first + Duration::from_secs(1) + within(rest.min(Duration::from_secs(60)));
                (SystemPresence::Offline, vec![(first, SystemPresence::Available), (then, SystemPresence::OnQueue)])
            }
        };
        Self { id: Uuid::from_u64_pair(fastrand::u64(..), fastrand::u64(..)), before, changes }
    }

    /// The agent's presence in the end, and since when.
    pub(crate) fn last(&self) -> (Duration, SystemPresence) {
        self.changes.last().copied().unwrap_or((Duration::ZERO, self.before))
    }

    /// The agent's events on both topics, each with its time of arrival: 1 % come twice, 5 % late enough to be overtaken.
    /// An agent on the queue has another one soon, because the routing status changes.
    pub(crate) fn events(&self) -> Vec<(Duration, Message)> {
        let id = self.id.to_string();
        let mut events = Vec::new();
        let mut arrive = |at: Duration, event: &GenesysEvent| {
            let times = if fastrand::u32(0..100) == 0 { 2 } else { 1 };
            for _ in 0..times {
                let underway = Duration::from_millis(fastrand::u64(200..1500));
                let late = if fastrand::u32(0..100) < 5 { fastrand::u64(1..60) } else { 0 };
                events.push((at + underway + Duration::from_secs(late), message(event)));
            }
        };
        for (at, presence) in &self.changes {
            let name = presence.name().to_uppercase().replace(' ', "_");
            let since = time(*at).to_string();
            arrive(*at, &GenesysEvent::presence(&id, &name, &since));
            arrive(*at, &GenesysEvent::activity(&id, &name, &since, &since));
            if *presence == SystemPresence::OnQueue {
                let interacts = *at + Duration::from_secs(fastrand::u64(1..30));
                arrive(interacts, &GenesysEvent::activity(&id, &name, &since, &time(interacts).to_string()));
            }
        }
        events
    }
}

/// A time of the simulation on the clock of the events.
pub(crate) fn time(since_begin: Duration) -> Timestamp {
    let millisecond = BEGIN * 1000 + i64::try_from(since_begin.as_millis()).unwrap_or_default();
    Timestamp::from_millisecond(millisecond).unwrap_or_default()
}

/// The message that reminds an instance of the backlog: from the schedule, or from an instance that left turns.
pub(crate) fn reminder() -> Message {
    Message { id: Uuid::new_v4().to_string(), body: Reminder::body(), receives: 1, ..Message::default() }
}

fn message(event: &GenesysEvent) -> Message {
    let body = json!({
        "version": "0", "id": Uuid::new_v4().to_string(), "detail-type": event.detail_type,
        "source": "aws.partner/genesys.com/cloud/6b0f8f0e-0a39-4f0f-8a0b-3f4d1f7c2e10/bridge",
        "account": "123456789012", "time": "2027-01-15T08:00:00Z", "region": "eu-central-1", "resources": [],
        "detail": event.detail,
    });
    Message { id: Uuid::new_v4().to_string(), body: body.to_string(), receives: 1, ..Message::default() }
}
