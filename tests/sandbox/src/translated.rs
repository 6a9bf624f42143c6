//! The template as AWS deploys it: what SAM makes of `infra/template.yaml`.

use std::process::Command;

use checkout::root;

use crate::{PYTHON, Trouble};

/// The CloudFormation template that SAM makes of `infra/template.yaml`, as JSON. A role or a permission that SAM adds by
/// itself stands in it.
///
/// # Errors
/// No Python with the sandbox's packages, or a template that SAM refuses; the reason is SAM's.
pub fn translated_template() -> Result<String, Trouble> {
    let what = "The template could not be translated";
    let output = Command::new(PYTHON.interpreter(|_| ())?)
        .arg(root().join("tests/sandbox/translate.py"))
        .arg(root().join("infra/template.yaml"))
        .output()
        .map_err(|error| Trouble::from(what, error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Trouble::from(what, said.trim().lines().last().unwrap_or("no reason was given")));
    }
    String::from_utf8(output.stdout).map_err(|error| Trouble::from(what, error))
}
