//! Writes lines of plain text as a browser would lay out HTML: white space folded, blocks on lines of their own, lists
//! and quotes marked, and never more than a limit.

/// Stands in the text in place of an image; [`super::Readable::with_images`] puts words there.
pub(super) const IMAGE: char = '\u{FFFC}';

/// The Unicode line separator: it ends a line in plain text, and is an ordinary character in HTML.
const LINE: char = '\u{2028}';
const PARAGRAPH: char = '\u{2029}';

/// The deepest level of lists and quotes that is shown; deeper ones look like it.
const SHOWN_DEPTH: usize = 6;

/// Writes plain text, up to a limit of bytes.
pub(super) struct TextWriter {
    out: String,
    limit: usize,
    shortened: bool,
    /// Whether there is text on the current line.
    line_open: bool,
    /// Whether the current line has a hard space, which is how Teams writes an empty line.
    touched: bool,
    /// Whether white space is due before the next text on the line.
    space: bool,
    /// Whether preformatted text has just begun.
    fresh: bool,
    pub(super) layout: Layout,
    /// The mark that goes before the next line's text.
    bullet: String,
    link: Option<String>,
}

/// The lists, quotes and cells that the text stands in.
#[derive(Clone, Default)]
pub(super) struct Layout {
    /// The number of quotes that are open.
    pub(super) quotes: usize,
    /// The lists that are open; for an ordered one, its next number.
    lists: Vec<Option<u32>>,
    /// The number of lists that are open beyond the deepest one shown.
    more_lists: usize,
    /// The number of open elements that keep white space.
    pub(super) preformatted: usize,
    /// The cells that the current row has so far, where the text stands in a table's cell.
    cells: Option<usize>,
    in_cell: bool,
}

impl TextWriter {
    /// A writer of at most `limit` bytes; text beyond that is left out.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            out: String::new(),
            limit,
            shortened: false,
            line_open: false,
            touched: false,
            space: false,
            fresh: false,
            layout: Layout::default(),
            bullet: String::new(),
            link: None,
        }
    }

    /// The bytes written so far. The same number twice means that nothing visible was written in between.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether the limit has been reached.
    pub(super) const fn is_full(&self) -> bool {
        self.shortened
    }

    /// Returns the text, and whether some of it was left out.
    pub(super) fn finish(self) -> (String, bool) {
        (self.out.trim_end().to_owned(), self.shortened)
    }

    /// Writes text whose white space is folded as in HTML.
    pub(super) fn text(&mut self, text: &str) {
        let fresh = std::mem::take(&mut self.fresh);
        if self.layout.preformatted > 0 {
            return self.preformatted(if fresh { text.strip_prefix('\n').unwrap_or(text) } else { text });
        }
        for c in text.chars() {
            match c {
                ' ' | '\t' | '\n' | '\r' | '\x0C' | LINE | PARAGRAPH => self.space = true,
                '\u{A0}' => {
                    self.touched = true;
                    self.space = true;
                }
                c => self.visible(c),
            }
        }
    }

    /// Writes text whose lines and spaces are kept.
    pub(super) fn preformatted(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' | LINE | PARAGRAPH => self.line_break(),
                ' ' | '\t' | '\u{A0}' if self.line_open => self.put(' '),
                // At the start of a line, spaces indent it.
                ' ' | '\u{A0}' => self.bullet.push(' '),
                '\t' => self.bullet.push_str("    "),
                c => self.visible(c),
            }
        }
    }

    /// Begins preformatted text. A line break right at its start does not count.
    pub(super) fn preformat(&mut self) {
        self.block();
        self.layout.preformatted = self.layout.preformatted.saturating_add(1);
        self.fresh = true;
    }

    /// Marks the place of an image. `false` when there is no room for it.
    pub(super) fn image(&mut self) -> bool {
        let before = self.out.len();
        self.begin();
        self.put(IMAGE);
        self.out.len() > before && self.out.ends_with(IMAGE)
    }

    fn visible(&mut self, c: char) {
        if is_shown(c) {
            self.begin();
            self.put(c);
        }
    }

    /// Writes what must precede a visible character: the line's mark, or the space that is due.
    fn begin(&mut self) {
        if self.line_open {
            if self.space {
                self.put(' ');
            }
        } else {
            let quotes = "> ".repeat(self.layout.quotes.min(SHOWN_DEPTH));
            let depth = self.layout.lists.len().saturating_sub(usize::from(!self.bullet.is_empty()));
            let mark = std::mem::take(&mut self.bullet);
            let mut start = quotes;
            start.push_str(&"  ".repeat(depth));
            start.push_str(&mark);
            // A preformatted line may begin with any number of spaces.
            if self.out.len() + start.len() < self.limit {
                self.out.push_str(&start);
            } else {
                self.shortened = true;
            }
            self.line_open = true;
        }
        self.space = false;
    }

    fn put(&mut self, c: char) {
        if self.shortened || self.out.len() + c.len_utf8() > self.limit {
            self.shortened = true;
            return;
        }
        self.out.push(c);
        if let Some(link) = &mut self.link {
            link.push(c);
        }
    }

    /// Ends the line, if there is text on it.
    pub(super) fn block(&mut self) {
        if self.layout.in_cell {
            self.space = true;
        } else if self.line_open || self.touched {
            self.new_line();
        }
    }

    /// Ends the line, even an empty one.
    pub(super) fn line_break(&mut self) {
        if self.layout.in_cell {
            self.space = true;
        } else {
            self.new_line();
        }
    }

    fn new_line(&mut self) {
        (self.line_open, self.touched, self.space) = (false, false, false);
        self.bullet.clear();
        self.out.truncate(self.out.trim_end_matches(' ').len());
        // A text does not begin with an empty line, and has no two empty lines in a row.
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.put('\n');
        }
    }

    /// Opens a list; an ordered one begins with this number.
    pub(super) fn list(&mut self, first: Option<u32>) {
        self.block();
        if self.layout.lists.len() < SHOWN_DEPTH {
            self.layout.lists.push(first);
        } else {
            self.layout.more_lists = self.layout.more_lists.saturating_add(1);
        }
    }

    /// Closes the innermost list.
    pub(super) fn end_list(&mut self) {
        self.block();
        if self.layout.more_lists > 0 {
            self.layout.more_lists -= 1;
        } else {
            self.layout.lists.pop();
        }
    }

    /// Begins an item of a list.
    pub(super) fn item(&mut self) {
        self.block();
        self.bullet = match self.layout.lists.last_mut() {
            Some(Some(number)) => {
                let bullet = format!("{number}. ");
                *number = number.saturating_add(1);
                bullet
            }
            _ => "- ".into(),
        };
    }

    /// Begins a row of a table.
    pub(super) fn row(&mut self) {
        self.layout.in_cell = false;
        self.block();
        self.layout.cells = Some(0);
    }

    /// Begins a cell of a row. The blocks within it stay on the row's line.
    pub(super) fn cell(&mut self) {
        let before = self.layout.cells.unwrap_or_default();
        if before > 0 {
            self.space = true;
            self.visible('|');
            self.space = true;
        }
        self.layout.cells = Some(before.saturating_add(1));
        self.layout.in_cell = true;
    }

    /// Ends the cell that is open.
    pub(super) fn end_cell(&mut self) {
        self.layout.in_cell = false;
    }

    /// Ends the cells that were opened since the layout was this one.
    pub(super) fn end_cells(&mut self, layout: &Layout) {
        self.layout.in_cell = layout.in_cell;
    }

    /// Ends a table or a row.
    pub(super) fn end_row(&mut self) {
        self.layout.in_cell = false;
        self.layout.cells = None;
        self.block();
    }

    /// Begins the text of a link.
    pub(super) fn link(&mut self) {
        self.link = Some(String::new());
    }

    /// Ends the text of the link, and returns it.
    pub(super) fn end_link(&mut self) -> String {
        self.link.take().unwrap_or_default()
    }
}

/// Whether a character is something to read. Left out are control characters, the marks that turn the direction of all
/// following text (with one, a file's name can be disguised), and characters that stand for objects. The joiners and
/// direction marks that scripts and emoji need are kept.
fn is_shown(c: char) -> bool {
    let turns_direction = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let is_object = matches!(c, '\u{200B}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFC}');
    !c.is_control() && !turns_direction && !is_object
}
