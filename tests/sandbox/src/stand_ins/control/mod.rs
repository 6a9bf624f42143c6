//! The control panel: a person uses it with curl or a browser to switch things on, and to look at them.

mod genesys;
mod microsoft;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;

use super::faults::Fault;
use super::{GenesysUser, Text, User, Vendor, World};
use crate::Trouble;
use crate::genesys_event::GenesysEvent;

const HELP: &str = r#"The stand-ins' control panel

POST   /faults   switches a fault on: {"at": "entra" | "graph" | "teams" | "genesys",
                 "match": part of "METHOD path?query body", "times": 1 (0: until cleared),
                 "when": "before" | "after" (the request is taken first),
                 and one of "status": 429 with "retryAfter": "1.5" and the vendor's own "code", "delayMs": 5000,
                 "reset": true;
                 "percent": 1 with "seed": 7 (and "times": 0) hits so many of a hundred}
GET    /faults   shows those that are on
DELETE /faults   switches all off
POST   /users    adds or replaces a user: {"upn", "id", "teams": true, "mailbox": true, "accessPolicy": true,
                 "teamsOpen": true (a Teams client is signed in)}
POST   /genesys-users    adds or replaces a user of Genesys Cloud: {"id", "userName", "teamsId": the external id for
                 Teams, "scimTeamsId": the same where only SCIM has it}
POST   /presence-budget  sets how often an app may call Graph's presence service: {"requests": 10000, "seconds": 30}
POST   /genesys-presence changes an agent's presence in Genesys Cloud, which tells Amazon EventBridge:
                 {"userId", "systemPresence": "ON_QUEUE"}
GET    /presence/ID      shows what Teams shows of the user with this object id
POST   /rotate   replaces a credential at the vendor and in Secrets Manager: {"at": "entra" | "genesys"}
POST   /expire   makes every token that was issued invalid

GET    /teams    a page for a browser: write in Teams, and see what Genesys Cloud shows
POST   /permissions      grants and revokes Graph permissions of the bridge: {"grant": ["Chat.Read.All"], "revoke": []}
POST   /signing-key      replaces the key that Entra signs with: what it signed is good no longer
POST   /chats            makes a chat, or gives it another topic: {"id", "topic", "members": users}
GET    /chats            shows the chats with their messages
POST   /chat-budget      sets how often an app may read messages in a second: {"requests": 20, "inOneChat": 1}
POST   /teams-messages   writes into a chat: {"chat": id (absent: the first chat), "from": user, or "guest": name, or
                 "bot": name, or "system": true; "text" or "html", "photo": true, "image": {"contentType", "base64"},
                 "mentions": users, "card": {"contentType", "content"}, "file": {"name", "url"}, "policyViolation"}
PATCH  /teams-messages   changes one: {"chat", "id", and one of "html", "reaction" with "by": user, "delete": true,
                 "policyViolation": {"dlpAction": "notifySender, blockAccess", "userAction": "override"}}
POST   /mail             a message comes in: {"to": user, "from", "subject", "body", "folder": "inbox"}
PATCH  /mail             {"to": user, "id", and one of "read": true, "delete": true}
POST   /delta-tokens     {"expire": true} makes all invalid, {"replays": 3} lets delta queries repeat so many items
GET    /subscriptions    shows the subscriptions, and those renewed and reauthorized within ten minutes
POST   /subscriptions    sets their limits: {"teamsQuota": 10000, "pageSize": 100, "validatesRenewals": false}
POST   /subscriptions/expire  lets one end, or all: {"id", "inSeconds": 0}
GET    /notifications    shows what became of the notifications, endpoints, last POSTs and settings
POST   /notifications    changes the settings: {"duplicatePercent", "reorderPercent", "lossPercent", "lateMs", "seed",
                 "batchSize", "retryAfterMs", "retryForSeconds", "windowSeconds", "tokenVersion": "1.0" | "2.0",
                 "chatEtags"}
POST   /lifecycle        tells of one subscription, or of all: {"event": "reauthorizationRequired" |
                 "subscriptionRemoved" | "missed", "id", "pauses": false (deliver nothing until authorized)}
POST   /hostile          posts a notification with one flaw: {"flaw": "wrongClientState" | "forgedToken" |
                 "tamperedSignature" | ..., "id": of a subscription}

GET    /genesys-conversations  shows the conversations of Open Messaging with their messages
POST   /open-messaging   sets the integration up: {"deduplicatesMessages": false, "fetchesAttachments": true,
                 "supportedContent": ["image/*"]}
POST   /genesys-limits   {"requestsPerMinute": 300, "maySend": true, "mayReceive": true}

GET    /phone    shows the text messages
GET    /calls    shows the requests that the vendors got
"#;

/// What the control panel cannot do by itself.
#[derive(Debug)]
pub enum Wish {
    /// The secret of this vendor's credential is to be stored anew.
    StoreSecret(Vendor),
    /// Amazon EventBridge is to be handed this event.
    SendEvent(GenesysEvent),
}

#[derive(Clone)]
struct Panel {
    world: Arc<World>,
    wishes: UnboundedSender<Wish>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PutUser {
    upn: String,
    id: String,
    #[serde(default = "yes")]
    teams: bool,
    #[serde(default = "yes")]
    mailbox: bool,
    #[serde(default = "yes")]
    access_policy: bool,
    #[serde(default)]
    lobby_policy: Option<String>,
    #[serde(default = "yes")]
    teams_open: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PutGenesysUser {
    id: String,
    user_name: String,
    #[serde(default)]
    teams_id: Option<String>,
    #[serde(default)]
    scim_teams_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresenceBudget {
    requests: usize,
    seconds: u64,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangePresence {
    user_id: String,
    system_presence: String,
}

#[derive(Deserialize)]
struct Rotate {
    at: Vendor,
}

pub(super) fn router(world: Arc<World>, wishes: UnboundedSender<Wish>) -> Router {
    Router::new()
        .route("/", get(async || HELP))
        .route("/faults", post(switch_on).get(faults).delete(clear))
        .route("/users", post(put_user))
        .route("/genesys-users", post(put_genesys_user))
        .route("/presence-budget", post(set_presence_budget))
        .route("/genesys-presence", post(change_presence))
        .route("/presence/{id}", get(presence))
        .route("/rotate", post(rotate))
        .route("/expire", post(expire))
        .route("/phone", get(phone))
        .route("/calls", get(async |State(panel): State<Panel>| Json(panel.world.calls())))
        .merge(microsoft::router())
        .merge(genesys::router())
        .with_state(Panel { world, wishes })
}

/// What the panel does not understand.
#[derive(Debug)]
struct Refused(String);

/// What somebody sent, which should be this.
fn read<T: DeserializeOwned>(body: &str, what: &str) -> Result<T, Refused> {
    serde_json::from_str(body).map_err(|error| Refused(format!("That is no {what}: {error}.\n\n{HELP}")))
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        Self(format!("{trouble}\n"))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.0).into_response()
    }
}

const DONE: Result<StatusCode, Refused> = Ok(StatusCode::NO_CONTENT);

async fn switch_on(State(panel): State<Panel>, body: String) -> Result<Json<Fault>, Refused> {
    let fault: Fault = read(&body, "fault")?;
    panel.world.faults.add(fault.clone());
    Ok(Json(fault))
}

async fn faults(State(panel): State<Panel>) -> Json<Vec<Fault>> {
    Json(panel.world.faults.all())
}

async fn clear(State(panel): State<Panel>) -> StatusCode {
    panel.world.faults.clear();
    StatusCode::NO_CONTENT
}

async fn put_user(State(panel): State<Panel>, body: String) -> Result<StatusCode, Refused> {
    let user: PutUser = read(&body, "user")?;
    panel.world.directory().put_user(User {
        upn: user.upn,
        id: user.id,
        teams: user.teams,
        mailbox: user.mailbox,
        access_policy: user.access_policy,
        lobby_policy: user.lobby_policy,
        teams_open: user.teams_open,
    });
    DONE
}

async fn put_genesys_user(State(panel): State<Panel>, body: String) -> Result<StatusCode, Refused> {
    let PutGenesysUser { id, user_name, teams_id, scim_teams_id } = read(&body, "user")?;
    panel.world.directory().put_genesys_user(GenesysUser { id, user_name, teams_id, scim_teams_id });
    DONE
}

async fn set_presence_budget(State(panel): State<Panel>, body: String) -> Result<StatusCode, Refused> {
    let PresenceBudget { requests, seconds } = read(&body, "budget")?;
    panel.world.set_presence_budget(requests, Duration::from_secs(seconds));
    DONE
}

async fn change_presence(State(panel): State<Panel>, body: String) -> Result<StatusCode, Refused> {
    let ChangePresence { user_id, system_presence } = read(&body, "presence")?;
    let now = jiff::Timestamp::now().to_string();
    let _ = panel.wishes.send(Wish::SendEvent(GenesysEvent::presence(&user_id, &system_presence, &now)));
    DONE
}

async fn presence(State(panel): State<Panel>, Path(id): Path<String>) -> String {
    let (availability, activity) = panel.world.presence_of(&id);
    format!("{availability}/{activity}\n")
}

async fn rotate(State(panel): State<Panel>, body: String) -> Response {
    let at = serde_json::from_str(&body).map(|Rotate { at }| at);
    match at {
        Ok(Vendor::Entra) => panel.world.directory().rotate_entra_secret(),
        Ok(Vendor::Genesys) => panel.world.directory().rotate_genesys_secret(),
        _ => return (StatusCode::BAD_REQUEST, HELP).into_response(),
    }
    // Whoever keeps the secrets stores the new one.
    let _ = at.map(|at| panel.wishes.send(Wish::StoreSecret(at)));
    StatusCode::NO_CONTENT.into_response()
}

async fn expire(State(panel): State<Panel>) -> StatusCode {
    panel.world.expire_tokens();
    StatusCode::NO_CONTENT
}

async fn phone(State(panel): State<Panel>) -> Json<Vec<Text>> {
    Json(panel.world.texts())
}
