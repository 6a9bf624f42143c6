//! The tokens of delta queries: opaque to callers, with everything that the next request needs.

use std::collections::HashMap;

use axum::http::StatusCode;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{Deserialize, Serialize};

use super::Refusal;

/// The position of a delta query.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Token {
    /// The user, or the user's folder, that is queried.
    pub(super) about: String,
    /// The number of the last change that was given out.
    pub(super) after: u64,
    /// The number of items on a page.
    pub(super) page: usize,
    /// The number of changes when the query began: resources that were gone by then are left out.
    pub(super) began: u64,
    /// The time filter of the query, in milliseconds since 1970.
    pub(super) since: Option<i64>,
    /// Whether this begins a round of changes, in place of going on with one.
    pub(super) resumed: bool,
    /// The generation of the token; tokens of an earlier one are invalid.
    pub(super) generation: u32,
}

impl Token {
    /// The token of a request, if it has one.
    ///
    /// # Errors
    /// The token is too old, or was not made here.
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

    /// The token as a link has it.
    pub(super) fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_string(self).unwrap_or_default())
    }
}
