//! Many callers at once: the promises hold whoever is faster.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::json;

use crate::billwerk::fresh;
use crate::server::{Server, on_each_database};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_posts_of_one_transaction_are_one_call() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let payment = fresh("b");
        let request = bw.payment(&payment, &agreement, "9.90");
        let answers = join_all((0..100).map(|_| bw.post("/api/Payment", &request))).await;
        for (status, body) in &answers {
            assert_eq!((*status, &body["status"]), (200, &json!("Succeeded")), "{body}");
            assert_eq!(body["externalTransactionId"], answers[0].1["externalTransactionId"]);
        }
        assert_eq!(server.charges_at_psp(&payment).await, 1, "one call, one charge");

        let (status, body) = bw.post("/api/Payment", &bw.payment(&payment, &agreement, "9.91")).await;
        assert_eq!(status, 409, "another request under the same key: {body}");
        assert_eq!(body["ErrorCode"], json!(10), "AlreadyExecuted: {body}");
        assert!(body["ErrorMessage"].as_str().is_some_and(|text| text.contains("requestedAmount")), "{body}");
        server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_refunds_at_once_never_exceed_the_payment() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let payment = fresh("b");
        bw.post("/api/Payment", &bw.payment(&payment, &agreement, "100.00")).await;
        // Fifty times 3.30 would be 165: thirty of them fit, and one euro is left.
        let refunds = (0..50).map(|_| async {
            let (status, _) = bw.post("/api/Refund", &bw.refund(&fresh("c"), &payment, "3.30")).await;
            status
        });
        let mut by_status: BTreeMap<u16, usize> = BTreeMap::new();
        for status in join_all(refunds).await {
            *by_status.entry(status).or_default() += 1;
        }
        assert_eq!(by_status, BTreeMap::from([(200, 30), (422, 20)]));
        let (status, body) = bw.post("/api/Refund", &bw.refund(&fresh("c"), &payment, "1.01")).await;
        assert_eq!(status, 422, "a cent too much: {body}");
        let (status, body) = bw.post("/api/Refund", &bw.refund(&fresh("c"), &payment, "1.00")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "the exact remainder: {body}");
        let (_, body) = bw.get(&format!("/api/Payment/{payment}")).await;
        assert_eq!((&body["refundedAmount"], &body["refundableAmount"]), (&json!(100), &json!(0)), "{body}");
        assert_eq!(server.at_psp(&payment, "payment").await.refunded, 10_000);
        server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_cancel_and_a_capture_at_once_exactly_one_wins() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let (mut captured, mut cancelled) = (0, 0);
        // 200 in all over both databases' runs would hide a rare loser: 200 each.
        for round in 0..200 {
            let preauth = fresh("a");
            let mut again = bw.preauth(&preauth, &agreement, "20.00");
            again["isInitial"] = json!(false);
            let (status, body) = bw.post("/api/Preauth", &again).await;
            assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
            let capture = bw.capture(&fresh("b"), &preauth, &agreement, "20.00");
            let cancel_path = format!("/api/Preauth/{preauth}/Cancel");
            let nothing = json!({});
            let cancel = bw.post(&cancel_path, &nothing);
            let capture = bw.post("/api/Payment", &capture);
            // Each goes first half of the time.
            let (capture, cancel) = match round % 2 {
                0 => tokio::join!(capture, cancel),
                _ => {
                    let (cancel, capture) = tokio::join!(cancel, capture);
                    (capture, cancel)
                }
            };
            let took = capture.0 == 200 && capture.1["status"] == "Succeeded";
            let freed = cancel.0 == 200 && cancel.1["cancellationStatus"] == "Succeeded";
            assert!(took != freed, "capture {capture:?}, cancel {cancel:?}");
            let at_psp = server.at_psp(&preauth, "preauth").await;
            let expected = if took { (2_000, 0) } else { (0, 2_000) };
            assert_eq!((at_psp.captured, at_psp.released), expected);
            captured += usize::from(took);
            cancelled += usize::from(freed);
        }
        assert_eq!(captured + cancelled, 200);
        server.quiet().await;
    })
    .await;
}
