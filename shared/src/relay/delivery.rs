//! Delivers one event to one sink: once, as far as the table remembers, with retries.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::back::Back;
use super::patience::{PAUSE, has_time, passes};
use super::{Attempt, Delivered, MAX_POSTS, Relay, Sinks, Source};
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::queue::Message;
use crate::store::deliveries::{Begun, Deliveries, Lease, LeaseEnd};
use crate::store::{RecordKey, StoreError};

/// An opened message, ready to be delivered.
pub(super) struct OpenMessage<E> {
    /// The message as it came from the queue.
    pub(super) message: Message,
    /// The version, by which messages of a group are put in order.
    pub(super) version: i64,
    /// The event that the message was opened to.
    pub(super) event: E,
    /// Whether it was retried although a sink may have taken it.
    repeated: AtomicBool,
}

impl<E> OpenMessage<E> {
    pub(super) fn new(message: Message, version: i64, event: E) -> Self {
        Self { message, version, event, repeated: AtomicBool::new(false) }
    }

    /// Whether it may be retried at once although a sink may have taken it: only once, and only when it is received for
    /// the first time. Each try may lead to a copy.
    fn may_repeat(&self) -> bool {
        self.message.receives == 1 && !self.repeated.swap(true, Ordering::Relaxed)
    }
}

/// How a delivery that did not fail ended.
pub(super) enum DeliveryEnd {
    Delivered,
    LeftOut,
    /// The event had been delivered before.
    Known,
}

/// Why an event was not delivered, and how many tries are in doubt.
pub(super) struct Undelivered {
    pub(super) error: Error,
    /// How many tries the sink may have taken.
    pub(super) doubts: u32,
}

impl Undelivered {
    /// Whether as many tries as are allowed are in doubt.
    pub(super) fn is_used_up(&self) -> bool {
        self.error.code == Code::OUTCOME_UNKNOWN && self.doubts >= MAX_POSTS
    }
}

impl From<Error> for Undelivered {
    fn from(error: Error) -> Self {
        Self { error, doubts: 0 }
    }
}

impl<S, D, K, B> Relay<S, D, K, B>
where
    S: Source,
    D: Deliveries,
    K: Sinks<Notice = S::Notice, Event = S::Event>,
    B: Back,
{
    /// Delivers an event to a sink. A failure that passes by itself is retried until `patience` ends. `until` is the
    /// end of this invocation, and of the lease.
    pub(super) async fn deliver(
        &self,
        cx: &RequestContext,
        open: &OpenMessage<S::Event>,
        sink: K::Sink,
        patience: Instant,
        until: Timestamp,
    ) -> Result<DeliveryEnd, Undelivered> {
        let Some((key, version)) = self.sinks.key(sink, &open.event) else { return Ok(DeliveryEnd::LeftOut) };
        let lease = Lease { owner: Uuid::new_v4(), until };
        loop {
            let failed = match self.attempt(cx, open, sink, (&key, version), &lease).await {
                Ok(ended) => {
                    if matches!(ended, DeliveryEnd::Delivered) {
                        self.streaks.got_through();
                    }
                    return Ok(ended);
                }
                Err(failed) => failed,
            };
            let again = match failed.error.code {
                Code::OUTCOME_UNKNOWN => open.may_repeat(),
                _ => passes(&failed.error),
            };
            if !again || !has_time(cx, patience) {
                return Err(failed);
            }
            let (code, cause) = (failed.error.code.text(), failed.error.cause);
            tracing::warn!(code, cause, "the delivery failed and is retried in a moment");
            sleep(PAUSE).await;
        }
    }

    async fn attempt(
        &self,
        cx: &RequestContext,
        open: &OpenMessage<S::Event>,
        sink: K::Sink,
        (key, version): (&RecordKey, i64),
        lease: &Lease,
    ) -> Result<DeliveryEnd, Undelivered> {
        let begun = self.deliveries.begin(cx, key, version, lease, Timestamp::now()).await;
        let (before, doubts, tries) = match begun.map_err(|error| not_noted(&error))? {
            Begun::Granted { before, doubts, tries } => (before, doubts, tries),
            Begun::Delivered => return Ok(DeliveryEnd::Known),
            Begun::InProgress => {
                let message = "Another instance is delivering this message, or died a moment ago while it did.";
                return Err(Error::new(Code::IN_PROGRESS, message).into());
            }
        };
        if doubts >= MAX_POSTS {
            self.end(cx, key, lease, LeaseEnd::Failed).await;
            let message = "The message was sent as often as is allowed, and it is not known whether it arrived.";
            return Err(Undelivered { error: Error::new(Code::OUTCOME_UNKNOWN, message), doubts });
        }
        // A delivery that hangs must leave time for the next one, and for the minute in which a rate limit passes.
        let delivery = self.sinks.deliver(
            cx,
            sink,
            &open.event,
            Attempt { before, receives: open.message.receives, doubts, tries },
        );
        let delivery =
            tokio::time::timeout(cx.deadline.for_a_call() * 3 / 4, AssertUnwindSafe(delivery).catch_unwind());
        let delivered = match delivery.await {
            Ok(Ok(delivered)) => delivered,
            Ok(Err(_panic)) => Err(a_bug()),
            Err(_elapsed) => Err(Error::new(self.sinks.hung(sink), "A delivery took too long.")),
        };
        match delivered {
            Ok(delivered) => {
                // It is delivered. To return the message because the note failed would deliver it a second time for
                // certain.
                if let Err(error) = self.deliveries.end(cx, key, lease.owner, LeaseEnd::Delivered(version)).await {
                    tracing::warn!(%error, "a message was delivered, but the note of it could not be written");
                }
                Ok(match delivered {
                    Delivered::Delivered => DeliveryEnd::Delivered,
                    Delivered::LeftOut(why) => {
                        tracing::debug!(why, "left out");
                        DeliveryEnd::LeftOut
                    }
                })
            }
            Err(error) if error.code == Code::OUTCOME_UNKNOWN => {
                self.end(cx, key, lease, LeaseEnd::InDoubt).await;
                Err(Undelivered { error, doubts: doubts + 1 })
            }
            Err(error) => {
                self.end(cx, key, lease, LeaseEnd::Failed).await;
                Err(Undelivered { error, doubts })
            }
        }
    }

    async fn end(&self, cx: &RequestContext, key: &RecordKey, lease: &Lease, end: LeaseEnd) {
        if let Err(error) = self.deliveries.end(cx, key, lease.owner, end).await {
            tracing::warn!(%error, "the lease of a failed delivery could not be ended, so the next try waits until it expires");
        }
    }
}

/// The error of a panic. The next try would panic too, and the panic must not fail other messages.
pub(super) fn a_bug() -> Error {
    Error::new(Code::INTERNAL, "The bridge has a bug. Report it with the id of this message.").because("panic")
}

fn not_noted(error: &StoreError) -> Error {
    Error::new(Code::STATE_UNAVAILABLE, "The state table could not be used.").because(error)
}
