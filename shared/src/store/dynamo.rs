//! Records in a DynamoDB table: one conditional write each, which returns the old item when it fails.
//!
//! Table: partition key `id` (S), TTL attribute `expires` (N, seconds). Attributes whose names DynamoDB reserves
//! (`owner`, `state`, `segments`) go by an alias.

use std::collections::HashMap;
use std::future::Future;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Claim, Claimed, RECORD_LIFE, Receipt, RecordKey, RecordState, Records, StoreError, StoredRecord, kind};
use crate::aws;
use crate::http::RequestContext;
use crate::startup::Startup;
use crate::telemetry::{CallRecord, Upstream};

type HttpResponse = aws_sdk_dynamodb::config::http::HttpResponse;
pub(super) type Item = HashMap<String, AttributeValue>;

/// The records in a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoRecords {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl DynamoRecords {
    /// The records in this table.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { client, table }
    }

    /// As [`Self::new`], in `STATE_TABLE`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let (client, table) = super::state_table(startup)?;
        Some(Self::new(client, table))
    }

    /// Opens the connection, so that the first claim finds it, by removing a record that does not exist. A failure is
    /// ignored.
    pub async fn warm_up(&self, cx: &RequestContext) {
        let _ = self.release(cx, &RecordKey(format!("{}#warm-up", kind::SMS)), "").await;
    }
}

impl Records for DynamoRecords {
    async fn claim(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let mut condition = "attribute_not_exists(id) OR expires <= :now".to_owned();
        if claim.resend {
            condition.push_str(" OR #state <> :sending OR deadline <= :now_ms");
        }
        let mut request = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(&key.0))
            .item("owner", text(&claim.owner))
            .item("state", text(SENDING))
            .item("deadline", number(claim.deadline.as_millisecond()))
            .item("expires", number((now + RECORD_LIFE).as_second()))
            .condition_expression(condition)
            .expression_attribute_values(":now", number(now.as_second()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if claim.resend {
            request = request
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":sending", text(SENDING))
                .expression_attribute_values(":now_ms", number(now.as_millisecond()));
        }
        match timed(cx, "put record", request.send()).await {
            Ok(_) => Ok(Claimed::Granted),
            Err(Failure::ConditionFailed(item)) => {
                let held = item.as_ref().and_then(record).ok_or_else(|| unreadable(key))?;
                // When its answer was lost, the SDK sends a put again; the record that it then finds is this very
                // claim.
                Ok(if held.owner == claim.owner { Claimed::Granted } else { Claimed::Held(held) })
            }
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        owner: &str,
        state: &RecordState,
    ) -> Result<(), StoreError> {
        let receipt = match state {
            RecordState::Accepted(receipt) => receipt.clone(),
            RecordState::Sending | RecordState::Unknown => Receipt::default(),
        };
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(&key.0))
            .update_expression(
                "SET #state = :state, message_id = :message, conversation_id = :conversation, #segments = :segments, \
                 text_hash = :text_hash, link_hash = :link_hash",
            )
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#segments", "segments")
            .expression_attribute_values(":state", text(state_name(state)))
            .expression_attribute_values(":message", text(&receipt.message_id))
            .expression_attribute_values(":conversation", text(&receipt.conversation_id))
            .expression_attribute_values(":segments", number(receipt.segments))
            .expression_attribute_values(":text_hash", text(&receipt.text_hash))
            .expression_attribute_values(":link_hash", text(&receipt.link_hash))
            .expression_attribute_values(":owner", text(owner));
        match timed(cx, "update record", request.send()).await {
            Ok(_) | Err(Failure::ConditionFailed(_)) => Ok(()),
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }

    async fn release(&self, cx: &RequestContext, key: &RecordKey, owner: &str) -> Result<(), StoreError> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("id", text(&key.0))
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(owner));
        match timed(cx, "delete record", request.send()).await {
            Ok(_) | Err(Failure::ConditionFailed(_)) => Ok(()),
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }
}

const SENDING: &str = "sending";
const ACCEPTED: &str = "accepted";
const UNKNOWN: &str = "unknown";

fn state_name(state: &RecordState) -> &'static str {
    match state {
        RecordState::Sending => SENDING,
        RecordState::Accepted(_) => ACCEPTED,
        RecordState::Unknown => UNKNOWN,
    }
}

fn record(item: &Item) -> Option<StoredRecord> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
    let state = match text("state")?.as_str() {
        SENDING => RecordState::Sending,
        ACCEPTED => RecordState::Accepted(Receipt {
            message_id: text("message_id")?,
            conversation_id: text("conversation_id")?,
            segments: u32::try_from(number("segments")?).ok()?,
            text_hash: text("text_hash")?,
            // Records that were written before links were compared have none.
            link_hash: text("link_hash").unwrap_or_default(),
        }),
        UNKNOWN => RecordState::Unknown,
        _ => return None,
    };
    Some(StoredRecord {
        owner: text("owner")?,
        state,
        deadline: Timestamp::from_millisecond(number("deadline")?).ok()?,
        expires: Timestamp::from_second(number("expires")?).ok()?,
    })
}

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn unreadable(key: &RecordKey) -> StoreError {
    StoreError(format!("the record {} cannot be read by this version of the bridge", key.0))
}

pub(super) enum Failure {
    ConditionFailed(Option<Item>),
    Other(String),
}

impl From<Failure> for StoreError {
    /// The error of a call that has no condition.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Other(cause) => Self(cause),
            Failure::ConditionFailed(_) => Self("the condition of a call failed that has none".into()),
        }
    }
}

/// The old item in the error of a conditional write that was refused.
pub(super) trait OldItem {
    fn old_item(&self) -> Option<Option<Item>> {
        None
    }
}

macro_rules! old_item {
    ($($error:path),*) => {$(
        impl OldItem for $error {
            fn old_item(&self) -> Option<Option<Item>> {
                match self {
                    Self::ConditionalCheckFailedException(failed) => Some(failed.item().cloned()),
                    _ => None,
                }
            }
        }
    )*};
}

old_item!(
    aws_sdk_dynamodb::operation::put_item::PutItemError,
    aws_sdk_dynamodb::operation::update_item::UpdateItemError,
    aws_sdk_dynamodb::operation::delete_item::DeleteItemError
);

// A read has no condition.
impl OldItem for aws_sdk_dynamodb::operation::query::QueryError {}
impl OldItem for aws_sdk_dynamodb::operation::get_item::GetItemError {}
impl OldItem for aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemError {}

pub(super) async fn timed<T, E>(
    cx: &RequestContext,
    operation: &'static str,
    send: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failure>
where
    E: OldItem + ProvideErrorMetadata + std::error::Error + 'static,
{
    let started = Instant::now();
    // A write after a message was sent may use the time that outbound calls keep back.
    let result = tokio::time::timeout(cx.deadline.for_the_answer(), Box::pin(send)).await;
    let status = match &result {
        Ok(Ok(_)) => 200,
        Ok(Err(error)) => error.raw_response().map_or(0, |raw| raw.status().as_u16()),
        Err(_) => 0,
    };
    cx.record.call(CallRecord {
        upstream: Upstream::State,
        operation,
        status,
        took: started.elapsed(),
        remote_id: String::new(),
    });
    match result {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(match error.as_service_error().and_then(OldItem::old_item) {
            Some(item) => Failure::ConditionFailed(item),
            None => Failure::Other(aws::describe(&error)),
        }),
        Err(_) => Err(Failure::Other("no answer in time".into())),
    }
}
