//! The agent's script that is shipped: what its buttons give to the data action, on a page that was just loaded.

use std::collections::BTreeMap;
use std::fs;

use checkout::root;
use serde_json::{Map, Value};

use crate::Trouble;

const FILE: &str = "infra/genesys/escalate-to-teams.script";

/// The script.
#[derive(Debug)]
pub struct AgentScript(Value);

impl AgentScript {
    /// Reads the script.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read() -> Result<Self, Trouble> {
        let failed = |error: &dyn std::fmt::Display| Trouble(format!("{FILE} cannot be read: {error}"));
        let text = fs::read_to_string(root().join(FILE)).map_err(|error| failed(&error))?;
        serde_json::from_str(&text).map(Self).map_err(|error| failed(&error))
    }

    /// What a button gives to its data action, where Genesys Cloud's own variables have these values; one that is not
    /// among them stays as it stands.
    ///
    /// # Errors
    /// There is no such button, or it calls no data action.
    pub fn input(&self, button: &str, built_in: &[(&str, &str)]) -> Result<Value, Trouble> {
        let mut values: BTreeMap<String, String> =
            built_in.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for variable in self.0["variables"].as_array().into_iter().flatten() {
            values.insert(text(&variable["id"]), text(&variable["value"]));
        }
        let mut actions = self.0["customActions"].as_array().into_iter().flatten();
        let steps = actions.find(|action| action["name"] == button).map(|action| &action["action"]["block"]);
        let call = steps.and_then(|steps| until_call(steps, &mut values));
        let fields = call.and_then(|call| call["inputProperty"]["value"]["fieldProperties"].as_object());
        let fields = fields.ok_or_else(|| Trouble(format!("{FILE}: {button} calls no data action.")))?;
        let input: Map<String, Value> =
            fields.iter().map(|(name, field)| (name.clone(), value(field, &values))).collect();
        Ok(Value::Object(input))
    }
}

/// Takes the steps that come before a data action, and gives what that is called with.
fn until_call<'a>(steps: &'a Value, values: &mut BTreeMap<String, String>) -> Option<&'a Value> {
    for step in steps.as_array()? {
        let argument = &step["actionArgumentValues"][0]["value"];
        match step["actionName"].as_str() {
            Some("bridge.bridge") => return Some(argument),
            Some("scripter.setVariable") => {
                let set = value(&argument["valueOfVariableProperty"], values);
                values.insert(text(&argument["variable"]["value"]), text(&set));
            }
            // A condition: whether a variable is not empty.
            None if !value(&step["condition"]["leftHandSide"], values).as_str().unwrap_or_default().is_empty() => {
                if let Some(call) = until_call(&step["ifBlock"], values) {
                    return Some(call);
                }
            }
            _ => {}
        }
    }
    None
}

/// A value of the script: a variable's, a text with variables in it, or itself.
fn value(typed: &Value, values: &BTreeMap<String, String>) -> Value {
    let content = text(&typed["value"]);
    match typed["typeName"].as_str() {
        Some("variable") => Value::String(values.get(&content).cloned().unwrap_or_default()),
        Some("interpolatedText") => Value::String(filled(&content, values)),
        _ => typed["value"].clone(),
    }
}

fn filled(content: &str, values: &BTreeMap<String, String>) -> String {
    let mut filled = String::new();
    let mut rest = content;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, left)) = after.split_once("}}") else { return filled + "{{" + after };
        match values.get(name) {
            Some(value) => filled.push_str(value),
            None => filled.push_str(&format!("{{{{{name}}}}}")),
        }
        rest = left;
    }
    filled + rest
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_buttons_send_what_the_page_has() {
        let script = AgentScript::read().unwrap();
        let built_in = [
            ("scripter.agentEmail", "kim@contoso.com"),
            ("scripter.customersFormattedNumber", "tel:+447700900123"),
            ("scripter.interactionId", "c-1"),
        ];
        let mut expected = json!({
            "user": "kim@contoso.com", "agentName": "{{scripter.agentName}}", "toAddress": "tel:+447700900123",
            "conversationId": "c-1", "startTime": "", "timeZone": "UTC",
        });
        assert_eq!(script.input("Escalate to Teams", &built_in).unwrap(), expected);
        expected["resend"] = json!(true);
        assert_eq!(script.input("Send the text message again", &built_in).unwrap(), expected);
        assert!(script.input("Stop waiting", &built_in).is_err() && script.input("Dance", &[]).is_err());
    }
}
