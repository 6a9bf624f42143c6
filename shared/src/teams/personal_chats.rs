//! Opens the chat of the bot and one person, who may never have written to it.

use std::future::Future;

use serde::{Deserialize, Serialize};

use super::{ConversationAddress, ServiceUrl, TeamsClient, TeamsError};
use crate::http::RequestContext;
use crate::http::retry::Repeat;

/// The chat of the bot and a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalChat {
    /// The conversation, as Teams names it: `a:…`.
    pub conversation_id: String,
    /// The service URL to keep for it.
    pub service_url: ServiceUrl,
}

/// Opens personal chats.
pub trait PersonalChats: Send + Sync {
    /// The chat of the bot and a person, who is named by the Entra object id or by the id that the bot knows (`29:…`).
    /// An e-mail address and a user principal name do not work. Teams gives the same chat each time, so the call is
    /// retried. The app has to be installed for the person.
    ///
    /// # Errors
    /// [`TeamsError`]; `NotInstalled` where the app is not installed for the person.
    fn open_personal_chat(
        &self,
        cx: &RequestContext,
        service_url: &ServiceUrl,
        tenant_id: &str,
        user_id: &str,
    ) -> impl Future<Output = Result<PersonalChat, TeamsError>> + Send;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewConversation<'a> {
    bot: Named<'a>,
    is_group: bool,
    members: [Named<'a>; 1],
    tenant_id: &'a str,
    channel_data: ChannelData<'a>,
}

#[derive(Serialize)]
struct ChannelData<'a> {
    tenant: Named<'a>,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Opened {
    id: Option<String>,
    service_url: Option<String>,
}

impl PersonalChats for TeamsClient {
    /// `POST {serviceUrl}/v3/conversations`
    async fn open_personal_chat(
        &self,
        cx: &RequestContext,
        service_url: &ServiceUrl,
        tenant_id: &str,
        user_id: &str,
    ) -> Result<PersonalChat, TeamsError> {
        let bot_id = format!("28:{}", self.remote.app(cx).await?.client_id);
        let body = NewConversation {
            bot: Named { id: &bot_id },
            is_group: false,
            members: [Named { id: user_id }],
            tenant_id,
            channel_data: ChannelData { tenant: Named { id: tenant_id } },
        };
        // Nobody knows the conversation yet: its limit is counted for the person.
        let to = ConversationAddress { service_url, conversation_id: user_id };
        let request = |at: &ServiceUrl| self.remote.http.post(at.join(["v3", "conversations"])).json(&body);
        let taken = self.call(cx, to, "create conversation", Repeat::Always, request).await?;
        let Opened { id, service_url: named } = taken.reply.json().unwrap_or_default();
        let conversation_id = id.filter(|id| !id.is_empty()).ok_or(TeamsError::Unreadable)?;
        // What the answer names may see the token only if it is on the list, as everything else.
        let named = named.and_then(|url| self.hosts.admit(&url).ok());
        let service_url = named.or(taken.moved_to).unwrap_or_else(|| service_url.clone());
        Ok(PersonalChat { conversation_id, service_url })
    }
}
