//! What the edge reads of an API Gateway HTTP API event, payload format 2.0.
//!
//! `aws_lambda_events` takes the whole event apart, every header and claim into a map of its own, which is a sixth of
//! what a request costs. These few fields are all that the bridge looks at; the rest is passed over.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use serde::Deserialize;

/// An event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpEvent {
    /// What API Gateway knows of the request.
    pub request_context: EventContext,
    /// The query as it was sent, encoded.
    pub raw_query_string: Option<String>,
    /// The headers that are looked at.
    pub headers: Headers,
    /// The body, or its base64.
    pub body: Option<String>,
    /// Which of the two it is.
    pub is_base64_encoded: bool,
}

/// What API Gateway knows of a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventContext {
    /// Its id, which is in the access log too.
    pub request_id: Option<String>,
    /// The request line.
    pub http: Http,
    /// What the authorizer found, where the route has one.
    pub authorizer: Option<Authorizer>,
}

/// What is looked at of a request line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Http {
    /// `POST`, for one.
    pub method: String,
}

/// Headers by their names, which API Gateway writes in lower case, whatever the caller wrote.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Headers {
    /// Genesys Cloud's id of the data action's call.
    #[serde(rename = "inin-correlation-id")]
    pub genesys_correlation_id: Option<String>,
}

/// What the authorizer found.
#[derive(Debug, Clone, Deserialize)]
pub struct Authorizer {
    /// A token that it has verified.
    pub jwt: Option<Jwt>,
}

/// A verified token.
#[derive(Debug, Clone, Deserialize)]
pub struct Jwt {
    /// What it claims.
    pub claims: Claims,
}

/// The claims that are looked at.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    /// App roles: API Gateway writes an array as `[a b]`.
    pub roles: Option<String>,
}
