//! What happened: facts, movements of money, exchanges with PSPs, and alerts. Only ever added to.

use rialto_adapters::port::{Currency, Money, Reason, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::entity::{alerts, exchanges, facts, movements};
use super::sql::{known, row};
use super::unit::{Refusal, Unit};
use super::{Store, StoreError};
use crate::core::alert::Alert;

/// Where a fact comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The answer to our own call.
    Answer,
    Lookup,
    /// The PSP's own ledger or a list of it.
    Feed,
    Notice(Uuid),
    /// A person, with who and why.
    Operator {
        who: String,
        why: String,
    },
    /// Our own clock, or the proof that nothing was sent.
    Ourselves,
}

impl Source {
    pub fn as_str(&self) -> &'static str {
        match self {
            Source::Answer => "answer",
            Source::Lookup => "lookup",
            Source::Feed => "feed",
            Source::Notice(_) => "notice",
            Source::Operator { .. } => "operator",
            Source::Ourselves => "ourselves",
        }
    }
}

/// One entry of a transaction's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub transaction_id: Uuid,
    pub source: String,
    pub learned: String,
    pub standing: String,
    pub state_before: String,
    pub state_after: String,
    pub reason: Option<String>,
    pub amount: Option<Money>,
    pub movement: Option<String>,
    pub psp_code: Option<String>,
    pub psp_text: Option<String>,
    pub alert: Option<String>,
    pub operator: Option<String>,
    /// The notice it comes from.
    pub notice_id: Option<Uuid>,
    pub occurred_at: Option<Timestamp>,
    pub recorded_at: Timestamp,
}

/// What a movement of money is to the transaction it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovementKind {
    /// Money that came in.
    Paid,
    /// Money that went out by a payout.
    PaidOut,
    Refunded,
    ChargedBack,
    ChargebackReversed,
    /// A payout or refund that came back.
    Returned,
}

impl MovementKind {
    const ALL: [MovementKind; 6] = [
        MovementKind::Paid,
        MovementKind::PaidOut,
        MovementKind::Refunded,
        MovementKind::ChargedBack,
        MovementKind::ChargebackReversed,
        MovementKind::Returned,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            MovementKind::Paid => "paid",
            MovementKind::PaidOut => "paid_out",
            MovementKind::Refunded => "refunded",
            MovementKind::ChargedBack => "charged_back",
            MovementKind::ChargebackReversed => "chargeback_reversed",
            MovementKind::Returned => "returned",
        }
    }
}

/// The PSP's own identity of one flow of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedMovement {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub transaction_id: Uuid,
    pub movement: String,
    pub kind: MovementKind,
    pub amount: Money,
    pub fee_minor: i64,
    pub reason: Option<Reason>,
    pub psp_code: Option<String>,
    pub psp_text: Option<String>,
    pub occurred_at: Timestamp,
    pub recorded_at: Timestamp,
}

/// One scrubbed call to a PSP and its answer, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredExchange {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub transaction_id: Option<Uuid>,
    /// `submit`, `lookup`, `probe`, …
    pub purpose: String,
    pub request: String,
    pub reply: Option<String>,
    pub fault: Option<String>,
    pub started_at: Timestamp,
    pub took_ms: i64,
}

/// Something a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAlert {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub transaction_id: Option<Uuid>,
    pub kind: String,
    pub text: String,
    pub raised_at: Timestamp,
}

/// Alerts, exchanges and facts read at once.
const HISTORY_PAGE: u64 = 200;

pub fn add_fact(unit: &mut Unit, fact: Fact) {
    unit.insert(row::<facts::Entity, _>(facts::Model {
        id: fact.id,
        tenant_id: fact.tenant_id,
        transaction_id: fact.transaction_id,
        source: fact.source,
        learned: fact.learned,
        standing: fact.standing,
        state_before: fact.state_before,
        state_after: fact.state_after,
        reason: fact.reason,
        amount_minor: fact.amount.map(|money| money.minor),
        currency: fact.amount.map(|money| money.currency.code().to_owned()),
        movement: fact.movement,
        psp_code: fact.psp_code,
        psp_text: fact.psp_text,
        alert: fact.alert,
        operator: fact.operator,
        notice_id: fact.notice_id,
        occurred_at: fact.occurred_at.map(|at| at.0),
        recorded_at: fact.recorded_at.0,
    }));
}

fn movement_row(booked: BookedMovement) -> movements::Model {
    movements::Model {
        id: booked.id,
        tenant_id: booked.tenant_id,
        connection_id: booked.connection_id,
        transaction_id: booked.transaction_id,
        movement: booked.movement,
        kind: booked.kind.as_str().to_owned(),
        amount_minor: booked.amount.minor,
        fee_minor: booked.fee_minor,
        currency: booked.amount.currency.code().to_owned(),
        reason: booked.reason.map(|reason| reason.as_str().to_owned()),
        psp_code: booked.psp_code,
        psp_text: booked.psp_text,
        occurred_at: booked.occurred_at.0,
        recorded_at: booked.recorded_at.0,
    }
}

/// Books a movement; the unit is refused as a duplicate if it is booked already.
pub fn claim_movement(unit: &mut Unit, booked: BookedMovement) {
    unit.claim(row::<movements::Entity, _>(movement_row(booked)), Refusal::Duplicate);
}

/// Books a movement unless it is booked already.
pub fn book_movement(unit: &mut Unit, booked: BookedMovement) {
    unit.insert_or_ignore(row::<movements::Entity, _>(movement_row(booked)));
}

pub fn add_exchange(unit: &mut Unit, exchange: StoredExchange) {
    unit.insert(row::<exchanges::Entity, _>(exchanges::Model {
        id: exchange.id,
        tenant_id: exchange.tenant_id,
        connection_id: exchange.connection_id,
        transaction_id: exchange.transaction_id,
        purpose: exchange.purpose,
        request: exchange.request,
        reply: exchange.reply,
        fault: exchange.fault,
        started_at: exchange.started_at.0,
        took_ms: exchange.took_ms,
    }));
}

/// Raises an alert; one of a kind per transaction is enough. One that was settled is open again: it is news.
pub fn raise_alert(unit: &mut Unit, alert: StoredAlert) {
    if let Some(transaction) = alert.transaction_id {
        unit.update(
            alerts::Entity::update_many()
                .col_expr(alerts::Column::SettledAt, Expr::value(Option::<i64>::None))
                .col_expr(alerts::Column::RaisedAt, Expr::value(alert.raised_at.0))
                .filter(alerts::Column::TenantId.eq(alert.tenant_id))
                .filter(alerts::Column::TransactionId.eq(transaction))
                .filter(alerts::Column::Kind.eq(alert.kind.as_str()))
                .filter(alerts::Column::SettledAt.is_not_null())
                .into_query(),
        );
    }
    unit.insert_or_ignore(row::<alerts::Entity, _>(alerts::Model {
        id: alert.id,
        tenant_id: alert.tenant_id,
        transaction_id: alert.transaction_id,
        kind: alert.kind,
        text: alert.text,
        raised_at: alert.raised_at.0,
        settled_at: None,
    }));
}

/// A person, or later news, has settled what a transaction's alerts were about.
pub fn settle_alerts(unit: &mut Unit, tenant: Uuid, transaction: Uuid, now: Timestamp) {
    unit.update(
        alerts::Entity::update_many()
            .col_expr(alerts::Column::SettledAt, Expr::value(now.0))
            .filter(alerts::Column::TenantId.eq(tenant))
            .filter(alerts::Column::TransactionId.eq(transaction))
            .filter(alerts::Column::SettledAt.is_null())
            .into_query(),
    );
}

/// News have settled what alerts of one kind were about.
pub fn settle_alerts_of(unit: &mut Unit, tenant: Uuid, transaction: Uuid, kind: Alert, now: Timestamp) {
    unit.update(
        alerts::Entity::update_many()
            .col_expr(alerts::Column::SettledAt, Expr::value(now.0))
            .filter(alerts::Column::TenantId.eq(tenant))
            .filter(alerts::Column::TransactionId.eq(transaction))
            .filter(alerts::Column::Kind.eq(kind.as_str()))
            .filter(alerts::Column::SettledAt.is_null())
            .into_query(),
    );
}

/// A person has settled one alert, of a transaction or of none; refused as stale if it is settled already.
pub fn settle_alert(unit: &mut Unit, alert: &StoredAlert, now: Timestamp) {
    unit.must(
        alerts::Entity::update_many()
            .col_expr(alerts::Column::SettledAt, Expr::value(now.0))
            .filter(alerts::Column::TenantId.eq(alert.tenant_id))
            .filter(alerts::Column::Id.eq(alert.id))
            .filter(alerts::Column::SettledAt.is_null())
            .into_query(),
        Refusal::Stale,
    );
}

impl Store {
    /// The alerts of a transaction that nobody has settled.
    pub async fn alerts_open_of(&self, tenant: Uuid, transaction: Uuid) -> Result<Vec<StoredAlert>, StoreError> {
        let found = alerts::Entity::find()
            .filter(alerts::Column::TenantId.eq(tenant))
            .filter(alerts::Column::TransactionId.eq(transaction))
            .filter(alerts::Column::SettledAt.is_null())
            .order_by_asc(alerts::Column::RaisedAt)
            .limit(HISTORY_PAGE)
            .all(self.reader())
            .await?;
        Ok(found.into_iter().map(StoredAlert::from).collect())
    }

    /// A transaction's history, oldest first.
    pub async fn facts(&self, tenant: Uuid, transaction: Uuid) -> Result<Vec<Fact>, StoreError> {
        let found = facts::Entity::find()
            .filter(facts::Column::TenantId.eq(tenant))
            .filter(facts::Column::TransactionId.eq(transaction))
            .order_by_asc(facts::Column::Id)
            .limit(HISTORY_PAGE)
            .all(self.reader())
            .await?;
        Ok(found.into_iter().map(Fact::from).collect())
    }

    /// The movements booked at a transaction, oldest first.
    pub async fn movements(&self, tenant: Uuid, transaction: Uuid) -> Result<Vec<BookedMovement>, StoreError> {
        let found = movements::Entity::find()
            .filter(movements::Column::TenantId.eq(tenant))
            .filter(movements::Column::TransactionId.eq(transaction))
            .order_by_asc(movements::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(BookedMovement::try_from).collect()
    }

    /// The transaction at which a flow of money of a connection's PSP is booked.
    pub async fn booked_at(&self, tenant: Uuid, connection: Uuid, movement: &str) -> Result<Option<Uuid>, StoreError> {
        let found = movements::Entity::find()
            .filter(movements::Column::TenantId.eq(tenant))
            .filter(movements::Column::ConnectionId.eq(connection))
            .filter(movements::Column::Movement.eq(movement))
            .one(self.reader())
            .await?;
        Ok(found.map(|row| row.transaction_id))
    }

    /// The calls made for a transaction, oldest first.
    pub async fn exchanges(&self, tenant: Uuid, transaction: Uuid) -> Result<Vec<StoredExchange>, StoreError> {
        let found = exchanges::Entity::find()
            .filter(exchanges::Column::TenantId.eq(tenant))
            .filter(exchanges::Column::TransactionId.eq(transaction))
            .order_by_asc(exchanges::Column::Id)
            .limit(HISTORY_PAGE)
            .all(self.reader())
            .await?;
        Ok(found.into_iter().map(StoredExchange::from).collect())
    }

    /// The calls about a connection itself, such as those that tried its settings out: the newest, newest first.
    pub async fn exchanges_beside(&self, tenant: Uuid, connection: Uuid) -> Result<Vec<StoredExchange>, StoreError> {
        let found = exchanges::Entity::find()
            .filter(exchanges::Column::TenantId.eq(tenant))
            .filter(exchanges::Column::ConnectionId.eq(connection))
            .filter(exchanges::Column::TransactionId.is_null())
            .order_by_desc(exchanges::Column::Id)
            .limit(HISTORY_PAGE)
            .all(self.reader())
            .await?;
        Ok(found.into_iter().map(StoredExchange::from).collect())
    }

    /// A tenant's alerts that nobody has settled, oldest first.
    pub async fn alerts_open(&self, tenant: Uuid) -> Result<Vec<StoredAlert>, StoreError> {
        let found = alerts::Entity::find()
            .filter(alerts::Column::TenantId.eq(tenant))
            .filter(alerts::Column::SettledAt.is_null())
            .order_by_asc(alerts::Column::Id)
            .limit(HISTORY_PAGE)
            .all(self.reader())
            .await?;
        Ok(found.into_iter().map(StoredAlert::from).collect())
    }
}

impl From<facts::Model> for Fact {
    fn from(model: facts::Model) -> Fact {
        let currency = model.currency.as_deref().and_then(Currency::parse);
        Fact {
            id: model.id,
            tenant_id: model.tenant_id,
            transaction_id: model.transaction_id,
            source: model.source,
            learned: model.learned,
            standing: model.standing,
            state_before: model.state_before,
            state_after: model.state_after,
            reason: model.reason,
            amount: model.amount_minor.zip(currency).map(|(minor, currency)| Money::new(minor, currency)),
            movement: model.movement,
            psp_code: model.psp_code,
            psp_text: model.psp_text,
            alert: model.alert,
            operator: model.operator,
            notice_id: model.notice_id,
            occurred_at: model.occurred_at.map(Timestamp),
            recorded_at: Timestamp(model.recorded_at),
        }
    }
}

impl TryFrom<movements::Model> for BookedMovement {
    type Error = StoreError;

    fn try_from(model: movements::Model) -> Result<BookedMovement, StoreError> {
        let currency = known(Currency::parse(&model.currency), "currency", &model.currency)?;
        let kind = MovementKind::ALL.into_iter().find(|kind| kind.as_str() == model.kind);
        Ok(BookedMovement {
            id: model.id,
            tenant_id: model.tenant_id,
            connection_id: model.connection_id,
            transaction_id: model.transaction_id,
            movement: model.movement,
            kind: known(kind, "movement kind", &model.kind)?,
            amount: Money::new(model.amount_minor, currency),
            fee_minor: model.fee_minor,
            reason: model.reason.as_deref().and_then(Reason::parse),
            psp_code: model.psp_code,
            psp_text: model.psp_text,
            occurred_at: Timestamp(model.occurred_at),
            recorded_at: Timestamp(model.recorded_at),
        })
    }
}

impl From<exchanges::Model> for StoredExchange {
    fn from(model: exchanges::Model) -> StoredExchange {
        StoredExchange {
            id: model.id,
            tenant_id: model.tenant_id,
            connection_id: model.connection_id,
            transaction_id: model.transaction_id,
            purpose: model.purpose,
            request: model.request,
            reply: model.reply,
            fault: model.fault,
            started_at: Timestamp(model.started_at),
            took_ms: model.took_ms,
        }
    }
}

impl From<alerts::Model> for StoredAlert {
    fn from(model: alerts::Model) -> StoredAlert {
        StoredAlert {
            id: model.id,
            tenant_id: model.tenant_id,
            transaction_id: model.transaction_id,
            kind: model.kind,
            text: model.text,
            raised_at: Timestamp(model.raised_at),
        }
    }
}
