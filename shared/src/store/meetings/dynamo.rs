//! Notes of meetings in the DynamoDB table, one item for each conversation.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;

use super::{MeetingNote, MeetingNotes, note_key};
use crate::http::RequestContext;
use crate::startup::Startup;
use crate::store::dynamo::{Failure, Item, number, text, timed};
use crate::store::state_table;
use crate::store::{RecordKey, StoreError};

/// The notes in a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoMeetingNotes {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl DynamoMeetingNotes {
    /// The notes in this table.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { client, table }
    }

    /// As [`Self::new`], in `STATE_TABLE`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let (client, table) = state_table(startup)?;
        Some(Self::new(client, table))
    }

    /// Opens the connection, so that the first click finds it, by reading a note that does not exist. A failure is
    /// ignored.
    pub async fn warm_up(&self, cx: &RequestContext) {
        let _ = self.read(cx, &note_key(""), Timestamp::now()).await;
    }
}

fn unreadable(key: &RecordKey) -> StoreError {
    StoreError(format!("the note {} cannot be read by this version of the bridge", key.as_str()))
}

impl MeetingNotes for DynamoMeetingNotes {
    async fn read(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<MeetingNote>, StoreError> {
        // A consistent read, because the previous click may be a moment ago.
        let request =
            self.client.get_item().table_name(&self.table).key("id", text(key.as_str())).consistent_read(true);
        let output = timed(cx, "read meeting note", request.send()).await?;
        let Some(item) = output.item else { return Ok(None) };
        let note = note(&item).ok_or_else(|| unreadable(key))?;
        Ok(Some(note).filter(|note| !note.is_expired(now)))
    }

    async fn keep(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        note: &MeetingNote,
        replaced: Option<&MeetingNote>,
        now: Timestamp,
    ) -> Result<MeetingNote, StoreError> {
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(key.as_str()))
            .item("mark", text(&note.mark))
            .item("organizer", text(&note.organizer))
            .item("organizer_fallback", AttributeValue::Bool(note.organizer_fallback))
            .item("event_id", text(note.event_id.as_deref().unwrap_or_default()))
            .item("noted", number(note.noted.as_millisecond()))
            .item("expires", number(note.expires.as_second()))
            .condition_expression("attribute_not_exists(id) OR expires <= :now OR mark = :replaced")
            .expression_attribute_values(":now", number(now.as_second()))
            .expression_attribute_values(":replaced", text(replaced.map_or("", |replaced| &replaced.mark)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match timed(cx, "keep meeting note", request.send()).await {
            Ok(_) => Ok(note.clone()),
            // Another click was faster, or this is the very note, whose first answer was lost: the caller tells them
            // apart by the mark.
            Err(Failure::ConditionFailed(item)) => item.as_ref().and_then(self::note).ok_or_else(|| unreadable(key)),
            Err(Failure::Other(cause)) => Err(StoreError(cause)),
        }
    }
}

fn note(item: &Item) -> Option<MeetingNote> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
    Some(MeetingNote {
        mark: text("mark")?,
        organizer: text("organizer")?,
        organizer_fallback: *item.get("organizer_fallback")?.as_bool().ok()?,
        event_id: text("event_id").filter(|id| !id.is_empty()),
        noted: Timestamp::from_millisecond(number("noted")?).ok()?,
        expires: Timestamp::from_second(number("expires")?).ok()?,
    })
}
