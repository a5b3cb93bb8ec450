//! Where stored means come from, so that news of them finds their agreement; and what the sandbox PSP knows of means.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, text_null, uuid_null};

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
        for (table, mut column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(&mut column).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        // The intent that stored the means; null where that was before this column.
        ("agreements", uuid_null("stored_by")),
        // What may be shown of the means, as JSON.
        ("sandbox_means", text_null("shown")),
        // The PSP's transaction that stored them.
        ("sandbox_means", text_null("stored_by")),
        ("sandbox_means", big_integer_null("revoked_at")),
    ]
}
