//! The actions of people in chats, and the subscriptions that hear of them.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::super::super::{World, locked};
use super::super::notifications::{Change, What};
use super::message::{HostedContent, Message, NewMessage};
use super::state::{Chat, Edit};
use crate::Trouble;

fn change(kind: &'static str, (chat, message): (&Chat, &Message)) -> Change {
    let what = What::Message {
        chat: chat.id.clone(),
        id: message.id().to_owned(),
        members: chat.member_ids(),
        known: message.shown(false),
        newer: message.shown(true),
    };
    Change { kind, what }
}

/// The change of a message that is in no chat.
pub(in crate::stand_ins::graph) fn unwritten(graph: &str, new: NewMessage) -> Change {
    let chat = "19:nobody@thread.v2";
    let message = Message::new(chat, &format!("{graph}/v1.0/chats/{chat}"), Timestamp::now(), 0, new);
    let (id, chat) = (message.id().to_owned(), chat.to_owned());
    let what = What::Message { chat, id, members: Vec::new(), known: message.shown(false), newer: message.shown(true) };
    Change { kind: "created", what }
}

impl World {
    /// The chats as Graph shows them, each with its `messages`, oldest first.
    #[must_use]
    pub fn chats(&self) -> Vec<Value> {
        let chats = locked(&self.chats);
        let mut shown: Vec<Value> = chats.chats.values().map(Chat::shown_whole).collect();
        shown.sort_by_key(|chat| chat["id"].to_string());
        shown
    }

    /// A file of a message, by the message's chat and id and its own id: what Graph hands out for a token.
    #[must_use]
    pub fn hosted_content(&self, chat: &str, message: &str, id: &str) -> Option<HostedContent> {
        let chats = locked(&self.chats);
        let hosted = &chats.message(chat, message)?.hosted;
        hosted.iter().find(|hosted| hosted.id == id).map(|hosted| hosted.content.clone())
    }

    /// Makes a chat of these users, by object id, or gives an existing one another topic. Subscriptions hear of it.
    ///
    /// # Errors
    /// A member is no user of the tenant.
    pub fn put_chat(self: &Arc<Self>, id: &str, topic: Option<&str>, members: &[&str]) -> Result<(), Trouble> {
        let named = members.iter().map(|member| {
            let user = self.directory().user(member).cloned();
            user.map(|user| (user.id.clone(), user.display_name()))
                .ok_or_else(|| Trouble(format!("Nobody is {member}.")))
        });
        let members = named.collect::<Result<Vec<_>, _>>()?;
        let change = {
            let mut chats = locked(&self.chats);
            let kind = if chats.chats.contains_key(id) { "updated" } else { "created" };
            let chat = chats.put(id, topic, members);
            let what = What::Chat { id: chat.id.clone(), members: chat.member_ids(), value: chat.shown() };
            Change { kind, what }
        };
        self.notify(&change);
        Ok(())
    }

    /// Writes into a chat, and returns the message's id. Subscriptions hear of it.
    ///
    /// # Errors
    /// There is no such chat.
    pub fn write_message(self: &Arc<Self>, chat: &str, message: NewMessage) -> Result<String, Trouble> {
        let (id, change) = {
            let mut chats = locked(&self.chats);
            let written = chats.write(&self.tokens.graph, chat, message);
            let written = written.ok_or_else(|| Trouble(format!("There is no chat {chat}.")))?;
            (written.1.id().to_owned(), change("created", written))
        };
        self.notify(&change);
        Ok(id)
    }

    /// Edits or deletes a message, or reacts to it. Subscriptions hear of it.
    ///
    /// # Errors
    /// There is no such message.
    pub fn change_message(self: &Arc<Self>, chat: &str, id: &str, edit: &Edit) -> Result<(), Trouble> {
        let change = {
            let mut chats = locked(&self.chats);
            let changed = chats.change(chat, id, edit);
            let changed = changed.ok_or_else(|| Trouble(format!("There is no message {id} in the chat {chat}.")))?;
            change(if *edit == Edit::Deletion { "deleted" } else { "updated" }, changed)
        };
        self.notify(&change);
        Ok(())
    }

    /// Sets how often an app may read chat messages: its requests a second, and those in one chat; 20 and 1 to begin
    /// with.
    pub fn set_chat_budget(&self, requests: usize, in_one_chat: usize) {
        locked(&self.chats).set_budget(requests, in_one_chat);
    }

    /// Makes every delta token of chats and mailboxes invalid.
    pub fn expire_delta_tokens(&self) {
        locked(&self.chats).generation += 1;
        locked(&self.mailboxes).generation += 1;
    }

    /// Sets how many items that a delta query handed out already it repeats: none to begin with.
    pub fn set_delta_replays(&self, items: usize) {
        locked(&self.chats).delta_replays = items;
        locked(&self.mailboxes).delta_replays = items;
    }
}
