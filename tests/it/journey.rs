//! What a billing platform does with a customer, from sign-up to refund.

use serde_json::{Value, json};

use crate::billwerk::fresh;
use crate::server::{Server, on_each_database};

fn code(body: &Value) -> i64 {
    body["ErrorCode"].as_i64().unwrap_or(-1)
}

const INVALID_AMOUNT: i64 = 5;
const INSUFFICIENT_BALANCE: i64 = 9;
const INVALID_PRECONDITIONS: i64 = 11;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_from_sign_up_to_refund() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let agreement = fresh("ag");

        let preauth = bw.sign_up(&agreement, "25.00").await;
        let (_, body) = bw.get(&format!("/api/Preauth/{preauth}")).await;
        assert_eq!(body["authorizedAmount"], json!(25), "{body}");
        assert!(body["bearer"]["Last4"].is_string() && body["expiresAt"].is_string(), "{body}");
        server.receiver.wait_for("the preauth's notice", |got| told(got, &preauth, 1)).await;

        let payment = fresh("b");
        let (status, body) = bw.post("/api/Payment", &bw.capture(&payment, &preauth, &agreement, "25.00")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        assert_eq!(body["payments"][0]["amount"], json!(25), "{body}");
        assert_eq!((&body["refundedAmount"], &body["refundableAmount"]), (&json!(0), &json!(25)), "{body}");

        for (amount, left) in [("10.00", "15"), ("0.01", "14.99")] {
            let refund = fresh("c");
            let (status, body) = bw.post("/api/Refund", &bw.refund(&refund, &payment, amount)).await;
            assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
            let (_, body) = bw.get(&format!("/api/Payment/{payment}")).await;
            assert_eq!(body["refundableAmount"].to_string(), left, "{body}");
        }
        let (status, body) = bw.post("/api/Refund", &bw.refund(&fresh("c"), &payment, "15.00")).await;
        assert_eq!((status, code(&body)), (422, INVALID_AMOUNT), "more than is left: {body}");
        assert!(
            body["ErrorMessage"].as_str().is_some_and(|text| text.contains("14.99")),
            "it says what is left: {body}"
        );

        let recurring = fresh("d");
        let (status, body) = bw.post("/api/Payment", &bw.payment(&recurring, &agreement, "9.90")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");

        let declined = fresh("e");
        let request = bw.payment(&declined, &agreement, "9.11");
        let first = bw.post("/api/Payment", &request).await;
        assert_eq!((first.0, code(&first.1)), (422, INSUFFICIENT_BALANCE), "{}", first.1);
        assert_eq!(bw.get(&format!("/api/Payment/{declined}")).await, first, "a stored failure answers the same");
        assert_eq!(bw.post("/api/Payment", &request).await, first, "and so does a repeat");
        server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preauth_is_cancelled_and_cannot_be_captured_then() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let agreement = fresh("ag");
        let preauth = bw.sign_up(&agreement, "30.00").await;
        for _ in 0..2 {
            let (status, body) = bw.post(&format!("/api/Preauth/{preauth}/Cancel"), &json!({})).await;
            assert_eq!((status, &body["cancellationStatus"]), (200, &json!("Succeeded")), "{body}");
        }
        let (status, body) = bw.get(&format!("/api/Preauth/{preauth}")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Cancelled")), "{body}");
        let (status, body) = bw.post("/api/Payment", &bw.capture(&fresh("b"), &preauth, &agreement, "30.00")).await;
        assert_eq!((status, code(&body)), (422, INVALID_PRECONDITIONS), "{body}");
        server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_captured_preauth_is_not_cancelled_and_its_rest_is_released() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let agreement = fresh("ag");
        let preauth = bw.sign_up(&agreement, "30.00").await;
        let payment = fresh("b");
        let (status, body) = bw.post("/api/Payment", &bw.capture(&payment, &preauth, &agreement, "20.00")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        let (status, body) = bw.post(&format!("/api/Preauth/{preauth}/Cancel"), &json!({})).await;
        assert_eq!((status, code(&body)), (422, INVALID_PRECONDITIONS), "{body}");
        let (status, body) = bw.post("/api/Payment", &bw.capture(&fresh("b"), &preauth, &agreement, "10.00")).await;
        assert_eq!(status, 422, "one capture per preauth: {body}");
        server.quiet().await;
        let at_psp = server.at_psp(&preauth, "preauth").await;
        assert_eq!((at_psp.captured, at_psp.released), (2_000, 1_000), "the rest is free again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_declines_or_leaves() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        for (button, lands, status) in [("decline", "error", 4), ("abort", "abort", 5)] {
            let id = fresh("a");
            let (_, answer) = bw.post("/api/Preauth", &bw.preauth(&id, &fresh("ag"), "25.00")).await;
            let landed = bw.finish_page(&answer, button).await;
            assert_eq!(landed, format!("https://shop.example/{lands}"), "{button}");
            let (http, body) = bw.get(&format!("/api/Preauth/{id}")).await;
            assert_eq!((http, &body["Status"]), (422, &json!(status)), "{button}: {body}");
        }
        server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_debit_is_signed_up_and_charged() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let (id, agreement) = (fresh("a"), fresh("ag"));
        let mut signup = bw.preauth(&id, &agreement, "10.00");
        signup["paymentMeansReference"] =
            json!({"role": "Debit", "initialBearer": {"Holder": "Ada Lovelace", "IBAN": "DE89 3704 0044 0532 0130 00"}});
        let (status, body) = bw.post("/api/Preauth", &signup).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        assert_eq!(body["authorizedAmount"], json!(0), "nothing can be reserved: {body}");
        assert!(body["bearer"]["MandateReference"].is_string() || body["bearer"]["MandateId"].is_string(), "{body}");

        let payment = fresh("b");
        let mut request = bw.payment(&payment, &agreement, "10.00");
        request["paymentMeansReference"] = json!({"role": "Debit"});
        let (status, body) = bw.post("/api/Payment", &request).await;
        assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");
        bw.get_until(&format!("/api/Payment/{payment}"), "Succeeded", |(_, body)| body["status"] == "Succeeded").await;

        signup["transactionId"] = json!(fresh("a"));
        signup["agreementId"] = json!(fresh("ag"));
        signup["paymentMeansReference"]["initialBearer"]["IBAN"] = json!("DE88370400440532013000");
        let (status, body) = bw.post("/api/Preauth", &signup).await;
        assert_eq!(status, 422, "a wrong IBAN: {body}");
        server.quiet().await;
    })
    .await;
}

fn told(got: &[Value], id: &str, webhook_type: i64) -> bool {
    got.iter().any(|notice| notice["TransactionId"] == id && notice["Type"] == webhook_type)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_twice_is_told_the_third_time() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1_000).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        server.quiet().await;
        let before = server.receiver.got().len();
        server.receiver.answer_with(&[500, 503]);
        let payment = fresh("b");
        bw.post("/api/Payment", &bw.payment(&payment, &agreement, "9.90")).await;
        let enough =
            |got: &[Value]| got[before..].iter().filter(|notice| notice["TransactionId"] == payment).count() >= 3;
        server.receiver.wait_for("the third attempt", enough).await;
        server.quiet().await;
        assert_eq!(server.receiver.got()[before..].len(), 3, "and not once more");
    })
    .await;
}

/// News that comes while a notice of the same transaction is under way must not be swallowed by that notice's 2xx: the
/// receiver may have fetched before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_during_a_delivery_is_told_after_it() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        server.quiet().await;
        let payment = fresh("b");
        let count = |got: &[Value]| got.iter().filter(|notice| notice["TransactionId"] == payment.as_str()).count();
        let held = server.receiver.hold().await;
        // Pending now, and a success two (scaled) seconds later: while the first notice is not answered yet.
        let (_, body) = bw.post("/api/Payment", &bw.payment(&payment, &agreement, "9.31")).await;
        assert_eq!(body["status"], json!("Pending"), "{body}");
        server.receiver.wait_for("the first notice", |got| count(got) == 1).await;
        bw.get_until(&format!("/api/Payment/{payment}"), "Succeeded", |(_, body)| body["status"] == "Succeeded").await;
        drop(held);
        server.receiver.wait_for("the second notice", |got| count(got) >= 2).await;
        server.quiet().await;
    })
    .await;
}
