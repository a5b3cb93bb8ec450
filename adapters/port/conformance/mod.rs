//! The suite every adapter's tests run. No network, no clock: the adapter speaks to a [`FakeWire`].
//!
//! ```text
//! cases/encode/*.json   a call                        *.txt next to it: the exact request
//! cases/reply/*.json    a call and the PSP's replies  *.txt next to it: what the adapter makes of them
//! cases/notice/*.json   a notice as the PSP posts it  *.txt next to it: verdict and reports
//! ```
//!
//! `RIALTO_BLESS=1 cargo test` writes the `.txt` files anew; read the difference before you commit it. Beyond the cases
//! the suite tries what no PSP's examples show: garbage, cut replies, made-up words, forged notices, odd amounts. In
//! reading order: [`Suite`] with its checks (`golden`, `doubt`, `forgery`, `secrecy`, `sanity`), [`case`] for the files'
//! form, [`render`] for the text of expectations, [`fake`] for the wire.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};

use super::adapter::{Adapter, Context};
use super::instruction::Kind;
use super::manifest::Manifest;
use super::money::Money;
use super::outcome::{BalanceAnswer, Feed, Lookup, Outcome, Probe};
use super::report::Report;
use super::secret::Secret;
use super::settings::Settings;
use super::time::Timestamp;
use super::wire::{Deadlines, Reply, Request, Wire};

pub mod case;
mod doubt;
pub mod fake;
mod forgery;
mod golden;
pub mod render;
mod sanity;
mod secrecy;

pub use case::Call;
pub use fake::FakeWire;
pub use sanity::{capability_table, manifest_faults};

/// When every case plays, unless it says otherwise: 2023-11-14 22:13:20 UTC.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// Where every case has its notices posted.
pub const HOOK_URL: &str = "https://rialto.example/hooks/conn_1";
/// Set to 1 in the environment, the expectations are written anew.
pub const BLESS: &str = "RIALTO_BLESS";
/// Places in a body at which it is cut or changed: the whole of a short one, a sample of a long one.
const PLACES_PER_BODY: usize = 60;
/// A word that no PSP documents.
pub const MADE_UP_WORD: &str = "zz_made_up";

/// One list of words of a PSP: a status field, an event type, …
pub struct Vocabulary {
    /// For messages: `"state of a charge"`.
    pub name: &'static str,
    /// Every word that the PSP documents there.
    pub documented: &'static [&'static str],
    /// What the PSP says where it uses this word.
    pub says: fn(word: &str) -> Saying,
}

/// Something a PSP says.
pub enum Saying {
    /// In the answer to a call, written as in a case file: `{"charge": {}}`.
    Reply { call: &'static str, reply: Reply },
    /// In the body of a notice, signed by [`Suite::sign`].
    Notice { body: Vec<u8> },
}

/// The headers under which a PSP posts this body, signed at that time.
pub type Sign = fn(secret: &Secret, body: &[u8], at: Timestamp) -> Vec<(String, String)>;

/// An adapter with what the suite needs to know about its PSP.
pub struct Suite<'a> {
    pub adapter: &'a dyn Adapter,
    /// The `cases` folder.
    pub cases: PathBuf,
    /// Example settings; the secret ones should be long enough to be recognised in a request.
    pub settings: Vec<(&'static str, &'static str)>,
    pub vocabularies: Vec<Vocabulary>,
    /// The PSP accepts this request and confirms the amount that stands in it.
    pub echo: fn(&Request) -> Reply,
    /// How notices are signed; `None` where the PSP has no authenticity.
    pub sign: Option<Sign>,
    /// Whether the signature covers a time, so that an old notice is refused.
    pub signs_time: bool,
}

/// What a call answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Submitted(Outcome),
    LookedUp(Lookup),
    Probed(Probe),
    Balanced(BalanceAnswer),
    Fed(Feed),
}

impl Answer {
    /// The reports in it, if it holds any.
    pub fn reports(&self) -> &[Report] {
        match self {
            Answer::Submitted(Outcome::Reported(reports))
            | Answer::LookedUp(Lookup::Reported(reports))
            | Answer::Fed(Feed::Page { reports, next_cursor: _ }) => reports,
            Answer::Submitted(Outcome::NotSent(_) | Outcome::Unknown(_))
            | Answer::LookedUp(Lookup::Absent | Lookup::CannotAsk | Lookup::Unknown(_))
            | Answer::Fed(Feed::Unsupported | Feed::Unknown(_))
            | Answer::Probed(_)
            | Answer::Balanced(_) => &[],
        }
    }
}

impl Suite<'_> {
    /// Runs everything. Panics with the list of all that is wrong.
    pub fn run(&self) {
        let failures = self.collect(std::env::var(BLESS).is_ok_and(|value| value == "1"));
        let mut text = String::new();
        for failure in &failures {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n- {failure}");
        }
        assert!(failures.is_empty(), "{} faults in `{}`:{text}", failures.len(), self.manifest().name);
    }

    /// All that is wrong with the adapter, one text each. Never writes expectations.
    pub fn failures(&self) -> Vec<String> {
        self.collect(false)
    }

    fn collect(&self, bless: bool) -> Vec<String> {
        let mut failures = manifest_faults(self.adapter);
        let cases = match case::Cases::load(&self.cases, self.manifest()) {
            Ok(cases) => cases,
            Err(why) => {
                failures.push(why);
                return failures;
            }
        };
        failures.extend(golden::check(self, &cases, bless));
        failures.extend(sanity::check_coverage(self, &cases));
        failures.extend(doubt::check(self, &cases));
        failures.extend(forgery::check(self, &cases));
        failures.extend(secrecy::check(self, &cases));
        failures
    }

    fn manifest(&self) -> &'static Manifest {
        self.adapter.manifest()
    }

    /// The suite's settings, with those of one case on top.
    fn settings_with(&self, extra: &std::collections::BTreeMap<String, String>) -> Settings {
        let base = self.settings.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value)));
        Settings::new(base.chain(extra.iter().map(|(key, value)| (key.clone(), Secret::new(value.clone())))))
    }

    /// Makes one call over this wire.
    fn call(&self, settings: &Settings, wire: &dyn Wire, call: &Call) -> Answer {
        let answer_by = NOW.plus(self.manifest().answer_within);
        let deadlines = Deadlines { send_by: answer_by, answer_by };
        let context = Context { settings, wire, now: NOW, nonce: [7; 16], deadlines, hook_url: HOOK_URL };
        match call {
            Call::Submit(instruction) => Answer::Submitted(ready(self.adapter.submit(&context, instruction))),
            Call::Lookup(kind, references) => Answer::LookedUp(ready(self.adapter.lookup(&context, *kind, references))),
            Call::Probe => Answer::Probed(ready(self.adapter.probe(&context))),
            Call::Balance => Answer::Balanced(ready(self.adapter.balance(&context))),
            Call::Feed(cursor) => Answer::Fed(ready(self.adapter.feed(&context, cursor.as_deref()))),
        }
    }

    /// A notice with this body, as the PSP would post it at [`NOW`].
    fn signed(&self, body: &[u8]) -> Option<super::notice::RawNotice> {
        let sign = self.sign?;
        Some(super::notice::RawNotice {
            path: String::new(),
            headers: sign(&self.notice_secret(), body, NOW),
            body: body.to_vec(),
        })
    }

    fn notice_secret(&self) -> Secret {
        let key = self.adapter.notice_secret_setting().unwrap_or_default();
        self.settings_with(&std::collections::BTreeMap::new()).secret(key)
    }
}

/// The result of a future that waits for nothing but a [`FakeWire`].
///
/// Panics if it waits: an adapter awaits its wire and nothing else.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an adapter awaits its wire and nothing else"),
    }
}

/// Places to cut or change in so many bytes, the first among them.
fn places(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by((length / PLACES_PER_BODY).max(1))
}

/// Amounts that catch floating point, lost zeros and wrong exponents.
const AWKWARD_AMOUNTS_MINOR: &[i64] = &[1, 5, 10, 99, 100, 101, 435, 1999, 10_000, 123_456_789, 7_000_000_005];

/// Checks that an amount reaches the PSP and comes back as it was.
fn amounts_survive(suite: &Suite<'_>, cases: &case::Cases, failures: &mut Vec<String>) {
    let currencies: Vec<_> = ["EUR", "BRL", "JPY", "KWD"].iter().filter_map(|c| super::Currency::parse(c)).collect();
    for case in &cases.encode {
        let Call::Submit(instruction) = &case.call else { continue };
        if instruction.amount().is_none() {
            continue;
        }
        let kind = instruction.kind();
        let lines = suite.manifest().capabilities.iter().filter(|line| line.kind == kind);
        let lines: Vec<_> = match case.method {
            Some(method) => lines.filter(|line| line.method == method).collect(),
            None => lines.collect(),
        };
        for money in currencies.iter().flat_map(|c| AWKWARD_AMOUNTS_MINOR.iter().map(|m| Money::new(*m, *c))) {
            let allowed = lines.iter().any(|line| {
                line.currencies.covers(money.currency)
                    && (line.minimum_minor..=line.maximum_minor).contains(&money.minor)
            });
            if allowed {
                check_amount(suite, case, money, kind, failures);
            }
        }
    }
}

fn check_amount(suite: &Suite<'_>, case: &case::CallCase, money: Money, kind: Kind, failures: &mut Vec<String>) {
    let Call::Submit(instruction) = &case.call else { return };
    let call = Call::Submit(case::with_amount(instruction, money));
    let wire = FakeWire::answering(suite.echo);
    let answer = suite.call(&suite.settings_with(&case.settings), &wire, &call);
    let told = answer.reports().iter().find(|report| report.kind == super::ReportKind::Of(kind)).and_then(|r| r.amount);
    if told != Some(money) {
        failures.push(format!("{}: {money} came back as {told:?}\n{}", case.name, render::answer(&answer)));
    }
}
