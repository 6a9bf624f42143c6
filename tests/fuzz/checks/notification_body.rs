//! What must hold of every body that is posted at the door: for the fuzzer, and for the test over its corpus.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bridge::error::{Code, Error};
use bridge::http::{Deadline, RequestContext};
use bridge::notification::queued::queue::{MAX_ENTRIES, NotificationQueue};
use bridge::notification::{
    ClientState, ClientStates, DoorTally, Doorkeeper, QueueEntry, QueueError, Queued, Queues, Receiver,
    ReceiverSettings,
};
use bridge::secrets::Credential;

/// A queue small enough for contents to be too large for it.
const MAX_BYTES: usize = 2048;

/// `s3cret`, which the corpus knows.
struct States(Arc<ClientState>);

impl ClientStates for States {
    async fn current(&self, _cx: &RequestContext) -> Result<Arc<ClientState>, Error> {
        Ok(self.0.clone())
    }

    async fn renewed(&self, _cx: &RequestContext, held: &Arc<ClientState>) -> Result<Option<Arc<ClientState>>, Error> {
        Ok(Some(held.clone()))
    }
}

#[derive(Default)]
struct Taken(Mutex<Vec<QueueEntry>>);

impl Queues for Taken {
    async fn send(
        &self,
        _cx: &RequestContext,
        _to: NotificationQueue,
        entries: Vec<QueueEntry>,
    ) -> Result<(), QueueError> {
        let bytes: usize = entries.iter().map(|entry| entry.body.len()).sum();
        assert!((1..=MAX_ENTRIES).contains(&entries.len()) && bytes <= MAX_BYTES);
        self.0.lock().unwrap().extend(entries);
        Ok(())
    }
}

/// Receives a body. What goes on a queue is what Amazon SQS takes and the worker understands; everything is accounted for;
/// and a body is refused only for what it is.
pub(crate) fn check(body: &[u8]) -> Option<DoorTally> {
    let states = States(Arc::new(ClientState::parse(r#"{"client_state": "s3cret"}"#).unwrap()));
    let (queues, settings) = (Taken::default(), ReceiverSettings { max_bytes: MAX_BYTES });
    let cx = RequestContext::new("fuzz", Deadline::after(Duration::from_secs(10)));
    let received = async {
        let admitted = Doorkeeper { states: &states }.admit(&cx, body, jiff::Timestamp::UNIX_EPOCH).await?;
        Receiver { queues: &queues, settings: &settings }.receive(&cx, admitted).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tally = match runtime.block_on(received) {
        Ok(tally) => tally,
        Err(error) => {
            assert!(matches!(error.code, Code::MALFORMED_JSON | Code::BODY_TOO_LARGE), "{error}");
            return None;
        }
    };
    let taken = queues.0.into_inner().unwrap();
    assert_eq!((tally.notifications, tally.queued), (tally.queued + tally.foreign + tally.malformed, taken.len()));
    for entry in taken {
        for name in [&entry.group, &entry.deduplication_id] {
            assert!((1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        }
        let is_taken = |c: char| matches!(c, ' '..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
        assert!(entry.body.chars().all(is_taken), "{}", entry.body);
        let queued: Queued = serde_json::from_str(&entry.body).unwrap();
        if let Queued::Change(change) = queued {
            assert!(!change.subscription_id.is_empty() && !change.resource.is_empty());
            assert!(change.encrypted_content.is_some() || change.validation_tokens.is_empty());
        }
    }
    Some(tally)
}
