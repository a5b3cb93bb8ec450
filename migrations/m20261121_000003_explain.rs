//! What people look for: the indexes behind `explain`, which goes from an intent to its events, from a name to the notices
//! that wait for it, and from a thing to what operators did to it.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// SQLite would otherwise keep half of a failed migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, name, column) in INDEXES {
            let index = Index::create().if_not_exists().name(*name).table(*table).col(*column).to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

const INDEXES: &[(&str, &str, &str)] = &[
    ("events", "ix_events_intent", "intent_id"),
    ("parked", "ix_parked_value_only", "value"),
    ("audit", "ix_audit_subject", "subject"),
];
