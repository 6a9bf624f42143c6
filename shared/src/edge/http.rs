//! Reads the parts of an HTTP event, and writes a response.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::{HeaderMap, HeaderValue};
use base64::prelude::{BASE64_STANDARD, Engine};
use lambda_runtime::Context;

use super::event::HttpEvent;
use crate::error::{Code, Error};

/// The HTTP methods of the bridge's routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A route that only reads: its fields are in the query.
    Get,
    /// A route that does something: its fields are in the body.
    Post,
}

impl Method {
    /// The method as a request has it, in upper case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Accepts a request that has one of these methods.
///
/// # Errors
/// `methodNotAllowed`
pub(super) fn method(event: &HttpEvent, allowed: &[Method]) -> Result<Method, Error> {
    let asked = event.request_context.http.method.as_str();
    let found = allowed.iter().copied().find(|method| method.as_str() == asked);
    found.ok_or_else(|| {
        let names = names(allowed).join(" and ");
        Error::new(Code::METHOD_NOT_ALLOWED, format!("This route is for {names} alone."))
    })
}

/// Adds the header `Allow` to the refusal of another method.
pub(super) fn allow(response: &mut ApiGatewayV2httpResponse, allowed: &[Method]) {
    if response.status_code == i64::from(Code::METHOD_NOT_ALLOWED.status())
        && let Ok(names) = HeaderValue::from_str(&names(allowed).join(", "))
    {
        response.headers.insert("allow", names);
    }
}

fn names(methods: &[Method]) -> Vec<&'static str> {
    methods.iter().map(|method| method.as_str()).collect()
}

/// The id by which the caller knows the request: API Gateway's, which is in its access log too, or else Lambda's.
pub(super) fn request_id(event: &HttpEvent, lambda: &Context) -> String {
    event.request_context.request_id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| lambda.request_id.clone())
}

/// The body, decoded from base64 if the event says so, whatever the content type is. API Gateway encodes a body that
/// has no content type, and `cargo lambda watch` does not.
///
/// # Errors
/// `bodyTooLarge`, `malformedJson` (not base64).
pub(super) fn body(event: HttpEvent, max_bytes: usize) -> Result<Vec<u8>, Error> {
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

/// A response that no cache may store, because an answer may carry a join URL.
pub(super) fn reply(status: u16, content_type: &'static str, body: String) -> ApiGatewayV2httpResponse {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(content_type));
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
    use crate::edge::route::MAX_REQUEST_BYTES;

    fn event(body: &str, is_base64_encoded: bool) -> HttpEvent {
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
        let full = vec![b' '; MAX_REQUEST_BYTES];
        let over = vec![b' '; MAX_REQUEST_BYTES + 1];
        for encoded in [false, true] {
            let text = |bytes: &[u8]| {
                if encoded { BASE64_STANDARD.encode(bytes) } else { String::from_utf8(bytes.to_vec()).unwrap() }
            };
            assert_eq!(body(event(&text(&full), encoded), MAX_REQUEST_BYTES).unwrap().len(), MAX_REQUEST_BYTES);
            assert_eq!(body(event(&text(&over), encoded), MAX_REQUEST_BYTES).unwrap_err().code, Code::BODY_TOO_LARGE);
        }
    }
}
