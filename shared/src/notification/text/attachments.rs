//! Attachments as text: a file by its name and link, a card by its words, a quoted message by who said what.

use serde_json::Value;

use super::{Renderer, address, named};
use crate::notification::chat_message::Attachment;
use crate::notification::lenient_json::read_json;

/// How deep a card's elements are followed.
const MAX_DEPTH: usize = 16;

/// Most lines of a card.
const MAX_LINES: usize = 200;

/// What cards of all kinds say, in the order in which they show it.
const WORDS: [&str; 8] =
    ["title", "subtitle", "summary", "activityTitle", "activitySubtitle", "activityText", "text", "label"];

/// Where cards of all kinds keep their parts, in the order in which they show them.
const PARTS: [&str; 16] = [
    "images",
    "body",
    "columns",
    "rows",
    "cells",
    "items",
    "facts",
    "sections",
    "inlines",
    "tap",
    "card",
    "actions",
    "buttons",
    "potentialAction",
    "content",
    "attachments",
];

impl Renderer<'_> {
    /// The attachment with this id, where the body marks it.
    pub(super) fn marked_attachment(&mut self, id: &str) {
        if let Some(place) = self.attachments.get(id).copied()
            && let Some(attachment) = self.message.attachments.get(place)
            && let Some(placed) = self.placed.get_mut(place)
            && !std::mem::replace(placed, true)
        {
            self.attachment(attachment);
        }
    }

    /// Those that the body does not mark, at the end.
    pub(super) fn unmarked_attachments(&mut self) {
        let message = self.message;
        for (attachment, placed) in message.attachments.iter().zip(std::mem::take(&mut self.placed)) {
            if !placed {
                self.attachment(attachment);
            }
        }
    }

    fn attachment(&mut self, attachment: &Attachment) {
        let kind = attachment.content_type.to_ascii_lowercase();
        let json = || read_json::<Value>(attachment.content.as_bytes()).unwrap_or_default();
        self.writer.block();
        match kind.as_str() {
            "reference" => self.linked("file", attachment),
            "messagereference" => {
                let json = json();
                let preview = text(&json, "messagePreview");
                self.quote(None, sender(&json, "messageSender"), |renderer| renderer.writer.preformatted(preview));
            }
            "forwardedmessagereference" => {
                let json = json();
                let content = text(&json, "originalMessageContent");
                let said = sender(&json, "originalMessageSender");
                self.quote(Some("Forwarded"), said, |renderer| renderer.html(content, 1));
            }
            "meetingreference" => {
                let json = json();
                let subject = [text(&json, "subject"), text(&json, "title"), &attachment.name];
                self.writer.text(&named("meeting", first(subject)));
                self.link(&attachment.content_url);
            }
            "application/vnd.microsoft.card.codesnippet" => {
                let json = json();
                self.writer.text(&named("code", first([text(&json, "name"), text(&json, "title"), &attachment.name])));
                self.block_of(text(&json, "language"));
            }
            image if image.starts_with("image/") => {
                self.picture("image", attachment.content_url.clone(), &attachment.name)
            }
            card if card.contains(".card.") && self.card(&json()) => {}
            _ => self.linked("attachment", attachment),
        }
        self.writer.block();
    }

    /// By name and link.
    fn linked(&mut self, kind: &str, attachment: &Attachment) {
        self.writer.text(&named(kind, &attachment.name));
        self.link(&attachment.content_url);
    }

    fn link(&mut self, url: &str) {
        if let Some(address) = address(url) {
            self.writer.text(&format!(" ({address})"));
        }
    }

    /// In brackets behind what stands on the line.
    fn block_of(&mut self, words: &str) {
        if !words.is_empty() {
            self.writer.text(&format!(" ({words})"));
        }
    }

    /// What somebody else wrote, or what was written before.
    fn quote(&mut self, how: Option<&str>, sender: &str, write: impl FnOnce(&mut Self)) {
        if let Some(how) = how {
            let from = if sender.is_empty() { format!("{how}:") } else { format!("{how} from {sender}:") };
            self.writer.text(&from);
            self.writer.block();
        }
        self.writer.layout.quotes = self.writer.layout.quotes.saturating_add(1);
        if how.is_none() && !sender.is_empty() {
            self.writer.text(&format!("{sender}: "));
        }
        write(self);
        self.writer.block();
        self.writer.layout.quotes = self.writer.layout.quotes.saturating_sub(1);
    }

    /// Whether the card said something.
    fn card(&mut self, card: &Value) -> bool {
        let mut lines = Vec::new();
        read_card(card, 0, &mut lines);
        let fallback = text(card, "fallbackText");
        if lines.is_empty() && !fallback.is_empty() {
            lines.push(fallback.to_owned());
        }
        for line in &lines {
            // Older cards write HTML, newer ones Markdown.
            if is_html(line) {
                self.html(line, 1);
            } else {
                self.writer.preformatted(line);
            }
            self.writer.block();
        }
        !lines.is_empty()
    }
}

/// Whether a line of a card has an element that cards are written with. A `<` may as well be a sign of its own.
fn is_html(line: &str) -> bool {
    const ELEMENTS: &str = "a at b blockquote br code div em h1 h2 h3 hr i img li ol p pre script span strong style table td \
                            th tr u ul";
    let last = line.rfind('>').unwrap_or_default();
    line.match_indices('<').any(|(at, _)| {
        let tag = line.get(at + 1..).unwrap_or_default().trim_start_matches('/');
        let (name, rest) = tag.split_at(tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len()));
        let ends = rest.starts_with(['>', '/']) || (rest.starts_with(char::is_whitespace) && at < last);
        let is_element = || ELEMENTS.split(' ').any(|element| element.eq_ignore_ascii_case(name));
        tag.starts_with("!--") || (ends && is_element())
    })
}

fn read_card(value: &Value, depth: usize, lines: &mut Vec<String>) {
    if depth > MAX_DEPTH || lines.len() >= MAX_LINES {
        return;
    }
    match value {
        Value::Array(parts) => parts.iter().for_each(|part| read_card(part, depth + 1, lines)),
        Value::Object(_) => {
            let kind = text(value, "type");
            if let Some(line) = whole(value, kind) {
                lines.push(line);
                return read_parts(value, depth, lines, &["card"]);
            }
            for name in WORDS {
                let words = text(value, name).trim();
                if !words.is_empty() {
                    lines.push(words.to_owned());
                }
            }
            read_parts(value, depth, lines, &PARTS);
        }
        // What a list of texts holds. A name in any other place is none.
        Value::String(words) if depth > 0 && !words.trim().is_empty() => lines.push(words.clone()),
        _ => {}
    }
}

fn read_parts(value: &Value, depth: usize, lines: &mut Vec<String>, names: &[&str]) {
    for name in names {
        if let Some(part) = value.get(name).filter(|part| part.is_array() || part.is_object()) {
            read_card(part, depth + 1, lines);
        }
    }
}

/// The elements that are one line: an image, an action, a fact, a text of several runs.
fn whole(value: &Value, kind: &str) -> Option<String> {
    let label = first([text(value, "title"), text(value, "name")]).trim();
    if kind == "RichTextBlock" {
        let runs = value.get("inlines")?.as_array()?;
        return Some(runs.iter().map(|run| run.as_str().unwrap_or_else(|| text(run, "text"))).collect());
    }
    let alt = first([text(value, "altText"), text(value, "alt")]);
    if kind == "Image" || (kind.is_empty() && value.get("url").is_some()) {
        return Some(named("image", alt));
    }
    let is_action = kind.starts_with("Action.") || value.get("@type").is_some_and(|_| value.get("name").is_some());
    let is_button =
        !kind.is_empty() && value.get("value").is_some() && !kind.starts_with("Input.") && !label.is_empty();
    if is_action || is_button {
        let to = [text(value, "url"), text(value, "value")].into_iter().find_map(address);
        return Some(to.map_or_else(|| named("button", label), |to| format!("[button: {label}] ({to})")));
    }
    let fact = value.get("value").filter(|_| kind.is_empty() && !label.is_empty())?;
    let fact = fact.as_str().map_or_else(|| fact.to_string(), str::to_owned);
    Some(format!("{}: {fact}", label.trim_end_matches(':')))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The name in an identity set.
fn sender<'a>(value: &'a Value, name: &str) -> &'a str {
    let identities = value.get(name).and_then(Value::as_object);
    let mut kinds = identities.into_iter().flat_map(|kinds| kinds.values());
    kinds.find_map(|identity| identity.get("displayName")?.as_str()).unwrap_or_default().trim()
}

fn first<const N: usize>(texts: [&str; N]) -> &str {
    texts.into_iter().find(|text| !text.trim().is_empty()).unwrap_or_default()
}
