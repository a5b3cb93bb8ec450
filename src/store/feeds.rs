//! How far the event ledger of each connection's PSP has been read.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::entity::{connections, feeds};
use super::tenants::Connection;
use super::unit::Unit;
use super::{Store, StoreError};
use rialto_adapters::port::Timestamp;

/// Connections read at once.
const CONNECTIONS_PAGE: u64 = 100;

/// Keeps where the next sweep goes on. Two at once: the later one counts, and reading something twice does no harm.
pub fn keep_cursor(unit: &mut Unit, connection: &Connection, cursor: &str, now: Timestamp) {
    let insert = feeds::Entity::insert(feeds::ActiveModel {
        id: sea_orm::Set(connection.id),
        tenant_id: sea_orm::Set(connection.tenant_id),
        cursor: sea_orm::Set(cursor.to_owned()),
        read_at: sea_orm::Set(now.0),
    });
    unit.insert_or_ignore(insert.into_query());
    unit.update(
        feeds::Entity::update_many()
            .filter(feeds::Column::TenantId.eq(connection.tenant_id))
            .filter(feeds::Column::Id.eq(connection.id))
            .col_expr(feeds::Column::Cursor, Expr::value(cursor))
            .col_expr(feeds::Column::ReadAt, Expr::value(now.0))
            .into_query(),
    );
}

impl Store {
    pub async fn feed_cursor(&self, tenant: Uuid, connection: Uuid) -> Result<Option<String>, StoreError> {
        let found = feeds::Entity::find_by_id(connection).filter(feeds::Column::TenantId.eq(tenant));
        Ok(found.one(self.reader()).await?.map(|model| model.cursor))
    }

    /// Connections in use of all tenants, by id, behind `after`. For the feeds worker.
    pub async fn connections_behind(&self, after: Option<Uuid>) -> Result<Vec<Connection>, StoreError> {
        let mut found = connections::Entity::find().filter(connections::Column::DisabledAt.is_null());
        if let Some(after) = after {
            found = found.filter(connections::Column::Id.gt(after));
        }
        let found = found.order_by_asc(connections::Column::Id).limit(CONNECTIONS_PAGE).all(self.reader()).await?;
        Ok(found.into_iter().map(Connection::from).collect())
    }
}
