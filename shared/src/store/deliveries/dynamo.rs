//! Deliveries in the DynamoDB table, one item for each resource.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Begun, DELIVERY_LIFE, Deliveries, Lease, LeaseEnd};
use crate::http::RequestContext;
use crate::startup::Startup;
use crate::store::dynamo::{Failure, Item, number, text, timed};
use crate::store::state_table;
use crate::store::{RecordKey, StoreError};

/// The deliveries in a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoDeliveries {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl DynamoDeliveries {
    /// The deliveries in this table.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { client, table }
    }

    /// As [`Self::new`], in `STATE_TABLE`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let (client, table) = state_table(startup)?;
        Some(Self::new(client, table))
    }

    async fn update(
        &self,
        cx: &RequestContext,
        operation: &'static str,
        request: UpdateItemFluentBuilder,
    ) -> Result<(), StoreError> {
        match timed(cx, operation, request.send()).await {
            Ok(_) | Err(Failure::ConditionFailed(_)) => Ok(()),
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }
}

fn integer(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn delivered(item: &Item) -> Option<i64> {
    integer(item, "delivered")
}

/// A count of tries; 0 where there is none.
fn count(item: Option<&Item>, name: &str) -> u32 {
    item.and_then(|item| integer(item, name)).and_then(|count| u32::try_from(count).ok()).unwrap_or_default()
}

impl Deliveries for DynamoDeliveries {
    async fn begin(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        version: i64,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        let expires = now.checked_add(DELIVERY_LIFE).unwrap_or(Timestamp::MAX);
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(key.as_str()))
            // The try counts as doubtful until its outcome is known. If the process dies, it stays counted.
            .update_expression("SET #owner = :owner, lease = :lease, expires = :expires ADD doubts :one, tries :one")
            .condition_expression(
                "(attribute_not_exists(delivered) OR delivered < :version) AND (attribute_not_exists(lease) OR lease <= :now)",
            )
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(&lease.owner.to_string()))
            .expression_attribute_values(":version", number(version))
            .expression_attribute_values(":lease", number(lease.until.as_millisecond()))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":expires", number(expires.as_second()))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match timed(cx, "begin delivery", request.send()).await {
            Ok(output) => {
                let item = output.attributes.as_ref();
                let (doubts, tries) = (count(item, "doubts"), count(item, "tries"));
                Ok(Begun::Granted { before: item.and_then(delivered), doubts, tries })
            }
            Err(Failure::ConditionFailed(item)) => {
                let before = item.as_ref().and_then(delivered);
                let owner = item.as_ref().and_then(|item| item.get("owner")?.as_s().ok());
                // This very invocation has the lease, and the answer to its first write was lost.
                let is_ours = owner.is_some_and(|owner| *owner == lease.owner.to_string());
                Ok(match before {
                    Some(before) if before >= version => Begun::Delivered,
                    before if is_ours => {
                        // Its own try is counted already.
                        let [doubts, tries] =
                            ["doubts", "tries"].map(|name| count(item.as_ref(), name).saturating_sub(1));
                        Begun::Granted { before, doubts, tries }
                    }
                    _ => Begun::InProgress,
                })
            }
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }

    async fn delivered(&self, cx: &RequestContext, key: &RecordKey) -> Result<Option<i64>, StoreError> {
        // A consistent read would cost twice as much. A version that is not seen here is seen when it is begun.
        let request = self.client.get_item().table_name(&self.table).key("id", text(key.as_str()));
        let output = timed(cx, "look up delivery", request.projection_expression("delivered").send()).await?;
        Ok(output.item.as_ref().and_then(delivered))
    }

    async fn end(&self, cx: &RequestContext, key: &RecordKey, owner: Uuid, end: LeaseEnd) -> Result<(), StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(key.as_str()))
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(&owner.to_string()));
        let request = match end {
            LeaseEnd::Delivered(version) => request
                .update_expression("SET delivered = :version REMOVE lease, #owner, doubts, tries")
                .expression_attribute_values(":version", number(version)),
            LeaseEnd::Failed => request
                .update_expression("REMOVE lease, #owner ADD doubts :less")
                .expression_attribute_values(":less", number(-1)),
            LeaseEnd::InDoubt => request.update_expression("REMOVE lease, #owner"),
        };
        self.update(cx, "end delivery", request).await
    }

    async fn forget_doubts(&self, cx: &RequestContext, key: &RecordKey) -> Result<(), StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(key.as_str()))
            // An invocation that holds the lease still counts.
            .condition_expression("attribute_exists(doubts) AND attribute_not_exists(#owner)")
            .expression_attribute_names("#owner", "owner")
            .update_expression("REMOVE doubts, tries");
        self.update(cx, "forget doubts", request).await
    }
}
