//! The edge of the routes that are open to a vendor: no token of ours, no roles, no fields.
//!
//! Anybody can ask here. So a request is [`Unverified`], and nothing but its [`Sender`] can look into it, until the sender's
//! check has made of it what the handler gets. What that is only the check can make: the order stands in the types.
//!
//! A vendor looks at the status alone: 2xx is taken, and everything else is sent again. The envelope of an answer that is not
//! 2xx is for whoever tries the route by hand; its `requestId` finds the cause in the log.

pub(super) mod graph;

use std::future::Future;

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_runtime::Context;
use serde::Serialize;

use super::event::HttpEvent;
use super::host::{Host, guarded, run};
use super::http::{allow, body, method, request_id};
use super::route::RouteAnswer;
use super::{Answer, Method};
use crate::config::{ConfigError, Environment};
use crate::error::Error;
use crate::http::RequestContext;
use crate::telemetry::{Figures, Outcome};

/// What is told of an outage and of a wrong setting.
const NOT_TAKEN: &str = "The bridge could not take this. Its log says why.";

/// What a sender does when the time ran out.
const SEND_AGAIN: &str = "Send the same request again.";

/// A request of which nobody knows yet who sent it. Only a [`Sender`] can look into it.
#[derive(Debug)]
pub struct Unverified {
    event: HttpEvent,
}

impl Unverified {
    /// The query as it was sent, encoded.
    fn query(&self) -> &str {
        self.event.raw_query_string.as_deref().unwrap_or_default()
    }

    /// The body, if it is not larger than this.
    ///
    /// # Errors
    /// `bodyTooLarge`, `malformedJson` (not base64).
    fn into_body(self, max_bytes: usize) -> Result<Vec<u8>, Error> {
        body(self.event, max_bytes)
    }
}

/// A vendor that sends to an open webhook, and how a request is known to be the vendor's.
pub trait Sender: Send + Sync {
    /// What the handler gets: nothing but what is known to come from the vendor. Only the check can make it.
    type Verified;

    /// How the vendor asks.
    const METHODS: &'static [Method];

    /// The status of an answer to what was taken.
    const TAKEN: u16;

    /// Answers what is to be answered whatever state the function is in, and without knowing who asks; `None` when it is
    /// something to verify.
    ///
    /// # Errors
    /// When it is neither.
    fn greet(request: &Unverified) -> Result<Option<ApiGatewayV2httpResponse>, Error> {
        let _ = request;
        Ok(None)
    }

    /// Checks who sent a request, and leaves what is the vendor's.
    ///
    /// # Errors
    /// When it is not the vendor's, or that cannot be told now.
    fn verify(
        &self,
        cx: &RequestContext,
        request: Unverified,
    ) -> impl Future<Output = Result<Self::Verified, Error>> + Send;

    /// Whether a stranger can bring an error about, so that no alarm may ring for it.
    fn is_provoked(error: &Error) -> bool {
        let _ = error;
        false
    }
}

/// A webhook that is ready to serve.
#[derive(Debug)]
pub struct Webhook<S, A> {
    /// Who sends, and the app.
    host: Host<(S, A)>,
}

/// The envelope has no fields beside its own.
#[derive(Debug, Default, Serialize)]
struct NoFields {}

impl<S: Sender, A> Webhook<S, A> {
    /// Reads the environment and builds the sender's check and the app. A wrong environment is no reason to crash: greetings
    /// are answered, and the vendor sends everything else again until the settings are right.
    pub async fn start(
        function: &'static str,
        from_env: impl AsyncFn(&mut Environment) -> Option<(S, A)> + 'static,
    ) -> Self {
        Self { host: Host::start(function, from_env).await }
    }

    /// A webhook around a sender and an app that exist, or around what is wrong with their settings.
    #[must_use]
    pub fn of(function: &'static str, app: Result<(S, A), ConfigError>) -> Self {
        Self { host: Host::of(function, app) }
    }

    /// Answers requests until Lambda ends the process. `handle` is done when all that it was given is safe.
    ///
    /// # Errors
    /// When the Lambda runtime cannot be reached.
    pub async fn serve<T: Figures>(
        &self,
        handle: impl AsyncFn(&A, &RequestContext, S::Verified) -> Result<T, Error>,
    ) -> Result<(), lambda_runtime::Error> {
        run(async |event: HttpEvent, lambda| self.answer(event, lambda, &handle).await).await
    }

    /// Answers one request.
    pub async fn answer<T: Figures>(
        &self,
        event: HttpEvent,
        lambda: Context,
        handle: impl AsyncFn(&A, &RequestContext, S::Verified) -> Result<T, Error>,
    ) -> ApiGatewayV2httpResponse {
        let context = self.host.context(request_id(&event, &lambda), lambda);
        let served = guarded(&context, SEND_AGAIN, async {
            method(&event, S::METHODS)?;
            let request = Unverified { event };
            // Before anything else: it is not known what state the function is in.
            if let Some(greeting) = S::greet(&request)? {
                return Ok(Some(greeting));
            }
            self.host
                .with_app(&context, async |(sender, app)| {
                    let verified = sender.verify(&context, request).await?;
                    context.record.figures(&handle(app, &context, verified).await?);
                    Ok(None)
                })
                .await
        });
        let (code, response) = match served.await {
            Ok(Some(greeting)) => ("handshake", greeting),
            Ok(None) => ("taken", taken(S::TAKEN)),
            Err(error) => return self.refuse(&context, error),
        };
        let status = u16::try_from(response.status_code).unwrap_or_default();
        self.host.write(&context, Outcome { ok: true, code, status, message: None, cause: None });
        response
    }

    fn refuse(&self, cx: &RequestContext, error: Error) -> ApiGatewayV2httpResponse {
        let provoked = S::is_provoked(&error);
        let mut answer = Answer::failed(error, NoFields {}).with_request_id(cx.request_id.clone());
        // What other routes answer with 200 and ok:false would be lost: nobody but the vendor can send it again.
        if answer.status < 400 {
            answer.status = 503;
        }
        // An alarm goes by this.
        if answer.status >= 500 && !provoked {
            cx.record.count("notTaken", 1);
        }
        // Anybody can ask here, and the names of our secrets and queues are not for anybody.
        if answer.status >= 500 {
            answer = answer.withholding(NOT_TAKEN);
        }
        self.host.write(cx, answer.outcome());
        let mut response = answer.response();
        allow(&mut response, S::METHODS);
        response
    }
}

fn taken(status: u16) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status);
    response
}

#[cfg(test)]
mod tests;
