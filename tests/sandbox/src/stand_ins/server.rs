//! Serves a stand-in, and lets its faults happen.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use socket2::{SockRef, Socket};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::faults::{Fault, When};
use super::{SeenCall, Vendor, World, locked, teams};

/// The connection is to be reset.
#[derive(Debug, thiserror::Error)]
#[error("reset on demand")]
struct Reset;

/// Serves until the process ends.
pub(super) async fn serve(listener: TcpListener, router: Router, vendor: Option<Vendor>, world: Arc<World>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        // A second handle to the same socket, to reset it by.
        let Ok(socket) = SockRef::from(&stream).try_clone() else {
            continue;
        };
        let socket = Arc::new(socket);
        let (router, world) = (router.clone(), world.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, world, socket) = (router.clone(), world.clone(), socket.clone());
            async move {
                match vendor {
                    None => Ok(infallible(router.oneshot(request.map(Body::new)).await)),
                    Some(vendor) => answer(router, vendor, &world, &socket, request).await,
                }
            }
        });
        tokio::spawn(async move {
            // An error here is a client that went away, or a reset that was asked for.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The answer of a router, which always has one.
pub(super) fn infallible(result: Result<Response<Body>, Infallible>) -> Response<Body> {
    result.unwrap_or_else(|never| match never {})
}

async fn answer(
    router: Router,
    vendor: Vendor,
    world: &World,
    socket: &Socket,
    request: Request<Incoming>,
) -> Result<Response<Body>, Reset> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    let line = match parts.headers.get("x-amz-target") {
        Some(operation) => String::from_utf8_lossy(operation.as_bytes()).into_owned(),
        None => format!("{} {}", parts.method, parts.uri.path_and_query().map_or("", |uri| uri.as_str())),
    };
    let fault = world.faults.take(vendor, &format!("{line} {}", String::from_utf8_lossy(&body)));
    let handled = async { infallible(router.oneshot(Request::from_parts(parts, Body::from(body))).await) };
    let result = match &fault {
        None => Ok(handled.await),
        Some(fault) => through(world, fault, handled).await,
    };
    if result.is_err() {
        // Without linger, closing sends RST in place of FIN.
        let _ = socket.set_linger(Some(Duration::ZERO));
    }
    let status = result.as_ref().map_or(0, |response| response.status().as_u16());
    locked(&world.calls).push(SeenCall { vendor, request: line, status });
    result
}

async fn through(
    world: &World,
    fault: &Fault,
    handled: impl Future<Output = Response<Body>>,
) -> Result<Response<Body>, Reset> {
    let delay = Duration::from_millis(fault.delay_ms);
    let fails = fault.reset || fault.status.is_some();
    let response = match fault.when {
        When::Before => {
            tokio::time::sleep(delay).await;
            // A delay alone holds the request up; anything else keeps it out.
            if fails { None } else { Some(handled.await) }
        }
        When::After => {
            let response = handled.await;
            if !response.status().is_success() {
                // Refused, for an expired token say, is not taken: the fault waits for a request that is.
                world.faults.give_back(fault);
                return Ok(response);
            }
            tokio::time::sleep(delay).await;
            (!fails).then_some(response)
        }
    };
    match (response, fault.status) {
        (Some(response), _) => Ok(response),
        (None, Some(status)) if !fault.reset => Ok(failed(fault, status)),
        (None, _) => Err(Reset),
    }
}

/// An answer in the vendor's form; Graph's and Genesys Cloud's fit into one.
fn failed(fault: &Fault, status: u16) -> Response<Body> {
    let of_status = |throttled, other| if status == 429 { throttled } else { other };
    let code = |own| fault.code.as_deref().unwrap_or(own);
    let body = match fault.at {
        Vendor::Teams => teams::error_body(code(teams::code_of(status)), "on demand"),
        _ => json!({
            "error": {"code": code(of_status("TooManyRequests", "serviceNotAvailable")), "message": "on demand"},
            "code": code(of_status("too.many.requests.retry.after", "service.unavailable")),
            "message": "on demand",
            "status": status,
        }),
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(value) = fault.retry_after.as_deref().and_then(|value| HeaderValue::from_str(value).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}
