//! Our clock ends an intent, never a transaction: the PSP is asked first, and a paid answer wins.

use rialto_adapters::port::{Kind, Money};
use uuid::Uuid;

use super::collect::is_collected;
use super::inquire::Asked;
use super::limits::EXPIRY_RETRY;
use super::{Engine, FlowError};
use crate::core::counters::Verb;
use crate::core::event::EventType;
use crate::core::intent::{ClosedBy, IntentState, may_close};
use crate::core::transaction::State;
use crate::store::Unit;
use crate::store::intents::{self, Intent};
use crate::store::transactions::{self, Transaction};

impl Engine {
    /// Does what is due for an intent whose time has come.
    pub async fn expire(&self, tenant: Uuid, id: Uuid) -> Result<(), FlowError> {
        let Some((intent, main)) = self.main_of(tenant, id).await? else { return Ok(()) };
        if intent.expires_at.is_none_or(|at| at > self.clock.now()) {
            return Ok(());
        }
        // Nobody at the PSP knows of what still waits for the payer's answers.
        let held = main.state == State::Created && main.not_before.is_some();
        let asked = if held { Asked::Answered } else { self.inquire(&main).await? };
        let Some((intent, main)) = self.main_of(tenant, id).await? else { return Ok(()) };
        if matches!(main.state, State::Pending(_)) {
            // Nobody has answered, or somebody else is asking: it may have been paid, and a paid answer wins.
            if asked == Asked::NotNow {
                return self.expire_later(&intent, true).await;
            }
            self.close(&main, Some(ClosedBy::Expired)).await?;
        }
        let Some((intent, main)) = self.main_of(tenant, id).await?.or(Some((intent, main))) else { return Ok(()) };
        let mut all: Vec<(Kind, State)> =
            self.store.transactions_of(tenant, id).await?.iter().map(|t| (t.kind, t.state)).collect();
        all.extend(self.store.transactions_under(tenant, main.id).await?.iter().map(|t| (t.kind, t.state)));
        // Paid in the meantime: it has got another time now.
        let has_time = intent.expires_at.is_none_or(|at| at > self.clock.now());
        match intent.state {
            IntentState::Done if has_time => Ok(()),
            IntentState::Done if is_collected(&intent, &main) => self.expire_collected(&intent, &main).await,
            IntentState::Open | IntentState::Done if may_close(intent.kind, intent.state, &all) => {
                self.close_as_expired(&intent, &main).await
            }
            // In doubt, or paid in the meantime: later, or never.
            IntentState::Open => self.expire_later(&intent, true).await,
            IntentState::Done | IntentState::Refused | IntentState::Closed(_) => {
                self.expire_later(&intent, false).await
            }
        }
    }

    async fn main_of(&self, tenant: Uuid, id: Uuid) -> Result<Option<(Intent, Transaction)>, FlowError> {
        let Some(intent) = self.store.intent(tenant, id).await? else { return Ok(None) };
        let main = self.store.transactions_of(tenant, id).await?.into_iter().find(|t| t.parent_id.is_none());
        Ok(main.map(|main| (intent, main)))
    }

    /// What is still reserved is given free with it.
    async fn close_as_expired(&self, intent: &Intent, main: &Transaction) -> Result<(), FlowError> {
        let now = self.clock.now();
        let mut unit = Unit::new("expire");
        let mut release = None;
        if main.state == State::Authorised && main.counters.available_to_release() > 0 {
            let connection = self.connection(main.tenant_id, main.connection_id).await?;
            let manifest = self.adapter(&connection)?.manifest();
            if manifest.capability(Kind::Release, main.method, main.amount.currency).is_some() {
                let rest = Money::new(main.counters.available_to_release(), main.amount.currency);
                let child = self.new_transaction(intent, Kind::Release, Some(main), manifest.name, rest)?;
                // Nobody waits for it, and a PSP that is away for an hour shall not keep the payer's money for days.
                let child = self.scheduled(child, now);
                transactions::reserve(&mut unit, main, Verb::Release, rest.minor);
                transactions::insert(&mut unit, &child);
                release = Some(child);
            }
        }
        // Behind the transaction, as everywhere: two nodes that lock them in different orders would wait for each other.
        intents::set_state(&mut unit, intent, IntentState::Closed(ClosedBy::Expired), now);
        intents::set_expiry(&mut unit, intent.tenant_id, intent.id, None);
        self.tell(&mut unit, intent, Some(main), EventType::Expired, None);
        match self.store.run(unit).await? {
            Ok(()) => {
                tracing::info!(tenant = %intent.tenant_id, intent = %intent.id, trace = intent.trace, "expired");
                if main.state == State::Created {
                    // Never to be sent now, which is for the sender to say.
                    self.spawn_submit(main.tenant_id, main.id);
                }
                self.nudges.dispatcher.notify_one();
                if let Some(release) = release {
                    self.spawn_submit(release.tenant_id, release.id);
                }
            }
            // A capture or a payment was faster; the next sweep sees it.
            Err(refusal) => tracing::debug!(intent = %intent.id, ?refusal, "changed while expiring"),
        }
        Ok(())
    }

    async fn expire_later(&self, intent: &Intent, again: bool) -> Result<(), FlowError> {
        let mut unit = Unit::new("expire_later");
        let at = again.then(|| self.clock.after(EXPIRY_RETRY));
        intents::postpone_expiry(&mut unit, intent, at);
        self.run_and_nudge(unit).await
    }
}
