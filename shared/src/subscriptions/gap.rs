//! Closes gaps: lists the changes of a resource and puts them on the queue, as if notifications had come for them.
//!
//! Until a subscription exists, nobody is notified of changes; and Outlook reports when it has lost notifications, but
//! Teams never does. So every resource that can be listed is listed, after its subscription was made and then
//! regularly. Changes that a notification had come for are put on the queue a second time; the worker recognises them
//! by id and etag.
//!
//! A listing goes from page to page. Which changes are on the queue, and where the next page is, is noted. So a listing
//! that is too long for one invocation is continued by the next, and never starts over because it was interrupted.
//!
//! Graph lists a single chat only newest first. The older changes must be on the queue before the newer ones, so the
//! pages of such a listing are held until its end is reached. If it is too long for that, the older changes are listed
//! first, in a window of their own, and the newer ones later.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::not_noted;
use super::settings::{ChangeTypes, KeeperSettings, WantedSubscription};
use crate::auth::App;
use crate::error::{Code, Error};
use crate::graph::resource::Listing;
use crate::graph::{GraphError, ListedMessage, Listings, PageFrom};
use crate::http::{NoReply, RequestContext};
use crate::notification::queued::group::group;
use crate::notification::queued::queue::{NotificationQueue, batches};
use crate::notification::{Change, QueueEntry, QueueError, Queued, Queues};
use crate::store::deliveries::DELIVERY_REMEMBERED;
use crate::store::hash;
use crate::store::subscriptions::{Progress, SubscriptionNotes};

/// How much two listings by time overlap: clocks differ, and the latest change may not be listed at once.
const OVERLAP: Duration = Duration::from_secs(5 * 60);

/// How much two windows of one listing overlap: Graph compares without the bounds themselves.
const SEAM: Duration = Duration::from_secs(1);

/// The most pages that are read before their changes are queued, so that some thousand changes at most are held at
/// once.
const PAGES_AT_ONCE: usize = 20;

/// The same for a single chat, all of whose pages must be read before one is queued: some megabytes.
const CHAT_PAGES_AT_ONCE: usize = 100;

/// The time that putting one change on the queue is expected to take. Each change of a single chat needs a call of its
/// own.
const TO_THE_QUEUE: Duration = Duration::from_millis(20);

/// A link that Graph has refused for this long is given up.
const STUCK_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// The pause between two pages of a chat: Graph allows one request a second for each chat.
const CHAT_PACE: Duration = Duration::from_secs(1);

/// The least time that must be left of an invocation to ask for a page.
pub(super) const LEAST_TIME_TO_LIST: Duration = Duration::from_secs(8);

/// The queue message for a change. If the same change is listed again at once, it is the same message for the queue; a
/// change without a version is never taken for another.
fn entry(change: &Change) -> Result<QueueEntry, serde_json::Error> {
    let Change { resource, change_type, etag, .. } = change;
    let deduplication_id =
        if etag.is_empty() { Uuid::new_v4().to_string() } else { hash(&["", resource, change_type, etag]) };
    Ok(QueueEntry {
        group: group(resource, ""),
        deduplication_id,
        body: serde_json::to_string(&Queued::Change(change.clone()))?,
    })
}

fn not_queued(error: QueueError) -> Error {
    let message = format!("Changes that were found by listing could not be queued: {error}. They are listed again.");
    let told = Error::new(Code::QUEUE_UNAVAILABLE, message);
    match error.cause() {
        Some(cause) => told.because(cause),
        None => told,
    }
}

/// The result of closing one gap.
#[derive(Debug, Clone, Default)]
pub struct Closed {
    /// The number of changes that were queued.
    pub items: usize,
    /// Whether the listing came to its end.
    pub finished: bool,
    /// Whether the listing began later than the gap did.
    pub cut: bool,
    /// The error that kept the listing from going on.
    pub trouble: Option<Error>,
}

/// A resource whose gap is to be closed.
#[derive(Debug)]
pub struct Gap<'a> {
    /// The entry of the settings for this resource.
    pub wanted: &'a WantedSubscription,
    /// How its changes are listed.
    pub listing: Listing,
    /// Where the listing begins if there was none before: when the creation of its subscription began.
    pub since: Timestamp,
    /// How far it has been listed before.
    pub progress: Option<Progress>,
}

/// The use case that closes gaps.
#[derive(Debug)]
pub struct Closing<'a, L, N, Q> {
    /// Lists changes: the client of Graph.
    pub listings: &'a L,
    /// The notes of subscriptions, in the state table.
    pub notes: &'a N,
    /// The queues, among them that of changes.
    pub queues: &'a Q,
    /// The settings, among them how far back a gap is closed.
    pub settings: &'a KeeperSettings,
    /// The app, whose tenant is listed.
    pub app: &'a App,
}

impl<L: Listings, N: SubscriptionNotes, Q: Queues> Closing<'_, L, N, Q> {
    /// Lists the changes, from where the last listing ended, and queues them. Queued changes are noted even when the
    /// listing cannot go on.
    pub(crate) async fn close(&self, cx: &RequestContext, gap: Gap<'_>, now: Timestamp) -> Closed {
        let mut closed = Closed::default();
        closed.trouble = self.go_on(cx, gap, now, &mut closed).await.err();
        closed
    }

    async fn go_on(&self, cx: &RequestContext, gap: Gap<'_>, now: Timestamp, closed: &mut Closed) -> Result<(), Error> {
        let Gap { wanted, listing, since, progress } = gap;
        let tenant_id = self.app.tenant_guid()?;
        let at_first = || Progress {
            version: 0,
            closed_until: since,
            until: None,
            since: None,
            under_way: None,
            link: None,
            refused: None,
        };
        let mut at = progress.unwrap_or_else(at_first);
        while !closed.finished {
            let mut start = self.start(wanted, &at, now);
            let batch = match self.pages(cx, &listing, at.link.as_deref(), start.from, at.until).await {
                Err(error) if at.link.is_some() && is_of_no_use(&at, &error, now) => {
                    tracing::warn!(entry = wanted.place, %error, "a listing cannot go on from its link, so it begins again by time");
                    at = Progress { link: None, under_way: None, since: None, ..at };
                    start = self.start(wanted, &at, now);
                    self.pages(cx, &listing, None, start.from, at.until).await?
                }
                Err(error) => {
                    if at.link.is_some() && at.refused.is_none() && is_refusal(&error) {
                        let refused = Progress { version: at.version + 1, refused: Some(now), ..at };
                        self.notes.advance(cx, wanted.resource.path(), &refused).await.map_err(not_noted)?;
                    }
                    return Err(error.into());
                }
                Ok(batch) => batch,
            };
            closed.cut |= start.cut;
            let ListedBatch { mut items, next, delta, trouble } = batch;
            let (version, began) = (at.version + 1, at.under_way.unwrap_or(now));
            let older = if matches!(listing, Listing::Chat { .. }) && next.is_some() {
                older_than(&items, at.until)
            } else {
                None
            };
            at = if let Some(until) = older {
                // A resource that was created within the gap is new, in whichever window it was changed last.
                let since = at.since.unwrap_or(start.from);
                let closed_until = if goes_on_by_time(&at) { at.closed_until } else { start.from };
                let (until, since, under_way) = (Some(until), Some(since), Some(began));
                Progress { version, closed_until, until, since, under_way, link: None, refused: None }
            } else {
                items.sort_by_key(|item| item.modified);
                let since = at.since.unwrap_or(start.from);
                let changes: Vec<Change> =
                    items.iter().flat_map(|item| changes(item, tenant_id, wanted.changes, since)).collect();
                closed.items += changes.len();
                self.put(cx, changes).await?;
                closed.finished = next.is_none() && at.until.is_none();
                let (closed_until, until, since, under_way, link) = match (next, at.until) {
                    (Some(next), until) => (at.closed_until, until, at.since, Some(began), Some(next)),
                    (None, Some(until)) => (until, None, at.since, Some(began), None),
                    (None, None) => (began, None, None, None, delta),
                };
                Progress { version, closed_until, until, since, under_way, link, refused: None }
            };
            if !self.notes.advance(cx, wanted.resource.path(), &at).await.map_err(not_noted)? {
                // Another invocation has gone on from the same point, and continues from there.
                closed.finished = true;
            }
            if let Some(error) = trouble {
                return Err(error.into());
            }
            if cx.deadline.for_a_call() < LEAST_TIME_TO_LIST {
                break;
            }
        }
        Ok(())
    }

    /// Puts changes on the queue, in order.
    async fn put(&self, cx: &RequestContext, changes: Vec<Change>) -> Result<(), Error> {
        let entries = changes.iter().map(entry).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| Error::new(Code::INTERNAL, "The bridge has a bug.").because(error))?;
        for batch in batches(entries) {
            self.queues.send(cx, NotificationQueue::Changes, batch).await.map_err(not_queued)?;
        }
        Ok(())
    }

    /// Where a listing begins: somewhat before the last one ended. By time, it goes no further back than the settings
    /// allow; by a link, which lists all changes since, no further than deliveries are remembered.
    fn start(&self, wanted: &WantedSubscription, at: &Progress, now: Timestamp) -> Start {
        let overlap = if goes_on_by_time(at) { SEAM } else { OVERLAP };
        let from = at.closed_until.checked_sub(overlap).unwrap_or(at.closed_until);
        let by_time = SignedDuration::try_from(self.settings.resync).unwrap_or(DELIVERY_REMEMBERED);
        let back = if at.link.is_some() { DELIVERY_REMEMBERED } else { by_time };
        let bound = now.checked_sub(back).unwrap_or(from);
        // Where nothing is listed regularly, a long time without a listing is no gap.
        let cut = from < bound && self.settings.reconcile.is_some();
        if cut {
            tracing::warn!(entry = wanted.place, %from, %bound, "a gap is too long: the changes before the bound are not listed");
        }
        Start { from: from.max(bound), cut }
    }

    /// Reads pages from a link, or without one from a time. A page that cannot be read ends the batch; the pages before
    /// it are kept.
    async fn pages(
        &self,
        cx: &RequestContext,
        listing: &Listing,
        link: Option<&str>,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<ListedBatch, GraphError> {
        let mut batch = ListedBatch { next: link.map(str::to_owned), ..ListedBatch::default() };
        let from_start = until.map_or(PageFrom::Since(since), |until| PageFrom::Between(since, until));
        let is_chat = matches!(listing, Listing::Chat { .. });
        for page in 0..if is_chat { CHAT_PAGES_AT_ONCE } else { PAGES_AT_ONCE } {
            // The changes that were read must be queued, even if the next page hangs.
            let to_the_queue = TO_THE_QUEUE.saturating_mul(u32::try_from(batch.items.len()).unwrap_or(u32::MAX));
            let left = cx.deadline.for_a_call().saturating_sub(to_the_queue);
            if page > 0 && left < LEAST_TIME_TO_LIST {
                break;
            }
            if page > 0 && is_chat {
                tokio::time::sleep(CHAT_PACE).await;
            }
            let from = batch.next.as_deref().map_or(from_start, PageFrom::Link);
            let patience = left.saturating_sub(if page > 0 { LEAST_TIME_TO_LIST / 2 } else { Duration::ZERO });
            let read = tokio::time::timeout(patience, self.listings.page(cx, listing, from)).await;
            match read.unwrap_or_else(|_| Err(NoReply::Ambiguous("a page took too long".into()).into())) {
                Ok(page) => {
                    batch.items.extend(page.value);
                    (batch.next, batch.delta) = (page.next, page.delta);
                }
                Err(error) if page == 0 => return Err(error),
                Err(error) => {
                    batch.trouble = Some(error);
                    break;
                }
            }
            if batch.next.is_none() {
                break;
            }
        }
        Ok(batch)
    }
}

/// Whether a listing that goes window by window is under way.
fn goes_on_by_time(at: &Progress) -> bool {
    at.under_way.is_some() && at.link.is_none()
}

/// The time before which to look for older changes than all of these, in whole seconds, as Graph is asked. `None` when
/// that would be no step back.
fn older_than(items: &[ListedMessage], until: Option<Timestamp>) -> Option<Timestamp> {
    let oldest = items.iter().filter_map(|item| item.modified).min()?;
    // The next second, because other resources may have changed in the same one.
    let bound = Timestamp::from_second(oldest.as_second().saturating_add(1)).ok()?;
    let youngest = items.iter().filter_map(|item| item.modified).max()?;
    (bound < until.unwrap_or(Timestamp::MAX) && bound <= youngest).then_some(bound)
}

/// The place and time at which a listing begins.
struct Start {
    from: Timestamp,
    /// Whether changes before it, which may not have been notified of, are left out.
    cut: bool,
}

/// Whether a listing cannot go on because of its link: Graph says that it has forgotten the state behind it, or has
/// refused it in other words for so long that nothing else is likely. To begin by time is not the same, because changes
/// of older mail are not listed that way.
fn is_of_no_use(at: &Progress, error: &GraphError, now: Timestamp) -> bool {
    let is_stuck = at.refused.is_some_and(|since| now.duration_since(since) > STUCK_AFTER);
    matches!(error, GraphError::SyncStateGone { .. }) || (is_refusal(error) && is_stuck)
}

/// Whether the link may be the cause of the error.
fn is_refusal(error: &GraphError) -> bool {
    matches!(error, GraphError::Rejected { .. } | GraphError::NotFound { .. } | GraphError::Unreadable { .. })
}

/// The changes that are queued together.
#[derive(Default)]
struct ListedBatch {
    items: Vec<ListedMessage>,
    next: Option<String>,
    delta: Option<String>,
    /// The error that ended it.
    trouble: Option<GraphError>,
}

/// The changes to queue for an item; none when the settings want no notification of it.
fn changes(
    item: &ListedMessage,
    tenant_id: &str,
    wanted: ChangeTypes,
    since: Timestamp,
) -> impl Iterator<Item = Change> {
    change_types(item, wanted, since).map(move |change_type| Change {
        // No subscription has notified of it, so none must be taken to be alive because of it.
        subscription_id: String::new(),
        // In the form of notifications, by which the worker recognises a message.
        tenant_id: tenant_id.to_owned(),
        change_type: change_type.to_owned(),
        resource: item.resource.clone(),
        resource_type: item.resource_type.to_owned(),
        etag: item.etag.clone(),
        encrypted_content: None,
        validation_tokens: Vec::new(),
        received_at: Timestamp::now(),
    })
}

/// The change types that would have been notified of; none when none was wanted. A list tells only the present state: a
/// resource that was created and then changed counts as both.
fn change_types(item: &ListedMessage, wanted: ChangeTypes, since: Timestamp) -> impl Iterator<Item = &'static str> {
    let is_new = item.created.is_some_and(|created| created >= since);
    let is_unchanged = item.created.is_some() && item.created == item.modified;
    let deleted = wanted.deleted && item.gone;
    let created = wanted.created && !item.gone && is_new;
    let updated = wanted.updated && !item.gone && !(created && is_unchanged);
    [(created, "created"), (updated, "updated"), (deleted, "deleted")]
        .into_iter()
        .filter_map(|(is, change_type)| is.then_some(change_type))
}
