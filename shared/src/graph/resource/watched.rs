//! The resource that a subscription watches.

use super::kind::{ListedBy, PRESENCE, ResourceKind};
use super::name::ResourceName;

/// A resource or a collection to watch: a path with its query. Graph and the state table know a subscription by this
/// text, as it was written; comparisons use the normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedResource {
    /// The path with a leading slash, as Graph is told.
    path: String,
}

/// How the changes of a resource are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// All chats of a user, by delta query.
    UserChats {
        /// The user's object id.
        user: String,
    },
    /// One chat, from the latest message back.
    Chat {
        /// The id of the chat.
        chat: String,
    },
    /// A mail folder, by delta query.
    MailFolder {
        /// The user's object id or user principal name.
        user: String,
        /// The folder's id or well-known name.
        folder: String,
    },
}

impl WatchedResource {
    /// A resource by its path, with or without a leading slash.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self { path: format!("/{}", path.trim().trim_start_matches('/')) }
    }

    /// The path with its query and a leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether a text names the same resource with the same query, however it is spelled.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        let other = Self::new(text);
        let normal = |it: &Self| it.name().map(|name| name.normal());
        self.path == other.path
            || (self.query() == other.query() && normal(self).is_some() && normal(self) == normal(&other))
    }

    /// Whether a `$select` names the properties that its notifications carry.
    #[must_use]
    pub(crate) fn has_select(&self) -> bool {
        self.query().to_ascii_lowercase().contains("$select=")
    }

    /// Whether it is a presence, which Graph lets only a signed-in user subscribe to.
    #[must_use]
    pub(crate) fn is_presence(&self) -> bool {
        self.kind() == Some(&PRESENCE)
    }

    /// Its kind; `None` for one that the table does not have, or not as something to subscribe to.
    #[must_use]
    pub fn kind(&self) -> Option<&'static ResourceKind> {
        let (kind, place) = self.name()?.row()?;
        place.watched.map(|_| kind)
    }

    /// How its changes can be listed, where they can be. For a whole mailbox that is the inbox: Graph lists changes by
    /// folder. `None` where the query asks for a part only, because a list would tell of everything.
    #[must_use]
    pub fn listing(&self) -> Option<Listing> {
        if self.may_be_a_part() {
            return None;
        }
        let name = self.name()?;
        let (_, place) = name.row()?;
        let id_in = |collection| name.id_in(collection).map(str::to_owned);
        Some(match place.watched?.listed? {
            ListedBy::UserChats => Listing::UserChats { user: id_in("users")? },
            ListedBy::Chat => Listing::Chat { chat: id_in("chats")? },
            ListedBy::MailFolder => Listing::MailFolder {
                user: id_in("users")?,
                folder: id_in("mailFolders").unwrap_or_else(|| "inbox".into()),
            },
        })
    }

    /// The name of the resource, without a trailing slash. `None` for a text that cannot be read.
    fn name(&self) -> Option<ResourceName<'_>> {
        let path = self.path.split('?').next()?.trim_end_matches('/');
        ResourceName::read_with_query(path).ok().map(|(name, _)| name)
    }

    /// The text after the question mark.
    fn query(&self) -> &str {
        self.path.split_once('?').map_or("", |(_, query)| query)
    }

    /// Whether it may be a part of what its path names: the result of a filter or a search.
    fn may_be_a_part(&self) -> bool {
        let query = self.query().to_ascii_lowercase();
        !query.split('&').all(|it| it.is_empty() || it.starts_with("$select=") || it.starts_with("model="))
    }
}
