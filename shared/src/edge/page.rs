//! A page for a person who opens a route in a browser.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::http::HeaderValue;

use super::http::reply;
use super::route::RouteAnswer;
use crate::error::Error;
use crate::telemetry::Outcome;

/// Lets a page have texts, styles of its own and images within it: nothing is fetched, run or sent.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page: the answer of a route that a person opens in a browser.
#[derive(Debug)]
pub struct Page {
    html: String,
    error: Option<Error>,
    request_id: String,
}

impl Page {
    /// A page of this HTML, from `<!doctype html>` on. Text from outside must be escaped already.
    #[must_use]
    pub fn new(html: impl Into<String>) -> Self {
        Self { html: html.into(), error: None, request_id: String::new() }
    }

    fn status(&self) -> u16 {
        self.error.as_ref().map_or(200, |error| error.code.status())
    }
}

impl RouteAnswer for Page {
    fn failed(error: Error) -> Self {
        Self { html: String::new(), error: Some(error), request_id: String::new() }
    }

    fn with_request_id(self, request_id: String) -> Self {
        Self { request_id, ..self }
    }

    fn outcome(&self) -> Outcome<'_> {
        Outcome {
            ok: self.error.is_none(),
            code: self.error.as_ref().map_or("page", |error| error.code.text()),
            status: self.status(),
            message: self.error.as_ref().map(|error| error.message.as_str()),
            cause: self.error.as_ref().and_then(|error| error.cause.as_deref()),
        }
    }

    fn response(&self) -> ApiGatewayV2httpResponse {
        let html = match &self.error {
            Some(error) => told(error, &self.request_id),
            None => self.html.clone(),
        };
        let mut response = reply(self.status(), "text/html; charset=utf-8", html);
        response.headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        response.headers.insert("content-security-policy", HeaderValue::from_static(CONTENT_SECURITY_POLICY));
        response
    }
}

/// The page of an error: the problem and its remedy, for the person who sees it.
fn told(error: &Error, request_id: &str) -> String {
    let (message, request_id) = (escaped(&error.text_for_caller()), escaped(request_id));
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Teams Bridge</title><p>{message}</p><p>Request id: \
         {request_id}</p></html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
