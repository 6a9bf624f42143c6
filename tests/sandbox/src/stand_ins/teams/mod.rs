//! Microsoft Teams as a bot meets it: the Bot Connector's conversations and activities.
//!
//! It refuses what Microsoft's pages say it refuses, in the same words: *Send and receive messages* (the table of status
//! codes), *Optimize your bot with rate limiting in Teams*, *Format your bot messages*. The rows of that table that come
//! from nothing a test can set up (412, 408, 5xx, `InvalidBotApiHost`, `NotEnoughPermissions`) are switched on as a
//! [`Fault`](super::faults::Fault).

mod chats;
mod conversations;
mod testing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{post, put};
use serde_json::{Value, json};

use super::{TENANT, World, locked};
pub(super) use chats::Bots;
pub use chats::{BotActivity, BotChat, BotScope};

/// The paths under the host, each of which is a region of the service.
const REGIONS: [&str; 6] = ["amer", "emea", "apac", "in", "uk", "teams"];

/// The app whose token came with a request.
#[derive(Debug, Clone)]
struct Bot(String);

/// An answer of the table of status codes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    status: u16,
    code: &'static str,
    retry_after: Option<Duration>,
}

impl Refused {
    const fn new(status: u16, code: &'static str) -> Self {
        Self { status, code, retry_after: None }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(error_body(self.code, "refused"))).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The body of a refusal: `MessageWritesBlocked` has the older shape, whose message is JSON again.
pub(super) fn error_body(code: &str, message: &str) -> Value {
    if code == "MessageWritesBlocked" {
        let inner = json!({"subCode": code, "details": message, "errorCode": null, "errorSubCode": null});
        return json!({"errorCode": 209, "message": inner.to_string()});
    }
    json!({"error": {"code": code, "message": message}})
}

/// The code of a status, where a fault does not say.
pub(super) const fn code_of(status: u16) -> &'static str {
    match status {
        400 => "BadSyntax",
        401 => "BotNotRegistered",
        403 => "BotNotInConversationRoster",
        404 => "ConversationNotFound",
        412 => "PreconditionFailed",
        413 => "MessageSizeTooBig",
        429 => "Throttled",
        _ => "ServiceError",
    }
}

pub(super) fn router(world: Arc<World>) -> Router {
    let api = Router::new()
        .route("/v3/conversations", post(conversations::create))
        .route("/v3/conversations/{conversation}/activities", post(conversations::send))
        .route(
            "/v3/conversations/{conversation}/activities/{activity}",
            put(conversations::update).delete(conversations::delete).post(conversations::send),
        )
        .route_layer(middleware::from_fn_with_state(world.clone(), admit));
    // Older service URLs name the region, newer ones the tenant too.
    Router::new().nest("/{region}", api.clone()).nest("/{region}/{tenant}", api).with_state(world)
}

/// Lets a request in: at a path of the service, with a token for the Bot Framework, of an app that is registered as a
/// bot, within the bot's rate.
async fn admit(
    State(world): State<Arc<World>>,
    Path(path): Path<HashMap<String, String>>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_region = path.get("region").is_some_and(|region| REGIONS.contains(&region.as_str()));
    if !is_region || path.get("tenant").is_some_and(|tenant| tenant != TENANT) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let header = request.headers().get(header::AUTHORIZATION);
    let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(app) = token.and_then(|token| world.tokens.app_of_bot(token)) else {
        let denied = json!({"message": "Authorization has been denied for this request."});
        return (StatusCode::UNAUTHORIZED, Json(denied)).into_response();
    };
    let admitted = locked(&world.bots).admit(&app);
    match admitted {
        Ok(()) => {
            request.extensions_mut().insert(Bot(app));
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    }
}
