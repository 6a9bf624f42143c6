//! The parts of an API Gateway HTTP API event, payload format 2.0, that the edge reads.
//!
//! `aws_lambda_events` takes the whole event apart, every header and claim into a map of its own, which is a sixth of
//! the cost of a request. The bridge needs these few fields; the rest is passed over.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use secrecy::SecretString;
use serde::Deserialize;

/// An event of the HTTP API: one request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpEvent {
    /// The request as API Gateway knows it: id, method, verified token.
    pub request_context: EventContext,
    /// The query as it was sent, encoded.
    pub raw_query_string: Option<String>,
    /// The headers that the bridge reads.
    pub headers: Headers,
    /// The body, as text or as base64.
    pub body: Option<String>,
    /// Whether the body is base64.
    pub is_base64_encoded: bool,
}

/// The request as API Gateway knows it, apart from its query, headers and body.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventContext {
    /// The id of the request, which is in the access log too.
    pub request_id: Option<String>,
    /// The parts of the request line.
    pub http: Http,
    /// The authorizer's finding, on a route that has one.
    pub authorizer: Option<Authorizer>,
}

/// The part of the request line that is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Http {
    /// The HTTP method in upper case, such as `POST`.
    pub method: String,
}

/// The headers that are read. API Gateway writes all names in lower case.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Headers {
    /// Genesys Cloud's id of the data action's execution.
    #[serde(rename = "inin-correlation-id")]
    pub genesys_correlation_id: Option<String>,
    /// The credentials that a request shows. An open webhook checks them itself.
    pub authorization: Option<SecretString>,
    /// The signature that Genesys Cloud puts on an outbound message.
    #[serde(rename = "x-hub-signature-256")]
    pub hub_signature: Option<String>,
}

/// The authorizer's finding about the caller.
#[derive(Debug, Clone, Deserialize)]
pub struct Authorizer {
    /// The token that the authorizer has verified.
    pub jwt: Option<Jwt>,
}

/// A token whose signature and audience API Gateway has verified.
#[derive(Debug, Clone, Deserialize)]
pub struct Jwt {
    /// The claims of the token.
    pub claims: RoleClaims,
}

/// The claims that the edge reads.
#[derive(Debug, Clone, Deserialize)]
pub struct RoleClaims {
    /// App roles. API Gateway writes the array as `[a b]`.
    pub roles: Option<String>,
}
