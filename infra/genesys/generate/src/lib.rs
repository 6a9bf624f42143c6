//! What Genesys Cloud imports, made from the contract: one data action for each route of `infra/openapi.yaml` that asks
//! for one, and the action that gets their token.

pub mod contract;
pub mod data_action;

use std::path::{Path, PathBuf};

use contract::Contract;
use data_action::DataAction;
use serde::Serialize;

/// Why a file could not be made, for the person at the terminal.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

/// A file to import.
#[derive(Debug)]
pub struct File {
    /// Below `infra/genesys/`.
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
pub fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every file, from the contract as it is now.
///
/// # Errors
/// When the contract cannot be read, or lacks something.
pub fn files() -> Result<Vec<File>, Trouble> {
    let infra = folder().join("..");
    let read = |name| std::fs::read_to_string(infra.join(name)).map_err(|error| Trouble(format!("{name}: {error}")));
    let contract = Contract::read(&read("openapi.yaml")?, &read("template.yaml")?)?;
    let mut actions = vec![DataAction::token(contract.token_action()?)];
    for operation in contract.operations()? {
        actions.push(DataAction::calling(operation)?);
    }
    let place = |action: &DataAction| Path::new("data-actions").join(action.file_name());
    actions.iter().map(|action| File::json(place(action), action)).collect()
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
