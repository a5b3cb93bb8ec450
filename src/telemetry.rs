//! Logs and traces. One id – of the request that began it – goes through everything that is done for an intent, then and
//! later: whoever works for one does it inside a span with the field `trace` (32 hexadecimal digits), and every line
//! written inside has it.
//!
//! - `lines` – logs to standard error: text for people, or one JSON object per line for machines.
//! - [`spans`] – which span is a child of which; where traces are switched on, finished ones go to a collector.
//!
//! Fields with a meaning here: `trace`; `intent`, whose `accept` span is the parent of what happens later; `parent`, the
//! span of whoever called us; `error`, which makes a span a failed one.

mod lines;
pub mod spans;

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

pub use spans::{Export, Finished, Outlet, document, traceparent};

/// What the server logs where nobody said otherwise. The libraries beneath speak only when something is wrong.
pub const SERVER_FILTER: &str = "warn,rialto=info,access=info";
/// The same for commands that end by themselves: their result is what they print.
pub const COMMAND_FILTER: &str = "warn";

/// Spans that only a collector wants: a commit, a call. Where traces are off they are never made.
pub const DETAIL: &str = "otlp";

/// Starts logging for the whole process. `filter` as in `RIALTO_LOG`; a filter that cannot be read counts as `info`.
/// `export`: where finished spans go.
///
/// # Errors
/// If logging was started before.
pub fn init(filter: &str, json: bool, export: Option<Export>) -> Result<(), TryInitError> {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match json {
        true => lines.event_format(lines::Json).boxed(),
        false => lines.with_ansi(std::io::stderr().is_terminal()).event_format(lines::Text).boxed(),
    };
    let level = if export.is_some() { LevelFilter::DEBUG } else { LevelFilter::ERROR };
    let ours = FilterFn::new(|metadata| {
        metadata.is_span() && (metadata.target().starts_with("rialto") || metadata.target() == DETAIL)
    });
    let spans = spans::Spans::new(export).with_filter(ours.with_max_level_hint(level));
    tracing_subscriber::registry().with(spans).with(lines.with_filter(filter)).try_init()
}

/// A subscriber that keeps spans and writes no lines, for tests.
#[cfg(test)]
pub fn spans_only(now: fn() -> u64, random: fn() -> u64) -> (impl tracing::Subscriber + Send + Sync, Outlet) {
    let (export, outlet) = Export::new(now, random);
    (tracing_subscriber::registry().with(spans::Spans::new(Some(export))), outlet)
}
