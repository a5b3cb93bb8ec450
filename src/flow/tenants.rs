//! Sets up tenants, their connections and their keys.

use std::collections::BTreeMap;

use rialto_adapters::port::manifest::{Manifest, SettingType};
use rialto_adapters::port::{Secret, Settings};
use uuid::Uuid;

use super::limits::RACES_MAX;
use super::operate::{Act, DONE};
use super::{Engine, FlowError};
use crate::store::forms::{EnumStyle, KeyStyle, NameCase, Spelling, TenantSettings};
use crate::store::tenants::{self, ApiKey, Connection, KeyItem, Tenant};
use crate::store::{Refusal, Unit, hash_token};

/// Longest name of a tenant: fits a line.
pub const NAME_MAX: usize = 200;
/// Longest value of one setting: room for a PEM certificate with its chain.
pub const SETTING_MAX: usize = 16 * 1024;
/// What a mask is made of. No value of a secret may hold it, so that a mask is never taken for one.
pub(in crate::flow) const BULLET: char = '•';
/// Bytes of randomness in a key or an app secret.
pub(in crate::flow) const KEY_BYTES: usize = 32;

/// Of a tenant: the hosts its callers may name as `webhookTarget`.
pub const WEBHOOK_HOSTS: &str = "webhook_hosts";
/// Hosts in that list: a tenant has a handful.
const WEBHOOK_HOSTS_MAX: usize = 50;

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

    /// Changes what may be set of a tenant, by key; what is not named stays. Answers what is set then.
    pub async fn set_tenant(
        &self,
        tenant: Uuid,
        values: &BTreeMap<String, String>,
    ) -> Result<TenantSettings, SetupError> {
        for _ in 0..RACES_MAX {
            let Some(stored) = self.store.tenant_settings(tenant).await? else {
                return Err(SetupError::NotFound { what: "tenant", id: tenant.to_string() });
            };
            let mut settings = stored.settings.clone();
            for (key, value) in values {
                match key.as_str() {
                    WEBHOOK_HOSTS => settings.webhook_hosts = host_patterns(value)?,
                    _ => return Err(invalid(key, format!("unknown; of a tenant can be set: {WEBHOOK_HOSTS}"))),
                }
            }
            if settings == stored.settings {
                return Ok(settings);
            }
            let mut unit = Unit::new("set_tenant");
            tenants::set_settings(&mut unit, tenant, &stored, &settings);
            let details: Vec<String> = values.iter().map(|(key, value)| format!("{key}={value}")).collect();
            self.audit(&mut unit, Act::new("tenant.set", details.join(" ")).of(tenant).on(tenant), DONE);
            if self.store.run(unit).await?.is_ok() {
                return Ok(settings);
            }
        }
        Err(SetupError::Flow(FlowError::Broken(format!("tenant {tenant} keeps changing"))))
    }

    /// The one key of this id, or that begins so, of whichever tenant: for operators.
    pub async fn key_anywhere(&self, which: &str) -> Result<KeyItem, SetupError> {
        let id = Uuid::parse_str(which).ok();
        let mut found = self.store.keys_anywhere(id, which).await?;
        match (found.pop(), found.is_empty()) {
            (Some(key), true) => Ok(key),
            (Some(_), false) => Err(invalid("key", format!("several keys begin with {which}; name one by its id"))),
            (None, _) => Err(SetupError::NotFound { what: "key", id: which.to_owned() }),
        }
    }

    /// How what the holder of a key gets is spelled from now on; notices that are on their way stay as they are.
    pub async fn set_key(&self, which: &str, change: impl FnOnce(KeyStyle) -> KeyStyle) -> Result<KeyItem, SetupError> {
        let found = self.key_anywhere(which).await?;
        let style = change(found.style);
        let mut unit = Unit::new("set_key");
        tenants::set_style(&mut unit, &found.key, &style);
        let act = Act::new("key.set", shown_style(&style)).of(found.key.tenant_id).on(found.key.id);
        self.audit(&mut unit, act, DONE);
        self.run_for_key(unit, which).await?;
        Ok(KeyItem { style, ..found })
    }

    /// From now on the key opens nothing. What was made with it goes on.
    pub async fn revoke_key(&self, which: &str) -> Result<KeyItem, SetupError> {
        let found = self.key_anywhere(which).await?;
        let now = self.clock.now();
        let mut unit = Unit::new("revoke_key");
        tenants::revoke_key(&mut unit, &found.key, now);
        let act = Act::new("key.revoke", found.hint.clone()).of(found.key.tenant_id).on(found.key.id);
        self.audit(&mut unit, act, DONE);
        self.run_for_key(unit, which).await?;
        Ok(KeyItem { revoked_at: Some(now), ..found })
    }

    async fn run_for_key(&self, unit: Unit, which: &str) -> Result<(), SetupError> {
        match self.store.run(unit).await? {
            Ok(()) => Ok(()),
            Err(
                Refusal::Missing
                | Refusal::KeyTaken
                | Refusal::Stale
                | Refusal::Short
                | Refusal::Held
                | Refusal::Duplicate,
            ) => Err(invalid("key", format!("{which} is revoked already"))),
        }
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

/// The hosts of a list with commas, each checked and in the form in which addresses are compared. Empty for an empty text.
fn host_patterns(text: &str) -> Result<Vec<String>, SetupError> {
    let mut patterns = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (below, name) = match part.strip_prefix("*.") {
            Some(name) => ("*.", name),
            None => ("", part),
        };
        let wrong =
            || invalid(WEBHOOK_HOSTS, format!("{part:?} is no host: write hooks.shop.example or *.shop.example"));
        let host = match url::Host::parse(name) {
            Ok(host) if below.is_empty() => host.to_string(),
            // Below an address there is nothing, and a single label would open a whole top-level domain.
            Ok(url::Host::Domain(host)) if host.contains('.') => host,
            Ok(_) | Err(_) => return Err(wrong()),
        };
        if host.ends_with('.') || host.contains('*') {
            return Err(wrong());
        }
        patterns.push(format!("{below}{host}"));
    }
    match patterns.len() {
        0..=WEBHOOK_HOSTS_MAX => Ok(patterns),
        _ => Err(invalid(WEBHOOK_HOSTS, format!("has more than {WEBHOOK_HOSTS_MAX} hosts"))),
    }
}

/// `pascal,number`, or nothing for the contract's own way.
pub fn shown_spelling(spelling: Option<Spelling>) -> Option<String> {
    let spelling = spelling?;
    let case = match spelling.case {
        NameCase::Camel => "camel",
        NameCase::Pascal => "pascal",
    };
    let enums = match spelling.enums {
        EnumStyle::Name => "name",
        EnumStyle::Number => "number",
    };
    Some(format!("{case},{enums}"))
}

/// What [`shown_spelling`] writes, the two parts in any order; `default` is the contract's own way.
pub fn spelling(field: &str, text: &str) -> Result<Option<Spelling>, SetupError> {
    if text.trim().eq_ignore_ascii_case("default") {
        return Ok(None);
    }
    let (mut case, mut enums) = (None, None);
    for part in text.split(',').map(|part| part.trim().to_ascii_lowercase()) {
        match part.as_str() {
            "camel" if case.is_none() => case = Some(NameCase::Camel),
            "pascal" if case.is_none() => case = Some(NameCase::Pascal),
            "name" if enums.is_none() => enums = Some(EnumStyle::Name),
            "number" if enums.is_none() => enums = Some(EnumStyle::Number),
            _ => {
                let text = "must be camel or pascal, then name or number (pascal,number), or default";
                return Err(invalid(field, text));
            }
        }
    }
    match (case, enums) {
        (Some(case), Some(enums)) => Ok(Some(Spelling { case, enums })),
        _ => Err(invalid(field, "must say both: camel or pascal, then name or number (pascal,number)")),
    }
}

fn shown_style(style: &KeyStyle) -> String {
    let part = |name, spelling| format!("{name} {}", shown_spelling(spelling).unwrap_or_else(|| "default".to_owned()));
    [part("answers", style.answers), part("errors", style.errors), part("notices", style.notices)].join(", ")
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
        if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(invalid(key, "must not hold control characters"));
        }
        if field.secret && value.contains(BULLET) {
            return Err(invalid(key, format!("must not hold {BULLET}, of which masks are made")));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_patterns_are_hosts() {
        let good = [
            ("", ""),
            (" , ", ""),
            ("hooks.shop.example", "hooks.shop.example"),
            ("*.Billwerk.com, *.frisbii-transform.com", "*.billwerk.com *.frisbii-transform.com"),
            ("*.bücher.example", "*.xn--bcher-kva.example"),
            ("127.0.0.1,localhost", "127.0.0.1 localhost"),
        ];
        for (text, expected) in good {
            assert_eq!(host_patterns(text).map(|list| list.join(" ")), Ok(expected.to_owned()), "{text}");
        }
        let many = vec!["a.example"; WEBHOOK_HOSTS_MAX + 1].join(",");
        for bad in [
            "*",
            "*.com",
            "*.*.example",
            "https://a.example",
            "a.example/x",
            "a.example:8443",
            "a b",
            "*.127.0.0.1",
            "a.example.",
            &many,
        ] {
            assert!(matches!(host_patterns(bad), Err(SetupError::Invalid { .. })), "{bad}");
        }
    }

    #[test]
    fn spellings_come_back() {
        for text in ["camel,name", "camel,number", "pascal,name", "pascal,number"] {
            let read = spelling("answers", text).expect("good");
            assert_eq!(shown_spelling(read).as_deref(), Some(text));
        }
        assert_eq!(spelling("answers", "Default"), Ok(None));
        assert_eq!(spelling("answers", "number, Pascal"), spelling("answers", "pascal,number"));
        for bad in ["", "pascal", "pascal,camel", "pascal,number,name", "snake,name"] {
            assert!(spelling("answers", bad).is_err(), "{bad}");
        }
    }
}
