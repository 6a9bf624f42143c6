//! Mail: single messages, and the changes of a folder.

mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::directory::User;
use super::super::{World, locked};
use super::delta_token::Token;
use super::notifications::{Change, What};
use super::{Answer, Caller, Refusal, copy_of, link, no_such_user};
use crate::Trouble;

pub(in crate::stand_ins) use state::Mailboxes;
pub use state::NewMail;

/// Page size of a delta query, unless the caller prefers another.
const PAGE: usize = 10;

pub(super) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/v1.0/users/{user}/messages/{message}", get(message))
        .route("/v1.0/users/{user}/mailFolders/{folder}/messages/delta", get(delta))
}

/// The mailbox's owner, by object id or user principal name.
fn owner(world: &World, caller: &Caller, key: &str) -> Result<User, Refusal> {
    if !world.directory().app_has_permission(&caller.app, "Mail.Read") {
        let message = "Access is denied. Check credentials and try again.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "ErrorAccessDenied", message));
    }
    let user = copy_of(world, |directory| directory.user(key)).ok_or_else(|| no_such_user(key))?;
    if user.mailbox {
        return Ok(user);
    }
    let message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise.";
    Err(Refusal::new(StatusCode::NOT_FOUND, "MailboxNotEnabledForRESTAPI", message))
}

/// A message with the properties that were selected, or all.
fn selected(message: &Value, select: Option<&String>) -> Value {
    let Some(select) = select else {
        return message.clone();
    };
    let wanted: Vec<&str> = select.split(',').map(str::trim).collect();
    let kept = message.as_object().into_iter().flatten();
    let kept = kept.filter(|(name, _)| name.starts_with('@') || *name == "id" || wanted.contains(&name.as_str()));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Answers `GET /users/{id}/messages/{id}`.
async fn message(
    caller: Caller,
    State(world): State<Arc<World>>,
    Path((user, id)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let user = owner(&world, &caller, &user)?;
    let mailboxes = locked(&world.mailboxes);
    let message = mailboxes.message(&user.id, &id).ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "ErrorItemNotFound", "The specified object was not found in the store.")
    })?;
    Ok(Json(selected(message, query.get("$select"))).into_response())
}

/// The page size that a caller prefers: `Prefer: odata.maxpagesize=50`.
fn preferred_page(headers: &HeaderMap) -> Option<usize> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut sizes = values.flat_map(|value| value.split(',')).filter_map(|value| value.trim().split_once('='));
    sizes.find(|(name, _)| *name == "odata.maxpagesize").and_then(|(_, size)| size.parse().ok())
}

/// The only filter: `receivedDateTime ge 2026-05-04T00:00:00Z`.
fn since(query: &HashMap<String, String>) -> Result<Option<Timestamp>, Refusal> {
    let Some(filter) = query.get("$filter") else {
        return Ok(None);
    };
    let time = filter.strip_prefix("receivedDateTime ge ").and_then(|time| time.trim().parse().ok());
    time.map(Some).ok_or_else(|| Refusal::bad_request(format!("Filter '{filter}' is not supported.")))
}

/// Answers `GET /users/{id}/mailFolders/{id}/messages/delta`.
async fn delta(
    caller: Caller,
    State(world): State<Arc<World>>,
    Path((user, folder)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Answer {
    let user = owner(&world, &caller, &user)?;
    let mailboxes = locked(&world.mailboxes);
    let select = query.get("$select").cloned().unwrap_or_default();
    let about = |select: &str| format!("{} {} {select}", user.id, folder.to_ascii_lowercase());
    let mut token = match Token::of(&query, mailboxes.generation)? {
        // What was selected first holds for all that follows.
        Some(token) if token.about.starts_with(&about("")) => token,
        Some(_) => return Err(Refusal::bad_request("The token is another folder's.")),
        None => Token {
            about: about(&select),
            after: 0,
            began: mailboxes.changes_so_far(),
            page: preferred_page(&headers).unwrap_or(PAGE),
            since: since(&query)?.map(Timestamp::as_millisecond),
            resumed: false,
            generation: mailboxes.generation,
        },
    };
    token.page = preferred_page(&headers).unwrap_or(token.page).max(1);
    let select = token.about.strip_prefix(&about("")).filter(|select| !select.is_empty()).map(str::to_owned);
    let mut changes = mailboxes.changes(&user.id, &folder, &token);
    let known = changes.partition_point(|(change, _)| *change <= token.after);
    let repeated = if token.resumed { mailboxes.delta_replays } else { 0 };
    let new = changes.split_off(known.saturating_sub(repeated));
    let more = new.len() > token.page;
    let shown = new.get(..token.page.min(new.len())).unwrap_or_default();
    token.after = shown.last().map_or(token.after, |(change, _)| token.after.max(*change));
    let values: Vec<Value> = shown.iter().map(|(_, value)| selected(value, select.as_ref())).collect();
    token.resumed = !more;
    let (name, link_name) = if more { ("$skiptoken", "@odata.nextLink") } else { ("$deltatoken", "@odata.deltaLink") };
    let path = format!("/users/{}/mailFolders/{folder}/messages/delta", user.id);
    let next = link(&world, &path, &HashMap::from([(name.to_owned(), token.text())]));
    Ok(Json(json!({"@odata.context": "#Collection(message)", "value": values, link_name: next})).into_response())
}

impl World {
    fn tell_of_mail(self: &Arc<Self>, kind: &'static str, user: &str, folder: String, value: Value) -> String {
        let id = value["id"].as_str().unwrap_or_default().to_owned();
        self.notify(&Change { kind, what: What::Mail { user: user.to_owned(), folder, id: id.clone(), value } });
        id
    }

    /// Puts a message into a user's mailbox, by object id; gives its id. Whoever subscribed hears of it.
    pub fn put_mail(self: &Arc<Self>, user: &str, mail: &NewMail) -> String {
        let value = locked(&self.mailboxes).put(user, mail);
        self.tell_of_mail("created", user, mail.folder.clone(), value)
    }

    /// Marks a message as read. Whoever subscribed hears of it.
    ///
    /// # Errors
    /// There is no such message.
    pub fn read_mail(self: &Arc<Self>, user: &str, id: &str) -> Result<(), Trouble> {
        let changed = locked(&self.mailboxes).read(user, id);
        let (folder, value) = changed.ok_or_else(|| Trouble(format!("There is no message {id}.")))?;
        self.tell_of_mail("updated", user, folder, value);
        Ok(())
    }

    /// Deletes a message. Whoever subscribed hears of it.
    ///
    /// # Errors
    /// There is no such message.
    pub fn delete_mail(self: &Arc<Self>, user: &str, id: &str) -> Result<(), Trouble> {
        let deleted = locked(&self.mailboxes).delete(user, id);
        let (folder, value) = deleted.ok_or_else(|| Trouble(format!("There is no message {id}.")))?;
        self.tell_of_mail("deleted", user, folder, value);
        Ok(())
    }
}
