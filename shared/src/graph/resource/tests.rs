use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const USER: &str = "622eaaff-0683-4862-9de4-f2ec83c2bd98";
const TENANT: &str = "3f0c1f6e-6c55-4b43-9a7c-0f4a3f0d5c11";

fn read(text: &str) -> Option<Vec<String>> {
    ResourceName::read(text).ok().map(|resource| resource.segments().map(str::to_owned).collect())
}

fn normal(text: &str) -> Option<String> {
    ResourceName::read_with_query(text).ok().map(|(resource, _)| resource.normal())
}

#[test]
fn every_spelling_is_read() {
    for text in [
        "chats('19:aaa_bbb@unq.gbl.spaces')/messages('1712027444034')",
        "/chats('19:aaa_bbb@unq.gbl.spaces')/messages('1712027444034')",
        "chats/19:aaa_bbb@unq.gbl.spaces/messages/1712027444034",
        "Chats('19:aaa_bbb@unq.gbl.spaces')/Messages/1712027444034",
        "chats/19%3aaaa_bbb%40unq.gbl.spaces/messages/1712027444034",
        "https://graph.microsoft.com/v1.0/chats('19:aaa_bbb@unq.gbl.spaces')/messages('1712027444034')",
    ] {
        let resource = ResourceName::read(text).unwrap();
        assert_eq!(resource.chat_message(), Some(("19:aaa_bbb@unq.gbl.spaces", "1712027444034")), "{text}");
        assert_eq!(resource.read_permission(), "Chat.Read.All");
    }
    let mail = format!("Users/{USER}@{TENANT}/Messages/AAMkAG=");
    assert_eq!(read(&mail).unwrap(), ["Users", USER, "Messages", "AAMkAG="]);
    assert_eq!(read("users/kim@contoso.com/events/1").unwrap()[1], "kim@contoso.com");
    let of_a_user = format!("users('{USER}')/chats('19:a')/messages('1')");
    let of_a_user = ResourceName::read(&of_a_user).unwrap();
    assert_eq!((of_a_user.chat_message(), of_a_user.read_permission()), (Some(("19:a", "1")), "Chat.Read.All"));
    let reply = "teams('t')/channels('19:c@thread.tacv2')/messages('1')/replies('2')";
    let resource = ResourceName::read(reply).unwrap();
    assert_eq!((resource.segments().count(), resource.chat_message()), (8, None));
}

#[test]
fn what_could_lead_elsewhere_is_no_resource() {
    for text in [
        "",
        "/",
        "chats",
        "//evil.example/x",
        "https://evil.example/chats/1",
        "https://graph.microsoft.com.evil.example/v1.0/chats/1",
        "https://graph.microsoft.com/v2.0/chats/1",
        "https://graph.microsoft.com/v1.0//chats/1",
        "http://graph.microsoft.com/v1.0/chats/1",
        "chats/../users/1",
        "chats/./1",
        "chats//1",
        "chats('1",
        "chats('1')x",
        "chats('')",
        "chats()",
        "('b')",
        "chats('a'')/('b')",
        "chats('a'b')",
        "chats('a%27b')",
        "chats('a/b')",
        "chats(a'b)",
        "chats(('b'))",
        "communications/onlineMeetings(joinWebUrl='x')/meetingCallEvents",
        "chats/1?x=y",
        "chats/1?",
        "chats/1#x",
        "chats/%2e%2e/x",
        "chats/a%2fb",
        "chats/a%252fb",
        "chats/a%23b",
        "chats/a%28b",
        "chats/%ff",
        "chats/%00",
        "chats/a\\b",
        "chats/a\nb",
        "chats('1')//messages('2')",
        "chats/1/",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_name_is_bounded() {
    let long = |bytes: usize| format!("chats/{}", "a".repeat(bytes - 6));
    assert!(read(&long(2048)).is_some());
    assert_eq!(read(&long(2049)), None);
    let deep = |segments: usize| vec!["a"; segments].join("/");
    assert_eq!(read(&deep(16)).unwrap().len(), 16);
    assert_eq!(read(&deep(17)), None);
    assert_eq!(read(&format!("{}('b')", deep(16))), None);
}

/// Names about which earlier readers differed, what becomes of each, and why.
const DECIDED: &[(&str, Option<&str>, &str)] = &[
    (
        "Users(6b0f)/mailFolders(inbox)/messages",
        Some("users/6b0f/mailfolders/inbox/messages"),
        "OData lets a key be bare",
    ),
    (
        "users('o''neill@contoso.com')/messages",
        Some("users/o'neill@contoso.com/messages"),
        "a principal name may have a quote",
    ),
    (
        "users('o%27%27neill@contoso.com')/messages",
        Some("users/o'neill@contoso.com/messages"),
        "and encoding comes first",
    ),
    (
        "users/o'neill@contoso.com/messages",
        Some("users/o'neill@contoso.com/messages"),
        "outside of quotes it stands once",
    ),
    ("chats('19:a/x')/messages('1')", None, "no id has a slash, and a server might take it for one of the path"),
    ("/chats/19%3Aa/messages", Some("chats/19:a/messages"), "a setting is decoded as a notification is"),
    ("chats/%ff/messages/1", None, "no replacement characters: two ids could become one"),
    ("chats/a%2562/messages/1", None, "decoded once, and nothing is left to decode"),
    ("//chats/19:a/messages", None, "an empty segment is no segment; a setting's slashes are trimmed before"),
    ("/chats/getAllMessages?$top=1", Some("chats/getallmessages"), "a query is no part of the name"),
    ("https://graph.microsoft.us/beta/chats/19:Ab", Some("chats/19:Ab"), "Graph's own URL, which @odata.id may be"),
    (
        "users/u@3f0c1f6e-6c55-4b43-9a7c-0f4a3f0d5c11/events/1",
        Some("users/u/events/1"),
        "a GUID behind the @ is a tenant",
    ),
    ("users/a@b.c@3f0c1f6e-6c55-4b43-9a7c-0f4a3f0d5c11", Some("users/a@b.c"), "and only the last one can be"),
    (
        "users/622eaaff-0683-4862-9de4-f2ec83c2bd98@contoso.com",
        Some("users/622eaaff-0683-4862-9de4-f2ec83c2bd98@contoso.com"),
        "a domain is a part of a principal name",
    ),
    (
        "users/u@abcdefghijklmnopqrstuvwxyzabcdefghij",
        Some("users/u@abcdefghijklmnopqrstuvwxyzabcdefghij"),
        "36 characters are not yet a GUID",
    ),
    (
        "Communications/CallRecords('Ab')",
        Some("communications/callrecords/Ab"),
        "the table tells names from ids where they do not take turns",
    ),
    ("chats/GetAllMessages", Some("chats/getallmessages"), "a function stands where an id would, and is none"),
];

#[test]
fn where_readers_differed_it_is_decided() {
    for (text, expected, why) in DECIDED {
        assert_eq!(normal(text).as_deref(), *expected, "{text}: {why}");
    }
}

/// Every path of the table.
fn patterns() -> impl Iterator<Item = (&'static ResourceKind, &'static str)> {
    KINDS.iter().flat_map(|kind| {
        let watched = kind.watched.iter().map(|watched| watched.path);
        watched.chain(kind.items.iter().copied()).map(move |pattern| (kind, pattern))
    })
}

#[test]
fn a_path_of_the_table_is_of_its_kind_and_tells_names_from_ids() {
    for (kind, pattern) in patterns() {
        let text = pattern.replace("{}", "iD");
        let (name, _) = ResourceName::read_with_query(&text).unwrap();
        assert_eq!(name.kind(), Some(kind), "{pattern}");
        assert_eq!(name.normal(), pattern.to_ascii_lowercase().replace("{}", "iD"), "{pattern}");
    }
    let names: BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), KINDS.len());
}

#[test]
fn a_permission_is_known_for_reading_whatever_a_notification_names() {
    for (text, permission) in [
        ("chats('19:a')/messages('1')", "Chat.Read.All"),
        ("chats('19:a')/members('1')", "ChatMember.Read.All"),
        ("chats('19:a')", "Chat.ReadBasic.All"),
        ("teams('t')/channels('c')/messages('1')", "ChannelMessage.Read.All"),
        ("teams('t')/channels('c')/messages('1')/replies('2')", "ChannelMessage.Read.All"),
        ("Users/u/Events/1", "Calendars.Read"),
        ("Users/u/Messages/1", "Mail.Read"),
        ("users/u/mailFolders/f/messages/1", "Mail.Read"),
        ("communications/callRecords/c", "CallRecords.Read.All"),
        ("Users/u", "User.Read.All"),
        ("print/printers/p", "for reading the resource"),
    ] {
        assert_eq!(ResourceName::read(text).unwrap().read_permission(), permission, "{text}");
    }
}

/// A path of the table with these ids, written in one of the ways: each bit of `spelling` is one choice.
fn spelled(pattern: &str, ids: &[String], spelling: u16) -> String {
    let has = |bit: u16| spelling & (1 << bit) != 0;
    let mut ids = ids.iter().map(String::as_str);
    let mut text = String::new();
    for (place, segment) in (0..).zip(pattern.split('/')) {
        let is_id = segment == "{}";
        let segment = match (is_id, has(0)) {
            (true, _) => ids.next().unwrap_or_default().to_owned(),
            (false, true) => format!("{}{}", segment[..1].to_uppercase(), &segment[1..]),
            (false, false) => segment.to_owned(),
        };
        let tenant =
            if has(1) && place == 1 && pattern.starts_with("users/") { format!("@{TENANT}") } else { String::new() };
        // Each id by itself: in quotes, in parentheses alone, or as a segment of its own.
        text += &match (is_id, has(2 + place), has(3)) {
            (true, true, false) => format!("('{}{tenant}')", encoded(&segment.replace('\'', "''"), has(10))),
            (true, true, true) if !segment.contains('\'') => format!("({}{tenant})", encoded(&segment, has(10))),
            (true, ..) => format!("/{}{tenant}", encoded(&segment, has(10))),
            (false, ..) if place == 0 => segment,
            (false, ..) => format!("/{segment}"),
        };
    }
    let before = ["", "/", "https://graph.microsoft.com/v1.0/", "https://graph.microsoft.com/beta/"];
    format!("{}{text}", before[usize::from(spelling >> 11) % before.len()])
}

fn encoded(id: &str, everything: bool) -> String {
    let byte = |byte: u8| match byte {
        _ if everything && !byte.is_ascii_alphanumeric() => format!("%{byte:02x}"),
        _ => char::from(byte).to_string(),
    };
    id.bytes().map(byte).collect()
}

fn pattern() -> impl Strategy<Value = &'static str> {
    prop::sample::select(patterns().map(|(_, pattern)| pattern).collect::<Vec<_>>())
}

fn ids() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[A-Za-z0-9:_=+'-][A-Za-z0-9:_=+'.@-]{0,40}[A-Za-z0-9=]", 4)
}

proptest! {
    #[test]
    fn all_spellings_come_to_one_normal_form(pattern in pattern(), ids in ids(), spellings in any::<[u16; 2]>()) {
        // Names in lower case, and every id as it was.
        let normal_form = ids.iter().fold(pattern.to_ascii_lowercase(), |path, id| path.replacen("{}", id, 1));
        for text in spellings.map(|spelling| spelled(pattern, &ids, spelling)) {
            prop_assert_eq!(normal(&text), Some(normal_form.clone()), "{}", text);
        }
    }

    #[test]
    fn the_normal_form_is_a_fixed_point(text in "[/A-Za-z'()@%.:=?-]{0,60}|(chats|Users|teams|communications)[/(']{1,2}\\PC{0,20}[')/]{0,3}\\PC{0,9}") {
        if let Some(once) = normal(&text) {
            prop_assert_eq!(normal(&once), Some(once.clone()), "{}", text);
        }
    }

    #[test]
    fn two_ids_are_never_one(pattern in pattern(), ids in ids(), others in ids(), spelling in any::<u16>()) {
        let count = pattern.matches("{}").count();
        prop_assume!(ids[..count] != others[..count]);
        prop_assert_ne!(normal(&spelled(pattern, &ids, spelling)), normal(&spelled(pattern, &others, spelling)));
    }

    #[test]
    fn any_text_is_survived(text in ".{0,80}") {
        let _ = read(&text);
        let watched = WatchedResource::new(&text);
        let _ = (watched.kind(), watched.listing(), watched.is(&text));
    }

    #[test]
    fn what_is_read_is_harmless(text in "[/A-Za-z'()@%25?#.:\\\\-]{0,40}") {
        for segment in read(&text).unwrap_or_default() {
            prop_assert!(!segment.is_empty() && !segment.starts_with('.'), "{}", text);
            prop_assert!(!segment.contains(['/', '\\', '?', '#', '%', '(', ')']), "{}", text);
        }
    }
}

mod watched {
    use super::*;

    #[test]
    fn a_slash_before_it_makes_no_difference() {
        assert_eq!(WatchedResource::new("users/u/chats"), WatchedResource::new(" /users/u/chats"));
        assert_eq!(WatchedResource::new("users/u/events/").kind(), WatchedResource::new("users/u/events").kind());
    }

    #[test]
    fn a_resource_is_the_same_in_every_spelling_and_another_with_another_query() {
        let inbox = WatchedResource::new("/users/U/mailFolders('inbox')/messages?$select=id");
        for same in
            ["users/U/mailFolders/inbox/messages?$select=id", "Users('U')/MailFolders('inbox')/Messages?$select=id"]
        {
            assert!(inbox.is(same) && WatchedResource::new(same).is(inbox.path()), "{same}");
        }
        for other in [
            "users/u/mailFolders/inbox/messages?$select=id",
            "users/U/mailFolders/Inbox/messages?$select=id",
            "users/U/mailFolders/inbox/messages",
            "users/U/mailFolders/inbox/messages?$select=subject",
            "users/U/messages?$select=id",
            "",
        ] {
            assert!(!inbox.is(other), "{other}");
        }
        // What cannot be read is the same as its own text and as nothing else.
        let odd = WatchedResource::new("print/x(y='z')?q");
        assert!(odd.is("/print/x(y='z')?q") && !odd.is("print/x(y='w')?q"));
        assert_eq!((odd.kind(), odd.listing()), (None, None));
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
            ("/teams/t/channels/c/messages", "ChannelMessage.Read.All", 4_320, Some(4_320)),
            ("/teams/getAllMessages", "ChannelMessage.Read.All", 4_320, Some(4_320)),
            ("/appCatalogs/teamsApps/a/installedToChats/getAllMessages", "Chat.Read.WhereInstalled", 4_320, None),
        ] {
            let terms = WatchedResource::new(path).kind().unwrap().subscription.unwrap();
            assert_eq!((terms.permission, terms.minutes, terms.rich_minutes), (permission, minutes, rich), "{path}");
        }
        // A message is told of, and none is subscribed to.
        for path in ["/print/printers", "/chats/19:a/messages/1", "users/u"] {
            assert_eq!(WatchedResource::new(path).kind(), None, "{path}");
        }
        for path in ["communications/presences?$filter=id in ('a')", "/communications/Presences('u')"] {
            assert!(WatchedResource::new(path).is_presence(), "{path}");
        }
    }

    #[test]
    fn what_has_changed_is_listed_for_chats_and_mail() {
        let listing = |path| WatchedResource::new(path).listing();
        assert_eq!(listing("/users/U/chats/getAllMessages"), Some(Listing::UserChats { user: "U".into() }));
        assert_eq!(listing("/chats/19:Ab/messages?model=B"), Some(Listing::Chat { chat: "19:Ab".into() }));
        assert_eq!(listing("/Chats('19%3AAb')/Messages"), Some(Listing::Chat { chat: "19:Ab".into() }));
        let inbox = Listing::MailFolder { user: "U".into(), folder: "inbox".into() };
        for path in [
            "/users/U/mailFolders('inbox')/messages",
            "/users/U/mailFolders/inbox/messages",
            "/users('U')/messages",
            "/users/U/messages?$select=id",
        ] {
            assert_eq!(listing(path), Some(inbox.clone()), "{path}");
        }
        for path in ["/chats/getAllMessages", "/users/U/events", "/teams/t/channels/c/messages", "/users/U/chats"] {
            assert_eq!(listing(path), None, "{path}");
        }
        for part in ["$search=x", "$Filter=isRead eq false", "$select=id&$filter=mentions/any(m: true)"] {
            assert_eq!(WatchedResource::new(&format!("/chats/19:Ab/messages?{part}")).listing(), None, "{part}");
        }
    }
}
