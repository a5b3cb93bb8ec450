//! Ends a preauth: an unfinished one is closed at the PSP, a reservation is released there.

use rialto_adapters::port::{Kind, Money};
use uuid::Uuid;

use super::collect::{can_give_back, is_collected};
use super::{Engine, FlowError};
use crate::core::counters::Verb;
use crate::core::event::EventType;
use crate::core::intent::{ClosedBy, IntentState};
use crate::core::transaction::State;
use crate::store::intents::{self, Intent};
use crate::store::transactions::{self, Transaction};
use crate::store::{Refusal, Unit};

/// What asking for a cancel came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// Nothing is reserved any more.
    Done,
    /// The release is on its way, or its outcome is not known yet.
    Pending,
    /// The PSP has said no; the reservation stands.
    Failed,
    /// Not possible now: the PSP cannot, or the preauth itself is still in doubt.
    NotPossible,
    /// A capture has been made, or is being made.
    Captured,
    /// There is nothing to cancel: it was refused, or has expired.
    Ended,
}

/// Closing and releasing are tried this often when the preauth changes under our hands.
const TRIES: usize = 5;

impl Engine {
    /// Cancels the preauth of an intent.
    pub async fn cancel(&self, tenant: Uuid, intent: Uuid) -> Result<Cancelled, FlowError> {
        for _ in 0..TRIES {
            let Some(intent) = self.store.intent(tenant, intent).await? else {
                return Err(FlowError::missing("intent", intent));
            };
            let all = self.store.transactions_of(tenant, intent.id).await?;
            let Some(main) = all.iter().find(|t| matches!(t.kind, Kind::Preauth | Kind::StoreMeans | Kind::Charge))
            else {
                return Err(FlowError::Broken(format!("intent {} has no transaction", intent.id)));
            };
            let answer = match intent.state {
                IntentState::Closed(ClosedBy::Cancelled) => Some(Cancelled::Done),
                IntentState::Refused | IntentState::Closed(ClosedBy::Expired) => Some(Cancelled::Ended),
                IntentState::Open => self.cancel_open(&intent, main).await?,
                IntentState::Done if main.kind == Kind::StoreMeans => self.close_here(&intent).await?,
                IntentState::Done if is_collected(&intent, main) => self.cancel_collected(&intent, main, &all).await?,
                IntentState::Done => self.cancel_reserved(&intent, main, &all).await?,
            };
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
        Ok(Cancelled::Pending)
    }

    /// The payer has not finished. A payment that came in the meantime wins, so the PSP is asked first.
    async fn cancel_open(&self, intent: &Intent, main: &Transaction) -> Result<Option<Cancelled>, FlowError> {
        match main.state {
            State::Pending(_) => {}
            State::Created | State::Submitted | State::Unknown => return Ok(Some(Cancelled::NotPossible)),
            // The intent is about to follow.
            State::Authorised | State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled => {
                return Ok(None);
            }
        }
        self.inquire(main).await?;
        let Some(now) = self.store.transaction(main.tenant_id, main.id).await? else { return Ok(None) };
        if !matches!(now.state, State::Pending(_)) {
            return Ok(None);
        }
        self.close(&now, None).await?;
        let after = self.store.intent(intent.tenant_id, intent.id).await?;
        Ok(match after.map(|intent| intent.state) {
            Some(IntentState::Open) => Some(Cancelled::NotPossible),
            _ => None,
        })
    }

    /// Nothing is reserved at the PSP: the cancel is ours alone.
    async fn close_here(&self, intent: &Intent) -> Result<Option<Cancelled>, FlowError> {
        let now = self.clock.now();
        let mut unit = Unit::new("cancel");
        intents::set_state(&mut unit, intent, IntentState::Closed(ClosedBy::Cancelled), now);
        self.tell(&mut unit, intent, None, EventType::Cancelled, None);
        let done = self.store.run(unit).await?.is_ok();
        self.nudges.dispatcher.notify_one();
        Ok(done.then_some(Cancelled::Done))
    }

    /// What was collected goes back by a refund, unless a payment has booked it.
    async fn cancel_collected(
        &self,
        intent: &Intent,
        charge: &Transaction,
        all: &[Transaction],
    ) -> Result<Option<Cancelled>, FlowError> {
        if charge.counters.captured > 0 {
            return Ok(Some(Cancelled::Captured));
        }
        let started = all.iter().rev().find(|t| t.kind == Kind::Refund && !t.state.is_bad());
        let refund = match started {
            Some(refund) => Some(refund.id),
            None => {
                let connection = self.connection(charge.tenant_id, charge.connection_id).await?;
                if !can_give_back(self.adapter(&connection)?.manifest(), charge, true) {
                    return Ok(Some(Cancelled::NotPossible));
                }
                self.give_back_collected(intent, charge).await?
            }
        };
        let Some(refund) = refund else { return Ok(None) };
        self.settled(charge.tenant_id, refund).await?;
        self.cancel_answer(charge.tenant_id, refund).await
    }

    async fn cancel_reserved(
        &self,
        intent: &Intent,
        preauth: &Transaction,
        all: &[Transaction],
    ) -> Result<Option<Cancelled>, FlowError> {
        let counted = &preauth.counters;
        if counted.captured + counted.captured_reserved > 0 {
            return Ok(Some(Cancelled::Captured));
        }
        if let Some(release) = all.iter().find(|t| t.kind == Kind::Release && t.state.is_open()) {
            self.settled(release.tenant_id, release.id).await?;
            return self.cancel_answer(release.tenant_id, release.id).await;
        }
        let connection = self.connection(preauth.tenant_id, preauth.connection_id).await?;
        let manifest = self.adapter(&connection)?.manifest();
        if manifest.capability(Kind::Release, preauth.method, preauth.amount.currency).is_none() {
            return Ok(Some(Cancelled::NotPossible));
        }
        let whole = Money::new(preauth.counters.available_to_release(), preauth.amount.currency);
        let release = self.new_transaction(intent, Kind::Release, Some(preauth), manifest.name, whole)?;
        let mut unit = Unit::new("cancel");
        transactions::reserve(&mut unit, preauth, Verb::Release, whole.minor);
        transactions::insert(&mut unit, &release);
        match self.store.run(unit).await? {
            Ok(()) => {}
            // A capture, or another cancel, was faster: look again at what is left.
            Err(
                Refusal::Short
                | Refusal::Stale
                | Refusal::KeyTaken
                | Refusal::Held
                | Refusal::Duplicate
                | Refusal::Missing,
            ) => {
                return Ok(None);
            }
        }
        self.spawn_submit(release.tenant_id, release.id);
        self.settled(release.tenant_id, release.id).await?;
        self.cancel_answer(release.tenant_id, release.id).await
    }

    async fn cancel_answer(&self, tenant: Uuid, movement: Uuid) -> Result<Option<Cancelled>, FlowError> {
        let state = self.store.transaction(tenant, movement).await?.map(|t| t.state);
        tracing::debug!(transaction = %movement, ?state, "cancel");
        Ok(Some(match state {
            Some(State::Succeeded) => Cancelled::Done,
            Some(State::Declined(_) | State::Expired | State::Cancelled) => Cancelled::Failed,
            Some(State::Created | State::Submitted | State::Pending(_) | State::Unknown | State::Authorised) | None => {
                Cancelled::Pending
            }
        }))
    }
}
