//! The adapter speaks to Pientegra over real HTTP, and Pientegra posts its notices to a real server.

use std::sync::{Arc, Mutex};

use ipnet::{IpNet, Ipv4Net};
use poem::endpoint::make;
use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::{Endpoint, EndpointExt, IntoResponse, Response, Server};
use rialto_adapters::pientegra::contract::{DEPOSITS, EVENTS, ErrorReply, INTENTS, WITHDRAWALS, error};
use rialto_adapters::pientegra::{MANIFEST, Pientegra, uuid_text};
use rialto_adapters::port::instruction::Destination;
use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::wire::{Deadlines, Header};
use rialto_adapters::port::{
    Adapter, Charge, Context, Currency, Duration, Feed, Instruction, Kind, Lookup, Means, Method, Money, NextAction,
    NoticeSecrets, OurReference, Outcome, Payer, Payout, Probe, RawNotice, Read, Reason, References, Reply, Report,
    ReportKind, Request, Secret, Settings, Stage, Verdict, Verification, Wire,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::PientegraPsp;
use crate::clock::Clock;
use crate::psp::simulator::Account;
use crate::psp::simulator::faults::{Fault, Faults, Plan};
use crate::store::testing::{TestDatabase, databases, fresh_url};
use crate::wire::{Guard, HttpWire, Poster, WireOptions};

/// Waits of the PSP are a thousandth of what they say.
const SCALE: u32 = 1000;
/// For what must come; a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(30);
const TOKEN: &str = "sk_live_tests_1f2e3d4c";
const SECRET: &str = "whsec_of_the_tests";
const IBAN: &str = "TR320010009999901234567890";

/// Whoever receives the notices: keeps them, and answers as it is told.
#[derive(Default)]
struct Receiver {
    got: Mutex<Vec<RawNotice>>,
    /// Statuses to answer with before it is always 200.
    answers: Mutex<Vec<u16>>,
    came: Notify,
}

impl Receiver {
    fn endpoint(self: &Arc<Self>) -> impl Endpoint<Output = Response> + 'static {
        let receiver = self.clone();
        make(move |mut request: poem::Request| {
            let receiver = receiver.clone();
            async move {
                let text = |value: &poem::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
                let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
                let body = request.take_body().into_vec().await.expect("a body");
                receiver.got.lock().expect("a lock").push(RawNotice { path: String::new(), headers, body });
                receiver.came.notify_one();
                let status = receiver.answers.lock().expect("a lock").pop().unwrap_or(200);
                StatusCode::from_u16(status).expect("a status").into_response()
            }
        })
        .map_to_response()
    }
}

struct World {
    psp: PientegraPsp,
    account: Account,
    url: String,
    wire: HttpWire,
    clock: Clock,
    settings: Settings,
    receiver: Arc<Receiver>,
    // Dropped with their servers, before the database.
    _servers: JoinSet<()>,
    _database: TestDatabase,
}

impl World {
    async fn new(kind: &str) -> World {
        World::scaled(kind, SCALE).await
    }

    async fn scaled(kind: &str, scale: u32) -> World {
        let clock = Clock::scaled(scale);
        let database = fresh_url(kind);
        let store = database.store(clock.clone()).await.expect("a fresh database opens");
        let guard = Guard::new(vec![IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::LOCALHOST, 8))]);
        let poster = Poster::new(clock.clone(), guard.clone(), WireOptions::default()).expect("a poster");
        let wire = HttpWire::new(clock.clone(), guard, WireOptions::default()).expect("a wire");
        let mut servers = JoinSet::new();
        let receiver = Arc::new(Receiver::default());
        let hook_url = format!("{}/hooks", serve(&mut servers, |_| receiver.endpoint()).await);
        let mut psp = None;
        let url = serve(&mut servers, |url| {
            let made = PientegraPsp::new(store, Arc::new(poster), url);
            psp.insert(made).endpoint()
        })
        .await;
        let psp = psp.expect("it was made");
        let account = Account { token: Secret::new(TOKEN), webhook_url: hook_url, webhook_secret: Secret::new(SECRET) };
        psp.set_account(account.clone());
        let pumped = psp.clone();
        servers.spawn(async move { pumped.run().await });
        let settings = settings(&url, TOKEN);
        World { psp, account, url, wire, clock, settings, receiver, _servers: servers, _database: database }
    }

    fn context(&self) -> Context<'_> {
        let answer_by = self.clock.now().plus(PATIENCE);
        let deadlines = Deadlines { send_by: answer_by, answer_by };
        let now = self.clock.now();
        Context { settings: &self.settings, wire: &self.wire, now, nonce: [0; 16], deadlines, hook_url: "" }
    }

    fn reference(&self) -> OurReference {
        MANIFEST.reference.mint(self.clock.new_id().as_u128())
    }

    async fn submit(&self, instruction: &Instruction) -> Outcome {
        Pientegra.submit(&self.context(), instruction).await
    }

    /// Submits with these faults.
    async fn submit_with(&self, faults: &str, instruction: &Instruction) -> Outcome {
        let faults = Faults::parse(faults).expect("faults");
        self.psp.simulator().plan(|plans| assert!(plans.add(Plan { faults, times: Some(1), path: None })));
        self.submit(instruction).await
    }

    async fn lookup(&self, kind: Kind, references: References) -> Lookup {
        Pientegra.lookup(&self.context(), kind, &references).await
    }

    async fn by_theirs(&self, kind: Kind, theirs: &str) -> Vec<Report> {
        match self.lookup(kind, References { theirs: Some(theirs.to_owned()), ..References::default() }).await {
            Lookup::Reported(reports) => reports,
            other => panic!("{other:?}"),
        }
    }

    /// The feed, until it has been through all of its parts; and where it goes on.
    async fn feed(&self, cursor: Option<String>) -> (Vec<Report>, Option<String>) {
        let (mut all, mut cursor) = (Vec::new(), cursor);
        for _ in 0..3 {
            match Pientegra.feed(&self.context(), cursor.as_deref()).await {
                Feed::Page { reports, next_cursor } => {
                    all.extend(reports);
                    cursor = next_cursor;
                }
                other => panic!("{other:?}"),
            }
        }
        (all, cursor)
    }

    fn charge(&self, minor: i64) -> Instruction {
        Instruction::Charge(Charge {
            reference: self.reference(),
            method: MethodName::BankTransfer,
            amount: Money::new(minor, Currency::TRY),
            means: Means::AskPayer,
            payer: Payer { customer: Some("user-12345".to_owned()), ..Payer::default() },
            return_url: String::new(),
            description: "Order 1".to_owned(),
            expires_at: None,
        })
    }

    fn payout(&self, minor: i64) -> Instruction {
        Instruction::Payout(Payout {
            reference: self.reference(),
            method: MethodName::BankTransfer,
            amount: Money::new(minor, Currency::TRY),
            destination: Destination { kind: "iban".to_owned(), value: IBAN.to_owned() },
            payee: Payer { name: Some("Ahmet Yılmaz".to_owned()), ..Payer::default() },
            description: String::new(),
        })
    }

    async fn send(&self, method: Method, url: &str, headers: &[(&'static str, &str)], body: Vec<u8>) -> Reply {
        let headers = headers.iter().map(|(name, value)| (*name, Header::Plain((*value).to_owned()))).collect();
        let answer_by = self.clock.now().plus(PATIENCE);
        let request = Request { method, url: url.to_owned(), headers, body, scrub: &[] };
        self.wire.send(request, Deadlines { send_by: answer_by, answer_by }).await.expect("an answer")
    }

    /// A call of the site's own: status and JSON.
    async fn call(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let bearer = format!("Bearer {TOKEN}");
        let key = self.clock.new_id().to_string();
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key.as_str()),
        ];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let reply = self.send(method, &format!("{}/api/v1{path}", self.url), &headers, body).await;
        (reply.status, serde_json::from_slice(&reply.body).expect("JSON"))
    }

    /// Presses "I paid" on a page, as a browser does.
    async fn press(&self, page: &str, simulate: &str) {
        let reply = self.send(Method::Post, &format!("{page}?simulate={simulate}"), &[], Vec::new()).await;
        assert_eq!(reply.status, 303, "{}", String::from_utf8_lossy(&reply.body));
    }

    async fn see(&self, page: &str) -> String {
        let reply = self.send(Method::Get, page, &[], Vec::new()).await;
        assert_eq!(reply.status, 200);
        String::from_utf8(reply.body).expect("text")
    }

    /// Waits until so many genuine notices have come, and takes what they said. Forged ones are counted by nobody.
    async fn notices(&self, count: usize) -> Vec<Vec<Report>> {
        let mut told = Vec::new();
        let waiting = async {
            while told.len() < count {
                let came = self.receiver.came.notified();
                told.extend(self.take_notices());
                if told.len() < count {
                    came.await;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("only {} of {count} notices came: {told:?}", told.len());
        }
        told
    }

    /// What the notices so far said, by their checked signature.
    fn take_notices(&self) -> Vec<Vec<Report>> {
        let secrets = NoticeSecrets(vec![Secret::new("whsec_newer"), Secret::new(SECRET)]);
        let got: Vec<RawNotice> = self.receiver.got.lock().expect("a lock").drain(..).collect();
        let read = |notice: &RawNotice| match Pientegra.verify(&secrets, notice, self.clock.now()) {
            Verification::Verified(verified) => match Pientegra.read(&verified) {
                Read::Reports(reports) => Some(reports),
                Read::Ignored(why) | Read::Unreadable(why) => panic!("a notice nobody can read: {why}"),
            },
            Verification::Nudge(_) => panic!("a nudge"),
            Verification::Rejected(_) => None,
        };
        got.iter().filter_map(read).collect()
    }

    /// Waits until the PSP has nothing left to do or to tell.
    async fn idle(&self) {
        let waiting = async {
            while !self.psp.simulator().is_idle().await.expect("the database answers") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to rest");
    }

    async fn effects(&self, ours: &OurReference) -> usize {
        let made = self.psp.made_under(&self.account, &uuid_text(ours)).await.expect("the database answers");
        usize::from(made.is_some())
    }
}

/// Serves what is made of its own address.
async fn serve<E: Endpoint<Output = Response> + 'static>(
    servers: &mut JoinSet<()>,
    made: impl FnOnce(&str) -> E,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("an address");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let endpoint = made(&url);
    let acceptor = TcpAcceptor::from_tokio(listener).expect("an acceptor");
    servers.spawn(async move {
        // Ends with the test.
        let _ = Server::new_with_acceptor(acceptor).run(endpoint).await;
    });
    url
}

fn settings(url: &str, token: &str) -> Settings {
    let base = format!("{url}/api/v1");
    let values = [("base_url", base.as_str()), ("api_key", token), ("webhook_secret", SECRET)];
    Settings::new(values.map(|(key, value)| (key.to_owned(), Secret::new(value))))
}

fn one(outcome: Outcome) -> Report {
    match outcome {
        Outcome::Reported(mut reports) if reports.len() == 1 => reports.remove(0),
        other => panic!("{other:?}"),
    }
}

fn page(report: &Report) -> String {
    match &report.next {
        Some(NextAction::Redirect { url }) => url.clone(),
        other => panic!("{other:?}"),
    }
}

fn theirs(report: &Report) -> &str {
    report.references.theirs.as_deref().expect("their id")
}

fn of(report: &Report) -> (ReportKind, Verdict, i64) {
    (report.kind, report.verdict.clone(), report.amount.map_or(0, |money| money.minor))
}

fn all(told: &[Report]) -> Vec<(ReportKind, Verdict, i64)> {
    told.iter().map(of).collect()
}

const CHARGE: ReportKind = ReportKind::Of(Kind::Charge);
const PAYOUT: ReportKind = ReportKind::Of(Kind::Payout);

async fn on_each_database(test: impl AsyncFn(World)) {
    for kind in databases() {
        test(World::new(kind).await).await;
    }
}

#[tokio::test]
async fn a_deposit_is_shown_paid_and_approved() {
    on_each_database(async |world| {
        let asked = one(world.submit(&world.charge(100_000)).await);
        assert_eq!(of(&asked), (CHARGE, Verdict::Pending(Stage::AwaitingPayer), 100_000));
        let url = page(&asked);
        let shown = world.see(&url).await;
        for part in ["1000.00 TRY", "TR330006100519786457841326", asked.references.scheme.as_deref().expect("a number")]
        {
            assert!(shown.contains(part), "{part}");
        }
        assert!(shown.contains("I paid") && shown.contains("data-seconds"), "{shown}");
        world.press(&url, "").await;
        let told = world.notices(1).await.remove(0);
        assert_eq!(all(&told), [(CHARGE, Verdict::Succeeded, 100_000)]);
        assert_eq!(theirs(&told[0]), theirs(&asked));
        assert_eq!(all(&world.by_theirs(Kind::Charge, theirs(&asked)).await), all(&told));
        assert!(world.see(&url).await.contains("Received"));
        let nothing = format!("{}/d/{}", world.url, "0".repeat(48));
        assert_eq!(world.send(Method::Get, &nothing, &[], Vec::new()).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn payers_who_do_otherwise() {
    on_each_database(async |world| {
        let rows = [
            ("third-party", (CHARGE, Verdict::Declined(Reason::Rejected), 100_000)),
            ("wrong-amount", (CHARGE, Verdict::Succeeded, 50_000)),
        ];
        for (fault, expected) in rows {
            let asked = one(world.submit(&world.charge(100_000)).await);
            world.press(&page(&asked), fault).await;
            assert_eq!(all(&world.notices(1).await.remove(0)), [expected], "{fault}");
        }
        // Nobody pays in time; then the money comes.
        let asked = one(world.submit(&world.charge(100_000)).await);
        world.idle().await;
        let (id, url) = (theirs(&asked).to_owned(), page(&asked));
        assert_eq!(world.by_theirs(Kind::Charge, &id).await[0].verdict, Verdict::Expired);
        assert_eq!(world.take_notices().len(), 0, "no event tells of it");
        assert!(world.see(&url).await.contains("the money arrives now"));
        world.press(&url, "").await;
        assert_eq!(world.notices(1).await[0][0].verdict, Verdict::Succeeded);
    })
    .await;
}

#[tokio::test]
async fn a_withdrawal_is_sent_refused_or_comes_back() {
    on_each_database(async |world| {
        type Row<'a> = (&'a str, &'a [(ReportKind, Verdict, i64)]);
        let review = (PAYOUT, Verdict::Pending(Stage::InReview), 250_000);
        let rows: [Row<'_>; 4] = [
            ("", &[(PAYOUT, Verdict::Succeeded, 250_000)]),
            ("wrong-amount", &[(PAYOUT, Verdict::Succeeded, 125_000)]),
            ("bank-refuses", &[(PAYOUT, Verdict::Declined(Reason::Rejected), 250_000)]),
            ("returned", &[(PAYOUT, Verdict::Succeeded, 250_000), (ReportKind::Return, Verdict::Succeeded, 250_000)]),
        ];
        for (fault, end) in rows {
            let received = one(world.submit_with(fault, &world.payout(250_000)).await);
            assert_eq!(received.verdict, Verdict::Pending(Stage::CreatedThere), "{fault}");
            let told = world.notices(if fault == "returned" { 3 } else { 2 }).await;
            assert_eq!(all(&told[0]), std::slice::from_ref(&review), "{fault}");
            assert_eq!(all(told.last().expect("the last")), end, "{fault}");
            assert_eq!(all(&world.by_theirs(Kind::Payout, theirs(&received)).await), end, "{fault}");
        }
    })
    .await;
}

/// What the caller learns of a call, how often it took effect, and that the same call again is the same.
#[tokio::test]
async fn a_call_goes_wrong_in_every_way_and_is_repeated() {
    on_each_database(async |world| {
        let rows = [
            ("", "reported", 1),
            ("latency", "reported", 1),
            ("lost-before", "unknown", 0),
            ("lost-after", "unknown", 1),
            ("error", "unknown", 0),
            ("error-after", "unknown", 1),
            ("html", "unknown", 1),
            ("rate-limit", "not sent", 0),
            ("lost-after,latency", "unknown", 1),
        ];
        for (faults, expected, effects) in rows {
            for instruction in [world.charge(10_000), world.payout(10_000)] {
                let ours = instruction.reference();
                let learned = match world.submit_with(faults, &instruction).await {
                    Outcome::Reported(_) => "reported",
                    Outcome::NotSent(_) => "not sent",
                    Outcome::Unknown(_) => "unknown",
                };
                assert_eq!((learned, world.effects(ours).await), (expected, effects), "{faults}");
                let before = world.psp.count(&world.account).await.expect("the database answers");
                let first = one(world.submit(&instruction).await);
                let second = one(world.submit(&instruction).await);
                assert_eq!(theirs(&first), theirs(&second), "{faults}");
                let after = world.psp.count(&world.account).await.expect("the database answers");
                assert_eq!(after - before, 1 - effects, "{faults}: one effect in all");
            }
        }
    })
    .await;
}

/// How the notice of an approval comes, and that each way ends the same.
#[tokio::test]
async fn notices_come_in_every_way() {
    on_each_database(async |world| {
        // Fault, genuine notices, posts in all.
        let rows = [
            (Fault::Duplicate, 3, 3),
            (Fault::Reorder, 2, 2),
            (Fault::Forged, 1, 2),
            (Fault::Late, 1, 1),
            (Fault::Missing, 0, 0),
        ];
        for (fault, genuine, posts) in rows {
            let asked = one(world.submit(&world.charge(4000)).await);
            world.press(&page(&asked), fault.as_str()).await;
            world.idle().await;
            let posted = world.receiver.got.lock().expect("a lock").len();
            let told = world.take_notices();
            assert_eq!((told.len(), posted), (genuine, posts), "{fault:?}");
            let paid = told.iter().flatten().filter(|report| report.verdict == Verdict::Succeeded).count();
            assert_eq!(paid, genuine - usize::from(fault == Fault::Reorder), "{fault:?}");
            let (found, _) = world.feed(None).await;
            let missed = found.iter().any(|report| theirs(report) == theirs(&asked));
            assert_eq!(missed, fault == Fault::Missing, "{fault:?}: the feed has what never came");
        }
        for instruction in [world.charge(100), world.payout(100)] {
            let answered = one(world.submit_with("early", &instruction).await);
            let before = world.take_notices();
            let last = before.last().expect("the notices came before the answer");
            assert_eq!((last[0].verdict.clone(), theirs(&last[0])), (Verdict::Succeeded, theirs(&answered)));
            world.idle().await;
            world.take_notices();
        }
    })
    .await;
}

#[tokio::test]
async fn notices_are_repeated_given_up_listed_and_replayed() {
    on_each_database(async |world| {
        // Eight attempts in vain.
        *world.receiver.answers.lock().expect("a lock") = vec![500; 8];
        let asked = one(world.submit(&world.charge(100)).await);
        world.press(&page(&asked), "").await;
        world.idle().await;
        assert_eq!(world.take_notices().len(), 8);
        let (status, dead) = world.call(Method::Get, &format!("{EVENTS}?deliveryStatus=DEAD"), &Value::Null).await;
        assert_eq!((status, dead["data"].as_array().map(Vec::len)), (200, Some(1)), "{dead}");
        let event = &dead["data"][0];
        assert_eq!((&event["attempts"], &event["lastResponseStatus"]), (&json!(8), &json!(500)));
        let (found, cursor) = world.feed(None).await;
        assert_eq!(all(&found), [(CHARGE, Verdict::Succeeded, 100)]);
        assert!(cursor.is_some());
        let replay = format!("{EVENTS}/{}/replay", event["eventId"].as_str().expect("an id"));
        assert_eq!(world.call(Method::Post, &replay, &Value::Null).await.0, 202);
        assert_eq!(all(&world.notices(1).await.remove(0)), all(&found), "the same body");
        world.idle().await;
        let (_, delivered) = world.call(Method::Get, &format!("{EVENTS}?deliveryStatus=DELIVERED"), &Value::Null).await;
        assert_eq!(delivered["data"].as_array().map(Vec::len), Some(1), "{delivered}");
        let unknown = format!("{EVENTS}/{}/replay", world.clock.new_id());
        assert_eq!(world.call(Method::Post, &unknown, &Value::Null).await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn lists_have_pages_windows_and_filters() {
    on_each_database(async |world| {
        let mut made = Vec::new();
        for minor in 1..=5 {
            made.push(theirs(&one(world.submit(&world.charge(minor * 100)).await)).to_owned());
        }
        made.reverse();
        let (mut listed, mut cursor) = (Vec::new(), String::new());
        loop {
            let (_, page) = world.call(Method::Get, &format!("{INTENTS}?limit=2{cursor}"), &Value::Null).await;
            let items = page["data"].as_array().expect("a list");
            assert!(items.len() <= 2 && items.iter().all(|item| item.get("externalUserId").is_none()));
            listed.extend(items.iter().filter_map(|item| item["intentId"].as_str()).map(str::to_owned));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(listed, made);
        let before = "createdTo=2020-01-01T00:00:00.000Z";
        let rows = [
            (format!("{INTENTS}?{before}"), 0),
            (format!("{INTENTS}?createdFrom=2020-01-01T00:00:00.000Z"), 5),
            (format!("{INTENTS}?status=APPROVED,REJECTED"), 0),
            (WITHDRAWALS.to_owned(), 0),
        ];
        for (path, count) in rows {
            let (_, page) = world.call(Method::Get, &path, &Value::Null).await;
            assert_eq!(page["data"].as_array().map(Vec::len), Some(count), "{path}");
        }
        for wrong in ["status=PAID", "limit=0", "limit=101", "cursor=x", "createdFrom=today"] {
            let (status, error) = world.call(Method::Get, &format!("{INTENTS}?{wrong}"), &Value::Null).await;
            assert_eq!((status, &error["error"]), (400, &json!(error::VALIDATION_FAILED)), "{wrong}");
        }
        // An empty list is what proves that nothing was made; with anything in it nothing can be told.
        let payout = References { ours: Some(world.reference()), ..References::default() };
        assert_eq!(world.lookup(Kind::Payout, payout.clone()).await, Lookup::Absent);
        assert_eq!(world.lookup(Kind::Charge, payout).await, Lookup::CannotAsk);
        let unknown = References { theirs: Some(world.clock.new_id().to_string()), ..References::default() };
        assert_eq!(world.lookup(Kind::Charge, unknown).await, Lookup::Absent);
        assert!(matches!(Pientegra.probe(&world.context()).await, Probe::Valid(_)));
        let stranger = settings(&world.url, "sk_live_stranger");
        let refused = Pientegra.probe(&Context { settings: &stranger, ..world.context() }).await;
        assert!(matches!(refused, Probe::Refused(Reason::AccountRefused, _)), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn requests_are_checked_as_the_documents_say() {
    let world = World::new("sqlite").await;
    let deposit =
        json!({"externalUserId": "user-12345", "externalUserLabel": "Alex M.", "amount": "100000", "currency": "TRY"});
    let withdrawal = json!({"externalUserId": "user-12345", "amount": "250000", "currency": "TRY", "targetIban": IBAN,
        "targetHolderName": "Ahmet Yılmaz"});
    let with = |body: &Value, member: &str, value: Value| {
        let mut body = body.clone();
        body[member] = value;
        body
    };
    let invalid = error::VALIDATION_FAILED;
    let rows = [
        (DEPOSITS, with(&deposit, "amount", json!("99")), error::AMOUNT_BELOW_MIN),
        (DEPOSITS, with(&deposit, "amount", json!("100000001")), error::AMOUNT_ABOVE_MAX),
        (DEPOSITS, with(&deposit, "amount", json!(1000.5)), invalid),
        (DEPOSITS, with(&deposit, "amount", json!("1000.50")), invalid),
        (DEPOSITS, with(&deposit, "currency", json!("EUR")), invalid),
        (DEPOSITS, with(&deposit, "externalUserId", json!("")), invalid),
        (DEPOSITS, with(&deposit, "externalUserId", Value::Null), invalid),
        (DEPOSITS, with(&deposit, "externalUserLabel", json!("x".repeat(129))), invalid),
        (WITHDRAWALS, with(&withdrawal, "targetIban", json!("TR320010009999901234567891")), invalid),
        (WITHDRAWALS, with(&withdrawal, "targetIban", json!("DE89370400440532013000")), invalid),
        (WITHDRAWALS, with(&withdrawal, "targetHolderName", json!(" ")), invalid),
    ];
    for (path, body, code) in rows {
        let (status, answer) = world.call(Method::Post, path, &body).await;
        assert_eq!((status, &answer["error"]), (400, &json!(code)), "{body}");
    }
    for body in
        [deposit.clone(), with(&deposit, "amount", json!(100_000)), json!({"externalUserId": "u", "amount": "100"})]
    {
        assert_eq!(world.call(Method::Post, DEPOSITS, &body).await.0, 201, "{body}");
    }
    assert_eq!(world.call(Method::Post, WITHDRAWALS, &withdrawal).await.0, 201);

    let url = format!("{}/api/v1{DEPOSITS}", world.url);
    let (bearer, body) = (format!("Bearer {TOKEN}"), deposit.to_string().into_bytes());
    let fresh = world.clock.new_id().to_string();
    let json = ("content-type", "application/json");
    type Row<'a> = (&'a [(&'static str, &'a str)], u16, &'a str);
    let rows: [Row<'_>; 4] = [
        (&[json, ("idempotency-key", &fresh)], 401, error::UNAUTHORIZED),
        (&[json, ("authorization", &bearer)], 400, error::KEY_REQUIRED),
        (&[json, ("authorization", &bearer), ("idempotency-key", "order-1")], 400, invalid),
        (&[("authorization", &bearer), ("idempotency-key", &fresh)], 400, invalid),
    ];
    for (headers, status, code) in rows {
        let reply = world.send(Method::Post, &url, headers, body.clone()).await;
        let answer: ErrorReply = serde_json::from_slice(&reply.body).expect("an error");
        assert_eq!((reply.status, answer.error.as_str()), (status, code), "{headers:?}");
    }
    // One key, another body.
    let headers = [json, ("authorization", bearer.as_str()), ("idempotency-key", fresh.as_str())];
    assert_eq!(world.send(Method::Post, &url, &headers, body).await.status, 201);
    let other = with(&deposit, "amount", json!("100001")).to_string().into_bytes();
    let reply = world.send(Method::Post, &url, &headers, other).await;
    let answer: ErrorReply = serde_json::from_slice(&reply.body).expect("an error");
    assert_eq!((reply.status, answer.error.as_str()), (409, error::KEY_REUSED));
}

#[tokio::test]
async fn a_key_used_at_once_makes_one_thing() {
    on_each_database(async |world| {
        let instruction = world.charge(10_000);
        let calls = (0..10).map(|_| world.submit(&instruction));
        let outcomes = futures_util::future::join_all(calls).await;
        let made: Vec<String> = outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Reported(reports) => Some(theirs(&reports[0]).to_owned()),
                Outcome::NotSent(_) | Outcome::Unknown(_) => None,
            })
            .collect();
        assert!(!made.is_empty() && made.iter().all(|id| *id == made[0]), "{outcomes:?}");
        assert_eq!(world.psp.count(&world.account).await.expect("the database answers"), 1);
    })
    .await;
}

#[tokio::test]
async fn more_than_sixty_calls_a_minute_are_too_many() {
    let world = World::scaled("sqlite", 1).await;
    for _ in 0..60 {
        assert_eq!(world.call(Method::Get, &format!("{EVENTS}?limit=1"), &Value::Null).await.0, 200);
    }
    assert_eq!(world.call(Method::Get, EVENTS, &Value::Null).await.0, 429);
    assert!(matches!(world.submit(&world.charge(100)).await, Outcome::NotSent(_)), "nothing was done");
    world.clock.advance(Duration::from_secs(61));
    assert!(matches!(world.submit(&world.charge(100)).await, Outcome::Reported(_)));
}

#[tokio::test]
async fn a_site_sets_its_own_address_and_turns_its_secret() {
    let world = World::new("sqlite").await;
    let path = "/external/site/webhook-config";
    let hook = world.account.webhook_url.clone();
    let (status, kept) = world.call(Method::Put, path, &json!({"webhookUrl": hook, "rotateSecret": false})).await;
    assert_eq!((status, &kept["webhookSecret"], &kept["rotatedAt"]), (200, &Value::Null, &Value::Null));
    let (_, turned) = world.call(Method::Put, path, &json!({"webhookUrl": hook})).await;
    let secret = turned["webhookSecret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("whsec_") && turned["rotatedAt"].is_string());
    assert_eq!(world.call(Method::Put, path, &json!({"webhookUrl": "http://shop.example"})).await.0, 400);
    let asked = one(world.submit_with("early", &world.charge(100)).await);
    let got = world.receiver.got.lock().expect("a lock").pop().expect("the notice came before the answer");
    let by = |secret: &str| {
        let secrets = NoticeSecrets(vec![Secret::new(secret)]);
        matches!(Pientegra.verify(&secrets, &got, world.clock.now()), Verification::Verified(_))
    };
    assert_eq!((by(&secret), by(SECRET)), (true, false), "{asked:?}");
}
