//! Agent scripts in the form in which Genesys Cloud exports and imports them.
//!
//! The form is not documented. What is written here was seen in exports that Genesys publishes with its blueprints,
//! in its repositories `microsoft-teams-blueprint`, `zoom-meetings-sms-blueprint`, `genesys-cloud-call-park`,
//! `schedule-callback-via-script` and `workautomation-hubspot-ticketing-sample` and among the examples of its Terraform
//! provider, with three exceptions. The exports set flags, and [`Variable::set`] sets texts in the same way. They give
//! texts and whole numbers to data actions, and [`ScriptInput::Flag`] gives a flag in the same way. They name the agent's
//! e-mail address and id, and the agent's name is spelled like those.

pub mod escalate_to_teams;
mod page;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::Trouble;
use crate::contract::{Operation, Schema};

/// Stands for the org that imports the script, which puts in its own.
const ORGANIZATION: &str = "00000000-0000-0000-0000-000000000000";

/// The same every time, so that a file differs only where the script does.
fn id(kind: &str, name: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("teams-bridge {kind} {name}").as_bytes()).to_string()
}

/// A script of one page.
pub struct Script {
    /// The name that administrators see in Genesys Cloud.
    pub name: &'static str,
    /// All variables that the page and the actions refer to.
    pub variables: Vec<Variable>,
    /// The actions that its buttons run.
    pub actions: Vec<Action>,
    /// The page, from its top to its bottom.
    pub page: Vec<Value>,
}

impl Script {
    /// The content of the file to import.
    #[must_use]
    pub fn content(&self) -> Value {
        let (script, version, page) = (id("script", self.name), id("version", self.name), id("page", self.name));
        let off = || json!({"properties": {"enabled": typed("boolean", false)}});
        let on = || json!({"properties": {"enabled": typed("boolean", true)}});
        // A queue, a call flow or a campaign offers the scripts that have its feature switched on.
        json!({
            "id": script,
            "name": self.name,
            "organizationId": ORGANIZATION,
            "versionId": version,
            "startPageId": page,
            "pages": [{
                "id": page,
                "name": self.name,
                "organizationId": ORGANIZATION,
                "scriptId": script,
                "versionId": version,
                "properties": {"onLoadAction": typed("action", json!({})), "backgroundColor": {"typeName": "null"}},
                "dataVersion": 0,
                "rootContainer": page::column(&self.page),
            }],
            "features": {
                "dialer": {"properties": {
                    "enabled": typed("boolean", true),
                    "contactListId": typed("text", ""),
                    "onContactDataLoadAction": typed("action", json!({})),
                }},
                "scripter": on(),
                // What the editor calls *Inbound*.
                "screenPop": on(),
                "callback": on(),
                "chat": off(),
                "email": off(),
                "message": on(),
                // Data actions.
                "bridge": on(),
                "uuiData": off(),
                "customerSecuredData": off(),
                "list": off(),
            },
            "variables": self.variables.iter().map(Variable::content).collect::<Vec<_>>(),
            "customActions": self.actions.iter().map(Action::content).collect::<Vec<_>>(),
            "dataVersion": 0,
        })
    }
}

/// A variable of the script, empty or false when the page loads unless it has a value of its own.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    name: &'static str,
    description: &'static str,
    kind: &'static str,
    value: &'static str,
    input: bool,
    output: bool,
}

impl Variable {
    /// A variable that holds a text.
    #[must_use]
    pub const fn text(name: &'static str, description: &'static str) -> Self {
        Self { name, description, kind: "string", value: "", input: false, output: false }
    }

    /// A variable that holds true or false.
    #[must_use]
    pub const fn flag(name: &'static str, description: &'static str) -> Self {
        Self { kind: "boolean", ..Self::text(name, description) }
    }

    /// May be set by the call flow that brings up the script; this, where it is not.
    #[must_use]
    pub const fn input(self, value: &'static str) -> Self {
        Self { value, input: true, ..self }
    }

    /// Stays on the interaction when the script is gone.
    #[must_use]
    pub const fn output(self) -> Self {
        Self { output: true, ..self }
    }

    fn id(&self) -> String {
        id("variable", self.name)
    }

    /// The variable, where one is expected.
    fn reference(&self) -> Value {
        typed("variable", self.id())
    }

    /// The variable's value, within a text.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{{{{{}}}}}", self.id())
    }

    fn content(&self) -> Value {
        json!({
            "id": self.id(),
            "name": self.name,
            "description": self.description,
            "type": {"isDynamic": false, "isList": false, "name": self.kind},
            "value": if self.kind == "boolean" { json!(false) } else { json!(self.value) },
            "input": self.input,
            "output": self.output,
        })
    }

    /// A step that sets a flag.
    #[must_use]
    pub fn set_flag(&self, value: bool) -> Value {
        self.set(typed("boolean", value))
    }

    /// A step that sets a text.
    #[must_use]
    pub fn set_text(&self, value: &str) -> Value {
        self.set(typed("interpolatedText", value))
    }

    fn set(&self, value: Value) -> Value {
        let value = json!({
            "variable": self.reference(),
            "variableTypeName": self.kind,
            "valueOfVariableProperty": value,
        });
        step("scripter.setVariable", typed("variableWithValue", value))
    }

    /// A step that does others when a text is not empty.
    #[must_use]
    pub fn unless_empty(&self, steps: &[Value]) -> Value {
        json!({
            "type": "if",
            "condition": {
                "type": "standard",
                "leftHandSide": self.reference(),
                "operator": "notEqual",
                "rightHandSide": typed("interpolatedText", ""),
            },
            "ifBlock": steps,
            "elseBlock": [],
        })
    }
}

/// The action of a button: steps, one after the other.
pub struct Action {
    /// The name that the script's editor shows.
    pub name: &'static str,
    /// The steps, in the order in which they run.
    pub steps: Vec<Value>,
}

impl Action {
    fn content(&self) -> Value {
        json!({"id": id("action", self.name), "name": self.name, "action": {"block": self.steps}})
    }

    /// A reference to the action of this name.
    fn reference(name: &str) -> Value {
        typed("action", json!({"actionName": id("action", name), "actionArgumentValues": []}))
    }
}

/// A step that opens a variable's URL in a window of the browser.
#[must_use]
pub fn open(url: Variable) -> Value {
    step("scripter.webPage", typed("interpolatedText", url.shown()))
}

/// The value for a field of a data action's request.
#[derive(Debug)]
pub enum ScriptInput {
    /// A text, with `{{…}}` filled in.
    Text(&'static str),
    /// One of Genesys Cloud's own variables.
    BuiltIn(&'static str),
    /// The value of a variable of the script.
    Value(Variable),
    /// A flag, which is true or false.
    Flag(bool),
}

/// A step that calls a data action. What it answers goes into variables; when it fails, they stay as they were.
///
/// # Errors
/// When the route has no such field, requires one that is not given, or answers with one of another type.
pub fn call(
    operation: &Operation,
    action_id: &str,
    inputs: &[(&str, ScriptInput)],
    outputs: &[(&str, Variable)],
) -> Result<Value, Trouble> {
    let trouble = |problem: &str, name: &str| Trouble(format!("The script {problem} {name} of {}.", operation.path));
    let kind = |schema: &Schema, name: &str| Some(schema.properties.as_ref()?.get(name)?.kind.clone());
    let mut sent = Map::new();
    for (name, input) in inputs {
        kind(&operation.request, name).ok_or_else(|| trouble("sends the unknown field", name))?;
        let value = match input {
            ScriptInput::Text(text) => typed("interpolatedText", *text),
            ScriptInput::BuiltIn(variable) => typed("variable", *variable),
            ScriptInput::Value(variable) => typed("interpolatedText", variable.shown()),
            ScriptInput::Flag(flag) => typed("boolean", *flag),
        };
        sent.insert((*name).to_owned(), value);
    }
    if let Some(forgotten) = operation.request.required.iter().find(|name| !sent.contains_key(*name)) {
        return Err(trouble("does not send the field", forgotten));
    }
    let mut received = Map::new();
    for (name, variable) in outputs {
        if kind(&operation.answer, name).as_deref() != Some(variable.kind) {
            return Err(trouble("cannot keep the field", name));
        }
        received.insert((*name).to_owned(), variable.reference());
    }
    let fields = |fields: Map<String, Value>| typed("objectFields", json!({"fieldProperties": fields}));
    let value = json!({
        "actionName": action_id,
        "inputProperty": fields(sent),
        "successProperty": fields(received),
        "isHedwigAction": true,
    });
    Ok(step("bridge.bridge", typed("bridgeActionArguments", value)))
}

fn step(action: &str, argument: Value) -> Value {
    json!({"type": "action", "actionName": action, "actionArgumentValues": [argument]})
}

/// A value with the name of its type, as the format has them everywhere.
fn typed(kind: &str, value: impl Into<Value>) -> Value {
    json!({"typeName": kind, "value": value.into()})
}
