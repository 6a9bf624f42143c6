//! The edge of the routes that are open to Microsoft Graph: no token, no roles, no fields.
//!
//! Graph looks at the status alone: 2xx is taken, everything else it sends again for up to four hours. The envelope of an
//! answer that is not 2xx is for whoever tries the route by hand; its `requestId` finds the cause in the log.
//!
//! <https://learn.microsoft.com/graph/change-notifications-delivery-webhooks>

use std::sync::atomic::{AtomicBool, Ordering};

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::{HeaderMap, HeaderValue};
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::Serialize;

use super::{Answer, HttpEvent, edge};
use crate::config::{ConfigError, Environment};
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::telemetry::Outcome;

/// The largest body that is read. Lambda takes events of 6 MB, in which the body has its quotes escaped.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// What is told of an outage and of a wrong setting.
const NOT_TAKEN: &str = "The bridge could not take this. Its log says why.";

/// The longest validation token that is sent back. Those of Graph have about 130 characters.
const MAX_TOKEN_BYTES: usize = 2048;

/// A webhook that is ready to serve.
#[derive(Debug)]
pub struct Webhook<A> {
    /// The deployed function's name, by which its metrics are told from those of another deployment.
    name: String,
    app: Result<A, ConfigError>,
    served_before: AtomicBool,
}

/// The envelope has no fields beside its own.
#[derive(Debug, Serialize)]
struct NoFields {}

impl<A> Webhook<A> {
    /// Reads the environment and builds the app. A wrong environment is no reason to crash: handshakes are answered, and
    /// Graph sends every notification again until the settings are right.
    pub async fn start(function: &'static str, from_env: impl AsyncFnOnce(&mut Environment) -> Option<A>) -> Self {
        let mut env = Environment::of_process();
        let app = from_env(&mut env).await;
        let app = env.finish(app);
        if let Err(error) = &app {
            tracing::error!(%error, "the function cannot work");
        }
        let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| function.into());
        Self { name, app, served_before: AtomicBool::new(false) }
    }

    /// A webhook around an app that exists, or around what is wrong with its settings.
    #[must_use]
    pub fn of(function: &'static str, app: Result<A, ConfigError>) -> Self {
        Self { name: function.into(), app, served_before: AtomicBool::new(false) }
    }

    /// Answers requests until Lambda ends the process. `handle` gets a body, and is done when all of it is safe.
    ///
    /// # Errors
    /// When the Lambda runtime cannot be reached.
    pub async fn serve(
        &self,
        handle: impl AsyncFn(&A, &RequestContext, Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), lambda_runtime::Error> {
        let handle = &handle;
        lambda_runtime::run(service_fn(move |event: LambdaEvent<HttpEvent>| async move {
            Ok::<_, lambda_runtime::Error>(self.answer(event.payload, event.context, handle).await)
        }))
        .await
    }

    /// Answers one request.
    pub async fn answer(
        &self,
        event: HttpEvent,
        lambda: Context,
        handle: impl AsyncFn(&A, &RequestContext, Vec<u8>) -> Result<(), Error>,
    ) -> ApiGatewayV2httpResponse {
        let context = edge::context(&event, lambda, !self.served_before.swap(true, Ordering::Relaxed));
        let answered = edge::guarded(&context.request_id, context.deadline, async {
            // Before anything else: a subscription is made while its handshake is answered, whatever state we are in.
            if let Some(token) = handshake(&event)? {
                return Ok(Some(token));
            }
            let app = self.app.as_ref().map_err(edge::misconfigured)?;
            handle(app, &context, edge::body(event, MAX_BODY_BYTES)?).await?;
            Ok(None)
        });
        match answered.await {
            Ok(token) => {
                let (code, status) = if token.is_some() { ("handshake", 200) } else { ("taken", 202) };
                context.record.write(&self.name, Outcome { ok: true, code, status, message: None, cause: None });
                token.map_or_else(taken, handshaken)
            }
            Err(error) => {
                // A stranger can provoke this one.
                let provoked = error.code == Code::CLIENT_STATE_UNKNOWN;
                let mut answer = Answer::failed(error, NoFields {}).with_request_id(context.request_id);
                // What other routes answer with 200 and ok:false would be lost: nobody but Graph can send it again.
                if answer.status < 400 {
                    answer.status = 503;
                }
                // An alarm goes by this.
                if answer.status >= 500 && !provoked {
                    context.record.count("notTaken", 1);
                }
                // Anybody can ask here, and the names of our secrets and queues are not for anybody.
                if answer.status >= 500 {
                    answer = answer.withholding(NOT_TAKEN);
                }
                context.record.write(&self.name, answer.outcome());
                let mut response = edge::response(&answer);
                if answer.status == Code::METHOD_NOT_ALLOWED.status() {
                    response.headers.insert("allow", HeaderValue::from_static("POST"));
                }
                response
            }
        }
    }
}

/// The validation token of a handshake, decoded once, form-urlencoded as it is: `+` is a space. Other query parameters are
/// the subscriber's own.
///
/// # Errors
/// `methodNotAllowed`; `invalidField`, when the token is longer than Graph's are.
fn handshake(event: &HttpEvent) -> Result<Option<String>, Error> {
    if event.request_context.http.method != "POST" {
        return Err(Error::new(Code::METHOD_NOT_ALLOWED, "This route is for POST alone."));
    }
    // API Gateway also gives the parameters decoded; whoever decodes those decodes twice.
    let query = event.raw_query_string.as_deref().unwrap_or_default();
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    let token = parameters.find(|(name, _)| name == "validationToken").map(|(_, token)| token.into_owned());
    match token {
        Some(token) if token.len() > MAX_TOKEN_BYTES => {
            let message = format!("The `validationToken` is longer than {MAX_TOKEN_BYTES} bytes.");
            Err(Error::new(Code::INVALID_FIELD, message))
        }
        token => Ok(token.filter(|token| !token.is_empty())),
    }
}

/// The answer to a handshake: the token and nothing else, and never as something that a browser would run.
fn handshaken(token: String) -> ApiGatewayV2httpResponse {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = 200;
    response.headers = headers;
    response.body = Some(Body::Text(token));
    response
}

fn taken() -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = 202;
    response
}
