//! How log lines look: JSON, one event a line, ours from the configured level on and everybody else's from INFO.

use std::fmt;
use std::io;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

/// Target of a request's own line, which is a finished JSON document and is written as it is, at every level.
pub(super) const RECORD: &str = "bridge::record";

/// Sends log lines to standard output from the level in `AWS_LAMBDA_LOG_LEVEL` on. Call it once, first thing in `main`.
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    let subscriber = subscriber(level.unwrap_or(LevelFilter::INFO), io::stdout);
    // Fails when a subscriber is already in place, which then is the one that somebody wanted.
    let _ = tracing::subscriber::set_global_default(subscriber);
    // One line as all others, and without the panic's text, which may hold what it stumbled over.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "panic");
    }));
}

/// The subscriber behind [`init`], for a level and a place to write to.
///
/// Foreign crates stay at INFO, because lambda_runtime prints whole events, phone numbers included, at TRACE.
pub fn subscriber<W>(level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let levels = Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target("bridge", level)
        .with_target(RECORD, LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(Lines { json: Format::default().json().flatten_event(true).with_span_list(false) })
        .with_writer(writer);
    tracing_subscriber::registry().with(levels).with(lines)
}

struct Lines {
    json: Format<Json>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() != RECORD {
            return self.json.format_event(ctx, writer, event);
        }
        let mut line = Verbatim { writer: writer.by_ref(), result: Ok(()) };
        event.record(&mut line);
        line.result?;
        writeln!(writer)
    }
}

struct Verbatim<'w> {
    writer: Writer<'w>,
    result: fmt::Result,
}

impl Visit for Verbatim<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.result = write!(self.writer, "{value:?}");
        }
    }
}
