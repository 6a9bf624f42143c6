//! Deliveries in the DynamoDB table, one item a resource.

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Begun, DELIVERY_LIFE, Deliveries, Lease};
use crate::http::RequestContext;
use crate::store::dynamo::{Failure, Item, number, text, timed};
use crate::store::{RecordKey, StoreError};

/// Deliveries in a table.
#[derive(Debug, Clone)]
pub struct DynamoDeliveries {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl DynamoDeliveries {
    /// Deliveries in this table.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { client, table }
    }

    /// Ends the owner's lease, and notes the version when it was delivered; an item that another has taken since is theirs.
    async fn end(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        delivered: Option<i64>,
        owner: Uuid,
    ) -> Result<(), StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(key.as_str()))
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(&owner.to_string()));
        let request = match delivered {
            Some(version) => request
                .update_expression("SET delivered = :version REMOVE lease, #owner")
                .expression_attribute_values(":version", number(version)),
            None => request.update_expression("REMOVE lease, #owner"),
        };
        match timed(cx, "end delivery", request.send()).await {
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
            .update_expression("SET #owner = :owner, lease = :lease, expires = :expires")
            .condition_expression(
                "(attribute_not_exists(delivered) OR delivered < :version) AND (attribute_not_exists(lease) OR lease <= :now)",
            )
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(&lease.owner.to_string()))
            .expression_attribute_values(":version", number(version))
            .expression_attribute_values(":lease", number(lease.until.as_millisecond()))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":expires", number(expires.as_second()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match timed(cx, "begin delivery", request.send()).await {
            Ok(output) => Ok(Begun::Granted { before: output.attributes.as_ref().and_then(delivered) }),
            Err(Failure::ConditionFailed(item)) => {
                let before = item.as_ref().and_then(delivered);
                let owner = item.as_ref().and_then(|item| item.get("owner")?.as_s().ok());
                // Taken by this very invocation, which has lost the answer.
                let is_ours = owner.is_some_and(|owner| *owner == lease.owner.to_string());
                Ok(match before {
                    Some(before) if before >= version => Begun::Delivered,
                    before if is_ours => Begun::Granted { before },
                    _ => Begun::InProgress,
                })
            }
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }

    async fn delivered(&self, cx: &RequestContext, key: &RecordKey) -> Result<Option<i64>, StoreError> {
        // Not a consistent read, which costs twice as much: who is told of nothing looks again when it takes the version.
        let request = self.client.get_item().table_name(&self.table).key("id", text(key.as_str()));
        let output = timed(cx, "look up delivery", request.projection_expression("delivered").send()).await?;
        Ok(output.item.as_ref().and_then(delivered))
    }

    async fn done(&self, cx: &RequestContext, key: &RecordKey, version: i64, owner: Uuid) -> Result<(), StoreError> {
        self.end(cx, key, Some(version), owner).await
    }

    async fn give_up(&self, cx: &RequestContext, key: &RecordKey, owner: Uuid) -> Result<(), StoreError> {
        self.end(cx, key, None, owner).await
    }
}
