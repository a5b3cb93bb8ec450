//! Several nodes on one PostgreSQL: whoever gets a request, it is carried out once, and nobody's end is anybody else's.

use std::sync::Arc;

use futures_util::future::join_all;
use rialto::clock::Clock;
use rialto::core::transaction::State;
use rialto::flow::Engine;
use rialto::psp::sandbox::SandboxPsp;
use rialto::store::Store;
use rialto::store::deliveries::DeliveryState;
use rialto::wire::LocalWire;
use rialto::workers::reconciler::Reconciler;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Duration, Fault, Reply, Request, Timestamp, Wire};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::billwerk::{Billwerk, fresh};
use crate::process::{Place, Process};
use crate::receiver::{PATIENCE, Receiver};
use crate::server::{Server, no_sink, on_each_database, stored};

/// Two nodes of one server.
pub struct Two {
    pub processes: [Process; 2],
    pub callers: [Billwerk; 2],
    pub store: Store,
    pub places: [Place; 2],
}

impl Two {
    /// `None`, and a line that says so, where there is no PostgreSQL: SQLite has one node.
    pub async fn start(scale: &str) -> Option<Two> {
        if !rialto::store::testing::databases().contains(&"postgres") {
            eprintln!("skipped: two nodes need a PostgreSQL");
            return None;
        }
        let first = Place::new("postgres").await;
        // Its own data directory and address; the database it was made with stays unused.
        let second = Place::new("sqlite").await;
        let shared = [
            ("RIALTO_DATABASE_URL", first.database.url.clone()),
            ("RIALTO_TIME_SCALE", scale.to_owned()),
            // Where payers and the PSP's notices come in is the same for both.
            ("RIALTO_PUBLIC_URL", format!("http://{}", first.address)),
        ];
        let processes = [first.start(&shared).await, second.start(&shared).await];
        let callers = [first.billwerk(), second.billwerk()];
        let store = first.database.store(Clock::default()).await.expect("the database opens");
        Some(Two { processes, callers, store, places: [first, second] })
    }

    /// Waits until every event has its position, and answers all of them.
    async fn positions(&self, keys: &[(&str, String)]) -> Vec<i64> {
        let deadline = tokio::time::Instant::now() + crate::receiver::PATIENCE;
        while !self.store.events_undispatched().await.expect("a database").is_empty() {
            assert!(tokio::time::Instant::now() < deadline, "events are left without a position");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let mut positions = Vec::new();
        for (operation, key) in keys {
            let (intent, _) = stored(&self.store, "billwerk", operation, key).await.expect("it is stored");
            let events = self.store.events_of(intent.tenant_id, intent.id).await.expect("a database");
            positions.extend(events.into_iter().filter_map(|event| event.position));
        }
        positions.sort_unstable();
        positions
    }
}

/// How often the PSP was charged for a payment.
async fn charges(store: &Store, payment: &str) -> usize {
    let (_, transactions) = stored(store, "billwerk", "payment", payment).await.expect("it is stored");
    assert_eq!(transactions.len(), 1, "one transaction of {payment}");
    let psp = SandboxPsp::new(store.clone(), no_sink(), "http://127.0.0.1:9");
    psp.charges_of(&transactions[0].ours.0).await.expect("the PSP's tables")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_charge_once_and_tell_in_one_order() {
    let Some(two) = Two::start("1").await else { return };
    let [one, other] = &two.callers;
    assert_ne!(one.token, other.token);
    let agreement = fresh("ag");
    let preauth = one.sign_up(&agreement, "25.00").await;
    let mut keys = vec![("preauth", preauth)];
    let payments: Vec<String> = (0..50).map(|_| fresh("b")).collect();
    // The same request to both at once, then each again to the other.
    for ten in payments.chunks(10) {
        let both = ten.iter().flat_map(|id| [(one, id), (other, id)]);
        let answers = join_all(both.map(async |(node, id)| {
            let (status, body) = node.post("/api/Payment", &node.payment(id, &agreement, "9.90")).await;
            assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
            (id, body["externalTransactionId"].clone())
        }))
        .await;
        for pair in answers.chunks(2) {
            assert_eq!(pair[0], pair[1], "both nodes speak of one payment");
        }
    }
    for id in &payments {
        assert_eq!(charges(&two.store, id).await, 1, "{id}");
        keys.push(("payment", id.clone()));
    }
    // A refund by both nodes, more than there is together.
    let refunds = join_all((0..10).map(|number| {
        let (node, id) = (&two.callers[number % 2], fresh("c"));
        let body = node.refund(&id, &payments[0], "3.00");
        async move { (node.post("/api/Refund", &body).await.0, id) }
    }))
    .await;
    let done: Vec<String> = refunds.into_iter().filter(|(status, _)| *status == 200).map(|(_, id)| id).collect();
    assert_eq!(done.len(), 3, "three times three of 9.90");
    keys.extend(done.into_iter().map(|id| ("refund", id)));

    let positions = two.positions(&keys).await;
    let expected: Vec<i64> = (1..).take(positions.len()).collect();
    assert_eq!(positions, expected, "one sequence without gaps or doubles");
    assert!(positions.len() > keys.len(), "{} events", positions.len());
    for process in two.processes {
        process.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_node_leaves_open_another_finishes() {
    let Some(two) = Two::start("10").await else { return };
    // A lost answer, a page instead of one, a success that only a look-up shows, one told by a notice of later.
    const AMOUNTS: [&str; 4] = ["30.22", "30.24", "30.36", "30.31"];
    // The places go last: the database is the first one's.
    let Two { places: _places, processes: [first, second], callers: [one, other], store } = two;
    let agreement = fresh("ag");
    one.sign_up(&agreement, "25.00").await;
    let open = AMOUNTS.map(|amount| (fresh("b"), amount));
    join_all(open.iter().map(async |(id, amount)| {
        let (status, body) = one.post("/api/Payment", &one.payment(id, &agreement, amount)).await;
        assert_eq!(status, 200, "{body}");
    }))
    .await;
    first.kill().await;
    for (id, amount) in &open {
        let path = format!("/api/Payment/{id}");
        let done = |(_, body): &(u16, Value)| body["status"] == "Succeeded";
        other.get_until(&path, &format!("Succeeded ({amount})"), done).await;
        assert_eq!(charges(&store, id).await, 1, "{amount}");
    }
    second.kill().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_in_the_middle_of_a_delivery_gives_it_back() {
    let Some(two) = Two::start("1").await else { return };
    let Two { places, processes: [mut first, second], callers: [mut one, _], store } = two;
    let receiver = Receiver::start().await;
    one.webhook_target = receiver.url.clone();
    let agreement = fresh("ag");
    one.sign_up(&agreement, "25.00").await;
    let tenant = store.tenants().await.expect("a database")[0].id;
    let sending = async || {
        let all = store.deliveries_of(tenant).await.expect("a database");
        all.into_iter().filter(|delivery| delivery.state == DeliveryState::Sending).collect::<Vec<_>>()
    };
    // Whichever node takes it: both are asked to end, one after the other, while the receiver does not answer.
    let answers = receiver.hold().await;
    let told = receiver.got().len();
    let (status, body) = one.post("/api/Payment", &one.payment(&fresh("b"), &agreement, "12.00")).await;
    assert_eq!(status, 200, "{body}");
    receiver.wait_for("the first attempt", |got| got.len() > told).await;
    let held = sending().await.pop().expect("it is under way");
    assert_eq!(held.attempts, 1);
    first.ask_to_end();
    assert!(first.ends_within(PATIENCE).await);
    if places[0].log().contains("deliveries=1") {
        // It was the first node's: nobody waits for the end of its hold.
        receiver.wait_for("a second attempt", |got| got.len() > told + 1).await;
    }
    let mut second = second;
    second.ask_to_end();
    assert!(second.ends_within(PATIENCE).await);
    assert!(sending().await.is_empty(), "nobody holds it any more");
    let due = store.deliveries_due(Clock::default().now(), &[]).await.expect("a database");
    assert!(due.iter().any(|delivery| delivery.id == held.id), "it is due at once");
    drop(answers);
    let again = places[1].start(&[("RIALTO_DATABASE_URL", places[0].database.url.clone())]).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !store.deliveries_due(Timestamp(i64::MAX), &[]).await.expect("a database").is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "it is never delivered");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    again.kill().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_a_payment_and_a_second_one_does_not() {
    for (signals, expected) in [(1, State::Succeeded), (2, State::Submitted)] {
        let place = Place::new("sqlite").await;
        // The answer comes after eight seconds of the sandbox's time; not in this test's life where nobody waits for it.
        let scale = if signals == 1 { "10" } else { "1" };
        let mut process = place.start(&[("RIALTO_TIME_SCALE", scale.to_owned())]).await;
        let bw = place.billwerk();
        let agreement = fresh("ag");
        bw.sign_up(&agreement, "25.00").await;
        let store = place.database.store(Clock::default()).await.expect("the database opens");
        let payment = fresh("b");
        let asked = tokio::spawn({
            let (bw, body) = (bw.clone(), bw.payment(&payment, &agreement, "12.51"));
            async move { bw.post_quietly("/api/Payment", &body).await }
        });
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let state = async || stored(&store, "billwerk", "payment", &payment).await.map(|(_, all)| all[0].state);
        while state().await != Some(State::Submitted) {
            assert!(tokio::time::Instant::now() < deadline, "it is never sent");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        for number in 0..signals {
            process.ask_to_end();
            while number == 0 && !place.log().contains("stopping") {
                assert!(tokio::time::Instant::now() < deadline, "it never stops");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
        assert!(process.ends_within(PATIENCE).await, "{}", place.log());
        assert_eq!(state().await, Some(expected), "after {signals}: {}", place.log());
        let _ = asked.await;
        let log = place.log();
        match signals {
            1 => assert!(log.contains("submits=0") && log.contains("deliveries=0"), "{log}"),
            _ => assert!(log.contains("stopped at once"), "{log}"),
        }
    }
}

/// A wire on which every call hangs.
struct Hanging(Notify);

#[async_trait::async_trait]
impl Wire for Hanging {
    async fn send(&self, _: Request, _: Deadlines) -> Result<Reply, Fault> {
        self.0.notify_one();
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_up_that_is_broken_off_is_due_at_once() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let payment = fresh("b");
        // The effect happens, the answer is lost; the first look-up comes only after some seconds.
        let (status, _) = bw.post("/api/Payment", &bw.payment(&payment, &agreement, "12.22")).await;
        assert_eq!(status, 200);
        let database = server.stop().await;

        let clock = Clock::default();
        clock.advance(Duration::from_secs(60));
        let store = database.store(clock.clone()).await.expect("the database opens");
        let due = async || {
            let all = store.transactions_due(clock.now()).await.expect("a database");
            all.into_iter().filter(|t| t.state == State::Unknown).count()
        };
        assert_eq!(due().await, 1);
        let hanging = Arc::new(Hanging(Notify::new()));
        let stopping = Reconciler::new(Engine::new(store.clone(), hanging.clone(), "http://127.0.0.1:9"));
        stopping.sweep().await.expect("a database");
        hanging.0.notified().await;
        assert_eq!(due().await, 0, "it is this node's");
        assert_eq!(stopping.hand_over(Duration::from_millis(10)).await, Ok(1));
        assert_eq!(due().await, 1, "it is anybody's, without waiting for the end of the hold");

        let psp = SandboxPsp::new(store.clone(), no_sink(), "http://127.0.0.1:9");
        let wire = LocalWire::new(clock.clone(), Arc::new(psp));
        let other = Reconciler::new(Engine::new(store.clone(), Arc::new(wire), "http://127.0.0.1:9"));
        other.sweep().await.expect("a database");
        assert_eq!(other.hand_over(PATIENCE).await, Ok(0), "it ends by itself");
        let (_, transactions) = stored(&store, "billwerk", "payment", &payment).await.expect("it is stored");
        assert_eq!(transactions[0].state, State::Succeeded);
    })
    .await;
}
