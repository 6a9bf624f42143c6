//! One notification: the forms of its `resource`, and the resource itself, encrypted, where the subscription asks for
//! it.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Value, json};

use super::super::super::TENANT;
use super::super::subscriptions::Subscription;
use super::settings::NotificationSettings;
use super::{Change, What};

/// A notification on its way.
#[derive(Debug, Clone)]
pub(super) struct NotificationItem {
    /// The client id of the app that has the subscription.
    pub(super) app: String,
    /// Whether the notification carries the resource, so that it needs a validation token.
    pub(super) is_rich: bool,
    /// The resource that it is about: notifications about one resource are sent in order.
    pub(super) about: String,
    pub(super) value: Value,
}

/// A time as notifications have it: seven digits, and the offset of Redmond.
pub(super) fn time(at: Timestamp) -> String {
    let zone = TimeZone::fixed(Offset::constant(-8));
    at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.7f%:z").to_string()
}

/// The Outlook resource in a change: its path in one of the forms that occur, its type and its version.
fn of_outlook(number: u64, user: &str, kind: &str, id: &str, value: &Value) -> (String, String, Value) {
    let path = match number % 3 {
        0 => format!("Users/{user}/{kind}s/{id}"),
        1 => format!("Users('{user}')/{kind}s('{id}')"),
        _ => format!("users/{user}@{TENANT}/{}s/{id}", kind.to_ascii_lowercase()),
    };
    let data = json!({
        "@odata.type": format!("#Microsoft.Graph.{kind}"), "@odata.id": format!("Users/{user}/{kind}s/{id}"),
        "@odata.etag": value["@odata.etag"], "id": id,
    });
    (path, format!("{user} {id}"), data)
}

/// The notification of a change for a subscriber; `number` counts them.
pub(super) fn of(
    subscription: &Subscription,
    change: &Change,
    number: u64,
    settings: &NotificationSettings,
) -> NotificationItem {
    let (path, about, data, resource) = match &change.what {
        What::Message { chat, id, known, newer, .. } => {
            let path = format!("chats('{chat}')/messages('{id}')");
            let resource = if subscription.newer_types { newer } else { known };
            let mut data = json!({"id": id, "@odata.type": "#Microsoft.Graph.chatMessage", "@odata.id": path});
            if settings.chat_etags {
                data["@odata.etag"] = resource["etag"].clone();
            }
            (path, chat.clone(), data, resource)
        }
        What::Chat { id, value, .. } => {
            let path = format!("chats('{id}')");
            let data = json!({"id": id, "@odata.type": "#Microsoft.Graph.chat", "@odata.id": path});
            (path, id.clone(), data, value)
        }
        What::Mail { user, id, value, .. } => {
            let (path, about, data) = of_outlook(number, user, "Message", id, value);
            (path, about, data, value)
        }
        What::Event { user, id, value } => {
            let (path, about, data) = of_outlook(number, user, "Event", id, value);
            (path, about, data, value)
        }
    };
    let mut value = json!({
        "subscriptionId": subscription.id, "subscriptionExpirationDateTime": time(subscription.expires),
        "changeType": change.kind, "tenantId": TENANT, "resource": path, "resourceData": data,
    });
    if let Some(state) = &subscription.client_state {
        value["clientState"] = state.clone().into();
    }
    // Some have more than is documented.
    if number.is_multiple_of(2) {
        value["organizationId"] = TENANT.into();
    }
    if let Some(certificate) = &subscription.certificate {
        let mut resource = subscription.selected(resource);
        resource["@odata.context"] = format!("https://graph.microsoft.com/$metadata#{path}").into();
        value["encryptedContent"] = certificate.encrypt(&resource).unwrap_or_default();
    }
    NotificationItem { app: subscription.app.clone(), is_rich: subscription.certificate.is_some(), about, value }
}

/// The body of a POST with these notifications.
pub(super) fn collection(items: &[NotificationItem], tokens: Vec<String>) -> Value {
    let mut collection = json!({"value": items.iter().map(|item| &item.value).collect::<Vec<_>>()});
    if !tokens.is_empty() {
        collection["validationTokens"] = tokens.into();
    }
    collection
}
