//! A message of a Teams chat or channel, as Graph describes it.
//!
//! It is read leniently: Graph's enumerations grow, and any field may be null, absent or of another kind than yesterday.
//! What cannot be read is taken for absent, because a message that is shown in part is better than one that is lost.
//!
//! <https://learn.microsoft.com/graph/api/resources/chatmessage>

use std::borrow::Cow;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

/// A message. It has no `Debug`, so that its text cannot reach a log.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ChatMessage {
    /// Its id, unique within its chat.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// The chat; empty for a message of a channel.
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
    from: Option<Sender>,
    /// What it says.
    #[serde(deserialize_with = "lenient")]
    pub body: Body,
    /// What is attached, marked in the body where it belongs.
    #[serde(deserialize_with = "lenient_list")]
    pub attachments: Vec<Attachment>,
    /// Who is mentioned, marked in the body by `id`.
    #[serde(deserialize_with = "lenient_list")]
    pub mentions: Vec<Mention>,
    #[serde(deserialize_with = "lenient")]
    event_detail: Option<Value>,
    #[serde(deserialize_with = "lenient")]
    policy_violation: Option<PolicyViolation>,
    #[serde(deserialize_with = "lenient")]
    last_modified_date_time: Option<Timestamp>,
}

/// What happened to a message last, reactions aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageEvent {
    /// It was written.
    Created,
    /// Its text was changed.
    Edited,
    /// The organization's policy keeps it from its readers.
    Blocked,
    /// It was taken back.
    Deleted,
}

impl MessageEvent {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Edited => "edited",
            Self::Blocked => "blocked",
            Self::Deleted => "deleted",
        }
    }
}

/// What data loss prevention did to a message. Each member is a list of names with commas between them.
///
/// <https://learn.microsoft.com/graph/api/resources/chatmessagepolicyviolation>
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PolicyViolation {
    #[serde(deserialize_with = "lenient")]
    dlp_action: String,
    #[serde(deserialize_with = "lenient")]
    user_action: String,
    #[serde(deserialize_with = "lenient")]
    verdict_details: String,
}

impl PolicyViolation {
    /// Whether readers outside of Teams are kept from the message, which its sender has not released.
    fn blocks(&self) -> bool {
        let has = |list: &str, name: &str| list.split(',').any(|other| other.trim().eq_ignore_ascii_case(name));
        let is_blocked = ["blockAccess", "blockAccessExternal"].iter().any(|name| has(&self.dlp_action, name));
        let is_released = has(&self.user_action, "override")
            || (has(&self.user_action, "reportFalsePositive")
                && has(&self.verdict_details, "allowFalsePositiveOverride"));
        is_blocked && !is_released
    }
}

#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
enum MessageType {
    #[default]
    Message,
    /// The service's own words: somebody joined, the topic changed. Or a sign of typing.
    System,
    /// A kind of tomorrow, or the stand-in that Graph sends for one.
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

/// Who wrote it: one of a person, an app or a device.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Sender {
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

/// A text and how it is written.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Body {
    #[serde(deserialize_with = "lenient")]
    content_type: String,
    /// The text.
    #[serde(deserialize_with = "lenient")]
    pub content: String,
}

impl Body {
    /// Whether the text is HTML: everything but `text` is.
    #[must_use]
    pub fn is_html(&self) -> bool {
        !self.content_type.eq_ignore_ascii_case("text")
    }
}

/// Something attached: a file, a card, another message.
///
/// <https://learn.microsoft.com/graph/api/resources/chatmessageattachment>
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Attachment {
    /// By which the body marks its place.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// `reference`, a media type, or a name of Teams' own.
    #[serde(deserialize_with = "lenient")]
    pub content_type: String,
    /// Where it is.
    #[serde(deserialize_with = "lenient")]
    pub content_url: String,
    /// What it is: mostly JSON in a string.
    #[serde(deserialize_with = "lenient")]
    pub content: String,
    /// A file's name.
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// Where a small picture of it is.
    #[serde(deserialize_with = "lenient")]
    pub thumbnail_url: String,
}

/// A mention of somebody.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mention {
    #[serde(deserialize_with = "lenient")]
    id: Value,
    /// The words that the sender saw.
    #[serde(deserialize_with = "lenient")]
    pub mention_text: String,
    #[serde(deserialize_with = "lenient")]
    mentioned: Value,
}

impl Mention {
    /// By which the body marks its place: `<at id>`.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'_, str>> {
        match &self.id {
            Value::Number(number) => Some(number.to_string().into()),
            Value::String(text) => Some(text.into()),
            _ => None,
        }
    }

    /// Who is mentioned: a person, an app, a whole chat or channel.
    #[must_use]
    pub fn whom(&self) -> Option<&str> {
        let kinds = self.mentioned.as_object()?.values();
        kinds.filter_map(|identity| identity.get("id")?.as_str()).next()
    }
}

impl ChatMessage {
    /// Which version of it this is: the larger, the younger. It is when it was last created, edited or deleted, in
    /// milliseconds since 1970. A reaction is no new version, which is why `lastModifiedDateTime` does not count.
    ///
    /// A policy's verdict is one, and nothing but that time tells when it came. So where there is a verdict the version is
    /// that time, later than the text's own and odd when the message is blocked: see [`was_blocked`](Self::was_blocked).
    #[must_use]
    pub fn version(&self) -> i64 {
        let text = self.text_version();
        if self.policy_violation.is_none() || self.deleted_date_time.is_some() {
            return text;
        }
        let modified = self.last_modified_date_time.map_or(text, Timestamp::as_millisecond);
        // Two milliseconds later it is later, whichever of both numbers it is.
        (modified.max(text.saturating_add(2)) & !1) | i64::from(self.is_blocked())
    }

    /// When its text was last written, changed or taken back, in milliseconds since 1970.
    #[must_use]
    pub fn text_version(&self) -> i64 {
        let times = [self.created_date_time, self.last_edited_date_time, self.deleted_date_time];
        // A message's id is the millisecond of its creation.
        let newest = times.into_iter().flatten().max().map(Timestamp::as_millisecond);
        let by_id = || self.id.parse().ok().filter(|time| Timestamp::from_millisecond(*time).is_ok());
        newest.or_else(by_id).unwrap_or_default()
    }

    /// Whether the organization's policy keeps it from its readers.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.policy_violation.as_ref().is_some_and(PolicyViolation::blocks)
    }

    /// Whether the version that was delivered `before` told that it was blocked, as far as the text is still the same.
    #[must_use]
    pub fn was_blocked(&self, before: i64) -> bool {
        before > self.text_version() && before & 1 == 1
    }

    /// Whether the version that was delivered `before` told the same of it: since then there were reactions, or a verdict
    /// that changes nothing for readers.
    #[must_use]
    pub fn is_told(&self, before: i64) -> bool {
        let is_same = self.was_blocked(before) == self.is_blocked() || self.deleted_date_time.is_some();
        before >= self.text_version() && is_same
    }

    /// When it was written.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created_date_time
    }

    /// What happened last.
    #[must_use]
    pub fn event(&self) -> MessageEvent {
        if self.deleted_date_time.is_some() {
            MessageEvent::Deleted
        } else if self.is_blocked() {
            MessageEvent::Blocked
        } else if self.last_edited_date_time.is_some() {
            MessageEvent::Edited
        } else {
            MessageEvent::Created
        }
    }

    /// Whether nobody wrote it: somebody joined, a call began. Without `Prefer: include-unknown-enum-members`, Graph sends
    /// such a message as one of an unknown type whose body is `<systemEventMessage/>`.
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
    pub fn sender_id(&self) -> Option<&str> {
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

/// A value, or its default when it is null or cannot be read.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(T::deserialize(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// The elements of a list that can be read.
fn lenient_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let elements = match Value::deserialize(deserializer)? {
        Value::Array(elements) => elements,
        _ => Vec::new(),
    };
    Ok(elements.into_iter().filter_map(|element| T::deserialize(element).ok()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn message(json: Value) -> ChatMessage {
        serde_json::from_value(json).unwrap()
    }

    fn documented() -> Value {
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

    fn with(name: &str, value: Value) -> ChatMessage {
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
    fn the_version_follows_edits_and_deletion_and_not_reactions() {
        let reacted = with("lastModifiedDateTime", json!("2026-01-01T00:00:00Z"));
        assert_eq!((reacted.version(), reacted.event()), (1_712_027_444_034, MessageEvent::Created));
        let edited = with("lastEditedDateTime", json!("2024-04-02T03:11:00.1234567Z"));
        assert_eq!((edited.version(), edited.event()), (1_712_027_460_123, MessageEvent::Edited));
        let deleted = with("deletedDateTime", json!("2024-04-01T20:12:00-08:00"));
        assert_eq!((deleted.version(), deleted.event()), (1_712_031_120_000, MessageEvent::Deleted));
        let mut timeless = documented();
        timeless["createdDateTime"] = json!("yesterday");
        assert_eq!(message(timeless).version(), 1_712_027_444_034);
    }

    #[test]
    fn a_policy_s_verdict_is_a_version_of_its_own() {
        let judged = |dlp: &str, user: &str, at: &str| {
            let mut json = documented();
            json["policyViolation"] = json!({"dlpAction": dlp, "userAction": user, "verdictDetails": "none"});
            json["lastModifiedDateTime"] = json!(at);
            message(json)
        };
        let (written, block) = (message(documented()), "notifySender, blockAccess, blockAccessExternal");
        // In the order in which they happen: written, blocked, released, blocked again, deleted.
        let blocked = judged(block, "none", "2024-04-02T03:12:00.5Z");
        let released = judged(block, "Override", "2024-04-02T03:13:00.501Z");
        let again = judged("BlockAccessExternal", "none", "2024-04-02T03:14:00Z");
        let mut deleted = documented();
        deleted["deletedDateTime"] = json!("2024-04-02T03:15:00Z");
        deleted["policyViolation"] = json!({"dlpAction": block});
        let history = [written.clone(), blocked.clone(), released.clone(), again, message(deleted)];
        assert!(history.windows(2).all(|two| two[0].version() < two[1].version()));
        assert!(history.windows(2).all(|two| !two[1].is_told(two[0].version())));
        let events = history.each_ref().map(ChatMessage::event);
        let [created, is_blocked] = [MessageEvent::Created, MessageEvent::Blocked];
        assert_eq!(events, [created, is_blocked, created, is_blocked, MessageEvent::Deleted]);
        // Somebody reacts: the time is another, what is told is the same.
        let later = "2024-04-02T04:00:00Z";
        for (told, now) in [
            (&blocked, judged(block, "none", later)),
            (&released, judged(block, "override", later)),
            (&written, judged("notifySender", "none", later)),
            (&written, judged("", "", later)),
        ] {
            assert!(now.version() > told.version() && now.is_told(told.version()));
        }
        // Blocked in the millisecond in which it was written.
        for at in ["2024-04-02T03:10:44.034Z", "2024-04-02T03:10:44.035Z"] {
            let mut json = documented();
            json["policyViolation"] = json!({"dlpAction": "blockAccess"});
            (json["createdDateTime"], json["lastModifiedDateTime"]) = (json!(at), json!(at));
            let blocked = message(json);
            assert!(blocked.was_blocked(blocked.version()) && blocked.is_told(blocked.version()));
        }
        let false_positive = json!({"dlpAction": "blockAccess", "userAction": "reportFalsePositive",
            "verdictDetails": "allowFalsePositiveOverride, allowOverrideWithJustification"});
        assert!(!with("policyViolation", false_positive.clone()).is_blocked());
        let mut reported = false_positive;
        reported["verdictDetails"] = json!("none");
        assert!(with("policyViolation", reported).is_blocked(), "a report alone releases nothing");
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
