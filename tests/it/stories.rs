//! What goes wrong between people, banks and platforms, from its beginning to its end.

use std::time::Duration;

use rialto::clock::Clock;
use rialto::store::agreements::AgreementState;
use rialto::store::inbox::NoticeState;
use rialto::store::{KeyRing, Store, StoreOptions, Vault};
use rialto_adapters::sandbox::contract;
use rialto_adapters::sandbox::notice::SIGNATURE;
use serde_json::{Value, json};

use crate::ask::Asker;
use crate::billwerk::{Answer, Billwerk, fresh};
use crate::nodes::Two;
use crate::process::Place;
use crate::server::{Server, on_each_database, stored};

const BEARER_INVALID: i64 = 2;
const INVALID_AMOUNT: i64 = 5;
const INVALID_DATA: i64 = 8;
const INVALID_PRECONDITIONS: i64 = 11;
const EXPIRED: i64 = 6;
const FAILED: i64 = 4;

fn code(body: &Value) -> i64 {
    body["ErrorCode"].as_i64().unwrap_or(-1)
}

fn told(got: &[Value], id: &str, webhook_type: i64) -> usize {
    got.iter().filter(|notice| notice["TransactionId"] == id && notice["Type"] == webhook_type).count()
}

fn succeeded((status, body): &Answer) -> bool {
    *status == 200 && body["status"] == "Succeeded"
}

/// The PSP's page of a preauth that waits for its payer.
async fn page_of(server: &Server, preauth: &str) -> String {
    let (_, transactions) = stored(server.store(), "billwerk", "preauth", preauth).await.expect("it is stored");
    let reference = &transactions[0].ours.0;
    let session = server.psp().session_of(reference).await.expect("the PSP's tables").expect("a page");
    format!("{}/sandbox/pay/{session}", server.url)
}

/// Our reference of the first transaction of an operation.
async fn reference(server: &Server, operation: &str, key: &str) -> String {
    let (_, transactions) = stored(server.store(), "billwerk", operation, key).await.expect("it is stored");
    transactions[0].ours.0.clone()
}

async fn open_alerts(server: &Server) -> Vec<String> {
    let open = server.store().alerts_open(server.tenant).await.expect("a database");
    open.into_iter().map(|alert| alert.kind).collect()
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// A debit of an agreement.
fn debit(bw: &Billwerk, id: &str, agreement: &str, amount: &str) -> Value {
    let mut request = bw.payment(id, agreement, amount);
    request["paymentMeansReference"] = json!({"role": "Debit"});
    request
}

fn mandate(bw: &Billwerk, id: &str, agreement: &str, amount: &str, reference: &str) -> Value {
    let mut request = bw.preauth(id, agreement, amount);
    request["paymentMeansReference"] = json!({"role": "Debit", "initialBearer":
        {"Holder": "Ada Lovelace", "IBAN": "DE89 3704 0044 0532 0130 00", "MandateReference": reference}});
    request
}

/// Signs a mandate, which at a fast clock may be answered before it is done.
async fn sign(bw: &Billwerk, mandate: Value) -> Value {
    let (status, body) = bw.post("/api/Preauth", &mandate).await;
    assert_eq!(status, 200, "{body}");
    let path = format!("/api/Preauth/{}", mandate["transactionId"].as_str().expect("an id"));
    bw.get_until(&path, "Succeeded", succeeded).await.1
}

/// The payer comes back from lunch and approves what has expired meanwhile: the PSP takes the money all the same, and it
/// goes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_preauth_is_paid_late() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let id = fresh("a");
        let (status, body) = bw.post("/api/Preauth", &bw.preauth(&id, &fresh("ag"), "25.37")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");
        let page = page_of(&server, &id).await;
        server.app.engine.clock.advance(hours(1));
        let path = format!("/api/Preauth/{id}");
        let (_, body) = bw.get_until(&path, "expired", |(status, _)| *status == 422).await;
        assert_eq!(body["Status"], json!(EXPIRED), "{body}");
        server.receiver.wait_for("the expiry's notice", |got| told(got, &id, 1) == 1).await;

        let (status, _, _) = bw.press(&page, "choice", "approve").await;
        assert_eq!(status, 303);
        server.until("given back", async || server.taken_at_psp("preauth", &id, "release").await == 2_537).await;
        server.quiet().await;
        let (status, late) = bw.get(&path).await;
        assert_eq!((status, &late["Status"]), (422, &json!(EXPIRED)), "it stays what it was told to be: {late}");
        assert!(told(&server.receiver.got(), &id, 1) >= 2, "the late money is told");
        assert_eq!(open_alerts(&server).await, Vec::<String>::new(), "nobody need do anything");
        let (status, body) = bw.post("/api/Payment", &bw.capture(&fresh("b"), &id, "", "25.37")).await;
        assert_eq!((status, code(&body)), (422, INVALID_PRECONDITIONS), "{body}");
    })
    .await;
}

/// The clock asks before it decides: what the PSP knows as paid is paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_answer_wins_over_the_clock() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let id = fresh("a");
        bw.post("/api/Preauth", &bw.preauth(&id, &fresh("ag"), "25.36")).await;
        // Its success is told by nobody.
        let page = page_of(&server, &id).await;
        bw.press(&page, "choice", "approve").await;
        server.app.engine.clock.advance(hours(1));
        let (_, body) = bw
            .get_until(&format!("/api/Preauth/{id}"), "decided", |(status, body)| {
                *status != 200 || body["status"] != "Pending"
            })
            .await;
        assert_eq!(body["status"], json!("Succeeded"), "{body}");

        // A reservation that nobody captures lapses, and what is left of it is given free.
        server.app.engine.clock.advance(hours(8 * 24));
        let (_, body) = bw.get_until(&format!("/api/Preauth/{id}"), "expired", |(status, _)| *status == 422).await;
        assert_eq!(body["Status"], json!(EXPIRED), "{body}");
        server.until("released", async || server.taken_at_psp("preauth", &id, "release").await == 2_536).await;
        server.quiet().await;
    })
    .await;
}

/// A PSP that does not answer decides nothing: the clock waits until it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_expires_in_the_dark() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let id = fresh("a");
        let (_, answer) = bw.post("/api/Preauth", &bw.preauth(&id, &fresh("ag"), "25.00")).await;
        assert_eq!(answer["status"], json!("Pending"), "{answer}");
        let (intent, transactions) = stored(server.store(), "billwerk", "preauth", &id).await.expect("it is stored");
        let (intent, t) = (intent.id, transactions[0].clone());
        // Somebody asks at this very moment, so that this look is not taken.
        server.app.engine.clock.advance(hours(1));
        let looking = async || {
            let mut unit = rialto::store::Unit::new("a look of somebody else");
            let until = server.app.engine.clock.after(Duration::from_secs(3600));
            rialto::store::transactions::claim_look(&mut unit, &t, until);
            server.store().run(unit).await
        };
        let (raced, expired) = tokio::join!(looking(), server.app.engine.expire(server.tenant, intent));
        assert!(raced.is_ok() && expired.is_ok());
        // Whoever was first, it ends as the PSP says: not paid.
        let (_, body) = bw.get_until(&format!("/api/Preauth/{id}"), "expired", |(status, _)| *status == 422).await;
        assert_eq!(body["Status"], json!(EXPIRED), "{body}");
        server.quiet().await;
    })
    .await;
}

/// A mandate is signed, debited, returned by the payer's bank and revoked; then another takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mandate_is_returned() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let (signup, agreement) = (fresh("a"), fresh("ag"));
        let body = sign(&bw, mandate(&bw, &signup, &agreement, "10.00", "SHOP/2024-17")).await;
        let bearer = &body["bearer"];
        assert_eq!((&bearer["MandateReference"], &bearer["Holder"]), (&json!("SHOP/2024-17"), &json!("Ada Lovelace")));
        for key in ["IBAN", "Country", "MandateSignatureDate", "CreditorId"] {
            assert!(bearer[key].is_string(), "{key}: {bearer}");
        }
        assert_eq!(body["authorizedAmount"], json!(0));
        assert!(body["expiresAt"].as_str().is_some_and(|at| at.starts_with("9999")), "{body}");
        server.quiet().await;
        let before = bw.get(&format!("/api/Preauth/{signup}")).await.1["lastUpdated"].clone();

        // The mandate is revoked some time after this debit.
        let payment = fresh("b");
        let (_, body) = bw.post("/api/Payment", &debit(&bw, &payment, &agreement, "10.42")).await;
        assert_eq!(body["status"], json!("Pending"), "{body}");
        let path = format!("/api/Payment/{payment}");
        bw.get_until(&path, "Succeeded", succeeded).await;
        let got = server.receiver.wait_for("the agreement's notice", |got| told(got, &signup, 4) >= 1).await;
        let notice = got.iter().find(|notice| notice["Type"] == 4).expect("it came");
        assert_eq!(notice["AgreementId"], json!(agreement), "{notice}");
        let after = bw.get(&format!("/api/Preauth/{signup}")).await.1["lastUpdated"].clone();
        assert!(after.as_str() > before.as_str(), "{after} is after {before}");

        // And the bank takes the money back.
        assert!(server.psp().charge_back(&reference(&server, "payment", &payment).await).await.expect("asked"));
        let (_, body) = bw.get_until(&path, "charged back", |(_, body)| body["chargebacks"][0].is_object()).await;
        let item = &body["chargebacks"][0];
        assert_eq!(
            (&item["reason"], &item["amount"], &item["feeAmount"]),
            (&json!("InsufficientBalance"), &json!(10.42), &json!(3)),
            "{item}"
        );
        assert_eq!(item["pspReasonCode"], json!("insufficient_balance"), "{item}");
        assert_eq!((&body["status"], &body["refundableAmount"]), (&json!("Succeeded"), &json!(0)), "{body}");

        for (path, request) in [
            ("/api/Payment", debit(&bw, &fresh("b"), &agreement, "10.00")),
            ("/api/Preauth", {
                let mut again = mandate(&bw, &fresh("a"), &agreement, "10.00", "x");
                again["isInitial"] = json!(false);
                again
            }),
        ] {
            let (status, body) = bw.post(path, &request).await;
            assert_eq!((status, code(&body)), (422, BEARER_INVALID), "{path}: {body}");
        }
        let again = fresh("a");
        let body = sign(&bw, mandate(&bw, &again, &agreement, "10.00", "SHOP/2024-18")).await;
        assert_eq!(body["bearer"]["MandateReference"], json!("SHOP/2024-18"), "{body}");
        let (status, body) = bw.post("/api/Payment", &debit(&bw, &fresh("b"), &agreement, "10.00")).await;
        assert_eq!(status, 200, "new means are charged again: {body}");
        server.quiet().await;
        assert_eq!(told(&server.receiver.got(), &signup, 4), 1, "once");
    })
    .await;
}

/// The first mandate is revoked after a second one has taken its place: that one stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn means_that_were_replaced_take_nothing_with_them() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let agreement = fresh("ag");
        let first = fresh("a");
        // Revoked after two seconds.
        bw.post("/api/Preauth", &mandate(&bw, &first, &agreement, "10.42", "M-1")).await;
        let (status, body) = bw.post("/api/Preauth", &mandate(&bw, &fresh("a"), &agreement, "10.00", "M-2")).await;
        assert_eq!((status, &body["bearer"]["MandateReference"]), (200, &json!("M-2")), "{body}");
        server.app.engine.clock.advance(Duration::from_secs(2));
        server.quiet().await;
        let kept = server.store().agreement(server.tenant, "billwerk", &agreement).await.expect("a database");
        assert_eq!(kept.expect("an agreement").state, AgreementState::Active);
        assert_eq!(told(&server.receiver.got(), &first, 4), 0, "there is nothing to tell");
        let (status, body) = bw.post("/api/Payment", &debit(&bw, &fresh("b"), &agreement, "10.00")).await;
        assert_eq!(status, 200, "{body}");
    })
    .await;
}

/// A chargeback of the whole while two refunds are under way. What we start never exceeds what came in; what comes from
/// outside beyond that is booked, and waits for a person.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chargeback_meets_two_refunds_in_flight() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let payment = fresh("b");
        bw.post("/api/Payment", &bw.payment(&payment, &agreement, "100.00")).await;
        let refunds = [(fresh("c"), "30.31"), (fresh("c"), "20.31")];
        for (id, amount) in &refunds {
            let (status, body) = bw.post("/api/Refund", &bw.refund(id, &payment, amount)).await;
            assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");
        }
        assert!(server.psp().charge_back(&reference(&server, "payment", &payment).await).await.expect("asked"));
        server.alert("outside_exceeds").await;
        let (status, body) = bw.post("/api/Refund", &bw.refund(&fresh("c"), &payment, "0.01")).await;
        assert_eq!((status, code(&body)), (422, INVALID_AMOUNT), "nothing more goes out: {body}");
        for (id, _) in &refunds {
            bw.get_until(&format!("/api/Refund/{id}"), "Succeeded", succeeded).await;
        }
        server.quiet().await;
        let (_, body) = bw.get(&format!("/api/Payment/{payment}")).await;
        let figures =
            (body["refundedAmount"].to_string(), &body["refundableAmount"], &body["chargebacks"][0]["amount"]);
        assert_eq!(figures, ("50.62".to_owned(), &json!(0), &json!(100)), "{body}");
        assert_eq!(body["status"], json!("Succeeded"));
        assert_eq!(server.taken_at_psp("payment", &payment, "refund").await, 5_062);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chargeback_is_taken_back() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let payment = fresh("b");
        let (_, paid) = bw.post("/api/Payment", &bw.payment(&payment, &agreement, "50.43")).await;
        let path = format!("/api/Payment/{payment}");
        let later = || server.app.engine.clock.advance(Duration::from_secs(2));
        later();
        let (_, taken) = bw.get_until(&path, "charged back", |(_, body)| body["refundableAmount"] == json!(0)).await;
        assert_eq!(taken["chargebacks"][0]["amount"], json!(50.43), "{taken}");
        later();
        // Of two reads at the moment of the change, one may still show the older stamp.
        let newer = |body: &Value| body["lastUpdated"].as_str() > taken["lastUpdated"].as_str();
        let (_, given) =
            bw.get_until(&path, "given back", |(_, body)| body["refundableAmount"] != json!(0) && newer(body)).await;
        assert_eq!((&given["chargebacks"], &given["refundableAmount"]), (&json!([]), &json!(50.43)), "{given}");
        assert!(paid["lastUpdated"].as_str() < taken["lastUpdated"].as_str());
        server.quiet().await;
        assert!(told(&server.receiver.got(), &payment, 2) >= 2, "each is told");
        let (status, body) = bw.post("/api/Refund", &bw.refund(&fresh("c"), &payment, "50.43")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        assert_eq!(open_alerts(&server).await, Vec::<String>::new());
    })
    .await;
}

/// The bank's change of mind comes in before the chargeback itself, and each of both five times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chargeback_is_taken_back_before_we_hear_of_it() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let payment = fresh("b");
        bw.post("/api/Payment", &bw.payment(&payment, &agreement, "50.00")).await;
        server.quiet().await;
        let ours = reference(&server, "payment", &payment).await;
        let news = |kind: &str, id: &str| contract::Transaction {
            id: id.to_owned(),
            parent_reference: Some(ours.clone()),
            kind: kind.to_owned(),
            state: contract::state::SUCCEEDED.to_owned(),
            amount: 5_000,
            currency: "EUR".to_owned(),
            movement_id: Some(format!("mov-{id}")),
            occurred_at: server.app.engine.clock.now().0,
            ..contract::Transaction::default()
        };
        let reversed = (contract::notice_type::CHARGEBACK_REVERSED, news("chargeback_reversed", "cbr_1"));
        let charged_back = (contract::notice_type::CHARGEBACK, news("chargeback", "cbk_1"));
        for (notice_type, transaction) in std::iter::repeat_n(&reversed, 3).chain(std::iter::repeat_n(&charged_back, 5))
        {
            assert_eq!(post_notice(&server, &server.hook_url, notice_type, transaction).await, 200);
        }
        server
            .until("settled", async || {
                let notices = server.store().notices_of(server.tenant, server.connection).await.expect("a database");
                notices.len() >= 8 && notices.iter().all(|notice| notice.state == NoticeState::Done)
            })
            .await;
        assert_eq!(post_notice(&server, &server.hook_url, reversed.0, &reversed.1).await, 200);
        server.quiet().await;
        let (_, body) = bw.get(&format!("/api/Payment/{payment}")).await;
        assert_eq!((&body["chargebacks"], &body["refundableAmount"]), (&json!([]), &json!(50)), "{body}");
    })
    .await;
}

/// Posts a signed notice, and answers with the status.
async fn post_notice(server: &Server, hook_url: &str, notice_type: &str, transaction: &contract::Transaction) -> u16 {
    let clock = &server.app.engine.clock;
    let secret = server
        .store()
        .settings(server.tenant, server.connection, 1)
        .await
        .expect("a database")
        .secret("webhook_secret");
    let body = notice_body(notice_type, transaction);
    let signature = SIGNATURE.sign(&secret, body.as_bytes(), clock.now());
    Asker::new().ask("POST", hook_url, &[(SIGNATURE.header, &signature)], body).await.status
}

fn notice_body(notice_type: &str, transaction: &contract::Transaction) -> String {
    let notice = contract::Notice {
        id: format!("ntc_{}", fresh("n")),
        notice_type: notice_type.to_owned(),
        created_at: transaction.occurred_at,
        transaction: Some(transaction.clone()),
    };
    serde_json::to_string(&notice).expect("plain data")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_refunds_at_the_psps_portal() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 20).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let payment = fresh("b");
        bw.post("/api/Payment", &bw.payment(&payment, &agreement, "50.44")).await;
        let path = format!("/api/Payment/{payment}");
        let (_, body) = bw.get_until(&path, "refunded", |(_, body)| body["refundedAmount"] == json!(50.44)).await;
        assert_eq!((&body["status"], &body["refundableAmount"]), (&json!("Succeeded"), &json!(0)), "{body}");
        server.receiver.wait_for("the payment's notice", |got| told(got, &payment, 2) >= 1).await;
        let (status, body) = bw.post("/api/Refund", &bw.refund(&fresh("c"), &payment, "0.01")).await;
        assert_eq!((status, code(&body)), (422, INVALID_AMOUNT), "{body}");

        // After a refund of ours the portal gives back the rest.
        let payment = fresh("b");
        bw.post("/api/Payment", &bw.payment(&payment, &agreement, "50.00")).await;
        let refund = fresh("c");
        bw.post("/api/Refund", &bw.refund(&refund, &payment, "20.00")).await;
        bw.get_until(&format!("/api/Refund/{refund}"), "Succeeded", succeeded).await;
        let (_, before) = bw.get(&format!("/api/Payment/{payment}")).await;
        assert!(server.psp().refund_outside(&reference(&server, "payment", &payment).await).await.expect("asked"));
        let path = format!("/api/Payment/{payment}");
        let (_, after) = bw.get_until(&path, "refunded", |(_, body)| body["refundedAmount"] == json!(50)).await;
        assert!(before["lastUpdated"].as_str() < after["lastUpdated"].as_str(), "{before} {after}");
        server.quiet().await;
        assert_eq!(open_alerts(&server).await, Vec::<String>::new());
    })
    .await;
}

/// The first card is declined, the payer tries another in the same session: what was refused is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_card_is_accepted() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let (id, agreement) = (fresh("a"), fresh("ag"));
        let (_, answer) = bw.post("/api/Preauth", &bw.preauth(&id, &agreement, "25.00")).await;
        let page = page_of(&server, &id).await;
        let (status, location, _) = bw.press(&page, "choice", "decline_first").await;
        assert_eq!((status, location.as_deref()), (303, Some(page.as_str())), "the payer stays");
        let path = format!("/api/Preauth/{id}");
        let (_, body) = bw.get_until(&path, "declined", |(status, _)| *status == 422).await;
        assert_eq!(body["Status"], json!(FAILED), "{body}");
        server.receiver.wait_for("the decline's notice", |got| told(got, &id, 1) == 1).await;

        let (status, location, _) = bw.press(&page, "choice", "approve").await;
        assert_eq!(status, 303);
        // Back at once, whether or not the PSP's notice has been faster.
        let (_, end, html) = bw.browse(&location.expect("back to us")).await;
        assert_eq!(end.as_deref(), Some("https://shop.example/success"), "{html}");
        let (_, body) = bw.get_until(&path, "Succeeded", succeeded).await;
        assert_eq!((&body["authorizedAmount"], &body["bearer"]["Last4"]), (&json!(25), &json!("4242")), "{body}");
        server.receiver.wait_for("the second notice", |got| told(got, &id, 1) >= 2).await;
        let (status, body) = bw.post("/api/Payment", &bw.capture(&fresh("b"), &id, &agreement, "25.00")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        assert!(answer["redirectUrl"].is_string());
        server.quiet().await;
        assert_eq!(open_alerts(&server).await, Vec::<String>::new(), "it is an everyday thing");
    })
    .await;
}

/// One node hears of a chargeback before any node knows the name the PSP gave the payment; the other one learns it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_and_a_parked_notice() {
    let Some(two) = Two::start("10").await else { return };
    let [one, other] = &two.callers;
    let agreement = fresh("ag");
    one.sign_up(&agreement, "25.00").await;
    let payment = fresh("b");
    // The answer with the PSP's name of it is lost.
    let (status, body) = one.post("/api/Payment", &one.payment(&payment, &agreement, "30.22")).await;
    assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");
    let (intent, transactions) = stored(&two.store, "billwerk", "payment", &payment).await.expect("it is stored");
    assert_eq!(transactions[0].theirs, None, "nobody knows its name");
    let psp = rialto::psp::sandbox::SandboxPsp::new(two.store.clone(), crate::server::no_sink(), "http://127.0.0.1:9");
    let there = psp.transactions_of(&transactions[0].ours.0).await.expect("the PSP's tables");
    let news = contract::Transaction {
        id: "cbk_1".to_owned(),
        parent_id: Some(there[0].id.clone()),
        kind: contract::kind::CHARGEBACK.to_owned(),
        state: contract::state::SUCCEEDED.to_owned(),
        amount: 3_022,
        currency: "EUR".to_owned(),
        movement_id: Some("mov_1".to_owned()),
        occurred_at: there[0].occurred_at + 1,
        ..contract::Transaction::default()
    };
    let connection = intent.connection_id;
    let secret =
        two.store.settings(intent.tenant_id, connection, 1).await.expect("a database").secret("webhook_secret");
    let body = notice_body(contract::notice_type::CHARGEBACK, &news);
    for _ in 0..2 {
        let signature = SIGNATURE.sign(&secret, body.as_bytes(), Clock::default().now());
        let url = format!("{}/hooks/{connection}", other.url);
        let answer = Asker::new().ask("POST", &url, &[(SIGNATURE.header, &signature)], body.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let path = format!("/api/Payment/{payment}");
    let (_, body) = other.get_until(&path, "charged back", |(_, body)| body["chargebacks"][0].is_object()).await;
    assert_eq!(body["chargebacks"].as_array().map(Vec::len), Some(1), "once: {body}");
    assert_eq!((&body["status"], &body["refundableAmount"]), (&json!("Succeeded"), &json!(0)), "{body}");
    let seen = one.get(&path).await.1;
    assert_eq!(seen["chargebacks"], body["chargebacks"], "both nodes say the same");
    for process in two.processes {
        process.kill().await;
    }
}

const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "new:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

/// A new master key is put in front of the old one: it seals, and both open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_ring_with_two_keys() {
    on_each_database(async |kind| {
        let place = Place::new(kind).await;
        let keys = |ring: String| [("RIALTO_MASTER_KEYS", ring)];
        let process = place.start(&keys(OLD.to_owned())).await;
        let bw = place.billwerk();
        let old = fresh("ag");
        let preauth = bw.sign_up(&old, "25.00").await;
        process.kill().await;

        let process = place.start(&keys(format!("{NEW},{OLD}"))).await;
        let (status, body) = bw.get(&format!("/api/Preauth/{preauth}")).await;
        assert_eq!((status, &body["bearer"]["Last4"]), (200, &json!("4242")), "old data are read: {body}");
        let (status, body) = bw.post("/api/Payment", &bw.payment(&fresh("b"), &old, "9.90")).await;
        assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "old means are charged: {body}");
        let new = fresh("ag");
        bw.sign_up(&new, "25.00").await;
        process.kill().await;

        // In another order both still open.
        let process = place.start(&keys(format!("{OLD},{NEW}"))).await;
        for agreement in [&old, &new] {
            let (status, body) = bw.post("/api/Payment", &bw.payment(&fresh("b"), agreement, "9.90")).await;
            assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{body}");
        }
        process.kill().await;

        let tenant = stored(&with_keys(&place, &format!("{NEW},{OLD}")).await, "billwerk", "preauth", &preauth).await;
        let tenant = tenant.expect("it is stored").0.tenant_id;
        let opens = async |ring: &str, agreement: &str| {
            with_keys(&place, ring).await.agreement(tenant, "billwerk", agreement).await.is_ok()
        };
        assert!(opens(NEW, &new).await, "the first key has sealed what is new");
        assert!(!opens(OLD, &new).await && !opens(NEW, &old).await, "and only that");
    })
    .await;
}

/// The database as a node with this key ring opens it.
async fn with_keys(place: &Place, ring: &str) -> Store {
    let vault = Vault::new(KeyRing::parse(ring).expect("a key ring"));
    let options = StoreOptions { url: place.database.url.clone(), clock: Clock::default(), vault, migrate: false };
    Store::open(options).await.expect("the database opens")
}

/// How long it is until the beginning of a day to come.
fn until_day(server: &Server, days: i64) -> Duration {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let passed = server.app.engine.clock.now().0.rem_euclid(DAY_MS);
    Duration::from_millis(u64::try_from(days * DAY_MS - passed).expect("a day to come"))
}

/// `yyyy-MM-dd` so many days after the server's today.
fn in_days(server: &Server, days: i64) -> String {
    let at = server.app.engine.clock.now().0 + days * 24 * 3600 * 1000;
    let at = time::OffsetDateTime::from_unix_timestamp(at / 1000).expect("a time");
    format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_debit_waits_for_its_day() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = fresh("ag");
        sign(&bw, mandate(&bw, &fresh("a"), &agreement, "10.00", "M-1")).await;
        let planned = |amount: &str, day: &str| {
            let mut request = debit(&bw, &fresh("b"), &agreement, amount);
            request["plannedExecutionDate"] = json!(day);
            request
        };
        let id = |request: &Value| request["transactionId"].as_str().expect("an id").to_owned();
        let path = |request: &Value| format!("/api/Payment/{}", id(request));

        let today = in_days(&server, 0);
        for day in ["2020-01-01", &today, &format!("{today}T23:00:00Z")] {
            let request = planned("10.00", day);
            let (status, body) = bw.post("/api/Payment", &request).await;
            assert_eq!((status, &body["dueDate"]), (200, &json!(today)), "{day}: {body}");
            bw.get_until(&path(&request), "Succeeded", succeeded).await;
        }
        let (status, body) = bw.post("/api/Payment", &planned("10.00", &in_days(&server, 367))).await;
        assert_eq!((status, code(&body)), (422, INVALID_DATA), "{body}");
        assert!(body["ErrorMessage"].as_str().is_some_and(|text| text.contains("plannedExecutionDate")), "{body}");

        let tomorrow = in_days(&server, 1);
        let (request, lost) = (planned("10.00", &tomorrow), planned("10.21", &tomorrow));
        for request in [&request, &lost] {
            for _ in 0..2 {
                let (status, body) = bw.post("/api/Payment", request).await;
                assert_eq!((status, &body["status"], &body["dueDate"]), (200, &json!("Pending"), &json!(tomorrow)));
            }
        }
        server.quiet().await;
        assert_eq!(server.charges_at_psp(&id(&request)).await, 0, "not before its day");
        server.app.engine.clock.advance(until_day(&server, 1));
        bw.get_until(&path(&request), "Succeeded", succeeded).await;
        assert_eq!(server.charges_at_psp(&id(&request)).await, 1);
        server.receiver.wait_for("its notice", |got| told(got, &id(&request), 2) >= 1).await;

        // For this one nobody answers: it is tried again and again, and is no failure before its time is over.
        let attempts = async || {
            stored(server.store(), "billwerk", "payment", &id(&lost)).await.expect("it is stored").1[0].attempts
        };
        server.until("tried twice", async || attempts().await >= 2).await;
        assert_eq!(bw.get(&path(&lost)).await.1["status"], json!("Pending"));
        server.app.engine.clock.advance(hours(24));
        let (status, body) = bw.get_until(&path(&lost), "given up", |(status, _)| *status != 200).await;
        assert_eq!((status, code(&body)), (500, 19), "{body}");

        // A card is charged at once, whatever the day.
        let card = server.agreement(&bw).await;
        let mut request = bw.payment(&fresh("b"), &card, "10.00");
        request["plannedExecutionDate"] = json!(in_days(&server, 5));
        let (_, body) = bw.post("/api/Payment", &request).await;
        assert_eq!((&body["status"], &body["dueDate"]), (&json!("Succeeded"), &Value::Null), "{body}");
        request["plannedExecutionDate"] = json!("soon");
        request["transactionId"] = json!(fresh("b"));
        assert_eq!(bw.post("/api/Payment", &request).await.0, 422);
        server.quiet().await;
    })
    .await;
}

/// The mandate is revoked before the day of its debit: nothing is sent, and the caller is told why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mandate_is_revoked_before_its_debit() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let (signup, agreement, payment) = (fresh("a"), fresh("ag"), fresh("b"));
        sign(&bw, mandate(&bw, &signup, &agreement, "10.00", "M-1")).await;
        let mut request = debit(&bw, &payment, &agreement, "10.00");
        request["plannedExecutionDate"] = json!(in_days(&server, 3));
        assert_eq!(bw.post("/api/Payment", &request).await.0, 200);
        bw.post("/api/Payment", &debit(&bw, &fresh("b"), &agreement, "10.42")).await;
        server.receiver.wait_for("the agreement's notice", |got| told(got, &signup, 4) >= 1).await;
        server.app.engine.clock.advance(until_day(&server, 3));
        let path = format!("/api/Payment/{payment}");
        let (_, body) = bw.get_until(&path, "refused", |(status, _)| *status == 422).await;
        assert_eq!(code(&body), BEARER_INVALID, "{body}");
        assert_eq!(server.charges_at_psp(&payment).await, 0);
        server.quiet().await;
    })
    .await;
}

/// Two nodes find the same debit due: one sends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_send_a_debit_once() {
    let Some(two) = Two::start("10").await else { return };
    let bw = &two.callers[0];
    let agreement = fresh("ag");
    bw.post("/api/Preauth", &mandate(bw, &fresh("a"), &agreement, "10.00", "M-1")).await;
    let payments: Vec<String> = (0..20).map(|_| fresh("b")).collect();
    let day = time::OffsetDateTime::now_utc() + Duration::from_secs(48 * 3600);
    for payment in &payments {
        let mut request = debit(bw, payment, &agreement, "10.00");
        let day = format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day());
        request["plannedExecutionDate"] = json!(day);
        let (status, body) = bw.post("/api/Payment", &request).await;
        assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");
    }
    // The day has come.
    let now = Clock::default().now().0;
    two.places[0]
        .database
        .execute(&format!("UPDATE transactions SET not_before = {now}, look_at = {now} WHERE not_before IS NOT NULL"));
    let psp = rialto::psp::sandbox::SandboxPsp::new(two.store.clone(), crate::server::no_sink(), "http://127.0.0.1:9");
    for payment in &payments {
        two.callers[1].get_until(&format!("/api/Payment/{payment}"), "Succeeded", succeeded).await;
        let (_, transactions) = stored(&two.store, "billwerk", "payment", payment).await.expect("it is stored");
        assert_eq!(psp.transactions_of(&transactions[0].ours.0).await.expect("the PSP's tables").len(), 1);
    }
    for process in two.processes {
        process.kill().await;
    }
}

/// Means that exist at the PSP already are taken over by their token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_move_here_with_their_means() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let moved = |token: &str, role: &str, amount: &str| {
            let mut request = bw.preauth(&fresh("a"), &fresh("ag"), amount);
            request["migrationToken"] = json!(token);
            request["paymentMeansReference"] = json!({"role": role});
            request
        };
        let rows = [
            ("legacy_card_0815", "CreditCard", "0", 0, "Last4", "0815"),
            ("legacy_card_0815", "CreditCard", "20.00", 20, "Last4", "0815"),
            ("legacy_debit_0815", "Debit", "20.00", 0, "MandateReference", "LEGACY-0815"),
        ];
        for (token, role, amount, reserved, key, value) in rows {
            let request = moved(token, role, amount);
            let (status, body) = bw.post("/api/Preauth", &request).await;
            assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{token}: {body}");
            assert_eq!((&body["redirectUrl"], &body["authorizedAmount"]), (&Value::Null, &json!(reserved)), "{body}");
            assert_eq!(body["bearer"][key], json!(value), "{body}");
            assert!(!body.to_string().contains(token), "a token is not shown: {body}");
            let mut payment = bw.payment(&fresh("b"), request["agreementId"].as_str().expect("an id"), "9.90");
            payment["paymentMeansReference"] = json!({"role": role});
            let (status, body) = bw.post("/api/Payment", &payment).await;
            assert_eq!(status, 200, "the means are charged: {body}");
        }
        for (token, role) in [("nobody_knows_this", "CreditCard"), ("legacy_card_0815", "Debit")] {
            let (status, body) = bw.post("/api/Preauth", &moved(token, role, "0")).await;
            assert_eq!((status, code(&body)), (422, BEARER_INVALID), "{token}: {body}");
        }
        let mut without = moved("legacy_card_0815", "CreditCard", "0");
        without["agreementId"] = Value::Null;
        let (status, body) = bw.post("/api/Preauth", &without).await;
        assert_eq!((status, code(&body)), (422, INVALID_PRECONDITIONS), "{body}");
        server.quiet().await;
    })
    .await;
}

/// Means are stored without money, and used again for other amounts, with nobody present.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn means_are_stored_and_used_again() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let card = fresh("ag");
        let signup = bw.sign_up(&card, "0").await;
        let (_, body) = bw.get(&format!("/api/Preauth/{signup}")).await;
        assert_eq!(body["authorizedAmount"], json!(0), "{body}");
        assert!(body["expiresAt"].as_str().is_some_and(|at| at.starts_with("9999")), "{body}");
        for key in ["CardType", "Holder", "Last4", "MaskedCardPan", "ExpiryMonth", "ExpiryYear", "Country"] {
            assert!(body["bearer"][key].is_string(), "{key}: {body}");
        }
        let (status, body) = bw.post("/api/Payment", &bw.capture(&fresh("b"), &signup, &card, "1.00")).await;
        assert_eq!((status, code(&body)), (422, INVALID_PRECONDITIONS), "there is nothing to capture: {body}");
        let debited = fresh("ag");
        bw.post("/api/Preauth", &mandate(&bw, &fresh("a"), &debited, "5.00", "M-1")).await;
        for (agreement, role, amount, reserved) in
            [(&card, "CreditCard", "7.50", "7.5"), (&card, "Default", "0", "0"), (&debited, "Debit", "99.00", "0")]
        {
            let mut again = bw.preauth(&fresh("a"), agreement, amount);
            (again["isInitial"], again["paymentMeansReference"]) = (json!(false), json!({"role": role}));
            let (status, body) = bw.post("/api/Preauth", &again).await;
            assert_eq!((status, &body["status"]), (200, &json!("Succeeded")), "{role} {amount}: {body}");
            assert_eq!(body["authorizedAmount"].to_string(), reserved, "{body}");
            assert!(body["bearer"].as_object().is_some_and(|bearer| !bearer.is_empty()), "{body}");
        }
        for (wrong, named) in [("x".repeat(36), "1 to 35"), ("M_1".to_owned(), "SEPA")] {
            let (status, body) =
                bw.post("/api/Preauth", &mandate(&bw, &fresh("a"), &fresh("ag"), "5.00", &wrong)).await;
            let text = body["ErrorMessage"].as_str().unwrap_or_default();
            assert_eq!((status, code(&body)), (422, INVALID_DATA), "{body}");
            assert!(text.contains("initialBearer.MandateReference") && text.contains(named), "{text}");
        }
        server.quiet().await;
    })
    .await;
}
