//! CX as Code: every reference in it leads to something, in it and in the files that it reads.

use std::collections::{BTreeMap, BTreeSet};

use hcl::{Block, Body, Expression};
use serde_json::Value;

use super::{data_actions, file, json, literals, path, yaml};

const FOLDER: &str = "infra/genesys/terraform";

fn bodies() -> Vec<Body> {
    let entries = std::fs::read_dir(path(FOLDER)).unwrap().map(|entry| entry.unwrap().path());
    let sources = entries.filter(|path| path.extension().is_some_and(|ending| ending == "tf"));
    let texts = sources.map(|path| (std::fs::read_to_string(&path).unwrap(), path));
    texts.map(|(text, path)| hcl::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).collect()
}

fn blocks<'a>(bodies: &'a [Body], kind: &'a str) -> impl Iterator<Item = &'a Block> {
    bodies.iter().flat_map(Body::blocks).filter(move |block| block.identifier() == kind)
}

fn label(block: &Block, position: usize) -> &str {
    block.labels()[position].as_str()
}

fn attribute<'a>(body: &'a Body, key: &str) -> &'a Expression {
    let found = body.attributes().find(|attribute| attribute.key() == key);
    found.unwrap_or_else(|| panic!("no {key}")).expr()
}

/// The resource of this type, of which there is one.
fn resource<'a>(bodies: &'a [Body], kind: &str) -> &'a Body {
    let mut found = blocks(bodies, "resource").filter(|block| label(block, 0) == kind);
    let block = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "two of {kind}");
    block.body()
}

/// The expressions of a body as text, with those of the blocks in it.
fn expressions(body: &Body, found: &mut Vec<String>) {
    for attribute in body.attributes() {
        found.push(hcl::format::to_string(attribute.expr()).unwrap());
    }
    for block in body.blocks() {
        expressions(block.body(), found);
    }
}

fn all_expressions(bodies: &[Body]) -> Vec<String> {
    let mut found = Vec::new();
    bodies.iter().for_each(|body| expressions(body, &mut found));
    found
}

/// The dotted words that begin like this, each up to its first index or splat: `var.region`.
fn references<'a>(expressions: &'a [String], prefix: &str) -> BTreeSet<&'a str> {
    let words = expressions.iter().flat_map(|text| text.split(|c: char| !(c.is_alphanumeric() || "._-".contains(c))));
    words.filter(|word| word.starts_with(prefix)).map(|word| word.trim_end_matches('.')).collect()
}

fn without<'a>(prefix: &str, references: BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let rest = references.into_iter().map(|reference| reference.strip_prefix(prefix).unwrap());
    rest.map(|rest| rest.split('.').next().unwrap()).collect()
}

#[test]
fn what_is_declared_is_used_and_what_is_used_is_declared() {
    let bodies = bodies();
    let expressions = all_expressions(&bodies);
    let variables: BTreeSet<&str> = blocks(&bodies, "variable").map(|block| label(block, 0)).collect();
    assert_eq!(without("var.", references(&expressions, "var.")), variables);
    for variable in blocks(&bodies, "variable") {
        assert!(!attribute(variable.body(), "description").to_string().is_empty());
        let sensitive = variable.body().attributes().any(|attribute| attribute.key() == "sensitive");
        assert_eq!(sensitive, label(variable, 0).ends_with("_secret"), "{}", label(variable, 0));
    }

    let locals: BTreeSet<&str> =
        blocks(&bodies, "locals").flat_map(|block| block.body().attributes()).map(hcl::Attribute::key).collect();
    assert_eq!(without("local.", references(&expressions, "local.")), locals);

    let named = |kind| blocks(&bodies, kind).map(|block| format!("{}.{}", label(block, 0), label(block, 1)));
    let made: BTreeSet<String> = named("resource").chain(named("data").map(|name| format!("data.{name}"))).collect();
    let meant = references(&expressions, "genesyscloud_").into_iter().chain(references(&expressions, "data."));
    for reference in meant {
        let parts = if reference.starts_with("data.") { 3 } else { 2 };
        let name = reference.split('.').take(parts).collect::<Vec<_>>().join(".");
        assert!(made.contains(&name), "{reference} is not made");
    }
}

/// The place of a value in a file: `local.trigger.target.type`.
fn assert_said(references: BTreeSet<&str>, prefix: &str, place: &str, file: &Value) {
    assert!(!references.is_empty(), "nothing reads {place}");
    for reference in references {
        let pointer = reference.strip_prefix(prefix).unwrap().replace('.', "/");
        assert!(file.pointer(&format!("/{pointer}")).is_some(), "{place} says nothing of {pointer}");
    }
}

#[test]
fn the_files_that_are_its_source_exist_and_say_what_it_reads() {
    let bodies = bodies();
    let expressions = all_expressions(&bodies);
    let token = json("infra/genesys/data-actions/bridge-token.customAuth.json");
    assert_said(references(&expressions, "local.token."), "local.token.", "the token action", &token);
    let trigger = json("infra/genesys/flows/teams-presence.trigger.json");
    assert_said(references(&expressions, "local.trigger."), "local.trigger.", "the trigger", &trigger);
    let script = json("infra/genesys/escalate-to-teams.script");
    assert_said(references(&expressions, "local.script."), "local.script.", "the script", &script);
    let actions = data_actions();
    assert_eq!(actions.len(), contract::data_actions(&contract::contract()).len());
    for (name, action) in &actions {
        assert_said(references(&expressions, "each.value."), "each.value.", name, action);
    }

    let files = expressions.iter().flat_map(|text| text.split("${local.files}/").skip(1));
    let files: BTreeSet<&str> =
        files.map(|rest| rest.split(['"', '$']).next().unwrap().trim_end_matches('/')).collect();
    assert!(files.len() > 3, "{files:?}");
    for name in files {
        assert!(path("infra/genesys").join(name).exists(), "{name} does not exist");
    }
    // `genesyscloud_integration_action.bridge["update-presence"]`
    let keys = expressions.iter().flat_map(|text| text.split("genesyscloud_integration_action.bridge[\"").skip(1));
    for key in keys.map(|rest| rest.split('"').next().unwrap()) {
        assert!(actions.contains_key(key), "there is no data action {key}");
    }
}

#[test]
fn the_bridges_url_takes_the_place_that_the_actions_keep_for_it() {
    let bodies = bodies();
    let request =
        resource(&bodies, "genesyscloud_integration_action").blocks().find(|b| b.identifier() == "config_request");
    let url = hcl::format::to_string(attribute(request.unwrap().body(), "request_url_template")).unwrap();
    let place = url.split('"').nth(1).unwrap_or_else(|| panic!("{url}"));
    let routes: BTreeSet<String> = data_actions()
        .values()
        .map(|action| action["config"]["request"]["requestUrlTemplate"].as_str().unwrap())
        .map(|url| url.strip_prefix(place).unwrap_or_else(|| panic!("{url} is not at {place}")).to_owned())
        .collect();
    let contract = yaml("infra/openapi.yaml");
    assert!(routes.iter().all(|route| contract["paths"].get(route).is_some()), "{routes:?}");
}

#[test]
fn the_credential_has_the_fields_that_the_token_action_asks_for() {
    let bodies = bodies();
    let token = file("infra/genesys/data-actions/bridge-token.customAuth.json");
    let asked: BTreeSet<&str> =
        token.split("${credentials.").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    let Expression::Object(fields) = attribute(resource(&bodies, "genesyscloud_integration_credential"), "fields")
    else {
        panic!("the fields are no object");
    };
    assert_eq!(
        fields.keys().map(ToString::to_string).collect::<BTreeSet<_>>(),
        asked.into_iter().map(Into::into).collect()
    );
}

#[test]
fn the_script_gets_the_ids_that_it_has_a_place_for() {
    let bodies = bodies();
    let script = resource(&bodies, "genesyscloud_script");
    let Expression::Object(ids) = attribute(script, "substitutions") else { panic!("the substitutions are no object") };
    let text = file("infra/genesys/escalate-to-teams.script");
    for key in ids.keys() {
        assert!(text.contains(&format!("{{{{{key}}}}}")), "the script has no place for {key}");
    }
}

#[test]
fn the_script_can_be_a_queue_s_default() {
    let bodies = bodies();
    let scripts = attribute(resource(&bodies, "genesyscloud_routing_queue"), "default_script_ids");
    let scripts = hcl::format::to_string(scripts).unwrap();
    assert!(scripts.contains("\"CALL\"") && scripts.contains("genesyscloud_script.escalate"), "{scripts}");
    let outputs: BTreeSet<&str> = blocks(&bodies, "output").map(|block| label(block, 0)).collect();
    assert!(outputs.contains("script_id"), "for a queue that is in Terraform already: {outputs:?}");
}

#[test]
fn whoever_makes_the_open_messaging_integration_reads_that_chats_are_one_way() {
    let bodies = bodies();
    let mut variables = blocks(&bodies, "variable");
    let webhook = variables.find(|block| label(block, 0) == "open_messaging_webhook_url").unwrap();
    let texts = [
        attribute(webhook.body(), "description").to_string(),
        file("infra/template.yaml").lines().find(|line| line.contains("messages of chats go to")).unwrap().to_owned(),
        file("docs/tutorial/first-chat.md"),
        file("docs/how-to/chats.md"),
        file("README.md"),
    ];
    for text in texts {
        assert!(text.contains("reach nobody in Teams") || text.contains("reaches nobody in Teams"), "{text}");
    }
}

#[test]
fn the_bridges_role_is_what_its_calls_need() {
    let is_permission = |text: &str| {
        let parts: Vec<&str> = text.split(':').collect();
        parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.chars().all(char::is_alphabetic))
    };
    let mut needed: BTreeSet<String> =
        literals("shared/src/genesys").into_iter().filter(|text| is_permission(text)).collect();
    // For chats, which the role has only where there is an Open Messaging integration.
    needed.insert("conversation:message:receive".into());

    let bodies = bodies();
    let policies = resource(&bodies, "genesyscloud_auth_role").blocks();
    let granted: BTreeSet<String> = policies
        .flat_map(|policy| {
            let text = |key| hcl::format::to_string(attribute(policy.body(), key)).unwrap();
            let place = format!("{}:{}", text("domain"), text("entity_name")).replace('"', "");
            let actions = text("action_set");
            let actions: BTreeSet<String> = actions.split('"').skip(1).step_by(2).map(str::to_owned).collect();
            actions.into_iter().filter(|action| !action.is_empty()).map(move |action| format!("{place}:{action}"))
        })
        .collect();
    assert_eq!(granted, needed);
}

#[test]
fn the_topics_of_the_event_source_are_those_that_the_stack_listens_to() {
    let bodies = bodies();
    let event_sources = blocks(&bodies, "resource").filter(|block| label(block, 1) == "events");
    let mut texts = Vec::new();
    event_sources.for_each(|block| expressions(block.body(), &mut texts));
    let sent: BTreeSet<&str> =
        texts.iter().flat_map(|text| text.split('"')).filter(|text| text.starts_with("v2.")).collect();
    let template = file("infra/template.yaml");
    let line = template.lines().find(|line| line.trim_start().starts_with("detail-type:")).unwrap();
    let heard: BTreeSet<&str> = line.split('"').skip(1).step_by(2).collect();
    assert_eq!(sent, heard);
}

#[test]
fn the_integration_has_the_name_by_which_the_workflow_finds_its_actions() {
    let bodies = bodies();
    let locals: BTreeMap<&str, String> = blocks(&bodies, "locals")
        .flat_map(|block| block.body().attributes())
        .map(|attribute| (attribute.key(), hcl::format::to_string(attribute.expr()).unwrap()))
        .collect();
    assert_eq!(locals["name"], "\"Teams Bridge\"");
    let category = attribute(resource(&bodies, "genesyscloud_integration_action"), "category");
    assert_eq!(hcl::format::to_string(category).unwrap(), "local.name");
}

#[test]
fn the_script_for_entra_id_writes_what_it_asks_for() {
    let bodies = bodies();
    let variables: BTreeSet<&str> = blocks(&bodies, "variable").map(|block| label(block, 0)).collect();
    let written = super::entra::written_for_terraform();
    assert!(written.iter().all(|name| variables.contains(name.as_str())), "{written:?} of {variables:?}");
    let fields = resource(&bodies, "genesyscloud_integration_credential");
    let Expression::Object(fields) = attribute(fields, "fields") else { panic!("the fields are no object") };
    assert_eq!(fields.keys().map(ToString::to_string).collect::<BTreeSet<_>>(), written);
}
