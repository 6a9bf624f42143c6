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

use super::Change;
use super::chat_message::{ChatMessage, MessageEvent};
use super::media::{MediaSettings, MediaStore, S3Media};
use super::process::Delivered;
use super::text::{Readable, one_line};
use crate::config::Environment;
use crate::error::Error;
use crate::genesys::{GenesysClient, InboundChannel, InboundContent, InboundMessage, InboundSender};
use crate::graph::GraphClient;
use crate::http::RequestContext;
use crate::store::deliveries::REMEMBERED;
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

    /// Delivers the message that a notification is of. `before` is the version of it that was delivered before, if any was;
    /// `receives` is how often the queue has handed it out, by which a failure of an image is told from one that lasts.
    ///
    /// # Errors
    /// When Genesys Cloud did not take it or nobody knows, or when an image may be had a moment later. Sent again, it
    /// has the same `messageId`.
    pub async fn deliver(
        &self,
        cx: &RequestContext,
        change: &Change,
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
        // A reaction is no version of its own. To a message that may be forgotten, it must not show it again, or for the first
        // time.
        let version = Timestamp::from_millisecond(message.version()).ok().filter(|_| message.version() > 0);
        let is_old = version.is_some_and(|version| change.received_at.duration_since(version) > REMEMBERED);
        if before.is_none() && change.change_type == "updated" && is_old {
            return Ok(Delivered::LeftOut("an old message that somebody reacted to"));
        }
        if message.is_from_app(&self.graph.app(cx).await?.client_id) {
            return Ok(Delivered::LeftOut("a message of the bridge's own app"));
        }
        let (text, content) = match event {
            MessageEvent::Deleted => (String::new(), Vec::new()),
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
        let inbound = inbound(&change.tenant_id, message, text, content);
        let integration = self.settings.integration_id.to_string();
        self.genesys.send_inbound_open_message(cx, &integration, &inbound).await?;
        Ok(Delivered::Delivered)
    }
}

/// What is said to the agent of a message with this text, images included; `before` as in [`OpenMessaging::deliver`].
#[must_use]
pub fn said(message: &ChatMessage, before: Option<i64>, text: String) -> String {
    match message.event() {
        MessageEvent::Deleted => deletion(message),
        MessageEvent::Edited if before.is_some() && text.is_empty() => "[edited: the message is empty now]".into(),
        MessageEvent::Edited if before.is_some() => format!("[edited]\n{text}"),
        MessageEvent::Created | MessageEvent::Edited => text,
    }
}

fn deletion(message: &ChatMessage) -> String {
    match message.created() {
        Some(created) => format!("[deleted: the message of {}]", created.strftime("%Y-%m-%d %H:%M:%S UTC")),
        None => "[deleted: an earlier message]".into(),
    }
}

/// A message of this tenant, as Genesys Cloud is given it.
#[must_use]
pub fn inbound(tenant_id: &str, message: &ChatMessage, text: String, content: Vec<InboundContent>) -> InboundMessage {
    let version = message.version();
    let time = Timestamp::from_millisecond(version).ok().filter(|_| version > 0).unwrap_or_else(Timestamp::now);
    let name = one_line(message.sender().unwrap_or_default(), MAX_NAME);
    let [chat, id] = [&message.chat_id, &message.id];
    InboundMessage {
        channel: InboundChannel {
            message_id: hash(&[tenant_id, chat, id, &version.to_string()]),
            from: InboundSender {
                id: chat.clone(),
                id_type: "Opaque",
                nickname: if name.is_empty() { NAMELESS.into() } else { name },
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
