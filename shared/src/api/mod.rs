//! The Lambda edge behind an API Gateway HTTP API: the only module that knows AWS event types.
//!
//! It decodes the event, checks size and roles, hands a [`Request`] to the function's handler within the deadline, and
//! turns whatever comes out, a panic too, into one flat JSON object and one log line. [`Webhook`] is the edge of the routes
//! that are open to Microsoft Graph.

mod answer;
mod edge;
mod event;
mod roles;
mod webhook;

use std::sync::atomic::{AtomicBool, Ordering};

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::Serialize;

pub use answer::Answer;
pub use event::{Authorizer, Claims, EventContext, Headers, Http, HttpEvent, Jwt};
pub use webhook::Webhook;

use crate::config::Environment;
use crate::error::Error;
use crate::fields::{ConversationId, Fields};
use crate::http::RequestContext;
use crate::live::Live;
use crate::startup::aws;
use crate::telemetry::mask;

/// The largest body that is read of a data action. A request of ours takes 2 KiB.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// A function's place in the API.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The function's name in logs and metrics.
    pub function: &'static str,
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

/// A function that is ready to serve: its app, and whether callers need roles.
#[derive(Debug)]
pub struct Function<A> {
    route: Route,
    /// The deployed function's name, by which its metrics are told from those of another deployment.
    name: String,
    /// The app, and whether callers need roles.
    live: Live<(A, bool)>,
    served_before: AtomicBool,
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
        let live = Live::start(Environment::of_process(), aws, with_roles).await;
        let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| route.function.into());
        Self { route, name, live, served_before: AtomicBool::new(false) }
    }

    /// A function around an app that exists; its callers need roles.
    #[must_use]
    pub fn of(route: Route, app: A) -> Self {
        let name = route.function.into();
        Self { route, name, live: Live::of((app, true)), served_before: AtomicBool::new(false) }
    }

    /// Answers requests until Lambda ends the process.
    ///
    /// # Errors
    /// When the Lambda runtime cannot be reached.
    pub async fn serve<F>(
        &self,
        handle: impl AsyncFn(&A, Request) -> Result<Answer<F>, Error>,
    ) -> Result<(), lambda_runtime::Error>
    where
        F: Serialize + Default,
    {
        let handle = &handle;
        lambda_runtime::run(service_fn(move |event: LambdaEvent<HttpEvent>| async move {
            Ok::<_, lambda_runtime::Error>(self.answer(event.payload, event.context, handle).await)
        }))
        .await
    }

    /// Answers one request.
    pub async fn answer<F>(
        &self,
        event: HttpEvent,
        lambda: Context,
        handle: impl AsyncFn(&A, Request) -> Result<Answer<F>, Error>,
    ) -> ApiGatewayV2httpResponse
    where
        F: Serialize + Default,
    {
        let context = edge::context(&event, lambda, !self.served_before.swap(true, Ordering::Relaxed));
        edge::label_caller(&event, &context.record);

        // The record outlives the request: it is written whatever became of the handler.
        let (request_id, record, deadline) = (context.request_id.clone(), context.record.clone(), context.deadline);
        let answered = edge::guarded(&request_id, deadline, self.handle_within(event, context, handle)).await;
        let answer = answered.unwrap_or_else(|error| Answer::failed(error, F::default())).with_request_id(request_id);
        record.write(&self.name, answer.outcome());
        edge::response(&answer)
    }

    async fn handle_within<F>(
        &self,
        event: HttpEvent,
        context: RequestContext,
        handle: impl AsyncFn(&A, Request) -> Result<Answer<F>, Error>,
    ) -> Result<Answer<F>, Error> {
        let live = self.live.current(&context).await;
        let (app, require_roles) = live.as_ref().map_err(edge::misconfigured)?;
        if *require_roles {
            roles::check(&event, self.route.roles)?;
        }
        let fields = Fields::parse(&edge::body(event, MAX_BODY_BYTES)?)?;
        handle(app, Request { fields, context }).await
    }
}
