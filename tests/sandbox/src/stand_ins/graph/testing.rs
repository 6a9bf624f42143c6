//! The common parts of Graph's tests: a Graph without sockets, and an endpoint for notifications with one.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Query;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::super::{BRIDGE_APP, World, locked, server};
use super::GraphInProcess;

pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    pub(super) bytes: Vec<u8>,
}

impl Got {
    pub(super) async fn from(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Self { status: parts.status.as_u16(), headers: parts.headers, body, bytes }
    }

    pub(super) fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["error"]["code"].as_str().unwrap_or_default())
    }

    pub(super) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    /// A text of the answer's body.
    pub(super) fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_default().to_owned()
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Vec<Value> {
        self.body["value"].as_array().cloned().unwrap_or_default()
    }

    /// The ids of the items of a list.
    pub(super) fn ids(&self) -> Vec<String> {
        self.items().iter().map(|item| item["id"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The inner answer of a batch.
    pub(super) fn inner(&self, id: &str) -> &Value {
        self.body["responses"].as_array().unwrap().iter().find(|inner| inner["id"] == id).unwrap()
    }
}

pub(super) fn request(method: &str, path: &str, body: Option<&Value>) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("/v1.0{path}"));
    match body {
        Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap(),
        None => request.body(Body::empty()).unwrap(),
    }
}

pub(super) struct Graph {
    pub(super) world: Arc<World>,
    pub(super) service: GraphInProcess,
}

impl Graph {
    pub(super) fn new() -> Self {
        let world = World::without_sockets().unwrap();
        Self { service: GraphInProcess::new(&world), world }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Got {
        Got::from(self.service.answer(request).await).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Got {
        self.send(request("POST", path, Some(&body))).await
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Got {
        self.send(request("PATCH", path, Some(&body))).await
    }

    pub(super) async fn delete(&self, path: &str) -> Got {
        self.send(request("DELETE", path, None)).await
    }

    pub(super) async fn get(&self, path: &str) -> Got {
        self.send(request("GET", path, None)).await
    }

    /// Sends a request with a `Prefer` header.
    pub(super) async fn get_preferring(&self, path: &str, preference: &str) -> Got {
        let mut request = request("GET", path, None);
        request.headers_mut().insert("prefer", preference.parse().unwrap());
        self.send(request).await
    }

    /// Follows the link of a page.
    pub(super) async fn follow(&self, link: &Value) -> Got {
        self.get(link.as_str().unwrap().strip_prefix("http://graph.invalid/v1.0").unwrap()).await
    }

    pub(super) fn permit(&self, permissions: &[&str]) {
        let permissions = permissions.iter().map(|&name| name.to_owned()).collect();
        self.world.directory().apps.get_mut(BRIDGE_APP).unwrap().permissions = permissions;
    }

    /// Asks for a subscription, which may be refused.
    pub(super) async fn subscribe(&self, receiver: &Receiver, changes: Value) -> Got {
        self.post("/subscriptions", wish(receiver, changes)).await
    }
}

/// A subscription to the messages of all chats for an hour from now, with these changes.
pub(super) fn wish(receiver: &Receiver, changes: Value) -> Value {
    let mut body = json!({
        "changeType": "created,updated,deleted", "resource": "/chats/getAllMessages",
        "notificationUrl": format!("{}/notifications", receiver.url), "clientState": "of the client",
        "lifecycleNotificationUrl": format!("{}/lifecycle?of=bridge", receiver.url),
        "expirationDateTime": in_minutes(59),
    });
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    body
}

pub(super) fn in_minutes(minutes: i64) -> String {
    Timestamp::now().checked_add(minutes.minutes()).unwrap().to_string()
}

/// A self-signed certificate and its private key: base64 and DER.
pub(super) fn certificate() -> (String, Vec<u8>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["bridge.example".into()]).unwrap().self_signed(&key).unwrap();
    (BASE64_STANDARD.encode(certificate.der()), key.serialize_der())
}

/// A request that an endpoint got.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    pub(super) method: Method,
    /// The URI with its query, as it came.
    pub(super) uri: Uri,
    pub(super) content_type: String,
    pub(super) body: Value,
}

/// The answer to a handshake: status, media type, and the text made of the token.
pub(super) type HandshakeAnswer = (u16, &'static str, fn(&str) -> String);

/// The behaviour of an endpoint.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) handshake: HandshakeAnswer,
    /// How long a handshake takes.
    pub(super) handshake_delay: Duration,
    /// The answers to notifications, one after the other; 202 when there are no more.
    pub(super) answers: VecDeque<(u16, Duration)>,
}

/// An endpoint for notifications.
pub(super) struct Receiver {
    pub(super) url: String,
    pub(super) manner: Arc<Mutex<Manner>>,
    posted: Arc<Mutex<Vec<Posted>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handshake {
    validation_token: Option<String>,
}

impl Receiver {
    pub(super) async fn start(graph: &Graph) -> Self {
        let manner = Manner {
            handshake: (200, "text/plain; charset=utf-8", str::to_owned),
            handshake_delay: Duration::ZERO,
            answers: VecDeque::new(),
        };
        let (manner, posted) = (Arc::new(Mutex::new(manner)), Arc::new(Mutex::new(Vec::new())));
        let (manner_of_it, posts) = (manner.clone(), posted.clone());
        let answer =
            async move |method: Method, uri: Uri, Query(query): Query<Handshake>, headers: HeaderMap, body: String| {
                let content_type = headers["content-type"].to_str().unwrap().to_owned();
                let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
                locked(&posts).push(Posted { method, uri, content_type, body });
                if let Some(token) = query.validation_token {
                    let Manner { handshake: (status, kind, change), handshake_delay, .. } =
                        locked(&manner_of_it).clone();
                    sleep(handshake_delay).await;
                    return (StatusCode::from_u16(status).unwrap(), [("content-type", kind)], change(&token))
                        .into_response();
                }
                let (status, delay) = locked(&manner_of_it).answers.pop_front().unwrap_or((202, Duration::ZERO));
                sleep(delay).await;
                StatusCode::from_u16(status).unwrap().into_response()
            };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://bridge.localhost:{}", listener.local_addr().unwrap().port());
        tokio::spawn(server::serve(listener, Router::new().fallback(answer), None, graph.world.clone()));
        Self { url, manner, posted }
    }

    /// The requests that were posted, handshakes included.
    pub(super) fn posted(&self) -> Vec<Posted> {
        locked(&self.posted).clone()
    }

    /// The bodies of the notifications that came, once all have.
    pub(super) async fn collections(&self, graph: &Graph) -> Vec<Value> {
        graph.world.notifications_settled().await;
        let posted = self.posted().into_iter().map(|posted| posted.body);
        posted.filter(|body| body.is_object()).collect()
    }

    /// The notifications that came, once all have.
    pub(super) async fn notifications(&self, graph: &Graph) -> Vec<Value> {
        let collections = self.collections(graph).await;
        collections.iter().flat_map(|body| body["value"].as_array().unwrap().clone()).collect()
    }

    /// Sets the answers to the next notifications.
    pub(super) fn answer(&self, answers: &[(u16, Duration)]) {
        locked(&self.manner).answers.extend(answers);
    }
}
