//! A route of the HTTP API, behind API Gateway's authorizer.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_runtime::Context;

use super::event::HttpEvent;
use super::host::{Host, guarded, run};
use super::{Method, http, roles};
use crate::config::{ConfigError, Environment};
use crate::error::Error;
use crate::fields::{ConversationId, Fields};
use crate::http::RequestContext;
use crate::telemetry::{Outcome, Record, mask};

/// What the caller of a route does when the time ran out.
const SEND_AGAIN: &str = "Send the same request again.";

/// The largest body that is read of a data action. A request of ours takes 2 KiB.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// A function's place in the API.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The function's name in logs and metrics.
    pub function: &'static str,
    /// How it is asked.
    pub method: Method,
    /// App roles the caller's token must carry, all of them.
    pub roles: &'static [&'static str],
}

/// A request on its way through a handler.
#[derive(Debug)]
pub struct Request {
    /// Its fields.
    pub fields: Fields,
    /// Its id, deadline and log record.
    pub context: RequestContext,
}

impl Request {
    /// Reads `conversationId`, and labels the log line with it.
    pub fn conversation_id(&mut self) -> Option<ConversationId> {
        let id = self.fields.parsed::<ConversationId>("conversationId")?;
        // An author may have put the caller's number here.
        self.context.record.label("conversationId", mask(id.as_str()));
        Some(id)
    }
}

/// What a route answers with: the flat envelope ([`Answer`](super::Answer)) for a data action, or a page for a person
/// ([`Page`](super::Page)).
pub trait RouteAnswer: Sized {
    /// The answer to a request that could not be served.
    fn failed(error: Error) -> Self;

    /// The answer with the id that the caller knows the request by.
    #[must_use]
    fn with_request_id(self, request_id: String) -> Self;

    /// The answer as the log line has it.
    fn outcome(&self) -> Outcome<'_>;

    /// The answer as API Gateway takes it.
    fn response(&self) -> ApiGatewayV2httpResponse;
}

/// A function that is ready to serve a route.
#[derive(Debug)]
pub struct Function<A> {
    route: Route,
    /// The app, and whether callers need roles.
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

    /// A function around an app that exists, or around what is wrong with its settings; its callers need roles.
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
        run(async |event: HttpEvent, lambda| self.answer(event, lambda, &handle).await).await
    }

    /// Answers one request.
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
            self.host
                .with_app(&context, async |(app, require_roles)| {
                    if *require_roles {
                        roles::check(&event, self.route.roles)?;
                    }
                    let fields = fields(method, event)?;
                    handle(app, Request { fields, context: context.clone() }).await
                })
                .await
        });
        let answer = served.await.unwrap_or_else(R::failed).with_request_id(context.request_id.clone());
        self.host.write(&context, answer.outcome());
        let mut response = answer.response();
        http::allow(&mut response, &[self.route.method]);
        response
    }
}

/// The fields, wherever a request of this method has them.
fn fields(method: Method, event: HttpEvent) -> Result<Fields, Error> {
    match method {
        Method::Get => Ok(Fields::of_query(event.raw_query_string.as_deref().unwrap_or_default())),
        Method::Post => Fields::parse(&http::body(event, MAX_BODY_BYTES)?),
    }
}

/// Notes what Genesys Cloud says of the call it makes. A hint to search by, not an authentication.
fn label_caller(event: &HttpEvent, record: &Record) {
    let id = event.headers.genesys_correlation_id.as_deref();
    if let Some(id) = id.filter(|id| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')) {
        record.label("callerCorrelationId", id);
    }
}
