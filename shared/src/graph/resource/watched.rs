//! What a subscription watches.

use super::kind::{ListedBy, PRESENCE, ResourceKind};
use super::name::ResourceName;

/// A resource or a collection to watch: a path with its query. What Graph is told, and what the state table knows a
/// subscription by, is the text as somebody wrote it; what it names is compared in normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedResource {
    /// With a slash before it, as Graph is told.
    path: String,
}

/// How what has changed in a resource is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Of all chats of a user, by delta.
    UserChats {
        /// Object id.
        user: String,
    },
    /// Of one chat, from the latest message back.
    Chat {
        /// Chat id.
        chat: String,
    },
    /// Of a mail folder, by delta.
    MailFolder {
        /// Object id or user principal name.
        user: String,
        /// Folder id or well-known name.
        folder: String,
    },
}

impl WatchedResource {
    /// A resource by its path, with or without a slash before it.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self { path: format!("/{}", path.trim().trim_start_matches('/')) }
    }

    /// The path, with a slash before it and with its query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether a text names the same resource with the same query, in whichever spelling.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        let other = Self::new(text);
        let normal = |it: &Self| it.name().map(|name| name.normal());
        self.path == other.path
            || (self.query() == other.query() && normal(self).is_some() && normal(self) == normal(&other))
    }

    /// Whether it names the properties that its notifications are to carry.
    #[must_use]
    pub fn has_select(&self) -> bool {
        self.query().to_ascii_lowercase().contains("$select=")
    }

    /// Whether it is a presence, which Graph lets nobody subscribe to but a signed-in user.
    #[must_use]
    pub fn is_presence(&self) -> bool {
        self.kind() == Some(&PRESENCE)
    }

    /// Of which kind it is; nothing for one that the table does not have, or has not as something to subscribe to.
    #[must_use]
    pub fn kind(&self) -> Option<&'static ResourceKind> {
        let (kind, place) = self.name()?.row()?;
        place.watched.map(|_| kind)
    }

    /// How what has changed can be listed, where it can. Of a whole mailbox that is the inbox: Graph lists changes
    /// folder by folder. Where only a part is wanted, a list would tell of everything.
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

    /// The name of the resource; a slash behind it makes no difference. Nothing for what cannot be read.
    fn name(&self) -> Option<ResourceName<'_>> {
        let path = self.path.split('?').next()?.trim_end_matches('/');
        ResourceName::read_with_query(path).ok().map(|(name, _)| name)
    }

    /// What stands behind the question mark.
    fn query(&self) -> &str {
        self.path.split_once('?').map_or("", |(_, query)| query)
    }

    /// Whether it may be a part of what its path names: what a filter or a search finds.
    fn may_be_a_part(&self) -> bool {
        let query = self.query().to_ascii_lowercase();
        !query.split('&').all(|it| it.is_empty() || it.starts_with("$select=") || it.starts_with("model="))
    }
}
