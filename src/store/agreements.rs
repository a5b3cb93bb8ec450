//! Agreements: stored means of payment under the caller's id.

use rialto_adapters::port::instruction::StoredMeans;
use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::{Bearer, Secret, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryTrait};
use uuid::Uuid;

use super::entity::agreements;
use super::sql::{from_json, known, row, to_json};
use super::transactions::Transaction;
use super::unit::{Refusal, Unit};
use super::vault::Place;
use super::{Store, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgreementState {
    /// Means are being stored.
    Open,
    Active,
    /// Can no longer be charged.
    Revoked,
}

impl AgreementState {
    pub fn as_str(self) -> &'static str {
        match self {
            AgreementState::Open => "open",
            AgreementState::Active => "active",
            AgreementState::Revoked => "revoked",
        }
    }

    fn parse(text: &str) -> Option<AgreementState> {
        [AgreementState::Open, AgreementState::Active, AgreementState::Revoked].into_iter().find(|s| s.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub contract: String,
    pub caller_id: String,
    pub method: MethodName,
    pub state: AgreementState,
    /// The PSP's token, once means are stored.
    pub token: Option<Secret>,
    pub bearer: Bearer,
    /// The settings the means were stored with: they can be charged with that account's alone.
    pub settings_version: i32,
    /// The intent that stored the means; news of them is told as news of it.
    pub stored_by: Option<Uuid>,
}

fn place(column: &'static str, id: Uuid, tenant: Uuid) -> Place {
    Place { table: "agreements", column, row: id, tenant }
}

/// Adds an agreement without means; refused as stale if the caller's id has one by now.
pub fn open(unit: &mut Unit, agreement: &Agreement, now: Timestamp) {
    unit.claim(
        row::<agreements::Entity, _>(agreements::Model {
            id: agreement.id,
            tenant_id: agreement.tenant_id,
            connection_id: agreement.connection_id,
            contract: agreement.contract.clone(),
            caller_id: agreement.caller_id.clone(),
            method: agreement.method.as_str().to_owned(),
            state: AgreementState::Open.as_str().to_owned(),
            token_sealed: None,
            bearer_sealed: None,
            created_at: now.0,
            updated_at: now.0,
            settings_version: agreement.settings_version,
            stored_by: None,
        }),
        Refusal::Stale,
    );
}

/// The means can no longer be charged. Refused as a duplicate if that is known, and as such too if other means have taken
/// their place since the agreement was read: those were not revoked.
pub fn revoke(unit: &mut Unit, agreement: &Agreement, now: Timestamp) {
    unit.must(
        agreements::Entity::update_many()
            .col_expr(agreements::Column::State, Expr::value(AgreementState::Revoked.as_str()))
            .col_expr(agreements::Column::UpdatedAt, Expr::value(now.0))
            .filter(agreements::Column::TenantId.eq(agreement.tenant_id))
            .filter(agreements::Column::Id.eq(agreement.id))
            .filter(agreements::Column::State.eq(AgreementState::Active.as_str()))
            .filter(match agreement.stored_by {
                Some(intent) => agreements::Column::StoredBy.eq(intent),
                None => agreements::Column::StoredBy.is_null(),
            })
            .into_query(),
        Refusal::Duplicate,
    );
}

impl Store {
    /// Puts the means that a transaction stored under the agreement; newer means take the place of older ones, of whatever
    /// method and connection those were.
    pub fn keep_means(&self, unit: &mut Unit, from: &Transaction, id: Uuid, means: &StoredMeans, now: Timestamp) {
        let (tenant, token, bearer) = (from.tenant_id, &means.token, &means.shown);
        let token = self.vault().seal(&place("token_sealed", id, tenant), token.expose().as_bytes());
        let bearer = self.vault().seal(&place("bearer_sealed", id, tenant), to_json(bearer).as_bytes());
        unit.update(
            agreements::Entity::update_many()
                .col_expr(agreements::Column::TokenSealed, Expr::value(token))
                .col_expr(agreements::Column::BearerSealed, Expr::value(bearer))
                .col_expr(agreements::Column::State, Expr::value(AgreementState::Active.as_str()))
                .col_expr(agreements::Column::Method, Expr::value(from.method.as_str()))
                .col_expr(agreements::Column::ConnectionId, Expr::value(from.connection_id))
                .col_expr(agreements::Column::SettingsVersion, Expr::value(from.settings_version))
                .col_expr(agreements::Column::StoredBy, Expr::value(from.intent_id))
                .col_expr(agreements::Column::UpdatedAt, Expr::value(now.0))
                .filter(agreements::Column::TenantId.eq(tenant))
                .filter(agreements::Column::Id.eq(id))
                .into_query(),
        );
    }

    pub async fn agreement(
        &self,
        tenant: Uuid,
        contract: &str,
        caller_id: &str,
    ) -> Result<Option<Agreement>, StoreError> {
        let found = agreements::Entity::find()
            .filter(agreements::Column::TenantId.eq(tenant))
            .filter(agreements::Column::Contract.eq(contract))
            .filter(agreements::Column::CallerId.eq(caller_id))
            .one(self.reader())
            .await?;
        found.map(|model| self.read_agreement(model)).transpose()
    }

    pub async fn agreement_by_id(&self, tenant: Uuid, id: Uuid) -> Result<Option<Agreement>, StoreError> {
        let found = agreements::Entity::find_by_id(id).filter(agreements::Column::TenantId.eq(tenant));
        found.one(self.reader()).await?.map(|model| self.read_agreement(model)).transpose()
    }

    fn read_agreement(&self, model: agreements::Model) -> Result<Agreement, StoreError> {
        let open = |column, sealed: &Option<Vec<u8>>| match sealed {
            None => Ok(None),
            Some(sealed) => {
                let plain = self.vault().open(&place(column, model.id, model.tenant_id), sealed)?;
                let text = String::from_utf8(plain);
                text.map(Some).map_err(|_| StoreError::Corrupt(format!("{column} is not UTF-8")))
            }
        };
        let token = open("token_sealed", &model.token_sealed)?;
        let bearer = open("bearer_sealed", &model.bearer_sealed)?;
        Ok(Agreement {
            id: model.id,
            tenant_id: model.tenant_id,
            connection_id: model.connection_id,
            method: known(MethodName::parse(&model.method), "method", &model.method)?,
            state: known(AgreementState::parse(&model.state), "agreement state", &model.state)?,
            contract: model.contract,
            caller_id: model.caller_id,
            token: token.map(Secret::new),
            bearer: bearer.map(|text| from_json("bearer", &text)).transpose()?.unwrap_or_default(),
            settings_version: model.settings_version,
            stored_by: model.stored_by,
        })
    }
}
