//! The part of the control panel for messages in Genesys Cloud.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::super::OpenMessagingSettings;
use super::{DONE, Panel, Refused, read};

pub(super) fn router() -> Router<Panel> {
    Router::new()
        .route("/genesys-conversations", get(async |State(panel): State<Panel>| Json(panel.world.conversations())))
        .route(
            "/open-messaging",
            post(set_up).get(async |State(panel): State<Panel>| Json(panel.world.open_messaging())),
        )
        .route("/genesys-limits", post(limit))
}

async fn set_up(State(panel): State<Panel>, body: String) -> Result<Json<OpenMessagingSettings>, Refused> {
    let changes: serde_json::Map<String, Value> = read(&body, "setting of Open Messaging")?;
    let mut all = serde_json::to_value(panel.world.open_messaging()).unwrap_or_default();
    if let Some(all) = all.as_object_mut() {
        all.extend(changes);
    }
    let settings: OpenMessagingSettings = read(&all.to_string(), "setting of Open Messaging")?;
    panel.world.set_open_messaging(settings.clone());
    Ok(Json(settings))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Limits {
    #[serde(default)]
    requests_per_minute: Option<u32>,
    #[serde(default)]
    may_send: Option<bool>,
    #[serde(default)]
    may_receive: Option<bool>,
}

async fn limit(State(panel): State<Panel>, body: String) -> Result<StatusCode, Refused> {
    let Limits { requests_per_minute, may_send, may_receive } = read(&body, "limit of Genesys Cloud")?;
    let mut directory = panel.world.directory();
    directory.genesys_rate_per_minute = requests_per_minute.unwrap_or(directory.genesys_rate_per_minute);
    directory.genesys_may_send = may_send.unwrap_or(directory.genesys_may_send);
    directory.genesys_may_receive = may_receive.unwrap_or(directory.genesys_may_receive);
    DONE
}
