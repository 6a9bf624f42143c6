//! The client of Microsoft Graph v1.0, with the calls that the bridge makes.

mod chat_messages;
mod error;
mod events;
mod hosted_contents;
mod listings;
mod mail;
mod online_meetings;
mod page;
pub mod presence;
pub mod resource;
pub mod subscriptions;
mod users;

use std::sync::Arc;

use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use chat_messages::ListedChatMessage;
pub use error::GraphError;
pub use events::{CalendarEvent, CalendarEvents, NewEvent};
pub use hosted_contents::{HostedContent, HostedContentUrl};
pub use listings::{ListedMessage, Listings};
pub use mail::MailMessage;
pub use online_meetings::{LobbyBypassSettings, MeetingOptions, NewOnlineMeeting, OnlineMeeting, OnlineMeetings};
pub use page::{ListPage, PageFrom};
pub use users::UserDirectory;

use crate::auth::entra::{self, Entra};
use crate::auth::{App, Authorized, Issuer};
use crate::config::BaseUrl;
use crate::http::retry::Repeat;
use crate::http::{Call, MAX_ANSWER_BYTES, Reply, RequestContext};
use crate::secrets::Secret;
use crate::startup::Startup;
use crate::telemetry::Upstream;
use users::ObjectIds;

/// The client. Each resource's file has a trait for a use case to ask for, beside its implementation; every method is
/// one remote operation. Clones share the token, the connections and what was looked up.
#[derive(Debug, Clone)]
pub struct GraphClient {
    remote: Arc<Authorized>,
    base: BaseUrl,
    object_ids: Arc<ObjectIds>,
}

impl GraphClient {
    /// A client whose calls go to `base`, which includes `/v1.0`.
    #[must_use]
    pub fn new(remote: Authorized, base: BaseUrl) -> Self {
        Self { remote: Arc::new(remote), base, object_ids: Arc::default() }
    }

    /// The client of the app in `ENTRA_SECRET_ID`, which the process has one of: `ENTRA_LOGIN_URL`, `GRAPH_URL`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        startup.shared(Self::from_settings)
    }

    fn from_settings(startup: &mut Startup<'_>) -> Option<Self> {
        let secret = Secret::from_startup(startup, &["ENTRA_SECRET_ID"]);
        let login = entra::login_url(startup.env);
        let base = startup.env.or("GRAPH_URL", "https://graph.microsoft.com/v1.0".parse::<BaseUrl>().ok()?);
        let (secret, login, base) = (secret?, login?, base?);
        let http = startup.http().clone();
        let entra = Entra::new(http.clone(), login, &base.origin(), secret);
        Some(Self::new(Authorized::new(http, Issuer::Entra(entra)), base))
    }

    /// Fetches the token and opens the connection, so that the first call finds both. A failure is only logged.
    pub async fn warm_up(&self, cx: &RequestContext) {
        let ((), token) = tokio::join!(self.remote.http.connect(self.base.join([])), self.remote.warm_up(cx));
        if let Err(error) = token {
            tracing::warn!(%error, "the Microsoft Graph token could not be fetched ahead of time");
        }
    }

    /// The app and the tenant that the calls are made as.
    ///
    /// # Errors
    /// [`GraphError::Auth`]
    pub async fn app(&self, cx: &RequestContext) -> Result<Arc<App>, GraphError> {
        Ok(self.remote.app(cx).await?)
    }

    /// Reads the resource that these path segments name, as JSON. `permission` is the application permission that it
    /// needs.
    ///
    /// # Errors
    /// [`GraphError`]
    pub(crate) async fn get_resource(
        &self,
        cx: &RequestContext,
        path: impl IntoIterator<Item = &str>,
        permission: &'static str,
    ) -> Result<Vec<u8>, GraphError> {
        let request = self.remote.http.get(self.base.join(path));
        Ok(self.send(cx, "get resource", permission, request).await?.body)
    }

    /// Makes a call. `permission` is the application permission that it needs, which the error names when it is
    /// missing.
    async fn send(
        &self,
        cx: &RequestContext,
        operation: &'static str,
        permission: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<Reply, GraphError> {
        let reply = self.reply(cx, operation, request).await?;
        if reply.status.is_success() { Ok(reply) } else { Err(GraphError::from_reply(&reply, permission)) }
    }

    /// Makes a call that may be retried, because Graph recognises the repetition or it changes nothing. Returns the
    /// answer, whatever its status.
    async fn reply(
        &self,
        cx: &RequestContext,
        operation: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<Reply, GraphError> {
        self.reply_to(cx, operation, Repeat::Always, request).await
    }

    /// As [`Self::reply`], for a call that may not be made twice.
    async fn reply_to(
        &self,
        cx: &RequestContext,
        operation: &'static str,
        repeat: Repeat,
        request: reqwest::RequestBuilder,
    ) -> Result<Reply, GraphError> {
        self.reply_up_to(cx, operation, repeat, request, MAX_ANSWER_BYTES).await
    }

    /// As [`Self::reply_to`], for an answer of at most this many bytes.
    async fn reply_up_to(
        &self,
        cx: &RequestContext,
        operation: &'static str,
        repeat: Repeat,
        request: reqwest::RequestBuilder,
        max_answer_bytes: usize,
    ) -> Result<Reply, GraphError> {
        let call = Call {
            upstream: Upstream::Graph,
            operation,
            repeat,
            remote_id_header: "request-id",
            max_answer_bytes,
            request: request.header("client-request-id", Uuid::new_v4().to_string()),
        };
        Ok(self.remote.send(cx, call).await?)
    }

    /// As [`Self::send`], and reads the answer's JSON.
    async fn fetch<T: DeserializeOwned>(
        &self,
        cx: &RequestContext,
        operation: &'static str,
        permission: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<(StatusCode, T), GraphError> {
        let reply = self.send(cx, operation, permission, request).await?;
        let body = reply.json().map_err(|error| GraphError::Unreadable { problem: error.to_string() })?;
        Ok((reply.status, body))
    }
}

/// A URL with a query whose spaces are `%20`: Graph's OData parser takes a `+` for itself.
fn with_query(mut url: reqwest::Url, pairs: &[(&str, &str)]) -> reqwest::Url {
    url.query_pairs_mut().extend_pairs(pairs);
    let query = url.query().unwrap_or_default().replace('+', "%20");
    url.set_query(Some(&query));
    url
}

#[cfg(test)]
mod tests;
