//! Killed with -9 between any two steps, and started again: nothing is lost, and nothing happens twice.

use std::os::fd::AsRawFd as _;
use std::time::Duration;

use rialto::clock::Clock;
use rialto::psp::sandbox::SandboxPsp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::billwerk::{Billwerk, fresh};
use crate::process::Place;
use crate::server::on_each_database;

/// Commits after which the process is killed. A recurring payment makes fewer than this with all that follows from it; a
/// start makes some as well.
const COMMITS: std::ops::RangeInclusive<u64> = 1..=20;

/// How long a pending refund is watched for an end that may never come: longer than its look-ups take at this scale.
const HONEST_PENDING: Duration = Duration::from_secs(4);

/// A loaded machine reaches the fatal commit late; one that is never reached costs this much.
const CRASH_WITHIN: Duration = Duration::from_millis(800);

/// Started, killed, started again, asked again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_survives_a_crash_between_any_two_steps() {
    on_each_database(async |kind| {
        let place = Place::new(kind).await;
        let process = place.start(&[]).await;
        let bw = place.billwerk();
        let agreement = fresh("ag");
        bw.sign_up(&agreement, "25.00").await;
        process.kill().await;

        let scale = ("RIALTO_TIME_SCALE", "50".to_owned());
        let mut crashed = 0;
        for commits in COMMITS {
            let (payment, refund) = (fresh("b"), fresh("c"));
            let charge = bw.payment(&payment, &agreement, "9.90");
            let give_back = bw.refund(&refund, &payment, "4.00");
            let crash = ("TEST_CRASH_AFTER_COMMITS", commits.to_string());
            let mut doomed = place.spawn(&[scale.clone(), crash]);
            run_into(&bw, &mut doomed, &charge, &give_back).await;
            crashed += usize::from(doomed.ends_within(CRASH_WITHIN).await);
            doomed.kill().await;

            let process = place.start(std::slice::from_ref(&scale)).await;
            let (_, _) = bw.post("/api/Payment", &charge).await;
            let path = format!("/api/Payment/{payment}");
            let ended = |(status, body): &(u16, Value)| *status >= 422 || body["status"] == "Succeeded";
            let (status, body) = bw.get_until(&path, "settled", ended).await;
            // The same request once more goes on with what there is.
            let (again, _) = bw.post("/api/Payment", &charge).await;
            assert_eq!(again, status, "after {commits} commits: {body}");
            if status == 200 {
                bw.post("/api/Refund", &give_back).await;
                settle_refund(&bw, &refund).await;
            }
            process.kill().await;
            agrees(&place, &bw, &payment, &refund, commits, status).await;
        }
        assert!(crashed >= 10, "only {crashed} runs were cut off: the sweep does not reach the steps");
    })
    .await;
}

/// A refund whose sending died half-way is never believed void: Pending is its honest end, and it stays so.
async fn settle_refund(bw: &Billwerk, refund: &str) {
    let path = format!("/api/Refund/{refund}");
    let known = |(status, body): &(u16, Value)| *status >= 422 || body["status"] != "Initiated";
    bw.get_until(&path, "known", known).await;
    let patience = tokio::time::Instant::now() + HONEST_PENDING;
    while bw.get(&path).await.1["status"] == "Pending" && tokio::time::Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends both requests, whatever becomes of them, until the process dies or has answered.
async fn run_into(bw: &Billwerk, doomed: &mut crate::process::Process, charge: &Value, refund: &Value) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
    for (path, body) in [("/api/Payment", charge), ("/api/Refund", refund)] {
        loop {
            let sent =
                client.post(format!("{}{path}", bw.url)).bearer_auth(&bw.token).body(body.to_string()).send().await;
            match sent {
                // Not listening yet, or not any more.
                Err(error) if error.is_connect() && !doomed.has_ended() => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(_) | Err(_) => break,
            }
        }
    }
}

/// Our state equals the PSP's, and the PSP was asked once.
async fn agrees(place: &Place, bw: &Billwerk, payment: &str, refund: &str, commits: u64, status: u16) {
    let store = place.database.store(Clock::default()).await.expect("the database opens");
    let psp = SandboxPsp::new(store.clone(), crate::server::no_sink(), &bw.url);
    for (operation, key) in [("payment", payment), ("refund", refund)] {
        let Some((intent, transactions)) = crate::server::stored(&store, "billwerk", operation, key).await else {
            assert_eq!(
                (operation, status == 200),
                ("refund", false),
                "after {commits} commits the {operation} is lost"
            );
            continue;
        };
        assert_eq!(transactions.len(), 1, "after {commits} commits");
        let t = &transactions[0];
        let there = psp.transactions_of(&t.ours.0).await.expect("the PSP's tables");
        assert!(there.len() <= 1, "after {commits} commits the PSP has {operation} {} times", there.len());
        let ours = t.state.name();
        match there.first() {
            Some(theirs) => assert_eq!(ours, theirs.state, "after {commits} commits: the {operation} {}", intent.id),
            None => assert!(
                ours == "declined" || (operation == "refund" && ours == "unknown"),
                "after {commits} commits the PSP has no {operation}, and we say {ours}"
            ),
        }
    }
}

/// Clients that reset their connection in mid-request, then kill -9: every answered write is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answered_writes_survive_resets_and_a_kill() {
    on_each_database(async |kind| {
        let place = Place::new(kind).await;
        let process = place.start(&[]).await;
        let bw = place.billwerk();
        let agreement = fresh("ag");
        bw.sign_up(&agreement, "25.00").await;
        let mut answered = Vec::new();
        for round in 0..20u64 {
            for reset in 0..12u64 {
                send_and_reset(&place.address, &bw, &agreement, Duration::from_micros(reset * 250 + round * 10)).await;
            }
            for _ in 0..4 {
                let payment = fresh("b");
                let (status, body) = bw.post("/api/Payment", &bw.payment(&payment, &agreement, "9.90")).await;
                assert_eq!(status, 200, "{body}");
                answered.push(payment);
            }
        }
        process.kill().await;
        let store = place.database.store(Clock::default()).await.expect("the database opens");
        for payment in &answered {
            let stored = crate::server::stored(&store, "billwerk", "payment", payment).await;
            assert!(
                stored.is_some_and(|(_, t)| t[0].state.name() == "succeeded"),
                "{payment} was answered and is lost"
            );
        }
        assert_eq!(answered.len(), 80);
    })
    .await;
}

/// Sends a whole request and resets the connection (RST) after a moment, without reading the answer.
async fn send_and_reset(address: &str, bw: &Billwerk, agreement: &str, after: Duration) {
    let body = bw.payment(&fresh("r"), agreement, "9.90").to_string();
    let head = format!(
        "POST /api/Payment HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        bw.token,
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    stream.write_all(format!("{head}{body}").as_bytes()).await.expect("it is sent");
    tokio::time::sleep(after).await;
    // Linger 0 turns the close into a reset.
    assert!(stream.as_raw_fd() >= 0);
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket option");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_of_the_demo_is_the_same_demo() {
    let place = Place::new("sqlite").await;
    let process = place.start(&[]).await;
    let first = place.demo();
    process.kill().await;
    let process = place.start(&[]).await;
    assert_eq!(place.demo(), first);
    let bw = place.billwerk();
    assert_eq!(bw.get("/api/Payment/unknown").await.0, 404, "the key still opens");
    assert_ne!(first["billwerk"]["token"], json!(null));
    process.kill().await;
}
