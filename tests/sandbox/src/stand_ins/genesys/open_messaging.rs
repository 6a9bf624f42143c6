//! `POST /conversations/messages/{integrationId}/inbound/open/message`: messages from outside, as the page "Inbound
//! messages" of Open Messaging has them.
//!
//! Files are fetched while the sender waits, without a credential.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{World, locked};
use super::conversations::{Attachment, InboundMessage};
use super::messages::bad_field;
use super::{OPEN_MESSAGING_INTEGRATION, refused};

/// The largest request, in bytes.
const MAX_BYTES: usize = 512_000;

/// How long fetching a file may take.
const FETCH_PATIENCE: Duration = Duration::from_secs(10);

const MEDIA_TYPES: &[&str] = &["Image", "Video", "Audio", "File", "Link"];

/// A message that is well formed, and who sends it.
struct Incoming {
    from: Value,
    message: InboundMessage,
}

pub(super) async fn receive(
    State(world): State<Arc<World>>,
    Path(integration): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    if !world.directory().genesys_may_receive {
        let message =
            "Unable to perform the requested action. You must have the permission [conversation:message:receive].";
        let params = json!({"permissions": "[conversation:message:receive]"});
        return refused(StatusCode::FORBIDDEN, "missing.any.permissions", message, params);
    }
    if integration != OPEN_MESSAGING_INTEGRATION {
        let params = json!({"integrationId": integration});
        return refused(StatusCode::NOT_FOUND, "not.found", "The integration was not found.", params);
    }
    if body.len() > MAX_BYTES {
        let params = json!({"limit": MAX_BYTES});
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "request.entity.too.large", "The request is too large.", params);
    }
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return refused(StatusCode::BAD_REQUEST, "bad.request", "The request could not be understood.", json!({}));
    };
    let Incoming { from, mut message } = match incoming(&request) {
        Ok(incoming) => incoming,
        Err(Mistake { field, message }) => return bad_field(&field, &message),
    };
    let settings = world.open_messaging();
    let prefetch = query.get("prefetchConversationId").is_some_and(|value| value == "true");
    let known = locked(&world.conversations).known(&integration, &message.message_id, &message.time);
    let (conversation, was_open) = match known.filter(|_| settings.deduplicates_messages) {
        Some((conversation, id)) => {
            message.id = id;
            (conversation, true)
        }
        None => {
            let (kept, dropped) =
                std::mem::take(&mut message.attachments).into_iter().partition(|file| settings.supports(&file.mime));
            message.attachments = kept;
            let dropped: Vec<Attachment> = dropped;
            message.dropped = dropped.into_iter().map(|file| file.mime).collect();
            if settings.fetches_attachments {
                for file in &mut message.attachments {
                    fetch(&world.client, file).await;
                }
            }
            locked(&world.conversations).add(&integration, &from, message.clone())
        }
    };
    let mut answer = normalized(&integration, &from, &message);
    if prefetch || was_open {
        answer["conversationId"] = conversation.into();
    }
    Json(answer).into_response()
}

/// `GET /conversations/messaging/integrations/open/{integrationId}`. A role that may send messages need not have the permission
/// for it, and the bridge's has not.
pub(super) async fn integration() -> Response {
    let message = "Unable to perform the requested action. You must have the permission [messaging:integration:view].";
    let params = json!({"permissions": "[messaging:integration:view]"});
    refused(StatusCode::FORBIDDEN, "missing.any.permissions", message, params)
}

/// What is wrong with a field.
struct Mistake {
    field: String,
    message: String,
}

fn mistake<T>(field: &str, message: &str) -> Result<T, Mistake> {
    Err(Mistake { field: field.to_owned(), message: format!("{field}: {message}") })
}

fn incoming(request: &Value) -> Result<Incoming, Mistake> {
    let channel = &request["channel"];
    let from = &channel["from"];
    if from["id"].as_str().is_none_or(str::is_empty) {
        return mistake("channel.from.id", "may not be empty.");
    }
    if !matches!(from["idType"].as_str(), Some("Email" | "Phone" | "Opaque")) {
        return mistake("channel.from.idType", "must be Email, Phone or Opaque.");
    }
    let time = channel["time"].as_str().unwrap_or_default();
    if time.parse::<Timestamp>().is_err() {
        return mistake("channel.time", "must be a time in ISO 8601.");
    }
    let metadata = request.get("metadata").cloned().unwrap_or_else(|| json!({}));
    if metadata.as_object().is_none_or(|entries| !entries.values().all(Value::is_string)) {
        return mistake("metadata", "must be a map of texts.");
    }
    let content = match &request["content"] {
        Value::Null => &[][..],
        Value::Array(content) => content,
        _ => return mistake("content", "must be a list."),
    };
    let attachments = content.iter().map(attachment).collect::<Result<Vec<_>, _>>()?;
    let text = request["text"].as_str().unwrap_or_default();
    if text.is_empty() && attachments.is_empty() {
        return mistake("text", "text or content is required.");
    }
    let message = InboundMessage {
        id: Uuid::new_v4().to_string(),
        message_id: channel["messageId"].as_str().unwrap_or_default().to_owned(),
        time: time.to_owned(),
        text: text.to_owned(),
        attachments,
        dropped: Vec::new(),
        metadata,
    };
    Ok(Incoming { from: from.clone(), message })
}

fn attachment(content: &Value) -> Result<Attachment, Mistake> {
    // What this endpoint makes of more is written nowhere: the vendor's own clients send an attachment and nothing else.
    if let Some(name) =
        content.as_object().into_iter().flat_map(|content| content.keys()).find(|name| *name != "attachment")
    {
        return mistake(&format!("content.{name}"), "is no property of an inbound message's content.");
    }
    let file = &content["attachment"];
    let field = |name: &str| file[name].as_str().unwrap_or_default().to_owned();
    if !MEDIA_TYPES.contains(&field("mediaType").as_str()) {
        return mistake("content.attachment.mediaType", "must be Image, Video, Audio, File or Link.");
    }
    if reqwest::Url::parse(&field("url")).is_err() {
        return mistake("content.attachment.url", "must be a URL.");
    }
    if field("mime").is_empty() {
        return mistake("content.attachment.mime", "may not be empty.");
    }
    Ok(Attachment {
        media_type: field("mediaType"),
        url: field("url"),
        mime: field("mime"),
        filename: field("filename"),
        status: None,
        fetched_type: String::new(),
        bytes: 0,
        sha256: String::new(),
    })
}

/// Fetches a file and notes what came.
async fn fetch(client: &reqwest::Client, file: &mut Attachment) {
    let answer = tokio::time::timeout(FETCH_PATIENCE, async {
        let response = client.get(&file.url).send().await?;
        let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok::<_, reqwest::Error>((response.status().as_u16(), kind.unwrap_or_default(), response.bytes().await?))
    });
    let Ok(Ok((status, kind, bytes))) = answer.await else {
        file.status = Some(0);
        return;
    };
    (file.status, file.fetched_type, file.bytes) = (Some(status), kind, bytes.len());
    for byte in digest::digest(&digest::SHA256, &bytes).as_ref() {
        // Writing into a text does not fail.
        let _ = write!(file.sha256, "{byte:02x}");
    }
}

/// The message as Genesys Cloud shows it.
fn normalized(integration: &str, from: &Value, message: &InboundMessage) -> Value {
    let content = message.attachments.iter().map(|file| {
        let attachment = json!({
            "mediaType": file.media_type, "url": file.url, "mime": file.mime, "filename": file.filename,
        });
        json!({"contentType": "Attachment", "attachment": attachment})
    });
    json!({
        "id": message.id,
        "channel": {
            "id": integration, "platform": "Open", "type": "Private", "messageId": message.message_id,
            "to": {"id": integration}, "from": from, "time": message.time,
        },
        "type": "Text", "text": message.text, "content": content.collect::<Vec<_>>(), "metadata": message.metadata,
        "direction": "Inbound",
    })
}
