//! `infra/openapi.yaml` is the contract. It is compared here with the codes and the open routes of the code, and with
//! every other file that repeats a part of it. The requests and answers of a function are tested in its own folder.

use std::collections::BTreeSet;

use bridge::error::Code;
use contract::{Served, compare, contract, documented, envelope, file, operations, paths, resolved, roles, routes};
use serde_json::json;

/// The routes that Microsoft Graph calls.
const GRAPH_ROUTES: [&str; 2] = ["/graph/lifecycle", "/graph/notifications"];

#[test]
fn the_routes_of_microsoft_graph_and_no_others_are_open() {
    let contract = contract();
    let open: Vec<_> = operations(&contract).filter(|(_, _, operation)| operation.get("security").is_some()).collect();
    let mut routes: Vec<_> = open.iter().map(|(method, path, _)| (*method, *path)).collect();
    routes.sort_unstable();
    assert_eq!(routes, GRAPH_ROUTES.map(|path| ("POST", path)));
    let envelope = envelope(json!({}));
    for (_, path, operation) in open {
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
    // Of the tables on the page, that of the codes is the one with a status in each row.
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows: Vec<_> = rows.filter(|(_, rest)| rest.starts_with(|first: char| first.is_ascii_digit())).collect();
    for code in Code::ALL {
        let status = code.status().to_string();
        let row = rows.iter().find(|(name, rest)| *name == code.text() && rest.starts_with(&status));
        assert!(row.is_some(), "the table of codes lacks {code} with status {status}");
    }
    let told: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(told, codes, "the table has the order of the code");
}

#[test]
fn the_reference_has_the_roles_of_the_contract() {
    let contract = contract();
    let pages = ["docs/reference/routes.md", "docs/reference/permissions.md"].map(file);
    for path in paths(&contract) {
        let roles = roles(&contract, &path);
        assert!(!roles.is_empty(), "{path}: the description begins with the app roles that it needs");
        for role in roles {
            assert!(pages.iter().all(|page| page.contains(&format!("`{role}`"))), "{role} is not in the reference");
        }
    }
}

#[test]
fn cargo_lambda_watch_serves_the_same_routes() {
    let manifest: toml::Table = file("Cargo.toml").parse().unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    let mut routed = BTreeSet::new();
    for (path, targets) in router {
        for target in targets.as_array().unwrap() {
            let [method, function] = ["method", "function"].map(|name| target[name].as_str().unwrap().to_owned());
            routed.insert(Served { method, path: path.clone(), function });
        }
    }
    assert_eq!(routed, routes());
    let served: BTreeSet<_> = routed.into_iter().map(|route| (route.method, route.path)).collect();
    assert_eq!(served, documented(&contract()));
}

#[test]
fn every_function_that_data_actions_call_holds_itself_to_the_contract() {
    let (contract, routes) = (contract(), routes());
    for path in paths(&contract) {
        let function = &routes.iter().find(|served| served.path == path).unwrap().function;
        let test = file(&format!("functions/{function}/tests/contract.rs"));
        assert!(test.contains("held.check();"), "{function}");
    }
}
