//! The table of the kinds of resources: permissions, terms of subscriptions, paths.
//!
//! Microsoft has changed the longest lives from year to year. Graph's answer counts; the table holds what may be asked
//! for.

/// The placeholder of an id in a path of the table.
pub(super) const ID_PLACEHOLDER: &str = "{}";

/// What Microsoft says about the resources of a kind.
///
/// <https://learn.microsoft.com/graph/permissions-reference>
/// <https://learn.microsoft.com/graph/api/resources/subscription>
#[derive(Debug, PartialEq, Eq)]
pub struct ResourceKind {
    /// The name of a resource of this kind, in words.
    pub name: &'static str,
    /// The least application permission that lets the app read such a resource.
    pub read_permission: &'static str,
    /// The terms on which an app may subscribe; `None` where only a signed-in user may.
    pub subscription: Option<SubscriptionTerms>,
    /// The paths that can be subscribed to.
    pub watched: &'static [WatchedPath],
    /// The paths by which notifications name such a resource; `{}` is an id.
    pub items: &'static [&'static str],
}

/// The terms on which an app may subscribe to resources of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionTerms {
    /// The least application permission that lets the app subscribe.
    pub permission: &'static str,
    /// The longest life of a subscription, in minutes.
    pub minutes: u32,
    /// The longest life where notifications are rich, that is, carry the resource, encrypted; `None` where they cannot
    /// be.
    pub rich_minutes: Option<u32>,
    /// Whether rich notifications carry only what the resource's `$select` names.
    pub rich_needs_select: bool,
}

/// A path that can be subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedPath {
    /// The path, without a leading slash; `{}` is an id.
    pub path: &'static str,
    /// How changes can be listed, to close a gap; `None` where they cannot be.
    pub listed: Option<ListedBy>,
}

/// The ways in which changes can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedBy {
    /// All chats of a user, by delta query.
    UserChats,
    /// One chat, from the latest message back.
    Chat,
    /// A mail folder, by delta query.
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

/// The kind of a message in a chat.
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

/// The kind of a message in a channel.
pub const CHANNEL_MESSAGE: ResourceKind = ResourceKind {
    name: "channel message",
    read_permission: "ChannelMessage.Read.All",
    subscription: teams("ChannelMessage.Read.All"),
    watched: &[unlisted("teams/getAllMessages"), unlisted("teams/{}/channels/{}/messages")],
    items: &["teams/{}/channels/{}/messages/{}", "teams/{}/channels/{}/messages/{}/replies/{}"],
};

/// The kind of a message in a mailbox.
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

/// The kind of a presence, which Graph lets only a signed-in user subscribe to.
pub(crate) const PRESENCE: ResourceKind = ResourceKind {
    name: "presence",
    read_permission: "Presence.Read.All",
    subscription: None,
    watched: &[unlisted("communications/presences"), unlisted("communications/presences/{}")],
    items: &["communications/presences/{}", "users/{}/presence"],
};

/// The table, one row for each kind.
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

/// The place of a path in its row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct TablePlace {
    /// The path with its placeholders.
    pub text: &'static str,
    /// Whether notifications name a resource by it.
    pub is_item: bool,
    /// The path's entry for subscriptions, if it can be subscribed to.
    pub watched: Option<WatchedPath>,
}

/// The row and the path that fit. At most one does, because `{}` does not match the name of a function.
pub(super) fn find(fits: impl Fn(&str) -> bool) -> Option<(&'static ResourceKind, TablePlace)> {
    KINDS.iter().find_map(|kind| {
        let watched = kind.watched.iter().find(|watched| fits(watched.path)).copied();
        let item = kind.items.iter().find(|item| fits(item)).copied();
        let text = item.or(watched.map(|watched| watched.path))?;
        Some((kind, TablePlace { text, is_item: item.is_some(), watched }))
    })
}
