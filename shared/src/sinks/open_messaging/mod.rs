//! Open Messaging: delivers a chat message as an inbound message of a Genesys Cloud Open Messaging integration.
//!
//! One chat is one conversation, because Genesys Cloud joins messages of the same sender id, and that id is the chat's.
//! The conversation is named after the first writer. Another person's message begins with that person's name, and the
//! org's own agents can be left out. Changes that Open Messaging has no form for are told in words: an edit is a
//! message of its own that says so, a deletion one that tells which message is gone, but not its text. A message that
//! data loss prevention blocks is told as a deletion is, and sent with its text once its sender has released it.
//!
//! Images are fetched with the bridge's token, stored for a short while, and passed on as links. An image that cannot
//! be fetched never stops its message: after a few tries the text says where it was, and why it is missing.

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
use crate::http::{Deadline, RequestContext};
use crate::media::{MediaSettings, MediaStore, S3Media};
use crate::notification::Change;
use crate::relay::{Attempt, Delivered};
use crate::store::chat_names::{ChatNames, ChatWriter, DynamoChatNames};
use crate::store::deliveries::DELIVERY_REMEMBERED;
use crate::store::{RecordKey, StoreError, hash, kind};
use agents::AgentFinder;
pub use agents::Agents;

/// The name that an agent sees of a person without a name.
const NAMELESS: &str = "Teams user";

/// The most characters of a name.
const MAX_NAME: usize = 100;

/// The most images that are in memory at once, of all messages together.
const IMAGES_AT_ONCE: usize = 2;

/// What to do with a message when it is not known whether Genesys Cloud has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InDoubt {
    /// Send it again: a copy is better than a gap.
    #[default]
    Repeat,
    /// Do not send it again: a gap is better than a copy.
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

/// The least time to begin sending with; a message takes less than a second.
const LEAST_TIME_TO_SEND: Duration = Duration::from_millis(500);

/// The integration that messages are sent to, and the rules for images, agents and doubtful messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMessagingSettings {
    /// The id of the integration.
    pub integration_id: Uuid,
    /// The settings for images.
    pub media: MediaSettings,
    /// The agents whose messages are left out.
    pub agents: Agents,
    /// What to do with a message when it is not known whether Genesys Cloud has it.
    pub in_doubt: InDoubt,
}

impl OpenMessagingSettings {
    /// Reads `OPEN_MESSAGING_INTEGRATION_ID`, `OPEN_MESSAGING_IN_DOUBT`, `CHAT_AGENTS` and the variables of
    /// [`MediaSettings::read`].
    pub fn read(env: &mut Environment) -> Option<Self> {
        let integration_id = env.required("OPEN_MESSAGING_INTEGRATION_ID");
        let agents = env.or("CHAT_AGENTS", Agents::Unknown);
        let in_doubt = env.or("OPEN_MESSAGING_IN_DOUBT", InDoubt::Repeat);
        let media = MediaSettings::read(env);
        Some(Self { integration_id: integration_id?, media: media?, agents: agents?, in_doubt: in_doubt? })
    }
}

/// The sink that sends chat messages to Genesys Cloud.
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

/// A chat's message, ready to be sent.
enum Prepared {
    /// The inbound message for Genesys Cloud.
    Message(Box<InboundMessage>),
    /// The message is not for Genesys Cloud, for this reason.
    LeftOut(&'static str),
}

impl OpenMessaging<S3Media> {
    /// Fetches the token and opens the connections, so that the first message finds them. A failure is only logged.
    pub async fn warm_up(&self, cx: &RequestContext) {
        tokio::join!(self.genesys.warm_up(cx), self.store.warm_up());
    }
}

impl<M: MediaStore, N: ChatNames> OpenMessaging<M, N> {
    /// A sink that fetches images from `graph`, stores them in `store`, sends messages to `genesys`, and keeps in
    /// `names` whom each chat is named after.
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

    /// Delivers the chat message of an event. `attempt.receives` tells a passing failure of an image from a lasting one.
    ///
    /// # Errors
    /// When Genesys Cloud did not take the message or that is not known, or when a retry may fetch an image. Sent
    /// again, the message has the same `messageId`.
    pub async fn deliver(
        &self,
        cx: &RequestContext,
        change: &Change,
        message: &ChatMessage,
        attempt: Attempt,
    ) -> Result<Delivered, Error> {
        if attempt.doubts > 0 && self.settings.in_doubt == InDoubt::Leave {
            return self.doubt(cx, message, "an earlier try may have sent it");
        }
        // This ends before the relay gives the delivery up: nobody else can tell whether the message was sent.
        let until = Instant::now() + cx.deadline.for_a_call() * 2 / 3;
        let prepared = self.prepare(cx, change, message, attempt);
        let inbound = match tokio::time::timeout_at(until - LEAST_TIME_TO_SEND, prepared).await {
            Ok(prepared) => match prepared? {
                Prepared::Message(inbound) => inbound,
                Prepared::LeftOut(why) => return Ok(Delivered::LeftOut(why)),
            },
            Err(_elapsed) => {
                let message = "There was no time left to send a message to Genesys Cloud. It waits in the queue.";
                return Err(Error::new(Code::GENESYS_UNAVAILABLE, message));
            }
        };
        let integration = self.settings.integration_id.to_string();
        // A pause that Genesys Cloud asks for and that does not fit is a refusal, and leaves nothing in doubt.
        let in_time = RequestContext { deadline: Deadline::for_calls_until(until), ..cx.clone() };
        let sent = self.genesys.send_inbound_open_message(&in_time, &integration, &inbound);
        match tokio::time::timeout_at(until, sent).await {
            Ok(Ok(_)) => Ok(Delivered::Delivered),
            Ok(Err(GenesysError::Ambiguous(cause))) => self.doubt(cx, message, &cause),
            // The cause is the integration, not the message: it does not exist, or belongs to another org.
            Ok(Err(GenesysError::Rejected { status: 404, code, .. })) => {
                let message = "Genesys Cloud has no Open Messaging integration of this id. Correct \
                               OPEN_MESSAGING_INTEGRATION_ID (the template's OpenMessagingIntegrationId).";
                Err(Error::new(Code::MISCONFIGURED, message).because(format!("404 {code}")))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_elapsed) => self.doubt(cx, message, "no answer in time"),
        }
    }

    /// Makes the inbound message of a chat's message; nothing is sent.
    async fn prepare(
        &self,
        cx: &RequestContext,
        change: &Change,
        message: &ChatMessage,
        attempt: Attempt,
    ) -> Result<Prepared, Error> {
        let before = attempt.before;
        let integration = self.settings.integration_id.to_string();
        // Each try may lead to a copy, so none is made before Genesys Cloud answers again.
        if attempt.doubts > 0 {
            self.genesys.open_messaging_answers(cx, &integration).await?;
        }
        let event = message.event();
        if message.is_system() {
            return Ok(Prepared::LeftOut("a system message"));
        }
        if event == MessageEvent::Deleted && before.is_none() {
            return Ok(Prepared::LeftOut("deleted before it was delivered"));
        }
        if before.is_some_and(|before| message.is_told(before)) {
            return Ok(Prepared::LeftOut("nothing that was not told before"));
        }
        // A reaction makes no version of its own. If the message may be forgotten already, a reaction must not show it
        // again, nor for the first time.
        let written = Timestamp::from_millisecond(message.text_version()).ok().filter(|_| message.text_version() > 0);
        let is_old = written.is_some_and(|written| change.received_at.duration_since(written) > DELIVERY_REMEMBERED);
        if before.is_none() && change.change_type == "updated" && is_old {
            return Ok(Prepared::LeftOut("an old message that somebody reacted to"));
        }
        if message.is_from_app(&self.graph.app(cx).await?.client_id) {
            return Ok(Prepared::LeftOut("a message of the bridge's own app"));
        }
        if self.agents.wrote(cx, &self.genesys, message).await? {
            return Ok(Prepared::LeftOut("a message of an agent"));
        }
        let (text, content) = match event {
            MessageEvent::Deleted | MessageEvent::Blocked => (String::new(), Vec::new()),
            MessageEvent::Created | MessageEvent::Edited => {
                let readable = Readable::of(message);
                let images = self.images(cx, change, &message.chat_id, &readable, attempt).await?;
                (readable.with_images(images.words.iter().map(String::as_str)), images.content)
            }
        };
        let text = said(message, before, text);
        if text.is_empty() {
            return Ok(Prepared::LeftOut("an empty message"));
        }
        let chat = RecordKey::new(kind::CHAT_NAME, &[&change.tenant_id, &integration, &message.chat_id]);
        let named_after = self.names.first_writer(cx, &chat, &writer(message)).await.map_err(not_named)?;
        let inbound = inbound(&change.tenant_id, message, &named_after, text, content);
        Ok(Prepared::Message(Box::new(inbound)))
    }

    /// Handles a message when it is not known whether Genesys Cloud has it.
    fn doubt(&self, cx: &RequestContext, message: &ChatMessage, cause: &str) -> Result<Delivered, Error> {
        match self.settings.in_doubt {
            InDoubt::Repeat => {
                let message = "It is not known whether Genesys Cloud took a message. It may be sent once more.";
                Err(Error::new(Code::OUTCOME_UNKNOWN, message).because(cause))
            }
            InDoubt::Leave => {
                cx.record.count("outcomeUnknown", 1);
                tracing::error!(
                    message = message.id,
                    cause,
                    "it is not known whether Genesys Cloud took a message, and it is not sent again, as OPEN_MESSAGING_IN_DOUBT says"
                );
                Ok(Delivered::LeftOut("it is not known whether Genesys Cloud took it"))
            }
        }
    }
}

/// The text for the agent of a message with this text, images included; `before` as in [`OpenMessaging::deliver`].
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

/// The writer of a message.
#[must_use]
pub fn writer(message: &ChatMessage) -> ChatWriter {
    let name = one_line(message.sender().unwrap_or_default(), MAX_NAME);
    let name = if name.is_empty() { NAMELESS.to_owned() } else { name };
    ChatWriter { id: message.sender_id().map_or_else(|| name.clone(), str::to_owned), name }
}

fn not_named(error: StoreError) -> Error {
    let message = "The first writer of the chat could not be looked up. The notification waits in the queue.";
    Error::new(Code::STATE_UNAVAILABLE, message).because(&error)
}

/// A chat message as Genesys Cloud gets it. It is in a conversation that is named after the first writer, so the text
/// of another writer begins with that writer's name.
#[must_use]
pub fn inbound(
    tenant_id: &str,
    message: &ChatMessage,
    named_after: &ChatWriter,
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
