//! The one writer of this node: it merges waiting units into one transaction and answers each caller after COMMIT.
//!
//! A unit is answered "done" only after its COMMIT has returned. A unit's own error or refusal undoes that unit alone
//! (its savepoint). An attempt that ended before COMMIT was sent has done nothing and may be repeated; after a COMMIT
//! that did not return cleanly nothing is repeated, and its callers are told that the outcome is unknown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sqlx::Error as SqlxError;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::unit::{Prepared, Refusal};
use super::{Backend, StoreError};
use crate::metrics;

/// Units in one transaction. More makes the first of them wait longer and measured no faster.
const BATCH_MAX: usize = 64;
/// Units that may wait: some tenths of a second of work, after which a caller is better told than kept.
const QUEUE_MAX: usize = 4096;
/// How long a caller waits for a place in the queue before it is told [`StoreError::Busy`].
const QUEUE_WAIT: Duration = Duration::from_secs(2);
/// One attempt at a batch, COMMIT included. A database that takes longer is as good as gone, and callers must hear it.
const BATCH_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts that ended before COMMIT: a lost connection, a deadlock with another node.
const ATTEMPTS_MAX: u32 = 3;

type Answer = Result<Result<(), Refusal>, StoreError>;

struct Job {
    name: &'static str,
    steps: Vec<Prepared>,
    answer: oneshot::Sender<Answer>,
}

/// The way to the writer task, which ends when the last `Writer` is dropped and the queue is empty.
pub(super) struct Writer {
    queue: mpsc::Sender<Job>,
    changed: Arc<watch::Sender<u64>>,
    failing: Arc<AtomicBool>,
}

/// How the writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterState {
    /// Units that wait.
    pub waiting: usize,
    /// More are refused.
    pub room: usize,
    /// The last transaction, or a unit in it, failed: not refused, but failed.
    pub failing: bool,
}

impl Writer {
    /// Starts the task. It takes `connection` over and makes new ones by `options` when that is lost.
    pub(super) fn start(connection: DatabaseConnection, options: ConnectOptions, backend: Backend) -> Writer {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let changed = Arc::new(watch::Sender::new(0));
        let failing = Arc::new(AtomicBool::new(false));
        let task = Task {
            backend,
            options,
            connection: Some(connection),
            changed: changed.clone(),
            failing: failing.clone(),
            crash: Crash::from_environment(),
        };
        tokio::spawn(task.serve(waiting));
        Writer { queue, changed, failing }
    }

    pub(super) fn state(&self) -> WriterState {
        let room = self.queue.max_capacity();
        let waiting = room.saturating_sub(self.queue.capacity());
        WriterState { waiting, room, failing: self.failing.load(Ordering::Relaxed) }
    }

    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) async fn run(&self, name: &'static str, steps: Vec<Prepared>) -> Answer {
        let (answer, answered) = oneshot::channel();
        let job = Job { name, steps, answer };
        // Without a wait where there is room, so that from its first poll on a unit no longer depends on its caller.
        match self.queue.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(job)) => match self.queue.send_timeout(job, QUEUE_WAIT).await {
                Ok(()) => {}
                Err(mpsc::error::SendTimeoutError::Timeout(_)) => return Err(StoreError::Busy),
                Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(stopped()),
            },
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(stopped()),
        }
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn stopped() -> StoreError {
    StoreError::Database("the writer has stopped; whether the unit was done is unknown".into())
}

/// Why an attempt at a whole batch came to nothing.
enum Failure {
    /// Another transaction was in the way; nothing was done.
    Clash(String),
    /// The connection is unusable; nothing was done, because COMMIT was not sent.
    Lost(String),
    /// COMMIT was sent and did not return cleanly, or time ran out: not to be repeated.
    Final(String),
}

impl Failure {
    fn error(&self) -> StoreError {
        let (Failure::Clash(text) | Failure::Lost(text) | Failure::Final(text)) = self;
        StoreError::Database(text.clone())
    }
}

struct Task {
    backend: Backend,
    options: ConnectOptions,
    /// None after a failure that leaves the connection in a state we do not know.
    connection: Option<DatabaseConnection>,
    changed: Arc<watch::Sender<u64>>,
    failing: Arc<AtomicBool>,
    crash: Crash,
}

impl Task {
    async fn serve(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH_MAX);
        while waiting.recv_many(&mut jobs, BATCH_MAX).await > 0 {
            metrics::WRITER_BATCH.saw([], jobs.len() as u64);
            let answers = self.settle(&jobs).await;
            for (job, answer) in jobs.drain(..).zip(answers) {
                // A caller that is still there logs its own error.
                if let Err(Err(error)) = job.answer.send(answer) {
                    tracing::error!(unit = job.name, %error, "a unit of work failed after its caller went away");
                }
            }
        }
        self.discard();
    }

    /// One answer per job, in order.
    async fn settle(&mut self, jobs: &[Job]) -> Vec<Answer> {
        match self.insist(jobs).await {
            Ok(answers) => answers,
            // Two nodes whose batches lock the same rows in another order: one by one they cannot block each other.
            Err(Failure::Clash(_)) if jobs.len() > 1 => self.one_by_one(jobs).await,
            Err(failure) => jobs.iter().map(|_| Err(failure.error())).collect(),
        }
    }

    async fn one_by_one(&mut self, jobs: &[Job]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            match self.insist(std::slice::from_ref(job)).await {
                Ok(answer) => answers.extend(answer),
                Err(failure @ Failure::Clash(_)) => answers.push(Err(failure.error())),
                Err(failure @ (Failure::Lost(_) | Failure::Final(_))) => {
                    answers.push(Err(failure.error()));
                    break;
                }
            }
        }
        // With the database gone, the rest is not made to wait for it one after the other.
        answers.resize(jobs.len(), Err(StoreError::Database("not attempted: the database does not answer".into())));
        answers
    }

    /// Repeats what certainly did nothing, a bounded number of times.
    async fn insist(&mut self, jobs: &[Job]) -> Result<Vec<Answer>, Failure> {
        for _ in 1..ATTEMPTS_MAX {
            match self.attempt(jobs).await {
                Ok(answers) => return Ok(answers),
                Err(Failure::Clash(_)) if jobs.len() == 1 => {}
                Err(Failure::Lost(text)) => tracing::warn!(error = text, "the database connection is replaced"),
                Err(failure @ (Failure::Clash(_) | Failure::Final(_))) => return Err(failure),
            }
        }
        self.attempt(jobs).await
    }

    async fn attempt(&mut self, jobs: &[Job]) -> Result<Vec<Answer>, Failure> {
        let started = Instant::now();
        let result = self.attempt_now(jobs).await;
        match &result {
            Ok(_) => metrics::WRITER_COMMIT.took([], started.elapsed()),
            Err(_) => metrics::WRITER_FAILURES.add([]),
        }
        let well = result.as_ref().is_ok_and(|answers| answers.iter().all(Result::is_ok));
        self.failing.store(!well, Ordering::Relaxed);
        result
    }

    async fn attempt_now(&mut self, jobs: &[Job]) -> Result<Vec<Answer>, Failure> {
        let connection = self.connection().await?;
        let mut committing = false;
        let result = match timeout(BATCH_TIMEOUT, transact(&connection, jobs, &mut committing)).await {
            Ok(result) => result,
            Err(_) if committing => Err(Failure::Final("COMMIT did not return in time: outcome unknown".into())),
            Err(_) => Err(Failure::Final("the database did not answer in time; nothing was done".into())),
        };
        match &result {
            Ok(answers) => {
                if answers.iter().any(is_done) {
                    self.crash.committed();
                    self.changed.send_modify(|count| *count += 1);
                }
            }
            Err(Failure::Clash(_)) => {}
            Err(Failure::Lost(_) | Failure::Final(_)) => self.discard(),
        }
        result
    }

    async fn connection(&mut self) -> Result<DatabaseConnection, Failure> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = Database::connect(self.options.clone()).await.map_err(|error| {
            Failure::Final(format!("cannot connect to {:?}: {error}; nothing was done", self.backend))
        })?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// Closing may wait for a database that does not answer, so nobody waits for it.
    fn discard(&mut self) {
        if let Some(connection) = self.connection.take() {
            tokio::spawn(async move {
                if let Err(error) = connection.close().await {
                    tracing::debug!(%error, "closing a database connection");
                }
            });
        }
    }
}

/// Lets a test kill this process right after a commit, before anybody hears of it: between any two steps. Release builds
/// have nothing of it.
struct Crash {
    #[cfg(debug_assertions)]
    commits_left: Option<u64>,
}

impl Crash {
    #[cfg(debug_assertions)]
    fn from_environment() -> Crash {
        let told = std::env::var("TEST_CRASH_AFTER_COMMITS").ok();
        Crash { commits_left: told.and_then(|text| text.parse().ok()) }
    }

    #[cfg(debug_assertions)]
    fn committed(&mut self) {
        if let Some(left) = &mut self.commits_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                std::process::abort();
            }
        }
    }

    #[cfg(not(debug_assertions))]
    fn from_environment() -> Crash {
        Crash {}
    }

    #[cfg(not(debug_assertions))]
    fn committed(&mut self) {}
}

fn is_done(answer: &Answer) -> bool {
    matches!(answer, Ok(Ok(())))
}

/// One transaction. `committing` is set just before COMMIT is sent.
async fn transact(
    connection: &DatabaseConnection,
    jobs: &[Job],
    committing: &mut bool,
) -> Result<Vec<Answer>, Failure> {
    // IMMEDIATE: a deferred SQLite transaction that turns writer half-way can be refused without waiting.
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = connection.begin_with_options(immediate).await.map_err(not_begun)?;
    let answers = match execute(&transaction, jobs).await {
        Ok(answers) => answers,
        Err(failure) => {
            // Of no consequence if it fails: without COMMIT nothing is kept.
            drop(transaction.rollback().await);
            return Err(failure);
        }
    };
    if answers.iter().any(is_done) {
        *committing = true;
        transaction.commit().await.map_err(not_committed)?;
    } else {
        transaction.rollback().await.map_err(fatal)?;
    }
    Ok(answers)
}

async fn execute(transaction: &DatabaseTransaction, jobs: &[Job]) -> Result<Vec<Answer>, Failure> {
    if let [job] = jobs {
        // Alone it needs no savepoint: what it did is rolled back with the transaction.
        return Ok(vec![run_steps(transaction, job).await?]);
    }
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        // Always a savepoint: PostgreSQL answers COMMIT with success after a failed statement outside of one, and
        // keeps nothing.
        let savepoint = transaction.begin().await.map_err(fatal)?;
        let answer = run_steps(&savepoint, job).await?;
        if is_done(&answer) {
            savepoint.commit().await.map_err(fatal)?;
        } else {
            savepoint.rollback().await.map_err(fatal)?;
        }
        answers.push(answer);
    }
    Ok(answers)
}

/// `Ok` is the unit's own answer, `Err` ends the whole batch.
async fn run_steps(transaction: &DatabaseTransaction, job: &Job) -> Result<Answer, Failure> {
    for step in &job.steps {
        match transaction.execute_raw(step.statement.clone()).await {
            Ok(result) => {
                if let Some((rows, refusal)) = step.wanted
                    && result.rows_affected() < rows
                {
                    return Ok(Ok(Err(refusal)));
                }
            }
            Err(error) => {
                return match blame(&error) {
                    Blame::Unit => Ok(Err(StoreError::Database(format!("{}: {error}", job.name)))),
                    Blame::Clash => Err(Failure::Clash(error.to_string())),
                    Blame::Connection => Err(Failure::Lost(error.to_string())),
                };
            }
        }
    }
    Ok(Ok(Ok(())))
}

/// SQLite's BEGIN has waited for another process's write lock as long as it may: more attempts would only add up.
fn not_begun(error: DbErr) -> Failure {
    match code(&error) {
        Some(code) if is_clash(&code) => Failure::Final(format!("another process keeps the database locked: {error}")),
        Some(_) | None => Failure::Lost(error.to_string()),
    }
}

/// A COMMIT that the database itself refuses has done nothing; without an answer nobody knows.
fn not_committed(error: DbErr) -> Failure {
    match blame(&error) {
        Blame::Unit | Blame::Clash => Failure::Final(format!("COMMIT was refused, nothing was done: {error}")),
        Blame::Connection => Failure::Final(format!("COMMIT failed, whether it was done is unknown: {error}")),
    }
}

/// An error of SAVEPOINT, RELEASE or ROLLBACK is nobody's own.
fn fatal(error: DbErr) -> Failure {
    let text = error.to_string();
    let code = code(&error);
    match code.as_deref() {
        Some(code) if is_clash(code) => Failure::Clash(text),
        Some(_) | None => Failure::Lost(text),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Blame {
    /// Only this unit's statement is wrong; a savepoint undoes it.
    Unit,
    /// Another transaction was in the way; the whole transaction is to be repeated.
    Clash,
    /// Nothing more can be done on this connection, or it may have left the transaction by itself.
    Connection,
}

fn blame(error: &DbErr) -> Blame {
    match (code(error), error) {
        (Some(code), _) => blame_code(&code),
        // A value that cannot be sent at all: the statement never left.
        (None, DbErr::Exec(RuntimeErr::SqlxError(error))) if matches!(**error, SqlxError::Encode(_)) => Blame::Unit,
        (None, _) => Blame::Connection,
    }
}

fn blame_code(code: &str) -> Blame {
    if is_clash(code) {
        return Blame::Clash;
    }
    let own = match sqlite_primary(code) {
        Some(primary) => is_own_sqlite(primary),
        None => is_own_postgres(code),
    };
    if own { Blame::Unit } else { Blame::Connection }
}

/// SQLSTATE on PostgreSQL, extended result code on SQLite; None if the database did not answer at all.
fn code(error: &DbErr) -> Option<String> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            SqlxError::Database(answer) => answer.code().map(|code| code.into_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// PostgreSQL: serialization failure, deadlock. SQLite: busy, locked, with any detail in the higher bytes.
fn is_clash(code: &str) -> bool {
    match sqlite_primary(code) {
        Some(primary) => matches!(primary, 5 | 6),
        None => matches!(code, "40001" | "40P01"),
    }
}

/// Error, too big, constraint, mismatch, range. After anything else (disk full, I/O) SQLite may have rolled the whole
/// transaction back, and the next statement would be committed by itself.
fn is_own_sqlite(primary: u32) -> bool {
    matches!(primary, 1 | 18 | 19 | 20 | 25)
}

/// Anything the server says about a statement, except that the connection or the server goes away, or that it is a
/// standby, which takes no writes: the address may lead to another server by now.
fn is_own_postgres(code: &str) -> bool {
    !(code.starts_with("08") || code.starts_with("57P") || code.starts_with("25"))
}

/// A SQLSTATE has five characters. SQLite's codes are numbers below 10000: 2314 is an I/O error, not class 23.
fn sqlite_primary(code: &str) -> Option<u32> {
    if code.len() >= 5 { None } else { code.parse::<u32>().ok().map(|number| number & 0xff) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        use Blame::{Clash, Connection, Unit};
        let rows = [
            ("1555", Unit),        // SQLite: primary key
            ("2067", Unit),        // SQLite: unique
            ("275", Unit),         // SQLite: check
            ("787", Unit),         // SQLite: foreign key
            ("1", Unit),           // SQLite: no such table
            ("5", Clash),          // SQLite: busy
            ("517", Clash),        // SQLite: busy snapshot
            ("13", Connection),    // SQLite: disk full
            ("2314", Connection),  // SQLite: I/O error
            ("23505", Unit),       // PostgreSQL: unique
            ("22003", Unit),       // PostgreSQL: out of range
            ("42P01", Unit),       // PostgreSQL: no such table
            ("57014", Unit),       // PostgreSQL: statement timeout
            ("40001", Clash),      // PostgreSQL: serialization
            ("40P01", Clash),      // PostgreSQL: deadlock
            ("57P01", Connection), // PostgreSQL: terminated by an administrator
            ("25006", Connection), // PostgreSQL: read-only, a standby
            ("08006", Connection), // PostgreSQL: connection failure
        ];
        for (code, expected) in rows {
            assert_eq!(blame_code(code), expected, "{code}");
        }
    }
}
