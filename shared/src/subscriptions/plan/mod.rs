//! What is to be done: rules without a clock, a network or a state of their own.
//!
//! Two invocations may plan at the same time. So that they do not undo each other's work, which of several equal
//! subscriptions stays depends on nothing but the subscriptions, and what is being created counts as created as soon as
//! its note is written.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::settings::{KeeperSettings, Wanted};
use crate::graph::subscriptions::Subscription;
use crate::store::subscriptions::{Kept, Note, Notes};

/// A subscription that was renewed this shortly before needs no second renewal to be authorized anew.
pub const RENEWED_JUST_NOW: Duration = Duration::from_secs(10 * 60);

/// How far from what was asked for an expiry may be without a warning.
const EXPIRY_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// What lifecycle notifications say, by the subscription's id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// `reauthorizationRequired`
    pub reauthorize: HashSet<String>,
    /// `subscriptionRemoved`
    pub removed: HashSet<String>,
    /// `missed`
    pub missed: HashSet<String>,
}

/// With what subscriptions are to be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// A fingerprint of the client state.
    pub client_state: String,
    /// Id of the certificate; empty where nothing needs one.
    pub certificate_id: String,
}

/// Why a subscription is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outdated {
    /// Other change types, another kind of notification, or other URLs.
    Shape,
    /// It was made with another client state, or nobody knows with which.
    ClientState,
}

/// Why a subscription is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Half of its life is over.
    HalfLife,
    /// Graph asks for it.
    Reauthorization,
    /// There is a newer certificate, and nothing else is due.
    Certificate,
}

/// What is to be done about a subscription that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is none.
    Create,
    /// It cannot be changed into what is wanted: it is deleted and created anew.
    Replace(Subscription, Outdated),
    /// It is renewed, with the certificate where that is another one.
    Renew(Subscription, Due),
    /// It is as wanted, and not yet known to be ours: its creation went unanswered.
    Adopt(Subscription),
    /// It is as wanted.
    Keep(Subscription),
}

impl Step {
    /// What comes first: what is missing, then what ends first, then what can wait.
    #[must_use]
    pub fn urgency(&self) -> (u8, Option<Timestamp>) {
        match self {
            Self::Create => (0, None),
            Self::Adopt(_) => (1, None),
            Self::Renew(it, _) => (2, it.expires),
            Self::Replace(it, _) => (3, it.expires),
            Self::Keep(_) => (4, None),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// For each that is wanted, in their order.
    pub steps: Vec<Step>,
    /// Ours that nobody wants: a resource that is no longer named, or a second one of the same resource.
    pub delete: Vec<Subscription>,
}

/// Makes the plan.
#[must_use]
pub fn plan(
    settings: &KeeperSettings,
    actual: &[Subscription],
    notes: &Notes,
    events: &Events,
    current: &Current,
    now: Timestamp,
) -> Plan {
    let kept_id = |wanted: &Wanted| notes.kept(wanted.resource.path()).map(|kept| kept.subscription_id.as_str());
    let noted: HashSet<&str> = settings.wanted.iter().filter_map(kept_id).collect();
    let mut ours: Vec<&Subscription> = actual
        .iter()
        .filter(|it| is_sent_here(it, settings) || noted.contains(it.id.as_str()))
        .filter(|it| is_alive(it, events, now))
        .collect();
    ours.sort_by(|a, b| a.id.cmp(&b.id));
    ours.dedup_by(|a, b| a.id == b.id);
    let mut kept_ids = HashSet::new();
    let steps = settings
        .wanted
        .iter()
        .map(|wanted| {
            let noted = kept_id(wanted);
            let mut of_resource = ours.iter().filter(|it| is_resource(it, wanted) || noted == Some(it.id.as_str()));
            let first = of_resource.clone().next();
            let Some(found) = of_resource.find(|it| has_shape(it, wanted, settings)).or(first) else {
                return Step::Create;
            };
            kept_ids.insert(found.id.as_str());
            step(settings, wanted, found, notes, events, current, now)
        })
        .collect();
    let delete = ours.into_iter().filter(|it| !kept_ids.contains(it.id.as_str())).cloned().collect();
    Plan { steps, delete }
}

/// Whether it is still there, though Graph lists it.
pub(super) fn is_alive(it: &Subscription, events: &Events, now: Timestamp) -> bool {
    !events.removed.contains(&it.id) && it.expires.is_none_or(|expires| expires > now)
}

/// Whether a subscription's notifications come here.
pub(super) fn is_sent_here(it: &Subscription, settings: &KeeperSettings) -> bool {
    it.notification_url.as_deref() == Some(settings.notification_url.as_str())
}

/// Whether a subscription watches this resource, in whichever spelling Graph names it.
pub(super) fn is_resource(it: &Subscription, wanted: &Wanted) -> bool {
    wanted.resource.is(&it.resource)
}

/// Whether a subscription is of the shape that is wanted, as far as it says so itself. Graph may leave out whether
/// notifications carry the resource.
pub(super) fn has_shape(it: &Subscription, wanted: &Wanted, settings: &KeeperSettings) -> bool {
    let is_rich = it.include_resource_data.or(it.encryption_certificate_id.is_some().then_some(true));
    it.change_type.parse() == Ok(wanted.changes)
        && is_sent_here(it, settings)
        && it.lifecycle_notification_url.as_deref() == Some(settings.lifecycle_url.as_str())
        && is_rich != Some(!wanted.rich)
}

fn step(
    settings: &KeeperSettings,
    wanted: &Wanted,
    found: &Subscription,
    notes: &Notes,
    events: &Events,
    current: &Current,
    now: Timestamp,
) -> Step {
    if !has_shape(found, wanted, settings) {
        return Step::Replace(found.clone(), Outdated::Shape);
    }
    let kept = notes.kept(wanted.resource.path());
    let Some(kept) = kept.filter(|kept| kept.client_state == current.client_state) else {
        return Step::Replace(found.clone(), Outdated::ClientState);
    };
    if kept.subscription_id != found.id {
        return Step::Adopt(found.clone());
    }
    let just_renewed = kept.renewed.is_some_and(|at| now.duration_since(at).unsigned_abs() < RENEWED_JUST_NOW);
    if events.reauthorize.contains(&found.id) && !just_renewed {
        return Step::Renew(found.clone(), Due::Reauthorization);
    }
    if found.expires.is_none_or(|expires| half_life_is_over(&found.id, kept.granted, expires, now)) {
        return Step::Renew(found.clone(), Due::HalfLife);
    }
    if needs_certificate(wanted, found, kept, current) {
        return Step::Renew(found.clone(), Due::Certificate);
    }
    Step::Keep(found.clone())
}

/// A certificate that was sent is not sent again, even where Graph does not give its id back.
fn needs_certificate(wanted: &Wanted, found: &Subscription, kept: &Kept, current: &Current) -> bool {
    wanted.rich
        && found.encryption_certificate_id.as_deref() != Some(current.certificate_id.as_str())
        && kept.certificate_id != current.certificate_id
}

/// Whether it is time to renew: somewhat before half of the life that Graph has granted, each subscription at a moment
/// of its own, so that those made together are not renewed together for ever.
fn half_life_is_over(id: &str, granted: Duration, expires: Timestamp, now: Timestamp) -> bool {
    let jitter = id.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))) % 100;
    let left = Duration::try_from(expires.duration_since(now)).unwrap_or(Duration::ZERO);
    left.as_millis() * 1000 <= granted.as_millis() * u128::from(500 + jitter)
}

/// Whether a subscription will end soon although it should have been renewed long before.
#[must_use]
pub fn is_near_expiry(expires: Option<Timestamp>, granted: Duration, now: Timestamp) -> bool {
    expires.is_none_or(|expires| {
        expires.duration_since(now).as_millis() * 4 < i128::try_from(granted.as_millis()).unwrap_or(i128::MAX)
    })
}

/// Whether nothing was heard of a subscription for longer than the settings allow.
#[must_use]
pub fn is_silent(kept: &Kept, heard: Option<Timestamp>, silence: Option<Duration>, now: Timestamp) -> bool {
    let made = kept.made.unwrap_or(kept.begun);
    let last = heard.map_or(made, |heard| heard.max(made));
    silence
        .is_some_and(|silence| now.duration_since(last) > jiff::SignedDuration::try_from(silence).unwrap_or_default())
}

/// Whether Graph has let a subscription live for quite another time than it was asked for.
#[must_use]
pub fn is_far_from(asked: Timestamp, granted: Timestamp) -> bool {
    asked.duration_since(granted).unsigned_abs() > EXPIRY_TOLERANCE
}

/// Whether what has changed in a resource is to be listed now.
#[must_use]
pub fn is_listing_due(note: Option<&Note>, settings: &KeeperSettings, urgent: bool, now: Timestamp) -> bool {
    let Some(progress) = note.and_then(|note| note.progress.as_ref()) else { return true };
    let is_time = settings.reconcile.is_some_and(|every| {
        now.duration_since(progress.closed_until) >= jiff::SignedDuration::try_from(every).unwrap_or_default()
    });
    urgent || progress.under_way.is_some() || is_time
}

#[cfg(test)]
mod tests;
