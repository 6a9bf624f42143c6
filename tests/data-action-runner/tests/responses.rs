//! What is made of the answer.

#![expect(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use common::{NASTY, action, failure, input, integration, server};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

/// The output that this response configuration makes of this answer, without a contract.
async fn output(response: Value, answer: Value) -> Result<Value, String> {
    let server = server(vec![ResponseTemplate::new(200).set_body_json(answer)]).await;
    let action = action(&server, |action| {
        action["config"]["response"] = response;
        action["contract"]["output"] = json!({});
    });
    let execution = integration(&server).execute(&action, &input()).await;
    let trace = execution.trace.to_string();
    execution.outcome.map_err(|_| trace)
}

#[tokio::test]
async fn mapped_values_are_json_text() {
    let response = json!({
        "translationMap": {"text": "$.text", "number": "number", "deep": "$.a['b c'][1]", "object": "$.a"},
        "successTemplate": "{\"text\": ${text}, \"number\": ${number}, \"deep\": ${deep}, \"object\": ${object}}",
    });
    let answer = json!({"text": NASTY, "number": 7, "a": {"b c": [1, true]}});
    let expected = json!({"text": NASTY, "number": 7, "deep": true, "object": answer["a"]});
    assert_eq!(output(response, answer).await, Ok(expected));
}

#[tokio::test]
async fn a_default_stands_in_for_what_is_not_there_and_not_for_null() {
    let response = json!({
        "translationMap": {"x": "$.a.x", "y": "$.a.y"}, "translationMapDefaults": {"x": "\"none\"", "y": "[]"},
        "successTemplate": "{\"x\": ${x}, \"y\": ${y}}",
    });
    assert_eq!(output(response.clone(), json!({})).await, Ok(json!({"x": "none", "y": []})));
    assert_eq!(output(response, json!({"a": {"x": null}})).await, Ok(json!({"x": null, "y": []})));
}

#[tokio::test]
async fn a_path_that_may_lead_to_many_gives_an_array() {
    for (path, expected) in [
        ("$.items[?(@.kind == 'b')].id", json!([2, 3])),
        ("$.items[?(@.kind == 'c')].id", json!([])),
        ("$.items[*].id", json!([1, 2, 3])),
        ("$..id", json!([1, 2, 3])),
        ("$.items[0:2].id", json!([1, 2])),
        ("$.items[0].id", json!(1)),
    ] {
        let response = json!({
            "translationMap": {"found": path}, "translationMapDefaults": {"found": "\"unused\""},
            "successTemplate": "{\"found\": ${found}}",
        });
        let answer = json!({"items": [{"id": 1, "kind": "a"}, {"id": 2, "kind": "b"}, {"id": 3, "kind": "b"}]});
        assert_eq!(output(response, answer).await, Ok(json!({"found": expected})), "{path}");
    }
}

/// As Genesys Cloud's own published data actions use them, and as Jayway's JsonPath documents them.
#[tokio::test]
async fn functions_and_operators_are_jayway_s() {
    let answer = json!({
        "entities": [{}, {}], "list": [3, 1, 2], "none": null,
        "items": [{"id": "c-1", "tags": ["a", "b"]}, {"id": "d-2", "tags": []}],
    });
    for (path, expected) in [
        ("$.entities.size()", json!(2)),
        ("$.list.length()", json!(3)),
        ("$.list.min()", json!(1.0)),
        ("$.list.max()", json!(3.0)),
        ("$.list.avg()", json!(2.0)),
        ("$.list.sum()", json!(6.0)),
        ("$.items[0].keys()", json!(["id", "tags"])),
        ("$.list[-1]", json!(2)),
        ("$.list[0,2]", json!([3, 2])),
        ("$.items[?(@.id =~ /c-.*/)].id", json!(["c-1"])),
        ("$.items[?(@.tags.size() > 0)].id", json!(["c-1"])),
        ("$.items[?(@.id in ['d-2'])].id", json!(["d-2"])),
        ("$.items[?(@.id nin ['d-2'])].id", json!(["c-1"])),
        ("$.items[?(@.tags empty true)].id", json!(["d-2"])),
        ("$.items[?(@.id == 'c-1' && @.tags contains 'b')].id", json!(["c-1"])),
        ("$['items'][1]['id']", json!("d-2")),
        ("$.none", json!(null)),
    ] {
        let response = json!({"translationMap": {"found": path}, "successTemplate": "{\"found\": ${found}}"});
        assert_eq!(output(response, answer.clone()).await, Ok(json!({"found": expected})), "{path}");
    }
}

#[tokio::test]
async fn a_function_that_cannot_be_applied_fails_loudly() {
    for (path, why) in [("$.list.median()", "Function with name: median does not exist"), ("$.empty.min()", "empty")] {
        let response = json!({"translationMap": {"x": path}, "successTemplate": "{}"});
        let trace = output(response, json!({"list": [1], "empty": []})).await.unwrap_err();
        assert!(trace.contains(&format!("The path of `x`, {path}, is none")) && trace.contains(why), "{trace}");
    }
}

#[tokio::test]
async fn the_first_of_many_can_be_taken() {
    let template = "{\"first\": ${successTemplateUtils.firstFromArray(\"${found}\", \"$esc.quote$esc.quote\")}}";
    let response = json!({"translationMap": {"found": "$.items[*].id"}, "successTemplate": template});
    assert_eq!(output(response.clone(), json!({"items": [{"id": NASTY}]})).await, Ok(json!({"first": NASTY})));
    assert_eq!(output(response, json!({"items": []})).await, Ok(json!({"first": ""})));
}

#[tokio::test]
async fn the_raw_result_is_the_whole_answer() {
    let answer = json!({"ok": true, "nested": {"text": NASTY}});
    assert_eq!(output(json!({"successTemplate": "${rawResult}"}), answer.clone()).await, Ok(answer));
}

#[tokio::test]
async fn a_path_that_is_none_is_told() {
    for path in ["$.a[x]", "$.a['b", "$.a..", "$.a[?(@.b ~ 1)]", ""] {
        let response = json!({"translationMap": {"x": path}, "successTemplate": "{}"});
        let trace = output(response, json!({})).await.unwrap_err();
        assert!(trace.contains(&format!("The path of `x`, {path}, is none")), "{trace}");
    }
}

#[tokio::test]
async fn input_and_output_keep_their_contracts() {
    let server = server(vec![ResponseTemplate::new(200).set_body_json(json!({"ok": "yes", "joinUrl": ""}))]).await;
    let integration = integration(&server);
    let meeting = action(&server, |_| {});
    for (input, wrong) in
        [(json!({}), "\"user\" is a required property"), (json!({"user": 7}), "/user: 7 is not of type")]
    {
        let (failure, trace) = failure(integration.execute(&meeting, &input).await);
        assert_eq!((failure.status, failure.details[0].error_code), (400, "ACTION.PROCESSING"));
        assert!(trace.contains("The input breaks its contract.") && trace.contains(wrong), "{trace}");
    }
    assert!(common::requests(&server).await.is_empty(), "nothing is sent of an input that breaks its contract");
    let (failure, trace) = failure(integration.execute(&meeting, &input()).await);
    assert_eq!((failure.status, failure.details[0].error_code), (400, "ACTION.PROCESSING"));
    assert!(trace.contains("The output breaks its contract. /ok: \"yes\" is not of type \"boolean\""), "{trace}");
}

#[tokio::test]
async fn contracts_are_read_as_draft_4() {
    // In draft 4 `exclusiveMinimum` is a yes or no beside `minimum`; later it is a number.
    let server = server(vec![]).await;
    let meeting = action(&server, |action| {
        let schema = &mut action["contract"]["input"]["inputSchema"];
        schema["properties"]["minutes"] = json!({"type": "integer", "minimum": 0, "exclusiveMinimum": true});
    });
    let (_, trace) = failure(integration(&server).execute(&meeting, &json!({"user": "kim", "minutes": 0})).await);
    assert!(trace.contains("/minutes: 0 is less than or equal to the minimum of 0"), "{trace}");
}
