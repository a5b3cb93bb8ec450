//! Operators, what they did, and what they look for: named keys, an audit, and the columns and indexes behind `explain`,
//! `attention`, scheduled debits and the spelling of a key's answers.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, integer, text, text_null, uuid, uuid_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// SQLite would otherwise keep half of a failed migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(operators()).await?;
        manager.create_table(audit()).await?;
        // SQLite adds one column in a statement.
        for (table, mut column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(&mut column).to_owned()).await?;
        }
        for (table, name, columns) in INDEXES {
            let mut index = Index::create();
            index.name(*name).table(*table);
            for column in *columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        // Few transactions are in doubt at any time, and only those are in this one.
        let mut doubtful = Index::create();
        doubtful.name("ix_transactions_unknown").table("transactions").col("created_at");
        doubtful.and_where(Expr::col("state").eq("unknown"));
        manager.create_index(doubtful).await
    }
}

/// What is looked for across tenants, by people and by the figures they watch.
const INDEXES: &[(&str, &str, &[&str])] = &[
    ("intents", "ix_intents_caller_key", &["caller_key"]),
    ("intents", "ix_intents_customer", &["customer_hash"]),
    ("intents", "ix_intents_trace", &["trace"]),
    ("intents", "ix_intents_agreement", &["agreement_id"]),
    ("agreements", "ix_agreements_caller_id", &["caller_id"]),
    ("transactions", "ix_transactions_ours", &["our_reference"]),
    ("transactions", "ix_transactions_their", &["their_reference"]),
    ("transactions", "ix_transactions_scheme_only", &["scheme_reference"]),
    ("transactions", "ix_transactions_not_before", &["not_before"]),
    ("movements", "ix_movements_movement", &["movement"]),
    ("alerts", "ix_alerts_open", &["settled_at", "raised_at"]),
    ("notices", "ix_notices_state", &["state", "received_at"]),
    ("deliveries", "ix_deliveries_state", &["state", "created_at"]),
    ("audit", "ix_audit_tenant", &["tenant_id", "id"]),
];

/// A person or program that operates this server; not a tenant's.
fn operators() -> TableCreateStatement {
    Table::create()
        .table("operators")
        .col(uuid("id").primary_key())
        .col(text("name").unique_key())
        .col(text("right"))
        .col(text("key_hash").unique_key())
        .col(big_integer("created_at"))
        .col(big_integer_null("revoked_at"))
        .to_owned()
}

/// Who did what, when, to what, and what came of it. `actor` is an operator's name, or a tenant's key where a caller
/// changed settings. Only ever added to.
fn audit() -> TableCreateStatement {
    Table::create()
        .table("audit")
        .col(uuid("id").primary_key())
        .col(text("actor"))
        .col(text("action"))
        .col(uuid_null("tenant_id"))
        .col(text_null("subject"))
        .col(text("details"))
        .col(text("outcome"))
        .col(big_integer("at"))
        .to_owned()
}

fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        // How the answers, errors and notices of a key are spelled; null is the contract's own way.
        ("api_keys", text_null("style")),
        // Calls in a row that the PSP refused for the account's sake, since when, and whether callers are told.
        ("connections", integer("refusals").default(0).to_owned()),
        ("connections", big_integer_null("refused_since")),
        ("connections", text_null("refusal_told")),
        // The id under which the request that made it, and all that followed, stand in the log and in traces.
        ("intents", text_null("trace")),
        // A hash of the caller's number of its customer, to find what belongs to one.
        ("intents", text_null("customer_hash")),
        // Not to be sent earlier.
        ("transactions", big_integer_null("not_before")),
        ("facts", uuid_null("notice_id")),
    ]
}
