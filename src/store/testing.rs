//! Databases for tests: every one fresh, removed when dropped, safe beside others.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbErr, Statement};
use url::Url;

use super::{KeyRing, Store, StoreError, StoreOptions, Vault};
use crate::clock::Clock;

/// The server on which test databases are made, if another one is not named.
const ADMIN_URL: &str = "postgres://root@127.0.0.1:5432/postgres";
/// A server that is there answers at once.
const ADMIN_WAIT: Duration = Duration::from_secs(2);
/// A ring for tests; it seals nothing of worth.
pub const MASTER_KEYS: &str = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Names of the databases tests can use here: always "sqlite", and "postgres" when a server answers at
/// `RIALTO_TEST_POSTGRES`. Prints once what is skipped.
pub fn databases() -> Vec<&'static str> {
    static POSTGRES: OnceLock<bool> = OnceLock::new();
    let postgres = *POSTGRES.get_or_init(|| match admin(&admin_url(), "SELECT 1".into()) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("skipped on PostgreSQL, no server at RIALTO_TEST_POSTGRES (default {ADMIN_URL}): {error}");
            false
        }
    });
    if postgres { vec!["sqlite", "postgres"] } else { vec!["sqlite"] }
}

/// An empty database, gone when this is dropped. Keep it for as long as its stores are used.
pub struct TestDatabase {
    pub url: String,
    remove: Remove,
}

enum Remove {
    Nothing,
    Folder(PathBuf),
    Database { admin_url: String, name: String },
}

/// A new database of this kind, one of [`databases`].
pub fn fresh_url(kind: &str) -> TestDatabase {
    let id = Clock::default().new_id().simple();
    if kind == "sqlite" {
        let folder = std::env::temp_dir().join(format!("rialto-test-{id}"));
        std::fs::create_dir(&folder).expect("the temporary folder is writable");
        let url = format!("sqlite:{}", folder.join("rialto.db").display());
        return TestDatabase { url, remove: Remove::Folder(folder) };
    }
    let admin_url = admin_url();
    let name = format!("rialto_test_{id}");
    admin(&admin_url, format!("CREATE DATABASE {name}")).expect("the test server lets us create databases");
    let mut url = Url::parse(&admin_url).expect("RIALTO_TEST_POSTGRES is a URL");
    url.set_path(&name);
    TestDatabase { url: url.into(), remove: Remove::Database { admin_url, name } }
}

impl TestDatabase {
    /// The same database by another hand; it is gone with the first.
    pub fn beside(&self) -> TestDatabase {
        TestDatabase { url: self.url.clone(), remove: Remove::Nothing }
    }

    /// A store on it, as one node opens it.
    pub async fn store(&self, clock: Clock) -> Result<Store, StoreError> {
        Store::open(StoreOptions { url: self.url.clone(), clock, vault: vault(), migrate: true }).await
    }

    /// Ends every connection to it, as a restart of the server does. Nothing happens on SQLite.
    pub fn kill_connections(&self) {
        let Ok(url) = Url::parse(&self.url) else { return };
        if url.scheme() != "sqlite" {
            let name = url.path().trim_start_matches('/');
            let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
            admin(&admin_url(), sql).expect("the test server lets us end connections");
        }
    }

    /// Turns a PostgreSQL database into one that takes no writes, as a standby, and back; as seen by new connections.
    pub fn read_only(&self, on: bool) {
        let url = Url::parse(&self.url).expect("a database has a URL");
        let (name, value) = (url.path().trim_start_matches('/'), if on { "on" } else { "off" });
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
        admin(&admin_url(), sql).expect("the test server lets us change databases");
        self.kill_connections();
    }

    /// How many rows of a table are such; `true` for all.
    pub fn rows(&self, table: &str, such: &str) -> u64 {
        let (url, sql) = (self.url.clone(), format!("SELECT COUNT(*) FROM {table} WHERE {such}"));
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let db = Database::connect(ConnectOptions::new(url)).await?;
                let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
                db.close().await?;
                row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))
            })
        };
        let counted: Result<i64, DbErr> = std::thread::spawn(work).join().expect("the helper thread ends");
        u64::try_from(counted.expect("a good question")).expect("not less than none")
    }

    /// Executes a statement beside every store.
    pub fn execute(&self, sql: &str) {
        admin(&self.url, sql.into()).expect("the statement is good");
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let removed = match &self.remove {
            Remove::Nothing => Ok(()),
            Remove::Folder(folder) => std::fs::remove_dir_all(folder).map_err(|error| error.to_string()),
            Remove::Database { admin_url, name } => {
                admin(admin_url, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            }
        };
        if let Err(error) = removed {
            eprintln!("a test database is left behind: {error}");
        }
    }
}

/// A vault with the ring for tests.
pub fn vault() -> Vault {
    Vault::new(KeyRing::parse(MASTER_KEYS).expect("the ring for tests is well-formed"))
}

fn admin_url() -> String {
    std::env::var("RIALTO_TEST_POSTGRES").unwrap_or_else(|_| ADMIN_URL.into())
}

/// One statement on a connection of its own. On a thread of its own too, so that it can be called from `drop`.
fn admin(url: &str, sql: String) -> Result<(), String> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).acquire_timeout(ADMIN_WAIT).sqlx_logging(false);
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let done = runtime.block_on(async {
            let db = Database::connect(options).await?;
            db.execute_unprepared(&sql).await?;
            db.close().await
        });
        done.map_err(|error: DbErr| error.to_string())
    };
    std::thread::spawn(work).join().map_err(|_| "the helper thread panicked".to_owned())?
}
