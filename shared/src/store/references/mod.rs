//! Conversation references: where the bot can reach a person in Teams, one for each user and chat.
//!
//! Every activity renews its reference, because Teams moves conversations from one service URL to another. Activities
//! come in any order and more than once, so a reference goes forward only. A removal leaves the time of the removal
//! behind, so that an activity from before it cannot bring the reference back.

mod dynamo;
mod memory;

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

pub use dynamo::DynamoReferences;
pub use memory::MemoryReferences;

use super::{RecordKey, StoreError, kind};
use crate::http::RequestContext;
use crate::teams::ServiceUrl;

/// How long a reference is kept after its last activity. A person who wrote a year ago can still be told something.
pub const REFERENCE_LIFE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How long a removal is remembered: much longer than Teams repeats an activity or a queue keeps it.
pub const REMOVAL_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The reference of one user in one chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationReference {
    /// The base of the Bot Connector for this conversation.
    pub service_url: ServiceUrl,
    /// The conversation, as Teams names it: `a:…`, `19:…@thread.v2`, or `19:…@thread.tacv2;messageid=…`.
    pub conversation_id: String,
    /// The tenant that owns the conversation.
    pub tenant_id: String,
    /// The bot, as Teams names it: `28:` and its app id.
    pub bot_id: String,
    /// The scope of the conversation.
    pub scope: ConversationScope,
    /// The time of the activity that it was last renewed by.
    pub last_seen: Timestamp,
}

/// The kind of a conversation in Teams, which is `conversationType` of an activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationScope {
    /// A chat of the bot and one person.
    Personal,
    /// A chat of several people.
    GroupChat,
    /// A thread of a channel.
    Channel,
}

impl ConversationScope {
    const ALL: [Self; 3] = [Self::Personal, Self::GroupChat, Self::Channel];

    /// The word that Teams has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::GroupChat => "groupChat",
            Self::Channel => "channel",
        }
    }

    /// The scope that Teams has this word for; `None` for a word that is not known.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// The key of a user's reference in a chat: the tenant and the user's Entra object id, in whatever case, and the
/// conversation as Teams names it.
#[must_use]
pub fn reference_key(tenant_id: &str, user_id: &str, conversation_id: &str) -> RecordKey {
    let [tenant, user] = [tenant_id, user_id].map(str::to_ascii_lowercase);
    RecordKey::new(kind::REFERENCE, &[&tenant, &user, conversation_id])
}

/// A store for conversation references.
pub trait References: Send + Sync {
    /// Writes the reference of an activity. `false` when an activity or a removal of the same time or later has been
    /// noted, and nothing was changed.
    fn renew(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        reference: &ConversationReference,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The reference; `None` where there is none, where it was removed, or where its host may no longer see the bot's
    /// token.
    fn find(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
    ) -> impl Future<Output = Result<Option<ConversationReference>, StoreError>> + Send;

    /// Removes the reference as of this time: that of the activity which tells of the removal; where Teams refused with
    /// a 403, `last_seen` of the reference that was used. `false` when a later activity has renewed it, and nothing was
    /// changed.
    fn remove(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        as_of: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_knows_no_case_of_ids_but_that_of_the_conversation() {
        let key = reference_key("T-1", "U-1", "a:1X");
        assert_eq!(key, reference_key("t-1", "u-1", "a:1X"));
        assert_ne!(key, reference_key("t-1", "u-1", "a:1x"));
        assert!(key.as_str().starts_with("reference#"));
    }

    #[test]
    fn a_scope_is_written_as_teams_writes_it() {
        for scope in ConversationScope::ALL {
            assert_eq!(ConversationScope::parse(scope.as_str()), Some(scope));
        }
        assert_eq!(ConversationScope::parse("meeting"), None);
    }
}
