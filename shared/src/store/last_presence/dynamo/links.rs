//! Links in the users' records, and a record of how far they were read.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use jiff::Timestamp;
use uuid::Uuid;

use super::super::{LinkReading, LinkTable, TeamsLink};
use super::{DynamoLastPresences, expires, key};
use crate::http::RequestContext;
use crate::store::dynamo::{Item, number, text, timed};
use crate::store::{StoreError, kind};

/// The id of the record of how far the links were read.
fn progress() -> String {
    format!("{}#links", kind::PRESENCE)
}

impl LinkTable for DynamoLastPresences {
    async fn link(&self, cx: &RequestContext, user: Uuid, link: &TeamsLink) -> Result<(), StoreError> {
        let teams_user = link.teams_user.map(|id| id.to_string()).unwrap_or_default();
        let request = self
            .update(&key(user))
            .update_expression("SET teams_user = :teams, linked = :linked, expires = :expires")
            .expression_attribute_values(":teams", text(&teams_user))
            .expression_attribute_values(":linked", number(link.since.as_millisecond()))
            .expression_attribute_values(":expires", number(expires()));
        Ok(timed(cx, "link presence", request.send()).await.map(drop)?)
    }

    async fn reading(&self, cx: &RequestContext) -> Result<Option<LinkReading>, StoreError> {
        let keys = KeysAndAttributes::builder().keys(HashMap::from([("id".to_owned(), text(&progress()))])).build();
        let keys = keys.map_err(|error| StoreError(error.to_string()))?;
        let request = self.client.batch_get_item().request_items(&self.table, keys);
        let found = timed(cx, "read how far links were read", request.send()).await?.responses.unwrap_or_default();
        let number = |item: &Item, name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
        Ok(found.values().flatten().next().and_then(|item| {
            let at = Timestamp::from_millisecond(number(item, "next_at")?).ok()?;
            Some(LinkReading { next: number(item, "next_user")?.try_into().ok()?, at })
        }))
    }

    async fn keep_reading(&self, cx: &RequestContext, reading: &LinkReading) -> Result<(), StoreError> {
        let request = self
            .update(&progress())
            .update_expression("SET next_user = :next, next_at = :at, expires = :expires")
            .expression_attribute_values(":next", number(reading.next))
            .expression_attribute_values(":at", number(reading.at.as_millisecond()))
            .expression_attribute_values(":expires", number(expires()));
        Ok(timed(cx, "note how far links were read", request.send()).await.map(drop)?)
    }
}
