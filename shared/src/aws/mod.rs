//! How the AWS SDK is used: with the bridge's own connections, and with errors in words of our own. The SDK's own debug
//! output prints whole answers, which must not reach a log.

mod client;
pub(crate) mod signer;

pub(crate) use client::client;

use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// An SDK error as one line for the log: the code and HTTP status, or how far the request came.
pub(crate) fn describe<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status().as_u16();
            format!("{} (HTTP {status})", refused.err().code().unwrap_or("error without a code"))
        }
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => DisplayErrorContext(error).to_string(),
            None => "the request could not be sent".into(),
        },
        SdkError::TimeoutError(_) => "no answer in time".into(),
        SdkError::ResponseError(_) => "the answer could not be read".into(),
        _ => "the request could not be made".into(),
    }
}
