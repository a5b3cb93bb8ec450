//! What the PSPs we play over HTTP keep: records in the PSP's own form, and jobs – notices to deliver, and whatever else
//! it does later.

use rialto_adapters::port::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{Refusal, Store, StoreError, Unit};

/// Something a PSP keeps.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Record {
    pub psp: String,
    /// What it is, in the PSP's word: `transaction`, `intent`, …
    pub kind: String,
    pub id: String,
    pub account: String,
    /// What its maker calls it; one of an account and kind has it.
    pub name: Option<String>,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub version: i64,
    /// JSON, the PSP's own.
    pub body: String,
}

/// Something a PSP has yet to do, or has done.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Job {
    pub id: String,
    pub psp: String,
    pub account: String,
    /// The record it concerns; jobs of one subject are done one after the other.
    pub subject: String,
    /// [`action::NOTICE`], [`action::FORGED`], or a word of the PSP's own.
    pub action: String,
    pub body: String,
    pub state: String,
    pub due_ms: i64,
    pub attempts: i32,
    pub status: i32,
}

pub mod action {
    /// Post the body to the account's address.
    pub const NOTICE: &str = "notice";
    /// The same with a signature that is not the account's; once.
    pub const FORGED: &str = "forged";
}

/// Where a job stands.
pub mod state {
    pub const OPEN: &str = "open";
    pub const DONE: &str = "done";
    /// Every attempt was in vain.
    pub const DEAD: &str = "dead";
}

/// Which records a list holds.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// What names begin with.
    pub name_prefix: Option<String>,
    pub updated_from: Option<Timestamp>,
    pub updated_to: Option<Timestamp>,
    pub created_from: Option<Timestamp>,
    pub created_to: Option<Timestamp>,
}

const RECORD_COLUMNS: [&str; 9] =
    ["psp", "kind", "id", "account", "name", "created_ms", "updated_ms", "version", "body"];
const JOB_COLUMNS: [&str; 10] =
    ["id", "psp", "account", "subject", "action", "body", "state", "due_ms", "attempts", "status"];
/// Rows of one page, whatever is asked for.
const PAGE_MAX: u64 = 200;

async fn all<T: FromQueryResult>(store: &Store, select: &SelectStatement) -> Result<Vec<T>, StoreError> {
    let rows = store.reader().query_all(select).await?;
    rows.iter().map(|row| T::from_query_result(row, "").map_err(StoreError::from)).collect()
}

fn records(psp: &str, kind: &str) -> SelectStatement {
    let mut select = Query::select();
    select
        .columns(RECORD_COLUMNS)
        .from("simulator_records")
        .and_where(Expr::col("psp").eq(psp))
        .and_where(Expr::col("kind").eq(kind));
    select
}

pub async fn by_id(store: &Store, psp: &str, kind: &str, id: &str) -> Result<Option<Record>, StoreError> {
    let mut select = records(psp, kind);
    select.and_where(Expr::col("id").eq(id));
    Ok(all(store, &select).await?.pop())
}

pub async fn by_name(
    store: &Store,
    psp: &str,
    kind: &str,
    account: &str,
    name: &str,
) -> Result<Option<Record>, StoreError> {
    let mut select = records(psp, kind);
    select.and_where(Expr::col("account").eq(account)).and_where(Expr::col("name").eq(name));
    Ok(all(store, &select).await?.pop())
}

/// A page of an account's records, the last changed first, and how many there are in all.
pub async fn list(
    store: &Store,
    psp: &str,
    kind: &str,
    account: &str,
    filter: &Filter,
    offset: u64,
    limit: u64,
) -> Result<(Vec<Record>, u64), StoreError> {
    let mut select = records(psp, kind);
    select.and_where(Expr::col("account").eq(account));
    if let Some(prefix) = &filter.name_prefix {
        let escaped = prefix.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        select.and_where(Expr::col("name").like(LikeExpr::new(format!("{escaped}%")).escape('\\')));
    }
    for (column, at) in [("updated_ms", filter.updated_from), ("created_ms", filter.created_from)] {
        select.and_where_option(at.map(|at| Expr::col(column).gte(at.0)));
    }
    for (column, at) in [("updated_ms", filter.updated_to), ("created_ms", filter.created_to)] {
        select.and_where_option(at.map(|at| Expr::col(column).lte(at.0)));
    }
    let mut count = select.clone();
    count.clear_selects().expr(Expr::col("id").count());
    let total: i64 = match store.reader().query_one(&count).await? {
        Some(row) => row.try_get_by_index(0)?,
        None => 0,
    };
    select
        .order_by("updated_ms", Order::Desc)
        .order_by("id", Order::Desc)
        .offset(offset)
        .limit(Ord::min(limit, PAGE_MAX));
    Ok((all(store, &select).await?, u64::try_from(total).unwrap_or(0)))
}

/// Adds a record to a unit; [`Refusal::Duplicate`] where its id, or its name in the account, is taken.
pub fn insert(unit: &mut Unit, record: &Record) {
    unit.claim(
        Query::insert()
            .into_table("simulator_records")
            .columns(RECORD_COLUMNS)
            .values_panic([
                record.psp.as_str().into(),
                record.kind.as_str().into(),
                record.id.as_str().into(),
                record.account.as_str().into(),
                record.name.clone().into(),
                record.created_ms.into(),
                record.updated_ms.into(),
                record.version.into(),
                record.body.as_str().into(),
            ])
            .to_owned(),
        Refusal::Duplicate,
    );
}

/// Writes a record's body and time of change; [`Refusal::Stale`] where somebody was faster.
pub fn change(unit: &mut Unit, record: &Record) {
    unit.must(
        Query::update()
            .table("simulator_records")
            .value("body", record.body.as_str())
            .value("updated_ms", record.updated_ms)
            .value("version", record.version + 1)
            .and_where(Expr::col("psp").eq(record.psp.as_str()))
            .and_where(Expr::col("kind").eq(record.kind.as_str()))
            .and_where(Expr::col("id").eq(record.id.as_str()))
            .and_where(Expr::col("version").eq(record.version))
            .to_owned(),
        Refusal::Stale,
    );
}

fn jobs(psp: &str) -> SelectStatement {
    let mut select = Query::select();
    select.columns(JOB_COLUMNS).from("simulator_jobs").and_where(Expr::col("psp").eq(psp));
    select
}

/// Open jobs that are due, the oldest first.
pub async fn due(store: &Store, psp: &str, now: Timestamp, limit: u64) -> Result<Vec<Job>, StoreError> {
    let mut select = jobs(psp);
    select
        .and_where(Expr::col("state").eq(state::OPEN))
        .and_where(Expr::col("due_ms").lte(now.0))
        .order_by("due_ms", Order::Asc)
        .order_by("id", Order::Asc)
        .limit(Ord::min(limit, PAGE_MAX));
    all(store, &select).await
}

/// When the next open job is due, if there is one.
pub async fn next_due(store: &Store, psp: &str) -> Result<Option<Timestamp>, StoreError> {
    let mut select = jobs(psp);
    select.and_where(Expr::col("state").eq(state::OPEN)).order_by("due_ms", Order::Asc).limit(1);
    Ok(all::<Job>(store, &select).await?.pop().map(|job| Timestamp(job.due_ms)))
}

pub async fn job(store: &Store, psp: &str, id: &str) -> Result<Option<Job>, StoreError> {
    let mut select = jobs(psp);
    select.and_where(Expr::col("id").eq(id));
    Ok(all(store, &select).await?.pop())
}

/// The newest jobs of one state, or of all; of one subject, or of all.
pub async fn jobs_of(
    store: &Store,
    psp: &str,
    state: Option<&str>,
    subject: Option<&str>,
    limit: u64,
) -> Result<Vec<Job>, StoreError> {
    let mut select = jobs(psp);
    select
        .and_where_option(state.map(|state| Expr::col("state").eq(state)))
        .and_where_option(subject.map(|subject| Expr::col("subject").eq(subject)))
        .order_by("id", Order::Desc)
        .limit(Ord::min(limit, PAGE_MAX));
    all(store, &select).await
}

pub fn add_job(unit: &mut Unit, job: &Job) {
    unit.insert(
        Query::insert()
            .into_table("simulator_jobs")
            .columns(JOB_COLUMNS)
            .values_panic([
                job.id.as_str().into(),
                job.psp.as_str().into(),
                job.account.as_str().into(),
                job.subject.as_str().into(),
                job.action.as_str().into(),
                job.body.as_str().into(),
                job.state.as_str().into(),
                job.due_ms.into(),
                job.attempts.into(),
                job.status.into(),
            ])
            .to_owned(),
    );
}

/// Makes an open job one's own until `until`, when it is due again; [`Refusal::Held`] where somebody else has it.
pub fn claim(unit: &mut Unit, job: &Job, until: Timestamp) {
    unit.must(
        Query::update()
            .table("simulator_jobs")
            .value("attempts", job.attempts + 1)
            .value("due_ms", until.0)
            .and_where(Expr::col("id").eq(job.id.as_str()))
            .and_where(Expr::col("state").eq(state::OPEN))
            .and_where(Expr::col("attempts").eq(job.attempts))
            .to_owned(),
        Refusal::Held,
    );
}

/// Writes where a job stands.
pub fn settle(unit: &mut Unit, job: &Job) {
    unit.update(
        Query::update()
            .table("simulator_jobs")
            .value("state", job.state.as_str())
            .value("due_ms", job.due_ms)
            .value("attempts", job.attempts)
            .value("status", job.status)
            .and_where(Expr::col("id").eq(job.id.as_str()))
            .to_owned(),
    );
}

/// Forgets what was done, or given up, before then.
pub fn forget(unit: &mut Unit, psp: &str, before: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table("simulator_jobs")
            .and_where(Expr::col("psp").eq(psp))
            .and_where(Expr::col("state").is_in([state::DONE, state::DEAD]))
            .and_where(Expr::col("due_ms").lt(before.0))
            .to_owned(),
    );
}
