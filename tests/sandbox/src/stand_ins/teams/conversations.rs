//! The connector's calls: create a conversation; send, update and delete an activity.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::chats::{BotActivity, BotChat, BotScope, Bots, parameter, person, personal, split};
use super::{Bot, Refused};
use crate::stand_ins::{TENANT, World, locked};

const BAD_SYNTAX: Refused = Refused::new(400, "BadSyntax");
const BAD_ARGUMENT: Refused = Refused::new(400, "Bad Argument");

/// An activity that Teams takes: a message with something in it, or typing.
fn read(body: &[u8], most_bytes: usize) -> Result<Value, Refused> {
    let activity: Value = serde_json::from_slice(body).map_err(|_| BAD_SYNTAX)?;
    check(&activity, most_bytes)?;
    Ok(activity)
}

fn check(activity: &Value, most_bytes: usize) -> Result<(), Refused> {
    let has_text = activity["text"].as_str().is_some_and(|text| !text.is_empty());
    match activity["type"].as_str() {
        None => return Err(BAD_SYNTAX),
        Some("message") if has_text || !attachments(activity).is_empty() => {}
        Some("typing") => {}
        Some(_) => return Err(BAD_ARGUMENT),
    }
    if attachments(activity).iter().any(|attachment| attachment["contentType"].as_str().is_none_or(str::is_empty)) {
        return Err(BAD_ARGUMENT);
    }
    if utf16_bytes(activity) > most_bytes {
        return Err(Refused::new(413, "MessageSizeTooBig"));
    }
    Ok(())
}

fn attachments(activity: &Value) -> &[Value] {
    activity["attachments"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The size of a message, pictures that are in it not counted.
fn utf16_bytes(activity: &Value) -> usize {
    let mut counted = activity.clone();
    for attachment in counted["attachments"].as_array_mut().into_iter().flatten() {
        if attachment["contentUrl"].as_str().is_some_and(|url| url.starts_with("data:")) {
            attachment["contentUrl"] = "".into();
        }
    }
    counted.to_string().encode_utf16().count() * 2
}

/// Takes an activity into a conversation; gives its id, or none where Teams splits it.
fn take(
    bots: &mut Bots,
    conversation: &str,
    activity: Value,
    reply_to: Option<&str>,
) -> Result<Option<String>, Refused> {
    let thread = split(conversation).1.map(str::to_owned);
    let reply_to = reply_to.or(activity["replyToId"].as_str()).map(str::to_owned);
    let mut parts = vec![activity];
    let whole = &parts[0];
    if whole["text"].is_string() && !attachments(whole).is_empty() {
        let (mut text, mut rest) = (whole.clone(), whole.clone());
        text["attachments"] = json!([]);
        rest["text"] = Value::Null;
        parts = vec![text, rest];
    }
    let was_split = parts.len() > 1;
    let mut last = None;
    for body in parts {
        let id = bots.new_id();
        let chat = bots.writable(conversation)?;
        let (thread, reply_to) = (thread.clone(), reply_to.clone());
        chat.activities.push(BotActivity { id: id.clone(), thread, body, reply_to, edits: 0, deleted: false });
        last = Some(id);
    }
    Ok(last.filter(|_| !was_split))
}

pub(super) async fn send(
    State(world): State<Arc<World>>,
    Path(path): Path<HashMap<String, String>>,
    Extension(Bot(app)): Extension<Bot>,
    body: Bytes,
) -> Result<Response, Refused> {
    let conversation = parameter(&path, "conversation");
    let mut bots = locked(&world.bots);
    let activity = read(&body, bots.most_bytes)?;
    bots.writable(conversation)?;
    bots.count(&app, conversation)?;
    if activity["type"] == "typing" {
        bots.writable(conversation)?.typing_shown += 1;
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    let id = take(&mut bots, conversation, activity, path.get("activity").map(String::as_str))?;
    let answer = id.map_or(json!({}), |id| json!({"id": id}));
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

pub(super) async fn update(
    State(world): State<Arc<World>>,
    Path(path): Path<HashMap<String, String>>,
    Extension(Bot(app)): Extension<Bot>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let (conversation, id) = (parameter(&path, "conversation"), parameter(&path, "activity"));
    let mut bots = locked(&world.bots);
    let activity = read(&body, bots.most_bytes)?;
    bots.writable(conversation)?;
    bots.count(&app, conversation)?;
    let known = bots.writable(conversation)?.activity(id).ok_or(Refused::new(404, "ActivityNotFoundInConversation"))?;
    if known.deleted {
        return Err(Refused::new(403, "ServiceError"));
    }
    known.body = activity;
    known.edits += 1;
    Ok(Json(json!({"id": id})))
}

pub(super) async fn delete(
    State(world): State<Arc<World>>,
    Path(path): Path<HashMap<String, String>>,
    Extension(Bot(app)): Extension<Bot>,
) -> Result<StatusCode, Refused> {
    let (conversation, id) = (parameter(&path, "conversation"), parameter(&path, "activity"));
    let mut bots = locked(&world.bots);
    bots.writable(conversation)?;
    bots.count(&app, conversation)?;
    let known = bots.writable(conversation)?.activity(id).filter(|known| !known.deleted);
    known.ok_or(Refused::new(404, "ActivityNotFoundInConversation"))?.deleted = true;
    Ok(StatusCode::OK)
}

pub(super) async fn create(
    State(world): State<Arc<World>>,
    Extension(Bot(app)): Extension<Bot>,
    body: Bytes,
) -> Result<Response, Refused> {
    let request: Value = serde_json::from_slice(&body).map_err(|_| BAD_SYNTAX)?;
    let tenants = [&request["tenantId"], &request["channelData"]["tenant"]["id"]];
    let named: Vec<_> = tenants.into_iter().filter(|tenant| !tenant.is_null()).collect();
    if named.is_empty() || named.iter().any(|tenant| *tenant != TENANT) {
        return Err(BAD_ARGUMENT);
    }
    let bot = &request["bot"]["id"];
    if !bot.is_null() && *bot != format!("28:{app}") {
        return Err(BAD_ARGUMENT);
    }
    match request["channelData"]["channel"]["id"].as_str() {
        Some(channel) => thread(&world, &app, channel, &request["activity"]),
        None => chat(&world, &app, &request),
    }
}

/// The chat with one person, who is named by the object id, or by the id that this bot knows.
fn chat(world: &World, app: &str, request: &Value) -> Result<Response, Refused> {
    let members = request["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    // A bot cannot make a group chat.
    let ([member], false) = (members, request["isGroup"].as_bool().unwrap_or_default()) else {
        return Err(BAD_ARGUMENT);
    };
    let id = member["id"].as_str().unwrap_or_default();
    let mut bots = locked(&world.bots);
    let by_object_id = || Some(world.directory().user_by_id(id).filter(|_| Uuid::try_parse(id).is_ok())?.id.clone());
    let by_own_id = || bots.installed.iter().find(|user| person(app, user) == id).cloned();
    let user = by_object_id().or_else(by_own_id).ok_or(BAD_ARGUMENT)?;
    if bots.disabled.contains(&user) {
        return Err(Refused::new(403, "BotDisabledByAdmin"));
    }
    if !bots.installed.contains(&user) {
        return Err(Refused::new(403, "ForbiddenOperationException"));
    }
    let conversation = personal(app, &user);
    bots.count(app, &conversation)?;
    bots.chats.entry(conversation.clone()).or_insert_with(|| BotChat::new(BotScope::Personal, Some(user)));
    let service_url = bots.service_url();
    Ok((StatusCode::CREATED, Json(json!({"id": conversation, "serviceUrl": service_url}))).into_response())
}

/// A new thread in a channel, which begins with this activity.
fn thread(world: &World, app: &str, channel: &str, activity: &Value) -> Result<Response, Refused> {
    let mut bots = locked(&world.bots);
    check(activity, bots.most_bytes)?;
    let refused = Refused::new(403, "BotNotInConversationRoster");
    if bots.chats.get(channel).is_none_or(|chat| chat.scope != BotScope::Channel || !chat.has_bot) {
        return Err(refused);
    }
    bots.count(app, channel)?;
    let id = bots.new_id();
    let first = BotActivity {
        id: id.clone(),
        thread: Some(id.clone()),
        body: activity.clone(),
        reply_to: None,
        edits: 0,
        deleted: false,
    };
    bots.writable(channel)?.activities.push(first);
    let answer = json!({"id": format!("{channel};messageid={id}"), "activityId": id});
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}
