//! At most once: a record that is written before something irreversible is done.
//!
//! Genesys Cloud has no idempotency key for an agentless message, so a text message that was sent twice cannot be told
//! from two text messages. The record is the key: whoever writes it first sends, everybody else reads what became of it.
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
//! It is the conditional put of the Powertools idempotency utility with one difference. There, a record in progress past
//! its deadline is free to be taken again. Here the owner died while a message was on its way, and nobody knows whether
//! it left; so an abandoned record is `unknown`, and only a person who asks to send again (`resend`) takes it over.
//!
//! Every write after the claim is conditional on the claim's owner: an invocation that was frozen and comes back late
//! changes nothing that is no longer its own.

pub mod chat_names;
pub mod deliveries;
mod dynamo;
pub mod last_presence;
pub mod meetings;
mod memory;
pub mod subscriptions;

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub use dynamo::DynamoRecords;
pub use memory::MemoryRecords;

use crate::http::RequestContext;
use crate::startup::Startup;

/// How long a record is kept. A conversation's second click comes within minutes; a day covers the longest call.
pub const RECORD_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The kinds of items in the state table. An item's key is its kind, `#` and what it is of; a function's role names the
/// kinds that the function works with, and reaches no other.
pub mod kind {
    /// A text message, by conversation and recipient.
    pub const SMS: &str = "sms";
    /// The meeting that was made for a conversation.
    pub const MEETING: &str = "meeting";
    /// A message delivered to Genesys Cloud Open Messaging.
    pub const OPEN_MESSAGE: &str = "openMessage";
    /// Who a chat's conversation is named after.
    pub const CHAT_NAME: &str = "chatName";
    /// An event published to the event bus.
    pub const EVENT: &str = "event";
    /// A Genesys Cloud user's presence, by the user's id.
    pub const PRESENCE: &str = "presence";
    /// A subscription that is wanted, by its resource.
    pub const SUBSCRIPTION: &str = "subscription";
    /// When a subscription was last heard of, by its id.
    pub const HEARD: &str = "heard";
}

/// The name of a record: a hash, so that no phone number is stored or logged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordKey(String);

impl RecordKey {
    /// The key of these parts. The kind stays readable; the parts are hashed with their lengths, so that no two lists of
    /// parts make the same key.
    #[must_use]
    pub fn new(kind: &str, parts: &[&str]) -> Self {
        Self(format!("{kind}#{}", hash(parts)))
    }

    /// The key as it is stored.
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

/// What became of what the record stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its owner is at work until the deadline.
    Sending,
    /// It was done; what to tell who asks again.
    Accepted(Receipt),
    /// Nobody knows.
    Unknown,
}

/// What an accepted message left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Genesys Cloud's message id.
    pub message_id: String,
    /// Genesys Cloud's conversation of the message.
    pub conversation_id: String,
    /// SMS segments.
    pub segments: u32,
    /// A hash of the text, to tell the same message from another one of the same conversation.
    pub text_hash: String,
    /// A hash of the link in it, to tell whether the recipient has the link that is sent now; empty when there was none.
    pub link_hash: String,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Who claimed it.
    pub owner: String,
    /// What became of it.
    pub state: State,
    /// Until when its owner may be at work.
    pub deadline: Timestamp,
    /// From when on it counts as absent. DynamoDB deletes it some time later.
    pub expires: Timestamp,
}

impl StoredRecord {
    /// Whether the record counts as absent.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// Whether its owner is at work.
    #[must_use]
    pub fn is_in_progress(&self, now: Timestamp) -> bool {
        self.state == State::Sending && now < self.deadline
    }

    /// Whether a claim may replace it. A claim may replace itself: it comes twice when the answer to it got lost.
    #[must_use]
    pub fn yields_to(&self, claim: &Claim, now: Timestamp) -> bool {
        self.owner == claim.owner || self.is_expired(now) || (claim.resend && !self.is_in_progress(now))
    }
}

/// The wish to do what the record stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Unique for each claim.
    pub owner: String,
    /// Whether a person has asked to do again what was done, or may have been done, before.
    pub resend: bool,
    /// Until when the owner will be at work: the end of its invocation.
    pub deadline: Timestamp,
}

/// How a claim ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The record is the claimant's; go ahead.
    Granted,
    /// Somebody else holds it.
    Held(StoredRecord),
}

/// The store did not do what it was asked, or nobody knows whether it did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state table could not be used ({0})")]
pub struct StoreError(pub String);

/// Where records are kept.
pub trait Records: Send + Sync {
    /// Takes the record for the claimant unless somebody else holds it.
    fn claim(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        claim: &Claim,
        now: Timestamp,
    ) -> impl Future<Output = Result<Claimed, StoreError>> + Send;

    /// Writes how it ended, if the record is still the owner's.
    fn settle(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        owner: &str,
        state: &State,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the record, if it is still the owner's: nothing was done.
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
