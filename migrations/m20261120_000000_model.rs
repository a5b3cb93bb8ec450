//! The model: tenants and what they own, intents, transactions and their history, notices, events and deliveries.
//!
//! Every row but a tenant's own belongs to a tenant, and children point at their parents by (tenant_id, id), so that no
//! statement can join two tenants. Ids are time-ordered UUIDs, times are UTC milliseconds, money is minor units.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, binary, binary_null, boolean, integer, text, text_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// A table whose rows belong to a tenant: `id`, `tenant_id`, unique (tenant_id, id) to point at.
fn owned(table: &'static str) -> TableCreateStatement {
    let mut create = Table::create();
    create
        .table(table)
        .col(uuid("id").primary_key())
        .col(uuid("tenant_id"))
        .index(Index::create().unique().name(format!("uq_{table}_owner")).col("tenant_id").col("id"))
        .foreign_key(ForeignKey::create().from(table, "tenant_id").to("tenants", "id"));
    create
}

/// Points `column` at `parent` of the same tenant.
fn same_tenant(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, ("tenant_id", column)).to(parent, ("tenant_id", "id")).to_owned()
}

fn unique(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.unique().name(format!("uq_{table}_{}", columns.join("_")));
    for column in columns {
        index.col(*column);
    }
    index
}

fn counter(name: &'static str) -> ColumnDef {
    let mut column = big_integer(name);
    column.default(0).check(Expr::col(name).gte(0));
    column
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// SQLite would otherwise keep half of a failed migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for (table, name, columns) in INDEXES {
            let mut index = Index::create();
            index.name(*name).table(*table);
            for column in *columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// What is read per request, per tick of a worker, or by a foreign key.
const INDEXES: &[(&str, &str, &[&str])] = &[
    ("intents", "ix_intents_expiry", &["state", "expires_at"]),
    ("intents", "ix_intents_parent", &["parent_id"]),
    ("transactions", "ix_transactions_look_at", &["look_at"]),
    ("transactions", "ix_transactions_intent", &["intent_id"]),
    ("transactions", "ix_transactions_parent", &["parent_id"]),
    ("transactions", "ix_transactions_theirs", &["connection_id", "their_reference"]),
    ("transactions", "ix_transactions_scheme", &["connection_id", "scheme_reference"]),
    ("facts", "ix_facts_transaction", &["transaction_id", "id"]),
    ("movements", "ix_movements_transaction", &["transaction_id"]),
    ("exchanges", "ix_exchanges_transaction", &["transaction_id"]),
    ("notices", "ix_notices_next_at", &["next_at"]),
    ("notices", "ix_notices_connection", &["connection_id", "verdict", "received_at"]),
    ("parked", "ix_parked_value", &["connection_id", "namespace", "value"]),
    ("parked", "ix_parked_notice", &["notice_id"]),
    ("events", "ix_events_transaction", &["transaction_id"]),
    ("events", "ix_events_tenant", &["tenant_id", "position"]),
    ("deliveries", "ix_deliveries_next_at", &["next_at"]),
    ("attempts", "ix_attempts_delivery", &["delivery_id"]),
    ("api_keys", "ix_api_keys_tenant", &["tenant_id"]),
    ("connections", "ix_connections_tenant", &["tenant_id"]),
];

/// In an order in which parents come before children.
fn tables() -> Vec<TableCreateStatement> {
    let mut tenants = Table::create();
    tenants
        .table("tenants")
        .col(uuid("id").primary_key())
        .col(text("name"))
        .col(text("app_id").unique_key())
        .col(text("app_secret_hash"))
        .col(boolean("sandbox"))
        .col(text("state"))
        .col(text("settings"))
        .col(big_integer("created_at"));

    let mut connections = owned("connections");
    connections
        .col(text("adapter"))
        .col(boolean("test"))
        .col(integer("version"))
        .col(big_integer("created_at"))
        .col(big_integer_null("disabled_at"));

    let mut connection_settings = Table::create();
    connection_settings
        .table("connection_settings")
        .col(uuid("connection_id"))
        .col(integer("version"))
        .col(uuid("tenant_id"))
        .col(text("account"))
        .col(binary("sealed"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("connection_id").col("version"))
        .foreign_key(&mut same_tenant("connection_settings", "connection_id", "connections"));

    let mut api_keys = owned("api_keys");
    api_keys
        .col(uuid("connection_id"))
        .col(text("contract"))
        .col(text("key_hash").unique_key())
        .col(text("hint"))
        .col(boolean("all_events"))
        .col(big_integer("created_at"))
        .col(big_integer_null("revoked_at"))
        .foreign_key(&mut same_tenant("api_keys", "connection_id", "connections"));

    let mut agreements = owned("agreements");
    agreements
        .col(uuid("connection_id"))
        .col(text("contract"))
        .col(text("caller_id"))
        .col(text("method"))
        .col(text("state"))
        .col(binary_null("token_sealed"))
        .col(binary_null("bearer_sealed"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .index(&mut unique("agreements", &["tenant_id", "contract", "caller_id"]))
        .foreign_key(&mut same_tenant("agreements", "connection_id", "connections"));

    let mut intents = owned("intents");
    intents
        .col(uuid("connection_id"))
        .col(uuid("key_id"))
        .col(text("contract"))
        .col(text("operation"))
        .col(text("caller_key"))
        .col(text("kind"))
        .col(text("state"))
        .col(big_integer("amount_minor").check(Expr::col("amount_minor").gte(0)))
        .col(text("currency"))
        .col(text("method"))
        .col(uuid_null("agreement_id"))
        .col(uuid_null("parent_id"))
        .col(text("sameness"))
        .col(binary("details_sealed"))
        .col(text_null("notify_url"))
        .col(text_null("page_token_hash").unique_key())
        .col(big_integer_null("expires_at"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        // The same key is never a second effect: this, not a lock, is what holds it.
        .index(&mut unique("intents", &["tenant_id", "contract", "operation", "caller_key"]))
        .foreign_key(&mut same_tenant("intents", "connection_id", "connections"))
        .foreign_key(&mut same_tenant("intents", "key_id", "api_keys"))
        .foreign_key(&mut same_tenant("intents", "agreement_id", "agreements"))
        .foreign_key(&mut same_tenant("intents", "parent_id", "intents"));

    let mut transactions = owned("transactions");
    transactions
        .col(uuid("intent_id"))
        .col(uuid("connection_id"))
        .col(integer("settings_version"))
        .col(text("kind"))
        .col(text("method"))
        .col(uuid_null("parent_id"))
        .col(text("our_reference"))
        .col(text_null("their_reference"))
        .col(text_null("scheme_reference"))
        .col(text("state"))
        .col(text_null("stage"))
        .col(text_null("reason"))
        .col(big_integer("amount_minor").check(Expr::col("amount_minor").gte(0)))
        .col(text("currency"))
        .col(big_integer_null("confirmed_minor"))
        .col(counter("captured_minor"))
        .col(counter("captured_reserved_minor"))
        .col(counter("released_minor"))
        .col(counter("released_reserved_minor"))
        .col(counter("refunded_minor"))
        .col(counter("refunded_reserved_minor"))
        .col(counter("charged_back_minor"))
        .col(boolean("marked"))
        .col(integer("attempts"))
        .col(boolean("ended_unknown"))
        .col(big_integer("submit_by"))
        .col(big_integer_null("send_by"))
        .col(big_integer_null("answer_by"))
        .col(big_integer_null("look_at"))
        .col(integer("lookups"))
        .col(integer("absences"))
        .col(big_integer_null("state_at_psp"))
        .col(text_null("next_action"))
        .col(big_integer_null("valid_until"))
        .col(text_null("psp_code"))
        .col(text_null("psp_text"))
        .col(integer("version"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .index(&mut unique("transactions", &["connection_id", "our_reference"]))
        .foreign_key(&mut same_tenant("transactions", "intent_id", "intents"))
        .foreign_key(&mut same_tenant("transactions", "connection_id", "connections"))
        .foreign_key(&mut same_tenant("transactions", "parent_id", "transactions"));

    let mut facts = owned("facts");
    facts
        .col(uuid("transaction_id"))
        .col(text("source"))
        .col(text("learned"))
        .col(text("standing"))
        .col(text("state_before"))
        .col(text("state_after"))
        .col(text_null("reason"))
        .col(big_integer_null("amount_minor"))
        .col(text_null("currency"))
        .col(text_null("movement"))
        .col(text_null("psp_code"))
        .col(text_null("psp_text"))
        .col(text_null("alert"))
        .col(text_null("operator"))
        .col(big_integer_null("occurred_at"))
        .col(big_integer("recorded_at"))
        .foreign_key(&mut same_tenant("facts", "transaction_id", "transactions"));

    let mut movements = owned("movements");
    movements
        .col(uuid("connection_id"))
        .col(uuid("transaction_id"))
        .col(text("movement"))
        .col(text("kind"))
        .col(big_integer("amount_minor"))
        .col(big_integer("fee_minor"))
        .col(text("currency"))
        .col(text_null("reason"))
        .col(text_null("psp_code"))
        .col(text_null("psp_text"))
        .col(big_integer("occurred_at"))
        .col(big_integer("recorded_at"))
        // The same movement told five times is booked once.
        .index(&mut unique("movements", &["connection_id", "movement"]))
        .foreign_key(&mut same_tenant("movements", "transaction_id", "transactions"));

    let mut exchanges = owned("exchanges");
    exchanges
        .col(uuid("connection_id"))
        .col(uuid_null("transaction_id"))
        .col(text("purpose"))
        .col(text("request"))
        .col(text_null("reply"))
        .col(text_null("fault"))
        .col(big_integer("started_at"))
        .col(big_integer("took_ms"))
        .foreign_key(&mut same_tenant("exchanges", "connection_id", "connections"));

    let mut alerts = owned("alerts");
    alerts
        .col(uuid_null("transaction_id"))
        .col(text("kind"))
        .col(text("text"))
        .col(big_integer("raised_at"))
        .col(big_integer_null("settled_at"))
        .index(&mut unique("alerts", &["transaction_id", "kind"]))
        .foreign_key(&mut same_tenant("alerts", "transaction_id", "transactions"));

    let mut notices = owned("notices");
    notices
        .col(uuid("connection_id"))
        .col(text("path"))
        .col(binary("sealed"))
        .col(text("verdict"))
        .col(text_null("verdict_text"))
        .col(text("state"))
        .col(text_null("state_text"))
        .col(integer("attempts"))
        .col(big_integer_null("next_at"))
        .col(big_integer("received_at"))
        .foreign_key(&mut same_tenant("notices", "connection_id", "connections"));

    let mut parked = owned("parked");
    parked
        .col(uuid("connection_id"))
        .col(uuid("notice_id"))
        .col(text("namespace"))
        .col(text("value"))
        .col(big_integer("parked_at"))
        .foreign_key(&mut same_tenant("parked", "notice_id", "notices"));

    let mut events = owned("events");
    events
        .col(big_integer_null("position").unique_key())
        .col(text("contract"))
        .col(uuid("intent_id"))
        .col(uuid_null("transaction_id"))
        .col(text("event_type"))
        .col(text("snapshot"))
        .col(big_integer("occurred_at"))
        .col(big_integer("recorded_at"))
        .foreign_key(&mut same_tenant("events", "intent_id", "intents"))
        .foreign_key(&mut same_tenant("events", "transaction_id", "transactions"));

    let mut endpoints = owned("endpoints");
    endpoints
        .col(text("profile"))
        .col(text("origin"))
        .col(text_null("url"))
        .col(binary_null("secret_sealed"))
        .col(text("state"))
        .col(big_integer("created_at"))
        .index(&mut unique("endpoints", &["tenant_id", "origin", "profile"]));

    let mut deliveries = owned("deliveries");
    deliveries
        .col(uuid("endpoint_id"))
        .col(uuid("event_id"))
        .col(text("subject"))
        .col(text("url"))
        .col(binary("body"))
        .col(integer("wanted"))
        .col(integer("sent"))
        .col(text("state"))
        .col(integer("attempts"))
        .col(big_integer_null("next_at"))
        .col(big_integer("give_up_at"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .index(&mut unique("deliveries", &["endpoint_id", "subject"]))
        .foreign_key(&mut same_tenant("deliveries", "endpoint_id", "endpoints"))
        .foreign_key(&mut same_tenant("deliveries", "event_id", "events"));

    let mut attempts = owned("attempts");
    attempts
        .col(uuid("delivery_id"))
        .col(integer("number"))
        .col(integer("version"))
        .col(integer_or_null("status"))
        .col(text_null("fault"))
        .col(text_null("answer"))
        .col(big_integer("started_at"))
        .col(big_integer("took_ms"))
        .foreign_key(&mut same_tenant("attempts", "delivery_id", "deliveries"));

    vec![
        tenants,
        connections,
        connection_settings,
        api_keys,
        agreements,
        intents,
        transactions,
        facts,
        movements,
        exchanges,
        alerts,
        notices,
        parked,
        events,
        endpoints,
        deliveries,
        attempts,
    ]
}

fn integer_or_null(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.integer().null();
    column
}
