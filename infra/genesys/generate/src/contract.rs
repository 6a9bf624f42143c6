//! `infra/openapi.yaml` and `infra/template.yaml`, as far as a data action repeats them.

use indexmap::IndexMap;
use serde::Serialize;
use yaml::Value;

use crate::Trouble;

/// Genesys Cloud must not give up before the function does, whose own answer says what took so long. So much longer
/// takes the way there and back.
const ON_THE_WAY_SECONDS: u64 = 2;

/// A route that is a data action: an operation with `x-genesys-data-action`, which names it.
#[derive(Debug)]
pub struct Operation {
    /// The data action's name: `Escalate to Teams`.
    pub name: String,
    /// Below the bridge's URL: `/escalations`.
    pub path: String,
    /// What it does, in a line.
    pub summary: String,
    /// The fields that it takes.
    pub request: Schema,
    /// The fields that it answers with.
    pub answer: Schema,
    /// How long Genesys Cloud waits for the answer.
    pub timeout_seconds: u64,
}

/// A JSON schema, and only what draft 4 and Genesys Cloud need of it.
///
/// Enumerations and bounds stay out: the bridge checks them and says what was expected, while a contract cannot be
/// changed once it is published, and answers a value outside of it with an error that names neither field nor reason.
#[derive(Debug, Serialize)]
pub struct Schema {
    /// `string`, `boolean`, `integer` or `object`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For the author of a script or flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The fields that are always there. Draft 4 allows no empty list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// An object's fields, in the contract's order. Nothing else has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<IndexMap<String, Schema>>,
    /// What a receiver takes where nothing came.
    #[serde(skip)]
    pub default: Option<Value>,
}

/// The contract, and the template for its timeouts.
#[derive(Debug)]
pub struct Contract {
    openapi: Value,
    template: Value,
}

impl Contract {
    /// Reads the contract and the template from their texts.
    ///
    /// # Errors
    /// When one is not YAML.
    pub fn read(openapi: &str, template: &str) -> Result<Self, Trouble> {
        let parsed = |name, text| yaml::from_str(text).map_err(|error| Trouble(format!("{name} is no YAML: {error}")));
        Ok(Self { openapi: parsed("openapi.yaml", openapi)?, template: parsed("template.yaml", template)? })
    }

    /// The routes that are data actions, in the contract's order.
    ///
    /// # Errors
    /// When the contract lacks something that a data action needs, naming the place.
    pub fn operations(&self) -> Result<Vec<Operation>, Trouble> {
        let paths = self.at("/paths")?.as_mapping().ok_or_else(|| Trouble("openapi.yaml has no paths.".into()))?;
        let mut operations = Vec::new();
        for path in paths.keys().filter_map(Value::as_str) {
            let post = &self.openapi["paths"][path]["post"];
            let Some(name) = post["x-genesys-data-action"].as_str() else { continue };
            let body = |holder: &Value, place: &str| {
                let schema = &self.resolved(holder)?["content"]["application/json"]["schema"];
                self.schema(schema).map_err(|trouble| Trouble(format!("{path}, {place}: {trouble}")))
            };
            operations.push(Operation {
                name: name.to_owned(),
                path: path.to_owned(),
                summary: text(post, "summary")?,
                request: body(&post["requestBody"], "request")?,
                answer: body(&post["responses"]["200"], "answer")?,
                timeout_seconds: self.function_timeout_seconds(path)? + ON_THE_WAY_SECONDS,
            });
        }
        Ok(operations)
    }

    /// The name of the action that gets the token.
    ///
    /// # Errors
    /// When the contract does not name it.
    pub fn token_action(&self) -> Result<String, Trouble> {
        text(self.at("/components/securitySchemes/entraId")?, "x-genesys-data-action")
    }

    /// A schema with every `$ref` in it followed.
    fn schema(&self, value: &Value) -> Result<Schema, Trouble> {
        let value = self.resolved(value)?;
        let required = value["required"].as_sequence().into_iter().flatten().filter_map(Value::as_str);
        let named = |(name, property): (&Value, &Value)| {
            let name = name.as_str().unwrap_or_default().to_owned();
            let property = self.schema(property).map_err(|trouble| Trouble(format!("{name}: {trouble}")))?;
            Ok((name, property))
        };
        let properties = value["properties"].as_mapping().map(|all| all.iter().map(named).collect::<Result<_, _>>());
        Ok(Schema {
            kind: text(value, "type")?,
            description: value["description"].as_str().map(str::to_owned),
            required: required.map(str::to_owned).collect(),
            properties: properties.transpose()?,
            default: value.get("default").cloned(),
        })
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> Result<&'a Value, Trouble> {
        match value["$ref"].as_str() {
            Some(reference) => self.resolved(self.at(reference.trim_start_matches('#'))?),
            None => Ok(value),
        }
    }

    /// What a JSON pointer points at.
    fn at(&self, pointer: &str) -> Result<&Value, Trouble> {
        let mut keys = pointer.split('/').skip(1);
        let found = keys.try_fold(&self.openapi, |value, key| value.get(key));
        found.ok_or_else(|| Trouble(format!("openapi.yaml has no #{pointer}.")))
    }

    /// The timeout of the function behind a route.
    fn function_timeout_seconds(&self, path: &str) -> Result<u64, Trouble> {
        let serves = |resource: &&Value| {
            let events = resource["Properties"]["Events"].as_mapping();
            events.is_some_and(|events| events.values().any(|event| event["Properties"]["Path"].as_str() == Some(path)))
        };
        let function = self.template["Resources"].as_mapping().and_then(|all| all.values().find(serves));
        let function = function.ok_or_else(|| Trouble(format!("template.yaml has no function for {path}.")))?;
        let own = function["Properties"]["Timeout"].as_u64();
        own.or_else(|| self.template["Globals"]["Function"]["Timeout"].as_u64())
            .ok_or_else(|| Trouble(format!("template.yaml has no timeout for the function of {path}.")))
    }
}

fn text(value: &Value, name: &str) -> Result<String, Trouble> {
    let found = value[name].as_str().map(str::to_owned);
    found.ok_or_else(|| Trouble(format!("openapi.yaml lacks a text at {name}.")))
}
