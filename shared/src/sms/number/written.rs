//! Reads a phone number as a person wrote it: its digits, and what the writing tells about them. Only characters listed
//! here may be in a number: the library behind it reads letters as keys of a telephone, takes the first of two numbers,
//! and ignores the context in a URI.

use percent_encoding::percent_decode_str;

use super::NotAPhoneNumber;
use crate::invisible::is_invisible;

/// More digits after `ext.` may be a second number.
const MAX_EXTENSION_DIGITS: usize = 6;

/// The digits of a number, and what the writing tells about them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// The digits in ASCII, without the extension's.
    pub(super) digits: String,
    /// Whether there is a `+` before them.
    pub(super) plus: bool,
    /// Whether it is written as only a national number is: `(317) 555-0100 x5`.
    pub(super) national: bool,
}

/// Reads digits with the usual separators, at most one leading plus, and an extension, which is dropped; with or
/// without a `tel:`, `sip:` or `sips:` URI around them.
///
/// # Errors
/// [`NotAPhoneNumber::Characters`] when there is anything else, [`NotAPhoneNumber::Private`] when a URI names a number
/// within a private network.
pub(super) fn read(text: &str) -> Result<Written, NotAPhoneNumber> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| NotAPhoneNumber::Characters)?;
    let text: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    let (scheme, rest) = split_scheme(text.trim());
    let subscriber = match scheme {
        Some("sip:" | "sips:") => user_of(rest)?,
        _ => rest,
    };
    let (number, parameters) = subscriber.split_once(';').unwrap_or((subscriber, ""));
    let mut written = digits(number)?;
    let mut context = None;
    for parameter in parameters.split(';').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "phone-context" => context = Some(value.trim()),
            "ext" => written.national = true,
            // In a URI, it is of no account to a text message; elsewhere it may be a second number.
            name if scheme.is_some() && name.starts_with(|c: char| c.is_ascii_alphabetic()) => {}
            _ => return Err(NotAPhoneNumber::Characters),
        }
    }
    match context {
        Some(context) if !written.plus => within(context, written),
        // There are two calling codes for one number.
        Some(context) if context.starts_with('+') && !written.digits.starts_with(&digits(context)?.digits) => {
            Err(NotAPhoneNumber::Characters)
        }
        _ => Ok(written),
    }
}

/// A local number, made global by the context of its URI (RFC 3966).
fn within(context: &str, local: Written) -> Result<Written, NotAPhoneNumber> {
    // Any other context is a domain: the number is an extension of a private exchange.
    let context = context.strip_prefix('+').ok_or(NotAPhoneNumber::Private)?;
    let digits = digits(context)?.digits + &local.digits;
    Ok(Written { digits, plus: true, national: false })
}

fn split_scheme(text: &str) -> (Option<&'static str>, &str) {
    for scheme in ["tel:", "sip:", "sips:"] {
        if text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) {
            return (Some(scheme), text[scheme.len()..].trim_start());
        }
    }
    (None, text)
}

/// The user in a SIP URI, without a password. A URI without one names a host, whose address has digits too.
fn user_of(uri: &str) -> Result<&str, NotAPhoneNumber> {
    match uri.split_once('@') {
        Some((user, _)) => Ok(user.split_once(':').map_or(user, |(user, _)| user)),
        None if uri.starts_with('+') => Ok(uri),
        None => Err(NotAPhoneNumber::Characters),
    }
}

fn digits(text: &str) -> Result<Written, NotAPhoneNumber> {
    let mut written = Written { national: is_grouped_as_at_home(text), ..Written::default() };
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        match c {
            // `…567/8` is one number or another, and so is `…567 (8)`.
            '/' | '\u{ff0f}' | '(' | '[' | '\u{ff08}' if is_another_ending(&written, rest) => {
                return Err(NotAPhoneNumber::Characters);
            }
            _ if let Some(digit) = digit(c) => written.digits.push(digit),
            '+' | '\u{ff0b}' if written.digits.is_empty() && !written.plus => written.plus = true,
            // A zero in brackets is left out in calls from abroad; it stands in international numbers.
            '(' | '[' | '\u{ff08}' if !rest[c.len_utf8()..].starts_with("0)") => written.national = true,
            '(' | ')' | '[' | ']' | '\u{ff08}' | '\u{ff09}' | '.' | '/' | '\u{ff0e}' | '\u{ff0f}' | '\u{2800}' => {}
            c if c.is_whitespace() => {}
            c if is_dash(c) => written.national |= written.digits.len() == 3,
            _ if !written.digits.is_empty() && is_extension(&text[..at], rest) => {
                written.national = true;
                break;
            }
            _ => return Err(NotAPhoneNumber::Characters),
        }
    }
    Ok(written)
}

/// Whether so many digits stand before, and so few after, that these may replace the last of those.
fn is_another_ending(before: &Written, rest: &str) -> bool {
    before.digits.len() >= 6 && (1..=3).contains(&rest.chars().filter_map(digit).count())
}

/// Whether the digits are grouped as no number with a calling code is: `130 1234 5678`, `51 98765-4321`.
fn is_grouped_as_at_home(text: &str) -> bool {
    let groups = text.split(|c| digit(c).is_none()).map(|group| group.chars().count()).filter(|length| *length > 0);
    let groups: Vec<_> = groups.collect();
    let dashes: Vec<_> = text.match_indices(is_dash).collect();
    let ends_with_dash_and_four =
        matches!(dashes.as_slice(), [(at, dash)] if text[at + dash.len()..].chars().filter_map(digit).count() == 4);
    let before = groups.iter().rev().skip(1).sum::<usize>();
    groups == [3, 4, 4] || (ends_with_dash_and_four && before >= 7)
}

/// The ASCII digit for a Latin, full-width or Arabic one.
fn digit(c: char) -> Option<char> {
    let value = ['0', '\u{ff10}', '\u{660}', '\u{6f0}']
        .into_iter()
        .find_map(|zero| u32::from(c).checked_sub(u32::from(zero)).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}')
}

/// Whether an extension begins here: `ext. 5`, `#5`, or `x5` after a space. Without the space, an `x` may replace a
/// digit that the writer has masked.
fn is_extension(before: &str, rest: &str) -> bool {
    let rest = rest.to_ascii_lowercase();
    let gap = before.ends_with(char::is_whitespace);
    let markers = [("extension", true), ("extn", true), ("ext", true), ("#", true), ("x", gap)];
    let Some(number) = markers.into_iter().find_map(|(marker, may)| rest.strip_prefix(marker).filter(|_| may)) else {
        return false;
    };
    let number = number.trim_start_matches([' ', '.', ':', '-', '=']).trim_end();
    (1..=MAX_EXTENSION_DIGITS).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}
