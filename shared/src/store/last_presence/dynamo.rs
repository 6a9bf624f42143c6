//! Last presences in the DynamoDB table, one item a user. Every write is conditional and brings the old item back.

use std::time::Duration;

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Advanced, LastPresence, LastPresences, Sent, Settled, Wanted};
use crate::http::RequestContext;
use crate::store::dynamo::{Failure, Item, number, text, timed};
use crate::store::{StoreError, kind};

/// How long a user is remembered who does not change: longer than a queue keeps an old event.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Last presences in a table.
#[derive(Debug, Clone)]
pub struct DynamoLastPresences {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl DynamoLastPresences {
    /// Last presences in this table.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { client, table }
    }
}

fn key(user: Uuid) -> String {
    format!("{}#{user}", kind::PRESENCE)
}

fn unreadable(user: Uuid) -> StoreError {
    StoreError(format!("the record {} is not one of this version", key(user)))
}

impl LastPresences for DynamoLastPresences {
    async fn advance(&self, cx: &RequestContext, user: Uuid, wanted: &Wanted) -> Result<Advanced, StoreError> {
        let expires = Timestamp::now().checked_add(LIFE).unwrap_or(Timestamp::MAX);
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(&key(user)))
            .update_expression("SET modified = :modified, wanted = :wanted, urgent = :urgent, expires = :expires")
            .condition_expression("attribute_not_exists(id) OR modified < :modified")
            .expression_attribute_values(":modified", number(wanted.modified.as_millisecond()))
            .expression_attribute_values(":wanted", text(&wanted.target))
            .expression_attribute_values(":urgent", number(u8::from(wanted.urgent)))
            .expression_attribute_values(":expires", number(expires.as_second()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match timed(cx, "advance presence", request.send()).await {
            Ok(output) => Ok(Advanced::Newest(output.attributes.as_ref().and_then(last_presence))),
            Err(Failure::ConditionFailed(item)) => {
                let known = item.as_ref().and_then(last_presence).ok_or_else(|| unreadable(user))?;
                Ok(Advanced::Known(known))
            }
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }

    async fn ending(
        &self,
        cx: &RequestContext,
        before: Timestamp,
        event_after: Timestamp,
        most: usize,
    ) -> Result<Vec<(Uuid, LastPresence)>, StoreError> {
        let mut ending = Vec::new();
        let mut from = None;
        loop {
            let request = self
                .client
                .scan()
                .table_name(&self.table)
                .filter_expression(
                    "begins_with(id, :key) AND sent_until < :before AND modified > :after AND sent = wanted",
                )
                .expression_attribute_values(":key", text(&format!("{}#", kind::PRESENCE)))
                .expression_attribute_values(":before", number(before.as_millisecond()))
                .expression_attribute_values(":after", number(event_after.as_millisecond()))
                .set_exclusive_start_key(from);
            let page = match timed(cx, "find ending presences", request.send()).await {
                Ok(page) => page,
                Err(Failure::ConditionFailed(_)) => return Err(StoreError("a read failed on a condition".into())),
                Err(Failure::Other(cause)) => return Err(StoreError(cause)),
            };
            let found = page.items.unwrap_or_default();
            ending.extend(found.iter().filter_map(user_and_presence).filter(|(_, last)| last.is_shown()));
            ending.truncate(most);
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() || ending.len() == most {
                return Ok(ending);
            }
        }
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        sent: &Sent,
    ) -> Result<Settled, StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(&key(user)))
            .update_expression("SET sent = :sent, sent_until = :until, teams_user = :teams, linked = :linked")
            .condition_expression("modified = :modified")
            .expression_attribute_values(":modified", number(modified.as_millisecond()))
            .expression_attribute_values(":sent", text(&sent.target))
            .expression_attribute_values(":until", number(sent.until.as_millisecond()))
            .expression_attribute_values(":teams", text(&sent.teams_user.to_string()))
            .expression_attribute_values(":linked", number(sent.linked.as_millisecond()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match timed(cx, "settle presence", request.send()).await {
            // No item: it expired while this was sent, and there is nothing newer.
            Ok(_) | Err(Failure::ConditionFailed(None)) => Ok(Settled::Done),
            Err(Failure::ConditionFailed(Some(item))) => {
                let known = last_presence(&item).ok_or_else(|| unreadable(user))?;
                Ok(Settled::Overtaken(known.wanted))
            }
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }
}

fn user_and_presence(item: &Item) -> Option<(Uuid, LastPresence)> {
    let user = item.get("id")?.as_s().ok()?.strip_prefix(kind::PRESENCE)?.strip_prefix('#')?.parse().ok()?;
    Some((user, last_presence(item)?))
}

fn last_presence(item: &Item) -> Option<LastPresence> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
    let time = |name: &str| Timestamp::from_millisecond(number(name)?).ok();
    let wanted = Wanted { modified: time("modified")?, target: text("wanted")?, urgent: number("urgent")? != 0 };
    let sent = || {
        Some(Sent {
            target: text("sent")?,
            until: time("sent_until")?,
            teams_user: text("teams_user")?.parse().ok()?,
            linked: time("linked")?,
        })
    };
    Some(LastPresence { wanted, sent: sent() })
}
