//! Operators – people and programs that run this server, with named keys – and the audit of what they, and callers who
//! change settings, did.

use rialto_adapters::port::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::entity::{audit, operators};
use super::sql::{known, row};
use super::unit::{Refusal, Unit};
use super::{Store, StoreError};

/// What an operator may do. Each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Look.
    Read,
    /// Say what machines may not: resolve, match and drop notices, replay.
    Resolve,
    /// Set up tenants, keys and operators; force settings.
    Admin,
}

impl Right {
    pub const ALL: [Right; 3] = [Right::Read, Right::Resolve, Right::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Resolve => "resolve",
            Right::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Right> {
        Right::ALL.into_iter().find(|right| right.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub id: Uuid,
    pub name: String,
    pub right: Right,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// Who did what, when, to what, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: Uuid,
    /// An operator's name; `key <id>` where a caller's key changed something.
    pub actor: String,
    /// In a word or two: `resolve`, `settings`, `key.add`, …
    pub action: String,
    pub tenant_id: Option<Uuid>,
    /// The id of what it was done to.
    pub subject: Option<String>,
    /// What was asked for, for people. Never a secret.
    pub details: String,
    /// What came of it, for people.
    pub outcome: String,
    pub at: Timestamp,
}

/// Operators and audit entries read at once.
const PAGE: u64 = 200;

/// Adds an operator; refused as taken if the name has been given before, to a revoked one too: an audit names them.
pub fn add(unit: &mut Unit, operator: &Operator, key_hash: String) {
    unit.claim(
        row::<operators::Entity, _>(operators::Model {
            id: operator.id,
            name: operator.name.clone(),
            right: operator.right.as_str().to_owned(),
            key_hash,
            created_at: operator.created_at.0,
            revoked_at: operator.revoked_at.map(|at| at.0),
        }),
        Refusal::KeyTaken,
    );
}

/// Takes an operator's key away; refused as missing if there is none of this name with a key.
pub fn revoke(unit: &mut Unit, name: &str, now: Timestamp) {
    unit.must(
        operators::Entity::update_many()
            .col_expr(operators::Column::RevokedAt, Expr::value(now.0))
            .filter(operators::Column::Name.eq(name))
            .filter(operators::Column::RevokedAt.is_null())
            .into_query(),
        Refusal::Missing,
    );
}

/// Keeps what was done, in the unit that does it.
pub fn record(unit: &mut Unit, entry: AuditEntry) {
    unit.insert(row::<audit::Entity, _>(audit::Model {
        id: entry.id,
        actor: entry.actor,
        action: entry.action,
        tenant_id: entry.tenant_id,
        subject: entry.subject,
        details: entry.details,
        outcome: entry.outcome,
        at: entry.at.0,
    }));
}

impl Store {
    /// Whose key this is, unless it has been taken away.
    pub async fn operator_by_key(&self, key_hash: &str) -> Result<Option<Operator>, StoreError> {
        let found = operators::Entity::find()
            .filter(operators::Column::KeyHash.eq(key_hash))
            .filter(operators::Column::RevokedAt.is_null());
        found.one(self.reader()).await?.map(Operator::try_from).transpose()
    }

    /// All operators, oldest first.
    pub async fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        let found = operators::Entity::find().order_by_asc(operators::Column::Id).limit(PAGE);
        found.all(self.reader()).await?.into_iter().map(Operator::try_from).collect()
    }

    /// What was done, newest first, and how many older entries were left out; of one tenant, or of all and of the server
    /// itself.
    pub async fn audit_everywhere(&self, tenant: Option<Uuid>) -> Result<(Vec<AuditEntry>, u64), StoreError> {
        let mut found = audit::Entity::find();
        if let Some(tenant) = tenant {
            found = found.filter(audit::Column::TenantId.eq(tenant));
        }
        let all = found.clone().count(self.reader()).await?;
        let page = found.order_by_desc(audit::Column::Id).limit(PAGE).all(self.reader()).await?;
        let left_out = all.saturating_sub(page.len() as u64);
        Ok((page.into_iter().map(AuditEntry::from).collect(), left_out))
    }
}

impl TryFrom<operators::Model> for Operator {
    type Error = StoreError;

    fn try_from(model: operators::Model) -> Result<Operator, StoreError> {
        Ok(Operator {
            id: model.id,
            right: known(Right::parse(&model.right), "right", &model.right)?,
            name: model.name,
            created_at: Timestamp(model.created_at),
            revoked_at: model.revoked_at.map(Timestamp),
        })
    }
}

impl From<audit::Model> for AuditEntry {
    fn from(model: audit::Model) -> AuditEntry {
        AuditEntry {
            id: model.id,
            actor: model.actor,
            action: model.action,
            tenant_id: model.tenant_id,
            subject: model.subject,
            details: model.details,
            outcome: model.outcome,
            at: Timestamp(model.at),
        }
    }
}
