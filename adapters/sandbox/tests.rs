use std::path::PathBuf;

use super::contract::{self, PaymentRequest, Script, Transaction, TransactionReply};
use super::{Sandbox, notice};
use crate::port::adapter::{Adapter, Context};
use crate::port::conformance::{Saying, Suite, Vocabulary, fake};
use crate::port::instruction::{Instruction, Kind};
use crate::port::manifest::Manifest;
use crate::port::notice::{NoticeSecrets, RawNotice, Verification, Verified};
use crate::port::outcome::{BalanceAnswer, Fault, FaultCause, Feed, Lookup, Outcome, Probe, Read, Refusal};
use crate::port::reason::Reason;
use crate::port::reference::References;
use crate::port::report::{Report, ReportKind, Verdict};
use crate::port::secret::Secret;
use crate::port::time::Timestamp;
use crate::port::wire::{Header, Reply, Request};

fn suite(adapter: &dyn Adapter) -> Suite<'_> {
    Suite {
        adapter,
        cases: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/sandbox/cases")),
        settings: vec![("api_key", "sk_sandbox_key_0001"), ("webhook_secret", "whsec_sandbox_0001")],
        vocabularies: vec![
            Vocabulary { name: "state", documented: contract::state::ALL, says: says_state },
            Vocabulary { name: "stage", documented: contract::stage::ALL, says: says_stage },
            Vocabulary { name: "kind", documented: contract::kind::ALL, says: says_kind },
            Vocabulary { name: "type of notice", documented: contract::notice_type::ALL, says: says_type },
        ],
        echo,
        sign: Some(sign),
        signs_time: true,
    }
}

#[test]
fn the_sandbox_conforms() {
    suite(&Sandbox).run();
}

fn sign(secret: &Secret, body: &[u8], at: Timestamp) -> Vec<(String, String)> {
    vec![(notice::SIGNATURE.header.to_owned(), notice::SIGNATURE.sign(secret, body, at))]
}

/// The transaction that a case's default charge makes.
fn example() -> Transaction {
    Transaction {
        id: "chg_1".to_owned(),
        reference: Some(super::MANIFEST.reference.mint(1).0),
        kind: contract::kind::CHARGE.to_owned(),
        state: contract::state::SUCCEEDED.to_owned(),
        amount: 1999,
        currency: "EUR".to_owned(),
        ..Transaction::default()
    }
}

fn reply(transaction: Transaction) -> Saying {
    let body = serde_json::to_vec(&TransactionReply { transaction }).expect("plain data");
    Saying::Reply { call: r#"{"charge": {}}"#, reply: fake::json(200, body) }
}

fn says_state(word: &str) -> Saying {
    reply(Transaction { state: word.to_owned(), ..example() })
}

fn says_stage(word: &str) -> Saying {
    let state = contract::state::PENDING.to_owned();
    reply(Transaction { state, stage: Some(word.to_owned()), ..example() })
}

fn says_kind(word: &str) -> Saying {
    says_notice(contract::notice_type::TRANSACTION, word)
}

fn says_type(word: &str) -> Saying {
    says_notice(word, contract::kind::CHARGE)
}

fn says_notice(notice_type: &str, kind: &str) -> Saying {
    let notice = contract::Notice {
        id: "ntc_1".to_owned(),
        notice_type: notice_type.to_owned(),
        created_at: 1_700_000_000_000,
        transaction: Some(Transaction { kind: kind.to_owned(), ..example() }),
    };
    Saying::Notice { body: serde_json::to_vec(&notice).expect("plain data") }
}

/// Accepts an instruction with the amount that stands in it.
fn echo(request: &Request) -> Reply {
    let told: serde_json::Value = serde_json::from_slice(&request.body).expect("our own JSON");
    let (_, path) = request.url.rsplit_once('/').expect("a path");
    let transaction = Transaction {
        kind: path.trim_end_matches('s').to_owned(),
        reference: told["reference"].as_str().map(str::to_owned),
        amount: told["amount"].as_i64().unwrap_or_default(),
        currency: told["currency"].as_str().unwrap_or("EUR").to_owned(),
        ..example()
    };
    fake::json(200, serde_json::to_vec(&TransactionReply { transaction }).expect("plain data"))
}

#[test]
fn every_script_is_documented_and_found_by_its_number() {
    let page = include_str!("mod.rs");
    let readme = include_str!("../README.md");
    for (number, script, words) in Script::TABLE {
        assert_eq!(Script::of(500_000 + number), Some(*script));
        let row = format!("| {number} | {words} |");
        assert!(page.contains(&row), "mod.rs lacks {row}");
        assert!(readme.contains(&row), "README.md lacks {row}");
    }
    for minor in [0, 10, 1999, 1100] {
        assert_eq!(Script::of(minor), None, "{minor}");
    }
}

#[test]
fn the_psp_we_play_reads_what_the_adapter_writes() {
    let case = r#"{"reference":"r","method":"card","amount":1,"currency":"EUR","store_means":false,
        "description":"","return_url":"","notify_url":"","a_member_of_a_later_version":1}"#;
    let read: PaymentRequest = serde_json::from_str(case).expect("unknown members are skipped");
    assert_eq!(read.means, None);
}

/// A mistake that adapters are known to make, played over a right adapter.
#[derive(Clone, Copy, Debug)]
enum Mistake {
    UnknownIsDeclined,
    UnknownIsSuccess,
    UnknownIsNotSent,
    AbsentOnAnyError,
    SendsTwice,
    BelievesEveryNotice,
    IgnoresTheTime,
    KeyInTheUrl,
    TokenNotScrubbed,
    ForgetsTheReference,
    NewWordsSucceed,
    LosesCents,
}

struct Mistaken(Mistake);

#[async_trait::async_trait]
impl Adapter for Mistaken {
    fn manifest(&self) -> &'static Manifest {
        Sandbox.manifest()
    }

    fn check(&self, instruction: &Instruction) -> Result<(), Refusal> {
        Sandbox.check(instruction)
    }

    async fn submit(&self, context: &Context<'_>, instruction: &Instruction) -> Outcome {
        let wire = Meddling { inner: context.wire, mistake: self.0 };
        let context = Context { wire: &wire, ..*context };
        let outcome = Sandbox.submit(&context, instruction).await;
        let ours = References { ours: Some(instruction.reference().clone()), ..References::default() };
        let report = |verdict| Outcome::Reported(vec![Report::new(ReportKind::Of(instruction.kind()), verdict, ours)]);
        match (self.0, outcome) {
            (Mistake::UnknownIsDeclined, Outcome::Unknown(_)) => report(Verdict::Declined(Reason::Rejected)),
            (Mistake::UnknownIsSuccess, Outcome::Unknown(_)) => report(Verdict::Succeeded),
            (Mistake::UnknownIsNotSent, Outcome::Unknown(fault)) => {
                Outcome::NotSent(Fault::not_sent(FaultCause::NotAccepted, fault.text))
            }
            (Mistake::SendsTwice, Outcome::Unknown(_)) => Sandbox.submit(&context, instruction).await,
            (Mistake::NewWordsSucceed, Outcome::Reported(mut reports)) => {
                for report in &mut reports {
                    if matches!(report.verdict, Verdict::Unrecognised(_)) {
                        report.verdict = Verdict::Succeeded;
                    }
                }
                Outcome::Reported(reports)
            }
            (Mistake::LosesCents, Outcome::Reported(mut reports)) => {
                for amount in reports.iter_mut().filter_map(|report| report.amount.as_mut()) {
                    amount.minor -= amount.minor % 10;
                }
                Outcome::Reported(reports)
            }
            (_, outcome) => outcome,
        }
    }

    async fn lookup(&self, context: &Context<'_>, kind: Kind, references: &References) -> Lookup {
        match (self.0, Sandbox.lookup(context, kind, references).await) {
            (Mistake::AbsentOnAnyError, Lookup::Unknown(_)) => Lookup::Absent,
            (_, lookup) => lookup,
        }
    }

    async fn probe(&self, context: &Context<'_>) -> Probe {
        Sandbox.probe(context).await
    }

    async fn balance(&self, context: &Context<'_>) -> BalanceAnswer {
        Sandbox.balance(context).await
    }

    async fn feed(&self, context: &Context<'_>, cursor: Option<&str>) -> Feed {
        Sandbox.feed(context, cursor).await
    }

    fn verify(&self, secrets: &NoticeSecrets, notice: &RawNotice, now: Timestamp) -> Verification {
        match self.0 {
            Mistake::BelievesEveryNotice => Verification::Verified(Verified::restored(notice.clone())),
            Mistake::IgnoresTheTime => Sandbox.verify(secrets, notice, Timestamp(1_700_000_000_000)),
            Mistake::UnknownIsDeclined
            | Mistake::UnknownIsSuccess
            | Mistake::UnknownIsNotSent
            | Mistake::AbsentOnAnyError
            | Mistake::SendsTwice
            | Mistake::KeyInTheUrl
            | Mistake::TokenNotScrubbed
            | Mistake::ForgetsTheReference
            | Mistake::NewWordsSucceed
            | Mistake::LosesCents => Sandbox.verify(secrets, notice, now),
        }
    }

    fn read(&self, verified: &Verified) -> Read {
        Sandbox.read(verified)
    }

    fn notice_secret_setting(&self) -> Option<&'static str> {
        Sandbox.notice_secret_setting()
    }
}

/// A wire that changes a request as a mistaken `encode` would have written it.
struct Meddling<'a> {
    inner: &'a dyn crate::port::wire::Wire,
    mistake: Mistake,
}

#[async_trait::async_trait]
impl crate::port::wire::Wire for Meddling<'_> {
    async fn send(
        &self,
        mut request: Request,
        deadlines: crate::port::wire::Deadlines,
    ) -> Result<Reply, crate::port::outcome::Fault> {
        match self.mistake {
            Mistake::KeyInTheUrl => {
                let key =
                    request.headers.iter().find(|(name, _)| *name == "authorization").map(|(_, key)| key.expose());
                request.url = format!("{}?key={}", request.url, key.unwrap_or_default());
            }
            Mistake::TokenNotScrubbed => {
                request.scrub = &[];
                request.headers.push(("x-note", Header::Plain("harmless".to_owned())));
            }
            Mistake::ForgetsTheReference => request.body = b"{}".to_vec(),
            Mistake::UnknownIsDeclined
            | Mistake::UnknownIsSuccess
            | Mistake::UnknownIsNotSent
            | Mistake::AbsentOnAnyError
            | Mistake::SendsTwice
            | Mistake::BelievesEveryNotice
            | Mistake::IgnoresTheTime
            | Mistake::NewWordsSucceed
            | Mistake::LosesCents => {}
        }
        self.inner.send(request, deadlines).await
    }
}

/// The suite is worth as much as the mistakes it finds.
#[test]
fn the_suite_finds_the_mistakes_adapters_are_known_to_make() {
    let rows = [
        (Mistake::UnknownIsDeclined, "declined (rejected)"),
        (Mistake::UnknownIsSuccess, "succeeded"),
        (Mistake::UnknownIsNotSent, "not sent"),
        (Mistake::AbsentOnAnyError, "absent"),
        (Mistake::SendsTwice, "sent 2 times"),
        (Mistake::BelievesEveryNotice, "believed although byte 0 is flipped"),
        (Mistake::IgnoresTheTime, "believed although it is old"),
        (Mistake::KeyInTheUrl, "the setting api_key can be read in the URL"),
        (Mistake::TokenNotScrubbed, "the stored token can be read in the body"),
        (Mistake::ForgetsTheReference, "sent without our reference"),
        (Mistake::NewWordsSucceed, "a made-up word is"),
        (Mistake::LosesCents, "came back as"),
    ];
    for (mistake, expected) in rows {
        let adapter = Mistaken(mistake);
        let failures = suite(&adapter).failures();
        assert!(
            failures.iter().any(|text| text.contains(expected)),
            "{mistake:?} is found as {expected:?}: {failures:#?}"
        );
    }
}
