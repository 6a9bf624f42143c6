//! The one outbound HTTP client, with deadline, retries, and a record of every call.
//!
//! A process has one [`HttpClient`]. Each request that it serves has one [`RequestContext`], which goes along with
//! every call made for it.

mod deadline;
pub mod retry;
mod roots;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

pub use deadline::Deadline;

use crate::config::Environment;
use crate::telemetry::{self, Record, Upstream};
use retry::{Ending, Repeat};

/// Shorter than the 60 s after which the remotes' load balancers forget an idle connection, and much shorter than the
/// 350 s of NAT gateways. The outcome of a request on a forgotten connection is not known.
const IDLE_CONNECTION_LIFE: Duration = Duration::from_secs(50);

/// A connection that takes longer will not be made. "Not connected" must be certain, so that a text message may be sent
/// again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long one attempt may take, where the call may be retried, and how much longer for each MiB that its answer may
/// have: 8 s for an answer in JSON. Graph and Genesys Cloud take one to three seconds; a connection that hangs leaves
/// time for another attempt. A call that must not be sent twice has all the time there is, because giving up early
/// would only leave its outcome open.
/// another. What must not be sent twice has all the time there is: giving up early would only leave its end in doubt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
const ATTEMPT_PER_MIB: Duration = Duration::from_secs(1);

/// The most bytes of an answer in JSON that are read. The largest is a page of calendar events, some tens of kilobytes.
pub(crate) const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// The context of a request, for all code that works on it.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The id by which the caller and the log know the request.
    pub request_id: String,
    /// When Lambda ends the invocation.
    pub deadline: Deadline,
    /// The record of the request, which becomes its log line.
    pub record: Arc<Record>,
}

impl RequestContext {
    /// A context for a request that has just arrived.
    #[must_use]
    pub fn new(request_id: impl Into<String>, deadline: Deadline) -> Self {
        let request_id = request_id.into();
        let record = Arc::new(Record::default());
        record.label("requestId", request_id.as_str());
        Self { request_id, deadline, record }
    }
}

/// The client. Cloning shares its connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    inner: reqwest::Client,
    /// The time limit [`ATTEMPT_TIMEOUT`]; tests set another.
    attempt: Duration,
}

/// A call to make, with the rules for its retries.
#[derive(Debug)]
pub struct Call {
    /// The remote that it goes to.
    pub upstream: Upstream,
    /// The remote operation's name, for the log.
    pub operation: &'static str,
    /// Whether it may be sent a second time.
    pub repeat: Repeat,
    /// Response header that carries the remote's own id of the call.
    pub remote_id_header: &'static str,
    /// The most bytes of an answer that are read: [`MAX_ANSWER_BYTES`], except for files.
    pub max_answer_bytes: usize,
    /// The HTTP request to send.
    pub request: reqwest::RequestBuilder,
}

/// The answer to a call, whatever its status.
#[derive(Debug, Default)]
pub struct Reply {
    /// The HTTP status of the answer.
    pub status: StatusCode,
    /// The wait that `Retry-After` asked for, if it could be read.
    pub retry_after: Option<Duration>,
    /// The remote's own id of the call; empty where it has none.
    pub remote_id: String,
    /// The header `Content-Type`; empty where it is absent.
    pub content_type: String,
    /// The body of the answer.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not JSON of that shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// The request was not sent: the remote certainly did nothing.
    #[error("no connection could be made ({0})")]
    NotSent(String),
    /// The request was sent, or may have been: the remote may have done what it asked for.
    #[error("no answer came ({0})")]
    Ambiguous(String),
    /// The remote did what the request asked for, and its answer has more bytes than this.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl HttpClient {
    /// A client that trusts only Mozilla's roots.
    #[cfg(test)]
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        Self::trusting(roots::compiled_in())
    }

    /// A client that trusts Mozilla's roots and the authorities in the file `SSL_CERT_FILE`. `None` when TLS cannot be
    /// set up. That, and a file that cannot be used, are noted as problems.
    pub fn from_env(env: &mut Environment) -> Option<Self> {
        let roots = roots::of(env);
        Self::trusting(roots).map_err(|error| env.problem(format!("outbound TLS cannot be set up ({error})"))).ok()
    }

    /// HTTP/1.1, rustls, no proxy, no redirects (a bearer token must not follow one).
    fn trusting(roots: rustls::RootCertStore) -> Result<Self, reqwest::Error> {
        // A second installation is refused; the first was ours, or equal to it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let inner = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_CONNECTION_LIFE)
            .user_agent(concat!("teams-bridge/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { inner, attempt: ATTEMPT_TIMEOUT })
    }

    /// The client's connections, for the AWS SDK to share.
    pub(crate) fn connections(&self) -> reqwest::Client {
        self.inner.clone()
    }

    /// Starts a GET request.
    pub fn get(&self, url: Url) -> reqwest::RequestBuilder {
        self.inner.get(url)
    }

    /// Starts a POST request.
    pub fn post(&self, url: Url) -> reqwest::RequestBuilder {
        self.inner.post(url)
    }

    /// Starts a PUT request.
    pub fn put(&self, url: Url) -> reqwest::RequestBuilder {
        self.inner.put(url)
    }

    /// Starts a PATCH request.
    pub fn patch(&self, url: Url) -> reqwest::RequestBuilder {
        self.inner.patch(url)
    }

    /// Starts a DELETE request.
    pub fn delete(&self, url: Url) -> reqwest::RequestBuilder {
        self.inner.delete(url)
    }

    /// Opens a connection to a host, so that the first call finds one. A failure is ignored.
    pub async fn connect(&self, url: Url) {
        if let Err(error) = self.inner.head(url).send().await {
            tracing::debug!(error = %causes(&error), "no connection could be made ahead of time");
        }
    }

    /// How long one attempt of a call may take.
    fn limit(&self, call: &Call) -> Duration {
        match call.repeat {
            Repeat::UnlessAccepted => Duration::MAX,
            Repeat::Always => {
                let mib = u32::try_from(call.max_answer_bytes.div_ceil(1024 * 1024)).unwrap_or(u32::MAX);
                self.attempt.saturating_add(ATTEMPT_PER_MIB.saturating_mul(mib))
            }
        }
    }

    /// Makes a call within the request's deadline, with this bearer token, retried as [`retry::pause`] allows. The last
    /// answer is returned whatever its status; the client that calls decides what it means.
    ///
    /// # Errors
    /// [`NoReply`] when the last attempt ended without an answer.
    pub async fn send(
        &self,
        cx: &RequestContext,
        call: &Call,
        bearer: Option<&SecretString>,
    ) -> Result<Reply, NoReply> {
        let mut attempt = 1;
        loop {
            let Some(mut request) = call.request.try_clone() else {
                return Err(NoReply::NotSent("the request's body is a stream".into()));
            };
            if let Some(token) = bearer {
                request = request.bearer_auth(token.expose_secret());
            }
            let result = attempt_once(cx, call, self.limit(call), request).await;
            let ending = match &result {
                Ok(reply) => Ending::Answered { status: reply.status.as_u16(), retry_after: reply.retry_after },
                Err(NoReply::NotSent(_)) => Ending::NotSent,
                Err(NoReply::Ambiguous(_)) => Ending::Ambiguous,
                // The answer would be as large the second time.
                Err(NoReply::TooLarge(_)) => return result,
            };
            let left = cx.deadline.for_a_call();
            let Some(pause) = retry::pause(ending, attempt, call.repeat, left, fastrand::f64()) else {
                return result;
            };
            tracing::debug!(operation = call.operation, attempt, pause_ms = pause.as_millis(), "trying again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

async fn attempt_once(
    cx: &RequestContext,
    call: &Call,
    limit: Duration,
    request: reqwest::RequestBuilder,
) -> Result<Reply, NoReply> {
    let started = Instant::now();
    let left = cx.deadline.for_a_call().min(limit);
    let result = if left.is_zero() {
        Err(NoReply::NotSent("the request's time had run out".into()))
    } else {
        match tokio::time::timeout(left, exchange(request, call)).await {
            Ok(result) => result,
            Err(_) => Err(NoReply::Ambiguous(format!("gave up after {} ms", left.as_millis()))),
        }
    };
    let (status, remote_id) =
        result.as_ref().map_or((0, String::new()), |reply| (reply.status.as_u16(), reply.remote_id.clone()));
    tracing::debug!(operation = call.operation, status, remote_id, failure = ?result.as_ref().err(), "call");
    cx.record.call(telemetry::CallRecord {
        upstream: call.upstream,
        operation: call.operation,
        status,
        took: started.elapsed(),
        remote_id,
    });
    result
}

async fn exchange(request: reqwest::RequestBuilder, call: &Call) -> Result<Reply, NoReply> {
    let mut response = request.send().await.map_err(|error| {
        if error.is_connect() || error.is_builder() {
            NoReply::NotSent(causes(&error))
        } else {
            NoReply::Ambiguous(causes(&error))
        }
    })?;
    let status = response.status();
    let header = |headers: &HeaderMap, name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let retry_after =
        header(response.headers(), RETRY_AFTER.as_str()).and_then(|value| retry::retry_after(&value, Timestamp::now()));
    let remote_id = header(response.headers(), call.remote_id_header).unwrap_or_default();
    let content_type = header(response.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
    let limit = call.max_answer_bytes;
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    if status.is_success() && announced > limit {
        return Err(NoReply::TooLarge(limit));
    }
    let mut reply = Reply { status, retry_after, remote_id, content_type, body: Vec::new() };
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if reply.body.len() + chunk.len() <= limit => reply.body.extend_from_slice(&chunk),
            Ok(None) => return Ok(reply),
            // A refusal without its text is still a refusal, and a call that must not be sent twice was still accepted.
            Ok(Some(_)) | Err(_) if !status.is_success() => return Ok(reply),
            Err(_) if call.repeat == Repeat::UnlessAccepted => return Ok(reply),
            Ok(Some(_)) => return Err(NoReply::TooLarge(limit)),
            Err(error) => return Err(NoReply::Ambiguous(causes(&error))),
        }
    }
}

/// An error and its causes, without the URL: a path names users, and a query may hold more.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    if text.is_empty() { "request failed".into() } else { text }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn call(client: &HttpClient, url: &str, repeat: Repeat) -> Call {
        Call {
            upstream: Upstream::Graph,
            operation: "test",
            repeat,
            remote_id_header: "request-id",
            max_answer_bytes: 100,
            request: client.post(url.parse().unwrap()),
        }
    }

    fn context(seconds: u64) -> RequestContext {
        RequestContext::new("r-1", Deadline::after(Duration::from_secs(seconds)))
    }

    #[tokio::test]
    async fn a_throttled_call_waits_as_told_and_comes_through() {
        let server = MockServer::start().await;
        let throttled = ResponseTemplate::new(429).insert_header("Retry-After", "0.3");
        Mock::given(any()).respond_with(throttled).up_to_n_times(1).expect(1).mount(&server).await;
        let answered = ResponseTemplate::new(202).insert_header("request-id", "g-7").set_body_string("taken");
        Mock::given(any()).respond_with(answered).expect(1).mount(&server).await;

        let client = HttpClient::new().unwrap();
        let cx = context(10);
        let started = Instant::now();
        let reply = client.send(&cx, &call(&client, &server.uri(), Repeat::UnlessAccepted), None).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.remote_id.as_str(), reply.body.as_slice()),
            (202, "g-7", &b"taken"[..])
        );
        assert!(started.elapsed() >= Duration::from_millis(300));
        assert_eq!(cx.record.calls(), 2);
    }

    #[tokio::test]
    async fn a_retry_after_that_does_not_fit_is_handed_on() {
        let server = MockServer::start().await;
        let throttled = ResponseTemplate::new(429).insert_header("Retry-After", "120");
        Mock::given(any()).respond_with(throttled).expect(1).mount(&server).await;
        let client = HttpClient::new().unwrap();
        let reply = client.send(&context(10), &call(&client, &server.uri(), Repeat::Always), None).await.unwrap();
        assert_eq!(reply.retry_after, Some(Duration::from_secs(120)));
    }

    #[tokio::test]
    async fn nothing_is_repeated_after_it_may_have_been_accepted() {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(503)).expect(1).mount(&server).await;
        let client = HttpClient::new().unwrap();
        let reply =
            client.send(&context(10), &call(&client, &server.uri(), Repeat::UnlessAccepted), None).await.unwrap();
        assert_eq!(reply.status.as_u16(), 503);
    }

    #[tokio::test]
    async fn a_time_out_is_ambiguous_and_a_closed_port_is_not() {
        let server = MockServer::start().await;
        let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(20));
        Mock::given(any()).respond_with(slow).mount(&server).await;
        let client = HttpClient::new().unwrap();
        let started = Instant::now();
        let error =
            client.send(&context(1), &call(&client, &server.uri(), Repeat::UnlessAccepted), None).await.unwrap_err();
        assert!(matches!(error, NoReply::Ambiguous(_)), "{error}");
        assert!(started.elapsed() < Duration::from_secs(1));

        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = client
            .send(&context(1), &call(&client, &format!("http://{closed}"), Repeat::UnlessAccepted), None)
            .await
            .unwrap_err();
        assert!(matches!(error, NoReply::NotSent(_)), "{error}");
    }

    #[tokio::test]
    async fn a_connection_that_hangs_costs_one_attempt_and_not_all_the_time_there_is() {
        for (repeat, calls) in [(Repeat::Always, 2), (Repeat::UnlessAccepted, 1)] {
            let server = MockServer::start().await;
            let hangs = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
            Mock::given(any()).respond_with(hangs).up_to_n_times(1).mount(&server).await;
            Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
            let client = HttpClient { attempt: Duration::from_millis(100), ..HttpClient::new().unwrap() };
            let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(4)));
            let call = Call { max_answer_bytes: 0, ..call(&client, &server.uri(), repeat) };
            let result = client.send(&cx, &call, None).await;
            assert_eq!(server.received_requests().await.unwrap().len(), calls);
            // A call that must not be sent twice is waited for.
            assert_eq!(result.is_ok(), repeat == Repeat::Always, "{result:?}");
        }
    }

    #[tokio::test]
    async fn a_call_without_time_left_is_not_made() {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&server).await;
        let client = HttpClient::new().unwrap();
        let error = client.send(&context(0), &call(&client, &server.uri(), Repeat::Always), None).await.unwrap_err();
        assert!(matches!(error, NoReply::NotSent(_)), "{error}");
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_limit_and_asked_for_once() {
        let client = HttpClient::new().unwrap();
        for (status, length) in [(200, 100), (200, 101), (404, 101)] {
            let server = MockServer::start().await;
            let answer = ResponseTemplate::new(status).set_body_raw(vec![b'x'; length], "image/png");
            Mock::given(any()).respond_with(answer).expect(1).mount(&server).await;
            match client.send(&context(10), &call(&client, &server.uri(), Repeat::Always), None).await {
                Ok(reply) => {
                    assert_eq!((reply.status.as_u16(), reply.content_type.as_str()), (status, "image/png"));
                    assert!(reply.body.len() <= 100 && (length == 100 || status == 404));
                }
                Err(error) => assert!(length == 101 && error == NoReply::TooLarge(100), "{error}"),
            }
        }
    }

    #[tokio::test]
    async fn an_answer_that_does_not_announce_its_length_is_not_read_to_its_end() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let endless = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        });
        let client = HttpClient::new().unwrap();
        let error = client.send(&context(10), &call(&client, &at, Repeat::Always), None).await.unwrap_err();
        assert_eq!(error, NoReply::TooLarge(100));
        // The connection is closed by the runtime, which must not be kept waiting for it.
        tokio::task::spawn_blocking(move || endless.join().unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn an_error_names_no_url() {
        let client = HttpClient::new().unwrap();
        let url = "http://127.0.0.1:1/users/kim@contoso.com";
        let request = client.get(url.parse().unwrap());
        let error = exchange(request, &call(&client, url, Repeat::Always)).await.unwrap_err();
        assert!(!error.to_string().contains("kim"), "{error}");
    }
}
