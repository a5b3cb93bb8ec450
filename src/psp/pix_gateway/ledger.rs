//! What requests do, and how transactions end: one record each, changed together with the account's balance and the jobs
//! that tell of it.

use rialto_adapters::pix_gateway::contract::{
    self, Account as Holder, ChargeRequest, Decimal, Event, Notice, PayRequest, ReimbursementRequest, Statement,
    Transaction, TransactionError, error_type, event, event_status, field, flow, search, status,
};
use rialto_adapters::port::ids::pix_id;
use rialto_adapters::port::{Civil, Currency, Duration, Money, Timestamp};
use serde::{Deserialize, Serialize};

use super::NAME;
use super::check::{self, Wrong};
use crate::psp::simulator::Simulator;
use crate::psp::simulator::faults::{Fault, Faults};
use crate::store::simulator::{self as table, Filter, Job, Record};
use crate::store::{StoreError, Unit};

/// How long withdrawals and refunds take.
const SETTLES_AFTER: Duration = Duration::from_secs(2);
/// What an account begins with: a million.
const OPENING_MINOR: i64 = 100_000_000;
/// How often a change is tried anew that somebody else was faster than.
const RACES_MAX: usize = 32;
/// The bank that payers, and payees, have their accounts at.
const ISPB: &str = "10573521";
/// A CPF that compliance refuses.
const IRREGULAR: &str = "00000000191";

const TRANSACTION: &str = "transaction";
const BALANCE: &str = "balance";

/// What is put off.
mod word {
    pub const SETTLE: &str = "settle";
    pub const RETURN: &str = "return";
    pub const VOID: &str = "void";
}

/// Why a request did nothing.
#[derive(Debug)]
pub enum Refused {
    Wrong(Wrong),
    /// Kept as failed, and told so.
    Failed(Box<Transaction>),
    NotFound,
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(why: StoreError) -> Refused {
        Refused::Store(why)
    }
}

fn refused(field: &str, text: &str) -> Refused {
    Refused::Wrong(check::one(field, text))
}

/// A transaction as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    told: Transaction,
    /// Of the call that made it.
    faults: String,
    document: String,
    asked_minor: i64,
    paid_minor: i64,
    /// Refunds accepted, whether they have gone out or not.
    refunded_minor: i64,
}

impl Stored {
    fn read(record: &Record) -> Result<Stored, StoreError> {
        serde_json::from_str(&record.body).map_err(|why| StoreError::Corrupt(format!("a transaction of {NAME}: {why}")))
    }

    fn faults(&self) -> Faults {
        Faults::parse(&self.faults).unwrap_or_default()
    }

    fn has(&self, word: &str) -> bool {
        self.told.events.iter().any(|event| event.event_type == word)
    }

    /// What the bank moves of an amount: half of it where that is to go wrong.
    fn moved(&self, minor: i64, faults: &Faults) -> i64 {
        if faults.has(Fault::WrongAmount) { (minor / 2).max(1) } else { minor }
    }
}

/// A new charge.
pub async fn charge(
    simulator: &Simulator,
    public_url: &str,
    account: &str,
    request: ChargeRequest,
    amount: Money,
    faults: &Faults,
) -> Result<Transaction, Refused> {
    let at = simulator.clock().now();
    let id = simulator.clock().new_id().to_string();
    let compliant = request.document_number != IRREGULAR;
    let mut auth = new_event(simulator, event::AUTH, amount.minor, at);
    auth.status = Some(event_status::SUCCESS.to_owned());
    if compliant {
        let address = format!("{public_url}/_simulate/pay/{id}");
        auth.qrcode_image = Some(crate::pages::qr_data_uri(&address));
        auth.qrcode = Some(address);
    } else {
        (auth.success, auth.status) = (Some(false), Some(event_status::DECLINED.to_owned()));
    }
    let mut told = Transaction {
        id,
        merchant_transaction_id: Some(request.merchant_transaction_id),
        first_name: Some(request.first_name),
        last_name: Some(request.last_name),
        email: Some(request.email),
        events: vec![auth],
        ..new_transaction(simulator, account, at)
    };
    if !compliant {
        fail(&mut told);
    }
    let stored = Stored {
        told,
        faults: faults.to_string(),
        document: request.document_number,
        asked_minor: amount.minor,
        paid_minor: 0,
        refunded_minor: 0,
    };
    let mut unit = Unit::new("pix simulator charge");
    insert(&mut unit, account, &stored, at);
    if simulator.store().run(unit).await?.is_err() {
        return Err(refused(field::MERCHANT_TRANSACTION_ID, "has already been taken"));
    }
    if !compliant {
        return Err(Refused::Failed(Box::new(stored.told)));
    }
    if faults.has(Fault::Early) {
        paid(simulator, &stored.told.id, faults).await?;
    }
    Ok(stored.told)
}

/// What opening the address of a charge came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    Now,
    Already,
    Unknown,
}

/// Somebody pays a charge; by the faults it is somebody else, or another amount.
pub async fn paid(simulator: &Simulator, id: &str, extra: &Faults) -> Result<Paid, StoreError> {
    for _ in 0..RACES_MAX {
        let Some(record) = table::by_id(simulator.store(), NAME, TRANSACTION, id).await? else {
            return Ok(Paid::Unknown);
        };
        let mut stored = Stored::read(&record)?;
        if !stored.has(event::AUTH) || stored.told.status.is_some() {
            return Ok(Paid::Unknown);
        }
        if stored.has(event::CAPTURE) || stored.has(event::VOID) {
            return Ok(Paid::Already);
        }
        let before = notice(&stored.told);
        let faults = stored.faults().and(extra.clone());
        let at = simulator.clock().now();
        let minor = stored.moved(stored.asked_minor, &faults);
        let stranger = faults.has(Fault::ThirdParty);
        let (word, name, document) = match stranger {
            true => (event::VOID, "Somebody Else".to_owned(), "11144477735".to_owned()),
            false => (event::CAPTURE, full_name(&stored.told), stored.document.clone()),
        };
        if stranger && let Some(auth) = stored.told.events.iter_mut().find(|event| event.event_type == event::AUTH) {
            (auth.success, auth.status) = (Some(false), Some(event_status::DECLINED.to_owned()));
        }
        let (bank, bank_suffix) = (ISPB, simulator.clock().new_id().simple().to_string());
        let e2e = pix_id::new_end_to_end(bank, at, &bank_suffix[bank_suffix.len() - 11..]).to_lowercase();
        stored.told.e2e_id = Some(e2e.clone());
        stored.told.document_number = Some(masked(&stored.document, 4, 4));
        stored.told.statement = Some(vec![movement(&name, &document, minor, &e2e, at)]);
        push(simulator, &mut stored, word, minor, at);
        if !stranger {
            stored.paid_minor = minor;
        }
        let delta = if stranger { 0 } else { minor };
        if commit(simulator, &record, &stored, delta, &faults, &before, |_| {}).await? {
            return Ok(Paid::Now);
        }
    }
    Err(StoreError::Busy)
}

/// A new withdrawal.
pub async fn pay(
    simulator: &Simulator,
    account: &str,
    request: PayRequest,
    amount: Money,
    faults: &Faults,
) -> Result<Transaction, Refused> {
    let at = simulator.clock().now();
    let compliant = request.document_number != IRREGULAR;
    let mut payment = new_event(simulator, event::PAYMENT, amount.minor, at);
    payment.status = Some(event_status::PENDING_SETTLEMENT.to_owned());
    payment.pix_key_type = Some(request.pix_key_type);
    payment.pix_key_value = Some(request.pix_key_value);
    payment.pix_message = request.pix_message;
    if !compliant {
        (payment.success, payment.status) = (Some(false), Some(event_status::DECLINED.to_owned()));
    }
    let mut told = Transaction {
        id: simulator.clock().new_id().to_string(),
        merchant_transaction_id: Some(request.merchant_transaction_id.clone()),
        flow_type: Some(flow::CASH_OUT.to_owned()),
        first_name: Some(request.first_name),
        last_name: Some(request.last_name),
        email: Some(request.email),
        events: vec![payment],
        ..new_transaction(simulator, account, at)
    };
    if !compliant {
        fail(&mut told);
    }
    let stored = Stored {
        told,
        faults: faults.to_string(),
        document: request.document_number,
        asked_minor: amount.minor,
        paid_minor: 0,
        refunded_minor: 0,
    };
    for _ in 0..RACES_MAX {
        let name = &request.merchant_transaction_id;
        if table::by_name(simulator.store(), NAME, TRANSACTION, account, name).await?.is_some() {
            return Err(refused(field::MERCHANT_TRANSACTION_ID, "has already been taken"));
        }
        let mut unit = Unit::new("pix simulator pay");
        insert(&mut unit, account, &stored, at);
        if !compliant {
            let _ = simulator.store().run(unit).await?;
            return Err(Refused::Failed(Box::new(stored.told)));
        }
        if !draw(simulator, &mut unit, account, -amount.minor).await? {
            return Err(refused(field::BASE, "Insufficient funds"));
        }
        simulator.later(&mut unit, account, &stored.told.id, word::SETTLE, "", SETTLES_AFTER);
        // Refused: somebody else has used the id, or moved the balance. The next round tells which.
        if simulator.store().run(unit).await?.is_ok() {
            if faults.has(Fault::Early) {
                settle(simulator, &stored.told.id).await?;
            }
            return Ok(stored.told);
        }
    }
    Err(Refused::Store(StoreError::Busy))
}

/// A refund of a deposit; it goes out later.
pub async fn reimburse(
    simulator: &Simulator,
    account: &str,
    request: ReimbursementRequest,
    amount: Option<Money>,
    faults: &Faults,
) -> Result<Transaction, Refused> {
    for _ in 0..RACES_MAX {
        let record = meant(simulator, account, &request).await?;
        let mut stored = Stored::read(&record)?;
        if !stored.has(event::CAPTURE) {
            return Err(refused(field::BASE, "only a paid charge can be refunded"));
        }
        let left = stored.paid_minor - stored.refunded_minor;
        let minor = amount.map_or(left, |amount| amount.minor);
        if minor > left || minor == 0 {
            return Err(refused(field::AMOUNT, "is more than is left of the charge"));
        }
        stored.refunded_minor += minor;
        let told = stored.told.clone();
        let void = format!("{minor}/{faults}");
        let wait = if faults.has(Fault::Early) { Duration::ZERO } else { SETTLES_AFTER };
        let mut unit = Unit::new("pix simulator refund");
        if !draw(simulator, &mut unit, account, -minor).await? {
            return Err(refused(field::BASE, "Insufficient funds"));
        }
        table::change(&mut unit, &Record { body: body(&stored), ..record });
        simulator.later(&mut unit, account, &told.id, word::VOID, &void, wait);
        if simulator.store().run(unit).await?.is_ok() {
            return Ok(told);
        }
    }
    Err(Refused::Store(StoreError::Busy))
}

/// The one deposit that all the given ids name.
async fn meant(simulator: &Simulator, account: &str, request: &ReimbursementRequest) -> Result<Record, Refused> {
    let store = simulator.store();
    let mut found: Option<Record> = match (&request.transaction_id, &request.merchant_transaction_id) {
        (Some(id), _) => table::by_id(store, NAME, TRANSACTION, id).await?,
        (None, Some(name)) => table::by_name(store, NAME, TRANSACTION, account, name).await?,
        // The gateway finds them by this id too; here a page of the newest must do.
        (None, None) => {
            let (rows, _) = table::list(store, NAME, TRANSACTION, account, &Filter::default(), 0, 200).await?;
            rows.into_iter().find(|row| Stored::read(row).is_ok_and(|stored| stored.told.e2e_id == request.e2e_id))
        }
    };
    found = found.filter(|record| record.account == account);
    let Some(record) = found else { return Err(Refused::NotFound) };
    let told = Stored::read(&record)?.told;
    let named = request.merchant_transaction_id.as_ref().is_none_or(|name| record.name.as_ref() == Some(name));
    let by_scheme = request.e2e_id.as_ref().is_none_or(|e2e| told.e2e_id.as_ref() == Some(e2e));
    match named && by_scheme {
        true => Ok(record),
        false => Err(refused(field::BASE, "the ids name different transactions")),
    }
}

/// Does what was put off.
pub async fn act(simulator: &Simulator, job: &Job) -> Result<(), StoreError> {
    match job.action.as_str() {
        word::SETTLE => settle(simulator, &job.subject).await,
        word::RETURN => returned(simulator, &job.subject).await,
        word::VOID => void(simulator, job).await,
        other => Err(StoreError::Corrupt(format!("no such job of {NAME}: {other}"))),
    }
}

/// The bank's word on a withdrawal.
async fn settle(simulator: &Simulator, id: &str) -> Result<(), StoreError> {
    for _ in 0..RACES_MAX {
        let Some(record) = table::by_id(simulator.store(), NAME, TRANSACTION, id).await? else { return Ok(()) };
        let mut stored = Stored::read(&record)?;
        if stored.has(event::TRANSFER) || stored.has(event::REFUND) {
            return Ok(());
        }
        let (before, faults, at) = (notice(&stored.told), stored.faults(), simulator.clock().now());
        let refuses = faults.has(Fault::BankRefuses);
        if let Some(payment) = stored.told.events.first_mut() {
            payment.success = Some(!refuses);
            payment.status = None;
        }
        stored.told.document_number = refuses.then(|| masked(&stored.document, 4, 4));
        if refuses {
            refuse(&mut stored.told);
            let minor = stored.asked_minor;
            push(simulator, &mut stored, event::REFUND, minor, at);
            if commit(simulator, &record, &stored, minor, &faults, &before, |_| {}).await? {
                return Ok(());
            }
            continue;
        }
        let minor = stored.moved(stored.asked_minor, &faults);
        let suffix = simulator.clock().new_id().simple().to_string();
        let e2e = pix_id::new_end_to_end(ISPB, at, &suffix[suffix.len() - 11..]).to_lowercase();
        stored.told.status = Some(status::SUCCESS.to_owned());
        stored.told.statement = Some(vec![movement(&full_name(&stored.told), &stored.document, minor, &e2e, at)]);
        stored.told.e2e_id = Some(e2e);
        push(simulator, &mut stored, event::TRANSFER, minor, at);
        let comes_back = |unit: &mut Unit| {
            if faults.has(Fault::Returned) {
                simulator.later(unit, &record.account, id, word::RETURN, "", SETTLES_AFTER);
            }
        };
        if commit(simulator, &record, &stored, 0, &faults, &before, comes_back).await? {
            return Ok(());
        }
    }
    Err(StoreError::Busy)
}

/// A withdrawal that was done comes back.
async fn returned(simulator: &Simulator, id: &str) -> Result<(), StoreError> {
    for _ in 0..RACES_MAX {
        let Some(record) = table::by_id(simulator.store(), NAME, TRANSACTION, id).await? else { return Ok(()) };
        let mut stored = Stored::read(&record)?;
        if stored.has(event::REFUND) {
            return Ok(());
        }
        let (before, faults, at) = (notice(&stored.told), stored.faults(), simulator.clock().now());
        refuse(&mut stored.told);
        let minor = stored.moved(stored.asked_minor, &faults);
        push(simulator, &mut stored, event::REFUND, minor, at);
        if commit(simulator, &record, &stored, minor, &faults, &before, |_| {}).await? {
            return Ok(());
        }
    }
    Err(StoreError::Busy)
}

/// A refund goes out. The job's id is the event's, so that it goes out once.
async fn void(simulator: &Simulator, job: &Job) -> Result<(), StoreError> {
    let (minor, faults) = job.body.split_once('/').unwrap_or((&job.body, ""));
    let minor: i64 = minor.parse().map_err(|_| StoreError::Corrupt(format!("a refund of {NAME}: {minor}")))?;
    let own = Faults::parse(faults).unwrap_or_default();
    for _ in 0..RACES_MAX {
        let Some(record) = table::by_id(simulator.store(), NAME, TRANSACTION, &job.subject).await? else {
            return Ok(());
        };
        let mut stored = Stored::read(&record)?;
        if stored.told.events.iter().any(|event| event.id == job.id) {
            return Ok(());
        }
        let (before, at) = (notice(&stored.told), simulator.clock().now());
        let minor = stored.moved(minor, &own);
        push(simulator, &mut stored, event::VOID, minor, at);
        if let Some(event) = stored.told.events.first_mut() {
            event.id.clone_from(&job.id);
            event.status = Some(event_status::SUCCESS.to_owned());
        }
        if commit(simulator, &record, &stored, 0, &own, &before, |_| {}).await? {
            return Ok(());
        }
    }
    Err(StoreError::Busy)
}

/// Writes a changed transaction, what it does to the balance, and the notice of it. False where somebody was faster.
async fn commit(
    simulator: &Simulator,
    record: &Record,
    stored: &Stored,
    delta_minor: i64,
    faults: &Faults,
    before: &str,
    more: impl FnOnce(&mut Unit),
) -> Result<bool, StoreError> {
    let mut unit = Unit::new("pix simulator change");
    let changed = Record { body: body(stored), updated_ms: simulator.clock().now().0, ..record.clone() };
    table::change(&mut unit, &changed);
    if delta_minor != 0 {
        draw(simulator, &mut unit, &record.account, delta_minor).await?;
    }
    simulator.notice(&mut unit, &record.account, &record.id, &notice(&stored.told), before, faults);
    more(&mut unit);
    Ok(simulator.store().run(unit).await?.is_ok())
}

/// Moves the balance by so much. False where that is more than there is.
async fn draw(simulator: &Simulator, unit: &mut Unit, account: &str, delta_minor: i64) -> Result<bool, StoreError> {
    let now = simulator.clock().now().0;
    let known = table::by_id(simulator.store(), NAME, BALANCE, account).await?;
    let minor = known.as_ref().map_or(OPENING_MINOR, |record| record.body.parse().unwrap_or(0)) + delta_minor;
    match known {
        Some(record) => table::change(unit, &Record { body: minor.to_string(), updated_ms: now, ..record }),
        None => table::insert(
            unit,
            &Record {
                psp: NAME.to_owned(),
                kind: BALANCE.to_owned(),
                id: account.to_owned(),
                account: account.to_owned(),
                name: None,
                created_ms: now,
                updated_ms: now,
                version: 0,
                body: minor.to_string(),
            },
        ),
    }
    Ok(minor >= 0)
}

pub async fn balance(simulator: &Simulator, account: &str) -> Result<Money, StoreError> {
    let known = table::by_id(simulator.store(), NAME, BALANCE, account).await?;
    let minor = known.map_or(OPENING_MINOR, |record| record.body.parse().unwrap_or(0));
    Ok(Money::new(minor, Currency::BRL))
}

pub async fn one(simulator: &Simulator, account: &str, id: &str) -> Result<Option<Transaction>, StoreError> {
    let record = table::by_id(simulator.store(), NAME, TRANSACTION, id).await?;
    record.filter(|record| record.account == account).map(|record| Ok(Stored::read(&record)?.told)).transpose()
}

pub async fn named(simulator: &Simulator, account: &str, name: &str) -> Result<Vec<Transaction>, StoreError> {
    let record = table::by_name(simulator.store(), NAME, TRANSACTION, account, name).await?;
    record.iter().map(|record| Ok(Stored::read(record)?.told)).collect()
}

/// A page of a search, and how many rows there are in all.
pub async fn list(
    simulator: &Simulator,
    account: &str,
    filter: &Filter,
    page: u64,
) -> Result<(Vec<Transaction>, u64), StoreError> {
    let rows = search::ROWS as u64;
    let offset = page.saturating_sub(1).saturating_mul(rows);
    let (found, total) = table::list(simulator.store(), NAME, TRANSACTION, account, filter, offset, rows).await?;
    let told = found.iter().map(|record| Ok(Stored::read(record)?.told)).collect::<Result<_, StoreError>>()?;
    Ok((told, total))
}

fn insert(unit: &mut Unit, account: &str, stored: &Stored, at: Timestamp) {
    let record = Record {
        psp: NAME.to_owned(),
        kind: TRANSACTION.to_owned(),
        id: stored.told.id.clone(),
        account: account.to_owned(),
        name: stored.told.merchant_transaction_id.clone(),
        created_ms: at.0,
        updated_ms: at.0,
        version: 0,
        body: body(stored),
    };
    table::insert(unit, &record);
}

fn body(stored: &Stored) -> String {
    // Texts, numbers and lists of them always have a JSON form.
    serde_json::to_string(stored).expect("a stored transaction is JSON")
}

/// The notice of a transaction's newest event.
fn notice(told: &Transaction) -> String {
    let event = told.events.first().map_or_else(String::new, |event| event.event_type.clone());
    // As above.
    serde_json::to_string(&Notice { event, transaction: told.clone() }).expect("a notice is JSON")
}

fn new_transaction(simulator: &Simulator, account: &str, at: Timestamp) -> Transaction {
    Transaction {
        merchant_id: Some(account.chars().take(12).collect()),
        user_id: Some(simulator.clock().new_id().to_string()),
        processor_id: Some(NAME.to_owned()),
        transaction_type: Some("pix".to_owned()),
        created_at: Some(written(at)),
        updated_at: Some(written(at)),
        ..Transaction::default()
    }
}

fn new_event(simulator: &Simulator, word: &str, minor: i64, at: Timestamp) -> Event {
    Event {
        id: simulator.clock().new_id().to_string(),
        success: Some(true),
        event_type: word.to_owned(),
        amount: Some(decimal(minor)),
        created_at: Some(written(at)),
        updated_at: Some(written(at)),
        ..Event::default()
    }
}

/// Adds an event, the newest first.
fn push(simulator: &Simulator, stored: &mut Stored, word: &str, minor: i64, at: Timestamp) {
    stored.told.events.insert(0, new_event(simulator, word, minor, at));
    stored.told.updated_at = Some(written(at));
}

fn fail(told: &mut Transaction) {
    told.status = Some(status::FAILED.to_owned());
    told.error = Some(TransactionError {
        code: Some(1),
        error_type: error_type::COMPLIANCE.to_owned(),
        message: Some("CPF is not regular.".to_owned()),
        meta: Some(serde_json::json!({"risk": {"customer_risk": "UNKNOWN", "block": true, "reason": null}})),
    });
}

fn refuse(told: &mut Transaction) {
    told.status = Some(status::FAILED.to_owned());
    told.error = Some(TransactionError {
        code: Some(4),
        error_type: error_type::BANK_CASH_OUT.to_owned(),
        message: Some("The transfer was rejected by the receiving bank".to_owned()),
        meta: Some(serde_json::json!([])),
    });
}

fn movement(name: &str, document: &str, minor: i64, e2e: &str, at: Timestamp) -> Statement {
    let Civil { year, month, day, hour, minute, second } = at.civil();
    Statement {
        acc_info: Holder {
            acc_number: Some("123456".to_owned()),
            acc_type: Some("checking".to_owned()),
            bank_agency: Some("1".to_owned()),
            bank_code: Some("001".to_owned()),
            document: Some(masked(document, 3, 3)),
            ispb: Some(ISPB.to_owned()),
            name: Some(name.to_owned()),
        },
        amount: Some(decimal(minor)),
        created_at: Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000Z")),
        date: Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")),
        e2e_id: Some(e2e.to_owned()),
    }
}

/// Three digits of a document, from the fifth on, between stars.
fn masked(document: &str, before: usize, after: usize) -> String {
    format!("{}{}{}", "*".repeat(before), document.get(4..7).unwrap_or("***"), "*".repeat(after))
}

fn full_name(told: &Transaction) -> String {
    [&told.first_name, &told.last_name].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn decimal(minor: i64) -> Decimal {
    contract::Decimal(Money::new(minor, Currency::BRL).to_major_padded())
}

/// As the gateway writes times: `2022-02-02T21:34:07+0000`.
fn written(at: Timestamp) -> String {
    let Civil { year, month, day, hour, minute, second } = at.civil();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+0000")
}
