//! What Genesys Cloud imports, made from the contract: one data action for each route of `infra/openapi.yaml` that asks
//! for one, the action that gets their token, and the agent's script.

pub mod contract;
pub mod data_action;
pub mod script;

use std::path::{Path, PathBuf};

use contract::Contract;
use data_action::{DataAction, file_stem};
use script::escalate_to_teams;
use serde::Serialize;
use uuid::Uuid;

/// Why a file could not be made, for the person at the terminal.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

/// A file that Genesys Cloud imports.
#[derive(Debug)]
pub struct File {
    /// The path of the file, below `infra/genesys/`.
    pub path: PathBuf,
    /// JSON, one line for each value.
    pub text: String,
}

impl File {
    fn json(path: PathBuf, content: &impl Serialize) -> Result<Self, Trouble> {
        let text = serde_json::to_string_pretty(content).map_err(|error| Trouble(error.to_string()))?;
        Ok(Self { path, text: text + "\n" })
    }
}

/// `infra/genesys/`, where the files are kept.
#[must_use]
pub fn folder() -> PathBuf {
    checkout::root().join("infra/genesys")
}

/// Every file, from the contract as it is now.
///
/// # Errors
/// When the contract cannot be read, or lacks something.
pub fn files() -> Result<Vec<File>, Trouble> {
    let infra = folder().join("..");
    let read = |name| std::fs::read_to_string(infra.join(name)).map_err(|error| Trouble(format!("{name}: {error}")));
    let contract = Contract::read(&read("openapi.yaml")?, &read("template.yaml")?)?;
    let operations = contract.operations()?;
    let escalate = operations.iter().find(|operation| operation.path == "/escalations");
    let escalate = escalate.ok_or_else(|| Trouble("openapi.yaml has no data action for /escalations.".into()))?;
    let script = escalate_to_teams::script(escalate)?;

    let mut files = vec![File::json(format!("{}.script", file_stem(script.name)).into(), &script.content())?];
    let token = DataAction::token(contract.token_action()?);
    for action in operations.into_iter().map(DataAction::calling).chain([Ok(token)]) {
        let action = action?;
        files.push(File::json(Path::new("data-actions").join(action.file_name()), &action)?);
    }
    Ok(files)
}

/// The files for an import by hand: the data actions for the bridge at a URL, or the script for the data action that
/// has this id in the org.
///
/// # Errors
/// When the value is not a URL, or not an id.
pub fn filled(files: Vec<File>, value: &OrgValue) -> Result<Vec<File>, Trouble> {
    let (is_script, placeholder, value) = match value {
        OrgValue::BridgeUrl(url) => {
            let url = url.trim_end_matches('/');
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
            if !url.starts_with("https://") || !url.bytes().all(plain) {
                return Err(Trouble(format!("{url:?} is not the bridge's URL; it begins with https://.")));
            }
            (false, data_action::BRIDGE_URL, url.to_owned())
        }
        OrgValue::ActionId(id) => {
            let own = Uuid::parse_str(id.trim_start_matches("custom_-_"));
            let own = own.map_err(|_| Trouble(format!("{id:?} is not a data action's id, custom_-_ and a guid.")))?;
            (true, escalate_to_teams::ACTION_ID, format!("custom_-_{own}"))
        }
    };
    let wanted = files.into_iter().filter(|file| file.path.extension().is_some_and(|end| end == "script") == is_script);
    Ok(wanted.map(|file| File { text: file.text.replace(placeholder, &value), ..file }).collect())
}

/// What differs from org to org.
#[derive(Debug)]
pub enum OrgValue {
    /// Where the bridge is: the template's output `BridgeUrl`.
    BridgeUrl(String),
    /// The id of the imported data action *Escalate to Teams*: `custom_-_` and a guid, or the guid.
    ActionId(String),
}

/// A sentence for each committed file that is not what the contract says.
#[must_use]
pub fn differing(files: &[File]) -> Vec<String> {
    let differs = |file: &&File| std::fs::read_to_string(folder().join(&file.path)).ok().as_ref() != Some(&file.text);
    let sentence = |file: &File| {
        let path = file.path.display();
        format!("infra/genesys/{path} is not what infra/openapi.yaml says. Write it anew with `cargo genesys`.")
    };
    files.iter().filter(differs).map(sentence).collect()
}
