//! An activity: the JSON that the Bot Framework posts for everything that happens in a conversation.
//!
//! Unknown types, names and fields come without notice, and people decide what parts of it contain. So an activity is
//! read leniently: a field that is missing, or that is no text, is an empty one.
//!
//! <https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference#activity-object>

use std::fmt;

use serde_json::{Map, Value};

use crate::chat::lenient_json::read_json;

/// The largest body that is read. A message in Teams has at most 100 KB in UTF-16, which are 150 KB in UTF-8; they come
/// twice, as text and as HTML, beside the entities and attachments.
pub(crate) const MAX_ACTIVITY_BYTES: usize = 512 * 1024;

/// An activity, as it was posted.
#[derive(Clone, PartialEq)]
pub struct Activity(Map<String, Value>);

// The words of a person do not belong in a log.
impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity").field("type", &self.kind()).field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Activity {
    /// Reads a body; `None` when it is no JSON object, or is nested more than 127 deep. Of two fields of one name the
    /// last counts, here and for all who are given the activity.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        read_json(body).map(Self)
    }

    /// The type: `message`, `messageUpdate`, `conversationUpdate`, `invoke` and others.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text(&["type"])
    }

    /// The name of an invoke or event, such as `adaptiveCard/action`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text(&["name"])
    }

    /// The id: a time in milliseconds for a message, else any text.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text(&["id"])
    }

    /// The id of the conversation; in a channel's messages with the thread at its end.
    #[must_use]
    pub fn conversation_id(&self) -> &str {
        self.text(&["conversation", "id"])
    }

    /// Whether the sender waits for a body.
    #[must_use]
    pub fn is_invoke(&self) -> bool {
        self.kind() == "invoke"
    }

    /// All fields.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The channel, which is `msteams` for Teams.
    pub(super) fn channel_id(&self) -> &str {
        self.text(&["channelId"])
    }

    /// The address that answers go to, before it is compared with the signed one.
    pub(super) fn service_url(&self) -> &str {
        self.text(&["serviceUrl"])
    }

    /// The bot that the activity is for.
    pub(super) fn recipient_id(&self) -> &str {
        self.text(&["recipient", "id"])
    }

    /// The tenants that own the conversation, as the activity names them: one tenant, in two places.
    pub(super) fn tenant_ids(&self) -> impl Iterator<Item = &Value> {
        let places = [self.field(&["conversation", "tenantId"]), self.field(&["channelData", "tenant", "id"])];
        places.into_iter().flatten().filter(|tenant| !tenant.is_null())
    }

    fn text(&self, path: &[&str]) -> &str {
        self.field(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn field(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(*first)?, |value, name| value.get(*name))
    }
}
