//! The message by which one invocation leaves the rest of the backlog to the next.

use std::time::Duration;

use aws_config::SdkConfig;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::event::SCHEDULED;
use crate::aws;
use crate::http::RequestContext;
use crate::telemetry::{CallRecord, Upstream};

/// How long Amazon SQS may take to answer. Without this message, the schedule reminds within a minute.
const REMINDER_PATIENCE: Duration = Duration::from_secs(2);

/// Sends the function a message on its own queue, so that the next invocation goes on with the backlog.
#[derive(Debug, Clone)]
pub struct Reminder {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Reminder {
    /// A reminder that goes to the queue at this URL.
    #[must_use]
    pub fn new(aws: &SdkConfig, url: String) -> Self {
        Self { client: aws_sdk_sqs::Client::new(aws), url }
    }

    /// The body of the message, in the form of a schedule's event.
    #[must_use]
    pub fn body() -> String {
        json!({"detail-type": SCHEDULED, "source": "teams-bridge", "detail": {}}).to_string()
    }

    /// Sends the message. A failure is logged only: the schedule reminds too.
    pub async fn send(&self, cx: &RequestContext) {
        let started = Instant::now();
        let request = self.client.send_message().queue_url(&self.url).message_body(Self::body());
        let (status, problem) = match timeout(REMINDER_PATIENCE, Box::pin(request.send())).await {
            Ok(Ok(_)) => (200, None),
            Ok(Err(error)) => {
                (error.raw_response().map_or(0, |raw| raw.status().as_u16()), Some(aws::describe(&error)))
            }
            Err(_) => (0, Some("no answer in time".into())),
        };
        if let Some(problem) = problem {
            tracing::warn!(
                problem,
                "the next invocation could not be reminded of the backlog: the schedule does it within a minute"
            );
        }
        cx.record.call(CallRecord {
            upstream: Upstream::Queue,
            operation: "send reminder",
            status,
            took: started.elapsed(),
            remote_id: String::new(),
        });
    }
}
