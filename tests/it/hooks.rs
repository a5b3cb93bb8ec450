//! What PSPs post to us, as a PSP and as whoever pretends to be one.

use rialto::store::Unit;
use rialto::store::inbox::{Notice, NoticeState, NoticeVerdict};
use rialto::store::tenants::Connection;
use rialto_adapters::port::{Secret, Settings};
use rialto_adapters::sandbox::contract;
use rialto_adapters::sandbox::notice::SIGNATURE;
use serde_json::{Value, json};

use crate::ask::{Asker, Reply, chunked};
use crate::billwerk::{Billwerk, fresh};
use crate::server::{Server, on_each_database, stored};

const MAX: usize = 256 * 1024;

pub struct World {
    pub server: Server,
    pub bw: Billwerk,
    pub asker: Asker,
    pub agreement: String,
}

impl World {
    pub async fn new(kind: &str, scale: u32) -> World {
        let server = Server::start(kind, scale).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        server.quiet().await;
        World { server, bw, asker: Asker::new(), agreement }
    }

    async fn secret(&self) -> Secret {
        let versions = self.server.store().all_settings(self.server.connection).await.expect("a database");
        versions[0].secret("webhook_secret")
    }

    fn signed(&self, secret: &Secret, body: &str) -> String {
        SIGNATURE.sign(secret, body.as_bytes(), self.server.store().clock().now())
    }

    async fn post(&self, body: &str, signature: &str) -> Reply {
        let headers = [("content-type", "application/json"), (SIGNATURE.header, signature)];
        self.asker.ask("POST", &self.server.hook_url, &headers, body.to_owned()).await
    }

    /// Posts as the PSP does; answers the status.
    pub async fn tell(&self, notice: &Value) -> u16 {
        let body = notice.to_string();
        let signature = self.signed(&self.secret().await, &body);
        self.post(&body, &signature).await.status
    }

    pub async fn notices(&self) -> Vec<Notice> {
        self.server.store().notices_of(self.server.tenant, self.server.connection).await.expect("a database")
    }

    pub async fn in_state(&self, state: NoticeState) -> usize {
        self.notices().await.iter().filter(|notice| notice.state == state).count()
    }

    /// A payment as the PSP has it.
    pub async fn at_psp(&self, payment: &str) -> contract::Transaction {
        let (_, transactions) = stored(self.server.store(), "billwerk", "payment", payment).await.expect("stored");
        let there = self.server.psp().transactions_of(&transactions[0].ours.0).await.expect("the PSP's tables");
        there.into_iter().next().expect("the PSP has it")
    }

    pub async fn pay(&self, amount: &str, status: &str) -> String {
        let id = fresh("b");
        let (http, body) = self.bw.post("/api/Payment", &self.bw.payment(&id, &self.agreement, amount)).await;
        assert_eq!((http, &body["status"]), (200, &json!(status)), "{body}");
        id
    }
}

pub fn notice(notice_type: &str, transaction: &impl serde::Serialize) -> Value {
    json!({"id": fresh("n"), "type": notice_type, "created_at": 1, "transaction": transaction})
}

/// Money of a payment that the payer's bank has taken back.
fn chargeback(of: &contract::Transaction, amount: i64) -> Value {
    let transaction = json!({
        "id": fresh("cb"), "parent_id": of.id, "kind": "chargeback", "state": "succeeded", "amount": amount,
        "currency": of.currency, "movement_id": fresh("mv"), "occurred_at": of.occurred_at + 1,
    });
    notice("chargeback.created", &transaction)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_genuine_notice_is_stored_and_booked_once() {
    on_each_database(async |kind| {
        let world = World::new(kind, 50).await;
        let payment = world.pay("30.00", "Succeeded").await;
        let there = world.at_psp(&payment).await;
        world.server.quiet().await;
        let before = world.notices().await.len();
        let news = chargeback(&there, 1_000);
        for _ in 0..5 {
            assert_eq!(world.tell(&news).await, 200);
        }
        let path = format!("/api/Payment/{payment}");
        world.bw.get_until(&path, "charged back", |(_, body)| body["refundableAmount"] == json!(20)).await;
        world.server.quiet().await;
        let (_, body) = world.bw.get(&path).await;
        assert_eq!(body["refundableAmount"], json!(20), "booked once: {body}");
        assert_eq!(body["chargebacks"].as_array().map(Vec::len), Some(1), "{body}");
        let (intent, transactions) =
            stored(world.server.store(), "billwerk", "payment", &payment).await.expect("stored");
        let booked = world.server.store().movements(intent.tenant_id, transactions[0].id).await.expect("a database");
        assert_eq!(booked.len(), 2, "the payment and one chargeback: {booked:?}");
        let after = world.notices().await;
        assert_eq!(after.len() - before, 5, "each is kept");
        assert!(after.iter().take(5).all(|n| n.state == NoticeState::Done && n.verdict == NoticeVerdict::Verified));
        assert_eq!(after[0].raw.body, news.to_string().into_bytes(), "as it came");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_forged_is_believed() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        // The PSP tells of the success two seconds later.
        let payment = world.pay("30.31", "Pending").await;
        let mut success = world.at_psp(&payment).await;
        success.state = contract::state::SUCCEEDED.to_owned();
        success.stage = None;
        success.movement_id = Some(fresh("mv"));
        let body = notice(contract::notice_type::TRANSACTION, &success).to_string();
        let (secret, stranger) = (world.secret().await, Secret::new("another secret"));
        let good = world.signed(&secret, &body);
        let now = world.server.store().clock().now();
        let hour = std::time::Duration::from_secs(3_600);
        let flipped = good.replace("v1=", "v1=00");
        let forged = [
            world.signed(&stranger, &body),
            world.signed(&Secret::new(""), &body),
            world.signed(&secret, &format!("{body} ")),
            SIGNATURE.sign(&secret, body.as_bytes(), now.minus(hour)),
            SIGNATURE.sign(&secret, body.as_bytes(), now.plus(hour)),
            flipped,
            "t=1,v1=".to_owned(),
            String::new(),
        ];
        for signature in &forged {
            let reply = world.post(&body, signature).await;
            assert_eq!((reply.status, reply.text.as_str()), (401, ""), "{signature}");
        }
        let unsigned = world.asker.ask("POST", &world.server.hook_url, &[], body.clone()).await;
        assert_eq!(unsigned.status, 401);
        let twice = [(SIGNATURE.header, good.as_str()), (SIGNATURE.header, good.as_str())];
        assert_eq!(world.asker.ask("POST", &world.server.hook_url, &twice, body.clone()).await.status, 401);
        let (_, state) = world.bw.get(&format!("/api/Payment/{payment}")).await;
        assert_eq!(state["status"], json!("Pending"), "{state}");
        assert_eq!(world.in_state(NoticeState::Rejected).await, forged.len() + 2);
        // The real one is still believed.
        assert_eq!(world.post(&body, &good).await.status, 200);
        let path = format!("/api/Payment/{payment}");
        world.bw.get_until(&path, "Succeeded", |(_, body)| body["status"] == "Succeeded").await;
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_forged_notices_fills_nothing() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        for number in 0..60 {
            assert_eq!(world.post(&format!("{{\"n\":{number}}}"), "t=1,v1=00").await.status, 401);
        }
        let kept = world.in_state(NoticeState::Rejected).await;
        assert!((1..=20).contains(&kept), "a sample of them is kept: {kept}");
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_notice() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let (hook, asker) = (&world.server.hook_url, &world.asker);
        let before = world.notices().await.len();
        let base = hook.rsplit_once('/').expect("an address").0;
        let nobody = "0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00";
        for unknown in [nobody, "x", "", "0193f0a0", "%00"] {
            assert_eq!(asker.ask("POST", &format!("{base}/{unknown}"), &[], "{}").await.status, 404, "{unknown}");
        }
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let reply = asker.ask(method, hook, &[], "").await;
            assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{method}");
        }
        let large = " ".repeat(MAX + 1);
        let signature = world.signed(&world.secret().await, &large);
        assert_eq!(world.post(&large, &signature).await.status, 413);
        assert_eq!(world.post(&large.repeat(64), &signature).await.status, 413);
        assert_eq!(chunked(hook, &[(SIGNATURE.header, &signature)], MAX + 1).await, 413);
        assert_eq!(chunked(hook, &[(SIGNATURE.header, &signature)], 64 * MAX).await, 413);
        assert_eq!(world.notices().await.len(), before, "none of them is kept");
        // Authentic, and not what is documented: kept for a person, and answered so that it is not sent again.
        let full = " ".repeat(MAX);
        let odd = [full.as_str(), "", "{", "[]", "{\"type\":\"transaction.updated\"}", "{\"id\":\"n\\u0000\"}"];
        for body in odd {
            let signature = world.signed(&world.secret().await, body);
            let url = format!("{hook}/with/a%00path?and=query");
            let reply = asker.ask("POST", &url, &[(SIGNATURE.header, &signature)], body.to_owned()).await;
            assert_eq!(reply.status, 200, "{:?}", body.get(..20));
        }
        let ping = json!({"id": "n", "type": "ping", "created_at": 1});
        assert_eq!(world.tell(&ping).await, 200);
        world.server.quiet().await;
        assert_eq!(world.in_state(NoticeState::Unreadable).await, odd.len());
        assert_eq!(world.in_state(NoticeState::Ignored).await, 1);
    })
    .await;
}

/// A chargeback by the PSP's id of a payment whose answer was lost: until a look-up we do not know that id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_about_what_is_not_known_yet_waits_for_it() {
    on_each_database(async |kind| {
        let world = World::new(kind, 20).await;
        let never = json!({"id": "nobody-1", "kind": "charge", "state": "succeeded", "amount": 1, "currency": "EUR",
                           "reference": "nobody1", "occurred_at": 1});
        assert_eq!(world.tell(&notice(contract::notice_type::TRANSACTION, &never)).await, 200);
        let payment = world.pay("30.22", "Pending").await;
        let there = world.at_psp(&payment).await;
        assert_eq!(world.tell(&chargeback(&there, 1_000)).await, 200);
        world.server.until("parked", async || world.in_state(NoticeState::Parked).await == 2).await;
        let path = format!("/api/Payment/{payment}");
        let (_, body) = world.bw.get(&path).await;
        assert_eq!(body["status"], json!("Pending"), "{body}");
        let charged_back = |(_, body): &(u16, Value)| body["refundableAmount"] == json!(20.22);
        world.bw.get_until(&path, "charged back", charged_back).await;
        world.server.until("one left", async || world.in_state(NoticeState::Parked).await == 1).await;
        let left = world.notices().await.into_iter().find(|n| n.state == NoticeState::Parked).expect("it is listed");
        assert!(String::from_utf8_lossy(&left.raw.body).contains("nobody1"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_signed_with_an_earlier_secret_is_genuine() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let payment = world.pay("30.00", "Succeeded").await;
        let there = world.at_psp(&payment).await;
        let old = world.secret().await;
        let store = world.server.store();
        let connection = store.connection(world.server.tenant, world.server.connection).await.expect("a database");
        let next = Connection { version: 2, ..connection.expect("it is there") };
        let values = [("api_key", "k"), ("webhook_secret", "whsec-new"), ("scripted", "on")];
        let settings = Settings::new(values.map(|(key, value)| (key.to_owned(), Secret::new(value))));
        let mut unit = Unit::new("test settings");
        store.add_settings(&mut unit, &next, &settings, "account".to_owned());
        store.run(unit).await.expect("a database").expect("a new version");
        for (secret, left) in [(&old, 20), (&world.secret().await, 10)] {
            let body = chargeback(&there, 1_000).to_string();
            assert_eq!(world.post(&body, &world.signed(secret, &body)).await.status, 200);
            let path = format!("/api/Payment/{payment}");
            world.bw.get_until(&path, "charged back", |(_, body)| body["refundableAmount"] == json!(left)).await;
        }
        assert_ne!(world.secret().await, old);
        world.server.quiet().await;
    })
    .await;
}
