//! The settings of the key's connection: shown with secrets masked, and changed once the PSP has accepted them.

use poem::http::StatusCode;
use rialto_adapters::port::Kind;
use rialto_adapters::port::manifest::MethodName;

use super::Billwerk;
use super::dto::{
    IntegrationSettingsResponseDto, MerchantSettingDto, MerchantSettingValueDto, PaymentErrorCode as Code,
    PaymentSettingsRequestDto, SettingsResponseDto,
};
use super::errors::{Failure, RETRY_AFTER};
use crate::flow::identity::Caller;
use crate::flow::settings::{Changed, NewValues};
use crate::flow::tenants::SetupError;

impl Billwerk {
    pub(super) async fn settings_now(&self, caller: &Caller) -> Result<SettingsResponseDto, Failure> {
        let shown = self.engine.shown_settings(&caller.connection).await?;
        let one = |(key, value): (&str, String)| MerchantSettingDto { key_name: key.to_owned(), key_value: value };
        Ok(SettingsResponseDto { merchant_settings: shown.into_iter().map(one).collect() })
    }

    pub(super) async fn change_settings(
        &self,
        caller: &Caller,
        request: PaymentSettingsRequestDto,
    ) -> Result<IntegrationSettingsResponseDto, Failure> {
        let form = form(request)?;
        let engine = self.engine.acting_as(&format!("key {}", caller.key_id));
        let connection = caller.connection.id;
        let changed = engine.change_settings(caller.tenant_id, connection, NewValues::Form(form), false).await;
        match changed.map_err(refused)? {
            Changed::Same { methods } | Changed::Saved { methods: Some(methods), .. } => Ok(valid(&methods)),
            // Only an operator can force.
            Changed::Saved { methods: None, .. } => Ok(valid(&[])),
            Changed::Refused { text } => {
                let text = format!("the PSP does not accept these settings: {text}");
                Err(Failure::new(Code::InvalidData, text))
            }
            Changed::Unreachable { text } => {
                let text = format!("the PSP could not be asked, and nothing was saved: {text}");
                Err(Failure::new(Code::PspConnectionProblem, text))
            }
            Changed::Strands { open } => Err(Failure::precondition(format!(
                "these settings name another account at the PSP, and {open} transactions of the present one are open or \
                 hold reservations; change them when those have ended, or ask the operator"
            ))),
            Changed::Raced => Err(Failure {
                http: StatusCode::CONFLICT,
                retry_after: Some(RETRY_AFTER),
                ..Failure::precondition("the settings were changed at the same time; look at them and try again")
            }),
        }
    }
}

/// The settings of a request, in whichever of its two shapes they came.
fn form(request: PaymentSettingsRequestDto) -> Result<Vec<(String, String)>, Failure> {
    let wrapped = request.merchant_psp_settings.and_then(|inner| inner.merchant_settings);
    let list = match (request.merchant_settings, wrapped) {
        (Some(list), None) | (None, Some(list)) => list,
        (None, None) => return Err(Failure::data("merchantSettings", "is required")),
        (Some(_), Some(_)) => {
            return Err(Failure::data("merchantPspSettings", "must not be given beside merchantSettings"));
        }
    };
    list.into_iter().map(pair).collect()
}

fn pair(given: MerchantSettingValueDto) -> Result<(String, String), Failure> {
    match given.key_value.map(|value| value.0) {
        None => Ok((given.key_name, String::new())),
        Some(serde_json::Value::String(text)) => Ok((given.key_name, text)),
        Some(_) => Err(Failure::data(&given.key_name, "must be a text")),
    }
}

fn refused(error: SetupError) -> Failure {
    match error {
        SetupError::Invalid { field, text } => Failure::data(&field, text),
        SetupError::NotFound { .. } => Failure::unknown("connection"),
        SetupError::Flow(error) => error.into(),
    }
}

/// Which methods the merchant may use: those that can begin something with a payer.
fn valid(methods: &[(Kind, MethodName)]) -> IntegrationSettingsResponseDto {
    let has = |method: MethodName| {
        methods
            .iter()
            .any(|(kind, name)| *name == method && matches!(kind, Kind::StoreMeans | Kind::Preauth | Kind::Charge))
    };
    IntegrationSettingsResponseDto {
        is_credit_card_valid: has(MethodName::Card),
        is_debit_valid: has(MethodName::DirectDebit),
        ..IntegrationSettingsResponseDto::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::read;

    #[test]
    fn both_shapes_in_any_letter_case() {
        let rows = [
            r#"{"merchantSettings":[{"keyName":"api_key","keyValue":"x"},{"keyName":"b","keyValue":null}]}"#,
            r#"{"MerchantSettings":[{"KeyName":"api_key","KeyValue":"x"},{"keyname":"b"}]}"#,
            r#"{"merchantPspSettings":{"merchantSettings":[{"keyName":"api_key","keyValue":"x"},{"keyName":"b"}]}}"#,
            r#"{"MERCHANTPSPSETTINGS":{"MERCHANTSETTINGS":[{"KEYNAME":"api_key","KEYVALUE":"x"},{"KEYNAME":"b"}]}}"#,
            r#"{"merchantSettings":null,"merchantPspSettings":{"merchantSettings":[{"keyName":"api_key","keyValue":"x"},
                {"keyName":"b"}]},"more":1}"#,
        ];
        for text in rows {
            let request: PaymentSettingsRequestDto = read(text.as_bytes()).expect("a request");
            let wanted = [("api_key", "x"), ("b", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert_eq!(form(request), Ok(wanted.to_vec()), "{text}");
        }
    }

    #[test]
    fn a_wrong_type_names_its_key() {
        for value in ["5", "true", "[]", "{\"a\":1}"] {
            let text = format!(r#"{{"merchantSettings":[{{"keyName":"api_key","keyValue":{value}}}]}}"#);
            let request: PaymentSettingsRequestDto = read(text.as_bytes()).expect("a request");
            let failure = form(request).expect_err("no text");
            assert_eq!((failure.code, failure.message.as_str()), (Code::InvalidData, "api_key: must be a text"));
        }
        let rows = [
            ("{}", "merchantSettings: is required"),
            (r#"{"merchantPspSettings":{}}"#, "merchantSettings: is required"),
            (
                r#"{"merchantSettings":[],"merchantPspSettings":{"merchantSettings":[]}}"#,
                "merchantPspSettings: must not be given beside merchantSettings",
            ),
        ];
        for (text, message) in rows {
            let request: PaymentSettingsRequestDto = read(text.as_bytes()).expect("a request");
            assert_eq!(form(request).expect_err("nothing").message, message);
        }
    }

    #[test]
    fn a_method_is_valid_if_something_can_begin_with_it() {
        let of = |methods: &[(Kind, MethodName)]| {
            let valid = valid(methods);
            (valid.is_credit_card_valid, valid.is_debit_valid)
        };
        assert_eq!(of(&[(Kind::Preauth, MethodName::Card)]), (true, false));
        assert_eq!(of(&[(Kind::Refund, MethodName::Card), (Kind::StoreMeans, MethodName::DirectDebit)]), (false, true));
        assert_eq!(of(&[]), (false, false));
    }
}
