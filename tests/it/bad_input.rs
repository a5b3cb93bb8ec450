//! What is wrong is refused with the right status and code and the field's name, and leaves nothing behind: the same
//! request, put right, is carried out.

use serde_json::{Value, json};

use crate::ask::{Asker, Reply, bearer};
use crate::billwerk::{Billwerk, fresh};
use crate::server::{Server, on_each_database};

const BEARER_INVALID: i64 = 2;
const INVALID_AMOUNT: i64 = 5;
const INVALID_CURRENCY: i64 = 6;
const INVALID_DATA: i64 = 8;
const ALREADY_EXECUTED: i64 = 10;
const INVALID_PRECONDITIONS: i64 = 11;

/// A request that is wrong: what is wrong with it, its text, and how it is answered.
struct Wrong {
    what: String,
    body: Vec<u8>,
    status: u16,
    code: i64,
    /// Stands in the message.
    names: &'static str,
}

fn wrong(what: &str, body: impl Into<Vec<u8>>, status: u16, code: i64, names: &'static str) -> Wrong {
    Wrong { what: what.to_owned(), body: body.into(), status, code, names }
}

struct World {
    server: Server,
    bw: Billwerk,
    asker: Asker,
}

impl World {
    async fn new(kind: &str) -> World {
        let server = Server::start(kind, 1).await;
        World { bw: server.billwerk(), server, asker: Asker::new() }
    }

    async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        let token = bearer(&self.bw.token);
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        self.asker.ask("POST", &format!("{}{path}", self.bw.url), &headers, body.into()).await
    }

    async fn refused(&self, path: &str, row: Wrong) {
        let reply = self.post(path, row.body).await;
        assert_eq!((reply.status, reply.code()), (row.status, row.code), "{path}, {}: {}", row.what, reply.text);
        assert!(reply.message().contains(row.names), "{path}, {}: {}", row.what, reply.text);
        assert!(reply.json()["ReceivedAt"].is_string() && reply.json()["Status"] == 4, "{}", reply.text);
    }

    /// Each row is refused; the right request under the same id is carried out nevertheless.
    async fn refused_then_right(&self, path: &str, rows: Vec<Wrong>, right: &Value) {
        for row in rows {
            self.refused(path, row).await;
        }
        let reply = self.post(path, right.to_string()).await;
        assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("Succeeded")), "{}", reply.text);
    }
}

/// The body with one member put in place of another; `at` is a JSON pointer.
fn with(body: &Value, at: &str, value: Value) -> String {
    let mut body = body.clone();
    let (parent, key) = at.rsplit_once('/').expect("a pointer");
    let parent = body.pointer_mut(parent).expect("it is there").as_object_mut().expect("an object");
    parent.insert(key.to_owned(), value);
    body.to_string()
}

fn without(body: &Value, key: &str) -> String {
    let mut body = body.clone();
    body.as_object_mut().expect("an object").remove(key).expect("it was there");
    body.to_string()
}

/// The body with an amount just as it is written here, which a JSON value might not keep.
fn priced(body: &Value, amount: &str) -> String {
    with(body, "/requestedAmount", json!("AMOUNT")).replace("\"AMOUNT\"", amount)
}

/// What is wrong with any creating request, given the right one.
fn wrong_forms(right: &Value) -> Vec<Wrong> {
    let text = right.to_string();
    let cut = &text[..text.len() / 2];
    let twice = text.replacen('{', "{\"Currency\":\"USD\",", 1);
    let mut not_utf8 = with(right, "/webhookTarget", json!("X")).into_bytes();
    let at = not_utf8.iter().position(|byte| *byte == b'X').expect("it is there");
    not_utf8[at] = 0xff;
    let lone = with(right, "/webhookTarget", json!("X")).replace("\"X\"", "\"\\ud800\"");
    let deep = with(right, "/unknown", json!("X")).replace("\"X\"", &format!("{}{}", "[".repeat(200), "]".repeat(200)));
    vec![
        wrong("cut in the middle", cut, 400, INVALID_DATA, "JSON"),
        wrong("empty", "", 400, INVALID_DATA, "empty"),
        wrong("words", "amount=5", 400, INVALID_DATA, "JSON"),
        wrong("more behind it", format!("{text} {text}"), 400, INVALID_DATA, "JSON"),
        wrong("two commas", text.replacen(',', ",,", 1), 400, INVALID_DATA, "JSON"),
        wrong("a name in two spellings", twice, 400, INVALID_DATA, "currency"),
        wrong("not UTF-8", not_utf8, 400, INVALID_DATA, "UTF-8"),
        wrong("half a character", lone, 400, INVALID_DATA, "JSON"),
        wrong("nested without end", deep, 400, INVALID_DATA, "nested"),
        wrong("a list", "[]", 422, INVALID_DATA, "object"),
        wrong("null", "null", 422, INVALID_DATA, "found null"),
        wrong("no id", without(right, "transactionId"), 422, INVALID_DATA, "transactionId"),
        wrong("an empty id", with(right, "/transactionId", json!("")), 422, INVALID_DATA, "transactionId"),
        wrong("a number as id", with(right, "/transactionId", json!(7)), 422, INVALID_DATA, "transactionId"),
        wrong("a long id", with(right, "/transactionId", json!("x".repeat(101))), 422, INVALID_DATA, "transactionId"),
        wrong("an id of two lines", with(right, "/transactionId", json!("a\nb")), 422, INVALID_DATA, "transactionId"),
        wrong("an id with a NUL", with(right, "/transactionId", json!("a\0b")), 422, INVALID_DATA, "transactionId"),
        wrong("no currency", without(right, "currency"), 422, INVALID_CURRENCY, "currency"),
        wrong("null as currency", with(right, "/currency", Value::Null), 422, INVALID_CURRENCY, "currency"),
        wrong("a number as currency", with(right, "/currency", json!(978)), 422, INVALID_CURRENCY, "currency"),
        wrong("no such currency", with(right, "/currency", json!("EURO")), 422, INVALID_CURRENCY, "currency"),
        wrong("a currency of nothing", with(right, "/currency", json!("XXX")), 422, INVALID_CURRENCY, "currency"),
        wrong("a text as amount", priced(right, "\"9.90\""), 422, INVALID_AMOUNT, "requestedAmount"),
        wrong("a list as amount", priced(right, "[9]"), 422, INVALID_AMOUNT, "requestedAmount"),
        wrong("a third decimal", priced(right, "9.901"), 422, INVALID_AMOUNT, "requestedAmount"),
        wrong("a tiny third decimal", priced(right, "9.90000000000000001"), 422, INVALID_AMOUNT, "requestedAmount"),
        wrong("less than nothing", priced(right, "-9.90"), 422, INVALID_AMOUNT, "requestedAmount"),
        wrong("too much for anybody", priced(right, "1e30"), 422, INVALID_AMOUNT, "requestedAmount"),
        wrong("no number at all", priced(right, "1e999999999"), 422, INVALID_AMOUNT, "requestedAmount"),
        wrong("NaN", priced(right, "NaN"), 400, INVALID_DATA, "JSON"),
        wrong(
            "a decimal of a yen",
            with(right, "/currency", json!("JPY")).replace("9.9", "10.5"),
            422,
            INVALID_AMOUNT,
            "requestedAmount",
        ),
    ]
}

/// What else is wrong with a request that takes or reserves money.
fn wrong_fields(right: &Value) -> Vec<Wrong> {
    let long = |length: usize| json!("x".repeat(length));
    let data = |what: &str, at: &str, value: Value, names| {
        let mut body = right.clone();
        body["payerData"] = json!({"address": {}});
        body["invoiceData"] = json!({"lineItems": [{}, {}]});
        wrong(what, with(&body, at, value), 422, INVALID_DATA, names)
    };
    vec![
        data("a text as object", "/payerData", json!("Ada"), "payerData"),
        data("a number as name", "/payerData/firstName", json!(7), "payerData.firstName"),
        data("a list as street", "/payerData/address/street", json!([]), "payerData.address.street"),
        data("a long name", "/payerData/firstName", long(201), "payerData.firstName"),
        data("a NUL in a name", "/payerData/firstName", json!("A\0"), "payerData.firstName"),
        data("a long text", "/transactionReferenceText", long(1001), "transactionReferenceText"),
        data("no such role", "/paymentMeansReference/role", json!("Gold"), "paymentMeansReference.role"),
        data("no such number", "/paymentMeansReference/role", json!(99), "paymentMeansReference.role"),
        data("half a number", "/paymentMeansReference/role", json!(1.5), "paymentMeansReference.role"),
        data(
            "a script as address",
            "/paymentMeansReference/successReturnUrl",
            json!("javascript:alert(1)"),
            "paymentMeansReference.successReturnUrl",
        ),
        data(
            "a NUL in account data",
            "/paymentMeansReference/initialBearer",
            json!({"Hol\0der": "Ada"}),
            "paymentMeansReference.initialBearer",
        ),
        data(
            "long account data",
            "/paymentMeansReference/initialBearer",
            json!({"Holder": "x".repeat(501)}),
            "paymentMeansReference.initialBearer",
        ),
        data("a long agreement", "/agreementId", long(101), "agreementId"),
    ]
}

/// Addresses for notices that nobody may make us call.
const TARGETS: &[&str] = &[
    "http://10.0.0.1/hook",
    "https://10.0.0.1/hook",
    "https://192.168.1.1/hook",
    "https://172.16.0.1/hook",
    "https://100.64.0.1/hook",
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://0.0.0.0/",
    "https://[::]/",
    "https://0xa9fea9fe/",
    "https://2852039166/",
    "https://metadata.google.internal/",
    "https://metadata/",
    "https://kubernetes.default.svc.cluster.local/",
    "https://printer.local/",
    "https://intranet/",
    "https://sandbox.rialto.internal/v1/charges",
    "https://localhost.localdomain/",
    "https://localhost./",
    "https://sub.localhost/",
    "https://8.8.8.8/hook",
    "http://shop.example/hook",
    "https://user:password@shop.example/hook",
    "https://user@shop.example/hook",
    "https://shop.example@169.254.169.254/",
    "https://shop.example:22/hook",
    "https://shop.example:6379/hook",
    "https://shop.example/hook#fragment",
    "https://shop.example\\@10.0.0.1/",
    "https://shop .example/",
    "ftp://shop.example/hook",
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/",
    "//shop.example/hook",
    "shop.example/hook",
    "https://",
    "x",
];

fn wrong_targets(right: &Value) -> Vec<Wrong> {
    let target = |target: &str| {
        let body = with(right, "/webhookTarget", json!(target));
        wrong(&format!("the target {target}"), body, 422, INVALID_DATA, "webhookTarget")
    };
    let mut rows: Vec<Wrong> = TARGETS.iter().map(|text| target(text)).collect();
    rows.push(target(&format!("https://shop.example/{}", "x".repeat(2048))));
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_preauth_is_refused_and_blocks_nothing() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let mut right = world.bw.preauth(&fresh("a"), &fresh("ag"), "9.9");
        right["paymentMeansReference"] =
            json!({"role": "Debit", "initialBearer": {"Holder": "Ada", "IBAN": "DE89370400440532013000"}});
        let bearer = "/paymentMeansReference/initialBearer";
        let mut rows = wrong_forms(&right);
        rows.extend(wrong_fields(&right));
        rows.extend(wrong_targets(&right));
        rows.extend([
            wrong("a word as switch", with(&right, "/isInitial", json!("yes")), 422, INVALID_DATA, "isInitial"),
            wrong(
                "no means stored",
                with(&right, "/isInitial", json!(false)),
                422,
                INVALID_PRECONDITIONS,
                "agreementId",
            ),
            wrong("no account", with(&right, bearer, json!({})), 422, BEARER_INVALID, "initialBearer: Holder"),
            wrong(
                "wrong check digits",
                with(&right, bearer, json!({"Holder": "Ada", "IBAN": "DE88370400440532013000"})),
                422,
                BEARER_INVALID,
                "initialBearer.IBAN",
            ),
            wrong(
                "means from elsewhere",
                with(&right, "/migrationToken", json!("x".repeat(2_001))),
                422,
                INVALID_DATA,
                "migrationToken",
            ),
            wrong(
                "means nobody here has",
                with(&right, "/paymentMeansReference/role", json!("MobilePay")),
                422,
                INVALID_PRECONDITIONS,
                "paymentMeansReference.role",
            ),
        ]);
        world.refused_then_right("/api/Preauth", rows, &right).await;
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_payment_is_refused_and_blocks_nothing() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let agreement = world.server.agreement(&world.bw).await;
        let right = world.bw.payment(&fresh("b"), &agreement, "9.9");
        let mut rows = wrong_forms(&right);
        rows.extend(wrong_fields(&right));
        rows.extend(wrong_targets(&right));
        rows.extend([
            wrong("no amount", without(&right, "requestedAmount"), 422, INVALID_AMOUNT, "requestedAmount"),
            wrong("too much for the PSP", priced(&right, "90000000000"), 422, INVALID_AMOUNT, "requestedAmount"),
            wrong("null as amount", priced(&right, "null"), 422, INVALID_AMOUNT, "requestedAmount"),
            wrong("nothing", priced(&right, "0"), 422, INVALID_AMOUNT, "requestedAmount"),
            wrong("nothing, in small", priced(&right, "0.00"), 422, INVALID_AMOUNT, "requestedAmount"),
            wrong("no agreement", without(&right, "agreementId"), 422, INVALID_PRECONDITIONS, "agreementId"),
            wrong(
                "an unknown one",
                with(&right, "/agreementId", json!("x")),
                422,
                INVALID_PRECONDITIONS,
                "agreementId",
            ),
            wrong("no such preauth", with(&right, "/preauthTransactionId", json!("x")), 404, INVALID_PRECONDITIONS, ""),
            wrong(
                "no date",
                with(&right, "/plannedExecutionDate", json!("tomorrow")),
                422,
                INVALID_DATA,
                "plannedExecutionDate",
            ),
            wrong(
                "an invoice's amount",
                with(&right, "/invoiceData", json!({"lineItems": [{}, {"totalGross": "1"}]})),
                422,
                INVALID_DATA,
                "invoiceData.lineItems[1].totalGross",
            ),
        ]);
        world.refused_then_right("/api/Payment", rows, &right).await;
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_refund_is_refused_and_blocks_nothing() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let (bw, agreement) = (&world.bw, world.server.agreement(&world.bw).await);
        let payment = fresh("b");
        let (status, body) = bw.post("/api/Payment", &bw.payment(&payment, &agreement, "20.00")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        let declined = fresh("b");
        let (status, _) = bw.post("/api/Payment", &bw.payment(&declined, &agreement, "20.12")).await;
        assert_eq!(status, 422);
        let right = bw.refund(&fresh("c"), &payment, "9.9");
        let of = |payment: &str| with(&right, "/paymentTransactionId", json!(payment));
        let mut rows = wrong_forms(&right);
        rows.extend(wrong_targets(&right));
        rows.extend([
            wrong("nothing", priced(&right, "0"), 422, INVALID_AMOUNT, "requestedAmount"),
            wrong("no amount", without(&right, "requestedAmount"), 422, INVALID_AMOUNT, "requestedAmount"),
            wrong("of nothing", without(&right, "paymentTransactionId"), 422, INVALID_DATA, "paymentTransactionId"),
            wrong("of an unknown payment", of(&fresh("b")), 404, INVALID_PRECONDITIONS, ""),
            wrong("of a declined one", of(&declined), 422, INVALID_PRECONDITIONS, "paymentTransactionId"),
            wrong("a cent too much", priced(&right, "20.01"), 422, INVALID_AMOUNT, "20.00 EUR"),
            wrong("in other money", with(&right, "/currency", json!("USD")), 422, INVALID_CURRENCY, "currency"),
        ]);
        world.refused_then_right("/api/Refund", rows, &right).await;
        let rest = wrong(
            "more than the rest",
            bw.refund(&fresh("c"), &payment, "10.11").to_string(),
            422,
            INVALID_AMOUNT,
            "10.10 EUR",
        );
        world.refused("/api/Refund", rest).await;
        let (_, body) = bw.get(&format!("/api/Payment/{payment}")).await;
        assert_eq!(body["refundableAmount"].to_string(), "10.1", "what was refused reserves nothing: {body}");
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_capture_is_refused_and_blocks_nothing() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let (bw, agreement) = (&world.bw, fresh("ag"));
        let open = fresh("a");
        let (_, pending) = bw.post("/api/Preauth", &bw.preauth(&open, &fresh("ag"), "25.00")).await;
        let preauth = bw.sign_up(&agreement, "25.00").await;
        let right = bw.capture(&fresh("b"), &preauth, &agreement, "9.9");
        let of = |preauth: &str| {
            let mut body = right.clone();
            body.as_object_mut().expect("an object").remove("agreementId");
            with(&body, "/preauthTransactionId", json!(preauth))
        };
        let rows = vec![
            wrong("of an unknown preauth", of(&fresh("a")), 404, INVALID_PRECONDITIONS, ""),
            wrong("of one still open", of(&open), 422, INVALID_PRECONDITIONS, "preauthTransactionId"),
            wrong("a cent too much", priced(&right, "25.01"), 422, INVALID_AMOUNT, "25.00 EUR"),
            wrong("in other money", with(&right, "/currency", json!("USD")), 422, INVALID_CURRENCY, "currency"),
            wrong(
                "another's agreement",
                with(&right, "/agreementId", json!("x")),
                422,
                INVALID_PRECONDITIONS,
                "agreementId",
            ),
        ];
        world.refused_then_right("/api/Payment", rows, &right).await;
        let second = bw.capture(&fresh("b"), &preauth, &agreement, "1.00").to_string();
        let second = wrong("a second capture", second, 422, INVALID_PRECONDITIONS, "captured already");
        world.refused("/api/Payment", second).await;
        assert_eq!(world.server.taken_at_psp("preauth", &preauth, "capture").await, 990);
        bw.finish_page(&pending, "abort").await;
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_understood_is_accepted_and_amounts_are_exact() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let (bw, agreement) = (&world.bw, world.server.agreement(&world.bw).await);
        let good = || bw.payment(&fresh("b"), &agreement, "9.9");
        let role = |role: Value| with(&good(), "/paymentMeansReference/role", role);
        let shout = good().to_string();
        let shout = shout.replace("transactionId", "TRANSACTIONID").replace("requestedAmount", "RequestedAmount");
        let shout = shout.replace("paymentMeansReference", "paymentmeansreference").replace("role", "ROLE");
        let odd = |body: Value| body.to_string().replacen('}', ",}", 1).replacen("}}", "},}", 1);
        let rows = [
            ("a byte order mark", format!("\u{feff}{}", good()), "9.9"),
            ("trailing commas", odd(good()), "9.9"),
            ("names in any letter case", shout, "9.9"),
            ("a role in any letter case", role(json!("cReDiTcArD")), "9.9"),
            ("a role by number", role(json!(2)), "9.9"),
            ("no word of the role", role(json!("Default")), "9.9"),
            ("null is nothing", with(&good(), "/payerData", Value::Null), "9.9"),
            ("unknown fields", with(&good(), "/brandNew", json!({"a": [1, {"b": null}]})), "9.9"),
            ("a small currency", with(&good(), "/currency", json!("eur")), "9.9"),
            ("zeros at the end", priced(&good(), "9.9000"), "9.9"),
            ("an exponent", priced(&good(), "99e-1"), "9.9"),
            ("seventy million and five cents", priced(&good(), "70000000.05"), "70000000.05"),
            ("nearly all the sandbox takes", priced(&good(), "9999999999.98"), "9999999999.98"),
            ("a cent", priced(&good(), "0.01"), "0.01"),
            ("yen", priced(&good(), "1000").replace("EUR", "JPY"), "1000"),
            ("dinar", priced(&good(), "1.007").replace("EUR", "KWD"), "1.007"),
        ];
        for (what, body, amount) in rows {
            let reply = world.post("/api/Payment", body).await;
            assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("Succeeded")), "{what}: {}", reply.text);
            for field in ["requestedAmount", "amount", "refundableAmount"] {
                let exact = [format!("\"{field}\":{amount},"), format!("\"{field}\":{amount}}}")];
                assert!(exact.iter().any(|exact| reply.text.contains(exact)), "{what}, {field}: {}", reply.text);
            }
        }
        let token = bearer(&bw.token);
        let types =
            ["text/json", "application/json; charset=utf-8", "Application/vnd.billwerk+JSON", "APPLICATION/JSON"];
        for content_type in types.map(Some).into_iter().chain([None]) {
            let url = format!("{}/api/Payment", bw.url);
            let mut headers = vec![("authorization", token.as_str())];
            headers.extend(content_type.map(|content_type| ("content-type", content_type)));
            let reply = world.asker.ask("POST", &url, &headers, good().to_string()).await;
            assert_eq!(reply.status, 200, "{content_type:?}: {}", reply.text);
        }
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_request_under_a_used_id_is_told_what_differs() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let (bw, agreement) = (&world.bw, world.server.agreement(&world.bw).await);
        let other = world.server.agreement(bw).await;
        let first = bw.payment(&fresh("b"), &agreement, "9.9");
        assert_eq!(world.post("/api/Payment", first.to_string()).await.status, 200);
        let changes = [
            ("requestedAmount", json!(9.91)),
            ("currency", json!("USD")),
            ("agreementId", json!(other)),
            ("webhookTarget", json!("https://shop.example/other")),
            ("transactionReferenceText", json!("Invoice 2")),
            ("payerData.companyName", json!("Difference Engines")),
            ("payerData.firstName", json!("Ada")),
            ("paymentMeansReference.role", json!("Debit")),
            ("preauthTransactionId", json!("x")),
            ("plannedExecutionDate", json!("2026-12-01")),
        ];
        for (field, value) in changes {
            let body = with(&first, &format!("/{}", field.replace('.', "/")), value);
            world.refused("/api/Payment", wrong(field, body, 409, ALREADY_EXECUTED, field)).await;
        }
        let less = without(&first, "transactionReferenceText");
        world.refused("/api/Payment", wrong("less", less, 409, ALREADY_EXECUTED, "transactionReferenceText")).await;
        // The same in other words is the same.
        let same = priced(&first, "9.900").replace("EUR", "eur").replace("CreditCard", "creditcard");
        assert_eq!(world.post("/api/Payment", same).await.status, 200);
        // An id is used per operation.
        let key = first["transactionId"].as_str().expect("a text");
        let refund = bw.refund(key, key, "1.00");
        assert_eq!(world.post("/api/Refund", refund.to_string()).await.status, 200);
        let body = with(&refund, "/requestedAmount", json!(2));
        world.refused("/api/Refund", wrong("a refund", body, 409, ALREADY_EXECUTED, "requestedAmount")).await;
        let payment = first["transactionId"].as_str().expect("a text").to_owned();
        assert_eq!(world.server.charges_at_psp(&payment).await, 1);
        world.server.quiet().await;
    })
    .await;
}
