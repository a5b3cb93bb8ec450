//! What the creating operations share: a request is carried out once, and a repeat is answered from what is stored.

use std::collections::BTreeMap;
use std::future::Future;

use rialto_adapters::port::Kind;
use tokio::time::timeout;
use uuid::Uuid;

use super::dto::PaymentMeansReferenceDto;
use super::errors::Failure;
use super::map::filled;
use super::{Billwerk, CONTRACT};
use crate::flow::accept::{Accepted, Repeat, Wish};
use crate::flow::identity::Caller;
use crate::flow::limits::CALL_ANSWERED_WITHIN;
use crate::store::agreements::Agreement;
use crate::store::forms::Details;
use crate::store::intents::Intent;
use crate::store::transactions::Transaction;

/// The creating operations, as they are stored.
pub const PREAUTH: &str = "preauth";
pub const PAYMENT: &str = "payment";
pub const REFUND: &str = "refund";

/// A request by its key and its fields.
#[derive(Clone, Debug)]
pub struct Asked {
    pub operation: &'static str,
    pub key: String,
    pub fields: BTreeMap<String, String>,
}

/// How often a request that found less left than it had just read looks again.
const LOOKS_MAX: usize = 5;

impl Billwerk {
    /// Carries out what `wish` comes to, unless the same was asked before, and waits a while for the PSP. `wish` checks
    /// whether it can be carried out as things are; it is asked again if they change meanwhile.
    pub(super) async fn once<F, W>(
        &self,
        caller: &Caller,
        asked: &Asked,
        wish: F,
    ) -> Result<(Intent, Transaction), Failure>
    where
        F: Fn() -> W,
        W: Future<Output = Result<(Caller, Wish), Failure>> + Send,
    {
        // Both only read. A repeat is answered from what is stored, whatever would be said of it today.
        let (earlier, ready) = tokio::join!(self.earlier(caller, asked), wish());
        if let Some(intent) = earlier? {
            return self.settled(intent).await;
        }
        let mut refused = Failure::precondition("what this acts on is changing; try again");
        let mut ready = Some(ready);
        for _ in 0..LOOKS_MAX {
            let now = match ready.take() {
                Some(ready) => ready,
                None => wish().await,
            };
            let (caller, wish) = match now {
                Ok(ready) => ready,
                Err(failure) => {
                    refused = failure;
                    break;
                }
            };
            match self.engine.accept(&caller, wish).await? {
                Accepted::New { intent, sending, .. } => {
                    // Only the waiting ends here, the sending goes on.
                    let waited = timeout(self.engine.clock.wait(CALL_ANSWERED_WITHIN), sending).await;
                    tracing::debug!(intent = %intent.id, slow = waited.is_err(), "accepted");
                    return self.read_again(*intent).await;
                }
                Accepted::Same(intent) => return self.settled(*intent).await,
                Accepted::Differs { field } => return Err(Failure::differs(&field)),
                // The figures that were read are old by now.
                Accepted::Short => {}
                Accepted::Refused(refusal) => return Err(Failure::data(refusal.field, refusal.text)),
                Accepted::Busy { retry_after } => return Err(Failure::turned_away(retry_after)),
            }
        }
        // Was it this very request, sent twice at once, that took what is missing?
        match self.earlier(caller, asked).await? {
            Some(intent) => self.settled(intent).await,
            None => Err(refused),
        }
    }

    async fn earlier(&self, caller: &Caller, asked: &Asked) -> Result<Option<Intent>, Failure> {
        match self.engine.repeat(caller, asked.operation, &asked.key, &asked.fields).await? {
            Repeat::Fresh => Ok(None),
            Repeat::Same(intent) => Ok(Some(*intent)),
            Repeat::Differs { field } => Err(Failure::differs(&field)),
        }
    }

    /// The intent once its transaction is no longer on its way to the PSP, or after as long as a caller waits.
    async fn settled(&self, intent: Intent) -> Result<(Intent, Transaction), Failure> {
        let main = self.main_of(&intent).await?;
        self.engine.settled(intent.tenant_id, main.id).await?;
        self.read_again(intent).await
    }

    async fn read_again(&self, intent: Intent) -> Result<(Intent, Transaction), Failure> {
        let now = async { Ok(self.engine.store.intent(intent.tenant_id, intent.id).await?) };
        let (now, main) = tokio::try_join!(now, self.main_of(&intent))?;
        Ok((now.unwrap_or(intent), main))
    }

    /// The intent under a platform's id.
    pub(super) async fn find(
        &self,
        caller: &Caller,
        operation: &'static str,
        id: &str,
    ) -> Result<Option<Intent>, Failure> {
        // No stored id is like these, and PostgreSQL does not even take a text with U+0000.
        if id.chars().count() > ID_MAX || id.chars().any(char::is_control) {
            return Ok(None);
        }
        Ok(self.engine.store.intent_by_key(caller.tenant_id, CONTRACT, operation, id).await?)
    }

    /// The transaction whose end is the intent's.
    pub(super) async fn main_of(&self, intent: &Intent) -> Result<Transaction, Failure> {
        let all = self.engine.store.transactions_of(intent.tenant_id, intent.id).await?;
        let main = match main_among(intent.operation.as_str(), all) {
            Some(main) => Some(main),
            None => self.booked_by(intent).await?,
        };
        main.ok_or_else(|| {
            tracing::error!(intent = %intent.id, "an intent without its transaction");
            Failure::new(super::dto::PaymentErrorCode::InternalError, "internal error")
        })
    }

    /// The charge that a payment has booked.
    async fn booked_by(&self, payment: &Intent) -> Result<Option<Transaction>, Failure> {
        match self.engine.store.booking_of(payment.tenant_id, payment.id).await? {
            Some(booking) => Ok(self.engine.store.transaction(payment.tenant_id, booking.transaction_id).await?),
            None => Ok(None),
        }
    }

    /// The caller with the connection that an agreement's means, or a parent, belong to: a tenant may have several.
    pub(super) async fn on_connection(&self, caller: &Caller, connection: Option<Uuid>) -> Result<Caller, Failure> {
        let Some(id) = connection.filter(|id| *id != caller.connection.id) else { return Ok(caller.clone()) };
        let found = self.engine.store.connection(caller.tenant_id, id).await?;
        Ok(found.map_or_else(|| caller.clone(), |connection| Caller { connection, ..caller.clone() }))
    }

    pub(super) async fn agreement(&self, caller: &Caller, id: Option<&str>) -> Result<Option<Agreement>, Failure> {
        match id {
            Some(id) => Ok(self.engine.store.agreement(caller.tenant_id, CONTRACT, id).await?),
            None => Ok(None),
        }
    }

    /// The address for notices, if the guard and the tenant's own list let us call it.
    pub(super) fn notify_url(&self, caller: &Caller, target: &Option<String>) -> Result<Option<String>, Failure> {
        let checked = filled(target).map(|target| self.guard.check_url(target.trim(), &caller.webhook_hosts));
        match checked.transpose() {
            Ok(url) => Ok(url.map(String::from)),
            Err(refusal) => Err(Failure::data("webhookTarget", refusal)),
        }
    }

    /// Where the payer's browser goes in the end, put into `details`.
    pub(super) fn return_urls(
        &self,
        details: &mut Details,
        means: Option<&PaymentMeansReferenceDto>,
    ) -> Result<(), Failure> {
        let Some(means) = means else { return Ok(()) };
        let check = |field: &str, url: &Option<String>| match filled(url) {
            None => Ok(None),
            Some(url) => match self.guard.check_return_url(url.trim()) {
                Ok(url) => Ok(Some(String::from(url))),
                Err(refusal) => Err(Failure::data(&format!("paymentMeansReference.{field}"), refusal)),
            },
        };
        details.success_url = check("successReturnUrl", &means.success_return_url)?;
        details.error_url = check("errorReturnUrl", &means.error_return_url)?;
        details.abort_url = check("abortReturnUrl", &means.abort_return_url)?;
        Ok(())
    }
}

/// Longest id of the platform's, in characters. The same stands at the fields of the requests.
const ID_MAX: usize = 100;

fn main_among(operation: &str, all: Vec<Transaction>) -> Option<Transaction> {
    let is_main = |kind: Kind| match kind {
        Kind::StoreMeans | Kind::Preauth => operation == PREAUTH,
        // Of a preauthorisation where money cannot be reserved.
        Kind::Charge => operation == PAYMENT || operation == PREAUTH,
        Kind::Capture => operation == PAYMENT,
        // Others may be what we ourselves gave back for it.
        Kind::Refund => operation == REFUND,
        Kind::Release | Kind::Payout => false,
    };
    all.into_iter().find(|t| is_main(t.kind))
}
