//! Recognises a variable without a value. A data action sends the reference to an input that is null, a script the
//! reference to a variable that it does not know; flows and browsers send a word for it.

/// Words for no value, in lower case and without `_`, `-` and spaces. None of them is a name or a text that a person
/// sends.
const NO_VALUES: &[&str] = &["undefined", "null", "none", "notset", "unknown", "objectobject"];

/// Words that may be a name in a text, but not a key.
const NO_KEYS: &[&str] =
    &["nil", "nan", "na", "n/a", "empty", "false", "true", "string", "conversationid", "interactionid", "userid"];

/// The names in a data action's templates; without braces they are references too.
const TEMPLATE_NAMES: &[&str] = &["input", "credentials", "authResponse", "rawResult", "esc", "successTemplateUtils"];

/// Whether a text is a word for no value: `undefined`, `NOT_SET`, `(null)`.
#[must_use]
pub(crate) fn is_no_value(text: &str) -> bool {
    NO_VALUES.contains(&word(text).as_str())
}

/// Whether a text cannot be a key: a word for no value, or only zeros, as the GUID of zeros.
#[must_use]
pub(crate) fn is_no_key(text: &str) -> bool {
    let word = word(text);
    let mut digits = word.chars().filter(|c| c.is_alphanumeric());
    let all = |only: char| word.chars().filter(|c| c.is_alphanumeric()).all(|c| c == only);
    let is_guid_of_one_digit = word.len() == 32 && digits.next().is_some_and(all);
    all('0') || is_guid_of_one_digit || NO_VALUES.contains(&word.as_str()) || NO_KEYS.contains(&word.as_str())
}

/// A text without the characters that are put around and between words.
fn word(text: &str) -> String {
    text.trim_matches(|c: char| "()<>[]{}'\" ".contains(c))
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whether a text has a reference without a value: `${input.name}`, `$!{name}`, `$input.name`, `{{Agent Name}}`. An
/// amount such as $5 is none.
#[must_use]
pub(crate) fn has_reference(text: &str) -> bool {
    let in_double_braces = text.split_once("{{").is_some_and(|(_, rest)| rest.contains("}}"));
    in_double_braces || text.split('$').skip(1).any(begins_with_name)
}

/// Whether a name of a template language begins here, after its `$`.
fn begins_with_name(text: &str) -> bool {
    let text = text.strip_prefix('!').unwrap_or(text);
    let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match text.strip_prefix('{') {
        Some(inside) => inside.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && inside.contains('}'),
        None => {
            let name = text.split(|c| !is_part_of_name(c)).next().unwrap_or_default();
            TEMPLATE_NAMES.contains(&name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_without_a_value_are_told_from_texts() {
        for text in [
            "${input.agentName}",
            "$!{input.agentName}",
            "${agentName}",
            "$input.agentName",
            "$!input.agentName",
            "Call with ${input.customer}, today",
            "{{Scripter.Interaction ID}}",
            "Hi {{name}}",
            "$esc.jsonString(${input.subject})",
        ] {
            assert!(has_reference(text), "{text}");
        }
        for text in
            ["", "$5 off", "5$", "US$ {x}", "{link}", "$kim.lee@contoso.com", "${5}", "{{", "$", "$!", "a }} b {{"]
        {
            assert!(!has_reference(text), "{text}");
        }
    }

    #[test]
    fn words_for_no_value_are_told_from_texts() {
        for text in ["undefined", "NULL", "(null)", "<none>", "NOT_SET", "not set", "Unknown", "[object Object]"] {
            assert!(is_no_value(text) && is_no_key(text), "{text}");
        }
        for text in ["Nan", "Nil", "Na", "0", "?", "😀", "None of us", "Kim Null", "-"] {
            assert!(!is_no_value(text), "{text}");
        }
    }
}
