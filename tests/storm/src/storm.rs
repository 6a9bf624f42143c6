//! What is done to the bundle, and how it bears it.

use std::time::{Duration, Instant};

use sandbox::Trouble;
use sandbox::sandbox::Sandbox;
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{
    AGENT_ID, COLLEAGUE_ID, NewMessage, NotificationSettings, OpenMessagingSettings, Sender, Totals, Vendor,
};
use tokio::time::{interval, sleep};

use crate::verdict::{Message, Verdict, Written};

/// What the template is deployed with: the schedule that finds what no notification came for lists every time.
pub const PARAMETERS: &[(&str, &str)] = &[("SubscriptionReconcileMinutes", "1")];

const WORKER: &str = "process-notification";

/// How long it has for a batch, as the template says.
const WORKER_TIMEOUT: Duration = Duration::from_secs(90);

/// How often the clock strikes for the function that looks after the subscriptions.
const TICK: Duration = Duration::from_secs(60);

/// How long nothing may come before the storm is given up: a killed worker's messages come back within three minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often a message may be there where Genesys Cloud does not know it again, as docs/explanation/once-and-in-order.md says.
const TIMES_WITHOUT_IDS: usize = 6;

/// One of so many messages has a photo.
const PHOTO_EVERY: usize = 100;

const PHOTO: &[u8] = b"\x89PNG\r\n\x1a\n a photo";

/// A storm of messages, with its settings.
#[derive(Debug, Clone)]
pub struct Storm {
    /// Messages that are written.
    pub messages: usize,
    /// Chats that they are written in.
    pub chats: usize,
    /// How many are written in a second.
    pub per_second: usize,
    /// How often the worker is killed at its work.
    pub kills: usize,
    /// Requests that Genesys Cloud takes in a minute.
    pub genesys_per_minute: u32,
    /// Whether Genesys Cloud knows a message again by its id.
    pub genesys_knows_ids: bool,
    /// How long the worker has for a batch, and the queue waits twice; nothing is what the template says.
    pub worker_timeout: Option<Duration>,
}

/// How it was borne.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The verdict on what agents see.
    pub verdict: Verdict,
    /// What became of the notifications.
    pub notifications: Totals,
    /// For each kill, how many messages of the queue were being worked on.
    pub killed_at_work: Vec<u64>,
    /// Calls that Genesys Cloud failed or refused.
    pub genesys_failures: usize,
    /// Notifications that the queue still held long after the last message was there.
    pub left: u64,
    /// Notifications in the dead-letter queue.
    pub dead_letters: u64,
    /// From the first message until the last was there.
    pub took: Duration,
    /// How often a message may be there.
    pub times_allowed: usize,
}

impl Outcome {
    /// What is not as it should be, a sentence each.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.verdict.broken(self.times_allowed);
        let stuck = [(self.left, "are still on the queue"), (self.dead_letters, "are in the dead-letter queue")];
        let stuck = stuck.into_iter().filter(|(count, _)| *count > 0);
        broken.extend(stuck.map(|(count, what)| format!("{count} notifications {what}")));
        broken
    }
}

impl Storm {
    /// Lets it loose on a sandbox that was deployed with [`PARAMETERS`] and that nobody else uses.
    ///
    /// # Errors
    /// When the sandbox fails, not the bundle.
    pub async fn run(&self, sandbox: &Sandbox, mut progress: impl FnMut(&str)) -> Result<Outcome, Trouble> {
        let queue = sandbox.output("NotificationQueue");
        if let Some(timeout) = self.worker_timeout {
            sandbox.cloud.set_timeout(WORKER, queue, timeout).await?;
        }
        sandbox.look_after_subscriptions().await?;
        self.let_loose(sandbox);

        let began = Instant::now();
        let calls_before = sandbox.world.calls().len();
        let mut written = self.chats(sandbox)?;
        let (mut killed_at_work, mut hidden) = (Vec::new(), Vec::new());
        let mut clock = interval(TICK);
        clock.tick().await;
        let (mut shown, mut last_news) = (0, Instant::now());
        let mut writing = Box::pin(self.write(sandbox, &mut written));
        let mut is_written = false;
        loop {
            tokio::select! {
                done = &mut writing, if !is_written => {
                    done?;
                    is_written = true;
                    progress("all is written");
                }
                _ = clock.tick() => {
                    sandbox.look_after_subscriptions().await?;
                    progress(&format!("{shown} of {} are there", self.messages));
                }
                () = sleep(Duration::from_millis(200)) => {}
            }
            let now_shown = sandbox.world.open_messages();
            if now_shown > shown {
                (shown, last_news) = (now_shown, Instant::now());
            }
            let next_kill = self.messages * (killed_at_work.len() + 1) / (self.kills + 1);
            if killed_at_work.len() < self.kills && shown >= next_kill {
                // The queue hides what the last one was at for a while.
                hidden.retain(|(until, _)| *until > Instant::now());
                let (_, taken) = sandbox.cloud.queue_depth(queue).await?;
                let taken = taken.saturating_sub(hidden.iter().map(|(_, count)| count).sum());
                if taken > 0 && sandbox.cloud.kill_function(WORKER)? > 0 {
                    hidden.push((Instant::now() + 2 * self.worker_timeout.unwrap_or(WORKER_TIMEOUT), taken));
                    killed_at_work.push(taken);
                    progress(&format!("the worker was killed at work on {taken}"));
                }
            }
            let settled = is_written && sandbox.world.notifications().totals.pending == 0;
            if settled && (shown >= self.messages || last_news.elapsed() > PATIENCE) {
                break;
            }
        }
        drop(writing);
        let took = began.elapsed();
        // What is still on the queue must turn out to be there already.
        let until = Instant::now() + PATIENCE;
        let left = loop {
            let (waiting, taken) = sandbox.cloud.queue_depth(queue).await?;
            if waiting + taken == 0 || Instant::now() > until {
                break waiting + taken;
            }
            sleep(Duration::from_secs(1)).await;
        };
        let (dead_letters, _) = sandbox.cloud.queue_depth(sandbox.output("NotificationDeadLetterQueue")).await?;
        let calls = sandbox.world.calls();
        let inbound = calls.iter().skip(calls_before).filter(|call| call.request.contains("inbound/open/message"));
        Ok(Outcome {
            verdict: Verdict::of(&written, &sandbox.world.conversations(), &sandbox.world.troubled_notifications()),
            notifications: sandbox.world.notifications().totals,
            killed_at_work,
            genesys_failures: inbound.filter(|call| call.status != 200).count(),
            left,
            dead_letters,
            took,
            times_allowed: if self.genesys_knows_ids { 1 } else { TIMES_WITHOUT_IDS },
        })
    }

    /// Switches on what goes wrong.
    fn let_loose(&self, sandbox: &Sandbox) {
        let world = &sandbox.world;
        world.directory().genesys_rate_per_minute = self.genesys_per_minute;
        let settings = world.open_messaging();
        world.set_open_messaging(OpenMessagingSettings { deduplicates_messages: self.genesys_knows_ids, ..settings });
        let settings = world.notifications().settings;
        world.set_notifications(NotificationSettings {
            duplicate_percent: 5.0,
            reorder_percent: 2.0,
            loss_percent: 1.0,
            ..settings
        });
        let inbound = || Fault::at(Vendor::Genesys, "inbound/open/message");
        world.faults.add(inbound().percent(0.5, 1).status(503));
        // It fails after it took the message, so that nobody knows.
        world.faults.add(inbound().percent(0.5, 2).reset().after());
    }

    fn chats(&self, sandbox: &Sandbox) -> Result<Written, Trouble> {
        let names = (0..self.chats).map(|number| format!("19:storm{number:05}@thread.v2"));
        let made = names.map(|chat| {
            sandbox.world.put_chat(&chat, None, &[AGENT_ID, COLLEAGUE_ID])?;
            Ok((chat, Vec::new()))
        });
        made.collect()
    }

    /// Writes all messages, at an even pace, each into a chat of chance.
    async fn write(&self, sandbox: &Sandbox, written: &mut Written) -> Result<(), Trouble> {
        let mut random = fastrand::Rng::with_seed(1);
        let began = Instant::now();
        let chats: Vec<String> = written.keys().cloned().collect();
        for number in 0..self.messages {
            let due = Duration::from_secs_f64(number as f64 / self.per_second.max(1) as f64);
            sleep(due.saturating_sub(began.elapsed())).await;
            let Some(chat) = random.choice(&chats) else { break };
            let Some(messages) = written.get_mut(chat) else { break };
            let (text, photo) = (format!("message {number}."), number % PHOTO_EVERY == 0);
            let guest = Sender::Guest("Robin Müller".into());
            let new = NewMessage::text(guest, &text);
            let new = if photo { new.image("image/png", PHOTO) } else { new };
            let id = sandbox.world.write_message(chat, new)?;
            messages.push(Message { id, text, photo });
        }
        Ok(())
    }
}
