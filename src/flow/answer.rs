//! The payer tells, on our page, what the PSP needs and the caller did not bring; only then is the PSP called.

use super::limits::SUBMIT_WITHIN;
use super::{Engine, FlowError};
use crate::store::Unit;
use crate::store::forms::Details;
use crate::store::intents::Intent;
use crate::store::transactions::{self, Transaction};

impl Engine {
    /// Keeps the completed `details` and sends the transaction that waited for them. False if it waits no longer: answered
    /// twice, or ended meanwhile.
    pub async fn answered(&self, intent: &Intent, waiting: &Transaction, details: &Details) -> Result<bool, FlowError> {
        let mut unit = Unit::new("answered");
        transactions::let_go(&mut unit, waiting, self.clock.deadline(SUBMIT_WITHIN));
        self.store.set_details(&mut unit, intent, details);
        match self.store.run(unit).await? {
            Ok(()) => {
                tracing::info!(intent = %intent.id, "the payer has told what the provider needs");
                self.spawn_submit(waiting.tenant_id, waiting.id);
                Ok(true)
            }
            Err(refusal) => {
                tracing::debug!(intent = %intent.id, ?refusal, "answered already, or over");
                Ok(false)
            }
        }
    }
}
