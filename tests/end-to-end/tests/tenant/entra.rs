//! The PowerShell script for Entra ID and Teams: parsed, and compared with its table of permissions, the contract and
//! the code.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::{Node, Parser, Tree};

use super::{code_spans, file, literals, table, yaml};

pub(super) const SCRIPT: &str = "infra/entra/Register-TeamsBridge.ps1";
const TABLES: &str = "docs/reference/permissions.md";

/// The page that tells how the script is run.
const PAGE: &str = "infra/entra/README.md";

/// The script that runs in a process of its own.
pub(super) const POLICY: &str = "infra/entra/Set-AccessPolicy.ps1";

/// The commands of PowerShell itself that the scripts call.
const COMMANDS: [&str; 14] = [
    "ConvertTo-Json",
    "ForEach-Object",
    "Get-Content",
    "Get-Module",
    "Join-Path",
    "New-Item",
    "Remove-Item",
    "Select-Object",
    "Set-Content",
    "Set-StrictMode",
    "Start-Sleep",
    "Test-Path",
    "Where-Object",
    "Write-Warning",
];

/// The commands of the module for Microsoft Graph.
const GRAPH_COMMANDS: [&str; 4] = ["Connect-MgGraph", "Get-MgContext", "Get-MgEnvironment", "Invoke-MgGraphRequest"];

/// The commands of the module for Teams.
const TEAMS_COMMANDS: [&str; 7] = [
    "Connect-MicrosoftTeams",
    "Get-CsApplicationAccessPolicy",
    "Get-CsGroupPolicyAssignment",
    "Grant-CsApplicationAccessPolicy",
    "New-CsApplicationAccessPolicy",
    "Remove-CsApplicationAccessPolicy",
    "Set-CsApplicationAccessPolicy",
];

/// Variables that PowerShell sets.
const AUTOMATIC: [&str; 12] = [
    "_",
    "ErrorActionPreference",
    "HOME",
    "IsWindows",
    "LASTEXITCODE",
    "PSCmdlet",
    "PSHOME",
    "PSScriptRoot",
    "WhatIfPreference",
    "false",
    "null",
    "true",
];

pub(super) struct Script {
    text: String,
    pub(super) tree: Tree,
}

fn script() -> Script {
    parsed(SCRIPT)
}

pub(super) fn parsed(name: &str) -> Script {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
    let text = file(name);
    let tree = parser.parse(&text, None).unwrap();
    Script { text, tree }
}

/// Every node of this kind below another, outermost first, and none within one that was found.
fn outermost<'a>(node: Node<'a>, kind: &str) -> Vec<Node<'a>> {
    if node.kind() == kind {
        return vec![node];
    }
    (0..node.child_count())
        .filter_map(|child| node.child(child as u32))
        .flat_map(|child| outermost(child, kind))
        .collect()
}

/// Every node of this kind below another.
pub(super) fn every<'a>(node: Node<'a>, kind: &str) -> Vec<Node<'a>> {
    let children = (0..node.child_count()).filter_map(|child| node.child(child as u32));
    let below: Vec<Node<'a>> = children.flat_map(|child| every(child, kind)).collect();
    if node.kind() == kind { [vec![node], below].concat() } else { below }
}

impl Script {
    pub(super) fn text(&self, node: Node<'_>) -> &str {
        &self.text[node.byte_range()]
    }

    /// The strings in single quotes below a node.
    pub(super) fn strings(&self, node: Node<'_>) -> Vec<String> {
        let literals = every(node, "verbatim_string_characters").into_iter();
        literals.map(|literal| self.text(literal).trim_matches('\'').to_owned()).collect()
    }

    /// A hash literal's entries, those of inner ones left out.
    pub(super) fn entries(&self, node: Node<'_>) -> Vec<(String, Node<'_>)> {
        let entries = outermost(node, "hash_entry").into_iter();
        entries
            .map(|entry| {
                let key = outermost(entry, "key_expression")[0];
                let value = entry.child(entry.child_count() as u32 - 1).unwrap();
                (self.text(key).trim_matches('\'').to_owned(), self.tree_node(value))
            })
            .collect()
    }

    /// The same node, with the tree's own lifetime.
    fn tree_node(&self, node: Node<'_>) -> Node<'_> {
        self.tree.root_node().descendant_for_byte_range(node.start_byte(), node.end_byte()).unwrap()
    }

    /// The value of a variable's first assignment.
    pub(super) fn assigned(&self, variable: &str) -> Node<'_> {
        let assignments = every(self.tree.root_node(), "assignment_expression").into_iter();
        let mut ours = assignments.filter(|node| self.text(node.child(0).unwrap()) == variable);
        ours.next().unwrap_or_else(|| panic!("nothing is assigned to {variable}"))
    }

    /// A table of features: `$graphPermissions` or `$callerRoles`.
    fn by_feature(&self, variable: &str) -> BTreeMap<String, Vec<String>> {
        let entries = self.entries(self.assigned(variable));
        entries.into_iter().map(|(feature, needs)| (feature, self.strings(needs))).collect()
    }

    /// The script's own parameters.
    pub(super) fn parameters(&self) -> BTreeSet<&str> {
        let block = outermost(self.tree.root_node(), "param_block")[0];
        let parameters = every(block, "script_parameter").into_iter();
        parameters
            .map(|parameter| {
                let mut children = (0..parameter.child_count()).filter_map(|child| parameter.child(child as u32));
                self.text(children.find(|child| child.kind() == "variable").unwrap()).trim_start_matches('$')
            })
            .collect()
    }
}

/// The permissions on Microsoft Graph that the script grants, by feature.
pub(super) fn granted() -> BTreeMap<String, BTreeSet<String>> {
    let by_feature = script().by_feature("$graphPermissions").into_iter();
    by_feature.map(|(feature, permissions)| (feature, permissions.into_iter().collect())).collect()
}

/// The names in `caller.auto.tfvars.json`.
pub(super) fn written_for_terraform() -> BTreeSet<String> {
    let script = script();
    let commands = every(script.tree.root_node(), "command").into_iter();
    let mut writes =
        commands.filter(|command| script.text(*command).starts_with("Write-SecretFile 'caller.auto.tfvars.json'"));
    script.entries(writes.next().unwrap()).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn they_are_powershell() {
    for name in [SCRIPT, POLICY] {
        let script = parsed(name);
        let root = script.tree.root_node();
        let wrong: Vec<&str> = every(root, "ERROR").into_iter().map(|node| script.text(node)).collect();
        assert!(!root.has_error() && wrong.is_empty(), "{name}: {wrong:?}");
    }
}

#[test]
fn they_call_what_exists_and_read_what_is_set() {
    for name in [SCRIPT, POLICY] {
        calls_what_exists_and_reads_what_is_set(name);
    }
}

/// The commands that a script calls and does not define.
fn foreign(script: &Script) -> BTreeSet<&str> {
    let root = script.tree.root_node();
    let own: BTreeSet<&str> = every(root, "function_name").into_iter().map(|name| script.text(name)).collect();
    let called = every(root, "command_name").into_iter().map(|name| script.text(name));
    let called: BTreeSet<&str> = called.filter(|name| !name.starts_with('$')).collect();
    assert!(own.is_subset(&called), "never called: {:?}", own.difference(&called));
    called.difference(&own).copied().collect()
}

#[test]
fn the_modules_for_graph_and_for_teams_are_loaded_in_different_processes() {
    let (register, policy) = (script(), parsed(POLICY));
    let (register, policy) = (foreign(&register), foreign(&policy));
    let plain: BTreeSet<&str> = COMMANDS.into_iter().collect();
    assert_eq!(register.difference(&plain).copied().collect::<BTreeSet<_>>(), GRAPH_COMMANDS.into_iter().collect());
    assert_eq!(policy.difference(&plain).copied().collect::<BTreeSet<_>>(), TEAMS_COMMANDS.into_iter().collect());
    let unused: Vec<_> = plain.difference(&register.union(&policy).copied().collect()).copied().collect();
    assert!(unused.is_empty(), "{unused:?}");
    assert!(file(POLICY).contains("#Requires -Modules MicrosoftTeams\n"));
}

fn calls_what_exists_and_reads_what_is_set(name: &str) {
    let script = parsed(name);
    let root = script.tree.root_node();
    // A parameter of the script or of a function, a loop's variable, or assigned somewhere.
    let name =
        |node: Node<'_>| script.text(node).trim_start_matches(['$', '@']).trim_matches(['{', '}']).to_lowercase();
    let mut set: BTreeSet<String> = AUTOMATIC.iter().map(|name| name.to_lowercase()).collect();
    for kind in ["script_parameter", "left_assignment_expression"] {
        for place in every(root, kind) {
            set.extend(outermost(place, "variable").into_iter().take(1).map(name));
        }
    }
    for each in every(root, "foreach_statement") {
        set.extend(outermost(each, "variable").into_iter().take(1).map(name));
    }
    let read: BTreeSet<String> = every(root, "variable").into_iter().map(name).collect();
    let unset: Vec<_> = read.into_iter().filter(|name| !set.contains(name)).collect();
    assert!(unset.is_empty(), "never set: {unset:?}");
}

#[test]
fn its_parameters_are_explained() {
    for name in [SCRIPT, POLICY] {
        let script = parsed(name);
        let explained: BTreeSet<&str> =
            script.text.lines().filter_map(|line| line.strip_prefix(".PARAMETER ")).map(str::trim).collect();
        assert_eq!(explained, script.parameters(), "{name}");
    }
}

#[test]
fn its_features_are_those_that_can_be_named() {
    let script = script();
    let block = outermost(script.tree.root_node(), "param_block")[0];
    let parameters = every(block, "script_parameter").into_iter();
    let features = parameters.filter(|node| script.text(*node).contains("$Features")).collect::<Vec<_>>()[0];
    let set = every(features, "attribute").into_iter().find(|node| script.text(*node).starts_with("[ValidateSet"));
    let named: BTreeSet<String> = script.strings(set.unwrap()).into_iter().collect();
    let default = script.strings(outermost(features, "script_parameter_default")[0]);
    assert!(default.iter().all(|feature| named.contains(feature)));
    for variable in ["$graphPermissions", "$callerRoles"] {
        assert_eq!(script.by_feature(variable).into_keys().collect::<BTreeSet<_>>(), named, "{variable}");
    }
}

fn pairs(by_feature: BTreeMap<String, Vec<String>>) -> BTreeSet<(String, String)> {
    by_feature.into_iter().flat_map(|(feature, all)| all.into_iter().map(move |one| (feature.clone(), one))).collect()
}

fn plain(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

#[test]
fn the_table_of_permissions_is_what_it_grants() {
    let (script, tables) = (script(), file(TABLES));
    let rows = table(&tables, "| feature | permission | why | without it |");
    assert!(rows.iter().all(|row| row.len() == 4 && row.iter().all(|cell| !cell.is_empty())), "{rows:?}");
    let told = rows.iter().map(|row| (plain(row[0]), plain(row[1]))).collect();
    assert_eq!(pairs(script.by_feature("$graphPermissions")), told);
    let rows = table(&tables, "| feature | app role of *Teams Bridge Genesys Cloud* | without it |");
    let told = rows.iter().map(|row| (plain(row[0]), plain(row[1]))).collect();
    assert_eq!(pairs(script.by_feature("$callerRoles")), told);
}

#[test]
fn it_grants_every_permission_that_the_code_asks_for() {
    let is_permission = |text: &str| {
        let parts: Vec<&str> = text.split('.').collect();
        let capital = |part: &&str| part.starts_with(char::is_uppercase) && part.chars().all(char::is_alphanumeric);
        (2..=3).contains(&parts.len()) && parts.iter().all(capital) && parts[1].starts_with("Read")
    };
    let asked: BTreeSet<String> = literals("shared/src/graph").into_iter().filter(|text| is_permission(text)).collect();
    assert!(asked.len() > 3, "{asked:?}");
    let granted: BTreeSet<String> =
        pairs(script().by_feature("$graphPermissions")).into_iter().map(|(_, one)| one).collect();
    assert!(asked.is_subset(&granted), "{asked:?} of {granted:?}");
}

#[test]
fn its_app_roles_are_the_contracts() {
    let script = script();
    let roles = script.entries(script.assigned("$appRoles"));
    let ids: BTreeSet<uuid::Uuid> =
        roles.iter().map(|(_, role)| script.strings(script.entries(*role)[0].1)[0].parse().unwrap()).collect();
    assert_eq!(ids.len(), roles.len(), "two roles with one id");
    let registered: BTreeSet<String> = roles.into_iter().map(|(role, _)| role).collect();

    let contract = contract::contract();
    let roles = contract::operations(&contract).flat_map(|(_, path, _)| contract::roles(&contract, path));
    let asked: BTreeSet<String> = roles.map(str::to_owned).collect();
    assert_eq!(registered, asked);
    let given: BTreeSet<String> = pairs(script.by_feature("$callerRoles")).into_iter().map(|(_, role)| role).collect();
    assert_eq!(given, registered);
}

#[test]
fn the_codes_that_its_page_names_are_answers() {
    let (tables, contract) = (file(TABLES), yaml("infra/openapi.yaml"));
    let codes: BTreeSet<&str> = contract["components"]["schemas"]["Code"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    let is_code = |text: &&str| {
        text.starts_with(char::is_lowercase)
            && text.contains(char::is_uppercase)
            && text.chars().all(char::is_alphabetic)
    };
    let page = file(PAGE);
    let spans = code_spans(&tables).into_iter().chain(code_spans(&page));
    let named: BTreeSet<&str> = spans.filter(is_code).collect();
    assert!(named.len() > 2 && named.is_subset(&codes), "{named:?}");
}

/// The parameters that a text passes to the script.
pub(super) fn passed(text: &str) -> BTreeSet<&str> {
    let words = text.split([' ', '\n', '`', '(', ')', ',', ';']);
    words.filter_map(|word| word.strip_prefix('-')).filter(|word| word.starts_with(char::is_uppercase)).collect()
}

#[test]
fn the_parameters_that_pages_name_exist() {
    let script = script();
    let own = script.parameters();
    let page = file(PAGE) + &file(TABLES);
    let lines = page.lines().filter(|line| line.contains("Register-TeamsBridge.ps1"));
    let in_code = lines.flat_map(passed).collect::<BTreeSet<_>>();
    let in_prose = code_spans(&page).into_iter().flat_map(passed).collect::<BTreeSet<_>>();
    let named: BTreeSet<&str> =
        in_code.union(&in_prose).copied().filter(|name| !["WhatIf", "Full"].contains(name)).collect();
    assert!(named.len() > 4 && named.is_subset(&own), "{named:?}");
}
