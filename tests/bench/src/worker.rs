//! The cost of a rich notification to the worker behind the queue: checking its token and decrypting it.
//!
//! The Graph stand-in makes the notifications: each is encrypted anew for a certificate of this run, and comes with a
//! token that Entra's stand-in has signed. The small program that opens them fetches keys and secrets from the
//! stand-ins.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::{Timestamp, ToSpan};
use sandbox::stand_ins::aws::CLIENT_STATE;
use sandbox::stand_ins::{CHAT, COLLEAGUE_ID, Flaw, GraphInProcess, NewMessage, Sender, StandIns};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Trouble;
use crate::measure::{Binaries, steps, unlimited};
use crate::process::environment;
use crate::webhook::CONTENT_BYTES;

/// The number of notifications that are opened in turn: more than the tokens that the worker remembers.
const NOTIFICATIONS: usize = 100;

/// The cost of a rich notification, in microseconds of processor time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenFigures {
    /// The time to check a token that was not seen before, and to decrypt.
    pub(crate) new_token_us: f64,
    /// The same with a known token, which is the usual case: Graph uses one for hours.
    pub(crate) known_token_us: f64,
    /// The floor: the time to decrypt the symmetric key with the certificate's, and nothing else.
    pub(crate) rsa_us: f64,
}

/// Measures with the function's own opener.
pub(crate) async fn measure(binaries: &Binaries) -> Result<OpenFigures, Trouble> {
    let stand_ins = StandIns::start([0; 4]).await.map_err(trouble)?;
    unlimited(&stand_ins);
    let (certificate, private_key) = certificate(&stand_ins)?;
    let notifications = notifications(&stand_ins, &certificate).await?;
    let input = json!({"notifications": notifications, "private_key": private_key}).to_string();
    let calls = stand_ins.world.calls().len();
    let [rsa_us, new_token_us, known_token_us] = steps(binaries, "open", environment(&stand_ins), &input)?;
    let calls = stand_ins.world.calls().len() - calls;
    // Who fetches keys or resources is not what is measured here.
    if calls >= NOTIFICATIONS {
        return Err(Trouble(format!("{calls} calls were made to open {NOTIFICATIONS} notifications.")));
    }
    Ok(OpenFigures { new_token_us, known_token_us, rsa_us })
}

fn trouble(error: sandbox::Trouble) -> Trouble {
    Trouble(error.to_string())
}

fn failed(error: impl std::fmt::Display) -> Trouble {
    Trouble(format!("There are no notifications to measure with: {error}"))
}

/// A new certificate with a key of 2,048 bits, put into the bridge's secret. Returns it as Graph takes it, and its key.
fn certificate(stand_ins: &StandIns) -> Result<(String, String), Trouble> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).map_err(failed)?;
    let parameters = rcgen::CertificateParams::new(["bridge.example".into()]).map_err(failed)?;
    let certificate = parameters.self_signed(&key).map_err(failed)?;
    stand_ins.world.directory().webhook_secret["certificates"] =
        json!([{"id": "bench", "certificate_pem": certificate.pem(), "private_key_pem": key.serialize_pem()}]);
    Ok((BASE64_STANDARD.encode(certificate.der()), BASE64_STANDARD.encode(key.serialize_der())))
}

/// An endpoint that takes everything that Graph posts.
#[derive(Clone, Default)]
struct Endpoint(Arc<Mutex<Vec<Value>>>);

impl Endpoint {
    async fn start(&self) -> Result<String, Trouble> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let url = format!("http://bridge.localhost:{}", listener.local_addr().map_err(failed)?.port());
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(url)
    }

    /// The requests that were posted since the last time.
    fn posted(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn take(
    State(endpoint): State<Endpoint>,
    Query(mut query): Query<HashMap<String, String>>,
    body: String,
) -> Response {
    if let Some(token) = query.remove("validationToken") {
        return token.into_response();
    }
    endpoint.0.lock().unwrap_or_else(PoisonError::into_inner).push(serde_json::from_str(&body).unwrap_or_default());
    StatusCode::ACCEPTED.into_response()
}

/// Notifications of messages, each as posted, with a token of its own and with its resource as Graph shows it.
async fn notifications(stand_ins: &StandIns, certificate: &str) -> Result<Vec<Value>, Trouble> {
    let (world, endpoint) = (&stand_ins.world, Endpoint::default());
    let mut settings = world.notifications().settings;
    settings.batch_size = 1;
    world.set_notifications(settings);
    let graph = GraphInProcess::new(world);
    let wish = json!({
        "changeType": "created", "resource": format!("/chats/{CHAT}/messages"), "clientState": CLIENT_STATE,
        "notificationUrl": endpoint.start().await?, "expirationDateTime": Timestamp::now() + 59.minutes(),
        "includeResourceData": true, "encryptionCertificate": certificate, "encryptionCertificateId": "bench",
    });
    ask(&graph, "POST", "/subscriptions", wish.to_string()).await?;

    let sender = || Sender::User(COLLEAGUE_ID.into(), "Lee Gu".into());
    for _ in 0..NOTIFICATIONS {
        world.write_message(CHAT, NewMessage::html(sender(), &long_text())).map_err(trouble)?;
    }
    world.notifications_settled().await;
    let written = endpoint.posted();
    // A token is used for hours. Notifications that are nobody's, and have no flaw, each bring a new one.
    for _ in 0..NOTIFICATIONS {
        world.send_hostile(Flaw::None, None).await.map_err(trouble)?;
    }
    let mut all = Vec::new();
    for (mut posted, other) in written.into_iter().zip(endpoint.posted()) {
        posted["validationTokens"] = other["validationTokens"].clone();
        let id = posted["value"][0]["resourceData"]["id"].as_str().unwrap_or_default();
        let resource = ask(&graph, "GET", &format!("/chats/{CHAT}/messages/{id}"), String::new()).await?;
        let bytes = resource.to_string().len();
        if bytes < CONTENT_BYTES {
            return Err(failed(format!("a message has {bytes} bytes")));
        }
        all.push(json!({"posted": posted, "resource": resource}));
    }
    if all.len() == NOTIFICATIONS { Ok(all) } else { Err(failed(format!("only {} came", all.len()))) }
}

/// Some paragraphs, which make a resource of about three kilobytes.
fn long_text() -> String {
    let paragraph = "<p>The parcel was to arrive on <strong>Friday</strong>, and the tracking page still says \
                     &quot;in transit&quot;.&nbsp;Could you ask the carrier where it is?</p>";
    paragraph.repeat((CONTENT_BYTES * 3 / 4).div_ceil(paragraph.len()))
}

/// Sends a request to Graph that it must not refuse.
async fn ask(graph: &GraphInProcess, method: &str, path: &str, body: String) -> Result<Value, Trouble> {
    let request = Request::builder().method(method).uri(format!("/v1.0{path}"));
    let request = request.header("content-type", "application/json").body(Body::from(body)).map_err(failed)?;
    let response = graph.answer(request).await;
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.map_err(failed)?;
    if !status.is_success() {
        return Err(failed(format!("{method} {path} was answered {status}: {}", String::from_utf8_lossy(&bytes))));
    }
    serde_json::from_slice(&bytes).map_err(failed)
}
