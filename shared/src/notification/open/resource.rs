//! The name of a resource, as notifications write it.
//!
//! Graph is not of one mind about the spelling: `chats('19:…')/messages('1712…')`, `Users/{id}@{tenant}/Messages/{id}`, a
//! slash in front or none.
//!
//! <https://learn.microsoft.com/graph/change-notifications-delivery-webhooks>

use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// Longest name that is read. Mail ids take some 150 characters, chat ids some 100.
const MAX_LENGTH: usize = 2048;

/// A resource, by the segments of its path below Graph's base URL, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    segments: Vec<String>,
}

/// It is no name of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not name a resource")]
pub struct NoResource;

impl FromStr for Resource {
    type Err = NoResource;

    fn from_str(text: &str) -> Result<Self, NoResource> {
        if text.len() > MAX_LENGTH || text.contains(|c: char| c.is_control() || matches!(c, '?' | '#' | '\\')) {
            return Err(NoResource);
        }
        let mut segments = Vec::new();
        let mut rest = text.strip_prefix('/').unwrap_or(text);
        while !rest.is_empty() {
            let end = rest.find(['/', '(']).unwrap_or(rest.len());
            let (name, tail) = rest.split_at(end);
            segments.push(name.to_owned());
            rest = match tail.strip_prefix("('") {
                // A quote within a key is written twice, and no id of Graph's has one.
                Some(tail) => {
                    let (key, tail) = tail.split_once("')").ok_or(NoResource)?;
                    segments.push(key.to_owned());
                    tail
                }
                None => tail,
            };
            match rest.strip_prefix('/') {
                Some(tail) if !tail.is_empty() => rest = tail,
                _ if rest.is_empty() => {}
                _ => return Err(NoResource),
            }
        }
        for segment in &mut segments {
            *segment = percent_decode_str(segment).decode_utf8().map_err(|_| NoResource)?.into_owned();
        }
        let is_bad = |segment: &String| {
            let odd = |c: char| c.is_control() || matches!(c, '\'' | '(' | ')' | '/' | '\\' | '%' | '?' | '#');
            segment.is_empty() || segment.contains(odd) || segment.starts_with('.')
        };
        if segments.len() < 2 || segments.iter().any(is_bad) {
            return Err(NoResource);
        }
        // `users/{id}@{tenant}` is how mail's notifications name a user, and is no path.
        if segments[0].eq_ignore_ascii_case("users")
            && let Some((id, tenant)) = segments[1].split_once('@')
            && tenant.len() == 36
            && !tenant.contains('.')
        {
            segments[1] = id.to_owned();
        }
        Ok(Self { segments })
    }
}

impl Resource {
    /// The segments of the path, decoded.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(String::as_str)
    }

    /// The chat and the message, when it is a message of a chat.
    #[must_use]
    pub fn chat_message(&self) -> Option<(&str, &str)> {
        match self.segments.as_slice() {
            [.., chats, chat, messages, message]
                if chats.eq_ignore_ascii_case("chats") && messages.eq_ignore_ascii_case("messages") =>
            {
                Some((chat, message))
            }
            _ => None,
        }
    }

    /// The application permission that reading it needs, for the message when it is missing.
    ///
    /// <https://learn.microsoft.com/graph/permissions-reference>
    #[must_use]
    pub fn permission(&self) -> &'static str {
        let has = |name: &str| self.segments.iter().any(|segment| segment.eq_ignore_ascii_case(name));
        let starts = |name: &str| self.segments[0].eq_ignore_ascii_case(name);
        match () {
            () if has("chats") && has("messages") => "Chat.Read.All",
            () if has("chats") && has("members") => "ChatMember.Read.All",
            () if has("chats") => "Chat.ReadBasic.All",
            () if starts("teams") => "ChannelMessage.Read.All",
            () if has("events") => "Calendars.Read",
            () if has("messages") => "Mail.Read",
            () => "for reading the resource",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Vec<String>> {
        text.parse().ok().map(|resource: Resource| resource.segments().map(str::to_owned).collect())
    }

    #[test]
    fn every_spelling_is_read() {
        for text in [
            "chats('19:aaa_bbb@unq.gbl.spaces')/messages('1712027444034')",
            "/chats('19:aaa_bbb@unq.gbl.spaces')/messages('1712027444034')",
            "chats/19:aaa_bbb@unq.gbl.spaces/messages/1712027444034",
            "Chats('19:aaa_bbb@unq.gbl.spaces')/Messages/1712027444034",
            "chats/19%3aaaa_bbb%40unq.gbl.spaces/messages/1712027444034",
        ] {
            let resource: Resource = text.parse().unwrap();
            assert_eq!(resource.chat_message(), Some(("19:aaa_bbb@unq.gbl.spaces", "1712027444034")), "{text}");
            assert_eq!(resource.permission(), "Chat.Read.All");
        }
        let user = "622eaaff-0683-4862-9de4-f2ec83c2bd98";
        let mail = format!("Users/{user}@3f0c1f6e-6c55-4b43-9a7c-0f4a3f0d5c11/Messages/AAMkAG=");
        assert_eq!(read(&mail).unwrap(), ["Users", user, "Messages", "AAMkAG="]);
        assert_eq!(read("users/kim@contoso.com/events/1").unwrap()[1], "kim@contoso.com");
        let of_a_user: Resource = format!("users('{user}')/chats('19:a')/messages('1')").parse().unwrap();
        assert_eq!((of_a_user.chat_message(), of_a_user.permission()), (Some(("19:a", "1")), "Chat.Read.All"));
        let reply = "teams('t')/channels('19:c@thread.tacv2')/messages('1')/replies('2')";
        let resource: Resource = reply.parse().unwrap();
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
            "chats/../users/1",
            "chats/./1",
            "chats//1",
            "chats('1",
            "chats('1')x",
            "chats('')",
            "chats('a'')/('b')",
            "chats/1?x=y",
            "chats/1#x",
            "chats/%2e%2e/x",
            "chats/a%2fb",
            "chats/a%252fb",
            "chats/%ff",
            "chats/a\\b",
            "chats/a\nb",
            "chats('1')//messages('2')",
            "chats/1/",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,80}") {
            let _ = read(&text);
        }
    }
}
