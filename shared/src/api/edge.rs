//! From event to bytes, and from answer to response.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::{HeaderMap, HeaderValue};
use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::FutureExt;
use lambda_runtime::Context;
use serde::Serialize;

use super::Answer;
use crate::config::ConfigError;
use crate::error::{Code, Error};
use crate::http::{Deadline, RequestContext};
use crate::telemetry::Record;

/// What is known of a request before anything is read of it.
pub(super) fn context(event: &ApiGatewayV2httpRequest, lambda: Context, is_cold: bool) -> RequestContext {
    let context = RequestContext::new(request_id(event, &lambda), Deadline::of_invocation(lambda.deadline));
    context.record.label("lambdaRequestId", lambda.request_id.as_str());
    context.record.label("xrayTraceId", lambda.xray_trace_id.unwrap_or_default());
    context.record.label("coldStart", is_cold);
    context
}

/// Work that ends in time and never in a panic.
pub(super) async fn guarded<T>(
    request_id: &str,
    deadline: Deadline,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let work = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout(deadline.for_the_answer(), work).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => {
            let message = format!("The bridge has a bug. Report it with request id {request_id}.");
            Err(Error::new(Code::INTERNAL, message).because("panic"))
        }
        Err(_elapsed) => Err(Error::new(Code::OUT_OF_TIME, "The bridge's time ran out. Send the same request again.")),
    }
}

/// The answer of a function whose settings are wrong.
pub(super) fn misconfigured(error: &ConfigError) -> Error {
    Error::new(Code::MISCONFIGURED, format!("The bridge is not set up: {error}. Correct the stack's parameters."))
}

/// The id the caller knows the request by: API Gateway's, which is in its access log too; Lambda's where there is none.
fn request_id(event: &ApiGatewayV2httpRequest, lambda: &Context) -> String {
    event.request_context.request_id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| lambda.request_id.clone())
}

/// Notes what Genesys Cloud says of the call it makes. A hint to search by, not an authentication.
pub(super) fn label_caller(event: &ApiGatewayV2httpRequest, record: &Record) {
    let id = event.headers.get("inin-correlation-id").and_then(|value| value.to_str().ok());
    if let Some(id) = id.filter(|id| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')) {
        record.label("callerCorrelationId", id);
    }
}

/// The body: decoded if the flag says so, whatever the content type is. API Gateway encodes a body without a content
/// type, and `cargo lambda watch` does not.
///
/// # Errors
/// `bodyTooLarge`, `malformedJson` (not base64).
pub(super) fn body(event: ApiGatewayV2httpRequest, max_bytes: usize) -> Result<Vec<u8>, Error> {
    let body = event.body.unwrap_or_default();
    let too_large = || {
        let message = format!("The request's body is larger than {} KiB.", max_bytes / 1024);
        Error::new(Code::BODY_TOO_LARGE, message)
    };
    if !event.is_base64_encoded {
        return if body.len() > max_bytes { Err(too_large()) } else { Ok(body.into_bytes()) };
    }
    if body.len() > max_bytes.div_ceil(3) * 4 {
        return Err(too_large());
    }
    let decoded = BASE64_STANDARD
        .decode(body)
        .map_err(|_| Error::new(Code::MALFORMED_JSON, "The request's body is announced as base64 and is not."))?;
    if decoded.len() > max_bytes { Err(too_large()) } else { Ok(decoded) }
}

/// The response for an answer.
pub(super) fn response<F: Serialize>(answer: &Answer<F>) -> ApiGatewayV2httpResponse {
    let (status, body) = match serde_json::to_string(answer) {
        Ok(body) => (answer.status, body),
        // Strings, flags and numbers always serialize; this constant is for the compiler.
        Err(_) => (500, r#"{"ok":false,"code":"internal","message":"","retryable":false,"requestId":""}"#.to_owned()),
    };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    // An answer may carry a join URL.
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status);
    response.headers = headers;
    response.body = Some(Body::Text(body));
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::MAX_BODY_BYTES;

    fn event(body: &str, is_base64_encoded: bool) -> ApiGatewayV2httpRequest {
        let context = json!({"http": {"method": "POST"}});
        let event = json!({"body": body, "isBase64Encoded": is_base64_encoded, "requestContext": context});
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn the_flag_alone_says_whether_a_body_is_encoded() {
        assert_eq!(body(event("{}", false), 64).unwrap(), b"{}");
        assert_eq!(body(event("e30=", true), 64).unwrap(), b"{}");
        assert_eq!(body(event("e30=", false), 64).unwrap(), b"e30=");
        assert_eq!(body(event("{}", true), 64).unwrap_err().code, Code::MALFORMED_JSON);
    }

    #[test]
    fn a_body_has_64_kib_and_no_byte_more() {
        let full = vec![b' '; MAX_BODY_BYTES];
        let over = vec![b' '; MAX_BODY_BYTES + 1];
        for encoded in [false, true] {
            let text = |bytes: &[u8]| {
                if encoded { BASE64_STANDARD.encode(bytes) } else { String::from_utf8(bytes.to_vec()).unwrap() }
            };
            assert_eq!(body(event(&text(&full), encoded), MAX_BODY_BYTES).unwrap().len(), MAX_BODY_BYTES);
            assert_eq!(body(event(&text(&over), encoded), MAX_BODY_BYTES).unwrap_err().code, Code::BODY_TOO_LARGE);
        }
    }
}
