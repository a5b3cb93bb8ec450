//! News on their way to receivers: told together, tried again, given up, and nobody waits for anybody else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use poem::http::StatusCode;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Endpoint, Request, Response};
use rialto::store::deliveries::{Attempt, Delivery, DeliveryState};
use serde_json::{Value, json};

use crate::billwerk::{Billwerk, fresh};
use crate::receiver::Receiver;
use crate::server::{Server, on_each_database, stored};

/// A receiver that answers the first calls as it is told, with headers, and all others with 200.
struct Picky {
    url: String,
    calls: Arc<Mutex<usize>>,
}

type Answers = &'static [(u16, &'static [(&'static str, &'static str)])];

struct Answer {
    answers: Answers,
    calls: Arc<Mutex<usize>>,
}

impl Picky {
    async fn start(answers: Answers) -> Picky {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a free port");
        let address = acceptor.local_addr().first().and_then(|a| a.as_socket_addr().copied()).expect("an address");
        let calls = Arc::<Mutex<usize>>::default();
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(Answer { answers, calls: calls.clone() }));
        Picky { url: format!("http://{address}/hook"), calls }
    }

    fn calls(&self) -> usize {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint for Answer {
    type Output = Response;

    async fn call(&self, _request: Request) -> poem::Result<Response> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, headers) = self.answers.get(*calls).copied().unwrap_or((200, &[]));
        *calls += 1;
        let builder = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
        Ok(headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).finish())
    }
}

struct World {
    server: Server,
    bw: Billwerk,
    agreement: String,
}

impl World {
    async fn new(kind: &str, scale: u32) -> World {
        let server = Server::start(kind, scale).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        server.quiet().await;
        World { server, bw, agreement }
    }

    /// A payment whose news go to `target`.
    async fn pay(&self, target: &str) -> String {
        let id = fresh("b");
        let mut request = self.bw.payment(&id, &self.agreement, "9.90");
        request["webhookTarget"] = json!(target);
        let (status, body) = self.bw.post("/api/Payment", &request).await;
        assert_eq!(status, 200, "{body}");
        id
    }

    async fn delivery(&self, url: &str) -> Option<Delivery> {
        let all = self.server.store().deliveries_of(self.server.tenant).await.expect("a database");
        all.into_iter().find(|delivery| delivery.url == url)
    }

    /// Waits until the delivery to an address has come to this, and answers it with its attempts.
    async fn until(&self, url: &str, state: DeliveryState) -> (Delivery, Vec<Attempt>) {
        let reached = async || self.delivery(url).await.is_some_and(|delivery| delivery.state == state);
        self.server.until(state.as_str(), reached).await;
        let delivery = self.delivery(url).await.expect("it is there");
        let attempts = self.server.store().attempts_of(self.server.tenant, delivery.id).await.expect("a database");
        (delivery, attempts)
    }
}

fn statuses(attempts: &[Attempt]) -> Vec<u16> {
    attempts.iter().filter_map(|attempt| attempt.status).collect()
}

/// However much happens while a notice is under way, one more tells of it all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_are_told_by_one_notice() {
    on_each_database(async |kind| {
        let world = World::new(kind, 50).await;
        let (server, bw) = (&world.server, &world.bw);
        let count = |id: &str, got: &[Value]| got.iter().filter(|notice| notice["TransactionId"] == id).count();
        let held = server.receiver.hold().await;
        // Pending, then a success by notice, then a chargeback.
        let payment = fresh("b");
        bw.post("/api/Payment", &bw.payment(&payment, &world.agreement, "30.31")).await;
        server.receiver.wait_for("the first notice", |got| count(&payment, got) == 1).await;
        let path = format!("/api/Payment/{payment}");
        bw.get_until(&path, "Succeeded", |(_, body)| body["status"] == "Succeeded").await;
        let (_, transactions) = stored(server.store(), "billwerk", "payment", &payment).await.expect("stored");
        assert!(server.psp().charge_back(&transactions[0].ours.0).await.expect("the PSP's tables"));
        bw.get_until(&path, "charged back", |(_, body)| body["refundableAmount"] == json!(0)).await;
        let dispatched = async || server.store().events_undispatched().await.expect("a database").is_empty();
        server.until("dispatched", dispatched).await;
        assert_eq!(count(&payment, &server.receiver.got()), 1, "one notice of a transaction at a time");
        drop(held);
        server.quiet().await;
        assert_eq!(count(&payment, &server.receiver.got()), 2, "and one more for all that came meanwhile");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_not_called_again() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1_000).await;
        let gone = Picky::start(&[(410, &[])]).await;
        world.pay(&gone.url).await;
        let (delivery, attempts) = world.until(&gone.url, DeliveryState::Dead).await;
        assert_eq!((statuses(&attempts), delivery.next_at), (vec![410], None));
        world.server.quiet().await;
        assert_eq!(gone.calls(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asks_for_time_gets_it() {
    on_each_database(async |kind| {
        // Our own wait would be 60 ms.
        let world = World::new(kind, 1_000).await;
        let busy = Picky::start(&[(503, &[("retry-after", "1")]), (429, &[("retry-after", "soon")])]).await;
        world.pay(&busy.url).await;
        let (_, attempts) = world.until(&busy.url, DeliveryState::Delivered).await;
        assert_eq!(statuses(&attempts), [503, 429, 200]);
        let waited = attempts[1].started_at.0 - attempts[0].started_at.0;
        assert!(waited >= 1_000, "the second attempt came after {waited} ms");
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_an_answer_and_not_a_way() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1_000).await;
        const ELSEWHERE: &[(&str, &str)] = &[("location", "/elsewhere")];
        let moved = Picky::start(&[(302, ELSEWHERE), (307, ELSEWHERE), (301, ELSEWHERE), (304, &[])]).await;
        world.pay(&moved.url).await;
        let (_, attempts) = world.until(&moved.url, DeliveryState::Delivered).await;
        assert_eq!(statuses(&attempts), [302, 307, 301, 304, 200]);
        assert_eq!(moved.calls(), 5, "each call was an attempt of ours");
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_receiver_delays_nobody_else() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let (slow, fast) = (Receiver::start().await, &world.server.receiver);
        // Closed ports refuse at once and are tried again for days: nobody waits for those either.
        let dead = "http://127.0.0.1:9/hook";
        let held = slow.hold().await;
        for _ in 0..20 {
            world.pay(&slow.url).await;
        }
        let started = Instant::now();
        let payment = world.pay(&fast.url).await;
        fast.wait_for("its notice", |got| got.iter().any(|n| n["TransactionId"] == payment.as_str())).await;
        assert!(started.elapsed() < Duration::from_secs(5), "it waited for the slow one: {:?}", started.elapsed());
        assert!(slow.got().len() <= 8, "a receiver has a lane of its own width: {}", slow.got().len());
        drop(held);
        slow.wait_for("all of its own", |got| got.len() == 20).await;
        world.server.quiet().await;
        world.pay(dead).await;
        let tried = async || world.delivery(dead).await.is_some_and(|delivery| delivery.attempts == 1);
        world.server.until("tried", tried).await;
        let after = world.pay(&fast.url).await;
        fast.wait_for("one more", |got| got.iter().any(|n| n["TransactionId"] == after.as_str())).await;
    })
    .await;
}
