//! The components of a script's page.

use serde_json::{Map, Value, json};

use super::{Action, Variable, typed};

/// When a component is visible.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Visible {
    /// The component is always visible.
    Always,
    /// The component is visible while a flag is true.
    While(Variable),
}

/// A line or more of text.
#[must_use]
pub(crate) fn text(content: &str, size: u8, bold: bool, visible: Visible) -> Value {
    let mut properties = placed("stretch", visible);
    properties.extend(lettered(content, size, bold, "left"));
    properties.insert("padding".into(), typed("spacing", 0));
    component("text", properties)
}

/// A button that runs the action of a name, and cannot be pressed while a flag is true.
#[must_use]
pub(crate) fn button(label: &str, action: &str, disabled: Option<Variable>, visible: Visible) -> Value {
    let mut properties = placed("auto", visible);
    properties.extend(lettered(label, 11, false, "center"));
    properties.insert("clickAction".into(), Action::reference(action));
    properties
        .insert("disabled".into(), disabled.map_or_else(|| json!({"typeName": "variable"}), |flag| flag.reference()));
    component("button", properties)
}

/// A field for a text that the agent may enter, with a word on what is meant while it is empty.
#[must_use]
pub(crate) fn entry(variable: Variable, placeholder: &str, disabled: Variable) -> Value {
    let mut properties = asked(variable, disabled);
    properties.insert("placeholderText".into(), typed("interpolatedText", placeholder));
    properties.insert("validation".into(), json!({"typeName": "inputValidation"}));
    for never in ["isMultilineInput", "isPasswordInput", "isPasswordToggleVisible"] {
        properties.insert(never.into(), typed("boolean", false));
    }
    component("input", properties)
}

/// A date and time that the agent may choose.
#[must_use]
pub(crate) fn date_and_time(variable: Variable, disabled: Variable) -> Value {
    let mut properties = asked(variable, disabled);
    properties.insert("doesIncludeTime".into(), typed("boolean", true));
    component("date", properties)
}

/// What is entered goes into a variable, and may be left out.
fn asked(variable: Variable, disabled: Variable) -> Map<String, Value> {
    let mut properties = placed("auto", Visible::Always);
    properties.insert("doesRequireValue".into(), typed("boolean", false));
    properties.insert("value".into(), variable.reference());
    properties.insert("changeAction".into(), typed("action", json!({})));
    properties.insert("disabled".into(), disabled.reference());
    properties
}

/// Components one below the other.
pub(super) fn column(children: &[Value]) -> Value {
    let mut properties = placed("stretch", Visible::Always);
    let side = json!({"width": 0, "style": "solid", "color": "000000"});
    properties.insert("height".into(), typed("sizing", json!({"sizeType": "stretch", "size": 100})));
    properties.insert("backgroundColor".into(), json!({"typeName": "null"}));
    properties.insert("padding".into(), typed("spacing", [5, 5, 5, 5]));
    properties.insert("childArrangement".into(), typed("childArrangement", "start"));
    properties.insert("border".into(), typed("border", vec![side; 4]));
    let mut column = component("verticalStackContainer", properties);
    column["children"] = json!(children);
    column
}

fn component(kind: &str, properties: Map<String, Value>) -> Value {
    json!({"type": kind, "properties": properties})
}

/// The width of a component, and when it is visible.
fn placed(width: &str, visible: Visible) -> Map<String, Value> {
    let width = if width == "stretch" { json!({"sizeType": width, "size": 100}) } else { json!({"sizeType": width}) };
    let visible = match visible {
        Visible::Always => json!({"typeName": "variable"}),
        Visible::While(flag) => flag.reference(),
    };
    let properties = [
        ("margin", typed("spacing", [5, 5, 5, 5])),
        ("alignment", typed("alignment", "start")),
        ("width", typed("sizing", width)),
        ("height", typed("sizing", json!({"sizeType": "auto"}))),
        ("visible", visible),
    ];
    properties.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

/// The text of a component, and how it is printed.
fn lettered(content: &str, size: u8, bold: bool, justification: &str) -> Map<String, Value> {
    let properties = [
        ("text", typed("interpolatedText", content)),
        ("bold", typed("boolean", bold)),
        ("italic", typed("boolean", false)),
        ("underline", typed("boolean", false)),
        ("font", typed("font", "Arial, \"Helvetica Neue\", Helvetica, sans-serif")),
        ("fontSize", typed("integer", size)),
        ("justification", typed("text", justification)),
        ("backgroundColor", json!({"typeName": "null"})),
        ("textColor", json!({"typeName": "null"})),
    ];
    properties.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}
