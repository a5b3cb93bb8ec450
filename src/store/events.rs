//! Events: changes told outward, written in the unit of work that makes the change and given their position after it.

use rialto_adapters::port::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::entity::events;
use super::sql::{known, row};
use super::unit::{Refusal, Unit};
use super::{Store, StoreError};
use crate::core::event::EventType;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// The order in which readers see events; given by the dispatcher once the event is committed, so that no reader's
    /// cursor can pass one that commits late.
    pub position: Option<i64>,
    pub contract: String,
    pub intent_id: Uuid,
    pub transaction_id: Option<Uuid>,
    pub event_type: EventType,
    /// What was so at that moment, in the one model, as JSON.
    pub snapshot: String,
    pub occurred_at: Timestamp,
    pub recorded_at: Timestamp,
}

/// Events one sweep of the dispatcher takes.
const DISPATCH_PAGE: u64 = 128;

pub fn add(unit: &mut Unit, event: Event) {
    unit.insert(row::<events::Entity, _>(events::Model {
        id: event.id,
        tenant_id: event.tenant_id,
        position: event.position,
        contract: event.contract,
        intent_id: event.intent_id,
        transaction_id: event.transaction_id,
        event_type: event.event_type.as_str().to_owned(),
        snapshot: event.snapshot,
        occurred_at: event.occurred_at.0,
        recorded_at: event.recorded_at.0,
    }));
}

/// Gives an event its position; refused as stale if it has one: whoever gives it also derives the deliveries, so they are
/// derived exactly once.
pub fn give_position(unit: &mut Unit, id: Uuid, position: i64) {
    unit.must(
        events::Entity::update_many()
            .col_expr(events::Column::Position, Expr::value(position))
            .filter(events::Column::Id.eq(id))
            .filter(events::Column::Position.is_null())
            .into_query(),
        Refusal::Stale,
    );
}

impl Store {
    /// Events without a position, oldest first. For the dispatcher.
    pub async fn events_undispatched(&self) -> Result<Vec<Event>, StoreError> {
        let found = events::Entity::find()
            .filter(events::Column::Position.is_null())
            .order_by_asc(events::Column::Id)
            .limit(DISPATCH_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(Event::try_from).collect()
    }

    /// The highest position given so far, zero at the start.
    pub async fn events_last_position(&self) -> Result<i64, StoreError> {
        let found = events::Entity::find()
            .select_only()
            .column(events::Column::Position)
            .filter(events::Column::Position.is_not_null())
            .order_by_desc(events::Column::Position)
            .limit(1)
            .into_tuple::<Option<i64>>()
            .one(self.reader())
            .await?;
        Ok(found.flatten().unwrap_or(0))
    }

    /// The events of an intent, oldest first.
    pub async fn events_of(&self, tenant: Uuid, intent: Uuid) -> Result<Vec<Event>, StoreError> {
        let found = events::Entity::find()
            .filter(events::Column::TenantId.eq(tenant))
            .filter(events::Column::IntentId.eq(intent))
            .order_by_asc(events::Column::Id)
            .limit(DISPATCH_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(Event::try_from).collect()
    }
}

impl TryFrom<events::Model> for Event {
    type Error = StoreError;

    fn try_from(model: events::Model) -> Result<Event, StoreError> {
        Ok(Event {
            id: model.id,
            tenant_id: model.tenant_id,
            position: model.position,
            contract: model.contract,
            intent_id: model.intent_id,
            transaction_id: model.transaction_id,
            event_type: known(EventType::parse(&model.event_type), "event type", &model.event_type)?,
            snapshot: model.snapshot,
            occurred_at: Timestamp(model.occurred_at),
            recorded_at: Timestamp(model.recorded_at),
        })
    }
}
