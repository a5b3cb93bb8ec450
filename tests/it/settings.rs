//! The settings half of the contract: what a connection can do, its settings and how they change under what is open, who
//! is answered in which spelling, and when a platform is told that the PSP refuses the account.

use std::collections::BTreeMap;
use std::time::Duration;

use rialto::core::transaction::State;
use rialto::flow::settings::{Changed, NewValues};
use rialto::store::tenants::{Connection, Told};
use rialto::store::{Unit, tenants};
use rialto_adapters::port::{Reason, Secret};
use rialto_adapters::sandbox::notice::SIGNATURE;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ask::{Asker, Reply, bearer};
use crate::billwerk::{Billwerk, fresh};
use crate::cli::rialto;
use crate::process::Place;
use crate::server::{Server, on_each_database, sandbox_settings, stored};

const INVALID_DATA: i64 = 8;
const INVALID_PRECONDITIONS: i64 = 11;
const INVALID_CONFIGURATION: i64 = 15;
const LOGIN_ERROR: i64 = 7;
const PSP_CONNECTION_PROBLEM: i64 = 19;

struct World {
    server: Server,
    bw: Billwerk,
    asker: Asker,
}

impl World {
    async fn new(kind: &str, scale: u32) -> World {
        let server = Server::start(kind, scale).await;
        World { bw: server.billwerk(), server, asker: Asker::new() }
    }

    async fn ask(&self, token: &str, method: &str, path: &str, body: &str) -> Reply {
        let token = bearer(token);
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        self.asker.ask(method, &format!("{}{path}", self.server.url), &headers, body.to_owned()).await
    }

    async fn put(&self, body: &Value) -> Reply {
        self.ask(&self.bw.token, "PUT", "/api/Settings", &body.to_string()).await
    }

    async fn shown(&self) -> BTreeMap<String, String> {
        let (status, body) = self.bw.get("/api/Settings").await;
        assert_eq!(status, 200, "{body}");
        let items = body["merchantSettings"].as_array().expect("a list").clone();
        let text = |item: &Value, key: &str| item[key].as_str().expect("a text").to_owned();
        items.iter().map(|item| (text(item, "keyName"), text(item, "keyValue"))).collect()
    }

    async fn connection(&self) -> Connection {
        let found = self.server.store().connection(self.server.tenant, self.server.connection).await;
        found.expect("a database").expect("a connection")
    }

    async fn stored(&self, key: &str) -> String {
        let connection = self.connection().await;
        let settings = self.server.store().settings(connection.tenant_id, connection.id, connection.version).await;
        settings.expect("a database").get(key).to_owned()
    }

    /// As an operator, through the admin API.
    async fn admin(&self, path: &str, body: &Value) -> (u16, Value) {
        let key = self.server.app.operator_key.expose().to_owned();
        let headers = [("x-admin-key", key.as_str()), ("content-type", "application/json")];
        let url = format!("{}/admin{path}", self.server.url);
        let method = if body.is_null() { "GET" } else { "POST" };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.asker.ask(method, &url, &headers, body).await;
        (reply.status, reply.json())
    }

    async fn audit(&self) -> Vec<(String, String, String)> {
        let entries = self.server.store().audit_everywhere(Some(self.server.tenant)).await.expect("a database").0;
        entries.into_iter().map(|e| (e.actor, e.action, format!("{} - {}", e.details, e.outcome))).collect()
    }

    /// The id of the one key that the tenant has.
    async fn key_id(&self) -> Uuid {
        self.server.store().keys(self.server.tenant).await.expect("a database")[0].key.id
    }

    async fn state(&self, operation: &str, key: &str) -> State {
        let (_, transactions) = stored(self.server.store(), "billwerk", operation, key).await.expect("it is stored");
        transactions[0].state
    }
}

fn form(pairs: &[(&str, &str)]) -> Value {
    let items: Vec<Value> = pairs.iter().map(|(key, value)| json!({ "keyName": key, "keyValue": value })).collect();
    json!({ "merchantSettings": items })
}

fn debit(bw: &Billwerk, id: &str, agreement: &str) -> Value {
    let mut body = bw.preauth(id, agreement, "10.00");
    body["paymentMeansReference"] =
        json!({"role": "Debit", "initialBearer": {"Holder": "Ada", "IBAN": "DE89370400440532013000"}});
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_is_set_up_from_what_the_platform_is_told() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let (status, info) = world.bw.get("/api/integrationinfo").await;
        assert_eq!(status, 200, "{info}");
        assert_eq!(info["creditCardMethodInfo"]["useCapturePreauth"], json!(true));
        assert_eq!(info["debitMethodInfo"]["supportExternalMandateReference"], json!(true));
        assert_eq!(info["debitMethodInfo"]["supportedExternalMandateReferenceSize"], json!(35));
        assert_eq!((&info["supportRefunds"], &info["requiresReturnUrl"]), (&json!(true), &json!(true)));
        for absent in
            ["blackLabelMethodInfo", "onAccountMethodInfo", "betalingsserviceMethodInfo", "autogiroMethodInfo"]
        {
            assert_eq!(info.get(absent), None, "a method that is not offered is absent");
        }
        let described: Vec<&str> =
            info["merchantSettings"].as_array().expect("a form").iter().filter_map(|s| s["keyName"].as_str()).collect();
        assert_eq!(described, ["api_key", "webhook_secret"], "what is the operator's is not shown");

        // What is shown of a secret cannot be one, and what is shown can be sent back.
        let before = world.shown().await;
        let key = world.stored("api_key").await;
        assert_eq!(before.keys().collect::<Vec<_>>(), ["api_key", "webhook_secret"]);
        assert_eq!(before["api_key"], format!("••••••••{}", &key[key.len() - 4..]));
        let pairs: Vec<(&str, &str)> = before.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let unchanged = form(&pairs);
        for body in [
            unchanged.clone(),
            json!({ "merchantPspSettings": unchanged }),
            json!({ "MerchantPspSettings": { "MerchantSettings": [
                { "KeyName": "API_KEY", "KeyValue": before["api_key"] },
                { "KEYNAME": "Webhook_Secret", "KEYVALUE": "••••••••" }
            ] } }),
        ] {
            let reply = world.put(&body).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            assert_eq!(
                (&reply.json()["isCreditCardValid"], &reply.json()["isDebitValid"]),
                (&json!(true), &json!(true))
            );
            assert_eq!(reply.json()["isAutogiroValid"], json!(false));
        }
        assert_eq!(world.connection().await.version, 1, "nothing changed, so there is no new version");
        assert!(world.audit().await.iter().all(|(_, action, _)| action != "settings"));

        // A new secret, beside a mask. What is the operator's stays.
        let reply =
            world.put(&form(&[("api_key", &before["api_key"]), ("webhook_secret", "another secret of ours")])).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(world.connection().await.version, 2);
        assert_eq!(world.stored("api_key").await, key);
        assert_eq!(world.stored("webhook_secret").await, "another secret of ours");
        assert_eq!(world.stored("scripted").await, "on");
        assert_eq!(world.shown().await["webhook_secret"], "••••••••ours");
        let actor = format!("key {}", world.key_id().await);
        let audit = world.audit().await;
        let wanted = (actor, "settings".to_owned(), "webhook_secret - version 2, accepted by the PSP".to_owned());
        assert_eq!(audit[0], wanted);

        // Every try is kept, and no secret with it.
        let calls = world.server.store().exchanges_beside(world.server.tenant, world.server.connection).await;
        let calls = calls.expect("a database");
        assert_eq!(calls.len(), 4);
        for call in calls {
            let text = format!("{} {:?}", call.request, call.reply);
            assert!(call.purpose == "probe" && text.contains("/account"), "{text}");
            assert!(!text.contains(&key) && !text.contains("another secret"), "{text}");
        }
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_or_not_accepted_is_not_saved() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let rows: &[(Value, u16, i64, &str)] = &[
            (json!({}), 422, INVALID_DATA, "merchantSettings: is required"),
            (json!({ "merchantSettings": 5 }), 422, INVALID_DATA, "merchantSettings"),
            (json!({ "merchantSettings": [{ "keyValue": "x" }] }), 422, INVALID_DATA, "merchantSettings[0].keyName"),
            (form(&[("api_key", "a")]), 422, INVALID_DATA, "webhook_secret: is required"),
            (form(&[("api_key", ""), ("webhook_secret", "b")]), 422, INVALID_DATA, "api_key: is required"),
            (
                form(&[("api_key", "a"), ("webhook_secret", "b"), ("colour", "red")]),
                422,
                INVALID_DATA,
                "colour: unknown setting; Sandbox has api_key, webhook_secret",
            ),
            (
                form(&[("api_key", "a"), ("webhook_secret", "b"), ("scripted", "off")]),
                422,
                INVALID_DATA,
                "scripted: unknown setting",
            ),
            (
                form(&[("api_key", "a"), ("webhook_secret", "b"), ("API_KEY", "c")]),
                422,
                INVALID_DATA,
                "api_key: is given twice",
            ),
            (form(&[("api_key", "••••••••zzzz"), ("webhook_secret", "b")]), 422, INVALID_DATA, "api_key: is a mask"),
            (
                form(&[("api_key", &"a".repeat(20_000)), ("webhook_secret", "b")]),
                422,
                INVALID_DATA,
                "api_key: is longer",
            ),
            (
                json!({ "merchantSettings": [
                    { "keyName": "api_key", "keyValue": 7 }, { "keyName": "webhook_secret", "keyValue": "b" }
                ] }),
                422,
                INVALID_DATA,
                "api_key: must be a text",
            ),
            (
                form(&[("api_key", "invalid"), ("webhook_secret", "b")]),
                422,
                INVALID_DATA,
                "does not accept these settings: the sandbox does not know this API key",
            ),
            (
                form(&[("api_key", "unreachable"), ("webhook_secret", "b")]),
                500,
                PSP_CONNECTION_PROBLEM,
                "could not be asked, and nothing was saved",
            ),
        ];
        let key = world.stored("api_key").await;
        for (body, status, code, text) in rows {
            let reply = world.put(body).await;
            assert_eq!((reply.status, reply.code()), (*status, *code), "{body}: {}", reply.text);
            assert!(reply.message().contains(text), "{text} in {}", reply.text);
        }
        assert_eq!((world.connection().await.version, world.stored("api_key").await), (1, key));
        let reply = world.ask(&world.bw.token, "PUT", "/api/Settings", "not JSON").await;
        assert_eq!((reply.status, reply.code()), (400, INVALID_DATA));
        let reply = world.ask("sk_test_nobody", "PUT", "/api/Settings", "{}").await;
        assert_eq!((reply.status, reply.code()), (401, INVALID_CONFIGURATION));
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_changes_at_once_each_is_whole_or_told_to_try_again() {
    on_each_database(async |kind| {
        let world = std::sync::Arc::new(World::new(kind, 1).await);
        let mut sent = tokio::task::JoinSet::new();
        for at in 0..6 {
            let world = world.clone();
            sent.spawn(async move {
                let secret = format!("secret number {at}");
                let reply = world.put(&form(&[("api_key", "••••••••"), ("webhook_secret", &secret)])).await;
                (reply, secret)
            });
        }
        let mut won = Vec::new();
        for (reply, secret) in sent.join_all().await {
            match reply.status {
                200 => won.push(secret),
                _ => {
                    assert_eq!((reply.status, reply.code()), (409, INVALID_PRECONDITIONS), "{}", reply.text);
                    assert!(reply.header("retry-after").is_some() && reply.message().contains("try again"));
                }
            }
        }
        let connection = world.connection().await;
        assert_eq!(usize::try_from(connection.version).expect("small"), 1 + won.len());
        let mut kept = Vec::new();
        for version in 2..=connection.version {
            let settings = world.server.store().settings(connection.tenant_id, connection.id, version).await;
            kept.push(settings.expect("a database").get("webhook_secret").to_owned());
        }
        kept.sort();
        won.sort();
        assert_eq!(kept, won, "every change that was answered 200 was in force, once");
        assert_eq!(world.audit().await.iter().filter(|(_, action, _)| action == "settings").count(), won.len());
        world.server.quiet().await;
    })
    .await;
}

/// A story. While a debit is on its way its merchant rotates the webhook secret, then wants another account. The debit goes
/// on with its own account, and so do its refund and the agreement; what begins afterwards uses the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_change_while_a_payment_is_pending() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let (old_key, old_agreement) = (world.stored("api_key").await, fresh("ag"));
        let (status, body) = world.bw.post("/api/Preauth", &debit(&world.bw, &fresh("a"), &old_agreement)).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        // Only a look-up will tell what becomes of it.
        let payment = fresh("b");
        let mut charge = world.bw.payment(&payment, &old_agreement, "10.36");
        charge["paymentMeansReference"] = json!({ "role": "Debit" });
        let (status, body) = world.bw.post("/api/Payment", &charge).await;
        assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");

        // The same account: at once, and look-ups use it.
        let off = NewValues::Some(BTreeMap::from([("scripted".to_owned(), "off".to_owned())]));
        let engine = world.server.app.engine.acting_as("ada");
        let changed = engine.change_settings(world.server.tenant, world.server.connection, off, false).await;
        assert!(matches!(changed, Ok(Changed::Saved { version: 2, methods: Some(_) })), "{changed:?}");
        let reply = world.put(&form(&[("api_key", "••••••••"), ("webhook_secret", "rotated")])).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let (_, transactions) = stored(world.server.store(), "billwerk", "payment", &payment).await.expect("stored");
        let pending = transactions[0].clone();
        assert!(matches!(pending.state, State::Pending(_)), "{:?}", pending.state);
        engine.inquire(&pending).await.expect("asked");
        let calls = world.server.store().exchanges(pending.tenant_id, pending.id).await.expect("a database");
        let scripted = |purpose: &str| {
            let call = calls.iter().rfind(|call| call.purpose == purpose).expect("a call");
            call.request.contains("x-sandbox-scripted")
        };
        assert!(scripted("submit") && !scripted("lookup"), "a look-up uses the newest settings of the account");

        // Another account would leave it behind.
        let another = form(&[("api_key", "quite another account"), ("webhook_secret", "rotated")]);
        let reply = world.put(&another).await;
        assert_eq!((reply.status, reply.code()), (422, INVALID_PRECONDITIONS), "{}", reply.text);
        assert!(reply.message().contains("another account at the PSP, and 1 transactions"), "{}", reply.text);
        let path = format!("/connections/{}/settings", world.server.connection);
        let change = json!({ "settings": { "api_key": "quite another account" } });
        let (status, answer) = world.admin(&path, &change).await;
        assert_eq!(status, 409, "{answer}");
        assert!(answer["detail"].as_str().is_some_and(|text| text.contains("1 transactions")), "{answer}");
        assert_eq!(world.connection().await.version, 3);
        // An operator may say so all the same.
        let forced = json!({ "settings": { "api_key": "quite another account" }, "force": true });
        let (status, answer) = world.admin(&path, &forced).await;
        assert_eq!((status, &answer["version"], &answer["accepted"]), (200, &json!(4), &json!(true)), "{answer}");
        let (actor, action, text) = world.audit().await.remove(0);
        assert_eq!((actor.as_str(), action.as_str()), ("admin", "settings"));
        assert!(text.contains("api_key; another account, 1 transactions open under the old one"), "{text}");

        // The payment is still asked about, and given back, where it was made.
        let path = format!("/api/Payment/{payment}");
        let done = |(status, body): &(u16, Value)| *status == 200 && body["status"] == "Succeeded";
        world.bw.get_until(&path, "Succeeded", done).await;
        let (status, body) = world.bw.post("/api/Refund", &world.bw.refund(&fresh("c"), &payment, "1.00")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        // A token means something to the account that made it alone: the agreement is charged there.
        let again = fresh("b");
        let mut charge = world.bw.payment(&again, &old_agreement, "11.00");
        charge["paymentMeansReference"] = json!({ "role": "Debit" });
        let (status, body) = world.bw.post("/api/Payment", &charge).await;
        assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");
        world.bw.get_until(&format!("/api/Payment/{again}"), "Succeeded", done).await;
        let (_, transactions) = stored(world.server.store(), "billwerk", "payment", &again).await.expect("stored");
        let settings = world.server.store().settings_of_account(
            world.server.tenant,
            world.server.connection,
            transactions[0].settings_version,
        );
        assert_eq!(settings.await.expect("a database").get("api_key"), old_key);
        // Means that are stored now are the new account's.
        let (new_agreement, next) = (fresh("ag"), fresh("b"));
        let (status, body) = world.bw.post("/api/Preauth", &debit(&world.bw, &fresh("a"), &new_agreement)).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        let mut charge = world.bw.payment(&next, &new_agreement, "12.00");
        charge["paymentMeansReference"] = json!({ "role": "Debit" });
        assert_eq!(world.bw.post("/api/Payment", &charge).await.0, 200);
        world.bw.get_until(&format!("/api/Payment/{next}"), "Succeeded", done).await;
        let (_, transactions) = stored(world.server.store(), "billwerk", "payment", &next).await.expect("stored");
        assert_eq!(transactions[0].settings_version, 4);
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_counts_as_open_and_what_is_over_does_not() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let agreement = fresh("ag");
        let reserved = world.bw.sign_up(&agreement, "20.00").await;
        let another = |key: &str| form(&[("api_key", key), ("webhook_secret", "••••••••")]);
        let reply = world.put(&another("another account")).await;
        assert_eq!((reply.status, reply.code()), (422, INVALID_PRECONDITIONS), "{}", reply.text);
        let (status, body) = world.bw.post(&format!("/api/Preauth/{reserved}/Cancel"), &json!({})).await;
        assert_eq!((status, &body["cancellationStatus"]), (200, &json!("Succeeded")), "{body}");
        // A captured one holds nothing either, nor does a payment that may be refunded.
        let captured = world.bw.sign_up(&agreement, "30.00").await;
        let (status, body) =
            world.bw.post("/api/Payment", &world.bw.capture(&fresh("b"), &captured, &agreement, "30.00")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        let reply = world.put(&another("another account")).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(world.connection().await.version, 2);
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_was_replaced_is_good_for_what_may_still_be_told() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let old = Secret::new(world.stored("webhook_secret").await);
        let tell = async |secret: &Secret| {
            let body = json!({ "id": fresh("n"), "type": "ping", "created_at": 1 }).to_string();
            let signature = SIGNATURE.sign(secret, body.as_bytes(), world.server.store().clock().now());
            let headers = [("content-type", "application/json"), (SIGNATURE.header, signature.as_str())];
            world.asker.ask("POST", &world.server.hook_url, &headers, body.clone()).await.status
        };
        let rotate = async |secret: &str| {
            let reply = world.put(&form(&[("api_key", "••••••••"), ("webhook_secret", secret)])).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
        };
        assert_eq!(tell(&old).await, 200);
        rotate("the second secret").await;
        // Nothing was ever sent with the first one.
        assert_eq!((tell(&old).await, tell(&Secret::new("the second secret")).await), (401, 200));
        // What is refundable may be told of for long.
        world.server.agreement(&world.bw).await;
        let agreement = fresh("ag");
        let preauth = world.bw.sign_up(&agreement, "30.00").await;
        let payment = fresh("b");
        assert_eq!(
            world.bw.post("/api/Payment", &world.bw.capture(&payment, &preauth, &agreement, "30.00")).await.0,
            200
        );
        rotate("the third secret").await;
        let secrets = ["the second secret", "the third secret"].map(Secret::new);
        assert_eq!((tell(&old).await, tell(&secrets[0]).await, tell(&secrets[1]).await), (401, 200, 200));
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finalize_looks_up_now() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let finalize = async |id: &str| {
            let body =
                json!({ "transactionId": id, "finalizationData": { "pactasTransactionId": id, "Invoice": "x" } });
            world.bw.post("/api/Preauth/Finalize", &body).await
        };
        // Only a look-up tells that the payer has paid.
        let id = fresh("a");
        let (status, answer) = world.bw.post("/api/Preauth", &world.bw.preauth(&id, &fresh("ag"), "10.36")).await;
        assert_eq!(status, 200, "{answer}");
        let (status, waiting) = finalize(&id).await;
        assert_eq!((status, &waiting["status"]), (200, &json!("Pending")), "{waiting}");
        let (_, transactions) = stored(world.server.store(), "billwerk", "preauth", &id).await.expect("stored");
        let session = world.server.psp().session_of(&transactions[0].ours.0).await.expect("the PSP's tables");
        let page = format!("{}/sandbox/pay/{}", world.server.url, session.expect("a page"));
        assert_eq!(world.bw.press(&page, "choice", "approve").await.0, 303);
        let lookups = async || {
            let (_, all) = stored(world.server.store(), "billwerk", "preauth", &id).await.expect("stored");
            world.server.store().exchanges(all[0].tenant_id, all[0].id).await.expect("a database").len()
        };
        let before = lookups().await;
        assert_eq!(finalize(&id).await.0, 200);
        assert!(lookups().await > before, "the PSP was asked");
        world
            .server
            .until("succeeded, by finalizing alone", async || {
                let (status, answer) = finalize(&id).await;
                status == 200 && answer["status"] == "Succeeded" && answer["authorizedAmount"] == json!(10.36)
            })
            .await;
        // What has ended is shown as by a GET, and nobody is asked.
        let before = lookups().await;
        assert_eq!(finalize(&id).await, world.bw.get(&format!("/api/Preauth/{id}")).await);
        assert_eq!(lookups().await, before);
        let declined = fresh("a");
        let (_, answer) = world.bw.post("/api/Preauth", &world.bw.preauth(&declined, &fresh("ag"), "10.11")).await;
        world.bw.finish_page(&answer, "approve").await;
        let refused = finalize(&declined).await;
        assert_eq!((refused.0, &refused.1["ErrorCode"]), (422, &json!(9)), "{}", refused.1);
        assert_eq!(refused, world.bw.get(&format!("/api/Preauth/{declined}")).await);
        let (status, answer) = finalize(&fresh("a")).await;
        assert_eq!((status, &answer["ErrorCode"]), (404, &json!(INVALID_PRECONDITIONS)));
        for body in [
            json!({}),
            json!({ "transactionId": "" }),
            json!({ "transactionId": id, "finalizationData": { "a": 5 } }),
            json!({ "transactionId": id, "finalizationData": { "a": "v".repeat(5_000) } }),
        ] {
            let (status, answer) = world.bw.post("/api/Preauth/Finalize", &body).await;
            assert_eq!((status, &answer["ErrorCode"]), (422, &json!(INVALID_DATA)), "{answer}");
        }
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_answered_in_its_own_spelling() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let id = world.key_id().await;
        let style = json!({ "answers": "pascal,number", "errors": "camel,name", "notices": "camel,name" });
        let (status, key) = world.admin(&format!("/keys/{id}"), &style).await;
        assert_eq!((status, &key["answers"], &key["errors"]), (200, &json!("pascal,number"), &json!("camel,name")));

        let preauth = fresh("a");
        let (status, answer) = world.bw.post("/api/Preauth", &world.bw.preauth(&preauth, &fresh("ag"), "10.00")).await;
        assert_eq!(
            (status, &answer["Status"], &answer["TransactionId"]),
            (200, &json!(2), &json!(preauth)),
            "{answer}"
        );
        world.bw.finish_page(&json!({ "redirectUrl": answer["RedirectUrl"] }), "approve").await;
        let path = format!("/api/Preauth/{preauth}");
        let (_, answer) = world.bw.get_until(&path, "succeeded", |(_, body)| body["Status"] == json!(3)).await;
        assert!(answer["Bearer"]["Last4"].is_string(), "keys of a free map are nobody's to respell: {answer}");
        let wanted = json!({ "transactionId": preauth, "agreementId": null, "type": "Preauth" });
        world.server.receiver.wait_for("a notice in the key's spelling", |got| got.contains(&wanted)).await;
        let (_, info) = world.bw.get("/api/IntegrationInfo").await;
        assert!(info["CreditCardMethodInfo"]["UseCapturePreauth"].is_boolean(), "{info}");

        // Errors, whoever writes them: an operation, the reader of bodies, the router.
        let (status, error) = world.bw.get("/api/Payment/nobody").await;
        assert_eq!(
            (status, &error["errorCode"], &error["status"]),
            (404, &json!("InvalidPreconditions"), &json!("Failed"))
        );
        let (status, error) = world.bw.post_text("/api/Payment", "{").await;
        assert_eq!((status, &error["errorCode"]), (400, &json!("InvalidData")), "{error}");
        let reply = world.ask(&world.bw.token, "DELETE", "/api/Payment", "").await;
        assert_eq!((reply.status, &reply.json()["errorCode"]), (405, &json!("InvalidData")), "{}", reply.text);
        // Nobody knows how somebody unknown wants it, and other keys have their own way.
        for method in ["GET", "DELETE"] {
            let reply = world.ask("sk_test_nobody", method, "/api/Preauth/x", "").await;
            assert!(reply.json()["ErrorCode"].is_number(), "{}", reply.text);
        }
        let other = world.server.app.engine.add_key(world.server.tenant, "billwerk", world.server.connection, false);
        let other = Billwerk::new(&world.server.url, other.await.expect("a key").expose(), &world.bw.webhook_target);
        let (_, answer) = other.get(&path).await;
        assert_eq!((&answer["status"], &answer["transactionId"]), (&json!("Succeeded"), &json!(preauth)), "{answer}");

        let (status, key) = world.admin(&format!("/keys/{id}"), &json!({ "answers": "default" })).await;
        assert_eq!((status, key.get("answers"), &key["errors"]), (200, None, &json!("camel,name")), "{key}");
        assert_eq!(world.bw.get(&path).await.1["status"], json!("Succeeded"));
        let rows = [
            (format!("/keys/{id}"), json!({ "answers": "snake,name" }), 422),
            (format!("/keys/{}", Uuid::now_v7()), json!({ "answers": "camel,name" }), 404),
            ("/keys/sk_test_".to_owned(), json!({ "answers": "camel,name" }), 404),
        ];
        for (path, body, status) in rows {
            assert_eq!(world.admin(&path, &body).await.0, status, "{path} {body}");
        }
        let set = world.audit().await.into_iter().find(|(_, action, _)| action == "key.set").expect("an entry");
        assert_eq!(
            (set.0.as_str(), set.2.as_str()),
            ("admin", "answers default, errors camel,name, notices camel,name - done")
        );
        // A key that is taken away opens nothing.
        let (status, gone) = world.admin(&format!("/keys/{id}/revoke"), &json!({})).await;
        assert!(status == 200 && gone["revoked_at_ms"].is_number(), "{gone}");
        assert_eq!((world.bw.get(&path).await.0, other.get(&path).await.0), (401, 200));
        assert_eq!(world.admin(&format!("/keys/{id}/revoke"), &json!({})).await.0, 422);
        world.server.quiet().await;
    })
    .await;
}

/// A tenant whose account the PSP refuses, with a key for it.
async fn refused_tenant(world: &World) -> (Uuid, Uuid, Billwerk) {
    let engine = &world.server.app.engine;
    let tenant = engine.add_tenant("Refused", true).await.expect("a tenant").id;
    let mut settings = sandbox_settings();
    settings.insert("api_key".to_owned(), format!("invalid-{}", Uuid::now_v7()));
    let connection = engine.add_connection(tenant, "sandbox", true, settings, true).await.expect("a connection").id;
    let key = engine.add_key(tenant, "billwerk", connection, false).await.expect("a key");
    let bw = Billwerk::new(&world.server.url, key.expose(), &world.bw.webhook_target);
    (tenant, connection, bw)
}

/// A story. The PSP does not know an account's key any more. The platform hears that something is wrong with the set-up,
/// and an operator is told; only when it has been so for long, and the account is refused when it is tried out too, does
/// the platform hear the word that switches the PSP off. With good credentials all of it is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_account_is_held_back_until_it_is_proved() {
    on_each_database(async |kind| {
        let world = World::new(kind, 50).await;
        let (tenant, id, bw) = refused_tenant(&world).await;
        let (store, clock) = (world.server.store(), world.server.store().clock());
        let connection = async || store.connection(tenant, id).await.expect("a database").expect("a connection");
        let alerts = async || {
            let open = store.alerts_open(tenant).await.expect("a database");
            open.iter().filter(|alert| alert.kind == "account_refused").count()
        };
        // A customer's bad account is the customer's.
        let mut wrong = debit(&bw, &fresh("a"), &fresh("ag"));
        wrong["paymentMeansReference"]["initialBearer"]["IBAN"] = json!("DE89370400440532013001");
        let (status, error) = bw.post("/api/Preauth", &wrong).await;
        assert_eq!((status, &error["ErrorCode"]), (422, &json!(2)), "{error}");
        assert_eq!(connection().await.refusals, 0);

        let mut ids = Vec::new();
        for _ in 0..3 {
            let preauth = fresh("a");
            let (status, error) = bw.post("/api/Preauth", &debit(&bw, &preauth, &fresh("ag"))).await;
            assert_eq!((status, &error["ErrorCode"]), (500, &json!(INVALID_CONFIGURATION)), "{error}");
            assert_eq!(world.state("preauth", &preauth).await, State::Declined(Reason::AccountRefused));
            ids.push(preauth);
        }
        world.server.until("three refusals", async || connection().await.refusals == 3).await;
        assert_eq!(alerts().await, 1, "of a row of refusals the first one is told");
        // Too short a time for a proof.
        assert!(world.server.app.engine.refused_connections().await.expect("a database").is_empty());
        assert_eq!(connection().await.told, None);
        let shown = async |id: &str| {
            let (status, error) = bw.get(&format!("/api/Preauth/{id}")).await;
            (status, error["ErrorCode"].as_i64().unwrap_or(-1))
        };
        assert_eq!(shown(&ids[0]).await, (500, INVALID_CONFIGURATION));

        clock.advance(Duration::from_secs(31 * 60));
        world.server.until("proved", async || connection().await.told == Some(Told::Proved)).await;
        for id in &ids {
            assert_eq!(shown(id).await, (401, LOGIN_ERROR));
        }
        let (status, error) = bw.post("/api/Preauth", &debit(&bw, &fresh("a"), &fresh("ag"))).await;
        assert_eq!((status, &error["ErrorCode"]), (401, &json!(LOGIN_ERROR)), "{error}");
        let decided = store.audit_everywhere(Some(tenant)).await.expect("a database").0.remove(0);
        assert_eq!(
            (decided.actor.as_str(), decided.action.as_str(), decided.outcome.as_str()),
            ("rialto", "connection.refused", "proved")
        );

        // An operator has the last word.
        let path = format!("/connections/{id}/refused");
        let (status, now) = world.admin(&path, &json!({ "callers": "hold" })).await;
        assert_eq!((status, &now["told"]), (200, &json!("hold")), "{now}");
        assert_eq!(shown(&ids[0]).await, (500, INVALID_CONFIGURATION));
        let (status, now) = world.admin(&path, &json!({ "callers": "tell" })).await;
        assert_eq!((status, &now["told"]), (200, &json!("tell")), "{now}");
        assert_eq!(shown(&ids[0]).await, (401, LOGIN_ERROR));

        // Credentials that the PSP accepts end it.
        let token = bearer(&bw.token);
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let good = form(&[("api_key", "a key that is known"), ("webhook_secret", "••••••••")]).to_string();
        let reply = world.asker.ask("PUT", &format!("{}/api/Settings", world.server.url), &headers, good).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let now = connection().await;
        assert_eq!((now.refusals, now.refused_since, now.told), (0, None, None));
        assert_eq!(alerts().await, 0);
        assert_eq!(shown(&ids[0]).await, (500, INVALID_CONFIGURATION), "what is over switches nothing off");
        let (status, body) = bw.post("/api/Preauth", &debit(&bw, &fresh("a"), &fresh("ag"))).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        let (status, answer) = world.admin(&path, &json!({ "callers": "tell" })).await;
        assert_eq!(status, 422, "there is nothing to tell: {answer}");
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_without_a_proof_are_never_told() {
    on_each_database(async |kind| {
        let world = World::new(kind, 50).await;
        let (store, clock) = (world.server.store(), world.server.store().clock());
        let refuse = async |connection: &Connection| {
            let mut unit = Unit::new("test");
            for _ in 0..5 {
                tenants::count_refusal(&mut unit, connection.tenant_id, connection.id, clock.now());
            }
            store.run(unit).await.expect("a database").expect("counted");
        };
        // One that is accepted when it is tried out, and one that nobody can try out.
        let fine = world.connection().await;
        let (tenant, id, _) = refused_tenant(&world).await;
        let unreachable = NewValues::Some(BTreeMap::from([("api_key".to_owned(), "unreachable".to_owned())]));
        let forced = world.server.app.engine.change_settings(tenant, id, unreachable, true).await;
        assert!(matches!(forced, Ok(Changed::Saved { methods: None, .. })), "{forced:?}");
        let dark = store.connection(tenant, id).await.expect("a database").expect("a connection");
        refuse(&fine).await;
        refuse(&dark).await;
        clock.advance(Duration::from_secs(31 * 60));
        world.server.until("accepted", async || world.connection().await.refusals == 0).await;
        world
            .server
            .until("tried out", async || !store.exchanges_beside(tenant, id).await.expect("a database").is_empty())
            .await;
        let now = store.connection(tenant, id).await.expect("a database").expect("a connection");
        assert_eq!((now.refusals, now.told), (5, None));
        // A success ends the row.
        refuse(&fine).await;
        assert_eq!(world.connection().await.refusals, 5);
        let (status, body) = world.bw.post("/api/Preauth", &debit(&world.bw, &fresh("a"), &fresh("ag"))).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        world.server.until("forgotten", async || world.connection().await.refusals == 0).await;
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_go_where_the_tenant_lets_them() {
    on_each_database(async |kind| {
        let world = World::new(kind, 1).await;
        let path = format!("/tenants/{}/settings", world.server.tenant);
        let set = async |hosts: &str| world.admin(&path, &json!({ "settings": { "webhook_hosts": hosts } })).await;
        let sign_up = async |target: &str| {
            let mut body = debit(&world.bw, &fresh("a"), &fresh("ag"));
            body["webhookTarget"] = json!(target);
            world.bw.post("/api/Preauth", &body).await
        };
        let own = world.bw.webhook_target.clone();
        assert_eq!(sign_up(&own).await.0, 200, "without a list any address that the guard allows");
        let (status, now) = set("*.Billwerk.com, *.frisbii-transform.com").await;
        let hosts = json!({ "webhook_hosts": "*.billwerk.com,*.frisbii-transform.com" });
        assert_eq!((status, &now["settings"]), (200, &hosts), "{now}");
        for target in
            [own.as_str(), "https://hooks.evil.example/", "https://billwerk.com.evil.example/", "https://billwerk.com/"]
        {
            let (status, error) = sign_up(target).await;
            assert_eq!((status, &error["ErrorCode"]), (422, &json!(INVALID_DATA)), "{target}: {error}");
            let message = error["ErrorMessage"].as_str().expect("a text");
            assert!(message.starts_with("webhookTarget: ") && message.contains("not among those"), "{message}");
        }
        // Of every request that names one, and of this tenant alone.
        let (status, error) = world.bw.post("/api/Payment", &world.bw.payment(&fresh("b"), "nobody", "1.00")).await;
        assert!(status == 422 && error["ErrorMessage"].as_str().is_some_and(|text| text.starts_with("webhookTarget")));
        let stranger = world.server.another_tenant().await;
        assert_eq!(stranger.post("/api/Preauth", &debit(&stranger, &fresh("a"), &fresh("ag"))).await.0, 200);
        assert_eq!(set("127.0.0.1,*.billwerk.com").await.0, 200);
        assert_eq!(sign_up(&own).await.0, 200);
        assert_eq!(set("").await.0, 200);
        let rows = [
            (path.clone(), json!({ "settings": { "webhook_hosts": "https://a.example/" } }), 422),
            (path.clone(), json!({ "settings": { "colour": "red" } }), 422),
            (path.clone(), json!({}), 422),
            (format!("/tenants/{}/settings", Uuid::now_v7()), json!({ "settings": {} }), 404),
            ("/tenants/x/settings".to_owned(), json!({ "settings": {} }), 404),
        ];
        for (path, body, status) in rows {
            assert_eq!(world.admin(&path, &body).await.0, status, "{path} {body}");
        }
        let entries = world.audit().await;
        let sets: Vec<&str> =
            entries.iter().filter(|(_, action, _)| action == "tenant.set").map(|(.., text)| text.as_str()).collect();
        assert_eq!(sets.len(), 3, "{entries:?}");
        assert_eq!(sets[1], "webhook_hosts=127.0.0.1,*.billwerk.com - done");
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_changes_what_was_set_up() {
    on_each_database(async |kind| {
        let place = Place::new(kind).await;
        let data_dir = place.data_dir().to_string_lossy().into_owned();
        let settings = [
            ("RIALTO_DATA_DIR", data_dir.as_str()),
            ("RIALTO_DATABASE_URL", place.database.url.as_str()),
            ("RIALTO_MASTER_KEYS", rialto::store::testing::MASTER_KEYS),
        ];
        let run = async |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let output = rialto(place.folder.path(), &settings, &words).await;
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            match output.status.success() {
                true => out.into_owned(),
                false => err.into_owned(),
            }
        };
        let json = async |line: &str| {
            let text = run(&format!("{line} --json")).await;
            serde_json::from_str::<Value>(&text).unwrap_or_else(|_| panic!("{line}: {text}"))
        };
        let text = |value: &Value, key: &str| value[key].as_str().expect("a text").to_owned();
        let tenant = text(&json("tenant add --name Shop --sandbox").await, "id");
        let line =
            format!("connection add --tenant {tenant} --adapter sandbox --test --set api_key=a --set webhook_secret=b");
        let connection = text(&json(&line).await, "id");
        json(&format!("key add --tenant {tenant} --contract billwerk --connection {connection}")).await;

        let list = json(&format!("key list --tenant {tenant}")).await;
        let (id, hint) = (text(&list["keys"][0], "id"), text(&list["keys"][0], "hint"));
        assert!(run(&format!("key list --tenant {tenant}")).await.starts_with(&format!("{id}  {hint}…  billwerk")));
        let set = json(&format!("key set --key-hint {hint} --answers pascal,number --errors camel,name")).await;
        assert_eq!((&set["id"], &set["answers"]), (&json!(id), &json!("pascal,number")));
        let told = run(&format!("key set --id {id} --answers default")).await;
        assert_eq!(told, "answers: default\nerrors: camel,name\nnotices: default\n");
        assert!(run(&format!("key set --id {id}")).await.contains("nothing changes"));
        assert!(run(&format!("key set --id {id} --answers purple")).await.contains("answers: must be camel or pascal"));
        assert_eq!(run(&format!("key revoke --id {id}")).await, format!("revoked: {id}\n"));

        let changed = json(&format!("connection set --id {connection} --set webhook_secret=c")).await;
        assert_eq!((&changed["version"], &changed["accepted"]), (&json!(2), &json!(true)));
        let refused = run(&format!("connection set --id {connection} --set api_key=invalid")).await;
        assert!(refused.contains("does not accept these settings") && refused.contains("--force"), "{refused}");
        let forced = run(&format!("connection set --id {connection} --set api_key=unreachable --force")).await;
        assert_eq!(forced, "The settings are in force as version 3, although the provider did not accept them.\n");
        let wrong = run(&format!("connection set --id {connection} --set colour=red")).await;
        assert!(wrong.contains("colour: unknown setting"), "{wrong}");
        assert!(
            run(&format!("connection refused --id {connection} --tell"))
                .await
                .contains("tell: the PSP has not refused")
        );
        let held = run(&format!("connection refused --id {connection} --hold")).await;
        assert!(held.contains("callers are not told"), "{held}");

        let hosts = run(&format!("tenant set --tenant {tenant} webhook_hosts=*.billwerk.com,hooks.shop.example")).await;
        assert_eq!(hosts, "webhook_hosts: *.billwerk.com,hooks.shop.example\n");
        let audit = run(&format!("audit --tenant {tenant}")).await;
        for action in ["key.set", "key.revoke", "settings", "connection.refused", "tenant.set"] {
            assert!(audit.contains(action), "{action} in {audit}");
        }
        assert!(!audit.contains("unreachable"), "no value stands in the audit: {audit}");
    })
    .await;
}
