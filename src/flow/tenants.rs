//! Sets up tenants, their connections and their keys.

use std::collections::BTreeMap;

use rialto_adapters::port::manifest::{Manifest, SettingType};
use rialto_adapters::port::{Secret, Settings};
use uuid::Uuid;

use super::operate::{Act, DONE};
use super::{Engine, FlowError};
use crate::store::tenants::{self, ApiKey, Connection, Tenant};
use crate::store::{Refusal, Unit, hash_token};

/// Longest name of a tenant: fits a line.
pub const NAME_MAX: usize = 200;
/// Longest value of one setting: room for a PEM certificate with its chain.
pub const SETTING_MAX: usize = 16 * 1024;
/// Bytes of randomness in a key or an app secret.
pub(in crate::flow) const KEY_BYTES: usize = 32;

/// Contracts a key may be for.
pub const CONTRACTS: &[&str] = &["billwerk"];

/// What the person setting up must mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    #[error("{field}: {text}")]
    Invalid { field: String, text: String },
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl From<crate::store::StoreError> for SetupError {
    fn from(error: crate::store::StoreError) -> SetupError {
        SetupError::Flow(error.into())
    }
}

pub(in crate::flow) fn invalid(field: &str, text: impl Into<String>) -> SetupError {
    SetupError::Invalid { field: field.to_owned(), text: text.into() }
}

fn mode(test: bool) -> &'static str {
    if test { "test" } else { "live" }
}

/// A tenant as it was made. The secret is shown this once.
#[derive(Clone, Debug)]
pub struct NewTenant {
    pub id: Uuid,
    pub app_id: String,
    pub app_secret: Secret,
}

#[derive(Clone, Debug)]
pub struct NewConnection {
    pub id: Uuid,
    /// Where the PSP is to post its notices.
    pub hook_url: String,
}

impl Engine {
    pub async fn add_tenant(&self, name: &str, sandbox: bool) -> Result<NewTenant, SetupError> {
        let name = name.trim();
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(invalid("name", format!("must have 1 to {NAME_MAX} bytes")));
        }
        let id = self.clock.new_id();
        let app_id = format!("app_{}", self.token(16));
        let app_secret = Secret::new(format!("as_{}", self.token(KEY_BYTES)));
        let tenant =
            Tenant { id, name: name.to_owned(), app_id: app_id.clone(), sandbox, created_at: self.clock.now() };
        let mut unit = Unit::new("add_tenant");
        tenants::add(&mut unit, &tenant, hash_token(app_secret.expose()));
        let details = format!("{} tenant {:?}", if sandbox { "sandbox" } else { "live" }, tenant.name);
        self.audit(&mut unit, Act::new("tenant.add", details).of(id).on(id), DONE);
        self.run_setup(unit).await?;
        tracing::info!(tenant = %id, sandbox, "tenant added");
        Ok(NewTenant { id, app_id, app_secret })
    }

    /// `by_operator` may set what is not a merchant's to set.
    pub async fn add_connection(
        &self,
        tenant: Uuid,
        adapter: &str,
        test: bool,
        values: BTreeMap<String, String>,
        by_operator: bool,
    ) -> Result<NewConnection, SetupError> {
        let Some(owner) = self.store.tenant(tenant).await? else {
            return Err(SetupError::NotFound { what: "tenant", id: tenant.to_string() });
        };
        let Some(manifest) = rialto_adapters::find(adapter).map(|adapter| adapter.manifest()) else {
            let known: Vec<&str> = rialto_adapters::registry().iter().map(|a| a.manifest().name).collect();
            return Err(invalid("adapter", format!("unknown; this build speaks {}", known.join(", "))));
        };
        if owner.sandbox && !test {
            return Err(invalid("test", "a sandbox tenant may own only test connections"));
        }
        let settings = checked_settings(manifest, values, by_operator)?;
        let connection = Connection {
            id: self.clock.new_id(),
            tenant_id: tenant,
            adapter: manifest.name.to_owned(),
            test,
            version: 1,
            refusals: 0,
            refused_since: None,
            told: None,
        };
        let keys: Vec<&str> = settings.iter().map(|(key, _)| key).collect();
        let details = format!("adapter {adapter}, {}, settings {}", mode(test), keys.join(" "));
        let mut unit = Unit::new("add_connection");
        self.audit(&mut unit, Act::new("connection.add", details).of(tenant).on(connection.id), DONE);
        tenants::add_connection(&mut unit, &connection, self.clock.now());
        self.store.add_settings(&mut unit, &connection, &settings, account(manifest, &settings));
        self.run_setup(unit).await?;
        tracing::info!(tenant = %tenant, connection = %connection.id, adapter, test, "connection added");
        Ok(NewConnection { id: connection.id, hook_url: self.hook_url(connection.id) })
    }

    /// The key itself is returned this once; its hash is kept.
    pub async fn add_key(
        &self,
        tenant: Uuid,
        contract: &str,
        connection: Uuid,
        all_events: bool,
    ) -> Result<Secret, SetupError> {
        if !CONTRACTS.contains(&contract) {
            return Err(invalid("contract", format!("must be one of: {}", CONTRACTS.join(", "))));
        }
        let Some(owned) = self.store.connection(tenant, connection).await? else {
            return Err(SetupError::NotFound { what: "connection of this tenant", id: connection.to_string() });
        };
        let token = Secret::new(format!("sk_{}_{}", mode(owned.test), self.token(KEY_BYTES)));
        let key = ApiKey {
            id: self.clock.new_id(),
            tenant_id: tenant,
            connection_id: connection,
            contract: contract.to_owned(),
        };
        let hint: String = token.expose().chars().take(12).collect();
        let also = if all_events { ", reads the events of all contracts" } else { "" };
        let details = format!("contract {contract}, connection {connection}{also}");
        let mut unit = Unit::new("add_key");
        self.audit(&mut unit, Act::new("key.add", details).of(tenant).on(key.id), DONE);
        tenants::add_key(&mut unit, &key, hash_token(token.expose()), hint, all_events, self.clock.now());
        self.run_setup(unit).await?;
        tracing::info!(tenant = %tenant, %connection, contract, key = %key.id, "key added");
        Ok(token)
    }

    async fn run_setup(&self, unit: Unit) -> Result<(), SetupError> {
        match self.store.run(unit).await? {
            Ok(()) => Ok(()),
            Err(
                Refusal::KeyTaken
                | Refusal::Stale
                | Refusal::Short
                | Refusal::Held
                | Refusal::Duplicate
                | Refusal::Missing,
            ) => Err(invalid("name", "is taken")),
        }
    }

    /// Random bytes as a text that survives every header and shell.
    pub(in crate::flow) fn token(&self, bytes: usize) -> String {
        rialto_adapters::port::notice::hex(&self.clock.random::<KEY_BYTES>()[..bytes.min(KEY_BYTES)])
    }
}

/// The values checked against the manifest: every required one there, none unknown, each of its type.
pub fn checked_settings(
    manifest: &Manifest,
    values: BTreeMap<String, String>,
    by_operator: bool,
) -> Result<Settings, SetupError> {
    for (key, value) in &values {
        let Some(field) = manifest.setting(key) else {
            let known: Vec<&str> = manifest.settings.iter().map(|field| field.key).collect();
            return Err(invalid(key, format!("unknown setting; {} has {}", manifest.name, known.join(", "))));
        };
        if field.operator_only && !by_operator {
            return Err(invalid(key, "is the operator's to set"));
        }
        if value.len() > SETTING_MAX {
            return Err(invalid(key, format!("is longer than {SETTING_MAX} bytes")));
        }
        match field.kind {
            SettingType::Text => {}
            SettingType::Url if value.starts_with("https://") || value.starts_with("http://") => {}
            SettingType::Url => return Err(invalid(key, "must be an http(s) address")),
            SettingType::Switch if ["true", "false", "on", "off"].contains(&value.as_str()) => {}
            SettingType::Switch => return Err(invalid(key, "must be on or off")),
            SettingType::Choice(choices) if choices.iter().any(|(name, _)| name == value) => {}
            SettingType::Choice(choices) => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                return Err(invalid(key, format!("must be one of: {}", names.join(", "))));
            }
        }
    }
    for field in manifest.settings.iter().filter(|field| field.required) {
        if values.get(field.key).is_none_or(|value| value.trim().is_empty()) {
            return Err(invalid(field.key, format!("is required: {}", field.help)));
        }
    }
    Ok(Settings::new(values.into_iter().map(|(key, value)| (key, Secret::new(value)))))
}

/// A fingerprint of the settings that name the account at the PSP.
pub(in crate::flow) fn account(manifest: &Manifest, settings: &Settings) -> String {
    let identifying: Vec<&str> =
        manifest.settings.iter().filter(|f| f.identifying).map(|f| settings.get(f.key)).collect();
    hash_token(&identifying.join("\u{1f}"))
}
