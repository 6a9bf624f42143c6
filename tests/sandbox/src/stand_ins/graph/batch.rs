//! `POST /$batch`: up to twenty requests in one, as Microsoft's page "Combine multiple HTTP requests using JSON
//! batching" has it.
//!
//! The batch itself is refused only when it is malformed; the outcome of each request is in its own answer. Answers may
//! come in any order, so here they come in another one than was asked.

use std::collections::{BTreeMap, HashMap};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::{IntoResponse, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::super::server::infallible;
use super::{Answer, Caller, Refusal};

/// The most requests in one batch.
const MAX_STEPS: usize = 20;

#[derive(Deserialize)]
pub(super) struct Batch {
    requests: Vec<BatchStep>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchStep {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    depends_on: Vec<String>,
}

impl BatchStep {
    /// The reason for which this request makes the batch malformed, if it does.
    fn check(&self, earlier: &[Self]) -> Result<(), Refusal> {
        let id = &self.id;
        let known = |id: &String| earlier.iter().any(|step| step.id == *id);
        let malformed = |message: String| Err(Refusal::bad_request(message));
        if id.is_empty() || known(id) {
            return malformed(format!("Request id : {id} is empty or not unique."));
        }
        let is_write = match self.method.as_str() {
            "GET" | "DELETE" => false,
            "POST" | "PUT" | "PATCH" => true,
            method => return malformed(format!("Request id : {id} has the unsupported method {method}.")),
        };
        if !self.url.starts_with('/') || self.url.starts_with("/$batch") {
            return malformed(format!("Request id : {id} has an invalid url {}.", self.url));
        }
        // The name is said to be looked up to the letter. A write needs a body as well: many saw what no page says.
        let has_type = self.headers.contains_key("Content-Type");
        if (self.body.is_some() && !has_type) || (is_write && self.body.is_none()) {
            return malformed(format!("Write request id : {id} does not contain Content-Type header or body."));
        }
        // A dependency on a later request is documented nowhere.
        match self.depends_on.iter().find(|id| !known(id)) {
            Some(other) => malformed(format!("Request id : {id} depends on {other}, which does not come before it.")),
            None => Ok(()),
        }
    }

    fn request(self, caller: &Caller) -> Option<Request<Body>> {
        let mut request = Request::builder().method(Method::from_bytes(self.method.as_bytes()).ok()?);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = self.body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        // The batch's token is good for every request in it.
        request.uri(format!("/v1.0{}", self.url)).extension(caller.clone()).body(body).ok()
    }
}

/// Answers a batch, each request by the service.
pub(super) async fn answer(service: Router, caller: Caller, body: Result<Json<Batch>, JsonRejection>) -> Answer {
    let Json(Batch { requests: steps }) = body.map_err(|_| Refusal::bad_request("Invalid batch payload format."))?;
    if steps.is_empty() || steps.len() > MAX_STEPS {
        let message = format!("Number of batch request steps must be between 1 and {MAX_STEPS}.");
        return Err(Refusal::bad_request(message));
    }
    for (index, step) in steps.iter().enumerate() {
        step.check(steps.get(..index).unwrap_or_default())?;
    }
    let mut statuses: HashMap<String, StatusCode> = HashMap::new();
    let mut responses = Vec::new();
    for step in steps {
        let id = step.id.clone();
        let is_good = |id: &String| statuses.get(id).is_some_and(StatusCode::is_success);
        let response = if !step.depends_on.iter().all(is_good) {
            let message = "A request that this one depends on has failed.";
            Refusal::new(StatusCode::FAILED_DEPENDENCY, "FailedDependency", message).into_response()
        } else if let Some(request) = step.request(&caller) {
            infallible(service.clone().oneshot(request).await)
        } else {
            Refusal::bad_request("The request is invalid.").into_response()
        };
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let mut inner = json!({"id": id, "status": parts.status.as_u16(), "headers": named(&parts.headers)});
        if !body.is_empty()
            && let Some(inner) = inner.as_object_mut()
        {
            let text = || Value::from(String::from_utf8_lossy(&body));
            inner.insert("body".into(), serde_json::from_slice(&body).unwrap_or_else(|_| text()));
        }
        statuses.insert(id, parts.status);
        responses.push(inner);
    }
    responses.reverse();
    Ok(Json(json!({"responses": responses})).into_response())
}

/// Headers as an object, with names as Graph spells them: a header's name becomes a case-sensitive key.
fn named(headers: &HeaderMap) -> Map<String, Value> {
    let spelled = |name: &str| {
        let words = name
            .split('-')
            .map(|word| word.get(..1).unwrap_or_default().to_ascii_uppercase() + word.get(1..).unwrap_or_default());
        words.collect::<Vec<_>>().join("-")
    };
    // The length is the outer answer's business.
    let kept = headers.iter().filter(|(name, _)| *name != "content-length");
    kept.map(|(name, value)| (spelled(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into())).collect()
}
