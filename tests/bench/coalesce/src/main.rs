//! Reads an SQS event's messages from standard input, coalesces them and decides about each user, again and again for as
//! many times as the first argument says. Whoever started it looks at its processor time.

use std::io;

use bridge::config::Environment;
use bridge::presence::mirror::{Decision, MirrorSettings, Tally, decide, newest};
use bridge::queue::Message;
use bridge::store::last_presence::{Advanced, LastPresence, Sent, Wanted};
use jiff::Timestamp;
use serde_json::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let times: usize = std::env::args().nth(1).unwrap_or_default().parse()?;
    let event: Value = serde_json::from_reader(io::stdin())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let messages: Vec<_> = event["Records"]
        .as_array()
        .into_iter()
        .flatten()
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
    let mut jobs = 0;
    for _ in 0..times {
        let (newest, _) = newest(messages.clone(), None, &mut Tally::default());
        for newest in newest {
            let event = &newest.event;
            let Some(target) = settings.presence.target(event.definition, event.system) else { continue };
            let wanted = Wanted { modified: event.modified, target: target.to_string(), urgent: false };
            let sent = Sent {
                target: "Away/Away".into(),
                until: Timestamp::MAX,
                teams_user: event.user,
                linked: Timestamp::UNIX_EPOCH,
            };
            let before = LastPresence { wanted: wanted.clone(), sent: Some(sent) };
            let advanced = Advanced::Newest(Some(before));
            let decision = decide(newest, wanted, advanced, settings.presence.life(), Timestamp::UNIX_EPOCH);
            jobs += usize::from(matches!(decision, Decision::Send(_)));
        }
    }
    // The figure would say nothing if nothing had been decided.
    if jobs == 0 { Err("no event led to anything".into()) } else { Ok(()) }
}
