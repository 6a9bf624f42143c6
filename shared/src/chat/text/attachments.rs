//! Attachments as text: a file by its name and link, a card by its words, a quoted message by its sender and words. An
//! attachment that cannot be read is named by its kind.

use serde_json::Value;

use super::card::{CardKind, links_of};
use super::{Renderer, address, named, one_line};
use crate::chat::lenient_json::read_json;
use crate::chat::message::Attachment;

/// The content type of a Loop component, which several people write at once. Its text lies in a file, which its link
/// opens.
pub(super) const LOOP: &str = "application/vnd.microsoft.card.fluidembedcard";

/// The most characters of a card's kind that are shown.
const MAX_CARD_KIND_CHARACTERS: usize = 40;

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

    /// The attachments that the body does not mark, at the end of the text.
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
                let (preview, sender) = (text(&json, "messagePreview"), sender(&json, "messageSender"));
                self.quote(None, sender, |renderer| match preview.trim() {
                    "" => renderer.writer.text("[message: only in Teams]"),
                    _ => renderer.writer.preformatted(preview),
                });
            }
            "forwardedmessagereference" => {
                let json = json();
                let content = text(&json, "originalMessageContent");
                let said = sender(&json, "originalMessageSender");
                self.quote(Some("Forwarded"), said, |renderer| match content.trim() {
                    "" => renderer.writer.text("[message: only in Teams]"),
                    _ => renderer.html(content, 1),
                });
            }
            "meetingreference" => {
                let json = json();
                let subject = [text(&json, "subject"), text(&json, "title"), &attachment.name];
                self.writer.text(&named("meeting", first(subject)));
                self.link(&attachment.content_url);
                self.links(&json, &attachment.content_url);
            }
            "application/vnd.microsoft.card.codesnippet" => {
                let json = json();
                self.writer.text(&named("code", first([text(&json, "name"), text(&json, "title"), &attachment.name])));
                self.block_of(text(&json, "language"));
                match text(&json, "codeSnippetUrl") {
                    // The lines of code are in there, and can only be fetched with Graph's token.
                    url if url.contains("/hostedContents/") => self.block_of("only in Teams"),
                    url => self.link(url),
                }
            }
            LOOP => {
                self.writer.text("[Loop component]");
                self.links(&json(), "");
                self.link(&attachment.content_url);
            }
            media if let Some(kind) = media_kind(media) => {
                self.picture(kind, attachment.content_url.clone(), &attachment.name);
            }
            card if card.contains(".card.") => {
                let said = self.card(CardKind::of(card), &json());
                let is_bare = attachment.name.trim().is_empty() && attachment.content_url.is_empty();
                if !(said && is_bare) {
                    let kind = card.rsplit('.').next().unwrap_or_default();
                    self.linked(&one_line(&format!("{kind} card"), MAX_CARD_KIND_CHARACTERS), attachment);
                }
            }
            other => {
                self.linked("attachment", attachment);
                self.writer.block();
                match json() {
                    Value::Null if other.starts_with("text/") => self.writer.preformatted(&attachment.content),
                    json => _ = self.card(CardKind::Plain, &json),
                }
            }
        }
        self.writer.block();
    }

    /// An attachment by its kind, name and link.
    fn linked(&mut self, kind: &str, attachment: &Attachment) {
        self.writer.text(&named(kind, &attachment.name));
        match address(&attachment.content_url) {
            Some(_) => self.link(&attachment.content_url),
            None => self.link(&attachment.thumbnail_url),
        }
    }

    fn link(&mut self, url: &str) {
        if let Some(address) = address(url) {
            self.writer.text(&format!(" ({address})"));
        }
    }

    /// All links in the attachment's content, except the one that is written already.
    fn links(&mut self, content: &Value, known: &str) {
        for link in links_of(content).iter().filter(|link| link.as_str() != known) {
            self.link(link);
        }
    }

    /// Words in brackets, after the text that stands on the line.
    fn block_of(&mut self, words: &str) {
        if !words.is_empty() {
            self.writer.text(&format!(" ({words})"));
        }
    }

    /// A quote: another person's message, or an earlier one.
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
}

/// The kind of file that a media type stands for, as the text names it.
fn media_kind(media_type: &str) -> Option<&'static str> {
    let kinds = ["image", "video", "audio"];
    kinds.into_iter().find(|kind| media_type.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/')))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The name of the person or app in an identity set.
fn sender<'a>(value: &'a Value, name: &str) -> &'a str {
    let identities = value.get(name).and_then(Value::as_object);
    let mut kinds = identities.into_iter().flat_map(|kinds| kinds.values());
    kinds.find_map(|identity| identity.get("displayName")?.as_str()).unwrap_or_default().trim()
}

fn first<const N: usize>(texts: [&str; N]) -> &str {
    texts.into_iter().find(|text| !text.trim().is_empty()).unwrap_or_default()
}
