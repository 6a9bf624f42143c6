//! The relay's source: reads and opens the messages of the notification queue.

use super::{OpenedResource, Resources};
use crate::error::Error;
use crate::http::RequestContext;
use crate::notification::event::ResourceEvent;
use crate::notification::{Change, Queued};
use crate::relay::{Opened, Source};
use crate::store::subscriptions::SubscriptionNotes;

/// Opens queued notifications, and notes when each subscription was heard of last.
#[derive(Debug)]
pub struct Notifications<R, N> {
    /// Opens a notification to its resource.
    pub resources: R,
    /// The notes of when each subscription was heard of last.
    pub heard: N,
}

impl<R: Resources, N: SubscriptionNotes> Source for Notifications<R, N> {
    type Notice = Change;
    type Event = ResourceEvent;

    fn read(&self, _cx: &RequestContext, body: &str) -> Result<Option<Change>, String> {
        match serde_json::from_str(body) {
            Ok(Queued::Change(change)) => Ok(Some(change)),
            // The function that renews subscriptions handles these.
            Ok(Queued::Lifecycle(_)) => Ok(None),
            Ok(Queued::Unreadable(_)) => Err("the webhook took it, but could not read it as a notification".into()),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                Err(format!("it is no notification (line {line}, column {column})"))
            }
        }
    }

    fn costs_a_call(&self, change: &Change) -> bool {
        // When a gap is closed, everything is notified of once more, and Graph throttles fetching.
        change.encrypted_content.is_none()
    }

    async fn known(&self, cx: &RequestContext, change: &Change) {
        if let Err(error) = self.heard.heard(cx, &change.subscription_id, change.received_at).await {
            tracing::warn!(%error, "the note of when a subscription was last heard of could not be written");
        }
    }

    async fn open(&self, cx: &RequestContext, change: &Change) -> Result<Opened<ResourceEvent>, Error> {
        let content = match self.resources.open(cx, change).await? {
            OpenedResource::Content(content) => Some(content),
            OpenedResource::Gone => {
                cx.record.count("gone", 1);
                None
            }
            OpenedResource::Refused(why) => return Ok(Opened::Refused(why)),
        };
        self.known(cx, change).await;
        Ok(Opened::Event(ResourceEvent::new(change.clone(), content)))
    }
}
