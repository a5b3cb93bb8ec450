//! Operators: who may do what, what waits for them, and what comes of what they say.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rialto::store::Unit;
use rialto::store::deliveries::DeliveryState;
use rialto::store::history::{self, StoredAlert};
use rialto::store::inbox::NoticeState;
use rialto::store::testing::MASTER_KEYS;
use rialto::store::transactions::Transaction;
use rialto_adapters::port::Kind;
use rialto_adapters::sandbox::contract;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ask::{Asker, Reply, bearer};
use crate::billwerk::fresh;
use crate::cli::{err, out, rialto};
use crate::hooks::{World, notice};
use crate::process::Place;
use crate::receiver::{PATIENCE, Receiver};
use crate::server::{on_each_database, stored};

const NOBODY: &str = "0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00";

/// The admin API as an operator uses it.
#[derive(Clone)]
struct Admin {
    url: String,
    key: String,
    asker: Asker,
}

impl Admin {
    fn of(world: &World) -> Admin {
        let key = world.server.app.operator_key.expose().to_owned();
        Admin { url: world.server.url.clone(), key, asker: Asker::new() }
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let headers = [("x-admin-key", self.key.as_str()), ("content-type", "application/json")];
        let reply = self.asker.ask(method, &format!("{}{path}", self.url), &headers, body.to_string()).await;
        (reply.status, reply.json())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask("POST", path, &body).await
    }

    async fn resolve(&self, id: impl ToString, word: &str, more: Value) -> (u16, Value) {
        let mut body = json!({ "as": word, "why": "the provider's report" });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.post(&format!("/admin/transactions/{}/resolve", id.to_string()), body).await
    }

    /// Another operator, made by this one.
    async fn colleague(&self, name: &str, right: &str) -> Admin {
        let (status, made) = self.post("/admin/operators", json!({ "name": name, "right": right })).await;
        assert_eq!(status, 200, "{made}");
        Admin { key: made["key"].as_str().expect("a key").to_owned(), ..self.clone() }
    }

    /// What the audit says of a subject, newest first: (actor, action, outcome).
    async fn audit_of(&self, subject: &str) -> Vec<(String, String, String)> {
        let audit = self.get("/admin/audit").await;
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let entries = audit["entries"].as_array().expect("a list").iter();
        let of = entries.filter(|entry| entry["subject"] == subject);
        of.map(|entry| (text(entry, "actor"), text(entry, "action"), text(entry, "outcome"))).collect()
    }

    async fn waiting(&self, tenant: Uuid) -> Vec<Value> {
        self.get(&format!("/admin/attention?tenant={tenant}")).await["items"].as_array().expect("a list").clone()
    }
}

/// The only transaction of an operation of the caller's.
async fn transaction(world: &World, operation: &str, key: &str) -> Transaction {
    let (_, transactions) = stored(world.server.store(), "billwerk", operation, key).await.expect("it is stored");
    transactions.into_iter().next().expect("it has one")
}

async fn now(world: &World, t: &Transaction) -> Transaction {
    world.server.store().transaction(t.tenant_id, t.id).await.expect("a database").expect("it is there")
}

/// A refund whose answer was lost and which the PSP does not have: it stays unknown for ever. With its payment.
async fn unknown_refund(world: &World, amount: &str) -> (String, Transaction) {
    let payment = fresh("b");
    assert_eq!(world.bw.post("/api/Payment", &world.bw.payment(&payment, &world.agreement, "40.00")).await.0, 200);
    let path = format!("/api/Payment/{payment}");
    world.bw.get_until(&path, "Succeeded", |(_, body)| body["status"] == "Succeeded").await;
    let id = fresh("c");
    let (status, body) = world.bw.post("/api/Refund", &world.bw.refund(&id, &payment, amount)).await;
    // A fast clock's answer comes before the call has ended.
    assert!(status == 200 && ["Pending", "Initiated"].map(Value::from).contains(&body["status"]), "{body}");
    let t = transaction(world, "refund", &id).await;
    world.server.until("unknown", async || now(world, &t).await.state.name() == "unknown").await;
    (payment, now(world, &t).await)
}

/// A notice of something we never heard of, parked.
async fn parked(world: &World, kind: &str, amount: i64, more: Value) -> String {
    let mut news = json!({"id": fresh("ch"), "kind": kind, "state": "succeeded", "amount": amount, "currency": "EUR",
                          "reference": fresh("nobody").replace('-', ""), "occurred_at": 1});
    for (name, value) in more.as_object().into_iter().flatten() {
        news[name] = value.clone();
    }
    let before: BTreeSet<Uuid> = world.notices().await.iter().map(|n| n.id).collect();
    assert_eq!(world.tell(&notice(contract::notice_type::TRANSACTION, &news)).await, 200);
    let new = async || world.notices().await.into_iter().find(|n| !before.contains(&n.id));
    world.server.until("parked", async || new().await.is_some_and(|n| n.state == NoticeState::Parked)).await;
    new().await.expect("it is stored").id.to_string()
}

async fn notice_state(world: &World, id: &str) -> (NoticeState, Option<String>) {
    let id = Uuid::parse_str(id).expect("an id");
    let notice = world.server.store().notice_everywhere(id).await.expect("a database").expect("it is stored");
    (notice.state, notice.state_text)
}

/// Each operation with the right it names in its description.
fn operations() -> Vec<(String, String, String)> {
    let documents = rialto::app::documents().expect("documents");
    let admin = documents.iter().find(|document| document.contract == "admin").expect("the admin API");
    let document: Value = serde_json::from_str(&admin.json).expect("JSON");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let text = operation["description"].as_str().unwrap_or_default();
            let right = text.rsplit_once("Right: ").and_then(|(_, right)| right.trim().strip_suffix('.'));
            let right = right.unwrap_or_else(|| panic!("{method} {path} does not end with the right it needs"));
            operations.push((method.to_uppercase(), path.clone(), right.to_owned()));
        }
    }
    operations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_demands_its_right() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let admin = Admin::of(&world);
        let reader = admin.colleague("reader", "read").await;
        let resolver = admin.colleague("resolver", "resolve").await;
        let second = admin.colleague("second", "admin").await;
        let gone = admin.colleague("gone", "admin").await;
        assert_eq!(gone.post("/admin/operators/gone/revoke", json!({})).await.0, 200, "even by itself");
        let nobody = Admin { key: "ok_nobody".to_owned(), ..admin.clone() };
        let rank = |right: &str| ["read", "resolve", "admin"].iter().position(|r| *r == right).expect("a right");
        let rows = [(&reader, "read"), (&resolver, "resolve"), (&second, "admin"), (&admin, "admin")];
        let operations = operations();
        assert!(operations.len() >= 15, "{operations:?}");
        for (method, template, needs) in &operations {
            let path = template.replace("{name}", "nobody");
            let parts: Vec<&str> =
                path.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part }).collect();
            let path = parts.join("/");
            for stranger in [&gone, &nobody] {
                let (status, problem) = stranger.ask(method, &path, &json!({})).await;
                assert_eq!(status, 401, "{method} {path} {problem}");
            }
            for (operator, has) in rows {
                let (status, problem) = operator.ask(method, &path, &json!({})).await;
                if rank(has) < rank(needs) {
                    assert_eq!(status, 403, "{method} {path} with {has}: {problem}");
                    let detail = problem["detail"].as_str().unwrap_or_default();
                    assert!(detail.contains(&format!("the right {needs}")), "{detail}");
                } else {
                    assert!(![401, 403].contains(&status) && status < 500, "{method} {path} {has}: {status} {problem}");
                }
            }
        }

        // A credential counts once, wherever it stands.
        let url = format!("{}/admin/tenants", world.server.url);
        let ask = async |headers: &[(&str, &str)]| -> Reply { admin.asker.ask("GET", &url, headers, "").await };
        let (plain, as_bearer) = (reader.key.as_str(), bearer(&reader.key));
        assert_eq!(ask(&[("x-admin-key", plain)]).await.status, 200);
        assert_eq!(ask(&[("authorization", &as_bearer)]).await.status, 200);
        assert_eq!(ask(&[("x-admin-key", plain), ("authorization", &as_bearer)]).await.status, 401);
        assert_eq!(ask(&[("x-admin-key", plain), ("x-admin-key", &admin.key)]).await.status, 401);
        assert_eq!(ask(&[("authorization", plain)]).await.status, 401);
        assert_eq!(ask(&[("x-admin-key", &"k".repeat(100_000))]).await.status, 401);
        assert_eq!(ask(&[]).await.status, 401);
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_do_is_written_down() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let first = Admin::of(&world);
        let ada = first.colleague("ada", "admin").await;
        let (_, tenant) = ada.post("/admin/tenants", json!({ "name": "Audited", "sandbox": true })).await;
        let tenant = tenant["id"].as_str().expect("an id").to_owned();
        let connections = format!("/admin/tenants/{tenant}/connections");
        let settings = json!({ "api_key": "hush-hush", "webhook_secret": "hush-hush-too" });
        let wish = json!({ "adapter": "sandbox", "test": true, "settings": settings });
        let (_, connection) = ada.post(&connections, wish).await;
        let connection = connection["id"].as_str().expect("an id").to_owned();
        let keys = format!("/admin/tenants/{tenant}/keys");
        let wish = json!({ "contract": "billwerk", "connection_id": connection });
        let (status, key) = ada.post(&keys, wish).await;
        assert_eq!(status, 200, "{key}");
        let unknown = json!({ "adapter": "sandbox", "test": true, "settings": { "colour": "hush-red" } });
        assert_eq!(ada.post(&connections, unknown).await.0, 422);
        for (name, status) in [("ada", 422), ("admin", 422), ("Rialto", 422), ("key 1", 422), (" ", 422), ("eve", 200)]
        {
            let (got, body) = ada.post("/admin/operators", json!({ "name": name, "right": "read" })).await;
            assert_eq!(got, status, "{name:?}: {body}");
        }
        assert_eq!(ada.post("/admin/operators/eve/revoke", json!({})).await.0, 200);
        assert_eq!(ada.post("/admin/operators/eve/revoke", json!({})).await.0, 404, "once");
        assert_eq!(ada.post("/admin/operators", json!({ "name": "eve", "right": "read" })).await.0, 422, "for ever");

        let audit = first.get(&format!("/admin/audit?tenant={tenant}")).await;
        let entries = audit["entries"].as_array().expect("a list");
        let said: Vec<String> = entries
            .iter()
            .rev()
            .map(|e| format!("{} {} {}", e["actor"], e["action"], e["outcome"]).replace('"', ""))
            .collect();
        let expected = [
            "ada tenant.add done",
            "ada connection.add done",
            "ada key.add done",
            "ada connection.add refused: colour: unknown setting; sandbox has api_key, webhook_secret, scripted",
        ];
        assert_eq!(said, expected);
        assert_eq!(entries[3]["subject"], tenant.as_str(), "{audit}");
        assert_eq!(entries[2]["subject"], connection.as_str(), "{audit}");
        let revoke = |outcome: &str| ("ada".to_owned(), "operator.revoke".to_owned(), outcome.to_owned());
        let of_eve = first.audit_of("eve").await;
        assert!(of_eve.contains(&revoke("done")), "{of_eve:?}");
        assert_eq!(of_eve.iter().filter(|e| e.2.starts_with("refused: ")).count(), 2, "{of_eve:?}");
        assert_eq!(first.audit_of("ada").await.last().map(|e| e.0.clone()), Some("admin".to_owned()));

        let everything = first.get("/admin/audit").await.to_string() + &first.get("/admin/operators").await.to_string();
        let secrets =
            [ada.key.as_str(), first.key.as_str(), key["key"].as_str().expect("a key"), "hush-hush", "hush-red"];
        for secret in secrets {
            assert!(!everything.contains(secret), "{secret} is told");
        }
        let operators = first.get("/admin/operators").await;
        let eve = operators["operators"].as_array().expect("a list").iter().find(|o| o["name"] == "eve").expect("eve");
        assert!(eve["revoked_at_ms"].is_i64() && eve["right"] == "read", "{eve}");
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attention_shows_what_waits_and_what_can_be_done() {
    on_each_database(async |kind| {
        let world = World::new(kind, 100).await;
        let admin = Admin::of(&world);
        let tenant = world.server.tenant;
        assert_eq!(admin.waiting(tenant).await, Vec::<Value>::new());

        // A receiver that says it is gone.
        let gone = Receiver::start().await;
        gone.answer_with(&[410]);
        let payment = fresh("b");
        let mut request = world.bw.payment(&payment, &world.agreement, "9.90");
        request["webhookTarget"] = json!(gone.url);
        assert_eq!(world.bw.post("/api/Payment", &request).await.0, 200);
        let dead = async || {
            let all = world.server.store().deliveries_of(tenant).await.expect("a database");
            all.into_iter().find(|delivery| delivery.state == DeliveryState::Dead)
        };
        world.server.until("dead", async || dead().await.is_some()).await;
        let delivery = dead().await.expect("it is dead").id;

        // A refund of which the PSP has never heard, asked twice.
        let (_, refund) = unknown_refund(&world, "12.23").await;
        world.server.alert("needs_person").await;

        // What is not what the PSP documents, and what is about nothing of ours.
        assert_eq!(world.tell(&json!({"id": fresh("n"), "type": "transaction.updated"})).await, 200);
        let strange = parked(&world, "charge", 700, json!({})).await;
        world.server.until("unreadable", async || world.in_state(NoticeState::Unreadable).await == 1).await;
        world.server.store().clock().advance(std::time::Duration::from_secs(25 * 3600));
        world.server.until("unmatched", async || world.in_state(NoticeState::Unmatched).await == 1).await;

        let items = admin.waiting(tenant).await;
        let seen: BTreeSet<String> =
            items.iter().map(|i| format!("{} {}", i["what"], i["kind"]).replace('"', "")).collect();
        let expected = ["alert needs_person", "delivery null", "notice unmatched", "notice unreadable"];
        assert_eq!(seen, expected.map(str::to_owned).into(), "{items:#?}");
        assert_eq!(items.len(), 4, "each once: {items:#?}");
        let since: Vec<i64> = items.iter().map(|item| item["since_ms"].as_i64().expect("a time")).collect();
        assert!(since.is_sorted(), "oldest first: {since:?}");
        let of = |what: &str| items.iter().find(|i| i["kind"] == what || i["what"] == what).expect("it is listed");
        let alert = of("needs_person");
        assert_eq!((&alert["id"], &alert["transaction_id"]), (&json!(refund.id), &json!(refund.id)));
        assert!(alert["text"].as_str().is_some_and(|t| t.starts_with("refund of 12.23 EUR, unknown")), "{alert}");
        let commands = |item: &Value| item["commands"].to_string();
        assert!(commands(alert).contains(&format!("rialto resolve {} --as succeeded --why", refund.id)), "{alert}");
        assert!(commands(of("unmatched")).contains(&format!("rialto notice match {strange} TRANSACTION")));
        assert!(commands(of("unreadable")).contains("rialto notice drop"));
        assert!(commands(of("delivery")).contains(&format!("rialto replay {delivery}")));
        let everybody = admin.get("/admin/attention").await;
        assert_eq!((everybody["items"].as_array().map(Vec::len), &everybody["left_out"]), (Some(4), &json!(0)));
        let stranger = Uuid::now_v7();
        assert_eq!(admin.waiting(stranger).await, Vec::<Value>::new(), "of another tenant nothing");

        // All of it is settled, and nothing waits any more.
        assert_eq!(admin.resolve(refund.id, "declined", json!({})).await.0, 200);
        for item in [of("unmatched"), of("unreadable")] {
            let path = format!("/admin/notices/{}/drop", item["id"].as_str().expect("an id"));
            assert_eq!(admin.post(&path, json!({ "why": "a test of theirs" })).await.0, 200);
        }
        let (status, body) = admin.post(&format!("/admin/replay/{delivery}"), json!({})).await;
        assert_eq!((status, &body["what"], &body["state"]), (200, &json!("delivery"), &json!("due")), "{body}");
        gone.wait_for("the news again", |got| got.len() == 2).await;
        world.server.quiet().await;
        assert_eq!(admin.waiting(tenant).await, Vec::<Value>::new());
        let (status, problem) = admin.post(&format!("/admin/replay/{delivery}"), json!({})).await;
        assert_eq!(status, 409, "it is delivered now: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("delivered")), "{problem}");
        let (state, text) = notice_state(&world, &strange).await;
        assert_eq!((state, text.as_deref()), (NoticeState::Ignored, Some("dropped by admin: a test of theirs")));
        assert_eq!(admin.audit_of(&strange).await[0].1, "notice.drop");
        assert_eq!(admin.audit_of(&delivery.to_string()).await.len(), 2, "the refused one too");
    })
    .await;
}

/// An alert that nobody raises by itself in these tests.
async fn raise(world: &World, t: &Transaction, kind: &str) {
    let store = world.server.store();
    let mut unit = Unit::new("test alert");
    let alert = StoredAlert {
        id: store.clock().new_id(),
        tenant_id: t.tenant_id,
        transaction_id: Some(t.id),
        kind: kind.to_owned(),
        text: "raised by a test".to_owned(),
        raised_at: store.clock().now(),
    };
    history::raise_alert(&mut unit, alert);
    store.run(unit).await.expect("a database").expect("it is raised");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_may_say_of_which_state() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let admin = Admin::of(&world);
        let preauth = fresh("a");
        let (status, body) = world.bw.post("/api/Preauth", &world.bw.preauth(&preauth, &fresh("ag"), "20.00")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");
        let waiting = transaction(&world, "preauth", &preauth).await;
        let paid = world.pay("30.00", "Succeeded").await;
        let paid = transaction(&world, "payment", &paid).await;
        let declined = fresh("b");
        world.bw.post("/api/Payment", &world.bw.payment(&declined, &world.agreement, "30.11")).await;
        let declined = transaction(&world, "payment", &declined).await;
        let (_, unknown) = unknown_refund(&world, "12.23").await;

        let none = json!({});
        // What is refused: transaction, word, more, status, what the problem must say. Nothing of it changes anything.
        let rows: &[(&Transaction, &str, Value, u16, &str)] = &[
            (&paid, "declined", none.clone(), 409, "it is succeeded"),
            (&paid, "succeeded", none.clone(), 409, "it is succeeded"),
            (&paid, "keep", none.clone(), 409, "it is succeeded"),
            (&paid, "give_back", none.clone(), 409, "it is succeeded"),
            (&declined, "succeeded", none.clone(), 409, "it is declined"),
            (&declined, "keep", none.clone(), 409, "it is declined"),
            (&waiting, "succeeded", none.clone(), 422, "authorised"),
            (&waiting, "keep", none.clone(), 409, "it is pending"),
            (&waiting, "give_back", none.clone(), 409, "no late money"),
            (&unknown, "authorised", none.clone(), 422, "its good end is succeeded"),
            (&unknown, "keep", none.clone(), 409, "it is unknown"),
            (&unknown, "give_back", none.clone(), 409, "no late money"),
            (&unknown, "lost", none.clone(), 422, "as"),
            (&unknown, "succeeded", json!({ "amount": 12.24 }), 422, "at most 12.23 EUR"),
            (&unknown, "succeeded", json!({ "amount": 1e9 }), 422, "at most 12.23 EUR"),
            (&unknown, "succeeded", json!({ "amount": 0 }), 422, "more than nothing"),
            (&unknown, "succeeded", json!({ "amount": -1 }), 422, "amount"),
            (&unknown, "succeeded", json!({ "amount": 0.001 }), 422, "amount"),
            (&unknown, "succeeded", json!({ "amount": 5, "currency": "BRL" }), 422, "in EUR"),
            (&unknown, "succeeded", json!({ "amount": 5, "currency": "Euro" }), 422, "currency"),
            (&unknown, "succeeded", json!({ "currency": "EUR" }), 422, "currency"),
            (&unknown, "succeeded", json!({ "reason": "fraud" }), 422, "belongs to declined"),
            (&unknown, "declined", json!({ "reason": "bad mood" }), 422, "insufficient_funds"),
            (&unknown, "declined", json!({ "amount": 5 }), 422, "moved nothing"),
            (&unknown, "succeeded", json!({ "why": "  " }), 422, "why"),
            (&unknown, "succeeded", json!({ "why": "w".repeat(501) }), 422, "500"),
            (&unknown, "succeeded", json!({ "why": null }), 422, "why"),
        ];
        for (t, word, more, status, says) in rows {
            let before = now(&world, t).await;
            let (got, problem) = admin.resolve(t.id, word, more.clone()).await;
            assert_eq!(got, *status, "{word} {more}: {problem}");
            assert!(problem.to_string().contains(says), "{word} {more}: {problem}");
            let after = now(&world, t).await;
            assert_eq!((after.state, after.confirmed), (before.state, before.confirmed), "{word} {more}");
        }
        for id in [NOBODY, "x"] {
            assert_eq!(admin.resolve(id, "succeeded", none.clone()).await.0, 404);
        }
        let facts = world.server.store().facts(unknown.tenant_id, unknown.id).await.expect("a database");
        assert!(facts.iter().all(|fact| fact.source != "operator"), "{facts:?}");
        let refused = admin.audit_of(&paid.id.to_string()).await;
        assert_eq!(refused.len(), 4, "each refusal is in the audit: {refused:?}");
        assert!(refused.iter().all(|e| e.1 == "resolve" && e.2.starts_with("refused: it is succeeded")), "{refused:?}");

        // What is done, once.
        let (status, body) = admin.resolve(waiting.id, "expired", none.clone()).await;
        assert_eq!((status, &body["before"], &body["state"]), (200, &json!("pending"), &json!("expired")), "{body}");
        let ada = admin.colleague("ada", "resolve").await;
        let insufficient = json!({ "reason": "insufficient_funds" });
        let (status, body) = ada.resolve(unknown.id, "declined", insufficient.clone()).await;
        assert_eq!((status, &body["reason"]), (200, &json!("insufficient_funds")), "{body}");
        assert_eq!(body["tenant_id"], json!(world.server.tenant));
        let (status, body) = ada.resolve(unknown.id, "declined", insufficient).await;
        assert_eq!(status, 409, "once: {body}");
        let facts = world.server.store().facts(unknown.tenant_id, unknown.id).await.expect("a database");
        let said: Vec<_> = facts.iter().filter(|fact| fact.source == "operator").collect();
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].operator.as_deref(), Some("ada: the provider's report"));
        assert_eq!((said[0].state_before.as_str(), said[0].state_after.as_str()), ("unknown", "declined"));
        let audit = admin.audit_of(&unknown.id.to_string()).await;
        let done = ("ada".to_owned(), "resolve".to_owned(), "unknown -> declined".to_owned());
        assert_eq!(audit[1], done);
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_books_money_as_the_psps_would() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let admin = Admin::of(&world);
        // As asked, less than asked, and not at all: refunds of 40.00 each.
        let rows = [
            ("succeeded", json!({}), "Succeeded", json!(12.23), json!(27.77)),
            ("succeeded", json!({ "amount": 10.50, "currency": "EUR" }), "Succeeded", json!(10.5), json!(29.5)),
            ("declined", json!({}), "", json!(0), json!(40)),
        ];
        for (word, more, shown, refunded, refundable) in rows {
            let (payment, refund) = unknown_refund(&world, "12.23").await;
            let (status, body) = admin.resolve(refund.id, word, more).await;
            assert_eq!(status, 200, "{body}");
            let (_, answer) = world.bw.get(&format!("/api/Payment/{payment}")).await;
            let counted = (&answer["refundedAmount"], &answer["refundableAmount"]);
            assert_eq!(counted, (&refunded, &refundable), "{word}: {answer}");
            let (intent, _) =
                stored(world.server.store(), "billwerk", "payment", &payment).await.expect("it is stored");
            let under = world.server.store().transactions_under(intent.tenant_id, refund.parent_id.expect("a parent"));
            let under = under.await.expect("a database");
            let state = under.iter().find(|t| t.id == refund.id).expect("it is there").state.name();
            assert_eq!(state, word);
            if !shown.is_empty() {
                assert_eq!(body["amount"], refunded, "{body}");
            }
        }
        // What the PSP says later, the other way round, waits for a person and changes nothing.
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contradictions_are_kept_or_decided() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let admin = Admin::of(&world);
        let tenant = world.server.tenant;
        // The PSP takes back what it confirmed.
        let payment = world.pay("30.00", "Succeeded").await;
        let t = transaction(&world, "payment", &payment).await;
        let mut news = world.at_psp(&payment).await;
        news.state = contract::state::DECLINED.to_owned();
        news.reason = Some(contract::reason::REJECTED.to_owned());
        news.occurred_at += 1;
        let contradict = async || {
            assert_eq!(world.tell(&notice(contract::notice_type::TRANSACTION, &news)).await, 200);
            world.server.alert("conflict").await;
        };
        contradict().await;
        let (status, problem) = admin.resolve(t.id, "declined", json!({})).await;
        assert_eq!(status, 409, "money that came in does not unhappen by a word: {problem}");
        assert!(problem.to_string().contains("keep"), "{problem}");
        assert_eq!(admin.resolve(t.id, "give_back", json!({})).await.0, 409, "it is not late");
        let item = admin.waiting(tenant).await[0].clone();
        assert!(item["commands"].to_string().contains(&format!("rialto resolve {} --keep", t.id)), "{item}");
        let (status, body) = admin.resolve(t.id, "keep", json!({})).await;
        assert_eq!((status, &body["before"], &body["state"]), (200, &json!("succeeded"), &json!("succeeded")), "{body}");
        assert_eq!(admin.waiting(tenant).await, Vec::<Value>::new());
        assert_eq!(admin.resolve(t.id, "keep", json!({})).await.0, 409, "once");
        // Said again it is news again, and a word that confirms what is known settles it too.
        contradict().await;
        let (status, body) = admin.resolve(t.id, "succeeded", json!({})).await;
        assert_eq!((status, &body["state"]), (200, &json!("succeeded")), "{body}");
        assert_eq!(admin.waiting(tenant).await, Vec::<Value>::new());
        let (_, answer) = world.bw.get(&format!("/api/Payment/{payment}")).await;
        assert_eq!(answer["refundableAmount"], json!(30), "{answer}");

        // Another amount than asked: not booked, until a person says which.
        let (refunded, refund) = unknown_refund(&world, "12.23").await;
        let other = json!({"id": fresh("re"), "kind": "refund", "state": "succeeded", "amount": 1_000, "currency": "EUR",
                           "reference": refund.ours.0, "movement_id": fresh("mv"), "occurred_at": 1});
        assert_eq!(world.tell(&notice(contract::notice_type::TRANSACTION, &other)).await, 200);
        world.server.alert("amount_conflict").await;
        assert_eq!(now(&world, &refund).await.state.name(), "unknown");
        let (status, body) = admin.resolve(refund.id, "succeeded", json!({ "amount": 10 })).await;
        assert_eq!((status, &body["state"], &body["amount"]), (200, &json!("succeeded"), &json!(10)), "{body}");
        let (_, answer) = world.bw.get(&format!("/api/Payment/{refunded}")).await;
        assert_eq!(answer["refundedAmount"], json!(10), "{answer}");
        assert_eq!(admin.waiting(tenant).await, Vec::<Value>::new());
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_money_that_is_held_goes_back_or_stays() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let admin = Admin::of(&world);
        for (word, refundable) in [("give_back", json!(0)), ("keep", json!(30))] {
            let payment = world.pay("30.00", "Succeeded").await;
            let t = transaction(&world, "payment", &payment).await;
            raise(&world, &t, "late_money").await;
            let commands = admin.waiting(t.tenant_id).await[0]["commands"].to_string();
            assert!(commands.contains("--give-back") && commands.contains("--keep"), "{commands}");
            // Two persons at once: one of them decides.
            let both = join_all([0, 1].map(|_| admin.resolve(t.id, word, json!({})))).await;
            let mut statuses: Vec<u16> = both.iter().map(|(status, _)| *status).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 409], "{both:?}");
            let path = format!("/api/Payment/{payment}");
            world.bw.get_until(&path, "settled", |(_, body)| body["refundableAmount"] == refundable).await;
            let under = world.server.store().transactions_under(t.tenant_id, t.id).await.expect("a database");
            assert_eq!(under.iter().filter(|c| c.kind == Kind::Refund).count(), usize::from(word == "give_back"));
            assert_eq!(admin.waiting(t.tenant_id).await, Vec::<Value>::new());
            if word == "give_back" {
                let done = both.iter().find(|(status, _)| *status == 200).map(|(_, body)| body).expect("one won");
                assert_eq!(done["started"], json!([under[0].id]), "{done}");
                raise(&world, &t, "late_money").await;
                let (status, problem) = admin.resolve(t.id, "give_back", json!({})).await;
                assert!(status == 409 && problem.to_string().contains("nothing is left"), "{problem}");
                assert_eq!(admin.resolve(t.id, "keep", json!({})).await.0, 200);
            }
        }
        // An alert that belongs to no transaction.
        let store = world.server.store();
        let alert = StoredAlert {
            id: store.clock().new_id(),
            tenant_id: world.server.tenant,
            transaction_id: None,
            kind: "account".to_owned(),
            text: "something about the account".to_owned(),
            raised_at: store.clock().now(),
        };
        let mut unit = Unit::new("test alert");
        history::raise_alert(&mut unit, alert.clone());
        store.run(unit).await.expect("a database").expect("it is raised");
        assert_eq!(admin.waiting(world.server.tenant).await[0]["id"], json!(alert.id));
        assert_eq!(admin.resolve(alert.id, "succeeded", json!({})).await.0, 422);
        assert_eq!(admin.resolve(alert.id, "keep", json!({})).await.0, 200);
        assert_eq!(admin.resolve(alert.id, "keep", json!({})).await.0, 409);
        assert_eq!(admin.waiting(world.server.tenant).await, Vec::<Value>::new());
        world.server.quiet().await;
    })
    .await;
}

/// The PSP confirms by notice what it has declined, so it gives nothing back; and whoever asks it is told of the decline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_go_back_is_tried_again_or_left() {
    on_each_database(async |kind| {
        let world = World::new(kind, 20).await;
        let admin = Admin::of(&world);
        let payment = fresh("b");
        let (status, _) = world.bw.post("/api/Payment", &world.bw.payment(&payment, &world.agreement, "30.11")).await;
        assert_eq!(status, 422, "declined");
        let t = transaction(&world, "payment", &payment).await;
        let mut news = world.at_psp(&payment).await;
        news.state = contract::state::SUCCEEDED.to_owned();
        news.reason = None;
        news.movement_id = Some(fresh("mv"));
        news.occurred_at += 1;
        assert_eq!(world.tell(&notice(contract::notice_type::TRANSACTION, &news)).await, 200);
        world.server.alert("give_back_failed").await;
        let waiting = async |kind: &str| {
            let items = admin.waiting(t.tenant_id).await;
            items.into_iter().find(|item| item["kind"] == kind).expect("it waits")
        };
        let failed = waiting("give_back_failed").await;
        let commands = failed["commands"].to_string();
        assert!(commands.contains("--give-back") && commands.contains("--keep"), "{failed}");
        let failed = failed["id"].as_str().expect("an id").to_owned();
        assert_ne!(failed, t.id.to_string(), "it is the refund's");

        // A look-up that contradicts what is known is not repeated: only a person can say.
        news.state = contract::state::DECLINED.to_owned();
        news.reason = Some(contract::reason::REJECTED.to_owned());
        news.movement_id = None;
        news.occurred_at += 1;
        assert_eq!(world.tell(&notice(contract::notice_type::TRANSACTION, &news)).await, 200);
        world.server.alert("conflict").await;
        world.server.until("looked up", async || now(&world, &t).await.lookups > 0).await;
        let looked = now(&world, &t).await;
        assert_eq!((looked.state.name(), looked.look_at), ("succeeded", None), "{looked:?}");

        // Tried again: it fails again, and is one new thing that waits in place of the old one.
        let (status, body) = admin.resolve(&failed, "give_back", json!({})).await;
        assert_eq!((status, &body["state"]), (200, &json!("declined")), "{body}");
        let again = body["started"][0].as_str().expect("a refund").to_owned();
        let is_new = async || {
            let items = admin.waiting(t.tenant_id).await;
            items.iter().any(|item| item["kind"] == "give_back_failed" && item["id"] == again.as_str())
        };
        world.server.until("failed again", is_new).await;
        let items = admin.waiting(t.tenant_id).await;
        assert_eq!(items.iter().filter(|item| item["kind"] == "give_back_failed").count(), 1, "{items:#?}");
        assert_eq!(admin.resolve(&again, "keep", json!({})).await.0, 200);
        assert_eq!(admin.resolve(t.id, "keep", json!({})).await.0, 200);
        assert_eq!(admin.waiting(t.tenant_id).await, Vec::<Value>::new());
        let kept = now(&world, &t).await;
        assert_eq!(kept.counters.refunded_reserved, 0, "what failed holds nothing: {kept:?}");
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_operators_at_once_one_wins_and_the_other_is_told() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let admin = Admin::of(&world);
        let (ada, eve) = (admin.colleague("ada", "resolve").await, admin.colleague("eve", "resolve").await);
        for _ in 0..10 {
            let (_, refund) = unknown_refund(&world, "12.23").await;
            let (yes, no) = tokio::join!(
                ada.resolve(refund.id, "succeeded", json!({})),
                eve.resolve(refund.id, "declined", json!({}))
            );
            let (winner, state, loser) = if yes.0 == 200 { (&yes, "succeeded", &no) } else { (&no, "declined", &yes) };
            assert_eq!((winner.0, loser.0), (200, 409), "{yes:?} {no:?}");
            assert!(loser.1["detail"].as_str().is_some_and(|text| text.contains(state)), "{loser:?}");
            assert_eq!(now(&world, &refund).await.state.name(), state);
            let facts = world.server.store().facts(refund.tenant_id, refund.id).await.expect("a database");
            assert_eq!(facts.iter().filter(|fact| fact.source == "operator").count(), 1);
            assert_eq!(admin.audit_of(&refund.id.to_string()).await.len(), 2, "both are in the audit");
            assert_eq!(admin.waiting(refund.tenant_id).await, Vec::<Value>::new());
        }
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_are_shown_matched_dropped_and_read_again() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let admin = Admin::of(&world);
        let store = world.server.store();
        let (payment, refund) = unknown_refund(&world, "12.23").await;
        let iban = "DE89370400440532013000";
        let found = parked(&world, "refund", 1_223, json!({ "movement_id": fresh("mv"), "payer_iban": iban })).await;

        let list = admin.get(&format!("/admin/notices?state=parked&connection={}", world.server.connection)).await;
        assert_eq!((list["notices"].as_array().map(Vec::len), &list["notices"][0]["id"]), (Some(1), &json!(found)));
        assert!(!list.to_string().contains("nobody"), "a list tells nothing of what they say: {list}");
        assert_eq!(admin.get("/admin/notices?state=unmatched").await["notices"], json!([]));
        let shown = admin.get(&format!("/admin/notices/{found}")).await;
        let says = shown["says"][0].as_str().expect("a line");
        assert!(says.starts_with("refund succeeded 12.23 EUR, ours ") && says.contains("nobody"), "{shown}");
        assert!(shown["headers"].as_str().is_some_and(|h| h.contains("x-sandbox-signature: ***")), "{shown}");
        let body = shown["body"].as_str().expect("a text");
        assert!(body.contains("payer_iban") && !body.contains(iban), "{body}");
        for (query, status) in [("state=odd", 400), ("connection=x", 404)] {
            assert_eq!(admin.ask("GET", &format!("/admin/notices?{query}"), &Value::Null).await.0, status, "{query}");
        }
        assert_eq!(admin.ask("GET", &format!("/admin/notices/{NOBODY}"), &Value::Null).await.0, 404);

        // What does not fit.
        let stranger = world.server.another_tenant().await;
        let theirs = fresh("b");
        let agreement = world.server.agreement(&stranger).await;
        assert_eq!(stranger.post("/api/Payment", &stranger.payment(&theirs, &agreement, "12.00")).await.0, 200);
        let theirs = transaction(&world, "payment", &theirs).await;
        let paid = transaction(&world, "payment", &payment).await;
        let chargeless = parked(&world, "preauth", 1_223, json!({ "state": "authorised" })).await;
        let dollars = parked(&world, "refund", 1_223, json!({ "currency": "USD" })).await;
        let matched = async |notice: &str, t: Uuid, why: &str| {
            let wish = json!({ "transaction_id": t, "why": why });
            admin.post(&format!("/admin/notices/{notice}/match"), wish).await
        };
        let rows = [
            (found.as_str(), theirs.id, "ok", 422, "another connection"),
            (&found, Uuid::parse_str(NOBODY).expect("an id"), "ok", 404, "no transaction"),
            (&found, refund.id, " ", 422, "why"),
            (&chargeless, refund.id, "ok", 422, "cannot be about a refund"),
            (&dollars, refund.id, "ok", 422, "cannot be about a refund"),
            (NOBODY, refund.id, "ok", 404, "no notice"),
        ];
        for (notice, t, why, status, says) in rows {
            let (got, problem) = matched(notice, t, why).await;
            assert_eq!(got, status, "{says}: {problem}");
            assert!(problem.to_string().contains(says), "{says}: {problem}");
        }
        assert_eq!(now(&world, &refund).await.state.name(), "unknown");
        assert_eq!(notice_state(&world, &found).await.0, NoticeState::Parked);

        // Two at once, and it is booked once.
        let both = join_all([0, 1].map(|_| matched(&found, refund.id, "same amount and minute"))).await;
        let mut statuses: Vec<u16> = both.iter().map(|(status, _)| *status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{both:?}");
        let done = both.iter().find(|(status, _)| *status == 200).map(|(_, body)| body).expect("one won");
        assert_eq!((&done["before"], &done["state"]), (&json!("unknown"), &json!("succeeded")));
        let facts = store.facts(refund.tenant_id, refund.id).await.expect("a database");
        let fact = facts.iter().find(|fact| fact.source == "notice").expect("a fact");
        assert_eq!(fact.operator.as_deref(), Some("admin: same amount and minute"));
        assert_eq!(fact.notice_id.map(|id| id.to_string()), Some(found.clone()));
        let movements = store.movements(refund.tenant_id, refund.id).await.expect("a database").len();
        assert_eq!(movements, 1);
        let (_, answer) = world.bw.get(&format!("/api/Payment/{payment}")).await;
        assert_eq!(answer["refundedAmount"], json!(12.23), "{answer}");
        let (state, text) = notice_state(&world, &found).await;
        assert_eq!(state, NoticeState::Done);
        assert!(text.is_some_and(|text| text.contains("by admin: same amount")), "it says who matched it");
        let audit = admin.audit_of(&found).await;
        assert!(audit.iter().any(|e| e.1 == "notice.match" && e.2 == "unknown -> succeeded"), "{audit:?}");

        // Read again: it is found by the name it brought, and books nothing twice.
        let (status, body) = admin.post(&format!("/admin/replay/{found}"), json!({})).await;
        assert_eq!((status, &body["what"], &body["state"]), (200, &json!("notice"), &json!("waiting")), "{body}");
        let read = async || !matches!(notice_state(&world, &found).await.0, NoticeState::Waiting);
        world.server.until("read again", read).await;
        assert_eq!(store.movements(refund.tenant_id, refund.id).await.expect("a database").len(), movements);
        let (_, answer) = world.bw.get(&format!("/api/Payment/{payment}")).await;
        assert_eq!(answer["refundedAmount"], json!(12.23), "{answer}");

        // A chargeback that came under a name nobody knows.
        let mut news = json!({"id": fresh("cb"), "parent_id": fresh("ch"), "kind": "chargeback", "state": "succeeded",
                              "amount": 500, "currency": "EUR", "movement_id": fresh("mv"), "occurred_at": 2});
        let before = world.in_state(NoticeState::Parked).await;
        assert_eq!(world.tell(&notice(contract::notice_type::CHARGEBACK, &news)).await, 200);
        world.server.until("parked", async || world.in_state(NoticeState::Parked).await == before + 1).await;
        news["id"] = json!("");
        let taken = world.notices().await.into_iter().find(|n| n.state == NoticeState::Parked).expect("parked").id;
        let (status, body) = matched(&taken.to_string(), paid.id, "their report names it").await;
        assert_eq!(status, 200, "{body}");
        let (_, answer) = world.bw.get(&format!("/api/Payment/{payment}")).await;
        assert_eq!(answer["refundableAmount"], json!(22.77), "{answer}");

        // Dropped, and what is dropped or not genuine is neither matched nor dropped.
        for id in [&chargeless, &dollars] {
            let path = format!("/admin/notices/{id}/drop");
            assert_eq!(admin.post(&path, json!({ "why": "" })).await.0, 422);
            assert_eq!(admin.post(&path, json!({ "why": "not ours" })).await.0, 200);
            let (status, problem) = admin.post(&path, json!({ "why": "not ours" })).await;
            assert!(status == 409 && problem.to_string().contains("ignored"), "{problem}");
            assert_eq!(matched(id, refund.id, "ok").await.0, 409);
        }
        assert_eq!(world.asker.ask("POST", &world.server.hook_url, &[], "{}").await.status, 401);
        let forged = world.notices().await.into_iter().find(|n| n.state == NoticeState::Rejected).expect("a sample").id;
        for (path, body) in [
            (format!("/admin/notices/{forged}/match"), json!({ "transaction_id": refund.id, "why": "ok" })),
            (format!("/admin/replay/{forged}"), json!({})),
            (format!("/admin/notices/{forged}/drop"), json!({ "why": "ok" })),
        ] {
            let (status, problem) = admin.post(&path, body).await;
            assert_eq!(status, 409, "{path}: {problem}");
        }
        assert_eq!(admin.get(&format!("/admin/notices/{forged}")).await["says"], json!(["not read: it is rejected"]));
        assert_eq!(admin.post(&format!("/admin/replay/{NOBODY}"), json!({})).await.0, 404);
    })
    .await;
}

/// The same by the command line: beside a server as a named operator, and alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_use_the_command_line() {
    on_each_database(async |kind| {
        let place = Place::new(kind).await;
        let data_dir = place.data_dir().to_string_lossy().into_owned();
        let settings = [
            ("RIALTO_DATA_DIR", data_dir.as_str()),
            ("RIALTO_DATABASE_URL", place.database.url.as_str()),
            ("RIALTO_MASTER_KEYS", MASTER_KEYS),
            ("RIALTO_LISTEN", place.address.as_str()),
        ];
        let run = async |key: &str, line: &[&str]| {
            let more = if key.is_empty() { Vec::new() } else { vec![("RIALTO_ADMIN_KEY", key)] };
            rialto(place.folder.path(), &[settings.as_slice(), &more].concat(), line).await
        };
        let object = async |key: &str, line: &[&str]| -> Value {
            let output = run(key, &[line, &["--json"]].concat()).await;
            assert!(output.status.success(), "{line:?}: {}", err(&output));
            serde_json::from_str(&out(&output)).expect("JSON")
        };
        let refused = async |key: &str, line: &[&str], says: &str| {
            let output = run(key, line).await;
            assert_eq!(output.status.code(), Some(1), "{line:?}: {}", out(&output));
            assert!(err(&output).contains(says), "{line:?}: {}", err(&output));
        };

        // Alone, before any server.
        let made = object("", &["operator", "add", "--name", "Ada Byron", "--right", "resolve"]).await;
        let ada = made["key"].as_str().expect("a key").to_owned();
        assert_eq!(out(&run("", &["attention"]).await), "Nothing waits for a person.\n");
        assert_eq!(object("", &["notice", "list"]).await, json!({ "notices": [], "left_out": 0 }));
        refused("", &["resolve", NOBODY, "--keep", "--why", "x"], "there is no transaction").await;
        refused("", &["replay", NOBODY], "there is no notice or delivery").await;
        refused(&ada, &["operator", "add", "--name", "eve", "--right", "read"], "needs the right admin").await;

        // Beside one. The operator's key opens it, and their name is written down.
        let process = place.start(&[("RIALTO_TIME_SCALE", "50".to_owned())]).await;
        let bw = place.billwerk();
        let agreement = fresh("ag");
        bw.sign_up(&agreement, "1.00").await;
        let payment = fresh("b");
        assert_eq!(bw.post("/api/Payment", &bw.payment(&payment, &agreement, "40.00")).await.0, 200);
        let path = format!("/api/Payment/{payment}");
        bw.get_until(&path, "Succeeded", |(_, body)| body["status"] == "Succeeded").await;
        let mut refunds = Vec::new();
        for _ in 0..2 {
            let (status, body) = bw.post("/api/Refund", &bw.refund(&fresh("c"), &payment, "12.23")).await;
            assert_eq!(status, 200, "{body}");
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while refunds.len() < 2 {
            assert!(tokio::time::Instant::now() < deadline, "the refunds never waited for a person");
            let list = object(&ada, &["attention"]).await;
            refunds = list["items"]
                .as_array()
                .expect("a list")
                .iter()
                .filter(|i| i["kind"] == "needs_person")
                .map(|item| item["id"].as_str().expect("an id").to_owned())
                .collect();
        }
        let text = out(&run(&ada, &["attention"]).await);
        assert!(text.contains("refund of 12.23 EUR, unknown"), "{text}");
        // The command as it was printed, completed.
        let command = text.lines().find_map(|line| line.trim().strip_prefix("$ rialto ")).expect("a command");
        let command = command.replace("--why '…'", "--why report");
        let line: Vec<&str> = command.split_whitespace().collect();
        assert_eq!(line[0], "resolve", "{command}");
        let done = run(&ada, &line).await;
        assert_eq!(out(&done), format!("{}: unknown -> succeeded\n", line[1]), "{}", err(&done));
        refused(&ada, &line, "it is succeeded").await;
        let other = refunds.iter().find(|id| *id != line[1]).expect("another one").clone();
        refused(&ada, &["resolve", &other, "--as", "succeeded", "--amount", "12.24", "--why", "x"], "amount: ").await;
        refused(&ada, &["tenant", "add", "--name", "x"], "needs the right admin").await;
        refused("ok_a_key_of_somebody_else", &["attention"], "set RIALTO_ADMIN_KEY").await;
        let audit = object(&ada, &["audit"]).await;
        let entry =
            &audit["entries"].as_array().expect("a list").iter().find(|e| e["outcome"] == "unknown -> succeeded");
        assert_eq!(entry.expect("it is written down")["actor"], "Ada Byron", "{audit}");
        process.kill().await;

        // Alone again: the same, in this process.
        let line = ["resolve", &other, "--as", "succeeded", "--amount", "12.20", "--why", "report"];
        let done = object(&ada, &line).await;
        assert_eq!((&done["state"], &done["amount"]), (&json!("succeeded"), &json!(12.2)), "{done}");
        let text = out(&run("", &["audit"]).await);
        assert!(text.lines().next().is_some_and(|line| line.contains("Ada Byron")), "{text}");
        let revoked = run("", &["operator", "revoke", "--name", "Ada Byron"]).await;
        assert_eq!(out(&revoked), "revoked: Ada Byron\n", "{}", err(&revoked));
        let list = out(&run("", &["operator", "list"]).await);
        assert!(list.contains("Ada Byron  revoked "), "{list}");
        let text = out(&run("", &["audit"]).await);
        assert!(text.lines().next().is_some_and(|line| line.contains("admin  operator.revoke Ada Byron")), "{text}");
    })
    .await;
}
