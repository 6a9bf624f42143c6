//! The edge of a function that serves an SQS queue, and of one that runs on a schedule too.
//!
//! A message that is not returned is deleted from the queue. So every message in doubt is returned: one that could not
//! be served, and the whole batch when the function is not set up, runs out of time or panics.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::Context;
use serde::Deserialize;

use super::host::{Host, guarded, ready, run};
use crate::config::{ConfigError, Environment};
use crate::error::Error;
use crate::http::RequestContext;
use crate::queue::Message;
use crate::telemetry::{Figures, Outcome};

/// What becomes of the messages when the time ran out.
const GOES_BACK: &str = "All messages of the batch go back to the queue.";

/// The event of a function that serves a queue and also runs on a schedule.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum QueueOrClock {
    /// A batch of messages from the queue.
    Queue(SqsEvent),
    /// A scheduled event of an Amazon EventBridge rule.
    ///
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html>
    Clock {
        /// The sender of the event, which tells it from a batch.
        source: EventBridge,
    },
}

/// The source of the events that Amazon EventBridge makes itself.
#[derive(Debug, Deserialize)]
pub enum EventBridge {
    /// The source `aws.events`, as scheduled events have it.
    #[serde(rename = "aws.events")]
    Schedule,
}

/// The reason why a function that serves a queue and also runs on a schedule was invoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// Messages of the queue are there to be served.
    Queue(Vec<Message>),
    /// The schedule says that it is time.
    Clock,
}

/// The outcome of a batch: the messages to return to the queue, and the figures for the log.
#[derive(Debug)]
pub struct BatchAnswer<T> {
    tally: T,
    ended: BatchEnd,
}

#[derive(Debug)]
enum BatchEnd {
    /// The batch was served, except for the messages with these ids.
    Served(Vec<String>),
    Failed(Error),
}

impl<T> BatchAnswer<T> {
    /// The batch was served, except for the messages with these ids, which return to the queue.
    #[must_use]
    pub fn served(failed: Vec<String>, tally: T) -> Self {
        Self { tally, ended: BatchEnd::Served(failed) }
    }

    /// The whole batch returns to the queue, for this reason. The tally tells what was done all the same.
    #[must_use]
    pub fn failed(error: Error, tally: T) -> Self {
        Self { tally, ended: BatchEnd::Failed(error) }
    }

    /// The reason for which the whole batch returns to the queue, if it does.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match &self.ended {
            BatchEnd::Served(_) => None,
            BatchEnd::Failed(error) => Some(error),
        }
    }
}

/// A function that is ready to serve a queue.
#[derive(Debug)]
pub struct Consumer<A> {
    host: Host<A>,
}

impl<A> Consumer<A> {
    /// Reads the environment and builds the app. A wrong environment is no reason to crash: every batch then goes back
    /// to the queue, and the log says why.
    pub async fn start(
        function: &'static str,
        from_env: impl AsyncFn(&mut Environment) -> Option<A> + 'static,
    ) -> Self {
        Self { host: Host::start(function, from_env).await }
    }

    /// A consumer of an app that exists, or of the problems with its settings.
    #[must_use]
    pub fn of(function: &'static str, app: Result<A, ConfigError>) -> Self {
        Self { host: Host::of(function, app) }
    }

    /// Serves batches until Lambda ends the process.
    ///
    /// # Errors
    /// When the Lambda runtime cannot be reached.
    pub async fn serve<T: Figures>(
        &self,
        handle: impl AsyncFn(&A, &RequestContext, Vec<Message>) -> Result<BatchAnswer<T>, Error>,
    ) -> Result<(), lambda_runtime::Error> {
        run(|event: SqsEvent, lambda| self.answer(event, lambda, &handle)).await
    }

    /// As [`Self::serve`], for a function that also runs on a schedule.
    ///
    /// # Errors
    /// When the Lambda runtime cannot be reached.
    pub async fn serve_with_schedule<T: Figures>(
        &self,
        handle: impl AsyncFn(&A, &RequestContext, Trigger) -> Result<BatchAnswer<T>, Error>,
    ) -> Result<(), lambda_runtime::Error> {
        run(|event: QueueOrClock, lambda| self.answer_trigger(event, lambda, &handle)).await
    }

    /// Serves one batch, and answers Lambda with the messages that return to the queue.
    pub async fn answer<T: Figures>(
        &self,
        event: SqsEvent,
        lambda: Context,
        handle: impl AsyncFn(&A, &RequestContext, Vec<Message>) -> Result<BatchAnswer<T>, Error>,
    ) -> SqsBatchResponse {
        let context = self.host.context(lambda.request_id.clone(), lambda);
        let (messages, ids) = read(event);
        self.guard(&context, ids, async |app| handle(app, &context, messages).await).await
    }

    /// Serves one batch, or the schedule.
    pub async fn answer_trigger<T: Figures>(
        &self,
        event: QueueOrClock,
        lambda: Context,
        handle: impl AsyncFn(&A, &RequestContext, Trigger) -> Result<BatchAnswer<T>, Error>,
    ) -> SqsBatchResponse {
        let context = self.host.context(lambda.request_id.clone(), lambda);
        let (trigger, ids) = match event {
            QueueOrClock::Queue(batch) => {
                let (messages, ids) = read(batch);
                (Trigger::Queue(messages), ids)
            }
            QueueOrClock::Clock { source: EventBridge::Schedule } => (Trigger::Clock, Vec::new()),
        };
        context.record.label("trigger", if trigger == Trigger::Clock { "clock" } else { "queue" });
        self.guard(&context, ids, async |app| handle(app, &context, trigger).await).await
    }

    async fn guard<T: Figures>(
        &self,
        cx: &RequestContext,
        ids: Vec<String>,
        work: impl AsyncFnOnce(&A) -> Result<BatchAnswer<T>, Error>,
    ) -> SqsBatchResponse {
        let served = guarded(cx, GOES_BACK, async {
            let current = self.host.app.current(cx).await;
            let BatchAnswer { tally, ended } = work(ready(&current)?).await?;
            cx.record.figures(&tally);
            match ended {
                BatchEnd::Served(failed) => Ok(failed),
                BatchEnd::Failed(error) => Err(error),
            }
        });
        let (failed, error) = match served.await {
            Ok(failed) => (failed, None),
            Err(error) => (ids, Some(error)),
        };
        let outcome = Outcome {
            ok: error.is_none(),
            code: error.as_ref().map_or("served", |error| error.code.text()),
            // A batch that returns to the queue is an outage, whatever status its code has over HTTP.
            status: if error.is_some() { 500 } else { 200 },
            message: error.as_ref().map(|error| error.message.as_str()),
            cause: error.as_ref().and_then(|error| error.cause.as_deref()),
        };
        self.host.write(cx, outcome);
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = failed.into_iter().map(failure).collect();
        response
    }
}

/// The messages of a batch, and their ids.
fn read(event: SqsEvent) -> (Vec<Message>, Vec<String>) {
    let messages: Vec<_> = event.records.into_iter().map(message).collect();
    let ids = messages.iter().map(|message| message.id.clone()).collect();
    (messages, ids)
}

fn message(mut record: SqsMessage) -> Message {
    let receives = record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    Message {
        id: record.message_id.unwrap_or_default(),
        body: record.body.unwrap_or_default(),
        receives: receives.unwrap_or(1),
        group: record.attributes.remove("MessageGroupId").unwrap_or_default(),
        receipt: record.receipt_handle.unwrap_or_default(),
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
        let read = |event: serde_json::Value| serde_json::from_value::<QueueOrClock>(event);
        let batch = json!({"Records": [{"messageId": "m", "body": "{}", "eventSource": "aws:sqs"}]});
        assert!(matches!(read(batch).unwrap(), QueueOrClock::Queue(batch) if batch.records.len() == 1));
        let tick = json!({
            "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
            "source": "aws.events", "account": "123456789012", "time": "2026-11-21T08:00:00Z", "region": "eu-central-1",
            "resources": ["arn:aws:events:eu-central-1:123456789012:rule/bridge"], "detail": {},
        });
        assert!(matches!(read(tick).unwrap(), QueueOrClock::Clock { source: EventBridge::Schedule }));
        for other in [json!({}), json!({"source": "aws.s3"}), json!({"detail-type": "Scheduled Event"}), json!([])] {
            assert!(read(other.clone()).is_err(), "{other}");
        }
    }
}
