//! The data actions that are committed: what the contract says, in the form that Genesys Cloud imports.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed test")]

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// The actions with the blueprint's inputs, of which none may become required that was not.
const BLUEPRINTS: [(&str, &[&str]); 3] = [
    ("create-meeting", &["user", "startTime", "endTime", "timeZone"]),
    ("send-sms", &["fromAddress", "toAddress", "toAddressMessengerType", "textBody"]),
    ("update-presence", &["user", "availability", "activity"]),
];

fn committed(name: &str) -> Value {
    let path = generate::folder().join("data-actions").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Those that call the bridge, one for each route that asks for one, by file name without its ending.
fn calling_the_bridge() -> Vec<(String, Value)> {
    let contract = std::fs::read_to_string(generate::folder().join("../openapi.yaml")).unwrap();
    let contract: Value = yaml::from_str(&contract).unwrap();
    let routes = contract["paths"].as_object().unwrap().values();
    let named = routes.filter_map(|route| route["post"]["x-genesys-data-action"].as_str());
    let names: Vec<String> = named.map(|name| name.to_lowercase().replace(' ', "-")).collect();
    assert!(names.len() > 3, "{names:?}");
    names.into_iter().map(|name| (name.clone(), committed(&format!("{name}.custom.json")))).collect()
}

fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_committed_files_are_what_the_contract_says() {
    let files = generate::files().unwrap();
    assert_eq!(generate::differing(&files), Vec::<String>::new());
    let mut made: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
    made.retain(|path| path.starts_with("data-actions"));
    made.sort();
    let listed = std::fs::read_dir(generate::folder().join("data-actions")).unwrap();
    let mut kept: Vec<_> =
        listed.map(|entry| std::path::Path::new("data-actions").join(entry.unwrap().file_name())).collect();
    kept.sort();
    assert_eq!(made, kept, "a file that nothing writes any more");
}

#[test]
fn the_blueprints_inputs_and_output_stay() {
    for (name, inputs) in BLUEPRINTS {
        let action = committed(&format!("{name}.custom.json"));
        let schema = &action["contract"]["input"]["inputSchema"];
        let blueprint: BTreeSet<&str> = inputs.iter().copied().collect();
        assert!(blueprint.is_subset(&names(&schema["properties"])), "{name}");
        let required = schema["required"].as_array().into_iter().flatten();
        let required: BTreeSet<&str> = required.map(|field| field.as_str().unwrap()).collect();
        assert!(required.is_subset(&blueprint), "{name} requires {required:?}");
    }
    let output = &committed("create-meeting.custom.json")["contract"]["output"]["successSchema"];
    assert_eq!(output["properties"]["onlineMeeting"]["properties"]["joinUrl"]["type"], "string");
}

/// What Genesys Cloud makes of an answer in which no path leads anywhere.
fn rendered_with_defaults(action: &Value) -> Value {
    let response = &action["config"]["response"];
    let mut text = response["successTemplate"].as_str().unwrap().to_owned();
    for (name, default) in response["translationMapDefaults"].as_object().unwrap() {
        let reference = format!("${{{name}}}");
        assert!(text.contains(&reference), "the template does not name {name}");
        text = text.replace(&reference, default.as_str().unwrap());
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn assert_fits(place: &str, schema: &Value, value: &Value) {
    let kind = match value {
        Value::Object(_) => "object",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        other => panic!("{place} is {other}"),
    };
    assert_eq!(schema["type"], kind, "{place}");
    if kind == "object" {
        assert_eq!(names(&schema["properties"]), names(value), "{place}");
        for (name, value) in value.as_object().unwrap() {
            assert_fits(&format!("{place}.{name}"), &schema["properties"][name], value);
        }
    }
}

#[test]
fn every_field_of_the_answer_is_mapped_with_a_default_of_its_type() {
    for (name, action) in calling_the_bridge() {
        let response = &action["config"]["response"];
        assert_eq!(names(&response["translationMap"]), names(&response["translationMapDefaults"]), "{name}");
        let rendered = rendered_with_defaults(&action);
        assert_fits(&name, &action["contract"]["output"]["successSchema"], &rendered);
        assert_eq!((&rendered["ok"], &rendered["retryable"]), (&json!(false), &json!(false)), "{name}");
        assert!(rendered["message"].as_str().unwrap().contains("not the bridge's"), "{name}");
    }
}

#[test]
fn the_paths_lead_to_the_fields() {
    for (name, action) in calling_the_bridge() {
        for (variable, path) in action["config"]["response"]["translationMap"].as_object().unwrap() {
            let place = path.as_str().unwrap().strip_prefix("$.").unwrap();
            assert_eq!(variable, &place.replace('.', "_"), "{name}");
            let pointer = format!("/properties/{}", place.replace('.', "/properties/"));
            assert!(action["contract"]["output"]["successSchema"].pointer(&pointer).is_some(), "{name} {place}");
        }
    }
}

#[test]
fn the_contracts_are_of_draft_4_and_hold_nothing_that_changes_with_a_release() {
    for (name, action) in calling_the_bridge() {
        for schema in [&action["contract"]["input"]["inputSchema"], &action["contract"]["output"]["successSchema"]] {
            assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#", "{name}");
            assert!(schema["required"].as_array().is_none_or(|required| !required.is_empty()), "{name}");
            for (field, property) in schema["properties"].as_object().unwrap() {
                let allowed = BTreeSet::from(["type", "description", "properties", "required"]);
                assert!(names(property).is_subset(&allowed), "{name} {field} {property}");
                assert!(!property["description"].as_str().unwrap().is_empty(), "{name} {field}");
            }
        }
    }
}

#[test]
fn genesys_cloud_waits_longer_than_the_function_may_take_and_no_longer_than_it_can() {
    for (name, action) in calling_the_bridge() {
        let seconds = action["config"]["timeoutSeconds"].as_u64().unwrap();
        // 28 in the template; 60 is Genesys Cloud's most.
        assert!((29..=60).contains(&seconds), "{name} {seconds}");
    }
}

#[test]
fn the_token_is_asked_for_with_the_credentials_alone() {
    let action = committed("bridge-token.customAuth.json");
    assert_eq!(action["actionType"], "customAuth");
    assert_eq!(action["contract"]["input"]["inputSchema"]["properties"], json!({}));
    let text = action["config"]["request"].to_string();
    let mut fields: Vec<_> = text.split("${credentials.").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["client_id", "client_secret", "login_url", "scope", "tenant_id"]);
    assert!(action["config"].get("timeoutSeconds").is_none());
}
