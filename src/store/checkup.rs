//! What a person checks who asks whether all is well with the database: what it is and how it keeps what it is told,
//! whether sealed values open, who leads, and what lies there unread. Every statement reads an index and a bounded number
//! of rows.

use std::collections::BTreeMap;

use rialto_adapters::port::Timestamp;
use sea_orm::sea_query::Query;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select, Statement,
};
use uuid::Uuid;

use super::deliveries::{DeliveryState, Endpoint};
use super::entity::{agreements, connection_settings, connections, deliveries, endpoints, intents, notices};
use super::inbox::NoticeState;
use super::tenants::Connection;
use super::vault::Place;
use super::{Backend, Store, StoreError};

/// Sealed values of one table that are tried: as many of the oldest and of the newest. After a rotation the old key is
/// among the one, the new key among the other.
const SAMPLES: u64 = 20;
/// Settings are few, and without them nothing works: this many are tried.
const SETTINGS_MAX: u64 = 500;
/// Connections and endpoints looked at.
const LOOKED_AT_MAX: u64 = 100;
const LEASES_MAX: u64 = 50;

/// What the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// `SQLite 3.51.3`, `PostgreSQL 16.2`.
    pub name: String,
    /// How it keeps what it was told, in its own words.
    pub durability: String,
    /// An answered write survives a crash.
    pub durable: bool,
}

/// What was sealed with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBy {
    /// Empty where a value is none of ours.
    pub key_id: String,
    pub tried: usize,
    /// Why some do not open; the first reason.
    pub failed: Option<String>,
    /// It is the key that seals now.
    pub current: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct LeaseLine {
    pub name: String,
    pub until_ms: i64,
}

/// The oldest of what nobody has looked at yet, and what was given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unattended {
    pub event: Option<Timestamp>,
    pub notice: Option<Timestamp>,
    /// Notices that match nothing or cannot be read: the oldest.
    pub unmatched: Option<Timestamp>,
}

/// A bounded list, and whether there is more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    pub rows: Vec<T>,
    pub more: bool,
}

struct Sealed {
    place: Place,
    bytes: Vec<u8>,
}

impl Store {
    pub async fn product(&self) -> Result<Product, StoreError> {
        match self.backend() {
            Backend::Sqlite => {
                let version = self.one_text("SELECT sqlite_version()").await?;
                let journal = self.one_text("SELECT journal_mode FROM pragma_journal_mode").await?;
                let keeps = self.durability();
                let durable = journal == "wal" && keeps == "synchronous=2";
                let name = format!("SQLite {version}");
                Ok(Product { name, durability: format!("journal_mode={journal}, {keeps}"), durable })
            }
            Backend::Postgres => {
                let version = self.one_text("SELECT current_setting('server_version')").await?;
                let keeps = self.durability();
                let name = format!("PostgreSQL {version}");
                Ok(Product { name, durability: keeps.to_owned(), durable: keeps != "synchronous_commit=off" })
            }
        }
    }

    async fn one_text(&self, sql: &'static str) -> Result<String, StoreError> {
        let row = self.reader().query_one_raw(Statement::from_string(self.backend().sql(), sql)).await?;
        let row = row.ok_or_else(|| StoreError::Database(format!("no answer to {sql}")))?;
        Ok(row.try_get_by_index::<String>(0)?)
    }

    /// Tries whether sealed values open: all settings, and of everything else the oldest and the newest.
    pub async fn sealed_by(&self) -> Result<Vec<SealedBy>, StoreError> {
        let mut by_key: BTreeMap<String, SealedBy> = BTreeMap::new();
        for Sealed { place, bytes } in self.sealed_samples().await? {
            let key_id = self.vault().key_of(&bytes).unwrap_or_default().to_owned();
            let entry = by_key.entry(key_id.clone()).or_insert_with(|| SealedBy {
                current: !self.vault().is_outdated(&bytes),
                key_id,
                tried: 0,
                failed: None,
            });
            entry.tried += 1;
            if let Err(error) = self.vault().open(&place, &bytes) {
                entry.failed.get_or_insert(error.to_string());
            }
        }
        Ok(by_key.into_values().collect())
    }

    async fn sealed_samples(&self) -> Result<Vec<Sealed>, StoreError> {
        let settings = connection_settings::Entity::find().limit(SETTINGS_MAX).all(self.reader()).await?;
        let place = |table, column, row, tenant| Place { table, column, row, tenant };
        let mut samples: Vec<Sealed> = settings
            .into_iter()
            .map(|row| Sealed {
                place: place("connection_settings", "sealed", row.connection_id, row.tenant_id),
                bytes: row.sealed,
            })
            .collect();
        for row in self.both_ends(intents::Entity::find(), intents::Column::Id).await? {
            let place = place("intents", "details_sealed", row.id, row.tenant_id);
            samples.push(Sealed { place, bytes: row.details_sealed });
        }
        for row in self.both_ends(notices::Entity::find(), notices::Column::Id).await? {
            samples.push(Sealed { place: place("notices", "sealed", row.id, row.tenant_id), bytes: row.sealed });
        }
        for row in self.both_ends(agreements::Entity::find(), agreements::Column::Id).await? {
            let place = place("agreements", "token_sealed", row.id, row.tenant_id);
            samples.extend(row.token_sealed.map(|bytes| Sealed { place, bytes }));
        }
        Ok(samples)
    }

    async fn both_ends<E>(&self, all: Select<E>, id: E::Column) -> Result<Vec<E::Model>, StoreError>
    where
        E: EntityTrait,
        E::Model: FromQueryResult + Send + Sync,
    {
        let mut rows = all.clone().order_by_asc(id).limit(SAMPLES).all(self.reader()).await?;
        rows.extend(all.order_by_desc(id).limit(SAMPLES).all(self.reader()).await?);
        Ok(rows)
    }

    /// Who does what for all nodes, and until when.
    pub async fn leases(&self) -> Result<Vec<LeaseLine>, StoreError> {
        let all = Query::select().columns(["name", "until_ms"]).from("leases").limit(LEASES_MAX).to_owned();
        Ok(LeaseLine::find_by_statement(self.backend().sql().build(&all)).all(self.reader()).await?)
    }

    pub async fn unattended(&self) -> Result<Unattended, StoreError> {
        let event = self.events_undispatched().await?.first().map(|event| event.recorded_at);
        let oldest = async |states: &[NoticeState]| {
            let found: Option<i64> = notices::Entity::find()
                .select_only()
                .column_as(notices::Column::ReceivedAt.min(), "oldest")
                .filter(notices::Column::State.is_in(states.iter().map(|state| state.as_str())))
                .into_tuple::<Option<i64>>()
                .one(self.reader())
                .await?
                .flatten();
            Ok::<_, StoreError>(found.map(Timestamp))
        };
        Ok(Unattended {
            event,
            notice: oldest(&[NoticeState::Waiting]).await?,
            unmatched: oldest(&[NoticeState::Unmatched, NoticeState::Unreadable]).await?,
        })
    }

    /// The connections of all tenants that are not disabled, oldest first.
    pub async fn connections_everywhere(&self) -> Result<Listed<Connection>, StoreError> {
        let found = connections::Entity::find()
            .filter(connections::Column::DisabledAt.is_null())
            .order_by_asc(connections::Column::Id)
            .limit(LOOKED_AT_MAX + 1)
            .all(self.reader())
            .await?;
        Ok(Listed::of(found).map(Connection::from))
    }

    /// The endpoints of all tenants that get something, oldest first, each with the number of its dead deliveries.
    pub async fn endpoints_everywhere(&self) -> Result<Listed<(Endpoint, u64)>, StoreError> {
        let found = endpoints::Entity::find()
            .filter(endpoints::Column::State.eq("active"))
            .order_by_asc(endpoints::Column::Id)
            .limit(LOOKED_AT_MAX + 1)
            .all(self.reader())
            .await?;
        let dead: Vec<(Uuid, i64)> = deliveries::Entity::find()
            .select_only()
            .column(deliveries::Column::EndpointId)
            .column_as(deliveries::Column::Id.count(), "dead")
            .filter(deliveries::Column::State.eq(DeliveryState::Dead.as_str()))
            .group_by(deliveries::Column::EndpointId)
            .into_tuple()
            .all(self.reader())
            .await?;
        let dead_of = |id: Uuid| {
            let found = dead.iter().find(|(endpoint, _)| *endpoint == id);
            found.map_or(0, |(_, count)| u64::try_from(*count).unwrap_or(0))
        };
        Ok(Listed::of(found).map(|model| (dead_of(model.id), Endpoint::from(model))).map(|(dead, of)| (of, dead)))
    }
}

impl<T> Listed<T> {
    fn of(mut rows: Vec<T>) -> Listed<T> {
        let page = usize::try_from(LOOKED_AT_MAX).unwrap_or(usize::MAX);
        let more = rows.len() > page;
        rows.truncate(page);
        Listed { rows, more }
    }

    fn map<U>(self, by: impl FnMut(T) -> U) -> Listed<U> {
        Listed { rows: self.rows.into_iter().map(by).collect(), more: self.more }
    }
}
