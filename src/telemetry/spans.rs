//! Spans: what belongs to what, and, where traces are switched on, what is told to an OpenTelemetry collector (OTLP over
//! HTTP, as JSON). Own code, because the usual crates bring an HTTP stack and a thread of their own.
//!
//! A span inside another one of the same trace is its child. One that begins later – a look-up, a delivery – names its
//! `intent` and is a child of the `accept` span that made that intent, whose id follows from the intent's: nothing else
//! has to be stored. A caller's `traceparent` is the parent of a `request` span.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Span, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;
use uuid::Uuid;

/// The span that makes an intent.
const ACCEPT: &str = "accept";
/// Spans of kind SERVER and of kind CLIENT; the others are internal.
const SERVER: &[&str] = &["request"];
const CLIENT: &[&str] = &["psp", "delivery"];
/// Longest text of one attribute, in characters.
const TEXT_MAX: usize = 256;
/// Finished spans that wait to be told; more are dropped and counted, for a collector must never hold a payment up.
const WAITING_MAX: usize = 8_192;

/// Where finished spans go, and what the clock alone may read.
#[derive(Clone, Debug)]
pub struct Export {
    to: mpsc::Sender<Finished>,
    dropped: Arc<AtomicU64>,
    /// Nanoseconds since 1970.
    now: fn() -> u64,
    random: fn() -> u64,
}

/// What waits to be told.
#[derive(Debug)]
pub struct Outlet {
    pub spans: mpsc::Receiver<Finished>,
    dropped: Arc<AtomicU64>,
}

impl Export {
    pub fn new(now: fn() -> u64, random: fn() -> u64) -> (Export, Outlet) {
        let (to, spans) = mpsc::channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        (Export { to, dropped: dropped.clone(), now, random }, Outlet { spans, dropped })
    }
}

impl Outlet {
    /// How many spans nobody could take since this was asked last.
    pub fn dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    name: &'static str,
    trace: String,
    id: u64,
    parent: Option<u64>,
    start_ns: u64,
    end_ns: u64,
    error: Option<String>,
    attributes: Vec<(&'static str, String)>,
}

/// What a span is known by, to those inside it.
pub(super) struct Known {
    pub trace: Option<String>,
    pub intent: Option<String>,
    id: u64,
}

/// What is told of a span once it has ended.
struct Told {
    parent: Option<u64>,
    start_ns: u64,
    end_ns: u64,
    error: Option<String>,
    attributes: Vec<(&'static str, String)>,
}

/// The layer that keeps [`Known`] for the log, and tells finished spans where that is wanted.
pub(super) struct Spans {
    export: Option<Export>,
}

impl Spans {
    pub fn new(export: Option<Export>) -> Spans {
        Spans { export }
    }
}

/// `traceparent` (W3C Trace Context) of what is being done here and now; `None` where traces are off.
pub fn traceparent() -> Option<String> {
    let known = Span::current().with_subscriber(|(id, subscriber)| {
        let span = subscriber.downcast_ref::<Registry>()?.span(id)?;
        let extensions = span.extensions();
        let known = extensions.get::<Known>().filter(|known| known.id != 0)?;
        known.trace.as_ref().map(|trace| format!("00-{trace}-{:016x}-01", known.id))
    });
    known.flatten()
}

/// The id of the span that made an intent: the part of the intent's own id that is random.
fn of_intent(intent: &str) -> Option<u64> {
    // What is cut off is meant to be.
    Uuid::parse_str(intent).ok().map(|id| (id.as_u128() & u128::from(u64::MAX)) as u64)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields { whole: self.export.is_some(), ..Fields::default() };
        attributes.record(&mut fields);
        let (mut outer_id, mut outer_trace, mut outer_intent) = (None, None, None);
        for outer in span.scope().skip(1) {
            if let Some(known) = outer.extensions().get::<Known>() {
                outer_id = Some(known.id);
                outer_trace = known.trace.clone();
                outer_intent = known.intent.clone();
                break;
            }
        }
        let inside = fields.trace.is_none() || fields.trace == outer_trace;
        let made = (span.name() == ACCEPT).then(|| fields.intent.as_deref().and_then(of_intent)).flatten();
        if let Some(export) = &self.export {
            let later = || fields.intent.as_deref().filter(|_| made.is_none()).and_then(of_intent);
            let parent = if inside { outer_id } else { None };
            let now = (export.now)();
            span.extensions_mut().insert(Told {
                parent: parent.or(fields.parent).or_else(later),
                start_ns: now,
                end_ns: now,
                error: fields.error.take(),
                attributes: std::mem::take(&mut fields.others),
            });
        }
        let id = self.export.as_ref().map_or(0, |export| made.unwrap_or_else(|| (export.random)().max(1)));
        let (trace, intent) = match inside {
            true => (outer_trace, fields.intent.or(outer_intent)),
            false => (fields.trace, fields.intent),
        };
        span.extensions_mut().insert(Known { trace, intent, id });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let (Some(_), Some(span)) = (&self.export, context.span(id)) else { return };
        let mut fields = Fields { whole: true, ..Fields::default() };
        values.record(&mut fields);
        if let Some(told) = span.extensions_mut().get_mut::<Told>() {
            told.attributes.extend(fields.others);
            told.error = fields.error.or(told.error.take());
        }
    }

    /// The end of a span is when it was last worked in; handles of it, and spans inside, may live longer.
    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let (Some(export), Some(span)) = (&self.export, context.span(id)) else { return };
        if let Some(told) = span.extensions_mut().get_mut::<Told>() {
            told.end_ns = (export.now)();
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let (Some(export), Some(span)) = (&self.export, context.span(&id)) else { return };
        let told = span.extensions_mut().remove::<Told>();
        let extensions = span.extensions();
        let (Some(told), Some(known)) = (told, extensions.get::<Known>()) else { return };
        // What belongs to no request – a sweep – is not told of.
        let Some(trace) = known.trace.clone() else { return };
        let finished = Finished {
            name: span.name(),
            trace,
            id: known.id,
            parent: told.parent.filter(|parent| *parent != 0),
            start_ns: told.start_ns,
            end_ns: told.end_ns.max(told.start_ns),
            error: told.error,
            attributes: told.attributes,
        };
        if export.to.try_send(finished).is_err() {
            export.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[derive(Default)]
struct Fields {
    /// Whether more than the ids is wanted.
    whole: bool,
    trace: Option<String>,
    intent: Option<String>,
    parent: Option<u64>,
    error: Option<String>,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn put(&mut self, field: &Field, text: String) {
        match field.name() {
            "trace" => self.trace = Some(text),
            "parent" => self.parent = u64::from_str_radix(&text, 16).ok(),
            "error" => self.error = Some(text),
            name => {
                if name == "intent" {
                    self.intent = Some(text.clone());
                }
                if self.whole {
                    self.others.push((name, text.chars().take(TEXT_MAX).collect()));
                }
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

/// Finished spans as the body of a request to `/v1/traces` of a collector.
pub fn document(spans: &[Finished]) -> Value {
    let text = |value: &str| json!({ "stringValue": value });
    let spans: Vec<Value> = spans
        .iter()
        .map(|span| {
            let kind = match span.name {
                name if SERVER.contains(&name) => 2,
                name if CLIENT.contains(&name) => 3,
                _ => 1,
            };
            let attributes = span.attributes.iter().map(|(name, value)| json!({ "key": name, "value": text(value) }));
            let mut told = json!({
                "traceId": span.trace,
                "spanId": format!("{:016x}", span.id),
                "name": span.name,
                "kind": kind,
                "startTimeUnixNano": span.start_ns.to_string(),
                "endTimeUnixNano": span.end_ns.to_string(),
                "attributes": attributes.collect::<Vec<_>>(),
            });
            if let Some(parent) = span.parent {
                told["parentSpanId"] = format!("{parent:016x}").into();
            }
            if let Some(error) = &span.error {
                told["status"] = json!({ "code": 2, "message": error });
            }
            told
        })
        .collect();
    let attribute = |name: &str, value: &str| json!({ "key": name, "value": text(value) });
    json!({
        "resourceSpans": [{
            "resource": {
                "attributes": [
                    attribute("service.name", "rialto"),
                    attribute("service.version", env!("CARGO_PKG_VERSION")),
                ]
            },
            "scopeSpans": [{
                "scope": { "name": "rialto", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        }]
    })
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const INTENT: &str = "019a9c1e-0000-7000-8000-00000000abcd";

    fn told(work: impl FnOnce()) -> Vec<Finished> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let count = || NEXT.fetch_add(1, Ordering::Relaxed);
        let (export, mut outlet) = Export::new(count, count);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Spans::new(Some(export))), work);
        std::iter::from_fn(|| outlet.spans.try_recv().ok()).collect()
    }

    fn named<'a>(spans: &'a [Finished], name: &str) -> &'a Finished {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {spans:?}"))
    }

    #[test]
    fn who_is_whose_child() {
        let mut out = None;
        let spans = told(|| {
            let request = tracing::error_span!("request", trace = TRACE, parent = "00f067aa0ba902b7", status = 200);
            let _request = request.enter();
            let accept = tracing::error_span!("accept", trace = TRACE, intent = INTENT);
            accept.in_scope(|| {
                tracing::error_span!("commit", unit = "accept").in_scope(|| out = traceparent());
            });
        });
        let (request, accept, commit) = (named(&spans, "request"), named(&spans, "accept"), named(&spans, "commit"));
        assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:?}");
        assert_eq!(request.parent, Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!((accept.parent, accept.id), (Some(request.id), 0x8000_0000_0000_abcd));
        assert_eq!(commit.parent, Some(accept.id));
        assert_eq!(out, Some(format!("00-{TRACE}-{:016x}-01", commit.id)));
        assert_eq!(commit.attributes, [("unit", "accept".to_owned())]);

        // Later, and inside something that belongs to another trace.
        let later = told(|| {
            let notice = tracing::error_span!("notice", trace = "4bf92f3577b34da6a3ce929d0e0e4736");
            let _notice = notice.enter();
            tracing::error_span!("apply", trace = TRACE, intent = INTENT, error = tracing::field::Empty)
                .record("error", "no");
        });
        let apply = named(&later, "apply");
        assert_eq!((apply.parent, apply.trace.as_str()), (Some(accept.id), TRACE));
        assert_eq!(named(&later, "notice").parent, None);
        let document = document(&later);
        let told = document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("a list");
        let apply = told.iter().find(|span| span["name"] == "apply").expect("it is told");
        assert_eq!(apply["parentSpanId"], "800000000000abcd");
        assert_eq!(apply["status"]["code"], 2);

        assert_eq!(told_nothing(), Vec::new(), "a sweep belongs to no request");
    }

    fn told_nothing() -> Vec<Finished> {
        told(|| tracing::error_span!("sweep").in_scope(|| assert_eq!(traceparent(), None)))
    }
}
