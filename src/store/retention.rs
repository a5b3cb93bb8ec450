//! How long each row is kept: one table of policies, and the deletion of a bounded page of rows whose time is over.
//!
//! Ids are time-ordered, so a pass goes through a table by its primary key, from the oldest row on, a page at a time; the
//! condition is part of the DELETE, so a row that something open points at is never deleted, whatever was read before.

use rialto_adapters::port::{Duration, Timestamp};
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Order, Query, SelectStatement, SimpleExpr};
use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::figures::OPEN_STATES;
use super::{Store, StoreError, Unit};

/// How long the rows of one table are kept that `what` names.
pub struct Policy {
    pub table: &'static str,
    pub what: &'static str,
    pub keep: Keep,
    pub why: &'static str,
}

pub enum Keep {
    ForEver,
    Days {
        days: u32,
        key: Key,
        /// Which rows are over at a moment so many days ago.
        over: fn(Timestamp) -> Condition,
    },
}

/// The primary key by which a pass goes through the table.
#[derive(Clone, Copy)]
pub enum Key {
    /// A time-ordered `id`.
    Id,
    /// A text in this column.
    Text(&'static str),
}

const fn for_ever(table: &'static str, why: &'static str) -> Policy {
    Policy { table, what: "all", keep: Keep::ForEver, why }
}

const fn days(
    table: &'static str,
    what: &'static str,
    days: u32,
    over: fn(Timestamp) -> Condition,
    why: &'static str,
) -> Policy {
    Policy { table, what, keep: Keep::Days { days, key: Key::Id, over }, why }
}

/// Every table, children before their parents. A test holds that none is missing.
pub const POLICIES: &[Policy] = &[
    for_ever("tenants", "set up by hand; everything belongs to one"),
    for_ever("connections", "set up by hand; transactions name them"),
    for_ever("connection_settings", "a refund uses the credentials its payment was made with"),
    for_ever("api_keys", "set up by hand; intents name them"),
    for_ever("operators", "set up by hand; the audit names them"),
    for_ever("endpoints", "one per tenant and receiver"),
    for_ever("agreements", "stored means may be charged at any time"),
    for_ever("intents", "the same key must never have a second effect"),
    for_ever("transactions", "money may come back at any time"),
    for_ever("facts", "the history of every transaction"),
    for_ever("movements", "the books; the same movement must not be booked twice"),
    for_ever("bookings", "which payment took what was collected"),
    for_ever("budgets", "one per account at a PSP that counts calls"),
    for_ever("feeds", "how far a PSP's ledger was read; one per connection"),
    for_ever("simulator_records", "what the PSPs we play remember; only where they are played"),
    for_ever("simulator_jobs", "deleted when they are done"),
    for_ever("audit", "who did what; few rows"),
    days("exchanges", "of transactions that have ended", 90, over::exchanges, "disputes with a PSP come within weeks"),
    days("notices", "done or ignored", 90, over::read_notices, "what they said is in the facts"),
    days("notices", "rejected", 7, over::rejected_notices, "forged; a sample to look at"),
    days("notices", "unmatched or unreadable", 400, over::odd_notices, "nobody has wanted them for a year"),
    for_ever("parked", "deleted with the waiting of the notice they belong to"),
    days("alerts", "settled", 400, over::alerts, "somebody has seen to them"),
    days("attempts", "of acknowledged deliveries", 30, over::told_attempts, "the receiver has it"),
    days("attempts", "of dead deliveries", 400, over::dead_attempts, "go with their delivery"),
    days("deliveries", "acknowledged", 30, over::told_deliveries, "the receiver has it"),
    days("deliveries", "dead", 400, over::dead_deliveries, "can be replayed for a year"),
    days("events", "told", 400, over::events, "a reader who comes back within a year misses nothing"),
    Policy {
        table: "leases",
        what: "ended",
        keep: Keep::Days { days: 7, key: Key::Text("name"), over: over::leases },
        why: "left by nodes that are gone",
    },
    for_ever("sandbox_signers", "one per secret of a sandbox account"),
    for_ever("sandbox_means", "a test card may be charged at any time"),
    for_ever("sandbox_jobs", "deleted when they are done"),
    Policy {
        table: "sandbox_transactions",
        what: "not pending",
        keep: Keep::Days { days: 400, key: Key::Text("id"), over: over::sandbox_transactions },
        why: "the PSP we play forgets tests of last year",
    },
    for_ever("seaql_migrations", "what the tables are like; one row per change"),
];

/// Rows looked at, and at most deleted, in one unit of work: a payment behind it waits a few milliseconds.
const PAGE: u64 = 200;

impl Policy {
    /// `90 days`, `for ever`.
    pub fn kept(&self) -> String {
        match self.keep {
            Keep::ForEver => "for ever".to_owned(),
            Keep::Days { days, .. } => format!("{days} days"),
        }
    }
}

/// How far a pass has come.
#[derive(Clone, Debug)]
pub struct Cursor(Value);

/// What one page came to.
#[derive(Clone, Debug)]
pub struct Page {
    pub deleted: u64,
    /// Where to go on; `None` at the end of the table.
    pub next: Option<Cursor>,
}

impl Store {
    /// Deletes what is over of the next page of a table. Nothing happens for a policy without an end.
    pub async fn retire(&self, policy: &Policy, from: Option<Cursor>) -> Result<Page, StoreError> {
        let Keep::Days { days, key, over } = policy.keep else { return Ok(Page { deleted: 0, next: None }) };
        let cutoff = self.clock().now().minus(Duration::from_hours(24) * days);
        let (column, start) = match key {
            Key::Id => ("id", Value::from(Uuid::nil())),
            Key::Text(column) => (column, Value::from("")),
        };
        let after = from.map_or(start, |cursor| cursor.0);
        let mut select = Query::select();
        select
            .column(column)
            .expr_as(Expr::case(over(cutoff), Expr::cust("1")).finally(Expr::cust("0")), "over")
            .from(policy.table)
            .and_where(Expr::col(column).gt(after.clone()))
            .order_by(column, Order::Asc)
            .limit(PAGE);
        if let Key::Id = key {
            select.and_where(Expr::col(column).lt(first_id_at(cutoff)));
        }
        let rows = self.reader().query_all(&select).await?;
        let Some(last) = rows.last() else { return Ok(Page { deleted: 0, next: None }) };
        let last: Value = match key {
            Key::Id => last.try_get::<Uuid>("", column)?.into(),
            Key::Text(column) => last.try_get::<String>("", column)?.into(),
        };
        let mut deleted = 0;
        for row in &rows {
            deleted += u64::from(row.try_get::<i32>("", "over")? == 1);
        }
        if deleted > 0 {
            let mut unit = Unit::new("retire");
            unit.delete(
                Query::delete()
                    .from_table(policy.table)
                    .and_where(Expr::col(column).gt(after))
                    .and_where(Expr::col(column).lte(last.clone()))
                    .cond_where(over(cutoff))
                    .to_owned(),
            );
            // Nothing in it can be refused.
            self.run(unit).await?.map_err(|refusal| StoreError::Corrupt(format!("retire: {refusal:?}")))?;
        }
        let next = (rows.len() as u64 == PAGE).then_some(Cursor(last));
        Ok(Page { deleted, next })
    }

    /// The names of all tables there are.
    pub async fn tables(&self) -> Result<Vec<String>, StoreError> {
        let sql = match self.backend() {
            super::Backend::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            }
            super::Backend::Postgres => {
                "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public'"
            }
        };
        let rows = self.reader().query_all_raw(sea_orm::Statement::from_string(self.backend().sql(), sql)).await?;
        rows.iter().map(|row| row.try_get_by_index::<String>(0).map_err(StoreError::from)).collect()
    }
}

/// The smallest id that can have been made at a moment.
fn first_id_at(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(u64::try_from(at.0).unwrap_or(0)) << 80)
}

/// Which rows are over. The tables' own times decide; ids only bound what is read.
mod over {
    use super::*;

    fn col(table: &'static str, column: &'static str) -> SimpleExpr {
        Expr::col((table, column))
    }

    fn any(of: &mut SelectStatement) -> SimpleExpr {
        Expr::exists(of.expr(Expr::cust("1")).to_owned())
    }

    /// A transaction, selected by `these`, that has not ended, or has not been over for so long.
    fn open_transaction(these: SimpleExpr, since: Option<Timestamp>) -> SelectStatement {
        let mut open = Condition::any().add(col("transactions", "state").is_in(OPEN_STATES));
        if let Some(since) = since {
            open = open.add(col("transactions", "updated_at").gte(since.0));
        }
        Query::select().from("transactions").and_where(these).cond_where(open).to_owned()
    }

    pub fn exchanges(cutoff: Timestamp) -> Condition {
        let its = |table| col(table, if table == "alerts" { "transaction_id" } else { "id" });
        let own = |table| its(table).eq(col("exchanges", "transaction_id"));
        let alert = Query::select()
            .from("alerts")
            .and_where(own("alerts"))
            .and_where(col("alerts", "settled_at").is_null())
            .to_owned();
        Condition::all()
            .add(col("exchanges", "started_at").lt(cutoff.0))
            .add(any(&mut open_transaction(own("transactions"), Some(cutoff))).not())
            .add(any(&mut alert.clone()).not())
    }

    fn notices(cutoff: Timestamp, states: &[&str]) -> Condition {
        Condition::all()
            .add(col("notices", "received_at").lt(cutoff.0))
            .add(col("notices", "state").is_in(states.iter().copied()))
    }

    pub fn read_notices(cutoff: Timestamp) -> Condition {
        let mut told = open_transaction(col("facts", "notice_id").eq(col("notices", "id")), None);
        told.inner_join("facts", col("facts", "transaction_id").eq(col("transactions", "id")));
        notices(cutoff, &["done", "ignored"]).add(any(&mut told).not())
    }

    pub fn rejected_notices(cutoff: Timestamp) -> Condition {
        notices(cutoff, &["rejected"])
    }

    pub fn odd_notices(cutoff: Timestamp) -> Condition {
        notices(cutoff, &["unmatched", "unreadable"])
    }

    pub fn alerts(cutoff: Timestamp) -> Condition {
        Condition::all().add(col("alerts", "settled_at").is_not_null()).add(col("alerts", "settled_at").lt(cutoff.0))
    }

    fn attempts(cutoff: Timestamp, state: &str) -> Condition {
        let mut delivery = Query::select()
            .from("deliveries")
            .and_where(col("deliveries", "id").eq(col("attempts", "delivery_id")))
            .and_where(col("deliveries", "state").eq(state))
            .and_where(col("deliveries", "updated_at").lt(cutoff.0))
            .to_owned();
        Condition::all().add(col("attempts", "started_at").lt(cutoff.0)).add(any(&mut delivery))
    }

    pub fn told_attempts(cutoff: Timestamp) -> Condition {
        attempts(cutoff, "delivered")
    }

    pub fn dead_attempts(cutoff: Timestamp) -> Condition {
        attempts(cutoff, "dead")
    }

    fn deliveries(cutoff: Timestamp, state: &str) -> Condition {
        let mut attempt = Query::select()
            .from("attempts")
            .and_where(col("attempts", "delivery_id").eq(col("deliveries", "id")))
            .to_owned();
        Condition::all()
            .add(col("deliveries", "state").eq(state))
            .add(col("deliveries", "updated_at").lt(cutoff.0))
            .add(any(&mut attempt).not())
    }

    pub fn told_deliveries(cutoff: Timestamp) -> Condition {
        deliveries(cutoff, "delivered")
    }

    pub fn dead_deliveries(cutoff: Timestamp) -> Condition {
        deliveries(cutoff, "dead")
    }

    /// The last one told stays: the next position follows from it, and a reader's cursor must never meet one twice.
    pub fn events(cutoff: Timestamp) -> Condition {
        let mut delivery = Query::select()
            .from("deliveries")
            .and_where(col("deliveries", "event_id").eq(col("events", "id")))
            .to_owned();
        let of_intent = col("transactions", "intent_id").eq(col("events", "intent_id"));
        Condition::all()
            .add(col("events", "recorded_at").lt(cutoff.0))
            .add(col("events", "position").lt(Expr::cust("(SELECT MAX(position) FROM events)")))
            .add(any(&mut delivery).not())
            .add(any(&mut open_transaction(of_intent, None)).not())
    }

    pub fn leases(cutoff: Timestamp) -> Condition {
        Condition::all().add(col("leases", "until_ms").lt(cutoff.0))
    }

    /// Their ids end with the time-ordered part.
    pub fn sandbox_transactions(cutoff: Timestamp) -> Condition {
        let mut job = Query::select()
            .from("sandbox_jobs")
            .and_where(col("sandbox_jobs", "transaction_id").eq(col("sandbox_transactions", "id")))
            .to_owned();
        let made = Expr::cust("substr(sandbox_transactions.id, length(sandbox_transactions.id) - 31)");
        Condition::all()
            .add(made.lt(first_id_at(cutoff).simple().to_string()))
            .add(col("sandbox_transactions", "state").ne("pending"))
            .add(any(&mut job).not())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clock::Clock;
    use crate::store::testing::{databases, fresh_url};

    /// Whoever adds a table decides how long its rows are kept.
    #[tokio::test]
    async fn every_table_has_a_policy() {
        for kind in databases() {
            let database = fresh_url(kind);
            let store = database.store(Clock::default()).await.expect("a store");
            let tables = store.tables().await.expect("a database");
            let there: BTreeSet<&str> = tables.iter().map(String::as_str).collect();
            let told: BTreeSet<&str> = POLICIES.iter().map(|policy| policy.table).collect();
            assert_eq!(told, there, "{kind}: each table needs a line in POLICIES, and each line a table");
        }
        for policy in POLICIES {
            assert!(!policy.why.is_empty() && !policy.what.is_empty(), "{}", policy.table);
        }
    }

    /// All statements are good on both databases.
    #[tokio::test]
    async fn nothing_is_over_in_an_empty_database() {
        for kind in databases() {
            let database = fresh_url(kind);
            let store = database.store(Clock::default()).await.expect("a store");
            for policy in POLICIES {
                let page = store.retire(policy, None).await.unwrap_or_else(|error| panic!("{}: {error}", policy.table));
                assert!(page.deleted == 0 && page.next.is_none(), "{kind} {}", policy.table);
            }
        }
    }

    #[test]
    fn ids_of_a_moment_are_not_smaller() {
        let clock = Clock::default();
        let before = clock.now();
        let id = clock.new_id();
        assert!(first_id_at(before) <= id && id < first_id_at(clock.now().plus(Duration::from_millis(1))));
    }

    #[test]
    fn the_readme_lists_the_same() {
        let readme = include_str!("../../README.md");
        let ours: Vec<String> = POLICIES
            .iter()
            .map(|policy| format!("| `{}` | {} | {} | {} |", policy.table, policy.what, policy.kept(), policy.why))
            .collect();
        assert!(readme.contains(&ours.join("\n")), "write this:\n{}", ours.join("\n"));
    }
}
