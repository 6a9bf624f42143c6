//! The figures of an invocation, which become metrics.

/// A figure: a metric of this name in the invocation's log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// A count: how many there were of something.
    Count(&'static str, usize),
    /// A duration in milliseconds: how long something took.
    Milliseconds(&'static str, i64),
}

/// A handler's figures for the edge to write into the log line, such as a tally.
pub trait Figures {
    /// The figures, each with the name of its metric.
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
