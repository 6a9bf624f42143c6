//! Messages that are meant to do harm: the fuzzer's corpus, replayed, and messages of the largest sizes.

// The fuzzer's checks know this crate by this name.
use crate as bridge;

#[path = "../../../tests/fuzz/checks/decrypted_resource.rs"]
mod decrypted_resource;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::message::ChatMessage;
use super::text::Readable;

#[test]
fn hostile_resources_do_no_harm() {
    let corpus = checkout::root().join("tests/fuzz/corpus/decrypted_resource");
    let outcomes = std::fs::read_dir(corpus).unwrap().map(|file| {
        let path = file.unwrap().path();
        let text = decrypted_resource::check(&std::fs::read(&path).unwrap());
        let shown: String = text.chars().take(200).collect();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, if shown == text { text } else { format!("{shown}… ({} bytes)", text.len()) })
    });
    insta::assert_json_snapshot!(outcomes.collect::<BTreeMap<_, _>>());
}

/// The bytes of a part that is repeated: far more than a person writes.
const BYTES: usize = 50_000;

/// The most that rendering so much may take: thirty times of what it takes in a test's build, and less than half of
/// what a search for each mark among all mentions would take.
const RENDERING_PATIENCE: Duration = Duration::from_secs(1);

/// The same piece over and over, up to the number of bytes.
fn filled(piece: &str) -> String {
    piece.repeat(BYTES / piece.len())
}

/// A list of as many elements as there is room for.
fn listed(element: impl Fn(usize) -> Value) -> Value {
    let length = element(10_000).to_string().len();
    (0..BYTES / length).map(element).collect()
}

fn message(json: Value) -> ChatMessage {
    serde_json::from_value(json).unwrap()
}

fn assert_swift(what: &str, message: &ChatMessage) {
    let took = || {
        let began = Instant::now();
        let _ = Readable::of(message).with_images([]);
        began.elapsed()
    };
    // One run may be slow because the machine does something else.
    let swift = (0..5).any(|_| took() < RENDERING_PATIENCE);
    assert!(swift, "{what} took {:?}", took());
}

#[test]
fn work_grows_with_the_size_of_a_message_alone() {
    let counted = |piece: &dyn Fn(usize) -> String| (0..BYTES / piece(10_000).len()).map(piece).collect::<String>();
    let mut texts: Vec<String> = [
        "<at id=1>",
        "<at id=10001>",
        "<attachment id=a1>",
        "<a href=http://x>y",
        "<a href=http://x>",
        "<ul>",
        "<ul><li>x",
        "<blockquote>x",
        "</blockquote>",
        "<table><tr><td>x",
        "<pre>\n",
        "<pre> \n x",
        "<!--",
        "<![CDATA[",
        "<script>",
        "<script><!--",
        "</script",
        "<textarea>",
        "<title>",
        "&",
        "&amp;",
        "&notit;",
        "&#1",
        "&#x",
        "<",
        "</",
        "<a a=",
        "<a b='",
        "<p ",
        "<!DOCTYPE ",
        "<br>",
        "<li>",
        " ",
        "\t",
        "\n",
        "&nbsp;",
        "&nbsp;<br>",
        "]]>",
        "-->",
        "--!",
        "<?",
        "<img src=/hostedContents/>",
        "\u{202E}",
        "\"",
        "x",
    ]
    .map(filled)
    .into();
    texts.push(format!("<p{}>x", counted(&|number| format!(" a{number}"))));
    texts.push(counted(&|number| format!("<a{number}>")));
    texts.push(counted(&|number| format!("<at id={number}>")));
    let mentions = listed(|id| json!({"id": id, "mentionText": "x"}));
    let attachments = listed(|id| json!({"id": format!("a{}", id + 2)}));
    let mut marked = message(json!({"mentions": mentions, "attachments": attachments}));
    for text in texts {
        let shown: String = text.chars().take(20).collect();
        assert_swift(&shown, &message(json!({"body": {"contentType": "text", "content": text}})));
        for kind in ["forwardedMessageReference", "application/vnd.microsoft.card.adaptive"] {
            let content = json!({"originalMessageContent": text, "text": text}).to_string();
            assert_swift(&shown, &message(json!({"attachments": [{"contentType": kind, "content": content}]})));
        }
        marked.body.content = text;
        assert_swift(&shown, &marked);
    }
}

#[test]
fn work_grows_with_the_size_of_cards_alone() {
    let wide = |element: Value| json!({"body": listed(|_| element.clone())}).to_string();
    let cards = [
        wide(json!({"text": "x"})),
        wide(json!({"text": "<b"})),
        wide(json!({})),
        wide(json!([])),
        wide(json!({"type": "RichTextBlock", "inlines": ["x"]})),
        wide(json!({"title": "t", "value": {"a": [1]}})),
        json!({"type": "RichTextBlock", "inlines": listed(|_| json!("<"))}).to_string(),
        wide(json!({"type": "Table", "rows": [{"cells": [{"items": []}]}]})),
        wide(json!({"type": "Action.Submit", "data": "http://x"})),
        wide(json!({"type": "x", "fallback": {"text": "y"}})),
        wide(json!({"choices": [{"title": "c"}]})),
        json!({"type": "Action.Submit", "data": filled("http://")}).to_string(),
        json!({"type": "Action.Submit", "data": listed(|number| json!(format!("http://{number}")))}).to_string(),
        json!({"data": listed(|number| json!({"a": number})), "text": filled("http://x ")}).to_string(),
        format!("{}{{}}{}", "{\"text\":\"x\",\"fallback\":".repeat(100), "}".repeat(100)),
        format!("{}1{}", "{\"rows\":[{\"cells\":[".repeat(31), "]}]}".repeat(31)),
        filled("{\"items\":["),
        filled("["),
    ];
    for card in cards {
        let attachment = json!({"contentType": "application/vnd.microsoft.card.adaptive", "content": card});
        assert_swift(&card[..40], &message(json!({"attachments": [attachment]})));
    }
    for kind in ["reference", "messageReference", "application/vnd.microsoft.card.adaptive", "image/png"] {
        let attachments = listed(|id| json!({"id": id.to_string(), "contentType": kind, "content": "{\"text\": 1}"}));
        assert_swift(kind, &message(json!({"attachments": attachments})));
    }
}
