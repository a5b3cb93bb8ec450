//! The platform's flows as scripts over HTTP, as they go when nothing happens, and with a kill -9 on the way: the platform
//! asks again what it got no answer to, and the end is right all the same. (The integration flow stands with the settings.)

use std::time::Duration;

use rialto::clock::Clock;
use rialto::psp::sandbox::SandboxPsp;
use rialto_adapters::port::{Currency, Money};
use serde_json::{Value, json};

use crate::billwerk::{Answer, Billwerk, fresh};
use crate::process::{Place, Process};
use crate::receiver::{PATIENCE, Receiver};
use crate::server::{no_sink, on_each_database, stored};

/// After how many commits the server is killed; the first run is left alone. Early, and later on the way.
const KILLED_AFTER: [Option<u64>; 4] = [None, Some(3), Some(8), Some(17)];

/// Every wait of the server's is so many times shorter.
const SCALE: &str = "50";

/// How long a refund in doubt is watched before Pending is taken for its honest end: longer than its look-ups take.
const HONEST_PENDING: Duration = Duration::from_secs(4);

/// Transactions the platform makes in place of one that came to nothing.
const TRIES: usize = 3;

/// A billing platform whose integrator may die at any moment.
struct Platform<'a> {
    place: &'a Place,
    process: Option<Process>,
    bw: Billwerk,
    receiver: Receiver,
    client: reqwest::Client,
    deaths: usize,
    /// Everything it made: operation and id.
    made: Vec<(&'static str, String)>,
}

impl<'a> Platform<'a> {
    async fn new(place: &'a Place, killed_after: Option<u64>) -> Platform<'a> {
        let scale = ("RIALTO_TIME_SCALE", SCALE.to_owned());
        let process = match killed_after {
            None => place.start(&[scale]).await,
            Some(commits) => place.spawn(&[scale, ("TEST_CRASH_AFTER_COMMITS", commits.to_string())]),
        };
        let receiver = Receiver::start().await;
        let known = place.billwerk();
        let bw = Billwerk::new(&known.url, &known.token, &receiver.url);
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).build();
        let client = client.expect("a client");
        Platform { place, process: Some(process), bw, receiver, client, deaths: 0, made: Vec::new() }
    }

    /// Sends a request until it is answered. A server that has died meanwhile is started again.
    async fn ask(
        &mut self,
        make: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> (u16, Option<String>, String) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Ok(answer) = make(&self.client).send().await {
                let status = answer.status().as_u16();
                let location = answer.headers().get("location").and_then(|v| v.to_str().ok()).map(str::to_owned);
                if let Ok(text) = answer.text().await {
                    return (status, location, text);
                }
            }
            self.revive().await;
            assert!(tokio::time::Instant::now() < deadline, "no answer; the server's log: {}", self.place.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn revive(&mut self) {
        if self.process.as_mut().is_some_and(Process::has_ended) {
            self.deaths += 1;
            self.process = Some(self.place.start(&[("RIALTO_TIME_SCALE", SCALE.to_owned())]).await);
        }
    }

    async fn post(&mut self, path: &str, body: &Value) -> Answer {
        let (url, token) = (format!("{}{path}", self.bw.url), self.bw.token.clone());
        let make = |client: &reqwest::Client| client.post(&url).bearer_auth(&token).body(body.to_string());
        let (status, _, text) = self.ask(make).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn get(&mut self, path: &str) -> Answer {
        let (url, token) = (format!("{}{path}", self.bw.url), self.bw.token.clone());
        let (status, _, text) = self.ask(|client| client.get(&url).bearer_auth(&token)).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn get_until(&mut self, path: &str, what: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path} never became {what}; it is {answer:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Makes a transaction and waits for its good end; another in its place where the PSP never got it. Answers with the
    /// id of the good one and what was shown of it.
    async fn make(&mut self, operation: &'static str, build: impl Fn(&Billwerk, &str) -> Value) -> (String, Value) {
        let (posted, shown) = match operation {
            "preauth" => ("/api/Preauth", "/api/Preauth"),
            "payment" => ("/api/Payment", "/api/Payment"),
            _ => ("/api/Refund", "/api/Refund"),
        };
        for _ in 0..TRIES {
            let id = fresh("f");
            self.made.push((operation, id.clone()));
            let request = build(&self.bw.clone(), &id);
            let (status, body) = self.post(posted, &request).await;
            assert!(status == 200 || never_received(status, &body), "{operation}: {status} {body}");
            if status == 200 && body["redirectUrl"].is_string() && !self.approve(&id, &request).await {
                continue;
            }
            let over = |answer: &Answer| answer.0 != 200 || answer.1["status"] == "Succeeded";
            let (status, body) = match operation {
                "refund" => self.refund_end(&format!("{shown}/{id}")).await,
                _ => self.get_until(&format!("{shown}/{id}"), "settled", over).await,
            };
            // The same request once more goes on with what there is.
            let (again, _) = self.post(posted, &request).await;
            assert_eq!(again, status, "{operation}: {body}");
            if status == 200 {
                return (id, body);
            }
            assert!(never_received(status, &body), "{operation}: {status} {body}");
        }
        panic!("no {operation} ever reached the PSP");
    }

    /// A refund whose sending died half-way is never believed void: Pending is its honest end.
    async fn refund_end(&mut self, path: &str) -> Answer {
        let patience = tokio::time::Instant::now() + HONEST_PENDING;
        loop {
            let answer = self.get(path).await;
            let open = answer.0 == 200 && answer.1["status"] != "Succeeded";
            if !open || tokio::time::Instant::now() > patience {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the payer does: opens the page, is led to the PSP's, approves. False if the preauth ends before there is one.
    async fn approve(&mut self, id: &str, request: &Value) -> bool {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let (_, answer) = self.post("/api/Preauth", request).await;
        let Some(mut url) = answer["redirectUrl"].as_str().map(str::to_owned) else {
            return answer["status"] == "Succeeded";
        };
        loop {
            let (status, location, text) = match url.contains("/sandbox/pay/") {
                true => {
                    let form = |client: &reqwest::Client| {
                        let request = client.post(&url).header("content-type", "application/x-www-form-urlencoded");
                        request.body("choice=approve")
                    };
                    self.ask(form).await
                }
                false => self.ask(|client| client.get(&url)).await,
            };
            match location {
                Some(end) if end.ends_with("/success") => return true,
                Some(end) if end.starts_with("https://shop.example/") => return false,
                Some(next) => url = next,
                None => assert_eq!(status, 200, "{text}"),
            }
            assert!(tokio::time::Instant::now() < deadline, "the payer of {id} is stuck at {url}: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for a notice of a type, whatever dies meanwhile.
    async fn told(&mut self, id: &str, webhook_type: i64) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let there = |got: &[Value]| got.iter().any(|n| n["TransactionId"] == id && n["Type"] == webhook_type);
        while !there(&self.receiver.got()) {
            self.revive().await;
            assert!(tokio::time::Instant::now() < deadline, "never told of {id}: {:?}", self.receiver.got());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the server, and compares what is stored with what the PSP has: of everything one effect, and one state.
    async fn agrees(mut self) -> usize {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
        let store = self.place.database.store(Clock::default()).await.expect("the database opens");
        let psp = SandboxPsp::new(store.clone(), no_sink(), &self.bw.url);
        for (operation, id) in &self.made {
            let (_, transactions) =
                stored(&store, "billwerk", operation, id).await.expect("what was answered is stored");
            let t = &transactions[0];
            let there = psp.transactions_of(&t.ours.0).await.expect("the PSP's tables");
            assert!(there.len() <= 1, "the PSP has the {operation} {id} {} times", there.len());
            match there.first() {
                Some(theirs) => assert_eq!(t.state.name(), theirs.state, "the {operation} {id}"),
                None => {
                    let honest =
                        t.state.name() == "declined" || (*operation == "refund" && t.state.name() == "unknown");
                    assert!(honest, "the PSP has no {operation} {id}, and we say {}", t.state.name());
                }
            }
        }
        self.deaths
    }
}

/// The PSP could not be reached, or never got it: another transaction may be made.
fn never_received(status: u16, body: &Value) -> bool {
    status == 500 && (body["ErrorCode"] == 19 || body["ErrorCode"] == 22)
}

/// Runs a flow on every database, undisturbed and killed at several points.
async fn run(flow: impl AsyncFn(&mut Platform<'_>)) {
    on_each_database(async |kind| {
        let place = Place::new(kind).await;
        place.start(&[]).await.kill().await;
        let mut deaths = 0;
        for killed_after in KILLED_AFTER {
            let mut platform = Platform::new(&place, killed_after).await;
            flow(&mut platform).await;
            deaths += platform.agrees().await;
        }
        assert!(deaths >= 2, "only {deaths} runs were cut off");
    })
    .await;
}

fn mandate(bw: &Billwerk, id: &str, agreement: &str) -> Value {
    let mut request = bw.preauth(id, agreement, "10.00");
    request["paymentMeansReference"] = json!({"role": "Debit", "initialBearer":
        {"Holder": "Ada Lovelace", "IBAN": "DE89 3704 0044 0532 0130 00", "MandateReference": "SHOP/2024-17"}});
    request
}

fn stored_means(bw: &Billwerk, id: &str, agreement: &str, amount: &str) -> Value {
    let mut request = bw.preauth(id, agreement, amount);
    (request["isInitial"], request["paymentMeansReference"]) = (json!(false), json!({"role": "CreditCard"}));
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preauthorisation_flow() {
    run(async |platform| {
        // Redirect.
        let card = fresh("ag");
        let (_, body) = platform.make("preauth", |bw, id| bw.preauth(id, &card, "25.00")).await;
        assert_eq!((&body["authorizedAmount"], &body["bearer"]["Last4"]), (&json!(25), &json!("4242")), "{body}");
        // Direct.
        let (_, body) = platform.make("preauth", |bw, id| mandate(bw, id, &fresh("ag"))).await;
        assert_eq!(body["bearer"]["MandateReference"], json!("SHOP/2024-17"), "{body}");
        assert_eq!(body["authorizedAmount"], json!(0), "{body}");
        // Not the first one, and cancelled.
        let (again, body) = platform.make("preauth", |bw, id| stored_means(bw, id, &card, "7.50")).await;
        assert_eq!(body["authorizedAmount"], json!(7.5), "{body}");
        cancel(platform, &again).await;
        // From elsewhere.
        let moved = |bw: &Billwerk, id: &str| {
            let mut request = bw.preauth(id, &fresh("ag"), "0");
            request["migrationToken"] = json!("legacy_card_0815");
            request
        };
        let (_, body) = platform.make("preauth", moved).await;
        assert_eq!(body["bearer"]["Last4"], json!("0815"), "{body}");
    })
    .await;
}

async fn cancel(platform: &mut Platform<'_>, preauth: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (status, body) = platform.post(&format!("/api/Preauth/{preauth}/Cancel"), &json!({})).await;
        assert_eq!(status, 200, "{body}");
        if body["cancellationStatus"] == "Succeeded" {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "never cancelled: {body}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, body) = platform.get(&format!("/api/Preauth/{preauth}")).await;
    assert_eq!((status, &body["status"]), (200, &json!("Cancelled")), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_payment_flow() {
    run(async |platform| {
        let (card, debited) = (fresh("ag"), fresh("ag"));
        // Capture.
        let (preauth, _) = platform.make("preauth", |bw, id| bw.preauth(id, &card, "25.00")).await;
        let (_, body) = platform.make("payment", |bw, id| bw.capture(id, &preauth, &card, "25.00")).await;
        assert_eq!((&body["payments"][0]["amount"], &body["refundableAmount"]), (&json!(25), &json!(25)), "{body}");
        // Recurring.
        let (_, body) = platform.make("payment", |bw, id| bw.payment(id, &card, "9.90")).await;
        assert_eq!(body["payments"][0]["amount"], json!(9.9), "{body}");
        // Declined, again and again the same.
        let declined = fresh("f");
        platform.made.push(("payment", declined.clone()));
        let request = platform.bw.payment(&declined, &card, "9.11");
        let path = format!("/api/Payment/{declined}");
        platform.post("/api/Payment", &request).await;
        let (status, body) = platform.get_until(&path, "declined", |(status, _)| *status != 200).await;
        assert!((status, body["ErrorCode"].as_i64()) == (422, Some(9)) || never_received(status, &body), "{body}");
        assert_eq!(platform.post("/api/Payment", &request).await, (status, body), "a stored failure answers the same");
        // A debit on its day.
        platform.make("preauth", |bw, id| mandate(bw, id, &debited)).await;
        let planned = fresh("f");
        platform.made.push(("payment", planned.clone()));
        let mut request = platform.bw.payment(&planned, &debited, "10.00");
        request["paymentMeansReference"] = json!({"role": "Debit"});
        request["plannedExecutionDate"] = json!(day_after_tomorrow());
        let (status, body) = platform.post("/api/Payment", &request).await;
        assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");
        assert_eq!(body["dueDate"], request["plannedExecutionDate"], "{body}");
        let now = Clock::default().now().0;
        platform.place.database.execute(&format!(
            "UPDATE transactions SET not_before = {now}, look_at = {now} WHERE not_before > {now} AND state = 'created'"
        ));
        let path = format!("/api/Payment/{planned}");
        let over = |answer: &Answer| answer.0 != 200 || answer.1["status"] == "Succeeded";
        let (status, body) = platform.get_until(&path, "settled", over).await;
        assert!(status == 200 || never_received(status, &body), "{body}");
    })
    .await;
}

fn day_after_tomorrow() -> String {
    let day = time::OffsetDateTime::now_utc() + Duration::from_secs(48 * 3600);
    format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_refund_flow() {
    run(async |platform| {
        let debited = fresh("ag");
        platform.make("preauth", |bw, id| mandate(bw, id, &debited)).await;
        let debit = |bw: &Billwerk, id: &str| {
            let mut request = bw.payment(id, &debited, "30.00");
            request["paymentMeansReference"] = json!({"role": "Debit"});
            request
        };
        let (payment, _) = platform.make("payment", debit).await;
        let path = format!("/api/Payment/{payment}");
        // At once, and confirmed by a notice.
        for amount in ["10.00", "5.31"] {
            platform.make("refund", |bw, id| bw.refund(id, &payment, amount)).await;
        }
        let (_, body) = platform.get(&path).await;
        let refused = fresh("f");
        let request = platform.bw.refund(&refused, &payment, "14.70");
        let (status, error) = platform.post("/api/Refund", &request).await;
        assert_eq!((status, error["ErrorCode"].as_i64()), (422, Some(5)), "more than is left: {error} {body}");
        // What is refunded, and what is left or in doubt, is never more than what came in.
        let minor = |field: &str| {
            let text = body[field].to_string();
            Money::parse_major(&text, Currency::EUR).expect("an amount").minor
        };
        assert!(minor("refundedAmount") + minor("refundableAmount") <= 3_000, "{body}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_notification_flow() {
    run(async |platform| {
        let card = fresh("ag");
        let (preauth, _) = platform.make("preauth", |bw, id| bw.preauth(id, &card, "25.42")).await;
        platform.told(&preauth, 1).await;
        // Confirmed by a notice of later, then charged back.
        let (payment, body) = platform.make("payment", |bw, id| bw.capture(id, &preauth, &card, "25.41")).await;
        platform.told(&payment, 2).await;
        let path = format!("/api/Payment/{payment}");
        let (_, after) =
            platform.get_until(&path, "charged back", |(_, body)| body["chargebacks"][0].is_object()).await;
        assert_eq!(after["chargebacks"].as_array().map(Vec::len), Some(1), "once: {after}");
        assert!(body["lastUpdated"].as_str() <= after["lastUpdated"].as_str());
        // The card was revoked after its sign-up.
        platform.told(&preauth, 4).await;
        let got = platform.receiver.got();
        let notice = got.iter().find(|n| n["TransactionId"] == preauth.as_str() && n["Type"] == 4).expect("it came");
        assert_eq!(notice["AgreementId"], json!(card), "{notice}");
    })
    .await;
}
