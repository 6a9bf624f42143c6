//! The client of the Bot Connector, by which the bridge's bot writes in Microsoft Teams.
//!
//! The bot's token leaves for the exact hosts of `BOT_SERVICE_HOSTS` only, and only for a service URL that a verified
//! activity named or a stored reference holds: a [`ServiceUrl`].
//!
//! The connector has no key by which it recognises a message that is sent twice. So what people wrote is sent again
//! only when Teams certainly has not taken it; corrections, deletions and typing are harmless twice and are retried.
//!
//! <https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference>
//! <https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/send-and-receive-messages>

mod corrections;
mod error;
mod message;
mod messages;
mod pace;
mod personal_chats;
mod service_url;
mod typing;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};

pub use corrections::BotCorrections;
pub use error::TeamsError;
pub use message::{BotMessage, MOST_MESSAGE_BYTES, MOST_TEXT_BYTES, Mention, MessageContent, TextFormat};
pub use messages::{BotMessages, SentMessage};
pub use personal_chats::{PersonalChat, PersonalChats};
pub use service_url::{ServiceHosts, ServiceUrl, ServiceUrlError};
pub use typing::BotTyping;

use crate::auth::entra::{self, Entra};
use crate::auth::{Authorized, Issuer};
use crate::config::{Environment, Origin};
use crate::http::retry::{self, Ending, Repeat};
use crate::http::{Call, MAX_ANSWER_BYTES, Reply, RequestContext};
use crate::secrets::Secret;
use crate::startup::Startup;
use crate::telemetry::Upstream;
use pace::BotPace;

/// Where a person is reached who never wrote, in the public cloud: Teams then names the URL of the conversation.
const FIRST_SERVICE_URL: &str = "https://smba.trafficmanager.net/teams/";

/// How long a conversation is left alone after a 429 that does not say.
const PAUSE_WHEN_THROTTLED: Duration = Duration::from_secs(5);

/// The client. Each capability's file has a trait for a use case to ask for, beside its implementation; every method is
/// one remote operation. Clones share the token, the connections and the pace.
///
/// The pace is that of this process: other instances, and other bots in the same conversation, are told of by Teams
/// itself, with a 429.
#[derive(Debug, Clone)]
pub struct TeamsClient {
    remote: Arc<Authorized>,
    hosts: ServiceHosts,
    first: ServiceUrl,
    /// Where tenants of GCC are served, if that host may see the token.
    gcc: Option<ServiceUrl>,
    pace: Arc<BotPace>,
}

/// A conversation, and where its service is.
#[derive(Debug, Clone, Copy)]
pub struct ConversationAddress<'a> {
    /// The base of the connector for the conversation.
    pub service_url: &'a ServiceUrl,
    /// The conversation, as Teams names it.
    pub conversation_id: &'a str,
}

/// The outcome of a call that Teams has taken.
struct Taken {
    reply: Reply,
    /// The service URL that took it, where it is another one than was asked.
    moved_to: Option<ServiceUrl>,
}

/// The hosts that may see the bot's token: `BOT_SERVICE_HOSTS`, else Microsoft's own.
pub(crate) fn service_hosts(env: &mut Environment) -> Option<ServiceHosts> {
    env.optional("BOT_SERVICE_HOSTS").or_else(ServiceHosts::of_microsoft)
}

/// `BOT_SERVICE_URL`, else the public cloud's; it has to be on the list.
fn first_service_url(env: &mut Environment, hosts: &ServiceHosts) -> Option<ServiceUrl> {
    let url: String = env.or("BOT_SERVICE_URL", FIRST_SERVICE_URL.to_owned())?;
    hosts.admit(&url).map_err(|error| env.problem(format!("BOT_SERVICE_URL: {error}"))).ok()
}

/// The Bot Framework as a resource of Entra ID, in the cloud of this login host.
fn resource(login: &Origin) -> &'static str {
    match login.join([]).host_str() {
        Some("login.microsoftonline.us") => "https://api.botframework.us",
        Some("login.partner.microsoftonline.cn" | "login.chinacloudapi.cn") => "https://api.botframework.azure.cn",
        _ => "https://api.botframework.com",
    }
}

impl TeamsClient {
    /// A client whose calls go to these hosts alone. `first` is where a person is reached who never wrote.
    #[must_use]
    pub fn new(remote: Authorized, hosts: ServiceHosts, first: ServiceUrl) -> Self {
        let gcc = hosts.gcc();
        Self { remote: Arc::new(remote), hosts, first, gcc, pace: Arc::default() }
    }

    /// The client of the app in `BOT_SECRET_ID`, or in `ENTRA_SECRET_ID` where that is unset, shared by all rooms that
    /// ask for it: `ENTRA_LOGIN_URL`, `BOT_SERVICE_HOSTS`, `BOT_SERVICE_URL`.
    ///
    /// The bot's app id is that of the credential, so that it always fits the token.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        startup.shared(Self::from_settings)
    }

    fn from_settings(startup: &mut Startup<'_>) -> Option<Self> {
        let secret = Secret::from_startup(startup, &["BOT_SECRET_ID", "ENTRA_SECRET_ID"]);
        let login = entra::login_url(startup.env);
        let hosts = service_hosts(startup.env);
        let first = match &hosts {
            Some(hosts) => first_service_url(startup.env, hosts),
            None => None,
        };
        let (secret, login, hosts, first) = (secret?, login?, hosts?, first?);
        let http = startup.http().clone();
        let entra = Entra::new(http.clone(), login.clone(), resource(&login), secret);
        Some(Self::new(Authorized::new(http, Issuer::Entra(entra)), hosts, first))
    }

    /// Fetches the token and opens the connection, so that the first call finds both. A failure is only logged.
    pub async fn warm_up(&self, cx: &RequestContext) {
        let ((), token) = tokio::join!(self.remote.http.connect(self.first.root()), self.remote.warm_up(cx));
        if let Err(error) = token {
            tracing::warn!(%error, "the bot's token could not be fetched ahead of time");
        }
    }

    /// Where a person is reached who never wrote to the bot.
    #[must_use]
    pub fn first_service_url(&self) -> &ServiceUrl {
        &self.first
    }

    /// Waits for the conversation's turn, and makes the call. It is made again where Teams has certainly not taken it
    /// and names a reason that passes (412, 429), where `repeat` says that it is harmless (408, 5xx), and once at GCC's
    /// host where Teams says that the tenant is there.
    async fn call(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
        operation: &'static str,
        repeat: Repeat,
        request: impl Fn(&ServiceUrl) -> RequestBuilder,
    ) -> Result<Taken, TeamsError> {
        let mut moved_to: Option<ServiceUrl> = None;
        let mut attempt = 1;
        loop {
            let patience = cx.deadline.for_a_call();
            let wait = self.pace.ready(to.conversation_id, patience).await;
            wait.map_err(|wait| TeamsError::Throttled { retry_after: Some(wait) })?;
            let reply =
                self.attempt(cx, operation, repeat, request(moved_to.as_ref().unwrap_or(to.service_url))).await?;
            if reply.status.is_success() {
                return Ok(Taken { reply, moved_to });
            }
            let error = TeamsError::from_reply(&reply);
            let ending = match (&error, reply.status) {
                (TeamsError::OtherHost, _) if moved_to.is_none() && self.gcc.is_some() => {
                    moved_to.clone_from(&self.gcc);
                    continue;
                }
                (TeamsError::Throttled { retry_after }, _) => {
                    self.pace.hold(to.conversation_id, retry_after.unwrap_or(PAUSE_WHEN_THROTTLED));
                    return Err(error);
                }
                // Another operation on the conversation was faster: nothing was done.
                (TeamsError::Busy, _) => Ending::NotSent,
                (_, StatusCode::REQUEST_TIMEOUT) => Ending::Ambiguous,
                _ => return Err(error),
            };
            let left = cx.deadline.for_a_call();
            let Some(pause) = retry::pause(ending, attempt, repeat, left, fastrand::f64()) else {
                return Err(error);
            };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        cx: &RequestContext,
        operation: &'static str,
        repeat: Repeat,
        request: RequestBuilder,
    ) -> Result<Reply, TeamsError> {
        let call = Call {
            upstream: Upstream::Teams,
            operation,
            repeat,
            remote_id_header: "ms-cv",
            max_answer_bytes: MAX_ANSWER_BYTES,
            request,
        };
        Ok(self.remote.send(cx, call).await?)
    }
}

#[cfg(test)]
mod tests;
