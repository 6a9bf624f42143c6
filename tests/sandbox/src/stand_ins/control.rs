//! The control panel: what a person switches on with curl, and looks at.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedSender;

use super::faults::Fault;
use super::{Text, User, Vendor, World};

const HELP: &str = r#"The stand-ins' control panel

POST   /faults   switches a fault on: {"at": "entra" | "graph" | "genesys", "match": part of "METHOD path?query body",
                 "times": 1 (0: until cleared), "when": "before" | "after" (the request is taken first),
                 and one of "status": 429 with "retryAfter": "1.5", "delayMs": 5000, "reset": true}
GET    /faults   shows those that are on
DELETE /faults   switches all off
POST   /users    adds or replaces a user: {"upn", "id", "teams": true, "mailbox": true, "accessPolicy": true}
POST   /rotate   replaces a credential at the vendor and in Secrets Manager: {"at": "entra" | "genesys"}
POST   /expire   makes every token that was issued invalid
GET    /phone    shows the text messages
GET    /calls    shows the requests that the vendors got
"#;

#[derive(Clone)]
struct Panel {
    world: Arc<World>,
    rotated: UnboundedSender<Vendor>,
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
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Rotate {
    at: Vendor,
}

pub(super) fn router(world: Arc<World>, rotated: UnboundedSender<Vendor>) -> Router {
    Router::new()
        .route("/", get(async || HELP))
        .route("/faults", post(switch_on).get(faults).delete(clear))
        .route("/users", post(put_user))
        .route("/rotate", post(rotate))
        .route("/expire", post(expire))
        .route("/phone", get(phone))
        .route("/calls", get(async |State(panel): State<Panel>| Json(panel.world.calls())))
        .with_state(Panel { world, rotated })
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
            });
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("That is no user: {error}.\n\n{HELP}")).into_response(),
    }
}

async fn rotate(State(panel): State<Panel>, body: String) -> Response {
    let at = serde_json::from_str(&body).map(|Rotate { at }| at);
    match at {
        Ok(Vendor::Entra) => panel.world.directory().rotate_entra_secret(),
        Ok(Vendor::Genesys) => panel.world.directory().rotate_genesys_secret(),
        _ => return (StatusCode::BAD_REQUEST, HELP).into_response(),
    }
    // Whoever keeps the secrets stores the new one.
    let _ = at.map(|at| panel.rotated.send(at));
    StatusCode::NO_CONTENT.into_response()
}

async fn expire(State(panel): State<Panel>) -> StatusCode {
    panel.world.expire_tokens();
    StatusCode::NO_CONTENT
}

async fn phone(State(panel): State<Panel>) -> Json<Vec<Text>> {
    Json(panel.world.texts())
}
