//! A stored transaction as the contract shows it: the same for the call that made it, for its repeats and for every look.
//! One that came to nothing is shown as an error, again and again the same.

use std::collections::BTreeMap;

use rialto_adapters::port::{Kind, Money, Reason, Timestamp};

use super::dto::{
    PaymentChargebackItemDto, PaymentErrorCode as Code, PaymentItemDto, PaymentResponseDto,
    PaymentTransactionStatus as Status, PreauthResponseDto, RefundResponseDto,
};
use super::errors::{Failure, reason_to_code};
use super::{Billwerk, map};
use crate::core::intent::{ClosedBy, IntentState};
use crate::core::transaction::State;
use crate::http::amount::Amount;
use crate::store::history::{BookedMovement, MovementKind, Source};
use crate::store::intents::Intent;
use crate::store::transactions::Transaction;

/// Who ended a transaction that the PSP calls cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CancelledBy {
    Caller,
    Payer,
}

/// The status of an intent, or the failure that it has become.
fn status(intent: &Intent, main: &Transaction, by: CancelledBy) -> Result<Status, Failure> {
    let ended = |code, status, text: &str| {
        let message = main.psp_text.clone().unwrap_or_else(|| text.to_owned());
        Err(Failure {
            field: None,
            psp_code: main.psp_code.clone(),
            status,
            received_at: Some(intent.updated_at),
            ..Failure::new(code, message)
        })
    };
    match (intent.state, main.state) {
        (IntentState::Open, State::Created) => Ok(Status::Initiated),
        // Whatever else the transaction is, while the intent is open it is being decided.
        (IntentState::Open, _) => Ok(Status::Pending),
        (IntentState::Done, _) => Ok(Status::Succeeded),
        (IntentState::Refused, State::Declined(reason)) => {
            let (code, text) = reason_to_code(reason);
            let left = reason == Reason::CancelledByPayer;
            ended(code, if left { Status::Cancelled } else { Status::Failed }, text)
        }
        // News that came after the refusal is not the caller's: it is given back.
        (IntentState::Refused, _) => ended(Code::Rejected, Status::Failed, "it was rejected"),
        (IntentState::Closed(ClosedBy::Cancelled), _) => match by {
            CancelledBy::Caller => Ok(Status::Cancelled),
            CancelledBy::Payer => ended(Code::Canceled, Status::Cancelled, "the payer has cancelled"),
        },
        (IntentState::Closed(ClosedBy::Expired), _) => ended(Code::Canceled, Status::Expired, "it has expired"),
    }
}

fn ours(intent: &Intent) -> String {
    intent.id.to_string()
}

fn minor(minor: i64, like: Money) -> Amount {
    Money::new(minor, like.currency).into()
}

impl Billwerk {
    pub(super) async fn show_preauth(
        &self,
        intent: &Intent,
        main: &Transaction,
    ) -> Result<PreauthResponseDto, Failure> {
        let status = status(intent, main, self.cancelled_by(intent, main).await?)?;
        let reserved = match (main.kind, main.state) {
            (Kind::Preauth, State::Authorised) => main.taken().minor,
            _ => 0,
        };
        let expires_at = match (status, main.kind) {
            (Status::Succeeded, Kind::StoreMeans) => Some(map::NEVER),
            (Status::Succeeded, _) => main.valid_until,
            _ => None,
        };
        let token = intent.details.page_token.as_deref().filter(|_| intent.state == IntentState::Open);
        Ok(PreauthResponseDto {
            transaction_id: intent.caller_key.clone(),
            external_transaction_id: ours(intent),
            psp_transaction_id: main.theirs.clone(),
            currency: intent.amount.currency.code().to_owned(),
            requested_amount: intent.amount.into(),
            authorized_amount: minor(reserved, intent.amount),
            expires_at: expires_at.map(map::moment),
            // Until the means are kept, an agreement may still show older ones.
            bearer: if intent.state == IntentState::Open { BTreeMap::new() } else { self.bearer(intent).await? },
            redirect_url: token.map(|token| self.engine.page_url(token)),
            redirect_data: None,
            last_updated: map::moment(intent.updated_at),
            status,
        })
    }

    pub(super) async fn show_payment(
        &self,
        intent: &Intent,
        main: &Transaction,
    ) -> Result<PaymentResponseDto, Failure> {
        let status = status(intent, main, CancelledBy::Payer)?;
        let movements = async { Ok(self.engine.store.movements(intent.tenant_id, main.id).await?) };
        let (movements, last_updated, bearer) =
            tokio::try_join!(movements, self.last_change(intent, main), self.bearer(intent))?;
        let paid = main.state == State::Succeeded;
        Ok(PaymentResponseDto {
            transaction_id: intent.caller_key.clone(),
            external_transaction_id: ours(intent),
            psp_transaction_id: main.theirs.clone(),
            currency: intent.amount.currency.code().to_owned(),
            requested_amount: intent.amount.into(),
            last_updated: map::moment(last_updated),
            status,
            payments: movements.iter().filter(|m| m.kind == MovementKind::Paid).map(payment_item).collect(),
            chargebacks: movements.iter().filter(|m| m.kind == MovementKind::ChargedBack).map(chargeback).collect(),
            refunded_amount: minor(main.counters.refunded, intent.amount),
            refundable_amount: minor(if paid { main.counters.available_to_refund() } else { 0 }, intent.amount),
            bearer,
            due_date: None,
        })
    }

    pub(super) async fn show_refund(&self, intent: &Intent, main: &Transaction) -> Result<RefundResponseDto, Failure> {
        let status = status(intent, main, CancelledBy::Payer)?;
        let gone = (main.state == State::Succeeded).then(|| main.taken());
        let movements = match gone {
            Some(_) => self.engine.store.movements(intent.tenant_id, main.id).await?,
            None => Vec::new(),
        };
        let booked = movements.iter().find(|m| m.kind == MovementKind::Refunded);
        Ok(RefundResponseDto {
            transaction_id: intent.caller_key.clone(),
            external_transaction_id: ours(intent),
            psp_transaction_id: main.theirs.clone(),
            currency: intent.amount.currency.code().to_owned(),
            requested_amount: intent.amount.into(),
            last_updated: map::moment(intent.updated_at),
            status,
            refunded_amount: gone.unwrap_or(Money::new(0, intent.amount.currency)).into(),
            booking_date: booked.map(|movement| map::day(movement.occurred_at)),
            description: main.psp_text.clone(),
        })
    }

    /// A payment changes with its refunds too.
    async fn last_change(&self, intent: &Intent, main: &Transaction) -> Result<Timestamp, Failure> {
        let refunds = self.engine.store.transactions_under(intent.tenant_id, main.id).await?;
        let latest = refunds.iter().map(|refund| refund.updated_at).max();
        Ok(latest.map_or(intent.updated_at, |latest| latest.max(intent.updated_at)))
    }

    async fn bearer(&self, intent: &Intent) -> Result<BTreeMap<String, String>, Failure> {
        let Some(id) = intent.agreement_id else { return Ok(BTreeMap::new()) };
        let agreement = self.engine.store.agreement_by_id(intent.tenant_id, id).await?;
        Ok(agreement.map(|agreement| agreement.bearer).unwrap_or_default())
    }

    /// A reservation that was given free, and means that are no longer kept, were cancelled by the caller. An unfinished
    /// one too, if the PSP's word for it came as the answer to our closing it; else the payer went away.
    async fn cancelled_by(&self, intent: &Intent, main: &Transaction) -> Result<CancelledBy, Failure> {
        if intent.state != IntentState::Closed(ClosedBy::Cancelled) || main.state != State::Cancelled {
            return Ok(CancelledBy::Caller);
        }
        let facts = self.engine.store.facts(intent.tenant_id, main.id).await?;
        let ending = facts.iter().find(|f| f.state_before != f.state_after && f.state_after == main.state.name());
        let answered = ending.is_some_and(|f| f.source == Source::Answer.as_str() && f.state_before == "pending");
        Ok(if answered { CancelledBy::Caller } else { CancelledBy::Payer })
    }
}

fn payment_item(movement: &BookedMovement) -> PaymentItemDto {
    PaymentItemDto {
        external_item_id: Some(movement.movement.clone()),
        amount: movement.amount.into(),
        booking_date: map::day(movement.occurred_at),
        description: movement.psp_text.clone(),
    }
}

fn chargeback(movement: &BookedMovement) -> PaymentChargebackItemDto {
    PaymentChargebackItemDto {
        external_item_id: Some(movement.movement.clone()),
        amount: movement.amount.into(),
        booking_date: map::day(movement.occurred_at),
        description: movement.psp_text.clone(),
        fee_amount: minor(movement.fee_minor, movement.amount),
        reason: map::chargeback_reason(movement.reason),
        psp_reason_code: movement.psp_code.clone(),
        psp_reason_message: movement.psp_text.clone(),
    }
}
