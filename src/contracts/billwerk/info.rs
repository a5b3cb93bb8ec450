//! IntegrationInfo: what a connection can do, in the platform's words. Computed from the manifest of its adapter.

use std::collections::BTreeMap;

use rialto_adapters::port::manifest::{Capability, Currencies, Manifest, MethodName, SettingField, SettingType};
use rialto_adapters::port::{Currency, Kind, Money};

use super::dto::{
    IntegrationInfoResponseDto, MerchantSettingDescriptionDto, PaymentDirectDebitMethodInfoDto, PaymentMethodInfoDto,
};
use super::errors::Failure;
use super::{Billwerk, map};
use crate::flow::identity::Caller;
use crate::flow::settings::merchants;

impl Billwerk {
    pub(super) async fn integration_info(&self, caller: &Caller) -> Result<IntegrationInfoResponseDto, Failure> {
        Ok(of(self.engine.adapter(&caller.connection)?.manifest()))
    }
}

/// The kinds that take money or means from a payer.
const TAKING: [Kind; 3] = [Kind::StoreMeans, Kind::Preauth, Kind::Charge];

/// The lines of a method that begin something with a payer.
fn taking(manifest: &Manifest, method: MethodName) -> impl Iterator<Item = &'static Capability> {
    manifest.capabilities.iter().filter(move |line| line.method == method && TAKING.contains(&line.kind))
}

pub(super) fn of(manifest: &Manifest) -> IntegrationInfoResponseDto {
    let credit_card_method_info = method(manifest, MethodName::Card);
    let debit_method_info = debit(manifest);
    let offered = || manifest.capabilities.iter().filter(|line| TAKING.contains(&line.kind)).map(|line| line.method);
    let refunds = |method| manifest.capabilities.iter().any(|c| c.kind == Kind::Refund && c.method == method);
    let bearer = credit_card_method_info.as_ref().is_some_and(|info| info.has_support_initial_bearer)
        || debit_method_info.as_ref().is_some_and(|info| info.has_support_initial_bearer);
    IntegrationInfoResponseDto {
        credit_card_method_info,
        debit_method_info,
        black_label_method_info: push(manifest),
        on_account_method_info: None,
        betalingsservice_method_info: None,
        autogiro_method_info: None,
        avtalegiro_method_info: None,
        use_payment_data_confirmation_flow: false,
        use_payment_data_confirmation_flow_for_preauth: false,
        support_refunds: offered().all(refunds),
        support_escalations: None,
        prevent_recurring_before_capture: false,
        uses_scheduled_payment: false,
        support_multiple_transaction_overpayments: false,
        requires_return_url: manifest.capabilities.iter().any(|line| line.interactive),
        merchant_settings: merchants(manifest).map(description).collect(),
        has_support_initial_bearer: bearer,
        // They are taken where they come, and nothing is made of them: nobody need send them.
        has_support_order_data_in_preauth: false,
        has_support_invoice_data: false,
    }
}

fn method(manifest: &Manifest, method: MethodName) -> Option<PaymentMethodInfoDto> {
    taking(manifest, method).next()?;
    let line = |kind| manifest.capabilities.iter().find(|line| line.kind == kind && line.method == method);
    let reserves = line(Kind::Preauth);
    Some(PaymentMethodInfoDto {
        use_capture_preauth: reserves.is_some() && line(Kind::Capture).is_some(),
        use_cancel_preauth: line(Kind::Release).is_some(),
        default_preauth_amount: reserves.map(|line| least(line).into()),
        has_support_initial_bearer: given(manifest, method),
    })
}

/// What payers push – a bank transfer, PIX – is offered like a redirect wallet: it cannot be reserved, so a preauthorisation
/// collects it, a payment books it, and a cancel gives it back.
fn push(manifest: &Manifest) -> Option<PaymentMethodInfoDto> {
    let charge = map::push_line(manifest)?;
    let refunds = manifest.capabilities.iter().any(|line| line.kind == Kind::Refund && line.method == charge.method);
    Some(PaymentMethodInfoDto {
        use_capture_preauth: true,
        use_cancel_preauth: refunds,
        default_preauth_amount: Some(least(charge).into()),
        has_support_initial_bearer: false,
    })
}

/// Account data are sent along where no page asks the payer for them.
fn given(manifest: &Manifest, method: MethodName) -> bool {
    taking(manifest, method).any(|line| !line.interactive)
}

fn debit(manifest: &Manifest) -> Option<PaymentDirectDebitMethodInfoDto> {
    let info = method(manifest, MethodName::DirectDebit)?;
    let rule = manifest.mandate_reference;
    Some(PaymentDirectDebitMethodInfoDto {
        use_capture_preauth: info.use_capture_preauth,
        use_cancel_preauth: info.use_cancel_preauth,
        default_preauth_amount: info.default_preauth_amount,
        has_support_initial_bearer: info.has_support_initial_bearer,
        support_backend_payments: given(manifest, MethodName::DirectDebit),
        unconfirmed_ledger_for_refund: false,
        // A debit is pending until the PSP has confirmed it, and the platform is told then.
        unconfirmed_ledger: true,
        support_external_mandate_reference: rule.is_some(),
        supported_external_mandate_reference_size: rule
            .map_or(0, |rule| i32::try_from(rule.max_length).unwrap_or(i32::MAX)),
        support_lower_case_mandate_reference: rule.is_some_and(|rule| rule.lower_case),
    })
}

/// The least that can be reserved. A line for all currencies counts in cents.
fn least(line: &Capability) -> Money {
    let currency = match line.currencies {
        Currencies::All => Currency::EUR,
        Currencies::Only(list) => list.first().copied().unwrap_or(Currency::EUR),
    };
    Money::new(line.minimum_minor, currency)
}

fn description(field: &SettingField) -> MerchantSettingDescriptionDto {
    let values = |pairs: &[(&str, &str)]| {
        let owned = pairs.iter().map(|(value, shown)| ((*value).to_owned(), (*shown).to_owned()));
        Some(owned.collect::<BTreeMap<_, _>>())
    };
    MerchantSettingDescriptionDto {
        display_name: field.label.to_owned(),
        key_name: field.key.to_owned(),
        required: field.required,
        predefined_values: match field.kind {
            SettingType::Text | SettingType::Url => None,
            SettingType::Switch => values(&[("off", "Off"), ("on", "On")]),
            SettingType::Choice(choices) => values(choices),
        },
        place_holder: (!field.help.is_empty()).then(|| field.help.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rialto_adapters::port::manifest::MandateReferenceRule;

    fn sandbox() -> Manifest {
        *rialto_adapters::find("sandbox").expect("always there").manifest()
    }

    #[test]
    fn the_sandbox() {
        let info = of(&sandbox());
        let card = info.credit_card_method_info.expect("cards");
        assert_eq!((card.use_capture_preauth, card.use_cancel_preauth), (true, true));
        assert_eq!(card.default_preauth_amount.map(|amount| amount.as_str().to_owned()), Some("0".to_owned()));
        assert!(!card.has_support_initial_bearer, "the payer gives a card on the PSP's page");
        let debit = info.debit_method_info.expect("debits");
        assert_eq!((debit.use_capture_preauth, debit.use_cancel_preauth), (false, false));
        assert_eq!(debit.default_preauth_amount, None);
        assert!(debit.has_support_initial_bearer && debit.support_backend_payments);
        assert!(debit.support_external_mandate_reference && debit.support_lower_case_mandate_reference);
        assert_eq!(debit.supported_external_mandate_reference_size, 35);
        assert!(info.support_refunds && info.requires_return_url && info.has_support_initial_bearer);
        let keys: Vec<&str> = info.merchant_settings.iter().map(|setting| setting.key_name.as_str()).collect();
        assert_eq!(keys, ["api_key", "webhook_secret"], "what is the operator's is not shown");
        assert!(info.merchant_settings.iter().all(|setting| setting.required && setting.place_holder.is_some()));
    }

    #[test]
    fn what_a_manifest_lacks() {
        const CARDS: &[Capability] =
            &[line(Kind::Preauth, MethodName::Card, 150, true), line(Kind::Capture, MethodName::Card, 0, false)];
        const DEBITS: &[Capability] = &[
            line(Kind::StoreMeans, MethodName::DirectDebit, 0, false),
            line(Kind::Refund, MethodName::DirectDebit, 0, false),
        ];
        const CHOICE: &[SettingField] = &[SettingField {
            key: "mode",
            label: "Mode",
            help: "",
            kind: SettingType::Choice(&[("b", "Second"), ("a", "First")]),
            required: false,
            secret: false,
            identifying: false,
            operator_only: false,
        }];
        let cards = of(&Manifest { capabilities: CARDS, settings: CHOICE, ..sandbox() });
        assert!(cards.debit_method_info.is_none());
        let card = cards.credit_card_method_info.expect("cards");
        assert_eq!(card.default_preauth_amount.map(|amount| amount.as_str().to_owned()), Some("1.5".to_owned()));
        assert!(!card.use_cancel_preauth && !cards.support_refunds && !cards.has_support_initial_bearer);
        let setting = &cards.merchant_settings[0];
        let values: Vec<&str> = setting.predefined_values.iter().flatten().map(|(value, _)| value.as_str()).collect();
        assert_eq!((values, setting.required, &setting.place_holder), (vec!["a", "b"], false, &None));
        let rule = Some(MandateReferenceRule { max_length: 20, lower_case: false });
        let debits = of(&Manifest { capabilities: DEBITS, mandate_reference: rule, ..sandbox() });
        assert!(debits.credit_card_method_info.is_none() && debits.support_refunds && !debits.requires_return_url);
        let debit = debits.debit_method_info.expect("debits");
        assert_eq!(debit.supported_external_mandate_reference_size, 20);
        assert!(!debit.support_lower_case_mandate_reference);
        let none = of(&Manifest { capabilities: DEBITS, mandate_reference: None, ..sandbox() });
        assert!(!none.debit_method_info.expect("debits").support_external_mandate_reference);
    }

    const fn line(kind: Kind, method: MethodName, minimum_minor: i64, interactive: bool) -> Capability {
        Capability {
            kind,
            method,
            currencies: Currencies::All,
            destinations: &[],
            minimum_minor,
            maximum_minor: 100_000,
            partial: false,
            amount: rialto_adapters::port::manifest::AmountRule::Exact,
            interactive,
        }
    }
}
