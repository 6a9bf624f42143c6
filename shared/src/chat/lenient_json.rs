//! Reads JSON that is not quite in order. The people in a chat decide what parts of it contain, and a message must not
//! be lost because one part of it cannot be read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads JSON, even where it is not quite in order: of two fields of one name the last counts, and what is no character
/// becomes `U+FFFD`: bytes that are not UTF-8, and half a surrogate pair, which remains of an emoji where a client has
/// cut a text. A number that is too large for any is null.
pub(crate) fn read_json<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json).ok().or_else(|| {
        let json = without_endless_numbers(&without_half_pairs(&String::from_utf8_lossy(json)));
        let json: Value = serde_json::from_str(&json).ok()?;
        T::deserialize(json).ok()
    })
}

/// JSON with null for every number that is beyond what a double can be.
fn without_endless_numbers(json: &str) -> String {
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let length = match first {
            '"' => string_length(rest),
            '-' | '0'..='9' => rest.find(|c| !is_number(c)).unwrap_or(rest.len()),
            _ => rest.find(|c| matches!(c, '"' | '-' | '0'..='9')).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let is_endless = matches!(first, '-' | '0'..='9') && token.parse::<f64>().is_ok_and(f64::is_infinite);
        mended.push_str(if is_endless { "null" } else { token });
        rest = after;
    }
    mended
}

/// How long the text is with which this begins, quotes included.
fn string_length(json: &str) -> usize {
    let mut escaped = false;
    let end = json.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(json.len(), |(at, _)| at + 1)
}

/// JSON with `\ufffd` for every escape that is half a surrogate pair.
fn without_half_pairs(json: &str) -> String {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escaped) = rest.split_at(at);
        let (length, is_half) = match (unit(escaped), escaped.get(6..).and_then(unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, false),
            (Some(0xD800..=0xDFFF), _) => (6, true),
            _ => (2, false),
        };
        // Behind a backslash is ASCII, or it is no JSON anyway.
        let (escape, after) = escaped.split_at_checked(length).unwrap_or((escaped, ""));
        mended.push_str(before);
        mended.push_str(if is_half { "\\ufffd" } else { escape });
        rest = after;
    }
    mended.push_str(rest);
    mended
}

/// Deserializes a field: its default when it is null or cannot be read.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(T::deserialize(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// Deserializes a list: the elements that can be read. A field that is no list is an empty one.
pub(crate) fn lenient_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let elements = match Value::deserialize(deserializer)? {
        Value::Array(elements) => elements,
        _ => Vec::new(),
    };
    Ok(elements.into_iter().filter_map(|element| T::deserialize(element).ok()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::chat::message::ChatMessage;

    #[test]
    fn what_is_not_quite_json_is_read_as_far_as_it_goes() {
        for (json, text) in [
            (r#""a\ud83d\ude00b""#, "a😀b"),
            (r#""a\ud83d""#, "a\u{FFFD}"),
            (r#""\ude00\uD83D\uD83D\uDE00\u0041""#, "\u{FFFD}\u{FFFD}😀A"),
            (r#""\\ud83d \"\\\ud83d""#, "\\ud83d \"\\\u{FFFD}"),
        ] {
            assert_eq!(read_json::<String>(json.as_bytes()).as_deref(), Some(text), "{json}");
        }
        assert_eq!(read_json::<String>(b"\"a\xffb\"").as_deref(), Some("a\u{FFFD}b"));
        let endless = br#"{"subject": "a\"1e999", "createdDateTime": 1e999, "id": [-1e400, 1e30, "infinity"]}"#;
        assert_eq!(read_json::<ChatMessage>(endless).unwrap().subject, "a\"1e999");
        let twice = read_json::<ChatMessage>(br#"{"id": "1", "id": "2", "subject": "s"}"#).unwrap();
        assert_eq!((twice.id.as_str(), twice.subject.as_str()), ("2", "s"));
        for json in [r#""\ud8"#, r#""\"#, r#""\ud83d"#, r#""\ü""#, r#""\u+d83""#, "", r#"\ud83d"#] {
            assert_eq!(read_json::<String>(json.as_bytes()), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn good_json_is_read_as_it_is(text in ".*") {
            let json = json!({"text": text}).to_string();
            prop_assert_eq!(without_half_pairs(&json), json.as_str());
            prop_assert_eq!(without_endless_numbers(&json), json.as_str());
            let utf16 = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            prop_assert_eq!(without_half_pairs(&utf16), utf16);
        }
    }
}
