//! Invisible characters. They are copied along with a number from a web page or a chat, and a text of nothing else is a
//! blank text.

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// Whether a character takes no room and shows nothing: marks of direction, joiners, variation selectors, control
/// characters. White space is not among them.
#[must_use]
pub(crate) fn is_invisible(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || c.is_control() && !c.is_whitespace()
        // The marks of an interlinear annotation.
        || ('\u{fff9}'..='\u{fffb}').contains(&c)
}

/// Whether a character is blank: invisible, or white space.
#[must_use]
pub(crate) fn is_blank(c: char) -> bool {
    // The Braille pattern without a dot is a letter to Unicode and a space to the eye.
    c.is_whitespace() || is_invisible(c) || c == '\u{2800}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_nothing_is_told_from_what_shows_something() {
        for c in "\0\u{7}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{200e}\u{202a}\u{2060}\u{2066}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fffa}\u{e0020}"
            .chars()
        {
            assert!(is_invisible(c) && is_blank(c), "{c:?}");
        }
        for c in " \t\n\u{a0}\u{2007}\u{2028}\u{3000}\u{2800}".chars() {
            assert!(!is_invisible(c) && is_blank(c), "{c:?}");
        }
        for c in "a0.-é字😀\u{301}\u{600}".chars() {
            assert!(!is_invisible(c) && !is_blank(c), "{c:?}");
        }
    }
}
