//! How many calls each account at a PSP has had of late, and how far each connection's feed has been read.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text, uuid};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// SQLite would otherwise keep half of a failed migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(budgets()).await?;
        manager.create_table(feeds()).await?;
        // What waits to be sent is counted when something new comes that has to wait too; it is never many rows.
        let mut waiting = Index::create();
        waiting.name("ix_transactions_waiting").table("transactions").col("connection_id");
        waiting.and_where(Expr::col("state").eq("created"));
        manager.create_index(waiting).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("ix_transactions_waiting").table("transactions").to_owned()).await?;
        manager.drop_table(Table::drop().table("feeds").to_owned()).await?;
        manager.drop_table(Table::drop().table("budgets").to_owned()).await
    }
}

/// `id` is a fingerprint of adapter and account: connections that share an account share its budget.
fn budgets() -> TableCreateStatement {
    Table::create()
        .table("budgets")
        .col(uuid("id").primary_key())
        .col(big_integer("slot"))
        .col(text("calls"))
        .col(big_integer("version"))
        .to_owned()
}

/// `id` is the connection's.
fn feeds() -> TableCreateStatement {
    Table::create()
        .table("feeds")
        .col(uuid("id").primary_key())
        .col(uuid("tenant_id"))
        .col(text("cursor"))
        .col(big_integer("read_at"))
        .foreign_key(ForeignKey::create().from("feeds", ("tenant_id", "id")).to("connections", ("tenant_id", "id")))
        .to_owned()
}
