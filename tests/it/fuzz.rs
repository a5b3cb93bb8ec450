//! Nonsense on every door that takes a body: it is refused, and never a fault of ours. Seeded, so that what once failed
//! fails again.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::ask::{Asker, bearer};
use crate::billwerk::{Billwerk, fresh};
use crate::server::{Server, on_each_database, sandbox_settings};

/// Bodies per door and database.
const ROUNDS: u64 = 60;
/// How many at once.
const WIDTH: usize = 10;

/// Numbers that look like chance and are not (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).expect("small")).expect("small")
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.roll().to_le_bytes()[0]).collect()
    }
}

/// Values that somebody has stumbled over before, as they are written.
const ODD: &[&str] = &[
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\" \"",
    "0",
    "-0",
    "-1",
    "1e400",
    "1e-400",
    "0.1e-5",
    "9007199254740993",
    "99999999999999999999999999",
    "[[[[[[]]]]]]",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\u202e\"",
    "\"💥\"",
    "\"%s%n\"",
    "\"' OR 1=1--\"",
    "\"<script>\"",
    "\"${jndi:x}\"",
    "\"2026-13-45\"",
    "\"NaN\"",
    "{\"a\":{\"\":[]}}",
    "\"EUR\"",
    "\"http://[::1\"",
    "\"https://\\u0000\"",
    "\"\\r\\nx: y\"",
];

/// A good body with a few things put wrong in it.
fn spoilt(dice: &mut Dice, good: &Value) -> Vec<u8> {
    let mut body = good.clone();
    for _ in 0..=dice.below(2) {
        spoil(dice, &mut body);
    }
    let mut text = body.to_string();
    while let Some(at) = text.find("\"ODD\"") {
        text.replace_range(at..at + 5, dice.pick::<&str>(ODD));
    }
    let mut bytes = text.into_bytes();
    match dice.below(6) {
        0 => bytes.truncate(dice.below(bytes.len())),
        1 => {
            let at = dice.below(bytes.len());
            bytes[at] = dice.roll().to_le_bytes()[0];
        }
        2 => {
            let (from, to) = (dice.below(bytes.len()), dice.below(bytes.len()));
            bytes.copy_within(from.min(to)..from.max(to), 0);
        }
        _ => {}
    }
    bytes
}

fn spoil(dice: &mut Dice, value: &mut Value) {
    match value {
        Value::Object(members) if !members.is_empty() && dice.below(8) > 0 => {
            let keys: Vec<String> = members.keys().cloned().collect();
            let key = dice.pick(&keys).clone();
            match dice.below(6) {
                0 => drop(members.remove(&key)),
                1 => {
                    let twin = members[&key].clone();
                    members.insert(key.to_uppercase(), twin);
                }
                _ => spoil(dice, &mut members[&key]),
            }
        }
        Value::String(text) if dice.below(4) == 0 => *text = text.repeat(1 + dice.below(300)),
        other => *other = json!("ODD"),
    }
}

/// An address, the headers that open it, and a body that is right there.
struct Door {
    path: String,
    headers: Vec<(&'static str, String)>,
    good: Value,
}

/// A caller whose amounts choose no script: some of those end in a 500 rightly.
async fn unscripted(server: &Server) -> Billwerk {
    let engine = &server.app.engine;
    let tenant = engine.add_tenant("Fuzz", true).await.expect("a tenant").id;
    let settings: BTreeMap<String, String> =
        sandbox_settings().into_iter().filter(|(key, _)| key != "scripted").collect();
    let connection = engine.add_connection(tenant, "sandbox", true, settings, true).await.expect("a connection").id;
    let key = engine.add_key(tenant, "billwerk", connection, false).await.expect("a key");
    Billwerk::new(&server.url, key.expose(), "http://127.0.0.1:9/hook")
}

fn doors(server: &Server, bw: &Billwerk, agreement: &str, payment: &str) -> Vec<Door> {
    let (token, admin) = (bearer(&bw.token), bearer(server.app.operator_key.expose()));
    let json_type = ("content-type", "application/json".to_owned());
    let caller = vec![("authorization", token), json_type.clone()];
    let operator = vec![("authorization", admin), json_type.clone()];
    let door = |path: &str, headers: &[(&'static str, String)], good: Value| Door {
        path: path.to_owned(),
        headers: headers.to_vec(),
        good,
    };
    let mut preauth = bw.preauth(&fresh("a"), &fresh("ag"), "10.00");
    preauth["paymentMeansReference"]["initialBearer"] = json!({"Holder": "Ada", "IBAN": "DE89370400440532013000"});
    preauth["orderData"] = json!({"planName": "x", "feePeriod": {"unit": "Month", "quantity": 1}, "recurringFee": 1});
    let mut charge = bw.payment(&fresh("b"), agreement, "10.00");
    charge["invoiceData"] = json!({"lineItems": [{"totalGross": 1.5, "taxCategory": 1}], "dueDate": "2026-12-01"});
    let hook = format!("/hooks/{}", server.connection);
    let tenant = server.tenant;
    vec![
        door("/api/Preauth", &caller, preauth),
        door("/api/Payment", &caller, charge),
        door("/api/Refund", &caller, bw.refund(&fresh("c"), payment, "0.01")),
        door("/api/Preauth/x/Cancel", &caller, json!({"pspSettingsId": "x"})),
        door(&hook, &[json_type, ("x-sandbox-signature", "t=1,v1=00".to_owned())], json!({"id": "n", "type": "ping"})),
        door(
            "/sandbox/pay/x",
            &[("content-type", "application/x-www-form-urlencoded".to_owned())],
            json!("choice=approve"),
        ),
        door("/r/x", &[], json!({})),
        door("/admin/tenants", &operator, json!({"name": "x", "sandbox": true})),
        door(
            &format!("/admin/tenants/{tenant}/connections"),
            &operator,
            json!({"adapter": "sandbox", "test": true, "settings": {"api_key": "a", "webhook_secret": "b"}}),
        ),
        door(
            &format!("/admin/tenants/{tenant}/keys"),
            &operator,
            json!({"contract": "billwerk", "connection_id": server.connection.to_string(), "all_events": false}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_body_is_a_fault_of_ours() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = unscripted(&server).await;
        let agreement = fresh("ag");
        bw.sign_up(&agreement, "25.00").await;
        let payment = fresh("b");
        bw.post("/api/Payment", &bw.payment(&payment, &agreement, "50.00")).await;
        let asker = Asker::new();
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        for (number, door) in doors(&server, &bw, &agreement, &payment).iter().enumerate() {
            let mut bodies = Vec::new();
            for round in 0..ROUNDS {
                let mut dice = Dice(round * 1_000 + u64::try_from(number).expect("small"));
                bodies.push(match round % 5 {
                    0 => {
                        let length = dice.below(2_000);
                        dice.bytes(length)
                    }
                    _ => spoilt(&mut dice, &door.good),
                });
            }
            let url = format!("{}{}", server.url, door.path);
            let headers: Vec<(&str, &str)> = door.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            for some in bodies.chunks(WIDTH) {
                let replies = join_all(some.iter().map(|body| asker.ask("POST", &url, &headers, body.clone()))).await;
                for (body, reply) in some.iter().zip(replies) {
                    let body = String::from_utf8_lossy(body);
                    assert!(reply.status < 500, "{} {body}: {} {}", door.path, reply.status, reply.text);
                    *statuses.entry(reply.status).or_default() += 1;
                }
            }
        }
        for expected in [200, 400, 422] {
            assert!(statuses.contains_key(&expected), "the bodies are too tame: {statuses:?}");
        }
        // And it lives.
        let (status, body) = bw.post("/api/Payment", &bw.payment(&fresh("b"), &agreement, "10.00")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
    })
    .await;
}
