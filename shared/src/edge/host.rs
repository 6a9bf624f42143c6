//! The part of an invocation that is the same for routes, webhooks, queues and the clock.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{ConfigError, Environment};
use crate::error::{Code, Error};
use crate::http::{Deadline, RequestContext};
use crate::live::Live;
use crate::startup::aws;
use crate::telemetry::Outcome;

/// A process that serves invocations with one app.
#[derive(Debug)]
pub(super) struct Host<A> {
    /// The name of the deployed function, which tells its metrics from those of another deployment.
    name: String,
    pub(super) app: Live<A>,
    served_before: AtomicBool,
}

impl<A> Host<A> {
    /// Reads the environment and builds the app. A wrong environment is no reason to crash: every invocation then says
    /// what is wrong.
    pub(super) async fn start(
        function: &'static str,
        from_env: impl AsyncFn(&mut Environment) -> Option<A> + 'static,
    ) -> Self {
        let app = Live::start(Environment::of_process(), aws, from_env).await;
        let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| function.into());
        Self { name, app, served_before: AtomicBool::new(false) }
    }

    /// A host of an app that exists, or of the problems with its settings.
    pub(super) fn of(function: &'static str, app: Result<A, ConfigError>) -> Self {
        Self { name: function.into(), app: Live::of(app), served_before: AtomicBool::new(false) }
    }

    /// The context of an invocation, before anything of its event is read.
    pub(super) fn context(&self, request_id: String, lambda: Context) -> RequestContext {
        let context = RequestContext::new(request_id, Deadline::of_invocation(lambda.deadline));
        context.record.label("lambdaRequestId", lambda.request_id);
        context.record.label("xrayTraceId", lambda.xray_trace_id.unwrap_or_default());
        context.record.label("coldStart", !self.served_before.swap(true, Ordering::Relaxed));
        context
    }

    /// Writes the invocation's log line.
    pub(super) fn write(&self, cx: &RequestContext, outcome: Outcome<'_>) {
        cx.record.write(&self.name, outcome);
    }
}

/// Serves events until Lambda ends the process.
///
/// # Errors
/// When the Lambda runtime cannot be reached.
pub(super) async fn run<E: DeserializeOwned, R: Serialize, F: Future<Output = R>>(
    answer: impl Fn(E, Context) -> F,
) -> Result<(), lambda_runtime::Error> {
    let answer = &answer;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<E>| async move {
        Ok::<_, lambda_runtime::Error>(answer(event.payload, event.context).await)
    }))
    .await
}

/// Runs work with an end: before the time runs out, and without a panic. `then` tells what becomes of work that ran out
/// of time.
pub(super) async fn guarded<T>(
    cx: &RequestContext,
    then: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    // Pinned here: it is some kilobytes large, and each layer around it would move it once more.
    let work = pin!(work);
    let work = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout(cx.deadline.for_the_answer(), work).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => {
            let message = format!("The bridge has a bug. Report it with request id {}.", cx.request_id);
            Err(Error::new(Code::INTERNAL, message).because("panic"))
        }
        Err(_elapsed) => Err(Error::new(Code::OUT_OF_TIME, format!("The bridge's time ran out. {then}"))),
    }
}

/// The app, once its settings are known.
///
/// # Errors
/// `misconfigured`, when they are incomplete or wrong.
pub(super) fn ready<A>(app: &Result<A, ConfigError>) -> Result<&A, Error> {
    app.as_ref().map_err(|error| {
        Error::new(Code::MISCONFIGURED, format!("The bridge is not set up: {error}. Correct the stack's parameters."))
    })
}
