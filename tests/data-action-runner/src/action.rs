//! The export file of a data action, as *Integrations*, *Actions* exports and imports it.

use std::collections::BTreeMap;
use std::path::Path;

use python_packages::Trouble;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The placeholder of the bridge's URL in the files that are shipped.
const UNSET_BRIDGE: &str = "https://bridge.invalid";

/// The settings in Genesys Cloud beside the files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// The bridge's URL, without a slash at the end.
    pub bridge: String,
    /// The fields of the integration's credentials.
    pub credentials: BTreeMap<String, String>,
}

/// An exported action: `NAME.custom.json`, or `NAME.customAuth.json` for one that gets a token.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// The name of the action.
    pub name: String,
    /// The action's contract and its calls.
    pub config: Config,
    /// The contracts of its input and output.
    #[serde(default)]
    pub contract: Contract,
}

/// The request of an action, and what is made of the answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The request that the action sends.
    pub request: Request,
    /// The rules for the answer.
    #[serde(default)]
    pub response: Response,
    /// How long the answer may take, 1 to 60 seconds.
    #[serde(default = "a_minute")]
    pub timeout_seconds: u64,
}

fn a_minute() -> u64 {
    60
}

/// The request: every text is a Velocity template but the method.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The template of the URL.
    pub request_url_template: String,
    /// The HTTP method of the request.
    pub request_type: String,
    /// The templates of the headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, which a `GET` does without.
    #[serde(default = "raw_request")]
    pub request_template: String,
}

fn raw_request() -> String {
    "${input.rawRequest}".into()
}

/// The rules for the answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// Names, and the JSONPath of what they stand for in the answer.
    #[serde(default)]
    pub translation_map: BTreeMap<String, String>,
    /// JSON text for names whose path leads nowhere.
    #[serde(default)]
    pub translation_map_defaults: BTreeMap<String, String>,
    /// The output, a Velocity template that must make JSON.
    #[serde(default = "raw_result")]
    pub success_template: String,
}

fn raw_result() -> String {
    "${rawResult}".into()
}

impl Default for Response {
    fn default() -> Self {
        Self {
            translation_map: BTreeMap::new(),
            translation_map_defaults: BTreeMap::new(),
            success_template: raw_result(),
        }
    }
}

/// The contracts of an action's input and output: JSON Schemas of draft 4.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Contract {
    /// The contract of the input.
    #[serde(default)]
    pub input: Input,
    /// The contract of the output.
    #[serde(default)]
    pub output: Output,
}

/// The contract of the input.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The JSON schema of the input.
    #[serde(default)]
    pub input_schema: Option<Value>,
}

/// The contract of the output.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The JSON schema of the output.
    #[serde(default)]
    pub success_schema: Option<Value>,
}

impl Action {
    /// Reads an export file.
    ///
    /// # Errors
    /// There is no such file, or it is no export of a data action.
    pub fn read(path: &Path) -> Result<Self, Trouble> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Trouble(format!("{} cannot be read: {error}", path.display())))?;
        let action: Self = serde_json::from_str(&text)
            .map_err(|error| Trouble(format!("{} is no data action's export: {error}", path.display())))?;
        if (1..=60).contains(&action.config.timeout_seconds) {
            return Ok(action);
        }
        Err(Trouble(format!("{}: `timeoutSeconds` must be 1 to 60.", path.display())))
    }

    /// The same action with the bridge's URL set, where the file leaves that to whoever imports it.
    #[must_use]
    pub fn calling(mut self, bridge: &str) -> Self {
        let url = &mut self.config.request.request_url_template;
        *url = url.replacen(UNSET_BRIDGE, bridge, 1);
        self
    }
}
