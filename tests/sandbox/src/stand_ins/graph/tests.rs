use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use tower::ServiceExt;

use super::super::{AGENT, AGENT_ID, BRIDGE_APP, CALLER_APP, ORGANIZER_ID, TENANT, entra};
use super::presence_state::{PREFERRED_PAIRS, SESSION_PAIRS};
use super::testing::{Got, Graph, request};
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

impl Graph {
    /// An action on the agent's presence.
    async fn act(&self, action: &str, body: Value) -> Got {
        self.post(&format!("/users/{AGENT_ID}/presence/{action}"), body).await
    }

    fn shown(&self) -> (&'static str, &'static str) {
        self.world.presence_of(AGENT_ID)
    }

    fn close_teams(&self) {
        let mut directory = self.world.directory();
        let agent = directory.user_by_id(AGENT_ID).unwrap().clone();
        directory.put_user(User { teams_open: false, ..agent });
    }
}

fn session(availability: &str, activity: &str) -> Value {
    json!({"sessionId": BRIDGE_APP, "availability": availability, "activity": activity})
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

#[tokio::test]
async fn each_action_takes_its_own_pairs_only() {
    let graph = Graph::new();
    let words = ["Available", "Busy", "DoNotDisturb", "BeRightBack", "Away", "Offline", "busy"];
    let activities = [&words[..], &["InACall", "InAConferenceCall", "InAMeeting", "Presenting", "OffWork"]].concat();
    let mut taken: HashMap<&str, usize> = HashMap::new();
    for availability in words {
        for activity in &activities {
            for (action, pairs) in [("setPresence", SESSION_PAIRS), ("setUserPreferredPresence", PREFERRED_PAIRS)] {
                let got = graph.act(action, session(availability, activity)).await;
                if pairs.contains(&(availability, activity)) {
                    assert_eq!((got.status, got.body), (200, Value::Null));
                    *taken.entry(action).or_default() += 1;
                } else {
                    assert_eq!(got.refusal(), (400, "InvalidArgument"), "{action} {availability} {activity}");
                }
            }
        }
    }
    assert_eq!(taken, HashMap::from([("setPresence", 5), ("setUserPreferredPresence", 6)]));
    let writes = 2 * words.len() * activities.len();
    assert_eq!(graph.world.presence_writes(), writes as u64);
    assert_eq!(graph.world.presence_writes_of(AGENT_ID), writes as u64);
    for body in [json!({}), json!({"availability": "Busy"}), json!({"activity": "Busy"}), json!([])] {
        assert_eq!(graph.act("setUserPreferredPresence", body).await.status, 400);
    }
}

#[tokio::test]
async fn the_session_id_is_looked_at_before_the_permission() {
    let graph = Graph::new();
    let busy = || session("Busy", "InACall");
    for id in [Value::Null, json!("")] {
        graph.permit(&[]);
        for action in ["setPresence", "clearPresence"] {
            let got = graph.act(action, with(busy(), "sessionId", id.clone())).await;
            assert_eq!(got.refusal(), (400, "InvalidArgument"));
            assert_eq!(got.body["error"]["message"], "[SessionId]: The SessionId field is required.");
        }
    }
    graph.permit(&["Presence.Read.All"]);
    for action in ["setPresence", "clearPresence", "setUserPreferredPresence", "clearUserPreferredPresence"] {
        let got = graph.act(action, busy()).await;
        assert_eq!(got.refusal(), (403, "Forbidden"), "{action}");
        assert_eq!(got.body["error"]["message"], "");
    }
    graph.permit(&["Presence.ReadWrite.All"]);
    let got = graph.act("setPresence", with(busy(), "sessionId", json!(CALLER_APP))).await;
    assert_eq!(got.refusal(), (400, "InvalidArgument"));
    assert_eq!(graph.shown(), ("Available", "Available"));
}

#[tokio::test(start_paused = true)]
async fn a_session_lives_between_five_minutes_and_four_hours() {
    let graph = Graph::new();
    graph.close_teams();
    for text in ["PT4M59S", "PT4H1S", "P1D", "PT0S", "1h", "pt1h", "P1W", "P1M", "-PT5M", "PT", ""] {
        let got = graph.act("setPresence", with(session("Busy", "InACall"), "expirationDuration", text.into())).await;
        assert_eq!(got.refusal(), (400, "InvalidArgument"), "{text:?}");
    }
    assert_eq!(graph.shown(), ("Offline", "Offline"));
    let lives = [(json!("PT5M"), 5), (json!("PT1H30M"), 90), (json!("PT4H"), 240), (json!("PT300S"), 5)];
    for (text, minutes) in lives.into_iter().chain([(Value::Null, 5)]) {
        let body = with(session("Busy", "InACall"), "expirationDuration", text);
        assert_eq!(graph.act("setPresence", body).await.status, 200);
        tokio::time::advance(minutes * MINUTE - Duration::from_secs(1)).await;
        assert_eq!(graph.shown(), ("Busy", "InACall"), "{minutes}");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(graph.shown(), ("Offline", "Offline"), "{minutes}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_preferred_presence_lasts_a_day_or_a_week() {
    let graph = Graph::new();
    for (pair, days) in PREFERRED_PAIRS.iter().zip([7, 1, 1, 7, 7, 7]).skip(1) {
        let body = json!({"availability": pair.0, "activity": pair.1});
        assert_eq!(graph.act("setUserPreferredPresence", body).await.status, 200);
        tokio::time::advance(days * 24 * 60 * MINUTE - Duration::from_secs(1)).await;
        assert_eq!(graph.shown(), *pair);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(graph.shown(), ("Available", "Available"));
    }
    let brief = json!({"availability": "Busy", "activity": "Busy", "expirationDuration": "PT1M"});
    graph.act("setUserPreferredPresence", brief).await;
    assert_eq!(graph.shown(), ("Busy", "Busy"));
    tokio::time::advance(MINUTE).await;
    assert_eq!(graph.shown(), ("Available", "Available"));
}

#[tokio::test]
async fn clearing_what_is_not_there() {
    let graph = Graph::new();
    let id = json!({"sessionId": BRIDGE_APP});
    assert_eq!(graph.act("clearPresence", id.clone()).await.refusal(), (404, "NotFound"));
    graph.act("setPresence", session("DoNotDisturb", "Presenting")).await;
    assert_eq!(graph.act("clearPresence", json!({"sessionId": CALLER_APP})).await.status, 404);
    assert_eq!(graph.shown(), ("DoNotDisturb", "Presenting"));
    assert_eq!(graph.act("clearPresence", id.clone()).await.status, 200);
    assert_eq!(graph.act("clearPresence", id).await.status, 404);
    for _ in 0..2 {
        assert_eq!(graph.act("clearUserPreferredPresence", json!({})).await.status, 200);
    }
    assert_eq!(graph.shown(), ("Available", "Available"));
}

#[tokio::test]
async fn only_object_ids_name_a_user() {
    let graph = Graph::new();
    for user in [AGENT, CALLER_APP] {
        for action in ["setPresence", "clearPresence"] {
            let path = format!("/users/{user}/presence/{action}");
            assert_eq!(graph.post(&path, session("Busy", "InACall")).await.refusal(), (404, "NotFound"));
        }
        assert_eq!(graph.get(&format!("/users/{user}/presence")).await.status, 404);
    }
    let upper = AGENT_ID.to_ascii_uppercase();
    assert_eq!(graph.get(&format!("/users/{upper}/presence")).await.body["id"], AGENT_ID);
    assert_eq!(graph.world.presence_of("nobody"), ("PresenceUnknown", "PresenceUnknown"));
    assert_eq!((graph.world.presence_writes(), graph.world.presence_writes_of(AGENT_ID)), (4, 0));
}

#[tokio::test]
async fn presence_is_read_alone_and_of_many() {
    let graph = Graph::new();
    graph.permit(&["Presence.Read.All"]);
    let one = graph.get(&format!("/users/{AGENT_ID}/presence")).await.body;
    let expected = json!({
        "id": AGENT_ID, "availability": "Available", "activity": "Available", "sequenceNumber": one["sequenceNumber"],
        "outOfOfficeSettings": {"isOutOfOffice": false, "message": null}, "statusMessage": null, "workLocation": null,
    });
    assert_eq!(one, expected);
    let many = "/communications/getPresencesByUserId";
    let got = graph.post(many, json!({"ids": [ORGANIZER_ID, CALLER_APP, AGENT_ID]})).await.body;
    assert_eq!(got["value"][2], one);
    assert_eq!(got["value"][0]["id"], ORGANIZER_ID);
    assert_eq!(got["value"][1]["availability"], "PresenceUnknown");
    graph.close_teams();
    let later = graph.get(&format!("/users/{AGENT_ID}/presence")).await.body;
    assert_eq!(later["availability"], "Offline");
    assert!(later["sequenceNumber"].as_str() > one["sequenceNumber"].as_str());
    for (count, status) in [(0, 400), (1, 200), (650, 200), (651, 400)] {
        assert_eq!(graph.post(many, json!({"ids": vec![AGENT_ID; count]})).await.status, status, "{count}");
    }
    graph.permit(&[]);
    assert_eq!(graph.get(&format!("/users/{AGENT_ID}/presence")).await.refusal(), (403, "Forbidden"));
    assert_eq!(graph.post(many, json!({"ids": [AGENT_ID]})).await.refusal(), (403, "Forbidden"));
}

#[tokio::test(start_paused = true)]
async fn over_the_budget_is_429() {
    let graph = Graph::new();
    graph.world.set_presence_budget(2, Duration::from_secs(10));
    let path = format!("/users/{AGENT_ID}/presence");
    assert_eq!(graph.get(&path).await.status, 200);
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(graph.act("setPresence", json!({})).await.status, 400, "counts as well");
    tokio::time::advance(Duration::from_micros(2_371_500)).await;
    let got = graph.get(&path).await;
    assert_eq!(got.refusal(), (429, "TooManyRequests"));
    assert_eq!(got.body["error"]["innerError"]["code"], "429");
    assert_eq!(got.body["error"]["innerError"]["status"], "429");
    assert_eq!(got.headers["retry-after"], "7.629");
    tokio::time::advance(Duration::from_millis(7629)).await;
    assert_eq!(graph.get(&path).await.status, 200);
    assert_eq!((graph.world.presence_requests(), graph.world.presence_throttled()), (4, 1));
    assert_eq!(graph.get(&format!("/users/{AGENT_ID}")).await.status, 200, "no other service's budget");
}

fn step(id: &str, body: Value) -> Value {
    json!({
        "id": id, "method": "POST", "url": format!("/users/{AGENT_ID}/presence/setPresence"), "body": body,
        "headers": {"Content-Type": "application/json"},
    })
}

#[tokio::test]
async fn a_batch_answers_each_request_in_another_order() {
    let graph = Graph::new();
    let read = json!({"id": "read", "method": "GET", "url": format!("/users/{AGENT_ID}/presence"), "dependsOn": ["a"]});
    let after_bad = with(step("after bad", session("Away", "Away")), "dependsOn", json!(["bad"]));
    let lost = json!({"id": "lost", "method": "GET", "url": "/users/nobody/presence"});
    let steps = [step("a", session("Busy", "InACall")), step("bad", session("Busy", "Busy")), read, after_bad, lost];
    let got = graph.post("/$batch", json!({"requests": steps})).await;
    assert_eq!(got.status, 200);
    let order: Vec<&Value> = got.body["responses"].as_array().unwrap().iter().map(|inner| &inner["id"]).collect();
    assert_eq!(order, ["lost", "after bad", "read", "bad", "a"]);
    assert_eq!(got.inner("a"), &json!({"id": "a", "status": 200, "headers": {}}));
    assert_eq!(
        (&got.inner("bad")["status"], &got.inner("bad")["body"]["error"]["code"]),
        (&json!(400), &json!("InvalidArgument"))
    );
    assert_eq!(got.inner("bad")["headers"], json!({"Content-Type": "application/json"}));
    assert_eq!(
        (&got.inner("read")["status"], &got.inner("read")["body"]["activity"]),
        (&json!(200), &json!("InACall"))
    );
    assert_eq!(got.inner("after bad")["status"], 424);
    assert_eq!(got.inner("lost")["status"], 404);
    assert_eq!(graph.world.presence_requests(), 4, "what was not tried does not count, nor does the batch");
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_throttled_request_by_request() {
    let graph = Graph::new();
    graph.world.set_presence_budget(15, Duration::from_secs(30));
    let steps: Vec<Value> = (0..20).map(|id| step(&id.to_string(), session("Busy", "InACall"))).collect();
    let got = graph.post("/$batch", json!({"requests": steps})).await;
    assert_eq!(got.status, 200);
    for id in 0..20 {
        let inner = got.inner(&id.to_string());
        assert_eq!(inner["status"], if id < 15 { 200 } else { 429 }, "{id}");
        assert_eq!(inner["headers"]["Retry-After"].as_str(), (id >= 15).then_some("30.000"), "{id}");
    }
    assert_eq!(got.inner("19")["body"]["error"]["code"], "TooManyRequests");
    assert_eq!((graph.world.presence_requests(), graph.world.presence_throttled()), (20, 5));
    assert_eq!((graph.world.presence_writes(), graph.world.presence_writes_of(AGENT_ID)), (15, 15));
}

#[tokio::test]
async fn a_malformed_batch_is_refused_as_a_whole() {
    let graph = Graph::new();
    let good = || step("1", session("Busy", "InACall"));
    let other = |key: &str, value: Value| with(with(good(), "id", json!("2")), key, value);
    let url = format!("/users/{AGENT_ID}/presence/clearPresence");
    let malformed = [
        json!({}),
        json!([good()]),
        json!({"requests": []}),
        json!({"requests": (0..21).map(|id| step(&id.to_string(), json!({}))).collect::<Vec<_>>()}),
        json!({"requests": [good(), good()]}),
        json!({"requests": [good(), other("id", json!(2))]}),
        json!({"requests": [good(), other("id", json!(""))]}),
        json!({"requests": [good(), other("url", Value::Null)]}),
        json!({"requests": [good(), other("url", json!(format!("https://graph.microsoft.com/v1.0{url}")))]}),
        json!({"requests": [good(), other("url", json!("/$batch"))]}),
        json!({"requests": [good(), other("method", json!("FETCH"))]}),
        json!({"requests": [good(), other("headers", json!({}))]}),
        json!({"requests": [good(), other("headers", json!({"content-type": "application/json"}))]}),
        json!({"requests": [good(), other("body", Value::Null)]}),
        json!({"requests": [good(), other("dependsOn", json!(["3"]))]}),
        json!({"requests": [good(), other("dependsOn", json!(["2"]))]}),
    ];
    for body in malformed {
        assert_eq!(graph.post("/$batch", body.clone()).await.refusal(), (400, "BadRequest"), "{body}");
    }
    assert_eq!(graph.world.presence_writes(), 0);
    assert_eq!(graph.post("/$batch", json!({"requests": [good(), other("body", json!({}))]})).await.status, 200);
}

/// The token of an app, from Entra.
async fn token(world: &Arc<World>, app: &str) -> String {
    let secret = world.directory().apps[app].secrets[0].clone();
    let secret = secret.replace('%', "%25").replace('&', "%26").replace('+', "%2B").replace('=', "%3D");
    let form = format!(
        "grant_type=client_credentials&client_id={app}&client_secret={secret}&scope=http%3A%2F%2Fgraph.invalid%2F.default"
    );
    let request = Request::post(format!("/{TENANT}/oauth2/v2.0/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    let got = Got::from(entra::router(world.clone()).oneshot(request).await.unwrap()).await;
    got.body["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn over_a_socket_a_token_says_which_app_calls() {
    let world = World::without_sockets().unwrap();
    let graph = router(world.clone());
    let batch = json!({"requests": [step("1", session("Busy", "InACall"))]});
    let send = async |path: &str, body: &Value, token: &str| {
        let mut request = request("POST", path, Some(body));
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        Got::from(graph.clone().oneshot(request).await.unwrap()).await
    };
    let act = format!("/users/{AGENT_ID}/presence/setUserPreferredPresence");
    let busy = json!({"availability": "Busy", "activity": "Busy"});
    for (path, body) in [(act.as_str(), &busy), ("/$batch", &batch)] {
        assert_eq!(send(path, body, "made up").await.refusal(), (401, "InvalidAuthenticationToken"));
    }
    assert_eq!(world.presence_requests(), 0);
    let bridge = token(&world, BRIDGE_APP).await;
    let got = send("/$batch", &batch, &bridge).await;
    assert_eq!(got.inner("1")["status"], 200, "{}", got.body);
    assert!(got.headers.contains_key("request-id"));
    assert_eq!(world.presence_of(AGENT_ID), ("Busy", "InACall"));
    // Another app has its own permissions and its own budget.
    world.set_presence_budget(1, MINUTE);
    let other = token(&world, CALLER_APP).await;
    assert_eq!(send(&act, &busy, &other).await.refusal(), (403, "Forbidden"));
    assert_eq!(send(&act, &busy, &bridge).await.refusal(), (429, "TooManyRequests"));
}
