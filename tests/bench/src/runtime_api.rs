//! The Lambda Runtime API, as far as a function needs it: hands out events, takes answers, and looks at the clock.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::Trouble;

/// The time limit of every answer of a function.
const PATIENCE: Duration = Duration::from_secs(30);

/// The Runtime API of one function's process.
pub(crate) struct RuntimeApi {
    /// The address for `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) address: String,
    events: mpsc::Sender<String>,
    polls: mpsc::Receiver<Instant>,
    answers: mpsc::Receiver<(Instant, Bytes)>,
    server: tokio::task::JoinHandle<()>,
}

struct Server {
    events: Mutex<mpsc::Receiver<String>>,
    polled: mpsc::Sender<Instant>,
    answered: mpsc::Sender<(Instant, Bytes)>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Result<Self, Trouble> {
        let failed = |error| Trouble(format!("The Runtime API has no port: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        let (events, waiting) = mpsc::channel(1);
        let (polled, polls) = mpsc::channel(16);
        let (answered, answers) = mpsc::channel(16);
        let server = Arc::new(Server { events: Mutex::new(waiting), polled, answered });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(response))
            .with_state(server);
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, events, polls, answers, server })
    }

    /// Waits until the function asks for an event, and returns when it did.
    pub(crate) async fn ready(&mut self) -> Result<Instant, Trouble> {
        let poll = tokio::time::timeout(PATIENCE, self.polls.recv()).await;
        poll.ok().flatten().ok_or_else(|| Trouble("The function did not ask for an event.".into()))
    }

    /// Gives the function, which must be ready, an event. Returns how long it took, and its answer.
    pub(crate) async fn invoke(&mut self, event: String) -> Result<(Duration, Value), Trouble> {
        let gone = || Trouble("The function did not answer.".into());
        let started = Instant::now();
        self.events.send(event).await.map_err(|_| gone())?;
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
        let (at, body) = answer.ok().flatten().ok_or_else(gone)?;
        let body = serde_json::from_slice(&body).map_err(|_| gone())?;
        Ok((at.duration_since(started), body))
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(server): State<Arc<Server>>) -> Response {
    let _ = server.polled.send(Instant::now()).await;
    let Some(event) = server.events.lock().await.recv().await else { return StatusCode::GONE.into_response() };
    let ends = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + PATIENCE;
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", ends.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:local:0:function:bench".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event).into_response()
}

async fn response(State(server): State<Arc<Server>>, body: Bytes) -> StatusCode {
    let _ = server.answered.send((Instant::now(), body)).await;
    StatusCode::ACCEPTED
}
