//! What surrounds every request. From the outside in:
//!
//! 1. [`Edge::bind`]: connections – a cap, a deadline for each request's head, an idle time;
//! 2. [`Edge::observed`]: a trace id, a deadline for the body, one line in the access log, one measurement;
//! 3. [`error::mapped`](super::error::mapped): errors in the contract's error body;
//! 4. [`Edge::detached`]: a cap on requests in flight, and a task of its own for each.

mod line;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use poem::error::ResponseError;
use poem::http::header::HeaderName;
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::{Body, Endpoint, IntoResponse, Request, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument;

pub use line::{EdgeAcceptor, Watched};
use line::{Line, Lines, Patience};

use super::error::Problem;

/// The bounds of the edge. They are about other people's time, so a test's time scale does not touch them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; more wait to be accepted. Below the descriptors a process may usually have with room for the
    /// database and for calls to the outside.
    pub connections_max: usize,
    /// Requests being handled at once, over all contracts; more are answered 503. A handler holds little while it waits,
    /// but behind this stands one database writer.
    pub in_flight_max: usize,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    /// Longer than the usual keep-alive of proxies and clients (60 s), so that it is they who close.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 768,
            in_flight_max: 512,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
        }
    }
}

/// What a caller that came at a busy moment is told to wait.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, also in its answer's `x-request-id`: `Data<&RequestId>` in a handler. It is the trace id of the
/// caller's `traceparent`, else one of ours: 32 hexadecimal digits, under which everything stands that the request leads
/// to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// Of a request that came through [`Edge::observed`].
    pub fn of(request: &Request) -> Option<Arc<str>> {
        request.extensions().get::<RequestId>().map(|id| id.0.clone())
    }
}

/// Filled in by whoever knows which operation of which contract a request is.
#[derive(Clone, Debug, Default)]
pub struct Naming(Arc<OnceLock<(&'static str, &'static str)>>);

impl Naming {
    pub fn tell(request: &Request, contract: &'static str, operation: &'static str) {
        if let Some(naming) = request.extensions().get::<Naming>() {
            // The first who knows is the one in front.
            let _ = naming.0.set((contract, operation));
        }
    }
}

/// A request that has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub contract: &'static str,
    pub operation: &'static str,
    pub status: u16,
    pub took: Duration,
}

type NewId = dyn Fn() -> String + Send + Sync;

/// The limits with what is counted against them. One for the whole server; clones share.
#[derive(Clone)]
pub struct Edge {
    limits: Limits,
    new_id: Arc<NewId>,
    measure: fn(Answered),
    lines: Lines,
    connections: Arc<Semaphore>,
    in_flight: Arc<Semaphore>,
}

impl Edge {
    /// `new_id` makes trace ids: 32 hexadecimal digits in lower case, not all zero.
    pub fn new(limits: Limits, new_id: impl Fn() -> String + Send + Sync + 'static) -> Edge {
        Edge {
            limits,
            new_id: Arc::new(new_id),
            measure: |_| {},
            lines: Lines::default(),
            connections: Arc::new(Semaphore::new(limits.connections_max)),
            in_flight: Arc::new(Semaphore::new(limits.in_flight_max)),
        }
    }

    /// What is done with every answered request; it must not wait.
    #[must_use]
    pub fn measured(self, measure: fn(Answered)) -> Edge {
        Edge { measure, ..self }
    }

    /// Requests being handled now.
    pub fn in_flight(&self) -> usize {
        self.limits.in_flight_max.saturating_sub(self.in_flight.available_permits())
    }

    /// Listens; the result goes into `poem::Server::new_with_acceptor`.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(&self, address: SocketAddr) -> io::Result<EdgeAcceptor> {
        let listener = TcpListener::bind(address).await?;
        let local = listener.local_addr()?;
        let patience = Patience { head: self.limits.head_timeout, idle: self.limits.idle_timeout };
        let (lines, places) = (self.lines.clone(), self.connections.clone());
        Ok(EdgeAcceptor { listener, local, lines, places, patience })
    }

    /// The outermost endpoint: request id, body deadline, access log. Errors that nobody mapped end here as plain text.
    pub fn observed<E: Endpoint>(&self, endpoint: E) -> Observed<E> {
        Observed { edge: self.clone(), endpoint }
    }

    /// Runs every request in a task of its own. poem drops a handler when its client resets the connection; here it runs
    /// on to its end, so a write that was begun is never left half done. A panic becomes a 500, a request above the cap
    /// a 503, both as [`Problem`]s.
    pub fn detached<E: Endpoint + 'static>(&self, endpoint: E) -> Detached<E> {
        Detached { in_flight: self.in_flight.clone(), endpoint: Arc::new(endpoint) }
    }

    /// Resolves when no request is being handled, those included whose clients have gone. Requests that come meanwhile
    /// are answered 503, and it stays so: this is for shutting down.
    pub async fn drained(&self) {
        let all = u32::try_from(self.limits.in_flight_max).unwrap_or(u32::MAX);
        // Only a closed semaphore could refuse, and nobody closes this one.
        if let Ok(places) = self.in_flight.acquire_many(all).await {
            places.forget();
        }
    }
}

/// See [`Edge::detached`].
pub struct Detached<E> {
    in_flight: Arc<Semaphore>,
    endpoint: Arc<E>,
}

impl<E: Endpoint + 'static> Endpoint for Detached<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let Ok(place) = self.in_flight.clone().try_acquire_owned() else {
            return Err(Problem::busy(BUSY_RETRY_AFTER).into());
        };
        let endpoint = self.endpoint.clone();
        let work = async move {
            let _place = place;
            endpoint.call(request).await.map(IntoResponse::into_response)
        };
        match tokio::spawn(work.in_current_span()).await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => {
                tracing::error!("a handler panicked");
                Err(Problem::internal().into())
            }
            // The runtime is shutting down.
            Err(_) => Err(Problem::busy(BUSY_RETRY_AFTER).into()),
        }
    }
}

/// See [`Edge::observed`].
pub struct Observed<E> {
    edge: Edge,
    endpoint: E,
}

impl<E: Endpoint> Endpoint for Observed<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let line = self.edge.lines.find(request.local_addr(), request.remote_addr());
        let _busy = line.as_ref().map(Line::busy);
        let caller = traceparent(request.headers());
        let id: Arc<str> = caller.map_or_else(|| (self.edge.new_id)(), |(trace, _)| trace.to_owned()).into();
        let span = tracing::error_span!(
            "request",
            trace = &*id,
            parent = caller.map(|(_, parent)| parent),
            method = %request.method(),
            contract = tracing::field::Empty,
            operation = tracing::field::Empty,
            status = tracing::field::Empty,
            error = tracing::field::Empty,
        );
        let naming = Naming::default();
        request.extensions_mut().insert(RequestId(id.clone()));
        request.extensions_mut().insert(naming.clone());
        let body = request.take_body();
        request.set_body(timed(body, self.edge.limits.body_timeout));
        let mut entry = Entry {
            method: request.method().clone(),
            path: logged_path(request.uri().path()),
            area: area(request.uri().path()),
            start: Instant::now(),
            status: None,
            naming,
            span: span.clone(),
            measure: self.edge.measure,
        };
        let answer = self.endpoint.call(request).instrument(span).await;
        let mut response = answer.map(IntoResponse::into_response).unwrap_or_else(plain);
        response.headers_mut().extend(HeaderValue::try_from(&*id).ok().map(|id| (REQUEST_ID, id)));
        entry.status = Some(response.status());
        Ok(response)
    }
}

/// The last resort for an error that no contract has mapped.
fn plain(error: poem::Error) -> Response {
    match error.is_from_response() {
        true => error.into_response(),
        false => Problem::of(&error).as_response(),
    }
}

/// A line of the access log and a measurement, made when the request is over, also when its client did not wait for that.
struct Entry {
    method: Method,
    path: String,
    area: &'static str,
    start: Instant,
    status: Option<StatusCode>,
    naming: Naming,
    span: tracing::Span,
    measure: fn(Answered),
}

/// What stands in the log, as others write it, where the client has gone before the answer.
const STATUS_CLIENT_GONE: u16 = 499;
/// From here on it is our fault.
const STATUS_OURS: u16 = 500;

impl Drop for Entry {
    fn drop(&mut self) {
        let status = self.status.map_or(STATUS_CLIENT_GONE, |status| status.as_u16());
        let took = self.start.elapsed();
        let (contract, operation) = self.naming.0.get().copied().unwrap_or((self.area, "-"));
        (self.measure)(Answered { contract, operation, status, took });
        let span = &self.span;
        span.record("contract", contract).record("operation", operation).record("status", status);
        if status >= STATUS_OURS {
            span.record("error", "our fault");
        }
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        span.in_scope(|| tracing::info!(target: "access", method = %self.method, path = %self.path, status, ms));
    }
}

/// What a request is about that belongs to no contract: the first part of its path, where it is one of ours.
fn area(path: &str) -> &'static str {
    const AREAS: &[(&str, &str)] = &[
        ("hooks", "hooks"),
        ("r", "page"),
        ("d", "page"),
        ("sandbox", "sandbox"),
        ("docs", "docs"),
        ("openapi", "docs"),
        ("health", "health"),
        ("metrics", "metrics"),
    ];
    let first = path.split('/').nth(1).unwrap_or_default();
    AREAS.iter().find(|(name, _)| *name == first).map_or("other", |(_, area)| area)
}

/// Trace id and span id of a caller, from the one valid `traceparent` (W3C Trace Context). Whatever is not valid is as if
/// it were not there.
fn traceparent(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut given = headers.get_all("traceparent").iter();
    let (Some(header), None) = (given.next(), given.next()) else { return None };
    let mut parts = header.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, digits| text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let id = |text: &str, digits| hex(text, digits) && text.bytes().any(|byte| byte != b'0');
    // A later version may say more behind what this one says.
    let whole = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    (whole && id(trace, 32) && id(parent, 16) && hex(flags, 2)).then_some((trace, parent))
}

/// Longest path logged, in characters.
const LOGGED_PATH_MAX: usize = 200;

/// A path fit for the log: what follows `/r/` and `/d/` is a payer's token; a PSP's notice may have one behind the
/// connection's id.
fn logged_path(path: &str) -> String {
    let mut parts = path.splitn(4, '/').skip(1);
    let (first, second, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let is = |name: &str| first.eq_ignore_ascii_case(name);
    match (second, rest) {
        (Some(_), _) if is("r") || is("d") => format!("/{first}/…"),
        (Some(_), Some(_)) if is("sandbox") => "/sandbox/…".to_owned(),
        (Some(connection), Some(_)) if is("hooks") => format!("/hooks/{}/…", cut(connection)),
        _ => cut(path),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LOGGED_PATH_MAX).collect()
}

/// How much of a body that nobody wanted is read all the same, and for how long. A connection that is closed while its
/// client still writes is reset, and the client sees that instead of its 401 or 413.
const LINGER_BYTES_MAX: usize = 32 * 1024 * 1024;
const LINGER_FOR: Duration = Duration::from_secs(2);

type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A body that is being read. What is left of it when its reader has had enough is thrown away as it comes.
struct Arriving(Option<Chunks>);

impl Drop for Arriving {
    fn drop(&mut self) {
        // Without a runtime there is no connection either.
        let (Some(mut left), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else { return };
        let to_its_end = async move {
            let mut bytes = 0;
            while let (true, Some(Ok(chunk))) = (bytes <= LINGER_BYTES_MAX, left.next().await) {
                bytes += chunk.len();
            }
        };
        runtime.spawn(tokio::time::timeout(LINGER_FOR, to_its_end));
    }
}

/// A request body that fails with `TimedOut` when it has not arrived in time.
fn timed(body: Body, within: Duration) -> Body {
    if body.is_empty() {
        return body;
    }
    let deadline = Instant::now() + within;
    let arriving = Arriving(Some(Box::pin(body.into_bytes_stream())));
    Body::from_bytes_stream(futures_util::stream::unfold(arriving, move |mut arriving| async move {
        let next = tokio::time::timeout_at(deadline, arriving.0.as_mut()?.next()).await;
        let end = match next {
            Ok(Some(Ok(chunk))) => return Some((Ok(chunk), arriving)),
            Ok(Some(Err(error))) => Some(error),
            Ok(None) => None,
            Err(late) => Some(io::Error::new(io::ErrorKind::TimedOut, late)),
        };
        // Nothing more is to be had.
        arriving.0 = None;
        end.map(|error| (Err(error), arriving))
    }))
}

#[cfg(test)]
mod tests;
