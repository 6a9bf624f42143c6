//! The text of a message: the template with its link and its opt-out words, and the number of its segments.

use std::collections::BTreeMap;
use std::str::FromStr;

use gsm7::Gsm7Writer;

/// The text when no template is configured.
const DEFAULT_TEMPLATE: &str = "{agent} invites you to a video call. Join here: {link}\nReply STOP to opt out.";

/// The same with a brand, which tells the recipient that the sender can be trusted.
const DEFAULT_BRANDED_TEMPLATE: &str =
    "{brand}: {agent} invites you to a video call. Join here: {link}\nReply STOP to opt out.";

/// The same without an agent's name.
const DEFAULT_TEMPLATE_WITHOUT_AGENT: &str =
    "You are invited to a video call. Join here: {link}\nReply STOP to opt out.";

/// The same without an agent's name, with a brand.
const DEFAULT_BRANDED_TEMPLATE_WITHOUT_AGENT: &str =
    "{brand} invites you to a video call. Join here: {link}\nReply STOP to opt out.";

/// The inviting person in a configured template when no agent is named and the brand is in it already.
const SOMEBODY: &str = "Your agent";

/// The opt-out words, appended to a template that has none. Genesys Cloud obeys this word in every country.
const WAY_OUT: &str = "\nReply STOP to opt out.";

/// The most characters of an agent's name: a longer one must not push the link out of the text.
const MAX_AGENT_CHARS: usize = 40;

/// The template of the text around the link, in one language or in several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    default: String,
    /// The built-in text without an agent's name.
    without_agent: Option<&'static str>,
    by_language: BTreeMap<String, String>,
}

impl FromStr for Template {
    type Err = String;

    /// Reads a text with `{link}` and, if wanted, `{agent}` and `{brand}`; or a JSON object of such texts by language,
    /// with `default` among them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let languages = if text.trim_start().starts_with("{\"") {
            serde_json::from_str(text).map_err(|_| "expected a text, or a JSON object of texts by language")?
        } else {
            BTreeMap::from([("default".to_owned(), text.to_owned())])
        };
        let mut by_language = BTreeMap::new();
        for (language, text) in languages {
            by_language.insert(language.to_ascii_lowercase(), checked(&text)?);
        }
        let default = by_language.remove("default").ok_or("expected a text for the language `default`")?;
        Ok(Self { default, without_agent: None, by_language })
    }
}

fn checked(text: &str) -> Result<String, String> {
    // An environment variable writes a new line as "\n".
    let text = text.trim().replace("\\n", "\n");
    if !text.contains("{link}") {
        return Err("expected {link} in the text".into());
    }
    let rest = ["{link}", "{agent}", "{brand}"].iter().fold(text.clone(), |rest, known| rest.replace(known, ""));
    if rest.contains(['{', '}']) {
        return Err("expected no other braces than {link}, {agent} and {brand}".into());
    }
    // As a word of its own: a brand may be called "Nonstop".
    let has_way_out = text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "STOP");
    Ok(if has_way_out { text } else { text + WAY_OUT })
}

impl Template {
    /// The built-in template, with a brand or without.
    #[must_use]
    pub fn built_in(with_brand: bool) -> Self {
        let (text, without_agent) = if with_brand {
            (DEFAULT_BRANDED_TEMPLATE, DEFAULT_BRANDED_TEMPLATE_WITHOUT_AGENT)
        } else {
            (DEFAULT_TEMPLATE, DEFAULT_TEMPLATE_WITHOUT_AGENT)
        };
        Self { default: text.into(), without_agent: Some(without_agent), by_language: BTreeMap::new() }
    }

    /// Whether any of the texts uses the brand.
    #[must_use]
    pub(crate) fn wants_brand(&self) -> bool {
        std::iter::once(&self.default).chain(self.by_language.values()).any(|text| text.contains("{brand}"))
    }

    /// The text for a language (`de-AT`, else `de`, else the default).
    #[must_use]
    pub fn render(&self, language: Option<&str>, link: &str, agent: Option<&str>, brand: Option<&str>) -> String {
        let wanted = language.unwrap_or_default().to_ascii_lowercase().replace('_', "-");
        let primary = wanted.split('-').next().unwrap_or_default();
        let text = self.by_language.get(&wanted).or_else(|| self.by_language.get(primary)).map(String::as_str);
        let nameless = self.without_agent.filter(|_| agent.is_none_or(|name| one_line(name).is_empty()));
        fill(text.or(nameless).unwrap_or(&self.default), link, agent, brand)
    }
}

/// Puts link, agent and brand into a text from a request. A text without a place for the link gets it at the end.
#[must_use]
pub(crate) fn with_link(text: &str, link: &str, agent: Option<&str>, brand: Option<&str>) -> String {
    if text.contains("{link}") { fill(text, link, agent, brand) } else { format!("{text}\n{link}") }
}

fn fill(text: &str, link: &str, agent: Option<&str>, brand: Option<&str>) -> String {
    let agent = agent.map(one_line).filter(|name| !name.is_empty());
    // This avoids "Contoso: Contoso invites you".
    let somebody = brand.filter(|_| !text.contains("{brand}")).unwrap_or(SOMEBODY);
    let agent = agent.as_deref().unwrap_or(somebody);
    let mut filled = String::with_capacity(text.len() + link.len());
    let mut rest = text;
    // In one pass, so that a name that contains "{link}" stays a name.
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let places = [("link}", link), ("agent}", agent), ("brand}", brand.unwrap_or_default())];
        match places.into_iter().find(|(place, _)| after.starts_with(place)) {
            Some((place, value)) => {
                filled.push_str(value);
                rest = &after[place.len()..];
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

fn one_line(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_AGENT_CHARS).collect();
    clean.trim().to_owned()
}

/// The length of a text in both of the alphabets of SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length {
    /// Characters as Genesys Cloud counts them: UTF-16 units.
    pub characters: usize,
    /// The number of segments, which carriers bill.
    pub segments: u32,
}

/// The number of septets of a character in the GSM 7-bit alphabet (3GPP TS 23.038); `None` when it is not in it.
fn septets(c: char) -> Option<usize> {
    // The escape is in the encoder's table, but is no character.
    if c == '\u{1b}' {
        return None;
    }
    let mut packed = [0; 2];
    let room = packed.len();
    let mut writer = Gsm7Writer::new(&mut packed[..]);
    writer.write_char(c).ok()?;
    // One septet fills a byte, two fill two.
    Some(room - writer.into_writer().ok()?.len())
}

/// Measures a text. GSM-7 has 160 septets in a single segment and 153 in each of several, UCS-2 has 70 and 67 units. A
/// character of two is never split.
#[must_use]
pub(crate) fn measure(text: &str) -> Length {
    let gsm: Option<Vec<usize>> = text.chars().map(septets).collect();
    let segments = match gsm {
        Some(septets) => segments(&septets, 160, 153),
        None => segments(&text.chars().map(char::len_utf16).collect::<Vec<_>>(), 70, 67),
    };
    Length { characters: text.encode_utf16().count(), segments }
}

fn segments(widths: &[usize], alone: usize, each: usize) -> u32 {
    if widths.iter().sum::<usize>() <= alone {
        return 1;
    }
    let (mut segments, mut used) = (1, 0);
    for width in widths {
        if used + width > each {
            segments += 1;
            used = 0;
        }
        used += width;
    }
    segments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINK: &str = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_x%40thread.v2/0?context=%7b%7d";

    fn template(text: &str) -> Result<Template, String> {
        text.parse()
    }

    #[test]
    fn the_built_in_text_as_the_phone_shows_it() {
        insta::assert_snapshot!(Template::built_in(true).render(None, LINK, Some("Kim"), Some("Contoso")));
        insta::assert_snapshot!(Template::built_in(false).render(Some("fr"), LINK, None, None));
    }

    #[test]
    fn without_an_agent_s_name_nobody_invites_twice() {
        for (brand, nameless, begins) in [
            (Some("Contoso"), None, "Contoso invites you to a video call. Join here: L"),
            (Some("Contoso"), Some("  "), "Contoso invites you to a video call. Join here: L"),
            (None, None, "You are invited to a video call. Join here: L"),
        ] {
            let text = Template::built_in(brand.is_some()).render(None, "L", nameless, brand);
            assert!(text.starts_with(begins), "{text}");
        }
        let own = template("{brand}: {agent} calls: {link} STOP").unwrap();
        assert_eq!(own.render(None, "L", None, Some("Contoso")), "Contoso: Your agent calls: L STOP");
        let own = template("{agent} calls: {link} STOP").unwrap();
        assert_eq!(own.render(None, "L", None, Some("Contoso")), "Contoso calls: L STOP");
    }

    #[test]
    fn a_template_speaks_the_caller_s_language() {
        let json = r#"{"default":"Join {link} STOP","de":"{agent} ({brand}): {link}\nSTOP zum Abmelden","pt-br":"Entre {link} STOP"}"#;
        let template = template(json).unwrap();
        let render = |language| template.render(language, "L", Some("Kim"), Some("Contoso"));
        assert_eq!(render(Some("de-AT")), "Kim (Contoso): L\nSTOP zum Abmelden");
        assert_eq!(render(Some("pt_BR")), "Entre L STOP");
        assert_eq!(render(Some("pt")), "Join L STOP");
        assert_eq!(render(None), "Join L STOP");
    }

    #[test]
    fn every_text_has_a_link_and_a_way_out() {
        assert_eq!(template("Nonstop: {link}").unwrap().render(None, "L", None, None), format!("Nonstop: L{WAY_OUT}"));
        assert_eq!(template(r"{link}\nSTOP").unwrap().render(None, "L", None, None), "L\nSTOP");
        for bad in
            ["Join us", "{link} {name}", r#"{"de":"{link}"}"#, r#"{"default":"x"}"#, r#"{"default":1}"#, "{\"", "{link"]
        {
            assert!(template(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_a_name_and_no_template() {
        let text = Template::built_in(false).render(None, "L", Some(" {link}\n\u{7}{brand} "), None);
        assert!(text.starts_with("{link}  {brand} invites you"), "{text}");
        assert_eq!(text.matches("Join here: L").count(), 1);
    }

    #[test]
    fn somebody_else_s_text_gets_the_link_too() {
        assert_eq!(with_link("Hi {agent}, {link} now", "L", Some("Kim"), None), "Hi Kim, L now");
        assert_eq!(with_link("Join us {now}", "L", None, None), "Join us {now}\nL");
    }

    #[test]
    fn segments_are_counted_as_carriers_do() {
        for (text, characters, segments) in [
            (String::new(), 0, 1),
            ("a".repeat(160), 160, 1),
            ("a".repeat(161), 161, 2),
            ("a".repeat(306), 306, 2),
            ("a".repeat(307), 307, 3),
            ("€".repeat(80), 80, 1),
            ("€".repeat(81), 81, 2),
            // An extended character is not parted: the 153rd septet stays empty.
            ("a".repeat(152) + "€" + &"a".repeat(152), 305, 3),
            ("ł".repeat(70), 70, 1),
            ("ł".repeat(71), 71, 2),
            ("😀".repeat(35), 70, 1),
            ("😀".repeat(36), 72, 2),
            // Nor is a surrogate pair: 33 pairs and an empty unit fill a segment of 67.
            ("😀".repeat(67), 134, 3),
        ] {
            assert_eq!(measure(&text), Length { characters, segments }, "{text}");
        }
    }

    proptest! {
        #[test]
        fn more_text_never_takes_fewer_segments(text in "[a-z€ł😀]{0,300}", more in "[a-z€ł😀]{0,20}") {
            let longer = measure(&format!("{text}{more}"));
            prop_assert!(longer.segments >= measure(&text).segments);
        }

        #[test]
        fn a_filled_template_always_carries_the_link(agent in ".{0,60}", brand in ".{0,20}", language in ".{0,8}") {
            let text = Template::built_in(true).render(Some(&language), LINK, Some(&agent), Some(&brand));
            prop_assert!(text.contains(LINK));
        }
    }

    /// The tables of 3GPP TS 23.038, without the escape.
    #[test]
    fn the_alphabet_is_the_default_one_with_its_extension() {
        const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                             ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
        const EXTENDED: &str = "\u{c}^{}\\[~]|€";
        for c in '\0'..='\u{ffff}' {
            let expected = if BASIC.contains(c) { Some(1) } else { EXTENDED.contains(c).then_some(2) };
            assert_eq!(septets(c), expected, "{c:?}");
        }
    }
}
