//! Bodies of the admin API.

use std::collections::HashMap;

use poem::http::StatusCode;
use poem_openapi::Object;
use serde_json::json;
use uuid::Uuid;

use super::error::Refused;
use crate::flow::tenants::SetupError;
use crate::http::spec::{At, Example};
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

/// An id of ours. One that is none cannot belong to anything.
pub(super) fn parse_id(what: &'static str, id: &str) -> Result<Uuid, Refused> {
    Uuid::parse_str(id).map_err(|_| SetupError::NotFound { what, id: id.to_owned() }.into())
}

const ID: &str = "0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00";

pub(super) fn examples() -> Vec<Example> {
    let row = |operation_id, at, value| Example { operation_id, at, name: "usual", value };
    let done = At::Response(StatusCode::OK);
    vec![
        row("addTenant", At::Request, json!({ "name": "Shop", "sandbox": true })),
        row("addTenant", done, json!({ "id": ID, "app_id": "app_5f0c…", "app_secret": "as_9b1d…" })),
        row(
            "addConnection",
            At::Request,
            json!({
                "adapter": "sandbox",
                "test": true,
                "settings": { "api_key": "any text", "webhook_secret": "any text", "scripted": "on" }
            }),
        ),
        row("addConnection", done, json!({ "id": ID, "hook_url": format!("https://pay.example.com/hooks/{ID}") })),
        row("addKey", At::Request, json!({ "contract": "billwerk", "connection_id": ID })),
        row("addKey", done, json!({ "key": "sk_test_5d41…" })),
    ]
}
