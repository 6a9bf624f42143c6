//! The sinks that a deployment has, behind the worker's one way to deliver.

pub mod event_bus;
pub mod key;
pub mod open_messaging;
#[cfg(test)]
mod stored_names;

use self::event_bus::{EventBridgeBus, EventBus};
use self::key::Sink;
use self::open_messaging::OpenMessaging;
use crate::error::Error;
use crate::http::RequestContext;
use crate::media::S3Media;
use crate::relay::{Delivered, Event, Sinks};

/// A resource that is there and is not handed on.
const WITHHELD: &[u8] = b"";

/// The sinks; one that is not configured is nothing.
#[derive(Debug)]
pub struct Outlets<M = S3Media, B = EventBridgeBus> {
    /// Where messages of chats go.
    pub open_messaging: Option<OpenMessaging<M>>,
    /// Where every event goes.
    pub event_bus: Option<B>,
}

impl Outlets {
    /// Fetches what the first delivery needs. Failure is of no consequence but the log entry.
    pub async fn warm_up(&self, cx: &RequestContext) {
        if let Some(messaging) = &self.open_messaging {
            messaging.warm_up(cx).await;
        }
    }
}

impl<M: crate::media::MediaStore, B: EventBus> Sinks for Outlets<M, B> {
    fn all(&self) -> impl Iterator<Item = Sink> + Send {
        let messaging = self.open_messaging.as_ref().map(|_| Sink::OpenMessaging);
        messaging.into_iter().chain(self.event_bus.as_ref().map(|_| Sink::EventBus))
    }

    async fn deliver(
        &self,
        cx: &RequestContext,
        sink: Sink,
        event: &Event,
        before: Option<i64>,
        receives: u32,
    ) -> Result<Delivered, Error> {
        match (sink, &self.open_messaging, &self.event_bus, &event.message) {
            (Sink::OpenMessaging, Some(messaging), _, Some(message)) => {
                messaging.deliver(cx, &event.change, message, before, receives).await
            }
            (Sink::EventBus, _, Some(bus), _) => {
                let content = match &event.message {
                    // Rules of the customer's own need not know of the policy: they hear of it, and not what it keeps.
                    Some(message) if message.is_blocked() => Some(WITHHELD),
                    _ => event.content.as_deref(),
                };
                bus.publish(cx, &event.change, content).await?;
                Ok(Delivered::Delivered)
            }
            _ => Ok(Delivered::LeftOut("nothing for this sink")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;
    use crate::notification::Change;
    use crate::remote::context;
    use crate::sinks::event_bus::{EventBusError, event};

    /// Keeps the details of what is published.
    #[derive(Default)]
    struct Published(Mutex<Vec<String>>);

    impl EventBus for Published {
        async fn publish(
            &self,
            _cx: &RequestContext,
            change: &Change,
            resource: Option<&[u8]>,
        ) -> Result<(), EventBusError> {
            self.0.lock().unwrap().push(event(change, resource)?.1);
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_is_blocked_is_told_to_the_bus_without_its_text() {
        let outlets: Outlets<S3Media, Published> =
            Outlets { open_messaging: None, event_bus: Some(Published::default()) };
        for action in ["notifySender", "notifySender, blockAccess"] {
            let message = json!({"id": "1", "chatId": "19:a", "body": {"content": "4111 1111"},
                "policyViolation": {"dlpAction": action}});
            let content = Some(message.to_string().into_bytes());
            let message = serde_json::from_value(message).unwrap();
            let event = Event { change: Change::default(), content, message: Some(message) };
            outlets.deliver(&context(10), Sink::EventBus, &event, None, 1).await.unwrap();
        }
        let published = outlets.event_bus.unwrap().0.into_inner().unwrap();
        assert!(published[0].contains("4111 1111") && published[0].contains("\"dataLeftOut\":false"));
        assert!(!published[1].contains("4111 1111") && published[1].contains("\"dataLeftOut\":true"));
    }
}
