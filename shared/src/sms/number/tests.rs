use phonenumber::{Mode, metadata::DATABASE};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

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
        ("+0044 7700 900123", ""),
    ] {
        assert_eq!(parse(text, country).as_deref(), Some("+447700900123"), "{text} {country}");
    }
    for (text, country, expected) in [
        ("4917612345678", "DE", "+4917612345678"),
        ("919876543210", "IN", "+919876543210"),
        ("9198765432", "IN", "+919198765432"),
        ("44 (0)7700 900123", "GB", "+447700900123"),
        ("(0)7700 900123", "GB", "+447700900123"),
        ("33612345678", "GB", "+33612345678"),
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
        ("+06 12 34 56 78", "FR"),
        ("+07700900123", "GB"),
        ("000447700900123", ""),
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

/// What stands in a number besides digits is a separator, a plus, or an extension; a letter is never a key.
#[test]
fn letters_and_second_numbers_are_refused() {
    for text in [
        "+44 77OO 900123",
        "+44 7700 900l23",
        "07700 9OO123",
        "+33 6 6X XX XX 83",
        "055fff5088",
        "+1 317 555 O1OO",
        "+1 800 FLOWERS",
        "+44 7700 900123 mobile",
        "447700900123,447700900124",
        "447700900123;447700900124",
        "+447700900123;+447700900124",
        "+447700900123 or 07700900124",
        "+447700900123 / +447700900124",
        "+44 7700 900123 x 7700900124",
        "+49 170 12345x7",
        "+447700900123p5",
        "+44+7700900123",
        "07700+900123",
        "447700900123@contoso.com",
        "sip:44.77.0.90",
        "tel:+447700900123;447700900124",
        "%ff+447700900123",
    ] {
        for country in ["", "GB", "AE", "DE", "US"] {
            let country = (!country.is_empty()).then(|| country.parse().unwrap());
            assert_eq!(PhoneNumber::parse(text, country), Err(NotAPhoneNumber::Characters), "{text}");
        }
    }
    for text in ["+1 317 555 0100 ext. 5", "+1 317 555 0100 x5", "+1-317-555-0100 #5", "tel:+13175550100;EXT=5"] {
        for country in ["", "GB"] {
            assert_eq!(parse(text, country).as_deref(), Some("+13175550100"), "{text}");
        }
    }
}

#[test]
fn a_uri_says_where_its_number_belongs() {
    for (text, expected) in [
        ("tel:2015550123;phone-context=+1", "+12015550123"),
        ("sip:2015550123;phone-context=+1@10.0.0.1;user=phone", "+12015550123"),
        ("tel:07700900123;phone-context=+44", "+447700900123"),
        ("TEL:0791234567;Phone-Context=+41", "+41791234567"),
        ("tel:863-1234;phone-context=+1-914", "+19148631234"),
        ("2015550123;phone-context=+1", "+12015550123"),
        ("sip:+12015550123;phone-context=example.com@10.0.0.1", "+12015550123"),
        ("sips:+12015550123:secret@[2001:db8::1]:5061", "+12015550123"),
    ] {
        for country in ["", "GB", "DE", "US"] {
            assert_eq!(parse(text, country).as_deref(), Some(expected), "{text} {country}");
        }
    }
    for text in ["tel:7042;phone-context=example.com", "tel:2015550123;phone-context=pbx.contoso.com"] {
        for country in ["", "DE", "US"] {
            let country = (!country.is_empty()).then(|| country.parse().unwrap());
            assert_eq!(PhoneNumber::parse(text, country), Err(NotAPhoneNumber::Private), "{text}");
        }
    }
}

#[test]
fn what_cannot_be_seen_or_is_wider_changes_nothing() {
    for text in [
        "\u{202a}+44 7700 900123\u{202c}",
        "\u{200e}+447700900123",
        "+44 7700\u{2011}900123",
        "+44\u{fe0d}-7700-900123",
        "\u{ff0b}\u{ff14}\u{ff14}\u{ff17}\u{ff17}\u{ff10}\u{ff10}\u{ff19}\u{ff10}\u{ff10}\u{ff11}\u{ff12}\u{ff13}",
        "+\u{664}\u{664} \u{667}\u{667}\u{660}\u{660} \u{669}\u{660}\u{660}\u{661}\u{662}\u{663}",
        "(+44) 7700 900123",
        "+44\u{a0}7700\u{2007}900123",
        "tel:+44%207700%20900123\u{feff}",
        "+44 7700 900123\0",
    ] {
        for country in ["", "GB", "DE"] {
            assert_eq!(parse(text, country).as_deref(), Some("+447700900123"), "{text:?} {country}");
        }
    }
}

/// Without SMS_COUNTRY a national number must not become somebody else's abroad.
#[test]
fn a_national_number_is_nobody_s_while_no_country_is_set() {
    for text in [
        "(479) 555-0100",
        "(458) 555-0100",
        "(659) 555-0100",
        "(203) 555-0100",
        "(212) 555-0100",
        "317-555-0100 x5",
        "479-555-0100",
        "4795550100",
        "2012345678",
        "1 (317) 555-0100",
        "4477-00900123 x5",
        "447-700-900123",
        "07700 900123",
        "6591234567",
        "9198765432",
    ] {
        assert_eq!(parse(text, ""), None, "{text}");
    }
    assert_eq!(PhoneNumber::parse("4795550100", None), Err(NotAPhoneNumber::Ambiguous));
    for area in (201..=989).filter(|area| area / 10 % 10 != 9) {
        for text in [format!("({area}) 555-0100"), format!("{area}-555-0100"), format!("{area} 555 0100")] {
            assert_eq!(parse(&text, ""), None, "{text}");
        }
        // Nor does it become a stranger's where the org is elsewhere.
        for country in ["NO", "DK", "SG"] {
            assert_eq!(parse(&format!("({area}) 555-0100"), country), None, "{area} {country}");
        }
    }
    for (text, expected) in [
        ("447700900123", "+447700900123"),
        ("44-7700-900123", "+447700900123"),
        ("1-317-555-0100", "+13175550100"),
        ("18005550100", "+18005550100"),
        ("4917612345678", "+4917612345678"),
    ] {
        assert_eq!(parse(text, "").as_deref(), Some(expected), "{text}");
    }
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

/// A number of each kind of a region, as libphonenumber's pattern has it, and whether it is mobile.
fn regions() -> impl Iterator<Item = (&'static str, &'static phonenumber::Metadata)> {
    let regions = phonelib::countries().iter().map(|country| country.code).filter(|code| code.len() == 2);
    regions.filter_map(|region| Some((region, DATABASE.by_id(region)?)))
}

/// Every region's mobile example without its plus, in the region itself and where no country is set.
#[test]
fn a_mobile_number_that_lost_its_plus_is_the_same_number() {
    for (region, metadata) in regions() {
        let Some(example) = metadata.descriptors().mobile().and_then(|kind| kind.example()) else { continue };
        let digits = format!("{}{example}", metadata.country_code());
        let e164 = format!("+{digits}");
        assert_eq!(parse(&digits, region).as_ref(), Some(&e164), "{region}");
        assert_eq!(parse(&digits, "").is_some_and(|number| number == e164), digits.len() >= 11, "{region} {digits}");
    }
}

/// The same with numbers of every shape that a region's mobile numbers have.
#[test]
fn no_mobile_number_without_its_plus_or_its_trunk_prefix_becomes_another_one() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut understood = 0;
    for (region, metadata) in regions() {
        let Some(kind) = metadata.descriptors().mobile() else { continue };
        let pattern: String = kind.national_number().as_str().split_whitespace().collect();
        // To the generator \d is a digit of any script.
        let pattern = pattern.replace("\\d", "[0-9]");
        let numbers = proptest::string::string_regex(&pattern).unwrap();
        for _ in 0..30 {
            let national = numbers.new_tree(&mut runner).unwrap().current();
            let e164 = format!("+{}{national}", metadata.country_code());
            for text in [&e164[1..], &national] {
                if let Some(number) = parse(text, region) {
                    understood += 1;
                    assert_eq!(number, e164, "{region} {text}");
                }
            }
        }
    }
    assert!(understood > 10_000, "{understood}");
}

/// A text like those that people paste into a field for a number, and worse.
const SCRAWL: &str = "(tel:|sip:|)[+＋]?[0-9０-９ ()+x#;=@.A-Za-z/\\-\u{200e}\u{2011},]{0,30}";

/// The digits of a text, in ASCII.
fn digits_of(text: &str) -> String {
    text.chars().filter_map(|c| char::from_digit(c.to_digit(10).or((u32::from(c)).checked_sub(0xff10))?, 10)).collect()
}

#[test]
fn another_ending_is_another_number() {
    for (text, country) in [
        ("+43 664 1234567/8", ""),
        ("+43 664 1234567 (8)", ""),
        ("0664 1234567/8", "AT"),
        ("0664 1234567 (2)", "AT"),
        ("030/1234567/68", "DE"),
        ("tel:+2015550123;phone-context=+1", ""),
    ] {
        assert_eq!(parse(text, country), None, "{text}");
    }
    for (text, country, number) in [
        ("0171/1234567", "DE", "+491711234567"),
        ("+49 (0)171 1234567", "", "+491711234567"),
        ("(317) 555-0100", "US", "+13175550100"),
        ("tel:+447700900123;phone-context=+44", "", "+447700900123"),
    ] {
        assert_eq!(parse(text, country).as_deref(), Some(number), "{text}");
    }
}

#[test]
fn digits_in_the_groups_of_a_national_number_are_one() {
    for text in ["130 1234 5678", "150 1234 5678", "51 98765-4321"] {
        assert_eq!(parse(text, ""), None, "{text}");
    }
    for (text, number) in [("1-317-555-0100", "+13175550100"), ("44 7700 900123", "+447700900123")] {
        assert_eq!(parse(text, "").as_deref(), Some(number), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_survived_and_whatever_comes_out_is_e164(text in ".{0,40}", country in "(|GB|DE|US|SG)") {
        if let Some(number) = parse(&text, &country) {
            let digits = number.strip_prefix('+').unwrap();
            prop_assert!((7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()), "{}", number);
        }
    }

    #[test]
    fn no_digit_is_made_up(text in SCRAWL, country in "(|GB|DE|US|SG)") {
        if let Some(number) = parse(&text, &country) {
            let calling_code = phonelib::PhoneNumber::parse(&number).unwrap().country_code().to_string();
            let national = &number[1 + calling_code.len()..];
            prop_assert!(digits_of(&text).contains(national), "{} {}", text, number);
        }
    }

    #[test]
    fn a_letter_is_never_accepted(
        number in "[+]?[1-9][0-9 ]{6,16}", letter in "[a-zA-Zа-яé]", at in 0_usize..17, country in "(|GB|DE|US|SG)",
    ) {
        let (before, after) = number.split_at(at.min(number.len()));
        let text = format!("{before}{letter}{after}");
        // After a space an x begins an extension.
        let is_extension = letter.eq_ignore_ascii_case("x") && before.ends_with(' ');
        prop_assume!(!is_extension);
        prop_assert_eq!(parse(&text, &country), None, "{}", text);
    }

    #[test]
    fn separators_change_nothing(
        digits in "447[0-9]{9}",
        separators in proptest::collection::vec("[ ().\u{200b}\u{202a}\u{fe0f}\u{a0}/\u{2010}\u{2013}-]{0,2}", 12),
        country in "(|GB|DE|US|SG)",
    ) {
        // Before the last digits these begin another ending.
        let separator = |at: usize| match at {
            ..9 => separators[at].clone(),
            _ => separators[at].replace(['/', '('], " "),
        };
        let spread: String = digits.chars().enumerate().map(|(at, digit)| format!("{}{digit}", separator(at))).collect();
        prop_assert_eq!(parse(&format!("+{spread}"), &country), parse(&format!("+{digits}"), &country), "{}", spread);
        let (at_home, spread) = (format!("0{}", &digits[2..]), format!("0{}", spread.split_once('4').unwrap().1.split_once('4').unwrap().1));
        prop_assert_eq!(parse(&spread, "GB"), parse(&at_home, "GB"), "{}", spread);
    }
}
