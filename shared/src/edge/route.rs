//! A route of the HTTP API, behind API Gateway's authorizer.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_runtime::Context;

use super::event::HttpEvent;
use super::host::{Host, guarded, ready, run};
use super::{Method, http, roles};
use crate::config::{ConfigError, Environment};
use crate::error::Error;
use crate::fields::{ConversationId, Fields};
use crate::http::RequestContext;
use crate::telemetry::{Outcome, Record, mask};

/// What the caller of a route has to do when the time ran out.
const SEND_AGAIN: &str = "Send the same request again.";

/// The largest body of a data action that is read. The bridge's own requests take 2 KiB.
pub(super) const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// A function's place in the API.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The function's name in logs and metrics.
    pub function: &'static str,
    /// The HTTP method that callers use.
    pub method: Method,
    /// App roles the caller's token must carry, all of them.
    pub roles: &'static [&'static str],
}

/// A request of a route, with its fields, as a handler gets it.
#[derive(Debug)]
pub struct Request {
    /// The fields of the body or of the query.
    pub fields: Fields,
    /// The request's id, deadline and log record.
    pub context: RequestContext,
}

impl Request {
    /// Reads `conversationId`, and labels the log line with it.
    pub fn conversation_id(&mut self) -> Option<ConversationId> {
        let id = self.fields.parsed::<ConversationId>("conversationId")?;
        // The author of the script may have put the caller's number here.
        self.context.record.label("conversationId", mask(id.as_str()));
        Some(id)
    }
}

/// The answer of a route: the flat envelope ([`Answer`](super::Answer)) for a data action, or a page for a person
/// ([`Page`](super::Page)).
pub trait RouteAnswer: Sized {
    /// The answer to a request that could not be served.
    fn failed(error: Error) -> Self;

    /// The answer with the id by which the caller knows the request.
    #[must_use]
    fn with_request_id(self, request_id: String) -> Self;

    /// The answer as the log line has it: code, status, cause.
    fn outcome(&self) -> Outcome<'_>;

    /// The answer as API Gateway expects it.
    fn response(&self) -> ApiGatewayV2httpResponse;
}

/// A function that is ready to serve a route.
#[derive(Debug)]
pub struct Function<A> {
    route: Route,
    /// The app, and whether its callers need app roles.
    host: Host<(A, bool)>,
}

impl<A> Function<A> {
    /// Reads the environment and builds the app. A wrong environment is no reason to crash: every request is then
    /// answered with what is wrong.
    pub async fn start(route: Route, from_env: impl AsyncFn(&mut Environment) -> Option<A> + 'static) -> Self {
        let with_roles = async move |env: &mut Environment| {
            let require_roles = env.or("REQUIRE_ROLES", true);
            let app = from_env(env).await;
            app.zip(require_roles)
        };
        Self { route, host: Host::start(route.function, with_roles).await }
    }

    /// A function of an app that exists, or of the problems with its settings; its callers need roles.
    #[must_use]
    pub fn of(route: Route, app: Result<A, ConfigError>) -> Self {
        Self { route, host: Host::of(route.function, app.map(|app| (app, true))) }
    }

    /// Answers requests until Lambda ends the process.
    ///
    /// # Errors
    /// When the Lambda runtime cannot be reached.
    pub async fn serve<R: RouteAnswer>(
        &self,
        handle: impl AsyncFn(&A, Request) -> Result<R, Error>,
    ) -> Result<(), lambda_runtime::Error> {
        run(|event: HttpEvent, lambda| self.answer(event, lambda, &handle)).await
    }

    /// Answers one request: checks method, roles and size, reads the fields, and calls the handler.
    pub async fn answer<R: RouteAnswer>(
        &self,
        event: HttpEvent,
        lambda: Context,
        handle: impl AsyncFn(&A, Request) -> Result<R, Error>,
    ) -> ApiGatewayV2httpResponse {
        let context = self.host.context(http::request_id(&event, &lambda), lambda);
        label_caller(&event, &context.record);

        let served = guarded(&context, SEND_AGAIN, async {
            let method = http::method(&event, &[self.route.method])?;
            let current = self.host.app.current(&context).await;
            let (app, require_roles) = ready(&current)?;
            if *require_roles {
                roles::check(&event, self.route.roles)?;
            }
            let fields = fields(method, event)?;
            handle(app, Request { fields, context: context.clone() }).await
        });
        let answer = served.await.unwrap_or_else(R::failed).with_request_id(context.request_id.clone());
        self.host.write(&context, answer.outcome());
        let mut response = answer.response();
        http::allow(&mut response, &[self.route.method]);
        response
    }
}

/// The fields: from the query of a GET, from the body of a POST.
fn fields(method: Method, event: HttpEvent) -> Result<Fields, Error> {
    match method {
        Method::Get => Ok(Fields::of_query(event.raw_query_string.as_deref().unwrap_or_default())),
        Method::Post => Fields::parse(&http::body(event, MAX_REQUEST_BYTES)?),
    }
}

/// Labels the log line with Genesys Cloud's headers about the call. They serve to find it, and prove nothing.
fn label_caller(event: &HttpEvent, record: &Record) {
    let id = event.headers.genesys_correlation_id.as_deref();
    if let Some(id) = id.filter(|id| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')) {
        record.label("callerCorrelationId", id);
    }
}
