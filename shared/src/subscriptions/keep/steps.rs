//! The steps of the plan, one after the other.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Became, Keeper, KeeperRun, LiveSubscription, StepEnd};
use crate::error::{Code, Error};
use crate::graph::GraphError;
use crate::graph::resource::WatchedResource;
use crate::graph::subscriptions::{NewSubscription, Subscription, Subscriptions};
use crate::http::{NoReply, RequestContext};
use crate::store::subscriptions::{FoundNotes, KeptSubscription, SubscriptionNotes};
use crate::subscriptions::gap::LEAST_TIME_TO_LIST;
use crate::subscriptions::plan::{Due, Events, Step, has_shape, is_alive, is_far_from, is_resource};
use crate::subscriptions::{WantedSubscription, not_noted};

/// How much earlier than the longest life a subscription expires: Graph refuses one that is too long by its own clock.
const CLOCK_MARGIN: Duration = Duration::from_secs(2 * 60);

impl<G: Subscriptions, N: SubscriptionNotes, Q> Keeper<'_, G, N, Q> {
    pub(super) async fn carry_out(
        &self,
        cx: &RequestContext,
        place: usize,
        step: Step,
        notes: &FoundNotes,
        now: Timestamp,
    ) -> StepEnd {
        let Some(wanted) = self.settings.wanted.get(place) else { return StepEnd::failed(no_such_entry(), None) };
        let kept = notes.kept(wanted.resource.path());
        let live = |it: &Subscription| {
            let note = kept.cloned().unwrap_or_else(|| self.note(wanted, &it.id, now));
            LiveSubscription {
                id: it.id.clone(),
                expires: it.expires,
                note: KeptSubscription { subscription_id: it.id.clone(), ..note },
            }
        };
        let has_time = cx.deadline.for_a_call() >= LEAST_TIME_TO_LIST;
        match step {
            Step::Keep(it) => StepEnd::well(Became::AsItWas, live(&it)),
            Step::Create if has_time => self.create(cx, wanted, kept, Became::Created).await,
            Step::Adopt(it) if has_time => self.adopt(cx, wanted, live(&it)).await,
            Step::Renew(it, due) if has_time => self.renew(cx, wanted, live(&it), due).await,
            Step::Replace(it, why) if has_time => {
                tracing::info!(entry = wanted.place, subscription = it.id, ?why, "a subscription is made anew");
                match self.graph.delete_subscription(cx, &it.id).await {
                    Ok(()) => self.create(cx, wanted, kept, Became::Recreated).await,
                    Err(error) => StepEnd::failed(error, Some(live(&it))),
                }
            }
            Step::Create => {
                StepEnd { became: Became::Left, live: None, error: None, expiry_differs: false, in_doubt: false }
            }
            Step::Adopt(it) | Step::Renew(it, _) | Step::Replace(it, _) => StepEnd::well(Became::Left, live(&it)),
        }
    }

    /// The note about a subscription whose creation begins at this time.
    fn note(&self, wanted: &WantedSubscription, id: &str, begun: Timestamp) -> KeptSubscription {
        let current = self.credentials.current();
        KeptSubscription {
            subscription_id: id.to_owned(),
            client_state: current.client_state,
            certificate_id: if wanted.rich { current.certificate_id } else { String::new() },
            begun,
            made: None,
            granted: wanted.life,
            renewed: None,
        }
    }

    /// Creates a subscription. The intention is noted first: an invocation that finds the subscription before its
    /// creation was noted then knows the client state that it was made with.
    async fn create(
        &self,
        cx: &RequestContext,
        wanted: &WantedSubscription,
        kept: Option<&KeptSubscription>,
        as_what: Became,
    ) -> StepEnd {
        let now = Timestamp::now();
        let note = self.note(wanted, "", first_try(kept, now));
        if let Err(error) = self.notes.keep(cx, wanted.resource.path(), &note).await {
            return StepEnd::failed(not_noted(error), None);
        }
        let asked = expiry(wanted, now);
        let new = NewSubscription {
            resource: wanted.resource.path(),
            change_type: &wanted.changes.to_string(),
            notification_url: &self.settings.notification_url,
            lifecycle_notification_url: &self.settings.lifecycle_url,
            expires: asked,
            client_state: self.credentials.client_state.secret(),
            encryption: self.credentials.certificate.as_ref().filter(|_| wanted.rich),
            permission: wanted.permission,
        };
        match self.graph.create_subscription(cx, &new).await {
            Ok(made) => self.made(cx, wanted, note, made, asked, as_what).await,
            Err(error) => {
                let in_doubt = matches!(
                    error,
                    GraphError::SubscriptionExists
                        | GraphError::NoReply(NoReply::Ambiguous(_))
                        | GraphError::Unavailable { .. }
                        | GraphError::Unreadable { .. }
                );
                StepEnd { in_doubt, ..StepEnd::failed(error, None) }
            }
        }
    }

    async fn renew(
        &self,
        cx: &RequestContext,
        wanted: &WantedSubscription,
        live: LiveSubscription,
        due: Due,
    ) -> StepEnd {
        let asked = expiry(wanted, Timestamp::now());
        let newest = self.credentials.certificate.as_ref();
        let mut encryption = newest.filter(|it| wanted.rich && it.id != live.note.certificate_id);
        let mut renewed = self.graph.renew_subscription(cx, &live.id, asked, encryption, wanted.permission).await;
        let mut refused = None;
        if due != Due::Certificate && encryption.is_some() && matches!(renewed, Err(GraphError::Rejected { .. })) {
            // A certificate that Graph does not take must not cost the subscription its life.
            encryption = None;
            let without = self.graph.renew_subscription(cx, &live.id, asked, None, wanted.permission).await;
            refused = std::mem::replace(&mut renewed, without).err().map(Error::from);
        }
        match renewed {
            Ok(renewed) => {
                let mut note = KeptSubscription { renewed: Some(Timestamp::now()), ..live.note };
                if let Some(certificate) = encryption {
                    note.certificate_id.clone_from(&certificate.id);
                }
                let renewed = Subscription { id: live.id, ..renewed };
                let ended = self.made(cx, wanted, note, renewed, asked, Became::Renewed).await;
                StepEnd { error: refused, ..ended }
            }
            Err(error) if error.is_not_found() => self.create(cx, wanted, Some(&live.note), Became::Recreated).await,
            Err(error) => StepEnd::failed(error, Some(live)),
        }
    }

    /// Checks the subscription that Graph returned, and notes it. Without the note, the next invocation finds it and
    /// notes it.
    async fn made(
        &self,
        cx: &RequestContext,
        wanted: &WantedSubscription,
        mut note: KeptSubscription,
        made: Subscription,
        asked: Timestamp,
        became: Became,
    ) -> StepEnd {
        let now = Timestamp::now();
        let expires = made.expires.unwrap_or(asked);
        let expiry_differs = is_far_from(asked, expires);
        if expiry_differs {
            let (entry, subscription) = (wanted.place, made.id.as_str());
            tracing::warn!(entry, subscription, %asked, granted = %expires, "Microsoft Graph gave a subscription another expiry than was asked for");
        }
        note.subscription_id.clone_from(&made.id);
        note.made.get_or_insert(now);
        note.granted = Duration::try_from(expires.duration_since(now)).unwrap_or_default();
        if let Err(error) = self.notes.keep(cx, wanted.resource.path(), &note).await {
            tracing::warn!(entry = wanted.place, %error, "the note of a subscription could not be written");
        }
        StepEnd {
            expiry_differs,
            ..StepEnd::well(became, LiveSubscription { id: made.id, expires: Some(expires), note })
        }
    }

    async fn adopt(&self, cx: &RequestContext, wanted: &WantedSubscription, mut live: LiveSubscription) -> StepEnd {
        live.note.made.get_or_insert_with(Timestamp::now);
        match self.notes.keep(cx, wanted.resource.path(), &live.note).await {
            Ok(()) => StepEnd::well(Became::Adopted, live),
            Err(error) => StepEnd::failed(not_noted(error), Some(live)),
        }
    }

    /// Looks for subscriptions that may have been created, with one list for all.
    pub(super) async fn resolve_doubts(
        &self,
        cx: &RequestContext,
        ended: &mut HashMap<usize, StepEnd>,
        notes: &FoundNotes,
        events: &Events,
        now: Timestamp,
    ) {
        if ended.values().all(|ended| !ended.in_doubt) {
            return;
        }
        let actual = match self.graph.list_subscriptions(cx).await {
            Ok(actual) => actual,
            Err(error) => {
                tracing::warn!(%error, "whether a subscription was created could not be looked up; the next invocation does it");
                return;
            }
        };
        for (place, ended) in ended.iter_mut().filter(|(_, ended)| ended.in_doubt) {
            let Some(wanted) = self.settings.wanted.get(*place) else { continue };
            let mut ours = actual.iter().filter(|it| {
                is_alive(it, events, now) && is_resource(it, wanted) && has_shape(it, wanted, self.settings)
            });
            if let Some(found) = ours.next() {
                let note = self.note(wanted, &found.id, first_try(notes.kept(wanted.resource.path()), now));
                *ended = self
                    .adopt(cx, wanted, LiveSubscription { id: found.id.clone(), expires: found.expires, note })
                    .await;
            }
        }
    }

    /// Deletes the subscriptions that are not wanted, and the notes of resources that are not wanted any more.
    pub(super) async fn delete(&self, cx: &RequestContext, unwanted: &[Subscription], run: &mut KeeperRun) {
        for it in unwanted {
            if cx.deadline.for_a_call() < LEAST_TIME_TO_LIST {
                run.tally.left += 1;
                continue;
            }
            match self.graph.delete_subscription(cx, &it.id).await {
                Ok(()) => run.tally.deleted += 1,
                Err(error) => {
                    run.trouble(0, error.into());
                    continue;
                }
            }
            if !self.settings.wanted.iter().any(|wanted| is_resource(it, wanted)) {
                let resource = WatchedResource::new(&it.resource);
                if let Err(error) = self.notes.forget(cx, resource.path()).await {
                    tracing::warn!(subscription = it.id, %error, "the note of a deleted subscription could not be deleted");
                }
            }
        }
    }
}

/// Since when the changes of a resource must be notified of: since the first failed try to subscribe to it.
fn first_try(kept: Option<&KeptSubscription>, now: Timestamp) -> Timestamp {
    kept.filter(|kept| kept.subscription_id.is_empty()).map_or(now, |kept| kept.begun)
}

fn no_such_entry() -> Error {
    Error::new(Code::INTERNAL, "The bridge has a bug.").because("a step for no entry")
}

/// When a subscription is asked to expire.
fn expiry(wanted: &WantedSubscription, now: Timestamp) -> Timestamp {
    let life = wanted.life.saturating_sub(CLOCK_MARGIN);
    now.checked_add(life).unwrap_or(now)
}
