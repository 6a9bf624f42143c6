//! Names of chats in the DynamoDB table, one item for each chat. One call writes a name, unless there is one, and reads
//! it.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;
use lru::LruCache;
use tokio::time::Instant;

use super::{ChatNames, ChatWriter, NAME_LIFE};
use crate::http::RequestContext;
use crate::startup::Startup;
use crate::store::dynamo::{Failure, Item, number, text, timed};
use crate::store::state_table;
use crate::store::{RecordKey, StoreError};

/// How long a name is used from memory, without asking the table or prolonging the name's life: a small part of that
/// life.
const NAME_KEPT_FRESH: Duration = Duration::from_secs(60 * 60);

/// The most chats whose names are kept in memory.
const MAX_KNOWN_CHATS: NonZeroUsize = NonZeroUsize::new(1000).expect("not zero");

/// The names of chats in a DynamoDB table.
pub struct DynamoChatNames {
    client: aws_sdk_dynamodb::Client,
    table: String,
    known: Mutex<LruCache<RecordKey, (ChatWriter, Instant)>>,
}

impl fmt::Debug for DynamoChatNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoChatNames").field("table", &self.table).finish_non_exhaustive()
    }
}

impl DynamoChatNames {
    /// The names in this table.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { client, table, known: Mutex::new(LruCache::new(MAX_KNOWN_CHATS)) }
    }

    /// As [`Self::new`], in `STATE_TABLE`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let (client, table) = state_table(startup)?;
        Some(Self::new(client, table))
    }

    fn known(&self, chat: &RecordKey) -> Option<ChatWriter> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(chat).filter(|(_, since)| since.elapsed() < NAME_KEPT_FRESH).map(|(writer, _)| writer.clone())
    }
}

fn writer(item: &Item) -> Option<ChatWriter> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(ChatWriter { id: text("writer")?, name: text("writer_name")? })
}

impl ChatNames for DynamoChatNames {
    async fn first_writer(
        &self,
        cx: &RequestContext,
        chat: &RecordKey,
        new: &ChatWriter,
    ) -> Result<ChatWriter, StoreError> {
        if let Some(known) = self.known(chat) {
            return Ok(known);
        }
        let expires = Timestamp::now().checked_add(NAME_LIFE).unwrap_or(Timestamp::MAX);
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(chat.as_str()))
            .update_expression(
                "SET writer = if_not_exists(writer, :id), writer_name = if_not_exists(writer_name, :name), expires = :expires",
            )
            .expression_attribute_values(":id", text(&new.id))
            .expression_attribute_values(":name", text(&new.name))
            .expression_attribute_values(":expires", number(expires.as_second()))
            .return_values(ReturnValue::AllNew);
        let output = match timed(cx, "name chat", request.send()).await {
            Ok(output) => output,
            Err(Failure::ConditionFailed(_)) => {
                return Err(StoreError("the condition of a write failed that has none".into()));
            }
            Err(Failure::Other(cause)) => return Err(StoreError(cause)),
        };
        let first = output.attributes.as_ref().and_then(writer);
        let first = first.ok_or_else(|| StoreError(format!("the record {} has no name", chat.as_str())))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(chat.clone(), (first.clone(), Instant::now()));
        Ok(first)
    }
}
