use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use poem::http::{StatusCode, header};
use poem::{Endpoint, Request as HttpRequest};
use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{
    Adapter, Capture, Charge, Close, Context, Currency, Duration, Instruction, Kind, Lookup, Means, Money,
    NoticeSecrets, OurReference, Outcome, Parent, Payer, Preauth, Probe, RawNotice, Read, Reason, References, Refund,
    Release, Report, ReportKind, Secret, Settings, StoreMeans, Verdict, Verification,
};
use rialto_adapters::sandbox::contract::{self, Script};
use rialto_adapters::sandbox::{MANIFEST, Sandbox};

use tokio::sync::Notify;

use super::{NoticeSink, SandboxPsp, page};
use crate::clock::Clock;
use crate::store::Store;
use crate::store::testing::{TestDatabase, databases, fresh_url};
use crate::wire::LocalWire;

/// Waits of the PSP are a thousandth of what they say.
const SCALE: u32 = 1000;
const NOTIFY_SECRET: &str = "whsec_test";

/// Whoever receives the notices: keeps them, and answers as it is told.
#[derive(Default)]
struct Receiver {
    /// Statuses to answer with before it is always 200.
    answers: Mutex<Vec<u16>>,
    got: Mutex<Vec<RawNotice>>,
    came: Notify,
}

#[async_trait]
impl NoticeSink for Receiver {
    async fn deliver(&self, hook_url: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> u16 {
        assert_eq!(hook_url, "https://rialto.example/hooks/1");
        self.got.lock().expect("a lock").push(RawNotice { path: String::new(), headers, body });
        self.came.notify_one();
        self.answers.lock().expect("a lock").pop().unwrap_or(200)
    }
}

struct World {
    psp: SandboxPsp,
    receiver: Arc<Receiver>,
    clock: Clock,
    store: Store,
    settings: Settings,
    unique: Mutex<u128>,
    // Last, so that it is removed after its stores.
    _database: TestDatabase,
}

impl World {
    async fn new(kind: &str) -> World {
        let clock = Clock::scaled(SCALE);
        let database = fresh_url(kind);
        let store = database.store(clock.clone()).await.expect("a fresh database opens");
        let receiver = Arc::new(Receiver::default());
        let psp = SandboxPsp::new(store.clone(), receiver.clone(), "http://127.0.0.1:8080/");
        let settings = settings("sk_test");
        World { psp, receiver, clock, store, settings, unique: Mutex::new(0), _database: database }
    }

    fn reference(&self) -> OurReference {
        let mut unique = self.unique.lock().expect("a lock");
        *unique += 1;
        MANIFEST.reference.mint(*unique)
    }

    async fn submit(&self, instruction: &Instruction) -> Outcome {
        submit(&self.psp, &self.clock, &self.settings, instruction).await
    }

    async fn lookup(&self, settings: &Settings, ours: &OurReference) -> Lookup {
        let wire = LocalWire::new(self.clock.clone(), Arc::new(self.psp.clone()));
        let references = References { ours: Some(ours.clone()), ..References::default() };
        Sandbox.lookup(&context(&self.clock, settings, &wire), Kind::Charge, &references).await
    }

    async fn one(&self, instruction: &Instruction) -> Report {
        one(self.submit(instruction).await)
    }

    /// Does all jobs there are, however late they are due.
    async fn settle(&self) {
        while !self.psp.is_idle().await.expect("the database answers") {
            self.psp.run_due().await.expect("the database answers");
            tokio::task::yield_now().await;
        }
    }

    /// What the notices so far said, by their checked signature; a forged one is `None`.
    fn told(&self) -> Vec<Option<Report>> {
        let secrets = NoticeSecrets(vec![Secret::new(NOTIFY_SECRET)]);
        let read = |notice: &RawNotice| match Sandbox.verify(&secrets, notice, self.clock.now()) {
            Verification::Verified(verified) => match Sandbox.read(&verified) {
                Read::Reports(mut reports) => reports.pop(),
                Read::Ignored(_) | Read::Unreadable(_) => panic!("a notice nobody can read"),
            },
            Verification::Nudge(_) | Verification::Rejected(_) => None,
        };
        self.receiver.got.lock().expect("a lock").drain(..).map(|notice| read(&notice)).collect()
    }

    /// A card kept by a zero-amount preauth.
    async fn card(&self) -> Secret {
        let mut preauth = self.preauth(0, Means::AskPayer);
        preauth.store_means = true;
        let reference = preauth.reference.clone();
        self.one(&Instruction::Preauth(preauth)).await;
        let (status, _) = self.press(&reference, "approve").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        self.settle().await;
        let told = self.told().pop().flatten().expect("a notice");
        told.means.expect("stored means").token
    }

    fn preauth(&self, minor: i64, means: Means) -> Preauth {
        Preauth {
            reference: self.reference(),
            method: MethodName::Card,
            amount: Money::new(minor, Currency::EUR),
            means,
            payer: Payer::default(),
            return_url: "https://shop.example/return?a=1&b=2".to_owned(),
            description: "Order <1>".to_owned(),
            store_means: false,
        }
    }

    fn charge(&self, minor: i64, means: Means) -> Charge {
        let Preauth { reference, method, amount, means, payer, return_url, description, .. } =
            self.preauth(minor, means);
        Charge { reference, method, amount, means, payer, return_url, description, expires_at: None }
    }

    /// Presses a button of the page, and answers with status and Location.
    async fn press(&self, reference: &OurReference, choice: &str) -> (StatusCode, String) {
        let session = self.psp.session_of(&reference.0).await.expect("the database answers").expect("a page");
        self.post(&session, choice).await
    }

    async fn post(&self, session: &str, choice: &str) -> (StatusCode, String) {
        let request = HttpRequest::builder().method(poem::http::Method::POST).uri_str(format!("/{session}"));
        let response = page::routes(self.psp.clone()).get_response(request.body(format!("choice={choice}"))).await;
        let location = response.headers().get(header::LOCATION).map(|value| value.to_str().expect("a URL").to_owned());
        (response.status(), location.unwrap_or_default())
    }

    async fn page(&self, session: &str) -> (StatusCode, String, String) {
        let request = HttpRequest::builder().uri_str(format!("/{session}")).finish();
        let mut response = page::routes(self.psp.clone()).get_response(request).await;
        let policy =
            response.headers().get(header::CONTENT_SECURITY_POLICY).map(|v| v.to_str().expect("text").to_owned());
        let html = response.take_body().into_string().await.expect("a page");
        (response.status(), policy.unwrap_or_default(), html)
    }
}

fn settings(key: &str) -> Settings {
    let pairs = [("api_key", key), ("webhook_secret", NOTIFY_SECRET), ("scripted", "on")];
    Settings::new(pairs.map(|(name, value)| (name.to_owned(), Secret::new(value))))
}

fn context<'a>(clock: &Clock, settings: &'a Settings, wire: &'a LocalWire) -> Context<'a> {
    let answer_by = clock.now().plus(Duration::from_secs(10));
    let deadlines = Deadlines { send_by: answer_by, answer_by };
    Context { settings, wire, now: clock.now(), nonce: [0; 16], deadlines, hook_url: "https://rialto.example/hooks/1" }
}

async fn submit(psp: &SandboxPsp, clock: &Clock, settings: &Settings, instruction: &Instruction) -> Outcome {
    let wire = LocalWire::new(clock.clone(), Arc::new(psp.clone()));
    Sandbox.submit(&context(clock, settings, &wire), instruction).await
}

fn one(outcome: Outcome) -> Report {
    match outcome {
        Outcome::Reported(mut reports) if reports.len() == 1 => reports.remove(0),
        other => panic!("not one report: {other:?}"),
    }
}

fn parent(report: &Report) -> Parent {
    Parent {
        ours: report.references.ours.clone().expect("our reference"),
        theirs: report.references.theirs.clone(),
        amount: report.amount.expect("an amount"),
    }
}

fn refund(world: &World, of: &Parent, minor: i64) -> Instruction {
    let amount = Money::new(minor, Currency::EUR);
    Instruction::Refund(Refund { reference: world.reference(), of: of.clone(), amount, description: String::new() })
}

/// One word per thing told, in order.
fn words(told: &[Option<Report>]) -> String {
    let word = |report: &Option<Report>| match report {
        None => "forged".to_owned(),
        Some(report) => match (&report.kind, &report.verdict) {
            (ReportKind::Of(Kind::Refund), _) if report.references.ours.is_none() => "portal_refund".to_owned(),
            (
                ReportKind::Chargeback | ReportKind::ChargebackReversed | ReportKind::MeansRevoked,
                Verdict::Succeeded,
            ) => report.kind.as_str().to_owned(),
            (_, verdict) => self::verdict(verdict).to_owned(),
        },
    };
    told.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pending(_) => "pending",
        Verdict::Authorised => "authorised",
        Verdict::Succeeded => "succeeded",
        Verdict::Declined(reason) => reason.as_str(),
        Verdict::Expired => "expired",
        Verdict::Cancelled => "cancelled",
        Verdict::Unrecognised(_) => "unrecognised",
    }
}

fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Reported(reports) => verdict(&reports[0].verdict),
        Outcome::NotSent(_) => "not sent",
        Outcome::Unknown(_) => "unknown",
    }
}

fn lookup_words(lookup: &Lookup) -> String {
    match lookup {
        Lookup::Reported(reports) => words(&reports.iter().cloned().map(Some).collect::<Vec<_>>()),
        Lookup::Absent => "absent".to_owned(),
        Lookup::CannotAsk => "cannot ask".to_owned(),
        Lookup::Unknown(_) => "unknown".to_owned(),
    }
}

#[tokio::test]
async fn every_script_does_what_its_line_says() {
    // Script; the answer; what is told by notices; what a lookup says in the end.
    let rows = [
        (0, "succeeded", "", "succeeded"),
        (11, "insufficient_funds", "", "insufficient_funds"),
        (12, "rejected", "", "rejected"),
        (13, "means_invalid", "", "means_invalid"),
        (21, "not sent", "", "absent"),
        (22, "unknown", "", "succeeded"),
        (23, "unknown", "", "absent"),
        (24, "unknown", "", "succeeded"),
        (31, "pending", "succeeded", "succeeded"),
        (32, "succeeded", "succeeded succeeded succeeded succeeded succeeded", "succeeded"),
        (33, "pending", "succeeded pending", "succeeded"),
        (34, "succeeded", "succeeded", "succeeded"),
        (35, "succeeded", "forged succeeded", "succeeded"),
        (36, "pending", "", "succeeded"),
        (37, "succeeded", "", "succeeded"),
        (41, "succeeded", "chargeback", "succeeded chargeback"),
        (43, "succeeded", "chargeback chargeback_reversed", "succeeded chargeback chargeback_reversed"),
        (44, "succeeded", "portal_refund", "succeeded portal_refund"),
        (51, "succeeded", "", "succeeded"),
        // The last one: there are no means left for another.
        (42, "succeeded", "means_revoked", "succeeded"),
    ];
    let tried: Vec<i64> = rows.iter().map(|row| row.0).chain([25]).collect();
    assert!(Script::TABLE.iter().all(|(number, _, _)| tried.contains(number)), "a script is not tried");
    for kind in databases() {
        let world = World::new(kind).await;
        let token = world.card().await;
        for (script, answer, told, found) in rows {
            let charge = world.charge(5000 + script, Means::Stored(token.clone()));
            let reference = charge.reference.clone();
            let outcome = world.submit(&Instruction::Charge(charge)).await;
            assert_eq!(outcome_word(&outcome), answer, "{kind}: the answer of script {script}");
            if script == 34 {
                assert_eq!(words(&world.told()), told, "{kind}: told before the answer");
            }
            world.settle().await;
            let expected = if script == 34 { "" } else { told };
            assert_eq!(words(&world.told()), expected, "{kind}: the notices of script {script}");
            let lookup = world.lookup(&world.settings, &reference).await;
            assert_eq!(lookup_words(&lookup), found, "{kind}: a lookup after script {script}");
        }
    }
}

#[test]
fn the_wire_finds_the_host_of_the_contract() {
    assert_eq!(contract::HOST, crate::wire::SANDBOX_HOST);
    assert!(contract::BASE_URL.starts_with(&format!("https://{}/", contract::HOST)));
}

#[tokio::test]
async fn scripts_rest_where_the_setting_is_off() {
    let world = World::new("sqlite").await;
    let token = world.card().await;
    let off = Settings::new([("api_key".to_owned(), Secret::new("sk_test"))]);
    let charge = Instruction::Charge(world.charge(5011, Means::Stored(token)));
    assert_eq!(outcome_word(&submit(&world.psp, &world.clock, &off, &charge).await), "succeeded");
}

#[tokio::test]
async fn a_slow_call_takes_effect_after_a_lookup_was_told_absent() {
    let world = World::new("sqlite").await;
    let token = world.card().await;
    let charge = world.charge(5025, Means::Stored(token));
    let reference = charge.reference.clone();
    let (psp, clock, settings) = (world.psp.clone(), Clock::default(), world.settings.clone());
    let call = tokio::spawn(async move { submit(&psp, &clock, &settings, &Instruction::Charge(charge)).await });
    while world.psp.slow().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.psp.charges_of(&reference.0).await, Ok(0));
    assert_eq!(world.lookup(&world.settings, &reference).await, Lookup::Absent);
    assert_eq!(outcome_word(&call.await.expect("the call ends")), "succeeded");
    assert_eq!(lookup_words(&world.lookup(&world.settings, &reference).await), "succeeded");
}

#[tokio::test]
async fn a_payer_approves_declines_or_goes_away() {
    for kind in databases() {
        let world = World::new(kind).await;
        let rows = [
            (5037, "approve", "authorised"),
            (5000, "approve", "authorised"),
            (5000, "decline", "rejected"),
            (5000, "abort", "cancelled_by_payer"),
            (5011, "approve", "insufficient_funds"),
            (5012, "approve", "rejected"),
            (5013, "approve", "means_invalid"),
            (5031, "approve", "authorised"),
            (5036, "approve", ""),
        ];
        for (minor, choice, told) in rows {
            let preauth = world.preauth(minor, Means::AskPayer);
            let reference = preauth.reference.clone();
            let report = world.one(&Instruction::Preauth(preauth)).await;
            assert_eq!(verdict(&report.verdict), "pending");
            let session = world.psp.session_of(&reference.0).await.expect("an answer").expect("a page");
            let next = format!("{:?}", report.next);
            assert!(next.contains(&format!("\"http://127.0.0.1:8080/sandbox/pay/{session}\"")), "{next}");
            let (status, policy, html) = world.page(&session).await;
            assert_eq!(status, StatusCode::OK);
            assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
            assert!(html.contains("Order &#60;1&#62;") && html.contains("EUR") && html.contains("4242"), "{html}");
            let went = world.post(&session, choice).await;
            assert_eq!(went, (StatusCode::SEE_OTHER, "https://shop.example/return?a=1&b=2".to_owned()));
            world.settle().await;
            assert_eq!(words(&world.told()), told, "{kind}: {minor} {choice}");
            let again = world.post(&session, "decline").await;
            assert_eq!(again, went, "pressing again leads to the same place");
            world.settle().await;
            assert_eq!(words(&world.told()), "", "pressing again changes nothing");
            let (_, _, html) = world.page(&session).await;
            assert!(!html.contains("<form") && html.contains("role=\"status\""), "{html}");
        }
        assert_eq!(world.page("00000000000000000000000000000000").await.0, StatusCode::NOT_FOUND);
        assert_eq!(world.page("x").await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_preauth_is_captured_and_released_in_parts_and_never_beyond() {
    for kind in databases() {
        let world = World::new(kind).await;
        let token = world.card().await;
        let held = world.one(&Instruction::Preauth(world.preauth(1000, Means::Stored(token)))).await;
        assert_eq!(held.verdict, Verdict::Authorised);
        assert!(held.valid_until.is_some());
        let of = parent(&held);
        let eur = |minor| Money::new(minor, Currency::EUR);
        let capture = |minor| {
            let description = String::new();
            Instruction::Capture(Capture {
                reference: world.reference(),
                of: of.clone(),
                amount: eur(minor),
                description,
            })
        };
        let taken = world.one(&capture(600)).await;
        assert_eq!(taken.verdict, Verdict::Succeeded);
        assert_eq!(world.one(&capture(401)).await.verdict, Verdict::Declined(Reason::AmountInvalid));
        let release = Release { reference: world.reference(), of: of.clone(), amount: eur(300) };
        assert_eq!(world.one(&Instruction::Release(release)).await.verdict, Verdict::Succeeded);
        assert_eq!(world.one(&capture(101)).await.verdict, Verdict::Declined(Reason::AmountInvalid));
        assert_eq!(world.one(&capture(100)).await.verdict, Verdict::Succeeded);

        let of = parent(&taken);
        assert_eq!(world.one(&refund(&world, &of, 250)).await.verdict, Verdict::Succeeded);
        assert_eq!(world.one(&refund(&world, &of, 350)).await.verdict, Verdict::Succeeded);
        assert_eq!(world.one(&refund(&world, &of, 1)).await.verdict, Verdict::Declined(Reason::AmountInvalid));
        let stranger = Parent { theirs: Some("chg_none".to_owned()), ..of };
        assert_eq!(world.one(&refund(&world, &stranger, 1)).await.verdict, Verdict::Declined(Reason::InvalidState));
    }
}

#[tokio::test]
async fn refunds_that_race_never_exceed_the_charge() {
    for kind in databases() {
        let world = World::new(kind).await;
        let token = world.card().await;
        let charge = world.one(&Instruction::Charge(world.charge(1000, Means::Stored(token)))).await;
        let of = parent(&charge);
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let refund = refund(&world, &of, 90);
            let (psp, clock, settings) = (world.psp.clone(), world.clock.clone(), world.settings.clone());
            racers.spawn(async move { one(submit(&psp, &clock, &settings, &refund).await).verdict });
        }
        let verdicts = racers.join_all().await;
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Succeeded).count(), 11, "{kind}");
        assert_eq!(world.one(&refund(&world, &of, 10)).await.verdict, Verdict::Succeeded, "the exact rest");
    }
}

#[tokio::test]
async fn a_direct_debit_is_stored_by_its_iban_and_succeeds_later() {
    let world = World::new("sqlite").await;
    let store = |bearer: &[(&str, &str)]| {
        let bearer: BTreeMap<_, _> = bearer.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Instruction::StoreMeans(StoreMeans {
            reference: world.reference(),
            method: MethodName::DirectDebit,
            currency: Currency::EUR,
            expected: None,
            means: Means::Given(bearer),
            payer: Payer::default(),
            return_url: String::new(),
            description: String::new(),
        })
    };
    let wrong = world.one(&store(&[("Holder", "E. M."), ("IBAN", "DE88370400440532013000")])).await;
    assert_eq!(wrong.verdict, Verdict::Declined(Reason::IbanInvalid));
    let right = world.one(&store(&[("holder", "E. M."), ("iban", "DE89 3704 0044 0532 0130 00")])).await;
    let means = right.means.expect("stored means");
    assert_eq!(means.shown.get("IBAN").map(String::as_str), Some("DE****3000"));
    assert!(means.shown.contains_key("MandateReference"));

    let debit = |minor| {
        let charge = world.charge(minor, Means::Stored(means.token.clone()));
        Instruction::Charge(Charge { method: MethodName::DirectDebit, ..charge })
    };
    let sent = world.one(&debit(5000)).await;
    assert_eq!(verdict(&sent.verdict), "pending");
    let early = world.one(&refund(&world, &parent(&sent), 1)).await;
    assert_eq!(early.verdict, Verdict::Declined(Reason::InvalidState));
    world.settle().await;
    assert_eq!(words(&world.told()), "succeeded");
    assert_eq!(world.one(&refund(&world, &parent(&sent), 5000)).await.verdict, Verdict::Succeeded);
    world.one(&debit(5041)).await;
    world.settle().await;
    assert_eq!(words(&world.told()), "succeeded chargeback");
    let as_card = world.one(&Instruction::Charge(world.charge(5000, Means::Stored(means.token.clone())))).await;
    assert_eq!(as_card.verdict, Verdict::Declined(Reason::MeansInvalid));
}

#[tokio::test]
async fn one_reference_sent_twice_is_two_charges() {
    let world = World::new("sqlite").await;
    let token = world.card().await;
    let charge = world.charge(5000, Means::Stored(token));
    let reference = charge.reference.clone();
    let instruction = Instruction::Charge(charge);
    world.one(&instruction).await;
    assert_eq!(world.psp.charges_of(&reference.0).await, Ok(1));
    world.one(&instruction).await;
    assert_eq!(world.psp.charges_of(&reference.0).await, Ok(2));
    assert_eq!(lookup_words(&world.lookup(&world.settings, &reference).await), "succeeded succeeded");
}

#[tokio::test]
async fn keys_are_accounts_and_know_nothing_of_each_other() {
    let world = World::new("sqlite").await;
    let token = world.card().await;
    let charge = world.charge(5000, Means::Stored(token));
    let reference = charge.reference.clone();
    let charge = Instruction::Charge(charge);
    world.one(&charge).await;
    let other = settings("sk_other");
    assert_eq!(world.lookup(&other, &reference).await, Lookup::Absent);
    let stranger = one(submit(&world.psp, &world.clock, &other, &charge).await);
    assert_eq!(stranger.verdict, Verdict::Declined(Reason::MeansInvalid), "the token is another account's");
    for (key, expected) in [("sk_test", "valid"), ("invalid_1", "refused"), ("unreachable_1", "unknown")] {
        let (settings, wire) = (settings(key), LocalWire::new(world.clock.clone(), Arc::new(world.psp.clone())));
        let found = match Sandbox.probe(&context(&world.clock, &settings, &wire)).await {
            Probe::Valid(_) => "valid",
            Probe::Refused(Reason::AccountRefused, _) => "refused",
            Probe::Refused(..) => "refused for another reason",
            Probe::Unknown(_) => "unknown",
        };
        assert_eq!(found, expected, "{key}");
        let lookup = world.lookup(&settings, &reference).await;
        assert_eq!(matches!(lookup, Lookup::Unknown(_)), key != "sk_test", "{key}: {lookup:?}");
    }
    for refused in ["", "invalid_key", "unreachable_1"] {
        let outcome = submit(&world.psp, &world.clock, &settings(refused), &charge).await;
        assert_eq!(outcome_word(&outcome), "not sent", "{refused:?}");
    }
}

#[tokio::test]
async fn a_notice_is_told_until_it_is_accepted_even_after_a_restart() {
    for kind in databases() {
        let world = World::new(kind).await;
        let token = world.card().await;
        *world.receiver.answers.lock().expect("a lock") = vec![0, 500, 503];
        let charge = world.charge(5031, Means::Stored(token));
        let reference = charge.reference.clone();
        world.one(&Instruction::Charge(charge)).await;
        // Another life of the PSP, on the same database.
        let reborn = SandboxPsp::new(world.store.clone(), world.receiver.clone(), "http://127.0.0.1:8080");
        while !reborn.is_idle().await.expect("an answer") {
            reborn.run_due().await.expect("an answer");
            tokio::task::yield_now().await;
        }
        assert_eq!(words(&world.told()), "succeeded succeeded succeeded succeeded", "{kind}");
        assert_eq!(reborn.charge_back(&reference.0).await, Ok(true));
        assert_eq!(reborn.charge_back("nobody").await, Ok(false));
        world.settle().await;
        assert_eq!(words(&world.told()), "chargeback");
    }
}

#[tokio::test]
async fn the_pump_does_by_itself_what_is_due() {
    let world = World::new("sqlite").await;
    let token = world.card().await;
    let pump = tokio::spawn({
        let psp = world.psp.clone();
        async move { psp.run().await }
    });
    world.one(&Instruction::Charge(world.charge(5041, Means::Stored(token)))).await;
    world.receiver.came.notified().await;
    let told = tokio::time::timeout(Duration::from_secs(10), world.receiver.came.notified()).await;
    pump.abort();
    assert!(told.is_ok(), "nothing was told");
    assert_eq!(words(&world.told()), "chargeback");
}

#[tokio::test]
async fn a_page_is_closed_by_the_merchant_or_by_time() {
    let world = World::new("sqlite").await;
    let preauth = world.preauth(5000, Means::AskPayer);
    let of = preauth.reference.clone();
    world.one(&Instruction::Preauth(preauth)).await;
    let close = Instruction::Close(Close { of: of.clone(), theirs: None, kind: Kind::Preauth });
    let session = world.psp.session_of(&of.0).await.expect("an answer").expect("a page");
    assert_eq!(world.one(&close).await.verdict, Verdict::Cancelled);
    world.post(&session, "approve").await;
    assert_eq!(world.one(&close).await.verdict, Verdict::Cancelled, "once closed it stays closed");

    let mut charge = world.charge(5000, Means::AskPayer);
    charge.expires_at = Some(world.clock.now().minus(Duration::from_secs(1)));
    let reference = charge.reference.clone();
    world.one(&Instruction::Charge(charge)).await;
    world.settle().await;
    assert_eq!(words(&world.told()), "expired");
    assert_eq!(lookup_words(&world.lookup(&world.settings, &reference).await), "expired");
}

#[tokio::test]
async fn a_second_card_is_tried_in_the_same_session() {
    for kind in databases() {
        let world = World::new(kind).await;
        let rows = [("approve", "authorised"), ("decline", "rejected"), ("abort", "cancelled_by_payer"), ("", "")];
        for (choice, told) in rows {
            let mut preauth = world.preauth(5000, Means::AskPayer);
            preauth.store_means = true;
            let of = preauth.reference.clone();
            world.one(&Instruction::Preauth(preauth)).await;
            let session = world.psp.session_of(&of.0).await.expect("an answer").expect("a page");
            let page = format!("http://127.0.0.1:8080/sandbox/pay/{session}");
            assert_eq!(world.post(&session, "decline_first").await, (StatusCode::SEE_OTHER, page));
            let (_, _, html) = world.page(&session).await;
            assert!(html.contains("Try another") && html.contains("value=\"approve\""), "{html}");
            assert!(!html.contains("decline_first"), "two cards are enough: {html}");
            world.settle().await;
            assert_eq!(words(&world.told()), "rejected", "{kind}: the first card");
            assert_eq!(world.psp.charges_of(&of.0).await, Ok(0));
            if choice.is_empty() {
                let close = Instruction::Close(Close { of: of.clone(), theirs: None, kind: Kind::Preauth });
                assert_eq!(verdict(&world.one(&close).await.verdict), "rejected", "closed, it stays declined");
            } else {
                world.post(&session, choice).await;
            }
            world.settle().await;
            let mut reports = world.told();
            assert_eq!(words(&reports), told, "{kind}: the second card");
            let good = reports.pop().flatten().filter(|report| report.verdict == Verdict::Authorised);
            assert!(good.is_none_or(|report| report.means.is_some() && report.psp_code.is_none()));
            world.post(&session, "approve").await;
            world.settle().await;
            assert_eq!(words(&world.told()), "", "the session is over");
        }
    }
}

#[tokio::test]
async fn a_page_of_script_37_cannot_be_closed_and_outlives_its_time() {
    let world = World::new("sqlite").await;
    let mut charge = world.charge(5037, Means::AskPayer);
    charge.expires_at = Some(world.clock.now().minus(Duration::from_secs(1)));
    let of = charge.reference.clone();
    world.one(&Instruction::Charge(charge)).await;
    world.settle().await;
    let close = Instruction::Close(Close { of: of.clone(), theirs: None, kind: Kind::Charge });
    assert_eq!(verdict(&world.one(&close).await.verdict), "pending");
    world.press(&of, "approve").await;
    world.settle().await;
    assert_eq!(words(&world.told()), "succeeded");
}

#[tokio::test]
async fn means_are_revoked_and_taken_over() {
    for kind in databases() {
        let world = World::new(kind).await;
        let store = |token: &str, method| {
            Instruction::StoreMeans(StoreMeans {
                reference: world.reference(),
                method,
                currency: Currency::EUR,
                expected: None,
                means: Means::Stored(Secret::new(token)),
                payer: Payer::default(),
                return_url: String::new(),
                description: String::new(),
            })
        };
        let rows = [
            ("legacy_card_0815", MethodName::Card, Some(("Last4", "0815"))),
            ("legacy_debit_0815", MethodName::DirectDebit, Some(("MandateReference", "LEGACY-0815"))),
            ("legacy_card_0815", MethodName::DirectDebit, None),
            ("legacy_card_08", MethodName::Card, None),
            ("legacy_card_08_15", MethodName::Card, None),
            ("legacy_debit_", MethodName::DirectDebit, None),
            ("nobody_knows_this", MethodName::Card, None),
        ];
        for (token, method, expected) in rows {
            let report = world.one(&store(token, method)).await;
            match expected {
                None => assert_eq!(report.verdict, Verdict::Declined(Reason::MeansInvalid), "{token}"),
                Some((key, value)) => {
                    assert_eq!(report.verdict, Verdict::Succeeded, "{token}");
                    let means = report.means.expect("means");
                    assert_eq!(means.shown.get(key).map(String::as_str), Some(value));
                    assert_eq!(means.token.expose(), token, "it stays what it was");
                }
            }
        }
        let token = Secret::new("legacy_card_0815");
        let first = world.one(&store(token.expose(), MethodName::Card)).await;
        assert_eq!(
            world.one(&Instruction::Charge(world.charge(5042, Means::Stored(token.clone())))).await.verdict,
            Verdict::Succeeded
        );
        world.settle().await;
        let told = world.told();
        assert_eq!(words(&told), "means_revoked", "{kind}");
        let about = told[0].as_ref().and_then(|report| report.references.ours.clone());
        assert!(about.is_some() && about != first.references.ours, "about the one that stored them first");
        for instruction in [
            Instruction::Charge(world.charge(5000, Means::Stored(token.clone()))),
            Instruction::Preauth(world.preauth(5000, Means::Stored(token.clone()))),
            store(token.expose(), MethodName::Card),
        ] {
            assert_eq!(world.one(&instruction).await.verdict, Verdict::Declined(Reason::MeansInvalid));
        }
        // A mandate that stores no money is revoked by what is expected of it.
        let given = [("Holder", "E. M."), ("IBAN", "DE89370400440532013000"), ("MandateReference", "M-42")];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let Instruction::StoreMeans(plain) = store("", MethodName::DirectDebit) else { unreachable!() };
        let expected = Some(Money::new(1042, Currency::EUR));
        let mandate = StoreMeans { means: Means::Given(given), expected, ..plain };
        let means = world.one(&Instruction::StoreMeans(mandate)).await.means.expect("means");
        assert_eq!(means.shown.get("MandateReference").map(String::as_str), Some("M-42"));
        world.settle().await;
        assert_eq!(words(&world.told()), "means_revoked");
    }
}
