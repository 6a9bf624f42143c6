//! Carrying the plan out.

mod steps;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use super::gap::{Closing, Gap, LEAST_TIME, Listings};
use super::not_noted;
use super::plan::{Current, Events, is_listing_due, is_near_expiry, is_resource, is_sent_here, is_silent, plan};
use super::settings::KeeperSettings;
use crate::auth::App;
use crate::error::Error;
use crate::graph::subscriptions::{EncryptionCertificate, Subscription, Subscriptions};
use crate::http::RequestContext;
use crate::notification::{ClientState, Queues};
use crate::store::subscriptions::{Kept, Notes, SubscriptionNotes};
use crate::telemetry::{Figure, Figures};

/// Calls to Graph at once.
const AT_ONCE: usize = 4;

/// With what subscriptions are made.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// What each notification repeats.
    pub client_state: Arc<ClientState>,
    /// The newest certificate; nothing where no notification is to carry its resource.
    pub certificate: Option<EncryptionCertificate>,
}

impl Credentials {
    /// By what they are told from others.
    fn current(&self) -> Current {
        Current {
            client_state: self.client_state.fingerprint(),
            certificate_id: self.certificate.as_ref().map_or_else(String::new, |it| it.id.clone()),
        }
    }
}

/// What subscriptions are kept with.
#[derive(Debug)]
pub struct Keeper<'a, G, N, Q> {
    /// Graph.
    pub graph: &'a G,
    /// The state table.
    pub notes: &'a N,
    /// The queue that notifications are on, for one thing.
    pub queues: &'a Q,
    /// What is wanted.
    pub settings: &'a KeeperSettings,
    /// With what.
    pub credentials: &'a Credentials,
    /// Whose tenant is watched.
    pub app: &'a App,
}

/// What became of a subscription that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// It is as it was.
    AsItWas,
    /// It lives longer.
    Renewed,
    /// There was none.
    Created,
    /// It was gone, or could not be changed into what is wanted.
    Recreated,
    /// It was there, and nobody knew.
    Adopted,
    /// It is not as it should be.
    Failed,
    /// There was no time; the next invocation goes on.
    Left,
}

/// Something that could not be done.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The entry of `SUBSCRIPTIONS`, counted from 1; 0 for a subscription that nobody wants.
    pub place: usize,
    /// What.
    pub error: Error,
}

/// How many of what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Made where there were none.
    pub created: usize,
    /// Given more time.
    pub renewed: usize,
    /// Made anew.
    pub recreated: usize,
    /// Found, and known from now on.
    pub adopted: usize,
    /// Ours that nobody wanted.
    pub deleted: usize,
    /// Not as they should be.
    pub failed: usize,
    /// Left for the next invocation.
    pub left: usize,
    /// Graph gave another time than was asked for.
    pub expiry_differs: usize,
    /// Wanted, and not there in the end.
    pub missing: usize,
    /// Soon to end although they should have been renewed.
    pub near_expiry: usize,
    /// Not heard of for longer than the settings allow.
    pub silent: usize,
    /// Changes put on the queue because no notification may have come.
    pub gap_items: usize,
    /// Gaps that were not closed as far back as they go.
    pub gaps_cut: usize,
}

/// What an invocation came to.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// How many of what.
    pub tally: Tally,
    /// What could not be done.
    pub troubles: Vec<Trouble>,
    /// The entries, counted from 1, of which something is still to be done.
    pub open: HashSet<usize>,
    /// Which entry each subscription belongs to that this invocation saw.
    pub places: HashMap<String, usize>,
}

/// A subscription that is there.
#[derive(Debug, Clone)]
struct Live {
    id: String,
    expires: Option<Timestamp>,
    note: Kept,
}

/// How a step ended.
struct Ended {
    became: Became,
    live: Option<Live>,
    error: Option<Error>,
    expiry_differs: bool,
    /// Whether only the list of subscriptions tells if it was created.
    in_doubt: bool,
}

impl Ended {
    fn well(became: Became, live: Live) -> Self {
        Self { became, live: Some(live), error: None, expiry_differs: false, in_doubt: false }
    }

    fn failed(error: impl Into<Error>, live: Option<Live>) -> Self {
        Self { became: Became::Failed, live, error: Some(error.into()), expiry_differs: false, in_doubt: false }
    }
}

impl<G: Subscriptions + Listings, N: SubscriptionNotes, Q: Queues> Keeper<'_, G, N, Q> {
    /// Compares what there is with what is wanted, and does what follows.
    ///
    /// # Errors
    /// When nothing could be done: there is no list of subscriptions, or no state table.
    pub async fn run(&self, cx: &RequestContext, events: &Events) -> Result<Run, Error> {
        let wanted = &self.settings.wanted;
        let now = Timestamp::now();
        let actual = self.graph.list_subscriptions(cx).await?;
        let resources: Vec<_> = wanted.iter().map(|wanted| wanted.resource.path()).collect();
        // Sorted and each once: a page may repeat what another has, and the table does not read an item twice.
        let ids: BTreeSet<_> = actual
            .iter()
            .filter(|it| is_sent_here(it, self.settings) || wanted.iter().any(|wanted| is_resource(it, wanted)))
            .map(|it| it.id.as_str())
            .collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let notes = self.notes.read(cx, &resources, &ids).await.map_err(not_noted)?;
        let plan = plan(self.settings, &actual, &notes, events, &self.credentials.current(), now);

        let mut run = Run { places: self.places(&actual, &notes), ..Run::default() };
        // First, because what is wanted may need the place, or the name in another spelling.
        self.delete(cx, &plan.delete, &mut run).await;
        let mut steps: Vec<_> = plan.steps.into_iter().enumerate().collect();
        steps.sort_by_key(|(_, step)| step.urgency());
        let mut ended: HashMap<usize, Ended> = stream::iter(steps)
            .map(|(place, step)| {
                let notes = &notes;
                async move { (place, self.carry_out(cx, place, step, notes, now).await) }
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        self.resolve_doubts(cx, &mut ended, &notes, events, now).await;

        self.close_gaps(cx, events, &ended, &notes, now, &mut run).await;
        self.count(&ended, &notes, now, &mut run);
        Ok(run)
    }

    /// Lists what has changed where that is due.
    async fn close_gaps(
        &self,
        cx: &RequestContext,
        events: &Events,
        ended: &HashMap<usize, Ended>,
        notes: &Notes,
        now: Timestamp,
        run: &mut Run,
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
                let Ended { became, live, .. } = ended.get(&place)?;
                let note = notes.by_resource.get(wanted.resource.path());
                let is_new = matches!(became, Became::Created | Became::Recreated | Became::Adopted);
                let urgent = is_new || live.as_ref().is_some_and(|live| events.missed.contains(&live.id));
                let listing = wanted.resource.listing().filter(|_| is_listing_due(note, self.settings, urgent, now))?;
                let progress = note.and_then(|note| note.progress.clone());
                // Where there is no subscription, a list is all that tells of anything.
                let kept = live.as_ref().map(|live| &live.note).or_else(|| note?.kept.as_ref())?;
                Some(Gap { wanted, listing, since: kept.begun, progress })
            })
            .collect();
        let closed: Vec<_> = stream::iter(gaps)
            .map(|gap| {
                let (place, closing) = (gap.wanted.place, &closing);
                async move {
                    let has_time = cx.deadline.for_a_call() >= LEAST_TIME;
                    (place, if has_time { Some(closing.close(cx, gap, now).await) } else { None })
                }
            })
            .buffer_unordered(AT_ONCE)
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

    /// Which entry each subscription belongs to: those that are there, and those that were.
    fn places(&self, actual: &[Subscription], notes: &Notes) -> HashMap<String, usize> {
        let mut places = HashMap::new();
        for wanted in &self.settings.wanted {
            let there = actual.iter().filter(|it| is_resource(it, wanted)).map(|it| it.id.clone());
            let was = notes.kept(wanted.resource.path()).map(|kept| kept.subscription_id.clone());
            places.extend(there.chain(was).map(|id| (id, wanted.place)));
        }
        places
    }

    fn count(&self, ended: &HashMap<usize, Ended>, notes: &Notes, now: Timestamp, run: &mut Run) {
        for (place, wanted) in self.settings.wanted.iter().enumerate() {
            let Some(Ended { became, live, error, expiry_differs, .. }) = ended.get(&place) else { continue };
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

impl Run {
    fn trouble(&mut self, place: usize, error: Error) {
        tracing::warn!(entry = place, %error, "a subscription is not as it should be");
        self.tally.failed += 1;
        self.open.insert(place);
        self.troubles.push(Trouble { place, error });
    }
}

impl Figures for Run {
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
