//! The queue of notifications, as the relay reads it.

use super::{OpenedResource, Resources};
use crate::error::Error;
use crate::http::RequestContext;
use crate::notification::event::ResourceEvent;
use crate::notification::{Change, Queued};
use crate::relay::{Opened, Source};
use crate::store::subscriptions::SubscriptionNotes;

/// Opens queued notifications, and notes when a subscription was heard of.
#[derive(Debug)]
pub struct Notifications<R, N> {
    /// From a notification to its resource.
    pub resources: R,
    /// When each subscription was last heard of.
    pub heard: N,
}

impl<R: Resources, N: SubscriptionNotes> Source for Notifications<R, N> {
    type Notice = Change;
    type Event = ResourceEvent;

    fn read(&self, _cx: &RequestContext, body: &str) -> Result<Option<Change>, String> {
        match serde_json::from_str(body) {
            Ok(Queued::Change(change)) => Ok(Some(change)),
            // The schedule of renewals attends to it.
            Ok(Queued::Lifecycle(_)) => Ok(None),
            Ok(Queued::Unreadable(_)) => Err("the webhook took it, and could not read it as a notification".into()),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                Err(format!("it is no notification (line {line}, column {column})"))
            }
        }
    }

    fn costs_a_call(&self, change: &Change) -> bool {
        // Closing a gap tells of everything once more, and fetching is what Graph throttles.
        change.encrypted_content.is_none()
    }

    async fn known(&self, cx: &RequestContext, change: &Change) {
        if let Err(error) = self.heard.heard(cx, &change.subscription_id, change.received_at).await {
            tracing::warn!(%error, "it was not noted that a subscription was heard of");
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
