//! A message as plain text: the body's HTML with its mentions, emoji, links, lists, quotes and tables, and the
//! attachments in a form that can be read.
//!
//! Every person in a chat decides what is read here. So nothing recurses over elements, all output is bounded, and no
//! input is refused: text that makes no sense is shown as it is.

mod attachments;
mod card;
mod writer;

use std::borrow::Cow;
use std::collections::HashMap;

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

use super::message::ChatMessage;
use attachments::LOOP;
use writer::{IMAGE, TextWriter};

/// The most images of one message that are fetched. Teams' own limit is ten.
const MAX_IMAGES: usize = 10;

/// The most bytes of text. Twice as many in JSON are well below Genesys Cloud's limit for a request, 512,000.
const MAX_TEXT_BYTES: usize = 200_000;

/// The most characters of the name that a sender gives an image.
const MAX_ALT: usize = 200;

/// How deep HTML may be nested in HTML: a forwarded message's text within the message.
const MAX_NESTING: usize = 2;

/// The text in place of a message that the organization's policy hides.
pub(crate) const BLOCKED: &str = "[blocked by the organization's policy]";

/// The end of a text that is too long.
const SHORTENED: &str = "[shortened: the whole message is in Teams]";

/// An image, or a recording, that Graph keeps for a message. Fetching it needs a token.
#[derive(Clone, PartialEq, Eq)]
pub struct HostedImage {
    /// The kind of the file, as the text names it: `image`, `video`, `audio`.
    pub kind: &'static str,
    /// Its URL as the message has it. To be checked before a token goes there.
    pub src: String,
    /// The sender's name for it, on one line and of a bounded length; empty where there is none.
    pub alt: String,
}

/// A message as plain text. It has no `Debug`, so that it cannot reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Readable {
    text: String,
    /// The images of the text, in their order.
    pub images: Vec<HostedImage>,
}

impl Readable {
    /// Renders a message. A message that a policy blocks is not rendered, so no caller can show it by mistake.
    #[must_use]
    pub fn of(message: &ChatMessage) -> Self {
        if message.is_blocked() {
            return Self { text: BLOCKED.into(), images: Vec::new() };
        }
        Self::limited(message, MAX_TEXT_BYTES)
    }

    fn limited(message: &ChatMessage, limit: usize) -> Self {
        let mut renderer = Renderer::new(message, limit);
        renderer.writer.text(&message.subject);
        renderer.writer.block();
        if message.body.is_html() {
            renderer.html(&message.body.content, 0);
        } else {
            renderer.writer.preformatted(&message.body.content);
        }
        renderer.unmarked_attachments();
        let images = renderer.images;
        let (mut text, shortened) = renderer.writer.finish();
        if shortened {
            text.truncate(text.trim_end().len());
            text.push_str(if text.is_empty() { "" } else { "\n" });
            text.push_str(SHORTENED);
        }
        Self { text, images }
    }

    /// The text with these words in place of the images, in order.
    #[must_use]
    pub fn with_images<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let mut words = words.into_iter();
        let mut parts = self.text.split(IMAGE);
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            text.push_str(words.next().unwrap_or("[image]"));
            text.push_str(part);
        }
        text
    }
}

struct Renderer<'a> {
    message: &'a ChatMessage,
    /// The people that mentions are of, and the mentions' words, by the ids that the body marks them with; of several
    /// with one id, the first. There may be thousands of mentions, and thousands of marks.
    mentions: HashMap<Cow<'a, str>, (Option<&'a str>, &'a str)>,
    /// The places of attachments, by the ids that the body marks them with.
    attachments: HashMap<&'a str, usize>,
    writer: TextWriter,
    images: Vec<HostedImage>,
    /// Which attachments have been written where the body marks them.
    placed: Vec<bool>,
    /// The person of the last mention, and the length of the text when it ended.
    mentioned: Option<(&'a str, usize)>,
    /// Whether a Loop component is attached.
    has_loop: bool,
}

/// The elements that are open while HTML is read.
#[derive(Default)]
struct Open<'a> {
    /// The end tag of an element whose content is not shown.
    dropped: Option<Vec<u8>>,
    /// The address of the link that is open.
    link: Option<String>,
    /// Whether Teams hides the text that is open.
    hidden: bool,
    /// The mention that is open: its person, its words for when the body has none, and the length of the text when it
    /// began.
    mention: Option<(Option<&'a str>, &'a str, usize)>,
}

impl<'a> Renderer<'a> {
    fn new(message: &'a ChatMessage, limit: usize) -> Self {
        let mentions = message.mentions.iter().rev();
        let mentions = mentions.filter_map(|it| Some((it.id()?, (it.whom(), it.mention_text.as_str()))));
        let attachments = message.attachments.iter().enumerate().rev();
        Self {
            message,
            mentions: mentions.collect(),
            attachments: attachments.map(|(place, attachment)| (attachment.id.as_str(), place)).collect(),
            writer: TextWriter::new(limit),
            images: Vec::new(),
            placed: vec![false; message.attachments.len()],
            mentioned: None,
            has_loop: message.attachments.iter().any(|it| it.content_type.eq_ignore_ascii_case(LOOP)),
        }
    }

    /// Renders HTML. `nesting` is the number of HTML documents that it stands in.
    fn html(&mut self, html: &str, nesting: usize) {
        if nesting > MAX_NESTING {
            return;
        }
        let layout = self.writer.layout.clone();
        let mut emitter = DefaultEmitter::default();
        // So that the text of a script is not read as elements.
        emitter.naively_switch_states(true);
        let mut open = Open::default();
        for token in Tokenizer::new_with_emitter(html, emitter) {
            let Ok(token) = token;
            if self.writer.is_full() {
                break;
            }
            match token {
                Token::EndTag(tag) if open.dropped.is_some() => {
                    if open.dropped.as_ref() == Some(&tag.name.0) {
                        open.dropped = None;
                    }
                }
                _ if open.dropped.is_some() => {}
                Token::StartTag(tag) => self.start(&tag, &mut open, nesting),
                Token::EndTag(tag) => {
                    open.hidden = false;
                    self.end(&tag.name, &mut open);
                }
                Token::String(text) => {
                    let text = String::from_utf8_lossy(&text);
                    // Teams writes this for clients that cannot show a Loop component. The component is named where it
                    // stands.
                    if !(open.hidden && text.trim() == "Loop component" && self.has_loop) {
                        self.writer.text(&text);
                    }
                }
                Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
            }
        }
        self.end_mention(&mut open);
        self.end_link(&mut open);
        // The blocks of a card within a table's cell stay on the row's line.
        self.writer.end_cells(&layout);
        self.writer.block();
        self.writer.layout = layout;
    }

    fn start(&mut self, tag: &StartTag<()>, open: &mut Open<'a>, nesting: usize) {
        open.hidden = self.has_loop && attribute(tag, "style").replace(' ', "").contains("display:none");
        if nesting == 0 && self.has_loop && attribute(tag, "itemtype").ends_with("/FluidEmbedCard") {
            self.marked_attachment(&attribute(tag, "itemid"));
        }
        let writer = &mut self.writer;
        match &*tag.name.0 {
            b"script" | b"style" | b"title" | b"iframe" | b"noembed" | b"noframes" | b"textarea" => {
                open.dropped = Some(tag.name.0.clone());
                self.embedded(tag);
            }
            b"embed" | b"object" | b"source" | b"track" | b"area" => self.embedded(tag),
            b"br" => writer.line_break(),
            b"hr" => {
                writer.block();
                writer.text("---");
                writer.block();
            }
            b"ul" | b"menu" => writer.list(None),
            b"ol" => writer.list(Some(attribute(tag, "start").parse().unwrap_or(1))),
            b"li" => writer.item(),
            b"blockquote" => {
                writer.block();
                writer.layout.quotes = writer.layout.quotes.saturating_add(1);
            }
            b"pre" | b"codeblock" => writer.preformat(),
            b"tr" => writer.row(),
            b"td" | b"th" => writer.cell(),
            b"table" => writer.end_row(),
            b"a" => {
                self.end_link(open);
                self.writer.link();
                open.link = Some(attribute(tag, "href"));
            }
            b"at" => {
                self.end_mention(open);
                self.mention(&attribute(tag, "id"), open);
            }
            b"emoji" => {
                let alt = attribute(tag, "alt");
                self.writer.text(if alt.is_empty() { "[emoji]" } else { &alt });
            }
            b"customemoji" => self.writer.text(&format!(":{}:", attribute(tag, "alt"))),
            b"img" => self.image(tag),
            b"video" => self.picture("video", attribute(tag, "src"), &attribute(tag, "alt")),
            b"audio" => self.picture("audio", attribute(tag, "src"), &attribute(tag, "alt")),
            b"attachment" => {
                let id = attribute(tag, "id");
                if nesting == 0 {
                    self.marked_attachment(&id);
                } else if !self.attachments.contains_key(id.as_str()) {
                    // A quoted message has a mark whose attachment is not in this message.
                    self.writer.text("[attachment: only in Teams]");
                }
            }
            name if is_block(name) => writer.block(),
            _ => {}
        }
    }

    fn end(&mut self, name: &[u8], open: &mut Open<'a>) {
        let writer = &mut self.writer;
        match name {
            b"ul" | b"ol" | b"menu" => writer.end_list(),
            b"li" => writer.block(),
            b"blockquote" => {
                writer.block();
                writer.layout.quotes = writer.layout.quotes.saturating_sub(1);
            }
            b"pre" | b"codeblock" => {
                writer.block();
                writer.layout.preformatted = writer.layout.preformatted.saturating_sub(1);
            }
            b"td" | b"th" => writer.end_cell(),
            b"tr" | b"table" => writer.end_row(),
            b"a" => self.end_link(open),
            b"at" => self.end_mention(open),
            // As browsers read `</br>`.
            b"br" => writer.line_break(),
            name if is_block(name) => writer.block(),
            _ => {}
        }
    }

    /// A mention. Teams writes a name of two words as two mentions of the same person: one `@` is enough.
    fn mention(&mut self, id: &str, open: &mut Open<'a>) {
        let (whom, words) = self.mentions.get(id).copied().unwrap_or_default();
        let continued = self.mentioned.is_some_and(|(last, at)| Some(last) == whom && at == self.writer.len());
        if !continued {
            self.writer.text("@");
        }
        open.mention = Some((whom, words, self.writer.len()));
    }

    fn end_mention(&mut self, open: &mut Open<'a>) {
        if let Some((whom, words, began)) = open.mention.take() {
            if self.writer.len() == began {
                self.writer.text(words);
            }
            self.mentioned = whom.map(|whom| (whom, self.writer.len()));
        }
    }

    fn end_link(&mut self, open: &mut Open<'a>) {
        if let Some(href) = open.link.take() {
            let text = self.writer.end_link();
            self.address(&text, &href);
        }
    }

    /// Writes the address of a link, if the link's text does not have it already.
    fn address(&mut self, text: &str, href: &str) {
        let Some(shown) = address(href) else {
            return;
        };
        let bare = |text: &str| {
            let text = text.trim().trim_end_matches('/');
            let text = text.split_once("://").map_or(text, |(_, rest)| rest);
            text.to_lowercase()
        };
        if text.trim().is_empty() {
            self.writer.text(shown);
        } else if bare(text) != bare(shown) {
            self.writer.text(&format!(" ({shown})"));
        }
    }

    /// A frame, video or other file from elsewhere that stands in the text.
    fn embedded(&mut self, tag: &StartTag<()>) {
        let src = ["src", "data", "href"].map(|name| attribute(tag, name));
        if let Some(address) = src.iter().find_map(|src| address(src)) {
            self.writer.text(&format!("[embedded] ({address})"));
        }
    }

    fn image(&mut self, tag: &StartTag<()>) {
        let [src, alt, kind] = ["src", "alt", "itemtype"].map(|name| attribute(tag, name));
        if kind.ends_with("/Emoji") {
            self.writer.text(if alt.is_empty() { "[emoji]" } else { &alt });
        } else {
            self.picture("image", src, &alt);
        }
    }

    /// An image. One that Graph keeps is fetched later; of any other, its name and address are written.
    fn picture(&mut self, kind: &'static str, src: String, alt: &str) {
        if src.contains("/hostedContents/") {
            if self.images.len() == MAX_IMAGES {
                self.writer.text(&format!("[image: not shown, the message has more than {MAX_IMAGES}]"));
            } else if self.writer.image() {
                self.images.push(HostedImage { kind, src, alt: one_line(alt, MAX_ALT) });
            }
        } else {
            self.writer.text(&named(kind, alt));
            if let Some(address) = address(&src) {
                self.writer.text(&format!(" ({address})"));
            }
        }
    }
}

/// An image in words: `[image: name]`, or `[image]`. Teams itself names an image `image`, which tells nothing.
#[must_use]
pub fn named(kind: &str, name: &str) -> String {
    let name = name.trim();
    if name.is_empty() || name.eq_ignore_ascii_case(kind) { format!("[{kind}]") } else { format!("[{kind}: {name}]") }
}

/// A name as text on one line, shortened to this many characters.
#[must_use]
pub(crate) fn one_line(name: &str, max_chars: usize) -> String {
    let mut writer = TextWriter::new(4 * max_chars);
    writer.text(name);
    let (line, _) = writer.finish();
    let end = line.char_indices().nth(max_chars).map_or(line.len(), |(end, _)| end);
    line.get(..end).unwrap_or_default().trim_end().to_owned()
}

/// The address of a link, if a person can open it.
fn address(href: &str) -> Option<&str> {
    let href = href.trim();
    let (scheme, rest) = href.split_once(':')?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => Some(href),
        "mailto" | "tel" => Some(rest).filter(|rest| !rest.is_empty()),
        _ => None,
    }
}

fn attribute(tag: &StartTag<()>, name: &str) -> String {
    let value = tag.attributes.get(name.as_bytes());
    value.map_or_else(String::new, |value| String::from_utf8_lossy(value).into_owned())
}

fn is_block(name: &[u8]) -> bool {
    const BLOCKS: [&[u8]; 27] = [
        b"address",
        b"article",
        b"aside",
        b"body",
        b"caption",
        b"center",
        b"dd",
        b"details",
        b"div",
        b"dl",
        b"dt",
        b"figcaption",
        b"figure",
        b"footer",
        b"form",
        b"h1",
        b"h2",
        b"h3",
        b"h4",
        b"h5",
        b"h6",
        b"header",
        b"main",
        b"p",
        b"section",
        b"summary",
        b"tbody",
    ];
    BLOCKS.contains(&name)
}

#[cfg(test)]
mod tests;
