//! Conversation references in the DynamoDB table, one item for each user and chat. A removed one keeps its time alone.

use std::time::Duration;

use jiff::Timestamp;

use super::{ConversationReference, ConversationScope, REFERENCE_LIFE, REMOVAL_LIFE, References};
use crate::http::RequestContext;
use crate::startup::Startup;
use crate::store::dynamo::{Failure, Item, number, text, timed};
use crate::store::{RecordKey, StoreError, state_table};
use crate::teams::ServiceHosts;

/// The references in a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoReferences {
    client: aws_sdk_dynamodb::Client,
    table: String,
    hosts: ServiceHosts,
}

impl DynamoReferences {
    /// The references in this table. A service URL that it holds is believed only if its host is one of these.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String, hosts: ServiceHosts) -> Self {
        Self { client, table, hosts }
    }

    /// As [`Self::new`]: `STATE_TABLE`, `BOT_SERVICE_HOSTS`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let hosts = crate::teams::service_hosts(startup.env);
        let (client, table) = state_table(startup)?;
        Some(Self::new(client, table, hosts?))
    }

    fn reference(&self, key: &RecordKey, item: &Item) -> Result<Option<ConversationReference>, StoreError> {
        let text = |name: &str| item.get(name)?.as_s().ok();
        // Without a service URL it is a removal.
        let Some(url) = text("service_url") else { return Ok(None) };
        let service_url = match self.hosts.admit(url) {
            Ok(url) => url,
            Err(error) => {
                tracing::warn!(%error, key = key.as_str(), "a conversation reference is not used");
                return Ok(None);
            }
        };
        let read = || {
            Some(ConversationReference {
                service_url,
                conversation_id: text("conversation_id")?.clone(),
                tenant_id: text("tenant_id")?.clone(),
                bot_id: text("bot_id")?.clone(),
                scope: ConversationScope::parse(text("conversation_scope")?)?,
                last_seen: Timestamp::from_microsecond(item.get("seen_at")?.as_n().ok()?.parse().ok()?).ok()?,
            })
        };
        let unreadable =
            || StoreError(format!("the record {} cannot be read by this version of the bridge", key.as_str()));
        read().map(Some).ok_or_else(unreadable)
    }
}

fn expires(life: Duration) -> i64 {
    Timestamp::now().checked_add(life).unwrap_or(Timestamp::MAX).as_second()
}

fn done<T>(result: Result<T, Failure>) -> Result<bool, StoreError> {
    match result {
        Ok(_) => Ok(true),
        Err(Failure::ConditionFailed(_)) => Ok(false),
        Err(Failure::Other(cause)) => Err(StoreError(cause)),
    }
}

impl References for DynamoReferences {
    async fn renew(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        reference: &ConversationReference,
    ) -> Result<bool, StoreError> {
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(key.as_str()))
            .item("service_url", text(reference.service_url.as_str()))
            .item("conversation_id", text(&reference.conversation_id))
            .item("tenant_id", text(&reference.tenant_id))
            .item("bot_id", text(&reference.bot_id))
            .item("conversation_scope", text(reference.scope.as_str()))
            .item("seen_at", number(reference.last_seen.as_microsecond()))
            .item("expires", number(expires(REFERENCE_LIFE)))
            .condition_expression("attribute_not_exists(id) OR seen_at < :seen")
            .expression_attribute_values(":seen", number(reference.last_seen.as_microsecond()));
        done(timed(cx, "renew reference", request.send()).await)
    }

    async fn find(&self, cx: &RequestContext, key: &RecordKey) -> Result<Option<ConversationReference>, StoreError> {
        let request = self.client.get_item().table_name(&self.table).key("id", text(key.as_str()));
        let output = timed(cx, "find reference", request.consistent_read(true).send()).await?;
        output.item.as_ref().map_or(Ok(None), |item| self.reference(key, item))
    }

    async fn remove(&self, cx: &RequestContext, key: &RecordKey, as_of: Timestamp) -> Result<bool, StoreError> {
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(key.as_str()))
            .item("seen_at", number(as_of.as_microsecond()))
            .item("expires", number(expires(REMOVAL_LIFE)))
            .condition_expression("attribute_not_exists(id) OR seen_at <= :as_of")
            .expression_attribute_values(":as_of", number(as_of.as_microsecond()));
        done(timed(cx, "remove reference", request.send()).await)
    }
}
