use proptest::prelude::*;
use serde_json::{Value, json};

use crate::chat::message::ChatMessage;
use crate::chat::text::Readable;

const ADAPTIVE: &str = "application/vnd.microsoft.card.adaptive";

fn shown(kind: &str, content: &Value) -> String {
    let message: ChatMessage = serde_json::from_value(json!({
        "body": {"contentType": "html", "content": "<attachment id=\"a1\"></attachment>"},
        "attachments": [{"id": "a1", "contentType": kind, "contentUrl": null, "content": content.to_string()}],
    }))
    .unwrap();
    Readable::of(&message).with_images([])
}

fn body(elements: Value) -> String {
    shown(ADAPTIVE, &json!({"type": "AdaptiveCard", "version": "1.6", "body": elements, "actions": []}))
}

fn card(kind: &str, content: Value) -> String {
    shown(&format!("application/vnd.microsoft.card.{kind}"), &content)
}

#[test]
fn code_is_shown_as_it_stands() {
    let code = |code: &str| json!({"type": "CodeBlock", "codeSnippet": code, "language": "java"});
    assert_eq!(body(json!([code("Date: Mon\nSubject: x")])), "Date: Mon\nSubject: x");
    let editor = json!([{"type": "TextBlock", "text": "editor.js"}, code("if (a <b> c) {\n  d();\n}")]);
    assert_eq!(body(editor), "editor.js\nif (a <b> c) {\n  d();\n}");
}

#[test]
fn inputs_say_what_they_ask_for_and_what_can_be_chosen() {
    let elements = json!([
        {"type": "TextBlock", "text": "Who?"},
        {"type": "Input.ChoiceSet", "id": "who", "label": "Group", "value": "1", "choices": [
            {"title": "Patients", "value": "1"}, {"title": "Suppliers", "value": "5"}]},
        {"type": "Input.Text", "placeholder": "Name", "value": "Ann", "inlineAction":
            {"type": "Action.OpenUrl", "title": "Look up", "url": "https://x.example/who"}},
        {"type": "Input.Toggle", "title": "I agree", "value": "false", "valueOn": "true"},
        {"type": "Input.Number", "label": "How many", "value": 3, "errorMessage": "One at least"},
    ]);
    let lines = "Who?\nGroup\n- Patients\n- Suppliers\nName\nAnn\n[button: Look up] (https://x.example/who)\nI agree\n\
                 How many\n3\nOne at least";
    assert_eq!(body(elements), lines);
}

#[test]
fn a_carousel_has_pages_and_an_action_set_actions() {
    let carousel = json!({"type": "Carousel", "timer": 5000, "pages": [
        {"type": "CarouselPage", "items": [{"type": "TextBlock", "text": "Page one"}]},
        {"type": "CarouselPage", "selectAction": {"type": "Action.OpenUrl", "url": "https://x.example/2"},
            "items": [{"type": "ActionSet", "actions": [{"type": "Action.Execute", "title": "Buy", "verb": "buy",
                "data": {"sku": "4711"}, "fallback": {"type": "Action.Submit", "title": "Buy"}}]}]},
    ]});
    let elements = json!([{"type": "TextBlock", "text": "Offers"}, carousel]);
    assert_eq!(body(elements), "Offers\nPage one\n[button: Buy]\n[link] (https://x.example/2)");
}

#[test]
fn what_a_press_opens_stands_behind_what_is_pressed() {
    let to = |url: &str| json!({"type": "Action.OpenUrl", "url": url});
    let elements = json!([
        {"type": "RichTextBlock", "inlines": ["Please ", {"type": "TextRun", "text": "mail us",
            "selectAction": to("mailto:help@example.com")}, "."]},
        {"type": "Container", "items": [{"type": "TextBlock", "text": "Ticket 42"}],
            "selectAction": to("https://example.com/42")},
        {"type": "Image", "url": "https://x.example/i.png", "altText": "Map",
            "selectAction": to("https://maps.example")},
        {"type": "CompoundButton", "title": "Translate", "description": "into English", "icon": {"name": "Globe"},
            "badge": "New", "selectAction": {"type": "Action.OpenUrl", "title": "Go", "url": "https://t.example"}},
    ]);
    insta::assert_snapshot!(body(elements), @r"
    Please mail us (help@example.com).
    Ticket 42
    [link] (https://example.com/42)
    [image: Map] (https://x.example/i.png)
    [link] (https://maps.example)
    Translate
    into English
    [button: Go] (https://t.example)
    New
    [icon: Globe]
    ");
}

#[test]
fn an_element_of_tomorrow_is_read_by_what_it_is_made_of() {
    let elements = json!([
        {"type": "TextBlock", "text": "x"},
        {"type": "FutureThing", "fallback": {"type": "TextBlock", "text": "shown instead"}},
        {"type": "FutureThing", "headline": "News", "more": {"deep": ["words", {"href": "https://x.example/news"}]},
            "style": "hero"},
        {"type": "FutureThing", "mood": true},
    ]);
    assert_eq!(body(elements), "x\nshown instead\nNews\nwords\nhttps://x.example/news\n[FutureThing]");
}

#[test]
fn tables_have_rows() {
    let cell = |text: &str| json!({"type": "TableCell", "items": [{"type": "TextBlock", "text": text}]});
    let row = |cells: [&str; 2]| json!({"type": "TableRow", "cells": cells.map(cell)});
    let table = |rows: Value| json!([{"type": "Table", "columns": [{"width": 1}], "rows": rows}]);
    assert_eq!(body(table(json!([row(["Fruit", "Kilos"]), row(["<b>Apples</b>", "3"])]))), "Fruit | Kilos\nApples | 3");
    assert_eq!(body(table(json!([row(["two\nlines", ""]), row(["a\n\nb", "c"])]))), "two lines |\na b | c");
}

#[test]
fn recordings_are_named_with_their_length() {
    let media = |url: &str| json!({"duration": "PT13S", "media": [{"url": url}]});
    let teams = "https://eu-api.asm.skype.com/v1/objects/0-neu-d6-xxxx/views/audio";
    assert_eq!(card("audio", media(teams)), "[audio, 13 s: only in Teams]");
    assert_eq!(card("video", media("https://x.example/a.mp4")), "[video, 13 s] (https://x.example/a.mp4)");
    let animation = json!({"title": "Dance", "media": [{"url": "https://x.example/a.gif", "profile": "low"}],
        "image": {"url": "https://x.example/a.png", "alt": "Feet"}, "duration": "PT1M5S"});
    assert_eq!(
        card("animation", animation),
        "[animation, 1 min 5 s] (https://x.example/a.gif)\nDance\n[image: Feet] (https://x.example/a.png)"
    );
    assert_eq!(card("audio", json!({})), "[audio: only in Teams]");
    let media = json!([{"type": "Media", "altText": "How to", "poster": "https://x.example/p.png",
        "sources": [{"mimeType": "video/mp4", "url": "https://x.example/h.mp4"}],
        "captionSources": [{"mimeType": "vtt", "label": "English", "url": "https://x.example/h.vtt"}]}]);
    assert_eq!(
        body(media),
        "[video: How to] (https://x.example/h.mp4)\n[captions: English] (https://x.example/h.vtt)\n\
         [image] (https://x.example/p.png)"
    );
}

#[test]
fn a_loop_component_is_its_link() {
    let message: ChatMessage = serde_json::from_value(json!({
        "body": {"contentType": "html", "content": "<p>See</p><span style=\"display: none\">Loop component</span> \
            <span itemtype=\"http://schema.skype.com/FluidEmbedCard\" itemid=\"a1\"></span><p>please</p>"},
        "attachments": [{"id": "a1", "contentType": "application/vnd.microsoft.card.fluidEmbedCard", "contentUrl": null,
            "content": "{\"componentUrl\": \"https://contoso-my.sharepoint.com/:fl:/g/Ed1\", \"sourceType\": \"Compose\"}"}],
    }))
    .unwrap();
    let text = Readable::of(&message).with_images([]);
    assert_eq!(text, "See\n[Loop component] (https://contoso-my.sharepoint.com/:fl:/g/Ed1)\nplease");
}

#[test]
fn pictures_have_an_address_or_are_fetched() {
    let hero = json!({"images": [{"url": "https://media.example.com/x.gif"}]});
    assert_eq!(card("hero", hero), "[image] (https://media.example.com/x.gif)");
    let hosted = "https://graph.microsoft.com/v1.0/chats/19:a@thread.v2/messages/1/hostedContents/aWQ9/$value";
    let content = json!({"type": "AdaptiveCard", "body": [{"type": "Image", "url": hosted, "altText": "Plan"}]});
    let message: ChatMessage = serde_json::from_value(json!({
        "attachments": [{"id": "a1", "contentType": ADAPTIVE, "content": content.to_string()}],
    }))
    .unwrap();
    let readable = Readable::of(&message);
    assert_eq!((readable.images[0].src.as_str(), readable.images[0].alt.as_str()), (hosted, "Plan"));
}

#[test]
fn older_cards_lose_nothing() {
    let receipt = json!({
        "title": "Order", "facts": [{"key": "Order Number", "value": "1234"}],
        "items": [{"title": "Data Transfer", "price": "$ 38.45", "quantity": 2, "image": {"url": "https://x.example/d"},
            "tap": {"type": "openUrl", "value": "https://x.example/item"}}],
        "vat": "$ 2", "tax": "$ 7.50", "total": "$ 90.95",
    });
    let connector = json!({
        "@type": "MessageCard", "title": "Build failed", "sections": [{"activityTitle": "CI", "activityImage":
            "https://x.example/ci.png", "images": [{"image": "https://x.example/log.png", "title": "The log"}],
            "heroImage": {"image": "https://x.example/hero.png"}}],
        "potentialAction": [
            {"@type": "OpenUri", "name": "View", "targets": [{"os": "default", "uri": "https://example.com/build"}]},
            {"@type": "ActionCard", "name": "Comment", "inputs": [{"@type": "MultichoiceInput", "id": "x",
                "title": "Which?", "choices": [{"display": "This one", "value": "1"}]}], "actions": [
                {"@type": "HttpPOST", "name": "Save", "target": "https://example.com/save", "body": "{\"secret\":1}"}]},
        ],
    });
    let list = json!({"title": "Files", "items": [{"type": "file", "id": "https://contoso.sharepoint.example/a.xlsx",
        "title": "Report", "subtitle": "teams > new", "tap": {"type": "imBack", "value":
        "editOnline https://contoso.sharepoint.example/a.xlsx"}}, {"type": "section", "title": "Manager"}],
        "buttons": [{"type": "imBack", "title": "Select", "value": "whois"}]});
    let signin = json!({"text": "Please sign in", "buttons": [{"type": "signin", "title": "Sign in",
        "value": "https://login.example/x"}]});
    insta::assert_snapshot!(
        [
            card("receipt", receipt),
            shown("application/vnd.microsoft.teams.card.o365connector", &connector),
            shown("application/vnd.microsoft.teams.card.list", &list),
            card("signin", signin),
        ]
        .join("\n=====\n")
    );
}

#[test]
fn the_newest_elements() {
    insta::assert_snapshot!(body(json!([
        {"type": "Badge", "text": "Due", "icon": "Calendar", "tooltip": "since Monday", "style": "warning"},
        {"type": "Icon", "name": "Calendar", "size": "Large"},
        {"type": "Rating", "value": 4.5, "max": 5, "count": 12},
        {"type": "ProgressBar", "value": 40, "max": 100},
        {"type": "Chart.Donut", "title": "Votes", "data": [{"legend": "Yes", "value": 7, "color": "good"},
            {"legend": "No", "value": 3}]},
        {"type": "Chart.Line", "title": "Load", "data": [{"legend": "host a", "values": [{"x": "10:00", "y": 97}]}]},
        {"type": "Chart.Gauge", "value": 50, "segments": [{"legend": "Low", "size": 33, "color": "good"}]},
        {"type": "Component", "name": "graph.microsoft.com/user", "view": "compact",
            "properties": {"id": "oid", "displayName": "Kim Akers", "userPrincipalName": "kim@contoso.example"}},
        {"type": "TextBlock", "text": "Details", "isVisible": false, "id": "details"},
        {"type": "ActionSet", "actions": [
            {"type": "Action.ToggleVisibility", "title": "More", "targetElements": ["details"]},
            {"type": "Action.Popover", "title": "Help", "content": {"type": "TextBlock", "text": "Call us"}},
            {"type": "Action.Submit", "title": "Log in", "iconUrl": "icon:Key",
                "data": {"msteams": {"type": "signin", "value": "https://login.example"}, "secret": "s"}},
        ]},
    ])));
}

#[test]
fn what_cannot_be_read_is_named() {
    assert_eq!(shown(ADAPTIVE, &json!({"type": "AdaptiveCard", "body": []})), "[adaptive card]");
    assert_eq!(card("hero", json!("")), "[hero card]");
    let unknown = json!({"title": "Poll", "options": ["Tea", "Coffee"], "link": "https://x.example/poll"});
    let unknown = shown("application/vnd.contoso.poll", &unknown);
    assert_eq!(unknown, "[attachment]\nPoll\nhttps://x.example/poll\nTea\nCoffee");
}

/// Elements as the schemas have them. `WORD` stands for something that people read, and `LINK` for an address.
const LEAVES: &[&str] = &[
    r#"{"type": "TextBlock", "text": "WORD", "size": "large", "weight": "bolder", "wrap": true}"#,
    r#"{"type": "RichTextBlock", "inlines": ["WORD", {"type": "TextRun", "text": "WORD", "color": "good",
        "selectAction": {"type": "Action.OpenUrl", "title": "WORD", "url": "LINK"}}, {"type": "IconRun", "name": "WORD"},
        {"type": "ImageRun", "url": "LINK", "altText": "WORD"}]}"#,
    r#"{"type": "Image", "url": "LINK", "altText": "WORD", "size": "small"}"#,
    r#"{"type": "ImageSet", "images": [{"type": "Image", "url": "LINK"}]}"#,
    r#"{"type": "Media", "poster": "LINK", "altText": "WORD", "sources": [{"mimeType": "video/mp4", "url": "LINK"}],
        "captionSources": [{"label": "WORD", "url": "LINK"}]}"#,
    r#"{"type": "CodeBlock", "codeSnippet": "WORD\n  WORD", "language": "rust", "startLineNumber": 1}"#,
    r#"{"type": "FactSet", "facts": [{"title": "WORD", "value": "WORD"}, {"title": "WORD:", "value": "LINK"}]}"#,
    r#"{"type": "Input.Text", "id": "a", "label": "WORD", "placeholder": "WORD", "value": "WORD", "errorMessage": "WORD",
        "inlineAction": {"type": "Action.Submit", "title": "WORD", "iconUrl": "LINK"}}"#,
    r#"{"type": "Input.ChoiceSet", "id": "a", "choices": [{"title": "WORD", "value": "1"}, {"title": "WORD"}]}"#,
    r#"{"type": "Input.Toggle", "id": "a", "title": "WORD", "value": "true"}"#,
    r#"{"type": "Badge", "text": "WORD", "tooltip": "WORD", "icon": "Calendar"}"#,
    r#"{"type": "CompoundButton", "title": "WORD", "description": "WORD", "badge": "WORD", "icon": {"name": "WORD"},
        "selectAction": {"type": "Action.OpenUrl", "url": "LINK"}}"#,
    r#"{"type": "Icon", "name": "WORD", "selectAction": {"type": "Action.OpenUrl", "url": "LINK"}}"#,
    r#"{"type": "Chart.Pie", "title": "WORD", "data": [{"legend": "WORD", "value": 3}]}"#,
    r#"{"type": "Chart.VerticalBar", "xAxisTitle": "WORD", "data": [{"x": "WORD", "y": 3}]}"#,
    r#"{"type": "Component", "name": "graph.microsoft.com/users", "properties": {"users": [{"displayName": "WORD"}]}}"#,
    r#"{"type": "FutureThing", "headline": "WORD", "lines": ["WORD", {"deep": {"label": "WORD", "href": "LINK"}}]}"#,
    r#"{"title": "WORD", "value": "WORD", "more": "WORD"}"#,
    r#""WORD""#,
    r#"{"type": "Action.OpenUrl", "title": "WORD", "url": "LINK", "iconUrl": "LINK", "tooltip": "WORD"}"#,
    r#"{"type": "Action.Execute", "title": "WORD", "verb": "v", "data": {"a": "secret", "b": "LINK"},
        "fallback": {"type": "Action.Submit", "title": "WORD"}}"#,
    r#"{"type": "Action.ToggleVisibility", "title": "WORD", "targetElements": ["a"]}"#,
    r#"{"type": "openUrl", "title": "WORD", "value": "LINK", "image": "LINK"}"#,
    r#"{"type": "messageBack", "title": "WORD", "value": {"url": "LINK"}}"#,
    r#"{"@type": "OpenUri", "name": "WORD", "targets": [{"os": "iOS", "uri": "LINK"}, {"os": "default", "uri": "LINK"}]}"#,
    r#"{"@type": "HttpPOST", "name": "WORD", "target": "LINK"}"#,
    r#"{"@type": "MultichoiceInput", "title": "WORD", "choices": [{"display": "WORD", "value": "1"}]}"#,
    r#"{"activityTitle": "WORD", "activitySubtitle": "WORD", "activityImage": "LINK", "text": "WORD",
        "facts": [{"name": "WORD", "value": "WORD"}], "images": [{"image": "LINK", "title": "WORD"}]}"#,
    r#"{"title": "WORD", "subtitle": "WORD", "price": "WORD", "quantity": "WORD", "image": {"url": "LINK", "alt": "WORD"},
        "tap": {"type": "openUrl", "value": "LINK"}}"#,
    r#"{"type": "file", "id": "LINK", "title": "WORD", "icon": "LINK", "tap": {"type": "imBack", "value": "open LINK"}}"#,
];

/// What elements stand in. `ITEMS` is where.
const HOLDERS: &[&str] = &[
    r#"{"type": "Container", "items": [ITEMS], "style": "emphasis", "backgroundImage": {"url": "LINK"},
        "selectAction": {"type": "Action.OpenUrl", "url": "LINK"}}"#,
    r#"{"type": "ColumnSet", "columns": [{"type": "Column", "width": "auto", "items": [ITEMS]}]}"#,
    r#"{"type": "Table", "columns": [{"width": 1}], "rows": [{"type": "TableRow", "cells": [
        {"type": "TableCell", "items": [ITEMS]}, {"type": "TableCell", "items": [{"type": "TextBlock", "text": "WORD"}],
        "selectAction": {"type": "Action.OpenUrl", "url": "LINK"}}]}]}"#,
    r#"{"type": "Carousel", "pages": [{"type": "CarouselPage", "items": [ITEMS]}]}"#,
    r#"{"type": "ActionSet", "actions": [ITEMS]}"#,
    r#"{"type": "Action.ShowCard", "title": "WORD", "card": {"type": "AdaptiveCard", "body": [ITEMS]}}"#,
    r#"{"type": "Action.Popover", "title": "WORD", "content": {"type": "Container", "items": [ITEMS]}}"#,
    r#"{"@type": "ActionCard", "name": "WORD", "inputs": [ITEMS]}"#,
    r#"{"type": "FutureHolder", "things": {"all": [ITEMS]}, "fallback": {"type": "TextBlock", "text": "WORD"}}"#,
    r#"{"type": "TextBlock", "text": "WORD", "fallback": {"type": "Container", "items": [ITEMS]}}"#,
];

fn element() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(LEAVES).prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 4, |inner| {
        let holder = prop::sample::select(HOLDERS);
        (holder, prop::collection::vec(inner, 1..4))
            .prop_map(|(holder, items)| holder.replace("ITEMS", &items.join(",")))
    })
}

/// The cards that elements stand in, with their kinds.
const CARDS: &[(&str, &str)] = &[
    (ADAPTIVE, r#"{"type": "AdaptiveCard", "$schema": "http://x", "version": "1.6", "body": [ITEMS]}"#),
    (ADAPTIVE, r#"{"type": "AdaptiveCard", "body": [], "actions": [ITEMS], "backgroundImage": "LINK"}"#),
    ("application/vnd.microsoft.card.hero", r#"{"title": "WORD", "text": "<b>WORD</b>", "buttons": [ITEMS]}"#),
    ("application/vnd.microsoft.card.receipt", r#"{"items": [ITEMS], "tax": "WORD", "total": "WORD", "vat": "WORD"}"#),
    ("application/vnd.microsoft.card.oauth", r#"{"text": "WORD", "connectionName": "c", "buttons": [ITEMS]}"#),
    ("application/vnd.microsoft.card.video", r#"{"subtitle": "WORD", "media": [{"url": "LINK"}], "buttons": [ITEMS]}"#),
    ("application/vnd.microsoft.teams.card.list", r#"{"title": "WORD", "items": [ITEMS]}"#),
    (
        "application/vnd.microsoft.teams.card.o365connector",
        r#"{"@type": "MessageCard", "summary": "WORD", "sections": [{"title": "WORD", "potentialAction": [ITEMS]}]}"#,
    ),
    ("application/vnd.contoso.unknown", r#"[ITEMS]"#),
];

/// Each `WORD` and `LINK` as one of its own; gives what people read as well.
fn numbered(template: &str) -> (String, Vec<String>) {
    let (mut card, mut said) = (String::new(), Vec::new());
    let mut rest = template;
    while let Some(at) = ["WORD", "LINK"].iter().filter_map(|name| rest.find(name)).min() {
        let (before, found) = rest.split_at(at);
        let number = said.len();
        let word =
            if found.starts_with("WORD") { format!("w{number}w") } else { format!("https://l.example/{number}/x") };
        card.push_str(before);
        card.push_str(&word);
        said.push(word);
        rest = &found[4..];
    }
    card.push_str(rest);
    (card, said)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_word_and_no_link_of_a_card_is_lost(
        (kind, card) in prop::sample::select(CARDS), elements in prop::collection::vec(element(), 1..5),
    ) {
        let (card, said) = numbered(&card.replace("ITEMS", &elements.join(",")));
        let card: Value = serde_json::from_str(&card).unwrap();
        let text = shown(kind, &card);
        for word in said {
            prop_assert!(text.contains(&word), "{word} of {card:#}\n{text}");
        }
        prop_assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn every_element_says_something(element in element()) {
        let (element, _) = numbered(&element);
        let card = json!({"type": "AdaptiveCard", "body": [serde_json::from_str::<Value>(&element).unwrap()]});
        prop_assert_ne!(shown(ADAPTIVE, &card), "[adaptive card]");
    }
}
