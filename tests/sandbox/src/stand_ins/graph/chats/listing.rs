//! Lists of messages: a chat's, newest first, and a user's of all chats.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::super::{World, locked};
use super::super::{Answer, Caller, Refusal, link};
use super::message::Message;
use super::state::PAGE;
use super::{READ, admit_to_messages, knows_newer_types, not_found, permitted, user_id};

/// A property that a list can be ordered and filtered by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Property {
    Created,
    Modified,
}

impl Property {
    fn named(name: &str) -> Option<Self> {
        match name {
            "createdDateTime" => Some(Self::Created),
            "lastModifiedDateTime" => Some(Self::Modified),
            _ => None,
        }
    }

    fn of(self, message: &Message) -> Timestamp {
        match self {
            Self::Created => message.created,
            Self::Modified => message.modified,
        }
    }
}

/// The page size that `$top` asks for.
pub(super) fn page(query: &HashMap<String, String>) -> Result<usize, Refusal> {
    let size = query.get("$top").map_or(Ok(PAGE), |top| top.parse());
    let size = size.ok().filter(|size| (1..=50).contains(size));
    size.ok_or_else(|| Refusal::bad_request("Invalid value specified for $top. It must be between 1 and 50."))
}

fn order(query: &HashMap<String, String>) -> Result<Option<Property>, Refusal> {
    let Some(order) = query.get("$orderby") else {
        return Ok(None);
    };
    let mut words = order.split_whitespace();
    let property = words.next().and_then(Property::named);
    match (property, words.next(), words.next()) {
        (Some(property), Some("desc"), None) => Ok(Some(property)),
        _ => Err(Refusal::bad_request(format!("OrderBy '{order}' is not supported: it must be descending."))),
    }
}

/// A comparison of a time: `lastModifiedDateTime gt 2026-05-04T00:00:00Z`.
fn comparison(text: &str) -> Option<(Property, &str, Timestamp)> {
    let mut words = text.split_whitespace();
    let (property, operator) = (Property::named(words.next()?)?, words.next()?);
    let time = words.next()?.parse().ok()?;
    let known = matches!((property, operator), (Property::Modified, "gt" | "lt") | (Property::Created, "lt"));
    known.then_some((property, operator, time))
}

/// The filter: comparisons that are joined by `and`.
fn filter(query: &HashMap<String, String>) -> Result<Vec<(Property, &str, Timestamp)>, Refusal> {
    let Some(filter) = query.get("$filter") else {
        return Ok(Vec::new());
    };
    let comparisons: Option<Vec<_>> = filter.split(" and ").map(comparison).collect();
    comparisons.ok_or_else(|| Refusal::bad_request(format!("Filter '{filter}' is not supported.")))
}

/// Answers `GET /chats/{id}/messages`.
pub(super) async fn of_chat(
    caller: Caller,
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Answer {
    admit_to_messages(&world, &caller, &id)?;
    let (size, order, filter) = (page(&query)?, order(&query)?, filter(&query)?);
    let by = order.unwrap_or(Property::Created);
    let chats = locked(&world.chats);
    let chat = chats.chats.get(&id).ok_or_else(not_found)?;
    let key = |message: &Message| (by.of(message), message.created);
    // A filter on another property than the one that is ordered by is ignored without a word.
    let kept = |message: &&Message| {
        filter.iter().filter(|(property, ..)| order == Some(*property)).all(|(property, operator, time)| {
            if *operator == "gt" { property.of(message) > *time } else { property.of(message) < *time }
        })
    };
    let before = query.get("$skiptoken").map(|token| {
        let parts = token.split_once('.').map(|(key, id)| (key.parse(), id.parse()));
        match parts {
            Some((Ok(key), Ok(id))) => Ok::<(i64, i64), _>((key, id)),
            _ => Err(Refusal::bad_request("The skip token is not valid.")),
        }
    });
    let before = before.transpose()?;
    let mut messages: Vec<&Message> = chat.messages.values().filter(kept).collect();
    messages.sort_by_key(|message| std::cmp::Reverse(key(message)));
    let position = |message: &Message| (key(message).0.as_millisecond(), key(message).1.as_millisecond());
    messages.retain(|message| before.is_none_or(|before| position(message) < before));
    let more = messages.len() > size;
    messages.truncate(size);
    let newer_types = knows_newer_types(&headers);
    let shown: Vec<Value> = messages.iter().map(|message| message.shown(newer_types)).collect();
    let mut answer = json!({"@odata.count": shown.len(), "value": shown});
    if let Some(last) = messages.last().filter(|_| more) {
        let (key, id) = position(last);
        let mut query = query.clone();
        query.insert("$skiptoken".into(), format!("{key}.{id}"));
        answer["@odata.nextLink"] =
            link(&world, &format!("/chats/{id_in_path}/messages", id_in_path = chat.id), &query).into();
    }
    Ok(Json(answer).into_response())
}

/// Answers `GET /users/{id}/chats/getAllMessages`: oldest first, in pages.
pub(super) async fn of_user(
    caller: Caller,
    State(world): State<Arc<World>>,
    Path(user): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Answer {
    let within = locked(&world.chats).export_reads.take(&caller.app);
    within.map_err(Refusal::throttled)?;
    permitted(&world, &caller, READ)?;
    let (user, size, filter) = (user_id(&world, &user)?, page(&query)?, filter(&query)?);
    let after: u64 = query.get("$skiptoken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let chats = locked(&world.chats);
    let own = chats.chats.values().filter(|chat| chat.has_member(&user)).flat_map(|chat| chat.messages.values());
    let mut messages: Vec<&Message> = own
        .filter(|message| message.change > after)
        .filter(|message| {
            filter.iter().all(|(property, operator, time)| {
                if *operator == "gt" { property.of(message) > *time } else { property.of(message) < *time }
            })
        })
        .collect();
    messages.sort_by_key(|message| message.change);
    let more = messages.len() > size;
    messages.truncate(size);
    let newer_types = knows_newer_types(&headers);
    let shown: Vec<Value> = messages.iter().map(|message| message.shown(newer_types)).collect();
    let mut answer = json!({"@odata.count": shown.len(), "value": shown});
    if let Some(last) = messages.last().filter(|_| more) {
        let mut query = query.clone();
        query.insert("$skiptoken".into(), last.change.to_string());
        answer["@odata.nextLink"] = link(&world, &format!("/users/{user}/chats/getAllMessages"), &query).into();
    }
    Ok(Json(answer).into_response())
}
