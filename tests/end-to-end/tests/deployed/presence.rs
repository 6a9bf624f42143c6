//! Presence in both ways: one call, and Amazon EventBridge.

use std::time::Duration;

use sandbox::genesys_event::GenesysEvent;
use sandbox::sandbox::{Answer, Sandbox};
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{GenesysUser, Vendor};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{alone, beside_others, post, until, user};

/// An agent in both clouds: the Genesys Cloud user's id and the Entra object id.
fn agent(sandbox: &Sandbox) -> (String, String) {
    let teams = user(sandbox, |_| {});
    let genesys = Uuid::new_v4().to_string();
    sandbox.world.directory().put_genesys_user(GenesysUser::new(&genesys, &teams.upn, &teams.id));
    (genesys, teams.id)
}

async fn set(sandbox: &Sandbox, user: &str, presence: &str) -> Answer {
    post(sandbox, "/presence", &json!({"userId": user, "systemPresence": presence})).await
}

/// Waits until Teams shows this presence.
async fn shows(sandbox: &Sandbox, teams: &str, availability: &str) {
    for _ in 0..600 {
        if sandbox.world.presence_of(teams).0 == availability {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("Teams shows {:?} in place of {availability}", sandbox.world.presence_of(teams));
}

fn at(second: u32) -> String {
    format!("2026-11-21T08:{:02}:{:02}.000Z", second / 60, second % 60)
}

#[test]
fn one_call_is_followed_by_teams() {
    beside_others(async |sandbox| {
        let (genesys, teams) = agent(sandbox);
        let busy = set(sandbox, &genesys, "ON_QUEUE").await;
        assert_eq!((busy.status, busy.text("code"), busy.text("teamsUserId")), (200, "updated", teams.as_str()));
        assert_eq!((busy.text("availability"), busy.text("activity")), ("Busy", "Busy"));
        assert!(busy.text("expiresAt").ends_with('Z'));
        assert_eq!(sandbox.world.presence_of(&teams), ("Busy", "Busy"));
        let away = set(sandbox, &genesys, "Out of Office").await;
        assert_eq!((away.text("code"), sandbox.world.presence_of(&teams).0), ("updated", "Away"));
        // The map that says so lies in an object, which the function's role lets it read.
        let pause = set(sandbox, &genesys, "Break").await;
        assert_eq!((pause.text("code"), sandbox.world.presence_of(&teams).0), ("updated", "BeRightBack"));
        let cleared = set(sandbox, &genesys, "Offline").await;
        assert_eq!((cleared.text("code"), cleared.text("availability")), ("cleared", ""));
        assert_eq!(sandbox.world.presence_of(&teams).0, "Available", "Teams is open");

        let body = json!({"user": teams, "availability": "DoNotDisturb", "activity": "DoNotDisturb"});
        assert_eq!(post(sandbox, "/presence", &body).await.text("code"), "updated");
        assert_eq!(sandbox.world.presence_of(&teams).0, "DoNotDisturb");
    });
}

#[test]
fn what_cannot_be_shown_is_told() {
    beside_others(async |sandbox| {
        let (genesys, teams) = agent(sandbox);
        let stranger = Uuid::new_v4().to_string();
        let unlinked = set(sandbox, &stranger, "Busy").await;
        assert_eq!((unlinked.status, unlinked.text("code"), unlinked.ok()), (200, "noTeamsUser", false));
        sandbox.world.directory().put_genesys_user(GenesysUser::new(&stranger, "x@contoso.com", &stranger));
        let body = json!({"user": Uuid::new_v4().to_string(), "availability": "Busy", "activity": "Busy"});
        assert_eq!(post(sandbox, "/presence", &body).await.text("code"), "noTeamsUser");
        assert_eq!(set(sandbox, &genesys, "Lunch").await.text("code"), "unmapped");
        let wrong =
            post(sandbox, "/presence", &json!({"user": teams, "availability": "Busy", "activity": "InACall"})).await;
        assert_eq!((wrong.status, wrong.text("code")), (400, "invalidField"));
        assert!(wrong.text("message").contains("Busy/Busy, DoNotDisturb/DoNotDisturb"), "{}", wrong.body);
        for body in [json!({}), json!({"userId": "kim"}), json!({"userId": genesys}), json!({"systemPresence": "Busy"})]
        {
            assert_eq!(post(sandbox, "/presence", &body).await.text("code"), "invalidField", "{body}");
        }
        assert_eq!(sandbox.world.presence_writes_of(&teams), 0);
    });
}

#[test]
fn scim_knows_whom_the_external_ids_do_not() {
    beside_others(async |sandbox| {
        let teams = user(sandbox, |_| {});
        let id = Uuid::new_v4().to_string();
        let scim_teams_id = Some(teams.id.clone());
        let only_in_scim = GenesysUser { id: id.clone(), user_name: teams.upn, teams_id: None, scim_teams_id };
        sandbox.world.directory().put_genesys_user(only_in_scim);
        assert_eq!(set(sandbox, &id, "Meal").await.text("teamsUserId"), teams.id);
        assert_eq!(sandbox.world.presence_of(&teams.id).0, "Away");
    });
}

#[test]
fn a_throttled_presence_says_when_to_come_back() {
    beside_others(async |sandbox| {
        let (genesys, teams) = agent(sandbox);
        sandbox.world.faults.add(Fault::at(Vendor::Graph, &teams).throttled("90"));
        let answer = set(sandbox, &genesys, "Busy").await;
        let expected = (200, "graphThrottled", &json!(true));
        assert_eq!((answer.status, answer.text("code"), &answer.body["retryable"]), expected);
        sandbox.world.faults.add(Fault::at(Vendor::Graph, &teams).throttled("0.5"));
        assert_eq!(set(sandbox, &genesys, "Busy").await.text("code"), "updated");
    });
}

#[test]
fn an_event_is_followed_by_teams_and_an_older_or_equal_one_is_not() {
    beside_others(async |sandbox| {
        let (genesys, teams) = agent(sandbox);
        let presence = |name, second| GenesysEvent::presence(&genesys, name, &at(second));
        sandbox.send_genesys_events(&[presence("AVAILABLE", 10), presence("ON_QUEUE", 20)]).await.unwrap();
        shows(sandbox, &teams, "Busy").await;
        let writes = sandbox.world.presence_writes_of(&teams);
        // Late, twice, and on the other topic: nothing of it is new. The last one is, and comes after them.
        let activity = GenesysEvent::activity(&genesys, "ON_QUEUE", &at(20), &at(25));
        let late = [presence("BREAK", 15), presence("ON_QUEUE", 20), activity, presence("MEETING", 30)];
        sandbox.send_genesys_events(&late).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        sandbox.send_genesys_events(&[presence("OFFLINE", 40)]).await.unwrap();
        shows(sandbox, &teams, "Available").await;
        assert_eq!(sandbox.world.presence_writes_of(&teams), writes + 1);
    });
}

#[test]
fn nobody_holds_others_up_and_poison_lands_in_the_dead_letter_queue() {
    alone(async |sandbox| {
        let aws = sandbox.cloud.cli();
        let queue = |name: &str| sandbox.output(name).to_owned();
        // What failed is seen again soon, so that its five attempts fit into a test.
        let attributes = json!({"QueueUrl": queue("PresenceQueue"), "Attributes": {"VisibilityTimeout": "1"}});
        aws.call("sqs", "set_queue_attributes", &[attributes]).await.unwrap();

        let agents: Vec<_> = (0..5).map(|_| agent(sandbox)).collect();
        let mut events: Vec<_> =
            agents.iter().map(|(genesys, _)| GenesysEvent::presence(genesys, "MEAL", &at(10))).collect();
        let stranger = Uuid::new_v4().to_string();
        let mut poison = GenesysEvent::presence(&stranger, "MEAL", &at(10));
        poison.detail["eventBody"]["modifiedDate"] = Value::Null;
        events.insert(2, poison);
        // Nobody in Teams, and a presence that the map does not know: served, and done with.
        events.insert(1, GenesysEvent::presence(&Uuid::new_v4().to_string(), "MEAL", &at(10)));
        events.insert(0, GenesysEvent::presence(&agents[0].0, "LUNCH", &at(5)));
        sandbox.send_genesys_events(&events).await.unwrap();
        for (_, teams) in &agents {
            shows(sandbox, teams, "Away").await;
        }
        let depth = async |name: &str| {
            let of = json!({"QueueUrl": queue(name), "AttributeNames": ["All"]});
            let answers = aws.call("sqs", "get_queue_attributes", &[of]).await.unwrap();
            let number = |name: &str| answers[0]["Attributes"][name].as_str().unwrap().parse::<usize>().unwrap();
            number("ApproximateNumberOfMessages") + number("ApproximateNumberOfMessagesNotVisible")
        };
        let mut looks = 0;
        while (depth("PresenceDeadLetterQueue").await, depth("PresenceQueue").await) != (1, 0) {
            looks += 1;
            assert!(looks < 60, "the poison is still on its way");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let receive = json!({"QueueUrl": queue("PresenceDeadLetterQueue")});
        let received = aws.call("sqs", "receive_message", &[receive]).await.unwrap();
        assert!(received[0]["Messages"][0]["Body"].as_str().unwrap().contains(&stranger));
    });
}

#[test]
fn a_budget_that_is_too_small_makes_it_late_and_never_wrong() {
    alone(async |sandbox| {
        sandbox.world.set_presence_budget(20, Duration::from_secs(2));
        let busy = Some("Busy");
        // The sandbox's map has a pair that no session can be set to.
        for (mode, held, map) in [
            ("session", [busy, None], ""),
            ("both", [busy, busy], ""),
            ("preferred", [None, busy], sandbox.parameters["PresenceMapParameter"].as_str()),
        ] {
            let variables = [("PRESENCE_MODE", mode), ("PRESENCE_MAP_PARAMETER", map)];
            sandbox.cloud.set_variables("mirror-presence", &variables).await.unwrap();
            let throttled = sandbox.world.presence_throttled();
            let agents: Vec<_> = (0..50).map(|_| agent(sandbox)).collect();
            for (name, second) in [("AVAILABLE", 10), ("ON_QUEUE", 20)] {
                let events: Vec<_> =
                    agents.iter().map(|(genesys, _)| GenesysEvent::presence(genesys, name, &at(second))).collect();
                sandbox.send_genesys_events(&events).await.unwrap();
                // Who is linked now was looked up before, so that the next change is everybody's at once.
                for (_, teams) in &agents {
                    until(|| (sandbox.world.presence_writes_of(teams) > 0).then_some(())).await;
                }
            }
            // The budget is far below the bridge's setting: Graph throttles, and Retry-After holds the whole instance up.
            for (_, teams) in &agents {
                shows(sandbox, teams, "Busy").await;
            }
            // With two actions, the second one's answer may have been a 429.
            for (_, teams) in &agents {
                until(|| (sandbox.world.presence_held(teams) == held).then_some(())).await;
            }
            assert!(sandbox.world.presence_throttled() > throttled, "{mode}");
        }
    });
}
