//! Refunds: money of a payment goes back, in whole or in part.

use rialto_adapters::port::{Kind, Money};

use super::dto::{RefundRequestDto, RefundResponseDto};
use super::errors::Failure;
use super::once::{Asked, PAYMENT, REFUND};
use super::preauth::able;
use super::{Billwerk, map};
use crate::core::intent::{ClosedBy, IntentKind, IntentState};
use crate::core::transaction::State;
use crate::flow::accept::{Wish, Work};
use crate::flow::identity::Caller;
use crate::store::intents::Intent;
use crate::store::transactions::Transaction;

/// A request whose form is right.
struct Wanted {
    asked: Asked,
    money: Money,
    payment: String,
    request: RefundRequestDto,
}

impl Wanted {
    fn read(request: RefundRequestDto) -> Result<Wanted, Failure> {
        let key = map::id("transactionId", &request.transaction_id)?;
        let money = map::positive(map::money(&request.requested_amount, &request.currency)?)?;
        map::invoice(request.invoice_data.as_ref())?;
        Ok(Wanted {
            asked: Asked { operation: REFUND, key, fields: map::fields(&request, money) },
            money,
            payment: map::id("paymentTransactionId", &request.payment_transaction_id)?,
            request,
        })
    }
}

impl Billwerk {
    pub(super) async fn refund(
        &self,
        caller: &Caller,
        request: RefundRequestDto,
    ) -> Result<RefundResponseDto, Failure> {
        let wanted = Wanted::read(request)?;
        let (intent, main) = self.once(caller, &wanted.asked, || self.refund_wish(caller, &wanted)).await?;
        self.show_refund(&intent, &main).await
    }

    pub(super) async fn refund_now(&self, caller: &Caller, id: &str) -> Result<RefundResponseDto, Failure> {
        let intent = self.find(caller, REFUND, id).await?.ok_or_else(|| Failure::unknown("refund"))?;
        self.show_refund(&intent, &self.main_of(&intent).await?).await
    }

    async fn refund_wish(&self, caller: &Caller, wanted: &Wanted) -> Result<(Caller, Wish), Failure> {
        let request = &wanted.request;
        let notify_url = self.notify_url(caller, &request.webhook_target)?;
        let found = self.find(caller, PAYMENT, &wanted.payment).await?;
        let payment = found.ok_or_else(|| Failure::unknown("payment"))?;
        let parent = self.main_of(&payment).await?;
        let left = self.returned(&payment, &parent).await?.refundable;
        refundable(&payment, &parent, left, wanted.money)?;
        let caller = self.on_connection(caller, Some(parent.connection_id)).await?;
        let manifest = self.engine.adapter(&caller.connection)?.manifest();
        let capability = able(manifest, Kind::Refund, parent.method, wanted.money)?;
        if !capability.partial && wanted.money != parent.taken() {
            return Err(Failure::amount(format!("only the whole can be refunded: {}", map::shown(parent.taken()))));
        }
        let wish = Wish {
            operation: REFUND,
            caller_key: wanted.asked.key.clone(),
            request: wanted.asked.fields.clone(),
            kind: IntentKind::Refund,
            amount: wanted.money,
            method: parent.method,
            agreement: None,
            details: map::details(request.payer_data.as_ref(), &None, &None),
            notify_url,
            page_until: None,
            asks_payer: false,
            above: Some(payment.id),
            work: Work::Refund(Box::new(parent)),
        };
        Ok((caller, wish))
    }
}

/// Refuses what cannot be refunded, and says why.
fn refundable(payment: &Intent, taken: &Transaction, left: i64, money: Money) -> Result<(), Failure> {
    let refuse = |text: &str| Err(Failure::precondition(format!("paymentTransactionId: the payment {text}")));
    match (payment.state, taken.state) {
        (IntentState::Done, State::Succeeded) => {}
        (IntentState::Open, _) => return refuse("is still pending"),
        (IntentState::Refused, _) => return refuse("was refused, so there is nothing to refund"),
        (IntentState::Closed(ClosedBy::Cancelled), _) => return refuse("was cancelled, so there is nothing to refund"),
        (IntentState::Closed(ClosedBy::Expired), _) => return refuse("has expired, so there is nothing to refund"),
        (
            IntentState::Done,
            State::Created
            | State::Submitted
            | State::Pending(_)
            | State::Unknown
            | State::Authorised
            | State::Declined(_)
            | State::Expired
            | State::Cancelled,
        ) => return refuse("has brought no money"),
    }
    if taken.amount.currency != money.currency {
        return Err(Failure::currency(format!("the payment is in {}", taken.amount.currency)));
    }
    let left = Money::new(left, money.currency);
    match money.minor > left.minor {
        true => Err(Failure::amount(format!("is above what can be refunded: {}", map::shown(left)))),
        false => Ok(()),
    }
}
