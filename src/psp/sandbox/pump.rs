//! What is due later: notices, settlements, chargebacks, expiries. Rows of a table, so a kill loses none of them.

use std::collections::BTreeMap;

use rialto_adapters::port::{Duration, Secret};
use rialto_adapters::sandbox::contract::{Transaction, kind, notice_type, reason, state};
use rialto_adapters::sandbox::notice::SIGNATURE;
use tokio::task::JoinSet;

use super::SandboxPsp;
use super::model::Stored;
use super::settle::{self, Action};
use crate::store::sandbox_psp::{self as table, JobRow, TransactionRow};
use crate::store::{Refusal, StoreError, Unit};

/// Jobs read at once.
const BATCH_MAX: u64 = 64;
/// How often to look for jobs that another node, or an earlier life of this one, has left.
const POLL: Duration = Duration::from_secs(1);
/// The shortest wait between two looks, so that a job due "now" is not asked for in a tight loop.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a job is one's own. A claim saves work: a job done twice repeats a notice, and every change is conditional.
const CLAIM: Duration = Duration::from_secs(15);
/// How long the receiver of a notice may take. Not a wait of ours, and so never scaled.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The first wait after a notice that was not accepted; each further one is twice as long.
const RETRY: Duration = Duration::from_secs(1);
/// Attempts at one notice: about two minutes.
const ATTEMPTS_MAX: i32 = 8;
/// What a forged notice is signed with.
const FORGERS_SECRET: &str = "not the secret of this account";
/// What the payer's bank wants for a chargeback, in minor units.
const CHARGEBACK_FEE_MINOR: i64 = 300;

pub async fn run(psp: &SandboxPsp) {
    loop {
        let wait = match work(psp).await {
            Ok(wait) => wait,
            Err(why) => {
                tracing::warn!(error = %why, "the sandbox PSP's jobs wait");
                psp.clock().wait(POLL)
            }
        };
        // Nudged or not, the next look is the same.
        let _ = tokio::time::timeout(wait, psp.inner.added.notified()).await;
    }
}

/// Does what is due, and answers how long there is nothing to do.
async fn work(psp: &SandboxPsp) -> Result<Duration, StoreError> {
    run_due(psp).await?;
    let poll = psp.clock().wait(POLL).max(PAUSE);
    let next = table::next_due(psp.store()).await?;
    Ok(next.map_or(poll, |at| psp.clock().now().until(at).clamp(PAUSE, poll)))
}

pub async fn run_due(psp: &SandboxPsp) -> Result<usize, StoreError> {
    let jobs = table::due(psp.store(), psp.clock().now(), BATCH_MAX).await?;
    let count = jobs.len();
    let mut by_transaction: BTreeMap<String, Vec<JobRow>> = BTreeMap::new();
    for job in jobs {
        by_transaction.entry(job.transaction_id.clone()).or_default().push(job);
    }
    // Of one transaction in their order, of several at once: a slow receiver delays its own.
    let mut lanes = JoinSet::new();
    for lane in by_transaction.into_values() {
        let psp = psp.clone();
        lanes.spawn(async move {
            for job in &lane {
                finish(&psp, job).await;
            }
        });
    }
    while lanes.join_next().await.is_some() {}
    Ok(count)
}

/// Claims a job and does it. Whatever fails is due again later.
pub async fn finish(psp: &SandboxPsp, job: &JobRow) {
    if let Err(why) = claim_and_do(psp, job).await {
        tracing::warn!(error = %why, job = job.action, "a job of the sandbox PSP failed");
    }
}

async fn claim_and_do(psp: &SandboxPsp, job: &JobRow) -> Result<(), StoreError> {
    if !table::claim(psp.store(), job, psp.clock().after(CLAIM)).await? {
        return Ok(());
    }
    match Action::parse(&job.action) {
        Some(Action::Notice) => notify(psp, job).await,
        Some(Action::Forged) => {
            let Some((_, stored)) = load(psp, job).await? else { return done(psp, job).await };
            post(psp, job, stored.notify_url, &Secret::new(FORGERS_SECRET)).await?;
            done(psp, job).await
        }
        Some(Action::Settle) => settle(psp, job).await,
        Some(action @ (Action::ChargeBack | Action::ChargeBackInError)) => charge_back_one(psp, job, action).await,
        Some(Action::GiveBack) => give_back(psp, job).await,
        Some(Action::PortalRefund) => refund_at_the_portal(psp, job).await,
        Some(Action::Revoke) => revoke(psp, job).await,
        Some(Action::Expire) => expire(psp, job).await,
        None => Err(StoreError::Corrupt(format!("no such job: {}", job.action))),
    }
}

async fn done(psp: &SandboxPsp, job: &JobRow) -> Result<(), StoreError> {
    let mut unit = Unit::new("sandbox job done");
    table::delete_job(&mut unit, &job.id);
    psp.store().run(unit).await.map(|_| ())
}

async fn notify(psp: &SandboxPsp, job: &JobRow) -> Result<(), StoreError> {
    let Some((_, stored)) = load(psp, job).await? else { return done(psp, job).await };
    let Some(secret) = table::notify_secret(psp.store(), stored.signer).await? else { return done(psp, job).await };
    let status = post(psp, job, stored.notify_url, &secret).await?;
    if (200..300).contains(&status) {
        return done(psp, job).await;
    }
    let attempts = job.attempts + 1;
    if attempts >= ATTEMPTS_MAX {
        tracing::warn!(status, "the sandbox PSP gives a notice up");
        return done(psp, job).await;
    }
    let again = psp.clock().after(RETRY * 2u32.pow(u32::try_from(job.attempts).unwrap_or(0).min(10)));
    let claimed = JobRow { attempts, ..job.clone() };
    table::claim(psp.store(), &claimed, again).await.map(|_| ())
}

/// Posts the notice in a job's body, signed now. Answers with the status, 0 where there was none.
async fn post(psp: &SandboxPsp, job: &JobRow, hook_url: String, secret: &Secret) -> Result<u16, StoreError> {
    let body = job.body.clone().into_bytes();
    let headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        (SIGNATURE.header.to_owned(), SIGNATURE.sign(secret, &body, psp.clock().now())),
    ];
    let sink = psp.inner.sink.clone();
    // In a task of its own: a receiver in this process is not broken off in the middle.
    let posted = tokio::spawn(async move { sink.deliver(&hook_url, headers, body).await });
    Ok(match tokio::time::timeout(ANSWER_MAX, posted).await {
        Ok(Ok(status)) => status,
        Ok(Err(_)) | Err(_) => 0,
    })
}

async fn load(psp: &SandboxPsp, job: &JobRow) -> Result<Option<(TransactionRow, Stored)>, StoreError> {
    match table::by_id(psp.store(), &job.account, &job.transaction_id).await? {
        Some(row) => {
            let stored = Stored::read(&row)?;
            Ok(Some((row, stored)))
        }
        None => Ok(None),
    }
}

/// Writes a change together with the end of its job. A lost race leaves the job, which looks again.
async fn change(psp: &SandboxPsp, job: &JobRow, mut unit: Unit, row: &TransactionRow) -> Result<(), StoreError> {
    table::change(&mut unit, row);
    table::delete_job(&mut unit, &job.id);
    if psp.store().run(unit).await?.is_ok() {
        psp.inner.added.notify_one();
    }
    Ok(())
}

async fn settle(psp: &SandboxPsp, job: &JobRow) -> Result<(), StoreError> {
    let Some((row, mut stored)) = load(psp, job).await? else { return done(psp, job).await };
    if !stored.is_pending() {
        return done(psp, job).await;
    }
    let mut unit = Unit::new("sandbox settle");
    settle::succeed(psp, &mut stored);
    settle::after_success(psp, &row.account, &stored, true, &mut unit);
    change(psp, job, unit, &stored.over(&row)).await
}

async fn expire(psp: &SandboxPsp, job: &JobRow) -> Result<(), StoreError> {
    let Some((row, mut stored)) = load(psp, job).await? else { return done(psp, job).await };
    if !stored.is_pending() || !stored.awaits_payer() {
        return done(psp, job).await;
    }
    let mut unit = Unit::new("sandbox expire");
    settle::end(psp, &mut stored, state::EXPIRED);
    let body = settle::notice(psp, &stored.transaction, notice_type::TRANSACTION);
    let notice = settle::job(psp, &row.account, &row.id, Action::Notice, body, Duration::ZERO);
    table::insert_job(&mut unit, &notice);
    change(psp, job, unit, &stored.over(&row)).await
}

/// What happens to a transaction without a request.
struct Outside {
    prefix: &'static str,
    kind: &'static str,
    notice_type: &'static str,
    /// In minor units.
    amount: i64,
    fee: Option<i64>,
    reason: Option<&'static str>,
    message: &'static str,
}

/// The transaction of its own that it is; of the job, so that a job done twice makes one.
fn from_outside(psp: &SandboxPsp, job: &JobRow, row: &TransactionRow, of: Stored, what: &Outside) -> Stored {
    Stored {
        transaction: Transaction {
            id: format!("{}_{}", what.prefix, job.id),
            parent_id: Some(row.id.clone()),
            parent_reference: row.reference.clone(),
            kind: what.kind.to_owned(),
            state: state::SUCCEEDED.to_owned(),
            reason: what.reason.map(str::to_owned),
            message: Some(what.message.to_owned()),
            amount: what.amount,
            currency: of.transaction.currency.clone(),
            fee: what.fee,
            movement_id: (what.amount > 0).then(|| format!("mov_{}", job.id)),
            occurred_at: psp.clock().now().0,
            ..Transaction::default()
        },
        store_means: false,
        expires_at: None,
        expected: None,
        token: None,
        another_card: false,
        ..of
    }
}

/// Books it and tells it, with the end of its job. A refusal of what is in the unit already is for the caller.
async fn happen(
    psp: &SandboxPsp,
    job: &JobRow,
    account: &str,
    stored: &Stored,
    what: &Outside,
    mut unit: Unit,
) -> Result<Result<(), Refusal>, StoreError> {
    table::insert(&mut unit, &stored.row(account, None));
    let body = settle::notice(psp, &stored.transaction, what.notice_type);
    let notice = settle::job(psp, account, &stored.transaction.id, Action::Notice, body, Duration::ZERO);
    table::insert_job(&mut unit, &notice);
    table::delete_job(&mut unit, &job.id);
    let done = psp.store().run(unit).await?;
    psp.inner.added.notify_one();
    Ok(done)
}

async fn charge_back_one(psp: &SandboxPsp, job: &JobRow, action: Action) -> Result<(), StoreError> {
    let Some((row, charged)) = load(psp, job).await? else { return done(psp, job).await };
    let what = Outside {
        prefix: "cbk",
        kind: kind::CHARGEBACK,
        notice_type: notice_type::CHARGEBACK,
        amount: row.amount_minor,
        fee: Some(CHARGEBACK_FEE_MINOR),
        reason: Some(reason::INSUFFICIENT_BALANCE),
        message: "taken back by the payer's bank",
    };
    let taken_back = from_outside(psp, job, &row, charged, &what);
    let mut unit = Unit::new("sandbox chargeback");
    if action == Action::ChargeBackInError {
        let again = settle::job(psp, &row.account, &row.id, Action::GiveBack, String::new(), settle::LATER);
        table::insert_job(&mut unit, &again);
    }
    match happen(psp, job, &row.account, &taken_back, &what, unit).await? {
        Ok(()) => Ok(()),
        // It is there already.
        Err(_) => done(psp, job).await,
    }
}

async fn give_back(psp: &SandboxPsp, job: &JobRow) -> Result<(), StoreError> {
    let Some((row, charged)) = load(psp, job).await? else { return done(psp, job).await };
    let what = Outside {
        prefix: "cbr",
        kind: kind::CHARGEBACK_REVERSED,
        notice_type: notice_type::CHARGEBACK_REVERSED,
        amount: row.amount_minor,
        fee: None,
        reason: None,
        message: "given back by the payer's bank",
    };
    let given_back = from_outside(psp, job, &row, charged, &what);
    match happen(psp, job, &row.account, &given_back, &what, Unit::new("sandbox chargeback reversed")).await? {
        Ok(()) => Ok(()),
        Err(_) => done(psp, job).await,
    }
}

async fn refund_at_the_portal(psp: &SandboxPsp, job: &JobRow) -> Result<(), StoreError> {
    let Some((row, charged)) = load(psp, job).await? else { return done(psp, job).await };
    let left = row.amount_minor - row.used_minor;
    if left <= 0 {
        return done(psp, job).await;
    }
    let what = Outside {
        prefix: "ref",
        kind: kind::REFUND,
        notice_type: notice_type::TRANSACTION,
        amount: left,
        fee: None,
        reason: None,
        message: "refunded at the portal",
    };
    let refunded = from_outside(psp, job, &row, charged, &what);
    let mut unit = Unit::new("sandbox portal refund");
    table::take(&mut unit, &row.id, left);
    match happen(psp, job, &row.account, &refunded, &what, unit).await? {
        Ok(()) => Ok(()),
        // Somebody refunds at this moment: the job looks again at what is left then.
        Err(Refusal::Short) => Ok(()),
        Err(_) => done(psp, job).await,
    }
}

/// Revokes means; told as news of the transaction that stored them.
async fn revoke(psp: &SandboxPsp, job: &JobRow) -> Result<(), StoreError> {
    let Some(means) = table::means(psp.store(), &job.account, &job.body).await? else { return done(psp, job).await };
    let by = means.stored_by.as_deref().unwrap_or(&job.transaction_id);
    let Some(row) = table::by_id(psp.store(), &job.account, by).await? else { return done(psp, job).await };
    let what = Outside {
        prefix: "rvk",
        kind: kind::MEANS_REVOKED,
        notice_type: notice_type::MEANS_REVOKED,
        amount: 0,
        fee: None,
        reason: None,
        message: "revoked by the payer",
    };
    let revoked = from_outside(psp, job, &row, Stored::read(&row)?, &what);
    let mut unit = Unit::new("sandbox means revoked");
    table::revoke_means(&mut unit, &means, psp.clock().now());
    match happen(psp, job, &row.account, &revoked, &what, unit).await? {
        Ok(()) => Ok(()),
        Err(_) => done(psp, job).await,
    }
}

/// Asks for a job against the succeeded charge or capture under a reference; false where there is none.
async fn against_charge(psp: &SandboxPsp, reference: &str, action: Action) -> Result<bool, StoreError> {
    let rows = table::everywhere(psp.store(), reference).await?;
    for row in &rows {
        if settle::can_be_charged_back(&Stored::read(row)?.transaction) {
            let mut unit = Unit::new("sandbox job asked");
            let job = settle::job(psp, &row.account, &row.id, action, String::new(), Duration::ZERO);
            table::insert_job(&mut unit, &job);
            let asked = psp.store().run(unit).await?.is_ok();
            psp.inner.added.notify_one();
            return Ok(asked);
        }
    }
    Ok(false)
}

pub async fn charge_back(psp: &SandboxPsp, reference: &str) -> Result<bool, StoreError> {
    against_charge(psp, reference, Action::ChargeBack).await
}

pub async fn refund_outside(psp: &SandboxPsp, reference: &str) -> Result<bool, StoreError> {
    against_charge(psp, reference, Action::PortalRefund).await
}
