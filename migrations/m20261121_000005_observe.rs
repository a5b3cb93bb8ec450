//! The id under which a delivery stands in logs and traces, and the indexes behind the figures that are watched and behind
//! what retention asks before it deletes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{text_null, uuid_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// SQLite would otherwise keep half of a failed migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column in a statement.
        for mut column in [text_null("trace"), uuid_null("intent_id")] {
            manager.alter_table(Table::alter().table("deliveries").add_column(&mut column).to_owned()).await?;
        }
        // Few transactions are open at any time, few facts come from a notice; only those are in these.
        let mut open = Index::create();
        open.name("ix_transactions_open").table("transactions").col("state");
        open.and_where(Expr::col("state").is_in(["created", "submitted", "pending", "unknown"]));
        manager.create_index(open).await?;
        let mut told = Index::create();
        told.name("ix_facts_notice").table("facts").col("notice_id");
        told.and_where(Expr::col("notice_id").is_not_null());
        manager.create_index(told).await?;
        let mut told = Index::create();
        told.name("ix_deliveries_event").table("deliveries").col("event_id");
        manager.create_index(told).await
    }
}
