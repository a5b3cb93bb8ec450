//! Opening: connections, the schema, and refusals that a person can act on.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rialto_migrations::{Migrator, MigratorTrait};
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};

use super::vault::Vault;
use super::writer::Writer;
use super::{Backend, Inner, Store, StoreError};
use crate::clock::Clock;

/// Readers per node. On two cores four are as fast as eight; a request holds one for one statement.
const READERS_MAX: u32 = 4;
/// How long a statement waits for another process's lock on the SQLite file.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How long to try to connect, and how long a read may wait for a free reader.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// One statement on PostgreSQL. All of ours use an index; one that takes longer holds everybody up.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);
/// A PostgreSQL reader that idled for longer is asked whether it still lives before it is used.
const PING_AFTER: Duration = Duration::from_secs(1);
/// How often, and how far apart, a SQLite file that somebody else is setting up is tried: two seconds in all.
const LOCKED_TRIES: u32 = 40;
const LOCKED_PAUSE: Duration = Duration::from_millis(50);
/// Prepared statements kept per connection: all texts we have, with some room.
const STATEMENTS_CACHED: usize = 256;
/// Older versions can corrupt a WAL database when it is reset while others read.
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);
/// The advisory lock under which nodes that start together migrate one after the other: "rialto" in ASCII.
const MIGRATION_LOCK: i64 = 0x7269_616c_746f;

/// What [`Store::open`] needs.
pub struct StoreOptions {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: String,
    pub clock: Clock,
    pub vault: Vault,
    /// Brings the schema up to date first. Without it, a schema that is not up to date is refused.
    pub migrate: bool,
}

impl Store {
    /// Connects, checks, migrates and starts the writer. Errors say what to do.
    pub async fn open(options: StoreOptions) -> Result<Store, StoreError> {
        let target = Target::parse(&options.url)?;
        target.prepare()?;
        let writing = target.connect_options(Role::Writer);
        let writer = connect(&target, writing.clone()).await?;
        match &target {
            Target::Sqlite(_) => check_sqlite(&writer).await?,
            Target::Postgres(_) => check_postgres(&writer).await?,
        }
        if options.migrate {
            migrate(&writer, &target).await?;
        } else {
            check_schema(&writer).await?;
        }
        let reader = connect(&target, target.connect_options(Role::Reader)).await?;
        let backend = target.backend();
        Ok(Store {
            inner: Arc::new(Inner {
                backend,
                reader,
                writer: Writer::start(writer, writing, backend),
                vault: options.vault,
                clock: options.clock,
            }),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Writer,
    Reader,
}

enum Target {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

impl Target {
    fn parse(url: &str) -> Result<Target, StoreError> {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)
                .map_err(|error| refuse(format!("the database URL is not understood: {error}")))?;
            let path = options.get_filename();
            // Writer and readers are several connections, and each would have a database of its own.
            if url.contains(":memory:") || url.contains("mode=memory") || path.as_os_str().is_empty() {
                return Err(refuse("an in-memory SQLite database is not supported: name a file, sqlite:PATH"));
            }
            return Ok(Target::Sqlite(options));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            // The error's text may hold a part of the URL, and the URL a password.
            let options = PgConnectOptions::from_str(url).map_err(|_| {
                refuse("the database URL is not understood: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE")
            })?;
            return Ok(Target::Postgres(options));
        }
        Err(refuse("the database URL must begin with sqlite: or postgres://"))
    }

    fn backend(&self) -> Backend {
        match self {
            Target::Sqlite(_) => Backend::Sqlite,
            Target::Postgres(_) => Backend::Postgres,
        }
    }

    /// The target as a person knows it, without password.
    fn name(&self) -> String {
        match self {
            Target::Sqlite(options) => format!("SQLite file {}", options.get_filename().display()),
            Target::Postgres(options) => {
                let place = match options.get_socket() {
                    Some(socket) => socket.display().to_string(),
                    None => format!("{}:{}", options.get_host(), options.get_port()),
                };
                let user = options.get_username();
                let database = options.get_database().unwrap_or(user);
                format!("PostgreSQL database {database:?} at {place} as user {user:?}")
            }
        }
    }

    /// Makes the SQLite file, readable for its owner only; SQLite gives the files beside it the same mode.
    fn prepare(&self) -> Result<(), StoreError> {
        let Target::Sqlite(options) = self else { return Ok(()) };
        let path = options.get_filename();
        make_file(path).map_err(|error| {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(PathBuf::from);
            let folder = parent.unwrap_or_else(|| PathBuf::from("."));
            refuse(format!(
                "cannot write {}: {error}; the folder {} must exist and be writable",
                self.name(),
                folder.display()
            ))
        })
    }

    fn connect_options(&self, role: Role) -> ConnectOptions {
        let mut options = match self {
            Target::Sqlite(base) => sqlite_options(base, role),
            Target::Postgres(base) => postgres_options(base, role),
        };
        options
            .max_connections(match role {
                Role::Writer => 1,
                Role::Reader => READERS_MAX,
            })
            .min_connections(1)
            .acquire_timeout(CONNECT_WAIT)
            .idle_timeout(None::<Duration>)
            .max_lifetime(None::<Duration>)
            .sqlx_logging(false)
            .record_stmt_in_spans(false)
            .test_before_acquire(false);
        if matches!((self, role), (Target::Postgres(_), Role::Reader)) {
            options.test_before_acquire_if_idle_for(PING_AFTER);
        }
        options
    }
}

fn sqlite_options(base: &SqliteConnectOptions, role: Role) -> ConnectOptions {
    let base = base
        .clone()
        .disable_statement_logging()
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(LOCK_WAIT)
        .statement_cache_capacity(STATEMENTS_CACHED);
    let ours = match role {
        // FULL: an answered write survives a power cut. Group commit makes it as fast as NORMAL.
        Role::Writer => base.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full),
        Role::Reader => base.pragma("query_only", "1"),
    };
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.map_sqlx_sqlite_opts(move |_| ours.clone());
    options
}

fn postgres_options(base: &PgConnectOptions, role: Role) -> ConnectOptions {
    let timeout_ms = STATEMENT_TIMEOUT.as_millis().to_string();
    let base = base
        .clone()
        .disable_statement_logging()
        .statement_cache_capacity(STATEMENTS_CACHED)
        .options([("statement_timeout", timeout_ms.as_str()), ("idle_in_transaction_session_timeout", &timeout_ms)]);
    let ours = match role {
        Role::Writer => base.application_name("rialto writer"),
        Role::Reader => base.application_name("rialto reader").options([("default_transaction_read_only", "on")]),
    };
    // Not the real URL: sea-orm prints its options into trace spans, and the URL has the password.
    let mut options = ConnectOptions::new("postgres://localhost");
    options.map_sqlx_postgres_opts(move |_| ours.clone());
    options
}

fn make_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

async fn connect(target: &Target, options: ConnectOptions) -> Result<DatabaseConnection, StoreError> {
    let mut tries = 1;
    loop {
        match Database::connect(options.clone()).await {
            Ok(connection) => return Ok(connection),
            // Turning a fresh SQLite file to WAL needs it alone, and does not wait for whoever does the same.
            Err(error) if tries < LOCKED_TRIES && error.to_string().contains("database is locked") => {
                tries += 1;
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
            Err(error) => return Err(refuse(format!("cannot open {}: {error}", target.name()))),
        }
    }
}

fn refuse(text: impl Into<String>) -> StoreError {
    StoreError::Database(text.into())
}

async fn text(db: &impl ConnectionTrait, sql: &'static str) -> Result<String, StoreError> {
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    let row = row.ok_or_else(|| refuse(format!("no answer to {sql}")))?;
    Ok(row.try_get_by_index::<String>(0)?)
}

async fn check_sqlite(db: &DatabaseConnection) -> Result<(), StoreError> {
    check_sqlite_version(&text(db, "SELECT sqlite_version()").await?)
}

fn check_sqlite_version(version: &str) -> Result<(), StoreError> {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    let (major, minor, patch) = SQLITE_MIN;
    if (next(), next(), next()) < SQLITE_MIN {
        return Err(refuse(format!(
            "this binary has SQLite {version}, which can corrupt a database; it needs {major}.{minor}.{patch} or newer: \
             build it with the bundled SQLite of its own Cargo.lock"
        )));
    }
    Ok(())
}

async fn check_postgres(db: &DatabaseConnection) -> Result<(), StoreError> {
    if text(db, "SELECT current_setting('synchronous_commit')").await? == "off" {
        tracing::warn!("PostgreSQL has synchronous_commit=off: answered writes can be lost when it crashes");
    }
    Ok(())
}

/// Everything pending in one transaction: a killed start leaves the old schema, and of nodes that start together one
/// migrates while the others wait (SQLite: the write lock; PostgreSQL: an advisory lock that ends with the transaction).
async fn migrate(db: &DatabaseConnection, target: &Target) -> Result<(), StoreError> {
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(immediate).await?;
    if let Target::Postgres(_) = target {
        // Another node's migration may well take longer than one of our statements may.
        transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
        transaction.execute_unprepared(&lock).await?;
    }
    Migrator::up(&transaction, None).await.map_err(schema_error)?;
    transaction.commit().await?;
    Ok(())
}

pub(super) async fn check_schema(db: &DatabaseConnection) -> Result<(), StoreError> {
    let pending = Migrator::get_pending_migrations_read_only(db).await.map_err(schema_error)?;
    match pending.first() {
        None => Ok(()),
        Some(first) => Err(refuse(format!(
            "the database schema is older than this binary ({} is missing): run `rialto migrate`",
            first.name()
        ))),
    }
}

/// The migrator says `Custom` when the database has a migration that this binary does not know; no migration says it.
fn schema_error(error: DbErr) -> StoreError {
    match error {
        DbErr::Custom(text) => {
            refuse(format!("the database schema is newer than this binary; start a newer one ({text})"))
        }
        other => refuse(format!("the migration failed: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_sqlite_is_refused() {
        for (version, good) in
            [("3.51.2", false), ("3.46.0", false), ("3.51.3", true), ("3.52.0", true), ("4.0.0", true)]
        {
            assert_eq!(check_sqlite_version(version).is_ok(), good, "{version}");
        }
    }

    #[test]
    fn urls_are_understood_or_refused_without_their_password() {
        for url in ["sqlite::memory:", "sqlite://", "mysql://root@localhost/x", "postgres://a:secretword@[bad/x", ""] {
            let Err(error) = Target::parse(url) else { panic!("{url} is accepted") };
            assert!(!error.to_string().contains("secretword"), "{error}");
        }
        for url in ["sqlite:a/b.db", "sqlite:///tmp/b.db", "postgres://u:p@h/d", "postgresql://h:5433/d"] {
            assert!(Target::parse(url).is_ok(), "{url}");
        }
    }
}
