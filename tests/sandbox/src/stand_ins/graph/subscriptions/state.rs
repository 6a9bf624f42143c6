//! The subscriptions that exist, and their limits.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::super::Refusal;
use super::super::budget::Budget;
use super::super::notifications::Change;
use super::certificate::Certificate;
use super::resource::{Quota, Resource, Service};

/// The most subscriptions of all apps to one mailbox.
const PER_MAILBOX: usize = 1000;

/// The least time between renewing and reauthorizing.
const HAZARD: Duration = Duration::from_secs(10 * 60);

/// A subscription, as Graph keeps it.
#[derive(Debug, Clone)]
pub(in crate::stand_ins) struct Subscription {
    pub(in crate::stand_ins) id: Uuid,
    /// The client id of the app that made it.
    pub(in crate::stand_ins) app: String,
    pub(super) resource: Resource,
    /// The change types, in the order in which they were sent.
    pub(super) change_types: Vec<String>,
    pub(in crate::stand_ins) notification_url: String,
    pub(in crate::stand_ins) lifecycle_url: Option<String>,
    pub(in crate::stand_ins) client_state: Option<String>,
    pub(in crate::stand_ins) expires: Timestamp,
    /// The certificate that resource data is encrypted for, if it is sent.
    pub(in crate::stand_ins) certificate: Option<Certificate>,
    pub(super) tls_version: String,
    /// Whether the subscriber knows enum members that came after `unknownFutureValue`.
    pub(in crate::stand_ins) newer_types: bool,
    /// Whether nothing is delivered until it is authorized again.
    pub(in crate::stand_ins) is_paused: bool,
    pub(super) renewed: Option<Instant>,
    pub(super) reauthorized: Option<Instant>,
}

/// A time as Graph writes it.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.7fZ").to_string()
}

impl Subscription {
    pub(in crate::stand_ins) fn shown(&self) -> Value {
        json!({
            "id": self.id, "resource": self.resource.path, "applicationId": self.app,
            "changeType": self.change_types.join(","), "clientState": self.client_state,
            "notificationUrl": self.notification_url, "notificationUrlAppId": null, "notificationQueryOptions": null,
            "lifecycleNotificationUrl": self.lifecycle_url, "expirationDateTime": time(self.expires),
            "creatorId": Uuid::new_v5(&Uuid::NAMESPACE_OID, self.app.as_bytes()),
            "includeResourceData": self.certificate.is_some(), "latestSupportedTlsVersion": self.tls_version,
            "encryptionCertificate": null,
            "encryptionCertificateId": self.certificate.as_ref().map(|certificate| &certificate.id),
        })
    }

    fn is_live(&self) -> bool {
        self.expires > Timestamp::now()
    }

    /// Whether the subscriber is told of this change.
    pub(in crate::stand_ins) fn wants(&self, change: &Change) -> bool {
        self.change_types.iter().any(|kind| kind == change.kind) && self.resource.covers(change)
    }

    /// The part of the resource that resource data has.
    pub(in crate::stand_ins) fn selected(&self, resource: &Value) -> Value {
        if self.resource.rule.service != Service::Outlook {
            return resource.clone();
        }
        let wanted = |name: &str| self.resource.select.iter().any(|selected| selected == name);
        let kept = |(name, _): &(&String, &Value)| wanted(name) || name.starts_with('@') || *name == "id";
        let kept = resource.as_object().into_iter().flatten().filter(kept);
        Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    pub(in crate::stand_ins) fn service(&self) -> Service {
        self.resource.rule.service
    }

    /// Whether Graph may remove it by itself, with a lifecycle notification.
    pub(in crate::stand_ins) fn is_removable(&self) -> bool {
        self.resource.is_removable()
    }
}

/// A subscription that was renewed and reauthorized at about the same time, which Microsoft warns against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hazard {
    /// The id of the subscription.
    pub subscription_id: Uuid,
    /// Whether the renewal came second; if not, the reauthorization did.
    pub renewed_last: bool,
    /// The seconds between the two.
    pub seconds_apart: u64,
}

/// The subscriptions of all apps.
#[derive(Debug)]
pub(in crate::stand_ins) struct Subscriptions {
    all: Vec<Subscription>,
    /// The budget of an app for creating, renewing and deleting.
    pub(super) writes: Budget,
    pub(super) reauthorizations: Budget,
    /// The budget of reads of one subscription.
    pub(super) reads: Budget,
    /// The budget of lists of all subscriptions.
    pub(super) lists: Budget,
    /// The most subscriptions to Teams resources in the organisation, of all apps.
    pub(in crate::stand_ins) teams_quota: usize,
    /// The number of subscriptions on a page of a list.
    pub(in crate::stand_ins) page: usize,
    /// Whether renewing calls the endpoint as creating does. That was observed and is not documented.
    pub(in crate::stand_ins) validates_renewals: bool,
    pub(in crate::stand_ins) hazards: Vec<Hazard>,
}

/// The window in which requests are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(20);

impl Default for Subscriptions {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            writes: Budget::new(500, WINDOW),
            reauthorizations: Budget::new(1000, WINDOW),
            reads: Budget::new(500, WINDOW),
            lists: Budget::new(25, WINDOW),
            teams_quota: 10_000,
            page: 100,
            validates_renewals: false,
            hazards: Vec::new(),
        }
    }
}

fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "ResourceNotFound", "The object was not found.")
}

fn full(message: String) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message)
}

impl Subscriptions {
    /// The subscriptions that have not expired, oldest first.
    pub(in crate::stand_ins) fn live(&self) -> impl Iterator<Item = &Subscription> {
        self.all.iter().filter(|subscription| subscription.is_live())
    }

    pub(in crate::stand_ins) fn live_mut(&mut self) -> impl Iterator<Item = &mut Subscription> {
        self.all.iter_mut().filter(|subscription| subscription.is_live())
    }

    /// An app's subscription of this id.
    pub(super) fn own(&mut self, app: &str, id: &str) -> Result<&mut Subscription, Refusal> {
        let id = Uuid::try_parse(id).map_err(|_| not_found())?;
        self.live_mut().find(|known| known.id == id && known.app == app).ok_or_else(not_found)
    }

    /// Adds a subscription, if the quotas allow it.
    ///
    /// # Errors
    /// There is a subscription like it, or there are too many.
    pub(super) fn add(&mut self, new: Subscription) -> Result<(), Refusal> {
        self.admit(&new)?;
        self.all.retain(Subscription::is_live);
        self.all.push(new);
        Ok(())
    }

    /// Admits a new subscription, or refuses it because there is one like it, or a quota is used up.
    pub(super) fn admit(&self, new: &Subscription) -> Result<(), Refusal> {
        let sorted = |types: &[String]| {
            let mut types = types.to_vec();
            types.sort_unstable();
            types
        };
        let same = |known: &&Subscription| {
            known.app == new.app
                && known.resource.key() == new.resource.key()
                && sorted(&known.change_types) == sorted(&new.change_types)
        };
        if let Some(known) = self.live().find(same) {
            let message = format!("Subscription Id <{}> already exists for the requested combination", known.id);
            return Err(Refusal::new(StatusCode::CONFLICT, "Conflict", message));
        }
        let count = |of: &dyn Fn(&Subscription) -> bool| self.live().filter(|known| of(known)).count();
        let counted_as = new.resource.counted_as();
        let alike = |known: &Subscription| known.app == new.app && known.resource.counted_as() == counted_as;
        let limit = match new.resource.rule.quota {
            Quota::Service => usize::MAX,
            Quota::OnePerChat => 1,
            Quota::TenPerUser => 10,
        };
        if limit != usize::MAX && count(&alike) >= limit {
            return Err(full(format!("Subscription quota exceeded: {limit} for this app and this chat or user.")));
        }
        let in_teams = |known: &Subscription| known.service() == Service::Teams;
        if in_teams(new) && count(&in_teams) >= self.teams_quota {
            let quota = self.teams_quota;
            return Err(full(format!("Subscription quota exceeded: {quota} to Teams resources in the organization.")));
        }
        let mailbox = new.resource.user().map(str::to_ascii_lowercase);
        let same_mailbox = |known: &Subscription| {
            known.service() == Service::Outlook && known.resource.user().map(str::to_ascii_lowercase) == mailbox
        };
        if new.service() == Service::Outlook && count(&same_mailbox) >= PER_MAILBOX {
            return Err(full(format!("Subscription quota exceeded: {PER_MAILBOX} for this mailbox.")));
        }
        Ok(())
    }

    /// Removes a subscription; `false` if there was none.
    pub(in crate::stand_ins) fn remove(&mut self, id: Uuid) -> bool {
        let before = self.all.len();
        self.all.retain(|known| known.id != id);
        self.all.len() < before
    }

    /// Notes that a subscription was renewed, or reauthorized: either authorizes it.
    pub(super) fn authorized(&mut self, app: &str, id: &str, renewed: bool) -> Result<(), Refusal> {
        let now = Instant::now();
        let known = self.own(app, id)?;
        known.is_paused = false;
        let other = if renewed { known.reauthorized } else { known.renewed };
        let slot = if renewed { &mut known.renewed } else { &mut known.reauthorized };
        *slot = Some(now);
        let subscription_id = known.id;
        if let Some(apart) = other.map(|other| now.saturating_duration_since(other)).filter(|apart| *apart < HAZARD) {
            self.hazards.push(Hazard { subscription_id, renewed_last: renewed, seconds_apart: apart.as_secs() });
        }
        Ok(())
    }
}
