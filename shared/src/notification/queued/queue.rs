//! The queues for notifications: Amazon SQS, first in first out.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::send_message_batch::{SendMessageBatchError, SendMessageBatchOutput};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use tokio::time::Instant;

use crate::aws;
use crate::http::RequestContext;
use crate::startup::Startup;
use crate::telemetry::{CallRecord, Upstream};

/// The most messages that `SendMessageBatch` takes.
pub const MAX_ENTRIES: usize = 10;

/// How long SQS may take for one attempt, and for all of them. Graph waits for three seconds.
const SEND_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1000);
const ALL_ATTEMPTS: Duration = Duration::from_millis(2500);

/// A message to be sent to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    /// The message group, which the queue keeps in order.
    pub group: String,
    /// The deduplication id: the queue takes it only once within five minutes.
    pub deduplication_id: String,
    /// The body: a [`Queued`](super::Queued) as JSON.
    pub body: String,
}

/// The entries in batches of at most [`MAX_ENTRIES`], to be sent one after the other, each only when all of the one
/// before was taken. None has two entries of a group: of a batch SQS may refuse the first and take the second, which
/// would then be before it for good.
pub(crate) fn batches(entries: Vec<QueueEntry>) -> Vec<Vec<QueueEntry>> {
    let mut batches: Vec<Vec<QueueEntry>> = Vec::new();
    let mut earliest: HashMap<String, usize> = HashMap::new();
    // All before this one are full.
    let mut open = 0;
    for entry in entries {
        let after_its_group = earliest.get(&entry.group).copied().unwrap_or_default();
        let place = (open.max(after_its_group)..batches.len()).find(|place| batches[*place].len() < MAX_ENTRIES);
        let place = place.unwrap_or_else(|| {
            batches.push(Vec::new());
            batches.len() - 1
        });
        earliest.insert(entry.group.clone(), place + 1);
        batches[place].push(entry);
        while batches.get(open).is_some_and(|batch| batch.len() == MAX_ENTRIES) {
            open += 1;
        }
    }
    batches
}

/// The two queues that notifications are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationQueue {
    /// The queue of changes, which the relay serves.
    Changes,
    /// The queue of lifecycle notifications, which the keeper of subscriptions serves.
    Lifecycle,
}

/// Why a queue did not take all of a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The function's role may not send to the queue.
    #[error("the function may not send to the queue `{url}`; allow sqs:SendMessage on it in the function's policy")]
    Denied {
        /// The URL of the queue.
        url: String,
    },
    /// The queue does not exist.
    #[error("there is no queue `{url}`; correct the function's settings")]
    Missing {
        /// The URL of the queue.
        url: String,
    },
    /// The queue took only a part of the batch.
    #[error("the queue did not take {count} of {of} messages")]
    Partly {
        /// The number of messages that it did not take.
        count: usize,
        /// The number of messages in the batch.
        of: usize,
        /// The queue's reason for refusing the first of them.
        cause: String,
    },
    /// The queue did not answer in time, or with an error of its own.
    #[error("Amazon SQS could not be reached, or refused")]
    Unavailable {
        /// The SDK's description of the error.
        cause: String,
    },
}

impl QueueError {
    /// The cause for the log, beside the error's text.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Partly { cause, .. } | Self::Unavailable { cause } => Some(cause),
            Self::Denied { .. } | Self::Missing { .. } => None,
        }
    }
}

/// The queues that notifications are sent to.
pub trait Queues {
    /// Sends at most [`MAX_ENTRIES`] messages, in order, that are together no larger than one message may be.
    ///
    /// # Errors
    /// When it is not certain that all of them were taken.
    fn send(
        &self,
        cx: &RequestContext,
        to: NotificationQueue,
        entries: Vec<QueueEntry>,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// The queues in Amazon SQS.
#[derive(Debug, Clone)]
pub struct SqsQueues {
    client: aws_sdk_sqs::Client,
    changes_url: String,
    lifecycle_url: String,
}

impl SqsQueues {
    /// The queues at these URLs; they may be the same.
    #[must_use]
    pub fn new(aws: &SdkConfig, changes_url: String, lifecycle_url: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(SEND_ATTEMPT_TIMEOUT)
            .operation_timeout(ALL_ATTEMPTS)
            .build();
        let config = aws_sdk_sqs::config::Builder::from(aws).timeout_config(timeouts).build();
        Self { client: aws_sdk_sqs::Client::from_conf(config), changes_url, lifecycle_url }
    }

    /// The queues of the webhook: `NOTIFICATION_QUEUE_URL`, and `LIFECYCLE_QUEUE_URL`, without which lifecycle
    /// notifications go to the same queue.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let changes = startup.env.required::<String>("NOTIFICATION_QUEUE_URL");
        let lifecycle = startup.env.optional::<String>("LIFECYCLE_QUEUE_URL").unless_wrong();
        let (changes, lifecycle) = (changes?, lifecycle?);
        let lifecycle = lifecycle.unwrap_or_else(|| changes.clone());
        Some(Self::new(startup.aws(), changes, lifecycle))
    }

    /// The queue of changes alone: `NOTIFICATION_QUEUE_URL`.
    pub fn of_changes(startup: &mut Startup<'_>) -> Option<Self> {
        let url = startup.env.required::<String>("NOTIFICATION_QUEUE_URL")?;
        Some(Self::new(startup.aws(), url.clone(), url))
    }
}

impl Queues for SqsQueues {
    async fn send(
        &self,
        cx: &RequestContext,
        to: NotificationQueue,
        entries: Vec<QueueEntry>,
    ) -> Result<(), QueueError> {
        let url = match to {
            NotificationQueue::Changes => &self.changes_url,
            NotificationQueue::Lifecycle => &self.lifecycle_url,
        };
        let count = entries.len();
        let entries = entries.into_iter().enumerate().map(|(index, entry)| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_group_id(entry.group)
                .message_deduplication_id(entry.deduplication_id)
                .message_body(entry.body)
                .build()
        });
        let entries = entries.collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| QueueError::Unavailable { cause: error.to_string() })?;
        let started = Instant::now();
        let request = self.client.send_message_batch().queue_url(url).set_entries(Some(entries));
        // Boxed, as every call of the SDK: its future is some kilobytes large and a hundred types deep.
        let sent = tokio::time::timeout(cx.deadline.for_a_call(), Box::pin(request.send())).await;
        let (status, result) = match sent {
            Ok(Ok(output)) => (200, taken(&output, count)),
            Ok(Err(error)) => (error.raw_response().map_or(0, |raw| raw.status().as_u16()), Err(refused(&error, url))),
            Err(_) => (0, Err(QueueError::Unavailable { cause: "no answer in time".into() })),
        };
        cx.record.call(CallRecord {
            upstream: Upstream::Queue,
            operation: "send message batch",
            status,
            took: started.elapsed(),
            remote_id: String::new(),
        });
        result
    }
}

/// Even an answer of 200 tells of each message whether the queue took it.
fn taken(output: &SendMessageBatchOutput, sent: usize) -> Result<(), QueueError> {
    let taken = output.successful().len();
    if taken == sent {
        return Ok(());
    }
    let cause = output.failed().first().map(|failed| {
        let message = failed.message().unwrap_or_default();
        format!("{} {message}", failed.code())
    });
    Err(QueueError::Partly { count: sent.saturating_sub(taken), of: sent, cause: cause.unwrap_or_default() })
}

fn refused(error: &SdkError<SendMessageBatchError, HttpResponse>, url: &str) -> QueueError {
    // The same refusal has a new name in the body and an old one in a header, and the SDK prefers the old one.
    match error.as_service_error().and_then(|refusal| refusal.code()).unwrap_or_default() {
        code if code.contains("QueueDoesNotExist") || code.contains("NonExistentQueue") => {
            QueueError::Missing { url: url.to_owned() }
        }
        code if code.contains("AccessDenied") => QueueError::Denied { url: url.to_owned() },
        _ => QueueError::Unavailable { cause: aws::describe(error) },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_sqs::config::Credentials;
    use aws_sdk_sqs::config::retry::RetryConfig;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use wiremock::matchers::{header, method};
    use wiremock::{Mock, ResponseTemplate};

    use super::*;
    use crate::remote::{Remote, context};

    async fn queues(remote: &Remote) -> SqsQueues {
        let aws = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(remote.uri())
            .retry_config(RetryConfig::disabled())
            .load()
            .await;
        SqsQueues::new(&aws, "https://sqs/changes.fifo".into(), "https://sqs/lifecycle.fifo".into())
    }

    fn entry(name: &str) -> QueueEntry {
        QueueEntry {
            group: format!("chat/{name}"),
            deduplication_id: format!("id-{name}"),
            body: format!("{{\"{name}\":1}}"),
        }
    }

    proptest! {
        #[test]
        fn batches_keep_each_group_in_order_and_never_hold_two_of_it(groups in vec(0_u8..5, 0..60)) {
            let sent: Vec<QueueEntry> = groups.iter().enumerate().map(|(place, group)| QueueEntry {
                group: group.to_string(), deduplication_id: place.to_string(), body: String::new(),
            }).collect();
            let batches = batches(sent.clone());
            for batch in &batches {
                let groups: HashSet<_> = batch.iter().map(|entry| &entry.group).collect();
                prop_assert!((1..=MAX_ENTRIES).contains(&batch.len()) && groups.len() == batch.len());
            }
            let of = |entries: &[QueueEntry], group: u8| -> Vec<String> {
                let own = entries.iter().filter(|entry| entry.group == group.to_string());
                own.map(|entry| entry.deduplication_id.clone()).collect()
            };
            let left = batches.concat();
            prop_assert_eq!(left.len(), sent.len());
            for group in 0..5 {
                prop_assert_eq!(of(&left, group), of(&sent, group));
            }
            // No more calls than the busiest group needs, where the others fit beside it.
            let busiest = (0..5).map(|group| of(&sent, group).len()).max().unwrap_or_default();
            prop_assert_eq!(batches.len(), busiest);
        }
    }

    /// What becomes of two messages when SQS answers like this.
    async fn answered(to: NotificationQueue, status: u16, body: Value) -> (Result<(), QueueError>, Value) {
        let remote = Remote::start().await;
        let send = Mock::given(method("POST")).and(header("x-amz-target", "AmazonSQS.SendMessageBatch"));
        remote.expect(send, 1, ResponseTemplate::new(status).set_body_json(body)).await;
        let sent = queues(&remote).await.send(&context(10), to, vec![entry("a"), entry("b")]).await;
        (sent, serde_json::from_str(&remote.bodies("/").await[0]).unwrap())
    }

    fn successful(ids: &[&str]) -> Value {
        ids.iter().map(|id| json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": ""})).collect()
    }

    #[tokio::test]
    async fn messages_leave_in_order_with_group_and_deduplication_id() {
        let answer = json!({"Successful": successful(&["0", "1"]), "Failed": []});
        let (sent, request) = answered(NotificationQueue::Changes, 200, answer.clone()).await;
        assert_eq!(sent, Ok(()));
        insta::assert_json_snapshot!(request);
        let (_, request) = answered(NotificationQueue::Lifecycle, 200, answer).await;
        assert_eq!(request["QueueUrl"], "https://sqs/lifecycle.fifo");
    }

    #[tokio::test]
    async fn what_was_not_taken_is_told_from_what_was() {
        let failed = json!([{"Id": "1", "Code": "InternalError", "SenderFault": false, "Message": "again"}]);
        let (sent, _) =
            answered(NotificationQueue::Changes, 200, json!({"Successful": successful(&["0"]), "Failed": failed}))
                .await;
        assert_eq!(sent, Err(QueueError::Partly { count: 1, of: 2, cause: "InternalError again".into() }));
        let (sent, _) = answered(NotificationQueue::Changes, 200, json!({"Successful": successful(&["0"])})).await;
        assert_eq!(sent, Err(QueueError::Partly { count: 1, of: 2, cause: String::new() }), "silence is no success");

        let url = "https://sqs/changes.fifo".to_owned();
        let refusal = |code: &str| json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "no"});
        let (denied, _) = answered(NotificationQueue::Changes, 403, refusal("AccessDeniedException")).await;
        assert_eq!(denied, Err(QueueError::Denied { url: url.clone() }));
        let (missing, _) = answered(NotificationQueue::Changes, 400, refusal("QueueDoesNotExist")).await;
        assert_eq!(missing, Err(QueueError::Missing { url }));
        let (down, _) = answered(NotificationQueue::Changes, 503, json!({})).await;
        assert!(matches!(down, Err(QueueError::Unavailable { .. })), "{down:?}");
    }
}
