//! The engine: what Velocity and Genesys Cloud's macros make of templates.

#![expect(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use common::{ENGINE, NASTY};
use serde_json::json;

#[test]
fn references_that_stand_for_nothing_print_as_they_stand() {
    let rendered = ENGINE.render("${input.x}|$!{input.y}|${no.such}|$input.x", &json!({"input": {"x": 1}})).unwrap();
    assert_eq!(rendered.text, "1||${no.such}|1");
    assert_eq!(rendered.unresolved, ["${no.such}"]);
}

#[test]
fn null_is_nothing_too() {
    let rendered =
        ENGINE.render("${input.x}|$!{input.x}|$esc.jsonString(${input.x})", &json!({"input": {"x": null}})).unwrap();
    assert_eq!(rendered.text, "${input.x}||$esc.jsonString(${input.x})");
}

#[test]
fn values_print_as_texts_or_as_json() {
    let input = json!({"s": "a \"b\"", "n": 1.5, "i": 7, "t": true, "o": {"a": [1, "x"]}, "l": [{"b": null}]});
    let template = "${input.s} ${input.n} ${input.i} ${input.t} ${input.o} ${input.o.a} ${input.o.a[1]} ${input.l}";
    let rendered = ENGINE.render(template, &json!({"input": input})).unwrap();
    assert_eq!(rendered.text, r#"a "b" 1.5 7 true {"a":[1,"x"]} [1,"x"] x [{"b":null}]"#);
}

#[test]
fn what_a_value_says_is_not_rendered_again() {
    let rendered = ENGINE.render("${input.x}", &json!({"input": {"x": NASTY, "user": "wrong"}})).unwrap();
    assert_eq!(rendered.text, NASTY);
}

#[test]
fn an_escaped_text_is_the_same_text_in_json_and_in_a_url() {
    let render = |template| ENGINE.render(template, &json!({"input": {"x": NASTY}})).unwrap().text;
    let text = render("{\"x\": \"$esc.jsonString(${input.x})\", \"y\": \"$esc.jsonEncode(${input.x})\"}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), json!({"x": NASTY, "y": NASTY}));
    for (template, space) in
        [("$esc.url(${input.x})", "+"), ("$esc.urlFormEncode(${input.x})", "+"), ("$esc.uriEncode(${input.x})", "%20")]
    {
        let encoded = render(template);
        assert!(encoded.is_ascii() && !encoded.contains([' ', '"', '#', '&']), "{encoded}");
        assert!(encoded.contains(&format!("Neill{space}%22Q%22")), "{encoded}");
        let url = reqwest::Url::parse(&format!("http://localhost/?x={encoded}")).unwrap();
        assert_eq!(url.query_pairs().next().unwrap().1, NASTY);
    }
}

#[test]
fn credentials_of_basic_authentication_are_encoded() {
    let template = "Basic $encoding.base64(\"${credentials.clientId}:${credentials.clientSecret}\")";
    let credentials = json!({"credentials": {"clientId": "Aladdin", "clientSecret": "open sesame"}});
    assert_eq!(ENGINE.render(template, &credentials).unwrap().text, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

#[test]
fn the_first_of_an_array_is_taken_as_json() {
    let first = |names: &str, otherwise: &str| {
        let template = format!("${{successTemplateUtils.firstFromArray(\"${{names}}\"{otherwise})}}");
        ENGINE.render(&template, &json!({"names": names})).unwrap().text
    };
    assert_eq!(first(r#"["a\"b", "c"]"#, ""), r#""a\"b""#);
    assert_eq!(first("[]", ", \"$esc.quote$esc.quote\""), "\"\"");
    assert!(first("[]", "").starts_with("${successTemplateUtils"));
}

#[test]
fn directives_and_java_s_string_methods_work() {
    let template = "#set($n = ${input.to.replace(\"tel:\", \"\")})#if($n.startsWith(\"+\"))$n#{else}+$n#end";
    assert_eq!(ENGINE.render(template, &json!({"input": {"to": "tel:+44"}})).unwrap().text, "+44");
    assert_eq!(ENGINE.render(template, &json!({"input": {"to": "44"}})).unwrap().text, "+44");
}

#[test]
fn a_template_reaches_nothing_of_java() {
    let template = "${input.x.getClass().forName(\"java.lang.Runtime\")}";
    assert_eq!(ENGINE.render(template, &json!({"input": {"x": "x"}})).unwrap().text, template);
}

#[test]
fn a_template_that_cannot_be_read_is_told_and_ends_nothing() {
    let error = ENGINE.render("#if(true) no end", &json!({})).unwrap_err();
    assert!(error.contains("template"), "{error}");
    assert_eq!(ENGINE.render("still here", &json!({})).unwrap().text, "still here");
}
