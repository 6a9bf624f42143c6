//! `infra/openapi.yaml` is the contract: held here against the code's own requests, answers, codes and roles, and
//! against everything else that repeats a part of it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use bridge::api::{Answer, Route};
use bridge::config::Environment;
use bridge::error::Code;
use bridge::escalation::EscalationFields;
use bridge::fields::{ConversationId, Fields, Kind};
use bridge::meeting::{MeetingFields, MeetingOrder, MeetingSettings};
use bridge::presence::{PresenceFields, PresenceOrder, PresenceSettings};
use bridge::sms::{LinkFrom, SmsFields, SmsOrder, SmsSettings};
use serde_json::{Value, json};

/// The routes that data actions call, with the functions behind them.
const ROUTES: [(&str, Route); 4] = [
    ("/meetings", create_meeting::ROUTE),
    ("/sms", send_sms::ROUTE),
    ("/escalations", escalate::ROUTE),
    ("/presence", update_presence::ROUTE),
];

fn file(path: &str) -> String {
    let path = checkout::root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn contract() -> Value {
    yaml::from_str(&file("infra/openapi.yaml")).unwrap()
}

/// A `$ref`, followed.
fn resolved<'a>(contract: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => contract.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn request_schema<'a>(contract: &'a Value, path: &str) -> &'a Value {
    let body = &contract["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
    resolved(contract, body)
}

/// What the code reads of a request to this route, and whether this one is good.
fn read(path: &str, body: &Value) -> (BTreeMap<&'static str, Kind>, Result<(), String>) {
    let mut env = Environment::of([("DEFAULT_ORGANIZER", "bridge@contoso.com"), ("SMS_FROM", "+13175550100")]);
    let (meetings, messages) = (MeetingSettings::read(&mut env).unwrap(), SmsSettings::read(&mut env).unwrap());
    let now = "2026-05-04T10:00:00Z".parse().unwrap();
    let mut fields = Fields::parse(body.to_string().as_bytes()).unwrap();
    if path == "/presence" {
        let order = PresenceOrder::read(&mut fields, &PresenceSettings::read(&mut env).unwrap()).map(drop);
        let asked = fields.asked().iter().copied().collect();
        return (asked, fields.finish(order).map_err(|error| error.message));
    }
    let id = fields.parsed::<ConversationId>("conversationId");
    let good = match path {
        "/meetings" => MeetingOrder::read(&mut fields, &meetings, id.as_ref(), now).map(drop),
        "/sms" => SmsOrder::read(&mut fields, &messages, LinkFrom::Request).map(drop),
        "/escalations" => {
            let meeting = MeetingOrder::read(&mut fields, &meetings, id.as_ref(), now);
            meeting.zip(SmsOrder::read(&mut fields, &messages, LinkFrom::Meeting)).map(drop)
        }
        other => panic!("{other} is new here"),
    };
    let asked = fields.asked().iter().copied().collect();
    (asked, fields.finish(good).map_err(|error| error.message))
}

/// The routes that data actions call.
fn paths(contract: &Value) -> Vec<String> {
    let all = contract["paths"].as_object().unwrap().iter();
    all.filter(|(_, path)| path["post"].get("security").is_none()).map(|(path, _)| path.clone()).collect()
}

/// The routes that Microsoft Graph calls.
const GRAPH_ROUTES: [&str; 2] = ["/graph/lifecycle", "/graph/notifications"];

#[test]
fn the_routes_of_microsoft_graph_and_no_others_are_open() {
    let contract = contract();
    let all = contract["paths"].as_object().unwrap().iter();
    let open: Vec<_> = all.filter(|(_, path)| path["post"].get("security").is_some()).collect();
    assert_eq!(open.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), GRAPH_ROUTES);
    let envelope = serde_json::to_value(Answer::ok(Code::CREATED, "", json!({}))).unwrap();
    for (path, operation) in open {
        let operation = &operation["post"];
        assert_eq!(operation["security"], json!([]), "{path}");
        for status in ["4XX", "5XX"] {
            let response = resolved(&contract, &operation["responses"][status]);
            let schema = resolved(&contract, &response["content"]["application/json"]["schema"]);
            compare(&contract, &format!("{path} {status}"), schema, &envelope);
        }
        let collection = resolved(&contract, &operation["requestBody"]);
        let collection = resolved(&contract, &collection["content"]["application/json"]["schema"]);
        assert_eq!(collection["properties"]["value"]["maxItems"], bridge::notification::door::collection::MAX_ITEMS);
    }
}

#[test]
fn the_request_fields_are_those_that_the_code_reads() {
    let contract = contract();
    for path in paths(&contract) {
        let (asked, _) = read(&path, &json!({}));
        let properties = request_schema(&contract, &path)["properties"].as_object().unwrap();
        let kind = |schema| resolved(&contract, schema)["type"].as_str().unwrap();
        let documented: BTreeMap<&str, &str> =
            properties.iter().map(|(name, schema)| (name.as_str(), kind(schema))).collect();
        let read = asked.iter().map(|(name, kind)| {
            let kind = match kind {
                Kind::Text => "string",
                Kind::Flag => "boolean",
                Kind::WholeNumber => "integer",
            };
            (*name, kind)
        });
        assert_eq!(documented, read.collect(), "{path}");
    }
}

#[test]
fn the_required_fields_are_those_that_the_code_misses() {
    let contract = contract();
    for path in paths(&contract) {
        let schema = request_schema(&contract, &path);
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
        let full = match path.as_str() {
            "/presence" => json!({"userId": "7a3b0c5e-1d2f-4e6a-8b9c-0a1b2c3d4e5f", "systemPresence": "Busy"}),
            _ => json!({"toAddress": "+447700900123", "conversationId": "c", "textBody": "Hello"}),
        };
        assert_eq!(read(&path, &full).1, Ok(()), "{path}");
        // Of these, one of several will do, or it is the handler's own rule, which is pinned in its tests.
        let otherwise = ["conversationId", "textBody", "userId", "systemPresence"];
        for name in full.as_object().unwrap().keys().filter(|name| !otherwise.contains(&name.as_str())) {
            let mut without = full.clone();
            without.as_object_mut().unwrap().remove(name);
            let complaint = read(&path, &without).1.err().unwrap_or_default();
            let missed = complaint.contains(&format!("`{name}`: required"));
            assert_eq!(missed, required.contains(name.as_str()), "{path} {name}: {complaint}");
        }
    }
}

#[test]
fn the_examples_are_good_requests() {
    let contract = contract();
    for path in paths(&contract) {
        let content = &contract["paths"][&path]["post"]["requestBody"]["content"]["application/json"];
        for (name, example) in content["examples"].as_object().unwrap() {
            let (asked, good) = read(&path, &example["value"]);
            assert_eq!(good, Ok(()), "{path} {name}");
            for field in example["value"].as_object().unwrap().keys() {
                assert!(asked.contains_key(field.as_str()), "{path} {name} {field}");
            }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Object(_) => "object",
        other => panic!("an answer never holds {other}"),
    }
}

#[test]
fn the_answer_fields_are_those_that_the_code_gives_all_of_them_always() {
    let contract = contract();
    let ok = |fields| serde_json::to_value(Answer::ok(Code::CREATED, "", fields)).unwrap();
    let answers = [
        ("/meetings", ok(serde_json::to_value(MeetingFields::default()).unwrap())),
        ("/sms", ok(serde_json::to_value(SmsFields::default()).unwrap())),
        ("/escalations", ok(serde_json::to_value(EscalationFields::default()).unwrap())),
        ("/presence", ok(serde_json::to_value(PresenceFields::default()).unwrap())),
    ];
    for (path, answer) in &answers {
        for status in ["200", "4XX", "5XX"] {
            let response = resolved(&contract, &contract["paths"][path]["post"]["responses"][status]);
            let schema = resolved(&contract, &response["content"]["application/json"]["schema"]);
            compare(&contract, &format!("{path} {status}"), schema, answer);
        }
    }
    assert_eq!(answers.len(), paths(&contract).len());
}

fn compare(contract: &Value, place: &str, schema: &Value, value: &Value) {
    let names: BTreeSet<_> = value.as_object().unwrap().keys().collect();
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<BTreeSet<_>>(), names, "{place}");
    let required = schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    assert_eq!(required.collect::<BTreeSet<_>>(), names.iter().map(|name| name.as_str()).collect(), "{place}");
    for (name, value) in value.as_object().unwrap() {
        let schema = resolved(contract, &schema["properties"][name]);
        assert_eq!(schema["type"], kind(value), "{place} {name}");
        if value.is_object() {
            compare(contract, &format!("{place} {name}"), schema, value);
        }
    }
}

#[test]
fn the_codes_are_those_of_the_code_here_and_in_the_reference() {
    let contract = contract();
    let documented: Vec<_> = contract["components"]["schemas"]["Code"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c.as_str().unwrap())
        .collect();
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.text()).collect();
    assert_eq!(documented, codes);

    let page = file("docs/reference/codes.md");
    let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | ")).collect();
    for code in Code::ALL {
        let status = code.status().to_string();
        let row = rows.iter().find(|(name, rest)| *name == code.text() && rest.starts_with(&status));
        assert!(row.is_some(), "the table of codes lacks {code} with status {status}");
    }
    let told: Vec<_> = rows.iter().map(|(name, _)| *name).filter(|name| *name != "code").collect();
    assert_eq!(told, codes, "the table has the order of the code");
}

#[test]
fn the_roles_are_those_of_the_contract_and_of_the_reference() {
    let contract = contract();
    let pages = ["docs/reference/routes.md", "docs/reference/permissions.md"].map(file);
    for (path, route) in ROUTES {
        let description = contract["paths"][path]["post"]["description"].as_str().unwrap();
        for role in route.roles {
            assert!(description.contains(&format!("`{role}`")), "{path} {role}");
            assert!(pages.iter().all(|page| page.contains(&format!("`{role}`"))), "{role} is not in the reference");
        }
    }
}

#[test]
fn cargo_lambda_watch_serves_the_same_routes() {
    let manifest: toml::Table = file("Cargo.toml").parse().unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    let routed: BTreeMap<_, _> = router
        .iter()
        .map(|(path, targets)| {
            let target = &targets.as_array().unwrap()[0];
            assert_eq!(target["method"].as_str(), Some("POST"));
            (path.clone(), target["function"].as_str().unwrap())
        })
        .collect();
    let expected = BTreeMap::from([
        ("/meetings".to_owned(), "create-meeting"),
        ("/sms".to_owned(), "send-sms"),
        ("/escalations".to_owned(), "escalate"),
        ("/presence".to_owned(), "update-presence"),
        ("/graph/notifications".to_owned(), "graph-webhook"),
        ("/graph/lifecycle".to_owned(), "graph-webhook"),
    ]);
    assert_eq!(routed, expected);
    let documented = contract()["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(routed.into_keys().collect::<BTreeSet<_>>(), documented);
}

#[test]
fn every_function_has_an_event_for_its_own_route() {
    for (path, route) in ROUTES {
        // Round-tripped: the file is what AWS's own event type understands, and nothing is lost on the way.
        let text = file(&format!("tests/events/{}.json", route.function));
        let event: ApiGatewayV2httpRequest = serde_json::from_str(&text).unwrap();
        assert_eq!(event.raw_path.as_deref(), Some(path));
        let (sent, understood): (Value, Value) =
            (serde_json::from_str(&text).unwrap(), serde_json::to_value(&event).unwrap());
        for name in ["rawPath", "routeKey", "body", "isBase64Encoded", "version"] {
            assert_eq!(sent[name], understood[name], "{name}");
        }
        let claims = "/requestContext/authorizer/jwt/claims";
        assert_eq!(sent.pointer(claims), understood.pointer(claims));
        // The edge's lean type reads the same of it.
        let lean = end_to_end::event(route.function, None);
        assert_eq!((&lean.body, &lean.request_context.request_id), (&event.body, &event.request_context.request_id));
        let correlation_id = event.headers["inin-correlation-id"].to_str().unwrap();
        assert_eq!(lean.headers.genesys_correlation_id.as_deref(), Some(correlation_id));
        let roles = lean.request_context.authorizer.unwrap().jwt.unwrap().claims.roles;
        assert_eq!(roles.as_ref(), event.request_context.authorizer.unwrap().jwt.unwrap().claims.get("roles"));
        let body = serde_json::from_str(lean.body.as_deref().unwrap()).unwrap();
        assert_eq!(read(path, &body).1, Ok(()), "{}", route.function);
    }
}
