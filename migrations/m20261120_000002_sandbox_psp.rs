//! The sandbox PSP that we play: secrets it signs with, transactions, stored means, and what it has yet to do.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [signers(), transactions(), means(), jobs()] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["sandbox_jobs", "sandbox_means", "sandbox_transactions", "sandbox_signers"] {
            manager.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn signers() -> TableCreateStatement {
    Table::create()
        .table("sandbox_signers")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("secret_hash").text().not_null().unique_key())
        .col(ColumnDef::new("notify_secret").binary().not_null())
        .to_owned()
}

fn transactions() -> TableCreateStatement {
    Table::create()
        .table("sandbox_transactions")
        .col(ColumnDef::new("id").text().not_null().primary_key())
        .col(ColumnDef::new("account").text().not_null())
        .col(ColumnDef::new("reference").text())
        .col(ColumnDef::new("parent_reference").text())
        .col(ColumnDef::new("session").text().unique_key())
        .col(ColumnDef::new("kind").text().not_null())
        .col(ColumnDef::new("state").text().not_null())
        .col(ColumnDef::new("amount_minor").big_integer().not_null())
        // Captured and released, or refunded.
        .col(ColumnDef::new("used_minor").big_integer().not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("body").text().not_null())
        .check(Expr::col("used_minor").between(0, Expr::col("amount_minor")))
        .to_owned()
}

fn means() -> TableCreateStatement {
    Table::create()
        .table("sandbox_means")
        .col(ColumnDef::new("account").text().not_null())
        .col(ColumnDef::new("token").text().not_null())
        .col(ColumnDef::new("method").text().not_null())
        .primary_key(Index::create().col("account").col("token"))
        .to_owned()
}

fn jobs() -> TableCreateStatement {
    Table::create()
        .table("sandbox_jobs")
        .col(ColumnDef::new("id").text().not_null().primary_key())
        .col(ColumnDef::new("account").text().not_null())
        .col(ColumnDef::new("transaction_id").text().not_null())
        .col(ColumnDef::new("action").text().not_null())
        .col(ColumnDef::new("body").text().not_null())
        .col(ColumnDef::new("due_ms").big_integer().not_null())
        .col(ColumnDef::new("attempts").integer().not_null())
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name: &'static str, table: &'static str| Index::create().name(name).table(table).to_owned();
    vec![
        index("sandbox_transactions_reference", "sandbox_transactions").col("account").col("reference").to_owned(),
        index("sandbox_transactions_parent", "sandbox_transactions").col("account").col("parent_reference").to_owned(),
        index("sandbox_jobs_due", "sandbox_jobs").col("due_ms").to_owned(),
    ]
}
