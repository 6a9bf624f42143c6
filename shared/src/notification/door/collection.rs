//! The body of a request of Graph's: a collection of notifications of any subscriptions, tenants and kinds, with tokens
//! beside them.
//!
//! <https://learn.microsoft.com/graph/api/resources/changenotificationcollection>

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_with::{DefaultOnError, VecSkipError, serde_as};

use crate::error::{Code, Error};
use crate::notification::queued::{Change, EncryptedContent, Lifecycle, Queued, Unreadable};

/// The most notifications of one request. Graph documents no limit and sends some tens. With as many as this in one
/// chat, the last batch would leave at about the time that Graph waits for an answer.
pub const MAX_ITEMS: usize = 2000;

/// The body of a request. Its notifications are not yet read: one that cannot be read must not spoil the others.
#[derive(Debug)]
pub struct Collection<'a> {
    items: Vec<&'a RawValue>,
    /// The tokens of the rich notifications among them; see [`Change::validation_tokens`].
    pub validation_tokens: Vec<String>,
}

#[serde_as]
#[derive(Deserialize)]
struct CollectionBody<'a> {
    #[serde(borrow)]
    value: Items<'a>,
    // A value that is no token proves nothing; notifications that need no token must be taken all the same.
    #[serde_as(deserialize_as = "DefaultOnError<Option<VecSkipError<_>>>")]
    #[serde(default, rename = "validationTokens")]
    validation_tokens: Option<Vec<String>>,
}

/// The first items of the array, and the number of all of them.
struct Items<'a> {
    first: Vec<&'a RawValue>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;

        impl<'de> Visitor<'de> for Bounded {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of notifications")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Items<'de>, A::Error> {
                let mut first = Vec::new();
                while first.len() < MAX_ITEMS {
                    match items.next_element()? {
                        Some(item) => first.push(item),
                        None => return Ok(Items { count: first.len(), first }),
                    }
                }
                let mut count = first.len();
                while items.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Items { first, count })
            }
        }

        deserializer.deserialize_seq(Bounded)
    }
}

impl<'a> Collection<'a> {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// `malformedJson`, when it is no collection; `bodyTooLarge`, when it has more than [`MAX_ITEMS`]. Graph then sends
    /// it again: a collection that only the bridge cannot read would otherwise be lost.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let CollectionBody { value, validation_tokens } = serde_json::from_slice(body).map_err(|error| {
            // The message tells the place of the problem, and not the text around it.
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::new(
                Code::MALFORMED_JSON,
                format!("The request's body must be a collection of notifications of Microsoft Graph; it is none at {place}."),
            )
        })?;
        if value.count > MAX_ITEMS {
            let message = format!("The request holds {} notifications; at most {MAX_ITEMS} are taken.", value.count);
            return Err(Error::new(Code::BODY_TOO_LARGE, message));
        }
        Ok(Self { items: value.first, validation_tokens: validation_tokens.unwrap_or_default() })
    }

    /// How many notifications there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no notifications.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The notifications, in order; `None` for an item that is no JSON object.
    pub fn notifications(&self, received_at: Timestamp) -> impl Iterator<Item = Option<Notification>> {
        self.items.iter().map(move |json| {
            let read = serde_json::from_str(json.get()).ok().and_then(|item: RawNotification| item.read(received_at));
            read.or_else(|| unreadable(json, received_at))
        })
    }
}

/// An item that cannot be read as a notification, without its client state, which must not be on a queue. `None` for an
/// item that is no object.
fn unreadable(json: &RawValue, received_at: Timestamp) -> Option<Notification> {
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(json.get()).ok()?;
    let client_state = fields.remove("clientState").and_then(|state| serde_json::from_str(state.get()).ok());
    let queued = Queued::Unreadable(Unreadable { notification: serde_json::to_string(&fields).ok()?, received_at });
    Some(Notification { id: None, client_state, queued })
}

/// A notification that is not yet known to come from Graph.
#[derive(Debug)]
pub struct Notification {
    /// Graph's own id of the notification, if there is one; a repetition has the same.
    pub id: Option<String>,
    /// The client state that it shows to prove that it comes from Graph.
    pub client_state: Option<ClientStateShown>,
    /// The message for the queue; its tokens are still in the collection.
    pub queued: Queued,
}

/// A client state as it came. It may be the right one, so it must not be logged.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct ClientStateShown(String);

impl ClientStateShown {
    /// The bytes of the text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for ClientStateShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[client state]")
    }
}

/// A notification of either kind, as Graph writes it. Every member may be absent or null in one of them, and a member
/// of an unexpected type must not cost the others.
#[serde_as]
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawNotification {
    #[serde_as(deserialize_as = "DefaultOnError")]
    id: Option<String>,
    #[serde_as(deserialize_as = "DefaultOnError")]
    subscription_id: String,
    #[serde_as(deserialize_as = "DefaultOnError")]
    tenant_id: Option<String>,
    #[serde_as(deserialize_as = "DefaultOnError")]
    client_state: Option<ClientStateShown>,
    #[serde_as(deserialize_as = "DefaultOnError")]
    lifecycle_event: Option<String>,
    #[serde_as(deserialize_as = "DefaultOnError")]
    subscription_expiration_date_time: Option<String>,
    #[serde_as(deserialize_as = "DefaultOnError")]
    change_type: Option<String>,
    #[serde_as(deserialize_as = "DefaultOnError")]
    resource: Option<String>,
    #[serde_as(deserialize_as = "DefaultOnError")]
    resource_data: Option<ResourceData>,
    // Incomplete content is ignored: the worker fetches the resource.
    #[serde_as(deserialize_as = "DefaultOnError")]
    encrypted_content: Option<EncryptedContent>,
}

#[serde_as]
#[derive(Deserialize, Default)]
#[serde(default)]
struct ResourceData {
    #[serde_as(deserialize_as = "DefaultOnError")]
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
    #[serde_as(deserialize_as = "DefaultOnError")]
    #[serde(rename = "@odata.id")]
    id: Option<String>,
    #[serde_as(deserialize_as = "DefaultOnError")]
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
}

impl RawNotification {
    /// The notification, of the kind that its members tell, whichever URL it was sent to. `None` for a change that does
    /// not say what has changed.
    fn read(self, received_at: Timestamp) -> Option<Notification> {
        let there = |text: &String| !text.is_empty();
        let subscription_id = Some(self.subscription_id).filter(there)?;
        let tenant_id = self.tenant_id.unwrap_or_default();
        let queued = match self.lifecycle_event.filter(there) {
            Some(lifecycle_event) => Queued::Lifecycle(Lifecycle {
                subscription_id,
                tenant_id,
                lifecycle_event,
                subscription_expiration_date_time: self.subscription_expiration_date_time.unwrap_or_default(),
                received_at,
            }),
            None => {
                let data = self.resource_data.unwrap_or_default();
                Queued::Change(Change {
                    subscription_id,
                    tenant_id,
                    change_type: self.change_type.filter(there)?,
                    resource: data.id.filter(there).or(self.resource.filter(there))?,
                    resource_type: data.kind.unwrap_or_default(),
                    etag: data.etag.unwrap_or_default(),
                    encrypted_content: self.encrypted_content,
                    validation_tokens: Vec::new(),
                    received_at,
                })
            }
        };
        Some(Notification { id: self.id, client_state: self.client_state, queued })
    }
}
