//! A chat's message, as an inbound message of a Genesys Cloud Open Messaging integration.
//!
//! One chat is one conversation: Genesys Cloud puts messages of the same sender id together, and that id is the chat's.
//! The agent sees who wrote as the nickname. What Open Messaging has no form for is said in words: an edit comes as a
//! message of its own that says so, a deletion as one that says which message is gone and not what it said.
//!
//! Images are fetched with the bridge's token, kept for a short while, and passed on as links. An image that cannot be
//! had never costs the message: after a few tries the text says where it was, and why it is not there.

mod images;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::chat_message::{ChatMessage, MessageEvent};
use super::media::{MediaSettings, MediaStore, S3Media};
use super::process::Delivered;
use super::text::Readable;
use crate::config::Environment;
use crate::error::Error;
use crate::genesys::{GenesysClient, InboundChannel, InboundContent, InboundMessage, InboundSender};
use crate::graph::GraphClient;
use crate::http::RequestContext;
use crate::store::hash;

/// What the agent sees of somebody who has no name.
const NAMELESS: &str = "Teams user";

/// Most characters of a name.
const MAX_NAME: usize = 100;

/// Images that are in memory at once, of all messages together.
const IMAGES_AT_ONCE: usize = 2;

/// Where messages go, and what of their images goes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMessagingSettings {
    /// The integration's id.
    pub integration_id: Uuid,
    /// Images.
    pub media: MediaSettings,
}

impl OpenMessagingSettings {
    /// Reads `OPEN_MESSAGING_INTEGRATION_ID` and what [`MediaSettings::read`] reads.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let integration_id = env.required("OPEN_MESSAGING_INTEGRATION_ID");
        let media = MediaSettings::read(env);
        Some(Self { integration_id: integration_id?, media: media? })
    }
}

/// Hands messages to Genesys Cloud.
#[derive(Debug)]
pub struct OpenMessaging<M> {
    graph: Arc<GraphClient>,
    genesys: Arc<GenesysClient>,
    store: M,
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

impl<M: MediaStore> OpenMessaging<M> {
    /// Images come from `graph` and go to `store`, messages go to `genesys`.
    #[must_use]
    pub fn new(
        graph: Arc<GraphClient>,
        genesys: Arc<GenesysClient>,
        store: M,
        settings: OpenMessagingSettings,
    ) -> Self {
        Self { graph, genesys, store, settings, room: Semaphore::new(IMAGES_AT_ONCE) }
    }

    /// Delivers a message of this tenant. `before` is the version of it that was delivered before, if any was;
    /// `receives` is how often the queue has handed it out, by which a failure of an image is told from one that lasts.
    ///
    /// # Errors
    /// When Genesys Cloud did not take it or nobody knows, or when an image may be had a moment later. Sent again, it
    /// has the same `messageId`.
    pub async fn deliver(
        &self,
        cx: &RequestContext,
        tenant_id: &str,
        message: &ChatMessage,
        before: Option<i64>,
        receives: u32,
    ) -> Result<Delivered, Error> {
        let event = message.event();
        if message.is_system() {
            return Ok(Delivered::LeftOut("a system message"));
        }
        if event == MessageEvent::Deleted && before.is_none() {
            return Ok(Delivered::LeftOut("deleted before it was delivered"));
        }
        if message.is_from_app(&self.graph.app(cx).await?.client_id) {
            return Ok(Delivered::LeftOut("a message of the bridge's own app"));
        }
        let (text, content) = match event {
            MessageEvent::Deleted => (deletion(message), Vec::new()),
            MessageEvent::Created | MessageEvent::Edited => {
                let readable = Readable::of(message);
                let images = self.images(cx, &message.chat_id, &readable, receives).await?;
                let text = readable.with_images(images.words.iter().map(String::as_str));
                let is_news = event == MessageEvent::Edited && before.is_some();
                (if is_news { edit(&text) } else { text }, images.content)
            }
        };
        if text.is_empty() {
            return Ok(Delivered::LeftOut("an empty message"));
        }
        let inbound = inbound(tenant_id, message, text, content);
        let integration = self.settings.integration_id.to_string();
        self.genesys.send_inbound_open_message(cx, &integration, &inbound).await?;
        Ok(Delivered::Delivered)
    }
}

fn edit(text: &str) -> String {
    if text.is_empty() { "[edited: the message is empty now]".into() } else { format!("[edited]\n{text}") }
}

fn deletion(message: &ChatMessage) -> String {
    match message.created() {
        Some(created) => format!("[deleted: the message of {}]", created.strftime("%Y-%m-%d %H:%M:%S UTC")),
        None => "[deleted: an earlier message]".into(),
    }
}

fn inbound(tenant_id: &str, message: &ChatMessage, text: String, content: Vec<InboundContent>) -> InboundMessage {
    let version = message.version();
    let time = Timestamp::from_millisecond(version).ok().filter(|_| version > 0).unwrap_or_else(Timestamp::now);
    let name = message.sender().unwrap_or(NAMELESS);
    let [chat, id] = [&message.chat_id, &message.id];
    InboundMessage {
        channel: InboundChannel {
            message_id: hash(&[tenant_id, chat, id, &version.to_string()]),
            from: InboundSender {
                id: chat.clone(),
                id_type: "Opaque",
                nickname: name.chars().take(MAX_NAME).collect(),
            },
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
