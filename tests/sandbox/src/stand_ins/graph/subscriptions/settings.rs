//! The settings of subscriptions, and their state for a test or a person to see.

use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::super::super::{World, locked};
use super::state::WINDOW;
use super::{Hazard, Subscription};

/// The limits of subscriptions. A limit that is absent stays as it is.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SubscriptionSettings {
    /// The most subscriptions to Teams resources in the organisation; 10,000 to begin with.
    pub teams_quota: Option<usize>,
    /// How many subscriptions a list has on a page; 100 to begin with.
    pub page_size: Option<usize>,
    /// How often an app may list its subscriptions in 20 seconds; 25 times to begin with.
    pub lists: Option<usize>,
    /// Whether renewing calls the endpoint as creating does; it does not to begin with.
    pub validates_renewals: Option<bool>,
}

impl World {
    /// The subscriptions that have not expired, as Graph shows them.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Value> {
        locked(&self.subscriptions).live().map(Subscription::shown).collect()
    }

    /// The subscriptions that were renewed and reauthorized within ten minutes.
    #[must_use]
    pub fn subscription_hazards(&self) -> Vec<Hazard> {
        locked(&self.subscriptions).hazards.clone()
    }

    /// Changes how subscriptions are limited.
    pub fn set_subscription_limits(&self, settings: SubscriptionSettings) {
        let mut subscriptions = locked(&self.subscriptions);
        let SubscriptionSettings { teams_quota, page_size, lists, validates_renewals } = settings;
        subscriptions.teams_quota = teams_quota.unwrap_or(subscriptions.teams_quota);
        if let Some(lists) = lists {
            subscriptions.lists.set(lists, WINDOW);
        }
        subscriptions.page = page_size.unwrap_or(subscriptions.page).max(1);
        subscriptions.validates_renewals = validates_renewals.unwrap_or(subscriptions.validates_renewals);
    }

    /// Lets a subscription, or all of them, expire in this many seconds; 0 is at once. Returns how many there were.
    pub fn expire_subscriptions(&self, id: Option<Uuid>, in_seconds: u32) -> usize {
        let end = Timestamp::now().saturating_add(i64::from(in_seconds).seconds()).unwrap_or(Timestamp::MAX);
        let mut subscriptions = locked(&self.subscriptions);
        let hit = subscriptions.live_mut().filter(|known| id.is_none_or(|id| known.id == id));
        hit.map(|known| known.expires = end).count()
    }
}
