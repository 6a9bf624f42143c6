//! Cards as text: Adaptive Cards, the older cards of the Bot Framework, and those of connectors.
//!
//! No word and no link of a card is dropped. Known elements are read as Teams shows them. Everything else in a card is
//! read member by member, and an element with neither words nor links is named by its kind. A replacement for an
//! element (`fallback`) is read too, because it depends on the reader's Teams which of the two is shown; text that it
//! repeats is not written twice.
//!
//! [`reader`] reads the JSON into parts, [`kinds`] knows the elements, and this module writes the parts. The depth is
//! bounded by the JSON parser, which takes 127 levels, and the size by the writer.

mod kinds;
mod names;
mod reader;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::Renderer;

/// A piece of a card, written on lines of its own.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Part {
    /// Words as the card has them: HTML in older cards, Markdown in newer ones.
    Words(String),
    /// The bridge's own words for an element: `[button: Open] (https://…)`.
    Named(String),
    /// Words whose lines and spaces are kept, and which are never HTML.
    Code(String),
    /// A picture: its address, which may be Graph's own, and its description.
    Picture { address: String, alt: String },
    /// A row of a table: the parts of its cells.
    Row(Vec<Vec<Part>>),
}

/// What an attachment's content type tells beside its words.
#[derive(Clone, Copy)]
pub(super) enum CardKind {
    /// The content type tells nothing more.
    Plain,
    /// It is a recording: `audio`, `video` or `animation`.
    Recording(&'static str),
}

impl CardKind {
    /// Reads the attachment's content type, in lower case.
    pub(super) fn of(content_type: &str) -> Self {
        let kinds = ["audio", "video", "animation"];
        let kind = kinds.into_iter().find(|kind| content_type.rsplit('.').next() == Some(kind));
        kind.map_or(Self::Plain, Self::Recording)
    }
}

/// Every link in an attachment's content, once.
pub(super) fn links_of(content: &Value) -> Vec<String> {
    let mut found = Vec::new();
    reader::links(content, &mut found);
    found
}

impl Renderer<'_> {
    /// Writes a card. Returns whether anything was written.
    pub(super) fn card(&mut self, kind: CardKind, card: &Value) -> bool {
        let parts = reader::read(kind, card);
        self.parts(&parts);
        !parts.is_empty()
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            if self.writer.is_full() {
                return;
            }
            match part {
                Part::Words(words) if is_html(words) => self.html(words, 1),
                Part::Words(words) | Part::Code(words) => self.writer.preformatted(words),
                Part::Named(words) => self.writer.text(words),
                Part::Picture { address, alt } => self.picture("image", address.clone(), alt),
                Part::Row(cells) => self.row(cells),
            }
            self.writer.block();
        }
    }

    fn row(&mut self, cells: &[Vec<Part>]) {
        // A cell may hold another table.
        let layout = self.writer.layout.clone();
        self.writer.row();
        for cell in cells {
            self.writer.cell();
            self.parts(cell);
            self.writer.end_cell();
        }
        self.writer.end_row();
        self.writer.layout = layout;
    }
}

/// Whether words have an HTML element that cards are written with. A `<` may also be a character of its own.
fn is_html(words: &str) -> bool {
    const HTML_ELEMENTS: &str = "a at b blockquote br code div em h1 h2 h3 hr i img li ol p pre script span strong style table td \
                            th tr u ul";
    let last = words.rfind('>').unwrap_or_default();
    words.match_indices('<').any(|(at, _)| {
        let tag = words.get(at + 1..).unwrap_or_default().trim_start_matches('/');
        let (name, rest) = tag.split_at(tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len()));
        let ends = rest.starts_with(['>', '/']) || (rest.starts_with(char::is_whitespace) && at < last);
        let is_element = || HTML_ELEMENTS.split(' ').any(|element| element.eq_ignore_ascii_case(name));
        tag.starts_with("!--") || (ends && is_element())
    })
}
