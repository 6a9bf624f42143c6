//! The edge of the routes that are open to a vendor: they ask for no token of ours, check no roles and read no fields.
//!
//! Everybody can call such a route. So a request is [`Unverified`], and only its [`Sender`] can look into it, until the
//! sender's check has made a verified value of it for the handler. Only the check can make that value, so the types
//! keep the order.
//!
//! A vendor reads the status: 2xx means that the request was taken, and anything else is sent again. Beside it, some
//! read a body: the [`Sender`] says so, and its handler then returns one ([`Served`]). The envelope of a refusal helps
//! a person who tries the route by hand: its `requestId` finds the cause in the log.

pub(super) mod bot_framework;
pub(super) mod genesys;
pub(super) mod graph;

use std::future::Future;

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_runtime::Context;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use super::event::HttpEvent;
use super::host::{Host, guarded, ready, run};
use super::http::{allow, body, method, reply, request_id};
use super::route::RouteAnswer;
use super::{Answer, Method};
use crate::config::{ConfigError, Environment};
use crate::error::Error;
use crate::http::RequestContext;
use crate::telemetry::{Figures, Outcome};

/// The message in place of the details of an outage or of a wrong setting.
const NOT_TAKEN: &str = "The bridge could not take this. Its log says why.";

/// What a sender has to do when the time ran out.
const SEND_AGAIN: &str = "Send the same request again.";

/// A request whose sender is not known yet. Only a [`Sender`] can look into it.
#[derive(Debug)]
pub struct Unverified {
    event: HttpEvent,
}

impl Unverified {
    /// The query as it was sent, encoded.
    fn query(&self) -> &str {
        self.event.raw_query_string.as_deref().unwrap_or_default()
    }

    /// The credentials of the header `Authorization`.
    fn authorization(&self) -> Option<&SecretString> {
        self.event.headers.authorization.as_ref()
    }

    /// The header `X-Hub-Signature-256`.
    fn hub_signature(&self) -> Option<&str> {
        self.event.headers.hub_signature.as_deref()
    }

    /// The body, if it is not larger than this.
    ///
    /// # Errors
    /// `bodyTooLarge`, `malformedJson` (not base64).
    fn into_body(self, max_bytes: usize) -> Result<Vec<u8>, Error> {
        body(self.event, max_bytes)
    }
}

/// A vendor that calls an open webhook, and the check by which its requests are known.
pub trait Sender: Send + Sync {
    /// The handler's input: only what is known to come from the vendor. Nothing but the check can make it.
    type Verified;

    /// The part of the answer that the vendor reads when its request was taken: [`StatusAlone`] or [`InlineAnswer`].
    type Answer;

    /// The HTTP methods that the vendor uses.
    const METHODS: &'static [Method];

    /// The HTTP status that tells the vendor that its request was taken.
    const TAKEN: u16;

    /// Whether a refusal has the envelope. `false` for a vendor whose answers have a form of their own: its refusals
    /// have a status and no body.
    const REFUSES_WITH_ENVELOPE: bool = true;

    /// Answers requests that need no verification, such as a handshake, even when the function is not set up. `None`
    /// for a request to verify.
    ///
    /// # Errors
    /// When the request is neither a greeting nor one to verify.
    fn greet(request: &Unverified) -> Result<Option<ApiGatewayV2httpResponse>, Error> {
        let _ = request;
        Ok(None)
    }

    /// Checks the sender of a request, and returns the parts that come from the vendor.
    ///
    /// # Errors
    /// When the request is not the vendor's, or that cannot be told now.
    fn verify(
        &self,
        cx: &RequestContext,
        request: Unverified,
    ) -> impl Future<Output = Result<Self::Verified, Error>> + Send;

    /// Whether a stranger can provoke the error. Such an error must not raise an alarm.
    fn is_provoked(error: &Error) -> bool {
        let _ = error;
        false
    }
}

/// The vendor reads the status and no body.
#[derive(Debug, Clone, Copy)]
pub enum StatusAlone {}

/// The JSON that the vendor reads; `None` for a request that it awaits no body for.
#[derive(Debug, Clone, PartialEq)]
pub struct InlineAnswer(pub Option<Value>);

/// A handler's result for a sender that reads this answer: the figures alone for [`StatusAlone`], the figures and the
/// answer for [`InlineAnswer`].
pub trait Served<A> {
    /// The figures for the log line, and the body of the answer.
    fn parts(self) -> (impl Figures, Option<Value>);
}

impl<F: Figures> Served<StatusAlone> for F {
    fn parts(self) -> (impl Figures, Option<Value>) {
        (self, None)
    }
}

impl<F: Figures> Served<InlineAnswer> for (F, InlineAnswer) {
    fn parts(self) -> (impl Figures, Option<Value>) {
        let (figures, InlineAnswer(body)) = self;
        (figures, body)
    }
}

/// A webhook that is ready to serve: its sender's check and its app.
#[derive(Debug)]
pub struct Webhook<S, A> {
    /// The sender's check, and the app.
    host: Host<(S, A)>,
}

/// The envelope has no fields beside its own.
#[derive(Debug, Default, Serialize)]
struct NoFields {}

impl<S: Sender, A> Webhook<S, A> {
    /// Reads the environment and builds the sender's check and the app. A wrong environment is no reason to crash:
    /// greetings are answered, and the vendor sends everything else again until the settings are right.
    pub async fn start(
        function: &'static str,
        from_env: impl AsyncFn(&mut Environment) -> Option<(S, A)> + 'static,
    ) -> Self {
        Self { host: Host::start(function, from_env).await }
    }

    /// A webhook of a sender and an app that exist, or of the problems with their settings.
    #[must_use]
    pub fn of(function: &'static str, app: Result<(S, A), ConfigError>) -> Self {
        Self { host: Host::of(function, app) }
    }

    /// Answers requests until Lambda ends the process. `handle` returns when all that it was given is safe.
    ///
    /// # Errors
    /// When the Lambda runtime cannot be reached.
    pub async fn serve<T: Served<S::Answer>>(
        &self,
        handle: impl AsyncFn(&A, &RequestContext, S::Verified) -> Result<T, Error>,
    ) -> Result<(), lambda_runtime::Error> {
        run(|event: HttpEvent, lambda| self.answer(event, lambda, &handle)).await
    }

    /// Answers one request: greets it, verifies its sender, and calls the handler.
    pub async fn answer<T: Served<S::Answer>>(
        &self,
        event: HttpEvent,
        lambda: Context,
        handle: impl AsyncFn(&A, &RequestContext, S::Verified) -> Result<T, Error>,
    ) -> ApiGatewayV2httpResponse {
        let context = self.host.context(request_id(&event, &lambda), lambda);
        let served = guarded(&context, SEND_AGAIN, async {
            method(&event, S::METHODS)?;
            let request = Unverified { event };
            // Before anything else, because a greeting is answered even when the function is not set up.
            if let Some(greeting) = S::greet(&request)? {
                return Ok(("handshake", greeting));
            }
            let current = self.host.app.current(&context).await;
            let (sender, app) = ready(&current)?;
            let verified = sender.verify(&context, request).await?;
            let (figures, body) = handle(app, &context, verified).await?.parts();
            context.record.figures(&figures);
            Ok(("taken", bare(S::TAKEN, body)))
        });
        let (code, response) = match served.await {
            Ok(answered) => answered,
            Err(error) => return self.refuse(&context, error),
        };
        let status = u16::try_from(response.status_code).unwrap_or_default();
        self.host.write(&context, Outcome { ok: true, code, status, message: None, cause: None });
        response
    }

    fn refuse(&self, cx: &RequestContext, error: Error) -> ApiGatewayV2httpResponse {
        let provoked = S::is_provoked(&error);
        let mut answer = Answer::failed(error, NoFields {}).with_request_id(cx.request_id.clone());
        // Other routes answer some failures with 200 and ok:false. Here that would lose the request: nobody but the
        // vendor can send it again.
        if answer.status < 400 {
            answer.status = 503;
        }
        // The alarm on the log line counts these.
        if answer.status >= 500 && !provoked {
            cx.record.count("notTaken", 1);
        }
        // Everybody can call this route, and the names of our secrets and queues are not for everybody.
        if answer.status >= 500 {
            answer = answer.withholding(NOT_TAKEN);
        }
        self.host.write(cx, answer.outcome());
        let mut response = if S::REFUSES_WITH_ENVELOPE { answer.response() } else { bare(answer.status, None) };
        allow(&mut response, S::METHODS);
        response
    }
}

fn bare(status: u16, body: Option<Value>) -> ApiGatewayV2httpResponse {
    if let Some(body) = body {
        return reply(status, "application/json", body.to_string());
    }
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status);
    response
}

#[cfg(test)]
mod tests;
