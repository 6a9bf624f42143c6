//! The Lambda edge behind an SQS queue: messages in, those that go back out.
//!
//! What is not given back is deleted from the queue, so whatever is in doubt is given back: a message that could not be
//! served, and the whole batch when the function is not set up, runs out of time or panics.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures_util::FutureExt;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config::Environment;
use crate::error::{Code, Error};
use crate::http::{Deadline, RequestContext};
use crate::live::Live;
use crate::startup::aws;
use crate::telemetry::Outcome;

/// What invokes a function that serves a queue and is also due at certain times.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum QueueOrClock {
    /// Messages.
    Queue(SqsEvent),
    /// It is time: a rule of Amazon EventBridge with a schedule.
    ///
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html>
    Clock {
        /// Always this.
        source: EventBridge,
    },
}

/// The source of the events that Amazon EventBridge makes itself.
#[derive(Debug, Deserialize)]
pub enum EventBridge {
    /// `aws.events`
    #[serde(rename = "aws.events")]
    Schedule,
}

impl From<QueueOrClock> for SqsEvent {
    /// When it is time, that is a batch without messages.
    fn from(event: QueueOrClock) -> Self {
        match event {
            QueueOrClock::Queue(batch) => batch,
            QueueOrClock::Clock { source: EventBridge::Schedule } => Self::default(),
        }
    }
}

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Under which it is given back.
    pub id: String,
    /// What it says.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// Its group in a FIFO queue; empty in any other.
    pub group: String,
}

/// A function that is ready to serve a queue.
#[derive(Debug)]
pub struct Consumer<A> {
    /// The deployed function's name, by which its metrics are told from those of another deployment.
    name: String,
    live: Live<A>,
    served_before: AtomicBool,
}

impl<A> Consumer<A> {
    /// Reads the environment and builds the app. A wrong environment is no reason to crash: every batch then goes back
    /// to the queue, and the log says why.
    pub async fn start(
        function: &'static str,
        from_env: impl AsyncFn(&mut Environment) -> Option<A> + 'static,
    ) -> Self {
        let live = Live::start(Environment::of_process(), aws, from_env).await;
        let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| function.into());
        Self { name, live, served_before: AtomicBool::new(false) }
    }

    /// A consumer around an app that exists.
    #[must_use]
    pub fn of(function: &'static str, app: A) -> Self {
        Self { name: function.into(), live: Live::of(app), served_before: AtomicBool::new(false) }
    }

    /// Serves batches until Lambda ends the process. `handle` gives the messages that go back to the queue.
    ///
    /// # Errors
    /// When the Lambda runtime cannot be reached.
    pub async fn serve(
        &self,
        handle: impl AsyncFn(&A, &RequestContext, Vec<Message>) -> Result<Vec<String>, Error>,
    ) -> Result<(), lambda_runtime::Error> {
        self.serve_events::<SqsEvent>(handle).await
    }

    /// As [`Self::serve`], for a function that is also due at certain times: `handle` then gets no messages.
    ///
    /// # Errors
    /// When the Lambda runtime cannot be reached.
    pub async fn serve_with_schedule(
        &self,
        handle: impl AsyncFn(&A, &RequestContext, Vec<Message>) -> Result<Vec<String>, Error>,
    ) -> Result<(), lambda_runtime::Error> {
        self.serve_events::<QueueOrClock>(handle).await
    }

    async fn serve_events<E: DeserializeOwned + Into<SqsEvent>>(
        &self,
        handle: impl AsyncFn(&A, &RequestContext, Vec<Message>) -> Result<Vec<String>, Error>,
    ) -> Result<(), lambda_runtime::Error> {
        let handle = &handle;
        lambda_runtime::run(service_fn(move |event: LambdaEvent<E>| async move {
            Ok::<_, lambda_runtime::Error>(self.answer(event.payload.into(), event.context, handle).await)
        }))
        .await
    }

    /// Serves one batch.
    pub async fn answer(
        &self,
        event: SqsEvent,
        lambda: Context,
        handle: impl AsyncFn(&A, &RequestContext, Vec<Message>) -> Result<Vec<String>, Error>,
    ) -> SqsBatchResponse {
        let context = RequestContext::new(lambda.request_id.clone(), Deadline::of_invocation(lambda.deadline));
        context.record.label("lambdaRequestId", lambda.request_id.as_str());
        context.record.label("xrayTraceId", lambda.xray_trace_id.unwrap_or_default());
        context.record.label("coldStart", !self.served_before.swap(true, Ordering::Relaxed));
        let messages: Vec<_> = event.records.into_iter().map(message).collect();
        let ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();

        let served = async {
            let app = self.live.current(&context).await;
            let app = app.as_ref().map_err(|error| {
                Error::new(
                    Code::MISCONFIGURED,
                    format!("The bridge is not set up: {error}. Correct the stack's parameters."),
                )
            })?;
            handle(app, &context, messages).await
        };
        let served = AssertUnwindSafe(served).catch_unwind();
        let served = match tokio::time::timeout(context.deadline.for_the_answer(), served).await {
            Ok(Ok(served)) => served,
            Ok(Err(_panic)) => Err(Error::new(Code::INTERNAL, "The bridge has a bug.").because("panic")),
            Err(_elapsed) => Err(Error::new(Code::OUT_OF_TIME, "The function's time ran out.")),
        };
        let (failed, error) = match served {
            Ok(failed) => (failed, None),
            Err(error) => (ids, Some(error)),
        };
        context.record.write(
            &self.name,
            Outcome {
                ok: error.is_none(),
                code: error.as_ref().map_or("served", |error| error.code.text()),
                // A batch that goes back is an outage, whatever its code would be over HTTP.
                status: if error.is_some() { 500 } else { 200 },
                message: error.as_ref().map(|error| error.message.as_str()),
                cause: error.as_ref().and_then(|error| error.cause.as_deref()),
            },
        );
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = failed.into_iter().map(failure).collect();
        response
    }
}

fn message(mut record: aws_lambda_events::sqs::SqsMessage) -> Message {
    let receives = record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    Message {
        id: record.message_id.unwrap_or_default(),
        body: record.body.unwrap_or_default(),
        receives: receives.unwrap_or(1),
        group: record.attributes.remove("MessageGroupId").unwrap_or_default(),
    }
}

fn failure(id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = id;
    failure
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_and_the_clock_are_told_apart_and_anything_else_is_refused() {
        let read = |event: serde_json::Value| serde_json::from_value::<QueueOrClock>(event).map(SqsEvent::from);
        let batch = json!({"Records": [{"messageId": "m", "body": "{}", "eventSource": "aws:sqs"}]});
        assert_eq!(read(batch).unwrap().records.len(), 1);
        let tick = json!({
            "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
            "source": "aws.events", "account": "123456789012", "time": "2026-11-21T08:00:00Z", "region": "eu-central-1",
            "resources": ["arn:aws:events:eu-central-1:123456789012:rule/bridge"], "detail": {},
        });
        assert_eq!(read(tick).unwrap().records.len(), 0);
        for other in [json!({}), json!({"source": "aws.s3"}), json!({"detail-type": "Scheduled Event"}), json!([])] {
            assert!(read(other.clone()).is_err(), "{other}");
        }
    }
}
