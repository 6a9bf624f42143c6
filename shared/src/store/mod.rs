//! The state table. Its records make an action happen at most once: each is written before something irreversible is
//! done.
//!
//! Genesys Cloud has no idempotency key for an agentless message, so it cannot tell a text message that is sent twice
//! from two messages. The record is the key: the request that writes it first sends, and every other request reads the
//! outcome from it.
//!
//! ```text
//!                       claim: put if absent, or expired,
//!                       or (resend) settled or abandoned
//!            ┌────────┐ ───────────────────────────────► ┌─────────┐
//!            │ absent │                                  │ sending │──┐ past its deadline:
//!            └────────┘ ◄─────────────────────────────── └─────────┘  │ abandoned, read as unknown
//!                 ▲        release: refused for certain    │     │    │
//!                 │        (400, 403, 404, 429, no         │     │    ▼
//!                 │        connection)             settle: │     │  settle:
//!                 │ expires (a day)                        ▼     ▼  time-out, reset, 5xx
//!                 │                              ┌──────────┐  ┌─────────┐
//!                 └───────────────────────────── │ accepted │  │ unknown │
//!                                                └──────────┘  └─────────┘
//! ```
//!
//! It is the conditional put of the Powertools idempotency utility, with one difference. There, a record in progress
//! past its deadline may be taken again. Here its owner died while it sent a message, and it is not known whether the
//! message was sent. So an abandoned record is `unknown`, and only a person who asks to send again (`resend`) takes it
//! over.
//!
//! Every write after the claim is conditional on the claim's owner: an invocation that was frozen and resumes late
//! cannot change a record that is no longer its own.

pub mod chat_names;
pub mod deliveries;
mod dynamo;
pub mod last_presence;
pub mod meetings;
mod memory;
pub mod references;
pub mod subscriptions;

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub use dynamo::DynamoRecords;
pub use memory::MemoryRecords;

use crate::http::RequestContext;
use crate::startup::Startup;

/// How long a record is kept. A conversation's second click comes within minutes; a day is longer than the longest
/// call.
pub const RECORD_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The kinds of items in the state table. An item's key is its kind, `#` and a hash. A function's role names the kinds
/// that it may use, and gives access to no other.
pub mod kind {
    /// A text message, by conversation and recipient.
    pub const SMS: &str = "sms";
    /// The meeting that was made for a conversation.
    pub const MEETING: &str = "meeting";
    /// A message delivered to Genesys Cloud Open Messaging.
    pub const OPEN_MESSAGE: &str = "openMessage";
    /// The first writer of a chat, whom its conversation is named after.
    pub const CHAT_NAME: &str = "chatName";
    /// An event published to the event bus.
    pub const EVENT: &str = "event";
    /// A Genesys Cloud user's presence, by the user's id.
    pub const PRESENCE: &str = "presence";
    /// A subscription from the settings, by its resource.
    pub const SUBSCRIPTION: &str = "subscription";
    /// When a subscription was last heard of, by its id.
    pub const HEARD: &str = "heard";
    /// Where the bot reaches a user in a chat, by tenant, user and conversation.
    pub const REFERENCE: &str = "reference";
}

/// The key of a record: a hash, so that no phone number is stored or logged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordKey(String);

impl RecordKey {
    /// The key for these parts. The kind stays readable. The parts are hashed with their lengths, so that different
    /// lists of parts never make the same key.
    #[must_use]
    pub fn new(kind: &str, parts: &[&str]) -> Self {
        Self(format!("{kind}#{}", hash(parts)))
    }

    /// The key as the table has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A hash of these texts with their lengths, in hex.
pub(crate) fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digits = hash.finalize().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// The state of the action that a record stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordState {
    /// The owner is at work until the deadline.
    Sending,
    /// It was done. The receipt answers later requests.
    Accepted(Receipt),
    /// It is not known whether it was done.
    Unknown,
}

/// The receipt of an accepted message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Genesys Cloud's message id.
    pub message_id: String,
    /// Genesys Cloud's conversation of the message.
    pub conversation_id: String,
    /// The number of SMS segments.
    pub segments: u32,
    /// A hash of the text, which tells the same message from another one of the conversation.
    pub text_hash: String,
    /// A hash of the link in it, which tells whether the recipient has the current link; empty when there was none.
    pub link_hash: String,
}

/// A record as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The id of the claim that owns it.
    pub owner: String,
    /// The state of the action.
    pub state: RecordState,
    /// Until when its owner may be at work.
    pub deadline: Timestamp,
    /// When it expires. DynamoDB deletes it some time later.
    pub expires: Timestamp,
}

impl StoredRecord {
    /// Whether the record has expired, and so counts as absent.
    #[must_use]
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// Whether its owner is still at work.
    #[must_use]
    pub(crate) fn is_in_progress(&self, now: Timestamp) -> bool {
        self.state == RecordState::Sending && now < self.deadline
    }

    /// Whether a claim may replace it. A claim may replace itself, because it is sent twice when its answer was lost.
    #[must_use]
    pub(crate) fn yields_to(&self, claim: &Claim, now: Timestamp) -> bool {
        self.owner == claim.owner || self.is_expired(now) || (claim.resend && !self.is_in_progress(now))
    }
}

/// The claim of a request to do what the record stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// A random id, unique for each claim.
    pub owner: String,
    /// Whether a person asks to repeat an action that was done, or may have been done, before.
    pub resend: bool,
    /// Until when the owner may be at work: the end of its invocation.
    pub deadline: Timestamp,
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The record belongs to the claim: go ahead.
    Granted,
    /// Another claim holds the record.
    Held(StoredRecord),
}

/// The store did not do what it was asked to do, or that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state table could not be used ({0})")]
pub struct StoreError(pub String);

/// A store for records.
pub trait Records: Send + Sync {
    /// Takes the record for a claim, unless another claim holds it.
    fn claim(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        claim: &Claim,
        now: Timestamp,
    ) -> impl Future<Output = Result<Claimed, StoreError>> + Send;

    /// Writes the outcome, if the record still belongs to the owner.
    fn settle(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        owner: &str,
        state: &RecordState,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the record, if it still belongs to the owner, because nothing was done.
    fn release(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        owner: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The state table: a client of Amazon DynamoDB, and the name in `STATE_TABLE`.
fn state_table(startup: &mut Startup<'_>) -> Option<(aws_sdk_dynamodb::Client, String)> {
    let table = startup.env.required("STATE_TABLE")?;
    Some((aws_sdk_dynamodb::Client::new(startup.aws()), table))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn different_parts_make_different_keys(a in ".{0,8}", b in ".{0,8}", c in ".{0,8}", d in ".{0,8}") {
            let same = (&a, &b) == (&c, &d);
            prop_assert_eq!(RecordKey::new(kind::SMS, &[&a, &b]) == RecordKey::new(kind::SMS, &[&c, &d]), same);
        }
    }

    #[test]
    fn a_key_shows_no_part() {
        let key = RecordKey::new(kind::SMS, &["conversation", "+447700900123"]);
        assert!(key.as_str().starts_with("sms#"));
        assert!(!key.as_str().contains("7700"));
    }
}
