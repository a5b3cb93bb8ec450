//! What is changed after set-up: a tenant's settings, a connection's, and how the holder of a key is answered.

use std::collections::{BTreeMap, HashMap};

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::json;

use super::auth::{MayAdminister, MayRead};
use super::dto::{ANSWER, ID, parse_id, usual};
use super::error::Refused;
use super::{Group, Tag};
use crate::flow::Engine;
use crate::flow::settings::{Changed, NewValues};
use crate::flow::tenants::{WEBHOOK_HOSTS, shown_spelling, spelling};
use crate::http::body::Body;
use crate::http::error::{Kind, Problem};
use crate::http::spec::{At, Example};
use crate::store::forms::TenantSettings;
use crate::store::tenants::{Connection, KeyItem, Told};

pub(super) struct Settings;

#[derive(Clone, Debug, Object)]
pub struct TenantChange {
    /// `webhook_hosts`: the hosts that may be named as `webhookTarget`, with commas between them, each exact
    /// (`hooks.shop.example`) or with everything below a name (`*.shop.example`); empty for every public one.
    pub settings: HashMap<String, String>,
}

#[derive(Clone, Debug, Object)]
pub struct TenantSet {
    /// All that is set of the tenant.
    pub settings: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Object)]
pub struct ConnectionChange {
    /// What changes, all as texts; an empty one is taken away.
    pub settings: HashMap<String, String>,
    /// Change them although open transactions stay behind with the old account, or the provider refuses them or cannot
    /// be asked.
    #[oai(default)]
    pub force: bool,
}

#[derive(Clone, Debug, Object)]
pub struct ConnectionSet {
    pub id: String,
    /// Of the settings; it grows with every change.
    pub version: i32,
    pub changed: bool,
    /// Whether the provider has accepted them when they were tried out.
    pub accepted: bool,
}

/// What callers are told of an account that the provider refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Tell {
    /// That the credentials are wrong.
    Tell,
    /// That something is wrong with the configuration, as before anything is proved.
    Hold,
}

#[derive(Clone, Debug, Object)]
pub struct RefusedWish {
    pub callers: Tell,
}

#[derive(Clone, Debug, Object)]
pub struct RefusedNow {
    pub id: String,
    /// Refusals in a row.
    pub refusals: i32,
    /// `tell`, `hold` or, decided by the server itself, `proved`. Until the provider accepts the account again.
    pub told: Option<String>,
}

#[derive(Clone, Debug, Object)]
pub struct KeyChange {
    /// Bodies of successes: `camel` or `pascal`, then `name` or `number` for enums, as in `pascal,number`; `default` is
    /// the contract's own way. Left out, it stays.
    pub answers: Option<String>,
    /// Bodies of errors, in the same words.
    pub errors: Option<String>,
    /// Notices of what is made with the key, in the same words.
    pub notices: Option<String>,
}

#[derive(Clone, Debug, Object)]
pub struct KeyShown {
    pub id: String,
    pub tenant_id: String,
    pub connection_id: String,
    pub contract: String,
    /// How the key begins.
    pub hint: String,
    pub all_events: bool,
    /// Absent where it is the contract's own way.
    #[oai(skip_serializing_if_is_none)]
    pub answers: Option<String>,
    #[oai(skip_serializing_if_is_none)]
    pub errors: Option<String>,
    #[oai(skip_serializing_if_is_none)]
    pub notices: Option<String>,
    /// Milliseconds since 1970, UTC.
    pub created_at_ms: i64,
    /// Since when it opens nothing any more.
    #[oai(skip_serializing_if_is_none)]
    pub revoked_at_ms: Option<i64>,
}

#[derive(Clone, Debug, Object)]
pub struct KeyList {
    pub keys: Vec<KeyShown>,
}

impl From<KeyItem> for KeyShown {
    fn from(item: KeyItem) -> KeyShown {
        KeyShown {
            id: item.key.id.to_string(),
            tenant_id: item.key.tenant_id.to_string(),
            connection_id: item.key.connection_id.to_string(),
            contract: item.key.contract,
            hint: item.hint,
            all_events: item.all_events,
            answers: shown_spelling(item.style.answers),
            errors: shown_spelling(item.style.errors),
            notices: shown_spelling(item.style.notices),
            created_at_ms: item.created_at.0,
            revoked_at_ms: item.revoked_at.map(|at| at.0),
        }
    }
}

impl From<TenantSettings> for TenantSet {
    fn from(settings: TenantSettings) -> TenantSet {
        let hosts = settings.webhook_hosts.join(",");
        TenantSet { settings: BTreeMap::from([(WEBHOOK_HOSTS.to_owned(), hosts)]) }
    }
}

impl From<Connection> for RefusedNow {
    fn from(connection: Connection) -> RefusedNow {
        RefusedNow {
            id: connection.id.to_string(),
            refusals: connection.refusals,
            told: connection.told.map(Told::as_str).map(str::to_owned),
        }
    }
}

#[OpenApi(prefix_path = "/admin", tag = "Tag::Setup")]
impl Settings {
    /// Change a tenant's settings
    ///
    /// What is not named stays. Answers all that is set then. Right: admin.
    #[oai(path = "/tenants/:tenant/settings", method = "post", operation_id = "setTenant")]
    async fn set_tenant(
        &self,
        by: MayAdminister,
        engine: Data<&Engine>,
        /// Id of the tenant.
        tenant: Path<String>,
        wish: Body<TenantChange>,
    ) -> Result<Body<TenantSet>, Refused> {
        let tenant = parse_id("tenant", &tenant.0)?;
        let values = wish.0.settings.into_iter().collect();
        Ok(Body(by.engine(&engine).set_tenant(tenant, &values).await?.into()))
    }

    /// Change a connection's settings
    ///
    /// What is not named stays. They are tried out at the provider and take effect if it accepts them, as when a merchant
    /// changes them. A change that names another account is refused while transactions of the present one are open.
    /// Right: admin.
    #[oai(path = "/connections/:connection/settings", method = "post", operation_id = "setConnection")]
    async fn set_connection(
        &self,
        by: MayAdminister,
        engine: Data<&Engine>,
        /// Id of the connection.
        connection: Path<String>,
        wish: Body<ConnectionChange>,
    ) -> Result<Body<ConnectionSet>, Refused> {
        let id = parse_id("connection", &connection.0)?;
        let unknown = || Problem::new(Kind::NotFound, format!("there is no connection {id}"));
        let before = engine.store.connection_anywhere(id).await?.ok_or_else(unknown)?;
        let Body(ConnectionChange { settings, force }) = wish;
        let new = NewValues::Some(settings.into_iter().collect());
        let set =
            |version, changed, accepted| Ok(Body(ConnectionSet { id: id.to_string(), version, changed, accepted }));
        match by.engine(&engine).change_settings(before.tenant_id, id, new, force).await? {
            Changed::Saved { version, methods } => set(version, true, methods.is_some()),
            Changed::Same { .. } => set(before.version, false, true),
            Changed::Refused { text } => {
                let text =
                    format!("the provider does not accept these settings: {text}; --force changes them all the same");
                Err(Problem::field(Kind::Shape, "settings", text).into())
            }
            Changed::Unreachable { text } => {
                let text = format!("the provider could not be asked: {text}; --force changes them all the same");
                Err(Problem::field(Kind::Shape, "settings", text).into())
            }
            Changed::Strands { open } => {
                let text = format!(
                    "they name another account at the provider, and {open} transactions of the present one are open or \
                     hold reservations; --force changes them all the same"
                );
                Err(Problem::new(Kind::Conflict, text).into())
            }
            Changed::Raced => {
                Err(Problem::new(Kind::Conflict, "they were changed at the same time; look at them and try again")
                    .into())
            }
        }
    }

    /// Decide what callers are told of a refused account
    ///
    /// Where the contract has a word that switches the provider off for the merchant, it is held back until the
    /// credentials are proved wrong. This says it now, or keeps it back, until the provider accepts the account again.
    /// Right: admin.
    #[oai(path = "/connections/:connection/refused", method = "post", operation_id = "tellRefused")]
    async fn tell_refused(
        &self,
        by: MayAdminister,
        engine: Data<&Engine>,
        /// Id of the connection.
        connection: Path<String>,
        wish: Body<RefusedWish>,
    ) -> Result<Body<RefusedNow>, Refused> {
        let id = parse_id("connection", &connection.0)?;
        let told = wish.0.callers == Tell::Tell;
        Ok(Body(by.engine(&engine).tell_refused(id, told).await?.into()))
    }

    /// List a tenant's keys
    ///
    /// The oldest hundred, oldest first, the revoked ones too. Right: read.
    #[oai(path = "/keys", method = "get", operation_id = "listKeys")]
    async fn list_keys(
        &self,
        _by: MayRead,
        engine: Data<&Engine>,
        /// Id of the tenant.
        tenant: Query<String>,
    ) -> Result<Body<KeyList>, Refused> {
        let tenant = parse_id("tenant", &tenant.0)?;
        if engine.store.tenant(tenant).await?.is_none() {
            return Err(Problem::new(Kind::NotFound, format!("there is no tenant {tenant}")).into());
        }
        let keys = engine.store.keys(tenant).await?;
        Ok(Body(KeyList { keys: keys.into_iter().map(KeyShown::from).collect() }))
    }

    /// Change how the holder of a key is answered
    ///
    /// Right: admin.
    #[oai(path = "/keys/:key", method = "post", operation_id = "setKey")]
    async fn set_key(
        &self,
        by: MayAdminister,
        engine: Data<&Engine>,
        /// Id of the key, or how it begins, as `listKeys` shows it.
        key: Path<String>,
        wish: Body<KeyChange>,
    ) -> Result<Body<KeyShown>, Refused> {
        let read = |field, text: &Option<String>| text.as_deref().map(|text| spelling(field, text)).transpose();
        let Body(KeyChange { answers, errors, notices }) = wish;
        let (answers, errors) = (read("answers", &answers)?, read("errors", &errors)?);
        let notices = read("notices", &notices)?;
        let engine = by.engine(&engine);
        let changed = engine.set_key(&key.0, |mut style| {
            style.answers = answers.unwrap_or(style.answers);
            style.errors = errors.unwrap_or(style.errors);
            style.notices = notices.unwrap_or(style.notices);
            style
        });
        Ok(Body(changed.await?.into()))
    }

    /// Take a key away
    ///
    /// It opens nothing from now on; what was made with it goes on, and is told as before. Right: admin.
    #[oai(path = "/keys/:key/revoke", method = "post", operation_id = "revokeKey")]
    async fn revoke_key(
        &self,
        by: MayAdminister,
        engine: Data<&Engine>,
        /// Id of the key, or how it begins, as `listKeys` shows it.
        key: Path<String>,
    ) -> Result<Body<KeyShown>, Refused> {
        Ok(Body(by.engine(&engine).revoke_key(&key.0).await?.into()))
    }
}

impl Group for Settings {
    fn examples() -> Vec<Example> {
        let hosts = "*.billwerk.com,*.frisbii-transform.com";
        let hosts = json!({ "settings": { "webhook_hosts": hosts } });
        let key = json!({
            "id": ID, "tenant_id": ID, "connection_id": ID, "contract": "billwerk", "hint": "sk_test_5d41",
            "all_events": false, "answers": "pascal,number", "created_at_ms": 1_795_000_000_000_i64
        });
        vec![
            usual("setTenant", At::Request, hosts.clone()),
            usual("setTenant", ANSWER, hosts),
            usual("setConnection", At::Request, json!({ "settings": { "webhook_secret": "another" } })),
            usual("setConnection", ANSWER, json!({ "id": ID, "version": 2, "changed": true, "accepted": true })),
            usual("tellRefused", At::Request, json!({ "callers": "hold" })),
            usual("tellRefused", ANSWER, json!({ "id": ID, "refusals": 3, "told": "hold" })),
            usual("listKeys", ANSWER, json!({ "keys": [key.clone()] })),
            usual("setKey", At::Request, json!({ "answers": "pascal,number" })),
            usual("setKey", ANSWER, key.clone()),
            usual("revokeKey", ANSWER, key),
        ]
    }
}
