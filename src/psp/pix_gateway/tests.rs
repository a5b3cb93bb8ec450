//! The adapter speaks to the gateway over real HTTP, and the gateway posts its notices to a real server.

use std::sync::{Arc, Mutex};

use ipnet::{IpNet, Ipv4Net};
use poem::endpoint::make;
use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::{Endpoint, EndpointExt, IntoResponse, Response, Server};
use rialto_adapters::pix_gateway::contract::{ErrorReply, Transaction, event, path};
use rialto_adapters::pix_gateway::{MANIFEST, PixGateway};
use rialto_adapters::port::instruction::Destination;
use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::wire::{Deadlines, Header};
use rialto_adapters::port::{
    Adapter, BalanceAnswer, Charge, Context, Currency, Duration, Feed, Instruction, Kind, Lookup, Means, Method, Money,
    NextAction, NoticeSecrets, OurReference, Outcome, Parent, Payer, Payout, Probe, RawNotice, Read, Reason,
    References, Refund, Reply, Report, ReportKind, Request, Secret, Settings, Stage, Verdict, Verification, Wire,
};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::PixGatewayPsp;
use crate::clock::Clock;
use crate::psp::simulator::Account;
use crate::psp::simulator::faults::{Fault, Faults, Plan};
use crate::store::testing::{TestDatabase, databases, fresh_url};
use crate::wire::{Guard, HttpWire, Poster, WireOptions};

/// Waits of the PSP are a thousandth of what they say.
const SCALE: u32 = 1000;
/// For what must come; a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(30);
const TOKEN: &str = "token-of-the-tests";
const SECRET: &str = "secret-of-the-tests";

/// Whoever receives the notices: keeps them, and answers as it is told.
#[derive(Default)]
struct Receiver {
    got: Mutex<Vec<RawNotice>>,
    /// Statuses to answer with before it is always 204.
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
                let status = receiver.answers.lock().expect("a lock").pop().unwrap_or(204);
                StatusCode::from_u16(status).expect("a status").into_response()
            }
        })
        .map_to_response()
    }
}

struct World {
    psp: PixGatewayPsp,
    account: Account,
    url: String,
    wire: HttpWire,
    clock: Clock,
    settings: Settings,
    receiver: Arc<Receiver>,
    unique: Mutex<u128>,
    // Dropped with their servers, before the database.
    _servers: JoinSet<()>,
    _database: TestDatabase,
}

impl World {
    async fn new(kind: &str) -> World {
        let clock = Clock::scaled(SCALE);
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
            let made = PixGatewayPsp::new(store, Arc::new(poster), url);
            psp.insert(made).endpoint()
        })
        .await;
        let psp = psp.expect("it was made");
        let account = Account { token: Secret::new(TOKEN), webhook_url: hook_url, webhook_secret: Secret::new(SECRET) };
        psp.set_account(account.clone());
        let pumped = psp.clone();
        servers.spawn(async move { pumped.run().await });
        let settings = settings(&url, TOKEN);
        World {
            psp,
            account,
            url,
            wire,
            clock,
            settings,
            receiver,
            unique: Mutex::new(0),
            _servers: servers,
            _database: database,
        }
    }

    fn context(&self) -> Context<'_> {
        let answer_by = self.clock.now().plus(PATIENCE);
        let deadlines = Deadlines { send_by: answer_by, answer_by };
        let now = self.clock.now();
        Context { settings: &self.settings, wire: &self.wire, now, nonce: [0; 16], deadlines, hook_url: "" }
    }

    fn reference(&self) -> OurReference {
        let mut unique = self.unique.lock().expect("a lock");
        *unique += 1;
        MANIFEST.reference.mint(*unique)
    }

    async fn submit(&self, instruction: &Instruction) -> Outcome {
        PixGateway.submit(&self.context(), instruction).await
    }

    /// Submits with these faults.
    async fn submit_with(&self, faults: &str, instruction: &Instruction) -> Outcome {
        let faults = Faults::parse(faults).expect("faults");
        self.psp.simulator().plan(|plans| assert!(plans.add(Plan { faults, times: Some(1), path: None })));
        self.submit(instruction).await
    }

    async fn lookup(&self, kind: Kind, references: References) -> Lookup {
        PixGateway.lookup(&self.context(), kind, &references).await
    }

    async fn by_ours(&self, kind: Kind, ours: &OurReference) -> Vec<Report> {
        match self.lookup(kind, References { ours: Some(ours.clone()), ..References::default() }).await {
            Lookup::Reported(reports) => reports,
            other => panic!("{other:?}"),
        }
    }

    fn charge(&self, minor: i64) -> Instruction {
        Instruction::Charge(Charge {
            reference: self.reference(),
            method: MethodName::Pix,
            amount: Money::new(minor, Currency::BRL),
            means: Means::AskPayer,
            payer: payer(),
            return_url: String::new(),
            description: "Order 1".to_owned(),
            expires_at: None,
        })
    }

    fn payout(&self, minor: i64, key: &str) -> Instruction {
        Instruction::Payout(Payout {
            reference: self.reference(),
            method: MethodName::Pix,
            amount: Money::new(minor, Currency::BRL),
            destination: Destination { kind: "pix_key".to_owned(), value: key.to_owned() },
            payee: payer(),
            description: String::new(),
        })
    }

    fn refund(&self, of: &Report, whole: i64, minor: i64) -> Instruction {
        let money = |minor| Money::new(minor, Currency::BRL);
        let (ours, theirs) = (of.references.ours.clone().expect("ours"), of.references.theirs.clone());
        let of = Parent { ours, theirs, amount: money(whole) };
        Instruction::Refund(Refund {
            reference: self.reference(),
            of,
            amount: money(minor),
            description: String::new(),
        })
    }

    /// Opens an address, as a browser does.
    async fn open(&self, url: &str) -> Reply {
        self.send(Method::Get, url, None, Vec::new()).await
    }

    async fn send(&self, method: Method, url: &str, token: Option<&str>, body: Vec<u8>) -> Reply {
        let mut headers = vec![("content-type", Header::Plain("application/json".to_owned()))];
        headers.extend(token.map(|token| ("authorization", Header::Secret(Secret::new(format!("Bearer {token}"))))));
        let answer_by = self.clock.now().plus(PATIENCE);
        let request = Request { method, url: url.to_owned(), headers, body, scrub: &[] };
        self.wire.send(request, Deadlines { send_by: answer_by, answer_by }).await.expect("an answer")
    }

    async fn control(&self, method: Method, path: &str, body: &str) -> serde_json::Value {
        let reply = self.send(method, &format!("{}/_control/{path}", self.url), None, body.as_bytes().to_vec()).await;
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        serde_json::from_slice(&reply.body).expect("JSON")
    }

    /// A charge that was paid, and its last notice's first report.
    async fn paid(&self, minor: i64) -> Report {
        let charge = self.charge(minor);
        let url = code(&one(self.submit(&charge).await));
        self.open(&url).await;
        self.notices(1).await.pop().expect("a notice").pop().expect("a report")
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
        let secrets = NoticeSecrets(vec![Secret::new(SECRET)]);
        let got: Vec<RawNotice> = self.receiver.got.lock().expect("a lock").drain(..).collect();
        let read = |notice: &RawNotice| match PixGateway.verify(&secrets, notice, self.clock.now()) {
            Verification::Verified(verified) => match PixGateway.read(&verified) {
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

    async fn at_psp(&self, ours: &OurReference) -> Vec<Transaction> {
        self.psp.transactions_of(&self.account, &ours.0).await.expect("the database answers")
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
    let values = [("base_url", url), ("token", token), ("webhook_secret", SECRET)];
    Settings::new(values.map(|(key, value)| (key.to_owned(), Secret::new(value))))
}

fn payer() -> Payer {
    Payer {
        name: Some("Foo Bar".to_owned()),
        email: Some("foo@example.com".to_owned()),
        document: Some("52998224725".to_owned()),
        ..Payer::default()
    }
}

fn reported(outcome: Outcome) -> Vec<Report> {
    match outcome {
        Outcome::Reported(reports) => reports,
        other => panic!("{other:?}"),
    }
}

fn one(outcome: Outcome) -> Report {
    let mut reports = reported(outcome);
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports.remove(0)
}

fn code(report: &Report) -> String {
    match &report.next {
        Some(NextAction::ShowCode { text, .. }) => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn of(report: &Report) -> (ReportKind, Verdict, i64) {
    (report.kind, report.verdict.clone(), report.amount.map_or(0, |money| money.minor))
}

const CHARGE: ReportKind = ReportKind::Of(Kind::Charge);
const PAYOUT: ReportKind = ReportKind::Of(Kind::Payout);
const REFUND: ReportKind = ReportKind::Of(Kind::Refund);

async fn on_each_database(test: impl AsyncFn(World)) {
    for kind in databases() {
        test(World::new(kind).await).await;
    }
}

#[tokio::test]
async fn a_deposit_is_paid_looked_up_and_refunded_in_parts() {
    on_each_database(async |world| {
        let charge = world.charge(4000);
        let ours = charge.reference().clone();
        let asked = one(world.submit(&charge).await);
        assert_eq!(of(&asked), (CHARGE, Verdict::Pending(Stage::AwaitingPayer), 4000));
        let url = code(&asked);
        assert!(url.starts_with(&world.url), "{url}");
        let image = world.at_psp(&ours).await[0].events[0].qrcode_image.clone().expect("an image");
        assert!(image.starts_with("data:image/png;base64,"), "{image}");
        assert_eq!(world.open(&url).await.status, 200);
        let told = world.notices(1).await.remove(0).remove(0);
        assert_eq!(of(&told), (CHARGE, Verdict::Succeeded, 4000));
        assert_eq!(told.references.ours.as_ref(), Some(&ours));
        assert!(told.movement.is_some() && told.references.scheme.is_some());
        assert_eq!(told.party.clone().and_then(|party| party.document).as_deref(), Some("***822***"));
        // Once paid it is paid, and no further notice comes.
        assert_eq!(world.open(&url).await.status, 200);
        for reports in [
            world.by_ours(Kind::Charge, &ours).await,
            match world.lookup(Kind::Charge, told.references.clone()).await {
                Lookup::Reported(reports) => reports,
                other => panic!("{other:?}"),
            },
        ] {
            assert_eq!(reports, vec![told.clone()]);
        }
        let balance = PixGateway.balance(&world.context()).await;
        assert_eq!(balance, BalanceAnswer::Known(Money::new(100_004_000, Currency::BRL)));

        let refund = world.refund(&told, 4000, 1500);
        let references = References {
            ours: Some(refund.reference().clone()),
            parent_ours: told.references.ours.clone(),
            parent_theirs: told.references.theirs.clone(),
            ..References::default()
        };
        assert_eq!(world.lookup(Kind::Refund, references.clone()).await, Lookup::Absent);
        let accepted = reported(world.submit(&refund).await).pop().expect("a report");
        assert_eq!(of(&accepted), (REFUND, Verdict::Pending(Stage::Sent), 0));
        assert_eq!(accepted.references.ours.as_ref(), Some(refund.reference()));
        let void = world.notices(1).await.remove(0);
        assert_eq!(void.iter().map(of).collect::<Vec<_>>()[1..], [(REFUND, Verdict::Succeeded, 1500)]);
        assert!(matches!(world.lookup(Kind::Refund, references).await, Lookup::Reported(found) if found.len() == 2));
        reported(world.submit(&world.refund(&told, 4000, 2500)).await);
        let voids = world.notices(1).await.remove(0);
        let told_of: Vec<_> = voids[1..].iter().map(of).collect();
        assert_eq!(told_of, [(REFUND, Verdict::Succeeded, 1500), (REFUND, Verdict::Succeeded, 2500)], "oldest first");
        let declined = one(world.submit(&world.refund(&told, 4000, 1)).await);
        assert_eq!(declined.verdict, Verdict::Declined(Reason::AmountInvalid));
    })
    .await;
}

#[tokio::test]
async fn a_withdrawal_to_each_kind_of_key() {
    on_each_database(async |world| {
        let keys = ["52998224725", "+5511987654321", "foo@example.com", "123e4567-e12b-12d1-a456-426655440000"];
        for key in keys {
            let payout = world.payout(135, key);
            let sent = one(world.submit(&payout).await);
            assert_eq!(of(&sent), (PAYOUT, Verdict::Pending(Stage::Sent), 135), "{key}");
            let told = world.notices(1).await.remove(0);
            assert_eq!(told.iter().map(of).collect::<Vec<_>>(), [(PAYOUT, Verdict::Succeeded, 135)], "{key}");
            assert_eq!(world.by_ours(Kind::Payout, payout.reference()).await, told);
        }
        let rows: [(&str, &[(ReportKind, Verdict, i64)]); 3] = [
            ("bank-refuses", &[(PAYOUT, Verdict::Declined(Reason::Rejected), 135)]),
            ("wrong-amount", &[(PAYOUT, Verdict::Succeeded, 67)]),
            ("returned", &[(PAYOUT, Verdict::Succeeded, 135), (ReportKind::Return, Verdict::Succeeded, 135)]),
        ];
        for (fault, expected) in rows {
            let payout = world.payout(135, keys[0]);
            one(world.submit_with(fault, &payout).await);
            // Each notice carries everything so far.
            let told = world.notices(expected.len()).await.pop().expect("a notice");
            assert_eq!(told.iter().map(of).collect::<Vec<_>>(), expected, "{fault}");
        }
        let all = world.payout(100_000_001, keys[0]);
        assert_eq!(one(world.submit(&all).await).verdict, Verdict::Declined(Reason::Rejected), "more than there is");
    })
    .await;
}

#[tokio::test]
async fn payers_who_do_otherwise() {
    on_each_database(async |world| {
        let rows: [(&str, (ReportKind, Verdict, i64)); 2] =
            [("third-party", (CHARGE, Verdict::Cancelled, 4000)), ("wrong-amount", (CHARGE, Verdict::Succeeded, 2000))];
        for (fault, expected) in rows {
            let asked = one(world.submit(&world.charge(4000)).await);
            world.open(&format!("{}?simulate={fault}", code(&asked))).await;
            let told = world.notices(1).await.remove(0);
            assert_eq!(told.iter().map(of).collect::<Vec<_>>(), [expected], "{fault}");
            if fault == "third-party" {
                let party = told[0].party.clone().expect("who paid");
                assert_eq!(party.name.as_deref(), Some("Somebody Else"));
            }
        }
        assert_eq!(world.open(&format!("{}/_simulate/pay/nothing", world.url)).await.status, 404);
        let irregular = Payer { document: Some("00000000191".to_owned()), ..payer() };
        let mut charge = world.charge(100);
        if let Instruction::Charge(charge) = &mut charge {
            charge.payer = irregular;
        }
        assert_eq!(one(world.submit(&charge).await).verdict, Verdict::Declined(Reason::Compliance));
        assert_eq!(
            world.by_ours(Kind::Charge, charge.reference()).await[0].verdict,
            Verdict::Declined(Reason::Compliance)
        );
    })
    .await;
}

/// What the caller learns of a call, and how often it took effect.
#[tokio::test]
async fn a_call_goes_wrong_in_every_way() {
    #[derive(Debug, PartialEq)]
    enum Learned {
        Reported,
        NotSent,
        Unknown,
    }
    on_each_database(async |world| {
        let rows = [
            ("", Learned::Reported, 1),
            ("latency", Learned::Reported, 1),
            ("lost-before", Learned::Unknown, 0),
            ("lost-after", Learned::Unknown, 1),
            ("error", Learned::Unknown, 0),
            ("error-after", Learned::Unknown, 1),
            ("html", Learned::Unknown, 1),
            ("rate-limit", Learned::NotSent, 0),
            ("lost-after,latency", Learned::Unknown, 1),
        ];
        for (faults, expected, effects) in rows {
            for instruction in [world.charge(100), world.payout(100, "foo@example.com")] {
                let learned = match world.submit_with(faults, &instruction).await {
                    Outcome::Reported(_) => Learned::Reported,
                    Outcome::NotSent(_) => Learned::NotSent,
                    Outcome::Unknown(_) => Learned::Unknown,
                };
                let ours = instruction.reference();
                assert_eq!((learned, world.at_psp(ours).await.len()), (expected_of(&expected), effects), "{faults}");
                let found = world.lookup(instruction.kind(), named(ours)).await;
                assert_eq!(matches!(found, Lookup::Absent), effects == 0, "{faults}: {found:?}");
            }
        }

        fn expected_of(learned: &Learned) -> Learned {
            match learned {
                Learned::Reported => Learned::Reported,
                Learned::NotSent => Learned::NotSent,
                Learned::Unknown => Learned::Unknown,
            }
        }
        // The same id a second time tells that it exists, and nothing else.
        let again = world.charge(100);
        one(world.submit(&again).await);
        assert!(matches!(world.submit(&again).await, Outcome::Unknown(_)));
        assert_eq!(world.at_psp(again.reference()).await.len(), 1);
    })
    .await;
}

fn named(ours: &OurReference) -> References {
    References { ours: Some(ours.clone()), ..References::default() }
}

/// How the notice of a capture comes, and that each way ends the same.
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
            let asked = one(world.submit_with(fault.as_str(), &world.charge(4000)).await);
            let ours = asked.references.ours.clone().expect("ours");
            world.open(&code(&asked)).await;
            world.idle().await;
            let posted = world.receiver.got.lock().expect("a lock").len();
            let told = world.take_notices();
            assert_eq!((told.len(), posted), (genuine, posts), "{fault:?}");
            let paid = told.iter().flatten().filter(|report| report.verdict == Verdict::Succeeded).count();
            assert_eq!(paid, genuine - usize::from(fault == Fault::Reorder), "{fault:?}");
            assert_eq!(world.by_ours(Kind::Charge, &ours).await[0].verdict, Verdict::Succeeded, "{fault:?}");
        }
        for instruction in [world.charge(100), world.payout(100, "foo@example.com")] {
            let answered = world.submit_with("early", &instruction).await;
            let before = world.take_notices();
            assert_eq!(before.len(), 1, "the notice came before the answer");
            assert_eq!(before[0][0].verdict, Verdict::Succeeded);
            assert_eq!(before[0][0].references.ours.as_ref(), Some(instruction.reference()));
            assert!(matches!(one(answered).verdict, Verdict::Pending(_)));
            world.idle().await;
        }
    })
    .await;
}

#[tokio::test]
async fn notices_are_repeated_given_up_and_replayed() {
    on_each_database(async |world| {
        *world.receiver.answers.lock().expect("a lock") = vec![204, 500];
        let first = world.paid(100).await;
        assert_eq!(first.verdict, Verdict::Succeeded);
        assert_eq!(world.notices(1).await.len(), 1, "the second attempt");
        world.idle().await;
        // One attempt and three repeats in vain.
        *world.receiver.answers.lock().expect("a lock") = vec![302, 400, 503, 500];
        let asked = one(world.submit(&world.charge(100)).await);
        world.open(&code(&asked)).await;
        world.idle().await;
        assert_eq!(world.take_notices().len(), 4);
        let dead = world.control(Method::Get, "notices?state=dead", "").await;
        let dead = dead["notices"].as_array().expect("a list").clone();
        assert_eq!(dead.len(), 1, "{dead:?}");
        assert_eq!((&dead[0]["attempts"], &dead[0]["status"]), (&4.into(), &302.into()));
        let replay = format!("notices/{}/replay", dead[0]["id"].as_str().expect("an id"));
        world.control(Method::Post, &replay, "").await;
        world.notices(1).await;
        world.idle().await;
        let subject = asked.references.theirs.expect("theirs");
        let done = world.control(Method::Get, &format!("notices?subject={subject}"), "").await;
        assert_eq!(done["notices"][0]["state"], "done");
    })
    .await;
}

#[tokio::test]
async fn faults_are_planned_at_the_control_door() {
    on_each_database(async |world| {
        let plan = r#"{"faults": ["html"], "times": 1, "path": "/api/pix/pay"}"#;
        let shown = world.control(Method::Post, "faults", plan).await;
        assert_eq!(shown["plans"][0]["faults"], "html");
        one(world.submit(&world.charge(100)).await);
        assert!(matches!(world.submit(&world.payout(100, "foo@example.com")).await, Outcome::Unknown(_)));
        one(world.submit(&world.payout(100, "foo@example.com")).await);
        world.control(Method::Post, "faults", r#"{"seed": 7, "percent": 100}"#).await;
        assert_eq!(world.control(Method::Delete, "faults", "").await["seed"], serde_json::Value::Null);
        for (method, path, body) in [
            (Method::Post, "faults", r#"{"faults": ["nonsense"]}"#),
            (Method::Post, "faults", "{"),
            (Method::Put, "account", r#"{"token": ""}"#),
        ] {
            let url = format!("{}/_control/{path}", world.url);
            assert_eq!(world.send(method, &url, None, body.as_bytes().to_vec()).await.status, 422, "{body}");
        }
        let account = r#"{"token": "another", "webhook_url": "", "webhook_secret": ""}"#;
        world.control(Method::Put, "account", account).await;
        let (url, charge) = (format!("{}{}", world.url, path::CHARGE), br#"{"amount": 1}"#.to_vec());
        assert_eq!(world.send(Method::Post, &url, Some("another"), charge).await.status, 422, "it is known");
    })
    .await;
}

#[tokio::test]
async fn requests_are_checked_as_the_documents_say() {
    let world = World::new("sqlite").await;
    let charge = |change: &str| {
        let mut body: serde_json::Value = serde_json::json!({"amount": 1.5, "merchant_transaction_id": "m-1",
            "first_name": "Foo", "last_name": "Bar", "email": "foo@example.com", "document_number": "52998224725"});
        merge(&mut body, change);
        body
    };
    let pay = |change: &str| {
        let mut body = charge(r#"{"pix_key_type": "email", "pix_key_value": "foo@example.com"}"#);
        merge(&mut body, change);
        body
    };
    fn merge(body: &mut serde_json::Value, change: &str) {
        let change: serde_json::Map<String, serde_json::Value> = serde_json::from_str(change).expect("members");
        body.as_object_mut().expect("an object").extend(change);
    }
    let rows = [
        (path::CHARGE, charge(r#"{"amount": "1.50"}"#), "amount"),
        (path::CHARGE, charge(r#"{"amount": 0}"#), "amount"),
        (path::CHARGE, charge(r#"{"amount": -1}"#), "amount"),
        (path::CHARGE, charge(r#"{"amount": 1.005}"#), "amount"),
        (path::CHARGE, charge(r#"{"amount": null}"#), "amount"),
        (path::CHARGE, charge(r#"{"first_name": " "}"#), "first_name"),
        (path::CHARGE, charge(r#"{"last_name": 7}"#), "last_name"),
        (path::CHARGE, charge(r#"{"email": "foo"}"#), "email"),
        (path::CHARGE, charge(r#"{"document_number": "529.982.247-25"}"#), "document_number"),
        (path::CHARGE, charge(r#"{"document_number": "52998224724"}"#), "document_number"),
        (path::CHARGE, charge(r#"{"merchant_transaction_id": ""}"#), "merchant_transaction_id"),
        (path::PAY, pay(r#"{"pix_key_type": "cpf"}"#), "pix_key_type"),
        (path::PAY, pay(r#"{"pix_key_value": "foo"}"#), "pix_key_value"),
        (path::PAY, pay(r#"{"pix_key_type": "phone", "pix_key_value": "+5511987654321"}"#), "pix_key_value"),
        (path::PAY, pay(r#"{"pix_key_type": "document", "pix_key_value": "52998224724"}"#), "pix_key_value"),
        (path::PAY, pay(r#"{"pix_key_type": "random", "pix_key_value": "x"}"#), "pix_key_value"),
        (path::REIMBURSEMENT, serde_json::json!({}), "base"),
        (path::REIMBURSEMENT, serde_json::json!({"transaction_id": "x", "amount": 0.001}), "amount"),
    ];
    for (path, body, field) in rows {
        let reply =
            world.send(Method::Post, &format!("{}{path}", world.url), Some(TOKEN), body.to_string().into_bytes()).await;
        let error: ErrorReply = serde_json::from_slice(&reply.body).expect("an error");
        assert_eq!((reply.status, error.error.status), (422, 422), "{body}");
        assert_eq!(error.error.message.keys().collect::<Vec<_>>(), [field], "{body}");
    }
    let url = format!("{}{}", world.url, path::CHARGE);
    let right = charge("{}").to_string().into_bytes();
    assert_eq!(world.send(Method::Post, &url, Some("a stranger"), right.clone()).await.status, 401);
    assert_eq!(world.send(Method::Post, &url, None, right.clone()).await.status, 401);
    assert_eq!(world.send(Method::Post, &url, Some(TOKEN), b"<html>".to_vec()).await.status, 422);
    assert_eq!(world.send(Method::Post, &url, Some(TOKEN), vec![b' '; 70_000]).await.status, 422);
    assert_eq!(world.send(Method::Post, &url, Some(TOKEN), right).await.status, 200);
    let unknown = format!("{}{}/nothing", world.url, path::TRANSACTION);
    assert_eq!(world.send(Method::Get, &unknown, Some(TOKEN), Vec::new()).await.status, 404);
    let probe = PixGateway.probe(&Context { settings: &settings(&world.url, "wrong"), ..world.context() }).await;
    assert!(matches!(probe, Probe::Refused(Reason::AccountRefused, _)), "{probe:?}");
    assert!(matches!(PixGateway.probe(&world.context()).await, Probe::Valid(methods) if methods.len() == 3));
}

#[tokio::test]
async fn a_search_finds_what_begins_so_and_the_feed_what_changed() {
    on_each_database(async |world| {
        world.psp.set_account(Account { token: Secret::new("another"), ..world.account.clone() });
        let url = format!("{}{}", world.url, path::CHARGE);
        let body = |id: &str| {
            format!(
                r#"{{"amount": 1, "merchant_transaction_id": "{id}", "first_name": "Foo", "last_name": "Bar",
                "email": "foo@example.com", "document_number": "52998224725"}}"#
            )
            .into_bytes()
        };
        for id in ["1", "10", "1%", "2"] {
            assert_eq!(world.send(Method::Post, &url, Some(TOKEN), body(id)).await.status, 200, "{id}");
        }
        // Somebody else may use the same id, and is not seen.
        assert_eq!(world.send(Method::Post, &url, Some("another"), body("1")).await.status, 200);
        let of = |id: &str| OurReference(id.to_owned());
        for id in ["1", "10", "1%"] {
            assert_eq!(world.by_ours(Kind::Charge, &of(id)).await.len(), 1, "{id}");
        }
        for id in ["3", "0", "_"] {
            assert_eq!(world.lookup(Kind::Charge, named(&of(id))).await, Lookup::Absent, "{id}");
        }
        // More than a page, all of which begin so.
        for n in 0..55 {
            assert_eq!(world.send(Method::Post, &url, Some(TOKEN), body(&format!("7{n}"))).await.status, 200);
        }
        assert_eq!(world.by_ours(Kind::Charge, &of("70")).await.len(), 1);
        assert_eq!(world.lookup(Kind::Charge, named(&of("7"))).await, Lookup::Absent);

        // More than a page changed lately, so that the sweep goes round; it is over when a cursor comes back.
        let (mut cursor, mut found, mut seen) = (None, Vec::new(), Vec::new());
        while !seen.contains(&cursor) {
            seen.push(cursor.clone());
            let Feed::Page { reports, next_cursor } = PixGateway.feed(&world.context(), cursor.as_deref()).await else {
                panic!("no page")
            };
            found.extend(reports.into_iter().filter_map(|report| report.references.theirs));
            assert!(seen.len() < 10, "the sweep comes to an end: {seen:?}");
            cursor = next_cursor;
        }
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 59, "everything of ours, and nothing of another account");
        let before = cursor.clone();
        let asked = one(world.submit(&world.charge(100)).await);
        world.open(&code(&asked)).await;
        let Feed::Page { reports, .. } = PixGateway.feed(&world.context(), before.as_deref()).await else {
            panic!("no page")
        };
        let paid = reports.iter().filter(|report| report.verdict == Verdict::Succeeded).count();
        assert_eq!(paid, 1, "what was paid meanwhile");
    })
    .await;
}

/// Many at once: each is paid once, and the balance is right to the cent.
#[tokio::test]
async fn money_is_counted_once() {
    on_each_database(async |world| {
        let asked = one(world.submit(&world.charge(4000)).await);
        let url = code(&asked);
        let opened = (0..8).map(|_| world.open(&url));
        futures_util::future::join_all(opened).await;
        let told = world.notices(1).await.remove(0).remove(0);
        world.idle().await;
        assert!(world.take_notices().is_empty(), "one notice");
        let refunds: Vec<Instruction> = (0..8).map(|_| world.refund(&told, 4000, 1000)).collect();
        let outcomes = futures_util::future::join_all(refunds.iter().map(|refund| world.submit(refund))).await;
        let declined = |outcome: &Outcome| match outcome {
            Outcome::Reported(reports) => reports.iter().any(|r| matches!(r.verdict, Verdict::Declined(_))),
            Outcome::NotSent(_) | Outcome::Unknown(_) => panic!("{outcome:?}"),
        };
        assert_eq!(outcomes.iter().filter(|outcome| declined(outcome)).count(), 4, "{outcomes:?}");
        world.idle().await;
        let events = world.at_psp(told.references.ours.as_ref().expect("ours")).await.remove(0).events;
        assert_eq!(events.iter().filter(|event| event.event_type == event::VOID).count(), 4);
        let balance = PixGateway.balance(&world.context()).await;
        assert_eq!(balance, BalanceAnswer::Known(Money::new(100_000_000, Currency::BRL)));
    })
    .await;
}
