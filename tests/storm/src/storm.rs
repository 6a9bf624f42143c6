//! The storm: the messages and faults that the bundle gets, and how it bears them.

use std::time::{Duration, Instant};

use sandbox::Trouble;
use sandbox::sandbox::Sandbox;
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{
    AGENT_ID, COLLEAGUE_ID, NewMessage, NotificationSettings, OpenMessagingSettings, Sender, Totals, Vendor,
};
use serde_json::Value;
use tokio::time::{interval, sleep};

use crate::verdict::{Message, Verdict, Written};

/// The parameters that the template is deployed with: the schedule lists changes each time.
pub const PARAMETERS: &[(&str, &str)] = &[("SubscriptionReconcileMinutes", "1")];

const WORKER: &str = "process-notification";

/// The time limit of the worker for a batch, as the template says.
const WORKER_TIMEOUT: Duration = Duration::from_secs(90);

/// How often the schedule invokes the function that renews subscriptions.
const TICK: Duration = Duration::from_secs(60);

/// How long the storm waits without a new message before it is given up: a chat is hidden for up to a quarter of an hour
/// after an outage.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// How many times a message may be shown where Genesys Cloud does not recognise it, as
/// docs/explanation/once-and-in-order.md says.
const TIMES_WITHOUT_IDS: usize = 6;

/// One of this many messages has a photo.
const PHOTO_EVERY: usize = 100;

const PHOTO: &[u8] = b"\x89PNG\r\n\x1a\n a photo";

/// A storm of messages, with its settings.
#[derive(Debug, Clone)]
pub struct Storm {
    /// The number of messages that are written.
    pub messages: usize,
    /// The number of chats that they are written in.
    pub chats: usize,
    /// The number of messages written in a second.
    pub per_second: usize,
    /// How many times the worker is killed while it works.
    pub kills: usize,
    /// The number of requests that Genesys Cloud takes in a minute.
    pub genesys_per_minute: u32,
    /// Whether Genesys Cloud recognises a message by its id.
    pub genesys_knows_ids: bool,
    /// The worker's time limit for a batch, of which the queue waits twice; `None` for the template's.
    pub worker_timeout: Option<Duration>,
    /// How long Genesys Cloud answers nothing but 503, when a quarter is there.
    pub outage: Duration,
    /// How long Genesys Cloud refuses the secret of the bridge, when half is there.
    pub refused_secret: Duration,
    /// Whether the worker has a private key that is not its certificate's.
    pub wrong_key: bool,
}

impl Storm {
    /// So many messages in so many chats, written at this pace, and nothing but what always fails.
    #[must_use]
    pub fn of(messages: usize, chats: usize, per_second: usize) -> Self {
        Self {
            messages,
            chats,
            per_second,
            kills: 0,
            genesys_per_minute: 10_000,
            genesys_knows_ids: true,
            worker_timeout: None,
            outage: Duration::ZERO,
            refused_secret: Duration::ZERO,
            wrong_key: false,
        }
    }
}

/// Something that lasts for a while, once so many messages are there.
struct Trial {
    after: usize,
    lasts: Duration,
    ends: Option<Instant>,
}

impl Trial {
    fn new(after: usize, lasts: Duration) -> Self {
        Self { after, lasts, ends: None }
    }

    /// Whether it begins now.
    fn begins(&mut self, shown: usize) -> bool {
        let begins = self.ends.is_none() && !self.lasts.is_zero() && shown >= self.after;
        if begins {
            self.ends = Some(Instant::now() + self.lasts);
        }
        begins
    }

    /// Whether it ends now, which it does once.
    fn ends(&mut self) -> bool {
        let ends = self.ends.is_some_and(|ends| Instant::now() >= ends) && !self.lasts.is_zero();
        if ends {
            self.lasts = Duration::ZERO;
        }
        ends
    }

    /// Whether it is still to come, or goes on.
    fn is_due(&self) -> bool {
        !self.lasts.is_zero()
    }
}

/// The outcome of a storm.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The verdict on what agents see.
    pub verdict: Verdict,
    /// The outcome of the notifications.
    pub notifications: Totals,
    /// For each kill, the number of messages that were being worked on.
    pub killed_at_work: Vec<u64>,
    /// The calls that Genesys Cloud failed or refused.
    pub genesys_failures: usize,
    /// The notifications that were still on the queue long after the last message had arrived.
    pub left: u64,
    /// The notifications in the dead-letter queue.
    pub dead_letters: u64,
    /// The time from the first message until the last had arrived.
    pub took: Duration,
    /// How many times a message may be shown.
    pub times_allowed: usize,
    /// What the worker has counted in its log, and must have because of what was done to it.
    pub counted: Vec<(&'static str, u64)>,
}

impl Outcome {
    /// The broken promises, a sentence each.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.verdict.broken(self.times_allowed);
        let stuck = [(self.left, "are still on the queue"), (self.dead_letters, "are in the dead-letter queue")];
        let stuck = stuck.into_iter().filter(|(count, _)| *count > 0);
        broken.extend(stuck.map(|(count, what)| format!("{count} notifications {what}")));
        let silent = self.counted.iter().filter(|(_, count)| *count == 0);
        broken.extend(silent.map(|(metric, _)| format!("the worker never counted {metric}, so that no alarm rings")));
        broken
    }
}

impl Storm {
    /// Makes the storm on a sandbox that was deployed with [`PARAMETERS`] and is not used otherwise.
    ///
    /// # Errors
    /// When the sandbox fails, not the bundle.
    pub async fn run(&self, sandbox: &Sandbox, mut progress: impl FnMut(&str)) -> Result<Outcome, Trouble> {
        let queue = sandbox.output("NotificationQueue");
        if let Some(timeout) = self.worker_timeout {
            sandbox.cloud.set_timeout(WORKER, queue, timeout).await?;
        }
        sandbox.look_after_subscriptions().await?;
        if self.wrong_key {
            sandbox.spoil_notification_keys().await?;
        }
        self.let_loose(sandbox);

        let began = Instant::now();
        let calls_before = sandbox.world.calls().len();
        let mut written = self.chats(sandbox)?;
        let (mut killed_at_work, mut hidden) = (Vec::new(), Vec::new());
        let mut clock = interval(TICK);
        clock.tick().await;
        let (mut shown, mut last_news) = (0, Instant::now());
        let mut outage = Trial::new(self.messages / 4, self.outage);
        let mut refusal = Trial::new(self.messages / 2, self.refused_secret);
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
            if outage.begins(shown) {
                sandbox.world.faults.clear();
                sandbox.world.faults.add(Fault::at(Vendor::Genesys, "").times(0).status(503));
                progress("Genesys Cloud is out");
            } else if outage.ends() {
                sandbox.world.faults.clear();
                fail_calls(sandbox);
                last_news = Instant::now();
                progress("Genesys Cloud is back");
            }
            if !outage.is_due() && refusal.begins(shown) {
                sandbox.world.directory().rotate_genesys_secret();
                sandbox.world.expire_tokens();
                progress("Genesys Cloud refuses the secret");
            } else if refusal.ends() {
                sandbox.store_secret(Vendor::Genesys).await?;
                last_news = Instant::now();
                progress("the secret is the new one");
            }
            let settled = is_written
                && !outage.is_due()
                && !refusal.is_due()
                && sandbox.world.notifications().totals.pending == 0;
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
            counted: self.counted(&sandbox.cloud.logs(WORKER).await?),
            times_allowed: if self.genesys_knows_ids { 1 } else { TIMES_WITHOUT_IDS },
        })
    }

    /// Switches on the faults.
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
        fail_calls(sandbox);
    }

    /// What the worker has to have counted.
    fn counted(&self, log: &str) -> Vec<(&'static str, u64)> {
        let wanted = [("lackCredential", !self.refused_secret.is_zero()), ("unopened", self.wrong_key)];
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let sum = |metric: &str| lines.iter().filter_map(|line| line[metric].as_u64()).sum();
        wanted.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(metric, _)| (metric, sum(metric))).collect()
    }

    fn chats(&self, sandbox: &Sandbox) -> Result<Written, Trouble> {
        let names = (0..self.chats).map(|number| format!("19:storm{number:05}@thread.v2"));
        let made = names.map(|chat| {
            sandbox.world.put_chat(&chat, None, &[AGENT_ID, COLLEAGUE_ID])?;
            Ok((chat, Vec::new()))
        });
        made.collect()
    }

    /// Writes all messages, at an even pace, each into a random chat.
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

/// One call in a hundred fails.
fn fail_calls(sandbox: &Sandbox) {
    let faults = &sandbox.world.faults;
    let inbound = || Fault::at(Vendor::Genesys, "inbound/open/message");
    faults.add(inbound().percent(0.5, 1).status(503));
    // It fails after it took the message, so that nobody knows.
    faults.add(inbound().percent(0.5, 2).reset().after());
}
