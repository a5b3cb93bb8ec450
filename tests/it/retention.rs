//! What is over goes, what anything open points at stays, and a pass costs little at a time.

use std::sync::Arc;

use async_trait::async_trait;
use rialto::clock::Clock;
use rialto::flow::Engine;
use rialto::store::Unit;
use rialto::store::inbox::{Notice, NoticeState, NoticeVerdict};
use rialto::store::testing::{TestDatabase, fresh_url};
use rialto::workers::retention::Retention;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Duration, Fault, FaultCause, RawNotice, Reply, Request, Wire};

use crate::billwerk::fresh;
use crate::server::{Server, on_each_database, stored};

struct NoWire;

#[async_trait]
impl Wire for NoWire {
    async fn send(&self, _: Request, _: Deadlines) -> Result<Reply, Fault> {
        Err(Fault::not_sent(FaultCause::NotAttempted, "nobody is there"))
    }
}

async fn engine(database: &TestDatabase, clock: &Clock) -> Engine {
    let store = database.store(clock.clone()).await.expect("the database opens");
    Engine::new(store, Arc::new(NoWire), "http://127.0.0.1:9")
}

/// A whole pass; how many pages it took.
async fn pass(retention: &Retention) -> usize {
    let mut sweeps = 1;
    while retention.sweep().await.expect("a database") {
        sweeps += 1;
        assert!(sweeps < 100, "a pass ends");
    }
    sweeps
}

const DAY: Duration = Duration::from_hours(24);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_goes_and_what_is_referenced_stays() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let payment = fresh("b");
        bw.post("/api/Payment", &bw.payment(&payment, &agreement, "10.00")).await;
        // A forged notice before the real one.
        bw.post("/api/Payment", &bw.payment(&fresh("b"), &agreement, "10.35")).await;
        server.quiet().await;
        // The answer is lost, and whether the refund was made nobody can find out: it stays open.
        let refund = fresh("c");
        bw.post("/api/Refund", &bw.refund(&refund, &payment, "1.23")).await;
        server.alert("needs_person").await;
        server.quiet().await;
        let (intent, transactions) = stored(server.store(), "billwerk", "refund", &refund).await.expect("it is stored");
        let open = &transactions[0];
        let kept_calls = server.store().exchanges(intent.tenant_id, open.id).await.expect("a database").len();
        assert!(kept_calls > 0);
        let database = server.stop().await;

        let clock = Clock::default();
        let engine = engine(&database, &clock).await;
        let all = |table: &str| database.rows(table, "true");
        let for_ever = ["tenants", "intents", "transactions", "facts", "movements", "agreements", "alerts"];
        let at_first = for_ever.map(all);
        let (events, deliveries, calls) = (all("events"), all("deliveries"), all("exchanges"));
        assert!(database.rows("notices", "state = 'rejected'") > 0 && database.rows("notices", "state = 'done'") > 0);
        assert!(deliveries > 0 && all("attempts") > 0);

        // A new worker each time, as after a new start.
        let after = async |days: u32| {
            clock.advance(DAY * days);
            pass(&Retention::new(engine.clone())).await;
            engine.store.release("retention", uuid::Uuid::nil()).await.expect("a database");
        };
        pass(&Retention::new(engine.clone())).await;
        assert_eq!(
            (all("events"), all("deliveries"), all("exchanges")),
            (events, deliveries, calls),
            "nothing is over"
        );

        after(8).await;
        assert_eq!(database.rows("notices", "state = 'rejected'"), 0);
        assert!(database.rows("notices", "state = 'done'") > 0);
        assert_eq!(all("deliveries"), deliveries);

        after(23).await;
        assert_eq!((all("deliveries"), all("attempts")), (0, 0), "all were acknowledged a month ago");
        assert_eq!((all("events"), all("exchanges")), (events, calls));

        after(60).await;
        assert_eq!(database.rows("notices", "state = 'done'"), 0);
        assert_eq!(all("exchanges"), kept_calls as u64, "what is left belongs to the open refund");
        let left = engine.store.exchanges(intent.tenant_id, open.id).await.expect("a database");
        assert_eq!(left.len(), kept_calls);
        assert_eq!(all("events"), events);

        let last = engine.store.events_last_position().await.expect("a database");
        after(310).await;
        assert_eq!(engine.store.events_last_position().await, Ok(last), "positions go on where they were");
        let of_open = engine.store.events_of(intent.tenant_id, intent.id).await.expect("a database");
        assert!(!of_open.is_empty(), "the open refund keeps its events");
        assert!(all("events") < events && all("events") <= of_open.len() as u64 + 1);
        assert_eq!(for_ever.map(all), at_first, "kept for ever");
        assert_eq!(all("sandbox_transactions"), 0);

        // The key still belongs to its first request.
        let (again, _) = stored(&engine.store, "billwerk", "payment", &payment).await.expect("it is stored");
        assert_eq!(again.caller_key, payment);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_at_a_time_by_one_node_at_a_time() {
    on_each_database(async |kind| {
        let database = fresh_url(kind);
        let clock = Clock::default();
        let engine = engine(&database, &clock).await;
        let tenant = engine.add_tenant("Test", true).await.expect("a tenant").id;
        let settings = crate::server::sandbox_settings();
        let connection = engine.add_connection(tenant, "sandbox", true, settings, true).await.expect("a connection").id;
        let add = async |state: NoticeState| {
            let now = clock.now();
            let notice = Notice {
                id: clock.new_id(),
                tenant_id: tenant,
                connection_id: connection,
                raw: RawNotice { path: String::new(), headers: Vec::new(), body: b"{}".to_vec() },
                verdict: NoticeVerdict::Rejected,
                verdict_text: None,
                state,
                state_text: None,
                attempts: 0,
                next_at: None,
                received_at: now,
            };
            let mut unit = Unit::new("test");
            engine.store.add_notice(&mut unit, &notice);
            engine.store.run(unit).await.expect("a database").expect("it is new");
        };
        // Among those that stay for longer, so that a pass must go past them.
        for number in 0..450 {
            add(if number % 3 == 0 { NoticeState::Parked } else { NoticeState::Rejected }).await;
        }
        clock.advance(DAY * 8);
        let (one, other) = (Retention::new(engine.clone()), Retention::new(engine.clone()));
        let rejected = || database.rows("notices", "state = 'rejected'");
        assert_eq!(rejected(), 300);
        assert_eq!(one.sweep().await, Ok(true));
        assert!((100..=200).contains(&rejected()), "at most a page of 200 rows: {}", rejected());
        assert_eq!(other.sweep().await, Ok(false), "the other node has the lease");
        let before = rejected();
        one.release().await.expect("a database");
        assert_eq!(other.sweep().await, Ok(true), "it goes on at once");
        assert!(rejected() < before || before == 0);
        other.release().await.expect("a database");
        assert!(pass(&one).await <= 3);
        assert_eq!((rejected(), database.rows("notices", "state = 'parked'")), (0, 150));
        // And then it rests.
        add(NoticeState::Rejected).await;
        clock.advance(Duration::from_hours(5));
        assert_eq!(one.sweep().await, Ok(false));
    })
    .await;
}
