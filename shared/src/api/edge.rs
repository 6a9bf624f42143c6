//! From event to bytes, and from answer to response.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::{HeaderMap, HeaderValue};
use base64::prelude::{BASE64_STANDARD, Engine};
use lambda_runtime::Context;
use serde::Serialize;

use super::Answer;
use super::event::HttpEvent;
use crate::error::{Code, Error};
use crate::telemetry::Record;

/// The largest body that is read. A request of ours takes 2 KiB.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The id the caller knows the request by: API Gateway's, which is in its access log too; Lambda's where there is none.
pub(super) fn request_id(event: &HttpEvent, lambda: &Context) -> String {
    event.request_context.request_id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| lambda.request_id.clone())
}

/// Notes what Genesys Cloud says of the call it makes. A hint to search by, not an authentication.
pub(super) fn label_caller(event: &HttpEvent, record: &Record) {
    let id = event.headers.genesys_correlation_id.as_deref();
    if let Some(id) = id.filter(|id| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')) {
        record.label("callerCorrelationId", id);
    }
}

/// The body: decoded if the flag says so, whatever the content type is. API Gateway encodes a body without a content
/// type, and `cargo lambda watch` does not.
///
/// # Errors
/// `bodyTooLarge`, `malformedJson` (not base64).
pub(super) fn body(event: HttpEvent) -> Result<Vec<u8>, Error> {
    let body = event.body.unwrap_or_default();
    let too_large = || {
        let message = format!("The request's body is larger than {} KiB.", MAX_BODY_BYTES / 1024);
        Error::new(Code::BODY_TOO_LARGE, message)
    };
    if !event.is_base64_encoded {
        return if body.len() > MAX_BODY_BYTES { Err(too_large()) } else { Ok(body.into_bytes()) };
    }
    if body.len() > MAX_BODY_BYTES.div_ceil(3) * 4 {
        return Err(too_large());
    }
    let decoded = BASE64_STANDARD
        .decode(body)
        .map_err(|_| Error::new(Code::MALFORMED_JSON, "The request's body is announced as base64 and is not."))?;
    if decoded.len() > MAX_BODY_BYTES { Err(too_large()) } else { Ok(decoded) }
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

    fn event(body: &str, is_base64_encoded: bool) -> HttpEvent {
        let context = json!({"http": {"method": "POST"}});
        let event = json!({"body": body, "isBase64Encoded": is_base64_encoded, "requestContext": context});
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn the_flag_alone_says_whether_a_body_is_encoded() {
        assert_eq!(body(event("{}", false)).unwrap(), b"{}");
        assert_eq!(body(event("e30=", true)).unwrap(), b"{}");
        assert_eq!(body(event("e30=", false)).unwrap(), b"e30=");
        assert_eq!(body(event("{}", true)).unwrap_err().code, Code::MALFORMED_JSON);
    }

    #[test]
    fn a_body_has_64_kib_and_no_byte_more() {
        let full = vec![b' '; MAX_BODY_BYTES];
        let over = vec![b' '; MAX_BODY_BYTES + 1];
        for encoded in [false, true] {
            let text = |bytes: &[u8]| {
                if encoded { BASE64_STANDARD.encode(bytes) } else { String::from_utf8(bytes.to_vec()).unwrap() }
            };
            assert_eq!(body(event(&text(&full), encoded)).unwrap().len(), MAX_BODY_BYTES);
            assert_eq!(body(event(&text(&over), encoded)).unwrap_err().code, Code::BODY_TOO_LARGE);
        }
    }
}
