//! The control panel: what a person switches on with curl, and looks at.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedSender;

use super::faults::Fault;
use super::{GenesysUser, Text, User, Vendor, World};
use crate::genesys_event::GenesysEvent;

const HELP: &str = r#"The stand-ins' control panel

POST   /faults   switches a fault on: {"at": "entra" | "graph" | "genesys", "match": part of "METHOD path?query body",
                 "times": 1 (0: until cleared), "when": "before" | "after" (the request is taken first),
                 and one of "status": 429 with "retryAfter": "1.5", "delayMs": 5000, "reset": true}
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
        .with_state(Panel { world, wishes })
}

async fn switch_on(State(panel): State<Panel>, body: String) -> Response {
    match serde_json::from_str::<Fault>(&body) {
        Ok(fault) => {
            panel.world.faults.add(fault.clone());
            Json(fault).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("That is no fault: {error}.\n\n{HELP}")).into_response(),
    }
}

async fn faults(State(panel): State<Panel>) -> Json<Vec<Fault>> {
    Json(panel.world.faults.all())
}

async fn clear(State(panel): State<Panel>) -> StatusCode {
    panel.world.faults.clear();
    StatusCode::NO_CONTENT
}

async fn put_user(State(panel): State<Panel>, body: String) -> Response {
    match serde_json::from_str::<PutUser>(&body) {
        Ok(user) => {
            panel.world.directory().put_user(User {
                upn: user.upn,
                id: user.id,
                teams: user.teams,
                mailbox: user.mailbox,
                access_policy: user.access_policy,
                lobby_policy: user.lobby_policy,
                teams_open: user.teams_open,
            });
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("That is no user: {error}.\n\n{HELP}")).into_response(),
    }
}

async fn put_genesys_user(State(panel): State<Panel>, body: String) -> Response {
    match serde_json::from_str::<PutGenesysUser>(&body) {
        Ok(PutGenesysUser { id, user_name, teams_id, scim_teams_id }) => {
            panel.world.directory().put_genesys_user(GenesysUser { id, user_name, teams_id, scim_teams_id });
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("That is no user: {error}.\n\n{HELP}")).into_response(),
    }
}

async fn set_presence_budget(State(panel): State<Panel>, body: String) -> Response {
    match serde_json::from_str::<PresenceBudget>(&body) {
        Ok(PresenceBudget { requests, seconds }) => {
            panel.world.set_presence_budget(requests, Duration::from_secs(seconds));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("That is no budget: {error}.\n\n{HELP}")).into_response(),
    }
}

async fn change_presence(State(panel): State<Panel>, body: String) -> Response {
    match serde_json::from_str::<ChangePresence>(&body) {
        Ok(ChangePresence { user_id, system_presence }) => {
            let now = jiff::Timestamp::now().to_string();
            let _ = panel.wishes.send(Wish::SendEvent(GenesysEvent::presence(&user_id, &system_presence, &now)));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("That is no presence: {error}.\n\n{HELP}")).into_response(),
    }
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::super::{AGENT, AGENT_ID};
    use super::*;

    #[tokio::test]
    async fn what_presence_needs_is_put_by_curl() {
        let world = World::without_sockets().unwrap();
        let panel = router(world.clone(), tokio::sync::mpsc::unbounded_channel().0);
        let post = async |path: &str, body: String| {
            panel.clone().oneshot(Request::post(path).body(Body::from(body)).unwrap()).await.unwrap().status().as_u16()
        };
        let user = |more: &str| format!(r#"{{"upn": "{AGENT}", "id": "{AGENT_ID}"{more}}}"#);
        assert_eq!(post("/users", user(r#", "teamsOpen": false"#)).await, 204);
        assert_eq!(world.presence_of(AGENT_ID), ("Offline", "Offline"));
        assert_eq!(post("/users", user("")).await, 204);
        assert_eq!(world.presence_of(AGENT_ID), ("Available", "Available"));
        let genesys_user = r#"{"id": "u-1", "userName": "u@contoso.com", "scimTeamsId": "t-1"}"#;
        assert_eq!(post("/genesys-users", genesys_user.into()).await, 204);
        let known = world.directory().genesys_user("u-1").unwrap().user.clone();
        assert_eq!((known.teams_id, known.scim_teams_id.as_deref()), (None, Some("t-1")));
        assert_eq!(post("/presence-budget", r#"{"requests": 1500, "seconds": 30}"#.into()).await, 204);
        for path in ["/users", "/genesys-users", "/presence-budget"] {
            assert_eq!(post(path, r#"{"request": 1}"#.into()).await, 400, "{path}");
        }
    }
}
