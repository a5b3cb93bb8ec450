//! Tenants and what they own: connections with versioned, sealed settings, and API keys.

use std::collections::BTreeMap;

use rialto_adapters::port::{Kind, Secret, Settings, Timestamp};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::agreements::AgreementState;
use super::entity::{agreements, alerts, api_keys, connection_settings, connections, tenants, transactions};
use super::forms::{KeyStyle, TenantSettings};
use super::sql::{from_json, row, to_json};
use super::unit::{Refusal, Unit};
use super::vault::Place;
use super::{Store, StoreError};
use crate::core::alert::Alert;
use crate::core::transaction::State;

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
    /// Calls in a row that the PSP has refused for the account's sake, and when the first of them was.
    pub refusals: i32,
    pub refused_since: Option<Timestamp>,
    /// Whether callers are told of it.
    pub told: Option<Told>,
}

/// What callers are told of an account that the PSP refuses. Without one, that is not decided: they are not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Yes: refused again and again, and then when it was tried out too.
    Proved,
    /// Yes: an operator says so.
    Tell,
    /// No: an operator says so.
    Hold,
}

impl Told {
    pub const ALL: [Told; 3] = [Told::Proved, Told::Tell, Told::Hold];

    pub fn as_str(self) -> &'static str {
        match self {
            Told::Proved => "proved",
            Told::Tell => "tell",
            Told::Hold => "hold",
        }
    }

    /// An unknown word is nobody's decision.
    fn parse(text: &str) -> Option<Told> {
        Told::ALL.into_iter().find(|told| told.as_str() == text)
    }
}

/// A caller's key: one tenant, one contract, one default connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub contract: String,
}

/// A key as it is listed: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyItem {
    pub key: ApiKey,
    /// How it begins.
    pub hint: String,
    pub all_events: bool,
    pub style: KeyStyle,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// A key that was found by its hash, with what every request needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    pub key: ApiKey,
    pub style: KeyStyle,
    pub connection: Connection,
    pub tenant: TenantSettings,
}

/// What is set of a tenant, and the text it was read from: it is written only over that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTenantSettings {
    pub settings: TenantSettings,
    text: String,
}

/// Tenants listed at once, and connections or keys of one.
const TENANTS_PAGE: u64 = 100;

/// Versions whose secrets a notice is checked against: more changes than anybody makes while a payment is open.
const NOTICE_VERSIONS_MAX: u64 = 100;

/// Refused connections one sweep tries out.
const REFUSED_PAGE: u64 = 20;

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
        refusals: connection.refusals,
        refused_since: connection.refused_since.map(|at| at.0),
        refusal_told: connection.told.map(|told| told.as_str().to_owned()),
    }));
}

fn one_connection(tenant: Uuid, id: Uuid) -> sea_orm::UpdateMany<connections::Entity> {
    connections::Entity::update_many()
        .filter(connections::Column::TenantId.eq(tenant))
        .filter(connections::Column::Id.eq(id))
}

/// New transactions get the next version from now on; refused as stale if the connection has another one than was read.
/// With new settings refusals are counted anew.
pub fn next_version(unit: &mut Unit, connection: &Connection) {
    let update = one_connection(connection.tenant_id, connection.id)
        .filter(connections::Column::Version.eq(connection.version))
        .col_expr(connections::Column::Version, Expr::value(connection.version + 1));
    unit.must(uncounted(update).into_query(), Refusal::Stale);
}

/// The PSP has refused the account once more.
pub fn count_refusal(unit: &mut Unit, tenant: Uuid, id: Uuid, now: Timestamp) {
    let since = Expr::col(connections::Column::RefusedSince).if_null(now.0);
    unit.update(
        one_connection(tenant, id)
            .col_expr(connections::Column::Refusals, Expr::col(connections::Column::Refusals).add(1))
            .col_expr(connections::Column::RefusedSince, since)
            .into_query(),
    );
}

fn uncounted(update: sea_orm::UpdateMany<connections::Entity>) -> sea_orm::UpdateMany<connections::Entity> {
    update
        .col_expr(connections::Column::Refusals, Expr::value(0))
        .col_expr(connections::Column::RefusedSince, Expr::value(None::<i64>))
        .col_expr(connections::Column::RefusalTold, Expr::value(None::<String>))
}

/// The PSP accepts the account: what was refused before is over, and so are the alerts about it.
pub fn clear_refusals(unit: &mut Unit, tenant: Uuid, id: Uuid, now: Timestamp) {
    let update = one_connection(tenant, id).filter(
        Condition::any().add(connections::Column::Refusals.gt(0)).add(connections::Column::RefusalTold.is_not_null()),
    );
    unit.update(uncounted(update).into_query());
    settle_refusals(unit, tenant, id, now);
}

/// Settles the alerts about an account of a connection that was refused.
pub fn settle_refusals(unit: &mut Unit, tenant: Uuid, id: Uuid, now: Timestamp) {
    let of_it = Query::select()
        .column(transactions::Column::Id)
        .from(transactions::Entity)
        .and_where(transactions::Column::ConnectionId.eq(id))
        .to_owned();
    unit.update(
        alerts::Entity::update_many()
            .col_expr(alerts::Column::SettledAt, Expr::value(now.0))
            .filter(alerts::Column::TenantId.eq(tenant))
            .filter(alerts::Column::Kind.eq(Alert::AccountRefused.as_str()))
            .filter(alerts::Column::SettledAt.is_null())
            .filter(alerts::Column::TransactionId.in_subquery(of_it))
            .into_query(),
    );
}

/// Decides what callers are told; refused as stale if refusals were counted, or forgotten, since the connection was read.
pub fn tell_refusals(unit: &mut Unit, connection: &Connection, told: Told) {
    unit.must(
        one_connection(connection.tenant_id, connection.id)
            .filter(connections::Column::Version.eq(connection.version))
            .filter(connections::Column::Refusals.eq(connection.refusals))
            .col_expr(connections::Column::RefusalTold, Expr::value(told.as_str()))
            .into_query(),
        Refusal::Stale,
    );
}

/// Refused as missing if there is no such key that still opens.
pub fn set_style(unit: &mut Unit, key: &ApiKey, style: &KeyStyle) {
    let written = (*style != KeyStyle::default()).then(|| to_json(style));
    unit.must(one_key(key).col_expr(api_keys::Column::Style, Expr::value(written)).into_query(), Refusal::Missing);
}

/// From now on the key opens nothing. Refused as missing if it does not already.
pub fn revoke_key(unit: &mut Unit, key: &ApiKey, now: Timestamp) {
    unit.must(one_key(key).col_expr(api_keys::Column::RevokedAt, Expr::value(now.0)).into_query(), Refusal::Missing);
}

fn one_key(key: &ApiKey) -> sea_orm::UpdateMany<api_keys::Entity> {
    api_keys::Entity::update_many()
        .filter(api_keys::Column::TenantId.eq(key.tenant_id))
        .filter(api_keys::Column::Id.eq(key.id))
        .filter(api_keys::Column::RevokedAt.is_null())
}

/// Refused as stale if they were changed since they were read.
pub fn set_settings(unit: &mut Unit, tenant: Uuid, from: &StoredTenantSettings, to: &TenantSettings) {
    unit.must(
        tenants::Entity::update_many()
            .col_expr(tenants::Column::Settings, Expr::value(to_json(to)))
            .filter(tenants::Column::Id.eq(tenant))
            .filter(tenants::Column::Settings.eq(from.text.as_str()))
            .into_query(),
        Refusal::Stale,
    );
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
    /// Adds the settings row of a connection's version; refused as stale if there is one by now. `account` is a
    /// fingerprint of the identifying settings.
    pub fn add_settings(&self, unit: &mut Unit, connection: &Connection, settings: &Settings, account: String) {
        let values: BTreeMap<&str, &str> = settings.iter().map(|(key, value)| (key, value.expose())).collect();
        let sealed = self.vault().seal(&place(connection.id, connection.tenant_id), to_json(&values).as_bytes());
        let model = connection_settings::Model {
            connection_id: connection.id,
            version: connection.version,
            tenant_id: connection.tenant_id,
            account,
            sealed,
            created_at: self.clock().now().0,
        };
        unit.claim(row::<connection_settings::Entity, _>(model), Refusal::Stale);
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

    /// The settings of every version, newest first.
    pub async fn all_settings(&self, connection: Uuid) -> Result<Vec<Settings>, StoreError> {
        let found = connection_settings::Entity::find()
            .filter(connection_settings::Column::ConnectionId.eq(connection))
            .order_by_desc(connection_settings::Column::Version)
            .limit(TENANTS_PAGE)
            .all(self.reader())
            .await?;
        found.iter().map(|model| self.open_settings(model)).collect()
    }

    /// The newest settings of the account that a version belongs to.
    pub async fn settings_of_account(
        &self,
        tenant: Uuid,
        connection: Uuid,
        version: i32,
    ) -> Result<Settings, StoreError> {
        let model = connection_settings::Entity::find()
            .filter(connection_settings::Column::TenantId.eq(tenant))
            .filter(connection_settings::Column::ConnectionId.eq(connection))
            .filter(connection_settings::Column::Account.in_subquery(account_of(connection, &[version])))
            .order_by_desc(connection_settings::Column::Version)
            .one(self.reader())
            .await?
            .ok_or_else(|| StoreError::Corrupt(format!("connection {connection} has no settings version {version}")))?;
        self.open_settings(&model)
    }

    /// Whether two versions of a connection's settings name one account at the PSP.
    pub async fn same_account(&self, tenant: Uuid, connection: Uuid, a: i32, b: i32) -> Result<bool, StoreError> {
        if a == b {
            return Ok(true);
        }
        let both = connection_settings::Entity::find()
            .filter(connection_settings::Column::TenantId.eq(tenant))
            .filter(connection_settings::Column::ConnectionId.eq(connection))
            .filter(connection_settings::Column::Version.is_in([a, b]))
            .all(self.reader())
            .await?;
        Ok(both.len() == 2 && both.iter().all(|model| model.account == both[0].account))
    }

    /// What notices to a connection may be signed with, newest first: the settings of now, and those of every version with
    /// which something was sent that may still move money, or means were stored that can still be charged or revoked.
    pub async fn settings_of_notices(&self, connection: &Connection) -> Result<Vec<Settings>, StoreError> {
        let mut found = connection_settings::Entity::find()
            .filter(connection_settings::Column::TenantId.eq(connection.tenant_id))
            .filter(connection_settings::Column::ConnectionId.eq(connection.id))
            .order_by_desc(connection_settings::Column::Version)
            .limit(NOTICE_VERSIONS_MAX);
        // Most connections have one version, and nothing else need be looked at.
        if connection.version > 1 {
            found = found.filter(
                Condition::any()
                    .add(connection_settings::Column::Version.eq(connection.version))
                    .add(Expr::exists(transactions_that(connection.id, may_move_money())))
                    .add(Expr::exists(means_of(connection.id))),
            );
        }
        let found = found.all(self.reader()).await?;
        found.iter().map(|model| self.open_settings(model)).collect()
    }

    /// How many transactions of the account of a version are open, or hold a reservation that is neither taken nor given
    /// free nor over.
    pub async fn open_of_account(
        &self,
        tenant: Uuid,
        connection: Uuid,
        version: i32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let versions = Query::select()
            .column(connection_settings::Column::Version)
            .from(connection_settings::Entity)
            .and_where(connection_settings::Column::ConnectionId.eq(connection))
            .and_where(connection_settings::Column::Account.in_subquery(account_of(connection, &[version])))
            .to_owned();
        let found = transactions::Entity::find()
            .filter(transactions::Column::TenantId.eq(tenant))
            .filter(transactions::Column::ConnectionId.eq(connection))
            .filter(transactions::Column::SettingsVersion.in_subquery(versions))
            .filter(Condition::any().add(open()).add(reserved().add(not_over(now))));
        Ok(found.count(self.reader()).await?)
    }

    /// The key with this hash, unless it was revoked. One read: every request begins with it.
    pub async fn key_by_hash(&self, hash: &str) -> Result<Option<FoundKey>, StoreError> {
        let found = api_keys::Entity::find()
            .filter(api_keys::Column::KeyHash.eq(hash))
            .filter(api_keys::Column::RevokedAt.is_null())
            .find_also_related(connections::Entity)
            .find_also_related(tenants::Entity)
            .one(self.reader())
            .await?;
        let Some((key, Some(connection), Some(tenant))) = found else { return Ok(None) };
        Ok(Some(FoundKey {
            style: style_of(&key)?,
            key: key.into(),
            connection: connection.into(),
            tenant: from_json("tenant settings", &tenant.settings)?,
        }))
    }

    /// How the notices for the holder of a key are spelled; a revoked one's too.
    pub async fn key_style(&self, tenant: Uuid, id: Uuid) -> Result<KeyStyle, StoreError> {
        let found = api_keys::Entity::find_by_id(id).filter(api_keys::Column::TenantId.eq(tenant));
        Ok(found.one(self.reader()).await?.map(|key| style_of(&key)).transpose()?.unwrap_or_default())
    }

    /// A tenant's keys, the oldest hundred, the revoked ones too.
    pub async fn keys(&self, tenant: Uuid) -> Result<Vec<KeyItem>, StoreError> {
        let found = api_keys::Entity::find()
            .filter(api_keys::Column::TenantId.eq(tenant))
            .order_by_asc(api_keys::Column::Id)
            .limit(TENANTS_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(KeyItem::try_from).collect()
    }

    /// For operators, who may name any tenant's: the keys of this id, or that begin so.
    pub async fn keys_anywhere(&self, id: Option<Uuid>, hint: &str) -> Result<Vec<KeyItem>, StoreError> {
        let found = match id {
            Some(id) => api_keys::Entity::find_by_id(id),
            None => api_keys::Entity::find().filter(api_keys::Column::Hint.eq(hint)),
        };
        found.limit(TENANTS_PAGE).all(self.reader()).await?.into_iter().map(KeyItem::try_from).collect()
    }

    pub async fn tenant_settings(&self, id: Uuid) -> Result<Option<StoredTenantSettings>, StoreError> {
        let Some(tenant) = tenants::Entity::find_by_id(id).one(self.reader()).await? else { return Ok(None) };
        let settings = from_json("tenant settings", &tenant.settings)?;
        Ok(Some(StoredTenantSettings { settings, text: tenant.settings }))
    }

    /// For operators, who may name any tenant's.
    pub async fn connection_anywhere(&self, id: Uuid) -> Result<Option<Connection>, StoreError> {
        Ok(connections::Entity::find_by_id(id).one(self.reader()).await?.map(Connection::from))
    }

    /// Connections that have been refused at least so often, all since then or longer, about which nothing is decided.
    pub async fn connections_refused(&self, least: i32, since: Timestamp) -> Result<Vec<Connection>, StoreError> {
        let found = connections::Entity::find()
            .filter(connections::Column::RefusedSince.lte(since.0))
            .filter(connections::Column::Refusals.gte(least))
            .filter(connections::Column::RefusalTold.is_null())
            .order_by_asc(connections::Column::RefusedSince)
            .limit(REFUSED_PAGE);
        Ok(found.all(self.reader()).await?.into_iter().map(Connection::from).collect())
    }
}

/// The account that a version of a connection's settings names.
fn account_of(connection: Uuid, versions: &[i32]) -> SelectStatement {
    Query::select()
        .column(connection_settings::Column::Account)
        .from(connection_settings::Entity)
        .and_where(connection_settings::Column::ConnectionId.eq(connection))
        .and_where(connection_settings::Column::Version.is_in(versions.iter().copied()))
        .to_owned()
}

/// Transactions sent with the very version of the settings row outside.
fn transactions_that(connection: Uuid, are: Condition) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(transactions::Entity)
        .and_where(Expr::col((transactions::Entity, transactions::Column::ConnectionId)).eq(connection))
        .and_where(
            Expr::col((transactions::Entity, transactions::Column::SettingsVersion))
                .equals((connection_settings::Entity, connection_settings::Column::Version)),
        )
        .cond_where(are)
        .to_owned()
}

/// Means stored with the very version of the settings row outside.
fn means_of(connection: Uuid) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(agreements::Entity)
        .and_where(Expr::col((agreements::Entity, agreements::Column::ConnectionId)).eq(connection))
        .and_where(
            Expr::col((agreements::Entity, agreements::Column::SettingsVersion))
                .equals((connection_settings::Entity, connection_settings::Column::Version)),
        )
        .and_where(Expr::col((agreements::Entity, agreements::Column::State)).eq(AgreementState::Active.as_str()))
        .to_owned()
}

fn amount(column: transactions::Column) -> SimpleExpr {
    Expr::col((transactions::Entity, column))
}

fn taken() -> SimpleExpr {
    amount(transactions::Column::ConfirmedMinor).if_null(amount(transactions::Column::AmountMinor))
}

fn state() -> SimpleExpr {
    amount(transactions::Column::State)
}

fn open() -> Condition {
    let open = ["created", "submitted", "pending", "unknown"];
    Condition::all().add(state().is_in(open))
}

/// Money is reserved, and not all of it is taken or given free.
fn reserved() -> Condition {
    let gone = amount(transactions::Column::CapturedMinor).add(amount(transactions::Column::ReleasedMinor));
    Condition::all().add(state().eq(State::Authorised.name())).add(gone.lt(taken()))
}

fn not_over(now: Timestamp) -> Condition {
    let until = || amount(transactions::Column::ValidUntil);
    Condition::any().add(until().is_null()).add(until().gt(now.0))
}

/// Open, reserved, refundable, or gone out and not sure to stay there: of such a transaction news may still come.
fn may_move_money() -> Condition {
    let back = amount(transactions::Column::RefundedMinor).add(amount(transactions::Column::ChargedBackMinor));
    let kind = || amount(transactions::Column::Kind);
    let paid = [Kind::Charge.as_str(), Kind::Capture.as_str()];
    let sent = [Kind::Payout.as_str(), Kind::Refund.as_str()];
    let succeeded = || Condition::all().add(state().eq(State::Succeeded.name()));
    Condition::any()
        .add(open())
        .add(state().eq(State::Authorised.name()))
        .add(succeeded().add(kind().is_in(paid)).add(back.lt(taken())))
        .add(succeeded().add(kind().is_in(sent)))
}

fn style_of(key: &api_keys::Model) -> Result<KeyStyle, StoreError> {
    key.style.as_deref().map(|text| from_json("key style", text)).transpose().map(Option::unwrap_or_default)
}

impl TryFrom<api_keys::Model> for KeyItem {
    type Error = StoreError;

    fn try_from(model: api_keys::Model) -> Result<KeyItem, StoreError> {
        Ok(KeyItem {
            style: style_of(&model)?,
            hint: model.hint.clone(),
            all_events: model.all_events,
            created_at: Timestamp(model.created_at),
            revoked_at: model.revoked_at.map(Timestamp),
            key: model.into(),
        })
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
            refusals: model.refusals,
            refused_since: model.refused_since.map(Timestamp),
            told: model.refusal_told.as_deref().and_then(Told::parse),
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
