//! Lists of mail, read to find messages that no notification came for. The text of a message is not read here.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::page::{ListPage, PageFrom, seconds, time};
use super::resource::MAIL_MESSAGE;
use super::{GraphClient, GraphError, with_query};
use crate::http::RequestContext;

/// A message of a mail folder, or a note that it has left the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailMessage {
    /// The id of the message; a message that is moved gets another one.
    pub id: String,
    /// The tag of the message's state; each change makes another one.
    #[serde(rename = "@odata.etag", default)]
    pub etag: Option<String>,
    /// When the message came into the mailbox.
    #[serde(rename = "createdDateTime", default, deserialize_with = "time")]
    pub created: Option<Timestamp>,
    /// When the message was last changed.
    #[serde(rename = "lastModifiedDateTime", default, deserialize_with = "time")]
    pub modified: Option<Timestamp>,
    /// Present when the message has left the folder.
    #[serde(rename = "@removed", default)]
    pub removed: Option<Value>,
}

impl GraphClient {
    /// Reads a page of the changes in a mail folder, of messages received since a time: `GET
    /// /users/{user}/mailFolders/{folder}/messages/delta`. A message may be on it twice.
    ///
    /// <https://learn.microsoft.com/graph/api/message-delta>
    ///
    /// # Errors
    /// [`GraphError::SyncStateGone`] when the link is too old; any other [`GraphError`].
    pub(crate) async fn mail_folder_delta(
        &self,
        cx: &RequestContext,
        user: &str,
        folder: &str,
        from: PageFrom<'_>,
    ) -> Result<ListPage<MailMessage>, GraphError> {
        let url = match from {
            PageFrom::Since(since) | PageFrom::Between(since, _) => with_query(
                self.user_url(user, &["mailFolders", folder, "messages", "delta"]),
                &[
                    ("$select", "createdDateTime,lastModifiedDateTime"),
                    ("$filter", &format!("receivedDateTime ge {}", seconds(since))),
                ],
            ),
            PageFrom::Link(link) => self.link(link)?,
        };
        let request = self.remote.http.get(url).header("Prefer", "odata.maxpagesize=50");
        self.fetch(cx, "mail folder delta", MAIL_MESSAGE.read_permission, request).await.map(|(_, page)| page)
    }
}
