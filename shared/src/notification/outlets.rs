//! The sinks that a deployment has, behind the worker's one way to deliver.

use super::event_bus::{EventBridgeBus, EventBus};
use super::key::Sink;
use super::media::S3Media;
use super::open_messaging::OpenMessaging;
use super::process::{Delivered, Event, Sinks};
use crate::error::Error;
use crate::http::RequestContext;

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

impl<M: super::media::MediaStore, B: EventBus> Sinks for Outlets<M, B> {
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
                bus.publish(cx, &event.change, event.content.as_deref()).await?;
                Ok(Delivered::Delivered)
            }
            _ => Ok(Delivered::LeftOut("nothing for this sink")),
        }
    }
}
