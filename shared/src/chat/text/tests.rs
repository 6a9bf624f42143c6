use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const HOSTED: &str = "https://graph.microsoft.com/v1.0/chats/19:a@thread.v2/messages/1/hostedContents/aWQ9/$value";

fn message(html: &str, attachments: Value, mentions: Value) -> ChatMessage {
    let body = json!({"contentType": "html", "content": html});
    serde_json::from_value(json!({"body": body, "attachments": attachments, "mentions": mentions})).unwrap()
}

fn read(html: &str) -> String {
    Readable::of(&message(html, json!([]), json!([]))).with_images([])
}

fn with_attachment(html: &str, kind: &str, content: &Value) -> String {
    let attachment = json!({"id": "a1", "contentType": kind, "content": content.to_string()});
    Readable::of(&message(html, json!([attachment]), json!([]))).with_images([])
}

mod as_it_is_read {
    use super::*;

    #[test]
    fn paragraphs_and_what_is_in_them() {
        insta::assert_snapshot!(read(
            "<p>Hello&nbsp;team,</p>\n<p>&nbsp;</p>\n<p>the <strong>March</strong> invoice is \
             <em>4&#8239;711,00&nbsp;&euro;</em> \
             &mdash; not   &lt;5k&gt;.<br>Second line.</p><h3>To do</h3><ol><li>Check it</li><li>Pay it<ul>\
             <li>by bank</li>\
             <li>or card</li></ul></li></ol><blockquote><p>Pay by Friday</p><p>or else</p></blockquote><hr>\
             <div>See <a href=\"https://contoso.example/invoices?id=4711&amp;m=3\" title=\"x\">the invoice</a>, \
             <a href=\"https://contoso.example/\">https://contoso.example</a>, \
             <a href=\"mailto:kim@contoso.example\">kim@contoso.example</a> or \
             <a href=\"javascript:alert(1)\">nothing</a>.</div>"
        ));
    }

    #[test]
    fn mentions_and_emoji() {
        let lee = json!({"user": {"id": "u1", "displayName": "Lee Gu"}});
        let mentions = json!([
            {"id": 0, "mentionText": "Lee", "mentioned": lee}, {"id": 1, "mentionText": "Gu", "mentioned": lee},
            {"id": 2, "mentionText": "Support", "mentioned": {"conversation": {"id": "19:b"}, "user": null}},
        ]);
        let html = "<p><at id=\"0\">Lee</at>&nbsp;<at id=\"1\">Gu</at> and <at id=\"2\"></at>: well done \
                    <emoji id=\"1f44d_yes\" alt=\"👍🏽\" title=\"Yes\"></emoji> \
                    <customemoji id=\"x\" alt=\"party_parrot\" source=\"https://x.example\"></customemoji> \
                    <span title=\"Cool\">\
                    <img itemscope itemtype=\"http://schema.skype.com/Emoji\" src=\"https://s.example\" \
                    alt=\"😎\"></span> 👨‍👩‍👧</p>";
        insta::assert_snapshot!(Readable::of(&message(html, json!([]), mentions)).with_images([]));
    }

    #[test]
    fn tables_and_code() {
        insta::assert_snapshot!(read(
            "<p>Status:</p><table itemprop=\"copy-paste-table\"><tbody><tr><th><p>Server</p></th><th><p>State</p>\
             </th></tr>\
             <tr><td><p>alpha</p></td><td><p>up<br>since Monday</p></td></tr><tr><td>beta</td><td></td><td>down</td>\
             </tr>\
             </tbody></table><p>Run <code>systemctl restart beta</code> with</p>\
             <codeblock class=\"Python\"><code>def restart(name):<br>    # &lt;b&gt; twice<br><br>    run(name)\
             </code></codeblock>\
             <pre>\nplain   text\n\tindented\n</pre><p>done</p>"
        ));
    }

    #[test]
    fn images_of_all_origins() {
        let html = format!(
            "<p>Before</p><p><img alt=\"image\" src=\"{HOSTED}\" \
             itemtype=\"http://schema.skype.com/AMSImage\">\
             </p><div><img alt=\"The broken part\" src=\"{HOSTED}\">after</div>\
             <img src=\"https://media.giphy.example/a.gif\" alt=\"Happy dance (GIF Image)\"><br>\
             <img src=\"data:image/png;base64,AAAA\"><br><img>"
        );
        let readable = Readable::of(&message(&html, json!([]), json!([])));
        assert_eq!(
            readable.images.iter().map(|image| image.alt.as_str()).collect::<Vec<_>>(),
            ["image", "The broken part"]
        );
        assert!(readable.images.iter().all(|image| image.src == HOSTED));
        insta::assert_snapshot!(readable.with_images(["[first]", "[second]"]));
    }

    #[test]
    fn recordings() {
        let html =
            format!("<div>See<video src=\"{HOSTED}\" itemtype=\"http://schema.skype.com/AMSVideo\"></video></div>");
        let readable = Readable::of(&message(&html, json!([]), json!([])));
        let kinds: Vec<_> = readable.images.iter().map(|image| (image.kind, image.src.as_str())).collect();
        assert_eq!((kinds, readable.with_images(["[clip]"])), (vec![("video", HOSTED)], "See[clip]".into()));
        assert_eq!(read("<audio src=\"https://x.example/a.mp3\"></audio>"), "[audio] (https://x.example/a.mp3)");
    }

    #[test]
    fn a_sign_in_a_card_is_no_element() {
        let card = |text: &str| {
            let card = json!({"type": "AdaptiveCard", "body": [{"type": "TextBlock", "text": text}]});
            with_attachment("<attachment id=\"a1\">", "application/vnd.microsoft.card.adaptive", &card)
        };
        for text in ["Stock <MIN for 3 days, call back", "a <b and c", "x <title y", "<3", "a<"] {
            assert_eq!(card(text), text);
        }
        assert_eq!(card("<at>Kim</at>: <B>now</B><br/>or never<br>"), "@Kim: now\nor never");
    }

    #[test]
    fn scripts_of_the_right_and_of_the_left() {
        insta::assert_snapshot!(read(
            "<p dir=\"rtl\">שלום <at id=\"0\">דנה</at>, הפגישה ב-10:30</p>\
             <p dir=\"rtl\">مرحبا، الملف \u{200F}report.pdf</p>\
             <p>日本語のメッセージ</p><p>நன்றி</p><p>file\u{202E}fdp.exe</p>"
        ));
    }

    #[test]
    fn a_quoted_reply() {
        let quoted = json!({
            "messageId": "1712027444034", "messagePreview": "Can you send\nthe contract?",
            "messageSender": {"application": null, "device": null, "user": {"id": "u", "displayName": "Kim Akers"}},
        });
        let html = "<attachment id=\"a1\"></attachment>\n<p>Here it is</p>";
        insta::assert_snapshot!(with_attachment(html, "messageReference", &quoted));
    }

    #[test]
    fn a_forwarded_message() {
        let forwarded = json!({
            "originalMessageId": "1", "originalMessageContent": "<p>The <b>offer</b></p><ul><li>one</li></ul>\
             <attachment id=\"a1\">",
            "originalConversationId": "19:b", "originalSentDateTime": "2026-04-30T08:00:00Z",
            "originalMessageSender": {"user": {"id": "u", "displayName": "Kim Akers"}},
        });
        let html = "<p>FYI</p><attachment id=\"a1\"></attachment>";
        insta::assert_snapshot!(with_attachment(html, "forwardedMessageReference", &forwarded));
    }

    #[test]
    fn an_adaptive_card() {
        let card = json!({
            "type": "AdaptiveCard", "version": "1.4", "fallbackText": "never", "body": [
                {"type": "TextBlock", "text": "Deployment **failed**", "size": "large"},
                {"type": "ColumnSet", "columns": [
                    {"type": "Column", "items": [{"type": "Image", "url": "https://x.example/i.png",
                        "altText": "Red cross"}]},
                    {"type": "Column", "items": [{"type": "RichTextBlock", "inlines": [
                        "Build ", {"type": "TextRun", "text": "4711"}, {"type": "TextRun", "text": " of main"}
                    ]}]},
                ]},
                {"type": "FactSet", "facts": [{"title": "Stage:", "value": "Production"},
                    {"title": "Tries", "value": 3}]},
                {"type": "Input.Text", "id": "why", "label": "Why?", "placeholder": "…"},
                {"type": "Table", "rows": [{"type": "TableRow", "cells": [{"type": "TableCell", "items": [
                    {"type": "TextBlock", "text": "cell"}]}]}]},
            ],
            "actions": [
                {"type": "Action.OpenUrl", "title": "Open log", "url": "https://ci.example/4711"},
                {"type": "Action.ShowCard", "title": "More", "card": {"type": "AdaptiveCard", "body": [
                    {"type": "TextBlock", "text": "Details"}]}},
                {"type": "Action.Submit", "title": "Retry"},
            ],
        });
        let html = "<p>Look:</p><attachment id=\"a1\"></attachment>";
        insta::assert_snapshot!(with_attachment(html, "application/vnd.microsoft.card.adaptive", &card));
    }

    #[test]
    fn older_cards() {
        let hero = json!({
            "title": "Order 4711", "subtitle": "shipped", "text": "Arrives <b>Friday</b><br>before noon",
            "images": [{"url": "https://x.example/p.png", "alt": "A parcel"}],
            "buttons": [{"type": "openUrl", "title": "Track", "value": "https://track.example/4711"},
                        {"type": "messageBack", "title": "Not mine", "value": "{}"}],
        });
        let connector = json!({
            "@type": "MessageCard", "summary": "Alarm", "sections": [{"activityTitle": "CPU",
                "activitySubtitle": "host a",
                "facts": [{"name": "Load", "value": "97 %"}], "text": "since 10:00"}],
            "potentialAction": [{"@type": "OpenUri", "name": "Dashboard", "targets": []}],
        });
        let announcement = json!({"title": "Town hall", "subtitle": "on Monday", "cardImageType": "colorTheme"});
        let texts = [
            with_attachment("<attachment id=\"a1\">", "application/vnd.microsoft.card.hero", &hero),
            with_attachment("<attachment id=\"a1\">", "application/vnd.microsoft.teams.card.o365connector", &connector),
            with_attachment(
                "<attachment id=\"a1\"></attachment>Come!",
                "application/vnd.microsoft.card.announcement",
                &announcement,
            ),
        ];
        insta::assert_snapshot!(texts.join("\n=====\n"));
    }

    #[test]
    fn files_and_everything_else() {
        let attachments = json!([
            {"id": "f1", "contentType": "reference", "name": "Q1 plan.docx",
                "contentUrl": "https://contoso.sharepoint.example/Q1%20plan.docx"},
            {"id": "c1", "contentType": "application/vnd.microsoft.card.codesnippet", "content":
                "{\"name\": \"fix.sql\", \"language\": \"SQL\", \"codeSnippetUrl\": \"https://x.example\"}"},
            {"id": "m1", "contentType": "meetingReference", "content": "{\"subject\": \"Weekly\"}", "contentUrl": null},
            {"id": "i1", "contentType": "image/jpeg", "contentUrl": HOSTED, "name": "photo.jpg"},
            {"id": "u1", "contentType": "application/vnd.contoso.unknown", "name": "Thing"},
            {"id": "u2", "contentType": "application/vnd.microsoft.card.adaptive", "content": "not JSON", "name": null},
            {"id": "u3", "contentType": null},
        ]);
        let html = "<p>Files: <attachment id=\"f1\"></attachment><attachment id=\"f1\"></attachment>\
        <attachment id=\"gone\">\
                    </attachment></p><p>end</p>";
        let readable = Readable::of(&message(html, attachments, json!([])));
        assert_eq!(readable.images.len(), 1);
        insta::assert_snapshot!(readable.with_images([]));
    }
}

#[test]
fn a_text_that_is_no_html_is_left_as_it_is() {
    let text = "a < b &amp; c\r\n  two\n\n\n\nthree <p>";
    let message =
        serde_json::from_value(json!({"body": {"contentType": "text", "content": text}, "subject": "S"})).unwrap();
    assert_eq!(Readable::of(&message).with_images([]), "S\na < b &amp; c\n  two\n\nthree <p>");
}

#[test]
fn no_line_ends_but_where_lines_end() {
    assert_eq!(read("a\u{2028}b<pre>c\u{2028}\u{2029}\u{2029}\u{2029}d</pre>"), "a b\nc\n\nd");
    assert_eq!(one_line(" a\u{2029}\nb\u{85}c ", 9), "a bc");
    assert_eq!(one_line("ab cd", 3), "ab");
    assert_eq!(one_line("🎉🎉🎉", 2), "🎉🎉");
}

#[test]
fn what_a_policy_blocks_is_not_rendered() {
    let mut json = json!({
        "subject": "4111", "body": {"contentType": "html", "content": format!("<p>4111</p><img src=\"{HOSTED}\">")},
        "attachments": [{"id": "a1", "contentType": "reference", "name": "4111.pdf"}],
        "policyViolation": {"dlpAction": "notifySender, blockAccess, blockAccessExternal", "userAction": "none"},
    });
    let readable = |json: &Value| Readable::of(&serde_json::from_value(json.clone()).unwrap());
    let blocked = readable(&json);
    assert!(blocked.images.is_empty() && blocked.with_images([]) == BLOCKED);
    json["policyViolation"]["userAction"] = json!("override");
    assert_eq!(readable(&json).with_images([]), "4111\n4111\n[image]\n[file: 4111.pdf]");
}

#[test]
fn scripts_and_styles_say_nothing() {
    let html = "a<style>p { color: red }</style><script>if (1 < 2) document.write('<p>x</p>')</script><!-- c -->\
    <title>t</title>b";
    assert_eq!(read(html), "ab");
    assert_eq!(read("<script>never closed <p>text"), "");
}

#[test]
fn an_image_alone_is_a_text() {
    let html = format!("<p><img src=\"{HOSTED}\"></p>");
    let readable = Readable::of(&message(&html, json!([]), json!([])));
    assert_eq!(readable.with_images([]), "[image]");
    // What the sender writes cannot stand for an image.
    assert_eq!(read("\u{FFFC}x"), "x");
}

#[test]
fn what_is_too_long_ends_with_a_word_about_it() {
    let long = message(&"<p>one two</p>".repeat(100), json!([]), json!([]));
    let text = Readable::limited(&long, 40).with_images([]);
    assert_eq!(text, format!("{}\n{SHORTENED}", ["one two"; 5].join("\n")));
    let images = message(&format!("<img src=\"{HOSTED}\">").repeat(12), json!([]), json!([]));
    assert_eq!(Readable::of(&images).images.len(), MAX_IMAGES);
    let cut = Readable::limited(&images, 10);
    assert_eq!(cut.images.len(), 3, "an image without a place is not fetched");
}

#[test]
fn deep_nesting_is_harmless() {
    for element in
        ["<div>", "<ul><li>", "<blockquote>", "<table><tr><td>", "<pre>", "<a href='https://x.example'>", "<at id=0>"]
    {
        let html = format!("{}x{}y", element.repeat(2_000), "</ul></blockquote></td></pre></a>".repeat(2_000));
        let text = read(&html);
        assert!(text.len() < 2 * MAX_TEXT_BYTES && text.contains('x'), "{element}");
    }
    let card = format!("{}{}", "{\"items\":[".repeat(60), "]}".repeat(60));
    let deep: Value = serde_json::from_str(&card).unwrap();
    assert_eq!(with_attachment("a", "application/vnd.microsoft.card.adaptive", &deep), "a\n[adaptive card]");
    let endless = json!({"body": vec![json!({"type": "TextBlock", "text": "x".repeat(1000)}); 10_000]});
    let text = with_attachment("a", "application/vnd.microsoft.card.adaptive", &endless);
    assert!(text.len() <= MAX_TEXT_BYTES + 100, "{}", text.len());
}

/// Pieces that make hostile HTML likelier than characters alone do.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,12}".prop_map(|text| text),
        prop::sample::select(vec![
            "<p>",
            "</p>",
            "<br>",
            "<ul>",
            "<ol start=4294967295>",
            "<li>",
            "</ul>",
            "<table>",
            "<tr>",
            "<td>",
            "</td>",
            "<pre>",
            "</pre>",
            "<blockquote>",
            "<a href=https://x.example>",
            "</a>",
            "<at id=0>",
            "</at>",
            "<img src=/hostedContents/>",
            "<attachment id=a1>",
            "<emoji alt=x>",
            "&#0;",
            "&#xD800;",
            "&nbsp;",
            "\u{FFFC}",
            "\u{202E}",
            "<script>",
            "</script>",
            "<!--",
            "-->",
            "<![CDATA[",
            "\0",
            "<",
            "&",
            "\"",
            "</p a=b c>",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_survived_and_bounded(html in pieces(), card in pieces(), limit in 0_usize..300) {
        let mentions = json!([{"id": 0, "mentionText": card, "mentioned": {"user": {"id": "u"}}}]);
        for kind in ["messageReference", "forwardedMessageReference", "application/vnd.microsoft.card.hero",
            "reference"] {
            let content = json!({"messagePreview": card, "originalMessageContent": card, "title": card}).to_string();
            let attachments = json!([{"id": "a1", "contentType": kind, "content": content, "name": card}]);
            let readable = Readable::limited(&message(&html, attachments, mentions.clone()), limit);
            prop_assert!(readable.text.len() <= limit + SHORTENED.len() + 1, "{}", readable.text.len());
            prop_assert_eq!(readable.text.matches(IMAGE).count(), readable.images.len());
            let text = readable.with_images([]);
            prop_assert!(!text.chars().any(|c| c != '\n' && c.is_control()));
            prop_assert!(!text.contains("\n\n\n") && !text.contains(" \n") && !text.ends_with('\n'), "{:?}", text);
        }
    }

    #[test]
    fn words_come_through_in_their_order(words in prop::collection::vec("[a-z]{1,8}", 1..20)) {
        let html = words.iter().map(|word| format!("<div><p>{word}</p></div>")).collect::<String>();
        prop_assert_eq!(read(&html), words.join("\n"));
    }
}
