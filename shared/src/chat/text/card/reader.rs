//! Reads a card's JSON into parts, whatever members it has.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::names::{AMOUNTS, CARD_ACTIONS, ORDER, SILENT, SILENT_ELEMENTS, UNSEEN, has, is_of_a_picture};
use super::{CardKind, Part};
use crate::chat::text::{address, named, one_line};

/// The most characters of an unknown kind that are shown.
const MAX_ELEMENT_KIND_CHARACTERS: usize = 40;

/// The members of an element.
pub(super) type Members = Map<String, Value>;

/// Reads a card into its parts: texts, facts, buttons, links.
pub(super) fn read(kind: CardKind, card: &Value) -> Vec<Part> {
    let mut reader = Reader::default();
    match (kind, card) {
        (CardKind::Recording(kind), Value::Object(members)) => {
            let read = reader.recording(kind, members);
            reader.rest(members, "", &read);
        }
        _ => reader.element(card),
    }
    // The text that a card shows where it cannot be rendered.
    for name in ["fallbackText", "speak"] {
        if reader.parts.is_empty() {
            reader.words(text(card, name));
        }
    }
    reader.parts
}

/// The parts of a card that have been read so far.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) parts: Vec<Part>,
}

impl Reader {
    pub(super) fn named(&mut self, words: String) {
        self.parts.push(Part::Named(words));
    }

    pub(super) fn words(&mut self, words: &str) {
        if !words.trim().is_empty() {
            self.parts.push(Part::Words(words.trim().to_owned()));
        }
    }

    /// Reads an element, a list of them, or a text of a list.
    pub(super) fn element(&mut self, value: &Value) {
        match value {
            Value::Array(elements) => elements.iter().for_each(|element| self.element(element)),
            Value::Object(members) => self.object(members),
            Value::String(words) => self.string("", words),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    pub(super) fn object(&mut self, members: &Members) {
        self.object_but(members, &[]);
    }

    /// Reads an element, except for these members, which have been read.
    pub(super) fn object_but(&mut self, members: &Members, before: &[&str]) {
        let began = self.parts.len();
        let kind = kind(members);
        let read = self.known(kind, members);
        self.rest(members, kind, &[&read, before].concat());
        if self.parts.len() == began
            && before.is_empty()
            && !kind.is_empty()
            && !has(SILENT_ELEMENTS, kind)
            && members.get("fallback").is_none()
        {
            self.named(format!("[{}]", one_line(kind, MAX_ELEMENT_KIND_CHARACTERS)));
        }
        if let Some(instead) = members.get("fallback").filter(|instead| instead.is_object()) {
            let mut reader = Self::default();
            reader.element(instead);
            let own: HashSet<&Part> = self.parts.iter().skip(began).collect();
            reader.parts.retain(|part| !own.contains(part));
            self.parts.append(&mut reader.parts);
        }
    }

    /// Reads all members, except for those that have been read.
    pub(super) fn rest(&mut self, members: &Members, kind: &str, read: &[&str]) {
        let in_order = ORDER.iter().filter_map(|name| members.get_key_value(*name));
        let others = members.iter().filter(|(name, _)| !ORDER.contains(&name.as_str()));
        for (name, value) in in_order.chain(others) {
            if !read.contains(&name.as_str()) && !UNSEEN.contains(&name.as_str()) {
                self.member(name, value, kind);
            }
        }
    }

    fn member(&mut self, name: &str, value: &Value, kind: &str) {
        match (name, value) {
            (_, Value::Null | Value::Bool(_)) => {}
            ("choices", Value::Array(choices)) => self.choices(choices),
            ("rows", Value::Array(rows)) => self.rows(rows),
            ("media" | "sources", Value::Array(sources)) => self.sources("video", "", sources),
            ("captionSources", Value::Array(sources)) => self.captions(sources),
            ("selectAction" | "tap", Value::Object(action)) => self.press(action),
            ("icon", Value::Object(icon)) if icon.contains_key("name") => {
                let read = self.icon(icon);
                self.rest(icon, "", read);
            }
            // A name of a set of icons, not an address.
            ("icon" | "iconUrl", Value::String(icon)) if address(icon).is_none() => {}
            ("value", _) if kind == "Input.ChoiceSet" || kind == "Input.Toggle" => {}
            _ if has(SILENT, name) => self.links_alone(value),
            (_, Value::String(words)) => match AMOUNTS.iter().find(|(amount, _)| *amount == name) {
                Some((_, label)) => self.words(&format!("{label}: {}", words.trim())),
                None => self.string(name, words),
            },
            (_, Value::Number(number)) => match AMOUNTS.iter().find(|(amount, _)| *amount == name) {
                Some((_, label)) => self.words(&format!("{label}: {number}")),
                None if matches!(name, "text" | "title" | "label" | "value") => self.words(&number.to_string()),
                None => {}
            },
            (_, Value::Array(_) | Value::Object(_)) => self.element(value),
        }
    }

    /// A text. An address is named by its kind in place of being written as it is.
    fn string(&mut self, name: &str, words: &str) {
        let words = words.trim();
        let address = address(words).filter(|_| !words.contains(char::is_whitespace));
        match address {
            Some(address) if is_of_a_picture(name) || words.contains("/hostedContents/") => {
                self.parts.push(Part::Picture { address: address.to_owned(), alt: String::new() });
            }
            Some(address) => self.named(address.to_owned()),
            None if words.starts_with("data:") && is_of_a_picture(name) => self.named(named("image", "")),
            None => self.words(words),
        }
    }

    /// The links in a value whose words are not shown.
    fn links_alone(&mut self, value: &Value) {
        let mut found = Vec::new();
        links(value, &mut found);
        for link in found {
            self.named(format!("[link] ({link})"));
        }
    }
}

/// The kind that an element gives itself.
pub(super) fn kind(members: &Members) -> &str {
    let kind = ["type", "@type"].into_iter().find_map(|name| members.get(name)?.as_str());
    kind.unwrap_or_default()
}

/// Whether an element of this kind is a button.
pub(super) fn is_button(kind: &str, members: &Members) -> bool {
    kind.starts_with("Action.")
        || has(CARD_ACTIONS, kind)
        || (members.contains_key("@type") && members.contains_key("name") && !kind.ends_with("Input"))
}

/// Adds every link that a value has, once.
pub(super) fn links(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| links(value, found)),
        Value::Object(members) => {
            for (name, value) in members {
                if !name.starts_with(['$', '@']) {
                    links(value, found);
                }
            }
        }
        Value::String(text) => match address(text).filter(|_| !text.trim().contains(char::is_whitespace)) {
            Some(link) => add(link, found),
            None => within(text).for_each(|link| add(link, found)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn add(link: &str, found: &mut Vec<String>) {
    // A press that leads to a hundred places is an attack; the first hundred links are enough to compare with.
    if !found.iter().take(100).any(|known| known == link) {
        found.push(link.to_owned());
    }
}

/// The links within a text that holds more than one word: JSON, or a command.
fn within(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '\\' | '`');
    text.split(ends).filter_map(|piece| {
        let at = ["https://", "http://"].into_iter().filter_map(|scheme| piece.find(scheme)).min()?;
        piece.get(at..).filter(|link| !link.ends_with("://"))
    })
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A text or a number as text, if it is not blank.
pub(super) fn scalar(members: &Members, name: &str) -> Option<String> {
    match members.get(name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}
