//! `infra/openapi.yaml` is the contract. A function that data actions call holds itself to it, in `tests/contract.rs` of
//! its own folder, by saying how it reads a request and what it answers with: see [`Held`]. Which route is a function's
//! is read from `infra/template.yaml`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "used by tests alone, where a panic is a failed test")]

mod event;
mod held;

use std::collections::BTreeSet;

use bridge::edge::Answer;
use bridge::error::Code;
use serde::Serialize;
use serde_json::Value;

pub use held::Held;

/// The text of a file of this checkout.
#[must_use]
pub fn file(path: &str) -> String {
    let path = checkout::root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The contract `infra/openapi.yaml`, as JSON.
#[must_use]
pub fn contract() -> Value {
    yaml::from_str(&file("infra/openapi.yaml")).unwrap()
}

/// A route of the template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// The method in upper case, such as `POST`.
    pub method: String,
    /// The path of the route, such as `/meetings`.
    pub path: String,
    /// The name of the function behind it: `create-meeting`.
    pub function: String,
}

/// The routes of the template.
#[must_use]
pub fn routes() -> BTreeSet<Served> {
    let template: yaml::Value = yaml::from_str(&file("infra/template.yaml")).unwrap();
    let mut routes = BTreeSet::new();
    for resource in template["Resources"].as_mapping().unwrap().values() {
        let properties = &resource["Properties"];
        let Some(function) =
            properties["CodeUri"].as_str().and_then(|path| path.trim_end_matches('/').rsplit('/').next())
        else {
            continue;
        };
        for event in properties["Events"].as_mapping().into_iter().flat_map(yaml::Mapping::values) {
            if event["Type"].as_str() == Some("HttpApi") {
                let [method, path] = ["Method", "Path"].map(|name| event["Properties"][name].as_str().unwrap());
                routes.insert(Served { method: method.into(), path: path.into(), function: function.into() });
            }
        }
    }
    routes
}

/// The operations of the contract: method (`POST`), path and what it says of them.
pub fn operations(contract: &Value) -> impl Iterator<Item = (&'static str, &str, &Value)> {
    let paths = contract["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        let methods = [("GET", "get"), ("POST", "post"), ("PUT", "put"), ("PATCH", "patch"), ("DELETE", "delete")];
        methods.into_iter().filter_map(move |(method, key)| Some((method, path.as_str(), item.get(key)?)))
    })
}

/// The routes of the contract: method and path.
#[must_use]
pub fn documented(contract: &Value) -> BTreeSet<(String, String)> {
    operations(contract).map(|(method, path, _)| (method.to_owned(), path.to_owned())).collect()
}

/// The paths of the routes that data actions call: all but those that are open.
#[must_use]
pub fn paths(contract: &Value) -> Vec<String> {
    let own = operations(contract).filter(|(_, _, operation)| operation.get("security").is_none());
    own.map(|(_, path, _)| path.to_owned()).collect()
}

/// The names of the data actions that routes ask for.
#[must_use]
pub fn data_actions(contract: &Value) -> BTreeSet<&str> {
    operations(contract).filter_map(|(_, _, operation)| operation["x-genesys-data-action"].as_str()).collect()
}

/// The app roles that a route's description says it needs.
#[must_use]
pub fn roles<'a>(contract: &'a Value, path: &str) -> BTreeSet<&'a str> {
    let of_path = operations(contract).filter(|(_, own, _)| *own == path);
    let said = of_path.filter_map(|(_, _, operation)| operation["description"].as_str()?.strip_prefix("App role"));
    said.flat_map(|text| text.split(". ").next().unwrap_or_default().split('`').skip(1).step_by(2)).collect()
}

/// The schema that a `$ref` leads to.
#[must_use]
pub fn resolved<'a>(contract: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => contract.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// The envelope with these fields in it, as JSON.
#[must_use]
pub fn envelope(fields: impl Serialize) -> Value {
    serde_json::to_value(Answer::ok(Code::CREATED, "", serde_json::to_value(fields).unwrap())).unwrap()
}

/// Holds that a schema has the fields of this object, all of them required and of the same types.
///
/// # Panics
/// When it does not.
pub fn compare(contract: &Value, place: &str, schema: &Value, value: &Value) {
    let names: BTreeSet<_> = value.as_object().unwrap().keys().collect();
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<BTreeSet<_>>(), names, "{place}");
    let required = schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    assert_eq!(required.collect::<BTreeSet<_>>(), names.iter().map(|name| name.as_str()).collect(), "{place}");
    for (name, value) in value.as_object().unwrap() {
        let schema = resolved(contract, &schema["properties"][name]);
        assert_eq!(schema["type"], kind(value), "{place} {name}");
        if value.is_object() {
            compare(contract, &format!("{place} {name}"), schema, value);
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Object(_) => "object",
        other => panic!("an answer never holds {other}"),
    }
}
