//! The rules that say what follows from an event. They have no clock, no network and no state.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::event::{PresenceEvent, Read, read};
use crate::presence::{PresenceMode, PresenceSettings, Target};
use crate::queue::Message;
use crate::store::last_presence::{Advanced, LastPresence, Reason, SentPresence, Turn, TurnPlan, WantedPresence};

/// How long a presence is renewed after the last event that confirmed it: a shift and a half. If the event that ends it
/// was lost, it must not be renewed forever.
const RENEWED_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// The counts of one invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorTally {
    /// Messages in the batch.
    pub events: usize,
    /// Events that are not mirrored: another topic, another source of presence, a user outside the pilot.
    pub not_ours: usize,
    /// Messages that are no event of Genesys Cloud.
    pub poison: usize,
    /// Events that had a later one of the same user in the batch.
    pub superseded: usize,
    /// Events that were noted before, or whose user had a later one.
    pub stale: usize,
    /// Events whose presence Teams shows already, or which the map leaves alone.
    pub unchanged: usize,
    /// Events with a presence that the map does not know.
    pub unmapped: usize,
    /// Presences of users who are linked to no Teams user.
    pub no_teams_user: usize,
    /// Presences that Graph took, renewals apart.
    pub sent: usize,
    /// Presences that Graph took once more at half of their life.
    pub renewed: usize,
    /// Messages that remind of the backlog.
    pub reminders: usize,
    /// Presences that were older than a later event by the time Graph took them.
    pub overtaken: usize,
    /// Messages that went back to the queue.
    pub failed: usize,
    /// Presences that Graph did not take and that are tried again later.
    pub put_off: usize,
    /// Presences that are not tried again, because Graph did not take them for twelve hours.
    pub given_up: usize,
    /// Users who were looked up one by one in Genesys Cloud.
    pub looked_up: usize,
    /// Users whose links were loaded in pages.
    pub linked: usize,
    /// Invocations that could send nothing, because Entra ID gave no token.
    pub outages: usize,
    /// How long the oldest presence of the backlog has waited, in milliseconds.
    pub waited_ms: i64,
    /// The longest time from a change in Genesys Cloud until Graph took it, in milliseconds.
    pub worst_lag_ms: i64,
}

/// The newest event of a user in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestEvent {
    /// The event as it was read.
    pub event: PresenceEvent,
    /// The id of its message.
    pub message: String,
    /// How often that message was received, this time included.
    pub receives: u32,
}

/// Reads a batch. Gives the newest event of each user, and the ids of the messages that are no events.
pub fn newest(
    messages: Vec<Message>,
    only: Option<&HashSet<Uuid>>,
    tally: &mut MirrorTally,
) -> (Vec<NewestEvent>, Vec<String>) {
    let mut poison = Vec::new();
    let mut newest: HashMap<Uuid, NewestEvent> = HashMap::new();
    for Message { id, body, receives, .. } in messages {
        tally.events += 1;
        let event = match read(&body) {
            Ok(Read::Presence(event)) if only.is_none_or(|ids| ids.contains(&event.user)) => event,
            Ok(Read::Reminder) => {
                tally.reminders += 1;
                continue;
            }
            Ok(_) => {
                tally.not_ours += 1;
                continue;
            }
            Err(error) => {
                tracing::warn!(message_id = id, %error, "a message is no event of Genesys Cloud: it goes back, and then to the dead-letter queue");
                tally.poison += 1;
                poison.push(id);
                continue;
            }
        };
        let this = NewestEvent { event, message: id, receives };
        match newest.get_mut(&this.event.user) {
            None => drop(newest.insert(this.event.user, this)),
            Some(other) => {
                tally.superseded += 1;
                if (other.event.modified, other.receives) < (this.event.modified, this.receives) {
                    *other = this;
                }
            }
        }
    }
    (newest.into_values().collect(), poison)
}

/// The presence of an event, and its turn: earlier changes come first. A presence that leaves Teams alone has no turn.
#[must_use]
pub fn wanted(event: &PresenceEvent, target: Target, now: Timestamp) -> (WantedPresence, Option<Turn>) {
    let urgent = event.system.is_some_and(crate::presence::SystemPresence::is_urgent);
    let wanted = WantedPresence { modified: event.modified, target: target.to_string(), urgent };
    let turn = (target != Target::Leave).then(|| turn(urgent, event.modified, now));
    (wanted, turn)
}

/// The turn of a change. If Genesys Cloud's clock is ahead of this one, the turn is now.
pub(super) fn turn(urgent: bool, modified: Timestamp, now: Timestamp) -> Turn {
    Turn { reason: if urgent { Reason::Urgent } else { Reason::Change }, at: modified.min(now) }
}

/// The turn to renew a presence that is sent now and was confirmed at `seen`; `None` when that is too long ago.
pub(super) fn renewal(settings: &PresenceSettings, seen: Timestamp, now: Timestamp) -> Option<Turn> {
    let at = now.checked_add(settings.life() / 2).unwrap_or(Timestamp::MAX);
    let ends = seen.checked_add(RENEWED_FOR).unwrap_or(Timestamp::MAX);
    (at < ends).then_some(Turn { reason: Reason::Renewal, at })
}

/// What follows from an event, given the record that was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The presence waits for the turn that was noted with it.
    Waits(Turn),
    /// The presence waits for this turn, which is to be planned in place of the noted one.
    WaitsFor(Turn),
    /// The map leaves Teams alone.
    LeftAlone,
    /// Teams already shows the presence; this plan replaces the noted one.
    Shown(TurnPlan),
    /// The newest presence, which is of this time, is to be sent again by this plan.
    Again(Timestamp, TurnPlan),
    /// A newer event was noted before, or this very one.
    Stale,
}

/// Decides what follows from an event.
#[must_use]
pub fn decide(
    newest: &NewestEvent,
    wanted: &WantedPresence,
    noted: Option<Turn>,
    advanced: Advanced,
    settings: &PresenceSettings,
    now: Timestamp,
) -> Decision {
    let half_life = now.checked_add(settings.life() / 2).unwrap_or(Timestamp::MAX);
    let is_fresh = |last: &LastPresence| last.sent.as_ref().is_some_and(|sent| half_life < sent.until);
    let modified = newest.event.modified;
    match advanced {
        Advanced::Newest(before) => {
            let Some(noted) = noted else { return Decision::LeftAlone };
            match before {
                // Only what was wanted and was sent is sure to be shown; anything else may be on its way.
                Some(before)
                    if before.is_settled()
                        && before.wanted.target == wanted.target
                        && !is_of_another_mode(&before, settings)
                        && is_fresh(&before) =>
                {
                    Decision::Shown(TurnPlan { seen: now, ..before.plan })
                }
                Some(before) if before.wanted.urgent && !wanted.urgent => {
                    Decision::WaitsFor(Turn { reason: Reason::Urgent, ..noted })
                }
                _ => Decision::Waits(noted),
            }
        }
        Advanced::Known(last) if last.wanted.target == Target::Leave.to_string() => Decision::Stale,
        Advanced::Known(last) if !last.is_settled() && last.plan.turn.is_some() => Decision::Stale,
        // An earlier receipt of this message may have ended after it had sent an old presence and before it could look
        // for a newer one: what is newest is sent again.
        Advanced::Known(last) if last.wanted.modified > modified && newest.receives > 1 => {
            let turn = turn(last.wanted.urgent, last.wanted.modified, now);
            Decision::Again(last.wanted.modified, TurnPlan { turn: Some(turn), ..last.plan })
        }
        // The activity topic says so whenever the routing status changes: the user still is what was sent.
        Advanced::Known(last) if last.wanted.modified == modified && is_shown(&last) && !is_fresh(&last) => {
            let turn = Turn { reason: Reason::Renewal, at: now };
            Decision::Again(modified, TurnPlan { turn: Some(turn), tries: 0, seen: now })
        }
        Advanced::Known(_) => Decision::Stale,
    }
}

/// Whether Teams shows a presence that was sent, and not its end.
fn is_shown(last: &LastPresence) -> bool {
    last.is_settled() && [Target::Clear, Target::Leave].iter().all(|none| last.wanted.target != none.to_string())
}

/// The mode by which a presence was sent, if that is known.
pub(super) fn mode_of(sent: &SentPresence) -> Option<PresenceMode> {
    sent.mode.as_deref()?.parse().ok()
}

/// Whether a presence was sent by other actions of Graph than would be used now.
fn is_of_another_mode(last: &LastPresence, settings: &PresenceSettings) -> bool {
    last.sent.as_ref().and_then(mode_of).is_some_and(|mode| mode != settings.mode)
}
