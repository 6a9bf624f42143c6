//! Takes out of a text what must not be in a log.

/// Digits in a row from which on they may be a phone number.
const PHONE_NUMBER_DIGITS: usize = 8;

/// Longest text a log line takes from elsewhere.
const MAX_CHARS: usize = 600;

/// Replaces URLs, tokens and phone numbers in a text that came from elsewhere, and shortens it.
///
/// Remote services repeat in their error messages what they were sent. Guids and error codes stay readable.
#[must_use]
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len().min(MAX_CHARS));
    for word in without_phone_numbers(text).split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        let end = &word[bare.len()..];
        if bare.contains("://") {
            masked.push_str("[url]");
        } else if bare.contains("eyJ") {
            masked.push_str("[token]");
        } else {
            masked.push_str(bare);
        }
        masked.push_str(end);
    }
    if let Some((cut, _)) = masked.char_indices().nth(MAX_CHARS) {
        masked.truncate(cut);
        masked.push('…');
    }
    masked
}

fn without_phone_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        // Inside a word or a guid, digits are no phone number.
        let starts = !before.is_alphanumeric() && before != '-' && before != '_';
        match starts.then(|| phone_number_length(rest)).flatten() {
            Some(length) => {
                out.push_str("[number]");
                rest = &rest[length..];
                before = '0';
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                before = first;
            }
        }
    }
    out
}

/// The length in bytes of the phone number that the text starts with. After a `+`, or `%2B`, a number may be written
/// with spaces, dots, hyphens and brackets; without it only digits count, so that dates and guids are left alone.
fn phone_number_length(text: &str) -> Option<usize> {
    let plus = ["+", "%2B", "%2b"].into_iter().find(|plus| text.starts_with(plus)).map_or(0, str::len);
    let mut digits = 0;
    let mut end = 0;
    for (index, byte) in text.bytes().enumerate().skip(plus) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = index + 1;
            }
            b' ' | b'.' | b'-' | b'(' | b')' if plus > 0 => {}
            _ => break,
        }
    }
    let next = text[end..].chars().next();
    let is_word = plus == 0 && next.is_some_and(|c| c.is_alphanumeric() || c == '-');
    (digits >= PHONE_NUMBER_DIGITS - plus.min(1) && !is_word).then_some(end)
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
            ("see https://teams.microsoft.com/l/meetup-join/19%3a now", "see [url] now"),
            ("Bearer eyJhbGciOi.eyJzdWIi.sig", "Bearer [token]"),
            ("AADSTS7000215: Invalid client secret", "AADSTS7000215: Invalid client secret"),
            ("request 0b7c6a0e-6f0e-4a9e-9d1a-2f8f5a0c1d11", "request 0b7c6a0e-6f0e-4a9e-9d1a-2f8f5a0c1d11"),
            ("user 12345678-2222-3333-4444-555555555555", "user 12345678-2222-3333-4444-555555555555"),
            ("at 2026-05-04T10:00:00Z, 35 of 300", "at 2026-05-04T10:00:00Z, 35 of 300"),
        ];
        for (text, expected) in cases {
            assert_eq!(mask(text), expected);
        }
    }

    #[test]
    fn a_long_text_is_shortened() {
        assert_eq!(mask(&"ä".repeat(5000)).chars().count(), MAX_CHARS + 1);
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
        fn any_text_is_survived(text in ".*") {
            let _ = mask(&text);
        }
    }
}
