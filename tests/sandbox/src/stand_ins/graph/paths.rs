//! The spellings of a path: Graph takes `Users('ID')/Messages('ID')`, as its notifications have it, for
//! `users/ID/messages/ID`, and `users/ID@TENANT` for `users/ID`. A user whose name begins with a dollar sign is found by
//! the key alone (<https://learn.microsoft.com/graph/api/user-get>, msgraph-sdk-dotnet#2635).

use axum::extract::Request;
use axum::http::Uri;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::super::TENANT;
use super::Refusal;

/// The names in paths that come in more than one spelling.
const NAMES: &[&str] =
    &["users", "chats", "messages", "events", "mailFolders", "hostedContents", "members", "subscriptions"];

/// Graph's refusal of a path in which an option stands where a user should.
const NO_KEY: &str = "The request URI is not valid. Since the segment 'users' refers to a collection, this must be the last \
                      segment in the request URI or it must be followed by an function or action that can be bound to it \
                      otherwise all intermediate segments must refer to a single resource.";

/// The normal spelling of a path; `None` when Graph takes it in no spelling.
fn plain(path: &str) -> Option<String> {
    let path = path.replace("%27", "'").replace("%28", "(").replace("%29", ")").replace("%24", "$");
    let mut plain = Vec::<String>::new();
    for segment in path.split('/') {
        let (name, key) = match segment.strip_suffix("')").and_then(|segment| segment.split_once("('")) {
            // A quote within a key is written twice.
            Some((name, key)) => (name, Some(key.replace("''", "'"))),
            None => (segment, None),
        };
        if name.starts_with('$') && plain.last().is_some_and(|last| last == "users") {
            return None;
        }
        plain.push(NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)).map_or(name, |known| known).to_owned());
        plain.extend(key);
        if let [.., users, user] = plain.as_mut_slice()
            && users == "users"
            && let Some((id, tenant)) = user.replace("%40", "@").split_once('@')
            && tenant.eq_ignore_ascii_case(TENANT)
        {
            user.truncate(id.len());
        }
    }
    Some(plain.join("/"))
}

/// Gives a request the normal spelling of its path.
pub(super) async fn spell_plainly(mut request: Request, next: Next) -> Response {
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let Some(path) = plain(request.uri().path()) else {
        return Refusal::bad_request(NO_KEY).into_response();
    };
    if let Ok(uri) = Uri::try_from(format!("{path}{query}")) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::super::{AGENT_ID, CHAT, NewMail, NewMessage, Sender, User};
    use super::super::testing::Graph;
    use super::*;

    #[tokio::test]
    async fn what_a_notification_names_can_be_asked_for() {
        let graph = Graph::new();
        graph.world.set_chat_budget(1000, 1000);
        let message = graph.world.write_message(CHAT, NewMessage::text(Sender::Guest("Ann".into()), "hi")).unwrap();
        let mail =
            NewMail { from: "a@example.com".into(), subject: "s".into(), body: "b".into(), folder: "inbox".into() };
        let mail = graph.world.put_mail(AGENT_ID, &mail);
        for (path, id) in [
            (format!("/chats/{CHAT}/messages/{message}"), &message),
            (format!("/chats('{CHAT}')/messages('{message}')"), &message),
            (format!("/Chats(%27{CHAT}%27)/Messages%28'{message}'%29"), &message),
            (format!("/Users('{AGENT_ID}')/Messages('{mail}')?$select=subject"), &mail),
            (format!("/users/{AGENT_ID}@{TENANT}/messages/{mail}"), &mail),
            (format!("/Users/{AGENT_ID}%40{TENANT}/Messages/{mail}"), &mail),
        ] {
            let got = graph.get(&path).await;
            assert_eq!((got.status, got.text("id")), (200, id.clone()), "{path}");
        }
        assert_eq!(graph.get(&format!("/users/{AGENT_ID}@{AGENT_ID}/messages/{mail}")).await.status, 404);
        let folder = graph.get(&format!("/users/{AGENT_ID}/mailFolders('inbox')/messages/delta")).await;
        assert_eq!((folder.status, folder.ids()), (200, vec![mail]));
        let batch = serde_json::json!({"requests": [
            {"id": "1", "method": "GET", "url": format!("/chats('{CHAT}')/messages('{message}')")},
        ]});
        let got = graph.post("/$batch", batch).await;
        assert_eq!(got.inner("1")["body"]["id"], Value::from(message));
    }

    /// Of all that a user principal name may be made of, only a dollar sign at its beginning needs the key.
    #[tokio::test]
    async fn a_user_whose_name_begins_with_a_dollar_sign_is_found_by_the_key_alone() {
        let graph = Graph::new();
        for (number, upn) in
            ["$kim@contoso.com", "$o'kim@contoso.com", "o'connor@contoso.com", "kim$@contoso.com"].iter().enumerate()
        {
            let id = format!("33333333-2222-3333-4444-55555555555{number}");
            graph.world.directory().put_user(User::new(upn, &id));
            let as_segment = format!("/users/{upn}");
            let as_key = format!("/users('{}')", upn.replace('\'', "''"));
            for path in [as_segment.clone(), as_segment.replace('$', "%24")] {
                let got = graph.get(&path).await;
                match upn.starts_with('$') {
                    true => assert_eq!(got.refusal(), (400, "BadRequest"), "{path}"),
                    false => assert_eq!((got.status, got.text("id")), (200, id.clone()), "{path}"),
                }
            }
            for path in [as_key.clone(), as_key.replace('\'', "%27").replace('$', "%24")] {
                let got = graph.get(&path).await;
                assert_eq!((got.status, got.text("id")), (200, id.clone()), "{path}");
            }
            for (users, status) in [(&as_segment, if upn.starts_with('$') { 400 } else { 404 }), (&as_key, 404)] {
                assert_eq!(graph.get(&format!("{users}/events/none")).await.status, status, "{users}");
            }
        }
    }
}
