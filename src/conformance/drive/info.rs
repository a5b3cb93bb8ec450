//! What the integrator says that it offers.

use std::collections::BTreeSet;

use super::{Offer, Run, Step, Stop};
use crate::conformance::client::Ask;
use crate::conformance::tree::Tree;

/// A method, its field in IntegrationInfo, and its flag in the answer of PUT Settings.
pub const METHODS: &[(&str, &str)] = &[
    ("creditCardMethodInfo", "isCreditCardValid"),
    ("debitMethodInfo", "isDebitValid"),
    ("blackLabelMethodInfo", "isBlackLabelValid"),
    ("onAccountMethodInfo", "isOnAccountValid"),
    ("betalingsserviceMethodInfo", "isBetalingsserviceValid"),
    ("autogiroMethodInfo", "isAutogiroValid"),
    ("avtalegiroMethodInfo", "isAvtalegiroValid"),
];

const FLAGS: &[&str] = &[
    "usePaymentDataConfirmationFlow",
    "usePaymentDataConfirmationFlowForPreauth",
    "supportRefunds",
    "supportEscalations",
    "preventRecurringBeforeCapture",
    "usesScheduledPayment",
    "supportMultipleTransactionOverpayments",
    "requiresReturnUrl",
    "hasSupportInitialBearer",
    "hasSupportOrderDataInPreauth",
    "hasSupportInvoiceData",
];

const METHOD_FLAGS: &[&str] = &[
    "useCapturePreauth",
    "useCancelPreauth",
    "hasSupportInitialBearer",
    "supportBackendPayments",
    "unconfirmedLedgerForRefund",
    "unconfirmedLedger",
    "supportExternalMandateReference",
    "supportLowerCaseMandateReference",
];

const METHOD_NUMBERS: &[&str] = &["defaultPreauthAmount", "supportedExternalMandateReferenceSize"];

fn is_flag(value: Option<&Tree>) -> bool {
    matches!(value, None | Some(Tree::Bool(_)))
}

fn is_on(tree: Option<&Tree>, name: &str) -> bool {
    tree.and_then(|tree| tree.get(name)) == Some(&Tree::Bool(true))
}

impl Run {
    /// Asks what is offered, for all scenes; where the answer is none, everything is tried.
    pub async fn learn(&mut self) -> Step {
        let answer = self.ask(Ask::get("/api/IntegrationInfo")).await?;
        self.judge("info.answers", &answer, "status 200 with an object", answer.status() == 200 && answer.is_ok());
        let Some(info) = answer.tree().filter(|_| answer.is_ok()).cloned() else { return Ok(()) };
        let card = info.get("creditCardMethodInfo");
        let debit = info.get("debitMethodInfo");
        self.offer = Offer {
            card: card.is_some(),
            debit: debit.is_some(),
            debit_takes_account: is_on(Some(&info), "hasSupportInitialBearer")
                || is_on(debit, "hasSupportInitialBearer")
                || is_on(debit, "supportBackendPayments"),
            capture: is_on(card, "useCapturePreauth"),
            cancel: is_on(card, "useCancelPreauth"),
            refunds: is_on(Some(&info), "supportRefunds"),
        };
        for (method, _) in METHODS {
            let Some(value) = info.get(method) else { continue };
            let flags = METHOD_FLAGS.iter().all(|name| is_flag(value.get(name)));
            let numbers = METHOD_NUMBERS.iter().all(|name| matches!(value.get(name), None | Some(Tree::Number(_))));
            let good = value.is_object() && flags && numbers;
            let expected = format!("{method} as an object of booleans and numbers");
            self.judge_as("info.methods", &answer, &expected, &format!("{method} {value}"), good);
        }
        for name in FLAGS {
            let got = info.get(name).map(Tree::to_string).unwrap_or_default();
            let good = is_flag(info.get(name));
            self.judge_as("info.flags", &answer, &format!("{name} as a boolean"), &format!("{name} {got}"), good);
        }
        let wrong = wrong_setting(info.get("merchantSettings"));
        let got = wrong.clone().unwrap_or_default();
        let expected = "an array of {displayName, keyName, required}, each key once";
        self.judge_as("info.merchant_settings", &answer, expected, &got, wrong.is_none());
        let offered = METHODS.iter().any(|(name, _)| info.get(name).is_some());
        self.judge("info.offers_something", &answer, "a method that is offered", offered);
        if !offered {
            self.book.pass("info.methods");
        }
        self.info = Some(info);
        Ok(())
    }

    /// [`Run::learn`] has looked already; this says why the rest was not.
    pub(super) async fn integration_info(&mut self) -> Step {
        match &self.info {
            Some(_) => Ok(()),
            None => Err(Stop::Scene("there is no IntegrationInfo to look at".to_owned())),
        }
    }
}

/// What is wrong with a list of descriptions of settings.
fn wrong_setting(settings: Option<&Tree>) -> Option<String> {
    let settings = settings?;
    let Tree::List(settings) = settings else { return Some(format!("{} instead of an array", settings.kind())) };
    let mut keys = BTreeSet::new();
    for setting in settings {
        let text = |name: &str| setting.get(name).and_then(Tree::as_text).unwrap_or_default();
        if text("keyName").is_empty() || text("displayName").is_empty() {
            return Some(format!("a setting without keyName or displayName: {setting}"));
        }
        if !is_flag(setting.get("required")) {
            return Some(format!("required that is no boolean: {setting}"));
        }
        let values = setting.get("predefinedValues");
        let texts = |values: &Tree| {
            values.is_object() && values.members().iter().all(|(_, value)| matches!(value, Tree::Text(_)))
        };
        if !values.is_none_or(texts) {
            return Some(format!("predefinedValues that are no map of texts: {setting}"));
        }
        if !keys.insert(text("keyName").to_ascii_lowercase()) {
            return Some(format!("the key {} twice", text("keyName")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_of_settings() {
        let rows = [
            (r#"[]"#, true),
            (r#"[{"displayName":"Key","keyName":"k","required":true}]"#, true),
            (r#"[{"DisplayName":"Key","KeyName":"k","PredefinedValues":{"a":"A"}}]"#, true),
            (r#"[{"keyName":"k"}]"#, false),
            (r#"[{"displayName":"Key","keyName":"k","required":"yes"}]"#, false),
            (r#"[{"displayName":"Key","keyName":"k","predefinedValues":["a"]}]"#, false),
            (r#"[{"displayName":"A","keyName":"k"},{"displayName":"B","keyName":"K"}]"#, false),
            (r#"{}"#, false),
        ];
        for (text, good) in rows {
            let tree = Tree::read(text.as_bytes()).expect("JSON");
            assert_eq!(wrong_setting(Some(&tree)).is_none(), good, "{text}");
        }
        assert_eq!(wrong_setting(None), None);
    }
}
