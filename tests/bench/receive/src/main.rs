//! Reads a request's body from standard input and receives it, again and again for as many times as the first argument
//! says, with the client state of the second, and a queue that takes everything. Whoever started it looks at its
//! processor time.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bridge::error::Error;
use bridge::http::{Deadline, RequestContext};
use bridge::notification::queue::Queue;
use bridge::notification::{ClientState, ClientStates, Entry, QueueError, Queues, Receiver, ReceiverSettings};
use bridge::secrets::Credential;
use jiff::Timestamp;

struct Known(Arc<ClientState>);

impl ClientStates for Known {
    async fn current(&self, _cx: &RequestContext) -> Result<Arc<ClientState>, Error> {
        Ok(self.0.clone())
    }

    async fn renewed(&self, _cx: &RequestContext, _held: &Arc<ClientState>) -> Result<Arc<ClientState>, Error> {
        Ok(self.0.clone())
    }
}

struct Taking;

impl Queues for Taking {
    async fn send(&self, _cx: &RequestContext, _to: Queue, _entries: Vec<Entry>) -> Result<(), QueueError> {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let times: usize = arguments.next().unwrap_or_default().parse()?;
    let secret = format!(r#"{{"client_state": "{}"}}"#, arguments.next().unwrap_or_default());
    let states = Known(Arc::new(ClientState::parse(&secret)?));
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    let receiver = Receiver { states: &states, queues: &Taking, settings: &ReceiverSettings { max_bytes: 262_144 } };
    let cx = RequestContext::new("bench", Deadline::after(Duration::from_secs(600)));
    for _ in 0..times {
        let tally = receiver.receive(&cx, &body, Timestamp::UNIX_EPOCH).await?;
        // The figure would say nothing if something had been dropped.
        if tally.queued == 0 || tally.queued != tally.notifications {
            return Err("not every notification was queued".into());
        }
    }
    Ok(())
}
