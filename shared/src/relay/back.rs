//! The queue that messages come from: a message that could not be delivered waits there, or is set aside.
//!
//! A message that waits is hidden for a while, and its group with it: while one message of a group is hidden, a FIFO
//! queue hands out no other of the group, and afterwards the oldest first. A message that can never be delivered is
//! sent to the dead-letter queue with the reason, and acknowledged.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue};
use tokio::time::Instant;

use crate::aws;
use crate::http::RequestContext;
use crate::queue::Message;
use crate::startup::Startup;
use crate::telemetry::{CallRecord, Upstream};

/// The message attribute with the reason for which a message is in the dead-letter queue.
pub(crate) const REASON: &str = "reason";

/// The queue refused a request, or did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Amazon SQS did not do it ({0}); the function's role needs sqs:ChangeMessageVisibility on the queue and \
     sqs:SendMessage on its dead-letter queue"
)]
pub struct BackError(String);

/// A queue that messages return to, with its dead-letter queue.
pub trait Back: Send + Sync {
    /// Hides messages of one group for this long. There are at most ten, as in a batch of a FIFO queue.
    ///
    /// # Errors
    /// [`BackError`]; the messages then come again after the queue's own visibility timeout.
    fn hide(
        &self,
        cx: &RequestContext,
        messages: &[Message],
        pause: Duration,
    ) -> impl Future<Output = Result<(), BackError>> + Send;

    /// Sends a message to the dead-letter queue, with the reason as its message attribute [`REASON`].
    ///
    /// # Errors
    /// [`BackError`]; the message must then return to the queue.
    fn set_aside(
        &self,
        cx: &RequestContext,
        message: &Message,
        code: &'static str,
    ) -> impl Future<Output = Result<(), BackError>> + Send;
}

/// A queue in Amazon SQS, with its dead-letter queue.
#[derive(Debug, Clone)]
pub struct SqsBack {
    client: aws_sdk_sqs::Client,
    queue_url: String,
    dead_letters_url: String,
}

impl SqsBack {
    /// The queue that messages come from, and its dead-letter queue.
    #[must_use]
    pub fn new(aws: &SdkConfig, queue_url: String, dead_letters_url: String) -> Self {
        Self { client: aws_sdk_sqs::Client::new(aws), queue_url, dead_letters_url }
    }

    /// The queues that these two variables name.
    pub fn from_startup(startup: &mut Startup<'_>, queue: &str, dead_letters: &str) -> Option<Self> {
        let queue = startup.env.required::<String>(queue);
        let dead_letters = startup.env.required::<String>(dead_letters);
        Some(Self::new(startup.aws(), queue?, dead_letters?))
    }
}

/// Makes a call to SQS, and records it.
async fn timed<T, E>(
    cx: &RequestContext,
    operation: &'static str,
    send: impl Future<Output = Result<T, aws_sdk_sqs::error::SdkError<E, aws_sdk_sqs::config::http::HttpResponse>>>,
) -> Result<T, BackError>
where
    E: aws_sdk_sqs::error::ProvideErrorMetadata + std::error::Error + 'static,
{
    let started = Instant::now();
    let result = tokio::time::timeout(cx.deadline.for_the_answer(), Box::pin(send)).await;
    let status = match &result {
        Ok(Ok(_)) => 200,
        Ok(Err(error)) => error.raw_response().map_or(0, |raw| raw.status().as_u16()),
        Err(_) => 0,
    };
    let remote_id = String::new();
    cx.record.call(CallRecord { upstream: Upstream::Queue, operation, status, took: started.elapsed(), remote_id });
    match result {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(BackError(aws::describe(&error))),
        Err(_) => Err(BackError("no answer in time".into())),
    }
}

impl Back for SqsBack {
    async fn hide(&self, cx: &RequestContext, messages: &[Message], pause: Duration) -> Result<(), BackError> {
        let seconds = i32::try_from(pause.as_secs()).unwrap_or(i32::MAX);
        let entries = messages.iter().enumerate().map(|(place, message)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(&message.receipt)
                .visibility_timeout(seconds)
                .build()
        });
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| BackError(error.to_string()))?;
        let request =
            self.client.change_message_visibility_batch().queue_url(&self.queue_url).set_entries(Some(entries));
        let output = timed(cx, "change message visibility", request.send()).await?;
        match output.failed().first() {
            None => Ok(()),
            Some(failed) => Err(BackError(failed.code().to_owned())),
        }
    }

    async fn set_aside(&self, cx: &RequestContext, message: &Message, code: &'static str) -> Result<(), BackError> {
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(code).build();
        let attribute = attribute.map_err(|error| BackError(error.to_string()))?;
        let request = self
            .client
            .send_message()
            .queue_url(&self.dead_letters_url)
            .message_group_id(&message.group)
            // As SQS itself does when it moves a message. A message that is sent twice is there once.
            .message_deduplication_id(&message.id)
            .message_attributes(REASON, attribute)
            .message_body(&message.body);
        timed(cx, "send to dead-letter queue", request.send()).await.map(drop)
    }
}

/// A queue in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryBack(Mutex<MemoryBackState>);

#[derive(Debug, Default)]
struct MemoryBackState {
    /// The ids of hidden messages, with the time for which they are hidden.
    hidden: Vec<(String, Duration)>,
    /// The ids of the messages that were set aside, with the reasons.
    aside: Vec<(String, &'static str)>,
    refuses: bool,
}

impl MemoryBack {
    fn kept(&self) -> MutexGuard<'_, MemoryBackState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the ids that were hidden since the last call, each with its time.
    #[must_use]
    pub fn take_hidden(&self) -> Vec<(String, Duration)> {
        std::mem::take(&mut self.kept().hidden)
    }

    /// The ids that were set aside so far, each with its reason.
    #[must_use]
    pub fn set_aside(&self) -> Vec<(String, &'static str)> {
        self.kept().aside.clone()
    }

    /// Refuses from now on to set messages aside.
    pub fn refuse(&self) {
        self.kept().refuses = true;
    }
}

impl Back for MemoryBack {
    async fn hide(&self, _cx: &RequestContext, messages: &[Message], pause: Duration) -> Result<(), BackError> {
        self.kept().hidden.extend(messages.iter().map(|message| (message.id.clone(), pause)));
        Ok(())
    }

    async fn set_aside(&self, _cx: &RequestContext, message: &Message, code: &'static str) -> Result<(), BackError> {
        let mut kept = self.kept();
        if kept.refuses {
            return Err(BackError("test".into()));
        }
        kept.aside.push((message.id.clone(), code));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_sqs::config::Credentials;
    use serde_json::{Value, json};
    use wiremock::matchers::{header, method};
    use wiremock::{Mock, ResponseTemplate};

    use super::*;
    use crate::remote::{Remote, context};

    /// What SQS is asked when it answers like this, and what came of it.
    async fn asked(target: &str, answer: Value, set_aside: bool) -> (Result<(), BackError>, Value) {
        let remote = Remote::start().await;
        let call = Mock::given(method("POST")).and(header("x-amz-target", format!("AmazonSQS.{target}").as_str()));
        remote.expect(call, 1, ResponseTemplate::new(200).set_body_json(answer)).await;
        let aws = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(remote.uri())
            .load()
            .await;
        let back = SqsBack::new(&aws, "https://sqs/changes.fifo".into(), "https://sqs/dead.fifo".into());
        let message = |id: &str| Message {
            id: id.into(),
            body: "{}".into(),
            receives: 1,
            group: "chat/a".into(),
            receipt: format!("receipt-{id}"),
        };
        let cx = context(10);
        let done = match set_aside {
            true => back.set_aside(&cx, &message("a"), "genesysRejected").await,
            false => back.hide(&cx, &[message("a"), message("b")], Duration::from_secs(60)).await,
        };
        (done, serde_json::from_str(&remote.bodies("/").await[0]).unwrap())
    }

    #[tokio::test]
    async fn a_group_is_hidden_with_one_call_and_a_poison_keeps_its_group_and_gets_its_reason() {
        let answer = json!({"Successful": [{"Id": "0"}, {"Id": "1"}], "Failed": []});
        let (done, request) = asked("ChangeMessageVisibilityBatch", answer, false).await;
        assert_eq!(done, Ok(()));
        insta::assert_json_snapshot!("hidden", request);
        let failed = json!([{"Id": "1", "Code": "ReceiptHandleIsInvalid", "SenderFault": true}]);
        let answer = json!({"Successful": [{"Id": "0"}], "Failed": failed});
        assert!(asked("ChangeMessageVisibilityBatch", answer, false).await.0.is_err());
        let (done, request) = asked("SendMessage", json!({"MessageId": "m"}), true).await;
        assert_eq!(done, Ok(()));
        insta::assert_json_snapshot!("set_aside", request);
    }
}
