//! Setting up: tenants, their connections, their keys.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use serde_json::json;

use super::auth::{MayAdminister, MayRead};
use super::dto::{
    ANSWER, ConnectionMade, ConnectionWish, ID, KeyMade, KeyWish, TenantItem, TenantList, TenantMade, TenantWish,
    parse_id, usual,
};
use super::error::Refused;
use super::{Group, Tag, told};
use crate::flow::Engine;
use crate::flow::operate::Act;
use crate::http::body::Body;
use crate::http::spec::{At, Example};

pub(super) struct Setup;

#[OpenApi(prefix_path = "/admin", tag = "Tag::Setup")]
impl Setup {
    /// Add a tenant
    ///
    /// `app_secret` is shown this once; only its hash is kept. A sandbox tenant stays one for ever and may own test
    /// connections only. Right: admin.
    #[oai(path = "/tenants", method = "post", operation_id = "addTenant")]
    async fn add_tenant(
        &self,
        by: MayAdminister,
        engine: Data<&Engine>,
        wish: Body<TenantWish>,
    ) -> Result<Body<TenantMade>, Refused> {
        let engine = by.engine(&engine);
        let made = engine.add_tenant(&wish.0.name, wish.0.sandbox).await;
        let made = told(&engine, Act::new("tenant.add", wish.0.name), made).await?;
        Ok(Body(TenantMade {
            id: made.id.to_string(),
            app_id: made.app_id,
            app_secret: made.app_secret.expose().to_owned(),
        }))
    }

    /// List tenants
    ///
    /// The oldest hundred, oldest first. Right: read.
    #[oai(path = "/tenants", method = "get", operation_id = "listTenants")]
    async fn list_tenants(&self, _by: MayRead, engine: Data<&Engine>) -> Result<Body<TenantList>, Refused> {
        let tenants = engine.store.tenants().await?;
        Ok(Body(TenantList { tenants: tenants.into_iter().map(TenantItem::from).collect() }))
    }

    /// Add a connection
    ///
    /// The settings are checked against the adapter's manifest and stored sealed. `hook_url` is where the provider is to
    /// post its notices. Right: admin.
    #[oai(path = "/tenants/:tenant/connections", method = "post", operation_id = "addConnection")]
    async fn add_connection(
        &self,
        by: MayAdminister,
        engine: Data<&Engine>,
        /// Id of the tenant.
        tenant: Path<String>,
        wish: Body<ConnectionWish>,
    ) -> Result<Body<ConnectionMade>, Refused> {
        let tenant = parse_id("tenant", &tenant.0)?;
        let Body(ConnectionWish { adapter, test, settings }) = wish;
        let settings = settings.into_iter().collect();
        let engine = by.engine(&engine);
        let made = engine.add_connection(tenant, &adapter, test, settings, true).await;
        let made = told(&engine, Act::new("connection.add", format!("adapter {adapter}")).of(tenant), made).await?;
        Ok(Body(ConnectionMade { id: made.id.to_string(), hook_url: made.hook_url }))
    }

    /// Add a key
    ///
    /// The key is shown this once; only its hash is kept. Right: admin.
    #[oai(path = "/tenants/:tenant/keys", method = "post", operation_id = "addKey")]
    async fn add_key(
        &self,
        by: MayAdminister,
        engine: Data<&Engine>,
        /// Id of the tenant.
        tenant: Path<String>,
        wish: Body<KeyWish>,
    ) -> Result<Body<KeyMade>, Refused> {
        let tenant = parse_id("tenant", &tenant.0)?;
        let Body(KeyWish { contract, connection_id, all_events }) = wish;
        let connection = parse_id("connection of this tenant", &connection_id)?;
        let engine = by.engine(&engine);
        let key = engine.add_key(tenant, &contract, connection, all_events).await;
        let act = Act::new("key.add", format!("contract {contract}, connection {connection}")).of(tenant);
        let key = told(&engine, act, key).await?;
        Ok(Body(KeyMade { key: key.expose().to_owned() }))
    }
}

impl Group for Setup {
    fn examples() -> Vec<Example> {
        vec![
            usual("addTenant", At::Request, json!({ "name": "Shop", "sandbox": true })),
            usual("addTenant", ANSWER, json!({ "id": ID, "app_id": "app_5f0c…", "app_secret": "as_9b1d…" })),
            usual(
                "addConnection",
                At::Request,
                json!({
                    "adapter": "sandbox",
                    "test": true,
                    "settings": { "api_key": "any text", "webhook_secret": "any text", "scripted": "on" }
                }),
            ),
            usual(
                "addConnection",
                ANSWER,
                json!({ "id": ID, "hook_url": format!("https://pay.example.com/hooks/{ID}") }),
            ),
            usual("addKey", At::Request, json!({ "contract": "billwerk", "connection_id": ID })),
            usual("addKey", ANSWER, json!({ "key": "sk_test_5d41…" })),
        ]
    }
}
