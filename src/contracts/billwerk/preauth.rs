//! Preauthorisations: money is reserved, or means of payment are kept.

use std::collections::BTreeMap;

use rialto_adapters::port::ids::iban;
use rialto_adapters::port::manifest::{Capability, Manifest, MethodName};
use rialto_adapters::port::{Kind, Money};

use super::dto::{
    PaymentCancellationResponseDto, PaymentCancellationStatus, PaymentErrorCode as Code, PreauthRequestDto,
    PreauthResponseDto, PublicPaymentProviderRole as Role,
};
use super::errors::Failure;
use super::once::{Asked, PREAUTH};
use super::{Billwerk, map};
use crate::core::intent::IntentKind;
use crate::flow::accept::{Under, Wish, Work};
use crate::flow::cancel::Cancelled;
use crate::flow::identity::Caller;
use crate::flow::limits::PAYER_PAGE_OPEN_FOR;
use crate::store::agreements::{Agreement, AgreementState};

/// A request whose form is right.
struct Wanted {
    asked: Asked,
    money: Money,
    agreement: Option<String>,
    role: Role,
    initial_bearer: BTreeMap<String, String>,
    /// Use the means that are stored; the payer is not asked.
    stored: bool,
    request: PreauthRequestDto,
}

impl Wanted {
    fn read(request: PreauthRequestDto) -> Result<Wanted, Failure> {
        let key = map::id("transactionId", &request.transaction_id)?;
        let money = match &request.requested_amount {
            Some(amount) => map::money(amount, &request.currency)?,
            // Billwerk's serialiser leaves out what is 0.
            None => Money::new(0, map::currency(&request.currency)?),
        };
        map::order(request.order_data.as_ref())?;
        let means = request.payment_means_reference.as_ref();
        Ok(Wanted {
            asked: Asked { operation: PREAUTH, key, fields: map::fields(&request, money) },
            money,
            agreement: map::optional_id("agreementId", &request.agreement_id)?,
            role: means.and_then(|means| means.role).unwrap_or(Role::Default),
            initial_bearer: map::initial_bearer(means)?,
            stored: !request.is_initial.unwrap_or(true),
            request,
        })
    }
}

impl Billwerk {
    pub(super) async fn preauth(
        &self,
        caller: &Caller,
        request: PreauthRequestDto,
    ) -> Result<PreauthResponseDto, Failure> {
        let wanted = Wanted::read(request)?;
        let (intent, main) = self.once(caller, &wanted.asked, || self.preauth_wish(caller, &wanted)).await?;
        self.show_preauth(&intent, &main).await
    }

    async fn preauth_wish(&self, caller: &Caller, wanted: &Wanted) -> Result<(Caller, Wish), Failure> {
        let request = &wanted.request;
        let means = request.payment_means_reference.as_ref();
        let notify_url = self.notify_url(caller, &request.webhook_target)?;
        let mut details = map::details(
            request.payer_data.as_ref(),
            &request.transaction_reference_text,
            &request.transaction_invoice_reference_text,
        );
        self.return_urls(&mut details, means)?;
        let migrated = map::filled(&request.migration_token).map(str::trim);
        if migrated.is_some() && wanted.stored {
            return Err(Failure::data("migrationToken", "is for a first contact only, and isInitial is false"));
        }
        let agreement = self.agreement(caller, wanted.agreement.as_deref()).await?;
        if wanted.stored {
            usable(wanted.agreement.as_deref(), agreement.as_ref())?;
        }
        let caller = self.on_connection(caller, agreement.as_ref().map(|a| a.connection_id)).await?;
        let manifest = self.engine.adapter(&caller.connection)?.manifest();
        let method = method_of(wanted.role, agreement.as_ref().filter(|_| wanted.stored), manifest)?;
        let (work, capability) = work(manifest, method, wanted.money)?;
        let interactive = capability.interactive && !wanted.stored && migrated.is_none();
        if let Some(token) = migrated {
            migratable(manifest, wanted)?;
            details.migration_token = Some(token.to_owned());
        } else if wanted.stored {
            details.use_stored_means = true;
        } else if !interactive {
            details.given = account(&wanted.initial_bearer, manifest)?;
        }
        let missing = !details.missing(manifest.payer_fields).is_empty();
        let wish = Wish {
            operation: PREAUTH,
            caller_key: wanted.asked.key.clone(),
            request: wanted.asked.fields.clone(),
            kind: IntentKind::Preauth,
            amount: wanted.money,
            method,
            agreement: under(agreement, wanted.agreement.as_deref()),
            details,
            notify_url,
            page_until: interactive.then(|| self.engine.clock.after(PAYER_PAGE_OPEN_FOR)),
            asks_payer: interactive && missing,
            above: None,
            work,
        };
        Ok((caller, wish))
    }

    pub(super) async fn preauth_now(&self, caller: &Caller, id: &str) -> Result<PreauthResponseDto, Failure> {
        let intent = self.find(caller, PREAUTH, id).await?.ok_or_else(|| Failure::unknown("preauthorisation"))?;
        self.show_preauth(&intent, &self.main_of(&intent).await?).await
    }

    pub(super) async fn cancel_preauth(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<PaymentCancellationResponseDto, Failure> {
        let intent = self.find(caller, PREAUTH, id).await?.ok_or_else(|| Failure::unknown("preauthorisation"))?;
        let cancelled = self.engine.cancel(caller.tenant_id, intent.id).await?;
        Ok(PaymentCancellationResponseDto {
            cancellation_status: cancellation(cancelled)?,
            transaction_id: intent.caller_key,
        })
    }
}

/// Refuses a token that nobody could do anything with.
fn migratable(manifest: &Manifest, wanted: &Wanted) -> Result<(), Failure> {
    if wanted.agreement.is_none() {
        return Err(Failure::precondition("agreementId: is needed to take over means of payment"));
    }
    match manifest.takes_over_means {
        true => Ok(()),
        false => {
            let text = format!("migrationToken: {} does not take over means of payment", manifest.title);
            Err(Failure::precondition(text))
        }
    }
}

fn cancellation(cancelled: Cancelled) -> Result<PaymentCancellationStatus, Failure> {
    match cancelled {
        Cancelled::Done => Ok(PaymentCancellationStatus::Succeeded),
        Cancelled::Pending => Ok(PaymentCancellationStatus::Pending),
        Cancelled::Failed => Ok(PaymentCancellationStatus::Failed),
        Cancelled::NotPossible => Ok(PaymentCancellationStatus::NotCancelled),
        Cancelled::Captured => {
            Err(Failure::precondition("it is captured, or being captured; refund the payment instead"))
        }
        Cancelled::Ended => Err(Failure::precondition("it was refused or has expired, so nothing is reserved")),
    }
}

/// The agreement as the flows take it: the one that was read, else the one the caller names.
pub(super) fn under(agreement: Option<Agreement>, name: Option<&str>) -> Option<Under> {
    match (agreement, name) {
        (Some(agreement), _) => Some(Under::Known(agreement.id)),
        (None, name) => name.map(|name| Under::Named(name.to_owned())),
    }
}

/// Refuses an agreement under which nothing can be charged.
pub(super) fn usable(id: Option<&str>, agreement: Option<&Agreement>) -> Result<(), Failure> {
    let Some(id) = id else {
        return Err(Failure::precondition("agreementId: is needed to use stored means of payment"));
    };
    let means = format!("agreementId: means of payment of the agreement {id:?}");
    match agreement.map(|agreement| agreement.state) {
        Some(AgreementState::Active) => Ok(()),
        // As the PSP would say it: only other means help.
        Some(AgreementState::Revoked) => Err(Failure::new(Code::BearerInvalid, format!("{means} have been revoked"))),
        Some(AgreementState::Open) | None => Err(Failure::precondition(format!("{means} are not stored"))),
    }
}

/// The method a request is about; with stored means and no word of the caller's, that of the agreement.
pub(super) fn method_of(role: Role, agreement: Option<&Agreement>, manifest: &Manifest) -> Result<MethodName, Failure> {
    if let (Role::Default, Some(agreement)) = (role, agreement) {
        return Ok(agreement.method);
    }
    map::method(role, manifest).ok_or_else(|| not_offered(role.name(), manifest))
}

pub(super) fn not_offered(what: &str, manifest: &Manifest) -> Failure {
    Failure::precondition(format!("paymentMeansReference.role: {} does not offer {what}", manifest.title))
}

/// What a method makes of a preauthorisation: where money cannot be reserved the means are kept; where there are none to
/// keep, the payer pushes the money, and it is collected at once.
fn work(manifest: &'static Manifest, method: MethodName, money: Money) -> Result<(Work, &'static Capability), Failure> {
    let can = |kind| manifest.capabilities.iter().any(|c| c.kind == kind && c.method == method);
    let (kind, work) = match money.minor > 0 {
        true if can(Kind::Preauth) => (Kind::Preauth, Work::Preauth),
        _ if can(Kind::StoreMeans) => (Kind::StoreMeans, Work::StoreMeans),
        _ => (Kind::Charge, Work::Charge),
    };
    Ok((work, able(manifest, kind, method, money)?))
}

/// The connection's capability for this, or why it has none.
pub(super) fn able(
    manifest: &'static Manifest,
    kind: Kind,
    method: MethodName,
    money: Money,
) -> Result<&'static Capability, Failure> {
    if !manifest.capabilities.iter().any(|c| c.kind == kind && c.method == method) {
        let what = format!("{} by {}", kind.as_str().replace('_', " "), method.as_str().replace('_', " "));
        return Err(not_offered(&what, manifest));
    }
    let Some(capability) = manifest.capability(kind, method, money.currency) else {
        return Err(Failure::currency(format!("{} does not take {}", manifest.title, money.currency)));
    };
    let least = Money::new(capability.minimum_minor, money.currency);
    let most = Money::new(capability.maximum_minor, money.currency);
    match kind {
        // No money moves.
        Kind::StoreMeans => Ok(capability),
        _ if money.minor < least.minor => Err(Failure::amount(format!("must be at least {}", map::shown(least)))),
        _ if money.minor > most.minor => Err(Failure::amount(format!("must not be above {}", map::shown(most)))),
        Kind::Preauth | Kind::Capture | Kind::Release | Kind::Charge | Kind::Payout | Kind::Refund => Ok(capability),
    }
}

/// The key of a mandate reference that the caller brings.
const MANDATE_REFERENCE: &str = "MandateReference";

/// Account data to debit: a holder and an IBAN with right check digits, and the caller's mandate reference where it brings
/// one, under the names everybody uses.
pub(super) fn account(
    given: &BTreeMap<String, String>,
    manifest: &Manifest,
) -> Result<BTreeMap<String, String>, Failure> {
    let value = |name: &str| {
        let found = given.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    let missing = |name| {
        Failure::field(Code::BearerInvalid, "paymentMeansReference.initialBearer", format!("{name} is required"))
    };
    let holder = value("Holder").ok_or_else(|| missing("Holder"))?;
    let number = value("IBAN").ok_or_else(|| missing("IBAN"))?;
    let number = iban::normalise(number).ok_or_else(|| {
        Failure::field(
            Code::BearerInvalid,
            "paymentMeansReference.initialBearer.IBAN",
            "the check digits or the form are wrong",
        )
    })?;
    let mandate = value(MANDATE_REFERENCE);
    if let Some(reference) = mandate {
        let checked = match manifest.mandate_reference {
            Some(rule) => rule.check(reference),
            None => Err(format!("{} gives references of its own", manifest.title)),
        };
        let field = format!("paymentMeansReference.initialBearer.{MANDATE_REFERENCE}");
        checked.map_err(|why| Failure::data(&field, why))?;
    }
    let known = |key: &str| ["Holder", "IBAN", MANDATE_REFERENCE].iter().any(|name| key.eq_ignore_ascii_case(name));
    let mut account: BTreeMap<String, String> =
        given.iter().filter(|(key, _)| !known(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
    account.insert("Holder".to_owned(), holder.to_owned());
    account.insert("IBAN".to_owned(), number);
    account.extend(mandate.map(|reference| (MANDATE_REFERENCE.to_owned(), reference.to_owned())));
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_data_are_checked() {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let manifest = rialto_adapters::find("sandbox").expect("it is registered").manifest();
        let account = |given| account(&given, manifest);
        let good = account(map(&[("holder", " Ada "), ("iban", "de89 3704 0044 0532 0130 00"), ("Note", "x")]));
        let expected = map(&[("Holder", "Ada"), ("IBAN", "DE89370400440532013000"), ("Note", "x")]);
        assert_eq!(good, Ok(expected));
        let bad: &[&[(&str, &str)]] = &[
            &[],
            &[("Holder", "Ada")],
            &[("IBAN", "DE89370400440532013000")],
            &[("Holder", " "), ("IBAN", "DE89370400440532013000")],
            &[("Holder", "Ada"), ("IBAN", "DE89370400440532013001")],
        ];
        for pairs in bad {
            let failure = account(map(pairs)).expect_err("incomplete");
            assert_eq!((failure.code, failure.http.as_u16()), (Code::BearerInvalid, 422), "{pairs:?}");
        }
        let with = |reference: &str| {
            map(&[("Holder", "Ada"), ("IBAN", "DE89370400440532013000"), ("mandateReference", reference)])
        };
        let kept = account(with("SHOP/2024-17")).expect("a good reference");
        assert_eq!(kept.get("MandateReference").map(String::as_str), Some("SHOP/2024-17"));
        let own = rialto_adapters::port::Manifest { mandate_reference: None, ..*manifest };
        for (failure, why) in [
            (account(with(&"x".repeat(36))), "1 to 35 characters"),
            (account(with("a_b")), "SEPA"),
            (super::account(&with("SHOP-1"), &own), "of its own"),
        ] {
            let failure = failure.expect_err("a bad reference");
            assert_eq!((failure.code, failure.http.as_u16()), (Code::InvalidData, 422), "{why}");
            let named = failure.message.contains("initialBearer.MandateReference");
            assert!(named && failure.message.contains(why), "{}", failure.message);
        }
    }

    #[test]
    fn what_a_cancel_came_to() {
        let rows = [
            (Cancelled::Done, Some(PaymentCancellationStatus::Succeeded)),
            (Cancelled::Pending, Some(PaymentCancellationStatus::Pending)),
            (Cancelled::Failed, Some(PaymentCancellationStatus::Failed)),
            (Cancelled::NotPossible, Some(PaymentCancellationStatus::NotCancelled)),
            (Cancelled::Captured, None),
            (Cancelled::Ended, None),
        ];
        for (cancelled, expected) in rows {
            assert_eq!(cancellation(cancelled).ok(), expected, "{cancelled:?}");
        }
    }
}
