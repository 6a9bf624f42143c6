//! An SQS standard queue with its dead-letter queue, in virtual time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bridge::queue::Message;
use tokio::time::Instant;

/// The settings of queue and event source mapping in the template.
pub(crate) const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(370);
pub(crate) const MAX_RECEIVES: u32 = 5;
pub(crate) const BATCH: usize = 1000;
pub(crate) const WINDOW: Duration = Duration::from_secs(3);

/// The queue. Messages come out in the order in which they become visible.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: BTreeMap<(Instant, u64), Message>,
    taken: HashMap<String, Message>,
    next: u64,
    /// The number of messages that were given up.
    pub dead: usize,
}

impl Queue {
    /// Puts a message in, to be seen from this time on.
    pub(crate) fn put(&mut self, message: Message, from: Instant) {
        self.next += 1;
        self.waiting.insert((from, self.next), message);
    }

    /// Takes the messages that are visible, a batch at most.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<Message> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            match self.waiting.first_key_value() {
                Some((&(from, number), _)) if from <= now => {
                    if let Some(message) = self.waiting.remove(&(from, number)) {
                        self.taken.insert(message.id.clone(), message.clone());
                        batch.push(message);
                    }
                }
                _ => break,
            }
        }
        batch
    }

    /// Whether a whole batch is visible.
    pub(crate) fn has_full_batch(&self, now: Instant) -> bool {
        self.waiting.keys().take_while(|(from, _)| *from <= now).nth(BATCH - 1).is_some()
    }

    /// Deletes a batch, except for the failed messages, which are visible again after the visibility timeout.
    pub(crate) fn done(&mut self, batch: &[String], failed: &[String], taken_at: Instant) {
        for id in batch {
            let Some(mut message) = self.taken.remove(id) else { continue };
            if failed.contains(id) {
                message.receives += 1;
                if message.receives > MAX_RECEIVES {
                    self.dead += 1;
                } else {
                    self.put(message, taken_at + VISIBILITY_TIMEOUT);
                }
            }
        }
    }

    /// Messages that are not served: waiting or at work.
    pub(crate) fn backlog(&self, now: Instant) -> usize {
        self.waiting.keys().take_while(|(from, _)| *from <= now).count() + self.taken.len()
    }

    /// Whether no message is left, now or later.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.taken.is_empty()
    }
}
