//! Lifecycle notifications: what becomes of a subscription itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::super::super::{TENANT, World, locked};
use super::super::subscriptions::{Service, Subscription};
use super::delivery;
use super::item::{NotificationItem, time};

/// What is told of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lifecycle {
    /// It has to be authorized again, or else nothing is delivered before long.
    ReauthorizationRequired,
    /// It is gone: of Outlook's, and those to Teams messages.
    SubscriptionRemoved,
    /// Notifications were lost: of Outlook's only.
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
    /// Tells this of a subscription, or of all; those that Graph never says it of, and those without a lifecycle
    /// notification URL, hear nothing. With `pauses` nothing is delivered until the subscription is authorized again.
    /// Gives how many were told, or are gone.
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
