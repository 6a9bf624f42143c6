//! Failures on the way to Microsoft Graph.

use std::time::Duration;

use sandbox::stand_ins::Vendor;
use sandbox::stand_ins::faults::Fault;
use serde_json::json;

use crate::{beside_others, click, conversation, meeting_of, number, post, user};

#[test]
fn a_throttled_graph_call_waits_a_fraction_of_a_second_and_comes_through() {
    beside_others(async |sandbox| {
        let agent = user(sandbox, |_| {});
        sandbox.world.faults.add(Fault::at(Vendor::Graph, &agent.id).throttled("1.128"));
        let answer = meeting_of(sandbox, &agent.id, "auto").await;
        assert_eq!((answer.status, answer.text("code")), (200, "created"));
        assert!(answer.took >= Duration::from_millis(1128), "{:?}", answer.took);
    });
}

#[test]
fn a_wait_that_does_not_fit_is_handed_to_the_caller() {
    beside_others(async |sandbox| {
        let agent = user(sandbox, |_| {});
        sandbox.world.faults.add(Fault::at(Vendor::Graph, &agent.id).throttled("90"));
        let answer = meeting_of(sandbox, &agent.id, "auto").await;
        let expected = (200, false, "graphThrottled", &json!(true));
        assert_eq!((answer.status, answer.ok(), answer.text("code"), &answer.body["retryable"]), expected);
        assert!(answer.text("message").contains("91 s"), "{}", answer.body);
        assert!(answer.took < Duration::from_secs(10));
    });
}

#[test]
fn whatever_graph_does_once_the_meeting_is_one() {
    beside_others(async |sandbox| {
        for fault in [
            |fault: Fault| fault.status(503),
            |fault: Fault| fault.after().status(504),
            |fault: Fault| fault.reset(),
            |fault: Fault| fault.after().reset(),
            |fault: Fault| fault.delay(Duration::from_secs(2)),
        ] {
            let (conversation, number) = (conversation(), number());
            sandbox.world.faults.add(fault(Fault::at(Vendor::Graph, &conversation)));
            let answer = post(sandbox, "/escalations", &click(&conversation, &number)).await;
            assert!(answer.ok(), "{}", answer.body);
            assert_eq!(sandbox.world.online_meetings(&conversation), 1);
            assert_eq!(sandbox.world.texts_to(&number).len(), 1);
        }
    });
}

#[test]
fn an_outage_of_graph_is_503_and_no_text_message_leaves() {
    beside_others(async |sandbox| {
        let (conversation, number) = (conversation(), number());
        sandbox.world.faults.add(Fault::at(Vendor::Graph, &conversation).times(3).status(503));
        let answer = post(sandbox, "/escalations", &click(&conversation, &number)).await;
        assert_eq!((answer.status, answer.text("code"), answer.text("joinUrl")), (503, "graphUnavailable", ""));
        assert!(sandbox.world.texts_to(&number).is_empty());
        // The next click makes up for it.
        assert!(post(sandbox, "/escalations", &click(&conversation, &number)).await.ok());
    });
}

#[test]
fn a_lobby_that_cannot_be_set_costs_no_meeting() {
    beside_others(async |sandbox| {
        let agent = user(sandbox, |_| {});
        let patch = format!("PATCH /v1.0/users/{}", agent.id);
        sandbox.world.faults.add(Fault::at(Vendor::Graph, patch).times(3).status(500));
        let answer = meeting_of(sandbox, &agent.id, "auto").await;
        assert_eq!((answer.ok(), answer.text("code"), answer.text("lobby")), (true, "created", "organization"));
        assert!(answer.text("message").contains("could not be set"), "{}", answer.body);
    });
}
