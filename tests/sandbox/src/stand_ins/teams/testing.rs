//! What a test does to Teams and sees of it: who has the app, who has blocked it, what the bot wrote.

use uuid::Uuid;

use super::chats::{BotChat, BotScope, Bots, opaque, person, personal, split};
use crate::stand_ins::directory::BRIDGE_APP;
use crate::stand_ins::{TENANT, World, locked};

impl Bots {
    /// The service URL of the tenant's conversations.
    pub(super) fn service_url(&self) -> String {
        format!("{}/emea/{TENANT}/", self.origin)
    }
}

impl World {
    /// The service URL that activities name.
    #[must_use]
    pub fn bot_service_url(&self) -> String {
        locked(&self.bots).service_url()
    }

    /// Whether the bridge's app is registered as a bot with a Teams channel; it is, to begin with.
    pub fn set_bot_registered(&self, registered: bool) {
        let mut bots = locked(&self.bots);
        if registered {
            bots.registered.insert(BRIDGE_APP.into());
        } else {
            bots.registered.remove(BRIDGE_APP);
        }
    }

    /// Installs the app for a person, by object id. Gives the id of the personal chat.
    pub fn install_bot(&self, user_id: &str) -> String {
        let mut bots = locked(&self.bots);
        bots.installed.insert(user_id.into());
        let id = personal(BRIDGE_APP, user_id);
        let chat = bots.chats.entry(id.clone());
        let chat = chat.or_insert_with(|| BotChat::new(BotScope::Personal, Some(user_id.into())));
        (chat.has_bot, chat.blocked) = (true, false);
        id
    }

    /// Removes the app of a person.
    pub fn uninstall_bot(&self, user_id: &str) {
        let mut bots = locked(&self.bots);
        bots.installed.remove(user_id);
        if let Some(chat) = bots.chats.get_mut(&personal(BRIDGE_APP, user_id)) {
            chat.has_bot = false;
        }
    }

    /// Whether an administrator has blocked the app for a person.
    pub fn set_bot_disabled(&self, user_id: &str, disabled: bool) {
        let mut bots = locked(&self.bots);
        if disabled {
            bots.disabled.insert(user_id.into());
        } else {
            bots.disabled.remove(user_id);
        }
    }

    /// Makes a group chat or a channel with the bot in it. Gives its id.
    pub fn put_bot_chat(&self, scope: BotScope) -> String {
        let unique = Uuid::new_v4();
        let id = match scope {
            BotScope::Personal => opaque("a:", &unique.to_string()),
            BotScope::GroupChat => format!("19:{}@thread.v2", unique.simple()),
            BotScope::Channel => format!("19:{}@thread.tacv2", unique.simple()),
        };
        locked(&self.bots).chats.insert(id.clone(), BotChat::new(scope, None));
        id
    }

    /// Removes the bot from a group chat or a channel.
    pub fn remove_bot_from(&self, conversation: &str) {
        if let Some(chat) = locked(&self.bots).chats.get_mut(split(conversation).0) {
            chat.has_bot = false;
        }
    }

    /// Whether the person blocks the bot in a conversation.
    pub fn set_bot_blocked(&self, conversation: &str, blocked: bool) {
        if let Some(chat) = locked(&self.bots).chats.get_mut(split(conversation).0) {
            chat.blocked = blocked;
        }
    }

    /// The most bytes that a message may have in UTF-16; 100 KB to begin with, as Microsoft's page says, and 28 KB in
    /// older connectors.
    pub fn set_bot_message_limit(&self, bytes: usize) {
        locked(&self.bots).most_bytes = bytes;
    }

    /// A person's id as the bot knows it.
    #[must_use]
    pub fn bot_s_id_of(&self, user_id: &str) -> String {
        person(BRIDGE_APP, user_id)
    }

    /// A conversation as it is now; of a channel's thread, the channel.
    #[must_use]
    pub fn bot_chat(&self, conversation: &str) -> Option<BotChat> {
        locked(&self.bots).chats.get(split(conversation).0).cloned()
    }

    /// The texts that the bot wrote in a conversation and did not delete, oldest first; of a thread, the thread's alone.
    #[must_use]
    pub fn bot_texts(&self, conversation: &str) -> Vec<String> {
        let thread = split(conversation).1;
        let activities = self.bot_chat(conversation).map(|chat| chat.activities).unwrap_or_default();
        let shown =
            activities.into_iter().filter(|it| !it.deleted && (thread.is_none() || it.thread.as_deref() == thread));
        shown.filter_map(|it| it.body["text"].as_str().map(str::to_owned)).collect()
    }
}
