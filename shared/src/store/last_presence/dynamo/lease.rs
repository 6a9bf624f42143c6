//! The lease of the sending: one record, each write of which is conditional on its holder.

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use uuid::Uuid;

use super::super::{LeaseAnswer, SenderLease};
use super::{DynamoLastPresences, expires};
use crate::http::RequestContext;
use crate::store::dynamo::{Failure, Item, number, text, timed};
use crate::store::{StoreError, kind};

/// The holder of a lease that was given back.
const NOBODY: &str = "nobody";

/// The id of the lease's record.
fn lease() -> String {
    format!("{}#sender", kind::PRESENCE)
}

fn holder_of(item: &Item) -> Option<Uuid> {
    item.get("holder")?.as_s().ok()?.parse().ok()
}

fn until_of(item: &Item) -> Option<Timestamp> {
    Timestamp::from_millisecond(item.get("held_until")?.as_n().ok()?.parse().ok()?).ok()
}

impl SenderLease for DynamoLastPresences {
    async fn lease(
        &self,
        cx: &RequestContext,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<LeaseAnswer, StoreError> {
        // What the record says besides is in the answer, and is over with that.
        let request = self
            .update(&lease())
            .update_expression("SET holder = :holder, held_until = :until, expires = :expires REMOVE emptied, word")
            .condition_expression("attribute_not_exists(id) OR holder = :holder OR held_until <= :now")
            .expression_attribute_values(":holder", text(&holder.to_string()))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .expression_attribute_values(":expires", number(expires()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match timed(cx, "lease the sending", request.send()).await {
            Ok(output) => {
                let before = output.attributes.unwrap_or_default();
                let was_emptied = holder_of(&before) == Some(holder) || before.contains_key("emptied");
                Ok(LeaseAnswer::Held { unseen: !was_emptied || before.contains_key("word") })
            }
            Err(Failure::ConditionFailed(item)) => {
                let item = item.unwrap_or_default();
                Ok(LeaseAnswer::Taken { by: holder_of(&item), until: until_of(&item).unwrap_or(now) })
            }
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }

    async fn leave_word(&self, cx: &RequestContext, holder: Option<Uuid>) -> Result<bool, StoreError> {
        let request = self
            .update(&lease())
            .update_expression("SET word = :word")
            .condition_expression("holder = :holder")
            .expression_attribute_values(":word", number(1))
            .expression_attribute_values(":holder", text(&holder.map_or_else(|| NOBODY.into(), |id| id.to_string())));
        match timed(cx, "leave word for the sender", request.send()).await {
            Ok(_) => Ok(true),
            Err(Failure::ConditionFailed(_)) => Ok(false),
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }

    async fn give_back(
        &self,
        cx: &RequestContext,
        holder: Uuid,
        until: Timestamp,
        emptied: bool,
    ) -> Result<bool, StoreError> {
        let request = self
            .update(&lease())
            .expression_attribute_values(":holder", text(&holder.to_string()))
            .expression_attribute_values(":nobody", text(NOBODY))
            .expression_attribute_values(":until", number(until.as_millisecond()));
        let request = if emptied {
            request
                .update_expression("SET holder = :nobody, held_until = :until, emptied = :emptied")
                .condition_expression("holder = :holder AND attribute_not_exists(word)")
                .expression_attribute_values(":emptied", number(1))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        } else {
            request
                .update_expression("SET holder = :nobody, held_until = :until")
                .condition_expression("holder = :holder")
        };
        match timed(cx, "give the sending back", request.send()).await {
            Ok(_) => Ok(true),
            // With a holder of its own by now, the lease is not this instance's to give back.
            Err(Failure::ConditionFailed(item)) => Ok(item.as_ref().and_then(holder_of) != Some(holder)),
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }
}
