//! What is counted and measured, for Prometheus. [`TABLE`] is the whole list; the README shows the same.
//!
//! A label's value is a text of this program (`&'static str`), never one that came from outside: the source code bounds
//! the number of series, and no tenant, path or secret can become one. Counters are this process's own and start at zero
//! with it; gauges are read when somebody asks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

macro_rules! table {
    ($($name:ident: $type:ty = $value:expr;)*) => {
        $(pub static $name: $type = $value;)*
        /// Every metric there is, in the order in which they are written.
        pub static TABLE: &[&dyn Family] = &[$(&$name),*];
    };
}

table! {
    HTTP_REQUESTS: Histogram<3> = Histogram::seconds(
        "rialto_http_request_seconds",
        ["contract", "operation", "status"],
        "Requests answered, by contract (or hooks, page, docs, …), operation and class of status",
    );
    HTTP_IN_FLIGHT: Gauge<0> =
        Gauge::new("rialto_http_requests_in_flight", [], "Requests being handled now, pages, hooks and contracts");
    INTENTS: Counter<2> =
        Counter::new("rialto_intents_total", ["contract", "kind"], "Wishes accepted, before anything was sent");
    TRANSACTIONS: Counter<3> = Counter::new(
        "rialto_transactions_total",
        ["adapter", "kind", "state"],
        "Transactions that came into a state",
    );
    PSP_CALLS: Histogram<3> = Histogram::seconds(
        "rialto_psp_call_seconds",
        ["adapter", "purpose", "outcome"],
        "Calls of a PSP; outcome: reported, not_sent, unknown; of a look-up also absent, cannot_ask",
    );
    NOTICES: Counter<2> = Counter::new(
        "rialto_notices_total",
        ["adapter", "verdict"],
        "Notices of PSPs that came in: verified, nudge, rejected",
    );
    NOTICES_READ: Counter<2> = Counter::new(
        "rialto_notices_read_total",
        ["adapter", "outcome"],
        "Readings of stored notices: applied, ignored, unreadable, unmatched; a parked one is read again",
    );
    DELIVERIES: Histogram<2> = Histogram::seconds(
        "rialto_delivery_seconds",
        ["profile", "outcome"],
        "Attempts to tell a receiver: accepted, refused, failed; given_up was the last of its schedule",
    );
    ALERTS: Counter<1> = Counter::new("rialto_alerts_total", ["kind"], "Alerts raised for a person");
    WRITER_WAITING: Gauge<0> = Gauge::new("rialto_writer_waiting", [], "Units of work that wait for the database writer");
    WRITER_BATCH: Histogram<0> = Histogram::numbers("rialto_writer_batch_units", [], "Units of work in one transaction");
    WRITER_COMMIT: Histogram<0> = Histogram::seconds(
        "rialto_writer_commit_seconds",
        [],
        "Transactions of the database writer, from BEGIN to after COMMIT",
    );
    WRITER_FAILURES: Counter<0> =
        Counter::new("rialto_writer_failures_total", [], "Transactions of the database writer that came to nothing");
    SWEEPS: Counter<2> = Counter::new(
        "rialto_worker_sweeps_total",
        ["worker", "outcome"],
        "Sweeps of the workers: idle, busy (there may be more to do), failed",
    );
    RETIRED: Counter<1> =
        Counter::new("rialto_retention_rows_total", ["table"], "Rows deleted because their time was over");
    SPANS: Counter<1> = Counter::new(
        "rialto_spans_total",
        ["outcome"],
        "Spans for the OpenTelemetry collector: exported, dropped; none where traces are off",
    );
    FIGURES_UP: Gauge<0> = Gauge::new(
        "rialto_database_figures_up",
        [],
        "Whether the figures below could be read from the database; 0: they are missing",
    );
    OLDEST_UNKNOWN: Gauge<0> =
        Gauge::new("rialto_oldest_unknown_seconds", [], "Age of the oldest transaction whose outcome is unknown");
    OLDEST_UNSENT: Gauge<0> = Gauge::new(
        "rialto_oldest_unsent_delivery_seconds",
        [],
        "How long the news that waits longest for its receiver has waited",
    );
    OLDEST_PARKED: Gauge<0> = Gauge::new(
        "rialto_oldest_parked_notice_seconds",
        [],
        "Age of the oldest notice that names a transaction nobody knows yet",
    );
    OPEN_TRANSACTIONS: Gauge<1> =
        Gauge::new("rialto_open_transactions", ["state"], "Transactions that have not ended, by state; at most 10000");
    OPEN_ALERTS: Gauge<0> = Gauge::new("rialto_open_alerts", [], "Alerts that nobody has settled; at most 10000");
    DEAD_DELIVERIES: Gauge<0> =
        Gauge::new("rialto_dead_deliveries", [], "Deliveries that were given up; at most 10000");
    BUILD: Gauge<1> = Gauge::new("rialto_build_info", ["version"], "Always 1; the version that runs");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// One metric with all its series.
pub trait Family: Sync {
    fn line(&'static self) -> Line;
    fn write(&'static self, out: &mut String, gauges: &[Sample]);
}

/// What a gauge shows at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    name: &'static str,
    labels: Vec<&'static str>,
    value: u64,
}

/// All metrics in Prometheus' text format, version 0.0.4. A gauge without a sample is written without a value.
pub fn render(gauges: &[Sample]) -> String {
    let mut out = String::new();
    for family in TABLE {
        let Line { name, kind, help, .. } = family.line();
        // Writing into a text does not fail.
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str());
        family.write(&mut out, gauges);
    }
    out
}

/// The class of an HTTP status.
pub fn class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// Of a counter or histogram, by the values of its labels.
type Series<const N: usize, T> = Mutex<BTreeMap<[&'static str; N], T>>;

fn change<const N: usize, T: Default>(series: &Series<N, T>, labels: [&'static str; N], change: impl FnOnce(&mut T)) {
    change(series.lock().unwrap_or_else(PoisonError::into_inner).entry(labels).or_default());
}

pub struct Counter<const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
    help: &'static str,
    series: Series<N, u64>,
}

impl<const N: usize> Counter<N> {
    const fn new(name: &'static str, labels: [&'static str; N], help: &'static str) -> Counter<N> {
        Counter { name, labels, help, series: Mutex::new(BTreeMap::new()) }
    }

    pub fn add(&self, labels: [&'static str; N]) {
        self.add_many(labels, 1);
    }

    pub fn add_many(&self, labels: [&'static str; N], count: u64) {
        change(&self.series, labels, |value| *value = value.saturating_add(count));
    }
}

impl<const N: usize> Family for Counter<N> {
    fn line(&'static self) -> Line {
        Line { name: self.name, kind: Kind::Counter, labels: &self.labels, help: self.help }
    }

    fn write(&'static self, out: &mut String, _gauges: &[Sample]) {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if N == 0 && series.is_empty() {
            value(out, self.name, "", &self.labels, &[], None, 0);
        }
        for (labels, count) in series.iter() {
            value(out, self.name, "", &self.labels, labels, None, *count);
        }
    }
}

pub struct Gauge<const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
    help: &'static str,
}

impl<const N: usize> Gauge<N> {
    const fn new(name: &'static str, labels: [&'static str; N], help: &'static str) -> Gauge<N> {
        Gauge { name, labels, help }
    }

    pub fn is(&self, labels: [&'static str; N], value: u64) -> Sample {
        Sample { name: self.name, labels: labels.to_vec(), value }
    }
}

impl<const N: usize> Family for Gauge<N> {
    fn line(&'static self) -> Line {
        Line { name: self.name, kind: Kind::Gauge, labels: &self.labels, help: self.help }
    }

    fn write(&'static self, out: &mut String, gauges: &[Sample]) {
        for sample in gauges.iter().filter(|sample| sample.name == self.name) {
            value(out, self.name, "", &self.labels, &sample.labels, None, sample.value);
        }
    }
}

/// What is measured, in whole numbers: floating point appears only in the text that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Kept in microseconds, written in seconds.
    Seconds,
    Number,
}

/// Upper bounds, in microseconds: from a commit on a good disk to a PSP that hangs.
const SECONDS: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];
/// Upper bounds of small numbers.
const NUMBERS: &[u64] = &[1, 2, 4, 8, 16, 32, 64];

#[derive(Clone, Debug, Default)]
struct Measured {
    /// How many fell into each bucket; the last one has no bound.
    counts: Vec<u64>,
    sum: u64,
}

pub struct Histogram<const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
    help: &'static str,
    unit: Unit,
    bounds: &'static [u64],
    series: Series<N, Measured>,
}

impl<const N: usize> Histogram<N> {
    const fn seconds(name: &'static str, labels: [&'static str; N], help: &'static str) -> Histogram<N> {
        Histogram { name, labels, help, unit: Unit::Seconds, bounds: SECONDS, series: Mutex::new(BTreeMap::new()) }
    }

    const fn numbers(name: &'static str, labels: [&'static str; N], help: &'static str) -> Histogram<N> {
        Histogram { name, labels, help, unit: Unit::Number, bounds: NUMBERS, series: Mutex::new(BTreeMap::new()) }
    }

    pub fn took(&self, labels: [&'static str; N], time: Duration) {
        self.saw(labels, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// A number, or a time in microseconds.
    pub fn saw(&self, labels: [&'static str; N], seen: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < seen);
        change(&self.series, labels, |measured| {
            measured.counts.resize(self.bounds.len() + 1, 0);
            measured.counts[bucket] += 1;
            measured.sum = measured.sum.saturating_add(seen);
        });
    }
}

impl<const N: usize> Family for Histogram<N> {
    fn line(&'static self) -> Line {
        Line { name: self.name, kind: Kind::Histogram, labels: &self.labels, help: self.help }
    }

    fn write(&'static self, out: &mut String, _gauges: &[Sample]) {
        let written = |number: u64| match self.unit {
            Unit::Seconds => seconds(number),
            Unit::Number => number.to_string(),
        };
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        for (labels, measured) in series.iter() {
            let mut count = 0;
            for (at, more) in measured.counts.iter().enumerate() {
                count += more;
                let bound = self.bounds.get(at).map_or_else(|| "+Inf".to_owned(), |bound| written(*bound));
                value(out, self.name, "_bucket", &self.labels, labels, Some(&bound), count);
            }
            value(out, self.name, "_sum", &self.labels, labels, None, written(measured.sum));
            value(out, self.name, "_count", &self.labels, labels, None, count);
        }
    }
}

/// One line: the name, its labels, the upper bound of a bucket, and the value.
fn value(
    out: &mut String,
    name: &str,
    suffix: &str,
    names: &[&str],
    values: &[&str],
    bound: Option<&str>,
    value: impl std::fmt::Display,
) {
    let pairs = names.iter().copied().zip(values.iter().copied()).chain(bound.map(|bound| ("le", bound)));
    let labels: Vec<String> = pairs.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    // Writing into a text does not fail.
    let _ = writeln!(out, "{name}{suffix}{labels} {value}");
}

/// Microseconds, written in seconds.
fn seconds(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    let text = format!("{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn times_are_written_exactly() {
        let rows =
            [(0, "0"), (500, "0.0005"), (2_500, "0.0025"), (1_000_000, "1"), (30_000_000, "30"), (1, "0.000001")];
        for (micros, text) in rows {
            assert_eq!(seconds(micros), text);
        }
    }

    #[test]
    fn a_histogram_counts_upwards() {
        static SEEN: Histogram<1> = Histogram::numbers("seen", ["what"], "");
        for number in [0, 1, 2, 3, 64, 65, 1_000] {
            SEEN.saw(["x"], number);
        }
        let mut out = String::new();
        SEEN.write(&mut out, &[]);
        let expected = "seen_bucket{what=\"x\",le=\"1\"} 2\nseen_bucket{what=\"x\",le=\"2\"} 3\n\
                        seen_bucket{what=\"x\",le=\"4\"} 4\nseen_bucket{what=\"x\",le=\"8\"} 4\n\
                        seen_bucket{what=\"x\",le=\"16\"} 4\nseen_bucket{what=\"x\",le=\"32\"} 4\n\
                        seen_bucket{what=\"x\",le=\"64\"} 5\nseen_bucket{what=\"x\",le=\"+Inf\"} 7\n\
                        seen_sum{what=\"x\"} 1135\nseen_count{what=\"x\"} 7\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn what_is_written_is_what_the_table_says() {
        let text = render(&[BUILD.is(["1"], 1), OPEN_ALERTS.is([], 0)]);
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let table: Vec<String> =
            TABLE.iter().map(|f| format!("{} {}", f.line().name, f.line().kind.as_str())).collect();
        assert_eq!(names, table);
        let distinct: BTreeSet<&str> = TABLE.iter().map(|family| family.line().name).collect();
        assert_eq!(distinct.len(), TABLE.len(), "each name once");
        for line in TABLE.iter().map(|family| family.line()) {
            assert!(line.name.starts_with("rialto_") && !line.help.contains('\n'), "{}", line.name);
            assert_eq!(line.kind == Kind::Counter, line.name.ends_with("_total"), "{}", line.name);
        }
        assert!(text.contains("\nrialto_build_info{version=\"1\"} 1\n") && text.contains("\nrialto_open_alerts 0\n"));
    }

    /// The README's table, line by line.
    #[test]
    fn the_readme_lists_the_same() {
        let readme = include_str!("../README.md");
        let told: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `rialto_")).collect();
        let ours: Vec<String> = TABLE
            .iter()
            .map(|family| {
                let Line { name, kind, labels, help } = family.line();
                let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
                format!("| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join(" "))
            })
            .collect();
        assert_eq!(told, ours, "write this:\n{}", ours.join("\n"));
    }
}
