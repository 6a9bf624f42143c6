//! Phone numbers, parsed once into E.164.

mod plans;
mod written;

use std::fmt;
use std::str::FromStr;

use phonelib::PhoneNumberType;
use thiserror::Error;

use plans::NumberingPlan;
use written::Written;

/// Fewer digits without a plus are a national number in too many countries: a number of the United States has ten
/// digits, and so has a Norwegian number with its calling code.
const MIN_DIGITS_OF_LOST_PLUS: usize = 11;

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

/// A phone number in E.164. Its debug form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber(String);

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber([redacted])")
    }
}

/// Why a text is no phone number that a message can be sent to. The text of the error follows the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAPhoneNumber {
    /// The text holds other characters: a letter, or a second number.
    #[error(
        "holds more than the digits of one phone number: a letter, perhaps an O for a 0, or a second number; expected \
         one such as +447700900123. Did the caller withhold the number?"
    )]
    Characters,
    /// The number is an extension within a private network.
    #[error("is an extension of a private exchange; expected a public number such as +447700900123.")]
    Private,
    /// No country's numbering plan has the number.
    #[error("is no complete phone number; expected one such as +447700900123. Did the caller withhold the number?")]
    Incomplete,
    /// Without a plus, the number belongs to more than one country.
    #[error(
        "may be a number of another country without its +; expected the + and the country's calling code before it."
    )]
    Ambiguous,
}

impl PhoneNumber {
    /// Reads a number as people, scripts and telephones write it: E.164, with `tel:` or `sip:` before it, with spaces,
    /// with a national prefix (of the given `country`), or as an international number that has lost its `+`.
    ///
    /// # Errors
    /// [`NotAPhoneNumber`], also for a number that two countries may have: no text message is better than one to a
    /// stranger.
    pub fn parse(text: &str, country: Option<CountryCode>) -> Result<Self, NotAPhoneNumber> {
        let written = written::read(text)?;
        let digits = written.digits.as_str();
        if written.plus {
            return international(digits).map(Self::of).ok_or(NotAPhoneNumber::Incomplete);
        }
        let Some(country) = country.and_then(|country| phonelib::country_by_code(country.0)) else {
            // The prefix for international calls in most countries.
            return match digits.starts_with("00") {
                true => international(digits).map(Self::of).ok_or(NotAPhoneNumber::Incomplete),
                false => abroad(&written),
            };
        };
        // The library accepts any length that a number of the country has, even a freephone number's.
        let national = phonelib::PhoneNumber::parse_with_country(digits, country.code).filter(|number| {
            number.country_code() != country.prefix || plan_of(number).is_some_and(|(plan, length)| plan.has(length))
        });
        if digits.starts_with(&country.prefix.to_string()) {
            at_home_or_without_plus(&written, country.prefix, national)
        } else {
            national.map_or_else(|| abroad(&written), |national| Ok(Self::of(national)))
        }
    }

    fn of(number: phonelib::PhoneNumber) -> Self {
        Self(number.e164().to_owned())
    }

    /// The number, with its `+`.
    #[must_use]
    pub(crate) fn e164(&self) -> &str {
        &self.0
    }
}

/// The number for digits that begin with a calling code, with or without the prefix for international calls.
fn international(digits: &str) -> Option<phonelib::PhoneNumber> {
    let digits = digits.strip_prefix("00").unwrap_or(digits);
    // The library skips all zeros, and so would make an Australian number of the French +06 12 34 56 78.
    if digits.starts_with('0') { None } else { phonelib::PhoneNumber::parse(&format!("+{digits}")) }
}

/// The number when no country is known: it must be one that can get text messages and has lost its plus, and nothing
/// else.
fn abroad(written: &Written) -> Result<PhoneNumber, NotAPhoneNumber> {
    let number = international(&written.digits).ok_or(NotAPhoneNumber::Incomplete)?;
    let is_long = written.digits.len() >= MIN_DIGITS_OF_LOST_PLUS && !written.digits.starts_with('0');
    // Under calling code 1 every number can get text messages, and the area code is known to exist.
    let takes_texts = number.e164().starts_with("+1") || is_mobile(&number);
    if is_long && !written.national && takes_texts {
        Ok(PhoneNumber::of(number))
    } else {
        Err(NotAPhoneNumber::Ambiguous)
    }
}

/// The number for digits that begin with the calling code of the country they are read in. The lengths in its plan
/// decide; between a fixed line and a mobile phone it is the latter, which can get text messages.
fn at_home_or_without_plus(
    written: &Written,
    calling_code: u32,
    national: Option<phonelib::PhoneNumber>,
) -> Result<PhoneNumber, NotAPhoneNumber> {
    let without_plus = international(&written.digits);
    let (national, without_plus) = match (national, without_plus) {
        (None, None) => return Err(NotAPhoneNumber::Incomplete),
        (Some(national), None) => return Ok(PhoneNumber::of(national)),
        (national, Some(without_plus)) => {
            // The library also reads a number without its plus when it finds nothing else; in North America it is the
            // same number either way.
            let same = national.as_ref().is_some_and(|national| national.e164() == without_plus.e164());
            if same && without_plus.e164().starts_with("+1") {
                return Ok(PhoneNumber::of(without_plus));
            }
            (national.filter(|_| !same), without_plus)
        }
    };
    let plan = NumberingPlan::of(calling_code);
    let length = written.digits.len();
    let is_mobile_at_home = plan.is_some_and(|plan| plan.has_mobile_like_abroad(length));
    let is_fixed_at_home = plan.is_some_and(|plan| plan.has_fixed_like_abroad(length));
    match national {
        Some(national) if is_mobile_at_home || written.national => Ok(PhoneNumber::of(national)),
        Some(_) if is_fixed_at_home && !is_mobile(&without_plus) => Err(NotAPhoneNumber::Ambiguous),
        None if written.national => Err(NotAPhoneNumber::Incomplete),
        _ => Ok(PhoneNumber::of(without_plus)),
    }
}

/// Whether it may be a mobile number, by its first digits and its length.
fn is_mobile(number: &phonelib::PhoneNumber) -> bool {
    let may_be = matches!(
        number.phone_type(),
        PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile | PhoneNumberType::Unknown
    );
    may_be && plan_of(number).is_some_and(|(plan, length)| plan.has_mobile(length))
}

/// The plan that a number belongs to, and how many digits follow its calling code.
fn plan_of(number: &phonelib::PhoneNumber) -> Option<(NumberingPlan, usize)> {
    // Under calling code 1, the library counts the area code as a part of the country's code.
    let calling_code = if number.country_code() >= 1000 { 1 } else { number.country_code() };
    let length = number.e164().len() - "+".len() - calling_code.to_string().len();
    Some((NumberingPlan::of(calling_code)?, length))
}

#[cfg(test)]
mod tests;
