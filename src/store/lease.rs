//! Leases: of several nodes, one does a chore.
//!
//! A lease saves work, correctness never depends on it: clocks of nodes differ, and a holder that was suspended may go
//! on after its lease has ended. Whatever is done under a lease is still guarded by its own conditional update.

use std::time::Duration;

use sea_orm::ExprTrait;
use sea_orm::sea_query::{Expr, Query};
use uuid::Uuid;

use super::{Store, StoreError, Unit};
use crate::store::Refusal;

impl Store {
    /// Takes the lease, or keeps it for longer if `holder` has it. False: somebody else has it.
    pub async fn acquire(&self, name: &str, holder: Uuid, for_: Duration) -> Result<bool, StoreError> {
        let now = self.clock().now();
        let until = self.clock().after(for_);
        let mut unit = Unit::new("lease acquire");
        // A row that has ended already, so that the update below decides in every case.
        unit.insert_or_ignore(
            Query::insert()
                .into_table("leases")
                .columns(["name", "holder", "until_ms"])
                .values_panic([name.into(), holder.into(), 0_i64.into()])
                .to_owned(),
        );
        unit.must(
            Query::update()
                .table("leases")
                .value("holder", holder)
                .value("until_ms", until.0)
                .and_where(Expr::col("name").eq(name))
                .and_where(Expr::col("holder").eq(holder).or(Expr::col("until_ms").lte(now.0)))
                .to_owned(),
            Refusal::Held,
        );
        Ok(self.run(unit).await?.is_ok())
    }

    /// Gives the lease back, so that nobody waits for its end. Nothing happens if `holder` has lost it.
    pub async fn release(&self, name: &str, holder: Uuid) -> Result<(), StoreError> {
        let mut unit = Unit::new("lease release");
        unit.delete(
            Query::delete()
                .from_table("leases")
                .and_where(Expr::col("name").eq(name))
                .and_where(Expr::col("holder").eq(holder))
                .to_owned(),
        );
        self.run(unit).await.map(|_| ())
    }
}
