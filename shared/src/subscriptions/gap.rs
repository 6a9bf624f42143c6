//! Closing the gap: what has changed is listed and put on the queue, as if notifications had come for it.
//!
//! After a subscription was made there is a time that nobody was told of; Outlook says when it has lost notifications,
//! and Teams never does. So every resource that can be listed is: then, and again and again. Whatever a notification
//! had come for is put on the queue a second time that way; the worker knows it by its id and etag.
//!
//! A listing goes from page to page. What was put on the queue is noted, and where the next page is; so one that is too
//! long for an invocation is continued by the next, and none begins from the start for being interrupted.
//!
//! A single chat is listed newest first, and in no other order. What is older has to be on the queue before it, so
//! nothing of such a listing goes there until its end is reached; one that is too long for that looks for what is older
//! than it came to, and comes back to the younger.

use std::future::Future;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::not_noted;
use super::settings::{ChangeTypes, KeeperSettings, Wanted};
use crate::auth::App;
use crate::error::{Code, Error};
use crate::graph::resource::Listing;
use crate::graph::{ChatMessage, GraphClient, GraphError, MailMessage, Page, PageFrom};
use crate::http::{NoReply, RequestContext};
use crate::notification::queued::group::group;
use crate::notification::queued::queue::{Queue, batches};
use crate::notification::{Change, Entry, QueueError, Queued, Queues};
use crate::store::deliveries::REMEMBERED;
use crate::store::hash;
use crate::store::subscriptions::{Progress, SubscriptionNotes};

/// What is listed twice where a listing begins by time: clocks differ, and what changed last may not be listed at once.
const OVERLAP: Duration = Duration::from_secs(5 * 60);

/// The same where one window of a listing follows the other: Graph compares without the bounds themselves.
const SEAM: Duration = Duration::from_secs(1);

/// Pages that are read before what is on them goes to the queue: some thousand changes at most are held at once.
const PAGES_AT_ONCE: usize = 20;

/// The same of a single chat, of which all pages are needed before one can go there: some megabytes.
const CHAT_PAGES_AT_ONCE: usize = 100;

/// What is reckoned with for putting one change on the queue. Of a single chat each needs a call of its own.
const TO_THE_QUEUE: Duration = Duration::from_millis(20);

/// A link that Graph has refused for so long is given up.
const STUCK_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Graph allows one request a second for each chat.
const CHAT_PACE: Duration = Duration::from_secs(1);

/// What is left of an invocation in which no page is asked for any more.
pub(super) const LEAST_TIME: Duration = Duration::from_secs(8);

/// Something that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its path, in the form of notifications: `chats('19:…')/messages('1712…')`.
    pub resource: String,
    /// Its type, as notifications name it.
    pub resource_type: &'static str,
    /// Another one after each change; empty where it is gone.
    pub etag: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it changed last.
    pub modified: Option<Timestamp>,
    /// Whether it is gone.
    pub gone: bool,
}

/// Who lists what has changed.
pub trait Listings: Send + Sync {
    /// A page.
    fn page(
        &self,
        cx: &RequestContext,
        listing: &Listing,
        from: PageFrom<'_>,
    ) -> impl Future<Output = Result<Page<Item>, GraphError>> + Send;
}

impl Listings for GraphClient {
    async fn page(&self, cx: &RequestContext, listing: &Listing, from: PageFrom<'_>) -> Result<Page<Item>, GraphError> {
        match listing {
            Listing::UserChats { user } => {
                let page = self.get_all_messages_delta(cx, user, from).await?;
                Ok(items(page, |message| chat_message(message, "")))
            }
            Listing::Chat { chat } => {
                let page = self.list_chat_messages(cx, chat, from).await?;
                Ok(items(page, |message| chat_message(message, chat)))
            }
            Listing::MailFolder { user, folder } => {
                let page = self.mail_folder_delta(cx, user, folder, from).await?;
                Ok(items(page, |message| Some(mail_message(message, user))))
            }
        }
    }
}

fn items<T>(page: Page<T>, item: impl Fn(T) -> Option<Item>) -> Page<Item> {
    Page { value: page.value.into_iter().filter_map(item).collect(), next: page.next, delta: page.delta }
}

/// A message of a chat; nothing for one of a channel, which a user's chats do not have.
fn chat_message(message: ChatMessage, chat: &str) -> Option<Item> {
    let chat = message.chat_id.as_deref().unwrap_or(chat);
    (!chat.is_empty()).then(|| Item {
        resource: format!("chats('{chat}')/messages('{}')", message.id),
        resource_type: "#Microsoft.Graph.chatMessage",
        etag: message.etag.unwrap_or_default(),
        created: message.created,
        modified: message.modified,
        gone: message.deleted.is_some(),
    })
}

fn mail_message(message: MailMessage, user: &str) -> Item {
    Item {
        resource: format!("Users/{user}/Messages/{}", message.id),
        resource_type: "#Microsoft.Graph.Message",
        etag: message.etag.unwrap_or_default(),
        created: message.created,
        modified: message.modified,
        gone: message.removed.is_some(),
    }
}

/// The message of a change. The same change listed again at once is one message; where nothing says which version it is
/// of, none is taken for another.
fn entry(change: &Change) -> Result<Entry, serde_json::Error> {
    let Change { resource, change_type, etag, .. } = change;
    let deduplication_id =
        if etag.is_empty() { Uuid::new_v4().to_string() } else { hash(&["", resource, change_type, etag]) };
    Ok(Entry {
        group: group(resource, ""),
        deduplication_id,
        body: serde_json::to_string(&Queued::Change(change.clone()))?,
    })
}

fn not_queued(error: QueueError) -> Error {
    let message = format!("What was found by listing could not be queued: {error}. It is listed again.");
    let told = Error::new(Code::QUEUE_UNAVAILABLE, message);
    match error.cause() {
        Some(cause) => told.because(cause),
        None => told,
    }
}

/// What a listing came to.
#[derive(Debug, Clone, Default)]
pub struct Closed {
    /// Changes put on the queue.
    pub items: usize,
    /// Whether it came to its end.
    pub finished: bool,
    /// Whether it began later than the gap did.
    pub cut: bool,
    /// What kept it from going on.
    pub trouble: Option<Error>,
}

/// A resource whose gap is to be closed.
#[derive(Debug)]
pub struct Gap<'a> {
    /// What is wanted of it.
    pub wanted: &'a Wanted,
    /// How it is listed.
    pub listing: Listing,
    /// From when on it is to be listed where it never was: when the creation of its subscription began.
    pub since: Timestamp,
    /// How far it has been listed.
    pub progress: Option<Progress>,
}

/// What a gap is closed with.
#[derive(Debug)]
pub struct Closing<'a, L, N, Q> {
    /// Graph.
    pub listings: &'a L,
    /// The state table.
    pub notes: &'a N,
    /// The queue of changes, for one thing.
    pub queues: &'a Q,
    /// How far back, for one thing.
    pub settings: &'a KeeperSettings,
    /// Whose tenant is listed.
    pub app: &'a App,
}

impl<L: Listings, N: SubscriptionNotes, Q: Queues> Closing<'_, L, N, Q> {
    /// Lists what has changed, from where the last listing came to, and puts it on the queue. What was put there is noted,
    /// whatever kept it from going on.
    pub async fn close(&self, cx: &RequestContext, gap: Gap<'_>, now: Timestamp) -> Closed {
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
                    tracing::warn!(entry = wanted.place, %error, "a listing cannot go on from its link; by time again");
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
            let Batch { mut items, next, delta, trouble } = batch;
            let (version, began) = (at.version + 1, at.under_way.unwrap_or(now));
            let older = if matches!(listing, Listing::Chat { .. }) && next.is_some() {
                older_than(&items, at.until)
            } else {
                None
            };
            at = if let Some(until) = older {
                // What was made in the whole of the gap is new, in whichever window it changed last.
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
                // Another invocation has gone on from the same point, and goes on from here.
                closed.finished = true;
            }
            if let Some(error) = trouble {
                return Err(error.into());
            }
            if cx.deadline.for_a_call() < LEAST_TIME {
                break;
            }
        }
        Ok(())
    }

    /// Puts changes on the queue, in their order.
    async fn put(&self, cx: &RequestContext, changes: Vec<Change>) -> Result<(), Error> {
        let entries = changes.iter().map(entry).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| Error::new(Code::INTERNAL, "The bridge has a bug.").because(error))?;
        for batch in batches(entries) {
            self.queues.send(cx, Queue::Changes, batch).await.map_err(not_queued)?;
        }
        Ok(())
    }

    /// Where a listing begins: somewhat before the last one did; by time no further back than the settings allow, and by a
    /// link, which brings whatever has changed since, no further than deliveries are remembered.
    fn start(&self, wanted: &Wanted, at: &Progress, now: Timestamp) -> Start {
        let overlap = if goes_on_by_time(at) { SEAM } else { OVERLAP };
        let from = at.closed_until.checked_sub(overlap).unwrap_or(at.closed_until);
        let by_time = SignedDuration::try_from(self.settings.resync).unwrap_or(REMEMBERED);
        let back = if at.link.is_some() { REMEMBERED } else { by_time };
        let bound = now.checked_sub(back).unwrap_or(from);
        // Where nothing is listed now and again, no listing for long is no gap.
        let cut = from < bound && self.settings.reconcile.is_some();
        if cut {
            tracing::warn!(entry = wanted.place, %from, %bound, "a gap is too long: what is before the bound is left");
        }
        Start { from: from.max(bound), cut }
    }

    /// Reads pages from a link, or where there is none, from a time. A page that cannot be read after others ends the
    /// batch; what was read is not lost.
    async fn pages(
        &self,
        cx: &RequestContext,
        listing: &Listing,
        link: Option<&str>,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Batch, GraphError> {
        let mut batch = Batch { next: link.map(str::to_owned), ..Batch::default() };
        let from_start = until.map_or(PageFrom::Since(since), |until| PageFrom::Between(since, until));
        let is_chat = matches!(listing, Listing::Chat { .. });
        for page in 0..if is_chat { CHAT_PAGES_AT_ONCE } else { PAGES_AT_ONCE } {
            // What was read has to get onto the queue, though the next page hangs.
            let to_the_queue = TO_THE_QUEUE.saturating_mul(u32::try_from(batch.items.len()).unwrap_or(u32::MAX));
            let left = cx.deadline.for_a_call().saturating_sub(to_the_queue);
            if page > 0 && left < LEAST_TIME {
                break;
            }
            if page > 0 && is_chat {
                tokio::time::sleep(CHAT_PACE).await;
            }
            let from = batch.next.as_deref().map_or(from_start, PageFrom::Link);
            let patience = left.saturating_sub(if page > 0 { LEAST_TIME / 2 } else { Duration::ZERO });
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

/// Whether a listing is under way window by window.
fn goes_on_by_time(at: &Progress) -> bool {
    at.under_way.is_some() && at.link.is_none()
}

/// Before which time to look for what is older than all of these, by the second, which is how Graph is asked; nothing
/// when that would be no step back.
fn older_than(items: &[Item], until: Option<Timestamp>) -> Option<Timestamp> {
    let oldest = items.iter().filter_map(|item| item.modified).min()?;
    // The next second: others may have changed in the same one.
    let bound = Timestamp::from_second(oldest.as_second().saturating_add(1)).ok()?;
    let youngest = items.iter().filter_map(|item| item.modified).max()?;
    (bound < until.unwrap_or(Timestamp::MAX) && bound <= youngest).then_some(bound)
}

/// Where a listing begins.
struct Start {
    from: Timestamp,
    /// Whether what is before it, and nobody may have told of, is left.
    cut: bool,
}

/// Whether it is because of its link that a listing cannot go on: Graph says that it has forgotten what is behind it, or
/// has refused it in other words for so long that nothing else is likely. To begin by time is not the same: what has
/// changed in older mail is not listed that way.
fn is_of_no_use(at: &Progress, error: &GraphError, now: Timestamp) -> bool {
    let is_stuck = at.refused.is_some_and(|since| now.duration_since(since) > STUCK_AFTER);
    matches!(error, GraphError::SyncStateGone { .. }) || (is_refusal(error) && is_stuck)
}

/// Whether a link may be why.
fn is_refusal(error: &GraphError) -> bool {
    matches!(error, GraphError::Rejected { .. } | GraphError::NotFound { .. } | GraphError::Unreadable { .. })
}

/// What was read before it goes to the queue.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    next: Option<String>,
    delta: Option<String>,
    /// Why it went no further.
    trouble: Option<GraphError>,
}

/// What is put on the queue for an item; nothing when no notification of it was wanted.
fn changes(item: &Item, tenant_id: &str, wanted: ChangeTypes, since: Timestamp) -> impl Iterator<Item = Change> {
    change_types(item, wanted, since).map(move |change_type| Change {
        // No subscription has told of it, and none must be taken to be alive for it.
        subscription_id: String::new(),
        // As notifications name it: the worker knows a message by it.
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

/// Which notifications would have told of it; none when none was wanted. A list says only how things are now: what was
/// made and changed since comes as both, for who waits for the one or the other.
fn change_types(item: &Item, wanted: ChangeTypes, since: Timestamp) -> impl Iterator<Item = &'static str> {
    let is_new = item.created.is_some_and(|created| created >= since);
    let is_unchanged = item.created.is_some() && item.created == item.modified;
    let deleted = wanted.deleted && item.gone;
    let created = wanted.created && !item.gone && is_new;
    let updated = wanted.updated && !item.gone && !(created && is_unchanged);
    [(created, "created"), (updated, "updated"), (deleted, "deleted")]
        .into_iter()
        .filter_map(|(is, change_type)| is.then_some(change_type))
}
