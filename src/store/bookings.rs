//! Bookings: a payment that takes what a charge collected earlier, without a call to the PSP. Its refunds and chargebacks
//! are the charge's.

use rialto_adapters::port::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::entity::bookings;
use super::sql::row;
use super::unit::{Refusal, Unit};
use super::{Store, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booking {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// The payment.
    pub intent_id: Uuid,
    /// The charge.
    pub transaction_id: Uuid,
    /// In the charge's currency; at most what it brought.
    pub amount_minor: i64,
    pub created_at: Timestamp,
}

/// Adds a booking; refused as short if the charge is booked already.
pub fn add(unit: &mut Unit, booking: &Booking) {
    unit.claim(
        row::<bookings::Entity, _>(bookings::Model {
            id: booking.id,
            tenant_id: booking.tenant_id,
            intent_id: booking.intent_id,
            transaction_id: booking.transaction_id,
            amount_minor: booking.amount_minor,
            created_at: booking.created_at.0,
        }),
        Refusal::Short,
    );
}

impl Store {
    /// What a payment has booked.
    pub async fn booking_of(&self, tenant: Uuid, intent: Uuid) -> Result<Option<Booking>, StoreError> {
        self.booking(tenant, bookings::Column::IntentId, intent).await
    }

    /// By which payment a charge is booked.
    pub async fn booking_at(&self, tenant: Uuid, transaction: Uuid) -> Result<Option<Booking>, StoreError> {
        self.booking(tenant, bookings::Column::TransactionId, transaction).await
    }

    async fn booking(&self, tenant: Uuid, by: bookings::Column, id: Uuid) -> Result<Option<Booking>, StoreError> {
        let found = bookings::Entity::find().filter(bookings::Column::TenantId.eq(tenant)).filter(by.eq(id));
        Ok(found.one(self.reader()).await?.map(Booking::from))
    }
}

impl From<bookings::Model> for Booking {
    fn from(model: bookings::Model) -> Booking {
        Booking {
            id: model.id,
            tenant_id: model.tenant_id,
            intent_id: model.intent_id,
            transaction_id: model.transaction_id,
            amount_minor: model.amount_minor,
            created_at: Timestamp(model.created_at),
        }
    }
}
