//! Who a user of Genesys Cloud is in Teams: the platform's external ids and SCIM, two doors with a form of error each.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::super::World;
use super::super::directory::{GenesysUser, Versioned};
use super::refused;

/// The authority of Teams' ids.
const TEAMS: &str = "microsoftteams";

const CORE_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GENESYS_SCHEMA: &str = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User";

fn find(world: &World, id: &str) -> Option<Versioned> {
    world.directory().genesys_user(id).cloned()
}

fn not_found(message: &str, params: Value) -> Response {
    refused(StatusCode::NOT_FOUND, "not.found", message, params)
}

fn no_such_user(id: &str) -> Response {
    not_found("User not found.", json!({"userId": id}))
}

/// The platform's external id entry for Teams.
fn entry(user: &GenesysUser) -> Option<Value> {
    let key = user.teams_id.as_ref()?;
    let link = format!("/api/v2/users/{}/externalid/{TEAMS}", user.id);
    Some(json!({"authorityName": TEAMS, "externalKey": key, "selfUri": link}))
}

/// Answers `GET /users/{id}/externalid`.
pub(super) async fn external_ids(State(world): State<Arc<World>>, Path(id): Path<String>) -> Response {
    match find(&world, &id) {
        Some(Versioned { user, .. }) => Json(Vec::from_iter(entry(&user))).into_response(),
        None => no_such_user(&id),
    }
}

/// Answers `GET /users/{id}/externalid/{authorityName}`.
pub(super) async fn external_id(
    State(world): State<Arc<World>>,
    Path((id, authority)): Path<(String, String)>,
) -> Response {
    let Some(Versioned { user, .. }) = find(&world, &id) else {
        return no_such_user(&id);
    };
    match entry(&user).filter(|_| authority == TEAMS) {
        Some(entry) => Json(entry).into_response(),
        None => not_found("External ID not found.", json!({"authorityName": authority})),
    }
}

/// `GET /users/externalid/{authorityName}/{externalKey}`: keys are case-sensitive.
pub(super) async fn by_external_id(
    State(world): State<Arc<World>>,
    Path((authority, key)): Path<(String, String)>,
) -> Response {
    let user = world.directory().genesys_user_in_teams(&key).cloned();
    match user.filter(|_| authority == TEAMS) {
        Some(Versioned { user, .. }) => {
            let link = format!("/api/v2/users/{}", user.id);
            Json(json!({"id": user.id, "username": user.user_name, "state": "active", "selfUri": link})).into_response()
        }
        None => not_found("User not found.", json!({"authorityName": authority, "externalKey": key})),
    }
}

/// SCIM's error body: its status is a text.
pub(super) fn scim_refused(status: StatusCode, detail: &str) -> Response {
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:Error"];
    (status, Json(json!({"schemas": schemas, "status": status.as_str(), "detail": detail}))).into_response()
}

/// `GET /scim/v2/users/{id}`, and the same without `v2`
pub(super) async fn scim(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let Some(known) = find(&world, &id) else {
        return scim_refused(StatusCode::NOT_FOUND, &format!("User {id} not found."));
    };
    let tag = format!("\"{}\"", known.version);
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(resource(&known, &tag, query.get("attributes").map(String::as_str))).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Users on a page unless the caller says otherwise, and the most where more is asked for than external ids.
const SCIM_PAGE: usize = 25;

/// The most users on a page.
const LARGEST_PAGE: usize = 100;

/// `GET /scim/v2/users`: the first user is number 1. Large pages are for those who ask for few attributes.
pub(super) async fn scim_list(
    State(world): State<Arc<World>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let (start, count) = (number("startIndex").unwrap_or(1).max(1), number("count").unwrap_or(SCIM_PAGE));
    let attributes = query.get("attributes").map(String::as_str);
    if count > SCIM_PAGE && attributes.is_none() {
        let mut refused = scim_refused(StatusCode::TOO_MANY_REQUESTS, "The page is too large.");
        refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return refused;
    }
    let directory = world.directory();
    let users = directory.genesys_users();
    let page = users.iter().skip(start - 1).take(count.min(LARGEST_PAGE));
    let resources: Vec<_> = page.map(|known| resource(known, &format!("\"{}\"", known.version), attributes)).collect();
    Json(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": users.len(),
        "startIndex": start, "itemsPerPage": resources.len(), "Resources": resources,
    }))
    .into_response()
}

/// A user as SCIM shows them: with these attributes only, which are divided by commas, beside those that always come.
fn resource(known: &Versioned, tag: &str, attributes: Option<&str>) -> Value {
    let Versioned { user, modified, .. } = known;
    let wanted = |name: &str| match attributes {
        Some(attributes) => attributes.split(',').any(|attribute| attribute.trim().eq_ignore_ascii_case(name)),
        None => true,
    };
    let location = format!("https://api.mypurecloud.com/api/v2/scim/v2/users/{}", user.id);
    let mut shown = json!({
        "schemas": [CORE_SCHEMA, GENESYS_SCHEMA], "id": user.id, "userName": user.user_name, "active": true,
        "meta": {"resourceType": "User", "version": tag, "location": location, "lastModified": modified.to_string()},
    });
    if wanted("emails") {
        shown["emails"] = json!([{"value": user.user_name, "type": "work", "primary": true}]);
    }
    if wanted(GENESYS_SCHEMA) || wanted(&format!("{GENESYS_SCHEMA}:externalIds")) {
        shown[GENESYS_SCHEMA] = json!({"externalIds": external_ids_in_scim(user)});
    }
    shown
}

/// SCIM's own entry, and Teams' if there is one.
fn external_ids_in_scim(user: &GenesysUser) -> Vec<Value> {
    let own = json!({"authority": "x-pc:scimv2:v1:sandbox", "value": user.id});
    let teams = user.teams_id.as_ref().or(user.scim_teams_id.as_ref());
    let mut entries: Vec<Value> =
        teams.map(|id| json!({"authority": TEAMS, "value": id})).into_iter().chain([own]).collect();
    // No order is promised, so it differs from user to user.
    if user.id.bytes().map(usize::from).sum::<usize>() % 2 == 0 {
        entries.reverse();
    }
    entries
}
