//! Last presences in the DynamoDB table, one item for each user. Every write about an event is conditional and returns
//! the old item. The sparse index `turns` has the items with a turn.

mod lease;
mod links;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Advanced, DueTurns, LastPresence, LastPresences, Reason, SentPresence, Settled, TeamsLink, Turn, TurnPlan,
    WantedPresence,
};
use crate::http::RequestContext;
use crate::startup::Startup;
use crate::store::dynamo::{Failure, Item, number, text, timed};
use crate::store::state_table;
use crate::store::{StoreError, kind};

/// How long a user without changes is remembered: longer than a queue keeps an old event.
const LAST_PRESENCE_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The index of turns. It holds only the keys, by reason and time.
const TURNS: &str = "turns";

/// The parts of the index for each reason, so that a shift change does not write into one partition: DynamoDB lets a
/// partition take 1,000 writes a second.
const PARTS: u128 = 4;

/// The most items that DynamoDB returns at once.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const MOST_ITEMS: usize = 100;

/// How many times items that DynamoDB leaves unread are asked for, and how far apart.
const READS: usize = 4;
const BETWEEN_READS: Duration = Duration::from_millis(50);

/// The last presences in a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoLastPresences {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl DynamoLastPresences {
    /// The last presences in this table.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { client, table }
    }

    /// The last presences in the table that `STATE_TABLE` names.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let (client, table) = state_table(startup)?;
        Some(Self::new(client, table))
    }

    fn update(&self, id: &str) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).key("id", text(id))
    }
}

fn key(user: Uuid) -> String {
    format!("{}#{user}", kind::PRESENCE)
}

fn part(reason: Reason, part: u128) -> String {
    let reason = match reason {
        Reason::Urgent => "urgent",
        Reason::Change => "change",
        Reason::Unlinked => "unlinked",
        Reason::Renewal => "renewal",
    };
    format!("{}#{reason}#{part}", kind::PRESENCE)
}

fn unreadable(user: Uuid) -> StoreError {
    StoreError(format!("the record {} is not one of this version", key(user)))
}

fn expires() -> i64 {
    Timestamp::now().checked_add(LAST_PRESENCE_LIFE).unwrap_or(Timestamp::MAX).as_second()
}

/// The parts of an update that set a turn or take it away.
macro_rules! with_turn {
    ($request:expr, $user:expr, $set:expr, $turn:expr) => {
        match $turn {
            Some(Turn { reason, at }) => $request
                .update_expression(format!("{}, turn = :turn, turn_at = :turn_at", $set))
                .expression_attribute_values(":turn", text(&part(reason, $user.as_u128() % PARTS)))
                .expression_attribute_values(":turn_at", number(at.as_millisecond())),
            None => $request.update_expression(format!("{} REMOVE turn, turn_at", $set)),
        }
    };
}

impl LastPresences for DynamoLastPresences {
    async fn advance(
        &self,
        cx: &RequestContext,
        user: Uuid,
        wanted: &WantedPresence,
        turn: Option<Turn>,
        now: Timestamp,
    ) -> Result<Advanced, StoreError> {
        let set = "SET modified = :modified, wanted = :wanted, urgent = :urgent, tries = :none, seen = :now, \
                   expires = :expires";
        let request = with_turn!(self.update(&key(user)), user, set, turn)
            .condition_expression("attribute_not_exists(modified) OR modified < :modified")
            .expression_attribute_values(":modified", number(wanted.modified.as_millisecond()))
            .expression_attribute_values(":wanted", text(&wanted.target))
            .expression_attribute_values(":urgent", number(u8::from(wanted.urgent)))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":expires", number(expires()))
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

    async fn plan(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        plan: &TurnPlan,
    ) -> Result<(), StoreError> {
        let request = with_turn!(self.update(&key(user)), user, "SET tries = :tries, seen = :seen", plan.turn)
            .condition_expression("modified = :modified")
            .expression_attribute_values(":modified", number(modified.as_millisecond()))
            .expression_attribute_values(":tries", number(plan.tries))
            .expression_attribute_values(":seen", number(plan.seen.as_millisecond()));
        match timed(cx, "plan presence", request.send()).await {
            Ok(_) | Err(Failure::ConditionFailed(_)) => Ok(()),
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        sent: &SentPresence,
        next: Option<Turn>,
    ) -> Result<Settled, StoreError> {
        let set = "SET sent = :sent, sent_mode = :mode, sent_until = :until, tries = :none";
        let request = with_turn!(self.update(&key(user)), user, set, next)
            .condition_expression("modified = :modified")
            .expression_attribute_values(":modified", number(modified.as_millisecond()))
            .expression_attribute_values(":sent", text(&sent.target))
            .expression_attribute_values(":mode", text(sent.mode.as_deref().unwrap_or_default()))
            .expression_attribute_values(":until", number(sent.until.as_millisecond()))
            .expression_attribute_values(":none", number(0))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match timed(cx, "settle presence", request.send()).await {
            // No item: it expired while this was sent, and there is nothing newer.
            Ok(_) | Err(Failure::ConditionFailed(None)) => Ok(Settled::Done),
            Err(Failure::ConditionFailed(Some(item))) => {
                last_presence(&item).map(Settled::Overtaken).ok_or_else(|| unreadable(user))
            }
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }

    async fn due(
        &self,
        cx: &RequestContext,
        reason: Reason,
        now: Timestamp,
        most: usize,
    ) -> Result<DueTurns, StoreError> {
        let most = most.max(1);
        let limit = i32::try_from(most).unwrap_or(i32::MAX);
        let parts = (0..PARTS).map(|number_of_part| async move {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(TURNS)
                .key_condition_expression("turn = :turn AND turn_at <= :now")
                .expression_attribute_values(":turn", text(&part(reason, number_of_part)))
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .limit(limit);
            Ok::<_, StoreError>(timed(cx, "find presences", request.send()).await?.items.unwrap_or_default())
        });
        let parts = try_join_all(parts).await?;
        let cut_off = parts.iter().any(|items| items.len() >= most);
        let mut turns: Vec<_> = parts.iter().flatten().filter_map(turn_of).collect();
        turns.sort_unstable();
        Ok(DueTurns { turns, cut_off })
    }

    async fn read(&self, cx: &RequestContext, users: &[Uuid]) -> Result<Vec<(Uuid, LastPresence)>, StoreError> {
        let mut known = Vec::with_capacity(users.len());
        for users in users.chunks(MOST_ITEMS) {
            let keys = users.iter().map(|user| HashMap::from([("id".to_owned(), text(&key(*user)))])).collect();
            let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            let keys = keys.map_err(|error| StoreError(error.to_string()))?;
            let mut wanted = Some(HashMap::from([(self.table.clone(), keys)]));
            for round in 0..READS {
                if round > 0 {
                    tokio::time::sleep(BETWEEN_READS).await;
                }
                let request = self.client.batch_get_item().set_request_items(wanted.take());
                let found = timed(cx, "read presences", request.send()).await?;
                known.extend(found.responses.unwrap_or_default().values().flatten().filter_map(user_and_presence));
                wanted = found.unprocessed_keys.filter(|keys| !keys.is_empty());
                if wanted.is_none() {
                    break;
                }
            }
            if wanted.is_some() {
                return Err(StoreError("the table left records unread several times in a row".into()));
            }
        }
        Ok(known)
    }
}

fn user_of(item: &Item) -> Option<Uuid> {
    item.get("id")?.as_s().ok()?.strip_prefix(kind::PRESENCE)?.strip_prefix('#')?.parse().ok()
}

/// The time and user of a turn, as the index has them.
fn turn_of(item: &Item) -> Option<(Timestamp, Uuid)> {
    let at = item.get("turn_at")?.as_n().ok()?.parse().ok()?;
    Some((Timestamp::from_millisecond(at).ok()?, user_of(item)?))
}

fn user_and_presence(item: &Item) -> Option<(Uuid, LastPresence)> {
    Some((user_of(item)?, last_presence(item)?))
}

fn last_presence(item: &Item) -> Option<LastPresence> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
    let time = |name: &str| Timestamp::from_millisecond(number(name)?).ok();
    let modified = time("modified")?;
    let wanted = WantedPresence { modified, target: text("wanted")?, urgent: number("urgent")? != 0 };
    let sent = || {
        let mode = text("sent_mode").filter(|mode| !mode.is_empty());
        Some(SentPresence { target: text("sent")?, mode, until: time("sent_until")? })
    };
    let link = || Some(TeamsLink { teams_user: text("teams_user")?.parse().ok(), since: time("linked")? });
    let turn = || {
        let name = text("turn")?;
        let reasons = [Reason::Urgent, Reason::Change, Reason::Unlinked, Reason::Renewal];
        let is_named = |reason: &Reason| name.rsplit_once('#').is_some_and(|(of, _)| part(*reason, 0).starts_with(of));
        Some(Turn { reason: reasons.into_iter().find(is_named)?, at: time("turn_at")? })
    };
    let tries = number("tries").and_then(|tries| tries.try_into().ok()).unwrap_or_default();
    let plan = TurnPlan { turn: turn(), tries, seen: time("seen").unwrap_or(modified) };
    Some(LastPresence { wanted, sent: sent(), link: link(), plan })
}
