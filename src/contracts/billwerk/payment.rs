//! Payments: what was reserved is captured, or stored means are charged.

use std::collections::BTreeMap;

use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::{Duration, Kind, Money, Timestamp};

use super::dto::{PaymentErrorCode as Code, PaymentRequestDto, PaymentResponseDto, PublicPaymentProviderRole as Role};
use super::errors::Failure;
use super::once::{Asked, PAYMENT, PREAUTH};
use super::preauth::{able, account, method_of, under, usable};
use super::{Billwerk, map};
use crate::core::intent::{ClosedBy, IntentKind, IntentState};
use crate::core::transaction::State;
use crate::flow::accept::{Under, Wish, Work};
use crate::flow::collect::{can_give_back, is_collected};
use crate::flow::identity::Caller;
use crate::store::forms::Details;
use crate::store::intents::Intent;
use crate::store::transactions::Transaction;

/// A request whose form is right.
struct Wanted {
    asked: Asked,
    money: Money,
    preauth: Option<String>,
    agreement: Option<String>,
    role: Role,
    initial_bearer: BTreeMap<String, String>,
    /// The day on which a debit is to be executed.
    planned: Option<Timestamp>,
    request: PaymentRequestDto,
}

impl Wanted {
    fn read(request: PaymentRequestDto) -> Result<Wanted, Failure> {
        let key = map::id("transactionId", &request.transaction_id)?;
        let money = map::positive(map::money(&request.requested_amount, &request.currency)?)?;
        let means = request.payment_means_reference.as_ref();
        map::invoice(request.invoice_data.as_ref())?;
        Ok(Wanted {
            asked: Asked { operation: PAYMENT, key, fields: map::fields(&request, money) },
            money,
            preauth: map::optional_id("preauthTransactionId", &request.preauth_transaction_id)?,
            agreement: map::optional_id("agreementId", &request.agreement_id)?,
            role: means.and_then(|means| means.role).unwrap_or(Role::Default),
            initial_bearer: map::initial_bearer(means)?,
            planned: map::date("plannedExecutionDate", &request.planned_execution_date)?,
            request,
        })
    }
}

impl Billwerk {
    pub(super) async fn payment(
        &self,
        caller: &Caller,
        request: PaymentRequestDto,
    ) -> Result<PaymentResponseDto, Failure> {
        let wanted = Wanted::read(request)?;
        let (intent, main) = self.once(caller, &wanted.asked, || self.payment_wish(caller, &wanted)).await?;
        self.show_payment(&intent, &main).await
    }

    pub(super) async fn payment_now(&self, caller: &Caller, id: &str) -> Result<PaymentResponseDto, Failure> {
        let intent = self.find(caller, PAYMENT, id).await?.ok_or_else(|| Failure::unknown("payment"))?;
        self.show_payment(&intent, &self.main_of(&intent).await?).await
    }

    async fn payment_wish(&self, caller: &Caller, wanted: &Wanted) -> Result<(Caller, Wish), Failure> {
        let request = &wanted.request;
        let notify_url = self.notify_url(caller, &request.webhook_target)?;
        let mut details = map::details(
            request.payer_data.as_ref(),
            &request.transaction_reference_text,
            &request.transaction_invoice_reference_text,
        );
        self.return_urls(&mut details, request.payment_means_reference.as_ref())?;
        let way = match &wanted.preauth {
            Some(preauth) => self.capture(caller, wanted, preauth).await?,
            None => self.charge(caller, wanted, &mut details).await?,
        };
        let wish = Wish {
            operation: PAYMENT,
            caller_key: wanted.asked.key.clone(),
            request: wanted.asked.fields.clone(),
            kind: IntentKind::Payment,
            amount: wanted.money,
            method: way.method,
            agreement: way.agreement,
            details,
            notify_url,
            page_until: None,
            asks_payer: false,
            above: None,
            work: way.work,
        };
        Ok((way.caller, wish))
    }

    async fn capture(&self, caller: &Caller, wanted: &Wanted, preauth: &str) -> Result<Way, Failure> {
        let intent = self.find(caller, PREAUTH, preauth).await?.ok_or_else(|| Failure::unknown("preauthorisation"))?;
        let parent = self.main_of(&intent).await?;
        let agreement = match intent.agreement_id {
            Some(id) => self.engine.store.agreement_by_id(caller.tenant_id, id).await?.map(|a| a.caller_id),
            None => None,
        };
        if wanted.agreement.is_some() && wanted.agreement != agreement {
            return Err(Failure::precondition("agreementId: the preauthorisation was made under another agreement"));
        }
        capturable(&intent, &parent, wanted.money)?;
        let caller = self.on_connection(caller, Some(parent.connection_id)).await?;
        let manifest = self.engine.adapter(&caller.connection)?.manifest();
        if is_collected(&intent, &parent) {
            let whole = wanted.money == parent.taken();
            if !whole && !can_give_back(manifest, &parent, false) {
                let taken = map::shown(parent.taken());
                let text =
                    format!("only the whole can be taken, {taken}: {} cannot give the rest back", manifest.title);
                return Err(Failure::amount(text));
            }
            let (method, agreement) = (parent.method, intent.agreement_id.map(Under::Known));
            return Ok(Way { caller, method, agreement, work: Work::Book(Box::new(parent)) });
        }
        let capability = able(manifest, Kind::Capture, parent.method, wanted.money)?;
        let whole = Money::new(parent.counters.available_to_capture(), wanted.money.currency);
        if !capability.partial && wanted.money != whole {
            return Err(Failure::amount(format!("only the whole can be captured: {}", map::shown(whole))));
        }
        let agreement = intent.agreement_id.map(Under::Known);
        Ok(Way { caller, method: parent.method, agreement, work: Work::Capture(Box::new(parent)) })
    }

    async fn charge(&self, caller: &Caller, wanted: &Wanted, details: &mut Details) -> Result<Way, Failure> {
        let agreement = self.agreement(caller, wanted.agreement.as_deref()).await?;
        let stored = usable(wanted.agreement.as_deref(), agreement.as_ref());
        let caller = self.on_connection(caller, agreement.as_ref().map(|a| a.connection_id)).await?;
        let manifest = self.engine.adapter(&caller.connection)?.manifest();
        let method = method_of(wanted.role, agreement.as_ref(), manifest)?;
        let capability = able(manifest, Kind::Charge, method, wanted.money)?;
        match stored {
            Ok(()) => details.use_stored_means = true,
            // Account data can be debited as they come; whoever needs the payer must be asked in a preauthorisation.
            Err(_) if !capability.interactive && !wanted.initial_bearer.is_empty() => {
                details.given = account(&wanted.initial_bearer, manifest)?;
            }
            Err(failure) => return Err(failure),
        }
        // A card is charged when it is asked for, whatever the day.
        if let (MethodName::DirectDebit, Some(planned)) = (method, wanted.planned) {
            self.schedule(details, planned)?;
        }
        Ok(Way { caller, method, agreement: under(agreement, wanted.agreement.as_deref()), work: Work::Charge })
    }
}

impl Billwerk {
    /// A debit of a day to come waits for it; one of today, or of a day that has passed, goes at once.
    fn schedule(&self, details: &mut Details, planned: Timestamp) -> Result<(), Failure> {
        let today = map::start_of_day(self.engine.clock.now());
        let latest = today.plus(SCHEDULED_AHEAD_MAX);
        if planned > latest {
            let text = format!("must not be after {}", map::day(latest));
            return Err(Failure::data("plannedExecutionDate", text));
        }
        details.not_before = (planned > today).then_some(planned.0);
        details.due_at = Some(planned.max(today).0);
        Ok(())
    }
}

/// How far ahead a debit may be planned: a year with a leap day. Longer than any notice period, and short enough that
/// a year typed wrong is noticed.
const SCHEDULED_AHEAD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// How a payment takes its money.
struct Way {
    caller: Caller,
    method: MethodName,
    agreement: Option<Under>,
    work: Work,
}

/// Refuses what cannot be captured, and says why.
fn capturable(intent: &Intent, preauth: &Transaction, money: Money) -> Result<(), Failure> {
    let refuse = |text: &str| Err(Failure::precondition(format!("preauthTransactionId: the preauthorisation {text}")));
    if preauth.kind == Kind::StoreMeans && intent.state == IntentState::Done {
        return refuse("only kept the means of payment; charge them without preauthTransactionId");
    }
    let collected = is_collected(intent, preauth);
    match (intent.state, preauth.state) {
        (IntentState::Done, State::Authorised) => {}
        (IntentState::Done, State::Succeeded) if collected => {}
        (IntentState::Open, _) => return refuse("is still pending"),
        (IntentState::Refused, _) => return refuse("was refused"),
        (IntentState::Closed(ClosedBy::Cancelled), _) => return refuse("was cancelled"),
        (IntentState::Closed(ClosedBy::Expired), _) | (IntentState::Done, State::Expired) => {
            return refuse("has expired");
        }
        (
            IntentState::Done,
            State::Created
            | State::Submitted
            | State::Pending(_)
            | State::Unknown
            | State::Succeeded
            | State::Declined(_)
            | State::Cancelled,
        ) => return refuse("holds no money any more"),
    }
    if preauth.amount.currency != money.currency {
        return Err(Failure::currency(format!("the preauthorisation is in {}", preauth.amount.currency)));
    }
    let counted = &preauth.counters;
    if counted.captured > 0 {
        return refuse("is captured already");
    }
    if counted.captured_reserved > 0 {
        return refuse("is being captured already");
    }
    if collected && counted.refunded + counted.refunded_reserved > 0 {
        return refuse("has been given back, or is being given back");
    }
    let left = if collected { counted.available_to_refund() } else { counted.available_to_capture() };
    let left = Money::new(left, money.currency);
    if money.minor > left.minor {
        let text = format!("is above what can be captured: {}", map::shown(left));
        return Err(Failure::field(Code::InvalidAmount, "requestedAmount", text));
    }
    Ok(())
}
