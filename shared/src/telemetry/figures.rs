//! What an invocation came to, in figures.

/// A figure: a metric of this name in the invocation's log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// How many there were of something.
    Count(&'static str, usize),
    /// How long something took.
    Milliseconds(&'static str, i64),
}

/// What a handler gives back for the edge to write into the log line: a tally that names its counts.
pub trait Figures {
    /// The figures, each with its name.
    fn figures(&self) -> impl Iterator<Item = Figure>;
}

impl Figures for () {
    fn figures(&self) -> impl Iterator<Item = Figure> {
        [].into_iter()
    }
}

impl<T: Figures> Figures for Option<T> {
    fn figures(&self) -> impl Iterator<Item = Figure> {
        self.iter().flat_map(T::figures)
    }
}

impl<T: Figures, U: Figures> Figures for (T, U) {
    fn figures(&self) -> impl Iterator<Item = Figure> {
        self.0.figures().chain(self.1.figures())
    }
}
