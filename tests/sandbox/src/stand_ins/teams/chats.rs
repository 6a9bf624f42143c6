//! The conversations that the bot is in, or was in, and the rules about who may write there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::Refused;
use crate::stand_ins::directory::BRIDGE_APP;
use crate::stand_ins::graph::budget::Budget;

/// The kind of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BotScope {
    /// A chat of the bot and one person.
    Personal,
    /// A chat of several people.
    GroupChat,
    /// A channel of a team, with all of its threads.
    Channel,
}

/// A conversation, as Teams knows it.
#[derive(Debug, Clone)]
pub struct BotChat {
    /// The kind of the conversation.
    pub scope: BotScope,
    /// The object id of the person, in a personal chat.
    pub user_id: Option<String>,
    /// Whether the bot is a member.
    pub has_bot: bool,
    /// Whether the person has blocked the bot.
    pub blocked: bool,
    /// What the bot wrote, oldest first.
    pub activities: Vec<BotActivity>,
    /// How often the bot showed that it types.
    pub typing_shown: usize,
}

/// A message of the bot.
#[derive(Debug, Clone)]
pub struct BotActivity {
    /// The id that Teams gave it: milliseconds of the time.
    pub id: String,
    /// The id of the thread that it is in, in a channel.
    pub thread: Option<String>,
    /// The body as the bot sent it last.
    pub body: Value,
    /// The message that it answers, by the path or by the body.
    pub reply_to: Option<String>,
    /// How often it was changed.
    pub edits: usize,
    /// Whether the bot has deleted it.
    pub deleted: bool,
}

/// The bots, the conversations and what was used of the limits.
#[derive(Debug)]
pub(in crate::stand_ins) struct Bots {
    /// The origin that the stand-in is served at.
    pub(in crate::stand_ins) origin: String,
    /// The apps that are registered as a bot with a Teams channel.
    pub(super) registered: BTreeSet<String>,
    /// The people who have the app, by object id.
    pub(super) installed: BTreeSet<String>,
    /// The people for whom an administrator has blocked the app.
    pub(super) disabled: BTreeSet<String>,
    /// The most bytes of a message in UTF-16.
    pub(super) most_bytes: usize,
    pub(super) chats: BTreeMap<String, BotChat>,
    last_id: i64,
    of_conversations: [Budget; 4],
    of_bots: Budget,
}

impl Default for Bots {
    fn default() -> Self {
        let limit = |requests, seconds| Budget::new(requests, Duration::from_secs(seconds));
        Self {
            origin: "http://teams.invalid".into(),
            registered: BTreeSet::from([BRIDGE_APP.to_owned()]),
            installed: BTreeSet::new(),
            disabled: BTreeSet::new(),
            most_bytes: 100 * 1024,
            chats: BTreeMap::new(),
            last_id: 0,
            of_conversations: [limit(7, 1), limit(8, 2), limit(60, 30), limit(1800, 3600)],
            of_bots: limit(50, 1),
        }
    }
}

/// An id that looks like one of Teams' opaque ids, and is the same for the same seed.
pub(super) fn opaque(prefix: &str, seed: &str) -> String {
    let half =
        |part: &str| Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{part} {seed}").as_bytes()).simple().to_string();
    format!("{prefix}1{}{}", half("first"), half("second"))
}

/// A person's id, as one bot knows it.
pub(super) fn person(app: &str, user_id: &str) -> String {
    opaque("29:", &format!("{app} {user_id}"))
}

/// The conversation of a bot and a person.
pub(super) fn personal(app: &str, user_id: &str) -> String {
    opaque("a:", &format!("{app} {user_id}"))
}

/// The conversation, and the thread where it is one of a channel.
pub(super) fn split(conversation: &str) -> (&str, Option<&str>) {
    match conversation.split_once(";messageid=") {
        Some((channel, thread)) => (channel, Some(thread)),
        None => (conversation, None),
    }
}

impl Bots {
    /// An activity id: milliseconds, and never the same twice.
    pub(super) fn new_id(&mut self) -> String {
        self.last_id = Timestamp::now().as_millisecond().max(self.last_id + 1);
        self.last_id.to_string()
    }

    /// Whether the app is a bot and within its rate.
    pub(super) fn admit(&mut self, app: &str) -> Result<(), Refused> {
        if !self.registered.contains(app) {
            return Err(Refused::new(401, "BotNotRegistered"));
        }
        self.of_bots.take(app).map_err(throttled)
    }

    /// Counts a write in a conversation, or the creation of one.
    pub(super) fn count(&mut self, app: &str, conversation: &str) -> Result<(), Refused> {
        let holder = format!("{app} {conversation}");
        let waits: Vec<_> = self.of_conversations.iter_mut().filter_map(|limit| limit.take(&holder).err()).collect();
        waits.into_iter().max().map_or(Ok(()), |wait| Err(throttled(wait)))
    }

    /// The conversation, if the bot may write in it.
    pub(super) fn writable(&mut self, conversation: &str) -> Result<&mut BotChat, Refused> {
        let (id, thread) = split(conversation);
        let chat = self.chats.get_mut(id).ok_or(Refused::new(404, "ConversationNotFound"))?;
        let by_admin = chat.user_id.as_ref().is_some_and(|user| self.disabled.contains(user));
        if by_admin {
            return Err(Refused::new(403, "BotDisabledByAdmin"));
        }
        if !chat.has_bot {
            return Err(Refused::new(403, "BotNotInConversationRoster"));
        }
        if chat.blocked {
            return Err(Refused::new(403, "ConversationBlockedByUser"));
        }
        let has_thread = |thread: &str| chat.activities.iter().any(|activity| activity.id == thread);
        if thread.is_some_and(|thread| chat.scope != BotScope::Channel || !has_thread(thread)) {
            return Err(Refused::new(404, "ConversationNotFound"));
        }
        Ok(chat)
    }
}

fn throttled(wait: Duration) -> Refused {
    Refused { retry_after: Some(wait), ..Refused::new(429, "Throttled") }
}

impl BotChat {
    pub(super) fn new(scope: BotScope, user_id: Option<String>) -> Self {
        Self { scope, user_id, has_bot: true, blocked: false, activities: Vec::new(), typing_shown: 0 }
    }

    /// A message by its id.
    pub(super) fn activity(&mut self, id: &str) -> Option<&mut BotActivity> {
        self.activities.iter_mut().find(|activity| activity.id == id)
    }
}

/// The path's parameters.
pub(super) fn parameter<'a>(path: &'a HashMap<String, String>, name: &str) -> &'a str {
    path.get(name).map(String::as_str).unwrap_or_default()
}
