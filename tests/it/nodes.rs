//! Several nodes on one PostgreSQL: whoever gets a request, it is carried out once, and nobody's end is anybody else's.

use futures_util::future::join_all;
use rialto::clock::Clock;
use rialto::psp::sandbox::SandboxPsp;
use rialto::store::Store;
use serde_json::{Value, json};

use crate::billwerk::{Billwerk, fresh};
use crate::process::{Place, Process};
use crate::server::{no_sink, stored};

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
