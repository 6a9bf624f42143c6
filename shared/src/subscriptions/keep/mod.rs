//! Carries out the plan: creates, renews, replaces and deletes subscriptions, and closes gaps.

mod steps;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use super::gap::{Closing, Gap, LEAST_TIME_TO_LIST};
use super::not_noted;
use super::plan::{Current, Events, is_listing_due, is_near_expiry, is_resource, is_sent_here, is_silent, plan};
use super::settings::KeeperSettings;
use crate::auth::App;
use crate::error::Error;
use crate::graph::Listings;
use crate::graph::subscriptions::{EncryptionCertificate, Subscription, Subscriptions};
use crate::http::RequestContext;
use crate::notification::{ClientState, Queues};
use crate::store::subscriptions::{FoundNotes, KeptSubscription, SubscriptionNotes};
use crate::telemetry::{Figure, Figures};

/// The most calls to Graph at the same time.
const GRAPH_CALLS_AT_ONCE: usize = 4;

/// The client state and the certificate that subscriptions are made with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The client state, which each notification repeats.
    pub client_state: Arc<ClientState>,
    /// The newest certificate; `None` where no notification is to carry its resource.
    pub certificate: Option<EncryptionCertificate>,
}

impl Credentials {
    /// The fingerprint and the id by which these credentials are told from others.
    fn current(&self) -> Current {
        Current {
            client_state: self.client_state.fingerprint(),
            certificate_id: self.certificate.as_ref().map_or_else(String::new, |it| it.id.clone()),
        }
    }
}

/// The use case that keeps subscriptions.
#[derive(Debug)]
pub struct Keeper<'a, G, N, Q> {
    /// The client of Microsoft Graph.
    pub graph: &'a G,
    /// The notes of subscriptions, in the state table.
    pub notes: &'a N,
    /// The queues of notifications, among them that of changes.
    pub queues: &'a Q,
    /// The settings: which subscriptions are wanted.
    pub settings: &'a KeeperSettings,
    /// The client state and the certificate for them.
    pub credentials: &'a Credentials,
    /// The app, whose tenant is watched.
    pub app: &'a App,
}

/// What became of a subscription that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// It was not changed.
    AsItWas,
    /// It was renewed before it expired.
    Renewed,
    /// It did not exist, and was created.
    Created,
    /// It was gone, or could not be changed into the wanted one, and was created anew.
    Recreated,
    /// It existed, but was not noted.
    Adopted,
    /// It is not as it should be, because a step failed.
    Failed,
    /// There was no time; the next invocation goes on.
    Left,
}

/// A step of the plan that failed, with its entry.
#[derive(Debug, Clone)]
pub struct StepTrouble {
    /// The entry of `SUBSCRIPTIONS`, counted from 1; 0 for a subscription that is not wanted.
    pub place: usize,
    /// The error of the step.
    pub error: Error,
}

/// The figures of a run: how many subscriptions were created, renewed and so on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeeperTally {
    /// Created where there were none.
    pub created: usize,
    /// Renewed before they expired.
    pub renewed: usize,
    /// Created anew in place of another.
    pub recreated: usize,
    /// Found at Graph, and noted from now on.
    pub adopted: usize,
    /// Deleted, because they are ours and not wanted.
    pub deleted: usize,
    /// Not as they should be, because a step failed.
    pub failed: usize,
    /// Left for the next invocation, for lack of time.
    pub left: usize,
    /// Given another expiry by Graph than was asked for.
    pub expiry_differs: usize,
    /// Wanted, and not there at the end of the run.
    pub missing: usize,
    /// About to expire although they should have been renewed.
    pub near_expiry: usize,
    /// Not heard of for longer than the settings allow.
    pub silent: usize,
    /// Changes that were queued by listing, because no notification may have come.
    pub gap_items: usize,
    /// Gaps that were not closed from their beginning.
    pub gaps_cut: usize,
}

/// The result of an invocation.
#[derive(Debug, Clone, Default)]
pub struct KeeperRun {
    /// The figures of the run.
    pub tally: KeeperTally,
    /// The steps that failed.
    pub troubles: Vec<StepTrouble>,
    /// The entries, counted from 1, that still need something.
    pub open: HashSet<usize>,
    /// The entry of each subscription that this invocation saw, by the subscription's id.
    pub places: HashMap<String, usize>,
}

/// A subscription that exists, with its note.
#[derive(Debug, Clone)]
struct LiveSubscription {
    id: String,
    expires: Option<Timestamp>,
    note: KeptSubscription,
}

/// The end of a step: what became of the subscription.
struct StepEnd {
    became: Became,
    live: Option<LiveSubscription>,
    error: Option<Error>,
    expiry_differs: bool,
    /// Whether only the list of subscriptions can tell if it was created.
    in_doubt: bool,
}

impl StepEnd {
    fn well(became: Became, live: LiveSubscription) -> Self {
        Self { became, live: Some(live), error: None, expiry_differs: false, in_doubt: false }
    }

    fn failed(error: impl Into<Error>, live: Option<LiveSubscription>) -> Self {
        Self { became: Became::Failed, live, error: Some(error.into()), expiry_differs: false, in_doubt: false }
    }
}

impl<G: Subscriptions + Listings, N: SubscriptionNotes, Q: Queues> Keeper<'_, G, N, Q> {
    /// Compares the existing subscriptions with the wanted ones, and takes the steps that follow.
    ///
    /// # Errors
    /// When nothing could be done, because the list of subscriptions or the state table could not be read.
    pub async fn run(&self, cx: &RequestContext, events: &Events) -> Result<KeeperRun, Error> {
        let wanted = &self.settings.wanted;
        let now = Timestamp::now();
        let actual = self.graph.list_subscriptions(cx).await?;
        let resources: Vec<_> = wanted.iter().map(|wanted| wanted.resource.path()).collect();
        // Sorted and without repetitions, because a page may repeat an item of another, and the table reads no item
        // twice.
        let ids: BTreeSet<_> = actual
            .iter()
            .filter(|it| is_sent_here(it, self.settings) || wanted.iter().any(|wanted| is_resource(it, wanted)))
            .map(|it| it.id.as_str())
            .collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let notes = self.notes.read(cx, &resources, &ids).await.map_err(not_noted)?;
        let plan = plan(self.settings, &actual, &notes, events, &self.credentials.current(), now);

        let mut run = KeeperRun { places: self.places(&actual, &notes), ..KeeperRun::default() };
        // Deleted first, because a wanted subscription may need the place, or the same resource in another spelling.
        self.delete(cx, &plan.delete, &mut run).await;
        let mut steps: Vec<_> = plan.steps.into_iter().enumerate().collect();
        steps.sort_by_key(|(_, step)| step.urgency());
        let mut ended: HashMap<usize, StepEnd> = stream::iter(steps)
            .map(|(place, step)| {
                let notes = &notes;
                async move { (place, self.carry_out(cx, place, step, notes, now).await) }
            })
            .buffer_unordered(GRAPH_CALLS_AT_ONCE)
            .collect()
            .await;
        self.resolve_doubts(cx, &mut ended, &notes, events, now).await;

        self.close_gaps(cx, events, &ended, &notes, now, &mut run).await;
        self.count(&ended, &notes, now, &mut run);
        Ok(run)
    }

    /// Lists the changes where that is due.
    async fn close_gaps(
        &self,
        cx: &RequestContext,
        events: &Events,
        ended: &HashMap<usize, StepEnd>,
        notes: &FoundNotes,
        now: Timestamp,
        run: &mut KeeperRun,
    ) {
        let closing = Closing {
            listings: self.graph,
            notes: self.notes,
            queues: self.queues,
            settings: self.settings,
            app: self.app,
        };
        let gaps: Vec<_> = self
            .settings
            .wanted
            .iter()
            .enumerate()
            .filter_map(|(place, wanted)| {
                let StepEnd { became, live, .. } = ended.get(&place)?;
                let note = notes.by_resource.get(wanted.resource.path());
                let is_new = matches!(became, Became::Created | Became::Recreated | Became::Adopted);
                let urgent = is_new || live.as_ref().is_some_and(|live| events.missed.contains(&live.id));
                let listing = wanted.resource.listing().filter(|_| is_listing_due(note, self.settings, urgent, now))?;
                let progress = note.and_then(|note| note.progress.clone());
                // Without a subscription, only a list tells of changes.
                let kept = live.as_ref().map(|live| &live.note).or_else(|| note?.kept.as_ref())?;
                Some(Gap { wanted, listing, since: kept.begun, progress })
            })
            .collect();
        let closed: Vec<_> = stream::iter(gaps)
            .map(|gap| {
                let (place, closing) = (gap.wanted.place, &closing);
                async move {
                    let has_time = cx.deadline.for_a_call() >= LEAST_TIME_TO_LIST;
                    (place, if has_time { Some(closing.close(cx, gap, now).await) } else { None })
                }
            })
            .buffer_unordered(GRAPH_CALLS_AT_ONCE)
            .collect()
            .await;
        for (place, closed) in closed {
            match closed {
                Some(closed) => {
                    run.tally.gap_items += closed.items;
                    run.tally.gaps_cut += usize::from(closed.cut);
                    if !closed.finished {
                        run.open.insert(place);
                    }
                    if let Some(error) = closed.trouble {
                        run.trouble(place, error);
                    }
                }
                None => drop(run.open.insert(place)),
            }
        }
    }

    /// The entry of each subscription, of those that exist and those that existed.
    fn places(&self, actual: &[Subscription], notes: &FoundNotes) -> HashMap<String, usize> {
        let mut places = HashMap::new();
        for wanted in &self.settings.wanted {
            let there = actual.iter().filter(|it| is_resource(it, wanted)).map(|it| it.id.clone());
            let was = notes.kept(wanted.resource.path()).map(|kept| kept.subscription_id.clone());
            places.extend(there.chain(was).map(|id| (id, wanted.place)));
        }
        places
    }

    fn count(&self, ended: &HashMap<usize, StepEnd>, notes: &FoundNotes, now: Timestamp, run: &mut KeeperRun) {
        for (place, wanted) in self.settings.wanted.iter().enumerate() {
            let Some(StepEnd { became, live, error, expiry_differs, .. }) = ended.get(&place) else { continue };
            run.tally.expiry_differs += usize::from(*expiry_differs);
            match became {
                Became::AsItWas => {}
                Became::Renewed => run.tally.renewed += 1,
                Became::Created => run.tally.created += 1,
                Became::Recreated => run.tally.recreated += 1,
                Became::Adopted => run.tally.adopted += 1,
                Became::Failed => {}
                Became::Left => {
                    run.tally.left += 1;
                    run.open.insert(wanted.place);
                }
            }
            if let Some(error) = error {
                run.trouble(wanted.place, error.clone());
            }
            match live {
                None => run.tally.missing += 1,
                Some(live) => {
                    run.places.insert(live.id.clone(), wanted.place);
                    let heard = notes.heard.get(&live.id).copied();
                    run.tally.near_expiry += usize::from(is_near_expiry(live.expires, live.note.granted, now));
                    run.tally.silent += usize::from(is_silent(&live.note, heard, self.settings.silence, now));
                }
            }
        }
    }
}

impl KeeperRun {
    fn trouble(&mut self, place: usize, error: Error) {
        tracing::warn!(entry = place, %error, "a step for a subscription failed, so it is not as it should be");
        self.tally.failed += 1;
        self.open.insert(place);
        self.troubles.push(StepTrouble { place, error });
    }
}

impl Figures for KeeperRun {
    fn figures(&self) -> impl Iterator<Item = Figure> {
        let tally = &self.tally;
        let counts = [
            ("created", tally.created),
            ("renewed", tally.renewed),
            ("recreated", tally.recreated),
            ("adopted", tally.adopted),
            ("deleted", tally.deleted),
            ("failed", tally.failed),
            ("left", tally.left),
            ("expiryDiffers", tally.expiry_differs),
            ("subscriptionsMissing", tally.missing),
            ("subscriptionsNearExpiry", tally.near_expiry),
            ("silentSubscriptions", tally.silent),
            ("gapItems", tally.gap_items),
            ("gapsCut", tally.gaps_cut),
        ];
        counts.into_iter().map(|(name, count)| Figure::Count(name, count))
    }
}
