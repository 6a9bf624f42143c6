//! Reads `infra/template.yaml` as far as alarms need it: the place of the alarms, and the resources that they watch.

use yaml::{Mapping, Value};

use crate::Trouble;

/// The comment after which the alarms stand.
const BEGIN: &str = "  # Alarms, written by `cargo alarms` from infra/alarms/alarms.toml. Change them there.\n";

/// The comment that they end at.
const END: &str = "  # The alarms end here.\n";

/// The template, read for its functions, queues and filters.
#[derive(Debug)]
pub struct Template {
    before: String,
    after: String,
    resources: Mapping,
}

impl Template {
    /// Reads the template from its text.
    ///
    /// # Errors
    /// No YAML, an id that is there twice, or not one place for the alarms.
    pub fn read(text: &str) -> Result<Self, Trouble> {
        let parsed: Value = yaml::from_str(text).map_err(|error| Trouble(format!("infra/template.yaml: {error}")))?;
        let resources = parsed["Resources"].as_mapping().cloned().unwrap_or_default();
        let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) = parts.ok_or_else(|| {
            Trouble(format!(
                "infra/template.yaml has no place for the alarms, which is between these lines:\n{BEGIN}{END}"
            ))
        })?;
        Ok(Self { before: before.to_owned(), after: after.to_owned(), resources })
    }

    /// The text of the template, with these alarms in place of the existing ones.
    #[must_use]
    pub fn with(&self, alarms: &str) -> String {
        [&self.before, BEGIN, alarms, END, &self.after].concat()
    }

    /// The logical ids of its functions, in the template's order.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        let functions = self.resources.iter().filter(|(_, resource)| kind(resource) == "AWS::Serverless::Function");
        functions.filter_map(|(name, _)| name.as_str())
    }

    /// A resource of the template, which must have this type.
    ///
    /// # Errors
    /// When there is none.
    pub fn resource(&self, id: &str, of_type: &str) -> Result<&Value, Trouble> {
        let found = self.resources.get(id).filter(|resource| kind(resource) == of_type);
        found.ok_or_else(|| {
            Trouble(format!(
                "infra/alarms/alarms.toml names {id}, and infra/template.yaml has no {of_type} of this id."
            ))
        })
    }
}

fn kind(resource: &Value) -> &str {
    resource["Type"].as_str().unwrap_or_default()
}
