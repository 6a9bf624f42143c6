//! Teams chats: their members, their messages, and the files within messages.
//!
//! An app can only read them, not write.

mod delta;
mod listing;
mod message;
mod state;
#[cfg(test)]
mod tests;
mod writing;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use serde_json::{Value, json};

use super::super::{World, locked};
use super::{Answer, Caller, Refusal, copy_of, no_such_user};

pub use message::{HostedContent, NewMessage, Sender};
pub(in crate::stand_ins) use state::Chats;
pub use state::Edit;
pub(super) use writing::unwritten;

/// What reading messages takes; the first is the least.
const READ: &[&str] = &["Chat.Read.All", "Chat.ReadWrite.All"];

/// What reading about chats takes.
const READ_BASIC: &[&str] = &["Chat.ReadBasic.All", "Chat.Read.All", "Chat.ReadWrite.All"];

/// What reading members takes.
const READ_MEMBERS: &[&str] = &["ChatMember.Read.All", "Chat.ReadBasic.All", "Chat.Read.All", "Chat.ReadWrite.All"];

pub(super) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/v1.0/chats/{chat}", get(chat))
        .route("/v1.0/chats/{chat}/members", get(members))
        .route("/v1.0/chats/{chat}/messages", get(listing::of_chat).post(write))
        .route("/v1.0/chats/{chat}/messages/{message}", get(message))
        .route("/v1.0/chats/{chat}/messages/{message}/hostedContents", get(hosted_contents))
        .route("/v1.0/chats/{chat}/messages/{message}/hostedContents/{content}/$value", get(hosted_content))
        .route("/v1.0/users/{user}/chats", get(chats_of_user))
        .route("/v1.0/users/{user}/chats/getAllMessages", get(listing::of_user))
        .route("/v1.0/users/{user}/chats/getAllMessages/delta", get(delta::of_user))
}

/// Refuses an app that has none of these permissions, as Teams words it.
pub(super) fn permitted(world: &World, caller: &Caller, permissions: &[&str]) -> Result<(), Refusal> {
    let directory = world.directory();
    if permissions.iter().any(|permission| directory.app_has_permission(&caller.app, permission)) {
        return Ok(());
    }
    let roles = directory.apps.get(&caller.app).map(|app| Vec::from_iter(app.permissions.iter().cloned()));
    let message = format!(
        "Missing role permissions on the request. API requires one of '{}'. Roles on the request '{}'.",
        permissions.join(", "),
        roles.unwrap_or_default().join(", ")
    );
    Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message))
}

/// Lets a read of a chat's messages in: it is counted for the app and for the chat, whatever becomes of it.
fn admit_to_messages(world: &World, caller: &Caller, chat: &str) -> Result<(), Refusal> {
    let mut chats = locked(&world.chats);
    let (of_app, of_chat) =
        (chats.message_reads.take(&caller.app), chats.chat_reads.take(&format!("{} {chat}", caller.app)));
    drop(chats);
    of_app.and(of_chat).map_err(Refusal::throttled)?;
    permitted(world, caller, READ)
}

fn admit_to_others(world: &World, caller: &Caller, permissions: &[&str]) -> Result<(), Refusal> {
    let of_app = locked(&world.chats).other_reads.take(&caller.app);
    of_app.map_err(Refusal::throttled)?;
    permitted(world, caller, permissions)
}

fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "NotFound", "The requested resource could not be found.")
}

/// Whether the caller knows enum members that came after `unknownFutureValue`.
pub(super) fn knows_newer_types(headers: &HeaderMap) -> bool {
    let prefer = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    prefer.flat_map(|value| value.split(',')).any(|value| value.trim() == "include-unknown-enum-members")
}

/// The object id of a user.
fn user_id(world: &World, key: &str) -> Result<String, Refusal> {
    let user = copy_of(world, |directory| directory.user(key));
    user.map(|user| user.id).ok_or_else(|| no_such_user(key))
}

/// Answers `GET /chats/{id}`.
async fn chat(caller: Caller, State(world): State<Arc<World>>, Path(id): Path<String>) -> Answer {
    admit_to_others(&world, &caller, READ_BASIC)?;
    let chats = locked(&world.chats);
    let chat = chats.chats.get(&id).ok_or_else(not_found)?;
    Ok(Json(chat.shown()).into_response())
}

/// Answers `GET /chats/{id}/members`.
async fn members(caller: Caller, State(world): State<Arc<World>>, Path(id): Path<String>) -> Answer {
    admit_to_others(&world, &caller, READ_MEMBERS)?;
    let chats = locked(&world.chats);
    let chat = chats.chats.get(&id).ok_or_else(not_found)?;
    let member = |(id, name): &(String, String)| {
        json!({
            "@odata.type": "#microsoft.graph.aadUserConversationMember", "id": format!("member-{id}"),
            "roles": ["owner"], "displayName": name, "userId": id, "email": null, "tenantId": super::super::TENANT,
            "visibleHistoryStartDateTime": "0001-01-01T00:00:00Z",
        })
    };
    Ok(Json(json!({"value": chat.members.iter().map(member).collect::<Vec<_>>()})).into_response())
}

/// Answers `GET /users/{id}/chats`.
async fn chats_of_user(caller: Caller, State(world): State<Arc<World>>, Path(user): Path<String>) -> Answer {
    admit_to_others(&world, &caller, READ_BASIC)?;
    let user = user_id(&world, &user)?;
    let chats = locked(&world.chats);
    let mut own: Vec<Value> =
        chats.chats.values().filter(|chat| chat.has_member(&user)).map(state::Chat::shown).collect();
    own.sort_by_key(|chat| chat["id"].to_string());
    Ok(Json(json!({"value": own})).into_response())
}

/// Answers `GET /chats/{id}/messages/{id}`.
async fn message(
    caller: Caller,
    State(world): State<Arc<World>>,
    Path((chat, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    admit_to_messages(&world, &caller, &chat)?;
    let chats = locked(&world.chats);
    let message = chats.message(&chat, &id).ok_or_else(not_found)?;
    Ok(Json(message.shown(knows_newer_types(&headers))).into_response())
}

/// `POST /chats/{id}/messages`: importing into a chat that is being migrated is all an app may do.
async fn write(caller: Caller, State(world): State<Arc<World>>, Path(chat): Path<String>) -> Answer {
    admit_to_others(&world, &caller, &["Teamwork.Migrate.All"])?;
    locked(&world.chats).chats.get(&chat).ok_or_else(not_found)?;
    Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", "The chat is not in migration mode."))
}

/// `GET /chats/{id}/messages/{id}/hostedContents`: which there are, and nothing of what is in them.
async fn hosted_contents(
    caller: Caller,
    State(world): State<Arc<World>>,
    Path((chat, id)): Path<(String, String)>,
) -> Answer {
    admit_to_messages(&world, &caller, &chat)?;
    let chats = locked(&world.chats);
    let hosted = &chats.message(&chat, &id).ok_or_else(not_found)?.hosted;
    let shown = hosted.iter().map(|hosted| json!({"id": hosted.id, "contentBytes": null, "contentType": null}));
    Ok(Json(json!({"value": shown.collect::<Vec<_>>()})).into_response())
}

/// Answers `GET /chats/{id}/messages/{id}/hostedContents/{id}/$value`.
async fn hosted_content(
    caller: Caller,
    State(world): State<Arc<World>>,
    Path((chat, id, content)): Path<(String, String, String)>,
) -> Answer {
    admit_to_messages(&world, &caller, &chat)?;
    let chats = locked(&world.chats);
    let hosted = &chats.message(&chat, &id).ok_or_else(not_found)?.hosted;
    let content = hosted.iter().find(|hosted| hosted.id == content).ok_or_else(not_found)?.content.clone();
    Ok(([(header::CONTENT_TYPE, content.content_type)], content.bytes).into_response())
}
