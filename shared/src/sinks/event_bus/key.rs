//! The key by which the publication of a change is remembered.
//!
//! A resource is created only once, and any other change is known by the resource's tag. Where there is no tag, the
//! moment of the notification tells changes apart: to publish one twice is better than not at all.

use std::borrow::Cow;

use serde::Deserialize;

use crate::graph::resource::ResourceName;
use crate::notification::Change;
use crate::notification::event::ResourceEvent;
use crate::relay::KeyAhead;
use crate::store::{RecordKey, kind};

/// The key of an event. Its version is always 0, because each change is an event of its own.
pub(in crate::sinks) fn of(event: &ResourceEvent) -> (RecordKey, i64) {
    let (change, content) = (&event.change, event.content.as_deref());
    let tag = match (&content, change.etag.as_str()) {
        // A later listing may still find it.
        (None, _) if is_creation(change) => return (key_with(change, "gone"), 0),
        (_, "") => content.and_then(tag).unwrap_or_else(|| change.received_at.to_string()),
        (_, etag) => etag.to_owned(),
    };
    (key(change, &tag), 0)
}

/// The same, from the notification alone.
pub(in crate::sinks) fn ahead(change: &Change) -> KeyAhead {
    if change.etag.is_empty() && !is_creation(change) {
        KeyAhead::AfterOpening
    } else {
        KeyAhead::Key(key(change, &change.etag), 0)
    }
}

fn key(change: &Change, tag: &str) -> RecordKey {
    key_with(change, if is_creation(change) { "" } else { tag })
}

fn key_with(change: &Change, tag: &str) -> RecordKey {
    let path = path(&change.resource).join("/");
    RecordKey::new(kind::EVENT, &[&change.tenant_id, &path, &change.change_type, tag])
}

/// Whether it is the creation of a resource that is created only once. A member of a chat may be added again.
fn is_creation(change: &Change) -> bool {
    let path = path(&change.resource);
    let collection = path.iter().rev().nth(1).map(String::as_str);
    change.change_type == "created" && matches!(collection, Some("messages" | "events"))
}

/// The path by which a resource is remembered: its normal form. A resource in a mailbox is remembered without the
/// mailbox, because its id is unique, and a notification may name the user differently than a listing.
fn path(resource: &str) -> Vec<String> {
    let Ok(name) = ResourceName::read(resource) else { return vec![resource.to_owned()] };
    let mut path: Vec<_> = name.normal_segments().map(Cow::into_owned).collect();
    match path.first().map(String::as_str) {
        Some("users") if path.len() == 4 => drop(path.drain(..2)),
        // Not the normal form, but the form by which deliveries of these have always been remembered: every other
        // segment in lower case. Another key would make the deliveries of the last week again.
        Some("communications") => path = every_other_in_lower_case(&name),
        _ => {}
    }
    path
}

fn every_other_in_lower_case(name: &ResourceName<'_>) -> Vec<String> {
    let segments = name.segments().enumerate();
    segments.map(|(place, it)| if place % 2 == 0 { it.to_ascii_lowercase() } else { it.to_owned() }).collect()
}

/// The tag that tells this version of the resource from another, when the notification does not.
fn tag(content: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Tags {
        #[serde(rename = "@odata.etag")]
        odata_etag: Option<String>,
        etag: Option<String>,
        #[serde(rename = "changeKey")]
        change_key: Option<String>,
        #[serde(rename = "lastModifiedDateTime")]
        modified: Option<String>,
    }
    let tags = serde_json::from_slice::<Tags>(content).ok()?;
    tags.odata_etag.or(tags.etag).or(tags.change_key).or(tags.modified)
}
