//! Small helpers the aggregate files share.

use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, SimpleExpr};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, QueryTrait};

use super::StoreError;

/// A whole row, ready for a unit of work.
pub(in crate::store) fn row<E, M>(model: M) -> InsertStatement
where
    E: EntityTrait,
    M: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E>,
{
    E::insert(model.into_active_model()).into_query()
}

/// A stored text that must be one of ours.
pub(in crate::store) fn known<T>(value: Option<T>, what: &str, text: &str) -> Result<T, StoreError> {
    value.ok_or_else(|| StoreError::Corrupt(format!("{what} {text:?} is not one this version knows")))
}

/// `max(now, previous + 1)`: a version stamp that grows with every change, even within a millisecond.
pub(in crate::store) fn grown(column: &'static str, now: i64) -> SimpleExpr {
    Expr::case(Expr::col(column).gte(now), Expr::col(column).add(1)).finally(now).into()
}

pub(in crate::store) fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))
}

pub(in crate::store) fn to_json<T: serde::Serialize>(value: &T) -> String {
    // Our own forms are maps with text keys, numbers and texts: nothing in them can fail to be written.
    serde_json::to_string(value).expect("stored forms are always JSON")
}
