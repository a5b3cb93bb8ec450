use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::{Currency, Kind, Money, OurReference, Reason, Stage, Timestamp};
use uuid::Uuid;

use super::hints::{self, Clues};
use super::stand;
use super::story::{Actor, Family, Line, Member, Story, Strand, tell};
use super::words;
use crate::core::alert::Alert;
use crate::core::counters::Counters;
use crate::core::event::EventType;
use crate::core::intent::{ClosedBy, IntentKind, IntentState};
use crate::core::transaction::State;
use crate::store::deliveries::{Attempt, Delivery, DeliveryState};
use crate::store::events::Event;
use crate::store::find::{AlertLine, Ends, OtherThing};
use crate::store::forms::Details;
use crate::store::history::{BookedMovement, Fact, MovementKind, StoredExchange};
use crate::store::inbox::{NoticeLine, NoticeState, NoticeVerdict};
use crate::store::intents::Intent;
use crate::store::operators::AuditEntry;
use crate::store::tenants::{Connection, Tenant};
use crate::store::transactions::Transaction;

const T0: i64 = 1_700_000_000_000;

fn at(ms: i64) -> Timestamp {
    Timestamp(T0 + ms)
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn intent(kind: IntentKind, state: IntentState) -> Intent {
    Intent {
        id: id(1),
        tenant_id: id(7),
        connection_id: id(8),
        key_id: id(9),
        contract: "billwerk".to_owned(),
        operation: "payment".to_owned(),
        caller_key: "b-1".to_owned(),
        kind,
        state,
        amount: eur(3022),
        method: MethodName::Card,
        agreement_id: None,
        parent_id: None,
        sameness: Default::default(),
        details: Details::default(),
        notify_url: Some("https://shop.example/hook?secret=1".to_owned()),
        page_token_hash: None,
        expires_at: None,
        trace: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn transaction(kind: Kind, state: State) -> Transaction {
    Transaction {
        id: id(2),
        tenant_id: id(7),
        intent_id: id(1),
        connection_id: id(8),
        settings_version: 1,
        kind,
        method: MethodName::Card,
        parent_id: None,
        ours: OurReference("ours".to_owned()),
        theirs: None,
        scheme: None,
        state,
        amount: eur(3022),
        confirmed: None,
        counters: Counters::new(3022),
        marked: false,
        attempts: 0,
        ended_unknown: false,
        not_before: None,
        submit_by: at(4_000),
        send_by: None,
        answer_by: None,
        look_at: None,
        lookups: 0,
        absences: 0,
        state_at_psp: None,
        next: None,
        valid_until: None,
        psp_code: None,
        psp_text: None,
        version: 1,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn fact(ms: i64, source: &str, learned: &str, before: &str, after: &str) -> Fact {
    Fact {
        id: id(3),
        tenant_id: id(7),
        transaction_id: id(2),
        source: source.to_owned(),
        learned: learned.to_owned(),
        standing: "applied".to_owned(),
        state_before: before.to_owned(),
        state_after: after.to_owned(),
        reason: None,
        amount: None,
        movement: None,
        psp_code: None,
        psp_text: None,
        alert: None,
        operator: None,
        notice_id: None,
        occurred_at: None,
        recorded_at: at(ms),
    }
}

fn exchange(ms: i64, purpose: &str, reply: Option<&str>, fault: Option<&str>) -> StoredExchange {
    StoredExchange {
        id: id(4),
        tenant_id: id(7),
        connection_id: id(8),
        transaction_id: Some(id(2)),
        purpose: purpose.to_owned(),
        request: "POST https://psp.example/v1/charges?key=1\naccept: json\n\n{}".to_owned(),
        reply: reply.map(str::to_owned),
        fault: fault.map(str::to_owned),
        started_at: at(ms),
        took_ms: 3,
    }
}

fn notice(state: NoticeState, attempts: i32) -> NoticeLine {
    NoticeLine {
        id: id(5),
        tenant_id: id(7),
        connection_id: id(8),
        verdict: NoticeVerdict::Verified,
        verdict_text: None,
        state,
        state_text: None,
        attempts,
        next_at: None,
        received_at: at(50),
    }
}

fn delivery(state: DeliveryState, attempts: i32) -> Delivery {
    Delivery {
        id: id(6),
        tenant_id: id(7),
        endpoint_id: id(10),
        event_id: id(11),
        intent_id: Some(id(1)),
        trace: None,
        subject: "1:2".to_owned(),
        url: "https://shop.example/hook?secret=1".to_owned(),
        body: Vec::new(),
        wanted: 1,
        sent: 0,
        state,
        attempts,
        next_at: Some(at(60_000)),
        give_up_at: at(900_000),
        created_at: at(100),
    }
}

fn attempt(ms: i64, number: i32, status: Option<u16>, fault: Option<&str>) -> Attempt {
    Attempt {
        id: id(12),
        number,
        version: 1,
        status,
        fault: fault.map(str::to_owned),
        answer: None,
        started_at: at(ms),
        took_ms: 2,
    }
}

fn ends<T>(rows: Vec<T>) -> Ends<T> {
    Ends { rows, left_out: 0 }
}

fn strand(t: Transaction) -> Strand {
    Strand { t, facts: Ends::default(), movements: Ends::default(), exchanges: Ends::default(), alerts: Vec::new() }
}

fn member(intent: Intent, strands: Vec<Strand>) -> Member {
    Member {
        intent,
        key_hint: Some("sk_test_1".to_owned()),
        agreement: None,
        connection: connection(),
        strands,
        events: Ends::default(),
        notices: Vec::new(),
        deliveries: Vec::new(),
    }
}

fn connection() -> Connection {
    Connection {
        id: id(8),
        tenant_id: id(7),
        adapter: "sandbox".to_owned(),
        test: true,
        version: 1,
        refusals: 0,
        refused_since: None,
        told: None,
    }
}

fn family(members: Vec<Member>) -> Family {
    let tenant =
        Tenant { id: id(7), name: "Shop".to_owned(), app_id: "app".to_owned(), sandbox: true, created_at: at(0) };
    Family { tenant, asked: None, members, audit: Vec::new(), more: false }
}

fn told(members: Vec<Member>) -> Story {
    tell(&family(members), at(1_000), false)
}

fn texts(story: &Story) -> Vec<(i64, &'static str, &str)> {
    story.lines.iter().map(|line| (line.at.0 - T0, line.actor.as_str(), line.text.as_str())).collect()
}

#[test]
fn a_lost_answer_that_a_look_up_finds() {
    let mut charge = strand(Transaction {
        confirmed: Some(eur(3022)),
        theirs: Some("chg_1".to_owned()),
        lookups: 1,
        ..transaction(Kind::Charge, State::Succeeded)
    });
    charge.exchanges = ends(vec![
        exchange(3, "submit", None, Some("connection_lost: it broke off")),
        exchange(25_000, "lookup", Some("200\nserver: x\n\n{}"), None),
    ]);
    let mut found = fact(25_002, "lookup", "charge succeeded", "unknown", "succeeded");
    found.amount = Some(eur(3022));
    charge.facts = ends(vec![fact(6, "answer", "unknown", "submitted", "unknown"), found]);
    charge.movements = ends(vec![BookedMovement {
        id: id(13),
        tenant_id: id(7),
        connection_id: id(8),
        transaction_id: id(2),
        movement: "mov_1".to_owned(),
        kind: MovementKind::Paid,
        amount: eur(3022),
        fee_minor: 30,
        reason: None,
        psp_code: None,
        psp_text: None,
        occurred_at: at(4),
        recorded_at: at(25_002),
    }]);
    let mut payment = member(intent(IntentKind::Payment, IntentState::Done), vec![charge]);
    let event = |number, event_type, ms| Event {
        id: id(number),
        tenant_id: id(7),
        position: Some(1),
        contract: "billwerk".to_owned(),
        intent_id: id(1),
        transaction_id: Some(id(2)),
        event_type,
        snapshot: String::new(),
        occurred_at: at(ms),
        recorded_at: at(ms),
    };
    payment.events = ends(vec![event(14, EventType::Created, 0), event(15, EventType::Captured, 25_002)]);
    payment.deliveries = vec![(delivery(DeliveryState::Delivered, 1), ends(vec![attempt(25_030, 1, Some(204), None)]))];
    let story = told(vec![payment]);
    assert_eq!(
        texts(&story),
        [
            (0, "caller", "asks for a payment of 30.22 EUR by card"),
            (3, "to_psp", "sends it: POST psp.example/v1/charges → connection lost (it broke off)"),
            (
                6,
                "rialto",
                "no usable answer: nobody knows whether it happened; it will be looked up, not sent again \
                 (submitted → unknown)"
            ),
            (25_000, "to_psp", "asks what became of it: POST psp.example/v1/charges → 200"),
            (25_002, "from_psp", "says, being asked: charge succeeded, 30.22 EUR (unknown → succeeded)"),
            (25_002, "money", "30.22 EUR came in, fee 0.30 EUR"),
            (25_002, "rialto", "it is `captured` now, and the caller is to be told"),
            (25_030, "to_caller", "is told: POST shop.example/hook → 204"),
        ]
    );
    assert_eq!(
        story.parts[0].pieces[0].text,
        "the charge has succeeded – asked 30.22 EUR, came in 30.22, refundable 30.22"
    );
    assert_eq!((story.waits.len(), story.next.len(), story.alerts.len()), (0, 0, 0));
    assert!(story.lines.iter().all(|line| line.full.is_none()));
    let everything: String = story.lines.iter().map(|line| line.text.as_str()).collect();
    assert!(!everything.contains("secret=1") && !everything.contains("key=1"), "no query of an address is shown");
}

#[test]
fn every_fact_is_a_sentence() {
    // Source, what was learned, from, to, standing; who says it, and what.
    type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, Actor, &'static str);
    let rows: &[Row] = &[
        (
            "answer",
            "charge pending (awaiting_payer)",
            "submitted",
            "pending",
            "applied",
            Actor::FromPsp,
            "answers: charge pending (awaiting payer) (submitted → pending)",
        ),
        (
            "notice",
            "charge succeeded",
            "succeeded",
            "succeeded",
            "duplicate",
            Actor::FromPsp,
            "says in its notice: charge succeeded – known already",
        ),
        (
            "notice",
            "charge pending (sent)",
            "succeeded",
            "succeeded",
            "ignored",
            Actor::FromPsp,
            "says in its notice: charge pending (sent) – overtaken, ignored",
        ),
        (
            "lookup",
            "charge declined (fraud)",
            "succeeded",
            "succeeded",
            "conflict",
            Actor::FromPsp,
            "says, being asked: charge declined (fraud) – contradicts what is known, nothing changed",
        ),
        (
            "lookup",
            "not found",
            "unknown",
            "unknown",
            "same",
            Actor::Rialto,
            "the PSP does not know it; that is not believed yet",
        ),
        (
            "lookup",
            "absent",
            "unknown",
            "declined",
            "applied",
            Actor::Rialto,
            "the PSP has never heard of it, asked late enough and twice: believed (unknown → declined)",
        ),
        (
            "answer",
            "not sent",
            "submitted",
            "created",
            "applied",
            Actor::Rialto,
            "it is proved that nothing was sent; tried again in a moment (submitted → created)",
        ),
        (
            "answer",
            "not sent",
            "submitted",
            "declined",
            "applied",
            Actor::Rialto,
            "it is proved that nothing was sent; given up (submitted → declined)",
        ),
        (
            "ourselves",
            "never sent",
            "created",
            "declined",
            "applied",
            Actor::Rialto,
            "it was not sent in time, and will not be (created → declined)",
        ),
        (
            "ourselves",
            "intent closed",
            "created",
            "cancelled",
            "applied",
            Actor::Rialto,
            "not sent: what it was for has been closed (created → cancelled)",
        ),
        (
            "operator",
            "succeeded",
            "unknown",
            "succeeded",
            "applied",
            Actor::Person,
            "succeeded, says ada: the statement shows it (unknown → succeeded)",
        ),
    ];
    for (source, learned, before, after, standing, actor, text) in rows {
        let mut fact = fact(0, source, learned, before, after);
        fact.standing = (*standing).to_owned();
        fact.operator = (*source == "operator").then(|| "ada: the statement shows it".to_owned());
        assert_eq!(words::fact(&fact), (*actor, (*text).to_owned()));
    }
    let mut noisy = fact(0, "answer", "charge declined (rejected)", "submitted", "declined");
    (noisy.psp_code, noisy.psp_text) = (Some("05".to_owned()), Some("do not\nhonour".to_owned()));
    noisy.alert = Some(Alert::Conflict.as_str().to_owned());
    let expected =
        "answers: charge declined (rejected) [05: do not honour] (submitted → declined) – ALERT conflict".to_owned();
    assert_eq!(words::fact(&noisy), (Actor::FromPsp, expected));
}

#[test]
fn who_waits_for_whom_and_what_comes_next() {
    // The transaction, the intent's state; who waits, what is next (milliseconds from the beginning, -1 where nobody
    // knows).
    let due = |state| Transaction { look_at: Some(at(9_000)), ..transaction(Kind::Charge, state) };
    let scheduled = Transaction { not_before: Some(at(80_000)), ..transaction(Kind::Charge, State::Created) };
    let reserved = transaction(Kind::Preauth, State::Authorised);
    let mut captured = transaction(Kind::Preauth, State::Authorised);
    captured.counters.captured = 3022;
    let ask = "the PSP is asked what became of the charge (look-up 1)";
    type Row<'a> = (Transaction, IntentState, Option<&'a str>, &'a [(i64, &'a str)]);
    let rows: &[Row] = &[
        (
            transaction(Kind::Charge, State::Created),
            IntentState::Open,
            Some("the caller waits for rialto to send the charge"),
            &[(4_000, "the charge ends as not sent, if it could not be sent by then")],
        ),
        (
            scheduled,
            IntentState::Open,
            Some("rialto waits for its day to send the charge"),
            &[(80_000, "the charge is sent")],
        ),
        (
            due(State::Submitted),
            IntentState::Open,
            Some("rialto waits for the PSP to answer the charge"),
            &[(9_000, ask)],
        ),
        (
            due(State::Pending(Stage::AwaitingPayer)),
            IntentState::Open,
            Some("rialto waits for the payer to take part in the payment"),
            &[(9_000, ask)],
        ),
        (
            due(State::Pending(Stage::InReview)),
            IntentState::Open,
            Some("rialto waits for the PSP to say how the charge ends"),
            &[(9_000, ask)],
        ),
        (
            due(State::Unknown),
            IntentState::Open,
            Some("rialto waits for the PSP to say whether the charge happened"),
            &[(9_000, ask)],
        ),
        (reserved, IntentState::Done, Some("rialto waits for the caller to capture or cancel the payment"), &[]),
        (captured, IntentState::Done, None, &[]),
        (transaction(Kind::Charge, State::Succeeded), IntentState::Done, None, &[]),
        (transaction(Kind::Charge, State::Declined(Reason::Fraud)), IntentState::Refused, None, &[]),
        (transaction(Kind::Charge, State::Expired), IntentState::Closed(ClosedBy::Expired), None, &[]),
    ];
    for (t, state, wait, next) in rows {
        let story = told(vec![member(intent(IntentKind::Payment, *state), vec![strand(t.clone())])]);
        let waits: Vec<String> =
            story.waits.iter().map(|w| format!("{} waits for {} {}", w.who, w.whom, w.what)).collect();
        assert_eq!(waits, wait.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), "{:?}", t.state);
        let told: Vec<(i64, &str)> =
            story.next.iter().map(|n| (n.at.map_or(-1, |at| at.0 - T0), n.what.as_str())).collect();
        assert_eq!(told, *next, "{:?}", t.state);
    }
}

#[test]
fn what_only_a_person_can_end_names_the_command() {
    let mut refund = strand(Transaction { look_at: Some(at(9_000)), ..transaction(Kind::Refund, State::Unknown) });
    let alert = |kind: Alert, settled_at| AlertLine {
        transaction_id: Some(id(2)),
        kind: kind.as_str().to_owned(),
        text: kind.text().to_owned(),
        raised_at: at(500),
        settled_at,
    };
    refund.alerts = vec![alert(Alert::NeedsPerson, None), alert(Alert::Conflict, Some(at(600)))];
    let mut member = member(intent(IntentKind::Refund, IntentState::Open), vec![refund]);
    member.deliveries = vec![
        (
            delivery(DeliveryState::Due, 2),
            ends(vec![attempt(100, 1, None, Some("connection_refused: no")), attempt(200, 2, Some(500), None)]),
        ),
        (delivery(DeliveryState::Dead, 9), Ends::default()),
    ];
    let story = told(vec![member]);
    let next: Vec<&str> = story.next.iter().map(|next| next.what.as_str()).collect();
    assert_eq!(
        next,
        [
            "the PSP is asked what became of the refund (look-up 1)",
            "shop.example/hook is told (attempt 3)",
            "telling shop.example/hook is given up",
            &format!("a person says what happened: rialto resolve {} --as … --why …", id(2)),
            &format!("shop.example/hook did not take the news in 9 attempts: rialto replay {}", id(6)),
        ]
    );
    assert_eq!(story.waits[0].whom, "a person");
    assert_eq!(story.alerts.len(), 1, "settled ones are history");
    assert!(story.alerts[0].advice.contains("rialto resolve"));
    let told: Vec<_> = texts(&story).into_iter().skip(1).map(|(_, _, text)| text.to_owned()).collect();
    assert_eq!(
        told,
        [
            "is told: POST shop.example/hook → connection refused: no",
            "is told: POST shop.example/hook → 500 (attempt 2)"
        ]
    );
    for alert in Alert::ALL {
        assert!(words::advice(alert.as_str()).len() > 20, "{alert:?}");
    }
}

#[test]
fn a_family_is_labelled_and_stands_in_order() {
    let mut preauth = intent(IntentKind::Preauth, IntentState::Done);
    preauth.expires_at = Some(at(700_000));
    let refund = |number: u128, ms| Intent {
        id: id(number),
        parent_id: Some(id(20)),
        created_at: at(ms),
        amount: eur(500),
        ..intent(IntentKind::Refund, IntentState::Done)
    };
    let payment = Intent {
        id: id(20),
        parent_id: Some(id(1)),
        created_at: at(10),
        ..intent(IntentKind::Payment, IntentState::Done)
    };
    let release =
        Transaction { id: id(30), created_at: at(15), amount: eur(22), ..transaction(Kind::Release, State::Succeeded) };
    let members = vec![
        member(preauth, vec![strand(transaction(Kind::Preauth, State::Authorised)), strand(release)]),
        member(payment, vec![]),
        member(refund(21, 20), vec![]),
        member(refund(22, 30), vec![]),
    ];
    let mut family = family(members);
    family.asked = Some(id(22));
    family.more = true;
    family.audit = vec![AuditEntry {
        id: id(40),
        actor: "ada".to_owned(),
        action: "replay".to_owned(),
        tenant_id: Some(id(7)),
        subject: Some(id(6).to_string()),
        details: "the shop was down".to_owned(),
        outcome: "due".to_owned(),
        at: at(40),
    }];
    let story = tell(&family, at(1_000), false);
    let labels: Vec<(&str, bool)> = story.parts.iter().map(|part| (part.label.as_str(), part.asked)).collect();
    assert_eq!(labels, [("preauth", false), ("payment", false), ("refund 1", false), ("refund 2", true)]);
    assert_eq!(
        texts(&story),
        [
            (0, "caller", "asks for a preauth of 30.22 EUR by card"),
            (10, "caller", "asks for a payment of 30.22 EUR out of the preauth"),
            (15, "rialto", "starts a release of 0.22 EUR by itself"),
            (20, "caller", "asks for a refund of 5.00 EUR"),
            (30, "caller", "asks for a refund of 5.00 EUR"),
            (40, "person", "ada: replay the shop was down → due"),
        ]
    );
    assert_eq!(story.next[0].what, "the preauth expires; what is reserved by then is given free");
    assert_eq!(story.left_out, ["more was asked for on top of this than is told here"]);
}

#[test]
fn what_repeats_is_counted_and_a_long_story_is_cut() {
    let mut unknown = strand(transaction(Kind::Refund, State::Unknown));
    let asked = |n: i64| exchange(n * 1_000, "lookup", Some("404\n\n{}"), None);
    let heard = |n: i64| Fact {
        standing: "same".to_owned(),
        ..fact(n * 1_000 + 1, "lookup", "not found", "unknown", "unknown")
    };
    unknown.exchanges = Ends { rows: (1..=40).map(asked).collect(), left_out: 7 };
    unknown.facts = ends((1..=40).map(heard).collect());
    let story = told(vec![member(intent(IntentKind::Refund, IntentState::Open), vec![unknown])]);
    let lines: Vec<&str> = story.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines.len(), 1 + 4 + 1, "{lines:#?}");
    assert_eq!(lines[5], "… the same two 38 more times, at last now");
    assert_eq!(story.lines[5].at, at(40_001));
    assert_eq!(story.left_out, ["7 more calls to the PSP of the refund"]);

    let mut busy = strand(transaction(Kind::Charge, State::Succeeded));
    busy.facts =
        ends((0..400).map(|n| fact(n, "notice", &format!("charge pending ({n})"), "created", "pending")).collect());
    let story = told(vec![member(intent(IntentKind::Payment, IntentState::Done), vec![busy])]);
    assert_eq!(story.lines.len(), 180);
    assert_eq!(story.lines[179].text, "says in its notice: charge pending (399) (created → pending)");
    assert_eq!(story.left_out, ["221 lines between the first 60 and the last 120"]);
}

#[test]
fn the_text_of_calls_only_where_it_is_wanted() {
    let mut charge = strand(transaction(Kind::Charge, State::Succeeded));
    charge.exchanges = ends(vec![exchange(3, "submit", Some("200\n\nok"), None), exchange(4, "probe", None, None)]);
    let members = vec![member(intent(IntentKind::Payment, IntentState::Done), vec![charge])];
    let story = tell(&family(members), at(1_000), true);
    let full: Vec<Option<&str>> = story.lines.iter().map(|line: &Line| line.full.as_deref()).collect();
    let request = "POST https://psp.example/v1/charges?key=1\naccept: json\n\n{}";
    let (first, second) = (format!("{request}\n\n200\n\nok"), format!("{request}\n\nno answer"));
    assert_eq!(full, [None, Some(first.as_str()), Some(second.as_str())]);
}

#[test]
fn notices_say_what_became_of_them() {
    for (state, attempts, expected) in [
        (NoticeState::Done, 1, "a notice arrives, its signature is right"),
        (NoticeState::Done, 2, "a notice arrives, its signature is right; parked until its transaction is known"),
        (NoticeState::Parked, 1, "a notice arrives, its signature is right; parked, something in it is not known yet"),
    ] {
        assert_eq!(words::notice(&notice(state, attempts)), expected);
    }
    let parked = notice(NoticeState::Parked, 1);
    let names = vec![("ours".to_owned(), "abc".to_owned()), ("theirs".to_owned(), "chg_1".to_owned())];
    assert!(stand::notice(&parked, &names).contains("waits until ours abc, theirs chg_1 becomes known"));
    for state in [NoticeState::Unmatched, NoticeState::Unreadable] {
        assert!(stand::notice(&notice(state, 3), &[]).contains("rialto notice match|drop"), "{state:?}");
    }
}

#[test]
fn an_unknown_name_is_looked_at_closely() {
    let none = Clues::default();
    let sandbox = rialto_adapters::find("sandbox").expect("it is built in").manifest().reference.mint(7).0;
    let rows: &[(&str, Clues, &[&str])] = &[
        ("nobody", none.clone(), &[]),
        ("sk_test_0123", none.clone(), &["looks like a key"]),
        ("two words", none.clone(), &["holds a space"]),
        ("0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00", none.clone(), &["looks like an id of ours"]),
        (
            "0af7651916cd43dd8448eb211c80319c",
            none.clone(),
            // Both are 32 hexadecimal digits.
            &["looks like a trace id", "looks like a reference that we send to pientegra"],
        ),
        ("E12345678202011201030abcXYZ12345", none.clone(), &["PIX end-to-end id"]),
        (&sandbox, none.clone(), &["looks like a reference that we send to sandbox"]),
        (
            "0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00",
            Clues { other: Some(OtherThing { what: "a connection", tenant: Some("Shop".to_owned()) }), ..none.clone() },
            &["the id of a connection of tenant Shop"],
        ),
        (
            "chg_9",
            Clues { adapter: Some(("chg_".to_owned(), "sandbox".to_owned())), ..none },
            &["an id of the PSP sandbox (chg_…)"],
        ),
    ];
    for (name, clues, expected) in rows {
        let hints = hints::of(name, clues);
        assert_eq!(hints.len(), expected.len(), "{name}: {hints:?}");
        for (hint, words) in hints.iter().zip(*expected) {
            assert!(hint.contains(words), "{name}: {hint}");
        }
    }
}

#[test]
fn other_spellings_and_prefixes() {
    let spelled = |given: &str| hints::spellings(given).into_iter().map(|s| s.text).collect::<Vec<_>>();
    assert_eq!(spelled("plain"), ["PLAIN"]);
    assert_eq!(spelled(" 'Ab' "), ["Ab", "ab", "AB"]);
    assert_eq!(
        spelled("https://x.example/api/Payment/b-1?y=2"),
        ["b-1", "https://x.example/api/payment/b-1?y=2", "HTTPS://X.EXAMPLE/API/PAYMENT/B-1?Y=2"]
    );
    for (text, expected) in [
        ("chg_01", Some("chg_")),
        ("intent-7", Some("intent-")),
        ("_x", None),
        ("chg_", None),
        ("abc", None),
        ("a-very-long-name", Some("a-")),
        ("longerthantwelve_1", None),
        ("né_1", None),
    ] {
        assert_eq!(hints::prefix(text), expected, "{text}");
    }
}
