//! A FIFO queue as Amazon SQS has them: while something of a group is hidden, nothing of the group is handed out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::scene::{Scene, line, locked};
use crate::error::Code;
use crate::queue::Message;

/// The queue's own visibility timeout, for messages that were not hidden.
const VISIBILITY: Duration = Duration::from_secs(180);

/// A group: its waiting messages, oldest first, and until when they are hidden.
#[derive(Default)]
struct Group {
    waiting: VecDeque<Message>,
    hidden_until: Option<Instant>,
}

/// A FIFO queue in memory.
#[derive(Default)]
pub(super) struct FifoQueue {
    groups: BTreeMap<String, Group>,
    /// The most times that a message was received.
    pub(super) most_receives: u32,
}

impl FifoQueue {
    pub(super) fn send(&mut self, message: Message) {
        self.groups.entry(message.group.clone()).or_default().waiting.push_back(message);
    }

    fn is_empty(&self) -> bool {
        self.groups.values().all(|group| group.waiting.is_empty())
    }

    /// Up to ten messages of groups that are not hidden, or the time until there are some.
    fn receive(&mut self) -> Result<Vec<Message>, Duration> {
        let now = Instant::now();
        let mut batch: Vec<Message> = Vec::new();
        let mut next: Option<Instant> = None;
        for group in self.groups.values_mut().filter(|group| !group.waiting.is_empty()) {
            match group.hidden_until.filter(|until| *until > now) {
                Some(until) => next = Some(next.map_or(until, |next| next.min(until))),
                None => {
                    let count = fastrand::usize(1..=10).min(10 - batch.len());
                    batch.extend(group.waiting.iter().take(count).cloned());
                }
            }
        }
        if batch.is_empty() {
            return Err(next.map_or(Duration::ZERO, |next| next - now));
        }
        Ok(batch)
    }

    /// Serves until no message is left. The caller decides whether a receive counts.
    pub(super) async fn drain(&mut self, scene: &Scene) {
        let mut rounds = 0;
        while !self.is_empty() {
            rounds += 1;
            assert!(rounds < 100_000, "it never ends");
            let batch = match self.receive() {
                Ok(batch) => batch,
                Err(pause) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
            };
            let (waiting, _) = scene.serve(batch.clone()).await;
            let hidden: BTreeMap<_, _> = scene.back().take_hidden().into_iter().collect();
            for message in batch {
                self.most_receives = self.most_receives.max(message.receives);
                let group = self.groups.get_mut(&message.group).unwrap();
                let place = group.waiting.iter().position(|other| other.id == message.id).unwrap();
                if waiting.contains(&message.id) {
                    group.waiting[place].receives += 1;
                    let pause = hidden.get(&message.id).copied().unwrap_or(VISIBILITY);
                    group.hidden_until = Some(Instant::now() + pause);
                } else {
                    group.waiting.remove(place);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Lines of three groups, each sent once or more, some of them poison, while opening and the sinks fail. Each that
    /// is not poison arrives, once, in order; each that is poison is set aside.
    #[test]
    fn every_line_arrives_once_and_in_order(
        lines in proptest::collection::vec((0..3_usize, 1..4_usize, 0..10_u8), 1..60),
        seed in any::<u64>(),
        bus in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        fastrand::seed(seed);
        let scene = if bus { Scene::with_bus() } else { Scene::default() };
        *locked(&scene.source().failures) = 0.1;
        *locked(&scene.sinks().failures) = 0.1;
        let mut queue = FifoQueue::default();
        let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let mut poison = 0;
        for (id, (group, times, kind)) in (0_i64..).zip(&lines) {
            let group = format!("group-{group}");
            let is_poison = *kind == 0;
            for _ in 0..*times {
                queue.send(line(&group, id));
            }
            if is_poison {
                poison += times;
                scene.sinks().refuse(&format!("{group}/{id}/{id}"), Code::GENESYS_REJECTED);
            } else {
                expected.entry(group).or_default().push(id);
            }
        }
        runtime.block_on(queue.drain(&scene));
        let published = scene.published();
        let once: std::collections::HashSet<_> = published.iter().collect();
        prop_assert_eq!(once.len(), published.len(), "published once");
        prop_assert_eq!(published.len(), if bus { lines.len() } else { 0 }, "all are published");
        prop_assert_eq!(scene.back().set_aside().len(), poison, "poison is set aside, and nothing else");
        for (group, ids) in expected {
            prop_assert_eq!(scene.arrived(&group), ids);
        }
    }
}
