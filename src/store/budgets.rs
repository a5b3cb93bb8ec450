//! How many calls each account at a PSP has had: one row per account, written by compare-and-set, so that of several
//! nodes no two grant the same call.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::entity::{budgets, connection_settings, transactions};
use super::sql::{from_json, row, to_json};
use super::unit::{Refusal, Unit};
use super::{Store, StoreError, hash_token};
use crate::core::budget::{Calls, Ledger};
use crate::core::transaction::State;

/// A ledger as it was read. The next one is written only over this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub ledger: Ledger,
    /// `None`: there is no row yet.
    version: Option<i64>,
}

/// Writes `after` over what was read; refused as stale if somebody else was faster.
pub fn advance(unit: &mut Unit, account: Uuid, before: &Read, after: &Ledger) {
    let calls: Vec<(u32, u32)> = after.calls.iter().map(|calls| (calls.instructions, calls.questions)).collect();
    let calls = to_json(&calls);
    match before.version {
        None => unit.claim(
            row::<budgets::Entity, _>(budgets::Model { id: account, slot: after.slot, calls, version: 1 }),
            Refusal::Stale,
        ),
        Some(version) => unit.must(
            budgets::Entity::update_many()
                .filter(budgets::Column::Id.eq(account))
                .filter(budgets::Column::Version.eq(version))
                .col_expr(budgets::Column::Slot, Expr::value(after.slot))
                .col_expr(budgets::Column::Calls, Expr::value(calls))
                .col_expr(budgets::Column::Version, Expr::value(version + 1))
                .into_query(),
            Refusal::Stale,
        ),
    }
}

impl Store {
    /// The account at the PSP that a settings version names, as a key: the same for every connection that uses it.
    pub async fn account(&self, adapter: &str, connection: Uuid, version: i32) -> Result<Uuid, StoreError> {
        let found: Option<String> = connection_settings::Entity::find_by_id((connection, version))
            .select_only()
            .column(connection_settings::Column::Account)
            .into_tuple()
            .one(self.reader())
            .await?;
        let account = found
            .ok_or_else(|| StoreError::Corrupt(format!("connection {connection} has no settings version {version}")))?;
        let hash = hash_token(&format!("{adapter}\u{1f}{account}"));
        let key = hash.get(..32).and_then(|half| Uuid::try_parse(half).ok());
        key.ok_or_else(|| StoreError::Corrupt("a fingerprint is no number".to_owned()))
    }

    /// The ledger of an account; an empty one if it has had no call yet.
    pub async fn budget(&self, account: Uuid) -> Result<Read, StoreError> {
        let Some(model) = budgets::Entity::find_by_id(account).one(self.reader()).await? else {
            return Ok(Read { ledger: Ledger::default(), version: None });
        };
        let calls: Vec<(u32, u32)> = from_json("calls", &model.calls)?;
        let calls = calls.into_iter().map(|(instructions, questions)| Calls { instructions, questions }).collect();
        Ok(Read { ledger: Ledger { slot: model.slot, calls }, version: Some(model.version) })
    }

    /// How many transactions of a connection wait to be sent; counts no further than `most`.
    pub async fn transactions_waiting(&self, connection: Uuid, most: u64) -> Result<u64, StoreError> {
        let found = transactions::Entity::find()
            .filter(transactions::Column::ConnectionId.eq(connection))
            .filter(transactions::Column::State.eq(State::Created.name()))
            .limit(most);
        Ok(found.count(self.reader()).await?)
    }
}
