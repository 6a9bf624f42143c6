//! Names of chats in memory: it behaves as the table does, for tests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{ChatNames, ChatWriter};
use crate::http::RequestContext;
use crate::store::{RecordKey, StoreError};

/// The names of chats in memory.
#[derive(Default)]
pub struct MemoryChatNames(Mutex<HashMap<RecordKey, ChatWriter>>);

impl ChatNames for MemoryChatNames {
    async fn first_writer(
        &self,
        _cx: &RequestContext,
        chat: &RecordKey,
        writer: &ChatWriter,
    ) -> Result<ChatWriter, StoreError> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(names.entry(chat.clone()).or_insert_with(|| writer.clone()).clone())
    }
}
