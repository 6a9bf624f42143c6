//! The script that is committed: every reference in it leads somewhere, and it does what it promises.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use generate::OrgValue;
use generate::script::escalate_to_teams::ACTION_ID;
use serde_json::{Value, json};

fn committed(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(generate::folder().join(path)).unwrap()).unwrap()
}

fn script() -> Value {
    committed("escalate-to-teams.script")
}

/// Every object within, itself included.
fn objects(value: &Value) -> Vec<&Value> {
    let inner: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    let this = value.is_object().then_some(value);
    this.into_iter().chain(inner.into_iter().flat_map(objects)).collect()
}

/// The values of a type: `{"typeName": kind, "value": …}`.
fn of_type<'a>(value: &'a Value, kind: &str) -> Vec<&'a Value> {
    let typed = objects(value).into_iter().filter(|object| object["typeName"] == kind);
    typed.filter_map(|object| object.get("value")).collect()
}

/// The types of the variables, by their ids.
fn variables(script: &Value) -> BTreeMap<String, String> {
    let all = script["variables"].as_array().unwrap().iter();
    let of = |variable: &Value| {
        (variable["id"].as_str().unwrap().to_owned(), variable["type"]["name"].as_str().unwrap().to_owned())
    };
    all.map(of).collect()
}

/// What a text refers to in double braces.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap())
}

/// Genesys Cloud's own variables, as far as exports show how their names are spelled.
const BUILT_IN: [&str; 4] =
    ["scripter.agentEmail", "scripter.agentName", "scripter.customersFormattedNumber", "scripter.interactionId"];

fn custom_action<'a>(script: &'a Value, name: &str) -> &'a Value {
    let mut all = script["customActions"].as_array().unwrap().iter();
    &all.find(|action| action["name"] == name).unwrap()["action"]["block"]
}

fn component<'a>(script: &'a Value, label: &str) -> &'a Value {
    let children = script["pages"][0]["rootContainer"]["children"].as_array().unwrap().iter();
    children.map(|child| &child["properties"]).find(|properties| properties["text"]["value"] == label).unwrap()
}

/// The call of the data action in what a button does.
fn call<'a>(script: &'a Value, button: &str) -> &'a Value {
    let calls = of_type(custom_action(script, button), "bridgeActionArguments");
    assert_eq!(calls.len(), 1);
    calls[0]
}

const CALLS: [&str; 2] = ["Escalate to Teams", "Send the text message again"];

/// What each step of a button does, in a word or two.
fn steps(script: &Value, button: &str) -> Vec<String> {
    custom_action(script, button).as_array().unwrap().iter().map(|step| told(script, step)).collect()
}

#[test]
fn every_variable_that_is_referred_to_is_there() {
    let script = script();
    let known = variables(&script);
    let is_known = |id: &str| known.contains_key(id) || BUILT_IN.contains(&id);
    for reference in of_type(&script, "variable") {
        assert!(is_known(reference.as_str().unwrap()), "{reference}");
    }
    let texts = of_type(&script, "interpolatedText");
    assert!(texts.len() > 10);
    for text in texts {
        for id in references(text.as_str().unwrap()) {
            assert!(is_known(id), "{id} in {text}");
        }
    }
    // None is there for nothing: it is named where it is defined, and somewhere else.
    let text = script.to_string();
    for id in known.keys() {
        assert!(text.matches(id.as_str()).count() > 1, "{id}");
    }
}

#[test]
fn what_shows_hides_or_disables_is_a_flag() {
    let script = script();
    let known = variables(&script);
    let mut conditions = 0;
    for object in objects(&script["pages"]) {
        for condition in ["visible", "disabled"].iter().filter_map(|name| object.get(*name)?.get("value")) {
            assert_eq!(known[condition.as_str().unwrap()], "boolean");
            conditions += 1;
        }
    }
    assert_eq!(conditions, 13);
    for setting in of_type(&script, "variableWithValue") {
        let kind = &known[setting["variable"]["value"].as_str().unwrap()];
        assert_eq!(setting["variableTypeName"], **kind);
        let value = &setting["valueOfVariableProperty"]["typeName"];
        assert_eq!(value, if kind == "boolean" { "boolean" } else { "interpolatedText" });
    }
}

#[test]
fn every_button_does_something_that_is_there() {
    let script = script();
    let actions: BTreeSet<_> =
        script["customActions"].as_array().unwrap().iter().map(|action| action["id"].as_str().unwrap()).collect();
    let clicked = objects(&script["pages"]).into_iter().filter_map(|object| object.get("clickAction"));
    let clicked: BTreeSet<_> = clicked.map(|click| click["value"]["actionName"].as_str().unwrap()).collect();
    assert_eq!(clicked, actions);
}

#[test]
fn pages_and_ids_fit_together() {
    let script = script();
    let page = &script["pages"][0];
    assert_eq!(script["startPageId"], page["id"]);
    assert_eq!((&page["scriptId"], &page["versionId"]), (&script["id"], &script["versionId"]));
    assert_eq!(script["features"]["bridge"]["properties"]["enabled"], json!({"typeName": "boolean", "value": true}));
    let ids: Vec<_> = [&script["variables"], &script["customActions"], &script["pages"]]
        .into_iter()
        .flat_map(|list| list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()))
        .collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

#[test]
fn the_data_action_has_the_fields_that_are_sent_and_shown() {
    let (script, action) = (script(), committed("data-actions/escalate-to-teams.custom.json"));
    let known = variables(&script);
    let input = &action["contract"]["input"]["inputSchema"];
    let output = &action["contract"]["output"]["successSchema"]["properties"];
    let mut both = Vec::new();
    for button in CALLS {
        let call = call(&script, button);
        let sent = call["inputProperty"]["value"]["fieldProperties"].as_object().unwrap();
        for (name, value) in sent {
            let kind = if value["typeName"] == "boolean" { "boolean" } else { "string" };
            assert_eq!(input["properties"][name]["type"], kind, "{name}");
        }
        for name in input["required"].as_array().unwrap() {
            assert!(sent.contains_key(name.as_str().unwrap()), "{name}");
        }
        assert_eq!(sent["user"]["value"], "{{scripter.agentEmail}}");
        assert_eq!(sent["agentName"]["value"], "{{scripter.agentName}}");
        assert_eq!(sent["conversationId"]["value"], "scripter.interactionId");
        let shown = |field: &str| {
            let id = references(sent[field]["value"].as_str().unwrap()).next().unwrap();
            name(&script, &json!(id)).to_owned()
        };
        assert_eq!(["toAddress", "startTime", "timeZone"].map(shown), ["recipient", "date", "timeZone"]);
        for (name, variable) in call["successProperty"]["value"]["fieldProperties"].as_object().unwrap() {
            assert_eq!(output[name]["type"], *known[variable["value"].as_str().unwrap()], "{name}");
        }
        both.push(sent);
    }
    // The second button asks for the same, and for the text message once more.
    let mut again = both[1].clone();
    assert_eq!(again.remove("resend"), Some(json!({"typeName": "boolean", "value": true})));
    assert_eq!(&again, both[0]);
}

#[test]
fn queues_call_flows_and_campaigns_can_select_it_and_what_came_of_it_stays_on_the_interaction() {
    let script = script();
    let on = |feature: &str| script["features"][feature]["properties"]["enabled"]["value"] == true;
    assert!(["scripter", "bridge", "screenPop", "callback", "message", "dialer"].into_iter().all(on));
    let named = |flag: &str| {
        let all = script["variables"].as_array().unwrap().iter().filter(|variable| variable[flag] == true);
        all.map(|variable| variable["name"].as_str().unwrap()).collect::<BTreeSet<_>>()
    };
    assert_eq!(named("output"), BTreeSet::from(["code", "joinUrl", "meetingId"]));
    assert_eq!(named("input"), BTreeSet::from(["date", "number", "timeZone"]));
}

/// What a step does, in a word or two.
fn told(script: &Value, step: &Value) -> String {
    if step["type"] == "if" {
        let condition = &step["condition"];
        assert_eq!((&condition["operator"], &condition["rightHandSide"]["value"]), (&json!("notEqual"), &json!("")));
        let inner: Vec<_> = step["ifBlock"].as_array().unwrap().iter().map(|step| told(script, step)).collect();
        return format!("if {}: {}", name(script, &condition["leftHandSide"]["value"]), inner.join(", "));
    }
    let argument = &step["actionArgumentValues"][0]["value"];
    match step["actionName"].as_str().unwrap() {
        "scripter.setVariable" => {
            let value = &argument["valueOfVariableProperty"]["value"];
            format!("{} = {value}", name(script, &argument["variable"]["value"]))
        }
        "scripter.webPage" => {
            let id = references(argument.as_str().unwrap()).next().unwrap();
            format!("open {}", name(script, &json!(id)))
        }
        other => other.to_owned(),
    }
}

fn name<'a>(script: &'a Value, id: &Value) -> &'a str {
    let mut all = script["variables"].as_array().unwrap().iter();
    all.find(|variable| variable["id"] == *id).unwrap()["name"].as_str().unwrap()
}

#[test]
fn a_click_is_busy_says_what_a_failure_means_beforehand_and_opens_only_what_is_there() {
    let script = script();
    for button in CALLS {
        let told = steps(&script, button);
        let at = |start: &str| told.iter().position(|step| step.starts_with(start)).unwrap();
        let asked = at("bridge.bridge");
        for before in [
            "working = true",
            "done = false",
            "linked = false",
            "message = \"No answer",
            "joinUrl = \"\"",
            "meetingId = \"\"",
            "recipient = \"{{scripter.customersFormattedNumber}}\"",
            "if number: recipient = ",
        ] {
            assert!(at(before) < asked, "{before}");
        }
        assert_eq!(told[asked + 1..asked + 3], ["working = false", "done = true"]);
        let links: Vec<_> = told[asked + 3..].iter().map(|step| step.split(", opens").next().unwrap()).collect();
        // A meeting that is not now is not entered now.
        let expected: &[&str] = match button {
            "Escalate to Teams" => {
                &["opens = \"\"", "if joinUrl: linked = true", "if date: opens = \"\"", "if opens: open opens"]
            }
            _ => &["if joinUrl: linked = true"],
        };
        assert_eq!(links, expected);
    }
}

#[test]
fn the_text_message_is_sent_again_by_a_button_of_its_own_that_says_when() {
    let script = script();
    let button = component(&script, "Send the text message again");
    let shown_and_disabled = ["visible", "disabled"].map(|name_of| name(&script, &button[name_of]["value"]));
    assert_eq!(shown_and_disabled, ["linked", "working"]);
    let children = script["pages"][0]["rootContainer"]["children"].as_array().unwrap().iter();
    let texts: Vec<_> = children.filter_map(|child| child["properties"]["text"]["value"].as_str()).collect();
    let at = texts.iter().position(|text| *text == "Send the text message again").unwrap();
    assert!(texts[at - 1].starts_with("Only when the customer"), "{}", texts[at - 1]);
}

#[test]
fn the_button_is_busy_while_it_works_and_the_agent_can_always_get_it_back() {
    let script = script();
    let button = component(&script, "Escalate to Teams");
    assert_eq!(name(&script, &button["disabled"]["value"]), "working");
    let way_out = component(&script, "Stop waiting");
    assert_eq!(name(&script, &way_out["visible"]["value"]), "working");
    assert!(way_out["disabled"].get("value").is_none());
    assert_eq!(steps(&script, "Stop waiting"), ["working = false", "done = true"]);
}

/// What Terraform's provider does with `substitutions`.
#[test]
fn the_id_of_the_data_action_is_the_one_thing_to_fill_in() {
    let text = std::fs::read_to_string(generate::folder().join("escalate-to-teams.script")).unwrap();
    assert_eq!(text.matches(ACTION_ID).count(), CALLS.len());
    assert!(CALLS.iter().all(|button| call(&script(), button)["actionName"] == ACTION_ID));
    let name = ACTION_ID.trim_matches(['{', '}']);
    assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
}

#[test]
fn copies_for_an_import_by_hand_have_nothing_left_to_fill_in() {
    for id in ["custom_-_2c0f0689-8133-4886-89c9-d971a7036b6f", "2C0F0689-8133-4886-89c9-d971a7036b6f"] {
        let copies = generate::filled(generate::files().unwrap(), &OrgValue::ActionId(id.into())).unwrap();
        let [script] = copies.as_slice() else { unreachable!("there is one script") };
        let filled: Value = serde_json::from_str(&script.text).unwrap();
        for button in CALLS {
            assert_eq!(call(&filled, button)["actionName"], "custom_-_2c0f0689-8133-4886-89c9-d971a7036b6f");
        }
        assert!(!script.text.contains("action_id"));
    }

    let url = "https://abc123.execute-api.eu-central-1.amazonaws.com/";
    let copies = generate::filled(generate::files().unwrap(), &OrgValue::BridgeUrl(url.into())).unwrap();
    // All but the script, which calls the bridge through an action.
    assert_eq!(copies.len(), generate::files().unwrap().len() - 1);
    assert!(copies.iter().all(|file| !file.text.contains(".invalid")));
    assert!(copies.iter().any(|file| file.text.contains("amazonaws.com/escalations\"")));

    for bad in ["http://bridge", "bridge.example.com", "https://x/\",\"", "https://${input.x}"] {
        generate::filled(generate::files().unwrap(), &OrgValue::BridgeUrl(bad.into())).unwrap_err();
    }
    generate::filled(generate::files().unwrap(), &OrgValue::ActionId("custom_-_2c0f".into())).unwrap_err();
}
