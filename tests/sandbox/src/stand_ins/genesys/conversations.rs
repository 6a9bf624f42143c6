//! The conversations that Open Messaging leads, as an agent sees them.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::{World, locked};

/// How long after its last message a conversation goes on with the next one of the same sender.
const THREADING: Duration = Duration::from_secs(72 * 60 * 60);

/// A file that came with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Image, Video, Audio, File or Link.
    pub media_type: String,
    /// Where it was to be fetched.
    pub url: String,
    /// What the sender says it is.
    pub mime: String,
    /// Its name; empty when it has none.
    pub filename: String,
    /// What fetching it was answered, without any credential: 0 is nothing, absent is not tried.
    pub status: Option<u16>,
    /// The media type of that answer.
    pub fetched_type: String,
    /// Bytes of that answer.
    pub bytes: usize,
    /// SHA-256 of that answer, in hexadecimal.
    pub sha256: String,
}

/// A message from outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboundMessage {
    /// The id that Genesys Cloud gave it.
    pub id: String,
    /// The sender's own id; empty when it has none.
    pub message_id: String,
    /// When the sender says it was written.
    pub time: String,
    /// The text; empty when there is none.
    pub text: String,
    /// The files that came along.
    pub attachments: Vec<Attachment>,
    /// Media types of the files that the supported content profile does not have, so that they were dropped.
    pub dropped: Vec<String>,
    /// The metadata that the sender added.
    pub metadata: Value,
}

/// A conversation of Open Messaging, as an agent sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// The id of the conversation.
    pub id: String,
    /// The integration that it came by.
    pub integration_id: String,
    /// The writer, as the first message had it.
    pub from: Value,
    /// What was written, in the order in which it came.
    pub messages: Vec<InboundMessage>,
}

/// How the integration is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct OpenMessagingSettings {
    /// Whether a message of the same id and time is taken for the same: which of the two Genesys Cloud does is not
    /// documented.
    pub deduplicates_messages: bool,
    /// Whether files are really fetched.
    pub fetches_attachments: bool,
    /// Media types that the supported content profile has: `image/png`, or `image/*`.
    pub supported_content: Vec<String>,
}

impl Default for OpenMessagingSettings {
    fn default() -> Self {
        let supported = ["image/*", "audio/*", "video/*", "text/plain", "application/pdf"];
        Self {
            deduplicates_messages: false,
            fetches_attachments: true,
            supported_content: supported.into_iter().map(str::to_owned).collect(),
        }
    }
}

impl OpenMessagingSettings {
    /// Whether the profile has this media type.
    pub(super) fn supports(&self, mime: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => mime.starts_with(start),
            None => mime.eq_ignore_ascii_case(pattern),
        };
        self.supported_content.iter().any(fits)
    }
}

/// All conversations, by integration and sender.
#[derive(Debug, Default)]
pub(in crate::stand_ins) struct Conversations {
    all: Vec<(Conversation, Instant)>,
    pub(super) settings: OpenMessagingSettings,
}

impl Conversations {
    /// The conversation and the Genesys Cloud id of the message that has this id and time already.
    pub(super) fn known(&self, integration: &str, message_id: &str, time: &str) -> Option<(String, String)> {
        let own = self.all.iter().map(|(known, _)| known).filter(|known| known.integration_id == integration);
        let same = |message: &&InboundMessage| message.message_id == message_id && message.time == time;
        let found = own.filter_map(|known| known.messages.iter().find(same).map(|message| (known, message)));
        found.map(|(known, message)| (known.id.clone(), message.id.clone())).next().filter(|_| !message_id.is_empty())
    }

    /// Adds a message to its sender's conversation, or begins one; gives the conversation's id, and whether it was open
    /// already.
    pub(super) fn add(&mut self, integration: &str, from: &Value, message: InboundMessage) -> (String, bool) {
        let now = Instant::now();
        let open = self.all.iter_mut().find(|(known, last)| {
            known.integration_id == integration
                && known.from["id"] == from["id"]
                && now.saturating_duration_since(*last) < THREADING
        });
        if let Some((known, last)) = open {
            *last = now;
            known.messages.push(message);
            return (known.id.clone(), true);
        }
        let (id, integration_id) = (Uuid::new_v4().to_string(), integration.to_owned());
        let new = Conversation { id: id.clone(), integration_id, from: from.clone(), messages: vec![message] };
        self.all.push((new, now));
        (id, false)
    }
}

impl World {
    /// The conversations of Open Messaging as agents see them, oldest first.
    #[must_use]
    pub fn conversations(&self) -> Vec<Conversation> {
        locked(&self.conversations).all.iter().map(|(conversation, _)| conversation.clone()).collect()
    }

    /// How many different messages agents see, by their senders' ids.
    #[must_use]
    pub fn open_messages(&self) -> usize {
        let conversations = locked(&self.conversations);
        let messages = conversations.all.iter().flat_map(|(conversation, _)| &conversation.messages);
        messages.map(|message| &message.message_id).collect::<HashSet<_>>().len()
    }

    /// How the Open Messaging integration is set up.
    #[must_use]
    pub fn open_messaging(&self) -> OpenMessagingSettings {
        locked(&self.conversations).settings.clone()
    }

    /// Sets the Open Messaging integration up.
    pub fn set_open_messaging(&self, settings: OpenMessagingSettings) {
        locked(&self.conversations).settings = settings;
    }
}
