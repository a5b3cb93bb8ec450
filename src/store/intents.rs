//! Intents: what a caller asked for, and its state as shown to that caller.

use std::collections::BTreeMap;

use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::{Currency, Money, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::entity::intents;
use super::forms::Details;
use super::sql::{from_json, grown, known, row, to_json};
use super::unit::{Refusal, Unit};
use super::vault::{Place, hash_token};
use super::{Store, StoreError};
use crate::core::intent::{IntentKind, IntentState};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub key_id: Uuid,
    pub contract: String,
    pub operation: String,
    /// The caller's own id of it: with tenant, contract and operation the idempotency key.
    pub caller_key: String,
    pub kind: IntentKind,
    pub state: IntentState,
    pub amount: Money,
    pub method: MethodName,
    pub agreement_id: Option<Uuid>,
    /// The intent this one acts on: a payment's preauth, a refund's payment.
    pub parent_id: Option<Uuid>,
    /// Fingerprints of the request by field.
    pub sameness: BTreeMap<String, String>,
    pub details: Details,
    pub notify_url: Option<String>,
    pub page_token_hash: Option<String>,
    pub expires_at: Option<Timestamp>,
    /// The id under which the request that made it, and what followed, stand in the log and in traces.
    pub trace: Option<String>,
    pub created_at: Timestamp,
    /// Grows with every change that the caller can see.
    pub updated_at: Timestamp,
}

/// Intents one sweep of the expiry worker looks at.
const EXPIRED_PAGE: u64 = 100;

fn place(id: Uuid, tenant: Uuid) -> Place {
    Place { table: "intents", column: "details_sealed", row: id, tenant }
}

/// Moves an intent from one state to another; refused as stale if it is not in `from` any more.
pub fn set_state(unit: &mut Unit, intent: &Intent, to: IntentState, now: Timestamp) {
    unit.must(
        intents::Entity::update_many()
            .col_expr(intents::Column::State, Expr::value(to.as_str()))
            .col_expr(intents::Column::UpdatedAt, grown("updated_at", now.0))
            .filter(intents::Column::TenantId.eq(intent.tenant_id))
            .filter(intents::Column::Id.eq(intent.id))
            .filter(intents::Column::State.eq(intent.state.as_str()))
            .into_query(),
        Refusal::Stale,
    );
}

/// Something the caller can see has changed.
pub fn touch(unit: &mut Unit, tenant: Uuid, id: Uuid, now: Timestamp) {
    unit.update(
        intents::Entity::update_many()
            .col_expr(intents::Column::UpdatedAt, grown("updated_at", now.0))
            .filter(intents::Column::TenantId.eq(tenant))
            .filter(intents::Column::Id.eq(id))
            .into_query(),
    );
}

/// Sets, or with `None` takes away, when the expiry worker looks at it next.
pub fn set_expiry(unit: &mut Unit, tenant: Uuid, id: Uuid, at: Option<Timestamp>) {
    unit.update(
        intents::Entity::update_many()
            .col_expr(intents::Column::ExpiresAt, Expr::value(at.map(|at| at.0)))
            .filter(intents::Column::TenantId.eq(tenant))
            .filter(intents::Column::Id.eq(id))
            .into_query(),
    );
}

/// As [`set_expiry`], unless it has got another time since it was read.
pub fn postpone_expiry(unit: &mut Unit, intent: &Intent, at: Option<Timestamp>) {
    let read = intent.expires_at.map(|at| at.0);
    unit.update(
        intents::Entity::update_many()
            .col_expr(intents::Column::ExpiresAt, Expr::value(at.map(|at| at.0)))
            .filter(intents::Column::TenantId.eq(intent.tenant_id))
            .filter(intents::Column::Id.eq(intent.id))
            .filter(intents::Column::ExpiresAt.eq(read))
            .into_query(),
    );
}

impl Store {
    /// Writes what was told of an open intent since it was made; refused as stale once it is not open any more.
    pub fn set_details(&self, unit: &mut Unit, intent: &Intent, details: &Details) {
        let sealed = self.vault().seal(&place(intent.id, intent.tenant_id), to_json(details).as_bytes());
        unit.must(
            intents::Entity::update_many()
                .col_expr(intents::Column::DetailsSealed, Expr::value(sealed))
                .filter(intents::Column::TenantId.eq(intent.tenant_id))
                .filter(intents::Column::Id.eq(intent.id))
                .filter(intents::Column::State.eq(IntentState::Open.as_str()))
                .into_query(),
            Refusal::Stale,
        );
    }

    /// Adds an intent; the unit is refused with [`Refusal::KeyTaken`] if the caller's key has one.
    pub fn claim_intent(&self, unit: &mut Unit, intent: &Intent) {
        let details = self.vault().seal(&place(intent.id, intent.tenant_id), to_json(&intent.details).as_bytes());
        unit.claim(
            row::<intents::Entity, _>(intents::Model {
                id: intent.id,
                tenant_id: intent.tenant_id,
                connection_id: intent.connection_id,
                key_id: intent.key_id,
                contract: intent.contract.clone(),
                operation: intent.operation.clone(),
                caller_key: intent.caller_key.clone(),
                kind: intent.kind.as_str().to_owned(),
                state: intent.state.as_str().to_owned(),
                amount_minor: intent.amount.minor,
                currency: intent.amount.currency.code().to_owned(),
                method: intent.method.as_str().to_owned(),
                agreement_id: intent.agreement_id,
                parent_id: intent.parent_id,
                sameness: to_json(&intent.sameness),
                details_sealed: details,
                notify_url: intent.notify_url.clone(),
                page_token_hash: intent.page_token_hash.clone(),
                expires_at: intent.expires_at.map(|at| at.0),
                created_at: intent.created_at.0,
                updated_at: intent.updated_at.0,
                trace: intent.trace.clone(),
                customer_hash: intent.details.customer.as_deref().map(hash_token),
            }),
            Refusal::KeyTaken,
        );
    }

    pub async fn intent_by_key(
        &self,
        tenant: Uuid,
        contract: &str,
        operation: &str,
        caller_key: &str,
    ) -> Result<Option<Intent>, StoreError> {
        let found = intents::Entity::find()
            .filter(intents::Column::TenantId.eq(tenant))
            .filter(intents::Column::Contract.eq(contract))
            .filter(intents::Column::Operation.eq(operation))
            .filter(intents::Column::CallerKey.eq(caller_key))
            .one(self.reader())
            .await?;
        found.map(|model| self.read_intent(model)).transpose()
    }

    pub async fn intent(&self, tenant: Uuid, id: Uuid) -> Result<Option<Intent>, StoreError> {
        let found = intents::Entity::find_by_id(id).filter(intents::Column::TenantId.eq(tenant));
        found.one(self.reader()).await?.map(|model| self.read_intent(model)).transpose()
    }

    /// For the payer's page alone, where the unguessable token and not a key says who is looking.
    pub async fn intent_of_page(&self, token_hash: &str) -> Result<Option<Intent>, StoreError> {
        let found = intents::Entity::find().filter(intents::Column::PageTokenHash.eq(token_hash));
        found.one(self.reader()).await?.map(|model| self.read_intent(model)).transpose()
    }

    /// Intents whose time has come, oldest first: (tenant, id). For the expiry worker.
    pub async fn intents_expired(&self, now: Timestamp) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
        let found = intents::Entity::find()
            .select_only()
            .column(intents::Column::TenantId)
            .column(intents::Column::Id)
            .filter(intents::Column::State.is_in([IntentState::Open.as_str(), IntentState::Done.as_str()]))
            .filter(intents::Column::ExpiresAt.lte(now.0))
            .order_by_asc(intents::Column::ExpiresAt)
            .limit(EXPIRED_PAGE)
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(found)
    }

    fn read_intent(&self, model: intents::Model) -> Result<Intent, StoreError> {
        let plain = self.vault().open(&place(model.id, model.tenant_id), &model.details_sealed)?;
        let text = String::from_utf8(plain).map_err(|_| StoreError::Corrupt("details are not UTF-8".to_owned()))?;
        let currency = known(Currency::parse(&model.currency), "currency", &model.currency)?;
        Ok(Intent {
            id: model.id,
            tenant_id: model.tenant_id,
            connection_id: model.connection_id,
            key_id: model.key_id,
            contract: model.contract,
            operation: model.operation,
            caller_key: model.caller_key,
            kind: known(IntentKind::parse(&model.kind), "intent kind", &model.kind)?,
            state: known(IntentState::parse(&model.state), "intent state", &model.state)?,
            amount: Money::new(model.amount_minor, currency),
            method: known(MethodName::parse(&model.method), "method", &model.method)?,
            agreement_id: model.agreement_id,
            parent_id: model.parent_id,
            sameness: from_json("sameness", &model.sameness)?,
            details: from_json("details", &text)?,
            notify_url: model.notify_url,
            page_token_hash: model.page_token_hash,
            expires_at: model.expires_at.map(Timestamp),
            trace: model.trace,
            created_at: Timestamp(model.created_at),
            updated_at: Timestamp(model.updated_at),
        })
    }
}
