//! A stored transaction as the contract shows it: the same for the call that made it, for its repeats and for every look.
//! One that came to nothing is shown as an error, again and again the same.

use std::collections::BTreeMap;

use rialto_adapters::port::{Kind, Money, Reason, Timestamp};

use super::dto::{
    PaymentChargebackItemDto, PaymentErrorCode as Code, PaymentItemDto, PaymentResponseDto,
    PaymentTransactionStatus as Status, PreauthResponseDto, RefundResponseDto,
};
use super::errors::{Failure, http_status, reason_to_code, told_code};
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
        // One that waits for its day is as good as handed over.
        (IntentState::Open, State::Created) if main.not_before.is_none() => Ok(Status::Initiated),
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
        let status = self.told(main, status(intent, main, self.cancelled_by(intent, main).await?)).await?;
        let reserved = match (main.kind, main.state) {
            (Kind::Preauth, State::Authorised) => main.taken().minor,
            // Collected, since this method cannot reserve.
            (Kind::Charge, State::Succeeded) => main.taken().minor,
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
        let read = async |main: &Transaction| Ok(self.engine.store.movements(intent.tenant_id, main.id).await?);
        let (mut movements, bearer) = tokio::try_join!(read(main), self.bearer(intent))?;
        let (mut intent, mut main) = (intent.clone(), main.clone());
        for _ in 0..READS_MAX {
            if agree(&main, &movements) {
                break;
            }
            // A chargeback was booked between two reads.
            // In this order: a version stamp may be older than what it stands at, and never newer.
            intent = self.engine.store.intent(intent.tenant_id, intent.id).await?.unwrap_or(intent);
            main = self.main_of(&intent).await?;
            movements = read(&main).await?;
        }
        let (intent, main) = (&intent, &main);
        let status = self.told(main, status(intent, main, CancelledBy::Payer)).await?;
        let paid = main.state == State::Succeeded;
        let returned = self.returned(intent, main).await?;
        let booked = (main.intent_id != intent.id).then_some(intent.amount);
        Ok(PaymentResponseDto {
            transaction_id: intent.caller_key.clone(),
            external_transaction_id: ours(intent),
            psp_transaction_id: main.theirs.clone(),
            currency: intent.amount.currency.code().to_owned(),
            requested_amount: intent.amount.into(),
            last_updated: map::moment(intent.updated_at),
            status,
            payments: movements
                .iter()
                .filter(|m| m.kind == MovementKind::Paid)
                .map(|movement| payment_item(movement, booked))
                .collect(),
            chargebacks: standing_chargebacks(&movements).iter().map(chargeback).collect(),
            refunded_amount: minor(returned.refunded, intent.amount),
            refundable_amount: minor(if paid { returned.refundable } else { 0 }, intent.amount),
            bearer,
            due_date: intent.details.due_at.map(|at| map::day(Timestamp(at))),
        })
    }

    pub(super) async fn show_refund(&self, intent: &Intent, main: &Transaction) -> Result<RefundResponseDto, Failure> {
        let status = self.told(main, status(intent, main, CancelledBy::Payer)).await?;
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

    /// What of a payment has gone back, and what can. Of a charge that it has booked, what was given back of the rest is not
    /// the payment's.
    pub(super) async fn returned(&self, payment: &Intent, main: &Transaction) -> Result<Returned, Failure> {
        let counted = &main.counters;
        if main.intent_id == payment.id {
            return Ok(Returned { refunded: counted.refunded, refundable: counted.available_to_refund() });
        }
        let under = self.engine.store.transactions_under(main.tenant_id, main.id).await?;
        let ours = under.iter().filter(|t| t.intent_id == main.intent_id && t.state == State::Succeeded);
        let refunded = (counted.refunded - ours.map(|t| t.taken().minor).sum::<i64>()).max(0);
        let left = payment.amount.minor - refunded - counted.charged_back;
        Ok(Returned { refunded, refundable: left.min(counted.available_to_refund()).max(0) })
    }

    /// A refusal of our account is held back as a fault of the set-up, until callers are to be told that the PSP's
    /// credentials are wrong.
    async fn told(&self, main: &Transaction, shown: Result<Status, Failure>) -> Result<Status, Failure> {
        let (Err(failure), State::Declined(reason @ Reason::AccountRefused)) = (&shown, main.state) else {
            return shown;
        };
        let Some(now) = self.engine.store.connection(main.tenant_id, main.connection_id).await? else { return shown };
        let Some(code) = told_code(reason, now.told, now.refused_since, main.updated_at) else { return shown };
        // Of an account that was left behind nothing is proved.
        let versions = (now.version, main.settings_version);
        match self.engine.store.same_account(main.tenant_id, now.id, versions.0, versions.1).await? {
            true => Err(Failure { code, http: http_status(code), ..failure.clone() }),
            false => shown,
        }
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

/// In minor units.
pub(super) struct Returned {
    pub refunded: i64,
    pub refundable: i64,
}

/// How often a payment is read until its parts agree. Two chargebacks in so short a time are rare; and whoever reads what
/// does not agree is told of the change a moment later.
const READS_MAX: usize = 3;

/// Whether the movements are those that the transaction has counted.
fn agree(main: &Transaction, movements: &[BookedMovement]) -> bool {
    let sum = |kind| movements.iter().filter(|m| m.kind == kind).map(|m| i128::from(m.amount.minor)).sum::<i128>();
    let held = sum(MovementKind::ChargedBack) - sum(MovementKind::ChargebackReversed);
    i128::from(main.counters.charged_back) == held.max(0)
}

/// The chargebacks that still hold, each with what is left of it. One that was taken back is not listed, for the platform
/// would count it; a reversal takes from the chargeback of its own amount, else from the oldest.
fn standing_chargebacks(movements: &[BookedMovement]) -> Vec<BookedMovement> {
    let of = |kind| movements.iter().filter(move |movement| movement.kind == kind);
    let mut standing: Vec<BookedMovement> = of(MovementKind::ChargedBack).cloned().collect();
    for reversed in of(MovementKind::ChargebackReversed) {
        let mut left = reversed.amount.minor;
        if let Some(same) = standing.iter_mut().rev().find(|chargeback| chargeback.amount.minor == left) {
            (same.amount.minor, left) = (0, 0);
        }
        for chargeback in &mut standing {
            let taken = left.min(chargeback.amount.minor);
            chargeback.amount.minor -= taken;
            left -= taken;
        }
    }
    standing.retain(|chargeback| chargeback.amount.minor > 0);
    standing
}

/// `booked`: how much of it the payment took, where it came in for a preauthorisation.
fn payment_item(movement: &BookedMovement, booked: Option<Money>) -> PaymentItemDto {
    PaymentItemDto {
        external_item_id: Some(movement.movement.clone()),
        amount: booked.unwrap_or(movement.amount).into(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use rialto_adapters::port::Currency;
    use uuid::Uuid;

    #[test]
    fn chargebacks_are_listed_as_far_as_they_hold() {
        // What was booked in this order (a reversal is negative), and what is listed.
        let rows: &[(&[i64], &[i64])] = &[
            (&[], &[]),
            (&[500], &[500]),
            (&[500, -500], &[]),
            (&[500, 300, -300], &[500]),
            (&[300, 500, -300], &[500]),
            (&[500, -200], &[300]),
            (&[500, -200, -300], &[]),
            (&[500, 300, -600], &[200]),
            (&[500, -500, 500], &[500]),
            (&[-500, 500], &[]),
            (&[100, -500], &[]),
        ];
        for (booked, expected) in rows {
            let movements: Vec<BookedMovement> = booked.iter().map(|minor| movement(*minor)).collect();
            let listed: Vec<i64> = standing_chargebacks(&movements).iter().map(|m| m.amount.minor).collect();
            assert_eq!(listed, *expected, "{booked:?}");
        }
    }

    fn movement(minor: i64) -> BookedMovement {
        let kind = if minor < 0 { MovementKind::ChargebackReversed } else { MovementKind::ChargedBack };
        BookedMovement {
            id: Uuid::nil(),
            tenant_id: Uuid::nil(),
            connection_id: Uuid::nil(),
            transaction_id: Uuid::nil(),
            movement: String::new(),
            kind,
            amount: Money::new(minor.abs(), Currency::EUR),
            fee_minor: 0,
            reason: None,
            psp_code: None,
            psp_text: None,
            occurred_at: Timestamp(0),
            recorded_at: Timestamp(0),
        }
    }
}
