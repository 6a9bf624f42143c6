//! What the bot writes, and how it looks on its way to Teams.

use serde::Serialize;
use serde_json::Value;

/// The most bytes that Teams takes of a message, counted in UTF-16 and without the pictures in it.
///
/// <https://learn.microsoft.com/microsoftteams/platform/bots/how-to/format-your-bot-messages>
pub const MOST_MESSAGE_BYTES: usize = 100_000;

/// The most bytes of a text in one message: older connectors take 28 KB of a whole message. A longer text goes in parts.
pub const MOST_TEXT_BYTES: usize = 20_000;

/// A message of the bot. It has no `Debug`, so that its text cannot reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct BotMessage {
    /// The text, card or picture. It is one of them, because Teams splits a message that has several and then gives it
    /// no id.
    pub content: MessageContent,
    /// The line in the activity feed and in notifications, where it is to be another than the text.
    pub summary: Option<String>,
    /// Whether the person's devices announce it.
    pub alert: bool,
}

/// The content of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum MessageContent {
    /// A text.
    Text {
        /// The text, in this format.
        text: String,
        /// How Teams reads it.
        format: TextFormat,
        /// The people whose [`Mention::tag`] is in it. That takes [`TextFormat::Xml`].
        mentions: Vec<Mention>,
    },
    /// An Adaptive Card, of version 1.5 at most.
    Card(Value),
    /// A picture: PNG, JPEG or GIF of at most 1 MB and 1024 pixels each way.
    Picture {
        /// Its media type.
        media_type: String,
        /// Where Teams fetches it, or a `data:` URL.
        url: String,
        /// The name of the file.
        name: String,
    },
}

/// How Teams reads a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TextFormat {
    /// As it is. The words of customers and agents go so: as markup they could forge links, headings and mentions.
    Plain,
    /// Markdown.
    Markdown,
    /// A few tags of HTML, and mentions.
    Xml,
}

/// A person who is mentioned.
#[derive(Clone, PartialEq, Eq)]
pub struct Mention {
    /// The person's id for this bot: `29:…`.
    pub id: String,
    /// The name that is shown.
    pub name: String,
}

impl Mention {
    /// The mention as it stands in the text, to the letter: Teams ignores any other.
    #[must_use]
    pub fn tag(&self) -> String {
        let name = self.name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("<at>{name}</at>")
    }
}

impl BotMessage {
    /// A message with this content, quietly.
    #[must_use]
    pub fn new(content: MessageContent) -> Self {
        Self { content, summary: None, alert: false }
    }

    /// A text that Teams shows as it is.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(MessageContent::Text { text: text.into(), format: TextFormat::Plain, mentions: Vec::new() })
    }

    /// The body of the call.
    pub(super) fn activity<'a>(&'a self, reply_to: Option<&'a str>) -> Activity<'a> {
        let mut activity = Activity {
            kind: "message",
            text: None,
            text_format: None,
            entities: Vec::new(),
            attachments: Vec::new(),
            summary: self.summary.as_deref(),
            channel_data: self.alert.then_some(ChannelData { notification: Notification { alert: true } }),
            reply_to_id: reply_to,
        };
        match &self.content {
            MessageContent::Text { text, format, mentions } => {
                (activity.text, activity.text_format) = (Some(text.as_str()), Some(*format));
                let entity = |person: &'a Mention| MentionEntity {
                    kind: "mention",
                    mentioned: Mentioned { id: &person.id, name: &person.name },
                    text: person.tag(),
                };
                activity.entities = mentions.iter().map(entity).collect();
            }
            MessageContent::Card(card) => activity.attachments.push(Attachment {
                content_type: "application/vnd.microsoft.card.adaptive",
                content: Some(card),
                content_url: None,
                name: None,
            }),
            MessageContent::Picture { media_type, url, name } => activity.attachments.push(Attachment {
                content_type: media_type,
                content: None,
                content_url: Some(url),
                name: Some(name),
            }),
        }
        activity
    }
}

/// An activity on its way to Teams.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Activity<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_format: Option<TextFormat>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entities: Vec<MentionEntity<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_data: Option<ChannelData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to_id: Option<&'a str>,
}

#[derive(Serialize)]
struct MentionEntity<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    mentioned: Mentioned<'a>,
    text: String,
}

#[derive(Serialize)]
struct Mentioned<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attachment<'a> {
    content_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct ChannelData {
    notification: Notification,
}

#[derive(Serialize)]
struct Notification {
    alert: bool,
}

impl Activity<'_> {
    /// The size that Teams limits: all of the JSON in UTF-16, but for pictures that are in it.
    pub(super) fn utf16_bytes(&self) -> usize {
        let json = serde_json::to_string(self).unwrap_or_default();
        let urls = self.attachments.iter().filter_map(|attachment| attachment.content_url);
        let pictures = urls.filter(|url| url.starts_with("data:"));
        // A `data:` URL is ASCII without anything that JSON escapes.
        let in_pictures: usize = pictures.map(str::len).sum();
        json.encode_utf16().count().saturating_sub(in_pictures) * 2
    }
}
