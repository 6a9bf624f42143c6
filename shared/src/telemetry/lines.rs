//! The form of log lines: JSON, one event a line, the bridge's own from the configured level on and other crates' from
//! INFO. Each line is masked as it is written, so that nothing gets past the mask.

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

use super::mask::mask_json;

/// The target of a request's own line, which is finished JSON and is written unchanged, at every level.
pub(super) const RECORD: &str = "bridge::record";

/// Sends log lines to standard output, from the level in `AWS_LAMBDA_LOG_LEVEL` on. To be called once, first in `main`.
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    let subscriber = subscriber(level.unwrap_or(LevelFilter::INFO), io::stdout);
    // This fails when a subscriber is in place already, which is then the intended one.
    let _ = tracing::subscriber::set_global_default(subscriber);
    // A panic is logged as one line like all others, without its text, which may hold parts of the data.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "panic");
    }));
}

/// The subscriber behind [`init`], for a level and a place to write to.
///
/// Other crates stay at INFO, because at TRACE lambda_runtime prints whole events, phone numbers included.
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
        let mut line = String::new();
        if event.metadata().target() == RECORD {
            let mut record = Verbatim { writer: Writer::new(&mut line), result: Ok(()) };
            event.record(&mut record);
            record.result?;
            line.push('\n');
        } else {
            self.json.format_event(ctx, Writer::new(&mut line), event)?;
        }
        writer.write_str(&mask_json(&line))
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;
    use crate::telemetry::{CallRecord, Outcome, Record, Upstream};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `work` leaves behind.
    fn lines(work: impl FnOnce()) -> Vec<Value> {
        let log = Log::default();
        let writer = log.clone();
        tracing::subscriber::with_default(subscriber(LevelFilter::TRACE, move || writer.clone()), work);
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    const SECRET: &str = "to 07700 900123 at https://teams.microsoft.com/l/meetup-join/19 with eyJhbGciOi";

    fn is_masked(line: &Value) -> bool {
        let text = line.to_string();
        text.contains("[number]") && !["900123", "meetup", "eyJ"].iter().any(|secret| text.contains(secret))
    }

    #[test]
    fn no_field_and_no_message_gets_past_the_mask() {
        let error = io::Error::other(SECRET);
        let lines = lines(|| {
            tracing::warn!("{SECRET}");
            tracing::warn!(%error, "by its text");
            tracing::warn!(failure = ?Err::<(), _>(SECRET), "by its debug output");
            tracing::debug!(cause = SECRET, "as a text");
            tracing::info!(target: "lambda_runtime", "somebody else's: {SECRET}");
        });
        assert_eq!(lines.len(), 5);
        for line in &lines {
            assert!(is_masked(line), "{line}");
            assert!(line["level"].is_string() && line["timestamp"].as_str().unwrap().starts_with("20"), "{line}");
        }
    }

    #[test]
    fn no_part_of_a_request_s_line_gets_past_the_mask() {
        let ok = Outcome { ok: true, code: "created", status: 200, message: None, cause: None };
        let parts: [&dyn Fn(&Record); 3] = [
            &|record| record.label("conversationId", SECRET),
            &|record| record.label("troubles", vec![SECRET]),
            &|record| {
                let (upstream, took) = (Upstream::Graph, std::time::Duration::ZERO);
                record.call(CallRecord {
                    upstream,
                    operation: "get user",
                    status: 200,
                    took,
                    remote_id: SECRET.into(),
                });
            },
        ];
        for note in parts {
            let record = Record::default();
            note(&record);
            let lines = lines(|| record.write("escalate", ok));
            assert!(is_masked(&lines[0]), "{}", lines[0]);
            assert!(lines[0]["_aws"]["Timestamp"].is_u64(), "{}", lines[0]);
        }
    }
}
