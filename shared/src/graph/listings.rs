//! Lists the changes of any kind of resource in the form that notifications have.

use std::future::Future;

use jiff::Timestamp;

use super::resource::Listing;
use super::{GraphClient, GraphError, ListPage, ListedChatMessage, MailMessage, PageFrom};
use crate::http::RequestContext;

/// A changed message, as a listing gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMessage {
    /// The resource's path, in the form of notifications: `chats('19:…')/messages('1712…')`.
    pub resource: String,
    /// The resource's type, as notifications name it.
    pub resource_type: &'static str,
    /// The tag of the resource's state, which each change replaces; empty when it was deleted.
    pub etag: String,
    /// When the resource was created.
    pub created: Option<Timestamp>,
    /// When the resource was last changed.
    pub modified: Option<Timestamp>,
    /// Whether the resource was deleted.
    pub gone: bool,
}

/// Lists the changes of resources, page by page.
pub trait Listings: Send + Sync {
    /// Reads one page of a listing, from its beginning or from the link of another page.
    ///
    /// # Errors
    /// [`GraphError`]
    fn page(
        &self,
        cx: &RequestContext,
        listing: &Listing,
        from: PageFrom<'_>,
    ) -> impl Future<Output = Result<ListPage<ListedMessage>, GraphError>> + Send;
}

impl Listings for GraphClient {
    async fn page(
        &self,
        cx: &RequestContext,
        listing: &Listing,
        from: PageFrom<'_>,
    ) -> Result<ListPage<ListedMessage>, GraphError> {
        match listing {
            Listing::UserChats { user } => {
                let page = self.get_all_messages_delta(cx, user, from).await?;
                Ok(listed(page, |message| chat_message(message, "")))
            }
            Listing::Chat { chat } => {
                let page = self.list_chat_messages(cx, chat, from).await?;
                Ok(listed(page, |message| chat_message(message, chat)))
            }
            Listing::MailFolder { user, folder } => {
                let page = self.mail_folder_delta(cx, user, folder, from).await?;
                Ok(listed(page, |message| Some(mail_message(message, user))))
            }
        }
    }
}

fn listed<T>(page: ListPage<T>, message: impl Fn(T) -> Option<ListedMessage>) -> ListPage<ListedMessage> {
    ListPage { value: page.value.into_iter().filter_map(message).collect(), next: page.next, delta: page.delta }
}

/// A change of a chat message; `None` for a channel's message, which a user's chats do not have.
fn chat_message(message: ListedChatMessage, chat: &str) -> Option<ListedMessage> {
    let chat = message.chat_id.as_deref().unwrap_or(chat);
    (!chat.is_empty()).then(|| ListedMessage {
        resource: format!("chats('{chat}')/messages('{}')", message.id),
        resource_type: "#Microsoft.Graph.chatMessage",
        etag: message.etag.unwrap_or_default(),
        created: message.created,
        modified: message.modified,
        gone: message.deleted.is_some(),
    })
}

fn mail_message(message: MailMessage, user: &str) -> ListedMessage {
    ListedMessage {
        resource: format!("Users/{user}/Messages/{}", message.id),
        resource_type: "#Microsoft.Graph.Message",
        etag: message.etag.unwrap_or_default(),
        created: message.created,
        modified: message.modified,
        gone: message.removed.is_some(),
    }
}
