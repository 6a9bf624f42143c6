//! What the tests share: one engine for each test program, and a bridge that answers what it is told to.

#![allow(dead_code, reason = "not every test program uses all of it")]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use data_action_runner::{Action, Engine, Execution, Failure, Integration};
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// The engine of all tests, started once.
pub(crate) static ENGINE: LazyLock<Arc<Engine>> =
    LazyLock::new(|| Arc::new(Engine::start(|what| println!("{what}")).unwrap()));

/// Everything that has ever broken a template, JSON or a URL.
pub(crate) const NASTY: &str =
    "O'Neill \"Q\" \\ / \n\r\t $ # ${input.user} $!x #set($a = 1) #if(true) $esc.x ü 😀 \u{0} \u{2028} %20+&=?";

/// A secret that would break a form, too.
pub(crate) const SECRET: &str = "s3cr+t&/=\"~ $x";

/// A server with a token endpoint that numbers its tokens, and with `/meetings`, which answers these in turn.
pub(crate) async fn server(answers: Vec<ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    let tokens = std::sync::atomic::AtomicUsize::new(1);
    let token = move |_: &Request| {
        let number = tokens.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        ResponseTemplate::new(200).set_body_json(json!({"access_token": format!("t{number}"), "expires_in": 3599}))
    };
    Mock::given(path("/token")).respond_with(token).mount(&server).await;
    for answer in answers {
        Mock::given(path("/meetings")).respond_with(answer).up_to_n_times(1).mount(&server).await;
    }
    server
}

/// The requests that `/meetings` got.
pub(crate) async fn requests(server: &MockServer) -> Vec<Request> {
    let all = server.received_requests().await.unwrap();
    all.into_iter().filter(|request| request.url.path() == "/meetings").collect()
}

/// How many tokens were asked for.
pub(crate) async fn token_requests(server: &MockServer) -> usize {
    let all = server.received_requests().await.unwrap();
    all.iter().filter(|request| request.url.path() == "/token").count()
}

/// An integration whose customAuth action asks that server.
pub(crate) fn integration(server: &MockServer) -> Integration {
    let auth = json!({
        "name": "Token", "integrationType": "custom-rest-actions", "actionType": "customAuth",
        "config": {
            "request": {
                "requestUrlTemplate": "${credentials.login}/token", "requestType": "POST",
                "headers": {"Content-Type": "application/x-www-form-urlencoded", "Transfer-Encoding": "buffered"},
                "requestTemplate": "grant_type=client_credentials&client_secret=$esc.url(${credentials.secret})",
            },
            "response": {"translationMap": {}, "translationMapDefaults": {}, "successTemplate": "${rawResult}"},
        },
        "contract": {"input": {"inputSchema": {"type": "object", "properties": {}}}, "output": {}},
    });
    let credentials = BTreeMap::from([("login".to_owned(), server.uri()), ("secret".to_owned(), SECRET.to_owned())]);
    Integration::new(ENGINE.clone(), credentials, Some(serde_json::from_value(auth).unwrap())).unwrap()
}

/// An action on `/meetings` of that server, with something about it changed.
pub(crate) fn action(server: &MockServer, change: impl FnOnce(&mut Value)) -> Action {
    let mut action = json!({
        "name": "Create meeting", "integrationType": "custom-rest-actions", "actionType": "custom",
        "config": {
            "request": {
                "requestUrlTemplate": format!("{}/meetings", server.uri()), "requestType": "POST",
                "headers": {"Content-Type": "application/json", "Authorization": "Bearer ${authResponse.access_token}"},
                "requestTemplate": "${input.rawRequest}",
            },
            "response": {
                "translationMap": {"ok": "$.ok", "joinUrl": "$.joinUrl"},
                "translationMapDefaults": {"ok": "false", "joinUrl": "\"\""},
                "successTemplate": "{\"ok\": ${ok}, \"joinUrl\": ${joinUrl}}",
            },
            "timeoutSeconds": 5,
        },
        "contract": {
            "input": {"inputSchema": {
                "$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "required": ["user"],
                "properties": {"user": {"type": "string"}}, "additionalProperties": true,
            }},
            "output": {"successSchema": {
                "$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "required": ["ok", "joinUrl"],
                "properties": {"ok": {"type": "boolean"}, "joinUrl": {"type": "string"}},
            }},
        },
        "secure": false,
    });
    change(&mut action);
    serde_json::from_value(action).unwrap()
}

/// An answer that the action accepts.
pub(crate) fn good() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"ok": true, "joinUrl": "https://teams.microsoft.com/l/1"}))
}

/// An input that the action accepts.
pub(crate) fn input() -> Value {
    json!({"user": "kim@contoso.com"})
}

/// The failure of an execution that must fail.
pub(crate) fn failure(execution: Execution) -> (Failure, String) {
    let trace = execution.trace.to_string();
    match execution.outcome {
        Err(failure) => (failure, trace),
        Ok(output) => panic!("it did not fail but gave {output}"),
    }
}
