//! Settings that change: the account that stored means belong to, and an index over what was sent with each version.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::integer;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// SQLite would otherwise keep half of a failed migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The settings with which the means were stored. Before this, every connection had its first version only.
        let mut version = integer("settings_version").default(1).to_owned();
        manager.alter_table(Table::alter().table("agreements").add_column(&mut version).to_owned()).await?;
        for (table, name, columns) in INDEXES {
            let mut index = Index::create();
            index.name(*name).table(*table);
            for column in *columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        // Few calls are about no transaction: those that try settings out.
        let mut beside = Index::create();
        beside.name("ix_exchanges_beside").table("exchanges").col("connection_id").col("id");
        beside.and_where(Expr::col("transaction_id").is_null());
        manager.create_index(beside).await
    }
}

/// Whether anything sent with a version may still move money, and which connections are being refused.
const INDEXES: &[(&str, &str, &[&str])] = &[
    ("transactions", "ix_transactions_settings", &["connection_id", "settings_version"]),
    ("agreements", "ix_agreements_settings", &["connection_id", "settings_version"]),
    ("connections", "ix_connections_refused", &["refused_since"]),
];
