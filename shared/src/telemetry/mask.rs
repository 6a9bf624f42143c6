//! Masks the parts of a text that must not be in a log: links, tokens, phone numbers.

use std::borrow::Cow;

/// A number with this many digits, in one group or two, may be a phone number.
const PHONE_NUMBER_DIGITS: usize = 8;

/// The most characters of a text from elsewhere that a log line takes.
const MAX_MASKED_CHARACTERS: usize = 600;

/// Parts of a word that mark it as a link.
const LINKS: [&str; 4] = ["://", "%3A%2F%2F", "%3a%2f%2f", "teams.microsoft.com/"];

/// Masks URLs, tokens and phone numbers in a text from elsewhere, and shortens it.
///
/// Remote services repeat in their error messages what they were sent. GUIDs and error codes stay readable.
#[must_use]
pub fn mask(text: &str) -> String {
    let mut masked = masked(text).into_owned();
    if let Some((cut, _)) = masked.char_indices().nth(MAX_MASKED_CHARACTERS) {
        masked.truncate(cut);
        masked.push('…');
    }
    masked
}

/// Masks every text in a log line, which is JSON: names, values and nested ones, whoever wrote them.
pub(super) fn mask_json(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(quote) = rest.find('"') {
        out.push_str(&rest[..=quote]);
        rest = &rest[quote + 1..];
        let end = end_of_text(rest);
        let inner = &rest[..end];
        match masked_inner(inner) {
            Some(masked) => out.push_str(&masked),
            None => out.push_str(inner),
        }
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix('"') {
            out.push('"');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The end of the text that begins after a quotation mark.
fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    let ends = |byte: u8| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    };
    text.bytes().position(ends).unwrap_or(text.len())
}

/// The masked form of a text between quotation marks; `None` when it stays as it is.
fn masked_inner(inner: &str) -> Option<String> {
    if !inner.contains('\\') {
        // The replacement needs no escape.
        return match masked(inner) {
            Cow::Owned(masked) => Some(masked),
            Cow::Borrowed(_) => None,
        };
    }
    let text: String = serde_json::from_str(&format!("\"{inner}\"")).ok()?;
    let Cow::Owned(masked) = masked(&text) else { return None };
    let quoted = serde_json::to_string(&masked).ok()?;
    Some(quoted.trim_start_matches('"').strip_suffix('"')?.to_owned())
}

fn masked(text: &str) -> Cow<'_, str> {
    let text = without_phone_numbers(text);
    let hides = |word: &str| LINKS.iter().any(|link| word.contains(link)) || word.contains("eyJ");
    if !hides(&text) {
        return text;
    }
    let mut masked = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        masked.push_str(match bare {
            _ if LINKS.iter().any(|link| bare.contains(link)) => "[url]",
            _ if bare.contains("eyJ") => "[token]",
            _ => bare,
        });
        masked.push_str(&word[bare.len()..]);
    }
    Cow::Owned(masked)
}

fn without_phone_numbers(text: &str) -> Cow<'_, str> {
    if text.bytes().filter(u8::is_ascii_digit).nth(FEWEST_DIGITS - 1).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    let mut before = [' '; 2];
    while let Some(first) = text[at..].chars().next() {
        // Within a word, a GUID or a fraction, digits are no phone number.
        let [earlier, last] = before;
        let starts = !(last.is_alphanumeric() || "-_".contains(last) || (last == '.' && earlier.is_ascii_digit()));
        match starts.then(|| phone_number_length(&text[at..])).flatten() {
            Some(length) => {
                out.push_str(&text[copied..at]);
                out.push_str("[number]");
                at += length;
                copied = at;
                before = ['0', '0'];
            }
            None => {
                at += first.len_utf8();
                before = [last, first];
            }
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The fewest digits of a phone number.
const FEWEST_DIGITS: usize = 7;

/// The length in bytes of the phone number that the text starts with.
fn phone_number_length(text: &str) -> Option<usize> {
    let plus = ["+", "%2B", "%2b"].into_iter().find(|plus| text.starts_with(plus)).map_or(0, str::len);
    if plus == 0 && (is_guid(text) || is_date(text)) {
        return None;
    }
    let (groups, end) = digit_groups(text, plus);
    let digits: usize = groups.iter().sum();
    if plus > 0 {
        return (digits >= FEWEST_DIGITS).then_some(end);
    }
    let mut rest = text[end..].chars();
    let is_word = rest.next().is_some_and(|next| next.is_alphanumeric() || next == '-');
    let written = &text[..end];
    let is_address = groups.len() == 4 && written.matches('.').count() == 3 && groups.iter().all(|group| *group <= 3);
    let national = match groups.as_slice() {
        _ if is_word || is_address => false,
        // A full stop between two groups makes a fraction.
        [_, _] if written.contains('.') => false,
        [one] => *one >= PHONE_NUMBER_DIGITS,
        [3, 4] => written.contains('-'),
        // The trunk prefix, as in `07700 900123` and `(0)30 123456`.
        _ if written.trim_start_matches('(').starts_with('0') => digits >= FEWEST_DIGITS,
        [_, _] => digits > PHONE_NUMBER_DIGITS,
        _ => digits >= PHONE_NUMBER_DIGITS,
    };
    national.then_some(end)
}

/// The number of digits in each group of the number that starts after so many bytes of the text, and where its last
/// digit ends. One or two characters separate groups, as in `(0)30 12-34`; only a bracket may precede the first.
fn digit_groups(text: &str, start: usize) -> (Vec<usize>, usize) {
    let (mut groups, mut end) = (Vec::new(), start);
    let mut parts = 1;
    for (index, char) in text[start..].char_indices() {
        match char {
            '0'..='9' => {
                match groups.last_mut() {
                    Some(group) if parts == 0 => *group += 1,
                    _ => groups.push(1_usize),
                }
                parts = 0;
                end = start + index + 1;
            }
            ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '.' | '-' | '\u{2010}'..='\u{2013}' | '(' | ')' | '/'
                if parts < 2 && (end > start || char == '(') =>
            {
                parts += 1;
            }
            _ => break,
        }
    }
    (groups, end)
}

/// Whether the text starts with a GUID.
fn is_guid(text: &str) -> bool {
    let is_part = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() >= 36 && text.bytes().take(36).enumerate().all(is_part)
}

/// Whether the text starts with a date: `2026-05-04`, `2026/05/04`.
fn is_date(text: &str) -> bool {
    let is_part = |(index, byte): (usize, u8)| match index {
        4 | 7 => byte == b'-' || byte == b'/',
        _ => byte.is_ascii_digit(),
    };
    text.len() >= 10 && text.bytes().take(10).enumerate().all(is_part) && text.starts_with(['1', '2'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_must_not_be_logged_is_gone_and_the_rest_stays() {
        let cases = [
            ("Invalid toAddress +447700900123 for sms", "Invalid toAddress [number] for sms"),
            ("to tel:+44 (0)7700 900-123.", "to tel:[number]."),
            ("number 447700900123 is bad", "number [number] is bad"),
            ("toAddress=%2B447700900123&x", "toAddress=[number]&x"),
            ("number 07700 900123 is bad", "number [number] is bad"),
            ("number 07700900123, (0)7700 900 123", "number [number], [number]"),
            ("call (317) 555-0100 or 317-555-0101, 555-0102", "call [number] or [number], [number]"),
            ("06 12 34 56 78/22 12 34 56", "[number]"),
            ("030/1234567 und 0170 1234567", "[number] und [number]"),
            ("7700\u{a0}900123 is 7700 900123", "[number] is [number]"),
            (r#"{"to":"07700 900123"}"#, r#"{"to":"[number]"}"#),
            ("see https://teams.microsoft.com/l/meetup-join/19%3a now", "see [url] now"),
            ("see teams.microsoft.com/meet/2345 or https%3A%2F%2Fa.example", "see [url] or [url]"),
            ("Bearer eyJhbGciOi.eyJzdWIi.sig", "Bearer [token]"),
        ];
        for (text, expected) in cases {
            assert_eq!(mask(text), expected);
        }
        for text in [
            "AADSTS7000215: Invalid client secret",
            "request 0b7c6a0e-6f0e-4a9e-9d1a-2f8f5a0c1d11",
            "user 12345678-2222-3333-4444-555555555555",
            "user 00000000-0000-0000-0000-000000000001 at 10.123.145.167",
            "at 2026-05-04T10:00:00Z, 35 of 300",
            "at 2026-05-04 10:00:00.123456+00:00, within 1234.567890 s",
            "1-5759e988-bd862e3fe1be46a994272793",
            "HTTP 429 after 120 s, 3 of 1000 tries",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn a_long_text_is_shortened() {
        assert_eq!(mask(&"ä".repeat(5000)).chars().count(), MAX_MASKED_CHARACTERS + 1);
    }

    proptest! {
        #[test]
        fn no_international_number_survives(
            before in "[a-z ,:=\"]{0,20}", number in "\\+[1-9][0-9]{7,14}", after in "[ ,.\"a-z]{0,20}",
        ) {
            let masked = mask(&format!("{before} {number}{after}"));
            prop_assert!(!masked.contains(&number[1..]), "{}", masked);
        }

        #[test]
        fn no_national_number_survives(
            before in "([a-z]{0,9}[ ,:=\"])?", number in "0[1-9][0-9]{1,3}[ /-]?[0-9]{3}[ -]?[0-9]{3,4}", after in "([ ,.\"][a-z]{0,9})?",
        ) {
            let masked = mask(&format!("{before}{number}{after}"));
            prop_assert_eq!(masked, format!("{before}[number]{after}"));
        }

        #[test]
        fn a_line_stays_json_whatever_is_in_it(name in ".*", text in ".*", number in "\\+[1-9][0-9]{7,14}") {
            let value = format!("{text} {number}");
            let line = serde_json::json!({name: {"nested": [value, 1_764_270_000_000_u64, true]}, "n": 1.5}).to_string();
            let masked = mask_json(&line);
            let read: serde_json::Value = serde_json::from_str(&masked).unwrap();
            prop_assert_eq!(&read["n"], 1.5);
            prop_assert!(masked.contains("1764270000000") && !masked.contains(&number[1..]), "{}", masked);
        }

        #[test]
        fn any_text_is_survived(text in ".*") {
            let _ = mask(&text);
        }
    }
}
