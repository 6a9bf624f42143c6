//! The flat envelope of an answer: the members that every answer has, and the route's own fields beside them.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use serde::Serialize;

use super::http::reply;
use super::route::RouteAnswer;
use crate::error::{Code, Error};
use crate::telemetry::Outcome;

/// An answer. Flat and without nulls, because a Genesys Cloud script reads neither arrays nor nulls.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer<F> {
    ok: bool,
    code: &'static str,
    message: String,
    retryable: bool,
    request_id: String,
    #[serde(flatten)]
    fields: F,
    #[serde(skip)]
    pub(super) status: u16,
    #[serde(skip)]
    log_message: Option<String>,
    #[serde(skip)]
    cause: Option<String>,
}

impl<F> Answer<F> {
    /// The answer to a request that succeeded.
    #[must_use]
    pub fn ok(code: Code, message: impl Into<String>, fields: F) -> Self {
        Self {
            ok: true,
            code: code.text(),
            message: message.into(),
            retryable: code.retryable(),
            request_id: String::new(),
            fields,
            status: code.status(),
            log_message: None,
            cause: None,
        }
    }

    /// The answer to a request that failed. The fields tell what is known all the same.
    #[must_use]
    pub fn failed(error: Error, fields: F) -> Self {
        Self {
            ok: false,
            message: error.text_for_caller(),
            log_message: Some(error.message),
            cause: error.cause,
            ..Self::ok(error.code, String::new(), fields)
        }
    }

    /// Overrides what the code alone says about sending the request again.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// Tells the caller this message in place of the error's own, which still goes to the log.
    pub(super) fn withholding(mut self, message: &str) -> Self {
        self.message = message.to_owned();
        self
    }
}

impl<F: Serialize + Default> RouteAnswer for Answer<F> {
    fn failed(error: Error) -> Self {
        Self::failed(error, F::default())
    }

    fn with_request_id(mut self, request_id: String) -> Self {
        self.request_id = request_id;
        self
    }

    fn outcome(&self) -> Outcome<'_> {
        Outcome {
            ok: self.ok,
            code: self.code,
            status: self.status,
            message: self.log_message.as_deref(),
            cause: self.cause.as_deref(),
        }
    }

    fn response(&self) -> ApiGatewayV2httpResponse {
        let (status, body) = match serde_json::to_string(self) {
            Ok(body) => (self.status, body),
            // This cannot happen: strings, flags and numbers always serialize. The compiler wants a value.
            Err(_) => {
                (500, r#"{"ok":false,"code":"internal","message":"","retryable":false,"requestId":""}"#.to_owned())
            }
        };
        reply(status, "application/json", body)
    }
}
