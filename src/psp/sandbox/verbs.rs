//! What a request does.

use rialto_adapters::port::ids::iban;
use rialto_adapters::port::notice::hex;
use rialto_adapters::port::{Currency, Duration, Timestamp};
use rialto_adapters::sandbox::contract::{
    CloseRequest, FollowUpRequest, MeansGiven, MeansStored, PaymentRequest, Transaction, error, kind, method,
    notice_type, reason, stage, state,
};

use super::api::Call;
use super::model::Stored;
use super::settle::{self, Action, Ending};
use super::{Account, SandboxPsp};
use crate::store::sandbox_psp::{self as table, JobRow, TransactionRow};
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
    };
    let mut unit = Unit::new("sandbox payment");
    let Some(given) = request.means else {
        return open_page(psp, account, stored, unit).await;
    };
    let refused = accept_means(psp, account, &given, &mut stored, &mut unit).await?;
    let before_answer = match refused {
        Some((reason, message)) => {
            settle::decline(psp, &mut stored, reason, message);
            Vec::new()
        }
        None => decide(psp, account, &mut stored, &mut unit),
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
    if let Some(at) = stored.expires_at {
        let id = &stored.transaction.id;
        let job = settle::job(psp, &account.id, id, Action::Expire, String::new(), Duration::ZERO);
        // The caller's own time, and so not one of our waits.
        table::insert_job(&mut unit, &JobRow { due_ms: Timestamp(at).0, ..job });
    }
    finish(psp, unit, stored, Vec::new()).await
}

/// Looks at the means a call brings, and stores them where it asks for that. `Some`: they are no good, and why.
async fn accept_means(
    psp: &SandboxPsp,
    account: &Account,
    given: &MeansGiven,
    stored: &mut Stored,
    unit: &mut Unit,
) -> Result<Option<(&'static str, &'static str)>, StoreError> {
    if let Some(token) = &given.token {
        let method = table::means_method(psp.store(), &account.id, token).await?;
        let known = method.as_deref() == Some(stored.method.as_str());
        return Ok((!known).then_some((reason::BEARER_INVALID, "no such means are stored")));
    }
    if stored.method == method::CARD {
        return Ok(Some((reason::BEARER_INVALID, "a card is given by its token, or on our page")));
    }
    let Some(iban) = given.iban.as_deref().and_then(iban::normalise) else {
        return Ok(Some((reason::IBAN_INVALID, "the IBAN is not one")));
    };
    let mandate = given.mandate_reference.clone();
    let mut means = MeansStored {
        holder: given.holder.clone(),
        country: iban.get(..2).map(str::to_owned),
        masked_iban: Some(iban::masked(&iban)),
        mandate_reference: Some(mandate.unwrap_or_else(|| psp.new_id("mandate"))),
        ..MeansStored::default()
    };
    if stored.store_means {
        means.token = store_means(psp, account, &stored.method, unit);
        stored.transaction.means = Some(means);
    }
    Ok(None)
}

fn store_means(psp: &SandboxPsp, account: &Account, method: &str, unit: &mut Unit) -> String {
    let token = format!("tok_{}", hex(&psp.clock().random::<16>()));
    table::insert_means(unit, &account.id, &token, method);
    token
}

/// What the sandbox's test card looks like once it is stored.
pub fn test_card(psp: &SandboxPsp, account: &Account, unit: &mut Unit) -> MeansStored {
    let text = |text: &str| Some(text.to_owned());
    MeansStored {
        token: store_means(psp, account, method::CARD, unit),
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
fn decide(psp: &SandboxPsp, account: &Account, stored: &mut Stored, unit: &mut Unit) -> Vec<JobRow> {
    match settle::ending(stored) {
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
    let before_answer = decide(psp, account, &mut good, &mut unit);
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
        // What was handed on already goes its way.
        let open = stored.is_pending() && stored.transaction.stage.as_deref() == Some(stage::AWAITING_PAYER);
        if !open {
            return Ok(Done { transaction: stored.transaction, before_answer: Vec::new() });
        }
        settle::end(psp, &mut stored, state::CANCELLED);
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
    Decline,
    Abort,
}

/// Ends, or sends on, the transaction of a page. Answers with what it then is; pressing twice changes nothing.
pub async fn choose(psp: &SandboxPsp, session: &str, choice: Choice) -> Result<Option<Stored>, StoreError> {
    for _ in 0..CLASHES_MAX {
        let Some(row) = table::by_session(psp.store(), session).await? else { return Ok(None) };
        let mut stored = Stored::read(&row)?;
        if !stored.is_pending() || stored.transaction.stage.as_deref() != Some(stage::AWAITING_PAYER) {
            return Ok(Some(stored));
        }
        let account = Account { id: row.account.clone(), signer: stored.signer };
        let mut unit = Unit::new("sandbox page");
        match choice {
            Choice::Approve => approve(psp, &account, &mut stored, &mut unit),
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
    match settle::ending(stored) {
        Ending::Now => {
            if stored.store_means {
                stored.transaction.means = Some(test_card(psp, account, unit));
            }
            settle::succeed(psp, stored);
            settle::after_success(psp, &account.id, stored, true, unit);
        }
        Ending::Later => {
            if stored.store_means {
                stored.transaction.means = Some(test_card(psp, account, unit));
            }
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
