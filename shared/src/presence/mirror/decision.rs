//! What is to be done about an event: rules without a clock, a network or a state of their own.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::event::{PresenceEvent, Read, read};
use crate::presence::Target;
use crate::queue::Message;
use crate::store::last_presence::{Advanced, LastPresence, Wanted};

/// How long a link from a Genesys Cloud user to a Teams user is believed without a look-up.
const LINK_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
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
    /// Reminders to renew presences.
    pub reminders: usize,
    /// Presences sent once more, because a later event came meanwhile.
    pub overtaken: usize,
    /// Went back to the queue.
    pub failed: usize,
    /// From the change in Genesys Cloud to its sending, the longest, in milliseconds.
    pub worst_lag_ms: i64,
}

/// The newest event of a user in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// The event.
    pub event: PresenceEvent,
    /// The message that brought it.
    pub message: String,
    /// How often that was received.
    pub receives: u32,
}

/// Reads a batch and leaves the newest event of each user. Gives the messages that are no events beside it.
pub fn newest(messages: Vec<Message>, only: Option<&HashSet<Uuid>>, tally: &mut Tally) -> (Vec<Newest>, Vec<String>) {
    let mut poison = Vec::new();
    let mut newest: HashMap<Uuid, Newest> = HashMap::new();
    for Message { id, body, receives, .. } in messages {
        tally.events += 1;
        let event = match read(&body) {
            Ok(Read::Presence(event)) if only.is_none_or(|ids| ids.contains(&event.user)) => event,
            Ok(Read::Renew) => {
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
        let this = Newest { event, message: id, receives };
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

/// A presence to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The Genesys Cloud user.
    pub user: Uuid,
    /// The message to give back should it fail; a renewal has none, the next reminder comes soon enough.
    pub message: Option<String>,
    /// What is wanted.
    pub wanted: Wanted,
    /// Whether somebody waits for it: the user takes conversations, or stops to.
    pub urgent: bool,
    /// The Teams user and since when the link is known, where it is.
    pub link: Option<(Uuid, Timestamp)>,
}

impl Job {
    /// The job to renew what a user was last sent.
    #[must_use]
    pub fn renewal(user: Uuid, last: &LastPresence, now: Timestamp) -> Self {
        Self { user, message: None, wanted: last.wanted.clone(), urgent: false, link: known_link(last, now) }
    }
}

/// The Teams user and since when the link is known, while it is believed.
fn known_link(last: &LastPresence, now: Timestamp) -> Option<(Uuid, Timestamp)> {
    let link = last.sent.as_ref().map(|sent| (sent.teams_user, sent.linked));
    link.filter(|(_, since)| since.checked_add(LINK_LIFE).is_ok_and(|end| now < end))
}

/// What is to be done about an event, once it is known what was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send.
    Send(Job),
    /// Teams already shows it, or is to be left alone.
    Unchanged,
    /// Something newer was served, or this very event.
    Stale,
}

/// Decides about an event.
#[must_use]
pub fn decide(newest: Newest, wanted: Wanted, advanced: Advanced, life: Duration, now: Timestamp) -> Decision {
    let leave = Target::Leave.to_string();
    let Newest { event, message, receives } = newest;
    // Renewed when half its life is over: an agent who stays On Queue all day keeps having events.
    let is_fresh = |last: &LastPresence| {
        let sent = last.sent.as_ref();
        sent.is_some_and(|sent| now.checked_add(life / 2).is_ok_and(|half_life| half_life < sent.until))
    };
    let job = |wanted: Wanted, before: Option<&LastPresence>| {
        let link = before.and_then(|last| known_link(last, now));
        let urgent = wanted.urgent || before.is_some_and(|last| last.wanted.urgent);
        Decision::Send(Job { user: event.user, message: Some(message), wanted, urgent, link })
    };
    match advanced {
        Advanced::Newest(_) if wanted.target == leave => Decision::Unchanged,
        // Only what was wanted and was sent is sure to be shown; anything else may be on its way.
        Advanced::Newest(Some(before))
            if before.is_settled() && before.wanted.target == wanted.target && is_fresh(&before) =>
        {
            Decision::Unchanged
        }
        Advanced::Newest(before) => job(wanted, before.as_ref()),
        Advanced::Known(last) if last.wanted.target == leave => Decision::Stale,
        // An earlier receipt of this message may have ended after it had sent an old presence and before it could look
        // for a newer one: what is newest is sent again.
        Advanced::Known(last) if last.wanted.modified > event.modified && receives > 1 => {
            job(last.wanted.clone(), Some(&last))
        }
        Advanced::Known(last) if last.wanted.modified == event.modified && !last.is_settled() => {
            job(last.wanted.clone(), Some(&last))
        }
        // The activity topic says so whenever the routing status changes: the user still is what was sent.
        Advanced::Known(last) if last.wanted.modified == event.modified && last.is_shown() && !is_fresh(&last) => {
            job(last.wanted.clone(), Some(&last))
        }
        Advanced::Known(_) => Decision::Stale,
    }
}
