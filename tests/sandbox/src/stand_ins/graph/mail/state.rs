//! The mailboxes, with the changes of their messages.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::delta_token::Token;

/// A message that comes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMail {
    /// The sender's address.
    pub from: String,
    /// The subject of the message.
    pub subject: String,
    /// The body, as plain text.
    #[serde(default)]
    pub body: String,
    /// The folder that it comes into, by its well-known name.
    #[serde(default = "inbox")]
    pub folder: String,
}

fn inbox() -> String {
    "inbox".into()
}

/// A message, or the note that it was deleted.
#[derive(Debug)]
struct Kept {
    user: String,
    folder: String,
    /// The number of its last change, counted over all changes.
    change: u64,
    is_deleted: bool,
    received: Timestamp,
    value: Value,
}

/// The mailboxes of all users.
#[derive(Debug)]
pub(in crate::stand_ins) struct Mailboxes {
    /// The messages, by their ids.
    messages: HashMap<String, Kept>,
    changes: u64,
    /// A number that increases when the delta tokens that were given out become invalid.
    pub(in crate::stand_ins) generation: u32,
    pub(in crate::stand_ins) delta_replays: usize,
}

impl Default for Mailboxes {
    fn default() -> Self {
        Self { messages: HashMap::new(), changes: 0, generation: 1, delta_replays: 0 }
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Mailboxes {
    fn key() -> String {
        format!("CQAAABYA{}", Uuid::new_v4().simple())
    }

    pub(super) fn put(&mut self, user: &str, mail: &NewMail) -> Value {
        let received = Timestamp::now();
        let now = time(received);
        let id = format!("AAMkAD{}=", Uuid::new_v4().simple());
        let key = Self::key();
        let address = json!({"emailAddress": {"name": mail.from, "address": mail.from}});
        let value = json!({
            "@odata.etag": format!("W/\"{key}\""), "id": id, "createdDateTime": now, "lastModifiedDateTime": now,
            "changeKey": key, "categories": [], "receivedDateTime": now, "sentDateTime": now, "hasAttachments": false,
            "internetMessageId": format!("<{}@contoso.com>", Uuid::new_v4()), "subject": mail.subject,
            "bodyPreview": mail.body.chars().take(255).collect::<String>(), "importance": "normal",
            "parentFolderId": mail.folder, "conversationId": format!("AAQkAD{}", Uuid::new_v4().simple()),
            "isDeliveryReceiptRequested": null, "isReadReceiptRequested": false, "isRead": false, "isDraft": false,
            "webLink": "https://outlook.office365.com/owa/", "inferenceClassification": "focused",
            "body": {"contentType": "text", "content": mail.body}, "sender": address, "from": address,
            "toRecipients": [], "ccRecipients": [], "bccRecipients": [], "replyTo": [],
            "flag": {"flagStatus": "notFlagged"},
        });
        self.changes += 1;
        let (user, folder) = (user.to_ascii_lowercase(), mail.folder.to_ascii_lowercase());
        let kept = Kept { user, folder, change: self.changes, is_deleted: false, received, value: value.clone() };
        self.messages.insert(id, kept);
        value
    }

    fn live(&mut self, user: &str, id: &str) -> Option<&mut Kept> {
        let kept = self.messages.get_mut(id)?;
        (kept.user.eq_ignore_ascii_case(user) && !kept.is_deleted).then_some(kept)
    }

    pub(super) fn message(&self, user: &str, id: &str) -> Option<&Value> {
        let kept = self.messages.get(id)?;
        (kept.user.eq_ignore_ascii_case(user) && !kept.is_deleted).then_some(&kept.value)
    }

    /// Marks a message as read, and returns its folder and the message.
    pub(super) fn read(&mut self, user: &str, id: &str) -> Option<(String, Value)> {
        self.changes += 1;
        let change = self.changes;
        let kept = self.live(user, id)?;
        kept.change = change;
        let key = Self::key();
        kept.value["isRead"] = true.into();
        kept.value["@odata.etag"] = format!("W/\"{key}\"").into();
        kept.value["changeKey"] = key.into();
        kept.value["lastModifiedDateTime"] = time(Timestamp::now()).into();
        Some((kept.folder.clone(), kept.value.clone()))
    }

    /// Deletes a message, and returns its folder and the note of the deletion.
    pub(super) fn delete(&mut self, user: &str, id: &str) -> Option<(String, Value)> {
        self.changes += 1;
        let change = self.changes;
        let kept = self.live(user, id)?;
        (kept.change, kept.is_deleted) = (change, true);
        kept.value = json!({"id": id, "@removed": {"reason": "deleted"}});
        Some((kept.folder.clone(), json!({"id": id})))
    }

    pub(super) fn changes_so_far(&self) -> u64 {
        self.changes
    }

    /// The messages of a folder that a delta query is about, by the number of their last change.
    pub(super) fn changes(&self, user: &str, folder: &str, query: &Token) -> Vec<(u64, Value)> {
        let of_folder = |kept: &&Kept| kept.user.eq_ignore_ascii_case(user) && kept.folder.eq_ignore_ascii_case(folder);
        let asked_for = |kept: &&Kept| {
            let is_told = !kept.is_deleted || kept.change > query.began;
            is_told && query.since.is_none_or(|since| kept.received.as_millisecond() >= since)
        };
        let kept = self.messages.values().filter(of_folder).filter(asked_for);
        let mut changes: Vec<(u64, Value)> = kept.map(|kept| (kept.change, kept.value.clone())).collect();
        changes.sort_by_key(|(change, _)| *change);
        changes
    }
}
