//! The changes that the scripts for Entra ID and Teams make, and those that they must not make. There is no PowerShell
//! to run them with, so the form of each change is tested: the condition that it depends on, and the question before
//! it.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use super::entra::{POLICY, SCRIPT, Script, every, parsed};
use super::file;

/// The node and all nodes around it.
fn ancestors(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    std::iter::successors(Some(node), Node::parent)
}

/// The conditions of all `if`s around a node, within its own function.
fn conditions(script: &Script, node: Node<'_>) -> String {
    let within = ancestors(node).take_while(|above| above.kind() != "function_statement");
    let ifs = within.filter(|above| ["if_statement", "elseif_clause"].contains(&above.kind()));
    let conditions = ifs.filter_map(|node| {
        let children = (0..node.child_count()).filter_map(|child| node.child(child as u32));
        children.into_iter().find(|child| child.kind() == "pipeline").map(|condition| script.text(condition))
    });
    conditions.collect::<Vec<_>>().join("\n")
}

fn commands<'a>(script: &'a Script, begin: &str) -> Vec<Node<'a>> {
    let all = every(script.tree.root_node(), "command").into_iter();
    all.filter(|command| script.text(*command).starts_with(begin)).collect()
}

fn function<'a>(script: &'a Script, name: &str) -> Node<'a> {
    let functions = every(script.tree.root_node(), "function_statement").into_iter();
    let mut named = functions.filter(|node| every(*node, "function_name").iter().any(|it| script.text(*it) == name));
    named.next().unwrap_or_else(|| panic!("there is no function {name}"))
}

#[test]
fn a_policy_is_changed_only_where_it_differs_and_after_asking() {
    let script = parsed(POLICY);
    for verb in ["New-Cs", "Set-Cs", "Grant-Cs", "Remove-Cs"] {
        let changes = commands(&script, verb);
        assert!(!changes.is_empty(), "{verb}");
        for change in changes {
            assert!(conditions(&script, change).contains("$PSCmdlet.ShouldProcess("), "{}", script.text(change));
        }
    }
    // What everybody has now is looked at, and what would lose by the change asked about, before anything is granted.
    let everybody = function(&script, "Grant-ToEverybody");
    let text = script.text(everybody);
    let order = ["Get-Policy 'Global'", "return", "-not $Force", "$PSCmdlet.ShouldContinue(", "throw", "-Global"];
    let places: Vec<_> = order.iter().map(|part| text.find(part)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{order:?}: {places:?}");
    let grants = commands(&script, "Grant-CsApplicationAccessPolicy -PolicyName $PolicyName -Global");
    assert_eq!(grants.len(), 1);
    assert!(ancestors(grants[0]).any(|above| above == everybody));
}

#[test]
fn a_registration_is_changed_only_where_it_differs() {
    let script = parsed(SCRIPT);
    let changes = commands(&script, "Invoke-Graph PATCH");
    assert_eq!(changes.len(), 3);
    for change in changes {
        let text = script.text(change);
        // A new credential's is the one that is asked for; the function is called where none is good any longer.
        let expected = if text.contains("keyCredentials") { "" } else { "$PSCmdlet.ShouldProcess(" };
        let conditions = conditions(&script, change);
        assert!(conditions.contains(expected), "{text}");
        let differs = ["$differing.Count -gt 0", "-notcontains", ""];
        let differs = differs.iter().find(|condition| conditions.contains(**condition)).unwrap();
        assert_eq!(differs.is_empty(), text.contains("keyCredentials"), "{text}");
    }
    let credential = ["New-ClientCertificate", "New-ClientSecret"].map(|name| commands(&script, name));
    assert_eq!(credential.iter().map(Vec::len).sum::<usize>(), 3);
    for call in credential.into_iter().flatten() {
        let conditions = conditions(&script, call);
        assert!(conditions.contains("$NewCredentials -or -not $"), "{}", script.text(call));
    }
}

#[test]
fn what_was_added_by_hand_stays_listed() {
    let script = parsed(SCRIPT);
    let entries = every(script.tree.root_node(), "hash_entry").into_iter().map(|entry| script.text(entry));
    let lists: Vec<&str> = entries.filter(|entry| entry.starts_with("requiredResourceAccess")).collect();
    assert_eq!(lists.len(), 2);
    let merged = |list: &&str| list.contains("Get-WantedAccess") || list.ends_with("$callerAccess");
    assert!(lists.iter().all(merged), "{lists:?}");
    assert!(script.text(script.assigned("$callerAccess").parent().unwrap()).contains("Get-WantedAccess"));
    // Only -Prune leaves anything out.
    let merging = script.text(function(&script, "Get-WantedAccess"));
    assert_eq!(merging.matches("-notin").count(), 1, "{merging}");
    assert!(merging.contains("-not $Prune -or "), "{merging}");
}

#[test]
fn remove_undoes_everything() {
    let script = parsed(SCRIPT);
    let quoted = |begin: &str| -> BTreeSet<String> {
        commands(&script, begin).into_iter().filter_map(|call| script.strings(call).into_iter().next()).collect()
    };
    let made = quoted("Set-Registration");
    assert_eq!(made.len(), 3);
    assert_eq!(quoted("Remove-Made"), made);
    let mut files = quoted("Write-SecretFile");
    files.insert("samconfig.toml".into());
    let loops = every(script.tree.root_node(), "foreach_statement").into_iter();
    let mut removing = loops.filter(|each| script.text(*each).contains("Remove-Item"));
    let removed: BTreeSet<String> = script.strings(removing.next().unwrap()).into_iter().collect();
    assert!(files.is_subset(&removed), "{files:?} of {removed:?}");
    // The policy first, because the registration that is deleted says which application it names.
    let text = file(SCRIPT);
    let (_, undone) = text.split_once("\nif ($Remove) {").unwrap();
    let order = ["$PSCmdlet.ShouldContinue(", "Set-AccessPolicy $bridge", "Remove-Made 'teams-bridge'"];
    let places: Vec<_> = order.iter().map(|part| undone.find(part)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
}

#[test]
fn the_policys_script_takes_what_it_is_passed() {
    let script = parsed(SCRIPT);
    let arguments = script.strings(function(&script, "Get-PolicyArgument"));
    let passed: BTreeSet<&str> = arguments.iter().filter_map(|word| word.strip_prefix('-')).collect();
    let policy = parsed(POLICY);
    let mut taken = policy.parameters();
    taken.insert("WhatIf");
    assert_eq!(passed, taken);
}

#[test]
fn sam_is_told_all_that_a_first_deployment_needs() {
    let script = parsed(SCRIPT);
    let text = script.text(script.assigned("$deployment").parent().unwrap());
    let text = text.split_once("@'\n").unwrap().1.trim_end_matches("'@");
    let live: toml::Table = toml::from_str(text).unwrap();
    let uncommented: String =
        text.lines().map(|line| format!("{}\n", line.replacen("# \"", "\"", 1).replacen("# '", "'", 1))).collect();
    let everything: toml::Table = toml::from_str(&uncommented).unwrap();
    let parameters = |table: &toml::Table| -> BTreeMap<String, String> {
        let overrides = table["default"]["deploy"]["parameters"]["parameter_overrides"].as_array().unwrap().clone();
        let pairs = overrides.iter().map(|pair| pair.as_str().unwrap().split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };

    // What the script fills in has no value yet; every other one shows how it looks.
    let filled =
        script.entries(script.assigned("$parameters")).into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    assert_eq!(parameters(&live).into_keys().collect::<BTreeSet<_>>(), filled);
    assert!(parameters(&live).values().all(String::is_empty));
    let named = parameters(&everything);
    assert!(named.iter().all(|(name, value)| filled.contains(name) || !value.is_empty()), "{named:?}");

    let template: yaml::Value = yaml::from_str(&file("infra/template.yaml")).unwrap();
    let known = template["Parameters"].as_mapping().unwrap();
    assert!(named.keys().all(|name| known.contains_key(name)), "{named:?}");
    let needed = known
        .iter()
        .filter(|(_, parameter)| parameter.get("Default").is_none())
        .map(|(name, _)| name.as_str().unwrap());
    let missing: Vec<_> = needed.filter(|name| !named.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");

    // Beside the parameters it is what SAM finds beside the template.
    let beside: toml::Table = toml::from_str(&file("infra/samconfig.toml")).unwrap();
    let mut settings = live["default"]["deploy"]["parameters"].as_table().unwrap().clone();
    settings.remove("parameter_overrides");
    assert_eq!(Some(&settings), beside["default"]["deploy"]["parameters"].as_table());
}

#[test]
fn every_example_is_for_a_group() {
    let pages = ["infra/entra/README.md", "docs/tutorial/first-escalation.md", "docs/tutorial/first-chat.md"];
    let how_to = ["docs/how-to/deploy.md", "docs/how-to/rotate-credentials.md", "docs/how-to/upgrade-and-remove.md"];
    for name in [SCRIPT, POLICY, "README.md"].into_iter().chain(pages).chain(how_to) {
        let text = file(name);
        let calls = text.lines().filter(|line| line.contains("./") && line.contains(".ps1 -TenantId"));
        for call in calls {
            assert!(!call.contains("-AllOrganizers"), "{name}: {call}");
        }
    }
}
