//! Double clicks and crashes.

use std::time::Duration;

use futures_util::future::join_all;
use sandbox::sandbox::Answer;
use sandbox::stand_ins::Vendor;
use sandbox::stand_ins::faults::Fault;

use crate::{alone, beside_others, click, conversation, number, post, until};

#[test]
fn eight_clicks_at_the_same_moment_are_one_meeting_and_one_text_message() {
    beside_others(async |sandbox| {
        let (conversation, number) = (conversation(), number());
        // Slow enough that every click is under way before the first ends.
        let slow = Fault::at(Vendor::Genesys, &number).after().delay(Duration::from_secs(3));
        sandbox.world.faults.add(slow);
        let body = click(&conversation, &number);
        let answers = join_all((0..8).map(|_| post(sandbox, "/escalations", &body))).await;
        assert!(answers.iter().all(Answer::ok), "{answers:?}");
        let count = |name: &str, value: &str| answers.iter().filter(|answer| answer.text(name) == value).count();
        assert_eq!((count("code", "created"), count("smsStatus", "accepted")), (1, 1));
        assert_eq!((count("code", "existing"), count("smsStatus", "duplicate")), (7, 7));
        assert_eq!(count("joinUrl", answers[0].text("joinUrl")), 8);
        assert_eq!(sandbox.world.online_meetings(&conversation), 1);
        assert_eq!(sandbox.world.texts_to(&number).len(), 1);
    });
}

#[test]
fn a_process_killed_between_meeting_and_text_message_loses_nothing() {
    alone(async |sandbox| {
        let (conversation, number) = (conversation(), number());
        let held = Fault::at(Vendor::Graph, &conversation).after().delay(Duration::from_secs(20));
        sandbox.world.faults.add(held);
        let body = click(&conversation, &number);
        let (first, killed) = tokio::join!(post(sandbox, "/escalations", &body), async {
            until(|| (sandbox.world.online_meetings(&conversation) == 1).then_some(())).await;
            sandbox.cloud.kill_functions().unwrap()
        });
        assert!(killed >= 1 && first.status >= 500, "{first:?}");
        assert!(sandbox.world.texts_to(&number).is_empty());
        let second = post(sandbox, "/escalations", &body).await;
        assert_eq!((second.text("code"), second.text("smsStatus")), ("existing", "accepted"));
        assert_eq!((sandbox.world.online_meetings(&conversation), sandbox.world.texts_to(&number).len()), (1, 1));
    });
}

#[test]
fn a_process_killed_while_it_sends_leaves_an_outcome_that_nobody_knows() {
    alone(async |sandbox| {
        let (conversation, number) = (conversation(), number());
        let held = Fault::at(Vendor::Genesys, &number).after().delay(Duration::from_secs(20));
        sandbox.world.faults.add(held);
        let body = click(&conversation, &number);
        let (first, _) = tokio::join!(post(sandbox, "/escalations", &body), async {
            until(|| (!sandbox.world.texts_to(&number).is_empty()).then_some(())).await;
            sandbox.cloud.kill_functions().unwrap()
        });
        assert!(first.status >= 500, "{first:?}");
        // The message left. The next click waits for the dead process's time to run out, and does not send.
        let mut second = post(sandbox, "/escalations", &body).await;
        if second.text("code") == "inProgress" {
            second = post(sandbox, "/escalations", &body).await;
        }
        assert_eq!((second.text("code"), second.text("smsStatus")), ("outcomeUnknown", "unknown"));
        assert!(second.text("joinUrl").starts_with("https://"));
        assert_eq!(sandbox.world.texts_to(&number).len(), 1);
    });
}
