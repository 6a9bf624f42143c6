//! What is to be done about an event: rules without a clock, a network or a state of their own.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::event::{PresenceEvent, Read, read};
use crate::presence::{PresenceMode, PresenceSettings, Target};
use crate::queue::Message;
use crate::store::last_presence::{Advanced, LastPresence, Reason, SentPresence, Turn, TurnPlan, WantedPresence};

/// A presence is renewed no longer than this after an event said that the user still is it: a shift and a half. Should the
/// event that ends it have been lost, it must not stand forever.
const RENEWED_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorTally {
    /// Messages.
    pub events: usize,
    /// Another topic, another source, a user who is not on the list.
    pub not_ours: usize,
    /// No event at all.
    pub poison: usize,
    /// A later event of the same user was in the same batch.
    pub superseded: usize,
    /// A later event, or this one, had been served before.
    pub stale: usize,
    /// Teams already shows it, or the map leaves it alone.
    pub unchanged: usize,
    /// The map does not know the presence.
    pub unmapped: usize,
    /// Nobody in Teams.
    pub no_teams_user: usize,
    /// Presences set or cleared.
    pub sent: usize,
    /// Presences renewed.
    pub renewed: usize,
    /// Reminders to look at the backlog.
    pub reminders: usize,
    /// Presences to be sent once more, because a later event came meanwhile.
    pub overtaken: usize,
    /// Messages that went back to the queue.
    pub failed: usize,
    /// Presences that could not be sent now, and wait for another try.
    pub put_off: usize,
    /// Presences that could not be sent for so long that they were given up.
    pub given_up: usize,
    /// Users looked up in Genesys Cloud.
    pub looked_up: usize,
    /// Users whose link was loaded with many others.
    pub linked: usize,
    /// Turns in which Graph or Entra ID gave no answer at all.
    pub outages: usize,
    /// Since when the oldest presence waited that was to be sent, in milliseconds.
    pub waited_ms: i64,
    /// From the change in Genesys Cloud to its sending, the longest, in milliseconds.
    pub worst_lag_ms: i64,
}

/// The newest event of a user in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestEvent {
    /// The event.
    pub event: PresenceEvent,
    /// The message that brought it.
    pub message: String,
    /// How often that was received.
    pub receives: u32,
}

/// Reads a batch and leaves the newest event of each user. Gives the messages that are no events beside it.
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
                tracing::warn!(message_id = id, %error, "a message that cannot be served");
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

/// What an event wants, and when it is its turn: earlier changes come first. A presence that leaves Teams alone has none.
#[must_use]
pub fn wanted(event: &PresenceEvent, target: Target, now: Timestamp) -> (WantedPresence, Option<Turn>) {
    let urgent = event.system.is_some_and(crate::presence::SystemPresence::is_urgent);
    let wanted = WantedPresence { modified: event.modified, target: target.to_string(), urgent };
    let turn = (target != Target::Leave).then(|| turn(urgent, event.modified, now));
    (wanted, turn)
}

/// The turn of a change of this time. A clock that is ahead must not put it off.
pub(super) fn turn(urgent: bool, modified: Timestamp, now: Timestamp) -> Turn {
    Turn { reason: if urgent { Reason::Urgent } else { Reason::Change }, at: modified.min(now) }
}

/// When a presence is renewed that is sent now, and was last confirmed by an event at that time.
pub(super) fn renewal(settings: &PresenceSettings, seen: Timestamp, now: Timestamp) -> Option<Turn> {
    let at = now.checked_add(settings.life() / 2).unwrap_or(Timestamp::MAX);
    let ends = seen.checked_add(RENEWED_FOR).unwrap_or(Timestamp::MAX);
    (at < ends).then_some(Turn { reason: Reason::Renewal, at })
}

/// What is to be done about an event, once it is known what was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The presence waits for its turn, as it was noted.
    Waits(Turn),
    /// It waits for another turn than was noted: this one, which is to be planned.
    WaitsFor(Turn),
    /// The map leaves Teams alone.
    LeftAlone,
    /// Teams already shows it; the plan of before holds.
    Shown(TurnPlan),
    /// The newest presence, of this time, is to be sent again.
    Again(Timestamp, TurnPlan),
    /// Something newer was noted, or this very event.
    Stale,
}

/// Decides about an event.
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
