//! The tables as sea-orm sees them. Texts and numbers only; the aggregate files beside this folder give them meaning.

/// One table: a module with sea-orm's Entity, Model, Column and ActiveModel. The name stands twice because sea-orm's
/// derive takes a literal.
macro_rules! entity {
    ($module:ident $table:literal { $($field:ident: $type:ty),* $(,)? }) => {
        entity!($module $table { $($field: $type,)* } {});
    };
    ($module:ident $table:literal { $($field:ident: $type:ty),* $(,)? } { $($relation:tt)* }) => {
        pub mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: Uuid,
                $(pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {
                $($relation)*
            }

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

impl sea_orm::Related<tenants::Entity> for api_keys::Entity {
    fn to() -> sea_orm::RelationDef {
        use sea_orm::RelationTrait;
        api_keys::Relation::Tenant.def()
    }
}

impl sea_orm::Related<connections::Entity> for api_keys::Entity {
    fn to() -> sea_orm::RelationDef {
        use sea_orm::RelationTrait;
        api_keys::Relation::Connection.def()
    }
}

pub mod connection_settings {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "connection_settings")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub connection_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: i32,
        pub tenant_id: Uuid,
        pub account: String,
        pub sealed: Vec<u8>,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

entity!(tenants "tenants" {
    name: String,
    app_id: String,
    app_secret_hash: String,
    sandbox: bool,
    state: String,
    settings: String,
    created_at: i64,
});

entity!(connections "connections" {
    tenant_id: Uuid,
    adapter: String,
    test: bool,
    version: i32,
    created_at: i64,
    disabled_at: Option<i64>,
    refusals: i32,
    refused_since: Option<i64>,
    refusal_told: Option<String>,
});

entity!(api_keys "api_keys" {
    tenant_id: Uuid,
    connection_id: Uuid,
    contract: String,
    key_hash: String,
    hint: String,
    all_events: bool,
    created_at: i64,
    revoked_at: Option<i64>,
    style: Option<String>,
} {
    #[sea_orm(
        belongs_to = "super::connections::Entity",
        from = "Column::ConnectionId",
        to = "super::connections::Column::Id"
    )]
    Connection,
    #[sea_orm(belongs_to = "super::tenants::Entity", from = "Column::TenantId", to = "super::tenants::Column::Id")]
    Tenant,
});

entity!(agreements "agreements" {
    tenant_id: Uuid,
    connection_id: Uuid,
    contract: String,
    caller_id: String,
    method: String,
    state: String,
    token_sealed: Option<Vec<u8>>,
    bearer_sealed: Option<Vec<u8>>,
    created_at: i64,
    updated_at: i64,
    settings_version: i32,
    stored_by: Option<Uuid>,
});

entity!(intents "intents" {
    tenant_id: Uuid,
    connection_id: Uuid,
    key_id: Uuid,
    contract: String,
    operation: String,
    caller_key: String,
    kind: String,
    state: String,
    amount_minor: i64,
    currency: String,
    method: String,
    agreement_id: Option<Uuid>,
    parent_id: Option<Uuid>,
    sameness: String,
    details_sealed: Vec<u8>,
    notify_url: Option<String>,
    page_token_hash: Option<String>,
    expires_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    trace: Option<String>,
    customer_hash: Option<String>,
});

entity!(transactions "transactions" {
    tenant_id: Uuid,
    intent_id: Uuid,
    connection_id: Uuid,
    settings_version: i32,
    kind: String,
    method: String,
    parent_id: Option<Uuid>,
    our_reference: String,
    their_reference: Option<String>,
    scheme_reference: Option<String>,
    state: String,
    stage: Option<String>,
    reason: Option<String>,
    amount_minor: i64,
    currency: String,
    confirmed_minor: Option<i64>,
    captured_minor: i64,
    captured_reserved_minor: i64,
    released_minor: i64,
    released_reserved_minor: i64,
    refunded_minor: i64,
    refunded_reserved_minor: i64,
    charged_back_minor: i64,
    marked: bool,
    attempts: i32,
    ended_unknown: bool,
    submit_by: i64,
    send_by: Option<i64>,
    answer_by: Option<i64>,
    look_at: Option<i64>,
    lookups: i32,
    absences: i32,
    state_at_psp: Option<i64>,
    next_action: Option<String>,
    valid_until: Option<i64>,
    psp_code: Option<String>,
    psp_text: Option<String>,
    version: i32,
    created_at: i64,
    updated_at: i64,
    not_before: Option<i64>,
});

entity!(facts "facts" {
    tenant_id: Uuid,
    transaction_id: Uuid,
    source: String,
    learned: String,
    standing: String,
    state_before: String,
    state_after: String,
    reason: Option<String>,
    amount_minor: Option<i64>,
    currency: Option<String>,
    movement: Option<String>,
    psp_code: Option<String>,
    psp_text: Option<String>,
    alert: Option<String>,
    operator: Option<String>,
    occurred_at: Option<i64>,
    recorded_at: i64,
    notice_id: Option<Uuid>,
});

entity!(movements "movements" {
    tenant_id: Uuid,
    connection_id: Uuid,
    transaction_id: Uuid,
    movement: String,
    kind: String,
    amount_minor: i64,
    fee_minor: i64,
    currency: String,
    reason: Option<String>,
    psp_code: Option<String>,
    psp_text: Option<String>,
    occurred_at: i64,
    recorded_at: i64,
});

entity!(exchanges "exchanges" {
    tenant_id: Uuid,
    connection_id: Uuid,
    transaction_id: Option<Uuid>,
    purpose: String,
    request: String,
    reply: Option<String>,
    fault: Option<String>,
    started_at: i64,
    took_ms: i64,
});

entity!(alerts "alerts" {
    tenant_id: Uuid,
    transaction_id: Option<Uuid>,
    kind: String,
    text: String,
    raised_at: i64,
    settled_at: Option<i64>,
});

entity!(notices "notices" {
    tenant_id: Uuid,
    connection_id: Uuid,
    path: String,
    sealed: Vec<u8>,
    verdict: String,
    verdict_text: Option<String>,
    state: String,
    state_text: Option<String>,
    attempts: i32,
    next_at: Option<i64>,
    received_at: i64,
});

entity!(parked "parked" {
    tenant_id: Uuid,
    connection_id: Uuid,
    notice_id: Uuid,
    namespace: String,
    value: String,
    parked_at: i64,
});

entity!(events "events" {
    tenant_id: Uuid,
    position: Option<i64>,
    contract: String,
    intent_id: Uuid,
    transaction_id: Option<Uuid>,
    event_type: String,
    snapshot: String,
    occurred_at: i64,
    recorded_at: i64,
});

entity!(endpoints "endpoints" {
    tenant_id: Uuid,
    profile: String,
    origin: String,
    url: Option<String>,
    secret_sealed: Option<Vec<u8>>,
    state: String,
    created_at: i64,
});

entity!(deliveries "deliveries" {
    tenant_id: Uuid,
    endpoint_id: Uuid,
    event_id: Uuid,
    subject: String,
    url: String,
    body: Vec<u8>,
    wanted: i32,
    sent: i32,
    state: String,
    attempts: i32,
    next_at: Option<i64>,
    give_up_at: i64,
    created_at: i64,
    updated_at: i64,
    trace: Option<String>,
    intent_id: Option<Uuid>,
});

entity!(attempts "attempts" {
    tenant_id: Uuid,
    delivery_id: Uuid,
    number: i32,
    version: i32,
    status: Option<i32>,
    fault: Option<String>,
    answer: Option<String>,
    started_at: i64,
    took_ms: i64,
});

entity!(operators "operators" {
    name: String,
    right: String,
    key_hash: String,
    created_at: i64,
    revoked_at: Option<i64>,
});

entity!(audit "audit" {
    actor: String,
    action: String,
    tenant_id: Option<Uuid>,
    subject: Option<String>,
    details: String,
    outcome: String,
    at: i64,
});

entity!(budgets "budgets" {
    slot: i64,
    calls: String,
    version: i64,
});

entity!(feeds "feeds" {
    tenant_id: Uuid,
    cursor: String,
    read_at: i64,
});

entity!(bookings "bookings" {
    tenant_id: Uuid,
    intent_id: Uuid,
    transaction_id: Uuid,
    amount_minor: i64,
    created_at: i64,
});
