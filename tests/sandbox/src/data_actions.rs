//! The data actions that are shipped, in a Genesys Cloud org that has imported them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use checkout::root;
use data_action_runner::{Action, Engine, Execution, Integration, Settings};
use serde_json::Value;

use crate::Trouble;

/// An integration with all its actions.
#[derive(Debug)]
pub struct DataActions {
    integration: Integration,
    actions: BTreeMap<String, Action>,
}

impl DataActions {
    /// Imports the files into an integration with these settings.
    ///
    /// # Errors
    /// A file is none of a data action.
    pub fn import(engine: Arc<Engine>, settings: &Settings) -> Result<Self, Trouble> {
        let folder = root().join("infra/genesys/data-actions");
        let failed = |error| Trouble::from("The data actions cannot be read", error);
        let mut files: Vec<PathBuf> = fs::read_dir(folder).map_err(failed)?.flatten().map(|file| file.path()).collect();
        files.sort();
        let (mut auth, mut actions) = (None, BTreeMap::new());
        for file in files {
            let action = Action::read(&file)?.calling(&settings.bridge);
            if file.to_string_lossy().ends_with(".customAuth.json") {
                auth = Some(action);
            } else {
                actions.insert(action.name.clone(), action);
            }
        }
        let integration = Integration::new(engine, settings.credentials.clone(), auth)?;
        Ok(Self { integration, actions })
    }

    /// An action by the name that authors see.
    ///
    /// # Errors
    /// There is none.
    pub fn action(&mut self, name: &str) -> Result<&mut Action, Trouble> {
        self.actions.get_mut(name).ok_or_else(|| no_such(name))
    }

    /// The names that authors see.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.actions.keys().map(String::as_str)
    }

    /// Executes an action as a flow or a script does.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn execute(&self, name: &str, input: &Value) -> Result<Execution, Trouble> {
        let action = self.actions.get(name).ok_or_else(|| no_such(name))?;
        Ok(self.integration.execute(action, input).await)
    }
}

fn no_such(name: &str) -> Trouble {
    Trouble(format!("There is no data action called {name} in infra/genesys/data-actions."))
}
