//! Secrets Manager, DynamoDB and SQS for a function that runs without the local cloud: in a handler test, in the benchmark.
//!
//! Secrets hold what the vendors accept now; tables keep what is written; the queue takes every message and forgets it.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{World, locked};

/// Name of the secret with the credential for Entra.
pub const ENTRA_SECRET: &str = "bridge/entra";

/// Name of the secret with the credential for Genesys Cloud.
pub const GENESYS_SECRET: &str = "bridge/genesys";

/// The name of the secret for subscriptions: client state and certificates.
pub const WEBHOOK_SECRET: &str = "bridge/webhook";

/// The client state in that secret.
pub const CLIENT_STATE: &str = "9f1e7c52-the-client-state-of-the-stand-ins";

pub(super) fn router(world: Arc<World>) -> Router {
    Router::new().route("/", post(answer)).with_state(world)
}

async fn answer(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let secret = match (target, request["SecretId"].as_str()) {
        ("secretsmanager.GetSecretValue", Some(ENTRA_SECRET)) => world.directory().entra_credential(),
        ("secretsmanager.GetSecretValue", Some(GENESYS_SECRET)) => world.directory().genesys_credential(),
        ("secretsmanager.GetSecretValue", Some(WEBHOOK_SECRET)) => world.directory().webhook_secret.clone(),
        ("AmazonSQS.SendMessageBatch", _) => return Json(taken(&request["Entries"])).into_response(),
        (target, _) if let Some(operation) = target.strip_prefix("DynamoDB_20120810.") => {
            return locked(&world.tables).answer(operation, &request);
        }
        _ => {
            let refusal = json!({"__type": "ResourceNotFoundException", "Message": "nothing of that name is here"});
            return (StatusCode::BAD_REQUEST, Json(refusal)).into_response();
        }
    };
    Json(
        json!({"ARN": "arn:aws:secretsmanager:local", "Name": request["SecretId"], "SecretString": secret.to_string()}),
    )
    .into_response()
}

/// SQS's answer for a batch that it has taken.
fn taken(entries: &Value) -> Value {
    let taken = |entry: &Value| json!({"Id": entry["Id"], "MessageId": Uuid::new_v4().to_string(), "MD5OfMessageBody": "", "SequenceNumber": "1"});
    json!({"Successful": entries.as_array().into_iter().flatten().map(taken).collect::<Vec<_>>(), "Failed": []})
}
