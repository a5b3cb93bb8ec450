use std::path::PathBuf;

use serde_json::{Value, json};

use super::contract::{self, error_type, event, event_status, status};
use super::{MANIFEST, PixGateway, notice};
use crate::port::adapter::Adapter;
use crate::port::conformance::{Saying, Suite, Vocabulary, fake};
use crate::port::instruction::{Charge, Destination, Instruction, Kind, Means, Payer, Payout};
use crate::port::manifest::MethodName;
use crate::port::money::{Currency, Money};
use crate::port::outcome::Read;
use crate::port::reason::Reason;
use crate::port::report::{Report, ReportKind, Verdict};
use crate::port::secret::Secret;
use crate::port::time::Timestamp;
use crate::port::wire::{Reply, Request};

#[test]
fn the_gateway_conforms() {
    Suite {
        adapter: &PixGateway,
        cases: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/pix_gateway/cases")),
        settings: vec![
            ("base_url", "https://gateway.example"),
            ("token", "token_of_the_merchant_0001"),
            ("webhook_secret", "secret_of_the_notices_0001"),
        ],
        vocabularies: vec![
            Vocabulary { name: "type of event", documented: event::ALL, says: says_type },
            Vocabulary { name: "status of an event", documented: event_status::ALL, says: says_event_status },
            Vocabulary { name: "status", documented: status::ALL, says: says_status },
            Vocabulary { name: "type of error", documented: &[error_type::COMPLIANCE], says: says_error },
            Vocabulary { name: "notice", documented: event::ALL, says: says_notice },
        ],
        echo,
        sign: Some(|secret, body, _| vec![(notice::SIGNATURE.header.to_owned(), notice::SIGNATURE.sign(secret, body))]),
        signs_time: false,
    }
    .run();
}

const CALL: &str = r#"{"charge": {"amount": "1.00 BRL", "payer": {"name": "Foo Bar", "email": "foo.bar@mail.net",
    "document": "52998224725"}}}"#;

/// A deposit with these events, as an answer to [`CALL`].
fn transaction(events: Value) -> Value {
    json!({"id": "123-456-789", "merchant_transaction_id": MANIFEST.reference.mint(1).0, "events": events})
}

fn an_event(word: &str) -> Value {
    json!({"id": format!("event-{word}"), "success": true, "event_type": word, "amount": "1.00",
        "created_at": "2022-02-02T21:36:03+0000"})
}

fn reply(transaction: Value) -> Saying {
    Saying::Reply { call: CALL, reply: fake::json(200, json!({"transaction": transaction}).to_string()) }
}

fn notice_of(word: &str, transaction: Value) -> Saying {
    Saying::Notice { body: json!({"event": word, "transaction": transaction}).to_string().into_bytes() }
}

fn says_type(word: &str) -> Saying {
    notice_of(event::CAPTURE, transaction(json!([an_event(word)])))
}

/// The documents show `pending_settlement` and `success` on good events, `declined` on bad ones.
fn says_event_status(word: &str) -> Saying {
    let mut auth = an_event(event::AUTH);
    auth["status"] = word.into();
    auth["success"] = (word != event_status::DECLINED).into();
    reply(transaction(json!([auth])))
}

fn says_status(word: &str) -> Saying {
    let mut told = transaction(json!([an_event(event::AUTH)]));
    told["status"] = word.into();
    reply(told)
}

/// There are more types than the documents list, and none of them makes a failure less of one: a made-up one is said of
/// a transaction that has not failed.
fn says_error(word: &str) -> Saying {
    let mut told = transaction(json!([an_event(event::AUTH)]));
    told["error"] = json!({"type": word, "code": 1, "message": "", "meta": {"risk": {"block": true}}});
    told["status"] = if word == error_type::COMPLIANCE { status::FAILED.into() } else { word.into() };
    reply(told)
}

fn says_notice(word: &str) -> Saying {
    let first = if [event::AUTH, event::CAPTURE, event::VOID].contains(&word) { event::AUTH } else { event::PAYMENT };
    notice_of(word, transaction(json!([an_event(first)])))
}

/// Accepts an instruction with the amount that stands in it.
fn echo(request: &Request) -> Reply {
    let told: contract::ReimbursementRequest = serde_json::from_slice(&request.body).expect("our own JSON");
    let (_, path) = request.url.split_once(".example").expect("a path");
    let word = match path {
        contract::path::CHARGE => event::AUTH,
        contract::path::PAY => event::PAYMENT,
        contract::path::REIMBURSEMENT => event::CAPTURE,
        other => panic!("{other} moves no money"),
    };
    // Answers carry amounts as texts with all decimals.
    let amount = Money::parse_major(&told.amount.expect("an amount").0, Currency::BRL).expect("an amount");
    let events: Vec<Value> = [Some(word), (word == event::CAPTURE).then_some(event::VOID)]
        .into_iter()
        .flatten()
        .map(|word| {
            let mut event = an_event(word);
            event["amount"] = amount.to_major_padded().into();
            event
        })
        .collect();
    let mut transaction = transaction(events.into());
    transaction["merchant_transaction_id"] = told.merchant_transaction_id.into();
    transaction["id"] = told.transaction_id.unwrap_or("123-456-789".to_owned()).into();
    fake::json(200, json!({"transaction": transaction}).to_string())
}

fn payer() -> Payer {
    Payer {
        name: Some("Foo Bar".to_owned()),
        email: Some("foo@example.com".to_owned()),
        document: Some("52998224725".to_owned()),
        ..Payer::default()
    }
}

fn charge(minor: i64, currency: Currency, payer: Payer) -> Instruction {
    Instruction::Charge(Charge {
        reference: MANIFEST.reference.mint(1),
        method: MethodName::Pix,
        amount: Money::new(minor, currency),
        means: Means::AskPayer,
        payer,
        return_url: String::new(),
        description: String::new(),
        expires_at: None,
    })
}

fn payout(key: &str) -> Instruction {
    Instruction::Payout(Payout {
        reference: MANIFEST.reference.mint(1),
        method: MethodName::Pix,
        amount: Money::new(100, Currency::BRL),
        destination: Destination { kind: "pix_key".to_owned(), value: key.to_owned() },
        payee: payer(),
        description: String::new(),
    })
}

#[test]
fn what_is_wrong_is_seen_before_anything_is_sent() {
    let with = |change: fn(&mut Payer)| {
        let mut payer = payer();
        change(&mut payer);
        charge(100, Currency::BRL, payer)
    };
    let refused = |field, reason| Some((field, reason));
    let rows = [
        ("right", charge(1, Currency::BRL, payer()), None),
        ("nothing", charge(0, Currency::BRL, payer()), refused("amount", Reason::AmountInvalid)),
        ("too much", charge(1_000_000_000_000, Currency::BRL, payer()), refused("amount", Reason::AmountInvalid)),
        ("euro", charge(100, Currency::EUR, payer()), refused("currency", Reason::CurrencyInvalid)),
        ("no name", with(|p| p.name = None), refused("name", Reason::DataInvalid)),
        ("one name", with(|p| p.name = Some("Foo ".to_owned())), refused("name", Reason::DataInvalid)),
        ("no e-mail", with(|p| p.email = Some("foo".to_owned())), refused("email", Reason::DataInvalid)),
        ("no document", with(|p| p.document = None), refused("document", Reason::DocumentInvalid)),
        (
            "wrong document",
            with(|p| p.document = Some("52998224724".to_owned())),
            refused("document", Reason::DocumentInvalid),
        ),
        ("own document", payout("52998224725"), None),
        ("phone", payout("+5511987654321"), None),
        ("e-mail", payout("foo@example.com"), None),
        ("random", payout("123e4567-e12b-12d1-a456-426655440000"), None),
        ("another's document", payout("11144477735"), refused("destination", Reason::PayerMismatch)),
        ("phone without +55", payout("11987654321"), refused("destination", Reason::DestinationInvalid)),
        ("no key", payout("hello"), refused("destination", Reason::DestinationInvalid)),
    ];
    for (name, instruction, expected) in rows {
        let found = PixGateway.check(&instruction).err().map(|refusal| (refusal.field, refusal.reason));
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_company_may_have_one_name() {
    let company = Payer { name: Some("Petrobras".to_owned()), document: Some("33000167000101".to_owned()), ..payer() };
    assert_eq!(PixGateway.check(&charge(100, Currency::BRL, company)), Ok(()));
}

/// Everything that may follow a deposit or a withdrawal, told in any order, ends the same: each notice carries all of it.
#[test]
fn the_order_of_events_does_not_matter() {
    type Row = (&'static [&'static str], &'static [(ReportKind, Verdict)]);
    const CHARGE: ReportKind = ReportKind::Of(Kind::Charge);
    const REFUND: ReportKind = ReportKind::Of(Kind::Refund);
    const PAYOUT: ReportKind = ReportKind::Of(Kind::Payout);
    let rows: &[Row] = &[
        (&["auth", "capture"], &[(CHARGE, Verdict::Succeeded)]),
        (&["auth", "void"], &[(CHARGE, Verdict::Cancelled)]),
        (&["auth", "capture", "void"], &[(CHARGE, Verdict::Succeeded), (REFUND, Verdict::Succeeded)]),
        (&["payment", "transfer"], &[(PAYOUT, Verdict::Succeeded)]),
        (&["payment", "refund"], &[(PAYOUT, Verdict::Declined(Reason::Rejected))]),
        (&["payment", "transfer", "refund"], &[(PAYOUT, Verdict::Succeeded), (ReportKind::Return, Verdict::Succeeded)]),
    ];
    for (words, expected) in rows {
        let mut events: Vec<Value> = words.iter().map(|word| an_event(word)).collect();
        let forwards = read(&events);
        events.reverse();
        let backwards = read(&events);
        assert_eq!(forwards, backwards, "{words:?}");
        let told: Vec<_> = forwards.into_iter().map(|report| (report.kind, report.verdict)).collect();
        assert_eq!(told, *expected, "{words:?}");
    }
}

fn read(events: &[Value]) -> Vec<Report> {
    let told = serde_json::from_value(transaction(events.into())).expect("a transaction");
    super::normalize::reports(&told, None).expect("readable")
}

/// The signature of the documents' own page is 88 characters that hold 64 hexadecimal ones.
#[test]
fn a_notice_is_read_only_with_its_signature() {
    let (secret, body) = (Secret::new("secret_of_the_notices_0001"), br#"{"event":"capture"}"#.to_vec());
    let headers = vec![(notice::SIGNATURE.header.to_owned(), notice::SIGNATURE.sign(&secret, &body))];
    let raw = crate::port::RawNotice { path: String::new(), headers, body };
    let verified = PixGateway.verify(&crate::port::NoticeSecrets(vec![secret]), &raw, Timestamp(0));
    let crate::port::Verification::Verified(verified) = verified else { panic!("{verified:?}") };
    assert!(matches!(PixGateway.read(&verified), Read::Unreadable(_)), "authentic, and not a notice");
}
