//! A message of a Teams chat or channel, as Graph describes it.
//!
//! It is read leniently: Graph's enumerations grow, and any field may be null, absent or of another kind than
//! yesterday. A field that cannot be read is taken for absent, because a message that is shown in part is better than
//! one that is lost.
//!
//! <https://learn.microsoft.com/graph/api/resources/chatmessage>

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

pub use self::version::MessageEvent;
use self::version::PolicyViolation;
use super::lenient_json::{lenient, lenient_list};

mod version;

/// A message of a chat or a channel. It has no `Debug`, so that its text cannot reach a log.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ChatMessage {
    /// The message's id, unique within its chat.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// The id of its chat; empty for a message of a channel.
    #[serde(deserialize_with = "lenient")]
    pub chat_id: String,
    #[serde(deserialize_with = "lenient")]
    message_type: MessageType,
    #[serde(deserialize_with = "lenient")]
    created_date_time: Option<Timestamp>,
    #[serde(deserialize_with = "lenient")]
    last_edited_date_time: Option<Timestamp>,
    #[serde(deserialize_with = "lenient")]
    deleted_date_time: Option<Timestamp>,
    /// The subject line, which only channels show.
    #[serde(deserialize_with = "lenient")]
    pub subject: String,
    #[serde(deserialize_with = "lenient")]
    from: Option<MessageSender>,
    /// What the message says, as text or HTML.
    #[serde(deserialize_with = "lenient")]
    pub body: MessageBody,
    /// The attachments. The body marks the place of each by its id.
    #[serde(deserialize_with = "lenient_list")]
    pub attachments: Vec<Attachment>,
    /// The people and groups that are mentioned. The body marks the place of each by its id.
    #[serde(deserialize_with = "lenient_list")]
    pub mentions: Vec<Mention>,
    #[serde(deserialize_with = "lenient")]
    event_detail: Option<Value>,
    #[serde(deserialize_with = "lenient")]
    policy_violation: Option<PolicyViolation>,
    #[serde(deserialize_with = "lenient")]
    last_modified_date_time: Option<Timestamp>,
}

#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
enum MessageType {
    #[default]
    Message,
    /// Written by the service: somebody joined, the topic changed. Or a sign that somebody types.
    System,
    /// A type that is not known here, or `unknownFutureValue`, which Graph sends in place of one.
    Other,
}

impl From<String> for MessageType {
    fn from(name: String) -> Self {
        match name.as_str() {
            "message" => Self::Message,
            "chatEvent" | "typing" | "systemEventMessage" => Self::System,
            _ => Self::Other,
        }
    }
}

/// The sender of a message: a person, an app or a device.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MessageSender {
    #[serde(deserialize_with = "lenient")]
    user: Option<Identity>,
    #[serde(deserialize_with = "lenient")]
    application: Option<Identity>,
    #[serde(deserialize_with = "lenient")]
    device: Option<Identity>,
}

/// A person, an app, a device or a conversation.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Identity {
    #[serde(deserialize_with = "lenient")]
    pub(super) id: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) display_name: String,
}

/// The text of a message, and whether it is HTML.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MessageBody {
    #[serde(deserialize_with = "lenient")]
    content_type: String,
    /// The text, in the form that the content type names.
    #[serde(deserialize_with = "lenient")]
    pub content: String,
}

impl MessageBody {
    /// Whether the text is HTML. Every content type but `text` is taken for HTML.
    #[must_use]
    pub fn is_html(&self) -> bool {
        !self.content_type.eq_ignore_ascii_case("text")
    }
}

/// An attachment: a file, a card, or another message.
///
/// <https://learn.microsoft.com/graph/api/resources/chatmessageattachment>
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Attachment {
    /// The id by which the body marks the attachment's place.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// The kind: `reference` (a file), a media type, or a name that Teams has made up.
    #[serde(deserialize_with = "lenient")]
    pub content_type: String,
    /// The URL of the file.
    #[serde(deserialize_with = "lenient")]
    pub content_url: String,
    /// The content, mostly JSON in a string: a card, or the message that is quoted.
    #[serde(deserialize_with = "lenient")]
    pub content: String,
    /// The name of the file.
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// The URL of a small picture of it.
    #[serde(deserialize_with = "lenient")]
    pub thumbnail_url: String,
}

/// A mention of a person, an app, a chat or a channel.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mention {
    #[serde(deserialize_with = "lenient")]
    id: Value,
    /// The words that stand for the mention, as the sender saw them.
    #[serde(deserialize_with = "lenient")]
    pub mention_text: String,
    #[serde(deserialize_with = "lenient")]
    mentioned: Value,
}

impl Mention {
    /// The id by which the body marks the mention's place: `<at id>`.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'_, str>> {
        match &self.id {
            Value::Number(number) => Some(number.to_string().into()),
            Value::String(text) => Some(text.into()),
            _ => None,
        }
    }

    /// The id of the person, app, chat or channel that is mentioned.
    #[must_use]
    pub fn whom(&self) -> Option<&str> {
        let kinds = self.mentioned.as_object()?.values();
        kinds.filter_map(|identity| identity.get("id")?.as_str()).next()
    }
}

impl ChatMessage {
    /// When the message was first sent.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created_date_time
    }

    /// Whether the service wrote it and not a person: somebody joined, a call began. Without
    /// `Prefer: include-unknown-enum-members`, Graph sends such a message as one of an unknown type whose body is
    /// `<systemEventMessage/>`.
    #[must_use]
    pub fn is_system(&self) -> bool {
        let by_type = match self.message_type {
            MessageType::Message => false,
            MessageType::System => true,
            MessageType::Other => self.from.is_none(),
        };
        by_type || self.event_detail.is_some() || self.body.content.trim_start().starts_with("<systemEventMessage")
    }

    /// Whether the app with this client id wrote it.
    #[must_use]
    pub fn is_from_app(&self, app_id: &str) -> bool {
        let app = self.from.as_ref().and_then(|from| from.application.as_ref());
        app.is_some_and(|app| !app.id.is_empty() && app.id.eq_ignore_ascii_case(app_id))
    }

    /// The id of the person, app or device that wrote it.
    #[must_use]
    pub(crate) fn sender_id(&self) -> Option<&str> {
        let from = self.from.as_ref()?;
        let known = [&from.user, &from.application, &from.device].into_iter().flatten();
        known.map(|identity| identity.id.trim()).find(|id| !id.is_empty())
    }

    /// The Entra object id of the person who wrote it.
    #[must_use]
    pub fn user_id(&self) -> Option<Uuid> {
        self.from.as_ref()?.user.as_ref()?.id.parse().ok()
    }

    /// The name of the person, app or device that wrote it.
    #[must_use]
    pub fn sender(&self) -> Option<&str> {
        let from = self.from.as_ref()?;
        let named = [&from.user, &from.application, &from.device].into_iter().flatten();
        named.map(|identity| identity.display_name.trim()).find(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    pub(super) fn message(json: Value) -> ChatMessage {
        serde_json::from_value(json).unwrap()
    }

    pub(super) fn documented() -> Value {
        json!({
            "id": "1712027444034", "etag": "1712027444034", "messageType": "message", "chatId": "19:a@thread.v2",
            "replyToId": null, "createdDateTime": "2024-04-02T03:10:44.034Z",
            "lastModifiedDateTime": "2024-04-02T03:12:00.5Z", "lastEditedDateTime": null, "deletedDateTime": null,
            "subject": null, "summary": null, "importance": "normal", "locale": "en-us", "webUrl": null,
            "channelIdentity": null, "policyViolation": null, "eventDetail": null,
            "from": {"application": null, "device": null, "user": {
                "id": "oid", "displayName": "Kim", "userIdentityType": "aadUser", "tenantId": "guid"
            }},
            "body": {"contentType": "html", "content": "<p>Hi <at id=\"0\">Lee</at></p>"},
            "attachments": [{"id": "abc", "contentType": "reference", "contentUrl": "https://contoso.example/a",
                "content": null, "name": "a.docx", "thumbnailUrl": null, "teamsAppId": null}],
            "mentions": [{"id": 0, "mentionText": "Lee", "mentioned": {
                "application": null, "user": {"id": "oid2", "displayName": "Lee", "userIdentityType": "aadUser"}
            }}],
            "reactions": [], "messageHistory": []
        })
    }

    pub(super) fn with(name: &str, value: Value) -> ChatMessage {
        let mut json = documented();
        json[name] = value;
        message(json)
    }

    #[test]
    fn the_documented_message_is_read() {
        let message = message(documented());
        assert_eq!((message.version(), message.event()), (1_712_027_444_034, MessageEvent::Created));
        assert_eq!((message.sender(), message.is_system()), (Some("Kim"), false));
        assert_eq!((message.attachments[0].name.as_str(), message.attachments[0].content.as_str()), ("a.docx", ""));
        assert_eq!(message.mentions[0].id().as_deref(), Some("0"));
        assert_eq!(message.mentions[0].whom(), Some("oid2"));
        assert!(message.body.is_html());
    }

    #[test]
    fn system_messages_come_in_several_forms() {
        assert!(with("messageType", json!("systemEventMessage")).is_system());
        assert!(with("messageType", json!("typing")).is_system());
        assert!(
            with("eventDetail", json!({"@odata.type": "#microsoft.graph.callEndedEventMessageDetail"})).is_system()
        );
        let mut unknown = documented();
        unknown["messageType"] = json!("unknownFutureValue");
        assert!(!message(unknown.clone()).is_system(), "somebody wrote it");
        unknown["body"]["content"] = json!("<systemEventMessage/>");
        assert!(message(unknown.clone()).is_system());
        unknown["body"]["content"] = json!("");
        unknown["from"] = Value::Null;
        assert!(message(unknown).is_system());
        assert!(!with("from", Value::Null).is_system(), "a message of nobody is still a message");
    }

    #[test]
    fn an_app_is_known_by_its_client_id() {
        let app = json!({"user": null, "application": {"id": "ABCD", "displayName": "Bridge"}});
        let message = with("from", app);
        assert_eq!(message.sender(), Some("Bridge"));
        assert!(message.is_from_app("abcd") && !message.is_from_app("abc") && !message.is_from_app(""));
        assert!(!with("from", Value::Null).is_from_app(""));
        assert_eq!(with("from", json!({"user": {"id": "x", "displayName": null}})).sender(), None);
    }

    #[test]
    fn one_field_that_cannot_be_read_costs_that_field() {
        let other = json!({"a": [1]});
        for name in documented().as_object().unwrap().keys() {
            for value in [Value::Null, other.clone(), json!(7), json!("x"), json!([[], 3, {"id": {}}])] {
                let read = with(name, value.clone());
                assert!(name == "body" || read.body.content.starts_with("<p>Hi"), "{name}: {value}");
            }
        }
        assert!(message(json!({})) == ChatMessage::default());
        let attachments = with("attachments", json!([3, null, {"id": "good", "content": {"not": "a string"}}]));
        assert_eq!(attachments.attachments.last().unwrap().id, "good");
    }

    proptest! {
        #[test]
        fn any_object_is_survived(names in prop::collection::vec("[a-zA-Z]{1,12}", 0..5), text in ".*") {
            let json: serde_json::Map<_, _> = names.into_iter().map(|name| (name, json!(text))).collect();
            let read = message(Value::Object(json));
            let _ = (read.version(), read.event(), read.is_system(), read.sender().is_some());
        }
    }
}
