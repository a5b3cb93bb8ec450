//! What requests do, and what happens by itself: one record each, changed together with the events and jobs that tell of
//! it.

use poem::http::StatusCode;
use rialto_adapters::pientegra::contract::{
    Created, DepositRequest, Item, LedgerEvent, Minor, Notice, Page, Subject, WithdrawalRequest, delivery, error,
    event, intent, withdrawal,
};
use rialto_adapters::pientegra::iso;
use rialto_adapters::port::{Duration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::NAME;
use super::check::{Wanted, Wrong};
use crate::psp::simulator::Simulator;
use crate::psp::simulator::faults::{Fault, Faults};
use crate::store::simulator::{self as table, Filter, Job, Record, action, state};
use crate::store::{StoreError, Unit, hash_token};

/// How long each step of a review takes.
const DECIDED_AFTER: Duration = Duration::from_secs(2);
/// How long a deposit's page is open.
const PAGE_OPEN_FOR: Duration = Duration::from_secs(15 * 60);
/// How long an idempotency key is kept.
const KEY_KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// After this a call that has not ended is run again by whoever comes with its key.
const CLAIM_STALE_AFTER: Duration = Duration::from_secs(60);
/// How often a change is tried anew that somebody else was faster than.
const RACES_MAX: usize = 32;
/// Rows read at once, and in all, for a list.
const ROWS: u64 = 200;
const ROWS_MAX: u64 = 4000;
/// The account that payers transfer to.
pub const IBAN: &str = "TR330006100519786457841326";
pub const HOLDER: &str = "Ödeme Hizmetleri A.Ş.";

pub const INTENT: &str = "intent";
pub const WITHDRAWAL: &str = "withdrawal";
const EVENT: &str = "event";
const KEY: &str = "key";
const PAGE: &str = "page";

/// What is put off.
mod word {
    pub const EXPIRE: &str = "expire";
    pub const DECIDE: &str = "decide";
    pub const SEND: &str = "send";
    pub const RETURN: &str = "return";
}

/// A deposit or a withdrawal as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored {
    pub item: Item,
    /// Of the call that made it, and of whoever paid.
    faults: String,
    pub expires_ms: i64,
}

impl Stored {
    fn faults(&self) -> Faults {
        Faults::parse(&self.faults).unwrap_or_default()
    }

    pub fn status(&self) -> &str {
        self.item.status.as_deref().unwrap_or_default()
    }

    fn set(&mut self, status: &str) {
        self.item.status = Some(status.to_owned());
    }
}

/// An idempotency key as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claim {
    fingerprint: String,
    at_ms: i64,
    /// What was made, once the call has ended.
    made: Option<String>,
    answer: Option<Created>,
}

/// An event as it is kept, with the very bytes that are delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Told {
    subject: String,
    notice: Notice,
    body: String,
    /// Its delivery was given up before it began.
    lost: bool,
}

/// What is to be made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    Deposit(DepositRequest),
    Withdrawal(WithdrawalRequest),
}

/// Why a request did nothing.
#[derive(Debug)]
pub enum Refused {
    Wrong(Wrong),
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(why: StoreError) -> Refused {
        Refused::Store(why)
    }
}

fn conflict(code: &str, text: &str) -> Refused {
    Refused::Wrong(Wrong::new(StatusCode::CONFLICT, code, text))
}

fn read<T: DeserializeOwned>(record: &Record) -> Result<T, StoreError> {
    serde_json::from_str(&record.body)
        .map_err(|why| StoreError::Corrupt(format!("{} {} of {NAME}: {why}", record.kind, record.id)))
}

fn body(value: &impl Serialize) -> String {
    // Texts, numbers and lists of them always have a JSON form.
    serde_json::to_string(value).expect("a record is JSON")
}

fn record(kind: &str, id: &str, account: &str, name: Option<&str>, value: &impl Serialize, at: Timestamp) -> Record {
    Record {
        psp: NAME.to_owned(),
        kind: kind.to_owned(),
        id: id.to_owned(),
        account: account.to_owned(),
        name: name.map(str::to_owned),
        created_ms: at.0,
        updated_ms: at.0,
        version: 0,
        body: body(value),
    }
}

/// What a create call came to: the answer, the id of what was made, and whether it was made now.
pub struct Made {
    pub answer: Created,
    pub id: String,
    pub now: bool,
}

/// Makes what is wished, once for a key: the key is claimed, the thing is made, and the claim ends with its answer.
pub async fn make(
    simulator: &Simulator,
    public_url: &str,
    account: &str,
    key: &str,
    wish: &Wish,
    faults: &Faults,
) -> Result<Made, Refused> {
    let fingerprint = hash_token(&body(wish));
    for _ in 0..RACES_MAX {
        let now = simulator.clock().now();
        let claim = Claim { fingerprint: fingerprint.clone(), at_ms: now.0, made: None, answer: None };
        let mut unit = Unit::new("pientegra simulator claim");
        let held = match table::by_name(simulator.store(), NAME, KEY, account, key).await? {
            None => {
                let new = record(KEY, &simulator.clock().new_id().to_string(), account, Some(key), &claim, now);
                table::insert(&mut unit, &new);
                new
            }
            Some(old) => {
                let before: Claim = read(&old)?;
                let at = Timestamp(before.at_ms);
                if now < at.plus(KEY_KEPT_FOR) {
                    if before.fingerprint != fingerprint {
                        return Err(conflict(error::KEY_REUSED, "the key was used with another body"));
                    }
                    if let (Some(id), Some(answer)) = (before.made, before.answer) {
                        return Ok(Made { answer, id, now: false });
                    }
                    if now < at.plus(simulator.clock().wait(CLAIM_STALE_AFTER)) {
                        return Err(conflict(error::KEY_IN_FLIGHT, "the first call with this key is still running"));
                    }
                }
                let again = Record { body: body(&claim), updated_ms: now.0, ..old };
                table::change(&mut unit, &again);
                Record { version: again.version + 1, ..again }
            }
        };
        if simulator.store().run(unit).await?.is_err() {
            continue;
        }
        if let Some(made) = run(simulator, public_url, account, held, claim, wish, faults).await? {
            return Ok(made);
        }
    }
    Err(Refused::Store(StoreError::Busy))
}

/// The operation itself. `None`: somebody else has taken the claim over.
async fn run(
    simulator: &Simulator,
    public_url: &str,
    account: &str,
    held: Record,
    claim: Claim,
    wish: &Wish,
    faults: &Faults,
) -> Result<Option<Made>, StoreError> {
    let clock = simulator.clock();
    let (now, id) = (clock.now(), clock.new_id().to_string());
    let mut unit = Unit::new("pientegra simulator make");
    let number: u32 = u32::from_be_bytes(clock.random()) % 10_000_000;
    let early = faults.has(Fault::Early);
    let (kind, stored, answer) = match wish {
        Wish::Deposit(request) => {
            let expires_at = clock.after(PAGE_OPEN_FOR);
            let token = rialto_adapters::port::notice::hex(&clock.random::<24>());
            let reference_no = Some(format!("D-{}-{number:07}", now.civil().year));
            let item = Item {
                intent_id: Some(id.clone()),
                reference_no: reference_no.clone(),
                external_user_id: Some(request.external_user_id.clone()),
                status: Some(if early { intent::PENDING_REVIEW } else { intent::RESERVED }.to_owned()),
                requested_amount: Some(request.amount),
                amount: Some(request.amount),
                currency: Some("TRY".to_owned()),
                ..Item::default()
            };
            table::insert(&mut unit, &record(PAGE, &token, account, None, &id, now));
            simulator.later(&mut unit, account, &id, word::EXPIRE, "", PAGE_OPEN_FOR);
            let answer = Created {
                intent_id: Some(id.clone()),
                reference_no,
                deposit_url: Some(format!("{public_url}/d/{token}")),
                requested_amount: Some(request.amount),
                amount: Some(request.amount),
                currency: Some("TRY".to_owned()),
                expires_at: Some(iso(expires_at)),
                ..Created::default()
            };
            (INTENT, Stored { item, faults: faults.to_string(), expires_ms: expires_at.0 }, answer)
        }
        Wish::Withdrawal(request) => {
            let reference_no = Some(format!("W-{}-{number:07}", now.civil().year));
            let item = Item {
                withdrawal_id: Some(id.clone()),
                reference_no: reference_no.clone(),
                external_user_id: Some(request.external_user_id.clone()),
                status: Some(withdrawal::PENDING_REVIEW.to_owned()),
                amount: Some(request.amount),
                currency: Some("TRY".to_owned()),
                ..Item::default()
            };
            simulator.later(&mut unit, account, &id, word::DECIDE, WITHDRAWAL, DECIDED_AFTER);
            let answer = Created { withdrawal_id: Some(id.clone()), reference_no, ..Created::default() };
            (WITHDRAWAL, Stored { item, faults: faults.to_string(), expires_ms: 0 }, answer)
        }
    };
    table::insert(&mut unit, &record(kind, &id, account, None, &stored, now));
    if kind == WITHDRAWAL {
        tell(simulator, &mut unit, account, &stored, event::WITHDRAWAL_CREATED, faults);
    }
    let ended = Claim { made: Some(id.clone()), answer: Some(answer.clone()), ..claim };
    table::change(&mut unit, &Record { body: body(&ended), ..held });
    if simulator.store().run(unit).await?.is_err() {
        return Ok(None);
    }
    if early {
        decide(simulator, kind, &id).await?;
        if kind == WITHDRAWAL {
            sent(simulator, &id).await?;
        }
    }
    Ok(Some(Made { answer, id, now: true }))
}

/// Adds an event to the ledger, and its notice, to the unit that makes the change it tells of.
fn tell(simulator: &Simulator, unit: &mut Unit, account: &str, stored: &Stored, event_type: &str, faults: &Faults) {
    let now = simulator.clock().now();
    let notice = notice_of(simulator, stored, event_type, now);
    let told = Told {
        subject: id_of(&stored.item).to_owned(),
        body: body(&notice),
        notice: notice.clone(),
        lost: faults.has(Fault::Missing),
    };
    table::insert(unit, &record(EVENT, &notice.event_id, account, None, &told, now));
    // What it would have told a moment before.
    let (earlier, status) = match event_type {
        event::INTENT_APPROVED | event::INTENT_REJECTED => (event::INTENT_PENDING_REVIEW, intent::PENDING_REVIEW),
        _ => (event::WITHDRAWAL_CREATED, withdrawal::PENDING_REVIEW),
    };
    let mut before = stored.clone();
    before.set(status);
    let stale = notice_of(simulator, &before, earlier, now.minus(DECIDED_AFTER));
    simulator.notice(unit, account, &told.subject, &told.body, &body(&stale), faults);
}

/// In an event the id has a shorter name.
fn notice_of(simulator: &Simulator, stored: &Stored, event_type: &str, at: Timestamp) -> Notice {
    let own = &stored.item;
    let item = Item {
        id: Some(id_of(own).to_owned()),
        intent_id: None,
        withdrawal_id: None,
        approved_at: None,
        sent_at: None,
        rejected_at: None,
        returned_at: None,
        ..own.clone()
    };
    let (intent, withdrawal) = if own.intent_id.is_some() { (Some(item), None) } else { (None, Some(item)) };
    Notice {
        event_id: simulator.clock().new_id().to_string(),
        event_type: event_type.to_owned(),
        occurred_at: Some(iso(at)),
        intent,
        withdrawal,
        payload: None,
        data: None,
    }
}

pub fn id_of(item: &Item) -> &str {
    item.intent_id.as_deref().or(item.withdrawal_id.as_deref()).unwrap_or_default()
}

/// What a change of a record is to bring with it.
struct Change {
    /// The event that tells of it, if one does.
    event: Option<&'static str>,
    /// What is put off, and to what kind of record.
    later: Option<(&'static str, Duration)>,
}

/// Changes a record, unless `change` finds nothing to do. False where it does not exist, or did not change.
async fn change(
    simulator: &Simulator,
    kind: &str,
    id: &str,
    change: impl Fn(&mut Stored, Timestamp) -> Option<Change>,
) -> Result<bool, StoreError> {
    for _ in 0..RACES_MAX {
        let Some(found) = table::by_id(simulator.store(), NAME, kind, id).await? else { return Ok(false) };
        let mut stored: Stored = read(&found)?;
        let now = simulator.clock().now();
        let Some(Change { event, later }) = change(&mut stored, now) else { return Ok(false) };
        let mut unit = Unit::new("pientegra simulator change");
        let account = found.account.clone();
        table::change(&mut unit, &Record { body: body(&stored), updated_ms: now.0, ..found });
        if let Some(event) = event {
            tell(simulator, &mut unit, &account, &stored, event, &stored.faults());
        }
        if let Some((word, wait)) = later {
            simulator.later(&mut unit, &account, id, word, kind, wait);
        }
        if simulator.store().run(unit).await?.is_ok() {
            return Ok(true);
        }
    }
    Err(StoreError::Busy)
}

/// The payer says that the transfer was made; or, on a page that has closed, it arrives late.
pub async fn paid(simulator: &Simulator, id: &str, extra: &Faults) -> Result<bool, StoreError> {
    change(simulator, INTENT, id, |stored, now| {
        let late = stored.status() == intent::AUTO_CANCELLED;
        let open = stored.status() == intent::RESERVED && now.0 < stored.expires_ms;
        if !open && !late {
            return None;
        }
        stored.set(if late { intent::LATE_ARRIVAL } else { intent::PENDING_REVIEW });
        stored.faults = stored.faults().and(extra.clone()).to_string();
        // No event is known that tells of either.
        Some(Change { event: None, later: Some((word::DECIDE, DECIDED_AFTER)) })
    })
    .await
}

/// Does what was put off.
pub async fn act(simulator: &Simulator, job: &Job) -> Result<(), StoreError> {
    match job.action.as_str() {
        word::EXPIRE => expired(simulator, &job.subject).await,
        word::DECIDE => decide(simulator, &job.body, &job.subject).await,
        word::SEND => sent(simulator, &job.subject).await,
        word::RETURN => returned(simulator, &job.subject).await,
        other => Err(StoreError::Corrupt(format!("no such job of {NAME}: {other}"))),
    }
}

async fn expired(simulator: &Simulator, id: &str) -> Result<(), StoreError> {
    let cancelled = change(simulator, INTENT, id, |stored, _| {
        (stored.status() == intent::RESERVED).then(|| {
            stored.set(intent::AUTO_CANCELLED);
            Change { event: None, later: None }
        })
    });
    cancelled.await.map(|_| ())
}

/// An operator of Pientegra's decides.
async fn decide(simulator: &Simulator, kind: &str, id: &str) -> Result<(), StoreError> {
    let decided = change(simulator, kind, id, |stored, now| {
        let (faults, at) = (stored.faults(), Some(iso(now)));
        let deposit = kind == INTENT;
        let open = match deposit {
            true => matches!(stored.status(), intent::PENDING_REVIEW | intent::LATE_ARRIVAL),
            false => stored.status() == withdrawal::PENDING_REVIEW,
        };
        if !open {
            return None;
        }
        let no = if deposit { Fault::ThirdParty } else { Fault::BankRefuses };
        if faults.has(no) {
            stored.set(if deposit { intent::REJECTED } else { withdrawal::REJECTED });
            let why = if deposit { "the sender is not the user" } else { "the bank refuses it" };
            (stored.item.rejected_at, stored.item.rejected_reason) = (at, Some(why.to_owned()));
            let event = if deposit { event::INTENT_REJECTED } else { event::WITHDRAWAL_REJECTED };
            return Some(Change { event: Some(event), later: None });
        }
        stored.set(if deposit { intent::APPROVED } else { withdrawal::APPROVED });
        if !deposit {
            return Some(Change { event: None, later: Some((word::SEND, DECIDED_AFTER)) });
        }
        stored.item.approved_at = at;
        if let (true, Some(Minor(asked))) = (faults.has(Fault::WrongAmount), stored.item.requested_amount) {
            stored.item.amount = Some(Minor((asked / 2).max(1)));
        }
        Some(Change { event: Some(event::INTENT_APPROVED), later: None })
    });
    decided.await.map(|_| ())
}

async fn sent(simulator: &Simulator, id: &str) -> Result<(), StoreError> {
    let sent = change(simulator, WITHDRAWAL, id, |stored, now| {
        if stored.status() != withdrawal::APPROVED {
            return None;
        }
        stored.set(withdrawal::SENT);
        stored.item.sent_at = Some(iso(now));
        if let (true, Some(Minor(asked))) = (stored.faults().has(Fault::WrongAmount), stored.item.amount) {
            stored.item.amount = Some(Minor((asked / 2).max(1)));
        }
        let later = stored.faults().has(Fault::Returned).then_some((word::RETURN, DECIDED_AFTER));
        Some(Change { event: Some(event::WITHDRAWAL_SENT), later })
    });
    sent.await.map(|_| ())
}

/// The bank sends a withdrawal back.
async fn returned(simulator: &Simulator, id: &str) -> Result<(), StoreError> {
    let returned = change(simulator, WITHDRAWAL, id, |stored, now| {
        (stored.status() == withdrawal::SENT).then(|| {
            stored.set(withdrawal::RETURNED);
            stored.item.returned_at = Some(iso(now));
            stored.item.returned_reason = Some("the account is closed".to_owned());
            Change { event: Some(event::WITHDRAWAL_RETURNED), later: None }
        })
    });
    returned.await.map(|_| ())
}

/// The deposit of a page.
pub async fn of_page(simulator: &Simulator, token: &str) -> Result<Option<Stored>, StoreError> {
    let Some(page) = table::by_id(simulator.store(), NAME, PAGE, token).await? else { return Ok(None) };
    let id: String = read(&page)?;
    let found = table::by_id(simulator.store(), NAME, INTENT, &id).await?;
    found.as_ref().map(read).transpose()
}

/// One of an account's; anybody else's is as good as none.
pub async fn one(simulator: &Simulator, kind: &str, account: &str, id: &str) -> Result<Option<Item>, StoreError> {
    let found = table::by_id(simulator.store(), NAME, kind, id).await?;
    let Some(found) = found.filter(|record| record.account == account) else { return Ok(None) };
    Ok(Some(read::<Stored>(&found)?.item))
}

pub async fn made_under(simulator: &Simulator, account: &str, key: &str) -> Result<Option<Item>, StoreError> {
    let Some(found) = table::by_name(simulator.store(), NAME, KEY, account, key).await? else { return Ok(None) };
    let Some(id) = read::<Claim>(&found)?.made else { return Ok(None) };
    match one(simulator, INTENT, account, &id).await? {
        Some(item) => Ok(Some(item)),
        None => one(simulator, WITHDRAWAL, account, &id).await,
    }
}

/// Every record of a kind that an account has, the newest first.
pub async fn all(simulator: &Simulator, kind: &str, account: &str) -> Result<Vec<Record>, StoreError> {
    let mut rows = Vec::new();
    for offset in (0..ROWS_MAX).step_by(usize::try_from(ROWS).unwrap_or(usize::MAX)) {
        let filter = Filter::default();
        let (page, total) = table::list(simulator.store(), NAME, kind, account, &filter, offset, ROWS).await?;
        rows.extend(page);
        if total <= offset + ROWS {
            break;
        }
    }
    // Ids begin with the time they were made at.
    rows.sort_by(|one, other| other.id.cmp(&one.id));
    rows.dedup_by(|one, other| one.id == other.id);
    Ok(rows)
}

/// A page of deposits or withdrawals.
pub async fn list(simulator: &Simulator, kind: &str, account: &str, wanted: &Wanted) -> Result<Page<Item>, StoreError> {
    let mut items = Vec::new();
    for found in all(simulator, kind, account).await? {
        let item = read::<Stored>(&found)?.item;
        let right = wanted.status.as_ref().is_none_or(|words| item.status.as_ref().is_some_and(|s| words.contains(s)));
        // A list names nobody.
        let item = Item { external_user_id: None, ..item };
        if right && within(&found, wanted) {
            items.push((found.id, item));
        }
    }
    Ok(paged(items, wanted))
}

/// A page of the event ledger.
pub async fn events(simulator: &Simulator, account: &str, wanted: &Wanted) -> Result<Page<LedgerEvent>, StoreError> {
    let mut entries = Vec::new();
    for found in all(simulator, EVENT, account).await? {
        let told: Told = read(&found)?;
        let typed = wanted.event_type.as_ref().is_none_or(|types| types.contains(&told.notice.event_type));
        if !typed || !within(&found, wanted) {
            continue;
        }
        let entry = entry(simulator, told).await?;
        if wanted.status.as_ref().is_none_or(|words| words.contains(&entry.delivery_status)) {
            entries.push((found.id, entry));
        }
    }
    Ok(paged(entries, wanted))
}

fn within(record: &Record, wanted: &Wanted) -> bool {
    wanted.from.is_none_or(|from| record.created_ms >= from.0)
        && wanted.to.is_none_or(|to| record.created_ms < to.0)
        && wanted.cursor.as_ref().is_none_or(|cursor| record.id < *cursor)
}

fn paged<T>(mut found: Vec<(String, T)>, wanted: &Wanted) -> Page<T> {
    let more = found.len() > wanted.limit;
    found.truncate(wanted.limit);
    let next_cursor = found.last().filter(|_| more).map(|(id, _)| id.clone());
    Page { data: found.into_iter().map(|(_, item)| item).collect(), next_cursor }
}

async fn entry(simulator: &Simulator, told: Told) -> Result<LedgerEvent, StoreError> {
    let jobs = jobs_of(simulator, &told).await?;
    let rank = |job: &Job| match (job.state.as_str(), job.attempts) {
        (state::DONE, _) => delivery::DELIVERED,
        (state::DEAD, _) => delivery::DEAD,
        (_, 0) => delivery::PENDING,
        (_, _) => delivery::FAILED,
    };
    let words: Vec<&str> = jobs.iter().map(rank).collect();
    let known = [delivery::DELIVERED, delivery::PENDING, delivery::FAILED, delivery::DEAD];
    // A delivered one is forgotten after a day.
    let otherwise = if told.lost { delivery::DEAD } else { delivery::DELIVERED };
    let status = known.into_iter().find(|word| words.contains(word)).unwrap_or(otherwise);
    let last = jobs.first();
    Ok(LedgerEvent {
        event_id: told.notice.event_id,
        event_type: told.notice.event_type,
        occurred_at: told.notice.occurred_at,
        delivery_status: status.to_owned(),
        attempts: last.map_or(if told.lost { 8 } else { 1 }, |job| job.attempts),
        last_response_status: last.map(|job| job.status).filter(|status| *status != 0),
        last_error: None,
        delivered_at: None,
        payload: Subject { intent: told.notice.intent, withdrawal: told.notice.withdrawal },
    })
}

/// The deliveries of an event, the newest first.
async fn jobs_of(simulator: &Simulator, told: &Told) -> Result<Vec<Job>, StoreError> {
    let mut jobs = table::jobs_of(simulator.store(), NAME, None, Some(&told.subject), ROWS).await?;
    jobs.retain(|job| job.action == action::NOTICE && job.body == told.body);
    Ok(jobs)
}

/// What asking for an event to be delivered again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    Queued,
    /// It is still under way.
    Pending,
    Unknown,
}

/// Delivers an event once more: the same body, signed anew.
pub async fn replay(simulator: &Simulator, account: &str, id: &str) -> Result<Replayed, StoreError> {
    let found = table::by_id(simulator.store(), NAME, EVENT, id).await?;
    let Some(found) = found.filter(|record| record.account == account) else { return Ok(Replayed::Unknown) };
    let told: Told = read(&found)?;
    if entry(simulator, told.clone()).await?.delivery_status == delivery::PENDING {
        return Ok(Replayed::Pending);
    }
    let mut unit = Unit::new("pientegra simulator replay");
    simulator.notice(&mut unit, account, &told.subject, &told.body, &told.body, &Faults::default());
    // Nothing in it refuses.
    let _ = simulator.store().run(unit).await?;
    Ok(Replayed::Queued)
}
