//! Lifecycle notifications: Graph's events about a subscription itself, as the webhook queues them.
//!
//! <https://learn.microsoft.com/graph/change-notifications-lifecycle-events>

use std::collections::HashMap;

use super::keep::KeeperRun;
use super::plan::Events;
use crate::notification::{Lifecycle, Queued};
use crate::queue::Message;
use crate::telemetry::{Figure, Figures};

/// A batch of lifecycle notifications that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LifecycleBatch {
    /// The events of the messages.
    pub events: Events,
    /// The subscription of each message, by the message's id.
    about: HashMap<String, String>,
    /// The ids of messages that cannot be read.
    pub poison: Vec<String>,
    /// The number of messages whose event needs no action.
    pub ignored: usize,
}

impl LifecycleBatch {
    /// Reads the messages of a batch.
    #[must_use]
    pub fn read(messages: Vec<Message>) -> Self {
        let mut batch = Self::default();
        for Message { id, body, .. } in messages {
            let Ok(Queued::Lifecycle(Lifecycle { subscription_id, lifecycle_event, .. })) = serde_json::from_str(&body)
            else {
                tracing::warn!(message_id = id, "a message of the lifecycle queue is no lifecycle notification");
                batch.poison.push(id);
                continue;
            };
            let subscriptions = match lifecycle_event.as_str() {
                "reauthorizationRequired" => &mut batch.events.reauthorize,
                "subscriptionRemoved" => &mut batch.events.removed,
                "missed" => &mut batch.events.missed,
                _ => {
                    tracing::warn!(
                        message_id = id,
                        "a lifecycle notification has an event that the bridge does not know, and is ignored"
                    );
                    batch.ignored += 1;
                    continue;
                }
            };
            subscriptions.insert(subscription_id.clone());
            batch.about.insert(id, subscription_id);
        }
        batch
    }

    /// The ids of the messages that return to the queue: those that cannot be read, and those whose subscription still
    /// needs something. A subscription that is not ours, or no longer, needs nothing.
    #[must_use]
    pub fn open(&self, run: &KeeperRun) -> Vec<String> {
        let is_open =
            |subscription: &String| run.places.get(subscription).is_some_and(|place| run.open.contains(place));
        let open = self.about.iter().filter(|(_, subscription)| is_open(subscription)).map(|(message, _)| message);
        self.poison.iter().chain(open).cloned().collect()
    }
}

impl Figures for LifecycleBatch {
    fn figures(&self) -> impl Iterator<Item = Figure> {
        let counts = [
            ("reauthorizationRequired", self.events.reauthorize.len()),
            ("subscriptionRemoved", self.events.removed.len()),
            ("missed", self.events.missed.len()),
            ("ignored", self.ignored),
            ("poison", self.poison.len()),
        ];
        counts.into_iter().map(|(name, count)| Figure::Count(name, count))
    }
}
