//! Serves one group's messages of a batch: opens and delivers them one by one, and returns those that have to wait.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::back::Back;
use super::delivery::{DeliveryEnd, OpenMessage, Undelivered, a_bug};
use super::patience::{OUTAGE_PATIENCE, patiently, wait, wait_in_doubt};
use super::verdict::{SUSPECT_RECEIVES, Verdict};
use super::{DeliveryTally, Event, KeyAhead, LEAST_TIME_TO_SERVE, Opened, Relay, Sinks, Source};
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::queue::Message;
use crate::store::deliveries::Deliveries;

/// The run of one group in one batch.
pub(super) struct GroupRun<'a, S: Source, D, K: Sinks, B> {
    relay: &'a Relay<S, D, K, B>,
    cx: &'a RequestContext,
    began: Instant,
    /// When this invocation ends, and with it the leases that it holds.
    until: Timestamp,
    /// The opened messages, to be delivered.
    open: Vec<OpenMessage<S::Event>>,
    /// The sinks that a message failed at. Later messages must not overtake it there, so they wait too.
    closed: Vec<K::Sink>,
    /// The messages that return to the queue, and how long all of them are hidden there.
    waiting: Vec<Message>,
    pause: Duration,
    tally: DeliveryTally,
}

impl<'a, S, D, K, B> GroupRun<'a, S, D, K, B>
where
    S: Source,
    D: Deliveries,
    K: Sinks<Notice = S::Notice, Event = S::Event>,
    B: Back,
{
    pub(super) fn new(relay: &'a Relay<S, D, K, B>, cx: &'a RequestContext) -> Self {
        Self {
            relay,
            cx,
            began: Instant::now(),
            until: Timestamp::now().checked_add(cx.deadline.until_end()).unwrap_or(Timestamp::MAX),
            open: Vec::new(),
            closed: Vec::new(),
            waiting: Vec::new(),
            pause: Duration::ZERO,
            tally: DeliveryTally::default(),
        }
    }

    /// Serves the messages of one group. Returns the ids of those that wait in the queue, and the figures.
    pub(super) async fn serve(mut self, messages: Vec<Message>) -> (Vec<String>, DeliveryTally) {
        self.open_all(messages).await;
        self.deliver_all().await;
        self.give_back().await
    }

    fn has_time(&self) -> bool {
        self.cx.deadline.for_a_call() >= LEAST_TIME_TO_SERVE
    }

    /// Opens messages until one has to wait; all later ones wait too.
    async fn open_all(&mut self, messages: Vec<Message>) {
        let mut is_held_up = false;
        for message in messages {
            is_held_up |= !self.has_time();
            if is_held_up {
                self.waiting.push(message);
                continue;
            }
            let notice = match self.relay.source.read(self.cx, &message.body) {
                Ok(Some(notice)) => notice,
                Ok(None) => {
                    self.tally.nothing_to_deliver += 1;
                    continue;
                }
                Err(why) => {
                    let is_aside = self.set_aside(message, "unreadable", &why).await;
                    self.tally.unreadable += usize::from(is_aside);
                    continue;
                }
            };
            let costs_a_call = self.relay.source.costs_a_call(&notice);
            if costs_a_call && self.was_delivered(&notice).await {
                self.relay.source.known(self.cx, &notice).await;
                self.tally.duplicates += 1;
                continue;
            }
            let opens_others = self.relay.streaks.opens_others();
            // The messages that are open already must not wait for it.
            let patience = self.began + if self.open.is_empty() { OUTAGE_PATIENCE } else { Duration::ZERO };
            let opening = patiently(self.cx, patience, async || {
                let opening = AssertUnwindSafe(self.relay.source.open(self.cx, &notice)).catch_unwind();
                // A call that hangs must leave time to deliver the open messages.
                let opened = match tokio::time::timeout(self.cx.deadline.for_a_call() / 2, opening).await {
                    Ok(opened) => opened.unwrap_or_else(|_panic| Err(a_bug())),
                    Err(_elapsed) => Err(Error::new(Code::OUT_OF_TIME, "Opening a message took too long.")),
                };
                if costs_a_call {
                    self.relay.streaks.opened(opened.is_ok());
                }
                opened
            });
            match opening.await {
                Ok(Opened::Event(event)) => {
                    let before = self.open.iter().map(|open| open.version).max().unwrap_or_default();
                    let version = event.version().unwrap_or(before);
                    self.open.push(OpenMessage::new(message, version, event));
                }
                Ok(Opened::Refused(why)) => {
                    let is_aside = self.set_aside(message, "refused", why).await;
                    self.tally.refused += usize::from(is_aside);
                }
                Err(error) => {
                    note_failure(&message, &error);
                    let verdict = self.verdict(&error);
                    let fails_alone = verdict == Verdict::Outage
                        && costs_a_call
                        && message.receives >= SUSPECT_RECEIVES
                        && opens_others
                        // Otherwise it was tried but once.
                        && self.open.is_empty();
                    if verdict == Verdict::SetAside {
                        let is_aside = self.set_aside(message, error.code.text(), &error.message).await;
                        self.tally.rejected += usize::from(is_aside);
                    } else if fails_alone {
                        let why = "it could not be opened for hours, and others could";
                        let is_aside = self.set_aside(message, "failsAlone", why).await;
                        self.tally.rejected += usize::from(is_aside);
                    } else {
                        self.note_wait(verdict, &message);
                        self.waiting.push(message);
                        is_held_up = true;
                    }
                }
            }
        }
    }

    /// Whether each sink has had the event, as far as that is known before it is opened; `false` when it cannot be
    /// told.
    async fn was_delivered(&self, notice: &S::Notice) -> bool {
        let mut is_for_any = false;
        for sink in self.relay.sinks.all() {
            let (key, version) = match self.relay.sinks.key_ahead(sink, notice) {
                KeyAhead::Key(key, version) => (key, version),
                KeyAhead::NotForIt => continue,
                KeyAhead::AfterOpening => return false,
            };
            is_for_any = true;
            match self.relay.deliveries.delivered(self.cx, &key).await {
                Ok(delivered) if delivered.is_some_and(|delivered| delivered >= version) => {}
                Ok(_) => return false,
                Err(error) => {
                    tracing::warn!(%error, "whether a message was delivered before could not be looked up, so it is opened");
                    return false;
                }
            }
        }
        is_for_any
    }

    /// Delivers the open messages, oldest first: to all sinks at the same time, so that a sink that fails or hangs does
    /// not delay the others.
    async fn deliver_all(&mut self) {
        let mut all = std::mem::take(&mut self.open);
        // The queue keeps the order in which the bridge was notified. Messages that came in the wrong order within the
        // batch are sorted here.
        all.sort_by_key(|open| open.version);
        for open in all {
            let sinks: Vec<_> = self.relay.sinks.all().filter(|sink| !self.closed.contains(sink)).collect();
            if sinks.is_empty() || !self.has_time() {
                self.waiting.push(open.message);
                continue;
            }
            let patience = self.began + OUTAGE_PATIENCE;
            let each = sinks.iter().map(|sink| self.relay.deliver(self.cx, &open, *sink, patience, self.until));
            let ended = join_all(each).await;
            self.settle(open, sinks.into_iter().zip(ended).collect()).await;
        }
    }

    /// Decides what becomes of a message by how its deliveries ended.
    async fn settle(&mut self, open: OpenMessage<S::Event>, ended: Vec<(K::Sink, Result<DeliveryEnd, Undelivered>)>) {
        // A sink that was closed before has not been tried at all.
        let mut waits = !self.closed.is_empty();
        let mut refusals = Vec::new();
        for (sink, ended) in ended {
            let failed = match ended {
                Ok(DeliveryEnd::Delivered) => {
                    self.tally.delivered += 1;
                    let lag = Timestamp::now().as_millisecond() - open.event.received_at().as_millisecond();
                    self.tally.worst_lag_ms = self.tally.worst_lag_ms.max(lag);
                    continue;
                }
                Ok(DeliveryEnd::LeftOut) => {
                    self.tally.left_out += 1;
                    continue;
                }
                Ok(DeliveryEnd::Known) => {
                    self.tally.duplicates += 1;
                    continue;
                }
                Err(failed) => failed,
            };
            note_failure(&open.message, &failed.error);
            let verdict = self.verdict(&failed.error);
            if verdict == Verdict::SetAside || failed.is_used_up() {
                refusals.push((sink, failed.error));
                continue;
            }
            self.note_wait(verdict, &open.message);
            if failed.doubts > 0 {
                self.pause = self.pause.max(wait_in_doubt(failed.doubts));
            }
            waits = true;
            self.closed.push(sink);
        }
        if waits {
            self.waiting.push(open.message);
        } else if let Some((_, error)) = refusals.first() {
            let is_aside = self.set_aside(open.message, error.code.text(), &error.message).await;
            self.tally.rejected += usize::from(is_aside);
            let keys = refusals.iter().filter_map(|(sink, _)| self.relay.sinks.key(*sink, &open.event));
            for (key, _) in keys.filter(|_| is_aside) {
                if let Err(error) = self.relay.deliveries.forget_doubts(self.cx, &key).await {
                    tracing::warn!(%error, "a message that is redriven may be set aside again at once");
                }
            }
        }
    }

    /// What a failure means for its message. When all are refused, it is not the messages' fault.
    fn verdict(&self, error: &Error) -> Verdict {
        match Verdict::of(error) {
            Verdict::SetAside if error.code != Code::INTERNAL && !self.relay.streaks.is_the_messages_fault() => {
                Verdict::LacksPermission
            }
            verdict => verdict,
        }
    }

    fn note_wait(&mut self, verdict: Verdict, message: &Message) {
        self.pause = self.pause.max(wait(verdict, message.receives));
        match verdict {
            Verdict::LacksCredential => self.tally.lack_credential += 1,
            Verdict::LacksPermission => self.tally.lack_permission += 1,
            Verdict::SetAside | Verdict::Outage | Verdict::Throttled => {}
        }
    }

    /// Sends a message to the dead-letter queue. If that fails, the message waits. Returns whether it was sent there.
    async fn set_aside(&mut self, message: Message, code: &'static str, why: &str) -> bool {
        let (message_id, receives) = (message.id.as_str(), message.receives);
        match self.relay.back.set_aside(self.cx, &message, code).await {
            Ok(()) => {
                tracing::error!(message_id, receives, code, why, "a message was put into the dead-letter queue");
                true
            }
            Err(error) => {
                tracing::error!(message_id, %error, "a message could not be put into the dead-letter queue and waits");
                self.pause = self.pause.max(wait(Verdict::Outage, receives));
                self.waiting.push(message);
                false
            }
        }
    }

    /// Returns the messages that wait to the queue.
    async fn give_back(self) -> (Vec<String>, DeliveryTally) {
        if !self.waiting.is_empty()
            && let Err(error) = self.relay.back.hide(self.cx, &self.waiting, self.pause).await
        {
            tracing::warn!(%error, "the messages of a group could not be hidden, so they come again after the queue's visibility timeout");
        }
        (self.waiting.into_iter().map(|message| message.id).collect(), self.tally)
    }
}

fn note_failure(message: &Message, error: &Error) {
    let (message_id, receives) = (message.id.as_str(), message.receives);
    let (code, cause) = (error.code.text(), error.cause.as_deref());
    tracing::warn!(message_id, receives, code, error = error.message, cause, "a message could not be delivered");
}
