//! The fields of a request, read by name.
//!
//! A Genesys Cloud script sends an unset variable as an empty string, as the word `undefined` or as the reference to
//! it, and a number or a flag as text. All of that is read in this one place, and every problem is collected, so that
//! the author learns of all of them at once:
//!
//! ```text
//! let user = fields.parsed::<UserRef>("user");
//! let start = fields.parsed::<SentTime>("startTime");
//! fields.finish(build(user, start))
//! ```

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::{Code, Error};
use crate::invisible::is_blank;
use crate::unset::{has_reference, is_no_key, is_no_value};

/// The type that the documentation gives a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A JSON string, which may hold any text.
    Text,
    /// A JSON boolean, or the text `true` or `false`.
    Flag,
    /// A JSON integer, or its digits as text.
    WholeNumber,
}

/// A request's JSON object, the problems found in it so far, and the fields that were asked for.
#[derive(Debug, Default)]
pub struct Fields {
    values: Map<String, Value>,
    problems: Vec<String>,
    asked: Vec<(&'static str, Kind)>,
}

impl Fields {
    /// Reads a body. Fields that no reader asks for are ignored.
    ///
    /// # Errors
    /// `malformedJson`, when it is not a JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let malformed = |problem: String| {
            Error::new(Code::MALFORMED_JSON, format!("The request's body must be a JSON object; {problem}."))
        };
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(malformed("it is empty".into()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(values)) => Ok(Self { values, ..Self::default() }),
            Ok(_) => Err(malformed("it is JSON of another kind".into())),
            // The message tells the place of the problem, and not the text around it.
            Err(error) => Err(malformed(format!("it is not JSON at line {}, column {}", error.line(), error.column()))),
        }
    }

    /// Reads a query as it was sent, encoded. Every field is a text, and the first of several with one name counts.
    #[must_use]
    pub(crate) fn of_query(query: &str) -> Self {
        let mut values = Map::new();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            values.entry(name).or_insert_with(|| text.into());
        }
        Self { values, ..Self::default() }
    }

    /// A field as text; a number becomes its digits. `None` when it is absent, null, blank, or wrong and noted.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.asked.push((name, Kind::Text));
        let text = match self.values.get(name)? {
            Value::Null => return None,
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => {
                self.problem(name, "expected a string");
                return None;
            }
        };
        (!text.chars().all(is_blank)).then_some(text)
    }

    /// A field that has a fallback when it is absent. The forms of an unset variable count as absent, so that nobody
    /// reads `${input.agentName} invites you`. `None` as for [`Self::text`].
    pub(crate) fn optional_text(&mut self, name: &'static str) -> Option<String> {
        self.text(name).filter(|text| !has_reference(text) && !is_no_value(text))
    }

    /// A field as a type of its own, parsed from its text without invisible characters around it; the type's error
    /// tells the expected form. A reference to a variable without a value is a problem. `None` as for [`Self::text`].
    pub fn parsed<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(name)?;
        match text.trim_matches(is_blank).parse() {
            Ok(_) if has_reference(&text) => {
                self.problem(name, "holds a reference to a variable that has no value");
                None
            }
            Ok(value) => Some(value),
            Err(expected) => {
                self.problem(name, expected);
                None
            }
        }
    }

    /// A flag: a boolean, or the text `"true"` or `"false"`. An absent one is `false`.
    pub fn flag(&mut self, name: &'static str) -> bool {
        self.asked.push((name, Kind::Flag));
        let word = match self.values.get(name) {
            None | Some(Value::Null) => return false,
            Some(Value::Bool(flag)) => return *flag,
            Some(Value::String(text)) => text.trim_matches(is_blank).to_ascii_lowercase(),
            Some(_) => "of another kind".into(),
        };
        if !matches!(word.as_str(), "" | "true" | "false") {
            self.problem(name, "expected true or false");
        }
        word == "true"
    }

    /// A whole number within a range, as a number or as digits in a text. `None` as for [`Self::text`].
    pub(crate) fn whole_number(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = match self.text(name) {
            None => None,
            Some(text) => match text.trim_matches(is_blank).parse().ok().filter(|number| range.contains(number)) {
                Some(number) => Some(number),
                None => {
                    let expected = format!("expected a whole number from {} to {}", range.start(), range.end());
                    self.problem(name, expected);
                    None
                }
            },
        };
        if let Some(last) = self.asked.last_mut() {
            last.1 = Kind::WholeNumber;
        }
        number
    }

    /// Notes a problem with a field.
    pub fn problem(&mut self, name: &str, expected: impl Display) {
        self.problems.push(format!("`{name}`: {expected}"));
    }

    /// Whether a problem has been noted for this field.
    #[must_use]
    pub(crate) fn has_problem(&self, name: &str) -> bool {
        let start = format!("`{name}`:");
        self.problems.iter().any(|problem| problem.starts_with(&start))
    }

    /// The names and kinds of the fields that were asked for so far.
    #[must_use]
    pub fn asked(&self) -> &[(&'static str, Kind)] {
        &self.asked
    }

    /// Returns the value that was built from the fields, or an error with every problem.
    ///
    /// # Errors
    /// `invalidField`, naming each field and what was expected of it.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Error> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                let text = format!("The request cannot be used. {}.", self.problems.join("; "));
                Err(Error::new(Code::INVALID_FIELD, text))
            }
        }
    }
}

/// The Genesys Cloud conversation (interaction) that a request belongs to: what makes two clicks one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationId(String);

impl FromStr for ConversationId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Genesys Cloud's ids are GUIDs. The alphabet keeps out what must not be in a log, above all a phone number in
        // E.164.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~".contains(&byte);
        if !(1..=128).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err("expected the interaction's id: at most 128 letters, digits or - . _ : ~");
        }
        // Two customers whose scripts lost the id would share one conversation, and meet.
        if is_no_key(text) {
            return Err("expected the interaction's id; this is what a variable without a value looks like");
        }
        Ok(Self(text.to_owned()))
    }
}

impl ConversationId {
    /// The id, as Genesys Cloud writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(json: &str) -> Fields {
        Fields::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_script_s_way_of_sending_things_is_understood() {
        let mut fields =
            fields(r#"{"a":"", "b":null, "c":" x ", "d":"30", "e":45, "f":"true", "g":true, "h":"False", "i":7}"#);
        assert_eq!((fields.text("a"), fields.text("b"), fields.text("z")), (None, None, None));
        assert_eq!(fields.text("c").as_deref(), Some("x"));
        assert_eq!((fields.whole_number("d", 1..=60), fields.whole_number("e", 1..=60)), (Some(30), Some(45)));
        assert!(fields.flag("f") && fields.flag("g") && !fields.flag("h") && !fields.flag("z"));
        assert_eq!(fields.text("i").as_deref(), Some("7"));
        assert!(fields.finish(Some(())).is_ok());
    }

    #[test]
    fn every_mistake_is_named_with_what_was_expected() {
        let mut fields =
            fields(r#"{"user":[], "durationMinutes":"0", "resend":"perhaps", "conversationId":"+4477 0"}"#);
        fields.text("user");
        fields.whole_number("durationMinutes", 1..=1440);
        fields.flag("resend");
        fields.parsed::<ConversationId>("conversationId");
        let error = fields.finish(Some(())).unwrap_err();
        assert_eq!(error.code, Code::INVALID_FIELD);
        insta::assert_snapshot!(error.message);
    }

    #[test]
    fn a_text_of_which_nothing_can_be_seen_is_absent() {
        for blank in ["\u{200b}", "\u{feff}", "\u{2060}", "\0", "\u{ad}", "\u{3164}", "\u{2800}", " \u{200e}\u{a0}\n"] {
            let mut fields = fields(&serde_json::json!({"a": blank, "b": format!("{blank}x{blank}")}).to_string());
            assert_eq!((fields.text("a"), fields.optional_text("a"), fields.parsed::<u8>("a")), (None, None, None));
            assert_eq!((fields.whole_number("a", 1..=2), fields.flag("a")), (None, false));
            assert_eq!(fields.parsed::<String>("b").as_deref(), Some("x"), "{blank:?}");
            assert!(fields.finish(Some(())).is_ok());
        }
    }

    #[test]
    fn what_an_unset_variable_looks_like_is_absent_as_an_optional_text_and_a_mistake_in_a_form() {
        let mut fields = fields(r#"{"a":"${input.a}", "b":"Hi {{Agent Name}}", "c":"undefined", "d":"Kim", "e":"0"}"#);
        assert_eq!(["a", "b", "c"].map(|name| fields.optional_text(name)), [None, None, None]);
        assert_eq!(["d", "e"].map(|name| fields.optional_text(name).is_some()), [true, true]);
        assert_eq!(fields.parsed::<String>("a"), None);
        assert!(fields.has_problem("a"));
    }

    #[test]
    fn a_conversation_id_that_is_none_makes_no_two_clicks_one() {
        for none in [
            "undefined",
            "null",
            "NULL",
            "NOT_SET",
            "not-set",
            "None",
            "unknown",
            "0",
            "000",
            "-",
            "--",
            "NaN",
            "nil",
            "na",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "conversationId",
        ] {
            let error = none.parse::<ConversationId>().unwrap_err();
            assert!(error.contains("without a value"), "{none}");
        }
        for refused in ["${input.conversationId}", "$input.conversationId", "{{Scripter.Interaction ID}}", "N/A", ""] {
            assert!(refused.parse::<ConversationId>().is_err(), "{refused}");
        }
        for some in ["demo-16", "c", "7f3c1c3e-5d0e-4c56-8f0a-3c1f2b7b9e11", "10", "null-7"] {
            assert!(some.parse::<ConversationId>().is_ok(), "{some}");
        }
        for number in ["0", "-0", "0.0"] {
            let mut fields = fields(&format!(r#"{{"conversationId":{number}}}"#));
            assert_eq!(fields.parsed::<ConversationId>("conversationId"), None);
            assert!(fields.has_problem("conversationId"), "{number}");
        }
    }

    #[test]
    fn a_body_that_is_no_object_is_refused_without_being_repeated() {
        for body in ["", "  ", "[]", "\"x\"", "{\"toAddress\": \"+447700900123\"", "{\"a\":}", "\u{feff}{}"] {
            let error = Fields::parse(body.as_bytes()).unwrap_err();
            assert_eq!(error.code, Code::MALFORMED_JSON, "{body}");
            assert!(!error.message.contains("447700900123"));
        }
        assert!(Fields::parse(&[0xff, 0xfe]).is_err());
    }

    proptest! {
        #[test]
        fn any_body_is_survived(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Fields::parse(&body);
        }
    }
}
