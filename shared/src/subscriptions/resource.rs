//! What can be subscribed to, and what Microsoft says of it: permission, longest life, whether notifications may carry
//! the resource, and how what has changed can be listed.
//!
//! <https://learn.microsoft.com/graph/change-notifications-overview>

/// A resource to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// With a slash before it, as Graph is told.
    path: String,
}

/// What is the same for all resources of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The least application permission that lets the app subscribe.
    pub permission: &'static str,
    /// Longest life of a subscription, in minutes.
    pub minutes: u32,
    /// The same where notifications carry the resource; nothing where they cannot.
    pub rich_minutes: Option<u32>,
    /// Whether they carry only what the resource's `$select` names.
    pub rich_needs_select: bool,
}

/// How what has changed in a resource can be listed.
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

const fn teams(permission: &'static str) -> Kind {
    Kind { permission, minutes: 4_320, rich_minutes: Some(4_320), rich_needs_select: false }
}

const fn outlook(permission: &'static str) -> Kind {
    Kind { permission, minutes: 10_080, rich_minutes: Some(1_440), rich_needs_select: true }
}

const fn basic(permission: &'static str, minutes: u32) -> Kind {
    Kind { permission, minutes, rich_minutes: None, rich_needs_select: false }
}

impl Resource {
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

    /// The path's segments, without the query; `mailFolders('inbox')` becomes two.
    fn segments(&self) -> Vec<&str> {
        let path = self.path.split('?').next().unwrap_or_default();
        let mut segments = Vec::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            match segment.strip_suffix("')").and_then(|segment| segment.split_once("('")) {
                Some((name, key)) => segments.extend([name, key]),
                None => segments.push(segment),
            }
        }
        segments
    }

    /// Whether the resource names the properties that its notifications are to carry.
    #[must_use]
    pub fn has_select(&self) -> bool {
        self.path.split_once('?').is_some_and(|(_, query)| query.to_ascii_lowercase().contains("$select="))
    }

    /// Whether it is a presence, which Graph lets nobody subscribe to but a signed-in user.
    #[must_use]
    pub fn is_presence(&self) -> bool {
        self.path.to_ascii_lowercase().starts_with("/communications/presences")
    }

    /// Of which kind it is; nothing for one that is not known here.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        let lower: Vec<String> = self.segments().into_iter().map(str::to_ascii_lowercase).collect();
        let segments: Vec<&str> = lower.iter().map(String::as_str).collect();
        Some(match segments.as_slice() {
            ["chats", "getallmessages"] | ["chats", _, "messages"] | ["users", _, "chats", "getallmessages"] => {
                teams("Chat.Read.All")
            }
            ["chats", "getallmembers"] => Kind { rich_minutes: None, ..teams("ChatMember.Read.All") },
            ["chats", _, "members"] => teams("ChatMember.Read.All"),
            ["chats"] | ["chats", _] | ["users", _, "chats"] => teams("Chat.ReadBasic.All"),
            ["teams", "getallmessages"] | ["teams", _, "channels", _, "messages"] => teams("ChannelMessage.Read.All"),
            ["appcatalogs", "teamsapps", _, "installedtochats"] => basic("Chat.ReadBasic.WhereInstalled", 4_320),
            ["appcatalogs", "teamsapps", _, "installedtochats", "getallmessages"] => {
                basic("Chat.Read.WhereInstalled", 4_320)
            }
            ["users", _, "events"] => outlook("Calendars.Read"),
            ["users", _, "messages"] | ["users", _, "mailfolders", _, "messages"] => outlook("Mail.Read"),
            ["communications", "callrecords"] => basic("CallRecords.Read.All", 4_230),
            ["communications", "onlinemeetings", "getalltranscripts" | "getallrecordings"]
            | ["communications", "onlinemeetings", _, "transcripts" | "recordings"]
            | ["users", _, "onlinemeetings", "getalltranscripts" | "getallrecordings"] => {
                if segments.last().is_some_and(|last| last.contains("recordings")) {
                    teams("OnlineMeetingRecording.Read.All")
                } else {
                    teams("OnlineMeetingTranscript.Read.All")
                }
            }
            ["users"] => basic("User.Read.All", 41_760),
            ["groups"] | ["groups", _, "members"] => basic("Group.Read.All", 41_760),
            _ => return None,
        })
    }

    /// Whether it may be a part of what its path names: what a filter or a search finds.
    fn may_be_a_part(&self) -> bool {
        let query = self.path.split_once('?').map_or("", |(_, query)| query).to_ascii_lowercase();
        !query.split('&').all(|it| it.is_empty() || it.starts_with("$select=") || it.starts_with("model="))
    }

    /// How what has changed can be listed, where it can. Of a whole mailbox that is the inbox: Graph lists changes
    /// folder by folder. Where only a part is wanted, a list would tell of everything.
    #[must_use]
    pub fn listing(&self) -> Option<Listing> {
        if self.may_be_a_part() {
            return None;
        }
        let segments = self.segments();
        let is = |place: usize, name: &str| segments.get(place).is_some_and(|it: &&str| it.eq_ignore_ascii_case(name));
        match segments.as_slice() {
            [_, user, _, _] if is(0, "users") && is(2, "chats") && is(3, "getAllMessages") => {
                Some(Listing::UserChats { user: (*user).to_owned() })
            }
            [_, chat, _] if is(0, "chats") && is(2, "messages") => Some(Listing::Chat { chat: (*chat).to_owned() }),
            [_, user, _, folder, _] if is(0, "users") && is(2, "mailFolders") && is(4, "messages") => {
                Some(Listing::MailFolder { user: (*user).to_owned(), folder: (*folder).to_owned() })
            }
            [_, user, _] if is(0, "users") && is(2, "messages") => {
                Some(Listing::MailFolder { user: (*user).to_owned(), folder: "inbox".into() })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_before_it_makes_no_difference() {
        assert_eq!(Resource::new("users/u/chats"), Resource::new(" /users/u/chats"));
    }

    #[test]
    fn each_kind_has_its_permission_and_its_life() {
        for (path, permission, minutes, rich) in [
            ("/users/u/chats/getAllMessages", "Chat.Read.All", 4_320, Some(4_320)),
            ("chats/19:a@thread.v2/messages?$search=x", "Chat.Read.All", 4_320, Some(4_320)),
            ("/chats", "Chat.ReadBasic.All", 4_320, Some(4_320)),
            ("/chats/getAllMembers", "ChatMember.Read.All", 4_320, None),
            ("/users/u/mailFolders('inbox')/messages?$select=subject", "Mail.Read", 10_080, Some(1_440)),
            ("/users/u/mailFolders/inbox/messages", "Mail.Read", 10_080, Some(1_440)),
            ("users/u/events", "Calendars.Read", 10_080, Some(1_440)),
            ("/communications/callRecords", "CallRecords.Read.All", 4_230, None),
            ("/communications/onlineMeetings/m/recordings", "OnlineMeetingRecording.Read.All", 4_320, Some(4_320)),
            ("/users/u/onlineMeetings/getAllTranscripts", "OnlineMeetingTranscript.Read.All", 4_320, Some(4_320)),
            ("/groups/g/members", "Group.Read.All", 41_760, None),
        ] {
            let kind = Resource::new(path).kind().unwrap();
            assert_eq!((kind.permission, kind.minutes, kind.rich_minutes), (permission, minutes, rich), "{path}");
        }
        assert_eq!(Resource::new("/print/printers").kind(), None);
        assert!(Resource::new("communications/presences?$filter=id in ('a')").is_presence());
    }

    #[test]
    fn what_has_changed_is_listed_for_chats_and_mail() {
        let listing = |path| Resource::new(path).listing();
        assert_eq!(listing("/users/U/chats/getAllMessages"), Some(Listing::UserChats { user: "U".into() }));
        assert_eq!(listing("/chats/19:Ab/messages?model=B"), Some(Listing::Chat { chat: "19:Ab".into() }));
        let inbox = Listing::MailFolder { user: "U".into(), folder: "inbox".into() };
        for path in [
            "/users/U/mailFolders('inbox')/messages",
            "/users/U/mailFolders/inbox/messages",
            "/users/U/messages?$select=id",
        ] {
            assert_eq!(listing(path), Some(inbox.clone()), "{path}");
        }
        for path in ["/chats/getAllMessages", "/users/U/events", "/teams/t/channels/c/messages", "/users/U/chats"] {
            assert_eq!(listing(path), None, "{path}");
        }
        for part in ["$search=x", "$Filter=isRead eq false", "$select=id&$filter=mentions/any(m: true)"] {
            assert_eq!(Resource::new(&format!("/chats/19:Ab/messages?{part}")).listing(), None, "{part}");
        }
    }
}
