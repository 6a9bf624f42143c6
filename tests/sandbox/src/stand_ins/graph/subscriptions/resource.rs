//! The resources that can be subscribed to, with the permissions and the longest lives, as Microsoft's pages
//! "subscription resource type" and "Create subscription" have it.

use std::collections::HashMap;

use super::super::notifications::{Change, What};

/// The service that a resource belongs to, whose subscriptions follow the same rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stand_ins) enum Service {
    /// Teams: long ones need a lifecycle notification URL; all share one quota of the organisation.
    Teams,
    /// Outlook: the properties of resource data must be selected, and resource data shortens the life.
    Outlook,
    /// The directory: users and groups.
    Directory,
}

/// The quota of subscriptions to a kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quota {
    /// The quota of the service alone.
    Service,
    /// One for each app and chat or channel.
    OnePerChat,
    /// Ten for each app and user.
    TenPerUser,
}

/// A kind of resource.
#[derive(Debug)]
pub(super) struct Rule {
    /// The path of the resource; `{}` is an id.
    pub(super) path: &'static str,
    pub(super) service: Service,
    /// The permissions, any of which lets an app subscribe. For Outlook, a permission to write is not enough.
    pub(super) permissions: &'static [&'static str],
    pub(super) change_types: &'static [&'static str],
    /// The longest life of a subscription, in minutes.
    pub(super) minutes: i64,
    /// Whether notifications can carry resource data.
    pub(super) rich: bool,
    pub(super) quota: Quota,
}

const CHATS: &[&str] = &["Chat.ReadBasic.All", "Chat.Read.All", "Chat.ReadWrite.All"];
const MESSAGES: &[&str] = &["Chat.Read.All", "Chat.ReadWrite.All"];
const CHANNELS: &[&str] = &["ChannelMessage.Read.All"];
const MAIL: &[&str] = &["Mail.Read"];
const CALENDAR: &[&str] = &["Calendars.Read"];
const TRANSCRIPTS: &[&str] = &["OnlineMeetingTranscript.Read.All"];
const ALL: &[&str] = &["created", "updated", "deleted"];
const NEW: &[&str] = &["created", "updated"];

const fn teams(
    path: &'static str,
    permissions: &'static [&'static str],
    change_types: &'static [&'static str],
) -> Rule {
    Rule { path, service: Service::Teams, permissions, change_types, minutes: 4320, rich: true, quota: Quota::Service }
}

const fn outlook(path: &'static str, permissions: &'static [&'static str]) -> Rule {
    let (service, quota) = (Service::Outlook, Quota::Service);
    Rule { path, service, permissions, change_types: ALL, minutes: 10_080, rich: true, quota }
}

const fn directory(path: &'static str, permissions: &'static [&'static str]) -> Rule {
    let (service, quota) = (Service::Directory, Quota::Service);
    Rule { path, service, permissions, change_types: ALL, minutes: 41_760, rich: false, quota }
}

/// The longest life in minutes of a subscription to Outlook with resource data.
const OUTLOOK_RICH_MINUTES: i64 = 1440;

const RULES: &[Rule] = &[
    teams("chats", CHATS, NEW),
    Rule { quota: Quota::OnePerChat, ..teams("chats/{}", CHATS, NEW) },
    Rule { quota: Quota::TenPerUser, ..teams("users/{}/chats", CHATS, NEW) },
    Rule { rich: false, ..teams("appCatalogs/teamsApps/{}/installedToChats", &["Chat.ReadBasic.WhereInstalled"], NEW) },
    teams("chats/getAllMessages", MESSAGES, ALL),
    Rule { quota: Quota::OnePerChat, ..teams("chats/{}/messages", MESSAGES, ALL) },
    Rule { quota: Quota::TenPerUser, ..teams("users/{}/chats/getAllMessages", MESSAGES, ALL) },
    Rule {
        rich: false,
        ..teams("appCatalogs/teamsApps/{}/installedToChats/getAllMessages", &["Chat.Read.WhereInstalled"], ALL)
    },
    teams("teams/getAllMessages", CHANNELS, ALL),
    Rule { quota: Quota::OnePerChat, ..teams("teams/{}/channels/{}/messages", CHANNELS, ALL) },
    teams("chats/{}/members", &["ChatMember.Read.All"], ALL),
    Rule { rich: false, ..teams("chats/getAllMembers", &["ChatMember.Read.All"], ALL) },
    Rule { minutes: 60, ..teams("communications/presences/{}", &[], &["updated"]) },
    Rule { minutes: 60, ..teams("communications/presences", &[], &["updated"]) },
    Rule { rich: false, minutes: 4230, ..teams("communications/callRecords", &["CallRecords.Read.All"], NEW) },
    teams("communications/onlineMeetings/getAllTranscripts", TRANSCRIPTS, &["created"]),
    teams("communications/onlineMeetings/{}/transcripts", TRANSCRIPTS, &["created"]),
    teams("users/{}/onlineMeetings/getAllTranscripts", TRANSCRIPTS, &["created"]),
    outlook("users/{}/events", CALENDAR),
    outlook("users/{}/messages", MAIL),
    outlook("users/{}/mailFolders/{}/messages", MAIL),
    directory("users", &["User.Read.All"]),
    directory("groups", &["Group.Read.All"]),
    directory("groups/{}/members", &["Group.Read.All"]),
];

/// The resource that a subscription asks for.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) rule: &'static Rule,
    /// The resource as it was sent.
    pub(super) path: String,
    /// The ids in the path.
    ids: Vec<String>,
    /// The selected properties, which resource data of Outlook has.
    pub(super) select: Vec<String>,
}

/// The segments of a path; a key in parentheses is a segment of its own.
fn segments(path: &str) -> Vec<String> {
    let split = |segment: &str| match segment.strip_suffix("')").and_then(|segment| segment.split_once("('")) {
        Some((name, key)) => vec![name.to_owned(), key.to_owned()],
        None => vec![segment.to_owned()],
    };
    path.trim_matches('/').split('/').flat_map(split).collect()
}

impl Resource {
    /// Reads a resource; `None` if there is no kind like it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let segments = segments(path);
        let fits = |rule: &&Rule| {
            let expected: Vec<&str> = rule.path.split('/').collect();
            let same = |(expected, found): (&&str, &String)| *expected == "{}" || expected.eq_ignore_ascii_case(found);
            expected.len() == segments.len() && expected.iter().zip(&segments).all(same)
        };
        // A literal wins over an id, and those stand last.
        let literal = |rule: &&Rule| !rule.path.ends_with("{}");
        let rule = RULES.iter().filter(fits).max_by_key(literal)?;
        let ids = rule.path.split('/').zip(&segments).filter(|(expected, _)| *expected == "{}");
        let ids = ids.map(|(_, id)| id.clone()).collect();
        let url = reqwest::Url::parse(&format!("http://resource/?{query}")).ok()?;
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let select = query.get("$select").map(|select| select.split(',').map(|name| name.trim().to_owned()).collect());
        Some(Self { rule, path: text.to_owned(), ids, select: select.unwrap_or_default() })
    }

    /// The text that subscriptions to the same resource have in common.
    pub(super) fn key(&self) -> String {
        self.path.trim_start_matches('/').to_ascii_lowercase()
    }

    /// The user who has the resource, by object id or user principal name.
    pub(super) fn user(&self) -> Option<&str> {
        self.rule.path.starts_with("users/{}").then(|| self.first())
    }

    /// The chat of the resource.
    pub(super) fn chat(&self) -> Option<&str> {
        self.rule.path.starts_with("chats/{}").then(|| self.first())
    }

    fn first(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }

    /// Replaces the user's name by the object id.
    pub(super) fn name_user(&mut self, id: &str) {
        if let Some(first) = self.ids.first_mut() {
            id.clone_into(first);
        }
    }

    /// The text by which a quota counts subscriptions together.
    pub(super) fn counted_as(&self) -> String {
        // What a user has in chats is counted together, whatever is heard of; what a chat has is not.
        let kind = if self.rule.quota == Quota::TenPerUser { "" } else { self.rule.path };
        format!("{:?} {kind} {}", self.rule.quota, self.ids.join(" ").to_ascii_lowercase())
    }

    /// The longest life, in minutes.
    pub(super) fn minutes(&self, rich: bool) -> i64 {
        if rich && self.rule.service == Service::Outlook { OUTLOOK_RICH_MINUTES } else { self.rule.minutes }
    }

    /// Whether Graph may remove the subscription by itself: it is about messages in chats, a mailbox or a calendar.
    pub(super) fn is_removable(&self) -> bool {
        self.rule.service == Service::Outlook || self.rule.path.to_ascii_lowercase().ends_with("messages")
    }

    /// Whether a subscription to this hears of the change.
    pub(super) fn covers(&self, change: &Change) -> bool {
        let member = |members: &[String]| members.iter().any(|id| id.eq_ignore_ascii_case(self.first()));
        match (&change.what, self.rule.path) {
            (What::Message { .. }, "chats/getAllMessages") | (What::Chat { .. }, "chats") => true,
            (What::Message { chat, .. }, "chats/{}/messages") => chat == self.first(),
            (What::Message { members, .. }, "users/{}/chats/getAllMessages") => member(members),
            (What::Chat { id, .. }, "chats/{}") => id == self.first(),
            (What::Chat { members, .. }, "users/{}/chats") => member(members),
            (What::Mail { user, .. }, "users/{}/messages") | (What::Event { user, .. }, "users/{}/events") => {
                user.eq_ignore_ascii_case(self.first())
            }
            (What::Mail { user, folder, .. }, "users/{}/mailFolders/{}/messages") => {
                user.eq_ignore_ascii_case(self.first())
                    && self.ids.get(1).is_some_and(|id| id.eq_ignore_ascii_case(folder))
            }
            _ => false,
        }
    }
}
