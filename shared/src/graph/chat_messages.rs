//! Lists of chat messages, read to find messages that no notification came for. The text of a message is not read here.
//!
//! Every call needs `Chat.Read.All`.

use jiff::Timestamp;
use serde::Deserialize;

use super::page::{ListPage, PageFrom, seconds, time};
use super::resource::CHAT_MESSAGE;
use super::{GraphClient, GraphError, with_query};
use crate::http::RequestContext;

const PERMISSION: &str = CHAT_MESSAGE.read_permission;

/// A message of a chat, as a list has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedChatMessage {
    /// The id of the message, unique in its chat.
    pub id: String,
    /// The tag of the message's state; each change makes another one.
    #[serde(default)]
    pub etag: Option<String>,
    /// The id of its chat; absent for a message of a channel.
    #[serde(default)]
    pub chat_id: Option<String>,
    /// When the message was sent.
    #[serde(rename = "createdDateTime", default, deserialize_with = "time")]
    pub created: Option<Timestamp>,
    /// When it was last changed; a reaction is a change.
    #[serde(rename = "lastModifiedDateTime", default, deserialize_with = "time")]
    pub modified: Option<Timestamp>,
    /// When the message was deleted, if it was.
    #[serde(rename = "deletedDateTime", default, deserialize_with = "time")]
    pub deleted: Option<Timestamp>,
}

impl GraphClient {
    /// Reads a page of the changes in all chats of a user: `GET /users/{user}/chats/getAllMessages/delta`; eight months
    /// at most. A message may be on it twice.
    /// <https://learn.microsoft.com/graph/api/chatmessage-delta>
    ///
    /// # Errors
    /// [`GraphError::SyncStateGone`] when the link is too old; any other [`GraphError`].
    pub(crate) async fn get_all_messages_delta(
        &self,
        cx: &RequestContext,
        user: &str,
        from: PageFrom<'_>,
    ) -> Result<ListPage<ListedChatMessage>, GraphError> {
        let url = match from {
            PageFrom::Since(since) | PageFrom::Between(since, _) => with_query(
                self.user_url(user, &["chats", "getAllMessages", "delta"]),
                &[("$top", "50"), ("$filter", &format!("lastModifiedDateTime gt {}", seconds(since)))],
            ),
            PageFrom::Link(link) => self.link(link)?,
        };
        let request = self.remote.http.get(url);
        self.fetch(cx, "getAllMessages delta", PERMISSION, request).await.map(|(_, page)| page)
    }

    /// Reads a page of a chat's messages that have changed since a time, the latest first: `GET
    /// /chats/{chat}/messages`. Graph allows one request a second for each chat.
    ///
    /// <https://learn.microsoft.com/graph/api/chat-list-messages>
    ///
    /// # Errors
    /// [`GraphError`]
    pub(crate) async fn list_chat_messages(
        &self,
        cx: &RequestContext,
        chat: &str,
        from: PageFrom<'_>,
    ) -> Result<ListPage<ListedChatMessage>, GraphError> {
        let after = |since| format!("lastModifiedDateTime gt {}", seconds(since));
        let filter = match from {
            PageFrom::Since(since) => after(since),
            PageFrom::Between(since, until) => {
                format!("{} and lastModifiedDateTime lt {}", after(since), seconds(until))
            }
            PageFrom::Link(link) => {
                let request = self.remote.http.get(self.link(link)?);
                return self.fetch(cx, "list chat messages", PERMISSION, request).await.map(|(_, page)| page);
            }
        };
        // Graph ignores the filter, without a word, unless the order is by the same property, and takes only this
        // direction.
        let query = [("$top", "50"), ("$orderby", "lastModifiedDateTime desc"), ("$filter", filter.as_str())];
        let url = with_query(self.base.join(["chats", chat, "messages"]), &query);
        let request = self.remote.http.get(url);
        self.fetch(cx, "list chat messages", PERMISSION, request).await.map(|(_, page)| page)
    }
}
