//! Tenants and what they own: connections with versioned, sealed settings, and API keys.

use std::collections::BTreeMap;

use rialto_adapters::port::{Secret, Settings, Timestamp};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::entity::{api_keys, connection_settings, connections, tenants};
use super::sql::{from_json, row, to_json};
use super::unit::{Refusal, Unit};
use super::vault::Place;
use super::{Store, StoreError};

/// An account, live or sandbox for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: Uuid,
    pub name: String,
    pub app_id: String,
    pub sandbox: bool,
    pub created_at: Timestamp,
}

/// One tenant's use of an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub adapter: String,
    pub test: bool,
    /// The settings version new transactions get.
    pub version: i32,
}

/// A caller's key: one tenant, one contract, one default connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub contract: String,
}

/// Tenants listed at once.
const TENANTS_PAGE: u64 = 100;

pub fn add(unit: &mut Unit, tenant: &Tenant, app_secret_hash: String) {
    unit.claim(
        row::<tenants::Entity, _>(tenants::Model {
            id: tenant.id,
            name: tenant.name.clone(),
            app_id: tenant.app_id.clone(),
            app_secret_hash,
            sandbox: tenant.sandbox,
            state: "active".to_owned(),
            settings: "{}".to_owned(),
            created_at: tenant.created_at.0,
        }),
        Refusal::KeyTaken,
    );
}

pub fn add_connection(unit: &mut Unit, connection: &Connection, now: Timestamp) {
    unit.insert(row::<connections::Entity, _>(connections::Model {
        id: connection.id,
        tenant_id: connection.tenant_id,
        adapter: connection.adapter.clone(),
        test: connection.test,
        version: connection.version,
        created_at: now.0,
        disabled_at: None,
        refusals: 0,
        refused_since: None,
        refusal_told: None,
    }));
}

pub fn add_key(unit: &mut Unit, key: &ApiKey, key_hash: String, hint: String, all_events: bool, now: Timestamp) {
    unit.insert(row::<api_keys::Entity, _>(api_keys::Model {
        id: key.id,
        tenant_id: key.tenant_id,
        connection_id: key.connection_id,
        contract: key.contract.clone(),
        key_hash,
        hint,
        all_events,
        created_at: now.0,
        revoked_at: None,
        style: None,
    }));
}

fn place(connection: Uuid, tenant: Uuid) -> Place {
    Place { table: "connection_settings", column: "sealed", row: connection, tenant }
}

impl Store {
    /// Adds the settings row of a connection's version. `account` is a fingerprint of the identifying settings.
    pub fn add_settings(&self, unit: &mut Unit, connection: &Connection, settings: &Settings, account: String) {
        let values: BTreeMap<&str, &str> = settings.iter().map(|(key, value)| (key, value.expose())).collect();
        let sealed = self.vault().seal(&place(connection.id, connection.tenant_id), to_json(&values).as_bytes());
        unit.insert(row::<connection_settings::Entity, _>(connection_settings::Model {
            connection_id: connection.id,
            version: connection.version,
            tenant_id: connection.tenant_id,
            account,
            sealed,
            created_at: self.clock().now().0,
        }));
    }

    fn open_settings(&self, model: &connection_settings::Model) -> Result<Settings, StoreError> {
        let plain = self.vault().open(&place(model.connection_id, model.tenant_id), &model.sealed)?;
        let text = String::from_utf8(plain).map_err(|_| StoreError::Corrupt("settings are not UTF-8".to_owned()))?;
        let values: BTreeMap<String, String> = from_json("settings", &text)?;
        Ok(Settings::new(values.into_iter().map(|(key, value)| (key, Secret::new(value)))))
    }

    pub async fn tenant(&self, id: Uuid) -> Result<Option<Tenant>, StoreError> {
        Ok(tenants::Entity::find_by_id(id).one(self.reader()).await?.map(Tenant::from))
    }

    /// The oldest hundred.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let found = tenants::Entity::find().order_by_asc(tenants::Column::Id).limit(TENANTS_PAGE);
        Ok(found.all(self.reader()).await?.into_iter().map(Tenant::from).collect())
    }

    pub async fn connection(&self, tenant: Uuid, id: Uuid) -> Result<Option<Connection>, StoreError> {
        let found = connections::Entity::find_by_id(id).filter(connections::Column::TenantId.eq(tenant));
        Ok(found.one(self.reader()).await?.map(Connection::from))
    }

    /// The oldest hundred of a tenant.
    pub async fn connections(&self, tenant: Uuid) -> Result<Vec<Connection>, StoreError> {
        let found = connections::Entity::find()
            .filter(connections::Column::TenantId.eq(tenant))
            .order_by_asc(connections::Column::Id)
            .limit(TENANTS_PAGE);
        Ok(found.all(self.reader()).await?.into_iter().map(Connection::from).collect())
    }

    /// For `/hooks/{connection}` alone, where the PSP's signature and not a key says who is calling.
    pub async fn connection_of_hook(&self, id: Uuid) -> Result<Option<Connection>, StoreError> {
        Ok(connections::Entity::find_by_id(id).one(self.reader()).await?.map(Connection::from))
    }

    pub async fn settings(&self, tenant: Uuid, connection: Uuid, version: i32) -> Result<Settings, StoreError> {
        let model = connection_settings::Entity::find_by_id((connection, version))
            .filter(connection_settings::Column::TenantId.eq(tenant))
            .one(self.reader())
            .await?
            .ok_or_else(|| StoreError::Corrupt(format!("connection {connection} has no settings version {version}")))?;
        self.open_settings(&model)
    }

    /// The settings of every version, newest first: a notice may be signed with any of their secrets.
    pub async fn all_settings(&self, connection: Uuid) -> Result<Vec<Settings>, StoreError> {
        let found = connection_settings::Entity::find()
            .filter(connection_settings::Column::ConnectionId.eq(connection))
            .order_by_desc(connection_settings::Column::Version)
            .all(self.reader())
            .await?;
        found.iter().map(|model| self.open_settings(model)).collect()
    }

    /// The key with this hash and its default connection, unless it was revoked. One read: every request begins with it.
    pub async fn key_by_hash(&self, hash: &str) -> Result<Option<(ApiKey, Connection)>, StoreError> {
        let found = api_keys::Entity::find()
            .filter(api_keys::Column::KeyHash.eq(hash))
            .filter(api_keys::Column::RevokedAt.is_null())
            .find_also_related(connections::Entity)
            .one(self.reader())
            .await?;
        Ok(found.and_then(|(key, connection)| Some((ApiKey::from(key), Connection::from(connection?)))))
    }
}

impl From<tenants::Model> for Tenant {
    fn from(model: tenants::Model) -> Tenant {
        Tenant {
            id: model.id,
            name: model.name,
            app_id: model.app_id,
            sandbox: model.sandbox,
            created_at: Timestamp(model.created_at),
        }
    }
}

impl From<connections::Model> for Connection {
    fn from(model: connections::Model) -> Connection {
        Connection {
            id: model.id,
            tenant_id: model.tenant_id,
            adapter: model.adapter,
            test: model.test,
            version: model.version,
        }
    }
}

impl From<api_keys::Model> for ApiKey {
    fn from(model: api_keys::Model) -> ApiKey {
        ApiKey {
            id: model.id,
            tenant_id: model.tenant_id,
            connection_id: model.connection_id,
            contract: model.contract,
        }
    }
}
