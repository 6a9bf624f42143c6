//! Change notifications to subscriptions, as Microsoft's pages "Receive change notifications through webhooks", "Set up
//! change notifications that include resource data" and "Reduce missing subscriptions and change notifications" have
//! them.

mod delivery;
#[cfg(test)]
mod delivery_tests;
mod health;
mod hostile;
mod item;
mod lifecycle;
mod settings;
#[cfg(test)]
mod tests;
mod validation_token;

use std::sync::Arc;

use serde_json::Value;

use super::super::{World, locked};
use super::subscriptions::Subscription;

pub(in crate::stand_ins) use delivery::Deliveries;
pub use delivery::{Attempt, Standing, Totals};
pub use hostile::Flaw;
pub use lifecycle::Lifecycle;
pub use settings::{NotificationSettings, TokenVersion};

/// A change that subscriptions may hear of.
#[derive(Debug, Clone)]
pub(in crate::stand_ins) struct Change {
    /// `created`, `updated` or `deleted`.
    pub(in crate::stand_ins) kind: &'static str,
    /// The resource that changed.
    pub(in crate::stand_ins) what: What,
}

/// What changed, as Graph shows it afterwards.
#[derive(Debug, Clone)]
pub(in crate::stand_ins) enum What {
    /// A message in a chat of these members: as shown to who does not know the newer message types, and to who does.
    Message { chat: String, id: String, members: Vec<String>, known: Value, newer: Value },
    /// A chat, with its members' object ids.
    Chat { id: String, members: Vec<String>, value: Value },
    /// A message in a mailbox.
    Mail { user: String, folder: String, id: String, value: Value },
    /// An event in a calendar.
    Event { user: String, id: String, value: Value },
}

impl World {
    /// Tells everybody who subscribed to it of a change.
    pub(in crate::stand_ins) fn notify(self: &Arc<Self>, change: &Change) {
        let subscribers: Vec<Subscription> = {
            let subscriptions = locked(&self.subscriptions);
            subscriptions.live().filter(|known| known.wants(change) && !known.is_paused).cloned().collect()
        };
        for subscription in subscribers {
            let number = self.deliveries.next_number();
            let item = item::of(&subscription, change, number, &self.deliveries.settings());
            delivery::send(self, &subscription.notification_url, item);
        }
    }
}
