//! A small SVG: boxes, and texts that are broken where they would leave their column.

use std::fmt::Write;

/// The colour of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Faint,
    Link,
    White,
}

impl Ink {
    const fn color(self) -> &'static str {
        match self {
            Self::Plain => "#23282f",
            Self::Faint => "#6b7480",
            Self::Link => "#1f5fbf",
            Self::White => "#ffffff",
        }
    }
}

/// A column of texts, and where the next one goes.
#[derive(Debug)]
pub(super) struct Column {
    left: f64,
    top: f64,
    width: f64,
}

/// The picture while it is drawn. All measures are in pixels.
#[derive(Debug)]
pub(super) struct Canvas {
    width: f64,
    drawn: String,
}

impl Canvas {
    pub(super) fn new(width: f64) -> Self {
        Self { width, drawn: String::new() }
    }

    /// Draws a window with a title around what `content` draws. Returns where it ends.
    pub(super) fn window(
        &mut self,
        left: f64,
        top: f64,
        width: f64,
        title: &str,
        content: impl FnOnce(&mut Self, &mut Column),
    ) -> f64 {
        let mut column = Column { left: left + 24.0, top: top + 62.0, width: width - 48.0 };
        let mut inner = Self::new(self.width);
        content(&mut inner, &mut column);
        let height = column.top + 12.0 - top;
        self.rectangle((left, top, width, height), 10.0, "#ffffff", "#c9d0d8");
        self.bar((left, top, width, 40.0), "#33383d");
        self.line((left + 24.0, top + 26.0), title, 15.0, true, Ink::White);
        self.drawn.push_str(&inner.drawn);
        top + height
    }

    /// Draws a phone with one message. Returns where it ends.
    pub(super) fn phone(&mut self, left: f64, top: f64, width: f64, sender: &str, message: &str) -> f64 {
        let mut column = Column { left: left + 34.0, top: top + 92.0, width: width - 68.0 };
        let mut inner = Self::new(self.width);
        for line in message.lines() {
            let ink = if line.contains("https://") { Ink::Link } else { Ink::Plain };
            match line.split_once("https://") {
                Some((before, link)) if !before.is_empty() => {
                    inner.text(&mut column, before, 15.0, false, Ink::Plain);
                    inner.text(&mut column, &format!("https://{link}"), 15.0, false, ink);
                }
                _ => inner.text(&mut column, line, 15.0, false, ink),
            }
        }
        let height = (column.top + 60.0 - top).max(440.0);
        self.rectangle((left, top, width, height), 30.0, "#23282f", "#23282f");
        self.rectangle((left + 8.0, top + 8.0, width - 16.0, height - 16.0), 24.0, "#f3f5f7", "#f3f5f7");
        self.rectangle((left + 20.0, top + 70.0, width - 40.0, column.top - top - 70.0), 14.0, "#dfe9fb", "#dfe9fb");
        self.line((left + 34.0, top + 48.0), sender, 15.0, true, Ink::Plain);
        self.drawn.push_str(&inner.drawn);
        top + height
    }

    /// A text of one line or more.
    pub(super) fn text(&mut self, column: &mut Column, content: &str, size: f64, bold: bool, ink: Ink) {
        let lines = broken(content, column.width, size, bold);
        for line in lines {
            self.line((column.left, column.top + size), &line, size, bold, ink);
            column.top += size * 1.35;
        }
        column.top += 10.0;
    }

    /// A button with its label.
    pub(super) fn button(&mut self, column: &mut Column, label: &str) {
        let width = measured(label, 14.0, true) + 32.0;
        self.rectangle((column.left, column.top, width, 32.0), 5.0, "#2a60c8", "#2a60c8");
        self.line((column.left + 16.0, column.top + 21.0), label, 14.0, true, Ink::White);
        column.top += 46.0;
    }

    /// An empty field with the words that stand in it.
    pub(super) fn field(&mut self, column: &mut Column, placeholder: &str) {
        self.rectangle((column.left, column.top, column.width, 32.0), 4.0, "#ffffff", "#aab3bd");
        self.line((column.left + 10.0, column.top + 21.0), placeholder, 14.0, false, Ink::Faint);
        column.top += 46.0;
    }

    /// An empty field for a date, with the leaf of a calendar.
    pub(super) fn date(&mut self, column: &mut Column) {
        let (left, top) = (column.left, column.top);
        self.rectangle((left, top, 220.0, 32.0), 4.0, "#ffffff", "#aab3bd");
        self.rectangle((left + 194.0, top + 9.0, 15.0, 14.0), 2.0, "#ffffff", "#6b7480");
        self.rectangle((left + 194.0, top + 9.0, 15.0, 4.0), 1.0, "#6b7480", "#6b7480");
        column.top += 46.0;
    }

    /// The finished SVG as text.
    pub(super) fn finish(self, height: f64, metadata: &str) -> String {
        let (width, metadata) = (self.width, escaped(metadata));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width} {height:.0}\" font-family=\"Arial, 'Helvetica Neue', Helvetica, sans-serif\">\n\
             <metadata>{metadata}</metadata>\n\
             <rect width=\"{width}\" height=\"{height:.0}\" rx=\"12\" fill=\"#e9edf2\"/>\n{}</svg>\n",
            self.drawn
        )
    }

    fn rectangle(&mut self, (x, y, width, height): (f64, f64, f64, f64), round: f64, fill: &str, stroke: &str) {
        let _ = writeln!(
            self.drawn,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{round}\" fill=\"{fill}\" \
             stroke=\"{stroke}\"/>"
        );
    }

    /// A bar whose upper corners are round.
    fn bar(&mut self, (x, y, width, height): (f64, f64, f64, f64), fill: &str) {
        let (right, bottom) = (x + width, y + height);
        let _ = writeln!(
            self.drawn,
            "<path d=\"M{x} {bottom} V{} q0 -10 10 -10 H{} q10 0 10 10 V{bottom} Z\" fill=\"{fill}\"/>",
            y + 10.0,
            right - 10.0
        );
    }

    fn line(&mut self, (x, y): (f64, f64), content: &str, size: f64, bold: bool, ink: Ink) {
        let weight = if bold { " font-weight=\"bold\"" } else { "" };
        let _ = writeln!(
            self.drawn,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size:.1}\"{weight} fill=\"{}\">{}</text>",
            ink.color(),
            escaped(content)
        );
    }
}

/// Lines that fit into a width. A word that is longer than a line, as a link is, is broken where the line ends.
fn broken(content: &str, width: f64, size: f64, bold: bool) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in content.split_whitespace() {
        let last = lines.last_mut().map(|line| (line.is_empty(), format!("{line} {word}")));
        let Some((is_empty, longer)) = last else { continue };
        if !is_empty && measured(&longer, size, bold) <= width {
            lines.pop();
            lines.push(longer);
            continue;
        }
        if !is_empty {
            lines.push(String::new());
        }
        for character in word.chars() {
            let line = lines.last().map(|line| format!("{line}{character}")).unwrap_or_default();
            if measured(&line, size, bold) > width {
                lines.push(character.into());
            } else {
                lines.pop();
                lines.push(line);
            }
        }
    }
    lines
}

/// The approximate width of a text in Arial.
fn measured(content: &str, size: f64, bold: bool) -> f64 {
    let ems: f64 = content
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '!' | '|' | '/' | ' ' | 'f' | 't' | 'I' => 0.28,
            'r' | '-' | '(' | ')' | '"' => 0.34,
            'm' | 'M' | 'w' | 'W' | '%' | '@' => 0.86,
            c if c.is_uppercase() => 0.7,
            _ => 0.556,
        })
        .sum();
    ems * size * if bold { 1.08 } else { 1.0 }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The text that was escaped.
#[cfg(test)]
pub(super) fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
