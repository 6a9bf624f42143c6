//! The use case of the webhook: puts every notification with the right client state on a queue, and only then is Graph
//! told that it was taken.
//!
//! Two promises: no notification that Graph is answered 2xx for is lost, and the notifications of one chat stay in
//! order. So the batches of one chat are sent one after the other, and those of different chats at the same time:
//!
//! ```text
//! POST: a1 b1 a2 c1 a3 …   chains:  a1 a2 a3 b1 … ─► batch of 10 ─► next batch of the same chain
//!                                   c1 d1 …       ─► batch of 10        all chains side by side
//! ```

pub mod client_state;
pub mod collection;
mod doorkeeper;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::Instant;
use uuid::Uuid;

use self::collection::Notification;
pub use self::doorkeeper::{Admitted, Doorkeeper};
use super::queued::group::group;
use super::queued::queue::{MAX_ENTRIES, NotificationQueue, QueueEntry, QueueError, Queues};
use super::queued::{Change, Lifecycle, Queued, Unreadable};
use crate::config::Environment;
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::store::hash;
use crate::telemetry::{Figure, Figures};

/// The most batches that are sent at the same time.
const QUEUE_BATCHES_AT_ONCE: usize = 10;

/// The largest message, and the largest batch, that a queue takes, in bytes, unless the deployment sets another limit.
const DEFAULT_MAX_MESSAGE_BYTES: usize = 262_144;

/// Graph waits for three seconds. After this time, a batch may hold more than one message of a group.
const HURRY_AFTER: Duration = Duration::from_secs(1);

/// The deployment's settings for receiving notifications.
#[derive(Debug, Clone)]
pub struct ReceiverSettings {
    /// The largest message, and the largest batch, that the queues take, in bytes.
    pub max_bytes: usize,
}

impl ReceiverSettings {
    /// Reads the settings: `NOTIFICATION_MAX_BYTES`.
    pub fn read(env: &mut Environment) -> Option<Self> {
        Some(Self { max_bytes: env.or("NOTIFICATION_MAX_BYTES", DEFAULT_MAX_MESSAGE_BYTES)? })
    }
}

/// The figures of a request: how many notifications it had, and how many were queued or dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DoorTally {
    /// How many notifications there were.
    pub notifications: usize,
    /// Of these, how many are on a queue.
    pub queued: usize,
    /// How many were dropped because their client state is not ours.
    pub foreign: usize,
    /// How many were dropped because they are no JSON objects.
    pub malformed: usize,
    /// How many showed a client state that could not be compared with the secret as it is now. Graph sends them again.
    pub undecided: usize,
    /// Of the queued, how many could not be read and are kept as they came.
    pub unreadable: usize,
    /// Of the queued, how many were too large to keep their encrypted content.
    pub content_left_out: usize,
}

impl Figures for DoorTally {
    fn figures(&self) -> impl Iterator<Item = Figure> {
        let counts = [
            ("notifications", self.notifications),
            ("queued", self.queued),
            ("rejected", self.foreign + self.malformed),
            ("foreign", self.foreign),
            ("malformed", self.malformed),
            ("unreadable", self.unreadable),
            ("contentLeftOut", self.content_left_out),
        ];
        counts.into_iter().map(|(name, count)| Figure::Count(name, count))
    }
}

/// Puts the notifications of a request on their queues.
#[derive(Debug)]
pub struct Receiver<'a, Q> {
    /// The queues to send to.
    pub queues: &'a Q,
    /// The deployment's settings for receiving notifications.
    pub settings: &'a ReceiverSettings,
}

impl<Q: Queues> Receiver<'_, Q> {
    /// Queues the notifications that the doorkeeper has admitted.
    ///
    /// # Errors
    /// When it is not certain that everything is on a queue. Graph then sends all of it again.
    pub async fn receive(&self, cx: &RequestContext, admitted: Admitted) -> Result<DoorTally, Error> {
        let Admitted { notifications, validation_tokens, mut tally } = admitted;
        let chains = chains(notifications);
        let mut ended = stream::iter(chains)
            .map(|(queue, chain)| self.send(cx, queue, chain, &validation_tokens))
            .buffer_unordered(QUEUE_BATCHES_AT_ONCE);
        let mut failure = None;
        // All chains are sent, even when one fails: Graph repeats the request, and the queue drops repetitions.
        while let Some(ended) = ended.next().await {
            match ended {
                Ok(sent) => {
                    tally.queued += sent.queued;
                    tally.unreadable += sent.unreadable;
                    tally.content_left_out += sent.content_left_out;
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            Some(error) => Err(untaken(&error)),
            None if tally.undecided > 0 => {
                cx.record.count("undecided", tally.undecided);
                Err(undecided())
            }
            None => Ok(tally),
        }
    }

    /// Sends a chain: the first notification of each group, then the second of each, and so on, because SQS may refuse
    /// the first message of a batch and take the second. After a batch that was not taken, no other of the chain is
    /// sent, so that none overtakes it.
    async fn send(
        &self,
        cx: &RequestContext,
        queue: NotificationQueue,
        mut chain: Vec<NotificationGroup>,
        tokens: &[String],
    ) -> Result<DoorTally, QueueError> {
        let mut sent = DoorTally::default();
        let begun = Instant::now();
        while !chain.is_empty() {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            // To store the end of a long chain at all counts for more than the order that a half-taken batch would
            // lose.
            let of_each = if begun.elapsed() < HURRY_AFTER { 1 } else { MAX_ENTRIES };
            let next = chain.iter_mut().flat_map(|NotificationGroup { name, notifications }| {
                notifications.take(of_each).map(|notification| (name.clone(), notification))
            });
            // The JSON is written only now, so that only the batches on their way are held in memory.
            for (name, notification) in next.take(MAX_ENTRIES) {
                let WrittenNotification { deduplication_id, body, content_left_out, unreadable } =
                    message(notification, tokens, self.settings.max_bytes);
                if bytes + body.len() > self.settings.max_bytes {
                    self.queues.send(cx, queue, std::mem::take(&mut batch)).await?;
                    bytes = 0;
                }
                bytes += body.len();
                batch.push(QueueEntry { group: name, deduplication_id, body });
                sent.queued += 1;
                sent.content_left_out += usize::from(content_left_out);
                sent.unreadable += usize::from(unreadable);
            }
            if !batch.is_empty() {
                self.queues.send(cx, queue, batch).await?;
            }
            chain.retain(|group| group.notifications.len() > 0);
        }
        Ok(sent)
    }
}

fn untaken(error: &QueueError) -> Error {
    let message = format!("Not every notification could be queued: {error}. Microsoft Graph sends them again.");
    let answer = Error::new(Code::QUEUE_UNAVAILABLE, message);
    match error.cause() {
        Some(cause) => answer.because(cause),
        None => answer,
    }
}

fn undecided() -> Error {
    let message = "A notification shows a client state that is not in the bridge's secret as it was read a moment ago. It is \
                   compared again when Microsoft Graph sends it again.";
    Error::new(Code::CLIENT_STATE_UNKNOWN, message)
}

/// The notifications of one group, in order.
struct NotificationGroup {
    name: String,
    notifications: std::vec::IntoIter<Notification>,
}

/// The notifications by group, with as many groups in a chain as a batch has room for.
fn chains(notifications: Vec<Notification>) -> Vec<(NotificationQueue, Vec<NotificationGroup>)> {
    let mut groups: Vec<(NotificationQueue, String, Vec<Notification>)> = Vec::new();
    let mut places = HashMap::new();
    for notification in notifications {
        let (queue, name) = match &notification.queued {
            Queued::Change(change) => (NotificationQueue::Changes, group(&change.resource, &change.subscription_id)),
            Queued::Lifecycle(lifecycle) => (NotificationQueue::Lifecycle, group("", &lifecycle.subscription_id)),
            // A message that cannot be read has a group of its own, so it holds up no other.
            Queued::Unreadable(odd) => {
                (NotificationQueue::Changes, format!("unreadable/{}", hash(&[&odd.notification])))
            }
        };
        let place = *places.entry((queue, name.clone())).or_insert_with(|| {
            groups.push((queue, name, Vec::new()));
            groups.len() - 1
        });
        groups[place].2.push(notification);
    }
    let mut chains: Vec<(NotificationQueue, Vec<NotificationGroup>)> = Vec::new();
    for (queue, name, notifications) in groups {
        let group = NotificationGroup { name, notifications: notifications.into_iter() };
        match chains.iter_mut().rev().find(|(to, _)| *to == queue) {
            Some((_, chain)) if chain.len() < MAX_ENTRIES => chain.push(group),
            _ => chains.push((queue, vec![group])),
        }
    }
    chains
}

/// A notification, written as the body of a message.
struct WrittenNotification {
    deduplication_id: String,
    body: String,
    content_left_out: bool,
    unreadable: bool,
}

/// The message of a notification. One that is too large for the queue goes without its content, which the worker then
/// fetches. One that is still too large, which cannot be because of a resource's name, goes as an unreadable one.
fn message(notification: Notification, tokens: &[String], max_bytes: usize) -> WrittenNotification {
    let Notification { id, mut queued, .. } = notification;
    let deduplication_id = deduplication_id(id.as_deref(), &queued);
    if let Queued::Change(change) = &mut queued
        && change.encrypted_content.is_some()
    {
        change.validation_tokens = tokens.to_vec();
    }
    let mut body = written(&queued);
    let mut content_left_out = false;
    if body.len() > max_bytes
        && let Queued::Change(change) = &mut queued
    {
        content_left_out = change.encrypted_content.take().is_some();
        change.validation_tokens.clear();
        body = written(&queued);
    }
    let mut unreadable = matches!(queued, Queued::Unreadable(_));
    let mut room = max_bytes;
    while body.len() > max_bytes && room > 0 {
        // As JSON, it may be several times as long.
        room /= 2;
        queued = Queued::Unreadable(beginning(&queued, room));
        body = written(&queued);
        (content_left_out, unreadable) = (false, true);
    }
    WrittenNotification { deduplication_id, body, content_left_out, unreadable }
}

/// The first bytes of a text that is too large.
fn beginning(queued: &Queued, bytes: usize) -> Unreadable {
    let (mut notification, received_at) = match queued {
        Queued::Unreadable(odd) => (odd.notification.clone(), odd.received_at),
        Queued::Change(change) => (written(queued), change.received_at),
        Queued::Lifecycle(lifecycle) => (written(queued), lifecycle.received_at),
    };
    notification.truncate(notification.floor_char_boundary(bytes));
    Unreadable { notification, received_at }
}

/// The deduplication id, which makes two notifications one for the queue: the version of the resource, where Graph
/// names it; else Graph's id of the notification; else a random one, because two real changes must not become one.
fn deduplication_id(id: Option<&str>, queued: &Queued) -> String {
    match (queued, id) {
        (Queued::Change(change), _) if !change.etag.is_empty() => {
            hash(&[&change.subscription_id, &change.resource, &change.change_type, &change.etag])
        }
        (
            Queued::Change(Change { subscription_id, .. }) | Queued::Lifecycle(Lifecycle { subscription_id, .. }),
            Some(id),
        ) => hash(&[subscription_id, id]),
        (Queued::Unreadable(odd), _) => hash(&["unreadable", &odd.notification]),
        _ => Uuid::new_v4().to_string(),
    }
}

/// JSON, without the two characters that JSON allows and SQS refuses. Outside of its strings, JSON is ASCII.
fn written(queued: &Queued) -> String {
    // This cannot fail: texts and times always serialize.
    let body = serde_json::to_string(queued).unwrap_or_default();
    // Content is base64, so there is hardly ever a character to replace.
    if body.is_ascii() {
        return body;
    }
    body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}
