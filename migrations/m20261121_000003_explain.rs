//! What people look for: the indexes behind `explain`, which goes from an intent to its events and deliveries, from a
//! notice to what it said, and from a name to the notices that wait for it.

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
    ("deliveries", "ix_deliveries_event", "event_id"),
    ("facts", "ix_facts_notice", "notice_id"),
    ("parked", "ix_parked_value_only", "value"),
    ("audit", "ix_audit_subject", "subject"),
];
