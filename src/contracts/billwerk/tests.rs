mod world;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use poem::http::{StatusCode, header};
use poem::{Endpoint, Request};
use serde_json::{Value, json};

use self::world::{PUBLIC_URL, World, capture, card, charge, debit, refund};
use super::access::{Credential, OPERATIONS, Operation, Subject, expected};
use super::*;
use crate::http::paths::Paths;
use crate::http::spec::{Documented, complaints};

/// Set to write the document instead of comparing it.
const BLESS: &str = "RIALTO_BLESS";

#[test]
fn the_committed_document_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/billwerk.json");
    let generated = spec();
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(path, &generated).expect("openapi/ is writable");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == generated, "openapi/billwerk.json is old; {BLESS}=1 writes it anew");
}

#[test]
fn the_document_is_complete() {
    let documented =
        Documented { always: &[200, 401, 500, 503], with_body: &[400, 408, 413, 415, 422], with_id: &[404, 422] };
    assert_eq!(complaints(&spec(), documented), Vec::<String>::new());
}

#[test]
fn no_two_routes_clash() {
    let all = routes();
    assert_eq!(all.len(), 24, "eleven operations under two spellings, and the page with its form");
    assert_eq!(Paths(all).clashes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_card_from_sign_up_to_refund() {
    let world = World::new().await;
    assert_eq!(world.card("p1", json!(25.5), "approve").await, "https://shop.example/ok");
    let (status, preauth) = world.get("/api/preauth/p1").await;
    assert_eq!(status, 200, "{preauth}");
    assert_eq!(
        (&preauth["status"], &preauth["authorizedAmount"], &preauth["redirectUrl"]),
        (&json!("Succeeded"), &json!(25.5), &Value::Null)
    );
    assert!(preauth["bearer"]["Last4"].is_string() && preauth["expiresAt"].is_string(), "{preauth}");

    let (status, error) = world.post("/api/Payment", capture("t0", "p1", json!(25.51))).await;
    assert_eq!((status, &error["ErrorCode"]), (422, &json!(5)), "{error}");
    let (status, paid) = world.post("/api/Payment", capture("t1", "p1", json!(25.5))).await;
    assert_eq!((status, &paid["status"]), (200, &json!("Succeeded")), "{paid}");
    assert_eq!(paid["payments"][0]["amount"], json!(25.5));
    assert_eq!((&paid["refundedAmount"], &paid["refundableAmount"]), (&json!(0), &json!(25.5)));
    assert_eq!(paid["bearer"], preauth["bearer"]);
    // Again the very same; and another request under the same id.
    assert_eq!(world.post("/Payment", capture("t1", "p1", json!(25.50))).await, (200, paid.clone()));
    let (status, error) = world.post("/api/Payment", capture("t1", "p1", json!(1))).await;
    assert_eq!((status, &error["ErrorCode"]), (409, &json!(10)), "{error}");
    assert!(error["ErrorMessage"].as_str().expect("a text").starts_with("requestedAmount"));
    let (status, error) = world.post("/api/Preauth/p1/Cancel", json!({})).await;
    assert_eq!((status, &error["ErrorCode"]), (422, &json!(11)), "{error}");

    for (id, amount) in [("r1", 10.5), ("r2", 5.0)] {
        let (status, refunded) = world.post("/api/Refund", refund(id, "t1", json!(amount))).await;
        assert_eq!((status, &refunded["status"]), (200, &json!("Succeeded")), "{refunded}");
        assert!(refunded["bookingDate"].is_string(), "{refunded}");
    }
    let (status, error) = world.post("/api/Refund", refund("r3", "t1", json!(10.05))).await;
    assert_eq!((status, &error["ErrorCode"]), (422, &json!(5)), "{error}");
    assert!(error["ErrorMessage"].as_str().expect("a text").contains("10.00 EUR"), "{error}");
    // The refused request has left nothing behind.
    let (status, refunded) = world.post("/api/Refund", refund("r3", "t1", json!(10))).await;
    assert_eq!((status, &refunded["refundedAmount"]), (200, &json!(10)), "{refunded}");
    let (_, now) = world.get("/api/Payment/t1").await;
    assert_eq!((&now["refundedAmount"], &now["refundableAmount"]), (&json!(25.5), &json!(0)));
    assert!(now["lastUpdated"].as_str() > paid["lastUpdated"].as_str(), "{now}");

    let (status, again) = world.post("/api/Payment", charge("t2", "p1", json!(7))).await;
    assert_eq!((status, &again["status"]), (200, &json!("Succeeded")), "{again}");
    let mut upgrade = card("p2", json!(30));
    upgrade["isInitial"] = json!(false);
    upgrade["agreementId"] = json!("agreement-p1");
    let (status, reserved) = world.post("/api/Preauth", upgrade).await;
    assert_eq!((status, &reserved["status"], &reserved["redirectUrl"]), (200, &json!("Succeeded"), &Value::Null));
    let (status, cancelled) = world.send("POST", "/api/Preauth/p2/Cancel", &format!("bearer {}", world.own), "").await;
    assert_eq!((status, &cancelled["cancellationStatus"]), (200, &json!("Succeeded")), "{cancelled}");
    assert_eq!(world.post("/api/Preauth/p2/Cancel", json!({})).await, (200, cancelled));
    let (status, preauth) = world.get("/api/Preauth/p2").await;
    assert_eq!((status, &preauth["status"]), (200, &json!("Cancelled")), "{preauth}");
    let (status, error) = world.post("/api/Payment", capture("t3", "p2", json!(1))).await;
    assert_eq!((status, &error["ErrorCode"]), (422, &json!(11)), "{error}");
}

#[tokio::test]
async fn a_card_that_is_declined_or_left() {
    let world = World::new().await;
    assert_eq!(world.card("p1", json!(25.5), "decline").await, "https://shop.example/failed");
    assert_eq!(world.card("p2", json!(25.5), "abort").await, "https://shop.example/cart");
    for (id, code, of) in [("p1", json!(18), json!(4)), ("p2", json!(17), json!(5))] {
        let (status, error) = world.get(&format!("/api/Preauth/{id}")).await;
        assert_eq!((status, &error["ErrorCode"], &error["Status"]), (422, &code, &of), "{error}");
        assert_eq!(world.get(&format!("/api/Preauth/{id}")).await, (422, error.clone()));
        assert_eq!(world.post("/api/Preauth", card(id, json!(25.5))).await, (422, error));
        let (status, error) = world.post("/api/Payment", capture("t", id, json!(25.5))).await;
        assert_eq!((status, &error["ErrorCode"]), (422, &json!(11)), "{error}");
    }
    // Left by its caller, before the payer has done anything.
    let (_, answer) = world.post("/api/Preauth", card("p3", json!(5))).await;
    let (status, cancelled) = world.post("/api/Preauth/p3/Cancel", json!({})).await;
    assert_eq!((status, &cancelled["cancellationStatus"]), (200, &json!("Succeeded")), "{cancelled}");
    assert_eq!(world.get("/api/Preauth/p3").await.1["status"], json!("Cancelled"));
    let page = answer["redirectUrl"].as_str().expect("a page");
    assert_eq!(world.browse(Method::GET, page, "").await.1, "https://shop.example/cart");
    let unknown = world.browse(Method::GET, &format!("{PUBLIC_URL}/r/{}", "0".repeat(48)), "").await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_payer_who_is_back_too_early_waits() {
    let world = World::new().await;
    let (_, answer) = world.post("/api/Preauth", card("p1", json!(5))).await;
    let page = answer["redirectUrl"].as_str().expect("a page");
    for query in ["?back=1", "?wait=1"] {
        let (status, html) = world.browse(Method::GET, &format!("{page}{query}"), "").await;
        assert_eq!(status, StatusCode::OK);
        assert!(html.contains("url=?wait=1") && html.contains("/sandbox/pay/"), "{html}");
    }
    let request = Request::builder().uri_str(page.strip_prefix(PUBLIC_URL).expect("ours")).finish();
    let response = world.pages.get_response(request).await;
    for (name, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
        assert_eq!(response.header(name), Some(value));
    }
    assert!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY));
}

#[tokio::test]
async fn a_direct_debit() {
    let world = World::new().await;
    let (status, kept) = world.post("/api/Preauth", debit("p1")).await;
    assert_eq!((status, &kept["status"], &kept["authorizedAmount"]), (200, &json!("Succeeded"), &json!(0)), "{kept}");
    assert!(kept["expiresAt"].as_str().expect("a time").starts_with("9999"));
    let (status, error) = world.post("/api/Payment", capture("t1", "p1", json!(10))).await;
    assert_eq!((status, &error["ErrorCode"]), (422, &json!(11)), "{error}");
    let (status, pending) = world.post("/api/Payment", charge("t1", "p1", json!(10))).await;
    assert_eq!((status, &pending["status"], &pending["payments"]), (200, &json!("Pending"), &json!([])), "{pending}");
    assert_eq!(pending["refundableAmount"], json!(0));
    let (status, error) = world.post("/api/Refund", refund("r1", "t1", json!(1))).await;
    assert_eq!((status, &error["ErrorCode"]), (422, &json!(11)), "{error}");
    world.let_banks_decide("t1").await;
    let (status, paid) = world.get("/api/Payment/t1").await;
    assert_eq!((status, &paid["status"], &paid["refundableAmount"]), (200, &json!("Succeeded"), &json!(10)), "{paid}");
    let (status, declined) = world.post("/api/Payment", charge("t2", "p1", json!(10.11))).await;
    assert_eq!((status, &declined["ErrorCode"], &declined["Status"]), (422, &json!(9), &json!(4)), "{declined}");
    assert_eq!(world.get("/api/Payment/t2").await, (422, declined.clone()));
    assert_eq!(world.post("/api/Payment", charge("t2", "p1", json!(10.11))).await, (422, declined));
    let mut wrong = debit("p2");
    wrong["paymentMeansReference"]["initialBearer"] = json!({ "Holder": "Ada" });
    let (status, error) = world.post("/api/Preauth", wrong).await;
    assert_eq!((status, &error["ErrorCode"]), (422, &json!(2)), "{error}");
    let (status, error) = world.post("/api/Payment", charge("t3", "nobody", json!(10))).await;
    assert_eq!((status, &error["ErrorCode"]), (422, &json!(11)), "{error}");
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong_and_leave_nothing() {
    let world = World::new().await;
    let with = |field: &str, value: Value| {
        let mut body = debit("p1");
        body[field] = value;
        body.to_string()
    };
    let mut return_url = debit("p1");
    return_url["paymentMeansReference"]["successReturnUrl"] = json!("javascript:alert(1)");
    let mut migrated_again = debit("p1");
    (migrated_again["migrationToken"], migrated_again["isInitial"]) = (json!("x"), json!(false));
    let mut mandate = debit("p1");
    mandate["paymentMeansReference"]["initialBearer"]["MandateReference"] = json!("x".repeat(36));
    let huge = with("transactionReferenceText", json!("x".repeat(300 * 1024)));
    let rows = [
        ("{".to_owned(), 400, 8, "not valid JSON"),
        ("[]".to_owned(), 422, 8, "must be an object"),
        (with("transactionId", json!("")), 422, 8, "transactionId"),
        (with("transactionId", json!("a\u{0}b")), 422, 8, "transactionId"),
        (with("transactionId", json!("x".repeat(101))), 422, 8, "transactionId"),
        (with("transactionId", json!(5)), 422, 8, "transactionId"),
        (with("requestedAmount", json!("10")), 422, 5, "requestedAmount"),
        (with("requestedAmount", json!(10.001)), 422, 5, "requestedAmount"),
        (with("requestedAmount", json!(-1)), 422, 5, "requestedAmount"),
        (with("currency", json!("EUX")), 422, 6, "currency"),
        (with("currency", Value::Null), 422, 6, "currency"),
        (with("webhookTarget", json!("http://169.254.169.254/latest")), 422, 8, "webhookTarget"),
        (with("webhookTarget", json!("http://10.0.0.1/")), 422, 8, "webhookTarget"),
        (with("agreementId", json!("a\nb")), 422, 8, "agreementId"),
        (with("paymentMeansReference", json!({ "role": "MobilePay" })), 422, 11, "MobilePay"),
        (with("paymentMeansReference", json!({ "role": 99 })), 422, 8, "paymentMeansReference.role"),
        (with("isInitial", json!(false)), 422, 11, "agreementId"),
        (migrated_again.to_string(), 422, 8, "migrationToken"),
        (mandate.to_string(), 422, 8, "paymentMeansReference.initialBearer.MandateReference"),
        (return_url.to_string(), 422, 8, "paymentMeansReference.successReturnUrl"),
        (huge, 413, 8, "larger than"),
    ];
    for (body, status, code, text) in rows {
        let shown: String = body.chars().take(200).collect();
        let (got, error) = world.send("POST", "/api/Preauth", &format!("Bearer {}", world.own), body).await;
        assert_eq!((got, &error["ErrorCode"]), (status, &json!(code)), "{shown}: {error}");
        assert!(error["ErrorMessage"].as_str().expect("a text").contains(text), "{shown}: {error}");
        assert!(error["ReceivedAt"].as_str().expect("a time").ends_with('Z') && error["Status"] == json!(4));
    }
    for path in ["/api/Preauth/p1", "/api/Preauth/%00", "/api/Payment/p1", "/api/Refund/p1"] {
        let (status, error) = world.get(path).await;
        assert_eq!((status, &error["ErrorCode"]), (404, &json!(11)), "{path}");
    }
    let (status, kept) = world.post("/api/Preauth", debit("p1")).await;
    assert_eq!(status, 200, "nothing of the refused ones blocks it: {kept}");
}

#[tokio::test]
async fn who_may_call_what() {
    let world = World::new().await;
    for operation in OPERATIONS {
        for credential in Credential::ALL {
            let name = format!("{}-{credential:?}", operation.operation_id);
            let (path, body) = subject(&world, operation, &name).await;
            let authorization = match credential {
                Credential::None => String::new(),
                Credential::Wrong => "Bearer sk_test_wrong".to_owned(),
                Credential::OtherScheme => format!("Token {}", world.own),
                Credential::OwnBearer => format!("Bearer {}", world.own),
                Credential::OwnBasic => format!("Basic {}", BASE64_STANDARD.encode(format!("any:{}", world.own))),
                Credential::Foreign => format!("Bearer {}", world.foreign),
            };
            let (status, answer) = world.send(operation.method, &path, &authorization, body.clone()).await;
            assert_eq!(status, expected(operation, *credential), "{name}: {answer}");
            if status == 401 {
                assert_eq!(answer["ErrorCode"], json!(15), "never LoginError");
            }
            if status == 404 {
                let elsewhere = path.replace(&name, "nobody");
                let unknown = world.send(operation.method, &elsewhere, &authorization, body.replace(&name, "nobody"));
                let (status, mut unknown) = unknown.await;
                unknown["ReceivedAt"] = answer["ReceivedAt"].clone();
                assert_eq!((status, unknown), (404, answer), "{name}: as an id that nobody has");
            }
        }
    }
}

/// Makes what an operation is about, and the request that acts on it.
async fn subject(world: &World, operation: &Operation, name: &str) -> (String, String) {
    let kept = format!("{name}-kept");
    match operation.subject {
        Subject::Nothing => {}
        Subject::Preauth => {
            world.card(name, json!(5), "approve").await;
        }
        Subject::Payment | Subject::Refund => {
            world.card(&kept, json!(0), "approve").await;
            let payment = if operation.subject == Subject::Payment { name.to_owned() } else { format!("{name}-paid") };
            assert_eq!(world.post("/api/Payment", charge(&payment, &kept, json!(5))).await.0, 200);
            if operation.subject == Subject::Refund {
                assert_eq!(world.post("/api/Refund", refund(name, &payment, json!(5))).await.0, 200);
            }
        }
    }
    let body = match operation.operation_id {
        "createPreauth" => debit(name),
        "createPayment" => capture(&format!("{name}-capture"), name, json!(5)),
        "createRefund" => refund(&format!("{name}-back"), name, json!(5)),
        "finalizePreauth" => json!({ "transactionId": name, "finalizationData": { "pactasTransactionId": name } }),
        "putSettings" => json!({ "merchantSettings": [
            { "keyName": "api_key", "keyValue": "••••••••" }, { "keyName": "webhook_secret", "keyValue": "••••••••" }
        ] }),
        _ => return (operation.path.replace("{id}", name), String::new()),
    };
    (operation.path.to_owned(), body.to_string())
}

#[tokio::test]
async fn one_request_sent_many_times_at_once_is_one() {
    let world = World::new().await;
    world.card("p1", json!(0), "approve").await;
    let world = Arc::new(world);
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let world = world.clone();
        sent.spawn(async move { world.post("/api/Payment", charge("t1", "p1", json!(10))).await });
    }
    let answers = sent.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, 200);
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let world = world.clone();
        sent.spawn(async move { world.post("/api/Refund", refund("r1", "t1", json!(10))).await });
    }
    // All but the first find nothing left to refund, and are the same request nevertheless.
    assert!(sent.join_all().await.iter().all(|(status, _)| *status == 200));
    let caller = world.engine.identify(CONTRACT, &world.own).await.expect("the store answers").expect("a caller");
    let refunds = world.engine.store.intent_by_key(caller.tenant_id, CONTRACT, "refund", "r1").await;
    assert!(refunds.expect("the store answers").is_some());
}
