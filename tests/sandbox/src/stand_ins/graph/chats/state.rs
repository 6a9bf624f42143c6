//! The chats that exist, with their messages.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::super::budget::Budget;
use super::message::{Message, NewMessage, time};

/// The page size, unless `$top` says another.
pub(super) const PAGE: usize = 20;

/// A chat with its members and messages.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) id: String,
    topic: Option<String>,
    /// The members' object ids and names.
    pub(super) members: Vec<(String, String)>,
    created: Timestamp,
    updated: Timestamp,
    /// The messages by id, which is the millisecond of the message's creation, and unique only in its chat.
    pub(super) messages: BTreeMap<i64, Message>,
    last: Timestamp,
}

impl Chat {
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id, "topic": self.topic, "createdDateTime": time(self.created),
            "lastUpdatedDateTime": time(self.updated), "chatType": self.kind(), "webUrl": null, "tenantId": null,
            "onlineMeetingInfo": null, "viewpoint": null, "isHiddenForAllMembers": false,
        })
    }

    /// The chat with all of its messages.
    pub(super) fn shown_whole(&self) -> Value {
        let mut chat = self.shown();
        chat["messages"] = self.messages.values().map(|message| message.shown(true)).collect();
        chat
    }

    fn kind(&self) -> &'static str {
        if self.topic.is_none() && self.members.len() == 2 { "oneOnOne" } else { "group" }
    }

    pub(super) fn has_member(&self, user: &str) -> bool {
        self.members.iter().any(|(id, _)| id.eq_ignore_ascii_case(user))
    }

    /// The members whose subscriptions hear of the chat.
    pub(super) fn member_ids(&self) -> Vec<String> {
        self.members.iter().map(|(id, _)| id.clone()).collect()
    }

    /// A millisecond in which nothing else happened in this chat.
    fn tick(&mut self) -> Timestamp {
        let now = Timestamp::now();
        let next = self.last.saturating_add(1.millisecond()).unwrap_or(now);
        let now = Timestamp::from_millisecond(now.max(next).as_millisecond()).unwrap_or(now);
        self.last = now;
        now
    }
}

/// A change that a person makes to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The author replaces the content with this HTML.
    Content(String),
    /// A user, by object id, reacts: `like`, or an emoji.
    Reaction {
        /// The object id of the user.
        user: String,
        /// The reaction: `like`, or an emoji.
        reaction: String,
    },
    /// Data loss prevention judges it, or its author answers that: these members of `policyViolation` change, or null.
    Verdict(Value),
    /// The author deletes the message.
    Deletion,
}

/// All chats, and the budgets for reading them.
#[derive(Debug)]
pub(in crate::stand_ins) struct Chats {
    pub(super) chats: HashMap<String, Chat>,
    /// The number of changes to messages so far.
    pub(super) changes: u64,
    /// A number that increases when the delta tokens that were given out become invalid.
    pub(super) generation: u32,
    /// How many messages a delta query repeats that it has given out already.
    pub(super) delta_replays: usize,
    /// The budget of an app for reading messages.
    pub(super) message_reads: Budget,
    /// The budget of an app for reading messages of one chat.
    pub(super) chat_reads: Budget,
    /// The budget of an app for reading the messages of all of a user's chats.
    pub(super) export_reads: Budget,
    /// The budget of an app for other reads.
    pub(super) other_reads: Budget,
}

const SECOND: Duration = Duration::from_secs(1);

impl Default for Chats {
    fn default() -> Self {
        Self {
            chats: HashMap::new(),
            changes: 0,
            generation: 1,
            delta_replays: 0,
            message_reads: Budget::new(20, SECOND),
            chat_reads: Budget::new(1, SECOND),
            export_reads: Budget::new(200, SECOND),
            other_reads: Budget::new(30, SECOND),
        }
    }
}

impl Chats {
    pub(super) fn put(&mut self, id: &str, topic: Option<&str>, members: Vec<(String, String)>) -> &Chat {
        let now = Timestamp::now();
        let chat = Chat {
            id: id.to_owned(),
            topic: topic.map(str::to_owned),
            members,
            created: now,
            updated: now,
            messages: BTreeMap::new(),
            last: now,
        };
        let known = self.chats.entry(id.to_owned()).or_insert(chat);
        if let Some(topic) = topic {
            known.topic = Some(topic.to_owned());
        }
        known
    }

    /// Writes into a chat; `None` if there is no such chat.
    pub(super) fn write(&mut self, graph: &str, chat: &str, new: NewMessage) -> Option<(&Chat, &Message)> {
        let url = format!("{graph}/v1.0/chats/{chat}");
        let chat = self.chats.get_mut(chat)?;
        self.changes += 1;
        let at = chat.tick();
        let message = Message::new(&chat.id, &url, at, self.changes, new);
        chat.messages.insert(at.as_millisecond(), message);
        chat.messages.get(&at.as_millisecond()).map(|message| (&*chat, message))
    }

    /// Changes a message; `None` if there is none.
    pub(super) fn change(&mut self, chat: &str, id: &str, edit: &Edit) -> Option<(&Chat, &Message)> {
        let chat = self.chats.get_mut(chat)?;
        let id = id.parse().ok()?;
        let at = chat.tick();
        self.changes += 1;
        let message = chat.messages.get_mut(&id)?;
        match edit {
            Edit::Content(html) => message.edit(html, at, self.changes),
            Edit::Reaction { user, reaction } => message.react(reaction, user, at, self.changes),
            Edit::Verdict(violation) => message.judge(violation, at, self.changes),
            Edit::Deletion => message.delete(at, self.changes),
        }
        chat.messages.get(&id).map(|message| (&*chat, message))
    }

    pub(in crate::stand_ins::graph) fn has(&self, chat: &str) -> bool {
        self.chats.contains_key(chat)
    }

    pub(super) fn message(&self, chat: &str, id: &str) -> Option<&Message> {
        self.chats.get(chat)?.messages.get(&id.parse().ok()?)
    }

    /// Sets the budgets for messages: an app's requests a second, and those in one chat.
    pub(super) fn set_budget(&mut self, requests: usize, in_one_chat: usize) {
        self.message_reads.set(requests, SECOND);
        self.other_reads.set(requests, SECOND);
        self.chat_reads.set(in_one_chat, SECOND);
    }
}
