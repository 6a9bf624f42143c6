//! Closing the gap: what has changed is listed and put on the queue, as if notifications had come for it.
//!
//! After a subscription was made there is a time that nobody was told of; Outlook says when it has lost notifications,
//! and Teams never does. So every resource that can be listed is: then, and again and again. Whatever a notification
//! had come for is put on the queue a second time that way; the worker knows it by its id and etag.
//!
//! A listing goes from page to page. What was put on the queue is noted, and where the next page is; so one that is too
//! long for an invocation is continued by the next, and none begins from the start for being interrupted.

use std::future::Future;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::not_noted;
use super::resource::Listing;
use super::settings::{ChangeTypes, KeeperSettings, Wanted};
use crate::auth::App;
use crate::error::{Code, Error};
use crate::graph::{ChatMessage, GraphClient, GraphError, MailMessage, Page, PageFrom};
use crate::http::{NoReply, RequestContext};
use crate::notification::group::group;
use crate::notification::queue::{MAX_ENTRIES, Queue};
use crate::notification::{Change, Entry, QueueError, Queued, Queues};
use crate::store::deliveries::REMEMBERED;
use crate::store::hash;
use crate::store::subscriptions::{Progress, SubscriptionNotes};

/// What is listed twice where a listing begins by time: clocks differ, and what changed last may not be listed at once.
const OVERLAP: Duration = Duration::from_secs(5 * 60);

/// Pages that are read before what is on them goes to the queue: some thousand changes at most are held at once.
const PAGES_AT_ONCE: usize = 20;

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
        let at_first = || Progress { version: 0, closed_until: since, under_way: None, link: None, refused: None };
        let mut at = progress.unwrap_or_else(at_first);
        while !closed.finished {
            let mut start = self.start(wanted, &at, now);
            let batch = match self.pages(cx, &listing, at.link.as_deref(), start.from).await {
                Err(error) if at.link.is_some() && is_of_no_use(&at, &error, now) => {
                    tracing::warn!(entry = wanted.place, %error, "a listing cannot go on from its link; by time again");
                    at = Progress { link: None, under_way: None, ..at };
                    start = self.start(wanted, &at, now);
                    self.pages(cx, &listing, None, start.from).await?
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
            items.sort_by_key(|item| item.modified);
            let changes: Vec<Change> =
                items.iter().flat_map(|item| changes(item, tenant_id, wanted.changes, start.from)).collect();
            let count = changes.len();
            if count > 0 {
                self.put(cx, &changes).await?;
            }
            closed.items += count;
            let (version, began) = (at.version + 1, at.under_way.unwrap_or(now));
            closed.finished = next.is_none();
            let (closed_until, under_way, link) = match next {
                Some(next) => (at.closed_until, Some(began), Some(next)),
                None => (began, None, delta),
            };
            at = Progress { version, closed_until, under_way, link, refused: None };
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
    async fn put(&self, cx: &RequestContext, changes: &[Change]) -> Result<(), Error> {
        for changes in changes.chunks(MAX_ENTRIES) {
            let entries = changes.iter().map(entry).collect::<Result<Vec<_>, _>>();
            let entries =
                entries.map_err(|error| Error::new(Code::INTERNAL, "The bridge has a bug.").because(error))?;
            self.queues.send(cx, Queue::Changes, entries).await.map_err(not_queued)?;
        }
        Ok(())
    }

    /// Where a listing begins: somewhat before the last one did; by time no further back than the settings allow, and by a
    /// link, which brings whatever has changed since, no further than deliveries are remembered.
    fn start(&self, wanted: &Wanted, at: &Progress, now: Timestamp) -> Start {
        let from = at.closed_until.checked_sub(OVERLAP).unwrap_or(at.closed_until);
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
    ) -> Result<Batch, GraphError> {
        let mut batch = Batch { next: link.map(str::to_owned), ..Batch::default() };
        for page in 0..PAGES_AT_ONCE {
            if page > 0 && cx.deadline.for_a_call() < LEAST_TIME {
                break;
            }
            if page > 0 && matches!(listing, Listing::Chat { .. }) {
                tokio::time::sleep(CHAT_PACE).await;
            }
            let from = batch.next.as_deref().map_or(PageFrom::Since(since), PageFrom::Link);
            // What was read has to get onto the queue, though the next page hangs.
            let patience =
                cx.deadline.for_a_call().saturating_sub(if page > 0 { LEAST_TIME / 2 } else { Duration::ZERO });
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
