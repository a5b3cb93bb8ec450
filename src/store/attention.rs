//! What operators look for across tenants: what waits for a person, and whatever has an id. Everywhere else a query begins
//! with its tenant; here every name says that it does not, and only the admin API may ask.

use rialto_adapters::port::Timestamp;
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use uuid::Uuid;

use super::deliveries::{Delivery, DeliveryState};
use super::entity::{alerts, deliveries, notices, transactions};
use super::history::StoredAlert;
use super::inbox::{Notice, NoticeLine, NoticeState};
use super::transactions::Transaction;
use super::{Store, StoreError};

/// Rows of one kind read at once: more than a person looks at, few enough for an answer.
pub const PAGE: u64 = 100;

/// The first rows of a list, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub left_out: u64,
}

impl<T> Page<T> {
    fn map<U>(self, by: impl FnMut(T) -> Result<U, StoreError>) -> Result<Page<U>, StoreError> {
        Ok(Page { rows: self.rows.into_iter().map(by).collect::<Result<_, _>>()?, left_out: self.left_out })
    }
}

impl Store {
    /// Reads a page of what was asked for, in the order it was asked for, and counts the rest.
    async fn page<E>(&self, found: Select<E>) -> Result<Page<E::Model>, StoreError>
    where
        E: EntityTrait,
        E::Model: FromQueryResult + Send + Sync + Sized,
    {
        let rows = found.clone().limit(PAGE).all(self.reader()).await?;
        // A page that is not full is the whole list.
        let left_out = match (rows.len() as u64) < PAGE {
            true => 0,
            false => found.count(self.reader()).await?.saturating_sub(PAGE),
        };
        Ok(Page { rows, left_out })
    }

    /// Alerts that nobody has settled, oldest first, each with its transaction, where it has one.
    pub async fn alerts_open_everywhere(
        &self,
        tenant: Option<Uuid>,
    ) -> Result<Page<(StoredAlert, Option<Transaction>)>, StoreError> {
        let found = alerts::Entity::find()
            .filter(alerts::Column::SettledAt.is_null())
            .apply_if(tenant, |found, tenant| found.filter(alerts::Column::TenantId.eq(tenant)))
            .order_by_asc(alerts::Column::RaisedAt);
        let page = self.page(found).await?;
        let ids = page.rows.iter().filter_map(|alert| alert.transaction_id);
        let about = transactions::Entity::find().filter(transactions::Column::Id.is_in(ids)).all(self.reader()).await?;
        let about = about.into_iter().map(Transaction::try_from).collect::<Result<Vec<_>, _>>()?;
        page.map(|alert| {
            let transaction = about.iter().find(|t| Some(t.id) == alert.transaction_id).cloned();
            Ok((StoredAlert::from(alert), transaction))
        })
    }

    /// Transactions made before `made_before` of which it is still not known what became of them, oldest first; but for
    /// those that an open alert tells of already.
    pub async fn transactions_unknown_everywhere(
        &self,
        tenant: Option<Uuid>,
        made_before: Timestamp,
    ) -> Result<Page<Transaction>, StoreError> {
        let told = alerts::Entity::find()
            .select_only()
            .column(alerts::Column::TransactionId)
            .filter(alerts::Column::SettledAt.is_null())
            .filter(alerts::Column::TransactionId.is_not_null())
            .into_query();
        let found = transactions::Entity::find()
            .filter(transactions::Column::State.eq("unknown"))
            .filter(transactions::Column::CreatedAt.lt(made_before.0))
            .filter(transactions::Column::Id.not_in_subquery(told))
            .apply_if(tenant, |found, tenant| found.filter(transactions::Column::TenantId.eq(tenant)))
            .order_by_asc(transactions::Column::CreatedAt);
        self.page(found).await?.map(Transaction::try_from)
    }

    /// Notices that belong to nothing or cannot be read, and those that have been parked since before `parked_before`,
    /// oldest first.
    pub async fn notices_waiting_everywhere(
        &self,
        tenant: Option<Uuid>,
        parked_before: Timestamp,
    ) -> Result<Page<NoticeLine>, StoreError> {
        let state = |state: NoticeState| notices::Column::State.eq(state.as_str());
        let found = notices::Entity::find()
            .filter(
                sea_orm::Condition::any().add(state(NoticeState::Unmatched)).add(state(NoticeState::Unreadable)).add(
                    sea_orm::Condition::all()
                        .add(state(NoticeState::Parked))
                        .add(notices::Column::ReceivedAt.lt(parked_before.0)),
                ),
            )
            .apply_if(tenant, |found, tenant| found.filter(notices::Column::TenantId.eq(tenant)))
            .order_by_asc(notices::Column::ReceivedAt);
        self.page(found).await?.map(NoticeLine::try_from)
    }

    /// Deliveries that were given up, oldest first.
    pub async fn deliveries_dead_everywhere(&self, tenant: Option<Uuid>) -> Result<Page<Delivery>, StoreError> {
        let found = deliveries::Entity::find()
            .filter(deliveries::Column::State.eq(DeliveryState::Dead.as_str()))
            .apply_if(tenant, |found, tenant| found.filter(deliveries::Column::TenantId.eq(tenant)))
            .order_by_asc(deliveries::Column::CreatedAt);
        self.page(found).await?.map(Delivery::try_from)
    }

    /// Notices, newest first, without what they say.
    pub async fn notices_everywhere(
        &self,
        state: Option<NoticeState>,
        connection: Option<Uuid>,
        tenant: Option<Uuid>,
    ) -> Result<Page<NoticeLine>, StoreError> {
        let found = notices::Entity::find()
            .apply_if(state, |found, state| found.filter(notices::Column::State.eq(state.as_str())))
            .apply_if(connection, |found, id| found.filter(notices::Column::ConnectionId.eq(id)))
            .apply_if(tenant, |found, tenant| found.filter(notices::Column::TenantId.eq(tenant)))
            .order_by_desc(notices::Column::Id);
        self.page(found).await?.map(NoticeLine::try_from)
    }

    pub async fn transaction_everywhere(&self, id: Uuid) -> Result<Option<Transaction>, StoreError> {
        transactions::Entity::find_by_id(id).one(self.reader()).await?.map(Transaction::try_from).transpose()
    }

    pub async fn alert_everywhere(&self, id: Uuid) -> Result<Option<StoredAlert>, StoreError> {
        Ok(alerts::Entity::find_by_id(id).one(self.reader()).await?.map(StoredAlert::from))
    }

    pub async fn notice_everywhere(&self, id: Uuid) -> Result<Option<Notice>, StoreError> {
        let found = notices::Entity::find_by_id(id).one(self.reader()).await?;
        found.map(|model| self.read_notice(model)).transpose()
    }

    pub async fn delivery_everywhere(&self, id: Uuid) -> Result<Option<Delivery>, StoreError> {
        deliveries::Entity::find_by_id(id).one(self.reader()).await?.map(Delivery::try_from).transpose()
    }
}
