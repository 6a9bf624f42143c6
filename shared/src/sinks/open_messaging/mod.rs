//! A chat's message, as an inbound message of a Genesys Cloud Open Messaging integration.
//!
//! One chat is one conversation: Genesys Cloud puts messages of the same sender id together, and that id is the chat's.
//! It is named after the first writer. What anybody else writes begins with their name, and the org's own agents can be
//! left out. What Open Messaging has no form for is said in words: an edit comes as a
//! message of its own that says so, a deletion as one that says which message is gone and not what it said. A message that
//! data loss prevention blocks is told as a deletion is, and comes with its text once its sender has released it.
//!
//! Images are fetched with the bridge's token, kept for a short while, and passed on as links. An image that cannot be
//! had never costs the message: after a few tries the text says where it was, and why it is not there.

mod agents;
mod images;
pub(in crate::sinks) mod key;
mod startup;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use crate::chat::message::{ChatMessage, MessageEvent};
use crate::chat::text::{BLOCKED, Readable, one_line};
use crate::config::Environment;
use crate::error::{Code, Error};
use crate::genesys::{GenesysClient, GenesysError, InboundChannel, InboundContent, InboundMessage, InboundSender};
use crate::graph::GraphClient;
use crate::http::RequestContext;
use crate::media::{MediaSettings, MediaStore, S3Media};
use crate::notification::Change;
use crate::relay::{Attempt, Delivered};
use crate::store::chat_names::{ChatNames, DynamoChatNames, Writer};
use crate::store::deliveries::REMEMBERED;
use crate::store::{RecordKey, StoreError, hash, kind};
use agents::AgentFinder;
pub use agents::Agents;

/// What the agent sees of somebody who has no name.
const NAMELESS: &str = "Teams user";

/// Most characters of a name.
const MAX_NAME: usize = 100;

/// Images that are in memory at once, of all messages together.
const IMAGES_AT_ONCE: usize = 2;

/// What becomes of a message of which nobody knows whether Genesys Cloud has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InDoubt {
    /// It is sent again: rather twice than not at all.
    #[default]
    Repeat,
    /// It is not: rather not at all than twice.
    Leave,
}

impl FromStr for InDoubt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "repeat" => Ok(Self::Repeat),
            "leave" => Ok(Self::Leave),
            _ => Err("expected `repeat` or `leave`"),
        }
    }
}

/// A message to Genesys Cloud takes less than a second. With less time than this it is not begun.
const LEAST_TIME_TO_SEND: Duration = Duration::from_millis(500);

/// Where messages go, and what of their images goes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMessagingSettings {
    /// The integration's id.
    pub integration_id: Uuid,
    /// Images.
    pub media: MediaSettings,
    /// Whose messages are left out.
    pub agents: Agents,
    /// What becomes of a message of which nobody knows whether Genesys Cloud has it.
    pub in_doubt: InDoubt,
}

impl OpenMessagingSettings {
    /// Reads `OPEN_MESSAGING_INTEGRATION_ID`, `OPEN_MESSAGING_IN_DOUBT`, `CHAT_AGENTS` and what [`MediaSettings::read`] reads.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let integration_id = env.required("OPEN_MESSAGING_INTEGRATION_ID");
        let agents = env.or("CHAT_AGENTS", Agents::Unknown);
        let in_doubt = env.or("OPEN_MESSAGING_IN_DOUBT", InDoubt::Repeat);
        let media = MediaSettings::read(env);
        Some(Self { integration_id: integration_id?, media: media?, agents: agents?, in_doubt: in_doubt? })
    }
}

/// Hands messages to Genesys Cloud.
#[derive(Debug)]
pub struct OpenMessaging<M, N = DynamoChatNames> {
    graph: Arc<GraphClient>,
    genesys: Arc<GenesysClient>,
    store: M,
    names: N,
    agents: AgentFinder,
    settings: OpenMessagingSettings,
    room: Semaphore,
}

impl OpenMessaging<S3Media> {
    /// Fetches the token and opens the connections, so that the first message finds them. Failure is of no consequence but
    /// the log entry.
    pub async fn warm_up(&self, cx: &RequestContext) {
        tokio::join!(self.genesys.warm_up(cx), self.store.warm_up());
    }
}

impl<M: MediaStore, N: ChatNames> OpenMessaging<M, N> {
    /// Images come from `graph` and go to `store`, messages go to `genesys`; who a chat is named after is in `names`.
    #[must_use]
    pub fn new(
        graph: Arc<GraphClient>,
        genesys: Arc<GenesysClient>,
        store: M,
        names: N,
        settings: OpenMessagingSettings,
    ) -> Self {
        let agents = AgentFinder::new(settings.agents.clone());
        Self { graph, genesys, store, names, agents, settings, room: Semaphore::new(IMAGES_AT_ONCE) }
    }

    /// Delivers the message that a notification is of. By how often the queue has handed it out, a failure of an image that
    /// passes is told from one that lasts.
    ///
    /// # Errors
    /// When Genesys Cloud did not take it or nobody knows, or when an image may be had a moment later. Sent again, it
    /// has the same `messageId`.
    pub async fn deliver(
        &self,
        cx: &RequestContext,
        change: &Change,
        message: &ChatMessage,
        attempt: Attempt,
    ) -> Result<Delivered, Error> {
        let Attempt { before, receives, doubts } = attempt;
        if doubts > 0 && self.settings.in_doubt == InDoubt::Leave {
            return self.doubt(cx, message, "a process died at its delivery");
        }
        let integration = self.settings.integration_id.to_string();
        // Each try may be a copy, so none is made before Genesys Cloud answers again.
        if doubts > 0 {
            self.genesys.open_messaging_answers(cx, &integration).await?;
        }
        // Before the worker gives the delivery up, which does not know of the setting for what is in doubt.
        let until = Instant::now() + cx.deadline.for_a_call() * 2 / 3;
        let event = message.event();
        if message.is_system() {
            return Ok(Delivered::LeftOut("a system message"));
        }
        if event == MessageEvent::Deleted && before.is_none() {
            return Ok(Delivered::LeftOut("deleted before it was delivered"));
        }
        if before.is_some_and(|before| message.is_told(before)) {
            return Ok(Delivered::LeftOut("nothing that was not told before"));
        }
        // A reaction is no version of its own. To a message that may be forgotten, it must not show it again, or for the first
        // time.
        let written = Timestamp::from_millisecond(message.text_version()).ok().filter(|_| message.text_version() > 0);
        let is_old = written.is_some_and(|written| change.received_at.duration_since(written) > REMEMBERED);
        if before.is_none() && change.change_type == "updated" && is_old {
            return Ok(Delivered::LeftOut("an old message that somebody reacted to"));
        }
        if message.is_from_app(&self.graph.app(cx).await?.client_id) {
            return Ok(Delivered::LeftOut("a message of the bridge's own app"));
        }
        if self.agents.wrote(cx, &self.genesys, message).await? {
            return Ok(Delivered::LeftOut("a message of an agent"));
        }
        let (text, content) = match event {
            MessageEvent::Deleted | MessageEvent::Blocked => (String::new(), Vec::new()),
            MessageEvent::Created | MessageEvent::Edited => {
                let readable = Readable::of(message);
                let images = self.images(cx, change, &message.chat_id, &readable, receives).await?;
                (readable.with_images(images.words.iter().map(String::as_str)), images.content)
            }
        };
        let text = said(message, before, text);
        if text.is_empty() {
            return Ok(Delivered::LeftOut("an empty message"));
        }
        let chat = RecordKey::new(kind::CHAT_NAME, &[&change.tenant_id, &integration, &message.chat_id]);
        let named_after = self.names.first_writer(cx, &chat, &writer(message)).await.map_err(not_named)?;
        let inbound = inbound(&change.tenant_id, message, &named_after, text, content);
        if Instant::now() + LEAST_TIME_TO_SEND > until {
            let message = "There was no time left to send a message to Genesys Cloud. It waits in the queue.";
            return Err(Error::new(Code::GENESYS_UNAVAILABLE, message));
        }
        let sent = self.genesys.send_inbound_open_message(cx, &integration, &inbound);
        match tokio::time::timeout_at(until, sent).await {
            Ok(Ok(_)) => Ok(Delivered::Delivered),
            Ok(Err(GenesysError::Ambiguous(cause))) => self.doubt(cx, message, &cause),
            // The integration's, not the message's: it is not there, or is another org's.
            Ok(Err(GenesysError::Rejected { status: 404, code, .. })) => {
                let message = "Genesys Cloud has no Open Messaging integration of this id. Correct \
                               OPEN_MESSAGING_INTEGRATION_ID (the template's OpenMessagingIntegrationId).";
                Err(Error::new(Code::MISCONFIGURED, message).because(format!("404 {code}")))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_elapsed) => self.doubt(cx, message, "no answer in time"),
        }
    }

    /// Nobody knows whether Genesys Cloud has the message.
    fn doubt(&self, cx: &RequestContext, message: &ChatMessage, cause: &str) -> Result<Delivered, Error> {
        match self.settings.in_doubt {
            InDoubt::Repeat => {
                let message = "Nobody knows whether Genesys Cloud took a message. It may be sent once more.";
                Err(Error::new(Code::OUTCOME_UNKNOWN, message).because(cause))
            }
            InDoubt::Leave => {
                cx.record.count("outcomeUnknown", 1);
                tracing::error!(
                    message = message.id,
                    cause,
                    "nobody knows whether Genesys Cloud took a message, and it is not sent again, as the settings want it"
                );
                Ok(Delivered::LeftOut("nobody knows whether Genesys Cloud took it"))
            }
        }
    }
}

/// What is said to the agent of a message with this text, images included; `before` as in [`OpenMessaging::deliver`].
#[must_use]
pub fn said(message: &ChatMessage, before: Option<i64>, text: String) -> String {
    let was_blocked = before.is_some_and(|before| message.was_blocked(before));
    match message.event() {
        MessageEvent::Deleted => format!("[deleted: {}]", which(message)),
        MessageEvent::Blocked if before.is_none() => BLOCKED.into(),
        MessageEvent::Blocked => format!("{}: {}]", BLOCKED.trim_end_matches(']'), which(message)),
        MessageEvent::Created | MessageEvent::Edited if was_blocked => {
            format!("[no longer blocked: {}]\n{text}", which(message)).trim_end().to_owned()
        }
        MessageEvent::Edited if before.is_some() && text.is_empty() => "[edited: the message is empty now]".into(),
        MessageEvent::Edited if before.is_some() => format!("[edited]\n{text}"),
        MessageEvent::Created | MessageEvent::Edited => text,
    }
}

fn which(message: &ChatMessage) -> String {
    match message.created() {
        Some(created) => format!("the message of {}", created.strftime("%Y-%m-%d %H:%M:%S UTC")),
        None => "an earlier message".into(),
    }
}

/// Who wrote a message.
#[must_use]
pub fn writer(message: &ChatMessage) -> Writer {
    let name = one_line(message.sender().unwrap_or_default(), MAX_NAME);
    let name = if name.is_empty() { NAMELESS.to_owned() } else { name };
    Writer { id: message.sender_id().map_or_else(|| name.clone(), str::to_owned), name }
}

fn not_named(error: StoreError) -> Error {
    let message = "Who the chat is named after could not be looked up. The notification waits in the queue.";
    Error::new(Code::STATE_UNAVAILABLE, message).because(&error)
}

/// A message of this tenant, as Genesys Cloud is given it: in a conversation that is named after somebody, so that what
/// another one writes begins with their name.
#[must_use]
pub fn inbound(
    tenant_id: &str,
    message: &ChatMessage,
    named_after: &Writer,
    text: String,
    content: Vec<InboundContent>,
) -> InboundMessage {
    let version = message.version();
    let time = Timestamp::from_millisecond(version).ok().filter(|_| version > 0).unwrap_or_else(Timestamp::now);
    let writer = writer(message);
    let text = match text.contains('\n') {
        _ if writer.id == named_after.id => text,
        true => format!("{}:\n{text}", writer.name),
        false => format!("{}: {text}", writer.name),
    };
    let [chat, id] = [&message.chat_id, &message.id];
    InboundMessage {
        channel: InboundChannel {
            message_id: hash(&[tenant_id, chat, id, &version.to_string()]),
            from: InboundSender { id: chat.clone(), id_type: "Opaque", nickname: named_after.name.clone() },
            time: format!("{time:.3}"),
        },
        text,
        content,
        metadata: BTreeMap::from([
            ("teamsChatId", chat.clone()),
            ("teamsEvent", message.event().as_str().to_owned()),
            ("teamsMessageId", id.clone()),
            ("teamsTenantId", tenant_id.to_owned()),
        ]),
    }
}

#[cfg(test)]
mod tests;
