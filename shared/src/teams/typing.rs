//! Shows that somebody is typing.

use std::future::Future;
use std::time::Duration;

use serde_json::json;

use super::{ConversationAddress, ServiceUrl, TeamsClient, TeamsError};
use crate::http::retry::Repeat;
use crate::http::{Deadline, RequestContext};

/// How long an indicator may take. Later it would tell of a message that has come.
const TYPING_PATIENCE: Duration = Duration::from_secs(3);

/// Shows the typing indicator in conversations.
pub trait BotTyping: Send + Sync {
    /// Shows that somebody is typing. `false` when it was left out: the indicator was shown less than five seconds ago,
    /// or the conversation has no turn just now. It counts as a message for Teams' limits, and is worth no wait.
    ///
    /// # Errors
    /// [`TeamsError`]
    fn show_typing(
        &self,
        cx: &RequestContext,
        to: ConversationAddress<'_>,
    ) -> impl Future<Output = Result<bool, TeamsError>> + Send;
}

impl BotTyping for TeamsClient {
    /// `POST {serviceUrl}/v3/conversations/{conversationId}/activities`
    async fn show_typing(&self, cx: &RequestContext, to: ConversationAddress<'_>) -> Result<bool, TeamsError> {
        if !self.pace.may_show_typing(to.conversation_id) {
            return Ok(false);
        }
        let deadline = Deadline::after(cx.deadline.until_end().min(TYPING_PATIENCE));
        let cx = &RequestContext { deadline, ..cx.clone() };
        let path = ["v3", "conversations", to.conversation_id, "activities"];
        let request = |at: &ServiceUrl| self.remote.http.post(at.join(path)).json(&json!({"type": "typing"}));
        self.call(cx, to, "show typing", Repeat::Always, request).await?;
        Ok(true)
    }
}
