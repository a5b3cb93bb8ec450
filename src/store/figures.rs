//! What those want to know who watch the server: how old the oldest open things are, how many there are, and whether the
//! database is well. Every statement here reads an index and a bounded number of rows.

use rialto_adapters::port::Timestamp;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use uuid::Uuid;

use super::open::check_schema;
use super::unit::Refusal;
use super::writer::WriterState;
use super::{Backend, Store, StoreError, Unit};

/// Transactions that have not ended, by the names of their states. The index of the open ones has the same list.
pub const OPEN_STATES: [&str; 4] = ["created", "submitted", "pending", "unknown"];

/// What is open at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub oldest_unknown: Option<Timestamp>,
    pub oldest_unsent: Option<Timestamp>,
    pub oldest_parked: Option<Timestamp>,
    /// In the order of [`OPEN_STATES`].
    pub open_transactions: [u64; 4],
    pub open_alerts: u64,
    pub dead_deliveries: u64,
}

// The texts hold their values: a planner takes a partial index only where it sees that the rows are in it. Counts stop at
// ten thousand, by when the exact number helps nobody.
const OLDEST_UNKNOWN: &str = "SELECT MIN(created_at) FROM transactions WHERE state = 'unknown'";
const OLDEST_DUE: &str = "SELECT MIN(created_at) FROM deliveries WHERE state = 'due'";
const OLDEST_SENDING: &str = "SELECT MIN(created_at) FROM deliveries WHERE state = 'sending'";
const OLDEST_PARKED: &str = "SELECT MIN(received_at) FROM notices WHERE state = 'parked'";
const OPEN_TRANSACTIONS: &str = "SELECT state, COUNT(*) FROM (SELECT state FROM transactions \
     WHERE state IN ('created', 'submitted', 'pending', 'unknown') LIMIT 10000) AS few GROUP BY state";
const OPEN_ALERTS: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM alerts WHERE settled_at IS NULL LIMIT 10000) AS few";
const DEAD_DELIVERIES: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 'dead' LIMIT 10000) AS few";

/// Whether the tables are those this program knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    Current,
    /// A newer program has changed them; in words.
    Newer(String),
    /// An older copy was put back beneath us; in words.
    Older(String),
}

impl Store {
    pub async fn figures(&self) -> Result<Figures, StoreError> {
        let (due, sending) = (self.oldest(OLDEST_DUE).await?, self.oldest(OLDEST_SENDING).await?);
        let mut open_transactions = [0; 4];
        for row in self.rows(OPEN_TRANSACTIONS).await? {
            let (state, count) = (row.try_get_by_index::<String>(0)?, count(&row, 1)?);
            if let Some(at) = OPEN_STATES.iter().position(|known| *known == state) {
                open_transactions[at] = count;
            }
        }
        Ok(Figures {
            oldest_unknown: self.oldest(OLDEST_UNKNOWN).await?,
            oldest_unsent: due.into_iter().chain(sending).min(),
            oldest_parked: self.oldest(OLDEST_PARKED).await?,
            open_transactions,
            open_alerts: self.count(OPEN_ALERTS).await?,
            dead_deliveries: self.count(DEAD_DELIVERIES).await?,
        })
    }

    async fn rows(&self, sql: &str) -> Result<Vec<QueryResult>, StoreError> {
        Ok(self.reader().query_all_raw(Statement::from_string(self.backend().sql(), sql)).await?)
    }

    async fn oldest(&self, sql: &str) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.rows(sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(row.try_get_by_index::<Option<i64>>(0)?.map(Timestamp))
    }

    async fn count(&self, sql: &str) -> Result<u64, StoreError> {
        let rows = self.rows(sql).await?;
        rows.first().map_or(Ok(0), |row| count(row, 0))
    }

    /// Reads something. On PostgreSQL, where several nodes go by their own clocks, also what time the database has.
    pub async fn ping(&self) -> Result<Option<Timestamp>, StoreError> {
        match self.backend() {
            Backend::Sqlite => {
                self.count("SELECT COUNT(*) FROM (SELECT 1 FROM leases LIMIT 1) AS few").await.map(|_| None)
            }
            Backend::Postgres => {
                self.oldest("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)").await
            }
        }
    }

    pub async fn schema(&self) -> Result<Schema, StoreError> {
        match check_schema(self.reader()).await {
            Ok(()) => Ok(Schema::Current),
            Err(StoreError::Database(why)) if why.contains("newer than this binary") => Ok(Schema::Newer(why)),
            Err(StoreError::Database(why)) if why.contains("older than this binary") => Ok(Schema::Older(why)),
            Err(error) => Err(error),
        }
    }

    pub fn writer(&self) -> WriterState {
        self.inner.writer.state()
    }

    /// Writes something that matters to nobody: a lease that has ended already.
    pub async fn try_writing(&self) -> Result<(), StoreError> {
        let mut unit = Unit::new("try writing");
        let key =
            [("name", Expr::val("readiness")), ("holder", Expr::val(Uuid::nil())), ("until_ms", Expr::val(0_i64))];
        let (columns, values): (Vec<_>, Vec<_>) = key.into_iter().unzip();
        unit.insert_or_ignore(Query::insert().into_table("leases").columns(columns).values_panic(values).to_owned());
        let mut touch = Query::update();
        touch.table("leases").value("until_ms", 0_i64).and_where(Expr::cust("name = 'readiness'"));
        unit.must(touch, Refusal::Missing);
        self.run(unit).await.map(|_| ())
    }
}

fn count(row: &QueryResult, column: usize) -> Result<u64, StoreError> {
    Ok(u64::try_from(row.try_get_by_index::<i64>(column)?).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::core::transaction::State;
    use crate::store::testing::{databases, fresh_url};
    use rialto_adapters::port::{Reason, Stage};

    #[tokio::test]
    async fn an_empty_database_is_well() {
        for kind in databases() {
            let database = fresh_url(kind);
            let store = database.store(Clock::default()).await.expect("a store");
            assert_eq!(store.figures().await, Ok(Figures::default()), "{kind}");
            assert_eq!(store.schema().await, Ok(Schema::Current), "{kind}");
            assert_eq!(store.try_writing().await, Ok(()), "{kind}");
            assert_eq!(store.try_writing().await, Ok(()), "{kind}");
            let there = store.ping().await.expect("an answer");
            assert_eq!(there.is_some(), kind == "postgres");
            let state = store.writer();
            assert_eq!((state.waiting, state.failing), (0, false));
        }
    }

    #[test]
    fn the_open_states_are_those_of_the_model() {
        let states = [
            State::Created,
            State::Submitted,
            State::Pending(Stage::Sent),
            State::Unknown,
            State::Authorised,
            State::Succeeded,
            State::Declined(Reason::Rejected),
            State::Expired,
            State::Cancelled,
        ];
        let open: Vec<&str> = states.iter().filter(|state| state.is_open()).map(|state| state.name()).collect();
        assert_eq!(open, OPEN_STATES);
        assert!(OPEN_STATES.iter().all(|state| OPEN_TRANSACTIONS.contains(&format!("'{state}'"))));
    }

    /// A figure that reads the whole table would slow down with every payment.
    #[tokio::test]
    async fn figures_come_from_indexes() {
        let database = fresh_url("sqlite");
        let store = database.store(Clock::default()).await.expect("a store");
        let all = [
            OLDEST_UNKNOWN,
            OLDEST_DUE,
            OLDEST_SENDING,
            OLDEST_PARKED,
            OPEN_TRANSACTIONS,
            OPEN_ALERTS,
            DEAD_DELIVERIES,
        ];
        for sql in all {
            let plan = store.rows(&format!("EXPLAIN QUERY PLAN {sql}")).await.expect("a plan");
            let steps: Vec<String> = plan.iter().filter_map(|row| row.try_get::<String>("", "detail").ok()).collect();
            assert!(steps.iter().any(|step| step.contains("INDEX ix_")), "{sql}: {steps:?}");
        }
    }
}
