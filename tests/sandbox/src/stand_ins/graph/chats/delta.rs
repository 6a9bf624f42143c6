//! `GET /users/{id}/chats/getAllMessages/delta`: all messages of a user's chats, then those that changed since.
//!
//! The tokens are opaque to callers. The first request's query holds for all that follow, so those take only a token.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::super::{World, locked};
use super::super::delta_token::Token;
use super::super::{Answer, Caller, Refusal, link};
use super::listing::page;
use super::message::Message;
use super::{READ, knows_newer_types, permitted, user_id};

/// The only filter: `lastModifiedDateTime gt 2026-05-04T00:00:00Z`.
fn since(query: &HashMap<String, String>) -> Result<Option<Timestamp>, Refusal> {
    let Some(filter) = query.get("$filter") else {
        return Ok(None);
    };
    let time = filter.strip_prefix("lastModifiedDateTime gt ").and_then(|time| time.trim().parse().ok());
    time.map(Some).ok_or_else(|| Refusal::bad_request(format!("Filter '{filter}' is not supported.")))
}

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
    let user = user_id(&world, &user)?;
    let chats = locked(&world.chats);
    let mut token = match Token::of(&query, chats.generation)? {
        Some(token) if token.about != user => return Err(Refusal::bad_request("The token is another user's.")),
        Some(token) => token,
        None if query.contains_key("$orderby") => return Err(Refusal::bad_request("OrderBy is not supported.")),
        None => Token {
            about: user.clone(),
            after: 0,
            began: chats.changes,
            page: page(&query)?,
            since: since(&query)?.map(Timestamp::as_millisecond),
            resumed: false,
            generation: chats.generation,
        },
    };
    let own = chats.chats.values().filter(|chat| chat.has_member(&user)).flat_map(|chat| chat.messages.values());
    let mut messages: Vec<&Message> =
        own.filter(|message| token.since.is_none_or(|since| message.modified.as_millisecond() > since)).collect();
    messages.sort_by_key(|message| message.change);
    let known = messages.partition_point(|message| message.change <= token.after);
    let repeated = if token.resumed { chats.delta_replays } else { 0 };
    let new = messages.split_off(known.saturating_sub(repeated));
    let more = new.len() > token.page;
    let shown: Vec<&&Message> = new.iter().take(token.page).collect();
    token.after = shown.last().map_or(token.after, |last| last.change.max(token.after));
    let path = format!("/users/{user}/chats/getAllMessages/delta");
    token.resumed = !more;
    let (name, link_name) = if more { ("$skiptoken", "@odata.nextLink") } else { ("$deltatoken", "@odata.deltaLink") };
    let newer_types = knows_newer_types(&headers);
    let values: Vec<Value> = shown.iter().map(|message| message.shown(newer_types)).collect();
    let next = link(&world, &path, &HashMap::from([(name.to_owned(), token.text())]));
    Ok(Json(json!({"@odata.context": "#Collection(chatMessage)", "value": values, link_name: next})).into_response())
}
