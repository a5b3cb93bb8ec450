//! What a request does.

use rialto_adapters::port::ids::iban;
use rialto_adapters::port::notice::hex;
use rialto_adapters::port::{Currency, Duration, Timestamp};
use rialto_adapters::sandbox::contract::{
    CloseRequest, FollowUpRequest, LEGACY_CARD_PREFIX, LEGACY_DEBIT_PREFIX, MeansGiven, MeansStored, PaymentRequest,
    Script, Transaction, error, kind, method, notice_type, reason, stage, state,
};

use super::api::Call;
use super::model::Stored;
use super::settle::{self, Action, Ending};
use super::{Account, SandboxPsp};
use crate::store::sandbox_psp::{self as table, JobRow, MeansRow, TransactionRow};
use crate::store::{Refusal, StoreError, Unit};

/// What became of a request.
pub struct Done {
    pub transaction: Transaction,
    /// Jobs that are to be done before the answer.
    pub before_answer: Vec<JobRow>,
}

/// Why nothing was done.
pub enum Refused {
    /// Status, word and text of the error reply.
    Request(u16, &'static str, String),
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(why: StoreError) -> Refused {
        Refused::Store(why)
    }
}

fn invalid(text: &str) -> Refused {
    Refused::Request(422, error::INVALID_REQUEST, text.to_owned())
}

fn not_found(text: &str) -> Refused {
    Refused::Request(404, error::NOT_FOUND, text.to_owned())
}

/// A change that somebody else's was faster than; tried this often before it is given up.
const CLASHES_MAX: u32 = 5;

pub async fn perform(psp: &SandboxPsp, account: &Account, scripted: bool, call: Call) -> Result<Done, Refused> {
    match call {
        Call::Payment(kind, request) => pay(psp, account, scripted, kind, request).await,
        Call::FollowUp(kind, request) => follow_up(psp, account, scripted, kind, request).await,
        Call::Close(request) => close(psp, account, &request).await,
    }
}

async fn pay(
    psp: &SandboxPsp,
    account: &Account,
    scripted: bool,
    kind: &'static str,
    request: PaymentRequest,
) -> Result<Done, Refused> {
    check(kind, &request)?;
    let mut stored = Stored {
        transaction: Transaction {
            id: psp.new_id(prefix(kind)),
            reference: Some(request.reference),
            kind: kind.to_owned(),
            amount: request.amount,
            currency: request.currency,
            ..Transaction::default()
        },
        method: request.method,
        notify_url: request.notify_url,
        signer: account.signer,
        return_url: request.return_url,
        description: request.description,
        store_means: request.store_means,
        scripted,
        expires_at: request.expires_at,
        expected: request.expected_amount,
        token: request.means.as_ref().and_then(|means| means.token.clone()),
        another_card: false,
    };
    let mut unit = Unit::new("sandbox payment");
    let Some(given) = request.means else {
        return open_page(psp, account, stored, unit).await;
    };
    let before_answer = match accept_means(psp, account, &given, &stored).await? {
        Judged::Refused(reason, message) => {
            settle::decline(psp, &mut stored, reason, message);
            Vec::new()
        }
        Judged::Good(means) => decide(psp, account, &mut stored, means, &mut unit),
    };
    table::insert(&mut unit, &stored.row(&account.id, None));
    finish(psp, unit, stored, before_answer).await
}

fn check(kind: &str, request: &PaymentRequest) -> Result<(), Refused> {
    if Currency::parse(&request.currency).is_none() {
        return Err(invalid("currency: is not one"));
    }
    let smallest = if kind == kind::CHARGE { 1 } else { 0 };
    if request.amount < smallest {
        return Err(invalid("amount: is too small"));
    }
    match (kind, request.method.as_str()) {
        (_, method::CARD) | (kind::CHARGE | kind::MEANS, method::DIRECT_DEBIT) => Ok(()),
        (_, method::DIRECT_DEBIT) => Err(invalid("method: a direct debit cannot be reserved")),
        _ => Err(invalid("method: is not one")),
    }
}

fn prefix(kind: &str) -> &'static str {
    match kind {
        kind::PREAUTH => "pre",
        kind::CHARGE => "chg",
        kind::MEANS => "mns",
        kind::CAPTURE => "cap",
        kind::RELEASE => "rel",
        kind::REFUND => "ref",
        _ => "txn",
    }
}

/// A payer has to come and approve.
async fn open_page(psp: &SandboxPsp, account: &Account, mut stored: Stored, mut unit: Unit) -> Result<Done, Refused> {
    let session = hex(&psp.clock().random::<16>());
    stored.transaction.state = state::PENDING.to_owned();
    stored.transaction.stage = Some(stage::AWAITING_PAYER.to_owned());
    stored.transaction.redirect_url = Some(format!("{}/sandbox/pay/{session}", psp.inner.public_url));
    stored.transaction.occurred_at = psp.clock().now().0;
    table::insert(&mut unit, &stored.row(&account.id, Some(session)));
    let outlives = stored.script() == Some(Script::PaidAfterExpiry);
    if let Some(at) = stored.expires_at.filter(|_| !outlives) {
        let id = &stored.transaction.id;
        let job = settle::job(psp, &account.id, id, Action::Expire, String::new(), Duration::ZERO);
        // The caller's own time, and so not one of our waits.
        table::insert_job(&mut unit, &JobRow { due_ms: Timestamp(at).0, ..job });
    }
    finish(psp, unit, stored, Vec::new()).await
}

/// What a call's means are worth.
enum Judged {
    /// With what may be shown of them, where they are to be stored or are asked about.
    Good(Option<Box<MeansStored>>),
    Refused(&'static str, &'static str),
}

/// What signs for the sandbox's merchants: the test creditor of the German banks.
const CREDITOR_ID: &str = "DE98ZZZ09999999999";

/// Looks at the means a call brings.
async fn accept_means(
    psp: &SandboxPsp,
    account: &Account,
    given: &MeansGiven,
    stored: &Stored,
) -> Result<Judged, StoreError> {
    if let Some(token) = &given.token {
        let found = table::means(psp.store(), &account.id, token).await?;
        if found.as_ref().is_some_and(|means| means.revoked_at.is_some()) {
            return Ok(Judged::Refused(reason::BEARER_INVALID, "these means have been revoked"));
        }
        let means = match &found {
            Some(means) => Some((means.method.as_str(), shown(means, token))),
            None if stored.store_means => legacy(token),
            None => None,
        };
        return Ok(match means {
            Some((method, means)) if method == stored.method => {
                Judged::Good(stored.store_means.then(|| Box::new(means)))
            }
            Some(_) | None => Judged::Refused(reason::BEARER_INVALID, "no such means are stored"),
        });
    }
    if stored.method == method::CARD {
        return Ok(Judged::Refused(reason::BEARER_INVALID, "a card is given by its token, or on our page"));
    }
    let Some(iban) = given.iban.as_deref().and_then(iban::normalise) else {
        return Ok(Judged::Refused(reason::IBAN_INVALID, "the IBAN is not one"));
    };
    let mandate = given.mandate_reference.clone();
    let means = MeansStored {
        token: new_token(psp),
        holder: given.holder.clone(),
        country: iban.get(..2).map(str::to_owned),
        masked_iban: Some(iban::masked(&iban)),
        mandate_reference: Some(mandate.unwrap_or_else(|| psp.new_id("mandate"))),
        mandate_signature_date: Some(settle::day(psp.clock().now())),
        creditor_id: Some(CREDITOR_ID.to_owned()),
        ..MeansStored::default()
    };
    Ok(Judged::Good(stored.store_means.then(|| Box::new(means))))
}

/// What may be shown of stored means. Rows of an earlier version hold nothing but the token.
fn shown(means: &MeansRow, token: &str) -> MeansStored {
    let known = means.shown.as_deref().and_then(|text| serde_json::from_str(text).ok());
    known.unwrap_or_else(|| MeansStored { token: token.to_owned(), ..MeansStored::default() })
}

/// Shortest and longest end of a legacy token.
const LEGACY_END: std::ops::RangeInclusive<usize> = 4..=64;

/// Means from before: their method, and what may be shown of them.
fn legacy(token: &str) -> Option<(&'static str, MeansStored)> {
    let text = |text: &str| Some(text.to_owned());
    let known = |end: &str| LEGACY_END.contains(&end.len()) && end.bytes().all(|b| b.is_ascii_alphanumeric());
    let holder = text("Legacy Payer");
    let means = MeansStored { token: token.to_owned(), holder, country: text("DE"), ..MeansStored::default() };
    if let Some(end) = token.strip_prefix(LEGACY_CARD_PREFIX).filter(|end| known(end)) {
        let last4 = &end[end.len() - 4..];
        let card = MeansStored {
            card_type: text("Visa"),
            last4: text(last4),
            masked_card_pan: Some(format!("424242******{last4}")),
            expiry_month: text("12"),
            expiry_year: text("2034"),
            ..means
        };
        return Some((method::CARD, card));
    }
    let end = token.strip_prefix(LEGACY_DEBIT_PREFIX).filter(|end| known(end))?;
    let debit = MeansStored {
        masked_iban: Some(format!("DE****{}", &end[end.len() - 4..])),
        mandate_reference: Some(format!("LEGACY-{}", end.to_ascii_uppercase())),
        mandate_signature_date: text("2020-01-31"),
        creditor_id: text(CREDITOR_ID),
        ..means
    };
    Some((method::DIRECT_DEBIT, debit))
}

fn new_token(psp: &SandboxPsp) -> String {
    format!("tok_{}", hex(&psp.clock().random::<16>()))
}

/// Stores means, and shows them in the transaction that does.
fn keep(account: &Account, stored: &mut Stored, means: MeansStored, unit: &mut Unit) {
    table::insert_means(
        unit,
        &MeansRow {
            account: account.id.clone(),
            token: means.token.clone(),
            method: stored.method.clone(),
            // Texts always have a JSON form.
            shown: serde_json::to_string(&means).ok(),
            stored_by: Some(stored.transaction.id.clone()),
            revoked_at: None,
        },
    );
    stored.transaction.means = Some(means);
}

/// What the sandbox's test card looks like once it is stored.
fn test_card(psp: &SandboxPsp) -> MeansStored {
    let text = |text: &str| Some(text.to_owned());
    MeansStored {
        token: new_token(psp),
        card_type: text("Visa"),
        holder: text("Test Payer"),
        last4: text("4242"),
        masked_card_pan: text("424242******4242"),
        expiry_month: text("12"),
        expiry_year: text("2034"),
        country: text("DE"),
        ..MeansStored::default()
    }
}

/// Ends a transaction of a call, or says when it will end.
fn decide(
    psp: &SandboxPsp,
    account: &Account,
    stored: &mut Stored,
    means: Option<Box<MeansStored>>,
    unit: &mut Unit,
) -> Vec<JobRow> {
    let ending = settle::ending(stored);
    if let (Ending::Now | Ending::Later, Some(means)) = (&ending, means) {
        keep(account, stored, *means, unit);
    }
    match ending {
        Ending::Now => {
            settle::succeed(psp, stored);
            settle::after_success(psp, &account.id, stored, false, unit)
        }
        Ending::Later => {
            settle::send(psp, stored);
            let id = &stored.transaction.id;
            table::insert_job(unit, &settle::job(psp, &account.id, id, Action::Settle, String::new(), settle::LATER));
            Vec::new()
        }
        Ending::Declined(reason, message) => {
            settle::decline(psp, stored, reason, message);
            Vec::new()
        }
    }
}

async fn finish(psp: &SandboxPsp, unit: Unit, stored: Stored, before_answer: Vec<JobRow>) -> Result<Done, Refused> {
    match psp.store().run(unit).await? {
        Ok(()) => {
            nudge(psp, &stored);
            Ok(Done { transaction: stored.transaction, before_answer })
        }
        Err(refusal) => Err(Refused::Store(StoreError::Corrupt(format!("a new sandbox transaction: {refusal:?}")))),
    }
}

/// Wakes the pump where a transaction may have left it something to do; most have not.
fn nudge(psp: &SandboxPsp, stored: &Stored) {
    if stored.is_pending() || stored.script().is_some() {
        psp.inner.added.notify_one();
    }
}

async fn follow_up(
    psp: &SandboxPsp,
    account: &Account,
    scripted: bool,
    kind: &'static str,
    request: FollowUpRequest,
) -> Result<Done, Refused> {
    let smallest = if kind == kind::RELEASE { 0 } else { 1 };
    if request.amount < smallest {
        return Err(invalid("amount: is too small"));
    }
    let parent = parent(psp, account, kind, &request).await?;
    let whole = Stored::read(&parent)?;
    if whole.transaction.currency != request.currency {
        return Err(invalid("currency: is not the parent's"));
    }
    let mut stored = Stored {
        transaction: Transaction {
            id: psp.new_id(prefix(kind)),
            reference: Some(request.reference),
            parent_id: Some(parent.id.clone()),
            parent_reference: parent.reference.clone(),
            kind: kind.to_owned(),
            amount: request.amount,
            currency: request.currency,
            ..Transaction::default()
        },
        method: whole.method.clone(),
        notify_url: request.notify_url,
        signer: account.signer,
        return_url: String::new(),
        description: request.description,
        store_means: false,
        scripted,
        expires_at: None,
        expected: None,
        token: None,
        another_card: false,
    };
    let mut unit = Unit::new("sandbox follow-up");
    if whole.transaction.state != whole.good_state() {
        settle::decline(psp, &mut stored, reason::PARENT_STATE, "the parent is not in a state for this");
        table::insert(&mut unit, &stored.row(&account.id, None));
        return finish(psp, unit, stored, Vec::new()).await;
    }
    if !matches!(settle::ending(&stored), Ending::Declined(..)) {
        table::take(&mut unit, &parent.id, request.amount);
    }
    let mut good = stored.clone();
    let before_answer = decide(psp, account, &mut good, None, &mut unit);
    table::insert(&mut unit, &good.row(&account.id, None));
    match psp.store().run(unit).await? {
        Ok(()) => {
            nudge(psp, &good);
            Ok(Done { transaction: good.transaction, before_answer })
        }
        Err(Refusal::Short) => {
            settle::decline(psp, &mut stored, reason::AMOUNT_EXCEEDED, "more than is left");
            let mut unit = Unit::new("sandbox follow-up declined");
            table::insert(&mut unit, &stored.row(&account.id, None));
            finish(psp, unit, stored, Vec::new()).await
        }
        Err(refusal) => Err(Refused::Store(StoreError::Corrupt(format!("a sandbox follow-up: {refusal:?}")))),
    }
}

/// The transaction that a follow-up is for: by id where that is given, else the newest under the reference.
async fn parent(
    psp: &SandboxPsp,
    account: &Account,
    kind: &str,
    request: &FollowUpRequest,
) -> Result<TransactionRow, Refused> {
    let kinds: &[&str] = if kind == kind::REFUND { &[kind::CHARGE, kind::CAPTURE] } else { &[kind::PREAUTH] };
    let found = match &request.parent_id {
        Some(id) => table::by_id(psp.store(), &account.id, id).await?,
        None => table::by_reference(psp.store(), &account.id, &request.parent_reference).await?.pop(),
    };
    found
        .filter(|row| kinds.contains(&row.kind.as_str()))
        .filter(|row| row.reference.as_deref() == Some(request.parent_reference.as_str()))
        .ok_or_else(|| not_found("no such parent"))
}

async fn close(psp: &SandboxPsp, account: &Account, request: &CloseRequest) -> Result<Done, Refused> {
    for _ in 0..CLASHES_MAX {
        let found = table::by_reference(psp.store(), &account.id, &request.reference).await?.pop();
        let row = found.ok_or_else(|| not_found("no transaction has this reference"))?;
        let mut stored = Stored::read(&row)?;
        // What was handed on already goes its way; and this PSP may not be able to end a page.
        if !stored.awaits_payer() || stored.script() == Some(Script::PaidAfterExpiry) {
            return Ok(Done { transaction: stored.transaction, before_answer: Vec::new() });
        }
        match stored.another_card {
            // It was declined, and stays so.
            true => stored.another_card = false,
            false => settle::end(psp, &mut stored, state::CANCELLED),
        }
        let mut unit = Unit::new("sandbox close");
        table::change(&mut unit, &stored.over(&row));
        if psp.store().run(unit).await?.is_ok() {
            return Ok(Done { transaction: stored.transaction, before_answer: Vec::new() });
        }
    }
    Err(Refused::Store(StoreError::Busy))
}

/// What the payer does on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Approve,
    /// The card is declined, and the payer stays to try another.
    DeclineFirst,
    Decline,
    Abort,
}

/// Ends, or sends on, the transaction of a page. Answers with what it then is; pressing twice changes nothing.
pub async fn choose(psp: &SandboxPsp, session: &str, choice: Choice) -> Result<Option<Stored>, StoreError> {
    for _ in 0..CLASHES_MAX {
        let Some(row) = table::by_session(psp.store(), session).await? else { return Ok(None) };
        let mut stored = Stored::read(&row)?;
        if !stored.awaits_payer() {
            return Ok(Some(stored));
        }
        let account = Account { id: row.account.clone(), signer: stored.signer };
        let mut unit = Unit::new("sandbox page");
        stored.another_card = choice == Choice::DeclineFirst;
        match choice {
            Choice::Approve => approve(psp, &account, &mut stored, &mut unit),
            Choice::DeclineFirst => settle::decline(psp, &mut stored, reason::REJECTED, "the first card was declined"),
            Choice::Decline => settle::decline(psp, &mut stored, reason::REJECTED, "declined on the sandbox's page"),
            Choice::Abort => settle::decline(psp, &mut stored, reason::ABORTED_BY_PAYER, "the payer went away"),
        }
        if stored.transaction.state == state::DECLINED {
            tell(psp, &account, &stored, &mut unit);
        }
        table::change(&mut unit, &stored.over(&row));
        if psp.store().run(unit).await?.is_ok() {
            psp.inner.added.notify_one();
            return Ok(Some(stored));
        }
    }
    Err(StoreError::Busy)
}

fn approve(psp: &SandboxPsp, account: &Account, stored: &mut Stored, unit: &mut Unit) {
    let ending = settle::ending(stored);
    if matches!(ending, Ending::Now | Ending::Later) && stored.store_means {
        keep(account, stored, test_card(psp), unit);
    }
    match ending {
        Ending::Now => {
            settle::succeed(psp, stored);
            settle::after_success(psp, &account.id, stored, true, unit);
        }
        Ending::Later => {
            settle::send(psp, stored);
            let id = &stored.transaction.id;
            let job = settle::job(psp, &account.id, id, Action::Settle, String::new(), settle::LATER);
            table::insert_job(unit, &job);
        }
        Ending::Declined(reason, message) => settle::decline(psp, stored, reason, message),
    }
}

fn tell(psp: &SandboxPsp, account: &Account, stored: &Stored, unit: &mut Unit) {
    let body = settle::notice(psp, &stored.transaction, notice_type::TRANSACTION);
    let id = &stored.transaction.id;
    table::insert_job(unit, &settle::job(psp, &account.id, id, Action::Notice, body, Duration::ZERO));
}
