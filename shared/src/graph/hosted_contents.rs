//! Images in chat messages: Graph keeps them and gives them to every app that may read the message.

use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::resource::{CHANNEL_MESSAGE, CHAT_MESSAGE};
use super::{GraphClient, GraphError};
use crate::config::BaseUrl;
use crate::http::RequestContext;
use crate::http::retry::Repeat;

/// The bytes of a hosted content.
#[derive(Clone, PartialEq, Eq)]
pub struct HostedContent {
    /// Its media type in lower case, without parameters; empty when Graph did not say.
    pub content_type: String,
    /// The bytes of the content.
    pub bytes: Vec<u8>,
}

/// The place of a hosted content in Graph.
///
/// A message names it by a URL, which its sender can write at will. So only the ids of the URL are used, and only if it
/// stands exactly below the Graph that we call: the token goes nowhere else. The caller has to check whose ids they
/// are: the app may read every chat, the sender of a message may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedContentUrl {
    segments: Vec<String>,
}

impl HostedContentUrl {
    /// Reads a URL: `chats/{}/messages/{}/hostedContents/{}/$value` below the base, or the same of a channel
    /// (`teams/{}/channels/{}/messages/{}`, perhaps with `replies/{}`). `None`, when it is anything else.
    #[must_use]
    pub fn read(base: &BaseUrl, text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_bare =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !is_bare || !base.is_origin_of(&url) {
            return None;
        }
        let base = base.join([]);
        let mut below = url.path_segments()?;
        // A base without a path has one empty segment.
        for segment in base.path_segments()?.filter(|segment| !segment.is_empty()) {
            if below.next() != Some(segment) {
                return None;
            }
        }
        let segments = below.map(decoded).collect::<Option<Vec<_>>>()?;
        let path = segments.iter().map(String::as_str).collect::<Vec<_>>();
        let is_hosted = matches!(
            path[..],
            ["chats", _, "messages", _, "hostedContents", _, "$value"]
                | ["teams", _, "channels", _, "messages", _, "hostedContents", _, "$value"]
                | ["teams", _, "channels", _, "messages", _, "replies", _, "hostedContents", _, "$value"]
        );
        is_hosted.then_some(Self { segments })
    }

    /// Whether the content belongs to a message of this chat or channel.
    #[must_use]
    pub(crate) fn is_in(&self, conversation: &str) -> bool {
        let place = if self.segments.first().is_some_and(|first| first == "chats") { 1 } else { 3 };
        self.segments.get(place).is_some_and(|id| id == conversation)
    }
}

/// A decoded segment of a path, if it can be an id: it holds nothing that a server would take for a slash, a dot
/// segment or an end.
fn decoded(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    let is_id = !text.is_empty()
        && !matches!(&*text, "." | "..")
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~:@=+,$!*()'".contains(c));
    is_id.then(|| text.into_owned())
}

impl GraphClient {
    /// The place of a message's image, if it is below the Graph that this client calls.
    #[must_use]
    pub(crate) fn hosted_content_url(&self, text: &str) -> Option<HostedContentUrl> {
        HostedContentUrl::read(&self.base, text)
    }

    /// Reads a hosted content of at most `max_bytes`: `GET …/hostedContents/{id}/$value`; needs `Chat.Read.All`, in
    /// channels `ChannelMessage.Read.All`.
    ///
    /// <https://learn.microsoft.com/graph/api/chatmessagehostedcontent-get>
    ///
    /// # Errors
    /// [`GraphError::NoReply`] with [`TooLarge`](crate::http::NoReply::TooLarge) when it has more bytes; any other
    /// [`GraphError`].
    pub(crate) async fn get_hosted_content(
        &self,
        cx: &RequestContext,
        at: &HostedContentUrl,
        max_bytes: usize,
    ) -> Result<HostedContent, GraphError> {
        let in_chat = at.segments.first().is_some_and(|first| first == "chats");
        let permission = if in_chat { CHAT_MESSAGE } else { CHANNEL_MESSAGE }.read_permission;
        let request = self.remote.http.get(self.base.join(at.segments.iter().map(String::as_str)));
        let reply = self.reply_up_to(cx, "get hosted content", Repeat::Always, request, max_bytes).await?;
        if !reply.status.is_success() {
            return Err(GraphError::from_reply(&reply, permission));
        }
        let essence = reply.content_type.split(';').next().unwrap_or_default();
        Ok(HostedContent { content_type: essence.trim().to_ascii_lowercase(), bytes: reply.body })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wiremock::matchers::{header, method, path};
    use wiremock::{Mock, ResponseTemplate};

    use super::*;
    use crate::http::NoReply;
    use crate::remote::{Remote, context};

    const BASE: &str = "https://graph.microsoft.com/v1.0";
    const PATH: &str = "/chats/19:a_b@unq.gbl.spaces/messages/1712027444034/hostedContents/aWQ9eF8w/$value";

    fn read(text: &str) -> Option<HostedContentUrl> {
        HostedContentUrl::read(&BASE.parse().unwrap(), text)
    }

    #[test]
    fn what_graph_writes_is_read() {
        let chat = read(&format!("{BASE}{PATH}")).unwrap();
        assert!(chat.is_in("19:a_b@unq.gbl.spaces"));
        for other in ["", "19:a_b", "1712027444034", "19:A_b@unq.gbl.spaces"] {
            assert!(!chat.is_in(other), "{other}");
        }
        let encoded = PATH.replace(':', "%3A").replace('@', "%40");
        assert_eq!(read(&format!("{BASE}{encoded}")), Some(chat.clone()));
        assert_eq!(read(&format!("https://GRAPH.microsoft.com:443/v1.0{PATH}")), Some(chat));
        let team = "/teams/1-2/channels/19:c@thread.tacv2/messages/1/replies/2/hostedContents/aWQ9/$value";
        assert!(read(&format!("{BASE}{team}")).unwrap().is_in("19:c@thread.tacv2"));
        let sandbox = "http://127.0.0.1:4571/v1.0".parse().unwrap();
        assert!(HostedContentUrl::read(&sandbox, &format!("http://127.0.0.1:4571/v1.0{PATH}")).is_some());
        assert!(HostedContentUrl::read(&sandbox, &format!("http://127.0.0.1:4572/v1.0{PATH}")).is_none());
    }

    #[test]
    fn whatever_could_lead_a_token_astray_is_refused() {
        let hosts = [
            "http://graph.microsoft.com/v1.0",
            "https://graph.microsoft.com:8443/v1.0",
            "https://graph.microsoft.com.evil.example/v1.0",
            "https://evil.example/v1.0",
            "https://graph.microsoft.com@evil.example/v1.0",
            "https://evil.example\\@graph.microsoft.com/v1.0",
            "https://user@graph.microsoft.com/v1.0",
            "https://user:pass@graph.microsoft.com/v1.0",
            "https://graph.microsoft.com/beta",
            "https://graph.microsoft.com",
            "https://graph.microsoft.com/v1.0/x",
            "https://graph.microsoft.com/v1.0/",
            "https://graph.microsoft.com/v1.0/..",
            "//graph.microsoft.com/v1.0",
            "https://graph.microsoft.com%2F.evil.example/v1.0",
            "https://graph.mіcrosoft.com/v1.0",
            "",
            "ftp://graph.microsoft.com/v1.0",
            "file:///v1.0",
            "data:text/html,",
        ];
        for host in hosts {
            assert_eq!(read(&format!("{host}{PATH}")), None, "{host}");
        }
        let paths = [
            "/chats/c/messages/m/hostedContents/h",
            "/chats/c/messages/m/hostedContents/h/$value/",
            "/chats/c/messages/m/hostedContents/h/$value?x=1",
            "/chats/c/messages/m/hostedContents/h/$value#x",
            "/chats/c/messages/m/hostedContents//$value",
            "/chats//messages/m/hostedContents/h/$value",
            "/chats/c%2Fd/messages/m/hostedContents/h/$value",
            "/chats/c%5Cd/messages/m/hostedContents/h/$value",
            "/chats/%2e%2e/messages/m/hostedContents/h/$value",
            "/chats/../messages/m/hostedContents/h/$value",
            "/chats/c%00/messages/m/hostedContents/h/$value",
            "/chats/c%252F/messages/m/hostedContents/h/$value",
            "/chats/c%3Fx/messages/m/hostedContents/h/$value",
            "/chats/c%23/messages/m/hostedContents/h/$value",
            "/chats/c;x/messages/m/hostedContents/h/$value",
            "/users/u/photo/$value",
            "/me/messages/m/$value",
            "/chats/c/messages/m/hostedContents/h/../../$value",
            "/chats\\c\\messages/m/hostedContents/%ff/$value",
        ];
        for path in paths {
            assert_eq!(read(&format!("{BASE}{path}")), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_leads_to_graph(
            host in "(https?:/{0,3}[a-z@:.%/\\\\]{0,8})?(graph.microsoft.com)?", chat in "\\PC{0,9}", id in "[!-~]{0,9}",
        ) {
            let text = format!("{host}/v1.0/chats/{chat}/messages/1/hostedContents/{id}/$value");
            if let Some(HostedContentUrl { segments }) = read(&text) {
                let url = BASE.parse::<BaseUrl>().unwrap().join(segments.iter().map(String::as_str));
                prop_assert!(url.as_str().starts_with("https://graph.microsoft.com/v1.0/"), "{url}");
            }
        }
    }

    #[tokio::test]
    async fn the_bytes_come_with_their_type_and_never_too_many() {
        let remote = Remote::start().await;
        let graph = GraphClient::new(remote.entra().await, format!("{}/v1.0", remote.uri()).parse().unwrap());
        let at = graph.hosted_content_url(&format!("{}/v1.0{PATH}", remote.uri())).unwrap();
        let call = || {
            Mock::given(method("GET"))
                .and(path(format!("/v1.0{PATH}")))
                .and(header("authorization", "Bearer graph-token"))
        };
        let image = ResponseTemplate::new(200).set_body_raw(vec![7; 10], "Image/PNG; charset=binary");
        remote.expect(call(), 2, image).await;
        let content = graph.get_hosted_content(&context(10), &at, 10).await.ok().unwrap();
        assert_eq!((content.content_type.as_str(), content.bytes), ("image/png", vec![7; 10]));
        let error = graph.get_hosted_content(&context(10), &at, 9).await.err().unwrap();
        assert_eq!(error, GraphError::NoReply(NoReply::TooLarge(9)));
        remote.expect(call(), 1, ResponseTemplate::new(403)).await;
        let error = graph.get_hosted_content(&context(10), &at, 9).await.err().unwrap();
        assert!(error.to_string().contains("Chat.Read.All"), "{error}");
    }
}
