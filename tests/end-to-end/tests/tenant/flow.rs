//! The workflow that takes a presence to the bridge, and the trigger that starts it.

use std::collections::{BTreeMap, BTreeSet};

use sandbox::genesys_event::GenesysEvent;
use serde_json::Value;

use super::{data_actions, file, json, names, yaml};

const FLOW: &str = "infra/genesys/flows/teams-presence.yaml";
const TRIGGER: &str = "infra/genesys/flows/teams-presence.trigger.json";

/// The outputs of a data action that failed in Architect.
const FAILURE_OUTPUTS: [&str; 13] = [
    "errorCode",
    "status",
    "correlationId",
    "entityId",
    "entityName",
    "userMessage",
    "userParamsMessage",
    "userParams.key",
    "userParams.value",
    "details.errorCode",
    "details.fieldName",
    "details.entityId",
    "details.entityName",
];

/// Every value of this key, however deep.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == key {
                    found.push(field);
                }
                all(field, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, key, found)),
        _ => {}
    }
}

fn found<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    let mut values = Vec::new();
    all(value, key, &mut values);
    values
}

/// The one entry of an object.
fn only(value: &Value) -> (&str, &Value) {
    let fields = value.as_object().unwrap();
    assert_eq!(fields.len(), 1, "{value}");
    let (name, field) = fields.iter().next().unwrap();
    (name, field)
}

/// The declared variables, with their types as Archy names them.
fn variables(flow: &Value) -> BTreeMap<&str, (&str, &Value)> {
    let lists = found(flow, "variables").into_iter().flat_map(|list| list.as_array().unwrap());
    lists.map(only).map(|(kind, variable)| (variable["name"].as_str().unwrap(), (kind, variable))).collect()
}

/// `Flow.jsonData.id` in an expression or a binding.
fn references(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || "._".contains(c)));
    words.filter(|word| word.starts_with("Flow.") || word.starts_with("State.")).collect()
}

#[test]
fn the_workflow_calls_a_data_action_that_exists_with_fields_that_it_has() {
    let flow = yaml(FLOW);
    let declared = variables(&flow);
    let calls = found(&flow, "callData");
    assert!(!calls.is_empty());
    for call in calls {
        let (category, actions) = only(&call["category"]);
        assert_eq!(category, "Teams Bridge", "the integration's name");
        let (name, bindings) = only(&actions["dataAction"]);
        let actions = data_actions();
        let action = actions.values().find(|action| action["name"] == name).unwrap_or_else(|| panic!("no {name}"));

        let (input, output) =
            (&action["contract"]["input"]["inputSchema"], &action["contract"]["output"]["successSchema"]);
        let given = names(&bindings["inputs"]);
        assert!(given.is_subset(&names(&input["properties"])), "{name} has no input {given:?}");
        let required: BTreeSet<&str> =
            input["required"].as_array().into_iter().flatten().map(|field| field.as_str().unwrap()).collect();
        assert!(required.is_subset(&given), "{name} needs {required:?}");
        for (input, value) in bindings["inputs"].as_object().unwrap() {
            assert!(value["exp"].is_string(), "{input} is not given a value");
        }

        // An output that is bound to nothing is a decision that never holds.
        for (output_name, binding) in bindings["successOutputs"].as_object().unwrap() {
            let kind = output["properties"][output_name]["type"].as_str().unwrap_or_else(|| panic!("no {output_name}"));
            let variable = binding["var"].as_str().unwrap_or_else(|| panic!("{output_name} is bound to nothing"));
            assert_eq!(declared[variable].0, format!("{kind}Variable"), "{variable}");
        }
        assert!(
            ["ok", "code", "message", "requestId"].iter().all(|name| bindings["successOutputs"].get(name).is_some())
        );
        for (output, binding) in bindings["failureOutputs"].as_object().unwrap() {
            assert!(FAILURE_OUTPUTS.contains(&output.as_str()), "{output}");
            assert!(declared.contains_key(binding["var"].as_str().unwrap()), "{output} is bound to nothing");
        }
        assert!(!bindings["failureOutputs"].as_object().unwrap().is_empty());
        assert_eq!(names(&call["outputs"]), BTreeSet::from(["failure", "success", "timeout"]));
    }
}

#[test]
fn every_way_through_the_workflow_ends_with_a_reason() {
    /// Whether the last of these actions ends the workflow with a reason, on each of its ways.
    fn ends(actions: &Value) -> bool {
        let last = actions.as_array().and_then(|actions| actions.last());
        let Some((kind, action)) = last.map(only) else { return false };
        match kind {
            "endWorkflow" => action["exitReason"]["exp"].is_string() || action["exitReason"]["lit"].is_string(),
            _ => action["outputs"].as_object().is_some_and(|outputs| outputs.values().all(|way| ends(&way["actions"]))),
        }
    }
    let flow = yaml(FLOW);
    for decision in found(&flow, "decision") {
        assert_eq!(names(&decision["outputs"]), BTreeSet::from(["no", "yes"]), "{}", decision["name"]);
    }
    let states = found(&flow, "state");
    assert!(!states.is_empty());
    assert!(states.iter().all(|state| ends(&state["actions"])), "a way that ends nowhere, or without a reason");
    let start = format!("/workflow/states/state[{}]", states[0]["refId"].as_str().unwrap());
    assert_eq!(flow["workflow"]["startUpRef"], start);
}

#[test]
fn variables_are_declared_once_and_used() {
    let flow = yaml(FLOW);
    let declared = variables(&flow);
    let lists = found(&flow, "variables").into_iter().map(|list| list.as_array().unwrap().len());
    assert_eq!(lists.sum::<usize>(), declared.len(), "a variable is declared twice");
    let texts = ["exp", "var", "variable"].map(|key| found(&flow, key)).concat();
    let used: BTreeSet<String> = texts
        .iter()
        .flat_map(|text| references(text.as_str().unwrap()))
        .map(|reference| reference.split('.').take(2).collect::<Vec<_>>().join("."))
        .collect();
    assert_eq!(used, declared.keys().map(|name| (*name).to_owned()).collect());
}

#[test]
fn the_trigger_starts_it_with_an_event_in_which_it_finds_what_it_needs() {
    let (flow, trigger) = (yaml(FLOW), json(TRIGGER));
    assert_eq!(trigger["target"]["type"], "Workflow");
    assert_eq!(trigger["name"], flow["workflow"]["name"]);
    // As JSON, the whole event is in the one input that has this name and this type.
    assert_eq!(trigger["target"]["workflowTargetSettings"]["dataFormat"], "Json");
    let inputs: Vec<_> =
        variables(&flow).into_iter().filter(|(_, (_, variable))| variable["isInput"] == true).collect();
    assert_eq!(
        inputs.iter().map(|(name, (kind, _))| (*name, *kind)).collect::<Vec<_>>(),
        [("Flow.jsonData", "jsonVariable")]
    );

    // What has waited for longer may be overtaken, and Genesys Cloud takes no fewer than ten seconds.
    let ttl = trigger["eventTTLSeconds"].as_u64().unwrap();
    assert!((10..=300).contains(&ttl), "{ttl}");
    assert!(file("infra/genesys/terraform/presence.tf").contains("event_ttl_seconds = local.trigger.eventTTLSeconds"));

    let (user, at) = ("7a3b0c5e-1d2f-4e6a-8b9c-0a1b2c3d4e5f", "2026-05-04T10:00:00.000Z");
    let event = GenesysEvent::activity(user, "ON_QUEUE", at, at);
    assert_eq!(trigger["topicName"], event.detail_type);
    let expressions = found(&flow, "exp");
    let read = expressions.iter().flat_map(|text| references(text.as_str().unwrap()));
    let pointers: Vec<String> =
        read.filter_map(|name| name.strip_prefix("Flow.jsonData.")).map(|name| name.replace('.', "/")).collect();
    assert!(!pointers.is_empty());
    for pointer in pointers {
        let value = event.detail["eventBody"].pointer(&format!("/{pointer}"));
        assert!(value.is_some_and(Value::is_string), "the event has no {pointer}");
    }
}

#[test]
fn expressions_join_conditions_by_words_as_published_workflows_do() {
    let flow = yaml(FLOW);
    for expression in found(&flow, "exp") {
        let expression = expression.as_str().unwrap();
        assert!(!expression.contains("&&") && !expression.contains("||"), "{expression}");
    }
}

#[test]
fn nothing_is_left_to_substitute_in_the_workflow() {
    assert!(!file(FLOW).contains("{{"), "Terraform substitutes nothing in it, and by hand nobody would");
}
