//! How a line of the log looks: time, level, text, fields, and the ids of what it belongs to.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::spans::Known;

/// `2026-11-21T10:00:00.000000Z  INFO submitted transaction=… trace=…`
pub struct Text;

/// `{"timestamp":"…","level":"INFO","target":"…","message":"…","transaction":"…","trace":"…"}`
pub struct Json;

/// The ids of the innermost span that has them, unless the event names its own.
fn ids<S, N>(context: &FmtContext<'_, S, N>, event: &Event<'_>) -> Vec<(&'static str, String)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let own = |name: &str| event.metadata().fields().field(name).is_some();
    let mut ids = Vec::new();
    for span in context.event_scope().into_iter().flatten() {
        let extensions = span.extensions();
        let Some(Known { trace: Some(trace), intent, .. }) = extensions.get::<Known>() else { continue };
        if !own("trace") {
            ids.push(("trace", trace.clone()));
        }
        if let Some(intent) = intent.as_ref().filter(|_| !own("intent")) {
            ids.push(("intent", intent.clone()));
        }
        break;
    }
    ids
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        SystemTime.format_time(&mut to)?;
        let level = *event.metadata().level();
        match to.has_ansi_escapes() {
            true => write!(to, " \x1b[{}m{level:>5}\x1b[0m ", colour(level))?,
            false => write!(to, " {level:>5} ")?,
        }
        context.format_fields(to.by_ref(), event)?;
        for (name, id) in ids(context, event) {
            write!(to, " {name}={id}")?;
        }
        writeln!(to)
    }
}

fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), time.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        event.record(&mut Fields(&mut line));
        line.extend(ids(context, event).into_iter().map(|(name, id)| (name.to_owned(), id.into())));
        writeln!(to, "{}", Value::Object(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing into a text does not fail, unless the value's own way of showing itself does.
        let _ = write!(text, "{value:?}");
        self.put(field, text);
    }
}
