//! The first meeting that was made for a conversation.
//!
//! Graph recognises a meeting by its organizer and the conversation. So a transferred call, or an access policy that
//! comes into effect between two clicks, would lead to a second meeting while the customer has the link to the first.
//! The note prevents that: the first meeting is noted under the conversation, and every later click finds it.
//!
//! A click reads the note, makes a meeting where there is none, and writes the note unless another click was faster;
//! then that click's meeting is the conversation's. Nothing is locked in between, so a process that dies leaves nothing
//! to wait for. The note holds what is needed to find the meeting again, but not its link.

mod dynamo;
mod memory;

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

pub use dynamo::DynamoMeetingNotes;
pub use memory::MemoryMeetingNotes;

use super::{RecordKey, StoreError, kind};
use crate::http::RequestContext;

/// How long a meeting is remembered, counted from its creation and from its planned end: longer than an interaction
/// that goes from agent to agent.
pub(crate) const NOTE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The note of a conversation's meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingNote {
    /// A random id of the note, by which a click recognises its own note when the answer to its write was lost.
    pub mark: String,
    /// The organizer: an Entra object id, or a user principal name where the id was not looked up.
    pub organizer: String,
    /// Whether the default organizer replaced the agent.
    pub organizer_fallback: bool,
    /// The calendar event's id; `None` for an online meeting, which is found by organizer and conversation.
    pub event_id: Option<String>,
    /// When the note was written.
    pub noted: Timestamp,
    /// When the note expires. DynamoDB deletes it some time later.
    pub expires: Timestamp,
}

impl MeetingNote {
    /// Whether both notes lead to the same meeting.
    #[must_use]
    pub(crate) fn is_same_meeting(&self, other: &Self) -> bool {
        self.event_id == other.event_id && self.organizer.eq_ignore_ascii_case(&other.organizer)
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }
}

/// The key of a conversation's note.
#[must_use]
pub fn note_key(conversation: &str) -> RecordKey {
    RecordKey::new(kind::MEETING, &[conversation])
}

/// A store for the notes of meetings.
pub trait MeetingNotes: Send + Sync {
    /// The meeting that is noted for a conversation, if any is.
    fn read(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<MeetingNote>, StoreError>> + Send;

    /// Writes a note where there is none, or in place of `replaced`. Returns the note that is kept: this one, or that
    /// of a faster click.
    fn keep(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        note: &MeetingNote,
        replaced: Option<&MeetingNote>,
        now: Timestamp,
    ) -> impl Future<Output = Result<MeetingNote, StoreError>> + Send;
}
