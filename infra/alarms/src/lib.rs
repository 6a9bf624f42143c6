//! The alarms of `infra/template.yaml`, made from the table `infra/alarms/alarms.toml`.
//!
//! CloudFormation's own loop, `Fn::ForEach`, would say them as briefly. But it needs the transform
//! `AWS::LanguageExtensions`, which SAM's translator does not know, and which SAM CLI expands only where it is asked to. So
//! the template stays a plain file that is deployed as it is read.

pub mod alarm;
pub mod table;
pub mod template;

use std::path::PathBuf;

use alarm::Alarm;
use table::Table;
use template::Template;

/// Why the alarms could not be written, for the person at the terminal.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

/// The path of the committed template.
#[must_use]
pub fn template_path() -> PathBuf {
    checkout::root().join("infra/template.yaml")
}

/// The committed template and the committed table, as texts.
///
/// # Errors
/// When one cannot be read.
pub fn committed() -> Result<(String, String), Trouble> {
    let read =
        |path: PathBuf| std::fs::read_to_string(&path).map_err(|error| Trouble(format!("{}: {error}", path.display())));
    Ok((read(template_path())?, read(checkout::root().join("infra/alarms/alarms.toml"))?))
}

/// The template's text with the table's alarms in it: those of every function first, function by function, and then the
/// others as the table lists them.
///
/// # Errors
/// When the template or the table cannot be read, the table names something that the template does not have, or two
/// resources would have one id.
pub fn written(template: &str, table: &str) -> Result<String, Trouble> {
    let (template, table) = (Template::read(template)?, Table::read(table)?);
    for named in table.of_every_function.iter().flat_map(|rule| rule.except.iter().chain(rule.descriptions.keys())) {
        template.resource(named, "AWS::Serverless::Function")?;
    }
    let mut alarms = Vec::new();
    for function in template.functions() {
        for rule in &table.of_every_function {
            alarms.extend(Alarm::of_every(rule, function, &template)?);
        }
    }
    let functions = table.of_function.iter().map(|rule| Alarm::of_function(rule, &template));
    let queues = table.of_queue.iter().map(|rule| Alarm::of_queue(rule, &template));
    let filters = table.of_metric_filter.iter().map(|rule| Alarm::of_metric_filter(rule, &template));
    for alarm in functions.chain(queues).chain(filters) {
        alarms.push(alarm?);
    }
    let text = template.with(&alarms.iter().map(Alarm::yaml).collect::<String>());
    // An id that is there twice is found by reading.
    Template::read(&text).map(|_| text)
}
