//! Units of work on both databases. The rows are leases: a table with one unique key, which is all that is needed.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use sea_orm::sea_query::{Expr, InsertStatement, Query, UpdateStatement};
use sea_orm::{ConnectionTrait, ExprTrait};
use uuid::Uuid;

use super::testing::{TestDatabase, databases, fresh_url, vault};
use super::*;

async fn open(kind: &str) -> (Store, TestDatabase) {
    let database = fresh_url(kind);
    let store = database.store(Clock::default()).await.expect("a fresh database opens");
    (store, database)
}

fn row(name: impl Into<String>, until_ms: i64) -> InsertStatement {
    Query::insert()
        .into_table("leases")
        .columns(["name", "holder", "until_ms"])
        .values_panic([name.into().into(), Uuid::nil().into(), until_ms.into()])
        .to_owned()
}

/// Moves the row from one value to the next, if it still has the first.
fn step(name: &str, from: i64, to: i64) -> UpdateStatement {
    Query::update()
        .table("leases")
        .value("until_ms", to)
        .and_where(Expr::col("name").eq(name))
        .and_where(Expr::col("until_ms").eq(from))
        .to_owned()
}

fn unit(build: impl FnOnce(&mut Unit)) -> Unit {
    let mut unit = Unit::new("test");
    build(&mut unit);
    unit
}

async fn names(store: &Store) -> Vec<String> {
    let select = Query::select().column("name").from("leases").order_by("name", sea_orm::Order::Asc).to_owned();
    let rows = store.reader().query_all(&select).await.expect("readable");
    rows.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
}

#[tokio::test]
async fn of_two_units_under_one_key_one_wins_and_the_other_did_nothing() {
    for kind in databases() {
        let (store, _database) = open(kind).await;
        let claim = |own: &str| {
            let own = own.to_owned();
            unit(|u| {
                u.insert(row(own, 1));
                u.claim(row("key", 1), Refusal::KeyTaken);
            })
        };
        let (one, two) = tokio::join!(store.run(claim("one")), store.run(claim("two")));
        assert_eq!((one, two), (Ok(Ok(())), Ok(Err(Refusal::KeyTaken))), "{kind}");
        assert_eq!(names(&store).await, ["key", "one"], "{kind}");
        assert_eq!(store.run(claim("three")).await, Ok(Err(Refusal::KeyTaken)), "alone in its batch, {kind}");
        assert_eq!(names(&store).await, ["key", "one"], "{kind}");
    }
}

/// SQLite takes the statements of a unit together. What stands behind a claim may fail only because the claim did not
/// get its row: that is a refusal, not an error.
#[tokio::test]
async fn a_refused_claim_is_a_refusal_whatever_stands_behind_it() {
    for kind in databases() {
        let (store, _database) = open(kind).await;
        assert_eq!(store.run(unit(|u| u.insert(row("key", 1)))).await, Ok(Ok(())), "{kind}");
        let late = unit(|u| {
            u.claim(row("key", 1), Refusal::KeyTaken);
            u.insert(row("key", 1));
        });
        assert_eq!(store.run(late).await, Ok(Err(Refusal::KeyTaken)), "{kind}");
    }
}

#[tokio::test]
async fn a_unit_whose_conditional_update_fails_leaves_nothing() {
    for kind in databases() {
        let (store, _database) = open(kind).await;
        let setup = unit(|u| u.insert(row("counter", 10)));
        assert_eq!(store.run(setup).await, Ok(Ok(())));
        let stale = unit(|u| {
            u.insert(row("before", 1));
            u.must(step("counter", 9, 8), Refusal::Stale);
            u.insert(row("after", 1));
        });
        assert_eq!(store.run(stale.clone()).await, Ok(Err(Refusal::Stale)), "{kind}");
        let takes = (0..5).map(|_| store.run(unit(|u| u.must(step("counter", 10, 9), Refusal::Short))));
        let won = join_all(takes).await.into_iter().filter(|answer| *answer == Ok(Ok(()))).count();
        assert_eq!(won, 1, "{kind}");
        assert_eq!(names(&store).await, ["counter"], "{kind}");
        assert_eq!(store.run(stale).await, Ok(Ok(())), "the same value again, now that it fits, {kind}");
        assert_eq!(names(&store).await, ["after", "before", "counter"], "{kind}");
    }
}

#[tokio::test]
async fn in_a_batch_of_64_everybody_gets_their_own_answer() {
    for kind in databases() {
        let (store, _database) = open(kind).await;
        assert_eq!(store.run(unit(|u| u.insert(row("taken", 1)))).await, Ok(Ok(())));
        let before = *store.changed().borrow();
        let units = (0..64).map(|index| {
            unit(|u| {
                u.insert(row(format!("{index:02}"), 1));
                match index % 5 {
                    0 => {}
                    1 => u.claim(row("taken", 1), Refusal::KeyTaken),
                    2 => u.insert(row("taken", 1)),
                    3 => u.must(step("taken", 7, 8), Refusal::Stale),
                    _ => u.insert_or_ignore(row("taken", 1)),
                }
            })
        });
        // Queued before the writer is polled for the first time, so that they are one batch.
        let answers = join_all(units.map(|unit| store.run(unit))).await;
        for (index, answer) in answers.iter().enumerate() {
            let good = match index % 5 {
                1 => *answer == Ok(Err(Refusal::KeyTaken)),
                2 => matches!(answer, Err(StoreError::Database(text)) if text.starts_with("test: ")),
                3 => *answer == Ok(Err(Refusal::Stale)),
                _ => *answer == Ok(Ok(())),
            };
            assert!(good, "{kind} {index}: {answer:?}");
        }
        let mut expected: Vec<String> =
            (0..64).filter(|index| matches!(index % 5, 0 | 4)).map(|index| format!("{index:02}")).collect();
        expected.push("taken".into());
        assert_eq!(names(&store).await, expected, "{kind}");
        assert_eq!(*store.changed().borrow(), before + 1, "one COMMIT, {kind}");
    }
}

#[tokio::test]
async fn every_kind_of_a_units_own_error_leaves_the_others_alone() {
    for kind in databases() {
        let (store, _database) = open(kind).await;
        let null = Query::insert()
            .into_table("leases")
            .columns(["name", "holder", "until_ms"])
            .values_panic(["null".into(), Uuid::nil().into(), None::<i64>.into()])
            .to_owned();
        let absent = Query::insert().into_table("no_such_table").columns(["a"]).values_panic([1.into()]).to_owned();
        let bad = [unit(|u| u.insert(null)), unit(|u| u.insert(absent))];
        for (index, bad) in bad.into_iter().enumerate() {
            let good = |name: String| unit(|u| u.insert(row(name, 1)));
            let (one, failed, two) = tokio::join!(
                store.run(good(format!("{index}a"))),
                store.run(bad.clone()),
                store.run(good(format!("{index}b")))
            );
            assert_eq!((one, two), (Ok(Ok(())), Ok(Ok(()))), "{kind} {index}");
            assert!(failed.is_err(), "{kind} {index}");
            assert!(store.run(bad).await.is_err(), "alone, {kind} {index}");
        }
        assert_eq!(names(&store).await, ["0a", "0b", "1a", "1b"], "{kind}");
    }
}

#[tokio::test]
async fn a_unit_runs_though_its_caller_went_away() {
    for kind in databases() {
        let (store, _database) = open(kind).await;
        for index in 0..100 {
            let run = store.run(unit(|u| u.insert(row(format!("{index:03}"), 1))));
            // Polled once and dropped, as a handler is whose client has reset the connection.
            assert_eq!(run.now_or_never(), None, "the writer has not been polled yet");
        }
        let last = store.run(unit(|u| u.insert(row("last", 1)))).await;
        assert_eq!(last, Ok(Ok(())), "{kind}");
        assert_eq!(names(&store).await.len(), 101, "{kind}");
    }
}

#[tokio::test]
async fn lost_connections_are_replaced() {
    for kind in databases() {
        let (store, database) = open(kind).await;
        for index in 0..3 {
            let own = unit(|u| u.insert(row(format!("{index}"), 1)));
            assert_eq!(store.run(own).await, Ok(Ok(())), "{kind}");
            database.kill_connections();
        }
        let batch = (0..10).map(|index| store.run(unit(|u| u.insert(row(format!("b{index}"), 1)))));
        for answer in join_all(batch).await {
            assert_eq!(answer, Ok(Ok(())), "{kind}");
        }
        // A reader that was killed less than a second ago may say so once; the writer's count does not need it.
        let taken = store.run(unit(|u| u.claim(row("b9", 1), Refusal::KeyTaken))).await;
        assert_eq!(taken, Ok(Err(Refusal::KeyTaken)), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_is_stored_though_connections_are_killed() {
    for kind in databases() {
        let (store, database) = open(kind).await;
        let callers = (0..4).map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut answered = Vec::new();
                for index in 0..100 {
                    let name = format!("{caller}-{index:03}");
                    match store.run(unit(|u| u.insert(row(name.clone(), 1)))).await {
                        Ok(Ok(())) => answered.push(name),
                        Ok(Err(refusal)) => panic!("{refusal:?}"),
                        Err(StoreError::Database(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                answered
            })
        });
        let callers: Vec<_> = callers.collect();
        for _ in 0..3 {
            database.kill_connections();
        }
        let mut answered = Vec::new();
        for caller in callers {
            answered.extend(caller.await.expect("no panic"));
        }
        let again = database.store(Clock::default()).await.expect("another node opens");
        let stored = names(&again).await;
        assert!(answered.len() > 300, "{kind}: most get through");
        let lost: Vec<_> = answered.iter().filter(|name| !stored.contains(name)).collect();
        assert!(lost.is_empty(), "{kind}: {lost:?}");
    }
}

#[tokio::test]
async fn a_refused_commit_is_an_error_for_all_of_its_batch() {
    for kind in databases() {
        let (store, database) = open(kind).await;
        // Checked at COMMIT only. None of our own constraints is.
        database
            .execute("CREATE TABLE late (name TEXT NOT NULL REFERENCES leases (name) DEFERRABLE INITIALLY DEFERRED)");
        let late = Query::insert().into_table("late").columns(["name"]).values_panic(["absent".into()]).to_owned();
        let (good, bad) = tokio::join!(store.run(unit(|u| u.insert(row("a", 1)))), store.run(unit(|u| u.insert(late))));
        for answer in [good, bad] {
            let Err(StoreError::Database(text)) = answer else { panic!("{kind}: {answer:?}") };
            assert!(text.contains("nothing was done"), "{kind}: {text}");
        }
        assert_eq!(names(&store).await, Vec::<String>::new(), "{kind}");
        assert_eq!(store.run(unit(|u| u.insert(row("a", 1)))).await, Ok(Ok(())), "{kind}");
    }
}

#[tokio::test]
async fn two_nodes_that_lock_each_others_rows_both_get_through() {
    for kind in databases() {
        let (one, database) = open(kind).await;
        let two = database.store(Clock::default()).await.expect("a second node opens");
        assert_eq!(one.run(unit(|u| (0..8).for_each(|i| u.insert(row(format!("{i}"), 0))))).await, Ok(Ok(())));
        let add = |name: String| {
            let value = Expr::col("until_ms").add(1);
            let mut update = Query::update();
            update.table("leases").value("until_ms", value).and_where(Expr::col("name").eq(name));
            unit(|u| u.must(update, Refusal::Missing))
        };
        for round in 0..2 {
            let up = (0..8).map(|i| one.run(add(format!("{i}"))));
            let down = (0..8).rev().map(|i| two.run(add(format!("{i}"))));
            let (up, down) = tokio::join!(join_all(up), join_all(down));
            for answer in up.into_iter().chain(down) {
                assert_eq!(answer, Ok(Ok(())), "{kind} round {round}");
            }
        }
        let select = Query::select().expr(Expr::cust("min(until_ms)")).from("leases").to_owned();
        let least = one.reader().query_one(&select).await.expect("readable").expect("a row");
        assert_eq!(least.try_get_by_index::<i64>(0), Ok(4), "{kind}");
    }
}

#[tokio::test]
async fn nodes_that_start_together_migrate_once() {
    for kind in databases() {
        let database = fresh_url(kind);
        let opened = join_all((0..3).map(|_| database.store(Clock::default()))).await;
        for store in opened {
            let store = store.unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert_eq!(names(&store).await, Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn a_schema_that_does_not_fit_is_refused() {
    for kind in databases() {
        let database = fresh_url(kind);
        let unmigrated =
            StoreOptions { url: database.url.clone(), clock: Clock::default(), vault: vault(), migrate: false };
        let Err(error) = Store::open(unmigrated).await else { panic!("an empty database is accepted") };
        assert!(error.to_string().contains("rialto migrate"), "{kind}: {error}");

        drop(database.store(Clock::default()).await.expect("migrated"));
        database.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m2999_future', 0)");
        for migrate in [false, true] {
            let options = StoreOptions { url: database.url.clone(), clock: Clock::default(), vault: vault(), migrate };
            let Err(error) = Store::open(options).await else { panic!("a newer schema is accepted") };
            assert!(error.to_string().contains("newer than this binary"), "{kind}: {error}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let urls = ["sqlite:/nonexistent/folder/rialto.db", "postgres://nobody:hidden@localhost/none?host=/nonexistent"];
    for (url, says) in urls.into_iter().zip(["/nonexistent/folder must exist", "/nonexistent as user \"nobody\""]) {
        let options = StoreOptions { url: url.into(), clock: Clock::default(), vault: vault(), migrate: true };
        let Err(error) = Store::open(options).await else { panic!("{url} opens") };
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
}

#[tokio::test]
async fn readers_cannot_write_and_sqlite_is_durable() {
    for kind in databases() {
        let (store, _database) = open(kind).await;
        assert!(store.reader().execute(&row("x", 1)).await.is_err(), "{kind}");
        if store.backend() == Backend::Sqlite {
            let mode = store
                .reader()
                .query_one_raw(sea_orm::Statement::from_string(store.backend().sql(), "PRAGMA journal_mode"));
            let mode: String = mode.await.expect("readable").expect("a row").try_get_by_index(0).expect("a text");
            assert_eq!(mode, "wal");
        }
    }
}

#[tokio::test]
async fn a_lease_has_one_holder_at_a_time() {
    for kind in databases() {
        let (store, _database) = open(kind).await;
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let term = Duration::from_secs(60);
        let both = tokio::join!(store.acquire("chore", one, term), store.acquire("chore", two, term));
        assert_eq!(both, (Ok(true), Ok(false)), "{kind}");
        assert_eq!(store.acquire("chore", one, term).await, Ok(true), "the holder renews, {kind}");
        assert_eq!(store.acquire("other", two, term).await, Ok(true), "another lease, {kind}");
        store.release("chore", two).await.expect("nothing happens");
        assert_eq!(store.acquire("chore", two, term).await, Ok(false), "{kind}");
        store.clock().advance(term);
        assert_eq!(store.acquire("chore", two, term).await, Ok(true), "it has ended, {kind}");
        store.release("chore", two).await.expect("given back");
        assert_eq!(store.acquire("chore", one, term).await, Ok(true), "{kind}");
    }
}
