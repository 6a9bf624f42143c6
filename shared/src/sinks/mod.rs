//! The sinks: the places that events are delivered to. Each is a folder with its key rule, settings, client, error and
//! tests. The relay's questions to a sink are answered here, with one `match` each.

pub mod event_bus;
#[cfg(test)]
mod key_tests;
pub mod open_messaging;
mod startup;
#[cfg(test)]
mod stored_names;
#[cfg(test)]
mod tests;

use self::event_bus::{EventBridgeBus, EventBus};
use self::open_messaging::OpenMessaging;
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::media::{MediaStore, S3Media};
use crate::notification::Change;
use crate::notification::event::ResourceEvent;
use crate::relay::{Attempt, Delivered, KeyAhead, Sinks};
use crate::store::RecordKey;

/// The name of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Messages of chats, as inbound messages of a Genesys Cloud Open Messaging integration.
    OpenMessaging,
    /// Every event, to an Amazon EventBridge bus.
    EventBus,
}

impl Sink {
    /// The key and version by which the delivery of an event is remembered; `None` when the event is not for the sink.
    #[must_use]
    pub fn key(self, event: &ResourceEvent) -> Option<(RecordKey, i64)> {
        match self {
            Self::OpenMessaging => open_messaging::key::of(event),
            Self::EventBus => Some(event_bus::key::of(event)),
        }
    }

    /// The same, as far as the notification tells it.
    #[must_use]
    pub fn key_ahead(self, change: &Change) -> KeyAhead {
        match self {
            Self::OpenMessaging => open_messaging::key::ahead(change),
            Self::EventBus => event_bus::key::ahead(change),
        }
    }

    /// The code for a delivery that hangs. Genesys Cloud may have taken the message.
    #[must_use]
    pub fn hung(self) -> Code {
        match self {
            Self::OpenMessaging => Code::OUTCOME_UNKNOWN,
            Self::EventBus => Code::DELIVERY_FAILED,
        }
    }
}

/// The content in place of a resource that exists and is not passed on.
const WITHHELD: &[u8] = b"";

/// The sinks of a deployment; one that is not configured is `None`.
#[derive(Debug)]
pub struct Outlets<M = S3Media, B = EventBridgeBus> {
    /// The sink for messages of chats.
    pub open_messaging: Option<OpenMessaging<M>>,
    /// The sink for every event.
    pub event_bus: Option<B>,
}

impl Outlets {
    /// Fetches what the first delivery needs. A failure is only logged.
    pub async fn warm_up(&self, cx: &RequestContext) {
        if let Some(messaging) = &self.open_messaging {
            messaging.warm_up(cx).await;
        }
    }
}

impl<M: MediaStore, B: EventBus> Sinks for Outlets<M, B> {
    type Notice = Change;
    type Event = ResourceEvent;
    type Sink = Sink;

    fn all(&self) -> impl Iterator<Item = Sink> + Send {
        let messaging = self.open_messaging.as_ref().map(|_| Sink::OpenMessaging);
        messaging.into_iter().chain(self.event_bus.as_ref().map(|_| Sink::EventBus))
    }

    fn key(&self, sink: Sink, event: &ResourceEvent) -> Option<(RecordKey, i64)> {
        sink.key(event)
    }

    fn key_ahead(&self, sink: Sink, change: &Change) -> KeyAhead {
        sink.key_ahead(change)
    }

    async fn deliver(
        &self,
        cx: &RequestContext,
        sink: Sink,
        event: &ResourceEvent,
        attempt: Attempt,
    ) -> Result<Delivered, Error> {
        match (sink, &self.open_messaging, &self.event_bus, &event.message) {
            (Sink::OpenMessaging, Some(messaging), _, Some(message)) => {
                messaging.deliver(cx, &event.change, message, attempt).await
            }
            (Sink::EventBus, _, Some(bus), _) => {
                let content = match &event.message {
                    // The customer's own rules may not know of the policy: they are told of the message, and not of its
                    // content.
                    Some(message) if message.is_blocked() => Some(WITHHELD),
                    _ => event.content.as_deref(),
                };
                bus.publish(cx, &event.change, content).await?;
                Ok(Delivered::Delivered)
            }
            _ => Ok(Delivered::LeftOut("not for this sink")),
        }
    }

    fn hung(&self, sink: Sink) -> Code {
        sink.hung()
    }
}
