//! Money that a push method collected for a preauthorisation, because it cannot be reserved: a payment books it, a cancel
//! or the end of its time gives it back. Both hold the charge by one conditional update each, so of a booking and a cancel
//! at once one is refused before anything is sent.

use rialto_adapters::port::manifest::Manifest;
use rialto_adapters::port::{Kind, Money};
use uuid::Uuid;

use super::accept::{Built, First};
use super::{Engine, FlowError, Known};
use crate::core::alert::Alert;
use crate::core::counters::Verb;
use crate::core::event::EventType;
use crate::core::intent::IntentState;
use crate::store::Unit;
use crate::store::bookings::{self, Booking};
use crate::store::intents::{self, Intent};
use crate::store::tenants::Connection;
use crate::store::transactions::{self, Transaction};

/// Whether a charge is what a preauthorisation has collected.
pub fn is_collected(intent: &Intent, main: &Transaction) -> bool {
    intent.kind == crate::core::intent::IntentKind::Preauth && main.kind == Kind::Charge
}

/// Whether all of a charge, or a part, can be given back.
pub fn can_give_back(manifest: &Manifest, charge: &Transaction, whole: bool) -> bool {
    let refund = manifest.capability(Kind::Refund, charge.method, charge.amount.currency);
    refund.is_some_and(|refund| whole || refund.partial)
}

impl Engine {
    /// The payment is done with its booking. What it leaves goes back to the payer.
    pub(super) async fn build_booking(
        &self,
        mut unit: Unit,
        intent: Intent,
        connection: Connection,
        charge: &Transaction,
    ) -> Result<Built, FlowError> {
        let now = self.clock.now();
        let intent = Intent { state: IntentState::Done, ..intent };
        let Some(collected_for) = self.store.intent(charge.tenant_id, charge.intent_id).await? else {
            return Err(FlowError::missing("intent", charge.intent_id));
        };
        self.store.claim_intent(&mut unit, &intent);
        let booking = Booking {
            id: self.clock.new_id(),
            tenant_id: intent.tenant_id,
            intent_id: intent.id,
            transaction_id: charge.id,
            amount_minor: intent.amount.minor,
            created_at: now,
        };
        transactions::book(&mut unit, charge, booking.amount_minor);
        bookings::add(&mut unit, &booking);
        let rest = Money::new(charge.taken().minor - booking.amount_minor, charge.amount.currency);
        let mut first = First::Nothing;
        if rest.minor > 0 {
            let child = self.new_transaction(&collected_for, Kind::Refund, Some(charge), &connection.adapter, rest)?;
            transactions::reserve(&mut unit, charge, Verb::Refund, rest.minor);
            transactions::insert(&mut unit, &child);
            tracing::info!(transaction = %charge.id, amount = %rest, "giving back what was not booked");
            first = First::SendOther(child.id);
        }
        // It is used now, so its time no longer runs.
        intents::set_expiry(&mut unit, collected_for.tenant_id, collected_for.id, None);
        self.tell(&mut unit, &intent, Some(charge), EventType::Captured, None);
        Ok(Built { known: Known { t: charge.clone(), intent, connection }, unit, first })
    }

    /// Starts giving back the whole of what was collected and nobody has booked: the refund, or `None` where it was booked,
    /// or went back, in the meantime.
    pub(super) async fn give_back_collected(
        &self,
        intent: &Intent,
        charge: &Transaction,
    ) -> Result<Option<Uuid>, FlowError> {
        let connection = self.connection(charge.tenant_id, charge.connection_id).await?;
        let whole = Money::new(charge.counters.available_to_refund(), charge.amount.currency);
        if whole.minor == 0 {
            return Ok(None);
        }
        let child = self.new_transaction(intent, Kind::Refund, Some(charge), &connection.adapter, whole)?;
        let mut unit = Unit::new("give_back_collected");
        transactions::must_be_unbooked(&mut unit, charge);
        transactions::reserve(&mut unit, charge, Verb::Refund, whole.minor);
        transactions::insert(&mut unit, &child);
        match self.store.run(unit).await? {
            Ok(()) => {
                self.spawn_submit(child.tenant_id, child.id);
                Ok(Some(child.id))
            }
            Err(refusal) => {
                tracing::debug!(transaction = %charge.id, ?refusal, "booked, or given back, meanwhile");
                Ok(None)
            }
        }
    }

    /// Nobody has booked it in its time. Where the PSP cannot give it back, a person must.
    pub(super) async fn expire_collected(&self, intent: &Intent, charge: &Transaction) -> Result<(), FlowError> {
        let connection = self.connection(charge.tenant_id, charge.connection_id).await?;
        let manifest = self.adapter(&connection)?.manifest();
        let booked = charge.counters.captured > 0;
        let mut unit = Unit::new("expire_collected");
        intents::set_expiry(&mut unit, intent.tenant_id, intent.id, None);
        if booked {
            return self.run_and_nudge(unit).await;
        }
        if can_give_back(manifest, charge, true) {
            self.give_back_collected(intent, charge).await?;
        } else {
            self.raise(&mut unit, charge, Some(Alert::LateMoney), self.clock.now());
        }
        self.run_and_nudge(unit).await
    }
}
