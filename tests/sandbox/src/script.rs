//! The agent's script that is shipped: the inputs that its buttons give to the data action, and the page that it shows.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;

use checkout::root;
use serde_json::Value;

use crate::Trouble;

const FILE: &str = "infra/genesys/escalate-to-teams.script";

/// The agent's script, as it is shipped.
#[derive(Debug)]
pub struct AgentScript(Value);

impl AgentScript {
    /// Reads the script from its file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read() -> Result<Self, Trouble> {
        let failed = |error: &dyn std::fmt::Display| Trouble(format!("{FILE} cannot be read: {error}"));
        let text = fs::read_to_string(root().join(FILE)).map_err(|error| failed(&error))?;
        serde_json::from_str(&text).map(Self).map_err(|error| failed(&error))
    }

    /// What a button gives to its data action on a page that was just loaded, where Genesys Cloud's own variables have
    /// these values; one that is not among them stays as it stands.
    ///
    /// # Errors
    /// There is no such button, or it calls no data action.
    pub fn input(&self, button: &str, built_in: &[(&str, &str)]) -> Result<Value, Trouble> {
        let mut input = None;
        self.press(button, &mut self.loaded(built_in), &mut |call, values| {
            let fields = call["inputProperty"]["value"]["fieldProperties"].as_object();
            input = fields.map(|fields| {
                let fields = fields.iter().map(|(name, field)| (name.clone(), value(field, values)));
                Value::Object(fields.collect())
            });
            ControlFlow::Break(())
        });
        input.ok_or_else(|| Trouble(format!("{FILE}: {button} calls no data action.")))
    }

    /// What the page shows, from its top to its bottom, once the data action of a button has answered.
    ///
    /// # Errors
    /// There is no such button, or it calls no data action.
    pub fn page(&self, button: &str, built_in: &[(&str, &str)], answer: &Value) -> Result<Vec<Shown>, Trouble> {
        let mut called = false;
        let mut values = self.loaded(built_in);
        self.press(button, &mut values, &mut |call, values| {
            called = true;
            let fields = call["successProperty"]["value"]["fieldProperties"].as_object();
            for (name, variable) in fields.into_iter().flatten() {
                values.insert(text(&variable["value"]), text(&answer[name]));
            }
            ControlFlow::Continue(())
        });
        if !called {
            return Err(Trouble(format!("{FILE}: {button} calls no data action.")));
        }
        let components = self.0["pages"][0]["rootContainer"]["children"].as_array();
        Ok(components.into_iter().flatten().filter_map(|component| Shown::read(component, &values)).collect())
    }

    /// The values of all variables, on a page that was just loaded.
    fn loaded(&self, built_in: &[(&str, &str)]) -> Values {
        let built_in = built_in.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables = self.0["variables"].as_array().into_iter().flatten();
        built_in.chain(variables.map(|variable| (text(&variable["id"]), text(&variable["value"])))).collect()
    }

    /// Takes the steps of a button's action. `call` is given the argument of each data action.
    fn press(&self, button: &str, values: &mut Values, call: &mut Call<'_>) {
        let mut actions = self.0["customActions"].as_array().into_iter().flatten();
        if let Some(action) = actions.find(|action| action["name"] == button) {
            let _ = take(&action["action"]["block"], values, call);
        }
    }
}

/// Something on the script's page that is visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A text; its size is in points.
    Text {
        /// The words of the text.
        content: String,
        /// The size in points.
        size: u8,
        /// Whether it is bold.
        bold: bool,
    },
    /// A button, by its label.
    Button(String),
    /// A field for a text, with the words that stand in it while it is empty.
    Entry(String),
    /// A field for a date and time.
    Date,
}

impl Shown {
    fn read(component: &Value, values: &Values) -> Option<Self> {
        let property = |name: &str| value(&component["properties"][name], values);
        let visible = component["properties"]["visible"].get("value").is_none_or(|flag| is_true(flag, values));
        match component["type"].as_str().filter(|_| visible)? {
            "text" => Some(Self::Text {
                content: text(&property("text")),
                size: u8::try_from(property("fontSize").as_u64()?).ok()?,
                bold: property("bold") == true,
            }),
            "button" => Some(Self::Button(text(&property("text")))),
            "input" => Some(Self::Entry(text(&property("placeholderText")))),
            "date" => Some(Self::Date),
            _ => None,
        }
    }
}

/// The variables by their id, and Genesys Cloud's own by their name. A flag that is false is an empty text.
type Values = BTreeMap<String, String>;

/// A handler for the argument of a data action, which tells whether the following steps are taken.
type Call<'a> = dyn FnMut(&Value, &mut Values) -> ControlFlow<()> + 'a;

fn is_true(flag: &Value, values: &Values) -> bool {
    values.get(&text(flag)).is_some_and(|value| value == TRUE)
}

/// How a flag that is true is kept among the values.
const TRUE: &str = "true";

/// Takes steps one after the other.
fn take(steps: &Value, values: &mut Values, call: &mut Call<'_>) -> ControlFlow<()> {
    for step in steps.as_array().into_iter().flatten() {
        let argument = &step["actionArgumentValues"][0]["value"];
        match step["actionName"].as_str() {
            Some("bridge.bridge") => call(argument, values)?,
            Some("scripter.setVariable") => {
                let set = value(&argument["valueOfVariableProperty"], values);
                values.insert(text(&argument["variable"]["value"]), text(&set));
            }
            // A condition: whether a variable is not empty.
            None if !value(&step["condition"]["leftHandSide"], values).as_str().unwrap_or_default().is_empty() => {
                take(&step["ifBlock"], values, call)?;
            }
            _ => {}
        }
    }
    ControlFlow::Continue(())
}

/// A value of the script: a variable's, a text with variables in it, or itself.
fn value(typed: &Value, values: &Values) -> Value {
    let content = text(&typed["value"]);
    match typed["typeName"].as_str() {
        Some("variable") => Value::String(values.get(&content).cloned().unwrap_or_default()),
        Some("interpolatedText") => Value::String(filled(&content, values)),
        _ => typed["value"].clone(),
    }
}

fn filled(content: &str, values: &Values) -> String {
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
    if value == true { TRUE.to_owned() } else { value.as_str().unwrap_or_default().to_owned() }
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
    #[test]
    fn the_page_shows_what_was_answered() {
        let script = AgentScript::read().unwrap();
        let built_in = [("scripter.customersFormattedNumber", "+447700900123")];
        let answer =
            json!({"message": "Done.", "code": "created", "requestId": "r-1", "joinUrl": "https://t.invalid/1"});
        let page = script.page("Escalate to Teams", &built_in, &answer).unwrap();
        let has = |shown: &Shown| page.contains(shown);
        let text = |content: &str, size, bold| Shown::Text { content: content.into(), size, bold };
        assert!(has(&text("Customer: +447700900123", 11, false)) && has(&text("Done.", 12, true)), "{page:?}");
        assert!(has(&text("https://t.invalid/1", 11, false)) && has(&text("created r-1", 9, false)), "{page:?}");
        assert!(has(&Shown::Button("Open the meeting".into())) && has(&Shown::Date));
        assert!(!has(&Shown::Button("Stop waiting".into())), "it waits no longer");

        let refused = json!({"message": "No.", "code": "noSuch", "requestId": "r-2", "joinUrl": ""});
        let page = script.page("Escalate to Teams", &built_in, &refused).unwrap();
        assert!(page.contains(&text("No.", 12, true)));
        assert!(!page.contains(&Shown::Button("Open the meeting".into())), "there is no meeting");
        assert!(script.page("Stop waiting", &built_in, &answer).is_err());
    }
}
