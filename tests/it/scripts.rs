//! Every script of the sandbox ends where it must, whatever happens on the way.

use rialto_adapters::sandbox::contract::Script;
use serde_json::json;

use crate::billwerk::fresh;
use crate::server::{Server, on_each_database};

/// Script, then how a recurring charge ends: the status of the last GET and the state in it, and how many charges the
/// PSP has made.
const CHARGES: &[(&str, u16, &str, usize)] = &[
    ("11", 422, "9", 0),
    ("12", 422, "18", 0),
    ("13", 422, "2", 0),
    ("21", 500, "19", 0),
    ("22", 200, "Succeeded", 1),
    ("23", 500, "22", 0),
    ("24", 200, "Succeeded", 1),
    ("25", 200, "Succeeded", 1),
    ("31", 200, "Succeeded", 1),
    ("32", 200, "Succeeded", 1),
    ("33", 200, "Succeeded", 1),
    ("34", 200, "Succeeded", 1),
    ("35", 200, "Succeeded", 1),
    ("36", 200, "Succeeded", 1),
    ("37", 200, "Succeeded", 1),
    ("41", 200, "Succeeded", 1),
    ("43", 200, "Succeeded", 1),
    ("44", 200, "Succeeded", 1),
    ("51", 200, "Succeeded", 1),
];

/// Script 42 takes the means away from all that come after it, so it has an agreement of its own.
const REVOKES: (&str, u16, &str, usize) = ("42", 200, "Succeeded", 1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_script_of_a_charge_ends_right() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreements = [server.agreement(&bw).await, server.agreement(&bw).await];
        let all: Vec<_> = CHARGES.iter().map(|row| (row, 0)).chain([(&REVOKES, 1)]).collect();
        let tried = |number: &i64| all.iter().any(|((script, ..), _)| script.parse() == Ok(*number));
        assert!(Script::TABLE.iter().all(|(number, _, _)| tried(number)), "a script is not tried");
        let runs = all.iter().map(|((script, status, end, charges), under)| {
            let (server, bw, agreement) = (&server, &bw, &agreements[*under]);
            async move {
                let id = fresh("b");
                let request = bw.payment(&id, agreement, &format!("50.{script}"));
                let (first, body) = bw.post("/api/Payment", &request).await;
                // Never a failure that is taken back later: a first answer of 200 may still be open.
                let open = body["status"] == "Pending" || body["status"] == "Initiated";
                assert!(first == *status || (first == 200 && open), "{script}: {first} {body}");
                let ended = |answer: &(u16, serde_json::Value)| match answer.0 {
                    200 => answer.1["status"] == *end,
                    got => {
                        got == *status && answer.1["ErrorCode"].as_i64().is_some_and(|code| code.to_string() == *end)
                    }
                };
                bw.get_until(&format!("/api/Payment/{id}"), &format!("{status} {end} (script {script})"), ended).await;
                assert_eq!(server.charges_at_psp(&id).await, *charges, "charges of script {script}");
            }
        });
        futures_util::future::join_all(runs).await;
        server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_and_a_refund_whose_answers_are_lost() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;

        // The effect happened and the answer was lost: found by the look-up.
        let preauth = bw.sign_up(&agreement, "80.00").await;
        let capture = fresh("b");
        bw.post("/api/Payment", &bw.capture(&capture, &preauth, &agreement, "70.22")).await;
        bw.get_until(&format!("/api/Payment/{capture}"), "Succeeded", |(_, body)| body["status"] == "Succeeded").await;

        // Neither happened: after two believed absences the capture is declined, and the reservation can be used again.
        let preauth = bw.sign_up(&agreement, "80.00").await;
        let lost = fresh("b");
        bw.post("/api/Payment", &bw.capture(&lost, &preauth, &agreement, "70.23")).await;
        bw.get_until(&format!("/api/Payment/{lost}"), "failed", |(status, _)| *status == 500).await;
        let again = fresh("b");
        bw.post("/api/Payment", &bw.capture(&again, &preauth, &agreement, "80.00")).await;
        bw.get_until(&format!("/api/Payment/{again}"), "Succeeded", |(_, body)| body["status"] == "Succeeded").await;

        // A refund that the PSP does not know is never believed to be void: it waits for a person, and stays reserved.
        let refund = fresh("c");
        let (status, body) = bw.post("/api/Refund", &bw.refund(&refund, &again, "10.23")).await;
        assert_eq!(status, 200, "{body}");
        server.alert("needs_person").await;
        let (status, body) = bw.get(&format!("/api/Refund/{refund}")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");
        let (_, body) = bw.get(&format!("/api/Payment/{again}")).await;
        assert_eq!(body["refundableAmount"].to_string(), "69.77", "what is in doubt stays reserved: {body}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chargeback_is_booked_and_cannot_be_refunded_again() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let id = fresh("b");
        bw.post("/api/Payment", &bw.payment(&id, &agreement, "50.41")).await;
        let path = format!("/api/Payment/{id}");
        bw.get_until(&path, "charged back", |(_, body)| body["refundableAmount"] == json!(0)).await;
        let (status, body) = bw.post("/api/Refund", &bw.refund(&fresh("c"), &id, "1.00")).await;
        assert_eq!(status, 422, "{body}");
        server.quiet().await;
    })
    .await;
}
