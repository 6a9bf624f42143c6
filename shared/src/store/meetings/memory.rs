//! Notes of meetings in memory: it behaves as the table does, for tests. Clones share the notes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::{MeetingNote, MeetingNotes};
use crate::http::RequestContext;
use crate::store::{RecordKey, StoreError};

/// The notes of meetings in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryMeetingNotes(Arc<Mutex<HashMap<RecordKey, MeetingNote>>>);

impl MeetingNotes for MemoryMeetingNotes {
    async fn read(
        &self,
        _cx: &RequestContext,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<MeetingNote>, StoreError> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(notes.get(key).filter(|note| !note.is_expired(now)).cloned())
    }

    async fn keep(
        &self,
        _cx: &RequestContext,
        key: &RecordKey,
        note: &MeetingNote,
        replaced: Option<&MeetingNote>,
        now: Timestamp,
    ) -> Result<MeetingNote, StoreError> {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_replaced = |kept: &MeetingNote| replaced.is_some_and(|replaced| replaced.mark == kept.mark);
        match notes.get(key) {
            Some(kept) if !kept.is_expired(now) && !is_replaced(kept) => Ok(kept.clone()),
            _ => {
                notes.insert(key.clone(), note.clone());
                Ok(note.clone())
            }
        }
    }
}
