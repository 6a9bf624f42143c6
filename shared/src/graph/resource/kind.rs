//! The table of kinds.
//!
//! Lives have changed from year to year, so what Graph answers is what counts; here stands what may be asked for.

/// An id in a path of the table.
pub(super) const ID: &str = "{}";

/// What Microsoft says about the resources of a kind.
///
/// <https://learn.microsoft.com/graph/permissions-reference>
/// <https://learn.microsoft.com/graph/api/resources/subscription>
#[derive(Debug, PartialEq, Eq)]
pub struct ResourceKind {
    /// What a resource of this kind is, in words.
    pub name: &'static str,
    /// The least application permission that lets the app read one.
    pub read_permission: &'static str,
    /// On which terms an app may subscribe; nothing where only a signed-in user may.
    pub subscription: Option<SubscriptionTerms>,
    /// What is subscribed to.
    pub watched: &'static [WatchedPath],
    /// How notifications name one, an id being `{}`.
    pub items: &'static [&'static str],
}

/// On which terms an app may subscribe to resources of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionTerms {
    /// The least application permission that lets the app subscribe.
    pub permission: &'static str,
    /// Longest life of a subscription, in minutes.
    pub minutes: u32,
    /// The same where notifications are rich, which is to say carry the resource, encrypted; nothing where they cannot be.
    pub rich_minutes: Option<u32>,
    /// Whether rich notifications carry only what the resource's `$select` names.
    pub rich_needs_select: bool,
}

/// A path that can be subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedPath {
    /// Without a slash before it, an id being `{}`.
    pub path: &'static str,
    /// How what has changed can be listed, to close a gap; nothing where it cannot.
    pub listed: Option<ListedBy>,
}

/// The ways in which what has changed can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedBy {
    /// All chats of a user, by delta.
    UserChats,
    /// One chat, from the latest message back.
    Chat,
    /// A mail folder, by delta.
    MailFolder,
}

const fn teams(permission: &'static str) -> Option<SubscriptionTerms> {
    Some(SubscriptionTerms { permission, minutes: 4_320, rich_minutes: Some(4_320), rich_needs_select: false })
}

const fn outlook(permission: &'static str) -> Option<SubscriptionTerms> {
    Some(SubscriptionTerms { permission, minutes: 10_080, rich_minutes: Some(1_440), rich_needs_select: true })
}

const fn never_rich(permission: &'static str, minutes: u32) -> Option<SubscriptionTerms> {
    Some(SubscriptionTerms { permission, minutes, rich_minutes: None, rich_needs_select: false })
}

const fn unlisted(path: &'static str) -> WatchedPath {
    WatchedPath { path, listed: None }
}

const fn listed(path: &'static str, by: ListedBy) -> WatchedPath {
    WatchedPath { path, listed: Some(by) }
}

/// Messages of chats.
pub const CHAT_MESSAGE: ResourceKind = ResourceKind {
    name: "chat message",
    read_permission: "Chat.Read.All",
    subscription: teams("Chat.Read.All"),
    watched: &[
        listed("users/{}/chats/getAllMessages", ListedBy::UserChats),
        listed("chats/{}/messages", ListedBy::Chat),
        unlisted("chats/getAllMessages"),
    ],
    items: &["chats/{}/messages/{}", "users/{}/chats/{}/messages/{}"],
};

/// Messages of channels.
pub const CHANNEL_MESSAGE: ResourceKind = ResourceKind {
    name: "channel message",
    read_permission: "ChannelMessage.Read.All",
    subscription: teams("ChannelMessage.Read.All"),
    watched: &[unlisted("teams/getAllMessages"), unlisted("teams/{}/channels/{}/messages")],
    items: &["teams/{}/channels/{}/messages/{}", "teams/{}/channels/{}/messages/{}/replies/{}"],
};

/// Messages of a mailbox.
pub const MAIL_MESSAGE: ResourceKind = ResourceKind {
    name: "mail message",
    read_permission: "Mail.Read",
    subscription: outlook("Mail.Read"),
    watched: &[
        listed("users/{}/mailFolders/{}/messages", ListedBy::MailFolder),
        listed("users/{}/messages", ListedBy::MailFolder),
    ],
    items: &["users/{}/messages/{}", "users/{}/mailFolders/{}/messages/{}"],
};

/// Presences, which Graph lets nobody subscribe to but a signed-in user.
pub const PRESENCE: ResourceKind = ResourceKind {
    name: "presence",
    read_permission: "Presence.Read.All",
    subscription: None,
    watched: &[unlisted("communications/presences"), unlisted("communications/presences/{}")],
    items: &["communications/presences/{}", "users/{}/presence"],
};

/// The table.
pub const KINDS: &[ResourceKind] = &[
    CHAT_MESSAGE,
    CHANNEL_MESSAGE,
    MAIL_MESSAGE,
    ResourceKind {
        name: "calendar event",
        read_permission: "Calendars.Read",
        subscription: outlook("Calendars.Read"),
        watched: &[unlisted("users/{}/events")],
        items: &["users/{}/events/{}", "users/{}/calendars/{}/events/{}"],
    },
    ResourceKind {
        name: "chat",
        read_permission: "Chat.ReadBasic.All",
        subscription: teams("Chat.ReadBasic.All"),
        watched: &[unlisted("chats"), unlisted("chats/{}"), unlisted("users/{}/chats")],
        items: &["chats/{}", "users/{}/chats/{}"],
    },
    ResourceKind {
        name: "chat member",
        read_permission: "ChatMember.Read.All",
        subscription: teams("ChatMember.Read.All"),
        watched: &[unlisted("chats/{}/members")],
        items: &["chats/{}/members/{}", "users/{}/chats/{}/members/{}"],
    },
    ResourceKind {
        name: "member of any chat",
        read_permission: "ChatMember.Read.All",
        subscription: never_rich("ChatMember.Read.All", 4_320),
        watched: &[unlisted("chats/getAllMembers")],
        items: &[],
    },
    ResourceKind {
        name: "chat where an app is installed",
        read_permission: "Chat.ReadBasic.WhereInstalled",
        subscription: never_rich("Chat.ReadBasic.WhereInstalled", 4_320),
        watched: &[unlisted("appCatalogs/teamsApps/{}/installedToChats")],
        items: &[],
    },
    ResourceKind {
        name: "chat message where an app is installed",
        read_permission: "Chat.Read.WhereInstalled",
        subscription: never_rich("Chat.Read.WhereInstalled", 4_320),
        watched: &[unlisted("appCatalogs/teamsApps/{}/installedToChats/getAllMessages")],
        items: &[],
    },
    ResourceKind {
        name: "call record",
        read_permission: "CallRecords.Read.All",
        subscription: never_rich("CallRecords.Read.All", 4_230),
        watched: &[unlisted("communications/callRecords")],
        items: &["communications/callRecords/{}"],
    },
    ResourceKind {
        name: "transcript of a meeting",
        read_permission: "OnlineMeetingTranscript.Read.All",
        subscription: teams("OnlineMeetingTranscript.Read.All"),
        watched: &[
            unlisted("communications/onlineMeetings/getAllTranscripts"),
            unlisted("communications/onlineMeetings/{}/transcripts"),
            unlisted("users/{}/onlineMeetings/getAllTranscripts"),
        ],
        items: &["communications/onlineMeetings/{}/transcripts/{}", "users/{}/onlineMeetings/{}/transcripts/{}"],
    },
    ResourceKind {
        name: "recording of a meeting",
        read_permission: "OnlineMeetingRecording.Read.All",
        subscription: teams("OnlineMeetingRecording.Read.All"),
        watched: &[
            unlisted("communications/onlineMeetings/getAllRecordings"),
            unlisted("communications/onlineMeetings/{}/recordings"),
            unlisted("users/{}/onlineMeetings/getAllRecordings"),
        ],
        items: &["communications/onlineMeetings/{}/recordings/{}", "users/{}/onlineMeetings/{}/recordings/{}"],
    },
    PRESENCE,
    ResourceKind {
        name: "user",
        read_permission: "User.Read.All",
        subscription: never_rich("User.Read.All", 41_760),
        watched: &[unlisted("users")],
        items: &["users/{}"],
    },
    ResourceKind {
        name: "group",
        read_permission: "Group.Read.All",
        subscription: never_rich("Group.Read.All", 41_760),
        watched: &[unlisted("groups")],
        items: &["groups/{}"],
    },
    ResourceKind {
        name: "member of a group",
        read_permission: "Group.Read.All",
        subscription: never_rich("Group.Read.All", 41_760),
        watched: &[unlisted("groups/{}/members")],
        items: &["groups/{}/members/{}"],
    },
];

/// Where in its row a path of the table stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The path.
    pub text: &'static str,
    /// Whether notifications name a resource by it.
    pub is_item: bool,
    /// What can be subscribed to by it.
    pub watched: Option<WatchedPath>,
}

/// The row and the path in it that fit. At most one does: `{}` takes no function's name.
pub(super) fn find(fits: impl Fn(&str) -> bool) -> Option<(&'static ResourceKind, Place)> {
    KINDS.iter().find_map(|kind| {
        let watched = kind.watched.iter().find(|watched| fits(watched.path)).copied();
        let item = kind.items.iter().find(|item| fits(item)).copied();
        let text = item.or(watched.map(|watched| watched.path))?;
        Some((kind, Place { text, is_item: item.is_some(), watched }))
    })
}
