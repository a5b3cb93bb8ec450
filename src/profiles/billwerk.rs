//! Billwerk's change notification: thin, without state or amounts. The platform fetches the transaction and compares
//! `lastUpdated`, so several changes are told at once and a repeat does no harm. Not signed: safety rests on the fetch.

use crate::core::event::WebhookType;
use crate::store::forms::{EnumStyle, NameCase, Spelling};

/// As billwerk's own sender writes a notice: PascalCase, the type as a number.
pub const USUAL: Spelling = Spelling { case: NameCase::Pascal, enums: EnumStyle::Number };

/// The body of a notice.
pub fn body(
    transaction_id: &str,
    agreement_id: Option<&str>,
    webhook_type: WebhookType,
    spelling: Spelling,
) -> Vec<u8> {
    let what = match spelling.enums {
        EnumStyle::Name => serde_json::Value::from(webhook_type.name()),
        EnumStyle::Number => webhook_type.number().into(),
    };
    let body = match spelling.case {
        NameCase::Pascal => {
            serde_json::json!({ "TransactionId": transaction_id, "AgreementId": agreement_id, "Type": what })
        }
        NameCase::Camel => {
            serde_json::json!({ "transactionId": transaction_id, "agreementId": agreement_id, "type": what })
        }
    };
    body.to_string().into_bytes()
}

/// Headers beside the body, names in lower case.
pub fn headers() -> Vec<(String, String)> {
    vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("user-agent".to_owned(), concat!("rialto/", env!("CARGO_PKG_VERSION")).to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_what_billwerks_own_sender_writes() {
        let rows = [
            (WebhookType::Preauth, None, r#"{"AgreementId":null,"TransactionId":"20221108-a","Type":1}"#),
            (WebhookType::Payment, None, r#"{"AgreementId":null,"TransactionId":"20221108-a","Type":2}"#),
            (WebhookType::Refund, None, r#"{"AgreementId":null,"TransactionId":"20221108-a","Type":3}"#),
            (WebhookType::Agreement, Some("ag-1"), r#"{"AgreementId":"ag-1","TransactionId":"20221108-a","Type":4}"#),
        ];
        for (webhook_type, agreement, expected) in rows {
            let got = body("20221108-a", agreement, webhook_type, USUAL);
            let value: serde_json::Value = serde_json::from_slice(&got).expect("JSON");
            let wanted: serde_json::Value = serde_json::from_str(expected).expect("JSON");
            assert_eq!(value, wanted);
        }
    }

    #[test]
    fn a_receiver_may_want_it_otherwise() {
        let rows = [
            (NameCase::Pascal, EnumStyle::Name, r#"{"AgreementId":null,"TransactionId":"a","Type":"Refund"}"#),
            (NameCase::Camel, EnumStyle::Number, r#"{"agreementId":null,"transactionId":"a","type":3}"#),
            (NameCase::Camel, EnumStyle::Name, r#"{"agreementId":null,"transactionId":"a","type":"Refund"}"#),
        ];
        for (case, enums, expected) in rows {
            let got = body("a", None, WebhookType::Refund, Spelling { case, enums });
            assert_eq!(String::from_utf8(got).expect("UTF-8"), expected);
        }
    }
}
