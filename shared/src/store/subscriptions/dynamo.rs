//! Notes of subscriptions in the DynamoDB table: one item for each resource, and one for each subscription.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use jiff::Timestamp;
use lru::LruCache;

use super::{FoundNotes, HEARD_AT_MOST_EVERY, KeptSubscription, Note, Progress, SubscriptionNotes};
use crate::http::RequestContext;
use crate::startup::Startup;
use crate::store::dynamo::{Failure, Item, number, text, timed};
use crate::store::state_table;
use crate::store::{RecordKey, StoreError, kind};

/// How long a note is kept that is not written again: much longer than any subscription lives without a renewal.
const SUBSCRIPTION_NOTE_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The most items that DynamoDB reads in one request.
const ITEMS_PER_READ: usize = 100;

/// How many times DynamoDB is asked for items that its answer left out.
const MOST_ROUNDS: usize = 5;

/// The number of subscriptions of which this process remembers when it last noted that they were heard of.
const REMEMBERED_SUBSCRIPTIONS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// The notes in a DynamoDB table.
#[derive(Debug)]
pub struct DynamoSubscriptionNotes {
    client: aws_sdk_dynamodb::Client,
    table: String,
    noted: Mutex<LruCache<String, Timestamp>>,
}

impl DynamoSubscriptionNotes {
    /// The notes in this table.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { client, table, noted: Mutex::new(LruCache::new(REMEMBERED_SUBSCRIPTIONS)) }
    }

    /// As [`Self::new`], in `STATE_TABLE`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let (client, table) = state_table(startup)?;
        Some(Self::new(client, table))
    }

    async fn items(&self, cx: &RequestContext, ids: &[String]) -> Result<HashMap<String, Item>, StoreError> {
        let mut found = HashMap::new();
        for ids in ids.chunks(ITEMS_PER_READ) {
            let keys = ids.iter().map(|id| Item::from([("id".to_owned(), text(id))])).collect();
            let mut open = Some(KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build());
            for _ in 0..MOST_ROUNDS {
                let Some(keys) = open.take() else { break };
                let keys = keys.map_err(|error| StoreError(error.to_string()))?;
                let request = self.client.batch_get_item().request_items(&self.table, keys);
                let output = timed(cx, "read subscriptions", request.send()).await?;
                for item in output.responses.unwrap_or_default().into_values().flatten() {
                    if let Some(id) = item.get("id").and_then(|id| id.as_s().ok()) {
                        found.insert(id.clone(), item);
                    }
                }
                open = output.unprocessed_keys.and_then(|mut left| left.remove(&self.table)).map(Ok);
            }
            if open.is_some() {
                return Err(StoreError("the table left notes unread several times in a row".into()));
            }
        }
        Ok(found)
    }
}

/// The key of a resource's note. A resource may name a user, so it is hashed.
fn key(resource: &str) -> String {
    RecordKey::new(kind::SUBSCRIPTION, &[resource]).as_str().to_owned()
}

fn heard_key(subscription_id: &str) -> String {
    format!("{}#{subscription_id}", kind::HEARD)
}

fn expires() -> i64 {
    Timestamp::now().checked_add(SUBSCRIPTION_NOTE_LIFE).unwrap_or(Timestamp::MAX).as_second()
}

fn done<T>(result: Result<T, Failure>) -> Result<bool, StoreError> {
    match result {
        Ok(_) => Ok(true),
        Err(Failure::ConditionFailed(_)) => Ok(false),
        Err(Failure::Other(cause)) => Err(StoreError(cause)),
    }
}

impl SubscriptionNotes for DynamoSubscriptionNotes {
    async fn read(
        &self,
        cx: &RequestContext,
        resources: &[&str],
        subscription_ids: &[&str],
    ) -> Result<FoundNotes, StoreError> {
        let by_resource = resources.iter().map(|resource| key(resource));
        let ids: Vec<_> = by_resource.chain(subscription_ids.iter().map(|id| heard_key(id))).collect();
        let items = self.items(cx, &ids).await?;
        let mut notes = FoundNotes::default();
        for resource in resources {
            if let Some(item) = items.get(&key(resource)) {
                notes.by_resource.insert((*resource).to_owned(), Note { kept: kept(item), progress: progress(item) });
            }
        }
        for id in subscription_ids {
            if let Some(at) = items.get(&heard_key(id)).and_then(|item| time(item, "heard_at")) {
                notes.heard.insert((*id).to_owned(), at);
            }
        }
        Ok(notes)
    }

    async fn keep(&self, cx: &RequestContext, resource: &str, kept: &KeptSubscription) -> Result<(), StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(&key(resource)))
            .update_expression(
                "SET subscription_id = :subscription, client_state = :client_state, certificate_id = :certificate, \
                 begun_at = :begun, made_at = :made, granted_seconds = :granted, renewed_at = :renewed, expires = :expires",
            )
            .expression_attribute_values(":subscription", text(&kept.subscription_id))
            .expression_attribute_values(":client_state", text(&kept.client_state))
            .expression_attribute_values(":certificate", text(&kept.certificate_id))
            .expression_attribute_values(":begun", number(kept.begun.as_millisecond()))
            .expression_attribute_values(":made", number(kept.made.map_or(0, Timestamp::as_millisecond)))
            .expression_attribute_values(":granted", number(kept.granted.as_secs()))
            .expression_attribute_values(":renewed", number(kept.renewed.map_or(0, Timestamp::as_millisecond)))
            .expression_attribute_values(":expires", number(expires()));
        done(timed(cx, "keep subscription", request.send()).await).map(drop)
    }

    async fn advance(&self, cx: &RequestContext, resource: &str, progress: &Progress) -> Result<bool, StoreError> {
        let before = progress.version.saturating_sub(1);
        let absent = if before == 0 { "attribute_not_exists(pass_version) OR " } else { "" };
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(&key(resource)))
            .update_expression(
                "SET pass_version = :version, closed_until = :closed, pass_began_at = :began, pass_link = :link, \
                 link_refused_at = :refused, pass_until = :until, pass_since = :since, expires = :expires",
            )
            .condition_expression(format!("{absent}pass_version = :before"))
            .expression_attribute_values(":before", number(before))
            .expression_attribute_values(":version", number(progress.version))
            .expression_attribute_values(":closed", number(progress.closed_until.as_millisecond()))
            .expression_attribute_values(":until", number(progress.until.map_or(0, Timestamp::as_millisecond)))
            .expression_attribute_values(":since", number(progress.since.map_or(0, Timestamp::as_millisecond)))
            .expression_attribute_values(":began", number(progress.under_way.map_or(0, Timestamp::as_millisecond)))
            .expression_attribute_values(":refused", number(progress.refused.map_or(0, Timestamp::as_millisecond)))
            .expression_attribute_values(":link", text(progress.link.as_deref().unwrap_or_default()))
            .expression_attribute_values(":expires", number(expires()));
        done(timed(cx, "advance listing", request.send()).await)
    }

    async fn forget(&self, cx: &RequestContext, resource: &str) -> Result<(), StoreError> {
        let request = self.client.delete_item().table_name(&self.table).key("id", text(&key(resource)));
        done(timed(cx, "forget subscription", request.send()).await).map(drop)
    }

    async fn heard(&self, cx: &RequestContext, subscription_id: &str, at: Timestamp) -> Result<(), StoreError> {
        if subscription_id.is_empty() {
            return Ok(());
        }
        let before = at.checked_sub(HEARD_AT_MOST_EVERY).unwrap_or(Timestamp::MIN);
        {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.get(subscription_id).is_some_and(|last| *last > before) {
                return Ok(());
            }
        }
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(&heard_key(subscription_id)))
            .update_expression("SET heard_at = :at, expires = :expires")
            .condition_expression("attribute_not_exists(id) OR heard_at <= :before")
            .expression_attribute_values(":at", number(at.as_millisecond()))
            .expression_attribute_values(":before", number(before.as_millisecond()))
            .expression_attribute_values(":expires", number(expires()));
        done(timed(cx, "note that a subscription was heard of", request.send()).await)?;
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).put(subscription_id.to_owned(), at);
        Ok(())
    }
}

fn time(item: &Item, name: &str) -> Option<Timestamp> {
    let milliseconds = item.get(name)?.as_n().ok()?.parse::<i64>().ok()?;
    Timestamp::from_millisecond(milliseconds).ok().filter(|time| *time != Timestamp::UNIX_EPOCH)
}

fn kept(item: &Item) -> Option<KeptSubscription> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    let seconds = item.get("granted_seconds")?.as_n().ok()?.parse().ok()?;
    Some(KeptSubscription {
        subscription_id: text("subscription_id")?,
        client_state: text("client_state")?,
        certificate_id: text("certificate_id")?,
        begun: time(item, "begun_at")?,
        made: time(item, "made_at"),
        granted: Duration::from_secs(seconds),
        renewed: time(item, "renewed_at"),
    })
}

fn progress(item: &Item) -> Option<Progress> {
    let link = item.get("pass_link")?.as_s().ok().filter(|link| !link.is_empty());
    Some(Progress {
        version: item.get("pass_version")?.as_n().ok()?.parse().ok()?,
        closed_until: time(item, "closed_until")?,
        until: time(item, "pass_until"),
        since: time(item, "pass_since"),
        under_way: time(item, "pass_began_at"),
        link: link.cloned(),
        refused: time(item, "link_refused_at"),
    })
}
