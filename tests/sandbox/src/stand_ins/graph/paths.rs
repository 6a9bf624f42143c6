//! The spellings of a path: Graph takes `Users('ID')/Messages('ID')`, as its notifications have it, for
//! `users/ID/messages/ID`, and `users/ID@TENANT` for `users/ID`.

use axum::extract::Request;
use axum::http::Uri;
use axum::middleware::Next;
use axum::response::Response;

use super::super::TENANT;

/// The names in paths that come in more than one spelling.
const NAMES: &[&str] =
    &["users", "chats", "messages", "events", "mailFolders", "hostedContents", "members", "subscriptions"];

/// The one spelling of a path.
fn plain(path: &str) -> String {
    let path = path.replace("%27", "'").replace("%28", "(").replace("%29", ")");
    let mut plain = Vec::new();
    for segment in path.split('/') {
        let (name, key) = match segment.strip_suffix("')").and_then(|segment| segment.split_once("('")) {
            Some((name, key)) => (name, Some(key)),
            None => (segment, None),
        };
        plain.push(NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)).map_or(name, |known| known));
        plain.extend(key);
        if let [.., "users", user] = plain.as_mut_slice()
            && let Some((id, tenant)) = user.replace("%40", "@").split_once('@')
            && tenant.eq_ignore_ascii_case(TENANT)
        {
            let length = id.len();
            *user = user.get(..length).unwrap_or(user);
        }
    }
    plain.join("/")
}

/// Gives a request the one spelling of its path.
pub(super) async fn spell_plainly(mut request: Request, next: Next) -> Response {
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    if let Ok(uri) = Uri::try_from(format!("{}{query}", plain(request.uri().path()))) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::super::{AGENT_ID, CHAT, NewMail, NewMessage, Sender};
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
}
