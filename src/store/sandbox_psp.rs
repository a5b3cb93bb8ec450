//! The tables of the sandbox PSP that we play. They are that PSP's own: nothing of the model refers to them.

use sea_orm::sea_query::{Expr, InsertStatement, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, ExprTrait, FromQueryResult};
use uuid::Uuid;

use super::{Place, Refusal, Store, StoreError, Unit, hash_token};
use rialto_adapters::port::notice::hex;
use rialto_adapters::port::{Secret, Timestamp};

/// A transaction of the PSP. What only the PSP itself reads is in `body`, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct TransactionRow {
    pub id: String,
    pub account: String,
    /// The caller's reference; not unique, because this PSP is not idempotent.
    pub reference: Option<String>,
    pub parent_reference: Option<String>,
    /// The secret part of its payment page's address.
    pub session: Option<String>,
    pub kind: String,
    pub state: String,
    pub amount_minor: i64,
    /// Captured and released, or refunded.
    pub used_minor: i64,
    pub version: i64,
    pub body: String,
}

/// Something the PSP has yet to do.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct JobRow {
    pub id: String,
    pub account: String,
    pub transaction_id: String,
    pub action: String,
    pub body: String,
    pub due_ms: i64,
    pub attempts: i32,
}

const TRANSACTION_COLUMNS: [&str; 11] = [
    "id",
    "account",
    "reference",
    "parent_reference",
    "session",
    "kind",
    "state",
    "amount_minor",
    "used_minor",
    "version",
    "body",
];
const JOB_COLUMNS: [&str; 7] = ["id", "account", "transaction_id", "action", "body", "due_ms", "attempts"];
/// Transactions that one look-up answers with. A reference used more often is a fault of ours that shows long before.
const REFERENCE_MAX: u64 = 100;

fn place(signer: Uuid) -> Place {
    Place { table: "sandbox_signers", column: "notify_secret", row: signer, tenant: Uuid::nil() }
}

/// A hash by which a notify secret is found again. Keyed, because a merchant may have chosen a weak one.
pub fn secret_hash(store: &Store, notify_secret: &Secret) -> String {
    let key = hex(&store.vault().derive("sandbox notify secret"));
    hash_token(&format!("{key}:{}", notify_secret.expose()))
}

/// The id of a secret that notices are signed with, kept now if it is new.
pub async fn signer(store: &Store, secret_hash: &str, notify_secret: &Secret) -> Result<Uuid, StoreError> {
    let id = store.clock().new_id();
    let sealed = store.vault().seal(&place(id), notify_secret.expose().as_bytes());
    let mut unit = Unit::new("sandbox signer");
    unit.claim(
        Query::insert()
            .into_table("sandbox_signers")
            .columns(["id", "secret_hash", "notify_secret"])
            .values_panic([id.into(), secret_hash.into(), sealed.into()])
            .to_owned(),
        Refusal::Duplicate,
    );
    if store.run(unit).await?.is_ok() {
        return Ok(id);
    }
    let mut select = Query::select();
    select.column("id").from("sandbox_signers").and_where(Expr::col("secret_hash").eq(secret_hash));
    match store.reader().query_one(&select).await? {
        Some(row) => Ok(row.try_get("", "id")?),
        None => Err(StoreError::Corrupt("a secret of the sandbox that was just there is missing".to_owned())),
    }
}

/// The secret of a signer.
pub async fn notify_secret(store: &Store, signer: Uuid) -> Result<Option<Secret>, StoreError> {
    let mut select = Query::select();
    select.column("notify_secret").from("sandbox_signers").and_where(Expr::col("id").eq(signer));
    let Some(row) = store.reader().query_one(&select).await? else { return Ok(None) };
    let sealed: Vec<u8> = row.try_get("", "notify_secret")?;
    let secret = String::from_utf8(store.vault().open(&place(signer), &sealed)?);
    secret.map(|text| Some(Secret::new(text))).map_err(|_| StoreError::Corrupt("a notify secret".to_owned()))
}

fn transactions() -> SelectStatement {
    Query::select().columns(TRANSACTION_COLUMNS).from("sandbox_transactions").to_owned()
}

async fn all<T: FromQueryResult>(store: &Store, select: SelectStatement) -> Result<Vec<T>, StoreError> {
    let rows = store.reader().query_all(&select).await?;
    rows.iter().map(|row| T::from_query_result(row, "").map_err(StoreError::from)).collect()
}

/// The transactions of an account under a reference, oldest first.
pub async fn by_reference(store: &Store, account: &str, reference: &str) -> Result<Vec<TransactionRow>, StoreError> {
    let mut select = transactions();
    select
        .and_where(Expr::col("account").eq(account))
        .and_where(Expr::col("reference").eq(reference))
        .order_by("id", Order::Asc)
        .limit(REFERENCE_MAX);
    all(store, select).await
}

/// What follows up the transactions of an account under a reference, oldest first.
pub async fn by_parent(store: &Store, account: &str, reference: &str) -> Result<Vec<TransactionRow>, StoreError> {
    let mut select = transactions();
    select
        .and_where(Expr::col("account").eq(account))
        .and_where(Expr::col("parent_reference").eq(reference))
        .order_by("id", Order::Asc)
        .limit(REFERENCE_MAX);
    all(store, select).await
}

/// The transactions of every account under a reference, oldest first: what tests count.
pub async fn everywhere(store: &Store, reference: &str) -> Result<Vec<TransactionRow>, StoreError> {
    let mut select = transactions();
    select.and_where(Expr::col("reference").eq(reference)).order_by("id", Order::Asc).limit(REFERENCE_MAX);
    all(store, select).await
}

/// The transactions of every account that act on a reference, oldest first: what tests add up.
pub async fn everywhere_under(store: &Store, parent_reference: &str) -> Result<Vec<TransactionRow>, StoreError> {
    let mut select = transactions();
    select
        .and_where(Expr::col("parent_reference").eq(parent_reference))
        .order_by("id", Order::Asc)
        .limit(REFERENCE_MAX);
    all(store, select).await
}

pub async fn by_id(store: &Store, account: &str, id: &str) -> Result<Option<TransactionRow>, StoreError> {
    let mut select = transactions();
    select.and_where(Expr::col("account").eq(account)).and_where(Expr::col("id").eq(id));
    Ok(all(store, select).await?.pop())
}

/// By the secret part of its page's address.
pub async fn by_session(store: &Store, session: &str) -> Result<Option<TransactionRow>, StoreError> {
    let mut select = transactions();
    select.and_where(Expr::col("session").eq(session));
    Ok(all(store, select).await?.pop())
}

/// Means that an account has stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct MeansRow {
    pub account: String,
    pub token: String,
    pub method: String,
    /// What may be shown of them, as JSON.
    pub shown: Option<String>,
    /// The id of the transaction that stored them.
    pub stored_by: Option<String>,
    pub revoked_at: Option<i64>,
}

const MEANS_COLUMNS: [&str; 6] = ["account", "token", "method", "shown", "stored_by", "revoked_at"];

/// What a token of this account stands for.
pub async fn means(store: &Store, account: &str, token: &str) -> Result<Option<MeansRow>, StoreError> {
    let select = Query::select()
        .columns(MEANS_COLUMNS)
        .from("sandbox_means")
        .and_where(Expr::col("account").eq(account))
        .and_where(Expr::col("token").eq(token))
        .to_owned();
    Ok(all(store, select).await?.pop())
}

/// Jobs that are due, the oldest first.
pub async fn due(store: &Store, now: Timestamp, limit: u64) -> Result<Vec<JobRow>, StoreError> {
    let mut select = jobs();
    select
        .and_where(Expr::col("due_ms").lte(now.0))
        .order_by("due_ms", Order::Asc)
        .order_by("id", Order::Asc)
        .limit(limit);
    all(store, select).await
}

/// When the next job is due, if there is one.
pub async fn next_due(store: &Store) -> Result<Option<Timestamp>, StoreError> {
    let mut select = jobs();
    select.order_by("due_ms", Order::Asc).limit(1);
    Ok(all::<JobRow>(store, select).await?.pop().map(|job| Timestamp(job.due_ms)))
}

pub async fn job(store: &Store, id: &str) -> Result<Option<JobRow>, StoreError> {
    let mut select = jobs();
    select.and_where(Expr::col("id").eq(id));
    Ok(all(store, select).await?.pop())
}

fn jobs() -> SelectStatement {
    Query::select().columns(JOB_COLUMNS).from("sandbox_jobs").to_owned()
}

/// Makes a job one's own until `until`, when it is due again. False: somebody else has it, or it is done.
pub async fn claim(store: &Store, job: &JobRow, until: Timestamp) -> Result<bool, StoreError> {
    let mut unit = Unit::new("sandbox job claim");
    unit.must(
        Query::update()
            .table("sandbox_jobs")
            .value("attempts", job.attempts + 1)
            .value("due_ms", until.0)
            .and_where(Expr::col("id").eq(job.id.as_str()))
            .and_where(Expr::col("attempts").eq(job.attempts))
            .to_owned(),
        Refusal::Held,
    );
    Ok(store.run(unit).await?.is_ok())
}

/// Adds a new transaction to a unit; [`Refusal::Duplicate`] where its id exists.
pub fn insert(unit: &mut Unit, row: &TransactionRow) {
    let statement: InsertStatement = Query::insert()
        .into_table("sandbox_transactions")
        .columns(TRANSACTION_COLUMNS)
        .values_panic([
            row.id.as_str().into(),
            row.account.as_str().into(),
            row.reference.clone().into(),
            row.parent_reference.clone().into(),
            row.session.clone().into(),
            row.kind.as_str().into(),
            row.state.as_str().into(),
            row.amount_minor.into(),
            row.used_minor.into(),
            row.version.into(),
            row.body.as_str().into(),
        ])
        .to_owned();
    unit.claim(statement, Refusal::Duplicate);
}

/// Writes a transaction's new state and body; [`Refusal::Stale`] where somebody was faster.
pub fn change(unit: &mut Unit, row: &TransactionRow) {
    unit.must(
        Query::update()
            .table("sandbox_transactions")
            .value("state", row.state.as_str())
            .value("body", row.body.as_str())
            .value("version", row.version + 1)
            .and_where(Expr::col("id").eq(row.id.as_str()))
            .and_where(Expr::col("version").eq(row.version))
            .to_owned(),
        Refusal::Stale,
    );
}

/// Takes a part of what a transaction has left; [`Refusal::Short`] where that is less.
pub fn take(unit: &mut Unit, id: &str, amount_minor: i64) {
    unit.must(
        Query::update()
            .table("sandbox_transactions")
            .value("used_minor", Expr::col("used_minor").add(amount_minor))
            .and_where(Expr::col("id").eq(id))
            .and_where(Expr::col("used_minor").add(amount_minor).lte(Expr::col("amount_minor")))
            .to_owned(),
        Refusal::Short,
    );
}

/// Keeps new means; those that are there already stay as they are.
pub fn insert_means(unit: &mut Unit, means: &MeansRow) {
    unit.insert_or_ignore(
        Query::insert()
            .into_table("sandbox_means")
            .columns(MEANS_COLUMNS)
            .values_panic([
                means.account.as_str().into(),
                means.token.as_str().into(),
                means.method.as_str().into(),
                means.shown.clone().into(),
                means.stored_by.clone().into(),
                means.revoked_at.into(),
            ])
            .to_owned(),
    );
}

/// Means can no longer be charged; [`Refusal::Stale`] where that is so already.
pub fn revoke_means(unit: &mut Unit, means: &MeansRow, now: Timestamp) {
    unit.must(
        Query::update()
            .table("sandbox_means")
            .value("revoked_at", now.0)
            .and_where(Expr::col("account").eq(means.account.as_str()))
            .and_where(Expr::col("token").eq(means.token.as_str()))
            .and_where(Expr::col("revoked_at").is_null())
            .to_owned(),
        Refusal::Stale,
    );
}

pub fn insert_job(unit: &mut Unit, job: &JobRow) {
    unit.insert(
        Query::insert()
            .into_table("sandbox_jobs")
            .columns(JOB_COLUMNS)
            .values_panic([
                job.id.as_str().into(),
                job.account.as_str().into(),
                job.transaction_id.as_str().into(),
                job.action.as_str().into(),
                job.body.as_str().into(),
                job.due_ms.into(),
                job.attempts.into(),
            ])
            .to_owned(),
    );
}

pub fn delete_job(unit: &mut Unit, id: &str) {
    unit.delete(Query::delete().from_table("sandbox_jobs").and_where(Expr::col("id").eq(id)).to_owned());
}
