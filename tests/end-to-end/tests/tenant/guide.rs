//! The pages that readers follow: a reader cannot tell a wrong name from a mistake of their own.

use std::collections::BTreeSet;
use std::path::Path;

use super::{code_spans, data_actions, file, path, table, yaml};

/// The tutorial from nothing to the first escalation.
const FIRST: &str = "docs/tutorial/first-escalation.md";

/// The guide for readers who have one of Genesys's blueprints.
const BLUEPRINTS: &str = "docs/how-to/from-the-blueprints.md";

/// The pages that are followed: their commands are pasted as they stand.
fn pages() -> String {
    let folders = ["docs/tutorial", "docs/how-to"];
    let entries = folders.into_iter().flat_map(|folder| std::fs::read_dir(path(folder)).unwrap());
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap() + "\n").collect()
}

/// The code blocks of a language.
fn blocks<'a>(markdown: &'a str, language: &str) -> Vec<&'a str> {
    let fenced = markdown.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

/// The text of every file in `infra/`, of the reference and of the main page. What a vendor's schema names is not ours.
fn repository() -> String {
    fn read(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.ends_with("infra/teams/schema") {
                continue;
            }
            if entry.is_dir() {
                read(&entry, text);
            } else {
                text.push_str(&std::fs::read_to_string(&entry).unwrap());
            }
        }
    }
    let mut text = file("README.md");
    read(&path("infra"), &mut text);
    read(&path("docs/reference"), &mut text);
    text
}

#[test]
fn its_commands_exist() {
    let guide = pages();
    let shell = [blocks(&guide, "sh"), blocks(&guide, "powershell")].concat().concat();
    // Paths below the repository's root.
    let paths = shell.split_whitespace().map(|word| word.trim_start_matches("./"));
    let paths: BTreeSet<&str> = paths.filter(|word| word.starts_with("infra/")).collect();
    assert!(paths.len() > 2 && paths.iter().all(|name| path(name).exists()), "{paths:?}");

    let aliases: toml::Value = toml::from_str(&file(".cargo/config.toml")).unwrap();
    let aliases = aliases["alias"].as_table().unwrap();
    let lines = shell.lines().map(str::trim_start).chain(code_spans(&guide));
    for arguments in lines.filter_map(|line| line.strip_prefix("cargo ")) {
        let command = arguments.split(' ').next().unwrap();
        assert!(["lambda", "test"].contains(&command) || aliases.contains_key(command), "cargo {command}");
        let tools = [("genesys", "infra/genesys/generate/src/main.rs"), ("teams-app", "infra/teams/src/main.rs")];
        for (_, usage) in tools.into_iter().filter(|(tool, _)| *tool == command) {
            let usage = file(usage);
            let options = arguments.split(' ').filter(|word| word.starts_with("--"));
            options.for_each(|option| assert!(usage.contains(&format!("{option} ")), "cargo {command} {option}"));
        }
    }

    for arguments in shell.lines().filter_map(|line| line.strip_prefix("terraform ")) {
        let (command, name) = arguments.split_once(' ').unwrap_or((arguments, ""));
        assert!(["init", "apply", "output"].contains(&command), "terraform {command}");
        let outputs = file("infra/genesys/terraform/outputs.tf");
        assert!(name.is_empty() || outputs.contains(&format!("output \"{name}\"")), "terraform output {name}");
    }
    let variables = file("infra/genesys/terraform/variables.tf");
    for block in blocks(&guide, "hcl") {
        let settings = hcl::parse(block).unwrap_or_else(|error| panic!("{block}: {error}"));
        for setting in settings.attributes() {
            assert!(variables.contains(&format!("variable \"{}\"", setting.key())), "no variable {}", setting.key());
        }
    }

    let script = file("infra/entra/Register-TeamsBridge.ps1");
    let calls = shell.lines().filter(|line| line.contains("Register-TeamsBridge.ps1"));
    let passed: BTreeSet<&str> = calls.chain(code_spans(&guide)).flat_map(super::entra::passed).collect();
    assert!(!passed.is_empty());
    for parameter in passed.into_iter().filter(|name| *name != "WhatIf") {
        assert!(script.contains(&format!(".PARAMETER {parameter}\n")), "-{parameter}");
    }
}

#[test]
fn its_names_are_to_be_found() {
    let (guide, repository) = (pages(), repository());
    // One word, which is no example: those have an @, a +, or capitals alone, or stand for what a person writes.
    let is_name = |word: &&str| {
        word.chars().all(|c| c.is_alphanumeric() || "._-".contains(c)) && word.contains(char::is_lowercase)
    };
    let own = ["bridge.auto.tfvars", "genesys.json", "teams-bridge"];
    // What AWS, Entra ID and Genesys Cloud call it.
    let vendors = [
        "FailureReason",
        "Files.Read.All",
        "LayerVersionArn",
        "TeamsAppInstallation.ReadWriteSelfForUser.All",
        "api.requestedAccessTokenVersion",
        "successTemplateUtils.firstFromArray",
    ];
    let known = |name: &str| own.contains(&name) || vendors.contains(&name) || repository.contains(name);
    let names: BTreeSet<&str> = code_spans(&guide).into_iter().filter(is_name).collect();
    assert!(names.len() > 40, "{names:?}");
    let unknown: Vec<&str> = names.into_iter().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "nothing in infra/, docs/reference or README.md is named {unknown:?}");
    // Those of the stack, by their own spelling.
    let template = file("infra/template.yaml");
    for name in ["JwtIssuer", "JwtAudience", "GenesysDomain", "SmsFrom", "SmsCountry", "GenesysEventSource"] {
        assert!(guide.contains(&format!("`{name}`")) && template.contains(&format!("\n  {name}:\n")), "{name}");
    }
}

#[test]
fn what_stays_of_the_blueprints_stays() {
    let guide = file(BLUEPRINTS);
    let (actions, contract) = (data_actions(), yaml("infra/openapi.yaml"));
    let token = contract["components"]["securitySchemes"]["entraId"]["x-genesys-data-action"].as_str().unwrap();
    let rows = table(&guide, "| blueprint | its part | here | what stays |");
    let mut seen = BTreeSet::new();
    for row in rows {
        let Some(name) = row[2].strip_prefix('*').and_then(|rest| rest.split('*').next()) else { continue };
        let action = actions.values().find(|action| action["name"] == name);
        let Some(action) = action else {
            assert!(name == token || name == "Teams Bridge", "no data action {name}");
            continue;
        };
        seen.insert(name);
        let (inputs, outputs) = row[3].split_once("output ").unwrap_or((row[3], ""));
        for input in code_spans(inputs) {
            assert!(action["contract"]["input"]["inputSchema"]["properties"].get(input).is_some(), "{name}: {input}");
        }
        for output in code_spans(outputs) {
            let pointer = format!("/{}", output.replace('.', "/properties/"));
            let properties = &action["contract"]["output"]["successSchema"]["properties"];
            assert!(properties.pointer(&pointer).is_some(), "{name}: {output}");
        }
    }
    assert_eq!(seen, BTreeSet::from(["Create meeting", "Send SMS", "Update presence"]));
}

#[test]
fn it_installs_what_todays_systems_let_one_install_and_deploys_by_one_command() {
    for name in [FIRST, "README.md"] {
        let text = file(name);
        // Debian, Ubuntu and Homebrew refuse a plain `pip install`.
        assert!(!text.lines().any(|line| line.contains("pip install")), "{name}");
        let shell = blocks(&text, "sh").concat();
        assert!(shell.contains("pipx install cargo-lambda") && text.contains("uv tool install cargo-lambda"), "{name}");
        // The compiler that came with it is in an environment that is on nobody's path.
        assert!(shell.contains("CARGO_ZIGBUILD_PYTHON_PATH=") && text.contains("$(uv tool dir)"), "{name}");
        // The file that the script writes, for the first deployment and the second.
        let deployments: Vec<&str> = shell.lines().filter(|line| line.starts_with("sam deploy")).collect();
        assert_eq!(
            deployments,
            ["sam deploy --template infra/template.yaml --config-file ~/teams-bridge/samconfig.toml"]
        );
    }
    assert!(!pages().lines().any(|line| line.contains("pip install")));
    let script = file("infra/entra/Register-TeamsBridge.ps1");
    assert!(script.contains("Join-Path $HOME 'teams-bridge'") && script.contains("'samconfig.toml'"));
}
