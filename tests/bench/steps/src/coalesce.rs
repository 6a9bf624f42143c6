//! A full batch of presence events: coalesced, and decided about for each user.

use std::hint::black_box;
use std::time::Duration;

use bridge::config::Environment;
use bridge::presence::mirror::{Decision, MirrorSettings, MirrorTally, decide, newest, wanted};
use bridge::queue::Message;
use bridge::store::last_presence::{Advanced, LastPresence, SentPresence, TurnPlan};
use jiff::Timestamp;
use serde_json::Value;

use crate::Failure;
use crate::turns::taken;

/// Measures coalescing an SQS event with the batch. The floor is to read the events.
pub(crate) fn measure(input: &str) -> Result<[Duration; 2], Failure> {
    let event: Value = serde_json::from_str(input)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let records = event["Records"].as_array().into_iter().flatten();
    let messages: Vec<_> = records
        .map(|record| Message {
            id: text(&record["messageId"]),
            body: text(&record["body"]),
            receives: 1,
            ..Message::default()
        })
        .collect();
    let mut env = Environment::of([("PRESENCE_MODE", "preferred")]);
    let settings = MirrorSettings::read(&mut env);
    let settings = env.finish(settings)?;

    let mut floor = || {
        for message in &messages {
            black_box(serde_json::from_str::<Value>(&message.body)?);
        }
        Ok(())
    };
    let mut batch = || {
        let (newest, _) = newest(messages.clone(), None, &mut MirrorTally::default());
        let (mut jobs, now) = (0, Timestamp::UNIX_EPOCH);
        for newest in newest {
            let event = &newest.event;
            let Some(target) = settings.presence.target(event.definition, event.system) else { continue };
            let (wanted, turn) = wanted(event, target, now);
            let sent = SentPresence { target: "Away/Away".into(), mode: None, until: Timestamp::MAX };
            let plan = TurnPlan { turn: None, tries: 0, seen: now };
            let before = LastPresence { wanted: wanted.clone(), sent: Some(sent), link: None, plan };
            let advanced = Advanced::Newest(Some(before));
            let decision = decide(&newest, &wanted, turn, advanced, &settings.presence, now);
            jobs += usize::from(matches!(decision, Decision::Waits(_) | Decision::WaitsFor(_)));
        }
        // The figure would say nothing if nothing had been decided.
        if jobs == 0 { Err("no event led to anything".into()) } else { Ok(()) }
    };
    taken([&mut floor, &mut batch])
}
