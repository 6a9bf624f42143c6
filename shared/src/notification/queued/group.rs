//! The message group: the notifications of one chat, channel or mailbox are kept in order, however the resource's name
//! is spelled.

use crate::graph::resource::ResourceName;
use crate::store::hash;

/// The most characters that Amazon SQS takes for a group.
const MAX_GROUP_CHARACTERS: usize = 128;

/// The message group of a resource: its chat, its channel, or its user or mailbox; the subscription, where the name has
/// none of these.
///
/// Names are compared without regard to case. If one group became two, its order would be lost; if two became one, only
/// some parallelism is.
#[must_use]
pub fn group(resource: &str, subscription_id: &str) -> String {
    let name = ResourceName::read_with_query(resource).ok().map(|(name, _)| name);
    let id_in = |collection| Some(name.as_ref()?.id_in(collection)?.to_ascii_lowercase());
    let chat = || Some(("chat", id_in("chats")?));
    let channel = || Some(("channel", id_in("channels")?));
    let user = || Some(("user", id_in("users")?));
    let (kind, id) =
        chat().or_else(channel).or_else(user).unwrap_or_else(|| ("subscription", subscription_id.to_ascii_lowercase()));
    let group = format!("{kind}/{id}");
    // A group may hold letters, digits and punctuation.
    if group.len() <= MAX_GROUP_CHARACTERS && group.bytes().all(|byte| byte.is_ascii_graphic()) {
        group
    } else {
        format!("{kind}/{}", hash(&[&id]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USER: &str = "6b0f8f0e-0a39-4f0f-8a0b-3f4d1f7c2e10";

    #[test]
    fn a_resource_belongs_to_its_chat_channel_or_user() {
        let chat = "chat/19:aaa_bbb@unq.gbl.spaces";
        let user = format!("user/{USER}");
        let cases = [
            ("chats('19:aaa_bbb@unq.gbl.spaces')/messages('1712027444034')", chat),
            ("chats('19:aaa_bbb@unq.gbl.spaces')", chat),
            ("/Chats/19%3Aaaa_bbb%40unq.gbl.spaces/messages/1712027444034", chat),
            ("https://graph.microsoft.com/v1.0/chats('19:AAA_bbb@unq.gbl.spaces')?$top=1", chat),
            (&format!("users('{USER}')/chats('19:aaa_bbb@unq.gbl.spaces')/messages('1')"), chat),
            ("chats('19:o''neill')/messages('1')", "chat/19:o'neill"),
            ("teams('t')/channels('19:c@thread.tacv2')/messages('1')/replies('2')", "channel/19:c@thread.tacv2"),
            (&format!("users/{USER}@84bd8158-6d4d-4958-8b9f-9d6445542f95/messages/AAMkAD="), &user),
            (&format!("Users('{}')/Messages('AAMkAD=')", USER.to_uppercase()), &user),
            (&format!("Users({USER})/mailFolders('inbox')/messages"), &user),
            ("users/Kim@contoso.com/events/1", "user/kim@contoso.com"),
            (&format!("users/{USER}/chats/getAllMessages"), &user),
            ("chats/getAllMessages", "subscription/s-1"),
            ("communications/callRecords('x')", "subscription/s-1"),
            ("chats", "subscription/s-1"),
            ("chats('", "subscription/s-1"),
            // No name that Graph gives, so that the worker refuses it as well.
            ("chats('19:o''neill/x')/messages('1')", "subscription/s-1"),
            ("", "subscription/s-1"),
        ];
        for (resource, expected) in cases {
            assert_eq!(group(resource, "S-1"), expected, "{resource}");
        }
    }

    #[test]
    fn what_does_not_fit_is_hashed() {
        let long = group(&format!("chats('19:{}')", "a".repeat(200)), "s");
        assert!(long.starts_with("chat/") && long.len() == 5 + 64, "{long}");
        let foreign = group("users('kim müller')", "s");
        assert!(foreign.starts_with("user/") && foreign.len() == 5 + 64, "{foreign}");
    }

    fn chat_id() -> impl Strategy<Value = String> {
        "19:[A-Za-z0-9_-]{1,160}@(unq\\.gbl\\.spaces|thread\\.v2)"
    }

    /// A chat's message in one of the spellings.
    fn spelled(id: &str, message: u64, spelling: u8) -> String {
        let chats = if spelling & 1 == 0 { "chats" } else { "Chats" };
        let id = if spelling & 2 == 0 { id.to_owned() } else { id.replace(':', "%3a").replace('@', "%40") };
        let place = if spelling & 4 == 0 { format!("{chats}('{id}')") } else { format!("{chats}/{id}") };
        let message = if spelling & 8 == 0 { format!("messages('{message}')") } else { format!("messages/{message}") };
        let before = ["", "/", "users/kim@contoso.com/", "https://graph.microsoft.com/v1.0/"];
        format!("{}{place}/{message}", before[usize::from(spelling >> 4) % before.len()])
    }

    proptest! {
        #[test]
        fn one_chat_is_one_group_in_every_spelling(
            id in chat_id(), messages in any::<[u64; 2]>(), spellings in any::<[u8; 2]>(),
        ) {
            let [one, other] = [0, 1].map(|i| group(&spelled(&id, messages[i], spellings[i]), &format!("s-{i}")));
            prop_assert_eq!(one, other);
        }

        #[test]
        fn two_chats_are_two_groups(one in chat_id(), other in chat_id(), spelling in any::<u8>()) {
            prop_assume!(!one.eq_ignore_ascii_case(&other));
            prop_assert_ne!(group(&spelled(&one, 1, spelling), "s"), group(&spelled(&other, 1, spelling), "s"));
        }

        #[test]
        fn every_resource_has_a_group_that_sqs_takes(resource in ".*", subscription in ".*") {
            let group = group(&resource, &subscription);
            prop_assert!(!group.is_empty() && group.len() <= MAX_GROUP_CHARACTERS, "{}", group);
            prop_assert!(group.bytes().all(|byte| byte.is_ascii_graphic()), "{}", group);
        }
    }
}
