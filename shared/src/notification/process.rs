//! A batch of notifications, from the queue to the sinks.
//!
//! The queue hands out the notifications of a chat, mailbox or user one batch after the other, and this keeps their order:
//! every resource of a batch is opened first, then each group's are delivered one by one, oldest first. What
//! cannot be delivered now goes back to the queue, with all of its group that comes after it.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use super::chat_message::ChatMessage;
use super::lenient_json::read_json;
use super::open::{Opened, Resources};
use super::resource::Resource;
use super::{Change, Queued};
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::queue::Message;
use crate::store::deliveries::{Begun, Deliveries};
use crate::store::subscriptions::SubscriptionNotes;
use crate::store::{RecordKey, StoreError, hash};

/// Resources opened, and groups delivered, at once.
const AT_ONCE: usize = 8;

/// What a delivery may take at least. With less time left, what is still to do goes back to the queue.
const LEAST_TIME: Duration = Duration::from_secs(3);

/// Something that happened in Microsoft 365, as far as it is known.
#[derive(Clone, PartialEq)]
pub struct Event {
    /// The notification.
    pub change: Change,
    /// The resource as JSON; nothing when it does not exist any more.
    pub content: Option<Vec<u8>>,
    /// The message, when it is one of a chat.
    pub message: Option<ChatMessage>,
}

/// Where events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Messages of chats, as inbound messages of a Genesys Cloud Open Messaging integration.
    OpenMessaging,
    /// Every event, to an Amazon EventBridge bus.
    EventBus,
}

/// How a delivery ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// It is there.
    Delivered,
    /// It is not for this sink, and why.
    LeftOut(&'static str),
}

/// Who delivers events.
pub trait Sinks: Send + Sync {
    /// The sinks that there are.
    fn all(&self) -> impl Iterator<Item = Sink> + Send;

    /// Delivers an event. `before` is the version of it that was delivered before, and `receives` how often the queue has
    /// handed it out.
    ///
    /// # Errors
    /// When it was not delivered, or nobody knows.
    fn deliver(
        &self,
        cx: &RequestContext,
        sink: Sink,
        event: &Event,
        before: Option<i64>,
        receives: u32,
    ) -> impl Future<Output = Result<Delivered, Error>> + Send;
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages of the queue.
    pub notifications: usize,
    /// No notification at all.
    pub poison: usize,
    /// Not Graph's, or not ours.
    pub refused: usize,
    /// The resource does not exist any more.
    pub gone: usize,
    /// Lifecycle notifications that nobody attends to; the schedule of renewals does.
    pub lifecycle: usize,
    /// Delivered to a sink.
    pub delivered: usize,
    /// Not for a sink.
    pub left_out: usize,
    /// Had been delivered before.
    pub duplicates: usize,
    /// Went back to the queue.
    pub failed: usize,
    /// From the notification's receipt to its delivery, the longest, in milliseconds.
    pub worst_lag_ms: i64,
}

/// What a worker works with.
#[derive(Debug)]
pub struct Worker<'a, R, D, S, N> {
    /// Opens notifications.
    pub resources: &'a R,
    /// When each subscription was last heard of.
    pub heard: &'a N,
    /// What was delivered.
    pub deliveries: &'a D,
    /// Delivers.
    pub sinks: &'a S,
}

/// A message of the queue on its way.
struct Item {
    id: String,
    receives: u32,
    state: State,
}

enum State {
    /// To deliver.
    Open(Box<Event>),
    /// Nothing is left to do.
    Done,
    /// Goes back to the queue.
    Failed,
}

impl<R: Resources, D: Deliveries, S: Sinks, N: SubscriptionNotes> Worker<'_, R, D, S, N> {
    /// Serves a batch. Gives the messages that go back to the queue, and what became of all.
    pub async fn serve(&self, cx: &RequestContext, messages: Vec<Message>) -> (Vec<String>, Tally) {
        let mut tally = Tally { notifications: messages.len(), ..Tally::default() };
        let opened = stream::iter(messages).map(|message| self.open(cx, message)).buffered(AT_ONCE);
        let mut groups: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for (group, item, noted) in opened.collect::<Vec<_>>().await {
            tally.add(&noted);
            groups.entry(group).or_default().push(item);
        }
        let mut served =
            stream::iter(groups.into_values()).map(|items| self.deliver(cx, items)).buffer_unordered(AT_ONCE);
        let mut failed = Vec::new();
        while let Some((back, noted)) = served.next().await {
            tally.add(&noted);
            failed.extend(back);
        }
        tally.failed = failed.len();
        (failed, tally)
    }

    async fn open(&self, cx: &RequestContext, message: Message) -> (String, Item, Tally) {
        let Message { id, body, receives, group } = message;
        let mut tally = Tally::default();
        let item = |state| Item { id: id.clone(), receives, state };
        let change = match serde_json::from_str(&body) {
            Ok(Queued::Change(change)) => change,
            Ok(Queued::Lifecycle(_)) => {
                tally.lifecycle = 1;
                return (group, item(State::Done), tally);
            }
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                tracing::error!(
                    message = id,
                    line,
                    column,
                    "a message that is no notification goes to the dead-letter queue"
                );
                tally.poison = 1;
                // In a group of its own: it holds up nobody.
                return (id.clone(), item(State::Failed), tally);
            }
        };
        let opened = self.resources.open(cx, &change).await;
        if matches!(opened, Ok(Opened::Content(_) | Opened::Gone))
            && let Err(error) = self.heard.heard(cx, &change.subscription_id, change.received_at).await
        {
            tracing::warn!(%error, "it was not noted that a subscription was heard of");
        }
        let state = match opened {
            Ok(Opened::Content(content)) => {
                let message = message_of(&change, &content);
                State::Open(Box::new(Event { change, content: Some(content), message }))
            }
            Ok(Opened::Gone) => {
                tally.gone = 1;
                State::Open(Box::new(Event { change, content: None, message: None }))
            }
            Ok(Opened::Refused(why)) => {
                tracing::error!(message = id, subscription = change.subscription_id, why, "a notification is dropped");
                tally.refused = 1;
                State::Done
            }
            Err(error) => {
                tracing::warn!(
                    message = id,
                    code = error.code.text(),
                    error = error.message,
                    cause = error.cause,
                    "a notification goes back to the queue"
                );
                State::Failed
            }
        };
        (group, item(state), tally)
    }

    /// Delivers what is open of a group, oldest first, until something fails.
    async fn deliver(&self, cx: &RequestContext, mut items: Vec<Item>) -> (Vec<String>, Tally) {
        let mut tally = Tally::default();
        // What comes after something that could not be opened has to wait for it.
        let ready = items.iter().position(|item| matches!(item.state, State::Failed)).unwrap_or(items.len());
        let mut back: Vec<String> =
            items.split_off(ready).into_iter().filter(Item::is_left).map(|item| item.id).collect();
        // Graph promises no order. What it mixed up within a batch is put right here.
        items.sort_by_key(|item| match &item.state {
            State::Open(event) => event.version(),
            State::Done | State::Failed => 0,
        });
        let mut held_up = false;
        for item in items {
            let State::Open(event) = &item.state else { continue };
            if held_up || cx.deadline.for_a_call() < LEAST_TIME {
                held_up = true;
                back.push(item.id);
                continue;
            }
            if let Err(error) = self.deliver_one(cx, event, item.receives, &mut tally).await {
                tracing::warn!(
                    message = item.id,
                    code = error.code.text(),
                    error = error.message,
                    cause = error.cause,
                    "a notification goes back to the queue, and what comes after it"
                );
                held_up = true;
                back.push(item.id);
            }
        }
        (back, tally)
    }

    async fn deliver_one(
        &self,
        cx: &RequestContext,
        event: &Event,
        receives: u32,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        for sink in self.sinks.all() {
            let Some((key, version)) = event.key(sink) else {
                tally.left_out += 1;
                continue;
            };
            let now = Timestamp::now();
            let lease = now.checked_add(cx.deadline.until_end()).unwrap_or(Timestamp::MAX);
            let begun = self.deliveries.begin(cx, &key, version, lease, now).await;
            let before = match begun.map_err(|error| not_noted(&error))? {
                Begun::Granted { before } => before,
                Begun::Delivered => {
                    tally.duplicates += 1;
                    continue;
                }
                Begun::InProgress => {
                    let message = "Another instance is at work on it, or died at it a moment ago.";
                    return Err(Error::new(Code::IN_PROGRESS, message));
                }
            };
            match self.sinks.deliver(cx, sink, event, before, receives).await {
                Ok(delivered) => {
                    // It is there. Giving it back because the note failed would deliver it twice for certain.
                    if let Err(error) = self.deliveries.done(cx, &key, version).await {
                        tracing::warn!(%error, "a delivery was not noted");
                    }
                    match delivered {
                        Delivered::Delivered => tally.delivered += 1,
                        Delivered::LeftOut(why) => {
                            tracing::debug!(why, "left out");
                            tally.left_out += 1;
                        }
                    }
                    let lag = now.as_millisecond() - event.change.received_at.as_millisecond();
                    tally.worst_lag_ms = tally.worst_lag_ms.max(lag);
                }
                Err(error) => {
                    if let Err(error) = self.deliveries.give_up(cx, &key, version).await {
                        tracing::warn!(%error, "the next try has to wait for the end of this one's lease");
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

fn not_noted(error: &StoreError) -> Error {
    Error::new(Code::STATE_UNAVAILABLE, "The state table could not be used. The notification waits in the queue.")
        .because(error)
}

fn message_of(change: &Change, content: &[u8]) -> Option<ChatMessage> {
    let resource: Resource = change.resource.parse().ok()?;
    let (chat, id) = resource.chat_message()?;
    let mut message: ChatMessage = read_json(content)?;
    // A content need not repeat what its notification's name says.
    if message.chat_id.is_empty() {
        message.chat_id = chat.to_owned();
    }
    if message.id.is_empty() {
        message.id = id.to_owned();
    }
    Some(message)
}

impl Item {
    fn is_left(&self) -> bool {
        !matches!(self.state, State::Done)
    }
}

impl Event {
    fn version(&self) -> i64 {
        self.message.as_ref().map_or(0, ChatMessage::version)
    }

    /// Under which a delivery is remembered: a chat's message by its version, so that a reaction is no new message and an
    /// older version never follows a newer one; anything else by the notification's or the resource's tag. `None`, when
    /// it is not for the sink.
    fn key(&self, sink: Sink) -> Option<(RecordKey, i64)> {
        let tenant = self.change.tenant_id.as_str();
        match sink {
            Sink::OpenMessaging => {
                let message = self.message.as_ref()?;
                let key = RecordKey::new("openMessage", &[tenant, &message.chat_id, &message.id]);
                Some((key, message.version()))
            }
            Sink::EventBus => {
                let Change { resource, change_type, etag, .. } = &self.change;
                let tag = if etag.is_empty() { self.tag() } else { etag.clone() };
                Some((RecordKey::new("event", &[tenant, resource, change_type, &tag]), 0))
            }
        }
    }

    /// What tells this version of the resource from another when the notification does not say.
    fn tag(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Tags {
            #[serde(rename = "@odata.etag")]
            etag: Option<String>,
            #[serde(rename = "changeKey")]
            change_key: Option<String>,
            #[serde(rename = "lastModifiedDateTime")]
            modified: Option<String>,
        }
        let Some(content) = &self.content else { return String::new() };
        let tags = serde_json::from_slice::<Tags>(content).ok();
        tags.and_then(|tags| tags.etag.or(tags.change_key).or(tags.modified))
            .unwrap_or_else(|| hash(&[&String::from_utf8_lossy(content)]))
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.poison += other.poison;
        self.refused += other.refused;
        self.gone += other.gone;
        self.lifecycle += other.lifecycle;
        self.delivered += other.delivered;
        self.left_out += other.left_out;
        self.duplicates += other.duplicates;
        self.worst_lag_ms = self.worst_lag_ms.max(other.worst_lag_ms);
    }
}

#[cfg(test)]
mod tests;
