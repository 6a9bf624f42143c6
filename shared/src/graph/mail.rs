//! Mail, as far as it is listed to find messages that no notification came for. What is in them is not read.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::page::{Page, PageFrom, seconds, time};
use super::resource::MAIL_MESSAGE;
use super::{GraphClient, GraphError, with_query};
use crate::http::RequestContext;

/// A message of a mail folder, or what is left of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailMessage {
    /// Its id, which is another one after the message was moved.
    pub id: String,
    /// Another one after each change.
    #[serde(rename = "@odata.etag", default)]
    pub etag: Option<String>,
    /// When it came into the mailbox.
    #[serde(rename = "createdDateTime", default, deserialize_with = "time")]
    pub created: Option<Timestamp>,
    /// When it was last changed.
    #[serde(rename = "lastModifiedDateTime", default, deserialize_with = "time")]
    pub modified: Option<Timestamp>,
    /// There when it left the folder.
    #[serde(rename = "@removed", default)]
    pub removed: Option<Value>,
}

impl GraphClient {
    /// `GET /users/{user}/mailFolders/{folder}/messages/delta`: a page of what has changed in a mail folder, of
    /// messages received since a time. It may give a message twice.
    ///
    /// <https://learn.microsoft.com/graph/api/message-delta>
    ///
    /// # Errors
    /// [`GraphError::SyncStateGone`] when the link is too old; any other [`GraphError`].
    pub async fn mail_folder_delta(
        &self,
        cx: &RequestContext,
        user: &str,
        folder: &str,
        from: PageFrom<'_>,
    ) -> Result<Page<MailMessage>, GraphError> {
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
