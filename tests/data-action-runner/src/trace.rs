//! What an administrator sees in the test pane: every step, with what was sent and what came back.

use std::fmt;

/// The steps of one execution, oldest first. Tokens and what the customAuth action sends are not in it.
#[derive(Debug, Clone, Default)]
pub struct Trace(Vec<(&'static str, String)>);

impl Trace {
    pub(crate) fn note(&mut self, step: &'static str, shown: impl Into<String>) {
        self.0.push((step, shown.into()));
    }

    /// The texts of every step with this name.
    pub fn shown<'a>(&'a self, step: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| *name == step).map(|(_, shown)| shown.as_str())
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (step, shown)) in (1..).zip(&self.0) {
            writeln!(f, "{number:>2}. {step}")?;
            for line in shown.lines() {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}
