//! For those who watch the server: `/health/ready`, which says what is wrong, and `/metrics`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use poem::http::{StatusCode, header};
use poem::{Request, Response};
use rialto_adapters::port::{Secret, Timestamp};
use serde_json::json;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use crate::clock::Clock;
use crate::flow::Engine;
use crate::http::edge::Edge;
use crate::metrics::{self, Sample};
use crate::store::figures::{Figures, OPEN_STATES, Schema};
use crate::store::{Store, hash_token, token_matches};

/// A database that needs longer for one row would not answer callers in time either.
const DATABASE_WITHIN: Duration = Duration::from_secs(2);
/// Answers are kept so long: whoever asks more often, or many at once, ask the database no more often.
const READY_KEPT: Duration = Duration::from_secs(1);
const FIGURES_KEPT: Duration = Duration::from_secs(5);
/// Free bytes beside the SQLite file. Below the first, writes are about to fail.
const DISK_NEEDED: u64 = 64 * 1024 * 1024;
const DISK_WANTED: u64 = 1024 * 1024 * 1024;
/// A machine's clock that is corrected is moved by less than this; leases and deadlines are longer.
const CLOCK_OFF: Duration = Duration::from_secs(2);
/// How often the clock is looked at, and how long a jump is told of.
const CLOCK_TICK: Duration = Duration::from_secs(5);
const JUMP_TOLD_FOR: Duration = Duration::from_secs(600);

/// Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    edge: Edge,
    /// The folder of the SQLite file.
    disk: Option<PathBuf>,
    stopping: watch::Receiver<bool>,
    operator_key_hash: String,
    ready: Mutex<Option<(Instant, Vec<Check>)>>,
    figures: Mutex<Option<(Instant, Option<Figures>)>>,
    jump: StdMutex<Option<Jump>>,
}

/// The machine's clock was moved.
#[derive(Clone, Copy, Debug)]
struct Jump {
    at: Instant,
    by_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    /// Requests are answered, but somebody should look.
    Warn,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    name: &'static str,
    state: State,
    why: Option<String>,
}

impl Check {
    fn ok(name: &'static str) -> Check {
        Check { name, state: State::Ok, why: None }
    }

    fn warn(name: &'static str, why: impl Into<String>) -> Check {
        Check { name, state: State::Warn, why: Some(why.into()) }
    }

    fn failed(name: &'static str, why: impl Into<String>) -> Check {
        Check { name, state: State::Failed, why: Some(why.into()) }
    }
}

impl Watch {
    pub fn new(
        engine: Engine,
        edge: Edge,
        disk: Option<PathBuf>,
        stopping: watch::Receiver<bool>,
        operator_key: &Secret,
    ) -> Watch {
        let inner = Inner {
            engine,
            edge,
            disk,
            stopping,
            operator_key_hash: hash_token(operator_key.expose()),
            ready: Mutex::default(),
            figures: Mutex::default(),
            jump: StdMutex::default(),
        };
        Watch { inner: Arc::new(inner) }
    }

    /// Notices when the machine's clock is moved, as long as this is polled.
    pub async fn mind_the_clock(&self) {
        let clock = &self.inner.engine.clock;
        loop {
            let (wall, running) = (clock.now(), Instant::now());
            clock.sleep(CLOCK_TICK).await;
            let passed = i64::try_from(running.elapsed().as_millis()).unwrap_or(i64::MAX);
            let by_ms = clock.now().0.saturating_sub(wall.0).saturating_sub(passed);
            if Duration::from_millis(by_ms.unsigned_abs()) > CLOCK_OFF {
                tracing::warn!(
                    by_ms,
                    "the machine's clock was moved; leases and deadlines may be off until they are renewed"
                );
                *self.jump() = Some(Jump { at: Instant::now(), by_ms });
            }
        }
    }

    fn jump(&self) -> std::sync::MutexGuard<'_, Option<Jump>> {
        self.inner.jump.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request would find what it needs: 200 or 503, and every check by name. No secret, no address, no path.
    pub async fn ready(&self) -> Response {
        let mut checks = vec![match *self.inner.stopping.borrow() {
            true => Check::failed("serving", "the server is stopping"),
            false => Check::ok("serving"),
        }];
        // In a task of its own, as every database call: the caller may go away in the middle of it.
        let watch = self.clone();
        match tokio::spawn(async move { watch.checked().await }).await {
            Ok(checked) => checks.extend(checked),
            Err(_) => checks.push(Check::failed("database", "the check itself has failed; the log says why")),
        }
        let failed = checks.iter().any(|check| check.state == State::Failed);
        let status = if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        let listed: Vec<_> = checks
            .iter()
            .map(|check| {
                let state = match check.state {
                    State::Ok => "ok",
                    State::Warn => "warn",
                    State::Failed => "failed",
                };
                match &check.why {
                    Some(why) => json!({ "name": check.name, "state": state, "why": why }),
                    None => json!({ "name": check.name, "state": state }),
                }
            })
            .collect();
        let body = json!({ "status": if failed { "not ready" } else { "ready" }, "checks": listed });
        plain(status, "application/json", body.to_string())
    }

    /// The checks that cost something; one of several who ask at once does the work.
    async fn checked(&self) -> Vec<Check> {
        let mut kept = self.inner.ready.lock().await;
        if let Some((at, checks)) = &*kept
            && at.elapsed() < READY_KEPT
        {
            return checks.clone();
        }
        let store = &self.inner.engine.store;
        let database = database(store, &self.inner.engine.clock);
        let (database, writer, schema) = tokio::join!(database, writer(store), schema(store));
        let checks: Vec<Check> = [database, writer, schema, self.disk(), self.clock()].into();
        for Check { name, state, why } in checks.iter().filter(|check| check.state != State::Ok) {
            tracing::warn!(check = name, ?state, why, "readiness");
        }
        *kept = Some((Instant::now(), checks.clone()));
        checks
    }

    fn disk(&self) -> Check {
        const NAME: &str = "disk";
        let Some(folder) = &self.inner.disk else { return Check::ok(NAME) };
        let Ok(free) = free_bytes(folder) else { return Check::warn(NAME, "the free space cannot be asked for") };
        let left = format!("{} MiB are left beside the database", free / (1024 * 1024));
        match free {
            0..DISK_NEEDED => Check::failed(NAME, left),
            DISK_NEEDED..DISK_WANTED => Check::warn(NAME, left),
            DISK_WANTED.. => Check::ok(NAME),
        }
    }

    fn clock(&self) -> Check {
        match *self.jump() {
            Some(Jump { at, by_ms }) if at.elapsed() < JUMP_TOLD_FOR => {
                let seconds = at.elapsed().as_secs();
                Check::warn("clock", format!("the machine's clock was moved by {by_ms} ms, {seconds} s ago"))
            }
            Some(_) | None => Check::ok("clock"),
        }
    }

    /// Everything that is counted and measured, in Prometheus' text format.
    pub async fn metrics(&self) -> Response {
        let watch = self.clone();
        let gauges = tokio::spawn(async move { watch.gauges().await }).await.unwrap_or_default();
        plain(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics::render(&gauges))
    }

    async fn gauges(&self) -> Vec<Sample> {
        let Inner { engine, edge, .. } = &*self.inner;
        let figures = self.figures().await;
        let mut gauges = vec![
            metrics::HTTP_IN_FLIGHT.is([], edge.in_flight() as u64),
            metrics::WRITER_WAITING.is([], engine.store.writer().waiting as u64),
            metrics::FIGURES_UP.is([], u64::from(figures.is_some())),
            metrics::BUILD.is([env!("CARGO_PKG_VERSION")], 1),
        ];
        let Some(figures) = figures else { return gauges };
        let now = engine.clock.now();
        let age = |since: Option<Timestamp>| since.map_or(0, |since| since.until(now).as_secs());
        gauges.extend([
            metrics::OLDEST_UNKNOWN.is([], age(figures.oldest_unknown)),
            metrics::OLDEST_UNSENT.is([], age(figures.oldest_unsent)),
            metrics::OLDEST_PARKED.is([], age(figures.oldest_parked)),
            metrics::OPEN_ALERTS.is([], figures.open_alerts),
            metrics::DEAD_DELIVERIES.is([], figures.dead_deliveries),
        ]);
        let open = OPEN_STATES.iter().zip(figures.open_transactions);
        gauges.extend(open.map(|(state, count)| metrics::OPEN_TRANSACTIONS.is([state], count)));
        gauges
    }

    async fn figures(&self) -> Option<Figures> {
        let mut kept = self.inner.figures.lock().await;
        if let Some((at, figures)) = &*kept
            && at.elapsed() < FIGURES_KEPT
        {
            return figures.clone();
        }
        let figures = match timeout(DATABASE_WITHIN, self.inner.engine.store.figures()).await {
            Ok(Ok(figures)) => Some(figures),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the figures for metrics cannot be read");
                None
            }
            Err(_) => {
                tracing::warn!("the figures for metrics cannot be read in time");
                None
            }
        };
        *kept = Some((Instant::now(), figures.clone()));
        figures
    }

    /// Whether a request carries an operator's key, as Bearer or `X-Admin-Key`: any right suffices for looking.
    pub async fn may_look(&self, request: &Request) -> bool {
        let headers = request.headers();
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.split_once(' '));
        let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
        let own = headers.get("x-admin-key").and_then(|value| value.to_str().ok());
        let Some(key) = own.or(bearer).filter(|key| !key.is_empty()) else { return false };
        if token_matches(key, &self.inner.operator_key_hash) {
            return true;
        }
        let (store, hash) = (self.inner.engine.store.clone(), hash_token(key));
        let found = tokio::spawn(async move { store.operator_by_key(&hash).await }).await;
        matches!(found, Ok(Ok(Some(_))))
    }
}

async fn database(store: &Store, clock: &Clock) -> Check {
    const NAME: &str = "database";
    match timeout(DATABASE_WITHIN, store.ping()).await {
        Ok(Ok(None)) => Check::ok(NAME),
        Ok(Ok(Some(there))) => {
            let off_ms = clock.now().0.abs_diff(there.0);
            match Duration::from_millis(off_ms) > CLOCK_OFF {
                true => {
                    Check::warn(NAME, format!("its clock and ours differ by {off_ms} ms; nodes share leases by time"))
                }
                false => Check::ok(NAME),
            }
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            Check::failed(NAME, "it refuses; the log says why")
        }
        Err(_) => Check::failed(NAME, "it does not answer"),
    }
}

/// What was refused may be taken by now, so a writer that failed last is tried.
async fn writer(store: &Store) -> Check {
    const NAME: &str = "writer";
    let state = store.writer();
    if state.waiting >= state.room {
        return Check::failed(NAME, format!("{} units of work wait; more are refused", state.waiting));
    }
    if !state.failing {
        return Check::ok(NAME);
    }
    match timeout(DATABASE_WITHIN, store.try_writing()).await {
        Ok(Ok(())) => Check::ok(NAME),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            Check::failed(NAME, "the database takes no writes; the log says why")
        }
        Err(_) => Check::failed(NAME, "the database does not finish a write"),
    }
}

async fn schema(store: &Store) -> Check {
    const NAME: &str = "schema";
    match timeout(DATABASE_WITHIN, store.schema()).await {
        Ok(Ok(Schema::Current)) => Check::ok(NAME),
        Ok(Ok(Schema::Newer(why))) => Check::warn(NAME, why),
        Ok(Ok(Schema::Older(why))) => Check::failed(NAME, why),
        Ok(Err(_)) | Err(_) => Check::warn(NAME, "cannot be asked for"),
    }
}

#[cfg(unix)]
fn free_bytes(folder: &std::path::Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_folder: &std::path::Path) -> std::io::Result<u64> {
    Err(std::io::ErrorKind::Unsupported.into())
}

pub(super) fn plain(status: StatusCode, content_type: &str, body: String) -> Response {
    Response::builder().status(status).content_type(content_type).header("cache-control", "no-store").body(body)
}
