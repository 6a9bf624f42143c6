//! The callers of the API: who is let in, and how a caller's mistake is answered.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use sandbox::stand_ins::{AGENT_ID, CALLER_APP};
use serde_json::json;

use crate::{alone, beside_others, click, conversation, number, post};

#[test]
fn the_door_is_closed_to_everybody_without_the_right_token() {
    beside_others(async |sandbox| {
        let body = click(&conversation(), &number()).to_string();
        let unsigned = "eyJhbGciOiJub25lIn0.eyJyb2xlcyI6WyJTbXMuU2VuZCJdfQ.";
        for token in [None, Some("nonsense"), Some(unsigned)] {
            assert_eq!(sandbox.post("/escalations", token, body.clone()).await.unwrap().status, 401, "{token:?}");
        }
        // A good signature over other claims is no good signature.
        let token = sandbox.caller_token().await.unwrap();
        let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        let claims = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(&parts[1]).unwrap()).unwrap();
        parts[1] = BASE64_URL_SAFE_NO_PAD.encode(claims.replace("Sms.Send", "Sms.Sent"));
        assert_eq!(sandbox.post("/sms", Some(&parts.join(".")), body).await.unwrap().status, 401);
    });
}

#[test]
fn each_route_needs_its_own_role() {
    alone(async |sandbox| {
        let roles = |roles: &[&str]| {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            sandbox.world.directory().apps.get_mut(CALLER_APP).unwrap().roles = roles;
        };
        for (granted, route, status) in [
            (["Meetings.Create"].as_slice(), "/meetings", 200),
            (&["Meetings.Create"], "/sms", 403),
            (&["Meetings.Create"], "/escalations", 403),
            (&["Sms.Send"], "/meetings", 403),
            (&["Sms.Send"], "/sms", 200),
            (&[], "/meetings", 403),
            (&["Meetings.Create", "Sms.Send"], "/presence", 403),
            (&["Presence.Write"], "/presence", 200),
        ] {
            roles(granted);
            let mut body = click(&conversation(), &number());
            body["textBody"] = json!("Hello");
            body["systemPresence"] = json!("On Queue");
            let answer = post(sandbox, route, &body).await;
            assert_eq!(answer.status, status, "{granted:?} {route} {}", answer.body);
            assert_eq!(answer.text("code") == "roleMissing", status == 403);
        }
        roles(&["Meetings.Create", "Sms.Send", "Presence.Write"]);
    });
}

#[test]
fn a_caller_s_mistake_is_4xx_with_the_envelope() {
    beside_others(async |sandbox| {
        let token = sandbox.caller_token().await.unwrap();
        for (body, status, code) in [
            ("{", 400, "malformedJson".to_owned()),
            ("{}", 400, "invalidField".to_owned()),
            (&"x".repeat(70_000), 413, "bodyTooLarge".to_owned()),
        ] {
            let answer = sandbox.post("/escalations", Some(&token), body).await.unwrap();
            assert_eq!((answer.status, answer.text("code")), (status, code.as_str()));
            assert!(!answer.text("requestId").is_empty() && !answer.ok());
        }
        let bad_time =
            json!({"user": AGENT_ID, "startTime": "2020-05-4T18:00:00", "timeZone": "Pacific Standard Time"});
        let answer = post(sandbox, "/meetings", &bad_time).await;
        assert!(answer.status == 400 && answer.text("message").contains("`startTime`"), "{}", answer.body);
    });
}
