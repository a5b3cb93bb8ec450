//! The only place that knows the database: units of work, one file per aggregate, sealing.
//!
//! Writing: a flow builds a [`Unit`] and gives it to [`Store::run`]; one writer per node executes units in batches
//! ([`writer`]). Reading: plain statements on a pool of readers that cannot write.

pub mod agreements;
pub mod attention;
pub mod bookings;
pub mod budgets;
pub mod checkup;
pub mod deliveries;
mod entity;
pub mod events;
pub mod feeds;
pub mod figures;
pub mod find;
pub mod forms;
pub mod history;
pub mod inbox;
pub mod intents;
mod lease;
mod open;
pub mod operators;
pub mod retention;
pub mod sandbox_psp;
pub mod simulator;
mod sql;
pub mod tenants;
#[doc(hidden)]
pub mod testing;
pub mod transactions;
mod unit;
mod vault;
mod writer;

use std::sync::Arc;

use sea_orm::{DatabaseConnection, DbBackend, DbErr};
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::clock::Clock;
use crate::telemetry::DETAIL;

pub use open::StoreOptions;
pub use unit::{Refusal, Unit};
pub use vault::{KeyRing, Place, Vault, hash_token, token_matches};
pub use writer::WriterState;

/// What went wrong, as a text for the log. None of them is a caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached. Whether a unit was done is unknown only if the text says so.
    #[error("database: {0}")]
    Database(String),
    /// More units wait than the writer's queue holds; nothing was done.
    #[error("the database writer is busy")]
    Busy,
    /// Stored text that we cannot read.
    #[error("stored value cannot be read: {0}")]
    Corrupt(String),
    /// A sealed value does not open, or the keys to open it cannot be had.
    #[error("sealed: {0}")]
    Sealed(String),
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> StoreError {
        StoreError::Database(error.to_string())
    }
}

/// Which database is behind the store. Code that asks says why the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    fn sql(self) -> DbBackend {
        match self {
            Backend::Sqlite => DbBackend::Sqlite,
            Backend::Postgres => DbBackend::Postgres,
        }
    }
}

/// The database, its keys and its clock. Cheap to clone. The writer ends when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    reader: DatabaseConnection,
    writer: writer::Writer,
    vault: Vault,
    clock: Clock,
    /// How the writer's connection keeps what it commits, in the database's own words.
    durability: String,
}

impl Store {
    /// Executes a unit and answers after its COMMIT. `Ok(Err(refusal))`: nothing of it was done.
    ///
    /// The caller's future may be dropped at any time: a unit that has reached the queue runs all the same. Only while
    /// the queue is full does dropping the future take the unit back.
    pub async fn run(&self, unit: Unit) -> Result<Result<(), Refusal>, StoreError> {
        if unit.is_empty() {
            return Ok(Ok(()));
        }
        let name = unit.name();
        let span = tracing::debug_span!(target: DETAIL, "commit", unit = name);
        self.inner.writer.run(name, unit.prepare(self.inner.backend.sql())).instrument(span).await
    }

    /// Readers: SELECT only, never `begin`, because a dropped `begin` leaves a pooled connection inside a transaction.
    pub(in crate::store) fn reader(&self) -> &DatabaseConnection {
        &self.inner.reader
    }

    pub fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    fn durability(&self) -> &str {
        &self.inner.durability
    }

    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    /// Counts this node's commits: whoever waits for a row reads it again when the number changes. Commits of other
    /// nodes are not counted, so a waiter polls as well.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.writer.changed()
    }
}

#[cfg(test)]
mod tests;
