//! Lifecycle notifications: events of a subscription itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::super::super::{TENANT, World, locked};
use super::super::subscriptions::{Service, Subscription};
use super::delivery;
use super::item::{NotificationItem, time};

/// An event of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lifecycle {
    /// The subscription must be authorized again, or nothing is delivered before long.
    ReauthorizationRequired,
    /// The subscription was removed: for Outlook resources, and for Teams messages.
    SubscriptionRemoved,
    /// Notifications were missed: for Outlook resources only.
    Missed,
}

impl Lifecycle {
    fn fits(self, subscription: &Subscription) -> bool {
        match self {
            Self::ReauthorizationRequired => true,
            Self::SubscriptionRemoved => subscription.is_removable(),
            Self::Missed => subscription.service() == Service::Outlook,
        }
    }
}

impl World {
    /// Sends this event to a subscription, or to all. Subscriptions that Graph never sends it to, and those without a
    /// lifecycle notification URL, are left out. With `pauses`, nothing is delivered until the subscription is
    /// authorized again. Returns how many subscriptions were notified or removed.
    pub fn send_lifecycle(self: &Arc<Self>, event: Lifecycle, id: Option<Uuid>, pauses: bool) -> usize {
        let affected: Vec<Subscription> = {
            let mut subscriptions = locked(&self.subscriptions);
            let hit = |known: &Subscription| id.is_none_or(|id| known.id == id) && event.fits(known);
            let affected: Vec<Subscription> = subscriptions.live().filter(|known| hit(known)).cloned().collect();
            for known in subscriptions.live_mut().filter(|known| hit(known)) {
                known.is_paused |= pauses && event == Lifecycle::ReauthorizationRequired;
            }
            if event == Lifecycle::SubscriptionRemoved {
                for known in &affected {
                    subscriptions.remove(known.id);
                }
            }
            affected
        };
        for subscription in &affected {
            let Some(url) = &subscription.lifecycle_url else {
                continue;
            };
            let mut value = json!({
                "subscriptionId": subscription.id, "subscriptionExpirationDateTime": time(subscription.expires),
                "tenantId": TENANT, "lifecycleEvent": event,
            });
            if let Some(state) = &subscription.client_state {
                value["clientState"] = state.clone().into();
            }
            let (app, about) = (subscription.app.clone(), subscription.id.to_string());
            delivery::send(self, url, NotificationItem { app, is_rich: false, about, value });
        }
        affected.len()
    }
}
