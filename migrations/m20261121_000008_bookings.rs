//! Bookings: a payment that takes what was collected earlier points at the charge that brought it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, uuid};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Points `column` at `parent` of the same tenant.
fn same_tenant(column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from("bookings", ("tenant_id", column)).to(parent, ("tenant_id", "id")).to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// SQLite would otherwise keep half of a failed migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let bookings = Table::create()
            .table("bookings")
            .col(uuid("id").primary_key())
            .col(uuid("tenant_id"))
            // One booking for each: a charge is booked once, and a payment is one booking.
            .col(uuid("intent_id").unique_key())
            .col(uuid("transaction_id").unique_key())
            .col(big_integer("amount_minor").check(Expr::col("amount_minor").gt(0)))
            .col(big_integer("created_at"))
            .foreign_key(&mut same_tenant("intent_id", "intents"))
            .foreign_key(&mut same_tenant("transaction_id", "transactions"))
            .to_owned();
        manager.create_table(bookings).await
    }
}
