//! The log lines of the deployed functions.

use sandbox::stand_ins::AGENT_ID;
use serde_json::json;

use crate::{alone, conversation, number, post, text, works};

#[test]
fn the_deployed_functions_log_nothing_secret_and_nothing_personal() {
    alone(async |sandbox| {
        assert!(works(sandbox).await);
        let world = &sandbox.world;
        let mut secrets = world.tokens();
        secrets.extend(world.directory().apps.values().flat_map(|app| app.secrets.clone()));
        secrets.push(world.directory().genesys_secret.clone());
        for function in ["create-meeting", "send-sms", "escalate"] {
            post(sandbox, "/meetings", &json!({"user": AGENT_ID})).await;
            text(sandbox, &conversation(), &number(), false).await;
            let log = sandbox.cloud.logs(function).await.unwrap();
            assert!(log.contains("\"_aws\"") && log.contains("\"level\":\"DEBUG\""), "{function} logs at TRACE");
            let forbidden = ["7700900", "meetup-join", "eyJ", "invites you"];
            let needles = forbidden.into_iter().chain(secrets.iter().map(String::as_str));
            let leaked: Vec<_> = needles.filter(|needle| log.contains(needle)).collect();
            assert!(leaked.is_empty(), "{function} leaks {leaked:?}");
        }
    });
}
