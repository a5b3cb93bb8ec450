//! Endpoints, the deliveries to them, and each attempt.

use rialto_adapters::port::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::entity::{attempts, deliveries, endpoints};
use super::sql::{known, row};
use super::unit::{Refusal, Unit};
use super::{Store, StoreError};

/// Where a tenant wants events. One made from a `webhookTarget` has no address of its own: that stays on the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub profile: String,
    /// Scheme, host and port: what the endpoint is known by.
    pub origin: String,
    pub url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Due,
    /// An attempt is under way; if nobody finishes it, it is due again at `next_at`.
    Sending,
    Delivered,
    /// Given up after the profile's whole schedule; can be replayed.
    Dead,
}

impl DeliveryState {
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Due => "due",
            DeliveryState::Sending => "sending",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Dead => "dead",
        }
    }

    fn parse(text: &str) -> Option<DeliveryState> {
        use DeliveryState::{Dead, Delivered, Due, Sending};
        [Due, Sending, Delivered, Dead].into_iter().find(|s| s.as_str() == text)
    }
}

/// News for one endpoint. Coalesced profiles have one row per subject: `wanted` counts the news, `sent` how much of it the
/// receiver has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub endpoint_id: Uuid,
    /// The newest event it tells of.
    pub event_id: Uuid,
    /// What is told at most once at a time: the intent for a coalesced profile, else the event.
    pub subject: String,
    pub url: String,
    /// Rendered once, when the delivery is derived.
    pub body: Vec<u8>,
    pub wanted: i32,
    pub sent: i32,
    pub state: DeliveryState,
    pub attempts: i32,
    pub next_at: Option<Timestamp>,
    pub give_up_at: Timestamp,
    /// Since when what is wanted now has been waiting; of an acknowledged one, when that began.
    pub created_at: Timestamp,
    /// The id, in logs and traces, of the request that made the intent it tells of.
    pub trace: Option<String>,
    pub intent_id: Option<Uuid>,
}

/// One call of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub id: Uuid,
    pub number: i32,
    /// The version of the news it told.
    pub version: i32,
    pub status: Option<u16>,
    pub fault: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
    pub started_at: Timestamp,
    pub took_ms: i64,
}

/// Deliveries one sweep of the outbox takes.
const DUE_PAGE: u64 = 128;

/// Adds an endpoint; refused as stale if the tenant has it by now: (tenant, origin, profile) is one endpoint.
pub fn open_endpoint(unit: &mut Unit, endpoint: &Endpoint, now: Timestamp) {
    unit.claim(
        row::<endpoints::Entity, _>(endpoints::Model {
            id: endpoint.id,
            tenant_id: endpoint.tenant_id,
            profile: endpoint.profile.clone(),
            origin: endpoint.origin.clone(),
            url: endpoint.url.clone(),
            secret_sealed: None,
            state: "active".to_owned(),
            created_at: now.0,
        }),
        Refusal::Stale,
    );
}

/// Adds the delivery, or wants one more telling of the row its subject has. The schedule starts anew with fresh news, but
/// while an attempt is under way no second one starts beside it: whoever ends that attempt sees that more is wanted.
pub fn want(unit: &mut Unit, delivery: &Delivery) {
    let column = |column: deliveries::Column| Expr::col((deliveries::Entity, column));
    let sending = || column(deliveries::Column::State).eq(DeliveryState::Sending.as_str());
    let state = Expr::case(sending(), DeliveryState::Sending.as_str()).finally(DeliveryState::Due.as_str());
    let next_at = Expr::case(sending(), column(deliveries::Column::NextAt)).finally(delivery.next_at.map(|at| at.0));
    let over =
        column(deliveries::Column::State).is_in([DeliveryState::Delivered.as_str(), DeliveryState::Dead.as_str()]);
    let since = Expr::case(over, delivery.created_at.0).finally(column(deliveries::Column::CreatedAt));
    let mut insert = row::<deliveries::Entity, _>(deliveries::Model {
        id: delivery.id,
        tenant_id: delivery.tenant_id,
        endpoint_id: delivery.endpoint_id,
        event_id: delivery.event_id,
        subject: delivery.subject.clone(),
        url: delivery.url.clone(),
        body: delivery.body.clone(),
        wanted: delivery.wanted,
        sent: delivery.sent,
        state: delivery.state.as_str().to_owned(),
        attempts: delivery.attempts,
        next_at: delivery.next_at.map(|at| at.0),
        give_up_at: delivery.give_up_at.0,
        created_at: delivery.created_at.0,
        updated_at: delivery.created_at.0,
        trace: delivery.trace.clone(),
        intent_id: delivery.intent_id,
    });
    let now = delivery.created_at.0;
    insert.on_conflict(
        OnConflict::columns([deliveries::Column::EndpointId, deliveries::Column::Subject])
            .value(deliveries::Column::Wanted, column(deliveries::Column::Wanted).add(1))
            .value(deliveries::Column::EventId, delivery.event_id)
            .value(deliveries::Column::Body, delivery.body.clone())
            .value(deliveries::Column::Attempts, 0)
            .value(deliveries::Column::State, state)
            .value(deliveries::Column::NextAt, next_at)
            .value(deliveries::Column::GiveUpAt, delivery.give_up_at.0)
            .value(deliveries::Column::CreatedAt, since)
            .value(deliveries::Column::UpdatedAt, now)
            .to_owned(),
    );
    unit.insert(insert);
}

/// Takes a delivery for one attempt, until `lease_until`; refused as held if another node has it or it has changed.
pub fn take(unit: &mut Unit, delivery: &Delivery, lease_until: Timestamp) {
    unit.must(
        deliveries::Entity::update_many()
            .col_expr(deliveries::Column::Attempts, Expr::value(delivery.attempts + 1))
            .col_expr(deliveries::Column::State, Expr::value(DeliveryState::Sending.as_str()))
            .col_expr(deliveries::Column::NextAt, Expr::value(lease_until.0))
            .filter(deliveries::Column::TenantId.eq(delivery.tenant_id))
            .filter(deliveries::Column::Id.eq(delivery.id))
            .filter(deliveries::Column::NextAt.eq(delivery.next_at.map(|at| at.0)))
            .filter(deliveries::Column::Attempts.eq(delivery.attempts))
            .into_query(),
        Refusal::Held,
    );
}

/// The attempt taken until `held_until` was broken off: the delivery is due at once, for whoever is still there. Nothing
/// happens if the attempt has been recorded meanwhile.
pub fn give_back(unit: &mut Unit, delivery: &Delivery, held_until: Timestamp, now: Timestamp) {
    unit.update(
        deliveries::Entity::update_many()
            .col_expr(deliveries::Column::State, Expr::value(DeliveryState::Due.as_str()))
            .col_expr(deliveries::Column::NextAt, Expr::value(now.0))
            .filter(deliveries::Column::TenantId.eq(delivery.tenant_id))
            .filter(deliveries::Column::Id.eq(delivery.id))
            .filter(deliveries::Column::State.eq(DeliveryState::Sending.as_str()))
            .filter(deliveries::Column::NextAt.eq(held_until.0))
            .into_query(),
    );
}

/// The receiver acknowledged `delivery.wanted`. If more was wanted meanwhile, the row stays due at once.
pub fn delivered(unit: &mut Unit, delivery: &Delivery, now: Timestamp) {
    let of = |state: DeliveryState, next_at: Option<i64>| {
        deliveries::Entity::update_many()
            .col_expr(deliveries::Column::Sent, Expr::value(delivery.wanted))
            .col_expr(deliveries::Column::State, Expr::value(state.as_str()))
            .col_expr(deliveries::Column::NextAt, Expr::value(next_at))
            .col_expr(deliveries::Column::UpdatedAt, Expr::value(now.0))
            .filter(deliveries::Column::TenantId.eq(delivery.tenant_id))
            .filter(deliveries::Column::Id.eq(delivery.id))
            .filter(deliveries::Column::Sent.lt(delivery.wanted))
    };
    let told = of(DeliveryState::Delivered, None).filter(deliveries::Column::Wanted.eq(delivery.wanted));
    let more = of(DeliveryState::Due, Some(now.0)).filter(deliveries::Column::Wanted.gt(delivery.wanted));
    unit.update(more.into_query());
    unit.update(told.into_query());
}

/// The attempt failed: try again at `next_at`, or give up where that is `None`. News that came meanwhile is due at once.
pub fn failed(unit: &mut Unit, delivery: &Delivery, next_at: Option<Timestamp>, now: Timestamp) {
    let of = |state: DeliveryState, next_at: Option<Timestamp>| {
        deliveries::Entity::update_many()
            .col_expr(deliveries::Column::State, Expr::value(state.as_str()))
            .col_expr(deliveries::Column::NextAt, Expr::value(next_at.map(|at| at.0)))
            .col_expr(deliveries::Column::UpdatedAt, Expr::value(now.0))
            .filter(deliveries::Column::TenantId.eq(delivery.tenant_id))
            .filter(deliveries::Column::Id.eq(delivery.id))
            .filter(deliveries::Column::State.eq(DeliveryState::Sending.as_str()))
    };
    let over = if next_at.is_some() { DeliveryState::Due } else { DeliveryState::Dead };
    unit.update(of(DeliveryState::Due, Some(now)).filter(deliveries::Column::Wanted.gt(delivery.wanted)).into_query());
    unit.update(of(over, next_at).filter(deliveries::Column::Wanted.eq(delivery.wanted)).into_query());
}

/// Tries a delivery that was given up from the beginning of its schedule; refused as stale if it is not given up any more.
pub fn revive(unit: &mut Unit, delivery: &Delivery, give_up_at: Timestamp, now: Timestamp) {
    unit.must(
        deliveries::Entity::update_many()
            .col_expr(deliveries::Column::State, Expr::value(DeliveryState::Due.as_str()))
            .col_expr(deliveries::Column::Attempts, Expr::value(0))
            .col_expr(deliveries::Column::NextAt, Expr::value(now.0))
            .col_expr(deliveries::Column::GiveUpAt, Expr::value(give_up_at.0))
            .col_expr(deliveries::Column::UpdatedAt, Expr::value(now.0))
            .filter(deliveries::Column::TenantId.eq(delivery.tenant_id))
            .filter(deliveries::Column::Id.eq(delivery.id))
            .filter(deliveries::Column::State.eq(DeliveryState::Dead.as_str()))
            .into_query(),
        Refusal::Stale,
    );
}

pub fn add_attempt(unit: &mut Unit, delivery: &Delivery, attempt: Attempt) {
    unit.insert(row::<attempts::Entity, _>(attempts::Model {
        id: attempt.id,
        tenant_id: delivery.tenant_id,
        delivery_id: delivery.id,
        number: attempt.number,
        version: attempt.version,
        status: attempt.status.map(i32::from),
        fault: attempt.fault,
        answer: attempt.answer,
        started_at: attempt.started_at.0,
        took_ms: attempt.took_ms,
    }));
}

impl Store {
    pub async fn endpoint(&self, tenant: Uuid, origin: &str, profile: &str) -> Result<Option<Endpoint>, StoreError> {
        let found = endpoints::Entity::find()
            .filter(endpoints::Column::TenantId.eq(tenant))
            .filter(endpoints::Column::Origin.eq(origin))
            .filter(endpoints::Column::Profile.eq(profile))
            .one(self.reader())
            .await?;
        Ok(found.map(Endpoint::from))
    }

    /// Deliveries to attempt by now, longest due first, but for those of endpoints that are busy already: a dead one must
    /// not fill the page.
    pub async fn deliveries_due(&self, now: Timestamp, busy: &[Uuid]) -> Result<Vec<Delivery>, StoreError> {
        let found = deliveries::Entity::find()
            .filter(deliveries::Column::NextAt.lte(now.0))
            .filter(deliveries::Column::EndpointId.is_not_in(busy.iter().copied()))
            .order_by_asc(deliveries::Column::NextAt)
            .limit(DUE_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(Delivery::try_from).collect()
    }

    /// A tenant's deliveries, newest first.
    pub async fn deliveries_of(&self, tenant: Uuid) -> Result<Vec<Delivery>, StoreError> {
        let found = deliveries::Entity::find()
            .filter(deliveries::Column::TenantId.eq(tenant))
            .order_by_desc(deliveries::Column::Id)
            .limit(DUE_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(Delivery::try_from).collect()
    }

    /// The attempts of a delivery, oldest first.
    pub async fn attempts_of(&self, tenant: Uuid, delivery: Uuid) -> Result<Vec<Attempt>, StoreError> {
        let found = attempts::Entity::find()
            .filter(attempts::Column::TenantId.eq(tenant))
            .filter(attempts::Column::DeliveryId.eq(delivery))
            .order_by_asc(attempts::Column::Id)
            .limit(DUE_PAGE)
            .all(self.reader())
            .await?;
        Ok(found.into_iter().map(Attempt::from).collect())
    }
}

impl From<endpoints::Model> for Endpoint {
    fn from(model: endpoints::Model) -> Endpoint {
        Endpoint {
            id: model.id,
            tenant_id: model.tenant_id,
            profile: model.profile,
            origin: model.origin,
            url: model.url,
        }
    }
}

impl TryFrom<deliveries::Model> for Delivery {
    type Error = StoreError;

    fn try_from(model: deliveries::Model) -> Result<Delivery, StoreError> {
        Ok(Delivery {
            id: model.id,
            tenant_id: model.tenant_id,
            endpoint_id: model.endpoint_id,
            event_id: model.event_id,
            subject: model.subject,
            url: model.url,
            body: model.body,
            wanted: model.wanted,
            sent: model.sent,
            state: known(DeliveryState::parse(&model.state), "delivery state", &model.state)?,
            attempts: model.attempts,
            next_at: model.next_at.map(Timestamp),
            give_up_at: Timestamp(model.give_up_at),
            created_at: Timestamp(model.created_at),
            trace: model.trace,
            intent_id: model.intent_id,
        })
    }
}

impl From<attempts::Model> for Attempt {
    fn from(model: attempts::Model) -> Attempt {
        Attempt {
            id: model.id,
            number: model.number,
            version: model.version,
            status: model.status.and_then(|status| u16::try_from(status).ok()),
            fault: model.fault,
            answer: model.answer,
            started_at: Timestamp(model.started_at),
            took_ms: model.took_ms,
        }
    }
}
