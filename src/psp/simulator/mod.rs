//! What the PSPs we play over HTTP share: the ways in which a call and its notices go wrong, delivery of notices by the
//! PSP's retry plan, and a control door. What a PSP *does* is its own file's ([`Play`]); it keeps its state as
//! [`records`](crate::store::simulator), so a kill loses nothing.
//!
//! - [`faults`] – the faults, and where they come from: the header `X-Simulate`, the control door, a seed.
//! - `pump` – what is due later. [`control`] – `/_control/…`, for tests and for people.

pub mod control;
pub mod faults;
mod pump;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use poem::http::{Method, StatusCode, header};
use poem::{Body, Request, Response};
use rialto_adapters::port::{Duration, Secret, Timestamp};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::store::simulator::{self as table, Job, action, state};
use crate::store::{Store, StoreError, Unit, hash_token};
use crate::wire::Poster;
use faults::{Fault, Faults, Plans, UnknownFault};

/// How long the fault `latency` keeps an answer back: longer than a caller's patience of five seconds.
const LATENCY: Duration = Duration::from_secs(8);
/// How long the fault `late` keeps a notice back: longer than the first look-ups wait.
const LATE: Duration = Duration::from_secs(60);
/// How often the fault `duplicate` has a notice delivered.
const DUPLICATES: usize = 3;
/// What a proxy in front of a PSP says when the PSP is gone.
const BAD_GATEWAY: &str = "<!doctype html><html><head><title>502 Bad Gateway</title></head><body>502</body></html>";

/// One of the PSPs we play.
#[async_trait]
pub trait Play: Send + Sync + 'static {
    /// The adapter's name; its rows in the tables go by it.
    fn name(&self) -> &'static str;

    /// The waits between attempts at a notice. After the last one it is given up.
    fn retries(&self) -> &'static [Duration];

    /// The headers of a notice, its signature among them.
    fn signed(&self, secret: &Secret, body: &[u8], now: Timestamp) -> Vec<(String, String)>;

    /// A failure (429, 500, 503) in the form in which this PSP tells it.
    fn failure(&self, status: StatusCode) -> Response;

    /// Does what was put off with [`Simulator::later`]. May be asked twice for one job.
    async fn act(&self, simulator: &Simulator, job: &Job) -> Result<(), StoreError>;
}

/// Whoever has a key at the PSP.
#[derive(Clone, Debug)]
pub struct Account {
    pub token: Secret,
    /// Where its notices go; nowhere if empty.
    pub webhook_url: String,
    pub webhook_secret: Secret,
}

impl Account {
    /// What its rows go by.
    pub fn id(&self) -> String {
        hash_token(self.token.expose())
    }
}

/// A PSP we play. Cheap to clone.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    play: Arc<dyn Play>,
    store: Store,
    poster: Arc<Poster>,
    accounts: Mutex<HashMap<String, Account>>,
    plans: Mutex<Plans>,
    /// Jobs were added.
    added: Notify,
}

/// What a call did, with the record it concerned: its notices go out before the answer where the fault `early` says so.
pub struct Done {
    pub response: Response,
    pub subject: Option<String>,
}

impl From<Response> for Done {
    fn from(response: Response) -> Done {
        Done { response, subject: None }
    }
}

impl Simulator {
    /// Notices and other things that happen later need [`Simulator::run`].
    pub fn new(play: Arc<dyn Play>, store: Store, poster: Arc<Poster>) -> Simulator {
        let inner =
            Inner { play, store, poster, accounts: Mutex::default(), plans: Mutex::default(), added: Notify::new() };
        Simulator { inner: Arc::new(inner) }
    }

    /// The adapter's name.
    pub fn name(&self) -> &'static str {
        self.inner.play.name()
    }

    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub fn clock(&self) -> &Clock {
        self.inner.store.clock()
    }

    /// Opens an account, or changes the one with this token.
    pub fn set_account(&self, account: Account) {
        lock(&self.inner.accounts).insert(account.id(), account);
    }

    /// The account with this id.
    pub fn account(&self, id: &str) -> Option<Account> {
        lock(&self.inner.accounts).get(id).cloned()
    }

    /// The account whose token a request bears.
    pub fn caller(&self, request: &Request) -> Option<Account> {
        let value = request.header(header::AUTHORIZATION)?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| self.account(&hash_token(token.trim())))?
    }

    /// The faults of a request: those its header names, and those that were planned.
    pub fn faults(&self, request: &Request) -> Result<Faults, UnknownFault> {
        let named = Faults::parse(request.header(faults::HEADER).unwrap_or_default())?;
        let changes = request.method() != Method::GET;
        Ok(named.and(lock(&self.inner.plans).take(request.uri().path(), changes)))
    }

    pub fn plan(&self, change: impl FnOnce(&mut Plans)) {
        change(&mut lock(&self.inner.plans));
    }

    /// Answers a call under its faults. The effect runs in a task of its own: a caller who goes away does not break it off.
    pub async fn answer(&self, faults: &Faults, effect: impl Future<Output = Done> + Send + 'static) -> Response {
        let play = &self.inner.play;
        if faults.has(Fault::RateLimit) {
            return play.failure(StatusCode::TOO_MANY_REQUESTS);
        }
        if faults.has(Fault::Error) {
            return play.failure(StatusCode::INTERNAL_SERVER_ERROR);
        }
        if faults.has(Fault::LostBefore) {
            return lost();
        }
        let Ok(done) = tokio::spawn(effect).await else {
            return play.failure(StatusCode::INTERNAL_SERVER_ERROR);
        };
        self.inner.added.notify_one();
        if let (true, Some(subject)) = (faults.has(Fault::Early), &done.subject) {
            pump::deliver_now(self, subject).await;
        }
        if faults.has(Fault::Latency) {
            self.clock().sleep(LATENCY).await;
        }
        if faults.has(Fault::LostAfter) {
            return lost();
        }
        if faults.has(Fault::ErrorAfter) {
            return play.failure(StatusCode::SERVICE_UNAVAILABLE);
        }
        if faults.has(Fault::Html) {
            return Response::builder().status(StatusCode::BAD_GATEWAY).content_type("text/html").body(BAD_GATEWAY);
        }
        done.response
    }

    /// Adds a notice to the unit that makes the change it tells of. `stale`: what the PSP would have told a moment before,
    /// for the fault `reorder`.
    pub fn notice(&self, unit: &mut Unit, account: &str, subject: &str, body: &str, stale: &str, faults: &Faults) {
        let now = self.clock().now();
        if faults.has(Fault::Forged) {
            self.add(unit, account, subject, action::FORGED, body, now);
        }
        if faults.has(Fault::Missing) {
            return;
        }
        let due = if faults.has(Fault::Late) { self.clock().after(LATE) } else { now };
        for _ in 0..if faults.has(Fault::Duplicate) { DUPLICATES } else { 1 } {
            self.add(unit, account, subject, action::NOTICE, body, due);
        }
        if faults.has(Fault::Reorder) {
            self.add(unit, account, subject, action::NOTICE, stale, due);
        }
    }

    /// Puts something off: [`Play::act`] gets it after this wait of ours.
    pub fn later(&self, unit: &mut Unit, account: &str, subject: &str, word: &str, body: &str, wait: Duration) {
        self.add(unit, account, subject, word, body, self.clock().after(wait));
    }

    fn add(&self, unit: &mut Unit, account: &str, subject: &str, word: &str, body: &str, due: Timestamp) {
        let job = Job {
            id: self.clock().new_id().simple().to_string(),
            psp: self.name().to_owned(),
            account: account.to_owned(),
            subject: subject.to_owned(),
            action: word.to_owned(),
            body: body.to_owned(),
            state: state::OPEN.to_owned(),
            due_ms: due.0,
            attempts: 0,
            status: 0,
        };
        table::add_job(unit, &job);
        self.inner.added.notify_one();
    }

    /// Does what is due later until the future is dropped. Any number of nodes may run it: each job is claimed first.
    pub async fn run(&self) {
        pump::run(self).await;
    }

    /// Whether nothing is left to do or to tell.
    pub async fn is_idle(&self) -> Result<bool, StoreError> {
        Ok(table::next_due(self.store(), self.name()).await?.is_none())
    }
}

/// No answer: the connection breaks off.
fn lost() -> Response {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the fault `lost`");
    let nothing = futures_util::stream::once(async { Err::<bytes::Bytes, _>(broken) });
    Response::builder().content_type("application/json").body(Body::from_bytes_stream(nothing))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
