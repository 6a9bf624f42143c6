//! The `.env` file with which `cargo lambda watch --env-file` starts the functions.
//!
//! cargo-lambda reads it with the crate env-file-reader, which takes a bare value only where it has no space, quote or
//! `#`, and fails on the whole file otherwise. So every value stands in double quotes, with a backslash before each one
//! that is its own: <https://docs.rs/env-file-reader>.

use crate::Trouble;

/// The file's text, for variables and their values.
///
/// # Errors
/// A value that cannot be written: within quotes a backslash cannot be escaped, so that one before an `n` would be read as
/// a line's end, and one at the end would take the closing quote with it.
pub fn text<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<String, Trouble> {
    let line = |(name, value): (&str, &str)| {
        if value.contains(r"\n") || value.ends_with('\\') {
            return Err(Trouble(format!(
                "{name} cannot be written into a .env file: cargo-lambda would read a backslash in it as part of an escape."
            )));
        }
        Ok(format!("{name}=\"{}\"\n", value.replace('"', "\\\"")))
    };
    variables.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn every_value_stands_in_quotes() {
        let variables = [("PLAIN", "a"), ("EMPTY", ""), ("JSON", r#"[{"of": "mailFolders('inbox')"}]"#)];
        let expected = "PLAIN=\"a\"\nEMPTY=\"\"\nJSON=\"[{\\\"of\\\": \\\"mailFolders('inbox')\\\"}]\"\n";
        assert_eq!(text(variables).unwrap(), expected);
    }

    #[test]
    fn what_would_be_read_as_something_else_is_refused() {
        for value in [r#"{"text": "a\nb"}"#, r"ends with \"] {
            assert!(text([("SMS_TEMPLATE", value)]).unwrap_err().to_string().starts_with("SMS_TEMPLATE"));
        }
    }
}
