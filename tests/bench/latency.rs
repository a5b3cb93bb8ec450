//! What Rialto adds to a payment: `cargo bench --bench latency`.
//!
//! Starts the program as a process on SQLite (`synchronous=FULL`), charges a stored card again and again, one caller at a
//! time, and takes off what the provider itself needs for the same work, measured in the same run on a database of its
//! own. Prints the result and writes it to `target/bench/latency.txt`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rialto::clock::Clock;
use rialto::psp::sandbox::{NoticeSink, SandboxPsp};
use rialto::store::testing::fresh_url;
use rialto::wire::LocalWire;
use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{
    Charge, Context, Currency, Instruction, Means, Money, OurReference, Outcome, Payer, Secret, Settings, StoreMeans,
};
use serde_json::{Value, json};

/// Enough for a median that stays put.
const PAYMENTS: usize = 500;
const WARM_UP: usize = 50;

/// What the project promises of this machine's kind (two cores, a disk that syncs in 100 µs).
const READY_TARGET: Duration = Duration::from_millis(300);
const MEMORY_TARGET_KIB: u64 = 40 * 1024;
const ADDED_TARGET: Duration = Duration::from_millis(3);

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");

    drop(start(folder.path(), &url, &client).await);
    let (server, ready) = start(folder.path(), &url, &client).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let memory_kib = resident_kib(server.0.id());

    let token = token(folder.path());
    let bw = Platform { client: client.clone(), url: url.clone(), token };
    bw.sign_up().await;
    let round_trip =
        median(measure(PAYMENTS, async |_| drop(client.get(format!("{url}/health/live")).send().await)).await);
    let mut payments = measure(WARM_UP + PAYMENTS, async |n| bw.pay(n).await).await;
    payments.drain(..WARM_UP);
    drop(server);
    let mut provider = provider_alone().await;
    provider.drain(..WARM_UP);

    let p99 = percentile(&payments, 99);
    let (payment, psp) = (median(payments), median(provider));
    let added = payment.saturating_sub(psp);
    let mut report = String::new();
    let verdict = |good: bool| if good { "ok" } else { "MISSED" };
    let _ = writeln!(report, "{PAYMENTS} recurring payments, one at a time, SQLite synchronous=FULL");
    let _ = writeln!(
        report,
        "  ready on an existing database  {ready:>10.1?}   (target {READY_TARGET:?}: {})",
        verdict(ready <= READY_TARGET)
    );
    let _ = writeln!(
        report,
        "  resident memory, idle          {memory_kib:>7} KiB   (target {MEMORY_TARGET_KIB} KiB: {})",
        verdict(memory_kib <= MEMORY_TARGET_KIB)
    );
    let _ = writeln!(report, "  POST /api/Payment, median      {payment:>10.2?}   p99 {p99:.2?}");
    let _ = writeln!(
        report,
        "  floor: the provider alone      {psp:>10.2?}   payment is {}.{}x of it",
        payment.as_micros() / psp.as_micros().max(1),
        payment.as_micros() * 10 / psp.as_micros().max(1) % 10
    );
    let _ = writeln!(report, "  floor: a bare round trip       {round_trip:>10.2?}");
    let _ = writeln!(
        report,
        "  added by Rialto, median        {added:>10.2?}   (target {ADDED_TARGET:?}: {})",
        verdict(added <= ADDED_TARGET)
    );
    print!("{report}");
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&out).expect("a folder for the result");
    std::fs::write(out.join("latency.txt"), report).expect("the result is written");
}

/// Starts the demo in `folder`; answers how long it took until it was ready.
async fn start(folder: &Path, url: &str, client: &reqwest::Client) -> (Server, Duration) {
    let began = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_rialto"))
        .args(["serve", "--demo"])
        .current_dir(folder)
        .env("RIALTO_LISTEN", url.trim_start_matches("http://"))
        .env("RIALTO_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let server = Server(child);
    while !client.get(format!("{url}/health/ready")).send().await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(began.elapsed() < Duration::from_secs(30), "not ready");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (server, began.elapsed())
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn token(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("rialto-data/demo.json")).expect("demo.json");
    let demo: Value = serde_json::from_str(&text).expect("JSON");
    demo["billwerk"]["token"].as_str().expect("a token").to_owned()
}

/// The billing platform.
struct Platform {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Platform {
    /// Stores a card by the sandbox's page.
    async fn sign_up(&self) {
        let body = json!({
            "transactionId": "20261120-bench000000000000000000a", "agreementId": "bench", "requestedAmount": 1, "currency": "EUR",
            "webhookTarget": "http://127.0.0.1:9/hook", "transactionReferenceText": "bench", "isInitial": true,
            "paymentMeansReference": {"role": "CreditCard"}, "payerData": {"companyName": "Bench"},
        });
        let (status, answer) = self.post("/api/Preauth", &body).await;
        assert_eq!(status, 200, "{answer}");
        let ours = answer["redirectUrl"].as_str().expect("a redirectUrl").to_owned();
        let page = self.client.get(ours).send().await.expect("our page");
        let theirs = page.headers()["location"].to_str().expect("a text").to_owned();
        let form = self.client.post(theirs).header("content-type", "application/x-www-form-urlencoded");
        form.body("choice=approve").send().await.expect("the sandbox's page");
        loop {
            let read = self.client.get(format!("{}/api/Preauth/20261120-bench000000000000000000a", self.url));
            let text = read.bearer_auth(&self.token).send().await.expect("an answer").text().await.expect("a body");
            if text.contains("Succeeded") {
                return;
            }
        }
    }

    async fn pay(&self, n: usize) {
        let body = json!({
            "transactionId": format!("20261120-bench{n:019x}"), "agreementId": "bench", "requestedAmount": 9.9, "currency": "EUR",
            "webhookTarget": "http://127.0.0.1:9/hook", "transactionReferenceText": "bench",
            "paymentMeansReference": {"role": "CreditCard"}, "payerData": {"companyName": "Bench"},
        });
        let (status, answer) = self.post("/api/Payment", &body).await;
        assert!(status == 200 && answer["status"] == "Succeeded", "{status} {answer}");
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.token).body(body.to_string());
        let answer = request.header("content-type", "application/json").send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or_default())
    }
}

struct NoSink;

#[async_trait::async_trait]
impl NoticeSink for NoSink {
    async fn deliver(&self, _hook_url: &str, _headers: Vec<(String, String)>, _body: Vec<u8>) -> u16 {
        200
    }
}

/// The sandbox charging stored means, without Rialto before it.
async fn provider_alone() -> Vec<Duration> {
    let database = fresh_url("sqlite");
    let clock = Clock::default();
    let store = database.store(clock.clone()).await.expect("a database");
    let psp = SandboxPsp::new(store, Arc::new(NoSink), "http://127.0.0.1:9");
    let wire = LocalWire::new(clock.clone(), Arc::new(psp));
    let adapter = rialto_adapters::find("sandbox").expect("the sandbox");
    let settings = [("api_key", "bench"), ("webhook_secret", "bench")];
    let settings = Settings::new(settings.map(|(key, value)| (key.to_owned(), Secret::new(value))));
    let submit = async |instruction: Instruction| {
        let until = clock.after(Duration::from_secs(20));
        let context = Context {
            settings: &settings,
            wire: &wire,
            now: clock.now(),
            nonce: [0; 16],
            deadlines: Deadlines { send_by: until, answer_by: until },
            hook_url: "http://127.0.0.1:9/hooks/bench",
        };
        match adapter.submit(&context, &instruction).await {
            Outcome::Reported(reports) => reports,
            other => panic!("{other:?}"),
        }
    };
    let given = [("Holder", "Bench"), ("IBAN", "DE89370400440532013000")];
    let given: BTreeMap<String, String> = given.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let stored = submit(Instruction::StoreMeans(StoreMeans {
        reference: OurReference("means".to_owned()),
        method: MethodName::DirectDebit,
        currency: Currency::EUR,
        expected: None,
        means: Means::Given(given),
        payer: Payer::default(),
        return_url: String::new(),
        description: String::new(),
    }))
    .await;
    let token = stored.iter().find_map(|report| report.means.clone()).expect("stored means").token;
    measure(WARM_UP + PAYMENTS, async |n| {
        let charge = Charge {
            reference: OurReference(format!("charge{n}")),
            method: MethodName::DirectDebit,
            amount: Money::new(990, Currency::EUR),
            means: Means::Stored(token.clone()),
            payer: Payer::default(),
            return_url: String::new(),
            description: String::new(),
            expires_at: None,
        };
        drop(submit(Instruction::Charge(charge)).await);
    })
    .await
}

async fn measure(times: usize, what: impl AsyncFn(usize)) -> Vec<Duration> {
    let mut took = Vec::with_capacity(times);
    for n in 0..times {
        let began = Instant::now();
        what(n).await;
        took.push(began.elapsed());
    }
    took
}

fn median(took: Vec<Duration>) -> Duration {
    percentile(&took, 50)
}

fn percentile(took: &[Duration], percent: usize) -> Duration {
    let mut sorted = took.to_vec();
    sorted.sort();
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default()
}
