//! The reference pages name what the template and the code have.

use std::collections::{BTreeMap, BTreeSet};

use yaml::Value;

use super::{file, page, page::Page};

fn template() -> Value {
    yaml::from_str(&file("infra/template.yaml")).unwrap()
}

/// The names of a part of the template, and for resources those of a type.
fn names(part: &str, kind: Option<&str>) -> BTreeSet<String> {
    let template = template();
    let entries = template[part].as_mapping().unwrap().iter();
    let of_kind = entries.filter(|(_, entry)| kind.is_none_or(|kind| entry["Type"].as_str() == Some(kind)));
    of_kind.map(|(name, _)| name.as_str().unwrap().to_owned()).collect()
}

/// The variables that each function is given beside those that all have, by the function's name.
fn told() -> BTreeMap<String, BTreeSet<String>> {
    let template = template();
    let functions = names("Resources", Some("AWS::Serverless::Function"));
    let told = functions.iter().map(|logical| {
        let properties = &template["Resources"][logical.as_str()]["Properties"];
        let Value::Tagged(name) = &properties["FunctionName"] else { panic!("{logical} has no name of the stack's") };
        let name = name.value.as_str().and_then(|name| name.strip_prefix("${AWS::StackName}-")).unwrap();
        let variables = properties["Environment"]["Variables"].as_mapping().unwrap();
        (name.to_owned(), variables.keys().map(|name| name.as_str().unwrap().to_owned()).collect())
    });
    told.collect()
}

/// The part of a page below a heading of the second level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    rest.split("\n## ").next().unwrap()
}

/// The variables that a text names.
fn variables(text: &str) -> BTreeSet<String> {
    let is_variable = |span: &String| !span.is_empty() && span.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    Page::read(text).code_spans.into_iter().filter(is_variable).collect()
}

/// The variables that the rows and the list of shared settings of a function's section name, without those that a text
/// mentions beside them.
fn own_and_shared(settings: &str, function: &str) -> BTreeSet<String> {
    let text = section(settings, function).split("\n### ").next().unwrap();
    let rows =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name.to_owned());
    let shared = text.split("\n\n").filter(|paragraph| paragraph.trim_start().starts_with("Shared: "));
    let mut names: BTreeSet<String> = rows.chain(shared.flat_map(variables)).collect();
    if text.contains("Everything that [create-meeting](#create-meeting) and [send-sms](#send-sms) read") {
        names.extend(own_and_shared(settings, "create-meeting"));
        names.extend(own_and_shared(settings, "send-sms"));
    }
    names
}

#[test]
fn the_settings_have_a_table_for_each_function_with_what_it_reads() {
    let settings = file("docs/reference/settings.md");
    let explained: BTreeSet<String> = settings
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .filter(|name| !variables(&format!("`{name}`")).is_empty())
        .collect();
    let functions = told();
    assert!(functions.len() > 7, "{functions:?}");
    for (name, told) in functions {
        assert_eq!(own_and_shared(&settings, &name), told, "{name}");
        let unexplained: Vec<_> = told.difference(&explained).collect();
        assert!(unexplained.is_empty(), "{name}: no table has a row for {unexplained:?}");
    }
}

#[test]
fn every_parameter_of_the_stack_is_in_the_settings() {
    let settings = file("docs/reference/settings.md");
    let words: BTreeSet<&str> = settings.split(|c: char| !c.is_alphanumeric()).collect();
    let parameters = names("Parameters", None);
    assert!(parameters.len() > 40, "{}", parameters.len());
    for parameter in parameters {
        assert!(words.contains(parameter.as_str()), "the settings do not name {parameter}");
    }
}

#[test]
fn every_alarm_of_the_stack_is_explained_and_no_other() {
    let page = file("docs/reference/metrics-and-alarms.md");
    let (_, table) = page.split_once("\n| alarm | rings when | what to do |\n").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let told: BTreeSet<String> = rows
        .flat_map(|cell| cell.split('`').map(str::to_owned).collect::<Vec<_>>())
        .filter(|name| name.ends_with("Alarm"))
        .collect();
    assert_eq!(told, names("Resources", Some("AWS::CloudWatch::Alarm")));
}

#[test]
fn every_output_that_a_page_names_is_one() {
    let outputs = names("Outputs", None);
    assert!(outputs.len() > 10, "{outputs:?}");
    let mut count = 0;
    for path in page::all().into_keys() {
        let text = file(path.to_str().unwrap());
        for words in text.split("output `").skip(1).chain(text.split("outputs `").skip(1)) {
            let name = words.split('`').next().unwrap();
            if name.starts_with(char::is_uppercase) {
                count += 1;
                assert!(outputs.contains(name), "{}: no output {name}", path.display());
            }
        }
    }
    assert!(count > 4, "{count}");
}

#[test]
fn every_switch_of_the_control_panel_is_in_the_reference() {
    let (panel, page) = (file("tests/sandbox/src/stand_ins/control/mod.rs"), file("docs/reference/sandbox.md"));
    let (_, help) = panel.split_once("const HELP: &str = r#\"").unwrap();
    let help = help.split("\"#;").next().unwrap();
    let switches = help
        .lines()
        .filter(|line| ["GET ", "POST ", "PATCH ", "DELETE "].iter().any(|method| line.starts_with(method)));
    let mut count = 0;
    for switch in switches {
        let mut words = switch.split_whitespace();
        let (method, place) = (words.next().unwrap(), words.next().unwrap());
        assert!(page.contains(&format!("`{method} {place}`")), "{method} {place}");
        count += 1;
    }
    assert!(count > 25, "{count}");
}

#[test]
fn the_diagram_of_the_main_page_has_every_function() {
    let main = file("README.md");
    let diagram = main.split_once("```mermaid\n").unwrap().1.split("```").next().unwrap();
    for name in told().into_keys() {
        assert!(diagram.contains(&format!("({name})")), "{name} is not in the diagram");
    }
}

/// The Rust sources below a folder, without tests.
fn sources(folder: &str) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(super::path(folder)).unwrap().map(|entry| entry.unwrap()) {
        let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            text.push_str(&sources(&name));
        } else if name.ends_with(".rs") && !name.contains("tests") {
            text.push_str(file(&name).split("#[cfg(test)]\nmod tests {").next().unwrap());
        }
    }
    text
}

#[test]
fn every_metric_of_the_code_is_explained() {
    let page = file("docs/reference/metrics-and-alarms.md");
    let code = sources("shared/src") + &sources("functions");
    // What a tally names, what is counted on the way, and the latency of each upstream.
    let tallies = code.split("fn figures(&self)").skip(1).map(|rest| rest.split("\n    }\n").next().unwrap());
    let latencies = code.split("const fn metric(self)").skip(1).map(|rest| rest.split("\n    }\n").next().unwrap());
    let literals = tallies.chain(latencies).flat_map(|body| body.split('"').skip(1).step_by(2));
    let counted = code.split(".count(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let metrics: BTreeSet<&str> = literals.chain(counted).collect();
    assert!(metrics.len() > 60, "{metrics:?}");
    let unexplained: Vec<_> = metrics.iter().filter(|metric| !page.contains(&format!("`{metric}`"))).collect();
    assert!(unexplained.is_empty(), "nothing says what {unexplained:?} counts");
}

#[test]
fn the_words_in_the_picture_are_still_the_bridge_s() {
    let picture = file("docs/pictures/escalation.svg");
    let metadata = picture.split_once("<metadata>").unwrap().1.split("</metadata>").next().unwrap();
    let click: serde_json::Value = serde_json::from_str(&metadata.replace("&amp;", "&")).unwrap();
    let (code, remedy) =
        (sources("shared/src"), "draw it again: cargo sandbox --once --picture docs/pictures/escalation.svg");
    let link = click["answer"]["joinUrl"].as_str().unwrap();
    for sentence in click["answer"]["message"].as_str().unwrap().split_inclusive('.') {
        assert!(code.contains(sentence.trim()), "{sentence} {remedy}");
    }
    // The built-in text, as the code spells it.
    let text = click["text"].as_str().unwrap();
    let text = text.replace(link, "{link}").replace("Contoso", "{brand}").replace("Kim", "{agent}");
    assert!(code.contains(&format!("\"{}\"", text.replace('\n', "\\n"))), "{text} {remedy}");
}
