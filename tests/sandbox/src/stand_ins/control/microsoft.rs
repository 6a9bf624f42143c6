//! The part of the control panel for Teams, mail, subscriptions and notifications.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{get, post};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::directory::BRIDGE_APP;
use super::super::{CHAT, Edit, Flaw, Lifecycle, NewMail, NewMessage, Sender, SubscriptionSettings, World};
use super::{DONE, Panel, Refused, read};
use crate::Trouble;

/// A photo of four dots: the smallest there is.
pub(super) const PHOTO: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGM4EaABRAwQCgAljgUBqTNxyAAAAABJRU5ErkJggg==";

type Given = Result<Json<Value>, Refused>;

pub(super) fn router() -> Router<Panel> {
    Router::new()
        .route("/teams", get(async || Html(include_str!("page.html"))))
        .route("/hosted-content", get(hosted_content))
        .route("/permissions", post(permit))
        .route("/signing-key", post(rotate_key))
        .route("/chats", post(put_chat).get(async |State(panel): State<Panel>| Json(panel.world.chats())))
        .route("/chat-budget", post(set_budget))
        .route("/teams-messages", post(write).patch(change))
        .route("/mail", post(put_mail).patch(change_mail))
        .route("/delta-tokens", post(change_tokens))
        .route("/subscriptions", get(subscriptions).post(limit))
        .route("/subscriptions/expire", post(expire))
        .route("/notifications", get(async |State(panel): State<Panel>| Json(panel.world.notifications())).post(set))
        .route("/lifecycle", post(lifecycle))
        .route("/hostile", post(hostile))
}

#[derive(Deserialize)]
struct HostedContentAsked {
    chat: String,
    message: String,
    content: String,
}

/// A message's photo, for the page. Anybody may have sent it, so nothing in it may run.
async fn hosted_content(
    State(panel): State<Panel>,
    Query(asked): Query<HostedContentAsked>,
) -> Result<Response, StatusCode> {
    let HostedContentAsked { chat, message, content } = asked;
    let found = panel.world.hosted_content(&chat, &message, &content).ok_or(StatusCode::NOT_FOUND)?;
    let headers = [
        (header::CONTENT_TYPE, found.content_type.as_str()),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, found.bytes).into_response())
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Permissions {
    grant: Vec<String>,
    revoke: Vec<String>,
}

async fn permit(State(panel): State<Panel>, body: String) -> Given {
    let Permissions { grant, revoke } = read(&body, "list of permissions")?;
    let mut directory = panel.world.directory();
    let granted = directory.apps.get_mut(BRIDGE_APP).map(|app| {
        app.permissions.extend(grant);
        app.permissions.retain(|permission| !revoke.contains(permission));
        app.permissions.clone()
    });
    Ok(Json(json!({"permissions": granted})))
}

async fn rotate_key(State(panel): State<Panel>) -> Result<StatusCode, Refused> {
    panel.world.rotate_signing_key()?;
    DONE
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutChat {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    members: Vec<String>,
}

async fn put_chat(State(panel): State<Panel>, body: String) -> Given {
    let PutChat { id, topic, members } = read(&body, "chat")?;
    let id = id.unwrap_or_else(|| format!("19:{}@thread.v2", Uuid::new_v4().simple()));
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    panel.world.put_chat(&id, topic.as_deref(), &members)?;
    Ok(Json(json!({"id": id})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BudgetWish {
    requests: usize,
    in_one_chat: usize,
}

async fn set_budget(State(panel): State<Panel>, body: String) -> Result<StatusCode, Refused> {
    let BudgetWish { requests, in_one_chat } = read(&body, "budget")?;
    panel.world.set_chat_budget(requests, in_one_chat);
    DONE
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Image {
    content_type: String,
    base64: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Card {
    content_type: String,
    content: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    url: String,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Write {
    chat: Option<String>,
    from: Option<String>,
    guest: Option<String>,
    bot: Option<String>,
    system: bool,
    text: Option<String>,
    html: Option<String>,
    photo: bool,
    image: Option<Image>,
    mentions: Vec<String>,
    card: Option<Card>,
    file: Option<File>,
    #[serde(rename = "policyViolation")]
    policy_violation: Option<Violation>,
}

/// A verdict of data loss prevention on a message, and its sender's answer.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Violation {
    #[serde(skip_serializing_if = "Option::is_none")]
    dlp_action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict_details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification_text: Option<String>,
}

/// The object id and the name of a user.
fn named(world: &World, user: &str) -> Result<(String, String), Refused> {
    let found = world.directory().user(user).map(|user| (user.id.clone(), user.display_name()));
    found.ok_or_else(|| Refused(format!("Nobody is {user}.\n")))
}

async fn write(State(panel): State<Panel>, body: String) -> Given {
    let wish: Write = read(&body, "message")?;
    let sender = match (wish.from, wish.guest, wish.bot, wish.system) {
        (Some(user), None, None, false) => named(&panel.world, &user).map(|(id, name)| Sender::User(id, name))?,
        (None, Some(name), None, false) => Sender::Guest(name),
        (None, None, Some(name), false) => Sender::Bot(Uuid::new_v4().to_string(), name),
        (None, None, None, true) => Sender::System,
        _ => return Err(Refused("A message has one sender: \"from\", \"guest\", \"bot\" or \"system\".\n".into())),
    };
    let mut message = match (wish.text, wish.html) {
        (_, Some(html)) => NewMessage::html(sender, &html),
        (text, None) => NewMessage::text(sender, &text.unwrap_or_default()),
    };
    for user in &wish.mentions {
        let (id, name) = named(&panel.world, user)?;
        message = message.mention(&id, &name);
    }
    let photo = wish.photo.then(|| Image { content_type: "image/png".into(), base64: PHOTO.into() });
    for image in photo.into_iter().chain(wish.image) {
        let bytes =
            BASE64_STANDARD.decode(&image.base64).map_err(|error| Trouble::from("The image is no base64", error));
        message = message.image(&image.content_type, &bytes?);
    }
    if let Some(Card { content_type, content }) = wish.card {
        message = message.card(&content_type, &content);
    }
    if let Some(File { name, url }) = wish.file {
        message = message.file(&name, &url);
    }
    message.policy_violation = json!(wish.policy_violation);
    let chat = wish.chat.as_deref().unwrap_or(CHAT);
    let id = panel.world.write_message(chat, message)?;
    Ok(Json(json!({"chat": chat, "id": id})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeMessage {
    #[serde(default)]
    chat: Option<String>,
    id: String,
    #[serde(default)]
    html: Option<String>,
    #[serde(default)]
    reaction: Option<String>,
    #[serde(default)]
    by: Option<String>,
    #[serde(default, rename = "policyViolation")]
    policy_violation: Option<Violation>,
    #[serde(default)]
    delete: bool,
}

async fn change(State(panel): State<Panel>, body: String) -> Result<StatusCode, Refused> {
    let ChangeMessage { chat, id, html, reaction, by, policy_violation, delete } = read(&body, "change of a message")?;
    let edit = match (html, reaction, policy_violation, delete) {
        (Some(html), None, None, false) => Edit::Content(html),
        (None, None, Some(violation), false) => Edit::Verdict(json!(violation)),
        (None, Some(reaction), None, false) => {
            let (user, _) = named(&panel.world, by.as_deref().unwrap_or_default())?;
            Edit::Reaction { user, reaction }
        }
        (None, None, None, true) => Edit::Deletion,
        _ => {
            let changes = "One of \"html\", \"reaction\", \"policyViolation\" and \"delete\" is the change.\n";
            return Err(Refused(changes.into()));
        }
    };
    panel.world.change_message(chat.as_deref().unwrap_or(CHAT), &id, &edit)?;
    DONE
}

#[derive(Deserialize)]
struct PutMail {
    to: String,
    #[serde(flatten)]
    mail: NewMail,
}

async fn put_mail(State(panel): State<Panel>, body: String) -> Given {
    let PutMail { to, mail } = read(&body, "message")?;
    let (user, _) = named(&panel.world, &to)?;
    Ok(Json(json!({"id": panel.world.put_mail(&user, &mail)})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeMail {
    to: String,
    id: String,
    #[serde(default)]
    read: bool,
    #[serde(default)]
    delete: bool,
}

async fn change_mail(State(panel): State<Panel>, body: String) -> Result<StatusCode, Refused> {
    let ChangeMail { to, id, read, delete } = read(&body, "change of a message")?;
    let (user, _) = named(&panel.world, &to)?;
    match (read, delete) {
        (true, false) => panel.world.read_mail(&user, &id)?,
        (false, true) => panel.world.delete_mail(&user, &id)?,
        _ => return Err(Refused("One of \"read\" and \"delete\" is the change.\n".into())),
    }
    DONE
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeltaTokens {
    #[serde(default)]
    expire: bool,
    #[serde(default)]
    replays: Option<usize>,
}

async fn change_tokens(State(panel): State<Panel>, body: String) -> Result<StatusCode, Refused> {
    let DeltaTokens { expire, replays } = read(&body, "change of delta tokens")?;
    if expire {
        panel.world.expire_delta_tokens();
    }
    if let Some(items) = replays {
        panel.world.set_delta_replays(items);
    }
    DONE
}

async fn subscriptions(State(panel): State<Panel>) -> Json<Value> {
    let (subscriptions, hazards) = (panel.world.subscriptions(), panel.world.subscription_hazards());
    Json(json!({"subscriptions": subscriptions, "hazards": hazards}))
}

async fn limit(State(panel): State<Panel>, body: String) -> Result<StatusCode, Refused> {
    let settings: SubscriptionSettings = read(&body, "limit of subscriptions")?;
    panel.world.set_subscription_limits(settings);
    DONE
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expire {
    #[serde(default)]
    id: Option<Uuid>,
    #[serde(default)]
    in_seconds: u32,
}

async fn expire(State(panel): State<Panel>, body: String) -> Given {
    let Expire { id, in_seconds } = read(&body, "expiry")?;
    Ok(Json(json!({"subscriptions": panel.world.expire_subscriptions(id, in_seconds)})))
}

async fn set(State(panel): State<Panel>, body: String) -> Given {
    let settings = panel.world.notifications().settings.with(&body);
    let settings = settings.map_err(|error| Refused(format!("That is no setting of notifications: {error}.\n")))?;
    panel.world.set_notifications(settings.clone());
    Ok(Json(json!(settings)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tell {
    event: Lifecycle,
    #[serde(default)]
    id: Option<Uuid>,
    #[serde(default)]
    pauses: bool,
}

async fn lifecycle(State(panel): State<Panel>, body: String) -> Given {
    let Tell { event, id, pauses } = read(&body, "lifecycle event")?;
    Ok(Json(json!({"subscriptions": panel.world.send_lifecycle(event, id, pauses)})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hostile {
    flaw: Flaw,
    #[serde(default)]
    id: Option<Uuid>,
}

async fn hostile(State(panel): State<Panel>, body: String) -> Given {
    let Hostile { flaw, id } = read(&body, "flaw")?;
    Ok(Json(json!({"status": panel.world.send_hostile(flaw, id).await?})))
}
