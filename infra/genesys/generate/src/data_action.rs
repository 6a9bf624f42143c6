//! Data actions in the form in which Genesys Cloud exports and imports them: <https://help.mypurecloud.com/?p=209478>.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;

use crate::Trouble;
use crate::contract::{Operation, Schema};

/// Stands for the bridge's URL until somebody sets it. The name resolves nowhere, so a token that is sent too early is
/// sent to nobody. It is no field of the credentials, because with *User Defined (OAuth)* Genesys Cloud documents those
/// for the token's action alone: <https://help.mypurecloud.com/?p=149524>.
pub const BRIDGE_URL: &str = "https://bridge.invalid";

/// The file of a data action.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataAction {
    /// The name that authors see in Genesys Cloud.
    pub name: String,
    integration_type: &'static str,
    action_type: &'static str,
    config: Config,
    contract: ActionContract,
    secure: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    request: Request,
    response: Response,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    request_url_template: String,
    request_type: &'static str,
    headers: BTreeMap<&'static str, &'static str>,
    request_template: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    translation_map: IndexMap<String, String>,
    translation_map_defaults: IndexMap<String, String>,
    success_template: String,
}

#[derive(Debug, Serialize)]
struct ActionContract {
    input: ActionInput,
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ActionInput {
    input_schema: Dialect,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    success_schema: Dialect,
}

/// A schema that says which draft it follows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dialect {
    #[serde(rename = "$schema")]
    dialect: &'static str,
    title: String,
    #[serde(flatten)]
    schema: Schema,
    additional_properties: bool,
}

impl Dialect {
    fn of(title: String, schema: Schema) -> Self {
        // What the published blueprints allow, and what keeps an action working when the bridge learns a new field.
        Self { dialect: "http://json-schema.org/draft-04/schema#", title, schema, additional_properties: true }
    }
}

impl DataAction {
    /// The data action that calls a route.
    ///
    /// # Errors
    /// When the answer has a field that a data action cannot map.
    pub fn calling(operation: Operation) -> Result<Self, Trouble> {
        let Operation { name, path, summary, request, answer, timeout_seconds } = operation;
        let response = Response::mapping(&answer).map_err(|trouble| Trouble(format!("{path}: {trouble}")))?;
        let mut input = Dialect::of(format!("{name}: request"), request);
        input.schema.description = Some(summary);
        Ok(Self {
            integration_type: "custom-rest-actions",
            action_type: "custom",
            config: Config {
                request: Request {
                    request_url_template: format!("{BRIDGE_URL}{path}"),
                    request_type: "POST",
                    headers: headers(&[
                        ("Authorization", "Bearer ${authResponse.access_token}"),
                        ("Content-Type", "application/json"),
                    ]),
                    // The input as it is, which Genesys Cloud encodes as JSON. A template field by field would have
                    // to escape every value, and has no good form for an optional field that is not set:
                    // `${input.x}` is then sent as it stands. The bridge reads a missing field, null and "" alike.
                    request_template: "${input.rawRequest}".into(),
                },
                response,
                timeout_seconds: Some(timeout_seconds),
            },
            contract: ActionContract {
                input: ActionInput { input_schema: input },
                output: Output { success_schema: Dialect::of(format!("{name}: answer"), answer) },
            },
            secure: false,
            name,
        })
    }

    /// The action with which an integration gets its token from Entra ID, by client credentials:
    /// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>. Its fields are those of
    /// the published blueprint's credential, and `login_url` for other clouds.
    #[must_use]
    pub fn token(name: String) -> Self {
        let empty = |title| {
            let schema = Schema {
                kind: "object".into(),
                description: None,
                required: Vec::new(),
                properties: Some(IndexMap::new()),
                default: None,
            };
            Dialect::of(format!("{name}: {title}"), schema)
        };
        let fields = ["client_id", "client_secret", "scope"];
        let form = fields.map(|field| format!("&{field}=$esc.url(\"${{credentials.{field}}}\")")).concat();
        Self {
            integration_type: "custom-rest-actions",
            action_type: "customAuth",
            config: Config {
                request: Request {
                    request_url_template: "${credentials.login_url}/${credentials.tenant_id}/oauth2/v2.0/token".into(),
                    request_type: "POST",
                    headers: headers(&[("Content-Type", "application/x-www-form-urlencoded")]),
                    request_template: format!("grant_type=client_credentials{form}"),
                },
                response: Response {
                    translation_map: IndexMap::new(),
                    translation_map_defaults: IndexMap::new(),
                    success_template: "${rawResult}".into(),
                },
                // Genesys Cloud has none for these.
                timeout_seconds: None,
            },
            contract: ActionContract {
                input: ActionInput { input_schema: empty("request") },
                output: Output { success_schema: empty("answer") },
            },
            secure: false,
            name,
        }
    }

    /// `escalate-to-teams.custom.json`: the ending is what Genesys Cloud tells the kinds apart by.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{}.json", file_stem(&self.name), self.action_type)
    }
}

/// `Escalate to Teams` as a file's name.
#[must_use]
pub fn file_stem(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn headers(own: &[(&'static str, &'static str)]) -> BTreeMap<&'static str, &'static str> {
    // Not sent: it tells Genesys Cloud to send the body in one piece, with its length.
    let buffered = ("Transfer-Encoding", "buffered");
    own.iter().copied().chain([buffered]).collect()
}

impl Response {
    /// Maps every field of an answer, and puts it where it was.
    ///
    /// Genesys Cloud renders what it has mapped as JSON text, so the template has no quotes around a string, and a
    /// default brings its own.
    fn mapping(answer: &Schema) -> Result<Self, Trouble> {
        let mut response = Self {
            translation_map: IndexMap::new(),
            translation_map_defaults: IndexMap::new(),
            success_template: String::new(),
        };
        response.map_object(answer, &[])?;
        Ok(response)
    }

    fn map_object(&mut self, object: &Schema, path: &[&str]) -> Result<(), Trouble> {
        for (position, (name, field)) in object.properties.iter().flatten().enumerate() {
            let before = if position == 0 { "{" } else { ", " };
            self.success_template.push_str(&format!("{before}\"{name}\": "));
            let path = [path, &[name]].concat();
            if field.kind == "object" {
                self.map_object(field, &path)?;
                continue;
            }
            // In a template a dot asks for a property, so `onlineMeeting.joinUrl` is mapped as `onlineMeeting_joinUrl`.
            let variable = path.join("_");
            let default = match (&field.default, field.kind.as_str()) {
                (Some(default), _) => serde_json::to_string(default).map_err(|error| Trouble(error.to_string()))?,
                (None, "string") => "\"\"".into(),
                (None, "boolean") => "false".into(),
                (None, "integer") => "0".into(),
                (None, other) => return Err(Trouble(format!("{name} is of type {other}, which scripts cannot read."))),
            };
            self.success_template.push_str(&format!("${{{variable}}}"));
            self.translation_map.insert(variable.clone(), format!("$.{}", path.join(".")));
            self.translation_map_defaults.insert(variable, default);
        }
        self.success_template.push('}');
        Ok(())
    }
}
