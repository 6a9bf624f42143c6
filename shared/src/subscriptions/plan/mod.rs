//! Plans the steps for each subscription: rules without a clock, a network or a state of their own.
//!
//! Two invocations may plan at the same time, and must not undo each other's work. So the choice between several equal
//! subscriptions depends only on the subscriptions, and one that is being created counts as existing as soon as its
//! note is written.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::settings::{KeeperSettings, WantedSubscription};
use crate::graph::subscriptions::Subscription;
use crate::store::subscriptions::{FoundNotes, KeptSubscription, Note};

/// A subscription that was renewed this recently needs no other renewal to be authorized anew.
pub(crate) const RENEWED_JUST_NOW: Duration = Duration::from_secs(10 * 60);

/// How far an expiry may be from the one that was asked for without a warning.
const EXPIRY_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The events of lifecycle notifications, by the subscription's id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// The subscriptions with the event `reauthorizationRequired`.
    pub reauthorize: HashSet<String>,
    /// The subscriptions with the event `subscriptionRemoved`.
    pub removed: HashSet<String>,
    /// The subscriptions with the event `missed`.
    pub missed: HashSet<String>,
}

/// The current client state and certificate for subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// A fingerprint of the client state.
    pub client_state: String,
    /// The id of the certificate; empty where none is needed.
    pub certificate_id: String,
}

/// Why a subscription is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outdated {
    /// It has other change types, another kind of notification, or other URLs.
    Shape,
    /// It was made with another client state, or it is not known with which.
    ClientState,
}

/// Why a subscription is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Half of its life is over.
    HalfLife,
    /// Graph asks for it, by `reauthorizationRequired`.
    Reauthorization,
    /// There is a newer certificate, and nothing else is due.
    Certificate,
}

/// The step for a subscription that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It does not exist: create it.
    Create,
    /// It cannot be changed into the wanted one: delete it and create it anew.
    Replace(Subscription, Outdated),
    /// Renew it, with the certificate where that has changed.
    Renew(Subscription, Due),
    /// It is as wanted, but not noted as ours, because its creation had no answer: note it.
    Adopt(Subscription),
    /// It is as wanted: leave it.
    Keep(Subscription),
}

impl Step {
    /// The order of steps: missing subscriptions first, then those that expire first, then those that can wait.
    #[must_use]
    pub(crate) fn urgency(&self) -> (u8, Option<Timestamp>) {
        match self {
            Self::Create => (0, None),
            Self::Adopt(_) => (1, None),
            Self::Renew(it, _) => (2, it.expires),
            Self::Replace(it, _) => (3, it.expires),
            Self::Keep(_) => (4, None),
        }
    }
}

/// The plan of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The step for each wanted subscription, in the order of the settings.
    pub steps: Vec<Step>,
    /// Our subscriptions that are not wanted: their resource is no longer named, or has another one.
    pub delete: Vec<Subscription>,
}

/// Plans the steps from the wanted and the existing subscriptions, the notes and the events.
#[must_use]
pub fn plan(
    settings: &KeeperSettings,
    actual: &[Subscription],
    notes: &FoundNotes,
    events: &Events,
    current: &Current,
    now: Timestamp,
) -> Plan {
    let kept_id =
        |wanted: &WantedSubscription| notes.kept(wanted.resource.path()).map(|kept| kept.subscription_id.as_str());
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

/// Whether it still exists, although Graph lists it.
pub(super) fn is_alive(it: &Subscription, events: &Events, now: Timestamp) -> bool {
    !events.removed.contains(&it.id) && it.expires.is_none_or(|expires| expires > now)
}

/// Whether a subscription sends its notifications to this bridge.
pub(super) fn is_sent_here(it: &Subscription, settings: &KeeperSettings) -> bool {
    it.notification_url.as_deref() == Some(settings.notification_url.as_str())
}

/// Whether a subscription watches this resource, however Graph spells it.
pub(super) fn is_resource(it: &Subscription, wanted: &WantedSubscription) -> bool {
    wanted.resource.is(&it.resource)
}

/// Whether a subscription has the wanted form, as far as Graph reports it. Graph may leave out whether notifications
/// carry the resource.
pub(super) fn has_shape(it: &Subscription, wanted: &WantedSubscription, settings: &KeeperSettings) -> bool {
    let is_rich = it.include_resource_data.or(it.encryption_certificate_id.is_some().then_some(true));
    it.change_type.parse() == Ok(wanted.changes)
        && is_sent_here(it, settings)
        && it.lifecycle_notification_url.as_deref() == Some(settings.lifecycle_url.as_str())
        && is_rich != Some(!wanted.rich)
}

fn step(
    settings: &KeeperSettings,
    wanted: &WantedSubscription,
    found: &Subscription,
    notes: &FoundNotes,
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

/// Whether the subscription must be given the certificate. One that was given is not sent again, even where Graph does
/// not return its id.
fn needs_certificate(
    wanted: &WantedSubscription,
    found: &Subscription,
    kept: &KeptSubscription,
    current: &Current,
) -> bool {
    wanted.rich
        && found.encryption_certificate_id.as_deref() != Some(current.certificate_id.as_str())
        && kept.certificate_id != current.certificate_id
}

/// Whether it is time to renew: somewhat before half of the life that Graph has granted, each subscription at a moment
/// of its own, so that those made together are not always renewed together.
fn half_life_is_over(id: &str, granted: Duration, expires: Timestamp, now: Timestamp) -> bool {
    let jitter = id.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))) % 100;
    let left = Duration::try_from(expires.duration_since(now)).unwrap_or(Duration::ZERO);
    left.as_millis() * 1000 <= granted.as_millis() * u128::from(500 + jitter)
}

/// Whether a subscription is about to expire although it should have been renewed long before.
#[must_use]
pub(crate) fn is_near_expiry(expires: Option<Timestamp>, granted: Duration, now: Timestamp) -> bool {
    expires.is_none_or(|expires| {
        expires.duration_since(now).as_millis() * 4 < i128::try_from(granted.as_millis()).unwrap_or(i128::MAX)
    })
}

/// Whether a subscription was not heard of for longer than the settings allow.
#[must_use]
pub(crate) fn is_silent(
    kept: &KeptSubscription,
    heard: Option<Timestamp>,
    silence: Option<Duration>,
    now: Timestamp,
) -> bool {
    let made = kept.made.unwrap_or(kept.begun);
    let last = heard.map_or(made, |heard| heard.max(made));
    silence
        .is_some_and(|silence| now.duration_since(last) > jiff::SignedDuration::try_from(silence).unwrap_or_default())
}

/// Whether Graph gave a subscription a very different expiry from the one that was asked for.
#[must_use]
pub(crate) fn is_far_from(asked: Timestamp, granted: Timestamp) -> bool {
    asked.duration_since(granted).unsigned_abs() > EXPIRY_TOLERANCE
}

/// Whether the changes of a resource are to be listed now.
#[must_use]
pub(crate) fn is_listing_due(note: Option<&Note>, settings: &KeeperSettings, urgent: bool, now: Timestamp) -> bool {
    let Some(progress) = note.and_then(|note| note.progress.as_ref()) else { return true };
    let is_time = settings.reconcile.is_some_and(|every| {
        now.duration_since(progress.closed_until) >= jiff::SignedDuration::try_from(every).unwrap_or_default()
    });
    urgent || progress.under_way.is_some() || is_time
}

#[cfg(test)]
mod tests;
