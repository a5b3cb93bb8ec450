//! Bodies of the admin API: set-up, and operators with their audit. [`operate`] – what waits for a person.

pub(super) mod operate;

use std::collections::HashMap;

use poem::http::StatusCode;
use poem_openapi::{Enum, Object};
use serde_json::Value;
use uuid::Uuid;

use super::error::Refused;
use crate::flow::tenants::SetupError;
use crate::http::spec::{At, Example};
use crate::store::operators::{AuditEntry, Operator, Right};
use crate::store::tenants::Tenant;

#[derive(Clone, Debug, Object)]
pub struct TenantWish {
    /// 1 to 200 bytes.
    pub name: String,
    /// Whether it is for trying things out, for ever.
    #[oai(default)]
    pub sandbox: bool,
}

#[derive(Clone, Debug, Object)]
pub struct TenantMade {
    pub id: String,
    pub app_id: String,
    /// Shown this once.
    pub app_secret: String,
}

#[derive(Clone, Debug, Object)]
pub struct TenantItem {
    pub id: String,
    pub name: String,
    pub app_id: String,
    pub sandbox: bool,
    /// Milliseconds since 1970, UTC.
    pub created_at_ms: i64,
}

#[derive(Clone, Debug, Object)]
pub struct TenantList {
    pub tenants: Vec<TenantItem>,
}

impl From<Tenant> for TenantItem {
    fn from(tenant: Tenant) -> TenantItem {
        TenantItem {
            id: tenant.id.to_string(),
            name: tenant.name,
            app_id: tenant.app_id,
            sandbox: tenant.sandbox,
            created_at_ms: tenant.created_at.0,
        }
    }
}

#[derive(Clone, Debug, Object)]
pub struct ConnectionWish {
    /// Name of the adapter, such as `sandbox`.
    pub adapter: String,
    /// Whether it leads to the provider's test environment.
    #[oai(default)]
    pub test: bool,
    /// Settings of the adapter, all as texts.
    #[oai(default)]
    pub settings: HashMap<String, String>,
}

#[derive(Clone, Debug, Object)]
pub struct ConnectionMade {
    pub id: String,
    /// Where the provider is to post its notices.
    pub hook_url: String,
}

#[derive(Clone, Debug, Object)]
pub struct KeyWish {
    /// The contract the key is for: `billwerk`.
    pub contract: String,
    /// The connection used where a call names none.
    pub connection_id: String,
    /// Whether the key reads the events of all contracts, not only of its own.
    #[oai(default)]
    pub all_events: bool,
}

#[derive(Clone, Debug, Object)]
pub struct KeyMade {
    /// Shown this once.
    pub key: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
#[oai(rename = "Right")]
pub enum RightName {
    /// Look.
    Read,
    /// And say what machines may not.
    Resolve,
    /// And set up.
    Admin,
}

impl From<RightName> for Right {
    fn from(name: RightName) -> Right {
        match name {
            RightName::Read => Right::Read,
            RightName::Resolve => Right::Resolve,
            RightName::Admin => Right::Admin,
        }
    }
}

impl From<Right> for RightName {
    fn from(right: Right) -> RightName {
        match right {
            Right::Read => RightName::Read,
            Right::Resolve => RightName::Resolve,
            Right::Admin => RightName::Admin,
        }
    }
}

#[derive(Clone, Debug, Object)]
pub struct OperatorWish {
    /// 1 to 200 bytes, and never given before: the audit names operators.
    pub name: String,
    /// Each right includes the ones before it.
    pub right: RightName,
}

#[derive(Clone, Debug, Object)]
pub struct OperatorItem {
    pub name: String,
    pub right: RightName,
    /// Milliseconds since 1970, UTC.
    pub created_at_ms: i64,
    /// Since when the key opens nothing any more.
    #[oai(skip_serializing_if_is_none)]
    pub revoked_at_ms: Option<i64>,
}

#[derive(Clone, Debug, Object)]
pub struct OperatorList {
    /// The first operator, whose key stands in the settings, is not among them.
    pub operators: Vec<OperatorItem>,
}

impl From<Operator> for OperatorItem {
    fn from(operator: Operator) -> OperatorItem {
        OperatorItem {
            name: operator.name,
            right: operator.right.into(),
            created_at_ms: operator.created_at.0,
            revoked_at_ms: operator.revoked_at.map(|at| at.0),
        }
    }
}

#[derive(Clone, Debug, Object)]
pub struct OperatorGone {
    /// Whose key opens nothing any more.
    pub revoked: String,
}

#[derive(Clone, Debug, Object)]
pub struct AuditItem {
    pub id: String,
    /// Milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// An operator's name, `key` and an id where a caller changed something, or `rialto` itself.
    pub actor: String,
    /// `resolve`, `key.add`, …
    pub action: String,
    #[oai(skip_serializing_if_is_none)]
    pub tenant_id: Option<String>,
    /// The id, or the name, of what it was done to.
    #[oai(skip_serializing_if_is_none)]
    pub subject: Option<String>,
    /// What was asked for. Never a secret.
    pub details: String,
    /// What came of it.
    pub outcome: String,
}

#[derive(Clone, Debug, Object)]
pub struct AuditList {
    /// Newest first.
    pub entries: Vec<AuditItem>,
    /// How many older ones there are.
    pub left_out: u64,
}

impl From<AuditEntry> for AuditItem {
    fn from(entry: AuditEntry) -> AuditItem {
        AuditItem {
            id: entry.id.to_string(),
            at_ms: entry.at.0,
            actor: entry.actor,
            action: entry.action,
            tenant_id: entry.tenant_id.map(|id| id.to_string()),
            subject: entry.subject,
            details: entry.details,
            outcome: entry.outcome,
        }
    }
}

/// An id of ours. One that is none cannot belong to anything.
pub(super) fn parse_id(what: &'static str, id: &str) -> Result<Uuid, Refused> {
    Uuid::parse_str(id).map_err(|_| SetupError::NotFound { what, id: id.to_owned() }.into())
}

/// An id for examples.
pub(super) const ID: &str = "0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00";

/// An example of what is usual.
pub(super) fn usual(operation_id: &'static str, at: At, value: Value) -> Example {
    Example { operation_id, at, name: "usual", value }
}

/// Where the example of an answer stands.
pub(super) const ANSWER: At = At::Response(StatusCode::OK);
