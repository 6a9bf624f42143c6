//! Names of chats in this process: the table's twin for tests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{ChatNames, Writer};
use crate::http::RequestContext;
use crate::store::{RecordKey, StoreError};

/// Names in memory.
#[derive(Default)]
pub struct MemoryChatNames(Mutex<HashMap<RecordKey, Writer>>);

impl ChatNames for MemoryChatNames {
    async fn first_writer(
        &self,
        _cx: &RequestContext,
        chat: &RecordKey,
        writer: &Writer,
    ) -> Result<Writer, StoreError> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(names.entry(chat.clone()).or_insert_with(|| writer.clone()).clone())
    }
}
