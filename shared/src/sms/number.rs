//! Phone numbers: parsed once, E.164 from then on.

use std::fmt;
use std::str::FromStr;

/// An ISO 3166 alpha-2 country code that has a calling code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountryCode(&'static str);

impl FromStr for CountryCode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = phonelib::country_by_code(text).filter(|country| country.code.len() == 2);
        known.map(|country| Self(country.code)).ok_or("expected an ISO 3166 alpha-2 country code such as GB or DE")
    }
}

impl CountryCode {
    /// How many digits the text has, if it may be an international number of this country that has lost its `+`.
    fn lost_plus(self, text: &str) -> Option<usize> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let calling_code = phonelib::country_by_code(self.0)?.prefix.to_string();
        digits.starts_with(&calling_code).then_some(digits.len())
    }
}

/// A phone number in E.164. Its debug form shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber(String);

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber([redacted])")
    }
}

/// The text is no phone number, or no complete one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAPhoneNumber;

impl PhoneNumber {
    /// Reads a number as people, scripts and telephones write it: E.164, `tel:` or `sip:` before it, with spaces, with a
    /// national prefix (then `country` says whose), or as an international number that has lost its `+`.
    ///
    /// # Errors
    /// [`NotAPhoneNumber`]
    pub fn parse(text: &str, country: Option<CountryCode>) -> Result<Self, NotAPhoneNumber> {
        let text = bare(text);
        if text.starts_with('+') {
            return international(&text);
        }
        let lost_plus = || international(&format!("+{text}"));
        let Some(country) = country else {
            return lost_plus();
        };
        let national = phonelib::PhoneNumber::parse_with_country(&text, country.0).map(|n| Self(n.e164().to_owned()));
        match (national, country.lost_plus(&text)) {
            (Some(national), None) => Ok(national),
            (None, _) => lost_plus(),
            // With the country's own calling code in front it is either; its length tells, and if it does not, a text
            // message to a stranger is worse than none.
            (Some(national), Some(digits)) => match (lost_plus(), digits) {
                (Ok(abroad), 12..) if abroad != national => Ok(abroad),
                (Ok(abroad), 11) if abroad != national => Err(NotAPhoneNumber),
                _ => Ok(national),
            },
        }
    }

    /// The number, with its `+`.
    #[must_use]
    pub fn e164(&self) -> &str {
        &self.0
    }
}

fn international(text: &str) -> Result<PhoneNumber, NotAPhoneNumber> {
    phonelib::PhoneNumber::parse(text).map(|number| PhoneNumber(number.e164().to_owned())).ok_or(NotAPhoneNumber)
}

/// The number in a `tel:` or `sip:` URI, without its parameters or host.
fn bare(text: &str) -> String {
    let text = text.trim();
    let scheme = ["tel:", "sip:", "sips:"]
        .into_iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let text = scheme.map_or(text, |scheme| &text[scheme.len()..]);
    let end = text.find([';', '@', '?']).unwrap_or(text.len());
    text[..end].trim().replace("%2B", "+").replace("%2b", "+")
}

#[cfg(test)]
mod tests {
    use phonenumber::{Mode, metadata::DATABASE};
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str, country: &str) -> Option<String> {
        let country = (!country.is_empty()).then(|| country.parse().unwrap());
        PhoneNumber::parse(text, country).ok().map(|number| number.e164().to_owned())
    }

    #[test]
    fn a_number_is_understood_as_it_is_written() {
        for (text, country) in [
            ("+447700900123", ""),
            ("tel:+447700900123", ""),
            ("TEL:+44-7700-900123;ext=5", ""),
            ("sip:+447700900123@10.0.0.1:5060;transport=tls", ""),
            ("tel:%2B447700900123", ""),
            (" +44 (0)7700 900 123 ", ""),
            ("07700 900123", "GB"),
            ("(07700) 900-123", "GB"),
            ("447700900123", "GB"),
            ("447700900123", ""),
            ("0044 7700 900123", "DE"),
            ("00447700900123", ""),
        ] {
            assert_eq!(parse(text, country).as_deref(), Some("+447700900123"), "{text} {country}");
        }
        for (text, country, expected) in [
            ("4917612345678", "DE", "+4917612345678"),
            ("919876543210", "IN", "+919876543210"),
            ("9198765432", "IN", "+919198765432"),
            ("393331234567", "IT", "+393331234567"),
            ("358401234567", "FI", "+358401234567"),
        ] {
            assert_eq!(parse(text, country).as_deref(), Some(expected), "{text} {country}");
        }
        assert_eq!(parse("49211123456", "DE"), None, "Emden, or Düsseldorf without its plus");
        assert_eq!(parse("(317) 555-0100", "US").as_deref(), Some("+13175550100"));
        assert_eq!(parse("1 317 555 0100", "US").as_deref(), Some("+13175550100"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (text, country) in [
            ("", "GB"),
            ("anonymous", "GB"),
            ("sip:anonymous@anonymous.invalid", "GB"),
            ("07700 900123", ""),
            ("+44", ""),
            ("+4477009001234567", ""),
            ("+999123456789", ""),
            ("12345", "GB"),
            ("kim@contoso.com", "GB"),
            ("+", ""),
        ] {
            assert_eq!(parse(text, country), None, "{text} {country}");
        }
    }

    #[test]
    fn a_number_shows_itself_to_nobody() {
        let number = PhoneNumber::parse("+447700900123", None).unwrap();
        assert!(!format!("{number:?}").contains("7700"));
    }

    /// libphonenumber's own examples of every region's mobile and fixed numbers, each in its three ways of writing.
    #[test]
    fn libphonenumber_s_examples_come_out_as_libphonenumber_says() {
        let mut compared = 0;
        for region in phonelib::countries().iter().map(|country| country.code).filter(|code| code.len() == 2) {
            let Some(metadata) = DATABASE.by_id(region) else {
                continue;
            };
            let kinds = metadata.descriptors();
            let examples = [kinds.mobile(), kinds.fixed_line()].into_iter().flatten().filter_map(|kind| kind.example());
            for example in examples {
                let number = phonenumber::parse(None, format!("+{}{example}", metadata.country_code())).unwrap();
                let written = |mode| number.format().mode(mode).to_string();
                let e164 = written(Mode::E164);
                // Argentina writes "0, area, 15, number" at home for what is "+54 9, area, number" abroad: not read here.
                let national = (region != "AR").then(|| written(Mode::National));
                for text in [Some(e164.clone()), Some(written(Mode::International)), national].into_iter().flatten() {
                    assert_eq!(parse(&text, region).as_ref(), Some(&e164), "{region} {text}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 1000, "{compared}");
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_whatever_comes_out_is_e164(text in ".{0,40}") {
            if let Some(number) = parse(&text, "GB") {
                let digits = number.strip_prefix('+').unwrap();
                prop_assert!((7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()), "{}", number);
            }
        }
    }
}
