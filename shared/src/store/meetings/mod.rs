//! Which meeting was made for a conversation first.
//!
//! Graph knows a meeting again by its organizer and the conversation. So a call that was transferred, or an access policy
//! that came into effect between two clicks, would lead to a second meeting while the customer has the link to the first.
//! The note makes it one: whatever was made first is kept under the conversation, and every later click finds that.
//!
//! A click reads the note, makes a meeting where there is none, and keeps it unless another click was faster; then that
//! one's meeting is the conversation's. Nothing is held in between, so a process that dies leaves nothing to wait for.
//! The note has what it takes to find the meeting again, and no link.

mod dynamo;
mod memory;

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

pub use dynamo::DynamoMeetingNotes;
pub use memory::MemoryMeetingNotes;

use super::{RecordKey, StoreError, kind};
use crate::http::RequestContext;

/// How long a meeting is remembered after it was made, and after it was to end: longer than an interaction lasts that
/// goes from agent to agent.
pub const NOTE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A meeting that was made for a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingNote {
    /// Unique for each note: by it a click knows its own note again when the answer to its write got lost.
    pub mark: String,
    /// Who organizes it: an Entra object id, or a user principal name where nothing had to look up the id.
    pub organizer: String,
    /// Whether that is the default organizer in place of the agent.
    pub organizer_fallback: bool,
    /// The calendar event's id; `None` for an online meeting, which organizer and conversation find.
    pub event_id: Option<String>,
    /// When it was noted.
    pub noted: Timestamp,
    /// From when on the note counts as absent. DynamoDB deletes it some time later.
    pub expires: Timestamp,
}

impl MeetingNote {
    /// Whether both notes lead to the same meeting.
    #[must_use]
    pub fn is_same_meeting(&self, other: &Self) -> bool {
        self.event_id == other.event_id && self.organizer.eq_ignore_ascii_case(&other.organizer)
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }
}

/// The name under which a conversation's meeting is noted.
#[must_use]
pub fn note_key(conversation: &str) -> RecordKey {
    RecordKey::new(kind::MEETING, &[conversation])
}

/// Where the notes are kept.
pub trait MeetingNotes: Send + Sync {
    /// The meeting that is noted, if any is.
    fn read(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<MeetingNote>, StoreError>> + Send;

    /// Keeps a note where there is none, or in the place of `replaced`. Gives the note that is kept then: this one, or
    /// that of a click that was faster.
    fn keep(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        note: &MeetingNote,
        replaced: Option<&MeetingNote>,
        now: Timestamp,
    ) -> impl Future<Output = Result<MeetingNote, StoreError>> + Send;
}
