//! The AWS SDK's requests, sent with the bridge's one HTTP client.
//!
//! The SDK's own client would read the operating system's certificates at every start, trust others than the rest of
//! the bridge does, and bring a second pool of connections.

use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::body::SdkBody;

/// The HTTP connections that the SDK's clients share with the bridge's own calls.
#[derive(Debug, Clone)]
struct SharedConnections(reqwest::Client);

/// A client for the SDK over these connections. The time limit of an attempt is the SDK's: it sets it and keeps to it.
pub(crate) fn client(connections: reqwest::Client) -> SharedHttpClient {
    SharedHttpClient::new(SharedConnections(connections))
}

impl HttpClient for SharedConnections {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for SharedConnections {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(exchange(self.0.clone(), request))
    }
}

async fn exchange(connections: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let user = |error: aws_smithy_runtime_api::box_error::BoxError| ConnectorError::user(error);
    let request = request.try_into_http1x().map_err(|error| user(error.into()))?;
    if request.body().bytes().is_none() {
        return Err(user("a body that is not in memory cannot be sent".into()));
    }
    let request = request.map(|body| body.bytes().map(<[u8]>::to_vec).unwrap_or_default());
    let request = reqwest::Request::try_from(request).map_err(|error| user(error.into()))?;
    let response = connections.execute(request).await.map_err(refused)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.map_err(refused)?;
    let unreadable = |error: aws_smithy_runtime_api::box_error::BoxError| ConnectorError::other(error, None);
    let status = status.try_into().map_err(|_| unreadable("the status is not a valid one".into()))?;
    let mut answer = HttpResponse::new(status, SdkBody::from(body));
    *answer.headers_mut() = Headers::try_from(headers).map_err(|error| unreadable(error.into()))?;
    Ok(answer)
}

/// An error in the form by which the SDK decides whether to retry.
fn refused(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() { ConnectorError::timeout(error.into()) } else { ConnectorError::io(error.into()) }
}
