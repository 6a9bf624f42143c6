//! From the answer to the action's output: the translation map, its defaults, and the contracts.

use serde_json::{Map, Value};

use crate::action::Response;
use crate::engine::Engine;

/// What each name of the translation map stands for, as the success template prints it: JSON text. A name whose path
/// leads nowhere has its default, to the letter; without one it stands for nothing.
///
/// # Errors
/// A path that is none, or a function that cannot be applied to what it was given.
pub(crate) fn translate(engine: &Engine, response: &Response, answer: &Value) -> Result<Map<String, Value>, String> {
    let mut variables = Map::new();
    for (name, path) in &response.translation_map {
        let found =
            engine.find(path, answer).map_err(|error| format!("The path of `{name}`, {path}, is none: {error}"))?;
        let text = found.map(|value| value.to_string());
        if let Some(text) = text.or_else(|| response.translation_map_defaults.get(name).cloned()) {
            variables.insert(name.clone(), text.into());
        }
    }
    Ok(variables)
}

/// Checks a value against a contract.
///
/// # Errors
/// Everything that the contract forbids, or that it is no schema of draft 4.
pub(crate) fn check(schema: Option<&Value>, value: &Value) -> Result<(), String> {
    let Some(schema) = schema else {
        return Ok(());
    };
    let contract = jsonschema::draft4::new(schema).map_err(|error| format!("The contract is no schema: {error}"))?;
    let wrong: Vec<String> = contract
        .iter_errors(value)
        .map(|error| match error.instance_path().as_str() {
            "" => error.to_string(),
            path => format!("{path}: {error}"),
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}
