//! A chat message, in the shape of Graph's `chatMessage`: every property is there, null where there is nothing.

use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::super::TENANT;

/// The writer of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// A user of the tenant, by object id; with the name that is displayed.
    User(String, String),
    /// A person who is in no directory, by the name that is displayed.
    Guest(String),
    /// A bot, by the app's id; with the name that is displayed.
    Bot(String, String),
    /// Teams itself, when a person was added or the topic was changed.
    System,
}

impl Sender {
    /// The property `from` of the message.
    fn json(&self) -> Value {
        let user = |id: &str, name: &str, kind: &str, tenant: Option<&str>| {
            let user = json!({"id": id, "displayName": name, "userIdentityType": kind, "tenantId": tenant});
            json!({"application": null, "device": null, "user": user})
        };
        match self {
            Self::User(id, name) => user(id, name, "aadUser", Some(TENANT)),
            Self::Guest(name) => user(&format!("teamsvisitor:{name}"), name, "anonymousGuest", None),
            Self::Bot(id, name) => {
                let application = json!({"id": id, "displayName": name, "applicationIdentityType": "bot"});
                json!({"application": application, "device": null, "user": null})
            }
            Self::System => Value::Null,
        }
    }
}

/// A file within a message, an image as a rule: Graph gives it out by itself only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedContent {
    /// The media type of the file.
    pub content_type: String,
    /// The bytes of the file.
    pub bytes: Vec<u8>,
}

/// A message that is being written.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The writer of the message.
    pub sender: Sender,
    /// Whether the content is HTML; it is text otherwise. With images it becomes HTML.
    pub html: bool,
    /// The text or HTML of the message.
    pub content: String,
    /// Cards, references and quotations, as Graph has them in `attachments`. Their places in the HTML are the writer's.
    pub attachments: Vec<Value>,
    /// The mentions, as Graph has them in `mentions`. Their places in the HTML are up to the writer.
    pub mentions: Vec<Value>,
    /// Images, put below the content.
    pub images: Vec<HostedContent>,
    /// The verdict of data loss prevention from the beginning: members of `policyViolation`, or null.
    pub policy_violation: Value,
}

impl NewMessage {
    /// A message of plain text.
    #[must_use]
    pub fn text(sender: Sender, content: &str) -> Self {
        let content = content.to_owned();
        let policy_violation = Value::Null;
        let (attachments, mentions, images) = (Vec::new(), Vec::new(), Vec::new());
        Self { sender, html: false, content, attachments, mentions, images, policy_violation }
    }

    /// A message written in HTML.
    #[must_use]
    pub fn html(sender: Sender, content: &str) -> Self {
        Self { html: true, ..Self::text(sender, content) }
    }

    /// Adds an image below the content.
    #[must_use]
    pub fn image(mut self, content_type: &str, bytes: &[u8]) -> Self {
        self.images.push(HostedContent { content_type: content_type.into(), bytes: bytes.into() });
        self
    }

    /// Adds a card: a Bot Framework card type and its content, which Graph gives as JSON within a string.
    #[must_use]
    pub fn card(mut self, content_type: &str, content: &Value) -> Self {
        let id = Uuid::new_v4().simple().to_string();
        self.content.push_str(&format!("<attachment id=\"{id}\"></attachment>"));
        self.html = true;
        self.attachments.push(json!({
            "id": id, "contentType": content_type, "contentUrl": null, "content": content.to_string(), "name": null,
            "thumbnailUrl": null, "teamsAppId": null,
        }));
        self
    }

    /// Adds a reference to a file in `OneDrive` or `SharePoint`.
    #[must_use]
    pub fn file(mut self, name: &str, url: &str) -> Self {
        let id = Uuid::new_v4();
        self.content.push_str(&format!("<attachment id=\"{id}\"></attachment>"));
        self.html = true;
        self.attachments.push(json!({
            "id": id, "contentType": "reference", "contentUrl": url, "content": null, "name": name,
            "thumbnailUrl": null, "teamsAppId": null,
        }));
        self
    }

    /// Adds a mention of a user below those that are there: `<at id="N">` at the end of the HTML.
    #[must_use]
    pub fn mention(mut self, id: &str, name: &str) -> Self {
        let place = self.mentions.len();
        self.content.push_str(&format!("<at id=\"{place}\">{name}</at>"));
        self.html = true;
        let user = json!({"id": id, "displayName": name, "userIdentityType": "aadUser", "tenantId": TENANT});
        let mentioned = json!({"application": null, "device": null, "conversation": null, "tag": null, "user": user});
        self.mentions.push(json!({"id": place, "mentionText": name, "mentioned": mentioned}));
        self
    }
}

/// A file of a message, under its id.
#[derive(Debug, Clone)]
pub(super) struct Hosted {
    pub(super) id: String,
    pub(super) content: HostedContent,
}

/// A message that exists, with its versions.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    /// The number of its last change among all changes to messages.
    pub(super) change: u64,
    pub(super) hosted: Vec<Hosted>,
    value: Value,
}

/// A time as Teams writes it.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A verdict with these changes. All properties are present, as Graph shows them.
fn verdict(known: &Value, changes: &Value) -> Value {
    let mut verdict = json!({
        "dlpAction": "none", "userAction": "none", "verdictDetails": "none", "justificationText": null, "policyTip": null,
    });
    for (name, value) in [known, changes].into_iter().filter_map(Value::as_object).flatten() {
        verdict[name] = value.clone();
    }
    if changes.is_null() { Value::Null } else { verdict }
}

impl Message {
    /// A message in a chat, whose URL at Graph is given.
    pub(super) fn new(chat: &str, url: &str, at: Timestamp, change: u64, new: NewMessage) -> Self {
        let id = at.as_millisecond().to_string();
        let is_system = new.sender == Sender::System;
        let mut content = if is_system { "<systemEventMessage/>".into() } else { new.content };
        let mut hosted = Vec::new();
        for (index, image) in new.images.into_iter().enumerate() {
            let name = format!("id=x_{index}-wus-d1-{},type=1,url=https://us-api.asm.skype.com", Uuid::new_v4());
            let hosted_id = BASE64_STANDARD.encode(name);
            content.push_str(&format!(
                "<div><img alt=\"image\" src=\"{url}/messages/{id}/hostedContents/{hosted_id}/$value\" \
                 width=\"297\" height=\"297\" style=\"vertical-align:bottom\"></div>"
            ));
            hosted.push(Hosted { id: hosted_id, content: image });
        }
        let is_html = new.html || is_system || !hosted.is_empty() || !new.mentions.is_empty();
        let event = json!({
            "@odata.type": "#microsoft.graph.membersAddedEventMessageDetail",
            "visibleHistoryStartDateTime": "0001-01-01T00:00:00Z", "members": [], "initiator": null,
        });
        let value = json!({
            "id": id, "replyToId": null, "etag": id,
            "messageType": if is_system { "systemEventMessage" } else { "message" },
            "createdDateTime": time(at), "lastModifiedDateTime": time(at), "lastEditedDateTime": null,
            "deletedDateTime": null, "subject": null, "summary": null, "chatId": chat, "importance": "normal",
            "locale": "en-us", "webUrl": null, "channelIdentity": null,
            "policyViolation": verdict(&Value::Null, &new.policy_violation),
            "eventDetail": if is_system { event } else { Value::Null },
            "from": new.sender.json(),
            "body": {"contentType": if is_html { "html" } else { "text" }, "content": content},
            "attachments": new.attachments, "mentions": new.mentions, "reactions": [], "messageHistory": [],
        });
        Self { created: at, modified: at, change, hosted, value }
    }

    pub(super) fn id(&self) -> &str {
        self.value["id"].as_str().unwrap_or_default()
    }

    fn touch(&mut self, at: Timestamp, change: u64) {
        (self.modified, self.change) = (at, change);
        self.value["lastModifiedDateTime"] = time(at).into();
        self.value["etag"] = at.as_millisecond().to_string().into();
    }

    /// Replaces the text, as its author does.
    pub(super) fn edit(&mut self, html: &str, at: Timestamp, change: u64) {
        self.touch(at, change);
        self.value["lastEditedDateTime"] = time(at).into();
        self.value["body"] = json!({"contentType": "html", "content": html});
    }

    /// Adds a reaction, which is a change as well.
    pub(super) fn react(&mut self, reaction: &str, user: &str, at: Timestamp, change: u64) {
        self.touch(at, change);
        let user = json!({"application": null, "device": null, "user": {"id": user, "displayName": null}});
        let reaction = json!({"reactionType": reaction, "createdDateTime": time(at), "user": user});
        if let Some(reactions) = self.value["reactions"].as_array_mut() {
            reactions.push(reaction);
        }
    }

    /// Changes the verdict of data loss prevention, or its author's answer. The text stays as it is: apps that read it
    /// from Graph have to respect the verdict.
    pub(super) fn judge(&mut self, violation: &Value, at: Timestamp, change: u64) {
        self.touch(at, change);
        self.value["policyViolation"] = verdict(&self.value["policyViolation"], violation);
    }

    /// Deletes the message, as its author does: it stays, without content.
    pub(super) fn delete(&mut self, at: Timestamp, change: u64) {
        self.touch(at, change);
        self.value["deletedDateTime"] = time(at).into();
        self.value["body"]["content"] = "".into();
        self.value["attachments"] = json!([]);
        self.value["mentions"] = json!([]);
        self.hosted.clear();
    }

    /// The message as Graph shows it to callers that know the newer message types, or to others.
    pub(super) fn shown(&self, newer_types: bool) -> Value {
        let mut value = self.value.clone();
        if !newer_types && value["messageType"] == "systemEventMessage" {
            value["messageType"] = "unknownFutureValue".into();
        }
        value
    }
}
