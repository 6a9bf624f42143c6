//! The tokens of delta queries: opaque to callers, with all in them that the next request needs.

use std::collections::HashMap;

use axum::http::StatusCode;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{Deserialize, Serialize};

use super::Refusal;

/// Where a delta query stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Token {
    /// Whose: a user, or a user's folder.
    pub(super) about: String,
    /// The last change that was handed out.
    pub(super) after: u64,
    /// The number of items on a page.
    pub(super) page: usize,
    /// How many changes there had been when it began: of what was gone by then nothing is told.
    pub(super) began: u64,
    /// Milliseconds since 1970: nothing older was asked for.
    pub(super) since: Option<i64>,
    /// Whether this begins a round of changes, in place of going on with one.
    pub(super) resumed: bool,
    /// Tokens of an earlier generation are good no longer.
    pub(super) generation: u32,
}

impl Token {
    /// The token of a request, if it has one.
    ///
    /// # Errors
    /// It is too old, or none of ours.
    pub(super) fn of(query: &HashMap<String, String>, generation: u32) -> Result<Option<Self>, Refusal> {
        let Some(text) = query.get("$skiptoken").or_else(|| query.get("$deltatoken")) else {
            return Ok(None);
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let token: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let token = token.ok_or_else(|| Refusal::bad_request("Badly formed token."))?;
        if token.generation == generation {
            return Ok(Some(token));
        }
        let message = "The sync state generation is not found. Perform a full synchronization.";
        Err(Refusal::new(StatusCode::GONE, "syncStateNotFound", message))
    }

    /// As it stands in a link.
    pub(super) fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_string(self).unwrap_or_default())
    }
}
