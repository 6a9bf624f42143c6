//! A request of notifications: read, checked and written out, with a queue that takes everything.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bridge::error::Error;
use bridge::http::{Deadline, RequestContext};
use bridge::notification::queued::queue::NotificationQueue;
use bridge::notification::{
    ClientState, ClientStates, Doorkeeper, QueueEntry, QueueError, Queues, Receiver, ReceiverSettings,
};
use bridge::secrets::Credential;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::runtime;

use crate::Failure;
use crate::turns::taken;

struct Known(Arc<ClientState>);

impl ClientStates for Known {
    async fn current(&self, _cx: &RequestContext) -> Result<Arc<ClientState>, Error> {
        Ok(self.0.clone())
    }

    async fn renewed(&self, _cx: &RequestContext, _held: &Arc<ClientState>) -> Result<Option<Arc<ClientState>>, Error> {
        Ok(Some(self.0.clone()))
    }
}

struct Taking;

impl Queues for Taking {
    async fn send(
        &self,
        _cx: &RequestContext,
        _to: NotificationQueue,
        entries: Vec<QueueEntry>,
    ) -> Result<(), QueueError> {
        black_box(entries);
        Ok(())
    }
}

/// The standard input of the step.
#[derive(Deserialize)]
struct Input {
    /// The bodies of two requests.
    bodies: [String; 2],
    /// The client state of the notifications.
    client_state: String,
}

/// Of both requests, each behind its floor: to read its JSON and to write it.
pub(crate) fn measure(input: &str) -> Result<[Duration; 4], Failure> {
    let Input { bodies: [first, second], client_state } = serde_json::from_str(input)?;
    let secret = format!(r#"{{"client_state": "{client_state}"}}"#);
    let states = Known(Arc::new(ClientState::parse(&secret)?));
    let doorkeeper = Doorkeeper { states: &states };
    let receiver = Receiver { queues: &Taking, settings: &ReceiverSettings { max_bytes: 1_000_000 } };
    let cx = RequestContext::new("bench", Deadline::after(Duration::from_secs(600)));
    let runtime = runtime::Builder::new_current_thread().build()?;

    let rewrite = |body: &str| {
        black_box(serde_json::from_str::<Value>(body)?.to_string());
        Ok(())
    };
    let receive = |body: &str| {
        let tally = runtime.block_on(async {
            let admitted = doorkeeper.admit(&cx, body.as_bytes(), Timestamp::UNIX_EPOCH).await?;
            receiver.receive(&cx, admitted).await
        })?;
        // The figure would say nothing if something had been dropped.
        if tally.queued == 0 || tally.queued != tally.notifications {
            return Err("not every notification was queued".into());
        }
        Ok(())
    };
    taken([&mut || rewrite(&first), &mut || receive(&first), &mut || rewrite(&second), &mut || receive(&second)])
}
