//! `/subscriptions`: creating, renewing and deleting them, as Microsoft's pages "Create subscription", "Update
//! subscription" and "Change notifications overview" have it.
//!
//! In one point it is laxer than Graph: an endpoint may be `http`, because a laptop has no trusted certificate.

mod certificate;
mod handshake;
mod resource;
mod settings;
mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{World, locked};
use super::chats::{knows_newer_types, permitted};
use super::{Answer, Caller, Refusal, Sent, copy_of, link, no_such_user, sent};
use certificate::Certificate;
use resource::Resource;

pub(in crate::stand_ins) use resource::Service;
pub use settings::SubscriptionSettings;
pub use state::Hazard;
pub(in crate::stand_ins) use state::{Subscription, Subscriptions};

/// Minutes that a subscription has at least, whatever was asked for.
const SHORTEST: i64 = 45;

pub(super) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/v1.0/subscriptions", post(create).get(list))
        .route("/v1.0/subscriptions/{id}", get(read).patch(update).delete(delete))
        .route("/v1.0/subscriptions/{id}/reauthorize", post(reauthorize))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "ValidationError", message)
}

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    let text = body[name].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| invalid(format!("{name} is a required property for subscription creation.")))
}

/// An endpoint: an absolute URL, which may have a query.
fn endpoint(body: &Value, name: &str) -> Result<Option<String>, Refusal> {
    let Some(value) = body.get(name).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let url = value.as_str().filter(|url| reqwest::Url::parse(url).is_ok_and(|url| url.scheme().starts_with("http")));
    url.map(|url| Some(url.to_owned())).ok_or_else(|| invalid(format!("{name} is not a valid URL.")))
}

/// When the subscription ends: not before the shortest life is over, and never after the longest.
fn expiry(value: &str, minutes: i64) -> Result<Timestamp, Refusal> {
    let expires: Timestamp = value.parse().map_err(|_| invalid("expirationDateTime is not a time with an offset."))?;
    let after = |minutes: i64| Timestamp::now().saturating_add(minutes.minutes()).unwrap_or(Timestamp::MAX);
    if expires > after(minutes) {
        return Err(invalid(format!("Subscription expiration can only be {minutes} minutes in the future.")));
    }
    Ok(expires.max(after(SHORTEST)))
}

/// The certificate of a body, if it has one.
fn certificate(body: &Value) -> Result<Option<Certificate>, Refusal> {
    let part = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
    match (part("encryptionCertificate"), part("encryptionCertificateId")) {
        (None, None) => Ok(None),
        (Some(certificate), Some(id)) => Certificate::read(certificate, id).map(Some).map_err(invalid),
        (None, Some(_)) => Err(invalid("encryptionCertificate is missing.")),
        (Some(_), None) => Err(invalid("encryptionCertificateId is missing.")),
    }
}

/// The resource, if there is such a thing and the app may hear of it.
fn resource(world: &World, caller: &Caller, body: &Value) -> Result<Resource, Refusal> {
    let path = text(body, "resource")?;
    let mut resource =
        Resource::read(path).ok_or_else(|| invalid(format!("The resource '{path}' is not supported.")))?;
    if resource.rule.permissions.is_empty() {
        let message = "Application permissions are not supported for this resource.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message));
    }
    permitted(world, caller, resource.rule.permissions)?;
    if let Some(key) = resource.user().map(str::to_owned) {
        let user = copy_of(world, |directory| directory.user(&key)).ok_or_else(|| no_such_user(&key))?;
        resource.name_user(&user.id);
    }
    if let Some(chat) = resource.chat()
        && !locked(&world.chats).has(chat)
    {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "NotFound", format!("There is no chat {chat}.")));
    }
    Ok(resource)
}

/// What a body asks for, as far as it can be said without calling anybody.
fn wanted(world: &World, caller: &Caller, headers: &HeaderMap, body: &Value) -> Result<Subscription, Refusal> {
    let change_types: Vec<String> =
        text(body, "changeType")?.split(',').map(|kind| kind.trim().to_ascii_lowercase()).collect();
    let resource = resource(world, caller, body)?;
    if let Some(kind) = change_types.iter().find(|kind| !resource.rule.change_types.contains(&kind.as_str())) {
        return Err(invalid(format!("The changeType '{kind}' is not supported for this resource.")));
    }
    let is_rich = body["includeResourceData"].as_bool().unwrap_or(false);
    let certificate = certificate(body)?;
    let is_outlook = resource.rule.service == Service::Outlook;
    if is_rich && !resource.rule.rich {
        return Err(invalid("includeResourceData is not supported for this resource."));
    }
    if is_rich && certificate.is_none() {
        return Err(invalid("encryptionCertificate is required when includeResourceData is set to true."));
    }
    if is_rich && is_outlook && resource.select.is_empty() {
        return Err(invalid("The resource must have $select when includeResourceData is set to true."));
    }
    if !is_outlook && !resource.select.is_empty() {
        return Err(invalid("$select is not supported for this resource."));
    }
    let notification_url = endpoint(body, "notificationUrl")?;
    let notification_url =
        notification_url.ok_or_else(|| invalid("notificationUrl is a required property for subscription creation."))?;
    let lifecycle_url = endpoint(body, "lifecycleNotificationUrl")?;
    let expires = expiry(text(body, "expirationDateTime")?, resource.minutes(is_rich))?;
    let hour = Timestamp::now().saturating_add(1.hour()).unwrap_or(Timestamp::MAX);
    if resource.rule.service == Service::Teams && lifecycle_url.is_none() && expires > hour {
        return Err(invalid(
            "lifecycleNotificationUrl is a required property for subscription creation on this resource when the \
             expirationDateTime value is set to greater than 1 hour",
        ));
    }
    let client_state = body["clientState"].as_str().map(str::to_owned);
    if client_state.as_ref().is_some_and(|state| state.chars().count() > 128) {
        return Err(invalid("clientState must not have more than 128 characters."));
    }
    let tls_version = body["latestSupportedTlsVersion"].as_str().unwrap_or("v1_2");
    if !["v1_0", "v1_1", "v1_2", "v1_3"].contains(&tls_version) {
        return Err(invalid("latestSupportedTlsVersion is not a known version."));
    }
    Ok(Subscription {
        id: Uuid::new_v4(),
        app: caller.app.clone(),
        resource,
        change_types,
        notification_url,
        lifecycle_url,
        client_state,
        expires,
        certificate: certificate.filter(|_| is_rich),
        tls_version: tls_version.to_owned(),
        newer_types: knows_newer_types(headers),
        is_paused: false,
        renewed: None,
        reauthorized: None,
    })
}

/// Answers `POST /subscriptions`.
async fn create(caller: Caller, State(world): State<Arc<World>>, headers: HeaderMap, body: Sent) -> Answer {
    let within = locked(&world.subscriptions).writes.take(&caller.app);
    within.map_err(Refusal::throttled)?;
    let new = wanted(&world, &caller, &headers, &sent(body)?)?;
    locked(&world.subscriptions).admit(&new)?;
    handshake::validate(&world, &new.notification_url).await?;
    if let Some(url) = &new.lifecycle_url {
        handshake::validate(&world, url).await?;
    }
    let shown = new.shown();
    locked(&world.subscriptions).add(new)?;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// `GET /subscriptions`: the app's own, in pages.
async fn list(caller: Caller, State(world): State<Arc<World>>, Query(query): Query<HashMap<String, String>>) -> Answer {
    let mut subscriptions = locked(&world.subscriptions);
    subscriptions.lists.take(&caller.app).map_err(Refusal::throttled)?;
    let after = query.get("$skiptoken").map(|token| Uuid::try_parse(token));
    let after = after.transpose().map_err(|_| Refusal::bad_request("Badly formed token."))?;
    let own: Vec<&Subscription> = subscriptions.live().filter(|known| known.app == caller.app).collect();
    let start = own.iter().position(|known| Some(known.id) == after).map_or(0, |last| last + 1);
    let page: Vec<&&Subscription> = own.iter().skip(start).take(subscriptions.page).collect();
    let mut answer = json!({"value": page.iter().map(|known| known.shown()).collect::<Vec<_>>()});
    if let Some(last) = page.last().filter(|_| start + page.len() < own.len()) {
        let next = HashMap::from([("$skiptoken".to_owned(), last.id.to_string())]);
        answer["@odata.nextLink"] = link(&world, "/subscriptions", &next).into();
    }
    Ok(Json(answer).into_response())
}

/// Answers `GET /subscriptions/{id}`.
async fn read(caller: Caller, State(world): State<Arc<World>>, Path(id): Path<String>) -> Answer {
    let mut subscriptions = locked(&world.subscriptions);
    subscriptions.reads.take(&caller.app).map_err(Refusal::throttled)?;
    Ok(Json(subscriptions.own(&caller.app, &id)?.shown()).into_response())
}

/// `PATCH /subscriptions/{id}`: renews, rotates the certificate, moves to another endpoint.
async fn update(caller: Caller, State(world): State<Arc<World>>, Path(id): Path<String>, body: Sent) -> Answer {
    let (known, validates) = {
        let mut subscriptions = locked(&world.subscriptions);
        subscriptions.writes.take(&caller.app).map_err(Refusal::throttled)?;
        let validates = subscriptions.validates_renewals;
        (subscriptions.own(&caller.app, &id)?.clone(), validates)
    };
    let body = sent(body)?;
    if body.get("lifecycleNotificationUrl").is_some() {
        return Err(invalid("lifecycleNotificationUrl cannot be updated."));
    }
    let url = endpoint(&body, "notificationUrl")?;
    let minutes = known.resource.minutes(known.certificate.is_some());
    let expires = body["expirationDateTime"].as_str().map(|value| expiry(value, minutes)).transpose()?;
    if expires.is_none() && url.is_none() {
        return Err(invalid("expirationDateTime or notificationUrl is required."));
    }
    let certificate = certificate(&body)?;
    if certificate.is_some() && known.certificate.is_none() {
        return Err(invalid("encryptionCertificate is not supported without includeResourceData."));
    }
    if url.is_some() || validates {
        handshake::validate(&world, url.as_deref().unwrap_or(&known.notification_url)).await?;
    }
    let mut subscriptions = locked(&world.subscriptions);
    subscriptions.authorized(&caller.app, &id, true)?;
    let known = subscriptions.own(&caller.app, &id)?;
    known.expires = expires.unwrap_or(known.expires);
    if let Some(url) = url {
        known.notification_url = url;
    }
    if certificate.is_some() {
        known.certificate = certificate;
    }
    Ok(Json(known.shown()).into_response())
}

/// Answers `POST /subscriptions/{id}/reauthorize`.
async fn reauthorize(caller: Caller, State(world): State<Arc<World>>, Path(id): Path<String>) -> Answer {
    let mut subscriptions = locked(&world.subscriptions);
    subscriptions.reauthorizations.take(&caller.app).map_err(Refusal::throttled)?;
    subscriptions.authorized(&caller.app, &id, false)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Answers `DELETE /subscriptions/{id}`.
async fn delete(caller: Caller, State(world): State<Arc<World>>, Path(id): Path<String>) -> Answer {
    let mut subscriptions = locked(&world.subscriptions);
    subscriptions.writes.take(&caller.app).map_err(Refusal::throttled)?;
    let id = subscriptions.own(&caller.app, &id)?.id;
    subscriptions.remove(id);
    Ok(StatusCode::NO_CONTENT.into_response())
}
